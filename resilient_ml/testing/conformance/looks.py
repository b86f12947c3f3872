"""How a policy shows itself, and how it refuses: without addresses, arguments or a missing word."""

from __future__ import annotations

import re
from typing import Any

from ..._pipeline import Pipeline
from ..._policy import Policy
from .pickling import accepted_world, refusals
from .subject import Subject
from .verdicts import BrokenPromise

_ADDRESS = re.compile(r"0x[0-9a-fA-F]{4,}")
_SECRET = "hunter2-hunter2"  # noqa: S105 - to be looked for


class _Telling:
    """An argument that tells what no message may hold."""

    def __repr__(self) -> str:
        return _SECRET


def looks(subject: Subject) -> None:
    """Shown before and after calls it has no address in it; its refusals say something, and no argument."""
    world = accepted_world(subject)
    guard = subject.make()
    _shown(guard)
    guarded = subject.guard(guard, world.model(lambda *args, **kwargs: subject.answer()))
    world.end(lambda: subject.call(guarded, _Telling()))
    _shown(guard)
    for error in refusals(subject, world):
        _told(error)


def _shown(guard: Any) -> None:
    views = {"repr()": repr(guard), "str()": str(guard)}
    if isinstance(guard, Policy | Pipeline):
        views["describe()"] = guard.describe()
    for how, text in views.items():
        if _ADDRESS.search(text):
            raise BrokenPromise(
                f"{how} shows an address: {text!r}", "override describe(): name the policy and its numbers"
            )
        if not text.strip() or _SECRET in text:
            raise BrokenPromise(
                f"{how} shows nothing, or an argument", "override describe(): name the policy and its numbers"
            )


def _told(error: Exception) -> None:
    text = f"{error} {vars(error)}"
    if not str(error) or _ADDRESS.search(text):
        raise BrokenPromise(
            f"its error {type(error).__name__} says nothing, or an address: {str(error)!r}",
            "say what was exceeded, with the numbers, and what to do",
        )
