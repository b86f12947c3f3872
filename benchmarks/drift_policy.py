"""What a drift detector adds to a call: on the thread that makes it, and in all.

Run it with ``python benchmarks/drift_policy.py``. The goal: at most 5 us on the caller's thread more than a
closure around the same function, whatever is watched. What calls leave is taken up 64 at a time by another
thread: what that costs is the last column, processor time of the whole process less that of the closure.
"""

from __future__ import annotations

import asyncio
import itertools
import time
from collections.abc import Callable
from typing import Any

import numpy as np
from comparison import async_closure, closure
from measuring import CPU, Batch, Case, Clock, Options, Result, awaits_of, calls_of, measure, options
from tables import machine, table

from resilient_ml import DriftDetector
from resilient_ml.drift import Calibration, Classes, Losses, Numbers, Signal, Vectors

GOAL_US = 5.0
WIDTH = 384
LEARNT = 1200
PROCESS: Clock = time.process_time_ns

_draw = np.random.default_rng(1)
ANSWERS = [
    {
        "score": float(_draw.uniform(0.5, 1.0)),
        "label": str(_draw.choice(["a", "b", "c"])),
        "vector": _draw.normal(size=WIDTH).astype(np.float32),
    }
    for _ in range(997)
]
_turns = itertools.cycle(ANSWERS)
_numbers = itertools.count()


def model(x: Any) -> Any:
    """What is guarded: another answer each time."""
    return next(_turns)


async def async_model(x: Any) -> Any:
    """The same, awaited."""
    return next(_turns)


def _score() -> Signal:
    return Numbers("score", lambda answer: answer["score"])


def _three() -> list[Signal]:
    label = Classes("label", lambda answer: answer["label"])
    return [_score(), label, Vectors("vector", lambda answer: answer["vector"])]


def _labelled() -> DriftDetector:
    return DriftDetector(
        Losses(),
        Calibration(),
        key=lambda x: next(_numbers),
        prediction=lambda answer: answer["label"],
        confidence=lambda answer: answer["score"],
    )


def _estimating() -> DriftDetector:
    sure = _draw.uniform(0.5, 1.0, 1000)
    return DriftDetector(
        _score(),
        confidence=lambda answer: answer["score"],
        calibration=(sure, _draw.random(1000) < sure),
    )


WATCHED: dict[str, Callable[[], DriftDetector]] = {
    "a number": lambda: DriftDetector(_score(), queue=100_000),
    "a number, by segment": lambda: DriftDetector(_score(), segment=lambda x: x, queue=100_000),
    "a number, one call in ten": lambda: DriftDetector(_score(), sample=0.1, queue=100_000),
    "a number, by version": lambda: DriftDetector(_score(), version=lambda: "v1", queue=100_000),
    f"number, class, vector of {WIDTH}": lambda: DriftDetector(*_three(), queue=100_000),
    "labels to come": _labelled,
    "accuracy without labels": _estimating,
}


def watched(make: Callable[[], DriftDetector], *, awaited: asyncio.Runner | None, clock: Clock) -> Batch:
    """A batch of calls that are watched, once the references are learned; all is taken up between batches.

    By the clock of the process what is taken up after the last call counts too.
    """
    watch = make()
    guarded = watch(async_model) if awaited is not None else watch(model)
    calls = calls_of(guarded, clock) if awaited is None else awaits_of(awaited, guarded, clock)
    calls(LEARNT)
    watch.flush()

    def batch(count: int) -> int:
        began = clock()
        taken = calls(count)
        watch.flush()
        return clock() - began if clock is PROCESS else taken

    return batch


def costs(how: Options, clock: Clock, runner: asyncio.Runner | None) -> list[Result]:
    """All that is watched, against the closure."""
    if runner is None:
        base = Case("closure", calls_of(closure(model), clock))
    else:
        base = Case("closure", awaits_of(runner, async_closure(async_model), clock))
    cases = [Case(name, watched(make, awaited=runner, clock=clock), "ours") for name, make in WATCHED.items()]
    return measure(base, cases, how)


def main(how: Options) -> None:
    """Measure and print."""
    rows = []
    with asyncio.Runner() as runner:
        for colour, loop in (("plain", None), ("awaited", runner)):
            own, whole = costs(how, CPU, loop), costs(how, PROCESS, loop)
            for mine, all_of_it in zip(own[1:], whole[1:], strict=True):
                added = (mine.least - own[0].least) / 1000
                total = (all_of_it.least - whole[0].least) / 1000
                met = "yes" if added <= GOAL_US else "no"
                rows.append([colour, mine.case.name, f"{added:.2f}", f"{GOAL_US:g}", met, f"{total:.1f}"])
    heads = ["call", "ours watches", "us on the caller's thread", "goal", "met", "us in all"]
    table("Added to a call", heads, rows)
    print(machine())


if __name__ == "__main__":
    main(options(__doc__ or ""))
