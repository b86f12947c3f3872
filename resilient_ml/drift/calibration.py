"""Whether a model is as often right as it is sure: watched on a stream, and put into a report."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt

from .. import _checks
from .detector import Detector, Floats
from .distances import Distance
from .e_shiryaev_roberts import EShiryaevRoberts
from .signals import Signal

BOUNDS = (-1.0, 1.0)
DEALS = 200


class Calibration(Signal):
    """How much surer a model was than right, once a label is known: see ``DriftDetector.label``.

    ``gap = confidence - right``, from -1 to 1. Its mean is 0 for a model that is right as often as it says.
    Bets in both directions tell when the mean has left what is tolerated: an effect above 0 says that the
    model has become overconfident by that much, one below 0 underconfident. One stream of gaps needs no bins
    and no minimum of answers, as a calibration error does.

    Gaps of opposite signs cancel: a model may be too sure where it is sure and not sure enough elsewhere.
    Watch parts of the scale by themselves with *between*.

    Args:
        name: What events and messages call it.
        of: ``(prediction, label) -> right``, from 0 to 1; by default whether they are equal.
        tolerated: The largest mean gap, in either direction, that is no cause for alarm, above 0 and below 1:
            0.05, say. By default the mean gap of the reference, whatever that is, and a little more on both
            sides.
        between: Only answers as sure as this, ``(lowest, highest)``, are watched; all by default.

    >>> signal = Calibration(tolerated=0.05, between=(0.8, 1.0))
    >>> signal.gap(0.9, "cat", "cat"), signal.gap(0.9, "cat", "dog")
    (-0.1, 0.9)

    Source: A. P. Dawid, "The Well-Calibrated Bayesian", Journal of the American Statistical Association
    77(379), 1982; J. Shin, A. Ramdas, A. Rinaldo, "E-detectors", New England Journal of Statistics in Data
    Science 2(2), 2024, for the bets.
    """

    def __init__(
        self,
        name: str = "calibration",
        of: Callable[..., Any] | None = None,
        *,
        tolerated: float | None = None,
        between: tuple[float, float] = (0.0, 1.0),
    ) -> None:
        super().__init__(name, of)
        self.side: str = "label"
        if tolerated is not None:
            remedy = "pass 0.05, say, or leave it out to learn what is usual"
            tolerated = _checks.share("tolerated", tolerated, remedy=remedy)
            if tolerated == 1.0:
                raise ValueError(f"tolerated must be below 1, got 1.0, which every gap is within; {remedy}")
        self.tolerated: float | None = tolerated
        self.between: tuple[float, float] = _range(between)

    def gap(self, confidence: float, prediction: Any, label: Any) -> float:
        """How much surer the model was than right.

        Raises:
            ValueError: *confidence* is not from 0 to 1.
        """
        if not 0.0 <= confidence <= 1.0:
            raise ValueError(
                f"{self!r} needs a confidence from 0 to 1, got {_checks.shown(confidence)}; pass confidence= "
                "a function of the answer that gives a probability"
            )
        right = np.array_equal(prediction, label) if self.of is None else self.of(prediction, label)
        # To 12 digits, so that 0.9 - 1 is -0.1.
        return round(confidence - float(right), 12)

    def gaps(self, confidence: float, prediction: Any, label: Any) -> Floats:
        """The gap of one answer, or none where it is not as sure as is watched; shape (0,) or (1,)."""
        low, high = self.between
        gap = self.gap(confidence, prediction, label)
        return self.read([gap] if low <= confidence <= high else [])

    def read(self, value: Any) -> Floats:
        """One gap, or several."""
        return np.array(value, dtype=np.float64).reshape(-1)

    def detector(self, reference: Floats, arl: float) -> Detector:
        """Bets on a mean that has moved, up or down."""
        if self.tolerated is None:
            return EShiryaevRoberts.from_reference(reference, arl=arl, direction="both", bounds=BOUNDS)
        return EShiryaevRoberts(
            self.tolerated, arl=arl, direction="both", tolerated_low=-self.tolerated, bounds=BOUNDS
        )


def calibration_error(
    confidences: npt.ArrayLike, correct: npt.ArrayLike, *, bins: int = 10, seed: int = 0
) -> Distance:
    """The expected calibration error (ECE), less what a perfect model shows in so many answers.

    ``sum(share of the bin * |mean confidence - share right|)`` over *bins* of equal width. It is never 0 by
    chance: a perfect model shows 0.045 in 250 answers and 10 bins. So what such a model would show with these
    confidences is found by drawing its right and wrong answers, 200 times: *excess* is the error less the
    mean of those, and *p_value* the probability of an error as large.

    Args:
        confidences: How sure the model was of each answer, float64 from 0 to 1, shape (n,).
        correct: Whether each was right, bool or 0 and 1, shape (n,).
        bins: How many bins, from 1.
        seed: Chooses the draws.

    Raises:
        ValueError: The shapes differ, nothing is there, or a value is out of its range.

    >>> draw = np.random.default_rng(0).uniform
    >>> sure = draw(0.5, 1.0, 250)
    >>> good = calibration_error(sure, draw(size=250) < sure)
    >>> proud = calibration_error(sure, draw(size=250) < sure - 0.2)
    >>> good.value > 0.02, good.p_value > 0.05, proud.excess > 0.1, proud.p_value < 0.01
    (True, True, True, True)

    Source: C. Guo et al., "On Calibration of Modern Neural Networks", ICML 2017; J. Bröcker, L. A. Smith,
    "Increasing the Reliability of Reliability Diagrams", Weather and Forecasting 22(3), 2007, for the draws.
    """
    _checks.whole("bins", bins, at_least=1, remedy="pass 10, say")
    sure, right = np.asarray(confidences, dtype=np.float64), np.asarray(correct, dtype=np.float64)
    if sure.ndim != 1 or sure.shape != right.shape or not len(sure):
        raise ValueError(
            "confidences and correct must be of one length in one dimension, at least 1, got shapes "
            f"{sure.shape} and {right.shape}; pass one of each for every answer"
        )
    if not ((sure >= 0.0) & (sure <= 1.0)).all():
        raise ValueError("confidences must be from 0 to 1; pass probabilities, and leave out what is not")
    if not np.isin(right, (0.0, 1.0)).all():
        raise ValueError("correct must be True or False, or 1 or 0; compare predictions with labels first")
    places = np.minimum((sure * bins).astype(np.intp), bins - 1)

    def error(hits: npt.NDArray[Any]) -> float:
        gaps = np.asarray(np.bincount(places, weights=sure - hits, minlength=bins), dtype=np.float64)
        return float(np.abs(gaps).sum()) / len(sure)

    draw = np.random.default_rng(seed)
    found = error(right)
    by_chance = [error(draw.random(len(sure)) < sure) for _ in range(DEALS)]
    larger = sum(one >= found for one in by_chance)
    chance = math.fsum(by_chance) / DEALS
    return Distance(found, max(0.0, found - chance), (larger + 1) / (DEALS + 1))


def _range(between: Any) -> tuple[float, float]:
    remedy = "pass (0.9, 1.0), say"
    if not isinstance(between, tuple | list) or len(between) != 2:
        raise TypeError(f"between must be (lowest, highest), got {_checks.shown(between)}; {remedy}")
    low, high = (_checks.share("between", end, remedy=remedy, zero=True) for end in between)
    if not low < high:
        raise ValueError(f"between must rise, got ({low!r}, {high!r}); {remedy}")
    return low, high
