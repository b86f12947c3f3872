"""What a plain call costs: each policy, and three stacked, against a closure, the same fused by hand, and the peers.

    python benchmarks/overhead_sync.py
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from typing import Any

import fused
from measuring import Case, Options, calls_of, measure, options
from peers import BULKHEAD, COUNT_BREAKER, FALLBACK, RETRY, THREE, TIME_BREAKER, Fn, Peer, semaphore
from tables import Figure, report

from resilient_ml import Bulkhead, CircuitBreaker, Fallback, Pipeline, Retry, Timeout

Guard = Callable[[Fn], Fn]


def identity(x: Any) -> Any:
    """What is guarded."""
    return x


def closure(fn: Fn) -> Fn:
    """The least that any decorator costs."""

    def wrapper(*args: Any, **kwargs: Any) -> Any:
        return fn(*args, **kwargs)

    return wrapper


def two_locks(fn: Fn) -> Fn:
    """A closure that takes two uncontended locks in turn: what a policy that locks on the happy path begins with."""
    lock = threading.Lock()

    def wrapper(*args: Any, **kwargs: Any) -> Any:
        with lock:
            pass
        result = fn(*args, **kwargs)
        with lock:
            pass
        return result

    return wrapper


def cases(ours: dict[str, Guard], by_hand: dict[str, Guard], peers: Sequence[Peer], *others: Case) -> list[Case]:
    """All that guard the same way."""
    found = [Case(name, calls_of(guard(identity)), "ours") for name, guard in ours.items()]
    found += [Case(name, calls_of(guard(identity)), "fused") for name, guard in by_hand.items()]
    for peer in peers:
        if peer.sync:
            made = peer.make(identity)
            batch = None if made is None else calls_of(made)
            found.append(Case(peer.name, batch, "peer", peer.same, peer.note))
    return [*found, *others]


def claims() -> dict[str, tuple[float | None, list[Case]]]:
    """Each figure: its goal and its cases."""
    hand = "fused by hand"
    budgetless = Case("ours, budget=None", calls_of(Retry(3, budget=None)(identity)))
    locks = Case("closure + two locks", calls_of(two_locks(identity)))
    seats = Case("threading.Semaphore", calls_of(semaphore()(identity)), note="waits without bound")
    return {
        "retry": (3, cases({"ours": Retry(3)}, {hand: fused.retry}, RETRY, budgetless)),
        "breaker, time window": (
            5,
            cases({"ours": CircuitBreaker()}, {hand: fused.breaker}, TIME_BREAKER, locks),
        ),
        "breaker, count window": (
            5,
            cases(
                {"ours": CircuitBreaker(window_calls=100)},
                {hand: lambda fn: fused.breaker(fn, window_calls=100)},
                COUNT_BREAKER,
            ),
        ),
        "bulkhead": (6, cases({"ours": Bulkhead(10)}, {hand: fused.bulkhead}, BULKHEAD, seats)),
        "fallback": (None, cases({"ours": Fallback(0)}, {hand: fused.fallback}, FALLBACK)),
        "timeout, late_only": (None, cases({"ours": Timeout(1.0, late_only=True)}, {hand: fused.late_only}, ())),
        "retry + breaker (time) + bulkhead": (
            12,
            cases({"ours": Pipeline(Retry(3), CircuitBreaker(), Bulkhead(10))}, {hand: fused.three}, THREE),
        ),
        "retry + breaker (count) + bulkhead": (
            12,
            cases(
                {"ours": Pipeline(Retry(3), CircuitBreaker(window_calls=100), Bulkhead(10))},
                {hand: lambda fn: fused.three(fn, window_calls=100)},
                (),
            ),
        ),
    }


def main(how: Options) -> None:
    """Measure and print."""
    base = Case("closure", calls_of(closure(identity)))
    figures = [Figure(name, measure(base, them, how), goal) for name, (goal, them) in claims().items()]
    report("A plain call", figures)


if __name__ == "__main__":
    main(options(__doc__ or ""))
