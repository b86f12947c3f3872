"""Envoy's gradient controller: measure the latency of an idle model now and then, and keep near it.

For 50 calls the limit is pinned to 3: their median is the baseline. Then every 0.1 s the limit becomes ::

    limit * g + sqrt(limit * g),    g = 1.25 baseline / median of the last 0.1 s, within 0.5 and 2

The baseline is measured anew every 60 s, up to 15 % later by chance, or after five steps at the minimum.
While it is measured most calls are refused, and where latency grows before a model is full (batches) the
limit stays far below what it could take.

Source: Envoy, ``gradient_controller.cc`` and its documented example.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import ClassVar

from .golden import golden
from .protocol import LimitAlgorithm, Trip


def median(values: list[float]) -> float:
    """The middle of *values*, at least one; between the two middle ones where they are even."""
    ordered = sorted(values)
    half = len(ordered) // 2
    return ordered[half] if len(ordered) % 2 else (ordered[half - 1] + ordered[half]) / 2


class EnvoyLimit(LimitAlgorithm):
    """The gradient controller.

    Args:
        draw: Gives uniform samples in [0, 1), for the moments of measuring.
            By default multiples of the golden ratio.
        interval: Seconds between two measurements of the baseline.
        minimum: The limit while it is measured, and the smallest.
        maximum: The largest limit.
    """

    KEPT: ClassVar[tuple[str, ...]] = ("limit",)
    STEP: ClassVar[float] = 0.1
    CALLS: ClassVar[int] = 50

    def __init__(
        self,
        draw: Callable[[], float] | None = None,
        *,
        interval: float = 60.0,
        minimum: float = 3,
        maximum: float = 1000,
    ) -> None:
        super().__init__(minimum, minimum, maximum)
        self._draw = golden() if draw is None else draw
        self._interval = interval
        self._baseline = 0.0
        self._measure_at = math.inf
        self._low = 0
        self._samples: list[float] = []
        self._measure(0.0)

    def forget_window(self) -> None:
        """Begin a step."""
        self._samples = []

    def _measure(self, now: float) -> None:
        self._since, self._saved, self._samples = now, self.limit, []
        self._measuring = True
        self.limit: float = self.minimum
        self.due: float = math.inf

    def learn(self, now: float, trip: Trip) -> None:
        """Collect; while measuring, only calls that were let in since."""
        if self._measuring and trip.at < self._since:
            return
        self._samples.append(trip.seconds)
        if self._measuring and len(self._samples) >= self.CALLS:
            self._baseline, self._samples = median(self._samples), []
            self._measuring, self.limit, self._low = False, self._saved, 0
            self._measure_at = now + self._interval * (1 + 0.15 * self._draw())
            self.due = min(now + self.STEP, self._measure_at)
        elif now >= self.due:
            self.tick(now)

    def tick(self, now: float) -> None:
        """Time for a step, or for measuring."""
        if now >= self._measure_at:
            self._measure(now)
            return
        self.due = min(now + self.STEP, self._measure_at)
        if not self._samples:
            return
        ratio = 1.25 * self._baseline / max(median(self._samples), 1e-9)
        self._samples = []
        x = self.limit * max(0.5, min(2.0, ratio))
        limit = max(self.minimum, min(self.maximum, float(int(x + math.sqrt(x)))))
        self._low = self._low + 1 if self.limit == self.minimum == limit else 0
        self.limit = limit
        if self._low >= 5:
            self._low = 0
            self._measure(now)
