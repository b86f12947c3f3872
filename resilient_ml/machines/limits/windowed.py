"""Windows: an algorithm is told of a second's calls at once, by their mean, not of each.

Source: Netflix ``concurrency-limits`` (``WindowedLimit``).
"""

from __future__ import annotations

from typing import Any

from .protocol import DROP, IGNORE, OK, OOM, LimitAlgorithm, Trip


class WindowedLimit(LimitAlgorithm):
    """Collects calls for *seconds*, and hands their mean latency and the most that was inside to *inner*.

    A window of fewer than *fewest* calls is thrown away; a window with a drop counts as dropped.

    Args:
        inner: The algorithm.
        seconds: The length of a window.
        fewest: The fewest calls that tell anything.
    """

    def __init__(self, inner: LimitAlgorithm, *, seconds: float = 1.0, fewest: int = 10) -> None:
        super().__init__(inner.limit, inner.minimum, inner.maximum)
        self._inner = inner
        self._length = seconds
        self._fewest = fewest
        self._until = 0.0
        self.forget_window()

    def forget_window(self) -> None:
        """Begin a window."""
        self._count = 0
        self._sum = 0.0
        self._most = 0.0
        self._dropped = False

    def learn(self, now: float, trip: Trip) -> None:
        """Collect; the first call after the end of a window closes it."""
        if trip.outcome == OOM:
            self._inner.learn(now, trip)
            self.limit = self._inner.limit
            return
        if trip.seconds < 1e-4 or trip.outcome == IGNORE:
            return  # too fast to have reached a model
        self._count += 1
        self._sum += trip.seconds
        self._most = max(self._most, trip.before)
        self._dropped |= trip.outcome == DROP
        if self._until - self._length <= now <= self._until:
            return
        self._until = now + self._length
        count = self._count
        mean = Trip(
            trip.at,
            self._most,
            seconds=self._sum / count,
            inside=trip.inside,
            outcome=DROP if self._dropped else OK,
        )
        self.forget_window()
        if count >= self._fewest:
            self._inner.learn(now, mean)
            self.limit = self._inner.limit

    def snapshot(self) -> dict[str, float]:
        """The inner algorithm's."""
        return self._inner.snapshot()

    def restore(self, saved: Any) -> None:
        """The inner algorithm's; the window begins anew."""
        self._inner.restore(saved)
        self.limit: float = self._inner.limit
        self.forget_window()
