"""Cancellation at every tick: nothing may be lost, neither the cancellation nor a seat."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import suppress
from typing import Any

from survival.library import Fn, Library
from survival.trials import ASYNC, Guard, each, trial
from survival.verdicts import Verdict, failed, judged


async def cancelled_at(guard: Guard, tick: int, work: int) -> str:
    """Cancel a caller at *tick* of a call that takes *work* ticks: ``done``, ``cancelled`` or ``lost``."""

    async def model() -> int:
        for _ in range(work):
            await asyncio.sleep(0)
        return 1

    guarded = guard(model)

    async def caller() -> None:
        await guarded()
        # A cancellation that is on its way must surface at the next chance.
        await asyncio.sleep(0)
        await asyncio.sleep(0.001)

    task = asyncio.ensure_future(caller())
    for _ in range(tick):
        await asyncio.sleep(0)
    if not task.cancel():
        return "done"
    await asyncio.wait([task])
    return "cancelled" if task.cancelled() else "lost"


@each("F15", *ASYNC)
def a_cancellation_surfaces(library: Library, guard: Guard) -> Verdict:
    async def main() -> list[str]:
        return [await cancelled_at(guard, tick, work) for work in (0, 1, 2, 3, 5) for tick in range(14)]

    came = asyncio.run(main())
    points = len(came) - came.count("done")
    return judged("lost" not in came, f"{came.count('lost')} of {points} cancellations lost")


async def _coinciding(call: Callable[[], Any], limit: float, cancel_first: bool) -> bool:
    """Cancel a caller at the instant its limit passes; whether the cancellation was lost."""
    loop = asyncio.get_running_loop()
    landed = False

    async def caller() -> None:
        with suppress(Exception):  # the time-out
            await call()
        await asyncio.sleep(0)
        await asyncio.sleep(0.002)

    def cancel() -> None:
        nonlocal landed
        landed = task.cancel()

    task = asyncio.ensure_future(caller())
    if cancel_first:
        loop.call_later(limit, cancel)
    await asyncio.sleep(0)
    if not cancel_first:
        loop.call_later(limit, cancel)
    # Both timers are due when the loop looks again.
    await asyncio.sleep(limit * 0.8)
    until = loop.time() + limit * 0.4
    while loop.time() < until:
        pass
    await asyncio.wait([task])
    return landed and not task.cancelled()


async def _fires_late(call: Callable[[float], Any], limit: float) -> int:
    """How often a limit strikes after the call has answered, of calls that end at about the limit."""
    struck = 0
    for round_ in range(40):
        wait = limit + (round_ - 30) * limit / 100

        async def caller(wait: float = wait) -> bool:
            try:
                await call(wait)
            except Exception:  # noqa: BLE001 - the time-out, in time
                return False
            try:
                await asyncio.sleep(limit)
            except (Exception, asyncio.CancelledError):  # noqa: BLE001 - a stray time-out
                return True
            return False

        struck += await asyncio.ensure_future(caller())
    return struck


def limits_and_cancellations(within: Callable[[float], Callable[[Fn], Fn]]) -> Verdict:
    """Judge ``within(limit)``, a guard that bounds a coroutine."""
    limit = 0.02

    async def main() -> tuple[int, int]:
        guarded, lost = within(limit)(asyncio.sleep), 0
        for round_ in range(30):
            lost += await _coinciding(lambda: guarded(30.0), limit, round_ % 2 == 0)
        return lost, await _fires_late(guarded, limit)

    lost, struck = asyncio.run(main())
    return judged(
        lost == 0 and struck == 0,
        f"{lost} of 30 cancellations lost that come with the limit, {struck} of 40 limits strike late",
    )


@trial("F16", "decorator", "atimeout")
def a_limit_and_a_cancellation(library: Library) -> Verdict:
    return limits_and_cancellations(lambda limit: lambda fn: library.atimeout(fn, limit))


@trial("F16", "async with", "atimeout_block")
def a_block_and_a_cancellation(library: Library) -> Verdict:
    def within(limit: float) -> Guard:
        def guard(fn: Fn) -> Fn:
            async def guarded(*args: Any) -> Any:
                async with library.atimeout_block(limit)():
                    return await fn(*args)

            return guarded

        return guard

    return limits_and_cancellations(within)


class Seats:
    """A model that counts who is inside, and lets them out when told."""

    def __init__(self) -> None:
        self.inside = self.peak = 0
        self.out = asyncio.Event()

    async def model(self) -> None:
        self.inside += 1
        self.peak = max(self.peak, self.inside)
        try:
            await self.out.wait()
        finally:
            self.inside -= 1


async def leave_at_every_tick(library: Library, guard: Guard) -> Verdict:
    """Cancel waiters at each tick, also while a seat is handed over; then count the seats."""
    seats = Seats()

    async def model() -> None:
        await seats.model()

    guarded = guard(model)
    rounds = 0
    for ticks in range(12):
        for head_start in range(4):
            rounds += 1
            seats.out = asyncio.Event()
            holders = [asyncio.ensure_future(guarded()) for _ in range(2)]
            await asyncio.sleep(0)
            waiters = [asyncio.ensure_future(guarded()) for _ in range(3)]
            for _ in range(head_start):
                await asyncio.sleep(0)
            if ticks % 2:
                seats.out.set()
            for _ in range(ticks // 2):
                await asyncio.sleep(0)
            for task in waiters:
                task.cancel()
            await asyncio.gather(*waiters, return_exceptions=True)
            seats.out.set()
            await asyncio.gather(*holders, return_exceptions=True)
    seats.out = asyncio.Event()
    tasks = [asyncio.ensure_future(guarded()) for _ in range(10)]
    await asyncio.sleep(0.05)
    usable = seats.inside
    seats.out.set()
    outcomes = await asyncio.gather(*tasks, return_exceptions=True)
    refused = sum(isinstance(one, library.rejections) for one in outcomes)
    return judged(
        usable == 2 and seats.peak <= 2 and refused == 0,
        f"after {rounds} rounds {usable} of 2 seats usable, {refused} of 10 refused, {seats.peak} inside",
    )


def torture(library: Library, guard: Guard) -> Verdict:
    """The same, 30 s for it."""

    async def main() -> Verdict:
        try:
            return await asyncio.wait_for(leave_at_every_tick(library, guard), 30)
        except TimeoutError:
            return failed("deadlocked")

    return asyncio.run(main())


@trial("F17", "decorator", "abulkhead")
def seats_come_back(library: Library) -> Verdict:
    return torture(library, lambda fn: library.abulkhead(fn, 2, 8))


@trial("F17", "async with", "abulkhead_block")
def seats_of_a_block_come_back(library: Library) -> Verdict:
    def guard(fn: Fn) -> Fn:
        block = library.abulkhead_block(2, 8)

        async def guarded() -> Any:
            async with block():
                return await fn()

        return guarded

    return torture(library, guard)
