"""The default limit: as many inside as can be without waiting much, judged once a round trip.

A *round* ends when a call that was let in after the round began has ended, and at least six have: so each
round has seen what the last change did. It goes on, up to 48 calls, while chance may have brought its figures
across a threshold, or while it has not taken a millisecond. A round gives the median latency, its 90th
percentile, and the share of calls that were dropped. Beside them the limit remembers the *floor*: the median
while nobody waits.

The model is overloaded when ::

    median > 2.5 floor                           waiting makes up more than half of a call's time
    90th percentile > 0.65 deadline, and median > 1.5 floor
    median > 0.65 deadline                       whatever the floor: a floor may be wrong, a deadline is not
    dropped > 5 %,                   and median > 1.5 floor

The two with *and* leave a service alone whose own tail is long: with nobody waiting, fewer calls would not
make it shorter. Every round the limit then becomes

* ``limit * max(0.95, 1 / excess)`` when overloaded, *excess* being how far the worst of these is surpassed;
  0.6 in place of 0.95 when most calls are dropped;
* ``limit + max(1, 0.1 limit)`` when at least half of it is used, by a fifth of the calls or more, and all is
  below 0.7 of the above; times 1.5 as long as nothing has ever waited since the model was last at ease;
* a little less, towards twice the most that was used lately, when far less than it is used: a limit that was
  never tried protects nobody.

**Rest must pay too.** Between ease and overload the limit stays where it is, and the floor may be one of
other times. So once the answers of a while have been counted, a limit a quarter higher is tried: where the
good answers a second rise by 0.4 of that, the model was waiting for more, and the floor is raised. Where they
do not, the limit goes back, and rests twice as long before the next trial.

**A cut must pay.** When the limit has come down to 0.65 of where a descent began, the good answers a second
are compared with those near the top of it. If they fell below 0.8 of that while all of the limit was used,
the calls did not wait for each other: the model itself became slower. The limit goes back up, what latency
was found is excused for some rounds (twice as many each time in a row), and the floor is raised to match.
That is how the floor follows a model that has become slower; it follows one that became faster by itself.
"""

from __future__ import annotations

import math
from typing import Any, ClassVar

from .ascent import Ascent
from .descent import Descent
from .protocol import DROP, OK, OOM, LimitAlgorithm, Trip

ROUND = 6
"""The fewest samples of a round: below, a median is hardly better than a single sample."""

WAITING = 1.5
"""A median of so many floors shows that calls wait; less is the noise of a median of few."""

CROWDED = 2.5
"""A median of so many floors shows that calls mostly wait. A model that thrashes is at its peak between 2
and 3, one with workers needs 1 and a little, and one that batches gets a fair part of its best."""

REACH = 0.65
"""The share of the deadline that a call may take: what is left is for the spread of those behind it."""

DROPPED = 0.05
"""The share of drops that a model at ease may have."""

EASE = 0.7
"""How far below overload a round must stay for the limit to grow, so that it does not swing."""

LONGEST = 48
"""The most samples that a round waits for before it acts on what chance may explain."""

SHORTEST = 1e-3
"""Seconds that a round of fewer samples takes: in less, latencies tell of threads and of the clock."""

SURE = 0.7
"""So many standard errors a median must be beyond a threshold before a shorter round acts on it."""

TOO_FAR = 1.4
"""How far into overload the trial of a higher limit may go."""

BUSY = 0.2
"""The share of calls that must have met half of the limit in use for it to grow: the first ones of a burst
tell how it was before."""


class WaitingLimit(LimitAlgorithm):
    """As many as the model can take at once without letting them wait for each other.

    Args:
        deadline: The seconds that a call may take, or None where there is none; may be changed at any time.
            With it there is an absolute measure; without it the limit judges by the floor and by drops alone.
        initial: The limit to begin with. It doubles within two round trips, so it matters little.
        minimum: The smallest limit.
        maximum: The largest limit.

    Attributes:
        deadline: See above.
        floor: The median seconds of a call, for each unit of cost, while nobody waits; ``inf`` until known.

    >>> limit = WaitingLimit(deadline=1.0)
    >>> for second in range(6):  # at ease, and all in use: it grows
    ...     limit.learn(float(second), Trip(at=second - 0.1, inside=20, seconds=0.1, outcome="ok"))
    >>> limit.limit
    30.0
    """

    KEPT: ClassVar[tuple[str, ...]] = ("limit", "floor", "used")

    def __init__(
        self,
        *,
        deadline: float | None = None,
        initial: float = 20,
        minimum: float = 1,
        maximum: float = 1000,
    ) -> None:
        super().__init__(initial, minimum, maximum)
        self.deadline: float | None = deadline
        self.floor: float = math.inf
        self.used: float = 0.0
        self._eager = True
        self._descent: Descent | None = None
        self._excused = 0
        self._excused_below = 0.0
        self._in_vain = 0
        self._held = 0
        self._spread = 0.4
        self._ascent = Ascent()
        self._begin = -math.inf
        self.forget_window()

    def forget_window(self) -> None:
        """Begin a round."""
        self._seconds: list[float] = []
        self._paces: list[float] = []
        self._drops = 0
        self._most = 0.0
        self._busy = 0
        self._look = ROUND

    def restore(self, saved: Any) -> None:
        """Take up what :meth:`snapshot` returned; what was being tried out is forgotten."""
        super().restore(saved)
        self.floor = max(self.floor, 1e-9)
        self._begin_anew()

    def learn(self, now: float, trip: Trip) -> None:
        """Collect; a sixth or later call that was let in since the round began ends the round."""
        seconds = trip.seconds or 1e-9  # a clock that stands still
        self._seconds.append(seconds)
        if trip.cost != 1.0:
            self._paces.append(seconds / max(trip.cost, 1e-9))
        inside = trip.inside
        if inside > self._most:  # noqa: PLR1730 - half the time of max()
            self._most = inside
        if inside * 2 >= self.limit:
            self._busy += 1
        if trip.outcome is not OK:
            if trip.outcome == OOM:
                self._halve(now)
                return
            self._drops += trip.outcome == DROP
        if trip.at >= self._begin and len(self._seconds) >= self._look:
            self._turn(now)
        elif now < self._begin:
            self._begin = now  # the clock stepped back: wait no longer than the calls inside take

    def _halve(self, now: float) -> None:
        """Out of memory: what was inside cannot be, and half of it is a guess that needs few more of them."""
        self.limit: float = max(self.minimum, self.limit / 2)
        self._eager = False
        self._begin_anew()
        self._begin = now
        self.forget_window()

    def _begin_anew(self) -> None:
        """The limit was set from outside: no trial and no descent led to it."""
        self._descent = None
        self._ascent.forget()

    def _turn(self, now: float) -> None:
        """End the round."""
        count = len(self._seconds)
        if count < LONGEST and now - self._begin < SHORTEST:
            self._look = LONGEST
            return
        ordered = sorted(self._seconds)
        median = ordered[count // 2]
        tail = ordered[count * 9 // 10]
        # A round in which some calls had a cost compares all by what one unit took.
        pace = sorted(self._paces)[len(self._paces) // 2] if self._paces else median
        pace = max(pace, 1e-9)  # a clock may be too coarse to see how long a call took
        dropped = self._drops / count
        if not self._eager and count < LONGEST and self._unsure(median, tail, dropped, pace, count):
            self._look = 2 * count
            return
        busy = math.fsum(ordered)
        # Idle time does not age what is known.
        elapsed = max(min(now - self._begin, busy), 1e-9)
        full = self._most >= math.floor(self.limit)
        self._learn_floor(pace, count, full=full)
        self.used = max(self._most, self.used * math.exp(-elapsed / max(50 * self.floor, 1e-9)))
        waiting = pace / self.floor
        excess = self._excess(median, tail, dropped, waiting)
        if self._excused:
            self._excused -= 1
            if pace < self._excused_below:
                excess = min(excess, 0.7)
        good = count - self._drops
        limit = self._next(excess, dropped, waiting)
        rests = limit == self.limit < self.maximum and self._descent is None
        if self._ascent.trying or (rests and full and waiting >= WAITING):
            limit = self._rest(limit, good, elapsed, pace, excess)
        else:
            self._ascent.forget()
        if self._descent is not None:
            limit = self._pay(limit, good, elapsed, pace, full=full)
        self.limit = min(self.maximum, max(self.minimum, limit))
        self._begin = now
        self.forget_window()

    def _unsure(self, median: float, tail: float, dropped: float, pace: float, count: int) -> bool:
        """Whether chance alone may have brought the round here, so that more samples are worth it."""
        spread = math.log(max(tail / max(median, 1e-9), 1.0)) / 1.28
        self._spread += (spread - self._spread) * count / (count + 30)
        if self.floor == math.inf:
            return False
        excess = self._excess(median, tail, dropped, pace / self.floor)
        doubt = math.exp(SURE * 1.25 * self._spread / math.sqrt(count))
        return EASE / doubt < excess < doubt

    def _rest(self, limit: float, good: int, elapsed: float, pace: float, excess: float) -> float:
        """At rest, and all in use: try whether more would pay."""
        ascent = self._ascent
        if not ascent.trying:
            return ascent.rest(limit, good, elapsed)
        if excess > TOO_FAR:
            ascent.forget()
            return limit
        self._descent = None  # a trial is not overload
        higher = ascent.climb(self.limit, good, elapsed)
        if higher is not None:
            return higher
        self.floor = max(self.floor, pace / WAITING)
        return self.limit

    def _learn_floor(self, pace: float, count: int, *, full: bool) -> None:
        """Down fast; up slowly while there is room; while the limit is all in use, only by :meth:`_pay`."""
        if self.floor == math.inf:
            self.floor = pace
            return
        speed = 0.3 if pace < self.floor else 0.0 if full else 0.05
        self.floor += (pace - self.floor) * speed * count / (count + 10)

    def _excess(self, median: float, tail: float, dropped: float, waiting: float) -> float:
        """How far the round is above the worst of what overload means; 1 is just not."""
        excess = 0.0
        if self.deadline:
            reach = REACH * self.deadline
            excess = (tail if waiting >= WAITING else median) / reach
        if waiting >= WAITING:
            excess = max(excess, waiting / CROWDED)
            if dropped > DROPPED:
                excess = max(excess, 1 + dropped)
        return excess

    def _next(self, excess: float, dropped: float, waiting: float) -> float:
        limit = self.limit
        if excess > 1:
            self._eager = False
            if self._descent is None:
                self._descent = Descent(limit)
            return limit * max(0.6 if dropped > 0.5 else 0.95, 1 / excess)
        if self._most >= limit / 2 and excess < EASE and self._busy >= BUSY * len(self._seconds):
            if self._eager and excess < 0.4:
                return limit * 1.5
            return limit + max(1.0, 0.1 * limit)
        if waiting < WAITING:
            self._eager = self._eager or excess < 0.4
            spare = 2 * self.used + 1
            if limit > spare:
                return max(0.95 * limit, spare)
        return limit

    def _pay(self, limit: float, good: int, elapsed: float, pace: float, *, full: bool) -> float:
        """Take a descent back that cost good answers."""
        descent = self._descent
        assert descent is not None
        if limit >= 0.95 * descent.top and descent.steps:
            self._descent = None
            return limit
        self._held = self._held + 1 if limit == self.limit else 0
        if self._held >= 5:
            # At rest for a while: the next descent is another story.
            self._descent = None
            return limit
        paid = descent.judge(self.limit, good, elapsed, full=full)
        if paid is None:
            return limit
        if paid:
            self._in_vain = 0
            self._descent = Descent(self.limit)
            return limit
        self._excused = 8 * 2**self._in_vain
        self._in_vain = min(4, self._in_vain + 1)
        self._excused_below = 1.25 * pace
        self.floor = max(self.floor, pace / WAITING)
        self._descent = None
        return descent.top
