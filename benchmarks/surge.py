"""What a surge costs while capacity for it is on its way, and whom.

Run it with ``python benchmarks/surge.py``.

A model serves 100 calls a second, and is asked for 70: a fifth by people who wait, the rest in batches. At
60 s the batches become ten times as many. At 120 s the autoscaler has brought four times the capacity. Each
call has a deadline of its caller, 1 s. The goals, in the minute of the surge: 99 % of what is urgent is
answered, and goodput is above 90 % of the capacity there is; and before it nothing is refused.

Simulated time, so the figures do not depend on the machine; the median of the seeds.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from statistics import median

from measuring import Options, options
from tables import machine, table

from resilient_ml import AdaptiveLimiter, Bulkhead, Pipeline, Queue, SurgeGuard, Timeout
from resilient_ml.testing.simulate import (
    Clients,
    Exponential,
    ModelServer,
    Poisson,
    Slowdown,
    Steps,
    simulate,
)

SERVED, MORE, DEADLINE, WORKERS = 100.0, 4.0, 1.0, 8
SURGE, SCALED, LAST = 60.0, 120.0, 180.0
URGENT, BATCH, SURGING = 14.0, 56.0, 560.0
SERVER = ModelServer(
    workers=WORKERS,
    service=Exponential(WORKERS / SERVED / MORE),
    queue=10_000,
    incidents=[Slowdown(at=0, lasting=SCALED, factor=MORE)],
)


def named(name: str) -> str:
    """A call says which band it is of."""
    return name


BANDS = ("urgent", "batch")
RULES = Queue(size=1000, band=named, bands=BANDS)


class Told(SurgeGuard):
    """Knows when the autoscaler has brought more."""

    def __init__(self) -> None:
        super().__init__(self.ready, patience=0.5, band=named, bands=BANDS)
        self._first: float | None = None

    def ready(self) -> float:
        """What can be served a second."""
        if self._first is None:
            self._first = self.clock()
        return SERVED if self.clock() - self._first < SCALED else SERVED * MORE


GUARDS: dict[str, Callable[[], Pipeline]] = {
    "nothing, a time limit": lambda: Pipeline(Timeout(DEADLINE)),
    "Bulkhead(8, queue=1000)": lambda: Pipeline(Bulkhead(WORKERS, queue=1000)),
    "Bulkhead with bands in its Queue": lambda: Pipeline(Bulkhead(WORKERS, queue=RULES)),
    "AdaptiveLimiter()": lambda: Pipeline(AdaptiveLimiter(), Timeout(DEADLINE)),
    "SurgeGuard": lambda: Pipeline(Told(), Timeout(DEADLINE)),
    "SurgeGuard, and that Bulkhead": lambda: Pipeline(Told(), Bulkhead(WORKERS, queue=RULES)),
}


def minute(make: Callable[[], Pipeline], seed: int) -> list[float]:
    """Shares: refused before, urgent answered in the surge, goodput in it and in the minute after."""
    guard = make()
    loads = {"urgent": Poisson(URGENT), "batch": Poisson(Steps((0, BATCH), (SURGE, SURGING)))}
    clients = [
        Clients(load, SERVER, guard, args=(name,), deadline=DEADLINE, name=name)
        for name, load in loads.items()
    ]
    seen = simulate(*clients, seconds=LAST, seed=seed).requests
    before = seen.between(5.0, SURGE)
    urgent = seen.of("urgent").between(SURGE, SCALED)
    during, after = seen.between(SURGE, SCALED), seen.between(SCALED, LAST)
    return [
        1 - before.ok.mean(),
        urgent.ok.mean(),
        during.ok.sum() / ((SCALED - SURGE) * SERVED),
        after.ok.sum() / ((LAST - SCALED) * SERVED * MORE),
        float(urgent.latency(0.99)) if urgent.ok.any() else float("nan"),
    ]


def rows_of(seeds: Sequence[int]) -> list[list[str]]:
    """One row a guard."""
    rows = []
    for name, make in GUARDS.items():
        runs = [minute(make, seed) for seed in seeds]
        lost, urgent, during, after, late = (median(column) for column in zip(*runs, strict=True))
        met = "yes" if lost < 0.001 and urgent >= 0.99 and during >= 0.9 else "no"
        shares = [f"{lost:.2%}", f"{urgent:.1%}", f"{1000 * late:.0f} ms", f"{during:.1%}", f"{after:.1%}"]
        rows.append([name, *shares, met])
    return rows


def main(how: Options) -> None:
    """Simulate and print."""
    heads = [
        "guarded with",
        "lost before",
        "urgent answered",
        "its p99",
        "goodput",
        "once scaled",
        "goals met",
    ]
    seeds = range(how.seed, how.seed + how.rounds)
    table("A minute of six times the capacity", heads, rows_of(seeds))
    print(machine())


if __name__ == "__main__":
    main(options(__doc__ or "", rounds=3, calls=1))
