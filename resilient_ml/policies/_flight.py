"""One call's part in a flight: it leads, follows, or goes by itself.

A call from inside the leader, wherever that runs it, must not wait for the leader: the flights that a call is
inside of are in a context variable, which worker threads and child tasks inherit.
"""

from __future__ import annotations

import copy
from contextvars import ContextVar
from typing import Any

from .._call import Call
from .._keeping import Kept, keep
from .._late import expired
from ..kinds import Kind, kind_of
from ..machines.flights import Flight, Flights, Seat


class Mark:
    """Says that a call is inside the leader of a flight; a context that outlives it keeps nothing else."""

    __slots__ = ("flights", "key", "over")

    def __init__(self, flights: Flights, key: bytes) -> None:
        self.flights: Flights = flights
        self.key: bytes = key
        self.over: bool = False


_INSIDE: ContextVar[tuple[Mark, ...]] = ContextVar("resilient_ml_flights", default=())


class Visit:
    """One call's part in a flight.

    Args:
        flights: The flights of now.
        key: The call's key.
        call: The call.
        copied: Whether followers get copies of what the leader has.
        share_failures: Whether every failure of the leader is its followers' too.

    Attributes:
        seat: Its place.
        leading: Whether what the call comes to is the flight's answer.
    """

    __slots__ = ("_call", "_copied", "_flights", "_key", "_mark", "_share", "flight", "leading", "seat")

    def __init__(
        self, flights: Flights, key: bytes, call: Call, *, copied: bool = True, share_failures: bool = False
    ) -> None:
        self._flights = flights
        self._key = key
        self._call = call
        self._copied = copied
        self._share = share_failures
        self._mark: Mark | None = None
        self.leading: bool = False
        self.flight: Flight | None = None
        self.seat = Seat(call.runtime.who())

    def follows(self) -> bool:
        """Whether to wait for another."""
        if any(mark.key == self._key and mark.flights is self._flights for mark in _live()):
            return False
        self._flights.join(self._key, self.seat)
        self.flight = self.seat.flight
        if self.seat.leads:
            self.begin()
        return self.flight is not None and not self.leading

    def begin(self) -> None:
        """It leads from now on."""
        assert self.flight is not None
        self.leading = True
        if isinstance(self.seat.who, int):
            self.flight.thread = self.seat.who  # where it was woken to lead, nobody else could say
        self._mark = Mark(self._flights, self._key)
        _INSIDE.set((*_live(), self._mark))

    def lead_elsewhere(self) -> None:
        """It leads, on a thread or in a task that is yet to be: whoever comes may follow that."""
        flight = self.flight = self.seat.flight
        assert flight is not None
        self.begin()
        flight.leader = flight.thread = None

    def settled(self) -> bool:
        """After waiting: whether there is an answer.

        Raises:
            DeadlineExceeded: There was no time to wait any longer.
            Exception: What the leader failed with.
        """
        flight = self.flight
        assert flight is not None
        if flight.over:
            error = flight.error
            if error is None:
                return flight.answer is not None
            try:
                raise another(error)
            finally:
                del error, flight  # its traceback holds this frame
        if self.seat.leads:
            self.begin()
            return False
        raise expired(self._call)

    def answer(self) -> Any:
        """What the leader had, for this call to keep."""
        assert self.flight is not None
        kept: Kept = self.flight.answer
        return kept.out()

    def land(self, result: Any, kept: Kept | None = None) -> None:
        """It has *result*, which is its followers' too; kept already, as *kept*, or not yet."""
        if not self.leading:
            return
        if kept is None and self.flight is not None and self.flight.followers:
            kept = keep(result, copied=self._copied)
        self._flights.land(self.seat, kept)
        self.out()

    def fail(self, error: Exception) -> None:
        """It has failed."""
        if not self.leading:
            self._flights.leave(self.seat)
            self.flight = None  # the error holds the frame that holds this
            return
        kind = kind_of(error)
        if kind is Kind.DEADLINE and not self._share:
            self._flights.leave(self.seat)  # its own time was up: that says nothing about the model
        else:
            self._flights.fail(self.seat, error, shared=self._share or not kind.treatment.retry_here)
        self.out()

    def leave(self) -> None:
        """It is gone, cancelled or interrupted."""
        self._flights.leave(self.seat)
        self.out()

    def out(self) -> None:
        """What is called from here on is not inside the flight."""
        self.leading = False
        self.flight = None
        if self._mark is not None:
            self._mark.over = True
            _INSIDE.set(tuple(_live()))


def _live() -> list[Mark]:
    """What this call is inside of; what has ended meanwhile, elsewhere, is forgotten."""
    return [mark for mark in _INSIDE.get() if not mark.over]


def another(error: Exception) -> Exception:
    """A copy of *error* for one more caller to raise: each adds its own frames and notes."""
    try:
        made = copy.copy(error)
    except Exception:  # noqa: BLE001 - an exception may have any constructor
        return error
    if type(made) is not type(error) or made.args != error.args:
        return error
    return made.with_traceback(error.__traceback__)
