"""A gate with a fixed number of seats, where a call may take more than one."""

from __future__ import annotations

import math
from typing import Final

_ROUNDING: Final = 1 + 1e-9
"""Ten times a tenth, added up one by one, is a little less than one."""


class Seat:
    """What one call took."""

    __slots__ = ("cost", "era")

    def __init__(self, cost: float, era: int) -> None:
        self.cost: float = cost
        self.era: int = era


class SeatsGate:
    """At most *limit* inside, in cost; asked under its owner's lock.

    Args:
        limit: How much may be inside, above 0.

    >>> gate = SeatsGate(10)
    >>> seat = gate.admit(0.0, 7)
    >>> gate.admit(0.0, 4) is None
    True
    >>> gate.take_back(seat, 1.0)
    >>> gate.in_use
    0.0
    """

    __slots__ = ("_count", "_era", "in_use", "limit")

    def __init__(self, limit: float) -> None:
        self.limit: float = limit
        self.in_use: float = 0.0
        self._count = 0
        self._era = 0

    @property
    def count(self) -> int:
        """How many calls are inside."""
        return self._count

    def admit(self, now: float, cost: float) -> Seat | None:
        """Seats for a call of *cost*, where there are so many free."""
        if self.in_use + cost > self.limit * _ROUNDING:
            return None
        self.in_use += cost
        self._count += 1
        return Seat(cost, self._era)

    def take_back(self, permit: Seat, now: float) -> None:
        """The seats of *permit* are free again; given back twice they are given back once."""
        cost, permit.cost = permit.cost, math.nan
        if math.isnan(cost) or permit.era != self._era:
            return
        self._count -= 1
        self.in_use = self.in_use - cost if self._count else 0.0

    def fits(self, cost: float) -> bool:
        """Whether a call of *cost* could ever go in."""
        return cost <= self.limit * _ROUNDING

    def after_fork(self) -> None:
        """Nobody is inside; seats from before the fork are given back to nobody."""
        self._era += 1
        self._count = 0
        self.in_use = 0.0
