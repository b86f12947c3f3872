"""Time-outs of plain functions: calls that hang, races with the end; and coroutines that will not stop."""

from __future__ import annotations

import asyncio
import random
import threading
import time
from collections.abc import Callable
from contextlib import suppress

from survival.library import Library
from survival.trials import trial
from survival.verdicts import Verdict, flawless, judged


@trial("F11", "race", "timeout")
def a_limit_that_races_the_end_hits_nobody_else(library: Library) -> Verdict:
    limit, seconds = 0.005, 3.0
    flaws: list[str] = []
    calls = [0] * 13

    def model(x: object, wait: float) -> object:
        time.sleep(wait)
        return x

    guarded = library.timeout(model, limit)

    def caller(index: int) -> None:
        draw, until = random.Random(index), time.monotonic() + seconds
        try:
            while time.monotonic() < until:
                calls[index] += 1
                mine = object()
                try:
                    answer = guarded(mine, limit + draw.choice((-0.004, -0.0002, -0.0001, -0.0001, 0.0)))
                except (*library.timeouts, *library.rejections):
                    continue
                if answer is not mine:
                    flaws.append("another call's answer")
        except BaseException as error:  # noqa: BLE001 - what struck outside the call, or was not its own
            flaws.append(f"a stray {type(error).__name__}")

    threads = [threading.Thread(target=caller, args=(index,), daemon=True) for index in range(12)]
    for thread in threads:
        thread.start()
    caller(12)
    for thread in threads:
        thread.join(30)
    time.sleep(0.3)
    answered = answering(lambda: guarded(1, 0.0))
    if answered < 5:
        flaws.append(f"{answered} of 10 instant calls answered afterwards")
    return flawless(
        sorted(set(flaws)), f"{sum(calls)} calls, {answered} of 10 instant calls answered afterwards"
    )


def answering(call: Callable[[], object]) -> int:
    """How many of 10 instant calls answer; most must, on a busy machine too."""
    answered = 0
    for _ in range(10):
        try:
            answered += call() == 1
        except Exception:  # noqa: BLE001, S112 - counted as not answered
            continue
    return answered


@trial("F11", "own TimeoutError", "timeout")
def a_time_out_of_the_functions_own_does_no_harm(library: Library) -> Verdict:
    def model(sick: bool) -> int:
        if sick:
            raise TimeoutError("the socket's own")
        return 1

    guarded = library.timeout(model, 0.5)
    for _ in range(20):
        with suppress(Exception):
            guarded(True)
    answered = answering(lambda: guarded(False))
    return judged(answered >= 5, f"after 20 of them {answered} of 10 instant calls answered")


@trial("F12", "pool", "timeout")
def hung_calls_do_not_starve_others(library: Library) -> Verdict:
    over, started = threading.Event(), []

    def model(what: str) -> int:
        if what == "hang":
            over.wait(20)
        else:
            started.append(what)
        return 1

    guarded = library.timeout(model, 0.2)

    def caller() -> None:
        try:
            guarded("hang")
        except Exception:  # noqa: BLE001 - the time-out, or a refusal
            return

    threads = [threading.Thread(target=caller, daemon=True) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(10)
    never, answered, refused = 0, 0, 0
    for _ in range(5):
        before = len(started)
        try:
            guarded("healthy")
            answered += 1
        except library.timeouts:
            never += len(started) == before
        except Exception:  # noqa: BLE001 - refused at once is fine
            refused += 1
    over.set()
    return judged(
        never == 0, f"of 5 healthy calls {answered} answered, {refused} refused, {never} timed out unstarted"
    )


@trial("F46", "threads", "timeout")
def hung_calls_are_bounded(library: Library) -> Verdict:
    over, before = threading.Event(), threading.active_count()
    guarded = library.timeout(lambda: over.wait(60), 0.02)

    def caller() -> None:
        for _ in range(25):
            try:
                guarded()
            except Exception:  # noqa: BLE001, S112 - the time-out, or a refusal
                continue

    threads = [threading.Thread(target=caller, daemon=True) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    left = threading.active_count() - before
    over.set()
    return judged(left <= 100, f"200 hung calls leave {left} threads behind")


@trial("F41", "asyncio", "atimeout")
def a_callee_that_will_not_stop_is_left_behind(library: Library) -> Verdict:
    async def stubborn() -> None:
        until = time.monotonic() + 3
        while time.monotonic() < until:
            try:
                await asyncio.sleep(0.1)
            except asyncio.CancelledError:
                continue

    async def main() -> tuple[str, float]:
        guarded, began = library.atimeout(stubborn, 0.1), time.monotonic()
        try:
            await guarded()
        except BaseException as error:  # noqa: BLE001 - whatever the caller gets
            return type(error).__name__, time.monotonic() - began
        return "an answer", time.monotonic() - began

    what, took = asyncio.run(main())
    return judged(took < 1.5, f"a limit of 0.1 s, {what} after {took:.1f} s")
