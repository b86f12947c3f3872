"""Threads: calls side by side, and internal errors when they interleave."""

from __future__ import annotations

import sys
import threading
import time

from survival.library import Library, Raised
from survival.trials import PLAIN, Guard, each, trial
from survival.verdicts import Verdict, flawless, judged


@each("F05", *PLAIN)
def calls_run_side_by_side(library: Library, guard: Guard) -> Verdict:
    guarded = guard(lambda x: time.sleep(0.2))
    threads = [threading.Thread(target=guarded, args=(x,), daemon=True) for x in range(8)]
    began = time.monotonic()
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(20)
    took = time.monotonic() - began
    return judged(took < 0.8, f"8 calls of 0.2 s took {took:.2f} s")


def hammered(library: Library, guard: Guard, seconds: float = 1.2) -> Verdict:
    """8 threads on one guarded function that fails now and then; only its own errors may come out."""
    flaws: list[str] = []
    counts = [0] * 8
    allowed: Raised = (ConnectionError, *library.rejections, *library.timeouts, *library.exhausted)

    def model(x: int) -> int:
        if x % 3 == 0:
            raise ConnectionError("down")
        return x

    guarded = guard(model)
    start = threading.Barrier(8)

    def caller(index: int) -> None:
        start.wait()
        until = time.monotonic() + seconds
        while time.monotonic() < until and not flaws:
            counts[index] += 1
            x = counts[index] * 8 + index
            try:
                answer = guarded(x)
            except allowed:
                continue
            except Exception as error:  # noqa: BLE001 - an internal error
                flaws.append(f"{type(error).__name__}: {str(error)[:60]}")
            else:
                if answer not in (x, "instead"):
                    flaws.append(f"another call's answer: {answer!r} for {x}")

    interval = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    try:
        threads = [threading.Thread(target=caller, args=(index,), daemon=True) for index in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(30)
    finally:
        sys.setswitchinterval(interval)
    if any(thread.is_alive() for thread in threads):
        flaws.append("threads never came back")
    return flawless(flaws[:1], f"{sum(counts):,} calls, no error of its own")


@each("F39", "retry", "bulkhead", "timeout", "fallback", "rate", "cache")
def threads_share_a_guard(library: Library, guard: Guard) -> Verdict:
    return hammered(library, guard)


@trial("F39", "breaker that stays closed", "breaker")
def threads_share_a_breaker(library: Library) -> Verdict:
    return hammered(library, lambda fn: library.breaker(fn, 1_000, 0.01))


@trial("F39", "breaker that opens and closes", "breaker")
def threads_trip_a_breaker(library: Library) -> Verdict:
    return hammered(library, lambda fn: library.breaker(fn, 2, 0.01))
