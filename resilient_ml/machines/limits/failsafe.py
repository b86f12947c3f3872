"""failsafe-go's adaptive limiter: a recent latency against a longer one, checked by how throughput answers.

Once a second or more, of at least 50 calls: the 90th percentile, the median of the last five of these, and
its exponential mean over 5 windows give *recent*; the mean of that over 10 windows *baseline*. Then ::

    queue = ceil(limit * (1 - baseline / recent)),    step = max(1, floor(log10 limit))

The limit falls by *step* when the queue is above ``6 step``, or when all of it is in use and the correlation
of what is inside with throughput and with latency says that more would only wait; it rises by *step* when
the queue is below ``3 step``. It never rises beyond five times the most that was inside.

A step of one a second is slow for large models, and the baseline follows a long incident within ten windows.

Source: ``failsafe-go`` (``adaptivelimiter``), after Uber's Cinnamon.
"""

from __future__ import annotations

import math
from collections import deque

from .gradient import Average
from .protocol import LimitAlgorithm, Trip
from .vegas import step


def percentile(ordered: list[float], q: float) -> float:
    """The *q* quantile of sorted values, between the two nearest."""
    place = q * (len(ordered) - 1)
    low = int(place)
    high = min(low + 1, len(ordered) - 1)
    return ordered[low] + (ordered[high] - ordered[low]) * (place - low)


class Correlation:
    """The correlation of the last 50 pairs; 0 until there are 10, or while either varies by less than 1 %."""

    def __init__(self) -> None:
        self._x: deque[float] = deque(maxlen=50)
        self._y: deque[float] = deque(maxlen=50)

    def add(self, x: float, y: float) -> tuple[float, float]:
        """The correlation with the pair (x, y), and the variation of *y*: deviation / mean."""
        self._x.append(x)
        self._y.append(y)
        count = len(self._x)
        if count < 10:
            return 0.0, 0.0
        mean_x, mean_y = math.fsum(self._x) / count, math.fsum(self._y) / count
        spread_x = math.sqrt(math.fsum((v - mean_x) ** 2 for v in self._x) / count)
        spread_y = math.sqrt(math.fsum((v - mean_y) ** 2 for v in self._y) / count)
        varies_x = spread_x / mean_x if mean_x > 0 else 0.0
        varies_y = spread_y / mean_y if mean_y > 0 else 0.0
        if varies_x < 0.01 or varies_y < 0.01:
            return 0.0, varies_y
        together = math.fsum((a - mean_x) * (b - mean_y) for a, b in zip(self._x, self._y, strict=True))
        return together / count / (spread_x * spread_y), varies_y


class FailsafeLimit(LimitAlgorithm):
    """The adaptive limiter of failsafe-go.

    Args:
        window: The shortest window, in seconds.
        fewest: The fewest calls of a window.
        initial: The limit to begin with.
        minimum: The smallest limit.
        maximum: The largest limit.
    """

    def __init__(
        self,
        *,
        window: float = 1.0,
        fewest: int = 50,
        initial: float = 20,
        minimum: float = 1,
        maximum: float = 200,
    ) -> None:
        super().__init__(initial, minimum, maximum)
        self._window = window
        self._fewest = fewest
        self._until = 0.0
        self._last: deque[float] = deque(maxlen=5)
        self._recent = Average(age=5)
        self._baseline = Average(age=10)
        self._throughput = Correlation()
        self._latency = Correlation()
        self.forget_window()

    def forget_window(self) -> None:
        """Begin a window."""
        self._samples: list[float] = []
        self._most = 0.0

    def learn(self, now: float, trip: Trip) -> None:
        """Collect; a window that is long and full enough moves the limit."""
        self._samples.append(trip.seconds)
        self._most = max(self._most, trip.before)
        if self._until - 30 <= now <= self._until or len(self._samples) < self._fewest:
            return
        ordered = sorted(self._samples)
        slow = percentile(ordered, 0.9)
        self._last.append(slow)
        if len(self._last) == 5:
            slow = sorted(self._last)[2]
        most = self._most
        self.forget_window()
        self._move(max(self._recent.add(slow), 1e-9), most, full=trip.inside >= int(self.limit))
        self._until = now + min(max(2 * ordered[0], self._window), 30.0)

    def _move(self, recent: float, most: float, *, full: bool) -> None:
        baseline = self._baseline.add(recent)
        limit, by = self.limit, step(self.limit)
        queue = math.ceil(limit * (1 - baseline / recent))
        gains, varies = self._throughput.add(most, most / recent)
        slows, _ = self._latency.add(most, recent)
        useless = gains < 0 or (slows > 0.5 and (gains < 0.3 or varies < 0.2))
        if queue > 6 * by or (full and useless):
            new = limit - by
        elif queue < 3 * by:
            new = limit + by
        else:
            new = limit
        cap = 5 * most
        if new > cap:
            new = limit - by if limit > cap else cap
        self.limit: float = min(self.maximum, max(self.minimum, new))
