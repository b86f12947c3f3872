"""What a call will use, learned from those before it, so that less than the worst case is reserved.

One call is reserved its 95th percentile. Of *n* calls in flight together not all come out that large: the
95th percentile of their sum is nearer to *n* means, as the spread of a sum grows with the root of *n*. So
each is reserved ::

    mean + (margin * p95 - mean) / sqrt(n)

which for *n* independent calls holds the sum as well as the percentile holds for one.
"""

from __future__ import annotations

import math
import threading

from .._forks import survive_forks
from ..stats.quantile import DecayingQuantile

_SHARE = 0.95
_HALF_LIFE = 500
_AT_LEAST = 20
"""So many calls must have been seen before anything is made of them: the largest of 20 is about their p95."""


class UsageEstimate:
    """Learns what calls use.

    Args:
        margin: How much more than the percentile is reserved, from 1.

    >>> estimate = UsageEstimate(margin=1.0)
    >>> estimate.expected() is None
    True
    >>> for _ in range(20):
    ...     estimate.learn(300.0)
    >>> 285 < estimate.expected() < 330
    True
    """

    __slots__ = ("__weakref__", "_in_flight", "_lock", "_margin", "_mean", "_quantile")

    def __init__(self, margin: float) -> None:
        self._margin = margin
        self._quantile = DecayingQuantile(_SHARE, half_life=_HALF_LIFE)
        self._mean = 0.0
        self._in_flight = 0
        self._lock = threading.RLock()
        survive_forks(self)

    def expected(self) -> float | None:
        """What to reserve for a call; None before enough is known."""
        with self._lock:
            if self._quantile.count < _AT_LEAST:
                return None
            spread = max(0.0, self._margin * self._quantile.bound() - self._mean)
            return self._mean + spread / math.sqrt(self._in_flight + 1)

    def begin(self) -> None:
        """A call is in flight."""
        with self._lock:
            self._in_flight += 1

    def end(self) -> None:
        """A call is no longer in flight."""
        with self._lock:
            self._in_flight = max(0, self._in_flight - 1)  # one that began before a fork is not counted here

    def learn(self, used: float) -> None:
        """A call has used so much."""
        with self._lock:
            self._quantile.update(used)
            weight = max(1.0 / self._quantile.count, 1.0 / _HALF_LIFE)
            self._mean += weight * (used - self._mean)

    def after_fork(self) -> None:
        """The calls in flight are not in this process."""
        self._lock = threading.RLock()
        self._in_flight = 0
