"""Vegas: how many of those inside are queueing, by comparing each latency with the shortest ever seen.

``queue = ceil(limit * (1 - shortest / seconds))``; beside ``step = max(1, floor(log10 limit))`` the limit
becomes

| queue | limit |
| --- | --- |
| up to ``step`` | ``+ 6 step`` |
| below ``3 step`` | ``+ step`` |
| to ``6 step`` | stays |
| above, or the call was dropped | ``- step`` |

The shortest latency is forgotten every 30 limits of calls. Where service times vary, one lucky call is a
baseline that nothing can keep up with, and large limits collapse; windows (:mod:`.windowed`) help.

Source: L. Brakmo, L. Peterson, "TCP Vegas", 1995; with the numbers of Netflix ``concurrency-limits``.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import ClassVar

from .golden import golden
from .protocol import OK, LimitAlgorithm, Trip


def step(limit: float) -> int:
    """``floor(log10 limit)``, at least 1."""
    return max(1, int(math.log10(limit))) if limit >= 1 else 1


class VegasLimit(LimitAlgorithm):
    """The estimated queue steers the limit, call by call.

    Args:
        draw: Gives uniform samples in [0, 1), which spread the moments at which the baseline is forgotten.
            By default multiples of the golden ratio.
        probe: After about so many limits of calls it is.
        initial: The limit to begin with.
        minimum: The smallest limit.
        maximum: The largest limit.
    """

    KEPT: ClassVar[tuple[str, ...]] = ("limit", "shortest")

    def __init__(
        self,
        draw: Callable[[], float] | None = None,
        *,
        probe: int = 30,
        initial: float = 20,
        minimum: float = 1,
        maximum: float = 1000,
    ) -> None:
        super().__init__(initial, minimum, maximum)
        self.shortest: float = 0.0
        self._draw = golden() if draw is None else draw
        self._probe = probe
        self._count = 0
        self._jitter = 0.5 + 0.5 * self._draw()

    def learn(self, now: float, trip: Trip) -> None:
        """Adapt at once."""
        seconds = max(trip.seconds, 1e-9)
        self._count += 1
        if self._jitter * self._probe * self.limit <= self._count:
            self._jitter, self._count, self.shortest = 0.5 + 0.5 * self._draw(), 0, seconds
            return
        if self.shortest == 0 or seconds < self.shortest:
            self.shortest = seconds
            return
        limit, by = self.limit, step(self.limit)
        queue = math.ceil(limit * (1 - self.shortest / seconds))
        if trip.outcome != OK or (queue > 6 * by and trip.before * 2 >= limit):
            limit -= by
        elif trip.before * 2 < limit:
            return
        elif queue <= by:
            limit += 6 * by
        elif queue < 3 * by:
            limit += by
        self.limit: float = min(self.maximum, max(self.minimum, limit))
