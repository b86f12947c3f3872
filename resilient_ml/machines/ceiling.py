"""How much a model can hold at once, found out by what did not fit.

The ceiling is infinite until something fails. A batch of cost *c* that does not fit brings it down to the
largest cost that did fit, or to half of *c* where none is known; each batch that fits afterwards raises what
is known to fit. Once *clean* batches in a row fit while the ceiling held some of them back, and *seconds*
have passed since the last change, it grows by a twentieth of the smallest cost that failed: memory that
others took may be free again.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

_STEP = 20


class CeilingMachine:
    """The ceiling of one model on one device.

    Threads share it without a lock: a lost count is no harm.

    Args:
        clean: So many batches that were held back must fit before it grows, from 1.
        seconds: And so many seconds must have passed since it changed, from 0.
        ceiling: What to begin with; ``inf`` for no bound.

    Attributes:
        ceiling: The most cost that is sent at once.
        fits: The largest cost known to fit, 0 for none.
        fails: The smallest cost known to fail, ``inf`` for none.
    """

    __slots__ = ("_clean", "_held_back", "_seconds", "_since", "ceiling", "fails", "fits")

    def __init__(self, *, clean: int, seconds: float, ceiling: float = math.inf) -> None:
        self._clean = clean
        self._seconds = seconds
        self._held_back = 0
        self._since = -math.inf
        self.ceiling: float = ceiling
        self.fits: float = 0.0
        self.fails: float = math.inf

    @property
    def known(self) -> tuple[float, float]:
        """The ceiling, and the smallest cost known to fail."""
        return self.ceiling, self.fails

    def forgive(self, known: tuple[float, float]) -> None:
        """It was a single row that failed, however few came with it: what was *known* before holds."""
        self.ceiling, self.fails = known

    def failed(self, now: float, cost: float) -> None:
        """A batch of *cost* did not fit."""
        self.fails = min(self.fails, cost)
        if self.fits >= cost:
            self.fits = 0.0  # less is free than there was
        self.ceiling = min(self.ceiling, max(cost / 2, self.fits))
        self._held_back = 0
        self._since = now

    def passed(self, now: float, cost: float, *, held_back: bool) -> float | None:
        """A batch of *cost* fits; the new ceiling, where it has grown.

        Args:
            now: The instant.
            cost: What the batch cost.
            held_back: Whether the ceiling kept it from being larger.
        """
        self.fits = max(self.fits, cost)
        if not held_back:
            return None
        self._held_back += 1
        if self._held_back < self._clean or now - self._since < self._seconds:
            return None
        self._held_back = 0
        self._since = now
        self.ceiling += max(self.fails / _STEP, 1e-9) if self.fails < math.inf else self.ceiling / _STEP
        self.fails = max(self.fails, self.ceiling)
        return self.ceiling

    def parts(self, costs: Sequence[float], rows: range) -> list[range]:
        """How to cut *rows* of *costs* into parts in order, none above the ceiling but single rows."""
        if self.ceiling == math.inf or math.fsum(costs[row] for row in rows) <= self.ceiling:
            return [rows]
        found: list[range] = []
        begin, total = rows.start, 0.0
        for row in rows:
            if row > begin and total + costs[row] > self.ceiling:
                found.append(range(begin, row))
                begin, total = row, 0.0
            total += costs[row]
        found.append(range(begin, rows.stop))
        return found


def halves(part: range, costs: Sequence[float]) -> tuple[range, range]:
    """*part*, of at least two rows, cut where its cost is nearest to half."""
    total = math.fsum(costs[row] for row in part)
    before, best, place = 0.0, math.inf, part[1]
    for row in part[1:]:
        before += costs[row - 1]
        if abs(before - total / 2) < best:
            best, place = abs(before - total / 2), row
    return range(part.start, place), range(place, part.stop)
