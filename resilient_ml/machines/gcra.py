"""A token bucket in the form of the generic cell rate algorithm: exact, and no timer fills it.

A bucket of *burst* that fills at ``limit / per`` a second is one number, the *theoretical arrival time*:
the instant at which it would be full again. A cost moves it by ``cost * interval``, where
``interval = per / limit``::

    ready = max(arrival, now) - (burst - cost) * interval       the cost fits if ready <= now
    arrival = max(arrival, now) + cost * interval               once it is taken
"""

from __future__ import annotations

from typing import Self

ROUNDING = 1e-9
"""Seconds by which a cost may come early: sums of floats do not end where the arithmetic does."""

_AHEAD = 8
"""A bucket that will be full again in less than the time of so many has nothing to hand out beforehand."""


class Gcra:
    """A token bucket: *burst* at once, and ``limit / per`` a second in the long run.

    Over any span of *t* seconds at most ``burst + t * limit / per`` is taken, so up to twice *limit* in one
    window of *per* seconds where the burst is the limit. What is charged afterwards may bring it into debt,
    which later calls wait off. Not guarded against threads: its owner is.

    Args:
        limit: How much may be taken in *per* seconds, above 0.
        per: Seconds, above 0.
        burst: How much a full bucket holds, above 0.

    >>> bucket = Gcra(limit=60, per=60.0, burst=2)
    >>> bucket.ready_at(0.0, 2)
    0.0
    >>> mark = bucket.take(0.0, 2)
    >>> bucket.ready_at(0.5, 1)
    1.0

    Source: ITU-T I.371, "Traffic control and congestion control in B-ISDN", the virtual scheduling
    algorithm, 2004.
    """

    __slots__ = ("_arrival", "_idle", "_interval", "_share", "burst", "limit", "per", "same_until")

    def __init__(self, limit: float, per: float, burst: float) -> None:
        self.per: float = per
        self._share = burst / limit
        self._arrival = float("-inf")
        self._idle = float("-inf")
        self.same_until: float = float("-inf")
        self.resize(limit)

    @property
    def largest(self) -> float:
        """The largest cost that ever fits without debt."""
        return self.burst

    def resize(self, limit: float) -> None:
        """Go on with another *limit*; the burst changes in proportion."""
        self.limit: float = limit
        self.burst: float = limit * self._share
        self._interval = self.per / limit

    def ready_at(self, now: float, cost: float) -> float:
        """The first instant, from *now*, at which *cost* fits; a full bucket does for one beyond it."""
        arrival = self._arrival
        if arrival <= now:
            return now
        ready = arrival - (self.burst - cost) * self._interval if cost < self.burst else arrival
        return ready if ready > now + ROUNDING else now

    def admit(self, now: float, cost: float) -> float | None:
        """Take *cost* if it fits, and a mark to :meth:`correct` it by; None if it does not."""
        arrival = self._arrival
        if arrival <= now:
            self._idle = self.same_until = now
            self._arrival = now + cost * self._interval
            return now
        return None if self.ready_at(now, cost) > now else self.take(now, cost)

    def take(self, now: float, cost: float) -> float:
        """Take *cost*, whether it fits or not; a mark to :meth:`correct` it by."""
        arrival = self._arrival
        if arrival <= now:
            self._idle = arrival = now
        # The cost moves it by as much whenever it comes, up to here.
        self.same_until = arrival if arrival > now + _AHEAD * self._interval else now
        self._arrival = arrival + cost * self._interval
        return now

    def correct(self, mark: float, change: float, now: float) -> None:
        """What was taken at *mark* cost *change* more, or less if negative.

        What time has filled up since is not given back a second time: a bucket that has been full after
        *mark* keeps nothing of it.
        """
        if change > 0:
            if self._arrival <= now:
                self._idle = self._arrival = now
            self._arrival += change * self._interval
        elif mark >= self._idle:
            self._arrival += change * self._interval

    def left(self, now: float) -> float:
        """How much may be taken at *now*; negative in debt."""
        return self.burst - max(0.0, self._arrival - now) / self._interval

    def copy(self) -> Self:
        """Another bucket, as full."""
        twin = type(self)(self.limit, self.per, self.burst)
        twin._arrival = self._arrival
        twin._idle = self._idle
        return twin
