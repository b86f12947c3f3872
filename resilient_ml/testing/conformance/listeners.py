"""Whoever listens to events changes nothing: a listener that raises breaks no call."""

from __future__ import annotations

import contextlib
import logging
from collections.abc import Callable, Iterator
from typing import Any

from ... import events
from .subject import CROWD, Subject
from .verdicts import BrokenPromise
from .worlds import World


class ListenerError(Exception):
    """What the listener raises."""


def listeners(subject: Subject, world: World) -> None:
    """Calls that answer, fail and are refused end the same with a listener that raises as with none."""
    alone = _kinds(subject, world)

    def listen(event: Any) -> None:
        raise ListenerError

    with _quiet(), events.subscribe(listen):
        listened = _kinds(subject, world)
    if listened != alone:
        raise BrokenPromise(
            f"with a listener that raises calls ended in {_shown(listened)}, without one in {_shown(alone)}",
            "tell events with self.emit(), after the decision, which holds what a listener raises",
        )


def _kinds(subject: Subject, world: World) -> list[str]:
    guard = subject.make()
    called = 0

    def act(*args: Any, **kwargs: Any) -> Any:
        nonlocal called
        called += 1
        if called % 3:
            raise ConnectionError("two of three fail")
        return subject.answer()

    guarded = subject.guard(guard, world.model(act, seconds=0.01))
    calls: list[Callable[[], Any]] = [lambda: subject.call(guarded)]
    with subject.luck():
        one_by_one = [world.end(calls[0]).kind for _ in range(CROWD)]
        return one_by_one + sorted(end.kind for end in world.ends(calls * CROWD))


def _shown(kinds: list[str]) -> str:
    return ", ".join(sorted(set(kinds)))


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """The library reports a listener that raises, once; here it is meant to."""
    logger = logging.getLogger("resilient_ml")
    before, logger.disabled = logger.disabled, True
    try:
        yield
    finally:
        logger.disabled = before
