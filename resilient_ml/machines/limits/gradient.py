"""Gradient: the limit shrinks as latency grows beyond its baseline, and has room for a small queue besides.

``limit = g * limit + queue``, ``g`` being baseline / latency within 0.5 and 1. Two baselines are in use:

* :class:`GradientLimit`: the shortest latency seen, times a tolerance of 2, forgotten every 1000 to
  2000 calls.
* :class:`Gradient2Limit`: the mean of about the last 600 samples, times a tolerance of 1.5.

Both take a model that is *always* too slow for normal, and where ``g`` stays above 0.8 the queue wins: the
limit creeps upward for ever. Gradient2 does not look at drops at all.

Source: Netflix ``concurrency-limits`` (``GradientLimit``, ``Gradient2Limit``).
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import ClassVar

from .golden import golden
from .protocol import OK, LimitAlgorithm, Trip


class Average:
    """A plain mean of the first *warm* samples, then an exponential one of about *age*.

    >>> average = Average(age=3, warm=2)
    >>> [average.add(x) for x in (1.0, 3.0, 4.0)]
    [1.0, 2.0, 3.0]
    """

    def __init__(self, age: float, warm: int = 10) -> None:
        self.value: float = 0.0
        self._factor = 2 / (age + 1)
        self._warm = warm
        self._count = 0
        self._sum = 0.0

    def add(self, x: float) -> float:
        """The average with *x*."""
        if self._count < self._warm:
            self._count += 1
            self._sum += x
            self.value = self._sum / self._count
        else:
            self.value += (x - self.value) * self._factor
        return self.value


class GradientLimit(LimitAlgorithm):
    """The first Gradient, against the shortest latency.

    Args:
        draw: Gives uniform samples in [0, 1), which spread the moments at which the baseline is forgotten.
            By default multiples of the golden ratio.
        tolerance: How much longer than the shortest a call may take before the limit shrinks.
        initial: The limit to begin with.
        minimum: The smallest limit.
        maximum: The largest limit.
    """

    KEPT: ClassVar[tuple[str, ...]] = ("limit", "shortest")

    def __init__(
        self,
        draw: Callable[[], float] | None = None,
        *,
        tolerance: float = 2.0,
        initial: float = 50,
        minimum: float = 1,
        maximum: float = 1000,
    ) -> None:
        super().__init__(initial, minimum, maximum)
        self.shortest: float = 0.0
        self._draw = golden() if draw is None else draw
        self._tolerance = tolerance
        self._left = self._interval()

    def _interval(self) -> int:
        return 1000 + int(1000 * self._draw())

    def learn(self, now: float, trip: Trip) -> None:
        """Adapt at once."""
        seconds = max(trip.seconds, 1e-9)
        limit = self.limit
        queue = max(4.0, math.sqrt(limit))
        self._left -= 1
        if self._left <= 0:
            # Fewest inside while the baseline is measured anew.
            self._left = self._interval()
            self.shortest = 0.0
            self.limit = max(self.minimum, queue)
            return
        if self.shortest == 0 or seconds < self.shortest:
            self.shortest = seconds
        if trip.outcome != OK:
            new = 0.9 * limit
        elif trip.before < limit / 2:
            return
        else:
            new = limit * max(0.5, min(1.0, self._tolerance * self.shortest / seconds)) + queue
        if new < limit:
            new = max(self.minimum, 0.8 * limit + 0.2 * new)
        self.limit: float = min(self.maximum, max(self.minimum, queue, new))


class Gradient2Limit(LimitAlgorithm):
    """The second Gradient, against a long mean; meant to be fed by windows of a second.

    Args:
        tolerance: How much longer than its mean a latency may be before the limit shrinks.
        initial: The limit to begin with.
        minimum: The smallest limit; theirs is 20.
        maximum: The largest limit; theirs is 200.
    """

    KEPT: ClassVar[tuple[str, ...]] = ("limit",)

    def __init__(
        self, *, tolerance: float = 1.5, initial: float = 20, minimum: float = 1, maximum: float = 1000
    ) -> None:
        super().__init__(initial, minimum, maximum)
        self._tolerance = tolerance
        self._long = Average(age=600)

    def learn(self, now: float, trip: Trip) -> None:
        """Adapt at once."""
        seconds = max(trip.seconds, 1e-9)
        long = self._long.add(seconds)
        if long / seconds > 2:
            self._long.value *= 0.95  # the way back after a long overload
        if trip.before < self.limit / 2:
            return
        gradient = max(0.5, min(1.0, self._tolerance * long / seconds))
        limit = self.limit * 0.8 + (self.limit * gradient + 4) * 0.2
        self.limit: float = min(self.maximum, max(self.minimum, limit))
