"""Several rate limits that a call passes all at once or not at all, and the one queue before them.

* A call that finds room in every meter, and nobody before it, takes its costs and passes.
* Others queue, first come first served whatever their size: while a large one waits for its room, no small
  one takes that from under it. Each can be told the instant of its turn, as the meters know when they have
  room for those before it.
* No timer serves the queue: each waiter wakes at its own turn and lets in whoever's turn it is. So one that
  hangs, or whose event loop is gone, holds nobody up for long.
* Calls of cost 1 at a lone meter need no lock: the gate takes many of them at once and hands them out as
  tickets, good for as long as the meter would have said the same of each. Whatever else touches the meter
  first gives back the tickets that nobody has drawn, so it counts to the call.
* A waiter that leaves has taken nothing yet; those behind it move up, and the first of them is woken where
  its turn has come nearer. The same holds when a call is settled for less than it had reserved.
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from itertools import repeat
from math import inf
from typing import Any, Protocol

from .._forks import survive_forks
from .gcra import ROUNDING

Costs = tuple[float, ...]
"""What a call costs, one number for each meter."""

Marks = tuple[Any, ...]
"""What each meter gave for a cost that was taken."""

_NEVER = -inf
_ALIKE = 64
"""So many tickets at most are made at once: their share of the lock's cost is small by then."""


class Meter(Protocol):
    """One limit: :class:`~.gcra.Gcra` or :class:`~.sliding_window.SlidingWindow`."""

    limit: float
    per: float
    same_until: float
    """Until when a cost may be taken as if it were that of the last :meth:`take`, whenever it comes."""

    @property
    def largest(self) -> float:
        """The largest cost that ever fits without debt."""

    def resize(self, limit: float) -> None:
        """Go on with another limit."""

    def ready_at(self, now: float, cost: float) -> float:
        """The first instant, from *now*, at which *cost* fits; it may forget what does not count at *now*."""

    def admit(self, now: float, cost: float) -> Any:
        """Take *cost* if it fits, and a mark to correct it by; None if it does not."""

    def take(self, now: float, cost: float) -> Any:
        """Take *cost*; a mark to correct it by."""

    def correct(self, mark: Any, change: float, now: float) -> None:
        """What was taken at *mark* cost *change* more, or less if negative."""

    def left(self, now: float) -> float:
        """How much may be taken at *now*."""

    def copy(self) -> Meter:
        """Another meter in the same state."""


class Waiter:
    """A place in the queue.

    Attributes:
        costs: What it will take.
        marks: What was taken for it once its turn has come; None while it waits.
        turn: When its turn is, as far as is known now.
        comes: When it will come again of its own accord.
        wake: Called once, with no lock held, when it has something to look at before; False when nobody can
            be woken.
    """

    __slots__ = ("comes", "costs", "marks", "turn", "wake")

    def __init__(self, costs: Costs, turn: float) -> None:
        self.costs: Costs = costs
        self.marks: Marks | None = None
        self.turn: float = turn
        self.comes: float = turn
        self.wake: Callable[[], bool] | None = None


Told = list[tuple[Waiter, Callable[[], bool]]]
"""Whom to wake once the lock is released, and how."""


class RateGate:
    """The meters and their queue.

    Args:
        meters: The limits, all of which hold.
        queue: How many may wait, from 0.

    Attributes:
        tickets: Whoever draws one before the instant :attr:`until` has passed for the cost of 1; it is the
            mark of that. Read before :attr:`until`: tickets that were recalled cannot be drawn.
        until: When the tickets end.

    >>> from resilient_ml.machines.gcra import Gcra
    >>> gate = RateGate([Gcra(60, per=60.0, burst=1)], queue=10)
    >>> gate.admit(0.0, (1,)) is None, gate.admit(0.0, (1,)) is None
    (False, True)
    >>> gate.turn_of(0.0, (1,))
    1.0
    """

    __slots__ = (
        "__weakref__",
        "_heard",
        "_lock",
        "_made",
        "_mark",
        "_only",
        "_raised",
        "closed_until",
        "meters",
        "queue",
        "tickets",
        "until",
        "waiters",
    )

    def __init__(self, meters: Sequence[Meter], queue: int) -> None:
        self.meters: tuple[Meter, ...] = tuple(meters)
        self.queue: int = queue
        self.closed_until: float = -inf
        self.waiters: deque[Waiter] = deque()
        self._made = tuple(meter.limit for meter in self.meters)
        self._raised = [-inf] * len(self.meters)
        self._only = self.meters[0] if len(self.meters) == 1 else None
        self._heard = False
        self._mark: Any = None
        self.tickets: Iterator[Marks] = iter(())
        self.until: float = _NEVER
        self._lock = threading.RLock()
        survive_forks(self)

    def admit(self, now: float, costs: Costs) -> Marks | None:
        """Take *costs* at once; None, and nothing taken, where there is no room or others wait."""
        self._lock.acquire()  # half as long as "with", on every call's path
        try:
            if self.until != _NEVER:
                self._recall(now)
            if self.waiters or now < self.closed_until:
                return None
            only = self._only
            if only is None:
                return self._admit_by_all(now, costs)
            cost = costs[0]
            mark = only.admit(now, cost)
            if mark is None:
                return None
            if only.same_until > now and cost == 1.0 and not self._heard:
                self._issue(only, now)
            return (mark,)
        finally:
            self._lock.release()

    def _admit_by_all(self, now: float, costs: Costs) -> Marks | None:
        for meter, cost in zip(self.meters, costs, strict=True):
            if meter.ready_at(now, cost) > now:
                return None
        return self._take(self.meters, now, costs)

    def _issue(self, only: Meter, now: float) -> None:
        """Take for calls to come: as many as fit now, for as long as that says the same of each."""
        many = int(min(only.left(now), _ALIKE))
        if many > 0:
            until = only.same_until
            self._mark = mark = only.take(now, many)
            self.tickets = repeat((mark,), many)
            self.until = until

    def _recall(self, now: float) -> None:
        """Give back what nobody has drawn; a ticket is drawn either here or by a call, by no two of them."""
        mark = self._mark
        self.until = _NEVER
        rest = len(list(self.tickets))
        if rest and self._only is not None:
            self._only.correct(mark, -rest, now)

    def turn_of(self, now: float, costs: Costs) -> float:
        """When a call that came now would have its turn; exact if nothing changes until then."""
        with self._lock:
            self._recall(now)
            return self._plan(now, costs)

    def join(self, now: float, costs: Costs, latest: float) -> tuple[Waiter | None, float]:
        """A place in the queue, and the instant of its turn; no place where that is after *latest*.

        There is none either where *queue* wait already.
        """
        with self._lock:
            self._recall(now)
            turn = self._plan(now, costs)
            if turn > latest or len(self.waiters) >= self.queue:
                return None, turn
            waiter = Waiter(costs, turn)
            self.waiters.append(waiter)
            return waiter, turn

    def serve(self, waiter: Waiter, now: float, wake: Callable[[], bool]) -> float | None:
        """Let in whoever's turn it is; when *waiter* is to come again, None once it has been let in."""
        with self._lock:
            waiter.wake = None  # it is awake
            told = self._let_in(now)
            if waiter.marks is None:
                self._refresh(now)
                waiter.wake = wake
                waiter.comes = waiter.turn
            comes = None if waiter.marks is not None else waiter.comes
        self._tell(told, now)
        return comes

    def leave(self, waiter: Waiter, now: float) -> Marks | None:
        """Leave the queue; what had been taken in the meantime, to be used or given back."""
        marks, told = self._leave(waiter, now)
        self._tell(told, now)
        return marks

    def settle(self, marks: Marks, changes: Costs, now: float) -> None:
        """What was taken cost *changes* more than was taken for it, or less where they are negative."""
        self._tell(self._settle(marks, changes, now), now)

    def close(self, now: float, until: float) -> None:
        """Let nobody in until the instant *until*."""
        with self._lock:
            self._recall(now)
            self.closed_until = max(self.closed_until, until)

    def hear(self, position: int, now: float, limit: float | None, spare: float) -> None:
        """What the provider told of the meter at *position*: obeyed at once where that is less.

        Where it is more, the limit goes back up to what it was made with by a tenth of that in each tenth of
        a window. What was held back counts as taken, and so leaves with time.

        Args:
            position: Which meter.
            now: The instant.
            limit: The provider's limit, above 0, or None where nothing was told.
            spare: How much the meter thought that it could give and the provider did not; from 0.
        """
        with self._lock:
            self._recall(now)
            self._heard = True
            meter, made = self.meters[position], self._made[position]
            if limit is not None and limit < meter.limit:
                meter.resize(limit)
                self._raised[position] = now
            elif limit is not None and meter.limit < made and now >= self._raised[position] + meter.per / 10:
                meter.resize(min(limit, made, meter.limit + made / 10))
                self._raised[position] = now
            if spare > 0:
                meter.take(now, spare)
            told = self._let_in(now)
        self._tell(told, now)

    def left(self, now: float) -> Costs:
        """How much may be taken of each meter at *now*; negative in debt."""
        with self._lock:
            self._recall(now)
            return tuple(meter.left(now) for meter in self.meters)

    def _plan(self, now: float, costs: Costs) -> float:
        """The turn of *costs* behind all who wait; the waiters' own turns are brought up to date."""
        meters = self._refresh(now)
        begin = max([now, self.closed_until, *[waiter.turn for waiter in tuple(self.waiters)]])
        return self._ready(meters, begin, costs)

    def _refresh(self, now: float) -> tuple[Meter, ...]:
        """Bring the turns of all who wait up to date; the meters as they will be after the last."""
        meters = tuple(meter.copy() for meter in self.meters)
        turn = max(now, self.closed_until)
        for waiter in tuple(self.waiters):  # a signal handler may come in between
            waiter.turn = turn = self._ready(meters, turn, waiter.costs)
            self._take(meters, turn, waiter.costs)
        return meters

    @staticmethod
    def _ready(meters: tuple[Meter, ...], now: float, costs: Costs) -> float:
        return max(meter.ready_at(now, cost) for meter, cost in zip(meters, costs, strict=True))

    @staticmethod
    def _take(meters: tuple[Meter, ...], now: float, costs: Costs) -> Marks:
        return tuple([meter.take(now, cost) for meter, cost in zip(meters, costs, strict=True)])

    def _let_in(self, now: float) -> Told:
        """Take for those whose turn it is; whom to wake: them, and the next where its turn came nearer."""
        told: Told = []
        while waiters := tuple(self.waiters):
            first = waiters[0]
            turn = self._ready(self.meters, now, first.costs)
            if now < self.closed_until - ROUNDING:
                turn = max(turn, self.closed_until)
            ready = turn <= now
            if ready:
                if not self._removed(first):  # a signal handler on this thread came in between
                    continue
                first.marks = self._take(self.meters, now, first.costs)
            if first.wake is not None and (ready or turn < first.comes - ROUNDING):
                told.append((first, first.wake))
                first.wake = None
            if not ready:
                break
        return told

    def _removed(self, waiter: Waiter) -> bool:
        try:
            self.waiters.remove(waiter)
        except ValueError:
            return False
        return True

    def _leave(self, waiter: Waiter, now: float) -> tuple[Marks | None, Told]:
        with self._lock:
            waiter.wake = None
            marks, waiter.marks = waiter.marks, None
            if marks is not None or not self._removed(waiter):
                return marks, []
            return None, self._let_in(now)

    def _settle(self, marks: Marks, changes: Costs, now: float) -> Told:
        with self._lock:
            self._recall(now)
            for meter, mark, change in zip(self.meters, marks, changes, strict=True):
                if change:
                    meter.correct(mark, change, now)
            return self._let_in(now)

    def _tell(self, told: Told, now: float) -> None:
        for waiter, wake in told:  # which grows: however many nobody can wake, they need no stack
            if wake():
                continue
            # Its event loop is gone and will never ask: unless it has left with what was taken after all.
            marks, next_ = self._leave(waiter, now)
            if marks is not None:
                next_ = self._settle(marks, tuple([-cost for cost in waiter.costs]), now)
            told.extend(next_)

    def after_fork(self) -> None:
        """Whoever waited is not in this process."""
        self._lock = threading.RLock()
        self.waiters = deque()
