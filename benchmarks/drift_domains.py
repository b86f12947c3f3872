"""Real drift: tweets, and then sentences of another domain, as embeddings of a language model.

A detector learns 800 tweets, of 4,200 that people rated, and sees 20,000 drawn from the others, then 400
sentences of another domain. Counted are the false alarms, and the rows from the switch to the alarm.

    OPENBLAS_NUM_THREADS=1 python benchmarks/drift_domains.py [RUNS] [ARCHIVE]

What it needs is said in ``examples/minilm.py`` and ``examples/domains.py``; embedding takes a minute.
"""

from __future__ import annotations

import statistics
import sys
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "examples"))
from domains import load
from minilm import MiniLM

from resilient_ml.drift import RandomFeatureAverages

REFERENCE, QUIET, OTHER = 800, 20_000, 400
ARLS = (20_000, 1_000_000)


def main() -> None:
    """Embed, run, and print a table."""
    runs = int(sys.argv[1]) if len(sys.argv) > 1 else 20
    texts = load(Path(sys.argv[2]) if len(sys.argv) > 2 else None)
    model = MiniLM()
    rows: dict[str, np.ndarray] = {}
    for name, sentences in texts.items():
        few = len(sentences) if name == "tweets" else 1000
        rows[name] = model.encode([one.text for one in sentences[:few]])
    for arl in ARLS:
        one_arl(rows, arl, runs)


def one_arl(rows: dict[str, np.ndarray], arl: int, runs: int) -> None:
    """Run with one budget of false alarms."""
    alarms: list[int] = []
    delays: dict[str, list[int]] = {name: [] for name in rows if name != "tweets"}
    for seed in range(runs):
        draw = np.random.default_rng(seed)
        order = draw.permutation(len(rows["tweets"]))
        reference, others = rows["tweets"][order[:REFERENCE]], rows["tweets"][order[REFERENCE:]]
        quiet = others[draw.integers(0, len(others), QUIET)]
        detector = RandomFeatureAverages(reference, arl=arl)
        alarms.append(len(detector.update_many(quiet)))
        for name, found in delays.items():
            detector.reset()
            detector.update_many(quiet[:500])
            other = rows[name][draw.permutation(len(rows[name]))[:OTHER]]
            told = detector.update_many(other)
            found.append(int(told[0]) + 1 if len(told) else OTHER + 1)
    print(
        f"{runs} runs, arl {arl:,}: {sum(alarms)} false alarms in {runs * QUIET:,} tweets, at most", end=" "
    )
    print(f"{max(alarms)} in the {QUIET:,} of one run")
    for name, found in delays.items():
        print(f"  to {name:<11} median {statistics.median(found):5.1f} rows, at most {max(found)}")


if __name__ == "__main__":
    main()
