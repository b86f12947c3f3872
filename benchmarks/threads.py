"""Eight threads on one policy: what contention costs, and whether calls still run side by side.

Run it with ``python benchmarks/threads.py``.

**8 threads / 1**: CPU per call of eight threads at once to that of one: what waiting for others' locks costs.
Under the interpreter's lock there is little to see; well above 1 means that threads wake each other up.

**of 8 calls at once**: eight threads make three calls each of a function that sleeps 10 ms.
A policy that holds a lock while the function runs takes 240 ms for what should take 30.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from statistics import median
from typing import Any

from comparison import closure, identity
from measuring import CPU, WALL, Options, calls_of, options
from peers import BULKHEAD, RETRY, THREE, TIME_BREAKER, Fn
from tables import machine, table

from resilient_ml import Bulkhead, CircuitBreaker, Pipeline, Retry, Timeout

THREADS = 8
SLEEP_SECONDS = 0.010
SLEEPS = 3
WORKERS = "timeout"
"""Runs on threads of its own, so that the CPU of the calling ones says little."""


def guards() -> Iterator[tuple[str, str, Callable[[Fn], Fn | None]]]:
    """What is guarded with, by whom, and how."""
    seats = 2 * THREADS
    yield "nothing", "closure", closure
    yield "retry", "ours", Retry(3)
    yield from (("retry", peer.name, peer.make) for peer in RETRY if peer.sync)
    yield "breaker", "ours", CircuitBreaker()
    yield from (("breaker", peer.name, peer.make) for peer in TIME_BREAKER if peer.sync)
    yield "bulkhead", "ours", Bulkhead(seats)
    yield from (("bulkhead", peer.name, peer.make) for peer in BULKHEAD if peer.sync)
    yield "stack", "ours", Pipeline(Retry(3), CircuitBreaker(), Bulkhead(seats))
    yield from (("stack", peer.name, peer.make) for peer in THREE if peer.sync)
    yield WORKERS, "ours", Timeout(1.0)


def together(work: Callable[[], int]) -> list[int]:
    """What *work* returns on each of eight threads that start at once."""
    barrier = threading.Barrier(THREADS)
    taken: list[int] = []

    def run() -> None:
        barrier.wait()
        taken.append(work())

    threads = [threading.Thread(target=run) for _ in range(THREADS)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return taken


def contention(guarded: Fn, how: Options) -> tuple[float, float]:
    """Least ns of CPU per call on one thread, and the median ratio of eight threads to one."""
    batch = calls_of(guarded, CPU)
    batch(how.calls)
    alone, ratios = [], []
    for _ in range(how.rounds):
        one = max(1, batch(how.calls)) / how.calls
        all_of_them = sum(together(lambda: batch(how.calls))) / (THREADS * how.calls)
        alone.append(one)
        ratios.append(all_of_them / one)
    return min(alone), median(ratios)


def concurrency(guard: Callable[[Fn], Fn | None], rounds: int) -> float:
    """How many of eight threads' calls run side by side, the best of some rounds."""

    def slow(x: Any) -> Any:
        time.sleep(SLEEP_SECONDS)
        return x

    guarded = guard(slow)
    assert guarded is not None

    def calls() -> int:
        for _ in range(SLEEPS):
            guarded(1)
        return 0

    best = float("inf")
    for _ in range(rounds):
        began = WALL()
        together(calls)
        best = min(best, (WALL() - began) / 1e9)
    return THREADS * SLEEPS * SLEEP_SECONDS / best


def main(how: Options) -> None:
    """Measure and print."""
    rows = []
    for policy, name, guard in guards():
        guarded = guard(identity)
        if guarded is None:
            rows.append([policy, name, "absent", "-", "-"])
            continue
        costs = ["-", "-"]
        if policy != WORKERS:
            alone, ratio = contention(guarded, how)
            costs = [f"{alone:,.0f}", f"{ratio:.2f}"]
        rows.append([policy, name, *costs, f"{concurrency(guard, 5):.1f}"])
    heads = ["guarded with", "by", "min ns CPU a call, 1 thread", "8 threads / 1", "of 8 calls at once"]
    table("Eight threads on one policy", heads, rows)
    print(machine())


if __name__ == "__main__":
    main(options(__doc__ or "", rounds=15, calls=500))
