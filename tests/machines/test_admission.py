"""Admission: nobody is inside beyond the limit, nothing is lost, and waits are predicted."""

import math

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from resilient_ml.machines.admission import AdmissionMachine, Refusal
from resilient_ml.machines.queue_rules import Queue
from resilient_ml.machines.seats_gate import SeatsGate
from resilient_ml.machines.waiting_room import Ticket

from .crowd import crowd


class Door:
    """A machine of seats, and who was woken."""

    def __init__(self, limit=2.0, **rules):
        self.gate = SeatsGate(limit)
        self.machine = AdmissionMachine(
            self.gate, Queue(**{"size": 10, **rules}) if rules is not None else None
        )
        self.woken = []

    def ticket(self, now=0.0, cost=1.0, until=math.inf, deadline=math.inf, band=0, tenant=None, wakes=True):
        def wake():
            self.woken.append(ticket)
            return wakes

        ticket = Ticket(cost, until, deadline, now, band, tenant, wake)
        return ticket

    def learned(self, seconds=1.0, cost=1.0, times=16):
        for _ in range(times):
            self.machine.learn(seconds, cost)
        return self


def test_calls_go_in_while_there_are_seats():
    door = Door(limit=2)
    one, two = door.machine.enter(0.0, 1.0), door.machine.enter(0.0, 1.0)
    assert one is not None
    assert two is not None
    assert door.machine.enter(0.0, 1.0) is None
    door.machine.give(one, 1.0, 1.0, 1.0)
    assert door.machine.enter(1.0, 1.0) is not None
    assert door.gate.count == 2


def test_a_call_may_take_several_seats():
    door = Door(limit=10)
    large = door.machine.enter(0.0, 7.0)
    assert door.machine.enter(0.0, 4.0) is None
    small = door.machine.enter(0.0, 3.0)
    assert door.gate.in_use == 10.0
    door.machine.give(large, 0.0, 0.0, 7.0)
    door.machine.give(small, 0.0, 0.0, 3.0)
    assert door.gate.in_use == 0.0


def test_ten_tenths_fill_a_seat():
    door = Door(limit=1)
    assert all(door.machine.enter(0.0, 0.1) is not None for _ in range(10))
    assert door.machine.enter(0.0, 0.1) is None


def test_a_seat_given_back_twice_is_given_back_once():
    gate = SeatsGate(2)
    one, two = gate.admit(0.0, 1.0), gate.admit(0.0, 1.0)
    gate.take_back(one, 0.0)
    gate.take_back(one, 0.0)
    assert (gate.count, gate.in_use) == (1, 1.0)
    gate.take_back(two, 0.0)
    assert (gate.count, gate.in_use) == (0, 0.0)


def test_who_waits_goes_in_when_a_seat_comes_back():
    door = Door(limit=1)
    seat = door.machine.enter(0.0, 1.0)
    ticket = door.ticket()
    assert door.machine.join(ticket, 0.0) is None
    assert door.woken == []
    door.machine.give(seat, 1.0, 1.0, 1.0)
    assert door.woken == [ticket]
    granted = door.machine.leave(ticket)
    assert granted is not None
    assert door.gate.count == 1
    assert door.machine.leave(ticket) is None


def test_nobody_overtakes_who_waits():
    door = Door(limit=1)
    seat = door.machine.enter(0.0, 1.0)
    ticket = door.ticket(cost=1.0)
    door.machine.join(ticket, 0.0)
    door.gate.take_back(seat, 0.0)
    assert door.machine.enter(0.0, 1.0) is None


def test_a_seat_that_came_back_before_joining_is_not_missed():
    door = Door(limit=1)
    seat = door.machine.enter(0.0, 1.0)
    assert door.machine.enter(0.0, 1.0) is None
    door.machine.give(seat, 0.0, 0.0, 1.0)
    ticket = door.ticket()
    door.machine.join(ticket, 0.0)
    assert door.woken == [ticket]


def test_who_leaves_is_not_let_in():
    door = Door(limit=1)
    seat = door.machine.enter(0.0, 1.0)
    gone, next_ = door.ticket(), door.ticket()
    door.machine.join(gone, 0.0)
    door.machine.join(next_, 0.0)
    assert door.machine.waiting == 2
    assert door.machine.leave(gone) is None
    door.machine.give(seat, 0.0, 0.0, 1.0)
    assert door.woken == [next_]
    assert door.machine.waiting_cost == 0.0


def test_a_large_call_is_not_starved_by_small_ones():
    door = Door(limit=4)
    seats = [door.machine.enter(0.0, 1.0) for _ in range(4)]
    large = door.ticket(cost=4.0)
    small = [door.ticket(cost=1.0) for _ in range(3)]
    for ticket in (large, *small):
        door.machine.join(ticket, 0.0)
    for seat in seats[:3]:
        door.machine.give(seat, 0.0, 0.0, 1.0)
    assert door.woken == []
    door.machine.give(seats[3], 0.0, 0.0, 1.0)
    assert door.woken == [large]


def test_whose_loop_is_gone_passes_its_seat_on():
    door = Door(limit=1)
    seat = door.machine.enter(0.0, 1.0)
    gone, next_ = door.ticket(wakes=False), door.ticket()
    door.machine.join(gone, 0.0)
    door.machine.join(next_, 0.0)
    door.machine.give(seat, 0.0, 0.0, 1.0)
    assert door.woken == [gone, next_]
    assert door.machine.leave(next_) is not None
    assert door.gate.count == 1


def test_any_number_whose_loop_is_gone_pass_their_seat_on():
    door = Door(limit=1, size=1000)
    seat = door.machine.enter(0.0, 1.0)
    for _ in range(600):
        door.machine.join(door.ticket(wakes=False), 0.0)
    last = door.ticket()
    door.machine.join(last, 0.0)
    door.machine.give(seat, 0.0, 0.0, 1.0)
    assert last.granted is not None
    assert (door.gate.count, door.machine.waiting) == (1, 0)


def test_a_waiter_that_left_with_its_seat_after_all_keeps_it():
    door = Door(limit=1)
    seat = door.machine.enter(0.0, 1.0)
    ticket = Ticket(
        1.0, math.inf, math.inf, 0.0, 0, None, lambda: bool(door.woken.append(door.machine.leave(ticket)))
    )
    door.machine.join(ticket, 0.0)
    door.machine.give(seat, 0.0, 0.0, 1.0)
    assert door.gate.count == 1
    door.machine.give(door.woken[0], 0.0, 0.0, 1.0)
    assert door.gate.count == 0


def test_after_a_fork_nobody_is_inside_or_waits():
    door = Door(limit=1)
    seat = door.machine.enter(0.0, 1.0)
    door.machine.join(door.ticket(), 0.0)
    door.machine.after_fork()
    assert door.machine.waiting == 0
    assert door.machine.enter(0.0, 1.0) is not None
    door.machine.give(seat, 0.0, 0.0, 1.0)  # from before: it changes nothing here
    assert door.gate.count == 1
    assert [door.machine.join(door.ticket(), 0.0) for _ in range(10)] == [None] * 10
    assert door.machine.join(door.ticket(), 0.0) == Refusal("is full and 10 calls wait")


# ---- refusals


def test_without_a_queue_a_full_gate_refuses():
    machine = AdmissionMachine(SeatsGate(1), None)
    machine.enter(0.0, 1.0)
    assert machine.join(Door().ticket(), 0.0) == Refusal("is full")


def test_a_full_queue_refuses_and_says_when_it_will_have_drained():
    door = Door(limit=2, size=4).learned(seconds=3.0)
    for _ in range(2):
        door.machine.enter(0.0, 1.0)
    for _ in range(4):
        assert door.machine.join(door.ticket(), 0.0) is None
    refusal = door.machine.join(door.ticket(), 0.0)
    assert refusal == Refusal("is full and 4 calls wait", pytest.approx(6.0))


def test_what_can_never_go_in_is_refused():
    door = Door(limit=2)
    assert door.machine.join(door.ticket(cost=3.0), 0.0) == Refusal(
        "can never let it in: it costs 3, and 2 is the most inside"
    )
    door = Door(limit=9, max_cost=2.0)
    door.machine.enter(0.0, 9.0)
    refusal = door.machine.join(door.ticket(cost=3.0), 0.0)
    assert refusal.reason == "is full, and its queue never holds a cost of 3"


def test_what_would_come_too_late_is_refused_at_once():
    door = Door(limit=2).learned(seconds=3.0)
    for _ in range(2):
        door.machine.enter(0.0, 1.0)
    for _ in range(3):
        assert door.machine.join(door.ticket(deadline=100.0, until=100.0), 0.0) is None
    # Four of a work of 3 each, on two seats, are let in after 6 s; nine in ten take another 3 s.
    assert door.machine.join(door.ticket(until=20.0, deadline=9.5), 0.0) is None
    refusal = door.machine.join(door.ticket(until=20.0, deadline=10.0), 0.0)
    assert refusal.reason.startswith("would let it in after 7.5 s for some 3")
    assert refusal.retry_after == pytest.approx(6.0)
    assert door.machine.join(door.ticket(until=7.0, deadline=100.0), 0.0) is not None


def test_nothing_is_predicted_before_there_is_something_to_go_by():
    door = Door(limit=1).learned(seconds=100.0, times=7)
    door.machine.enter(0.0, 1.0)
    assert door.machine.join(door.ticket(until=1.0, deadline=1.0), 0.0) is None
    door.learned(seconds=100.0, times=1)
    assert door.machine.join(door.ticket(until=1.0, deadline=1.0), 0.0) is not None


def test_nothing_is_predicted_where_that_is_not_wanted():
    door = Door(limit=1, predict=False).learned(seconds=100.0)
    door.machine.enter(0.0, 1.0)
    assert door.machine.join(door.ticket(until=1.0, deadline=1.0), 0.0) is None


def test_a_call_must_have_the_time_that_nine_in_ten_take():
    door = Door(limit=1)
    for number in range(160):
        door.machine.learn(9.0 if number % 20 == 0 else 5.0 if number % 10 == 1 else 0.1, 1.0)
    door.machine.enter(0.0, 1.0)
    assert door.machine.join(door.ticket(until=5.5, deadline=5.5), 0.0) is not None
    assert door.machine.join(door.ticket(until=7.0, deadline=7.0), 0.0) is None


def test_what_takes_long_for_its_cost_is_predicted_by_cost():
    door = Door(limit=10).learned(seconds=2.0, cost=5.0)
    door.machine.enter(0.0, 10.0)
    assert door.machine.join(door.ticket(cost=10.0, until=1.9, deadline=99), 0.0) is not None
    assert door.machine.join(door.ticket(cost=10.0, until=2.0, deadline=99), 0.0) is None


def test_what_a_call_takes_is_a_mean_that_follows_the_last():
    def drained(*learned):
        door = Door(limit=1, size=1)
        for seconds in learned:
            door.machine.learn(seconds, 1.0)
        door.machine.enter(0.0, 1.0)
        door.machine.join(door.ticket(), 0.0)
        return door.machine.join(door.ticket(), 0.0).retry_after

    assert drained(*range(1, 9)) == pytest.approx(4.5)
    assert drained(*[1.0] * 1000, *[3.0] * 64) == pytest.approx(3 - 2 * (1 - 1 / 32) ** 64)


def test_who_goes_in_without_waiting_is_served_all_the_same():
    door = Door(limit=1, tenant=lambda user: user)
    seat = door.machine.enter(0.0, 1.0, "ann")
    assert door.machine.enter(0.0, 1.0, "bob") is None  # not served, and so not charged
    ann, bob = door.ticket(tenant="ann"), door.ticket(tenant="bob")
    door.machine.join(ann, 0.0)
    door.machine.join(bob, 0.0)
    door.machine.give(seat, 0.0, 0.0, 1.0)
    assert door.woken == [bob]


def test_whose_time_has_run_out_is_put_out_and_never_let_in():
    door = Door(limit=1)
    seat = door.machine.enter(0.0, 1.0)
    late, next_ = door.ticket(until=5.0), door.ticket()
    door.machine.join(late, 0.0)
    door.machine.join(next_, 0.0)
    door.machine.give(seat, 5.0, 5.0, 1.0)
    assert door.woken == [late, next_]
    assert door.machine.leave(late) is None
    assert late.refused == "had no use for it any more when its turn came: its time was up"


def test_a_more_urgent_call_takes_the_place_of_another():
    door = Door(limit=1, size=1, band=lambda: "a", bands=("a", "b"))
    door.machine.enter(0.0, 1.0)
    batch, urgent = door.ticket(band=1), door.ticket(band=0)
    door.machine.join(batch, 0.0)
    assert door.machine.join(urgent, 0.0) is None
    assert door.woken == [batch]
    assert (
        batch.refused == "gave its place in the queue to a call of a more urgent band, or of another tenant"
    )
    assert door.machine.waiting == 1


# ---- the target


def slow_queue(door, waits, every=0.01):
    """Calls that are let in after so long each, one every so often; which were put out."""
    out = []
    now = 100.0
    for wait in waits:
        ticket = door.ticket(now=now - wait)
        seat = door.machine.enter(now, 1.0)
        door.machine.join(ticket, now)
        door.machine.give(seat, now, 0.0, 1.0)
        granted = door.machine.leave(ticket)
        out.append(granted is None)
        if granted is not None:
            door.machine.give(granted, now, 0.0, 1.0)
        now += every
    return out


def test_a_queue_that_stays_too_slow_puts_the_slowest_out():
    door = Door(limit=1, target_seconds=0.05, interval_seconds=0.1, predict=False)
    out = slow_queue(door, [0.2] * 40, every=0.0099)
    assert out[:12] == [False] * 12  # the first interval finds it out
    assert out[12:22] == [True] * 10
    assert out.count(False) == 12 + 2  # and the first of each interval goes in


def test_a_queue_that_is_quick_once_in_an_interval_puts_nobody_out():
    door = Door(limit=1, target_seconds=0.05, interval_seconds=0.1, predict=False)
    assert slow_queue(door, ([0.2] * 7 + [0.04]) * 5) == [False] * 40


def test_twice_the_target_is_what_is_too_long():
    door = Door(limit=1, target_seconds=0.05, interval_seconds=0.1, predict=False)
    assert slow_queue(door, [0.09] * 40) == [False] * 40


# ---- many at once


@pytest.mark.parametrize("odd", [math.nan, math.inf, -1.0])
def test_an_odd_length_teaches_nothing(odd):
    door = Door(limit=2, size=1).learned(seconds=2.0)
    door.machine.learn(odd, 1.0)
    door.machine.learn(1.0, 0.0)
    for _ in range(2):
        door.machine.enter(0.0, 1.0)
    door.machine.join(door.ticket(), 0.0)
    assert door.machine.join(door.ticket(), 0.0).retry_after == pytest.approx(1.0)


class AdmissionAgainstModel(RuleBasedStateMachine):
    """Whatever comes and goes, no more are inside than the limit, and each permit comes back."""

    def __init__(self):
        super().__init__()
        self.door = Door(
            limit=5.0, size=4, tenant=lambda: 0, band=lambda: "a", bands=("a", "b"), target_seconds=1.0
        )
        self.now = 0.0
        self.inside = []
        self.tickets = []

    @rule(cost=st.floats(0.5, 6.0), band=st.integers(0, 1), tenant=st.integers(0, 2), left=st.floats(0, 9))
    def come(self, cost, band, tenant, left):
        permit = self.door.machine.enter(self.now, cost, tenant)
        if permit is not None:
            self.inside.append((permit, self.now, cost))
            return
        ticket = self.door.ticket(self.now, cost, self.now + left, self.now + left, band, tenant)
        if self.door.machine.join(ticket, self.now) is None:
            self.tickets.append(ticket)

    @precondition(lambda self: self.inside)
    @rule(which=st.integers(0, 100))
    def go(self, which):
        permit, since, cost = self.inside.pop(which % len(self.inside))
        self.door.machine.give(permit, self.now, self.now - since, cost)

    @precondition(lambda self: self.tickets)
    @rule(which=st.integers(0, 100))
    def ask(self, which):
        """A waiter leaves: woken, cancelled, or out of time."""
        ticket = self.tickets.pop(which % len(self.tickets))
        permit = self.door.machine.leave(ticket)
        if permit is not None:
            self.inside.append((permit, self.now, ticket.cost))

    @rule(seconds=st.floats(0.0, 3.0))
    def pass_time(self, seconds):
        self.now += seconds

    @invariant()
    def the_limit_holds(self):
        granted = [one for one in self.tickets if one.granted is not None]
        used = sum(cost for _, _, cost in self.inside) + sum(one.cost for one in granted)
        assert self.door.gate.in_use == pytest.approx(used)
        assert used <= 5.0 + 1e-6
        waiting = [one for one in self.tickets if one.granted is None and one.refused is None]
        assert self.door.machine.waiting == len(waiting)

    def teardown(self):
        while self.tickets:
            self.ask(0)
        while self.inside:
            self.go(0)
        assert (self.door.gate.count, self.door.gate.in_use, self.door.machine.waiting) == (0, 0.0, 0)


AdmissionAgainstModel.TestCase.settings = settings(
    derandomize=True, deadline=None, max_examples=60, stateful_step_count=40, database=None
)
TestAdmissionAgainstModel = pytest.mark.once(AdmissionAgainstModel.TestCase)


def test_threads_keep_the_limit():
    door = Door(limit=3, size=64, predict=False)
    inside, most, lost = [], [], []

    def work(number):
        for turn in range(100):
            permit = door.machine.enter(0.0, 1.0)
            if permit is None:
                ticket = door.ticket()
                if door.machine.join(ticket, 0.0) is not None:
                    lost.append(number)
                    continue
                if turn % 3 == 0:
                    permit = door.machine.leave(ticket)
                else:
                    while (permit := ticket.granted) is None:
                        pass
                    permit = door.machine.leave(ticket)
                if permit is None:
                    continue
            inside.append(number)
            most.append(len(inside))
            inside.remove(number)
            door.machine.give(permit, 0.0, 0.0, 1.0)

    crowd(6, work)
    assert max(most) <= 3
    assert (door.gate.count, door.machine.waiting) == (0, 0)
    assert not lost
