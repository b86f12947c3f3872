"""Clocks and rates: a wall clock that jumps, bursts after rest, large requests among small ones."""

from __future__ import annotations

import asyncio
import datetime as dt
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import Any

from survival.library import Library
from survival.trials import trial
from survival.verdicts import Verdict, judged, undecided

HOUR = 3600.0


@contextmanager
def wall_clock() -> Iterator[Callable[[float], None]]:
    """Make the wall clock steerable: ``step(seconds)`` moves ``time.time`` and ``datetime``, nothing else.

    A library must be imported within, so that it cannot have kept the real ones.
    """
    offset = 0.0
    real_time, real_datetime = time.time, dt.datetime

    class Shifted(real_datetime):  # type: ignore[misc, valid-type]
        """The same, by the steered clock."""

        @classmethod
        def now(cls, tz: dt.tzinfo | None = None) -> Any:
            return cls.fromtimestamp(time.time(), tz)

        @classmethod
        def utcnow(cls) -> Any:
            return cls.fromtimestamp(time.time(), dt.UTC).replace(tzinfo=None)

    def step(seconds: float) -> None:
        nonlocal offset
        offset += seconds

    time.time = lambda: real_time() + offset
    dt.datetime = Shifted  # type: ignore[misc]
    try:
        yield step
    finally:
        time.time, dt.datetime = real_time, real_datetime  # type: ignore[misc]


def answers_within(call: Callable[[], object], seconds: float) -> bool:
    """Whether *call* returns in time; a call that waits longer is left behind."""
    answered = threading.Event()

    def caller() -> None:
        with suppress(Exception):
            call()
            answered.set()

    thread = threading.Thread(target=caller, daemon=True)
    thread.start()
    thread.join(seconds)
    return answered.is_set()


def after_the_step(answered: bool, when: str) -> Verdict:
    """Judge a good call 2.1 s *when*, and after an hour was stepped back."""
    how = "answered" if answered else "refused"
    return judged(answered, f"a good call {how} 2.1 s {when}, the wall clock an hour back")


@trial("F04", "breaker", "breaker")
def a_breaker_reopens_by_the_monotonic_clock(library: Library) -> Verdict:
    sick = True

    def model() -> int:
        if sick:
            raise ConnectionError("down")
        return 1

    with wall_clock() as step:
        guarded = library.breaker(model, 2, 1.0)
        for _ in range(2):
            with suppress(Exception):
                guarded()
        sick = False
        if answers_within(guarded, 0.5):
            return undecided("did not open")
        step(-HOUR)
        time.sleep(2.1)
        return after_the_step(answers_within(guarded, 2.0), "after it opened for 1 s")


@trial("F04", "async breaker", "abreaker")
def an_async_breaker_reopens_by_the_monotonic_clock(library: Library) -> Verdict:
    sick = True

    async def model() -> int:
        if sick:
            raise ConnectionError("down")
        return 1

    async def main(step: Callable[[float], None]) -> Verdict:
        nonlocal sick
        guarded = library.abreaker(model, 2, 1.0)
        for _ in range(2):
            with suppress(Exception):
                await guarded()
        sick = False
        step(-HOUR)
        await asyncio.sleep(2.1)
        answer = None
        with suppress(Exception):
            answer = await guarded()
        return after_the_step(answer == 1, "after it opened for 1 s")

    with wall_clock() as step:
        return asyncio.run(main(step))


@trial("F04", "rate", "rate")
def a_rate_recovers_by_the_monotonic_clock(library: Library) -> Verdict:
    with wall_clock() as step:
        guarded = library.rate(lambda: 1, 5, 1.0)
        for _ in range(5):
            guarded()
        step(-HOUR)
        time.sleep(2.1)
        return after_the_step(answers_within(guarded, 1.0), "after 5 calls of 5 a second")


@trial("F04", "async rate", "arate")
def an_async_rate_recovers_by_the_monotonic_clock(library: Library) -> Verdict:
    async def model() -> int:
        return 1

    async def main(step: Callable[[float], None]) -> Verdict:
        guarded = library.arate(model, 5, 1.0)
        for _ in range(5):
            await guarded()
        step(-HOUR)
        await asyncio.sleep(2.1)
        answer = None
        with suppress(Exception):
            answer = await asyncio.wait_for(guarded(), 1.0)
        return after_the_step(answer == 1, "after 5 calls of 5 a second")

    with wall_clock() as step:
        return asyncio.run(main(step))


@trial("F04", "cache", "cache")
def a_cache_expires_by_the_monotonic_clock(library: Library) -> Verdict:
    loads = 0

    def model(key: str) -> int:
        nonlocal loads
        loads += 1
        return loads

    with wall_clock() as step:
        guarded = library.cache(model, 8, 0.5)
        guarded("a")
        step(-HOUR)
        time.sleep(1.2)
        guarded("a")
    return judged(loads == 2, f"{loads} loads of an entry for 0.5 s after 1.2 s, the wall clock an hour back")


@trial("F04", "deadline", "retry_within")
def a_deadline_is_monotonic(library: Library) -> Verdict:
    calls = 0
    began = time.monotonic()

    class Stop(BaseException):
        """Ends what would never end."""

    with wall_clock() as step:

        def model() -> None:
            nonlocal calls
            calls += 1
            if calls == 1:
                step(-HOUR)
            if time.monotonic() - began > 3:
                raise Stop
            raise ConnectionError("down")

        guarded = library.retry_within(model, 1000, 0.05, 0.5)
        with suppress(Exception, Stop):
            guarded()
    took = time.monotonic() - began
    return judged(took < 2.5, f"a deadline of 0.5 s, over after {took:.1f} s, the wall clock an hour back")


BURST = 11
"""10 at once, and what 50 ms more may add."""


@trial("F34", "rate", "rate")
def a_rate_does_not_burst(library: Library) -> Verdict:
    guarded, passed = library.rate(lambda: 1, 10, 1.0), 0
    time.sleep(2)
    until = time.monotonic() + 0.05
    while time.monotonic() < until:
        with suppress(*library.rejections):
            guarded()
            passed += time.monotonic() < until
    return judged(passed <= BURST, f"{passed} calls in 50 ms, 10 a second allowed")


@trial("F34", "async rate", "arate")
def an_async_rate_does_not_burst(library: Library) -> Verdict:
    async def model() -> int:
        return 1

    async def main() -> int:
        guarded, passed = library.arate(model, 10, 1.0), 0
        await asyncio.sleep(2)
        until = time.monotonic() + 0.05
        while time.monotonic() < until:
            with suppress(TimeoutError, *library.rejections):
                await asyncio.wait_for(guarded(), 0.02)
                passed += time.monotonic() < until
            await asyncio.sleep(0)
        return passed

    passed = asyncio.run(main())
    return judged(passed <= BURST, f"{passed} calls in 50 ms, 10 a second allowed")


@trial("F35", "weighted", "arate_weighted")
def a_large_request_is_served(library: Library) -> Verdict:
    async def main() -> tuple[float | None, int]:
        acquire, small = library.arate_weighted(100, 1.0), 0
        await acquire(100)

        async def nibble() -> None:
            nonlocal small
            while True:
                await acquire(5)
                small += 1

        others = [asyncio.ensure_future(nibble()) for _ in range(8)]
        await asyncio.sleep(0)
        began = time.monotonic()
        try:
            await asyncio.wait_for(acquire(90), 8)
        except TimeoutError:
            return None, small
        finally:
            for task in others:
                task.cancel()
            await asyncio.gather(*others, return_exceptions=True)
        return time.monotonic() - began, small

    waited, small = asyncio.run(main())
    took = "not served in 8 s" if waited is None else f"served after {waited:.1f} s"
    return judged(waited is not None, f"90 of 100 a second {took}, {small} small requests went before")
