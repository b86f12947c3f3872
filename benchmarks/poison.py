"""Rows that poison the batches they are in: how many good rows have their right answer, naked and isolated.

A real classifier (logistic regression of scikit-learn) answers 10,000 batches of 1 to 128 rows, of which some
hold rows with NaN or infinity. A good row is right where its probabilities are those of the row by itself.

    python benchmarks/poison.py [BATCHES]
"""

from __future__ import annotations

import math
import statistics
import sys
import time

import numpy as np
from sklearn.linear_model import LogisticRegression

from resilient_ml import RowIsolation


def main() -> None:
    """Run, and print a table."""
    np.seterr(invalid="ignore")  # the model looks for NaN by a sum
    batches = int(sys.argv[1]) if len(sys.argv) > 1 else 10_000
    draw = np.random.default_rng(1)
    features = draw.normal(size=(1000, 8))
    model = LogisticRegression().fit(features, features[:, 0] + features[:, 1] > 0)
    calls = 0

    def predict(rows: np.ndarray) -> np.ndarray:
        nonlocal calls
        calls += 1
        answers: np.ndarray = model.predict_proba(rows)
        return answers

    safe = RowIsolation(on_bad="results", quarantine=0)(predict)
    good = poisoned_good = naked = isolated = wrong = bad = errors = 0
    spent: list[int] = []
    for _ in range(batches):
        rows = draw.normal(size=(int(draw.integers(1, 129)), 8))
        poison = draw.choice(len(rows), min(len(rows), int(draw.choice([0, 1, 1, 2, 4]))), replace=False)
        rows[poison, draw.integers(8, size=len(poison))] = draw.choice([np.nan, np.inf, -np.inf], len(poison))
        is_bad = np.zeros(len(rows), dtype=bool)
        is_bad[poison] = True
        truth = model.predict_proba(np.where(is_bad[:, None], 0.0, rows))
        good += int((~is_bad).sum())
        poisoned_good += int((~is_bad).sum()) if is_bad.any() else 0
        bad += int(is_bad.sum())
        try:
            model.predict_proba(rows)
            naked += len(rows)
        except ValueError:
            pass
        calls = 0
        try:
            results = safe(rows)
        except ValueError:  # one row, and that bad
            errors += 1
            continue
        if len(poison) == 1:
            spent.append(calls - 2 * math.ceil(math.log2(len(rows))))
        for result, expected, away in zip(results, truth, is_bad, strict=True):
            if result.ok and not away:
                isolated += bool(np.allclose(result.value, expected, rtol=1e-9))
                wrong += not np.allclose(result.value, expected, rtol=1e-9)
            errors += not result.ok and bool(away)
    naked_poisoned = naked - (good - poisoned_good)
    print(
        f"{batches:,} batches, {good:,} good rows, {bad:,} bad; {poisoned_good:,} good rows beside a bad one"
    )
    print(
        f"  good rows right   naked {naked / good:7.2%}   "
        f"beside a bad one {naked_poisoned / poisoned_good:7.2%}"
    )
    print(f"  good rows right   ours  {isolated / good:7.2%}   wrong {wrong}")
    print(f"  bad rows with an error of their own: {errors / bad:.2%}")
    print(f"  calls for one bad row, beyond 2 log2(n), rounded up: at most {max(spent)}")

    clean = draw.normal(size=(64, 8))
    plain = RowIsolation()(model.predict_proba)
    ratios: list[float] = []
    for _ in range(15):
        took = [timed(model.predict_proba, clean), timed(plain, clean)]
        ratios.append(took[1] - took[0])
    print(f"  a clean batch of 64 costs {statistics.median(ratios) * 1e6:.1f} us more")


def timed(predict, rows: np.ndarray, count: int = 300) -> float:  # type: ignore[no-untyped-def]
    """Seconds that a call takes."""
    began = time.perf_counter()
    for _ in range(count):
        predict(rows)
    return (time.perf_counter() - began) / count


if __name__ == "__main__":
    main()
