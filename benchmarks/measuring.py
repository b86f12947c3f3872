"""How a cost is measured on a machine that others load too: many short rounds, and ratios taken side by side.

Each round runs every case once, in shuffled order, and the baseline right before each case. What is reported:

* **x baseline**: the median, over the rounds, of the case's time to that of the baseline just before it. Load
  that lasts longer than a round slows both alike, and drops out.
* **min ns**: the fastest round's time per call, which other processes disturbed least.

A case that stays on its thread is timed by the CPU time of that thread, one that crosses threads by the wall.
Every case has a copy of the timing loop's code to itself, so that the interpreter specialises each call site
for one callee. The loop's own 15 ns or so are in all figures, the baseline's included.
"""

from __future__ import annotations

import argparse
import asyncio
import gc
import itertools
import random
import statistics
import time
import types
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Any, Literal

Clock = Callable[[], int]
Batch = Callable[[int], int]
"""Runs so many calls; returns the nanoseconds they took."""
Role = Literal["reference", "fused", "ours", "peer"]

CPU: Clock = time.thread_time_ns
WALL: Clock = time.perf_counter_ns


@dataclass(frozen=True, slots=True)
class Case:
    """One thing to time.

    Attributes:
        name: What the table calls it.
        batch: Runs it; None where its library is not installed.
        role: ``ours`` and ``fused`` are compared with each other, a ``peer`` is another library.
        same: Whether a peer does all that ours does, so that its figure may be held against ours.
        note: What else a reader should know, most of all what a peer leaves out.
    """

    name: str
    batch: Batch | None
    role: Role = "reference"
    same: bool = False
    note: str = ""


@dataclass(frozen=True, slots=True)
class Result:
    """What one case took.

    Attributes:
        case: The case.
        ratio: Median ratio to the baseline; None where the case is absent.
        least: Nanoseconds per call in the fastest round.
    """

    case: Case
    ratio: float | None
    least: float


@dataclass(frozen=True, slots=True)
class Options:
    """How long to measure.

    Attributes:
        rounds: How many rounds; the medians are over these.
        calls: How many calls of the baseline in a round; costly cases get fewer.
        seed: Of the order in each round.
    """

    rounds: int = 61
    calls: int = 2000
    seed: int = 1


def options(description: str, *, rounds: int = 61, calls: int = 2000) -> Options:
    """The command line's ``--rounds``, ``--calls`` and ``--seed``."""
    parser = argparse.ArgumentParser(description=description)
    parser.add_argument("--rounds", type=int, default=rounds, help=f"rounds to take the median of ({rounds})")
    parser.add_argument(
        "--calls", type=int, default=calls, help=f"calls of the baseline in a round ({calls})"
    )
    parser.add_argument("--seed", type=int, default=1, help="seed of the order in each round (1)")
    given = parser.parse_args()
    return Options(max(1, given.rounds), max(1, given.calls), given.seed)


def calls_of(fn: Callable[[Any], Any], clock: Clock = CPU) -> Batch:
    """A batch of plain calls ``fn(1)``."""
    loop = own_copy(_loop)
    return lambda calls: int(loop(fn, calls, clock))


def awaits_of(runner: asyncio.Runner, fn: Callable[[Any], Awaitable[Any]], clock: Clock = CPU) -> Batch:
    """A batch of ``await fn(1)`` in one task on the runner's loop."""
    loop = own_copy(_aloop)
    return lambda calls: int(runner.run(loop(fn, calls, clock)))


def own_copy(fn: Callable[..., Any]) -> Callable[..., Any]:
    """The function *fn* with a code object of its own, which the interpreter specialises on its own."""
    assert isinstance(fn, types.FunctionType)
    return types.FunctionType(
        fn.__code__.replace(), fn.__globals__, fn.__name__, fn.__defaults__, fn.__closure__
    )


def _loop(fn: Callable[[Any], Any], calls: int, clock: Clock) -> int:
    began = clock()
    for _ in itertools.repeat(None, calls):
        fn(1)
    return clock() - began


async def _aloop(fn: Callable[[Any], Awaitable[Any]], calls: int, clock: Clock) -> int:
    began = clock()
    for _ in itertools.repeat(None, calls):
        await fn(1)
    return clock() - began


def measure(baseline: Case, cases: Sequence[Case], how: Options) -> list[Result]:
    """Time *cases* against *baseline*; the baseline's own result comes first."""
    assert baseline.batch is not None
    present = [(case, case.batch) for case in cases if case.batch is not None]
    baseline.batch(how.calls)  # warm up
    typical = max(1, baseline.batch(how.calls))
    counts = {case.name: _share(batch, typical, how.calls) for case, batch in present}
    ratios: dict[str, list[float]] = {case.name: [] for case, _ in present}
    times: dict[str, list[float]] = {case.name: [] for case, _ in present}
    own: list[float] = []
    shuffle = random.Random(how.seed).shuffle
    gc.collect()
    gc.freeze()  # what was imported is not scanned again in the middle of a batch
    for _ in range(how.rounds):
        shuffle(present)
        for case, batch in present:
            base = max(1, baseline.batch(how.calls)) / how.calls
            taken = batch(counts[case.name]) / counts[case.name]
            own.append(base)
            ratios[case.name].append(taken / base)
            times[case.name].append(taken)
    gc.unfreeze()
    return [Result(baseline, 1.0, min(own, default=typical / how.calls))] + [
        Result(case, None, 0.0)
        if case.batch is None
        else Result(case, statistics.median(ratios[case.name]), min(times[case.name]))
        for case in cases
    ]


def _share(batch: Batch, typical: int, calls: int) -> int:
    """How many calls of a case make a round of it no longer than 20 of the baseline."""
    few = max(1, calls // 50)
    batch(few)  # warm up
    each = max(1, batch(few)) / few
    return max(few, min(calls, int(20 * typical / each)))
