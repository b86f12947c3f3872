"""Sliding windows of outcomes in which a success costs one tick of a counter.

A breaker sees far more successes than failures, so the windows are built around this:

* Every outcome draws the next number of one ``itertools.count``. In CPython that is a single uninterruptible
  step, so no success is lost between threads although no lock is taken.
* Bad outcomes (failures, slow calls) are written down with what is needed to forget them in time.
  They come under their owner's lock.

So the number of calls in the window is a difference of two numbers of the counter, and a rate is exact.
"""

from __future__ import annotations

import itertools
import math
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol


@dataclass(frozen=True, slots=True)
class Tally:
    """What a window holds: numbers of calls, of failed ones, and of slow ones."""

    calls: int
    failures: int
    slow: int


class Window(Protocol):
    """Outcomes of the recent past.

    ``tick()`` records a success and may be called by any thread at any time, once ``now < edge``.
    All else is called by one thread at a time.
    """

    edge: float
    tick: Callable[[], int]

    def advance(self, now: float) -> None:
        """Forget what is too old at *now*; needed before an outcome once ``now >= edge``."""

    def record(self, now: float, *, failed: bool, slow: bool) -> int:
        """Record an outcome that is not a plain success; returns its number among all, from 1."""

    def tally(self, now: float) -> Tally:
        """What the window holds at *now*."""


class CountWindow:
    """The last *size* calls.

    ``calls = min(size, n)``; a bad outcome counts while its number is among the last *size*.

    >>> window = CountWindow(3)
    >>> _ = window.record(0.0, failed=True, slow=False)
    >>> _ = window.tick()
    >>> window.tally(0.0)
    Tally(calls=2, failures=1, slow=0)
    """

    __slots__ = ("_failed", "_next", "_reads", "_size", "_slow", "edge", "tick")

    def __init__(self, size: int) -> None:
        self._size = size
        self._next = itertools.count(1)
        self._reads = 0
        self._failed: deque[int] = deque()
        self._slow: deque[int] = deque()
        self.edge: float = math.inf
        self.tick: Callable[[], int] = self._next.__next__

    def advance(self, now: float) -> None:
        """Nothing ages by time."""

    def record(self, now: float, *, failed: bool, slow: bool) -> int:
        """Record a failed call, a slow one, or one that is both."""
        number = self.tick() - self._reads
        if failed:
            self._failed.append(number)
            _forget(self._failed, number - self._size)
        if slow:
            self._slow.append(number)
            _forget(self._slow, number - self._size)
        return number

    def tally(self, now: float) -> Tally:
        """What is among the last *size* calls."""
        self._reads += 1
        number = self.tick() - self._reads
        oldest = number - self._size
        _forget(self._failed, oldest)
        _forget(self._slow, oldest)
        return Tally(min(number, self._size), len(self._failed), len(self._slow))


def _forget(numbers: deque[int], until: int) -> None:
    while numbers and numbers[0] <= until:
        numbers.popleft()


@dataclass(slots=True)
class _Slice:
    begins: float
    first: int
    failures: int = 0
    slow: int = 0


class TimeWindow:
    """The calls of the last *seconds*, kept in *slices* equal parts.

    The oldest slice is dropped whole, so the window spans between ``seconds * (1 - 1 / slices)`` and
    *seconds*. Memory is one small record a slice, whatever the traffic. A clock that stands still or steps
    back a little adds to the slice at hand; at the first bad outcome after a step back by more than the
    whole window, the window starts anew.
    """

    __slots__ = ("_next", "_reads", "_seconds", "_slices", "_width", "edge", "tick")

    def __init__(self, seconds: float, slices: int = 10) -> None:
        self._seconds = seconds
        self._width = seconds / slices
        self._next = itertools.count(1)
        self._reads = 0
        self._slices: deque[_Slice] = deque()
        self.edge: float = -math.inf
        self.tick: Callable[[], int] = self._next.__next__

    def advance(self, now: float) -> None:
        """Begin the slice that *now* lies in and drop those that have aged out."""
        slices = self._slices
        back = now < self.edge
        if back and now >= slices[-1].begins - self._seconds:
            return
        begins = math.floor(now / self._width) * self._width
        oldest = begins + self._width - self._seconds - self._width * 1e-6
        # After a step back they lie in the future, and would not age until the clock is there again.
        kept = deque(() if back else (part for part in slices if part.begins >= oldest))
        kept.append(_Slice(begins, self._count()))
        if self._slices is not slices:
            return  # a signal handler or finalizer on this thread has begun a slice meanwhile
        # Replaced and not changed, so that one of these never finds it half done, nor changed under a sum.
        self._slices = kept
        # Last: whoever sees this edge ticks without a lock, and must find the slice begun.
        # Rounding may put the end of the slice at or before now; the edge must lie ahead.
        self.edge = max(begins + self._width, math.nextafter(now, math.inf))

    def record(self, now: float, *, failed: bool, slow: bool) -> int:
        """Record a failed call, a slow one, or one that is both."""
        self.advance(now)
        number = self.tick() - self._reads
        current = self._slices[-1]
        current.failures += failed
        current.slow += slow
        return number

    def tally(self, now: float) -> Tally:
        """What the slices hold."""
        self.advance(now)
        slices = self._slices
        return Tally(
            self._count() - slices[0].first,
            sum(part.failures for part in slices),
            sum(part.slow for part in slices),
        )

    def _count(self) -> int:
        """How many calls have been recorded; looking draws a number too, which is taken off again."""
        self._reads += 1
        return self.tick() - self._reads
