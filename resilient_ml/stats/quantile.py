"""A quantile of positive numbers whose older ones fade, in a fixed amount of memory."""

from __future__ import annotations

import itertools
import math
from array import array

_GROWTH = 1.1
"""Each bucket is so many times as wide as the one before: values are known to within 5 %."""
_LOG = math.log(_GROWTH)
_LEAST = 1e-6
_BUCKETS = 256
_MOST = _LEAST * _GROWTH ** (_BUCKETS - 1)
"""Some ten hours, where the least is a microsecond."""


class DecayingQuantile:
    """An estimate of one quantile, from counts in buckets of growing width.

    The estimate is the geometric middle of the bucket in which the quantile falls: between a microsecond and
    ten hours its relative error is at most 5 %. The counts of all buckets are halved each time *half_life*
    numbers have come.

    Args:
        share: Which quantile, above 0 and below 1: 0.99 is exceeded by one in a hundred.
        half_life: After so many further numbers a number weighs half; from 1.

    >>> quantile = DecayingQuantile(0.5, half_life=1000)
    >>> for seconds in (1.0, 2.0, 100.0):
    ...     quantile.update(seconds)
    >>> 1.9 < quantile.value() < 2.1
    True

    Source: C. Masson, J. E. Rim, H. K. Lee, "DDSketch", VLDB 2019, for the buckets.
    """

    __slots__ = ("_buckets", "_half_life", "_share", "_since", "_weight", "count")

    def __init__(self, share: float, *, half_life: int) -> None:
        self._share = share
        self._half_life = half_life
        self._buckets = array("d", bytes(8 * _BUCKETS))
        self._weight = 0.0
        self._since = 0
        self.count: int = 0
        """How many numbers have come."""

    def update(self, value: float) -> None:
        """Take *value* in; NaN and less than the least count as the least, more than the most as the most."""
        place = int(math.log(min(value, _MOST) / _LEAST) / _LOG) if value > _LEAST else 0
        self._buckets[place] += 1.0
        self._weight += 1.0
        self.count += 1
        self._since += 1
        if self._since >= self._half_life:
            self._since = 0
            self._buckets = array("d", [weight / 2 for weight in self._buckets])
            self._weight /= 2

    def value(self) -> float:
        """The quantile; NaN before the first number."""
        return self._at(0.5)

    def bound(self) -> float:
        """The least bound of a bucket that no more than ``1 - share`` of the numbers exceed; NaN at first.

        Where all numbers are much alike, far more than that exceed the middle of their bucket.
        """
        return self._at(1.0)

    def _at(self, part: float) -> float:
        if not self.count:
            return math.nan
        below = itertools.accumulate(self._buckets)
        place = next(at for at, weight in enumerate(below) if weight and weight >= self._share * self._weight)
        return float(_LEAST * _GROWTH ** (place + part))
