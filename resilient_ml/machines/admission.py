"""Admission with a queue: a gate that says how much may be inside, and a room where the rest waits.

A :class:`Gate` decides whether a call may go in now: a fixed number of seats, or a limit that is found by
measurement. The machine puts a room in front of it and holds one short lock around both:

* whoever comes goes in if the gate lets it and nobody waits; else it is refused or waits;
* whenever a permit comes back or the gate widens, those whose turn it is go in, and are woken after the
  lock is released;
* whoever leaves the room, at its deadline or cancelled, is taken out; what had been granted to it in that
  very moment is its own to use or give back.

The wait is predicted from what permits took so far: a permit of cost ``c`` that is held ``h`` seconds is work
of ``c * h``; what is ahead of a call, and the call itself, is worked off by the whole gate together. A call
that would then have less time left than nine in ten calls take is no use to serve.
"""

from __future__ import annotations

import math
import threading
from collections.abc import Hashable
from dataclasses import dataclass
from typing import Any, Final, Protocol

from .._forks import survive_forks
from ..stats.quantile import DecayingQuantile
from .queue_rules import Queue
from .waiting_room import Ticket, WaitingRoom

_FOLLOW: Final = 1 / 32
"""The weight of one call in what a unit of cost takes."""
_ENOUGH: Final = 8
"""From so many calls on a wait can be predicted."""


class Gate(Protocol):
    """Who may be inside."""

    @property
    def limit(self) -> float:
        """How much may be inside at once, in cost."""

    def admit(self, now: float, cost: float) -> object | None:
        """A permit for a call of *cost*; None where it does not fit in now."""

    def take_back(self, permit: Any, now: float) -> None:
        """The call that *permit* was for is gone, and teaches nothing."""

    def fits(self, cost: float) -> bool:
        """Whether it could ever fit in."""

    def after_fork(self) -> None:
        """Nobody is inside in this process; permits from before it change nothing here."""


@dataclass(frozen=True, slots=True)
class Refusal:
    """Why a call was refused at the door.

    Attributes:
        reason: In words, with numbers.
        retry_after: Seconds until the queue will have drained; None where that is not known.
    """

    reason: str
    retry_after: float | None = None


class AdmissionMachine:
    """A gate, and a room in front of it.

    Args:
        gate: Who may be inside. Its methods are called under the machine's lock.
        rules: How the rest waits; None to let nobody wait.
    """

    __slots__ = (
        *("__weakref__", "_gate", "_lock", "_room", "_rules"),
        *("_cost", "_least_wait", "_lengths", "_overdue", "_seen", "_since", "_typical", "_work"),
    )

    def __init__(self, gate: Gate, rules: Queue | None) -> None:
        self._gate = gate
        self._rules = rules
        self._lock = threading.RLock()
        self._room = WaitingRoom(rules or Queue(size=1))
        self._seen = 0
        self._work = 0.0
        self._lengths = DecayingQuantile(0.9, half_life=256)
        self._typical = 0.0
        self._cost = 0.0
        self._since: float | None = None
        self._least_wait = 0.0
        self._overdue = False
        survive_forks(self)

    @property
    def waiting(self) -> int:
        """How many wait."""
        return self._room.count

    @property
    def waiting_cost(self) -> float:
        """What those who wait cost together."""
        return self._room.cost

    # -- coming --------------------------------------------------------------------------------------------

    def enter(self, now: float, cost: float, tenant: Hashable = None) -> object | None:
        """A permit, where the gate lets the call in and nobody waits for it."""
        with self._lock:
            if self._room.count:
                return None
            permit = self._gate.admit(now, cost)
            if permit is not None:
                self._room.charge(tenant, cost)
            return permit

    def join(self, ticket: Ticket, now: float) -> Refusal | None:
        """Let *ticket* wait, or say why not. It may be granted or refused from then on, at once too."""
        woken: list[Ticket] = []
        with self._lock:
            refusal = self._turned_away(ticket, now)
            if refusal is None:
                if not self._room.has_place(ticket.cost):
                    victim = self._room.gives_way_to(ticket, now)
                    if victim is None:
                        return self._full(ticket, now)
                    self._put_out(
                        victim,
                        "gave its place in the queue to a call of a more urgent band, or of another tenant",
                        woken,
                    )
                self._room.add(ticket)
        self._wake(woken, now)
        if refusal is None:
            self.hand_over(now)
        return refusal

    def leave(self, ticket: Ticket) -> object | None:
        """Leave the room; what had been granted in the meantime, to be used or given back."""
        with self._lock:
            granted, ticket.granted = ticket.granted, None
            if granted is None:
                self._room.remove(ticket)
            return granted

    def _turned_away(self, ticket: Ticket, now: float) -> Refusal | None:
        rules, room = self._rules, self._room
        if not self._gate.fits(ticket.cost):
            return Refusal(
                f"can never let it in: it costs {ticket.cost:g}, and {self._gate.limit:g} is the most inside"
            )
        if rules is None:
            return Refusal("is full", self._drained(0.0))
        if rules.max_cost is not None and ticket.cost > rules.max_cost:
            return Refusal(
                f"is full, and its queue never holds a cost of {ticket.cost:g}", self._drained(0.0)
            )
        if rules.predict and ticket.until < math.inf:
            wait = self._drained(room.ahead_of(ticket, now) + ticket.cost)
            if wait is not None and (
                now + wait > ticket.until or now + wait + self._typical > ticket.deadline
            ):
                return Refusal(
                    f"would let it in after {wait:.3g} s for some {self._typical:.3g} s, and it has "
                    f"{max(0.0, ticket.until - now):.3g} s left",
                    self._drained(room.cost),
                )
        return None

    def _full(self, ticket: Ticket, now: float) -> Refusal:
        return Refusal(f"is full and {self._room.count} calls wait", self._drained(self._room.cost))

    def _drained(self, cost: float) -> float | None:
        """Seconds until so much cost is let in; None where nothing has been learned yet."""
        if self._seen < _ENOUGH or self._gate.limit <= 0:
            return None
        return self._work / self._cost * cost / self._gate.limit

    # -- going ---------------------------------------------------------------------------------------------

    def give(self, permit: object, now: float, seconds: float, cost: float) -> None:
        """Give *permit* back, which a call of *cost* held so long; whose turn it is goes in."""
        with self._lock:
            self._gate.take_back(permit, now)
            self.learn(seconds, cost)
        if self._room.count:
            self.hand_over(now)

    def learn(self, seconds: float, cost: float) -> None:
        """A permit of *cost* was held so long."""
        if not (cost > 0 and 0 <= seconds < math.inf):
            return
        with self._lock:
            self._seen += 1
            weight = max(1 / self._seen, _FOLLOW)
            self._work += weight * (seconds * cost - self._work)
            self._cost += weight * (cost - self._cost)
            self._lengths.update(seconds)
            if self._seen >= _ENOUGH and self._seen % _ENOUGH == 0:
                self._typical = self._lengths.value()

    def hand_over(self, now: float) -> None:
        """Let in whose turn it is, for as long as the gate lets them; put out whom it is no use to serve."""
        self._wake(self._let_in(now), now)

    def _let_in(self, now: float) -> list[Ticket]:
        woken: list[Ticket] = []
        with self._lock:
            while True:
                ticket = self._room.next(now)
                if ticket is None:
                    break
                permit = self._gate.admit(now, ticket.cost)
                if permit is None:
                    break
                late = self._too_late(ticket, now)
                if late is not None:
                    self._gate.take_back(permit, now)
                    self._put_out(ticket, late, woken)
                    continue
                self._room.serve(ticket)
                ticket.granted = permit
                woken.append(ticket)
        return woken

    def _too_late(self, ticket: Ticket, now: float) -> str | None:
        """Why it is no use to serve *ticket* now, if so."""
        rules = self._rules
        assert rules is not None
        if ticket.until <= now or (rules.predict and now + self._typical > ticket.deadline):
            return "had no use for it any more when its turn came: its time was up"
        if rules.target_seconds is None:
            return None
        waited = now - ticket.came
        if self._since is None or now >= self._since + rules.interval_seconds:
            # An interval has ended: the queue is too slow where even its shortest wait was too long.
            self._overdue = self._since is not None and self._least_wait > rules.target_seconds
            self._since, self._least_wait = now, waited
            return None  # the first of an interval always goes in
        self._least_wait = min(self._least_wait, waited)
        if self._overdue and waited > 2 * rules.target_seconds:
            return f"put it out after {waited:.3g} s, as all waited longer than {rules.target_seconds:g} s"
        return None

    def _put_out(self, ticket: Ticket, reason: str, woken: list[Ticket]) -> None:
        self._room.remove(ticket)
        ticket.refused = reason
        woken.append(ticket)

    def _wake(self, woken: list[Ticket], now: float) -> None:
        """Wake those who were granted or refused; a grant that nobody can be woken for goes to the next."""
        for ticket in woken:  # which grows: however many nobody can wake, they need no stack
            if ticket.wake():
                continue
            # Its event loop is gone and will never ask: unless it has left with the permit after all.
            lost = self.leave(ticket)
            if lost is not None:
                with self._lock:
                    self._gate.take_back(lost, now)
                woken.extend(self._let_in(now))

    def after_fork(self) -> None:
        """Whoever was inside or waiting is not in this process."""
        self._gate.after_fork()
        self._lock = threading.RLock()
        self._room = WaitingRoom(self._rules or Queue(size=1))
