"""A collapse that outlives its cause, and the stack that does not let it happen: in simulated time.

Run it with ``python examples/metastable.py``; it takes a few seconds and needs nothing but this library.

A model server can answer 200 requests a second and gets 150. For ten seconds it is four times as slow, as
by a noisy neighbour; then it is as fast as before. What happens afterwards depends on its clients alone:

* **naive** clients time out after a second and try four times. While the server is slow its queue grows
  beyond a second; from then on every request has been given up when its turn comes. The work is done for
  nobody, each client asks four times, and the queue grows on. The server is well; the service stays down.
* **guarded** clients earn their retries, stop asking when most calls fail, and never have more at the server
  than it answers in time. They lose what it cannot do in those ten seconds, and little more.

Nothing here is a model of the policies: these are the objects that guard real calls.

Source: N. Bronson et al., "Metastable Failures in Distributed Systems", HotOS 2021; L. Huang et al.,
"Metastable Failures in the Wild", OSDI 2022.
"""

from __future__ import annotations

import argparse
import math
from collections.abc import Callable
from dataclasses import dataclass

from resilient_ml import Bulkhead, CircuitBreaker, ConstantBackoff, Pipeline, Retry, Timeout
from resilient_ml.testing.simulate import (
    Clients,
    Exponential,
    ModelServer,
    Poisson,
    Result,
    Slowdown,
    simulate,
)

PER_SECOND = 150.0
SLOW = Slowdown(at=20.0, lasting=10.0, factor=4.0)
OVER = SLOW.at + SLOW.lasting
SECONDS = 90.0
STEP = 5.0

CALM = ModelServer(workers=4, service=Exponential(0.020))
TROUBLED = ModelServer(workers=4, service=Exponential(0.020), incidents=[SLOW])


def naive() -> Pipeline:
    """What is often written first."""
    return Pipeline(Retry(4, budget=None, backoff=ConstantBackoff(0.1)), Timeout(1.0))


def guarded() -> Pipeline:
    """The same retries on a budget, a breaker, and no more calls at once than are answered in time."""
    return Pipeline(
        Retry(4), CircuitBreaker(open_seconds=1.0, open_seconds_max=2.0), Bulkhead(40), Timeout(1.0)
    )


@dataclass(frozen=True)
class Arm:
    """One way of calling the server."""

    name: str
    result: Result

    @classmethod
    def run(cls, name: str, guard: Callable[[], Pipeline], server: ModelServer, seed: int) -> Arm:
        """The same seed means the same arrivals, whatever the guard."""
        return cls(name, simulate(Clients(Poisson(PER_SECOND), server, guard), seconds=SECONDS, seed=seed))

    def answered(self, start: float) -> float:
        """The share of the requests of one step that was answered."""
        return self.result.requests.between(start, start + STEP).availability

    def waiting(self, at: float) -> float:
        """How many requests wait at the server."""
        log = self.result.servers["model"]
        return float(log.waiting[log.at.searchsorted(at)])

    def recovery(self) -> str:
        """How long after the second at which the trouble is over all was well again."""
        seconds = self.result.recovered_after(OVER)
        return "never" if math.isinf(seconds) else f"after {seconds:g} s"

    def wasted(self) -> float:
        """The share of the server's work that was for clients that had given up."""
        log = self.result.servers["model"]
        return float(log.wasted_seconds[-1] / log.busy_seconds[-1])


def bar(share: float, width: int = 20) -> str:
    """A share as a bar."""
    return "█" * round(share * width) + "·" * (width - round(share * width))


def story(arms: list[Arm]) -> None:
    """Step by step, side by side."""
    print("answered requests, and how many wait at the server")
    print(f"{'second':>8}  " + "  ".join(f"{arm.name:<33}" for arm in arms))
    for step in range(round(SECONDS / STEP)):
        start = step * STEP
        cells = [
            f"{bar(arm.answered(start))} {arm.answered(start):4.0%} {arm.waiting(start + STEP / 2):6,.0f}"
            for arm in arms
        ]
        note = "<- slow" if SLOW.at <= start < OVER else ""
        print(f"{start:8.0f}  {'  '.join(f'{cell:<33}' for cell in cells)}{note}".rstrip())
    print()


def summary(title: str, arms: list[Arm]) -> None:
    """The figures of a run."""
    print(title)
    print(f"{'':10}{'answered':>10}{'calls a request':>17}{'work for nobody':>17}{'  well again'}")
    for arm in arms:
        result = arm.result
        print(
            f"{arm.name:10}{result.availability:>10.1%}{result.amplification:>17.2f}{arm.wasted():>17.1%}"
            f"  {arm.recovery()}"
        )
    print()


def main(seed: int = 1) -> dict[str, list[Arm]]:
    """Run both, with the trouble and without."""
    guards = {"naive": naive, "guarded": guarded}
    troubled = [Arm.run(name, guard, TROUBLED, seed) for name, guard in guards.items()]
    calm = [Arm.run(name, guard, CALM, seed) for name, guard in guards.items()]
    story(troubled)
    summary(f"with ten slow seconds, of {SECONDS:g}", troubled)
    summary("without them", calm)
    return {"troubled": troubled, "calm": calm}


if __name__ == "__main__":
    parser = argparse.ArgumentParser(
        description="Naive retries collapse and stay down; guarded ones recover."
    )
    parser.add_argument("--seed", type=int, default=1, help="of the arrivals and the lengths of work (1)")
    main(parser.parse_args().seed)
