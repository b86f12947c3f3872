"""What a hedge buys where a few calls straggle, and that it stays out of the way when all are slow.

Run it with ``python benchmarks/hedging.py``.

**Stragglers.** Of the attempts at a model that answers in 20 ms, 2 % take half a second, whichever request
they are for. The goals: the 99th percentile falls by 60 %, for at most 5 % more calls.

**Everything is slow.** In the middle of the run all attempts take three times as long, or more requests come
than the model can serve. The goal: hedges go to zero.

**Streams.** The same of the first content of a stream: 200 ms, and 2 % take three seconds; nine more chunks
follow, 50 ms apart. A stream that is long is not late: nothing but the first content is raced for.

Simulated time, so the figures do not depend on the machine: two minutes of 200 requests or 40 streams a
second, the first twenty seconds left out, the median of the seeds.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from statistics import median

import numpy as np
from measuring import Options, options
from tables import machine, table

from resilient_ml import Hedge
from resilient_ml.events import HedgeStarted, subscribe
from resilient_ml.testing import virtual_time
from resilient_ml.testing.simulate import Clients, ModelServer, Poisson, Result, Slowdown, Steps, simulate

RATE, LAST, WARM = 200.0, 120.0, 20.0
STRAGGLERS, QUICK, LONG = 0.02, 0.020, 0.500
TROUBLE = 60.0
WORKERS = 32
STREAM_RATE, FIRST, LATE, CHUNKS, GAP = 40.0, 0.200, 3.0, 10, 0.050

GUARDS: dict[str, Callable[[], Hedge] | None] = {
    "nothing": None,
    "Hedge()": Hedge,
    "Hedge(ratio=1): no budget": lambda: Hedge(ratio=1.0),
    "Hedge(delay=0.022, ratio=1)": lambda: Hedge(delay=0.022, ratio=1.0),
}


def straggling(seed: int) -> Callable[..., float]:
    """The length of an attempt: 18 to 22 ms, but for one in fifty."""
    draws = random.Random(seed)

    def length(*args: object, **kwargs: object) -> float:
        return (LONG if draws.random() < STRAGGLERS else QUICK) * draws.uniform(0.9, 1.1)

    return length


def run(guard: Callable[[], Hedge] | None, seed: int, trouble: str = "none") -> Result:
    """Two minutes of traffic."""
    slow = [Slowdown(TROUBLE, LAST - TROUBLE, factor=3.0)] if trouble == "all attempts 3 x" else []
    load = (
        Poisson(Steps((0.0, RATE), (TROUBLE, 8 * RATE))) if trouble == "8 x the requests" else Poisson(RATE)
    )
    server = ModelServer(
        workers=WORKERS, service=straggling(seed), queue=200, stops_abandoned=True, incidents=slow
    )
    return simulate(Clients(load, server, guard), seconds=LAST, seed=seed)


def tail(result: Result) -> tuple[float, float, float]:
    """The 50th and 99th percentile of answers in seconds, and the calls per request."""
    seen = result.requests.between(WARM, LAST)
    lengths = seen.seconds[seen.ok]
    return float(np.percentile(lengths, 50)), float(np.percentile(lengths, 99)), float(seen.amplification)


def stragglers(seeds: Sequence[int]) -> list[list[str]]:
    """Rows of the first table."""
    return against_nothing(
        {name: [tail(run(guard, seed)) for seed in seeds] for name, guard in GUARDS.items()}
    )


def against_nothing(tails: Mapping[str, Sequence[tuple[float, float, float]]]) -> list[list[str]]:
    """A row for each guard: the 50th and 99th percentile, the latter against that of nothing, the calls."""
    rows = []
    naked = median(late for _, late, _ in tails["nothing"])
    for name, each in tails.items():
        middle, late, calls = (median(column) for column in zip(*each, strict=True))
        met = "-" if name != "Hedge()" else "yes" if late <= 0.4 * naked and calls <= 1.05 else "no"
        rows.append(
            [
                name,
                f"{1000 * middle:.0f} ms",
                f"{1000 * late:.0f} ms",
                f"{late / naked - 1:+.0%}",
                f"{calls - 1:.1%}",
                met,
            ]
        )
    return rows


def slowness(seeds: Sequence[int]) -> list[list[str]]:
    """Rows of the second table."""
    rows = []
    for trouble in ("none", "all attempts 3 x", "8 x the requests"):
        spans = [(WARM, TROUBLE), (TROUBLE, TROUBLE + 2), (TROUBLE + 2, LAST)]
        shares: list[list[float]] = [[], [], []]
        for seed in seeds:
            result = run(Hedge, seed, trouble)
            at = [event.at for event in result.events if isinstance(event, HedgeStarted)]
            for column, (begin, end) in zip(shares, spans, strict=True):
                requests = len(result.requests.between(begin, end).seconds)
                column.append(sum(begin <= when < end for when in at) / requests)
        rows.append([trouble, *(f"{median(column):.2%}" for column in shares)])
    return rows


@dataclass(slots=True)
class Readers:
    """Readers of a model's streams, who come at random.

    Attributes:
        seed: Of when they come, and how long the model takes.
        slow: Whether from the middle on all first contents take three times as long.
        began: When each reader came.
        waited: The seconds until it had its first content.
        attempts: When the model was asked.
        hedges: When it was asked for a reader who had asked already.
    """

    seed: int
    slow: bool = False
    began: list[float] = field(default_factory=list)
    waited: list[float] = field(default_factory=list)
    attempts: list[float] = field(default_factory=list)
    hedges: list[float] = field(default_factory=list)

    def read(self, guard: Callable[[], Hedge] | None) -> Readers:
        """Two minutes of them."""
        with virtual_time() as clock:
            start = clock.now()

            def listen(event: object) -> None:
                if isinstance(event, HedgeStarted):
                    self.hedges.append(event.at - start)

            with subscribe(listen):
                asyncio.run(self._come(guard, lambda: clock.now() - start))
        return self

    async def _come(self, guard: Callable[[], Hedge] | None, now: Callable[[], float]) -> None:
        draws, lengths = random.Random(self.seed), random.Random(self.seed + 1)

        async def tokens() -> AsyncIterator[str]:
            self.attempts.append(now())
            seconds = (LATE if lengths.random() < STRAGGLERS else FIRST) * lengths.uniform(0.9, 1.1)
            await asyncio.sleep(seconds * (3.0 if self.slow and now() >= TROUBLE else 1.0))
            for _ in range(CHUNKS):
                yield "token"
                await asyncio.sleep(GAP)

        safe = tokens if guard is None else guard()(tokens)

        async def one() -> None:
            came = now()
            first = True
            async for _ in safe():
                if first:
                    self.began.append(came)
                    self.waited.append(now() - came)
                    first = False

        async with asyncio.TaskGroup() as group:
            while now() < LAST:
                group.create_task(one())
                await asyncio.sleep(draws.expovariate(STREAM_RATE))

    def tail(self) -> tuple[float, float, float]:
        """The 50th and 99th percentile to the first content in seconds, and the attempts per reader."""
        warm = np.array(self.began) >= WARM
        seconds = np.array(self.waited)[warm]
        attempts = sum(at >= WARM for at in self.attempts)
        return (
            float(np.percentile(seconds, 50)),
            float(np.percentile(seconds, 99)),
            attempts / len(seconds),
        )

    def share(self, begin: float, end: float) -> float:
        """The hedges per reader between two instants."""
        readers = sum(begin <= came < end for came in self.began)
        return sum(begin <= at < end for at in self.hedges) / readers


def late_streams(seeds: Sequence[int]) -> list[list[str]]:
    """Rows of the third table."""
    return against_nothing(
        {name: [Readers(seed).read(GUARDS[name]).tail() for seed in seeds] for name in ("nothing", "Hedge()")}
    )


def slow_streams(seeds: Sequence[int]) -> list[list[str]]:
    """Rows of the fourth table."""
    rows = []
    for trouble in ("none", "all first contents 3 x"):
        runs = [Readers(seed, slow=trouble != "none").read(Hedge) for seed in seeds]
        spans = [(WARM, TROUBLE), (TROUBLE, TROUBLE + 10), (TROUBLE + 10, LAST)]
        rows.append([trouble, *(f"{median(run.share(*span) for run in runs):.2%}" for span in spans)])
    return rows


def main(how: Options) -> None:
    """Simulate and print."""
    seeds = range(how.seed, how.seed + how.rounds)
    heads = ["guarded with", "p50", "p99", "p99 against nothing", "more calls", "goals met"]
    table(f"{STRAGGLERS:.0%} of the attempts straggle", heads, stragglers(seeds))
    heads = ["trouble from 60 s on", "hedges per request before", "first 2 s", "from then on"]
    table("Hedge() while everything is slow", heads, slowness(seeds))
    heads = ["guarded with", "p50 first", "p99 first", "p99 against nothing", "more calls", "goals met"]
    table(f"{STRAGGLERS:.0%} of the streams begin late", heads, late_streams(seeds))
    heads = ["trouble from 60 s on", "hedges per stream before", "first 10 s", "from then on"]
    table("Hedge() while all streams begin late", heads, slow_streams(seeds))
    print(machine())


if __name__ == "__main__":
    main(options(__doc__ or "", rounds=5, calls=1))
