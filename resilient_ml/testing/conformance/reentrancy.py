"""A guarded function may be called again from anywhere inside itself: nothing waits for itself.

From the model, from a listener to events, from a finalizer, and from a signal handler, which Python runs
between any two steps of a policy's own code: here it is called at every line of that.
"""

from __future__ import annotations

import contextlib
import itertools
import sys
import threading
import types
from collections.abc import AsyncIterator, Callable, Iterator
from typing import Any

from ... import events
from ...errors import ResilienceError
from .subject import Guard, Subject
from .verdicts import BrokenPromise
from .worlds import End, Hung, World

_MACHINERY = (
    "threading",
    "queue",
    "contextlib",
    "weakref",
    "selectors",
    "asyncio",
    "trio",
    "anyio",
    "logging",
)
"""Modules that virtual time is made of, in part, and that no signal handler may find at work in it."""

_TESTING = __package__.rpartition(".")[0]

_LOCKS = (
    "hold locks for the policy's own lines alone, make them threading.RLock, and call no user code under one"
)


def reentrancy(subject: Subject, world: World) -> None:
    """Called again from inside, it answers or refuses; it never waits for ever, and leaves nothing behind."""
    _from_the_model(subject, world)
    if not world.colour.is_async:
        _from_a_listener(subject, world)
        _from_a_finalizer(subject, world)
        _from_every_line(subject, world)


def _judge(subject: Subject, world: World, guard: Guard, ends: list[End], whence: str) -> None:
    for end in ends:
        if end.hung:
            raise BrokenPromise(
                f"called again from {whence}, it waits for ever",
                f"{_LOCKS}; a queue needs a limit in time, or make a policy with more seats for this check",
            )
        if end.error is not None and not isinstance(end.error, ResilienceError | ConnectionError):
            raise BrokenPromise(
                f"called again from {whence}, it ended in {end.kind}", "keep what belongs to a call in locals"
            ) from end.error
    if "breaker" not in subject.roles:  # a breaker may have learnt of a failure
        subject.expect_fresh(
            world, guard, f"called again from {whence}", "give back what each call took, once"
        )


def _from_the_model(subject: Subject, world: World) -> None:
    guard = subject.make()
    inner = subject.answers_for(world, guard)
    ends: list[End] = []

    def call(*args: Any, **kwargs: Any) -> Any:
        ends.append(_ended(lambda: world.take(inner())))
        return subject.answer()

    async def acall(*args: Any, **kwargs: Any) -> Any:
        try:
            ends.append(End(await world.atake(inner())))
        except Exception as error:
            ends.append(End(error=error))
        return subject.answer()

    def stream(*args: Any, **kwargs: Any) -> Iterator[Any]:
        yield call()

    async def astream(*args: Any, **kwargs: Any) -> AsyncIterator[Any]:
        yield await acall()

    guarded = subject.guard(guard, world.pick(call, acall, stream, astream))
    outer = world.end(lambda: subject.call(guarded))
    _judge(subject, world, guard, [outer, *ends], "the model")


def _from_a_listener(subject: Subject, world: World) -> None:
    guard = subject.make()
    inner = _one(subject, world, guard, fails=False)
    again = _Again(world, inner)
    with events.subscribe(lambda event: again()):
        ends = world.ends([_one(subject, world, guard, fails=True), *[inner] * 3])
    _judge(subject, world, guard, [*ends, *again.ends], "a listener")


def _from_a_finalizer(subject: Subject, world: World) -> None:
    guard = subject.make()
    again = _Again(world, subject.answers_for(world, guard))

    class Thing:
        def __del__(self) -> None:
            again()

    guarded = subject.guard(guard, world.model(lambda *args, **kwargs: subject.answer()))
    end = world.end(lambda: subject.call(guarded, Thing()))
    _judge(subject, world, guard, [end, *again.ends], "the finalizer of an argument")


def _from_every_line(subject: Subject, world: World) -> None:
    """A call that answers and one that fails, each interrupted at every line by one of either kind."""
    for outer_fails, inner_fails, seconds in itertools.product((False, True), (False, True), (0.0, 1.0)):
        guard = subject.make()
        outer = _one(subject, world, guard, fails=outer_fails)
        again = _Again(world, _one(subject, world, guard, fails=inner_fails, seconds=seconds))

        def traced(outer: Callable[[], Any] = outer, again: _Again = again) -> Any:
            with each_line(again):
                return world.retake(outer())

        ends = [world.end(traced), *again.ends]
        _judge(subject, world, guard, ends, "a signal handler, in the middle of the policy's code")


def _one(
    subject: Subject, world: World, guard: Guard, *, fails: bool, seconds: float = 0.0
) -> Callable[[], Any]:
    """One call of a model that takes *seconds*, and fails or does not."""

    def act(*args: Any, **kwargs: Any) -> Any:
        if fails:
            raise ConnectionError("the model is down")
        return subject.answer()

    guarded = subject.guard(guard, world.model(act, seconds=seconds))
    return lambda: subject.call(guarded)


class _Again:
    """Calls once more, unless that is what it does already."""

    def __init__(self, world: World, call: Callable[[], Any]) -> None:
        self._call = lambda: world.take(call())
        self._inside = threading.local()
        self.ends: list[End] = []

    def __call__(self) -> None:
        if getattr(self._inside, "now", False):
            return
        self._inside.now = True
        self.ends.append(End(error=Hung("it has not come back")))
        position = len(self.ends) - 1
        try:
            self.ends[position] = _ended(self._call)
        finally:
            self._inside.now = False


def _ended(work: Callable[[], Any]) -> End:
    try:
        return End(work())
    except Exception as error:
        return End(error=error)


@contextlib.contextmanager
def each_line(act: Callable[[], None]) -> Iterator[None]:
    """Call *act* before every line of a policy's code that this thread runs in the block."""
    before = sys.gettrace()

    def trace(frame: types.FrameType, event: str, argument: Any) -> Any:
        if event == "line":
            act()
        return trace if of_policy(frame) else None

    sys.settrace(trace)
    try:
        yield
    finally:
        sys.settrace(before)


def of_policy(frame: types.FrameType) -> bool:
    """Whether *frame* runs a policy's code: called by a check, and not inside virtual time or a loop."""
    inner: types.FrameType | None = frame
    while inner is not None:
        module = str(inner.f_globals.get("__name__"))
        if module.startswith(__package__):
            return inner is not frame
        if module.startswith(_TESTING) or module.partition(".")[0] in _MACHINERY:
            return False
        inner = inner.f_back
    return False
