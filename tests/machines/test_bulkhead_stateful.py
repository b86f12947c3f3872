"""A bulkhead against a model of it: a number of guests inside, and a list of those who wait."""

from dataclasses import dataclass, field

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    Bundle,
    MultipleResults,
    RuleBasedStateMachine,
    consumes,
    initialize,
    invariant,
    multiple,
    rule,
)

from resilient_ml.machines.bulkhead import BulkheadMachine, Seats, Ticket

pytestmark = pytest.mark.once


@dataclass(eq=False)
class Guest:
    """One call: what it holds, and what happens when it is woken."""

    reachable: bool = True
    leaves_when_woken: bool = False
    ticket: Ticket | None = None
    seats: Seats | None = None
    woken: int = 0
    machine: BulkheadMachine | None = None
    left_with: list[Seats | None] = field(default_factory=list)

    def wake(self) -> bool:
        self.woken += 1
        if self.leaves_when_woken and self.machine is not None and self.ticket is not None:
            self.left_with.append(self.machine.leave(self.ticket))
        return self.reachable


class BulkheadAgainstModel(RuleBasedStateMachine):
    """Guests come, wait, are cancelled before and after their seat came, vanish, and go."""

    inside = Bundle[Guest]("inside")
    waiting = Bundle[Guest]("waiting")

    @initialize(limit=st.integers(1, 3), queue=st.integers(0, 4))
    def opens(self, limit: int, queue: int) -> None:
        self.machine = BulkheadMachine(limit, queue)
        self.seated = 0
        self.line: list[Guest] = []
        self.granted: list[Guest] = []

    @rule(target=inside)
    def a_guest_finds_a_seat_or_not(self) -> MultipleResults[Guest] | Guest:
        seats = self.machine.take()
        assert (seats is not None) == (self.seated < self.machine.limit and not self.line)
        if seats is None:
            return multiple()
        self.seated += 1
        return Guest(seats=seats)

    @rule(target=waiting, reachable=st.booleans(), leaves=st.booleans())
    def a_guest_joins_the_queue(self, reachable: bool, leaves: bool) -> MultipleResults[Guest] | Guest:
        # `leaves` is what a cancelled task does in the very moment its seat comes.
        guest = Guest(reachable=reachable, leaves_when_woken=leaves and not reachable)
        guest.machine = self.machine
        ticket = self.machine.join(guest.wake)
        assert (ticket is not None) == (len(self.line) < self.machine.queue)
        if ticket is None:
            return multiple()
        guest.ticket = ticket
        self.line.append(guest)
        if self.seated < self.machine.limit and guest.leaves_when_woken:
            guest.leaves_when_woken = False  # it was woken before it had its ticket in hand
        self.hand_over()
        return guest

    def hand_over(self) -> None:
        """What the model says of free seats and those who wait."""
        while self.line and self.seated < self.machine.limit:
            guest = self.line.pop(0)
            if guest.reachable:
                self.seated += 1
                self.granted.append(guest)
            elif guest.leaves_when_woken:
                self.seated += 1  # it left with the seat: the test gives it back at once
                assert guest.left_with == [self.machine._seats]
                self.given_back_by(guest)

    def given_back_by(self, guest: Guest) -> None:
        seats = guest.left_with.pop()
        assert seats is not None
        self.machine.give(seats)
        self.seated -= 1

    @rule(guest=consumes(inside))
    def a_guest_goes(self, guest: Guest) -> None:
        assert guest.seats is not None
        self.machine.give(guest.seats)
        self.seated -= 1
        self.hand_over()

    @rule(target=inside, guest=consumes(waiting))
    def a_guest_stops_waiting(self, guest: Guest) -> MultipleResults[Guest] | Guest:
        """At its deadline, cancelled, or because it was woken: each asks what it has."""
        assert guest.ticket is not None
        seats = self.machine.leave(guest.ticket)
        assert (seats is not None) == (guest in self.granted)
        if seats is None:
            if guest in self.line:
                self.line.remove(guest)
            return multiple()
        self.granted.remove(guest)
        guest.seats = seats
        return guest

    @invariant()
    def the_machine_agrees_with_the_model(self) -> None:
        if not hasattr(self, "machine"):
            return
        machine = self.machine
        assert 0 <= machine.in_flight == self.seated <= machine.limit
        assert 0 <= machine.waiting == len(self.line) <= machine.queue
        assert not (self.line and machine.in_flight < machine.limit), "a seat is free while somebody waits"
        assert all(guest.woken == 0 for guest in self.line)
        assert all(guest.woken == 1 for guest in self.granted)

    def teardown(self) -> None:
        """When all have gone, every seat is free."""
        if not hasattr(self, "machine"):
            return
        for guest in list(self.line):
            assert guest.ticket is not None
            assert self.machine.leave(guest.ticket) is None
        self.line.clear()
        assert self.machine.waiting == 0
        assert len(self.machine._seats) == self.machine.limit - self.seated


TestBulkheadAgainstModel = BulkheadAgainstModel.TestCase
TestBulkheadAgainstModel.settings = settings(
    derandomize=True, deadline=None, max_examples=200, stateful_step_count=50, database=None
)
