"""What to let in while more is asked for than can be served: a virtual queue that bands may fill so far.

The *backlog* is the work that was let in and, at the capacity there is, cannot have been done yet::

    backlog = max(0, backlog - capacity * elapsed) + cost of what is let in

It is known at once, where latencies tell a queue's length only after it was waited in. In calm times all that
comes is let in while the backlog is at most *patience* seconds of work: that absorbs what is merely bursty.
The first call beyond it begins a *surge*, and the bounds tighten. Of *n* bands the most urgent may still fill
all of the patience, the next ``(n - 1) / n`` of it, and so on. What one band leaves, and only that, is the
next one's; where the most urgent do not fill it, what stands shrinks, and they are served at once; and as
more capacity comes, more of each band is let in, without a step. Capacity counts for 0.95 meanwhile: a real
queue is served less evenly than the virtual one, and would keep what it once had more. The surge is over when
the backlog has been worked off and nobody was refused for a window.
"""

from __future__ import annotations

import math
import threading
from dataclasses import dataclass

from .._forks import survive_forks

HEADROOM = 0.95
"""The share of the capacity that is given out in a surge."""


@dataclass(frozen=True, slots=True)
class Surge:
    """A surge that has ended.

    Attributes:
        seconds: How long it lasted.
        shed: How many calls were refused.
        peak: The most that was asked for a second, in cost.
    """

    seconds: float
    shed: int
    peak: float


@dataclass(frozen=True, slots=True)
class Answer:
    """What became of one call.

    Attributes:
        wait: None when it was let in; otherwise the seconds after which there would have been room for it.
        began: Whether it began a surge.
        ended: The surge that was found to be over.
    """

    wait: float | None = None
    began: bool = False
    ended: Surge | None = None


_IN = Answer()


class SurgeMachine:
    """Lets in what can be served, the most urgent first.

    Args:
        bands: How many bands there are, from 1.
        patience: How many seconds of work may stand before the first call is refused, above 0.
        window: Over how many seconds demand is averaged, and how long nobody must have been refused for a
            surge to be over; above 0.

    >>> machine = SurgeMachine(bands=2, patience=3.0, window=5.0)
    >>> [machine.arrive(0.0, 1, 1.0, capacity=1.0).wait for _ in range(4)]
    [None, None, None, 2.6315789473684212]
    >>> machine.arrive(1.5, 1, 1.0, capacity=1.0).wait  # half of the patience is for its band
    1.1315789473684212
    >>> machine.arrive(1.5, 0, 1.0, capacity=1.0).wait is None
    True
    """

    __slots__ = (
        *("__weakref__", "_at", "_backlog", "_bands", "_began", "_demand", "_lock"),
        *("_patience", "_peak", "_seen", "_shed", "_shed_at", "_window"),
    )

    def __init__(self, bands: int, patience: float, window: float) -> None:
        self._bands = bands
        self._patience = patience
        self._window = window
        self._backlog = 0.0
        self._at = -math.inf
        self._demand = 0.0
        self._seen = -math.inf
        self._began: float | None = None
        self._shed = 0
        self._shed_at = -math.inf
        self._peak = 0.0
        self._lock = threading.RLock()
        survive_forks(self)

    def arrive(self, now: float, band: int, cost: float, capacity: float) -> Answer:
        """A call has come.

        Args:
            now: The instant.
            band: The number of its band, 0 the most urgent.
            cost: What it costs, from 0.
            capacity: What can be served a second, in cost, from 0.
        """
        with self._lock:
            self._pass_time(now, capacity)
            self._ask(now, cost)
            ended = None
            if self._began is not None and self._is_over(now):
                ended = Surge(now - self._began, self._shed, self._peak)
                self._began = None
            room = self._room(band, capacity)
            # Where nothing stands anything may come, or what is large beside the capacity never could.
            if self._backlog + cost <= room or (self._backlog <= 0 and capacity > 0):
                self._backlog += cost
                return _IN if ended is None else Answer(ended=ended)
            began = self._began is None
            if began:
                self._began, self._shed, self._peak = now, 0, self._demand
                room = self._room(band, capacity)
            self._shed += 1
            self._shed_at = now
            over = min(self._backlog, self._backlog + cost - room)
            wait = over / (HEADROOM * capacity) if capacity > 0 else self._window
            return Answer(wait=wait, began=began, ended=ended)

    def take_back(self, cost: float) -> None:
        """A call that was let in never reached the model."""
        with self._lock:
            self._backlog = max(0.0, self._backlog - cost)

    def surging(self, now: float, capacity: float) -> bool:
        """Whether more was asked for, not long ago, than can be served."""
        with self._lock:
            self._pass_time(now, capacity)
            return self._began is not None and not self._is_over(now)

    def demand(self, now: float) -> float:
        """What is asked for a second, in cost, averaged over the window."""
        with self._lock:
            return self._demand * math.exp(-max(0.0, now - self._seen) / self._window)

    def backlog(self, now: float, capacity: float) -> float:
        """How much work stands at *now*."""
        with self._lock:
            self._pass_time(now, capacity)
            return self._backlog

    def _is_over(self, now: float) -> bool:
        return self._backlog <= 0 and now - self._shed_at >= self._window

    def _pass_time(self, now: float, capacity: float) -> None:
        if now > self._at:
            if self._backlog > 0:
                served = capacity if self._began is None else HEADROOM * capacity
                self._backlog = max(0.0, self._backlog - served * (now - self._at))
            self._at = now

    def _ask(self, now: float, cost: float) -> None:
        if now > self._seen:
            self._demand *= math.exp(-(now - self._seen) / self._window)
            self._seen = now
        self._demand += cost / self._window
        self._peak = max(self._peak, self._demand)

    def _room(self, band: int, capacity: float) -> float:
        share = 1.0 if self._began is None else (self._bands - band) / self._bands
        return self._patience * share * capacity

    def after_fork(self) -> None:
        """The lock may have been held by a thread that is gone, and what was let in is not this process's."""
        self._lock = threading.RLock()
        self._backlog = 0.0
