"""Drift detectors and what is not a number."""

from __future__ import annotations

import math
import random

from survival.library import Library
from survival.trials import trial
from survival.verdicts import Verdict, failed, survived


def reported(library: Library, poison: float | None) -> Verdict:
    """300 values about 0, *poison*, then up to 2,000 about 5."""
    draw, step = random.Random(1), library.drift()
    for _ in range(300):
        step(draw.gauss(0, 1))
    if poison is not None:
        step(poison)
    for count in range(2_000):
        if step(draw.gauss(5, 1)):
            return survived(f"a shift of 5 sigma reported after {count + 1} values")
    return failed("a shift of 5 sigma is not reported in 2,000 values")


@trial("F45", "clean", "drift")
def drift_is_reported(library: Library) -> Verdict:
    return reported(library, None)


@trial("F45", "NaN", "drift")
def drift_is_reported_after_a_nan(library: Library) -> Verdict:
    return reported(library, math.nan)


@trial("F45", "infinity", "drift")
def drift_is_reported_after_an_infinity(library: Library) -> Verdict:
    return reported(library, math.inf)
