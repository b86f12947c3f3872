"""A limiter: lets as many in as its algorithm says, and tells the algorithm how they fared.

What is inside is counted in units of cost, one a call unless told otherwise. A call has two ends, mostly
at the same moment: its *outcome* is known, and its *place* comes back. They part when a call runs out of time
and its work cannot be stopped: the outcome is known at the deadline, the place comes back when the work ends.
"""

from __future__ import annotations

import math
import threading
from typing import Any, cast

from .._forks import survive_forks
from .limits.protocol import IGNORE, OK, OUTCOMES, LimitAlgorithm, Trip

VERSION = 1

LONGEST = 1e9
"""Seconds that no call takes: thirty years."""


class LimiterMachine:
    """Counts what is inside and compares it with the algorithm's limit.

    Args:
        algorithm: Finds the limit; it belongs to this machine from here on.

    Attributes:
        inside: The cost of all that is inside.
        generation: How often it was reset, restored or forked: calls let in before teach nothing any more.

    >>> from resilient_ml.machines.limits.waiting import WaitingLimit
    >>> machine = LimiterMachine(WaitingLimit(initial=1))
    >>> trip = machine.admit(0.0)
    >>> machine.admit(0.1) is None
    True
    >>> machine.end(trip, 0.2)
    >>> machine.room
    1
    """

    __slots__ = ("__weakref__", "_algorithm", "_forked_at", "_learning", "_lock", "generation", "inside")

    def __init__(self, algorithm: LimitAlgorithm) -> None:
        self._algorithm = algorithm
        self._lock = threading.RLock()
        self._forked_at = 0
        self._learning = False
        self.generation: int = 0
        self.inside: float = 0.0
        survive_forks(self)

    @property
    def limit(self) -> int:
        """How many calls of cost 1 may be inside together."""
        return int(self._algorithm.limit)

    @property
    def room(self) -> int:
        """How many more calls of cost 1 may enter now."""
        return max(0, int(self._algorithm.limit) - math.ceil(self.inside))

    def admit(self, now: float, cost: float = 1.0) -> Trip | None:
        """A permit, or None when there is no room for it.

        A call that costs more than the whole limit is let in alone: it would never get in otherwise.

        Args:
            now: The instant.
            cost: What the call counts for, above 0.
        """
        algorithm = self._algorithm
        with self._lock:
            if now >= algorithm.due and not self._learning:
                algorithm.tick(now)
            inside = self.inside + cost
            if inside > int(algorithm.limit) and self.inside > 0:
                return None
            self.inside = inside
            return Trip(now, inside, cost, self.generation)

    def end(self, trip: Trip, now: float, outcome: str = OK, seconds: float | None = None) -> None:
        """A call has ended: learn from it and take its place back.

        Args:
            trip: What :meth:`admit` returned.
            now: The instant.
            outcome: ``ok``, ``drop``, ``oom`` or ``ignore``.
            seconds: What counts as its latency, when that is not the time since it was let in: for a
                stream, until the first content.

        Raises:
            ValueError: *outcome* is none of these.
        """
        with self._lock:
            self._judge(trip, now, outcome, seconds)
            self._leave(trip)

    def judge(self, trip: Trip, now: float, outcome: str, seconds: float | None = None) -> None:
        """The outcome is known, though the work goes on: its place stays taken until :meth:`leave`.

        An outcome that comes a second time, or for a call of an earlier generation, changes nothing.
        """
        with self._lock:
            self._judge(trip, now, outcome, seconds)

    def leave(self, trip: Trip) -> None:
        """The work has ended: its place comes back, once."""
        with self._lock:
            self._leave(trip)

    def _judge(self, trip: Trip, now: float, outcome: str, seconds: float | None) -> None:
        if outcome not in OUTCOMES:
            raise ValueError(f"outcome must be ok, drop, oom or ignore, got {outcome!r}; pass one of these")
        if trip.outcome:
            return
        trip.outcome = outcome
        if outcome == IGNORE or trip.generation != self.generation:
            return
        took = now - trip.at if seconds is None else seconds
        # A clock that jumped, or a latency that is no number, teaches nothing; nor does a call from a signal
        # handler that came in the middle of a lesson.
        if 0 <= took < LONGEST and -math.inf < now < math.inf and not self._learning:
            trip.seconds = took
            trip.inside = self.inside
            self._learning = True
            try:
                self._algorithm.learn(now, trip)
            finally:
                self._learning = False

    def _leave(self, trip: Trip) -> None:
        if trip.back:
            return
        trip.back = True
        if trip.generation >= self._forked_at:
            # Sums of fractions may leave a trace: with nobody inside there is none.
            self.inside = inside if (inside := self.inside - trip.cost) > 1e-9 else 0.0

    def reset(self, algorithm: LimitAlgorithm) -> None:
        """Begin anew with *algorithm*; who is inside stays so, and teaches it nothing."""
        with self._lock:
            self._algorithm = algorithm
            self.generation += 1

    def snapshot(self) -> dict[str, Any]:
        """What has been learned, as plain data; who is inside is not part of it."""
        with self._lock:
            learned = self._algorithm.snapshot()
        return {"version": VERSION, "algorithm": type(self._algorithm).__name__, "learned": learned}

    def restore(self, saved: Any) -> None:
        """Take up a snapshot of the same algorithm.

        Raises:
            ValueError: *saved* is none, or of another algorithm; nothing has changed then.
        """
        name = type(self._algorithm).__name__
        remedy = "pass what snapshot() of a limiter with the same algorithm returned"
        found = cast(dict[str, Any], saved) if isinstance(saved, dict) else {}
        if found.get("version") != VERSION:
            raise ValueError(f"a limiter's snapshot must be a dict of version {VERSION}; {remedy}")
        if found.get("algorithm") != name:
            raise ValueError(f"a limiter's snapshot must be of {name}; {remedy}")
        with self._lock:
            self._algorithm.restore(found.get("learned"))
            self.generation += 1

    def after_fork(self) -> None:
        """Whoever was inside is not in this process."""
        self._lock = threading.RLock()
        self.generation += 1
        self._forked_at = self.generation
        self.inside = 0.0
