"""A budget of retries, earned by first attempts: what keeps retries from multiplying an outage."""

from __future__ import annotations

import itertools
import threading
from collections.abc import Callable, Iterator

from .. import _checks
from .._forks import survive_forks

_ONE = 1.0 - 1e-9
"""One retry. Ten times a tenth, added up one by one, is 0.9999999999999999."""


class RetryBudget:
    """A leaky bucket of retries, shared by every policy it is given to.

    Each first attempt earns *ratio* of a retry, each second earns *floor*; at most *burst* are saved up;
    each retry spends one. So over any stretch of N first attempts and t seconds there are at most
    ``burst + ratio * N + floor * t`` retries: a dead model sees ``1 + ratio`` calls a request, not
    ``attempts``.

    First attempts draw numbers from a counter (``earn()``, or ``next(budget.attempts)``), which takes no
    lock; the bucket is filled from the difference when a retry asks. Between two retries it only fills, so
    filling late is exact.

    Args:
        ratio: Retries earned per first attempt, from 0.
        floor: Retries earned per second whatever the traffic, so that a quiet client may still retry.
        burst: The most that can be saved up, and what there is at first; at least 1.

    >>> budget = RetryBudget(ratio=0.5, floor=0.0, burst=1.0)
    >>> budget.spend(0.0), budget.spend(0.0)
    (True, False)
    >>> for _ in range(2):
    ...     _ = budget.earn()
    >>> budget.spend(0.0)
    True

    Source: Finagle's ``RetryBudget`` (Twitter, 2016); B. Beyer et al., "Site Reliability Engineering",
    2016, ch. 21.
    """

    __slots__ = (
        "__weakref__",
        "_lock",
        "_saved",
        "_seen",
        "_seen_at",
        "attempts",
        "burst",
        "earn",
        "floor",
        "ratio",
    )

    def __init__(self, ratio: float = 0.2, floor: float = 1.0, burst: float = 10.0) -> None:
        self.ratio: float = _nonnegative("ratio", ratio)
        self.floor: float = _nonnegative("floor", floor)
        self.burst: float = _checks.real("burst", burst, remedy="pass the most retries that may be saved up")
        if self.burst < 1:
            raise ValueError(f"burst must be at least 1, got {self.burst:g}; pass budget=None for no budget")
        self._saved = self.burst
        self._seen = 0
        self._seen_at: float | None = None
        self.attempts: Iterator[int] = itertools.count(1)
        self.earn: Callable[[], int] = self.attempts.__next__
        self._lock = threading.RLock()
        survive_forks(self)

    def spend(self, now: float) -> bool:
        """Take one retry out at *now*; False, and nothing taken, where there is none."""
        with self._lock:
            self._fill(now)
            if self._saved < _ONE:
                return False
            self._saved -= 1.0
            return True

    def saved(self, now: float) -> float:
        """How many retries there are at *now*."""
        with self._lock:
            self._fill(now)
            return self._saved

    def _fill(self, now: float) -> None:
        number = self.earn()  # looking draws a number too: it is not counted as an attempt
        last = now if self._seen_at is None else self._seen_at
        earned = self.ratio * (number - self._seen - 1) + self.floor * max(0.0, now - last)
        self._saved = min(self.burst, self._saved + earned)
        self._seen = number
        self._seen_at = max(last, now)

    def after_fork(self) -> None:
        """The lock may have been held by a thread that is gone."""
        self._lock = threading.RLock()

    def __reduce__(self) -> tuple[type[RetryBudget], tuple[float, float, float]]:
        return type(self), (self.ratio, self.floor, self.burst)  # a fresh one; shared ones stay shared

    def __repr__(self) -> str:
        return f"RetryBudget(ratio={self.ratio:g}, floor={self.floor:g}, burst={self.burst:g})"


def _nonnegative(name: str, value: float) -> float:
    number = _checks.real(name, value, remedy="pass a number from 0")
    if number < 0:
        raise ValueError(f"{name} must not be negative, got {number:g}; pass a number from 0")
    return number
