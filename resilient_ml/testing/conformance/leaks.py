"""Nothing is kept past a call: its objects die at once, memory does not grow, all permits are back."""

from __future__ import annotations

import contextlib
import gc
import time
import tracemalloc
import weakref
from collections.abc import AsyncIterator, Callable, Iterator
from typing import Any

import anyio

from ..._colour import Colour
from .subject import CROWD, REST, Answer, Subject
from .verdicts import BrokenPromise
from .worlds import World

_CALLS = 100
"""The fewest calls of a round: later it has a quarter of those before, as lists grow by an eighth at once."""
_MOST_CALLS = 1_500
"""What is still growing after so many grows for ever."""
_MOST_GROWTH = 700
"""Bytes that two rounds may leave behind: interpreters keep a few of their own, and let a few go.

Eight bytes a call that are kept in a list leave twice as many at the least: two rounds have 9/16 of the calls
before them, and a list has an eighth to spare.
"""

_SETTLE_SECONDS = 5.0
"""What has not ended so long after a call, a few times as long as one takes, is kept."""


class _BadInput(ValueError):
    """An error whose end can be seen, as that of a built-in one cannot."""


def references(subject: Subject, world: World) -> None:
    """Arguments, answers and errors die by reference count, with the garbage collector switched off."""
    for how in ("answered", "failed"):
        gone: list[weakref.ref[Any]] = []
        guarded = subject.fresh(world.model(_handing_over(subject, how, gone)))
        with _without_collector():
            _call_once(subject, world, guarded, gone)
            kept = [type(one()).__name__ for one in gone if one() is not None]
        if kept:
            raise BrokenPromise(
                f"after a call that {how}, these were still alive without the garbage collector: "
                f"{', '.join(sorted(set(kept)))}",
                "keep no argument, answer or error on the policy, and del an error that a frame holds",
            )


@contextlib.contextmanager
def _without_collector() -> Iterator[None]:
    collecting = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if collecting:
            gc.enable()


@contextlib.contextmanager
def _quick_collections(subject: Subject) -> Iterator[None]:
    """Set aside what was there before, so that each collection looks at what a check has made alone."""
    own = not subject.heap_is_set_aside
    if own:
        gc.freeze()
    try:
        yield
    finally:
        if own:
            gc.unfreeze()


def _handing_over(subject: Subject, how: str, gone: list[weakref.ref[Any]]) -> Callable[..., Any]:
    def act(*args: Any, **kwargs: Any) -> Any:
        if how == "failed":
            error = _BadInput(*args)
            gone.append(weakref.ref(error))
            try:
                raise error
            finally:
                del error
        answer = subject.answer()
        with contextlib.suppress(TypeError):  # an answer that cannot be watched
            gone.append(weakref.ref(answer))
        return answer

    return act


def _call_once(subject: Subject, world: World, guarded: Any, gone: list[weakref.ref[Any]]) -> None:
    """One call whose end nobody holds."""

    def argument() -> Answer:
        made = Answer()
        gone.append(weakref.ref(made))
        return made

    async def acall() -> None:
        with contextlib.suppress(Exception):
            await world.atake(subject.call(guarded, argument()))

    def call() -> None:
        with contextlib.suppress(Exception):
            world.take(subject.call(guarded, argument()))

    _on_its_thread(world, call, acall)


def _on_its_thread(world: World, call: Callable[[], None], acall: Callable[[], Any]) -> None:
    """Run *call*, or *acall* on a loop, with limits; streams and all."""
    if world.colour.is_async:
        world.run(acall)
    else:
        end = World(Colour.CALL, "threads").end(call)
        if end.error is not None:
            raise end.error


def growth(subject: Subject, world: World) -> None:
    """Many calls, good and bad, grow no memory once the policy has warmed up."""
    called = 0

    def act(*args: Any, **kwargs: Any) -> Any:
        nonlocal called
        called += 1
        if called % 4 == 0:
            raise ValueError("bad input")
        return None if not subject.answer_is_given else subject.answer()

    guarded = subject.fresh(world.model(act, seconds=1.0))
    started = not tracemalloc.is_tracing()
    if started:
        tracemalloc.start()
    try:
        with _quick_collections(subject):
            grown, calls = _grown(subject, world, guarded)
    finally:
        if started:
            tracemalloc.stop()
    if grown > _MOST_GROWTH:
        raise BrokenPromise(
            f"{calls:,} calls left {grown:,} bytes behind, after many to warm up",
            "bound what the policy remembers; if it is bounded, make the bound small for this check",
        )


def _grown(subject: Subject, world: World, guarded: Any) -> tuple[int, int]:
    """The bytes that two rounds of calls left behind, and the calls: the least of several, as leaks stay.

    Each round has a rest before it, in which what a call has left to end on its own ends. So it holds nothing
    when it is measured, nor is a thread in the middle of an allocation when tracing stops, which interpreters
    before 3.12.9 and 3.13.2 may crash on.
    """
    marks: list[tuple[int, int]] = []
    called = 0

    def grown() -> tuple[int, int]:
        (before, earlier), _, (now, later) = marks[-3:]
        return now - before, later - earlier

    def calls() -> int:
        """How many the next round has, 0 if it is enough."""
        nonlocal called
        gc.collect()
        marks.append((tracemalloc.get_traced_memory()[0], called))
        enough = called >= _MOST_CALLS or (len(marks) > 3 and grown()[0] <= _MOST_GROWTH)
        number = 0 if enough else max(_CALLS, called // 4)
        called += number
        return number

    def call() -> None:
        time.sleep(_SETTLE_SECONDS)
        while number := calls():
            for _ in range(number):
                with contextlib.suppress(Exception):
                    world.take(subject.call(guarded))
            time.sleep(_SETTLE_SECONDS)

    async def acall() -> None:
        await anyio.sleep(_SETTLE_SECONDS)
        while number := calls():
            for _ in range(number):
                with contextlib.suppress(Exception):
                    await world.atake(subject.call(guarded))
            await anyio.sleep(_SETTLE_SECONDS)

    _on_its_thread(world, call, acall)
    return grown()


# -- permits -----------------------------------------------------------------------------------------------


def permits(subject: Subject, world: World) -> None:
    """After answers, failures and streams that were left early, there is room for as many calls as before."""
    remedy = "give back what a call took in a finally block, exactly once"
    guard = subject.make()
    one = subject.answers_for(world, guard)
    for _ in range(CROWD):
        world.end(one)
    subject.expect_fresh(world, guard, f"after {CROWD} calls that were answered", remedy)
    if "breaker" not in subject.roles:  # a breaker learns from failures
        guard = subject.make()
        _fail_twice(subject, world, guard)
        subject.expect_fresh(world, guard, "after two calls that failed", remedy)
    if world.colour.streams:
        guard = subject.make()
        _leave_early(subject, world, guard)
        subject.expect_fresh(world, guard, "after three streams that were closed at their first item", remedy)


def _fail_twice(subject: Subject, world: World, guard: Any) -> None:
    def act(*args: Any, **kwargs: Any) -> Any:
        raise ValueError("bad input")

    guarded = subject.guard(guard, world.model(act))
    for _ in range(2):
        world.end(lambda: subject.call(guarded))
        time.sleep(REST)


def _leave_early(subject: Subject, world: World, guard: Any) -> None:
    left = 0

    def stream(*args: Any, **kwargs: Any) -> Iterator[Any]:
        nonlocal left
        try:
            while True:
                yield subject.answer()
        finally:
            left += 1

    async def astream(*args: Any, **kwargs: Any) -> AsyncIterator[Any]:
        nonlocal left
        try:
            while True:
                yield subject.answer()
        finally:
            left += 1

    guarded = subject.guard(guard, world.pick(stream, astream, stream, astream))

    def leave() -> None:
        given = subject.call(guarded)
        next(given)
        given.close()

    async def aleave() -> None:
        given = subject.call(guarded)
        await anext(given)
        await given.aclose()

    for _ in range(3):
        _on_its_thread(world, leave, aleave)
    if left != 3:
        raise BrokenPromise(
            f"of three streams that their consumer closed, {left} were closed at the model",
            "let GeneratorExit reach the model's own stream",
        )
