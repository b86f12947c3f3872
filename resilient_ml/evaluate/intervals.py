"""Confidence intervals: of shares, means and quantiles of requests that fail in clusters."""

from __future__ import annotations

import math
from statistics import NormalDist
from typing import NamedTuple

import numpy as np

from .blocks import Blocks, Floats


class Interval(NamedTuple):
    """A number, and between which bounds it is believed to lie."""

    value: float
    low: float
    high: float

    def scaled(self, factor: float) -> Interval:
        """The interval of *factor* times the number; *factor* is positive."""
        return Interval(self.value * factor, self.low * factor, self.high * factor)


def share(values: Floats, blocks: Blocks, level: float = 0.95) -> Interval:
    """The share of ones among zeros and ones: Wilson's interval, for the effective number of requests.

    ``n_eff = n / max(1, variance of the block estimate / (p (1 - p) / n))``

    No failure among 1,000 requests does not mean that failures are impossible: Wilson's interval says "at
    most 0.4 %", where a bootstrap would say "0 to 0".

    Args:
        values: float64, shape (requests,), of 0 and 1; NaN is left out.
        blocks: The blocks of the requests.
        level: Of confidence, above 0 and below 1.

    >>> low = share(np.ones(1000), Blocks(1000, seed=0)).low
    >>> round(low, 4)
    0.9959

    Sources: E. B. Wilson, "Probable Inference, the Law of Succession, and Statistical Inference", Journal of
    the American Statistical Association 22, 1927; L. Kish, "Survey Sampling", 1965 (the design effect).
    """
    known = ~np.isnan(values)
    n = float(known.sum())
    if n == 0:
        return Interval(math.nan, math.nan, math.nan)
    filled = np.where(known, values, 0.0)
    p = float(filled.sum()) / n
    spread = p * (1 - p) / n
    if spread > 0:
        n /= max(1.0, blocks.variance(filled, known) / spread)
    z = student(level, blocks.freedom)
    centre = (p + z * z / (2 * n)) / (1 + z * z / n)
    half = z / (1 + z * z / n) * math.sqrt(p * (1 - p) / n + z * z / (4 * n * n))
    # The ends are exact at 0 and 1, where rounding would leave them a hair beside.
    return Interval(p, 0.0 if p == 0 else max(0.0, centre - half), 1.0 if p == 1 else min(1.0, centre + half))


def mean(values: Floats, blocks: Blocks, level: float = 0.95) -> Interval:
    """The mean, with the percentile interval of the block bootstrap; NaN is left out.

    Source: B. Efron and R. Tibshirani, "An Introduction to the Bootstrap", 1993, section 13.3.
    """
    return _around(
        float(np.nanmean(values)) if _any(values) else math.nan, blocks.means(values), blocks, level
    )


def quantile(values: Floats, q: float, blocks: Blocks, level: float = 0.95) -> Interval:
    """The *q*-quantile, with the interval of :func:`quantiles`; NaN is left out.

    The quantile is an order statistic, one of the values: the smallest that at least a share *q* of the
    values do not exceed.

    >>> quantile(np.arange(1.0, 1001.0), 0.5, Blocks(1000, seed=0)).value
    500.0
    """
    ranked = np.sort(values[~np.isnan(values)])
    if not len(ranked):
        return Interval(math.nan, math.nan, math.nan)
    return _around(_at(ranked, q), quantiles(values, q, blocks), blocks, level)


def quantiles(values: Floats, q: float, blocks: Blocks) -> Floats:
    """The *q*-quantile in each resample of the blocks, to first order: float64, shape (resamples,).

    A resample in which a share ``q + d`` of the requests is at most the quantile has its own quantile about
    where the whole has its ``q - d``: so shares are resampled, as cheaply as means, and read off the sorted
    values.

    Sources: R. S. Woodruff, "Confidence Intervals for Medians and Other Position Measures", Journal of the
    American Statistical Association 47, 1952; R. R. Bahadur, "A Note on Quantiles in Large Samples", Annals
    of Mathematical Statistics 37, 1966.
    """
    known = values[~np.isnan(values)]
    ranked = np.sort(known)
    if not len(ranked):
        return np.full(blocks.resamples, np.nan)
    at_most = np.where(np.isnan(values), np.nan, values <= _at(ranked, q))
    moved = blocks.means(at_most) - float(np.nanmean(at_most))
    shares = np.clip(np.nan_to_num(q - moved, nan=q), 0.0, 1.0)
    ranks = np.clip(np.ceil(shares * len(ranked) - 1e-9).astype(int) - 1, 0, len(ranked) - 1)
    drawn: Floats = ranked[ranks]
    return drawn


def _at(ranked: Floats, q: float) -> float:
    return float(ranked[max(0, math.ceil(q * len(ranked) - 1e-9) - 1)])


def difference(ours: Floats, theirs: Floats, value: float, blocks: Blocks, level: float = 0.95) -> Interval:
    """*value*, the difference of two runs, with the interval of their resamples, drawn alike for both."""
    return _around(value, ours - theirs, blocks, level)


def student(level: float, freedom: int) -> float:
    """The two-sided quantile of Student's t, by its expansion around the normal one; off by 1 % at 5 degrees.

    >>> round(student(0.95, 10), 2), round(student(0.95, 1000), 2)
    (2.23, 1.96)

    Source: M. Abramowitz and I. Stegun, "Handbook of Mathematical Functions", 1964, 26.7.5.
    """
    z = NormalDist().inv_cdf(0.5 + level / 2)
    n = max(1, freedom)
    return (
        z
        + (z**3 + z) / (4 * n)
        + (5 * z**5 + 16 * z**3 + 3 * z) / (96 * n**2)
        + (3 * z**7 + 19 * z**5 + 17 * z**3 - 15 * z) / (384 * n**3)
    )


def _around(value: float, resamples: Floats, blocks: Blocks, level: float) -> Interval:
    """The percentile interval, a little farther out where there are few blocks.

    Source: T. Hesterberg, "What Teachers Should Know About the Bootstrap", The American Statistician 69, 2015
    (the expanded percentile interval).
    """
    known = np.sort(resamples[~np.isnan(resamples)])
    if math.isnan(value) or not len(known):
        return Interval(value, math.nan, math.nan)
    wider = student(level, blocks.freedom) * math.sqrt(blocks.count / blocks.freedom)
    tail = 1 - NormalDist().cdf(wider)
    below = max(0, math.floor(tail * (len(known) + 1) + 1e-9) - 1)
    return Interval(value, float(known[below]), float(known[len(known) - 1 - below]))


def _any(values: Floats) -> bool:
    return bool((~np.isnan(values)).any())
