"""What may be spent, and what calls in flight may come to: a tree of ledgers that holds at every moment.

A call reserves its worst case in its ledger and in all that this one is within, or in none of them::

    spent + reserved + worst case <= limit        in each, or the call is refused

and when it has ended the reservation is replaced by what it did cost. So the limits hold however many calls
are in flight, as long as none costs more than its worst case. Amounts are kept in whole millionths, rounded
up, as a sum of floats is not exact.
"""

from __future__ import annotations

import math
import threading
from collections.abc import Iterator
from dataclasses import dataclass

from .._forks import survive_forks
from .sliding_window import SlidingWindow

_PARTS = 1_000_000
_CRUMB = 1e-3
"""Of a millionth: what the product of an amount may be over it by rounding alone."""


def in_parts(amount: float) -> int:
    """*amount* in whole millionths, rounded up."""
    return math.ceil(amount * _PARTS - _CRUMB)


@dataclass(frozen=True, slots=True)
class Exhausted:
    """Why a call was refused.

    Attributes:
        ledger: Which ledger has too little left.
        left: How much that is.
        wait: Seconds until it has enough, if calls in flight cost their worst case; None if it never will.
    """

    ledger: Ledger
    left: float
    wait: float | None


class Ledger:
    """One limit, and how much of it is gone.

    Args:
        limit: How much may be spent, above 0.
        per: In so many seconds, wherever the window begins; None for ever.
        within: The ledger of which this one spends a part, or None.

    Attributes:
        unknown: How many calls were charged their worst case, as nobody could tell what they cost.

    >>> session = Ledger(1.0, within=Ledger(1.5))
    >>> session.reserve(0.0, 0.75) is None
    True
    >>> session.settle(0.0, 0.75, 0.25)
    >>> session.left(0.0), session.within.left(0.0)
    (0.75, 1.25)
    """

    __slots__ = ("__weakref__", "_own_lock", "_reserved", "_total", "_window", "limit", "unknown", "within")

    def __init__(self, limit: float, per: float | None = None, within: Ledger | None = None) -> None:
        self.limit: float = limit
        self.within: Ledger | None = within
        self.unknown: int = 0
        self._window = None if per is None else SlidingWindow(in_parts(limit), per)
        self._total = 0
        self._reserved = 0
        self._own_lock = threading.RLock()
        survive_forks(self)

    def lineage(self) -> Iterator[Ledger]:
        """This ledger, and those that it is within."""
        ledger: Ledger | None = self
        while ledger is not None:
            yield ledger
            ledger = ledger.within

    def reserve(self, now: float, worst: float) -> Exhausted | None:
        """Set *worst* aside everywhere; why not, and nothing set aside, where one has too little left."""
        parts = in_parts(worst)
        with self._lock:
            for ledger in self.lineage():
                if ledger._left(now) < parts:
                    return Exhausted(ledger, ledger._left(now) / _PARTS, ledger._wait(now, parts))
            for ledger in self.lineage():
                ledger._reserved += parts
        return None

    def settle(self, now: float, worst: float, actual: float | None) -> None:
        """A call that had reserved *worst* has cost *actual*; all of it where that is None."""
        parts = in_parts(worst)
        spent = parts if actual is None else in_parts(actual)
        with self._lock:
            for ledger in self.lineage():
                ledger._reserved = max(0, ledger._reserved - parts)
                ledger.unknown += actual is None
                if ledger._window is None:
                    ledger._total += spent
                elif spent:
                    ledger._window.take(now, spent)

    def spent(self, now: float) -> float:
        """How much calls that have ended have cost, in the window."""
        with self._lock:
            return self._spent(now) / _PARTS

    def reserved(self) -> float:
        """What calls in flight may come to."""
        with self._lock:
            return self._reserved / _PARTS

    def left(self, now: float) -> float:
        """How much a call may cost at most; negative where some cost more than their worst case."""
        with self._lock:
            return self._left(now) / _PARTS

    def _spent(self, now: float) -> int:
        if self._window is None:
            return self._total
        return round(self._window.limit - self._window.left(now))

    def _left(self, now: float) -> int:
        return in_parts(self.limit) - self._spent(now) - self._reserved

    def _wait(self, now: float, parts: int) -> float | None:
        wanted = parts + self._reserved
        if self._window is None or wanted > self._window.limit:
            return None
        return self._window.ready_at(now, wanted) - now

    @property
    def _lock(self) -> threading.RLock:
        """One for all ledgers of a tree: that of the outermost."""
        return self._own_lock if self.within is None else self.within._lock

    def after_fork(self) -> None:
        """The calls in flight are not in this process."""
        self._own_lock = threading.RLock()
        self._reserved = 0
