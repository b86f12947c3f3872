"""How many calls a second the simulator simulates, and the collapse that it is to show.

Run it with ``python benchmarks/simulation.py``.

**Speed.** A call is one request of a client, from its arrival through the policies to the server and back,
with everything that is written down about it, its events too; a retry is no further call. It is timed by the
CPU time of the thread, from the call of ``simulate`` to the finished result, and the median of the rounds is
shown. The goal of 50,000 is for the guarded stack on CPython 3.11.

**The collapse.** A server with a quarter of its capacity to spare meets a trigger of ten seconds: it is
slow, it hangs, or three times as many requests come. What is answered before, during and after it depends on
the guard. ``well after`` is how long after the trigger's end at least 95 % of each second's requests are
answered again, and stay so; ``never`` is not within the simulated time.
"""

from __future__ import annotations

import gc
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from statistics import median

from measuring import CPU, Options, options
from tables import machine, table

from resilient_ml import Bulkhead, CircuitBreaker, ConstantBackoff, Pipeline, Retry, Timeout
from resilient_ml.testing.simulate import (
    Clients,
    Exponential,
    ModelServer,
    Outage,
    Poisson,
    Result,
    Slowdown,
    Steps,
    Users,
    simulate,
)

GOAL = 50_000
"""Simulated calls per second of CPU time, through the guarded stack."""

Guard = Callable[[], Pipeline]

# ---- speed

RATE = 2500.0
SERVER = ModelServer(workers=40, service=Exponential(0.010))
DOWN = replace(SERVER, incidents=[Outage(at=0.0, lasting=1e9)])
SLOW = replace(SERVER, incidents=[Slowdown(at=0.0, lasting=1e9, factor=4.0)])


def stack() -> Pipeline:
    """Four policies, as one would guard a model."""
    return Pipeline(Retry(3), CircuitBreaker(), Bulkhead(100), Timeout(1.0))


def tight() -> Pipeline:
    """The same with too few seats: most requests are refused."""
    return Pipeline(Retry(3), CircuitBreaker(), Bulkhead(10), Timeout(1.0))


def naive() -> Pipeline:
    """Four attempts at any price."""
    return Pipeline(Retry(4, budget=None, backoff=ConstantBackoff(0.1)), Timeout(1.0))


@dataclass(frozen=True, slots=True)
class Scene:
    """Something to simulate so many calls of."""

    name: str
    clients: Clients
    goal: int | None = None


SCENES = [
    Scene("no policies", Clients(Poisson(RATE), SERVER)),
    Scene("retry", Clients(Poisson(RATE), SERVER, lambda: Pipeline(Retry(3)))),
    Scene("retry + breaker + bulkhead + timeout", Clients(Poisson(RATE), SERVER, stack), GOAL),
    Scene("the same, closed loop of 2,500 users", Clients(Users(2500, think=1.0), SERVER, stack), GOAL),
    Scene("the same in 1,000 processes", Clients(Poisson(RATE), SERVER, stack, processes=1000), GOAL),
    Scene("the same on blocking threads", Clients(Poisson(RATE), SERVER, stack, threads=True), GOAL),
    Scene("the same, most refused by the bulkhead", Clients(Poisson(RATE), SERVER, tight), GOAL),
    Scene("the same, server down", Clients(Poisson(RATE), DOWN, stack), GOAL),
    Scene("naive retries in a collapse", Clients(Poisson(RATE), SLOW, naive)),
]


def speed(how: Options) -> list[list[str]]:
    """Rows of the first table."""
    seconds = how.calls / RATE
    rows = []
    for scene in SCENES:
        rates = []
        for round_ in range(how.rounds):
            gc.collect()
            began = CPU()
            result = simulate(scene.clients, seconds=seconds, seed=how.seed + round_)
            taken = max(1, CPU() - began) / 1e9
            rates.append(len(result.requests) / taken)
        rate = median(rates)
        met = "-" if scene.goal is None else "yes" if rate >= scene.goal else "no"
        rows.append(
            [
                scene.name,
                f"{len(result.requests):,}",
                f"{rate:,.0f}",
                f"{max(rates):,.0f}",
                f"{rate * result.amplification:,.0f}",
                "-" if scene.goal is None else f"{scene.goal:,}",
                met,
            ]
        )
    return rows


# ---- the collapse

LOAD = 150.0
BEGINS, ENDS, LAST = 20.0, 30.0, 90.0
CALM = ModelServer(workers=4, service=Exponential(0.020))
TRIGGERS: dict[str, tuple[float | Steps, Sequence[Slowdown | Outage]]] = {
    "none": (LOAD, []),
    "slow, factor 4": (LOAD, [Slowdown(BEGINS, ENDS - BEGINS, factor=4.0)]),
    "hangs": (LOAD, [Outage(BEGINS, ENDS - BEGINS, how="hangs")]),
    "3 x the requests": (Steps((0, LOAD), (BEGINS, 3 * LOAD), (ENDS, LOAD)), []),
}


def guarded() -> Pipeline:
    """A stack of defaults, but for the size of the bulkhead."""
    return Pipeline(Retry(4), CircuitBreaker(), Bulkhead(40), Timeout(1.0))


def probing() -> Pipeline:
    """The same, with a breaker that looks at the server every second or two."""
    return Pipeline(
        Retry(4), CircuitBreaker(open_seconds=1.0, open_seconds_max=2.0), Bulkhead(40), Timeout(1.0)
    )


def budgeted() -> Pipeline:
    """Naive, but for the budget."""
    return Pipeline(Retry(4, backoff=ConstantBackoff(0.1)), Timeout(1.0))


GUARDS: dict[str, Guard] = {
    "naive retries": naive,
    "retries on a budget": budgeted,
    "guarded, by default": guarded,
    "guarded, probing often": probing,
}


def collapse(seed: int) -> list[list[str]]:
    """Rows of the second table."""
    rows = []
    for trigger, (load, incidents) in TRIGGERS.items():
        server = replace(CALM, incidents=incidents)
        for name, guard in GUARDS.items():
            result = simulate(Clients(Poisson(load), server, guard), seconds=LAST, seed=seed)
            rows.append([trigger, name, *figures(result)])
    return rows


def figures(result: Result) -> list[str]:
    """Availability before, during and after the trigger, recovery, amplification, waste."""
    spans = [(0.0, BEGINS), (BEGINS, ENDS), (ENDS, ENDS + 10), (LAST - 30, LAST)]
    after = result.recovered_after(ENDS)
    log = result.servers["model"]
    return [
        *(f"{result.requests.between(*span).availability:.1%}" for span in spans),
        "never" if math.isinf(after) else f"{after:g} s",
        f"{result.requests.between(LAST - 30, LAST).amplification:.2f}",
        f"{log.wasted_seconds[-1] / log.busy_seconds[-1]:.1%}",
    ]


def main(how: Options) -> None:
    """Measure and print."""
    heads = ["clients behind", "calls", "calls a second", "best", "server calls a second", "goal", "met"]
    table("Simulated calls per second of CPU time, median of the rounds", heads, speed(how))
    heads = ["trigger", "guard", "before", "during", "10 s after", "last 30 s", "well after"]
    heads += ["calls a request, last 30 s", "work for nobody"]
    table(f"Answered of {LOAD:g} requests a second, capacity 200", heads, collapse(how.seed))
    print(machine())


if __name__ == "__main__":
    main(options(__doc__ or "", rounds=3, calls=100_000))
