"""Evidence that bets collect against "nothing has changed".

Each bet multiplies its wealth by a factor whose mean is at most 1 while nothing has changed. The
Shiryaev-Roberts form puts in one unit at every observation and adds up what all have become; the CUSUM form
keeps the best of them::

    sr:     R <- (R + 1) * factor          cusum:  K <- max(K, 1) * factor

Either way the mean over the bets exceeds the number of observations by no more than chance allows: its
expectation at any time at which one may stop is at most the expected time. So stopping at ``arl`` takes
``arl`` on average.

Source: J. Shin, A. Ramdas, A. Rinaldo, "E-detectors: a nonparametric framework for sequential change
    detection",
New England Journal of Statistics in Data Science 2(2), 2024.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Literal

import numpy as np

from ._recursion import recur
from .detector import Floats

Form = Literal["sr", "cusum"]

NOTHING = 1e-300
"""Stands for no wealth, as 0 times a product beyond all numbers is not a number."""


def gather(
    wealth: list[float],
    blocks: Iterable[Floats],
    form: Form,
    threshold: float,
    weights: Floats | None = None,
) -> tuple[list[float], float, int]:
    """Carry *wealth* through factors up to where the mean reaches *threshold*.

    Args:
        wealth: What each bet has so far.
        blocks: The factors, float64, each of shape (observations, bets) and above 0; at least one block.
        form: How the evidence of different beginnings is taken together.
        threshold: Where to stop.
        weights: How much each bet counts in the mean, adding up to 1; all the same if left out.

    Returns:
        The wealth after the last observation used, its mean, and the position of the observation that reached
        the threshold; -1 if none did.
    """
    # (R + 1) * f is R * f + f, and max(K, 1) * f is max(K * f, f).
    join = np.add if form == "sr" else np.maximum
    if weights is None:
        weights = np.full(len(wealth), 1.0 / len(wealth))
    held = np.maximum(wealth, NOTHING)
    mean = np.zeros(1)
    before = 0
    with np.errstate(over="ignore", invalid="ignore"):  # far beyond any threshold, which was reached before
        for factors in blocks:
            path = recur(held, factors, factors, join)
            mean = path @ weights
            place = int((mean >= threshold).argmax())
            if mean[place] >= threshold:
                return path[place].tolist(), float(mean[place]), before + place
            held = path[-1]
            before += len(factors)
    return held.tolist(), float(mean[-1]), -1


def beginning(factors: Floats) -> int:
    """How many of the latest observations the best bet over the best stretch up to now has; from 1."""
    latest_first = np.ascontiguousarray(factors[::-1].T)
    growth = np.cumsum(np.log(latest_first), axis=1)
    return int(growth.max(axis=0).argmax()) + 1
