"""How many values a second each detector of drift takes, ours and river's, in one run.

    python benchmarks/drift.py

How soon they alarm, and how often for nothing, is what `drift_delays.py` measures, and so does the referee of
detectors: `drift_adapter.py` shows ours to it. River is optional.
"""

from __future__ import annotations

import importlib
import statistics
import time
from collections.abc import Callable
from typing import Any

import numpy as np

from resilient_ml.drift import (
    CategoricalShiryaevRoberts,
    ConformalShiryaevRoberts,
    Detector,
    ECusum,
    EShiryaevRoberts,
    Numbers,
    RandomFeatureAverages,
    WhitenedShiryaevRoberts,
    WindowedKS,
)

SINGLES, MANY, ROUNDS = 5_000, 100_000, 5


def per_second(work: Callable[[], object], count: int) -> float:
    """The median over the rounds of *count* by the seconds that *work* took."""
    rates = []
    for _ in range(ROUNDS):
        began = time.perf_counter()
        work()
        rates.append(count / (time.perf_counter() - began))
    return statistics.median(rates)


def ours() -> list[tuple[str, Detector, Any]]:
    draw = np.random.default_rng(0)
    errors, scores = (draw.random(MANY) < 0.1).astype(float), draw.normal(size=MANY)
    classes, rows = draw.integers(0, 10, MANY).astype(float), draw.normal(size=(20_000, 384))
    return [
        ("EShiryaevRoberts", EShiryaevRoberts.from_reference(errors[:1000]), errors),
        ("ECusum", ECusum.from_reference(errors[:1000]), errors),
        ("ConformalShiryaevRoberts", ConformalShiryaevRoberts(scores[:1000]), scores),
        ("WhitenedShiryaevRoberts", WhitenedShiryaevRoberts(scores[:1000]), scores),
        ("WindowedKS", WindowedKS(scores[:1000]), scores),
        ("Combined, as Numbers(shape=True)", Numbers("x", shape=True).detector(scores[:1000], 1e4), scores),
        ("CategoricalShiryaevRoberts", CategoricalShiryaevRoberts(classes[:1000]), classes),
        ("RandomFeatureAverages, 384-d", RandomFeatureAverages(rows[:1000]), rows),
    ]


def report(name: str, update: Callable[[Any], object], many: Callable[[], object] | None, data: Any) -> None:
    first = data[:SINGLES]
    values = first.tolist() if first.ndim == 1 else list(first)

    def one_by_one() -> None:
        for value in values:
            update(value)

    single = 1e6 / per_second(one_by_one, len(values))
    batch = "" if many is None else f"{per_second(many, len(data)) / 1e6:10.2f}"
    print(f"{name:32s} {single:12.2f} {batch:>10s}")


def main() -> None:
    print(f"{'':32s} {'us a value':>12s} {'M values/s in batches of 4096':>10s}")
    for name, detector, data in ours():

        def batches(detector: Detector = detector, data: Any = data) -> None:
            for begin in range(0, len(data), 4096):
                detector.update_many(data[begin : begin + 4096])

        report(name, detector.update, batches, data)
    try:
        river: Any = importlib.import_module("river.drift")
    except ImportError:
        return
    errors = (np.random.default_rng(0).random(MANY) < 0.1).astype(float)
    report("river ADWIN", river.ADWIN().update, None, errors)
    report("river PageHinkley", river.PageHinkley().update, None, errors)
    report("river DDM", river.binary.DDM().update, None, errors)


if __name__ == "__main__":
    main()
