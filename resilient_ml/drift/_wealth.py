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

from typing import Literal

import numpy as np

from .detector import Floats

Form = Literal["sr", "cusum"]

BLOCK = 192
"""Observations at a time: a factor is at least 0.05, and ``0.05 ** 192`` is still a normal number."""

LEAST = 0.05


def gather(
    wealth: list[float], factors: Floats, form: Form, threshold: float, weights: Floats | None = None
) -> tuple[list[float], float, int]:
    """Carry *wealth* through *factors* up to where the mean reaches *threshold*.

    In one block ``R_t = P_t * (R_0 + sum 1 / P_(s - 1))`` with ``P`` the running product of the factors, and
    for the CUSUM form the largest in place of the sum.

    Args:
        wealth: What each bet has so far.
        factors: float64, shape (bets, observations), each at least 0.05.
        form: How the evidence of different beginnings is taken together.
        threshold: Where to stop.
        weights: How much each bet counts in the mean, adding up to 1; all the same if left out.

    Returns:
        The wealth after the last observation used, its mean, and the position of the observation that reached
        the threshold; -1 if none did.
    """
    held = np.array(wealth)[:, None]
    mean = np.zeros(1)
    joined = np.empty((len(wealth), BLOCK))
    for begin in range(0, factors.shape[1], BLOCK):
        part = factors[:, begin : begin + BLOCK]
        count = part.shape[1]
        with np.errstate(over="ignore"):  # far beyond any threshold, which was reached before
            product = np.multiply.accumulate(part, axis=1)
            start = joined[:, :count]
            start[:, 0] = 1.0
            np.divide(1.0, product[:, :-1], out=start[:, 1:])
            if form == "sr":
                start[:, 0] += held[:, 0]
                np.add.accumulate(start, axis=1, out=start)
            else:
                np.maximum(start[:, :1], held, out=start[:, :1])
                np.maximum.accumulate(start, axis=1, out=start)
            start *= product
            mean = start.mean(axis=0) if weights is None else weights @ start
        reached = mean >= threshold
        if reached.any():
            place = int(reached.argmax())
            return start[:, place].tolist(), float(mean[place]), begin + place
        held = start[:, -1:].copy()
    return held[:, 0].tolist(), float(mean[-1]), -1


def beginning(factors: Floats) -> int:
    """How many of the latest observations the best bet over the best stretch up to now has; from 1."""
    growth = np.cumsum(np.log(factors[:, ::-1]), axis=1)
    return int(growth.max(axis=0).argmax()) + 1
