"""What a plain call costs: each policy, and three stacked, against a closure, the same by hand, and peers.

Run it with ``python benchmarks/overhead_sync.py``.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator, Mapping
from functools import partial
from typing import Any

import fused
from comparison import closure, compare, identity
from measuring import Case, Options, calls_of, measure, options
from peers import BULKHEAD, COUNT_BREAKER, FALLBACK, RETRY, THREE, TIME_BREAKER, Fn, Guard, Peer, semaphore
from tables import Figure, report

from resilient_ml import Bulkhead, CircuitBreaker, Fallback, Pipeline, Retry, Timeout


def two_locks(fn: Fn) -> Fn:
    """A closure that takes an uncontended lock twice: where a breaker that locks on the happy path begins."""
    lock = threading.Lock()

    def wrapper(*args: Any, **kwargs: Any) -> Any:
        with lock:
            pass
        result = fn(*args, **kwargs)
        with lock:
            pass
        return result

    return wrapper


def claims() -> Iterator[tuple[str, float | None, list[Case]]]:
    """Each figure: its name, its goal and its cases."""
    yield "retry", 3, against(Retry(3), fused.retry, RETRY, {"ours, budget=None": Retry(3, budget=None)})
    yield (
        "breaker, time window",
        5,
        against(CircuitBreaker(), fused.breaker, TIME_BREAKER, {"two locks": two_locks}),
    )
    counting = partial(fused.breaker, window_calls=100)
    yield "breaker, count window", 5, against(CircuitBreaker(window_calls=100), counting, COUNT_BREAKER)
    yield "bulkhead", 6, against(Bulkhead(10), fused.bulkhead, BULKHEAD, {"threading.Semaphore": semaphore()})
    yield "fallback", None, against(Fallback(0), fused.fallback, FALLBACK)
    yield "timeout, late_only", None, against(Timeout(1.0, late_only=True), fused.late_only)
    by_time = Pipeline(Retry(3), CircuitBreaker(), Bulkhead(10))
    others = {"fused, through the machines' methods": fused.three_by_methods}
    yield "retry + breaker (time) + bulkhead", 12, against(by_time, fused.three, THREE, others)
    by_count = Pipeline(Retry(3), CircuitBreaker(window_calls=100), Bulkhead(10))
    yield "retry + breaker (count) + bulkhead", 12, against(by_count, partial(fused.three, window_calls=100))


def against(
    ours: Guard, by_hand: Guard, peers: tuple[Peer, ...] = (), others: Mapping[str, Guard] | None = None
) -> list[Case]:
    """The cases of one figure, around a plain function."""
    return compare(identity, calls_of, ours, by_hand, [peer for peer in peers if peer.sync], others)


def main(how: Options) -> None:
    """Measure and print."""
    base = Case("closure", calls_of(closure(identity)))
    report("A plain call", [Figure(name, measure(base, cases, how), goal) for name, goal, cases in claims()])


if __name__ == "__main__":
    main(options(__doc__ or ""))
