"""Breakers: probes, cancelled and late calls, refusals, races."""

from __future__ import annotations

import asyncio
import gc
import sys
import threading
import time
import tracemalloc
from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import Any

from survival.library import Fn, Library
from survival.trials import trial
from survival.verdicts import Verdict, failed, flawless, judged, undecided

RESET = 1.0
OVER = 2.1
"""Seconds after which RESET is over even where it is rounded up to whole ones."""


def attempt(fn: Fn, *args: Any) -> bool:
    """Call *fn*; whether it answered."""
    try:
        fn(*args)
    except Exception:  # noqa: BLE001 - a refusal or the failure itself: no answer
        return False
    return True


@trial("F01", "threads", "breaker")
def probes_by_threads(library: Library) -> Verdict:
    reached: list[int] = []
    slow, opened = threading.Event(), threading.Barrier(20)

    def dead() -> None:
        reached.append(1)
        if slow.is_set():
            time.sleep(0.3)
        raise ConnectionError("down")

    guarded = library.breaker(dead, 3, RESET)
    for _ in range(3):
        attempt(guarded)
    time.sleep(OVER)
    reached.clear()
    slow.set()

    def caller() -> None:
        opened.wait()
        attempt(guarded)

    threads = [threading.Thread(target=caller, daemon=True) for _ in range(20)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(20)
    return judged(
        len(reached) <= library.half_open_permits, f"{len(reached)} of 20 callers reached the dead model"
    )


@trial("F01", "asyncio", "abreaker")
def probes_by_tasks(library: Library) -> Verdict:
    reached: list[int] = []
    slow: list[bool] = []

    async def dead() -> None:
        reached.append(1)
        if slow:
            await asyncio.sleep(0.2)
        raise ConnectionError("down")

    async def main() -> None:
        guarded = library.abreaker(dead, 3, RESET)
        for _ in range(3):
            with suppress(Exception):
                await guarded()
        await asyncio.sleep(OVER)
        reached.clear()
        slow.append(True)
        await asyncio.gather(*[guarded() for _ in range(20)], return_exceptions=True)

    asyncio.run(main())
    return judged(
        len(reached) <= library.half_open_permits, f"{len(reached)} of 20 callers reached the dead model"
    )


async def admitted_after(guard: Callable[[Fn], Fn], script: Sequence[str | float]) -> bool:
    """Play *script* (``fail``, ``leave``, seconds to wait); whether a call is let through then."""
    mode, reached = "", 0

    async def model() -> None:
        nonlocal reached
        reached += 1
        if mode == "fail":
            raise ConnectionError("down")
        if mode == "leave":
            await asyncio.sleep(60)

    guarded = guard(model)

    async def play(step: str) -> None:
        nonlocal mode
        mode = step
        task = asyncio.ensure_future(guarded())
        if step == "leave":
            await asyncio.sleep(0.02)
            task.cancel()
        with suppress(Exception, asyncio.CancelledError):
            await task

    for step in script:
        if isinstance(step, float):
            await asyncio.sleep(step)
        else:
            await play(step)
    before = reached
    await play("answer")
    return reached > before


def cancellation_is_neutral(guard: Callable[[float], Callable[[Fn], Fn]]) -> Verdict:
    """Judge cancelled calls under ``guard(reset)``, a breaker that opens after 3 failures."""

    def admitted(reset: float, *script: str | float) -> bool:
        return asyncio.run(admitted_after(guard(reset), script))

    fails = ["fail"] * 3
    if admitted(60.0, *fails):
        return undecided("does not open at all")
    flaws = []
    if admitted(60.0, "fail", "fail", "leave", "fail"):
        flaws.append("a cancelled call reset the count of failures")
    if not admitted(60.0, "leave", "leave", "leave"):
        flaws.append("3 cancelled calls opened the circuit")
    if admitted(RESET, *fails, OVER, "leave", "fail"):
        flaws.append("a cancelled probe closed the circuit")
    if not admitted(RESET, *fails, OVER, "leave", OVER):
        flaws.append(f"a cancelled probe wedged the circuit: a good call is refused {OVER:.1f} s later")
    return flawless(flaws, "neutral, closed and half open")


@trial("F02", "decorator", "abreaker")
def cancelled_calls(library: Library) -> Verdict:
    return cancellation_is_neutral(lambda reset: lambda fn: library.abreaker(fn, 3, reset))


@trial("F02", "async with", "abreaker_block")
def cancelled_blocks(library: Library) -> Verdict:
    def guard(reset: float) -> Callable[[Fn], Fn]:
        block = library.abreaker_block(3, reset)

        def around(fn: Fn) -> Fn:
            async def guarded() -> Any:
                async with block():
                    return await fn()

            return guarded

        return around

    return cancellation_is_neutral(guard)


@trial("F03", "threads", "breaker")
def late_success_of_a_thread(library: Library) -> Verdict:
    inside, go, reached = threading.Event(), threading.Event(), []

    def model(what: str) -> None:
        if what == "slow":
            inside.set()
            go.wait(10)
        elif what == "fail":
            raise ConnectionError("down")
        else:
            reached.append(what)

    guarded = library.breaker(model, 3, 60.0)
    slow = threading.Thread(target=attempt, args=(guarded, "slow"), daemon=True)
    slow.start()
    inside.wait(10)

    def others() -> None:
        for _ in range(3):
            attempt(guarded, "fail")
        attempt(guarded, "during")

    rest = threading.Thread(target=others, daemon=True)
    rest.start()
    rest.join(1)
    serialised = rest.is_alive()
    go.set()
    slow.join(10)
    rest.join(10)
    if serialised:
        return judged(not reached, "calls wait for one another, so that none is late")
    if reached:
        return undecided("did not open while a slow call was inside")
    attempt(guarded, "after")
    return judged(not reached, "a late success closed the open circuit" if reached else "stayed open")


@trial("F03", "asyncio", "abreaker")
def late_success_of_a_task(library: Library) -> Verdict:
    reached = []

    async def main() -> None:
        inside, go = asyncio.Event(), asyncio.Event()

        async def model(what: str) -> None:
            if what == "slow":
                inside.set()
                await go.wait()
            elif what == "fail":
                raise ConnectionError("down")
            else:
                reached.append(what)

        guarded = library.abreaker(model, 3, 60.0)
        slow = asyncio.ensure_future(guarded("slow"))
        await inside.wait()
        for _ in range(3):
            with suppress(Exception):
                await guarded("fail")
        go.set()
        with suppress(Exception):
            await slow
        with suppress(Exception):
            await guarded("after")

    asyncio.run(main())
    return judged(not reached, "a late success closed the open circuit" if reached else "stayed open")


@trial("F38", "refusals", "breaker")
def refusals_cost_nothing(library: Library) -> Verdict:
    def dead() -> None:
        raise ConnectionError("down")

    guarded = library.breaker(dead, 2, 600.0)
    for _ in range(300):
        attempt(guarded)
    gc.collect()
    tracemalloc.start()
    before = tracemalloc.get_traced_memory()[0]
    last: BaseException | None = None
    for _ in range(20_000):
        try:
            guarded()
        except Exception as error:  # noqa: BLE001 - the refusal
            last = error
    frames, links = 0, 0
    trace = last.__traceback__ if last is not None else None
    while trace is not None:
        frames, trace = frames + 1, trace.tb_next
    while last is not None and links < 1000:
        links, last = links + 1, last.__context__
    del trace, last
    gc.collect()
    grown = (tracemalloc.get_traced_memory()[0] - before) / 1e6
    tracemalloc.stop()
    return judged(
        grown <= 1 and frames <= 50 and links <= 20,
        f"after 20,000 refusals {grown:.2f} MB more, a traceback of {frames:,} frames",
    )


@trial("F43", "threads", "breaker")
def no_failure_is_lost(library: Library) -> Verdict:
    rounds, threads, failures = 3, 4, 500
    interval = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    try:
        for each in range(rounds):
            reached: list[int] = []

            def model() -> None:
                reached.append(1)  # noqa: B023 - of this round
                raise ConnectionError("down")

            guarded = library.breaker(model, threads * failures, 600.0)
            barrier = threading.Barrier(threads)

            def caller() -> None:
                barrier.wait()  # noqa: B023 - of this round
                for _ in range(failures):
                    attempt(guarded)  # noqa: B023 - of this round

            running = [threading.Thread(target=caller, daemon=True) for _ in range(threads)]
            for thread in running:
                thread.start()
            for thread in running:
                thread.join(60)
            counted = len(reached)
            attempt(guarded)
            if counted < threads * failures:
                return failed(f"opened after {counted} of {threads * failures} failures")
            if len(reached) > counted:
                return failed(f"{counted:,} failures of {threads} threads did not open it (round {each + 1})")
    finally:
        sys.setswitchinterval(interval)
    return judged(True, f"opened after exactly {threads * failures:,} failures, {rounds} times")
