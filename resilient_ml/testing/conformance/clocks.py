"""Clocks that stand still, jump ahead, go back or are set by hand break nothing."""

from __future__ import annotations

import time
from typing import Any

from ...errors import ResilienceError
from .subject import CROWD, REST, Guard, Subject, clock_now
from .verdicts import BrokenPromise
from .worlds import World

_DAY = 86_400.0
_MONOTONIC = "time with call.now() alone, and hold every difference of two readings to at least 0"


def clocks(subject: Subject, world: World) -> None:
    """The wall clock has no effect; a monotonic clock that goes back or jumps ends no call in a bug."""
    for days in (-400.0, 400.0):
        _wall(subject, world, days * _DAY)
    for seconds in (-3600.0, 3600.0, 0.0):
        _monotonic(subject, world, seconds)


def _wall(subject: Subject, world: World, seconds: float) -> None:
    """The wall clock is set while a call is inside, and while the policy refuses calls."""
    clock = clock_now()
    offset = clock.wall() - clock.now()
    guard = subject.make()
    what = f"the wall clock was set {'back' if seconds < 0 else 'forward'} by {abs(seconds) / _DAY:g} days"
    remedy = "time with call.now(), which is monotonic"

    def act(*args: Any, **kwargs: Any) -> Any:
        clock.step_wall(seconds)
        return subject.answer()

    guarded = subject.guard(guard, world.model(act))
    try:
        end = world.end(lambda: subject.call(guarded))
        if end.error is not None:
            raise BrokenPromise(f"{what} during a call, which ended in {end.kind}", remedy)
        until_refused(subject, world, guard)
        clock.step_wall(seconds)
        time.sleep(REST)
        last = world.end(subject.answers_for(world, guard))
        if last.error is not None:
            raise BrokenPromise(
                f"{what} while it refused calls, and ten days later a call of a healthy model still ended in "
                f"{last.kind}",
                remedy,
            )
    finally:
        clock.step_wall(offset - (clock.wall() - clock.now()))


def until_refused(subject: Subject, world: World, guard: Guard) -> None:
    """Let the model fail until the policy refuses to call it, if it ever does."""
    called = 0

    def act(*args: Any, **kwargs: Any) -> Any:
        nonlocal called
        called += 1
        raise ConnectionError("the model is down")

    guarded = subject.guard(guard, world.model(act))
    for _ in range(4 * CROWD):
        before = called
        world.end(lambda: subject.call(guarded))
        if called == before:
            return


def _monotonic(subject: Subject, world: World, seconds: float) -> None:
    """The monotonic clock steps while a call is inside, and stands still over many calls."""
    clock = clock_now()
    guard = subject.make()
    how = f"the monotonic clock {'went back' if seconds < 0 else 'jumped ahead'} by {abs(seconds):g} s"
    if not seconds:
        how = "the monotonic clock stood still"

    def act(*args: Any, **kwargs: Any) -> Any:
        clock.step(seconds)
        return subject.answer()

    guarded = subject.guard(guard, world.model(act))
    for _ in range(3):
        end = world.end(lambda: subject.call(guarded))
        if end.error is not None and not isinstance(end.error, ResilienceError):
            raise BrokenPromise(f"{how} during a call, which ended in {end.kind}", _MONOTONIC) from end.error
        if end.error is not None and seconds <= 0:
            raise BrokenPromise(f"{how} during calls, and one of them was refused", _MONOTONIC) from end.error
    time.sleep(2 * abs(seconds))
    last = world.end(subject.answers_for(world, guard))
    if last.error is not None and seconds <= 0:
        raise BrokenPromise(f"after {how}, a call ended in {last.kind}", _MONOTONIC) from last.error
