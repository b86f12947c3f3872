"""AIMD: one more for each good call, a tenth less for each dropped one, as TCP does with packets.

It needs drops to learn anything, so under overload it keeps latency at the deadline. The growth is one a
*call*, not one a round trip: a limit in full use doubles within one.

Source: V. Jacobson, "Congestion Avoidance and Control", 1988; with the numbers of Netflix
``concurrency-limits`` (``AIMDLimit``), but a minimum of 1 where theirs is 20, which no small model survives.
"""

from __future__ import annotations

import math

from .protocol import OK, OOM, LimitAlgorithm, Trip


class AIMDLimit(LimitAlgorithm):
    """``limit + 1`` for an answer while at least half is used, ``limit * ratio`` for a drop.

    Args:
        ratio: What a drop leaves of the limit, from 0.5 and below 1.
        too_slow: Seconds beyond which an answer counts as dropped.
        initial: The limit to begin with.
        minimum: The smallest limit.
        maximum: The largest limit.

    >>> limit = AIMDLimit(initial=30)
    >>> limit.learn(0.0, Trip(at=0.0, before=5, seconds=0.01, outcome="drop"))
    >>> limit.limit
    27.0
    """

    def __init__(
        self,
        *,
        ratio: float = 0.9,
        too_slow: float = 5.0,
        initial: float = 20,
        minimum: float = 1,
        maximum: float = 1000,
    ) -> None:
        super().__init__(initial, minimum, maximum)
        self._ratio = ratio
        self._too_slow = too_slow

    def learn(self, now: float, trip: Trip) -> None:
        """Adapt at once."""
        limit = self.limit
        if trip.outcome == OOM:
            limit = math.floor(limit / 2)
        elif trip.outcome != OK or trip.seconds > self._too_slow:
            limit = math.floor(limit * self._ratio)
        elif trip.before * 2 >= limit:
            limit += 1
        self.limit: float = min(self.maximum, max(self.minimum, float(limit)))
