"""How accurate a model is likely to be, estimated from its confidence alone."""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Self

import numpy as np
import numpy.typing as npt

from .._checks import whole
from .detector import Floats

RESAMPLES = 40
BINS = 20
"""The calibration is kept at so many confidences."""


@dataclass(frozen=True, slots=True)
class AccuracyEstimate:
    """An accuracy with its 95 % interval.

    Attributes:
        accuracy: The share of right answers, estimated.
        low: The lower end.
        high: The upper end.
        count: How many answers it is estimated from.
    """

    accuracy: float
    low: float
    high: float
    count: int


class ConfidenceEstimator:
    """Estimates the accuracy of recent answers from how sure the model was of them (CBPE).

    On a reference with labels it learns how often the model is right when it is so and so sure: a calibration
    that never falls, by isotonic regression. What a recent answer adds to the expected accuracy is then its
    calibrated confidence. The interval holds the chance of the recent answers and, by resampling, that of the
    reference.

    It holds as long as the model is as right as before when it is as sure as before: when inputs become
    harder and the model notices. Where the relation of inputs to labels has changed (concept drift) no
    estimate without labels can know; compare it with labels as they come in.

    Args:
        confidences: How sure the model was, float64, shape (n,), at least 50, from quiet times.
        correct: Whether it was right, bool or 0 and 1, shape (n,).
        window: How many recent answers the estimate is of, from 1.

    Raises:
        ValueError: A parameter is out of its range.

    >>> import numpy as np
    >>> draw = np.random.default_rng(0)
    >>> sure = draw.uniform(0.5, 1.0, 2000)
    >>> estimator = ConfidenceEstimator(sure, draw.uniform(size=2000) < sure, window=500)
    >>> estimator.update_many(draw.uniform(0.5, 0.7, 500))
    >>> estimate = estimator.estimate()
    >>> bool(estimate.low < 0.6 < estimate.high), estimate.count
    (True, 500)

    Source: NannyML's documentation, "Confidence-based Performance Estimation", 2022; M. Ayer et al., "An
    empirical distribution function for sampling with incomplete information", Annals of Mathematical
    Statistics 26(4), 1955, for the regression.
    """

    def __init__(self, confidences: npt.ArrayLike, correct: npt.ArrayLike, *, window: int = 1000) -> None:
        sure = np.asarray(confidences, dtype=np.float64)
        right = np.asarray(correct, dtype=np.float64)
        if sure.ndim != 1 or sure.shape != right.shape or len(sure) < 50:
            raise ValueError(
                "confidences and correct must be of one length, at least 50, got shapes "
                f"{sure.shape} and {right.shape}; pass what was labelled in quiet times"
            )
        if not (np.isfinite(sure).all() and np.isin(right, (0.0, 1.0)).all()):
            raise ValueError("confidences must be finite and correct 0 or 1; leave out what is not")
        self.window: int = whole("window", window, at_least=1, remedy="pass 1000, say")
        self.refused: int = 0
        self._places = np.unique(np.quantile(sure, np.linspace(0.0, 1.0, BINS)))
        generator = np.random.default_rng(0)
        curves = [_isotonic(sure, right, self._places)]
        for _ in range(RESAMPLES):
            drawn = generator.integers(0, len(sure), len(sure))
            curves.append(_isotonic(sure[drawn], right[drawn], self._places))
        self._curves = np.array(curves)
        self._recent: deque[float] = deque(maxlen=self.window)

    def update(self, confidence: float) -> None:
        """One answer more; a confidence that is not finite is passed over and counted in ``refused``."""
        if math.isfinite(confidence):
            self._recent.append(confidence)
        else:
            self.refused += 1

    def update_many(self, confidences: npt.ArrayLike) -> None:
        """Several answers more, oldest first; shape (n,)."""
        values = np.asarray(confidences, dtype=np.float64).reshape(-1)
        finite = np.isfinite(values)
        self.refused += int(len(values) - finite.sum())
        self._recent.extend(values[finite][-self.window :].tolist())

    def calibrated(self, confidence: float) -> float:
        """How likely the model is right when it is so sure."""
        return float(np.interp(confidence, self._places, self._curves[0]))

    def estimate(self) -> AccuracyEstimate | None:
        """The accuracy of the recent answers; None before the first."""
        if not self._recent:
            return None
        recent = np.array(self._recent)
        each: Floats = np.interp(recent, self._places, self._curves[0])
        means = [float(np.interp(recent, self._places, curve).mean()) for curve in self._curves[1:]]
        centre = float(each.mean())
        chance = float((each * (1.0 - each)).sum()) / len(each) ** 2
        reach = 1.96 * math.sqrt(chance + float(np.var(means)))
        return AccuracyEstimate(centre, max(0.0, centre - reach), min(1.0, centre + reach), len(each))

    def state(self) -> dict[str, Any]:
        """All there is to it, as plain data."""
        return {
            "window": self.window,
            "refused": self.refused,
            "places": self._places.tolist(),
            "curves": self._curves.tolist(),
            "recent": list(self._recent),
        }

    @classmethod
    def from_state(cls, state: Mapping[str, Any]) -> Self:
        """The estimator that *state* was taken from."""
        made = cls.__new__(cls)
        made.window, made.refused = int(state["window"]), int(state["refused"])
        made._places, made._curves = np.array(state["places"]), np.array(state["curves"])
        made._recent = deque(state["recent"], maxlen=made.window)
        return made


def _isotonic(sure: Floats, right: Floats, places: Floats) -> Floats:
    """The rising curve of least squares through (sure, right), at *places*: pool adjacent violators."""
    levels, where = np.unique(sure, return_inverse=True)
    weights = np.bincount(where).astype(np.float64)
    means = np.bincount(where, weights=right) / weights
    pooled: list[list[float]] = []  # mean, weight, how many levels
    for mean, weight in zip(means.tolist(), weights.tolist(), strict=True):
        pooled.append([mean, weight, 1])
        while len(pooled) > 1 and pooled[-2][0] >= pooled[-1][0]:
            last, before = pooled.pop(), pooled[-1]
            total = before[1] + last[1]
            before[0] = (before[0] * before[1] + last[0] * last[1]) / total
            before[1] = total
            before[2] += last[2]
    curve = np.repeat([one[0] for one in pooled], [int(one[2]) for one in pooled])
    fitted: Floats = np.interp(places, levels, curve)
    return fitted
