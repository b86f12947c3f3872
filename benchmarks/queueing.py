"""What a queue is good for under more load than the model can serve, and what it does for a small tenant.

Run it with ``python benchmarks/queueing.py``.

**Overload.** For ten minutes three times as many requests come as the model can serve, each with a deadline
of its caller. Goodput is the share of the model's capacity that answers in time. The goal is 90 %.

**Fairness.** Two tenants, one of which asks a hundred times as much as the other, which asks for half of what
the model can serve. The goal: at least 45 % of what is served is the small one's.

Simulated time, so the figures do not depend on the machine; the median of the seeds.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from math import isnan
from statistics import median

from measuring import Options, options
from tables import machine, table

from resilient_ml import Bulkhead, Pipeline, Queue, Timeout
from resilient_ml.testing.simulate import Clients, Exponential, ModelServer, Poisson, simulate

WORKERS, SERVICE, DEADLINE = 8, 0.040, 0.400
CAPACITY = WORKERS / SERVICE
LAST = 600.0
SERVER = ModelServer(workers=WORKERS, service=Exponential(SERVICE), queue=10_000)

GUARDS: dict[str, Callable[[], Pipeline]] = {
    "nothing, a time limit": lambda: Pipeline(Timeout(DEADLINE)),
    "Bulkhead(64)": lambda: Pipeline(Bulkhead(64), Timeout(DEADLINE)),
    "Bulkhead(8)": lambda: Pipeline(Bulkhead(8)),
    "Bulkhead(8, queue=1000)": lambda: Pipeline(Bulkhead(8, queue=1000)),
    "Queue(size=1000, predict=False)": lambda: Pipeline(Bulkhead(8, queue=Queue(size=1000, predict=False))),
    "Queue(size=1000)": lambda: Pipeline(Bulkhead(8, queue=Queue(size=1000))),
    "  order='lifo_under_load'": lambda: Pipeline(
        Bulkhead(8, queue=Queue(size=1000, order="lifo_under_load", predict=False))
    ),
    "  target_seconds=0.05": lambda: Pipeline(
        Bulkhead(8, queue=Queue(size=1000, target_seconds=0.05, predict=False))
    ),
}


def overload(seeds: Sequence[int]) -> list[list[str]]:
    """Rows of the first table."""
    rows = []
    for name, guard in GUARDS.items():
        shares, late = [], []
        for seed in seeds:
            clients = Clients(Poisson(3 * CAPACITY), SERVER, guard, deadline=DEADLINE, threads=False)
            seen = simulate(clients, seconds=LAST, seed=seed).requests.between(10.0, LAST)
            shares.append(seen.ok.sum() / ((LAST - 10.0) * CAPACITY))
            late.append(1000 * float(seen.latency(0.99)) if seen.ok.any() else float("nan"))
        goodput = median(shares)
        met = ("yes" if goodput >= 0.9 else "no") if name == "Queue(size=1000)" else "-"
        tail = "-" if isnan(median(late)) else f"{median(late):.0f} ms"
        rows.append([name, f"{goodput:.1%}", tail, met])
    return rows


def small_and_large(guard: Callable[[], Pipeline], seed: int) -> float:
    """The small tenant's share of what is answered."""
    small = Clients(
        Poisson(CAPACITY / 2), SERVER, guard=None, args=("small",), deadline=DEADLINE, name="small"
    )
    large = Clients(
        Poisson(50 * CAPACITY), SERVER, guard=None, args=("large",), deadline=DEADLINE, name="large"
    )
    shared = guard()
    both = [
        Clients(one.load, one.calls, shared, args=one.args, deadline=one.deadline, name=one.name)
        for one in (small, large)
    ]
    result = simulate(*both, seconds=20.0, seed=seed)
    answered = {name: int(result.requests.of(name).ok.sum()) for name in ("small", "large")}
    return answered["small"] / max(1, sum(answered.values()))


def tenant(name: str) -> str:
    """Whose call it is."""
    return name


FAIR: dict[str, Callable[[], Pipeline]] = {
    "Bulkhead(8)": lambda: Pipeline(Bulkhead(8)),
    "Bulkhead(8, queue=100)": lambda: Pipeline(Bulkhead(8, queue=100)),
    "Queue(size=100)": lambda: Pipeline(Bulkhead(8, queue=Queue(size=100))),
    "Queue(size=100, tenant=tenant)": lambda: Pipeline(Bulkhead(8, queue=Queue(size=100, tenant=tenant))),
}


def fairness(seeds: Sequence[int]) -> list[list[str]]:
    """Rows of the second table."""
    rows = []
    for name, guard in FAIR.items():
        share = median(small_and_large(guard, seed) for seed in seeds)
        met = ("yes" if share >= 0.45 else "no") if "tenant" in name else "-"
        rows.append([name, f"{share:.1%}", met])
    return rows


def main(how: Options) -> None:
    """Simulate and print."""
    seeds = range(how.seed, how.seed + how.rounds)
    heads = ["guarded with", "goodput, of capacity", "p99 of answers", "goal of 90 % met"]
    table("Three times the capacity for ten minutes", heads, overload(seeds))
    heads = ["guarded with", "the small tenant's share", "goal of 45 % met"]
    table("A tenant that asks a hundred times as much", heads, fairness(seeds))
    print(machine())


if __name__ == "__main__":
    main(options(__doc__ or "", rounds=1, calls=1))
