"""What admission costs a plain call: the policies that decide who may pass, against a closure and the peers.

Run it with ``python benchmarks/overhead_flow.py``. The goals: at most 6 times a closure for a bulkhead, and
2.5 us for an adaptive limiter, which measures each call that it lets through. Nobody waits here: what is
timed is the price of passing.
"""

from __future__ import annotations

from comparison import closure, compare, identity
from measuring import Case, Options, calls_of, measure, options
from peers import BULKHEAD
from tables import Figure, report, table

from resilient_ml import AdaptiveLimiter, Budget, Bulkhead, HotKeyLimiter, Queue, Throttle
from resilient_ml.machines.limits import (
    AIMDLimit,
    EnvoyLimit,
    FailsafeLimit,
    Gradient2Limit,
    LimitAlgorithm,
    VegasLimit,
)

LIMIT = 10
LONGEST_US = 2.5
CLASSICS: tuple[type[LimitAlgorithm], ...] = (
    AIMDLimit,
    VegasLimit,
    Gradient2Limit,
    EnvoyLimit,
    FailsafeLimit,
)


def main(how: Options) -> None:
    """Measure and print."""
    base = Case("closure", calls_of(closure(identity)))
    queued = {"ours, with a Queue": Bulkhead(LIMIT, queue=Queue(size=10))}
    figures = [
        Figure(
            "bulkhead",
            measure(
                base,
                compare(
                    identity,
                    calls_of,
                    Bulkhead(LIMIT),
                    None,
                    [peer for peer in BULKHEAD if peer.sync],
                    queued,
                ),
                how,
            ),
            6,
        )
    ]
    others = {
        "throttle": Throttle(),
        "hot keys": HotKeyLimiter(key=str),
        "budget": Budget(1e15, per=60.0, unit="calls", cost=1.0),
        **{f"adaptive limiter, {one.__name__}": AdaptiveLimiter(algorithm=one) for one in CLASSICS},
    }
    figures.append(
        Figure(
            "adaptive limiter",
            measure(base, compare(identity, calls_of, AdaptiveLimiter(), others=others), how),
            None,
        )
    )
    report("A plain call", figures)
    ours = next(one for one in figures[1].results if one.case.role == "ours")
    micros = ours.least / 1000
    met = "yes" if micros <= LONGEST_US else "no"
    table("An adaptive limiter", ["us a call", "goal", "met"], [[f"{micros:.2f}", f"{LONGEST_US}", met]])


if __name__ == "__main__":
    main(options(__doc__ or ""))
