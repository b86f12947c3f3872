"""Contracts: what they cost, what they find, and what they do not take for broken.

The outputs are those of a real classifier on its own data (handwritten digits), whole and broken in six ways.
The cost is that of a call through the contract less that of the bare function, medians of pairs; beside it
the same checks written by hand, without messages, rows or actions.

    python benchmarks/contract.py
"""

from __future__ import annotations

import random
import statistics
import time
from collections.abc import Callable
from typing import Any

import numpy as np
from sklearn.datasets import load_digits
from sklearn.linear_model import LogisticRegression

from resilient_ml import Contract, InvalidOutput
from resilient_ml.contracts import Check, Finite, Length, NoRepetition, Norm, Probabilities, Schema, Shape

TEXT = " ".join(
    f"Sentence number {number} says something new about topic {number * 7}." for number in range(20)
)
"""Sentences that are alike, as in a list."""

WORDS = [
    first + second for first in ("mo", "ba", "se", "li", "ro", "ta") for second in ("del", "tch", "n", "mit")
]
PROSE = " ".join(random.Random(1).choices(WORDS, k=len(TEXT)))[: len(TEXT)]
"""Words that come again, in no order that does."""

TYPESET = PROSE.replace("mo", "m\u00f6").replace("del ba", "del\u2014\u201cba\u201d")
"""The same as most models write it: with letters and signs that are not ASCII."""


def main() -> None:
    """Run, and print two tables."""
    features, labels = load_digits(return_X_y=True)
    model = LogisticRegression(max_iter=2000).fit(features[:900], labels[:900])
    draw = np.random.default_rng(1)
    safe = Contract(Finite(), Shape(None, 10), Probabilities())(lambda rows: rows)
    outputs = [model.predict_proba(features[draw.integers(0, len(features), 32)]) for _ in range(5000)]
    print(f"clean outputs refused: {sum(refused(safe, one) for one in outputs)} of {len(outputs):,}")
    for name, spoil in SPOILED.items():
        found = sum(refused(safe, spoil(one.copy(), draw)) for one in outputs[:1000])
        print(f"  {name:<22} found {found / 1000:.1%}")

    answers: dict[str, tuple[Any, Any, Callable[[Any], Any]]] = {
        "finite, 32 x 10": (outputs[0], Contract(), lambda x: np.isfinite(x).all()),
        "finite, shape, simplex": (
            outputs[0],
            Contract(Finite(), Shape(None, 10), Probabilities()),
            lambda x: (
                np.isfinite(x).all()
                and x.shape[1] == 10
                and (abs(x.sum(1) - 1) < 0.01).all()
                and (x >= 0).all()
            ),
        ),
        "the same, by row": (
            outputs[0],
            Contract(Finite(), Shape(10), Probabilities(), rows=True),
            lambda x: np.isfinite(x).all(1) & (abs(x.sum(1) - 1) < 0.01) & (x >= 0).all(1),
        ),
        "norm, 16 x 384": (
            draw.normal(size=(16, 384)),
            Contract(Norm()),
            lambda x: (np.linalg.norm(x, axis=1) > 1e-6).all(),
        ),
        "a function": (outputs[0], Contract(Check(len)), len),
        "input, 32 x 10": (outputs[0], Contract(inputs=Finite()), lambda x: np.isfinite(x).all()),
        "JSON of a type": ('{"a": 1.0, "b": 2}', Contract(Schema(dict[str, float])), len),
        f"length, {len(TEXT):,} letters": (TEXT, Contract(Length(1, 8000)), len),
        f"loops, {len(TEXT):,} letters": (TEXT, Contract(NoRepetition()), len),
        "loops, the same of prose": (PROSE, Contract(NoRepetition()), len),
        "loops, that beyond ASCII": (TYPESET, Contract(NoRepetition()), len),
    }
    print("\ncost of a call, us           contract   by hand   of a 1 ms call")
    for name, (value, contract, by_hand) in answers.items():
        guarded = contract(echo)
        cost = statistics.median(timed(guarded, value) - timed(echo, value) for _ in range(15))
        hand = statistics.median(timed(by_hand, value) for _ in range(15))
        print(f"  {name:<26}{cost * 1e6:9.1f}{hand * 1e6:10.1f}{cost / 1e-3:12.2%}")


def echo(value: Any) -> Any:
    """A model that answers with its input."""
    return value


def refused(safe: Callable[[Any], Any], value: Any) -> bool:
    """Whether the contract refuses *value*."""
    try:
        safe(value)
    except InvalidOutput:
        return True
    return False


def _at(value: float) -> Callable[[np.ndarray, np.random.Generator], np.ndarray]:
    def spoil(output: np.ndarray, draw: np.random.Generator) -> np.ndarray:
        output[draw.integers(len(output)), draw.integers(10)] = value
        return output

    return spoil


def _null(output: np.ndarray, draw: np.random.Generator) -> np.ndarray:
    output[draw.integers(len(output))] = 0.0
    return output


SPOILED: dict[str, Callable[[np.ndarray, np.random.Generator], np.ndarray]] = {
    "one NaN": _at(np.nan),
    "one infinity": _at(np.inf),
    "one negative": _at(-0.3),
    "a row of zeros": _null,
    "scores, no softmax": lambda output, draw: np.log(output + 1e-9),
    "transposed": lambda output, draw: output.T,
}


def timed(function: Callable[[Any], Any], value: Any, count: int = 500) -> float:
    """Seconds that a call takes."""
    began = time.perf_counter()
    for _ in range(count):
        function(value)
    return (time.perf_counter() - began) / count


if __name__ == "__main__":
    main()
