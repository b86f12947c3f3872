"""What was taken in the last *per* seconds, in a bounded number of slices.

Costs that come within ``per / slices`` seconds share a slice, and a slice counts until *per* seconds and one
slice's width after its end. So a cost counts for *per* seconds at least, whenever it came, and for
``per * (1 + 2 / slices)`` at most: the limit holds over every window, wherever it begins, and at least
``slices / (slices + 2)`` of it can be used. The width to spare is for the way to a provider who counts as
well, on which one call may take longer than another.
"""

from __future__ import annotations

from collections import deque
from math import inf
from typing import Self

from .gcra import ROUNDING

_CRUMB = 1e-9
"""What sums of floats may leave over: no cost is held back for so little."""


class Slice:
    """Costs that came within one slice's width.

    Attributes:
        end: Until when costs join it.
        until: Until when it counts.
        amount: How much it holds; it may be corrected for as long as it counts.
    """

    __slots__ = ("amount", "end", "until")

    def __init__(self, end: float, until: float, amount: float) -> None:
        self.end: float = end
        self.until: float = until
        self.amount: float = amount


class SlidingWindow:
    """At most *limit* in any window of *per* seconds.

    What is charged afterwards may bring it over the limit, and later calls wait until enough has left the
    window. Not guarded against threads: its owner is.

    Args:
        limit: How much may be taken in *per* seconds, above 0.
        per: The window, in seconds, above 0.
        slices: How finely it forgets: it remembers as many numbers, and 2 more.

    >>> window = SlidingWindow(2, per=60.0)
    >>> marks = [window.take(0.0, 1), window.take(30.0, 1)]
    >>> round(window.ready_at(30.0, 1), 3)
    61.2
    """

    __slots__ = ("_held", "_last", "_used", "_width", "limit", "per", "same_until")

    def __init__(self, limit: float, per: float, slices: int = 100) -> None:
        self.limit: float = limit
        self.per: float = per
        self._width = per / slices
        self._held: deque[Slice] = deque()
        self._last = Slice(-inf, -inf, 0.0)
        self._used = 0.0
        self.same_until: float = -inf

    @property
    def largest(self) -> float:
        """The largest cost that ever fits without debt."""
        return self.limit

    def resize(self, limit: float) -> None:
        """Go on with another *limit*."""
        self.limit = limit

    def ready_at(self, now: float, cost: float) -> float:
        """The first instant, from *now*, at which *cost* fits; an empty window does for one beyond it."""
        held = self._held
        if held and held[0].until <= now + ROUNDING:
            self._forget(now)
        room = self.limit - cost
        if self._used <= room:
            return now
        used, room = self._used, max(room, 0.0)
        for one in tuple(held):  # a signal handler on this thread may come in between and forget some
            if used <= room + _CRUMB:
                break
            used -= one.amount
            now = max(now, one.until)
        return now

    def admit(self, now: float, cost: float) -> Slice | None:
        """Take *cost* if it fits, and a mark to :meth:`correct` it by; None if it does not."""
        return None if self.ready_at(now, cost) > now else self.take(now, cost)

    def take(self, now: float, cost: float) -> Slice:
        """Take *cost*, whether it fits or not; a mark to :meth:`correct` it by."""
        held = self._held
        if held and held[0].until <= now + ROUNDING:
            self._forget(now)
        self._used += cost
        last = self._last
        if now < last.end and now < last.until:
            last.amount += cost
            return last
        width = self._width
        self._last = last = Slice(now + width, now + width + width + self.per, cost)
        held.append(last)
        self.same_until = last.end
        return last

    def correct(self, mark: Slice, change: float, now: float) -> None:
        """What is in *mark* cost *change* more, or less if negative; nothing if it has left the window."""
        if mark.until > now + ROUNDING:
            mark.amount += change
            self._used += change

    def left(self, now: float) -> float:
        """How much may be taken at *now*; negative in debt."""
        self._forget(now)
        return self.limit - self._used

    def copy(self) -> Self:
        """Another window that holds the same."""
        twin = type(self)(self.limit, self.per)
        twin._width = self._width
        twin._held = deque(Slice(one.end, one.until, one.amount) for one in tuple(self._held))
        if twin._held:
            twin._last = twin._held[-1]
        twin._used = self._used
        return twin

    def _forget(self, now: float) -> None:
        held = self._held
        for one in tuple(held):
            until = one.until
            if until > now + ROUNDING:
                break
            one.until = -inf
            if until > -inf:
                self._used -= one.amount
                held.popleft()
        if not held:
            self._used = 0.0  # what rounding has left over
