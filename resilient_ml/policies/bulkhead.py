"""Bound how many calls are inside a model at once."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

from .. import _checks
from .._call import Call, Proceed, Signal, when_all_finished
from .._policy import Policy
from ..errors import BulkheadFull
from ..events import CallRejected
from ..machines.admission import AdmissionMachine
from ..machines.bulkhead import BulkheadMachine, Seats, Ticket
from ..machines.queue_rules import Queue
from ..machines.seats_gate import SeatsGate
from ._visit import Door, Visit

T = TypeVar("T")


class Bulkhead(Policy):
    """Let at most *limit* calls in at once; the rest are refused, or wait in a fair queue.

    One Bulkhead bounds threads, tasks and several event loops together. A seat is held until the work has
    really ended: to the end of a stream, and until an abandoned thread returns.
    Waiters are served first come first served; one that is cancelled or runs out of time leaves no trace.

    Args:
        limit: How many may be inside, from 1. What the model can run at once is a good start. With *cost*,
            how much they may cost together, above 0.
        queue: How many may wait, from 0. A queue longer than the limit mostly adds latency, so by default
            nobody waits. A :class:`~resilient_ml.Queue` has an order other than first come first served, is
            fair between tenants, and refuses at once what would not be served in its time.
        cost: What a call costs; takes the call's arguments and returns a number above 0: tokens, rows,
            pixels. None for 1 each. What costs more than *limit* can never go in, and is refused.
        queue_seconds: The longest wait, in seconds, above 0; None for as long as the call's deadline allows.
        name: How messages call it; by default the name of the function it guards.
        on_event: Called with its :class:`~resilient_ml.events.CallRejected` events.

    Raises:
        BulkheadFull: From the guarded function, when there is no seat, and no place or time left in the
            queue.

    >>> @Bulkhead(2)
    ... def predict(row):
    ...     return row * 2
    >>> predict(21)
    42
    """

    role: str = "limiter"

    def __init__(
        self,
        limit: float,
        *,
        queue: int | Queue = 0,
        cost: Callable[..., float] | None = None,
        queue_seconds: float | None = None,
        name: str | None = None,
        on_event: Callable[[Any], object] | None = None,
    ) -> None:
        super().__init__(name=name, on_event=on_event)
        self._queue_seconds = (
            None
            if queue_seconds is None
            else _checks.seconds("queue_seconds", queue_seconds, remedy="pass queue=0 to refuse at once")
        )
        self._door: Door | None = None
        if isinstance(queue, Queue) or cost is not None:
            self._gate, self._door = self._gate_and_door(limit, queue, cost)
            limit, queue = 1, 0
        self._machine = BulkheadMachine(
            _checks.whole("limit", limit, at_least=1, remedy="pass how many calls may run at once"),
            _checks.whole("queue", queue, at_least=0, remedy="pass 0 to refuse at once"),
        )

    def _gate_and_door(
        self, limit: float, queue: int | Queue, cost: Callable[..., float] | None
    ) -> tuple[SeatsGate, Door]:
        if cost is None:
            most: float = _checks.whole("limit", limit, at_least=1, remedy="pass how many may run at once")
        else:
            _checks.function("cost", cost, remedy="pass a function of the call's arguments")
            most = _checks.real("limit", limit, remedy="pass how much may be inside at once")
            if most <= 0:
                raise ValueError(f"limit must be above 0, got {most:g}; pass how much may be inside at once")
        if isinstance(queue, Queue):
            rules: Queue | None = queue
        else:
            size = _checks.whole("queue", queue, at_least=0, remedy="pass 0 to refuse at once")
            rules = Queue(size=size, predict=False) if size else None
        gate = SeatsGate(most)
        machine = AdmissionMachine(gate, rules)
        return gate, Door(machine, rules, cost, self._queue_seconds, self.clock)

    @property
    def limit(self) -> float:
        """How many may be inside; with *cost*, how much they may cost together."""
        return self._machine.limit if self._door is None else self._gate.limit

    @property
    def in_flight(self) -> int:
        """How many are inside."""
        return self._machine.in_flight if self._door is None else self._gate.count

    @property
    def waiting(self) -> int:
        """How many wait."""
        return self._machine.waiting if self._door is None else self._door.machine.waiting

    async def around(self, proceed: Proceed[T], call: Call) -> T:
        """Take a seat, run, give it back when the work has ended."""
        if self._door is not None:
            visit = Visit(self._door, call)
            if visit.permit is None:
                signal = call.runtime.signal()
                refusal = visit.join(signal.set)
                if refusal is not None:
                    raise self._full(refusal.reason, call, refusal.retry_after)
                try:
                    await call.runtime.wait(signal, visit.until)
                except BaseException:
                    visit.leave()
                    raise
                late = visit.seated()
                if late is not None:
                    raise self._full(late, call)
            try:
                return await proceed(call)
            finally:
                visit.end()
        machine = self._machine
        before = call.orphans
        seats = machine.take()
        if seats is None:
            signal = call.runtime.signal()
            ticket = self._join(signal, call)
            try:
                await call.runtime.wait(signal, self._until(call))
            except BaseException:
                self._leave(ticket)
                raise
            seats = self._seated(ticket, call)
        try:
            return await proceed(call)
        finally:
            if call.orphans is not before:
                self._give_late(seats, call, len(before))
            else:
                seats.append(None)  # machine.give(seats), in line: this is every call's path
                if machine.waiters:
                    machine.hand_over()

    def _join(self, signal: Signal, call: Call) -> Ticket:
        ticket = self._machine.join(signal.set)
        if ticket is None:
            queue = f" and its queue of {self._machine.queue} is full" if self._machine.queue else ""
            raise self._full(f"is full: {self.limit} calls are inside{queue}", call)
        return ticket

    def _until(self, call: Call) -> float:
        if self._queue_seconds is None:
            return call.deadline
        return min(call.deadline, call.now() + self._queue_seconds)

    def _leave(self, ticket: Ticket) -> None:
        """Cancelled while waiting: a seat that was granted in that moment goes to the next."""
        seats = self._machine.leave(ticket)
        if seats is not None:
            self._machine.give(seats)

    def _seated(self, ticket: Ticket, call: Call) -> Seats:
        """The seat that the wait ended with, even if it came in the last moment."""
        seats = self._machine.leave(ticket)
        if seats is None:
            raise self._full("had no seat free in the time that was left to wait", call)
        return seats

    def _full(self, what: str, call: Call, retry_after: float | None = None) -> BulkheadFull:
        self.emit(CallRejected, call.now(), reason=what, retry_after=retry_after)
        return BulkheadFull(
            f"bulkhead {self.name!r} {what}; raise limit= if the model can take more, "
            "or put a Fallback or a Retry with on=BulkheadFull outside it",
            retry_after=retry_after,
            policy=self.name,
        )

    def _give_late(self, seats: Seats, call: Call, before: int) -> None:
        """Give the seat back once every job that was abandoned inside it has ended."""
        when_all_finished(call.orphans[before:], lambda: self._machine.give(seats))

    def describe(self) -> str:
        """Its numbers in one line."""
        if self._door is None:
            return f"Bulkhead({self.limit}, queue={self._machine.queue})"
        rules = self._door.rules
        queue = "0" if rules is None else f"{rules.size}, {rules.order}"
        return f"Bulkhead({self.limit:g}{' in cost' if self._door.cost else ''}, queue={queue})"
