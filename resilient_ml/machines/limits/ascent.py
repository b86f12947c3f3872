"""Whether a higher limit would pay, tried out while a limit is at rest."""

from __future__ import annotations

STEP = 1.25
"""So much higher is tried."""

PAYS = 0.4
"""The share of the step by which the good answers a second must rise. A model that is full gives 0, one that
waits for more work gives 1."""

ENOUGH = 150
"""Good answers to compare: with fewer chance is larger than what is looked for."""

MOST = 32
"""How many times as long to rest, at the most, after trials in vain."""


class Ascent:
    """Rests, tries a higher limit, and compares the good answers a second.

    Attributes:
        trying: Whether a higher limit is being tried.
    """

    __slots__ = ("_good", "_in_vain", "_limit", "_rate", "_rounds", "_seconds", "trying")

    def __init__(self) -> None:
        self._in_vain = 1
        self._limit = 0.0
        self._rate = 0.0
        self.trying: bool = False
        self._begin()

    def _begin(self) -> None:
        self._good = 0
        self._seconds = 0.0
        self._rounds = 0

    def forget(self) -> None:
        """The limit is not at rest: what was counted says nothing."""
        self.trying = False
        self._begin()

    def rest(self, limit: float, good: int, seconds: float) -> float:
        """A round of rest at *limit*; the limit to go on with, higher for a trial."""
        if limit != self._limit:
            self._limit = limit
            self._begin()
        else:
            self._good += good
            self._seconds += seconds
        self._rounds += 1
        if self._rounds < 4 or self._good < ENOUGH * self._in_vain:
            return limit
        self._rate = self._good / self._seconds
        self.trying = True
        self._begin()
        return max(limit * STEP, limit + 1.0)

    def climb(self, limit: float, good: int, seconds: float) -> float | None:
        """A round at the higher *limit*; the limit to go on with, or None where it pays."""
        self._rounds += 1
        if self._rounds > 1:  # the first holds answers to calls let in before
            self._good += good
            self._seconds += seconds
        if self._rounds < 4 or self._good < ENOUGH:
            return limit
        rose = self._good / self._seconds / self._rate - 1.0
        share = rose / (limit / self._limit - 1.0)
        self.trying = False
        self._begin()
        if share >= PAYS:
            self._in_vain = 1
            return None
        self._in_vain = min(MOST, 2 * self._in_vain)
        return self._limit
