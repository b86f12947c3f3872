"""One call on its way through an admission: in at once, after waiting, or refused."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from .. import _checks
from .._call import Call, when_all_finished
from ..machines.admission import AdmissionMachine, Refusal
from ..machines.queue_rules import Queue
from ..machines.waiting_room import Ticket


class Door:
    """An admission machine, and what calls are asked at it.

    Args:
        machine: Who may go in.
        rules: How the rest waits; None where nobody may.
        cost: What a call costs; takes its arguments. None for 1 each.
        seconds: The longest wait; None for as long as the call's deadline allows.
        clock: The monotonic clock, for what ends outside of any call.
    """

    __slots__ = ("clock", "cost", "machine", "rules", "seconds")

    def __init__(
        self,
        machine: AdmissionMachine,
        rules: Queue | None,
        cost: Callable[..., float] | None,
        seconds: float | None,
        clock: Callable[[], float],
    ) -> None:
        self.machine = machine
        self.rules = rules
        self.cost = cost
        self.seconds = seconds
        self.clock = clock

    def cost_of(self, call: Call) -> float:
        """What *call* costs.

        Raises:
            ValueError: ``cost`` gave what is no cost.
        """
        if self.cost is None:
            return 1.0
        cost = _checks.real("cost", self.cost(*call.args, **call.kwargs), remedy="return a number above 0")
        if cost <= 0:
            raise ValueError(f"cost must return a number above 0, got {cost:g}; return 1 for a small call")
        return cost


class Visit:
    """One call at a door.

    Attributes:
        permit: What it went in with; None while it waits.
        until: The instant until which it waits.
        cost: What it costs.
        began: When it went in.
    """

    __slots__ = ("_before", "_call", "_door", "_tenant", "_ticket", "began", "cost", "permit", "until")

    def __init__(self, door: Door, call: Call) -> None:
        self._door = door
        self._call = call
        self._before = call.orphans
        self._ticket: Ticket | None = None
        self.until = call.deadline
        self.began = call.now()
        self.cost = door.cost_of(call)
        rules = door.rules
        self._tenant = None if rules is None else rules.tenant_of(call.args, call.kwargs)
        self.permit: Any = door.machine.enter(self.began, self.cost, self._tenant)

    def join(self, wake: Callable[[], bool]) -> Refusal | None:
        """Wait at the door; the refusal where that is of no use."""
        door, call = self._door, self._call
        band = 0 if door.rules is None else door.rules.band_of(call.args, call.kwargs)
        if door.seconds is not None:
            self.until = min(self.until, self.began + door.seconds)
        self._ticket = Ticket(self.cost, self.until, call.deadline, self.began, band, self._tenant, wake)
        return door.machine.join(self._ticket, self.began)

    def leave(self) -> None:
        """Cancelled while waiting: a permit that was granted in that moment goes to the next."""
        assert self._ticket is not None
        permit = self._door.machine.leave(self._ticket)
        if permit is not None:
            self._door.machine.give(permit, self._call.now(), -1.0, self.cost)

    def seated(self) -> str | None:
        """After the wait: None if it may go in, even if that came in the last moment; else why not."""
        assert self._ticket is not None
        self.permit = self._door.machine.leave(self._ticket)
        self.began = self._call.now()
        if self.permit is not None:
            return None
        return self._ticket.refused or "had no seat free in the time that was left to wait"

    def left_behind(self) -> bool:
        """Whether work of this call still runs."""
        return self._call.orphans is not self._before

    def end(self) -> None:
        """Give the permit back once all work has ended."""
        if self.left_behind():
            when_all_finished(self._call.orphans[len(self._before) :], self._give_late)
        else:
            self._give(self._call.now())

    def _give_late(self) -> None:
        self._give(self._door.clock())

    def _give(self, now: float) -> None:
        self._door.machine.give(self.permit, now, now - self.began, self.cost)
