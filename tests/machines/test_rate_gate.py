"""The gate: all meters or none, one fair queue, exact turns, and nothing held by who has left."""

import random

import pytest

from resilient_ml.machines.gcra import Gcra
from resilient_ml.machines.rate_gate import RateGate
from resilient_ml.machines.sliding_window import SlidingWindow

from .crowd import crowd

INF = float("inf")


def gate(*bursts, queue=10):
    return RateGate([Gcra(60, per=60.0, burst=burst) for burst in bursts], queue)


class Guest:
    def __init__(self, gate, now, costs, *, reachable=True):
        self.gate, self.reachable, self.woken = gate, reachable, 0
        self.waiter, self.turn = gate.join(now, costs, INF)
        self.comes = self.come(now)

    def wake(self):
        self.woken += 1
        return self.reachable

    def come(self, now):
        self.comes = self.gate.serve(self.waiter, now, self.wake)
        return self.comes


def test_all_is_taken_or_nothing():
    both = gate(10, 2)
    assert both.admit(0.0, (1, 2)) is not None
    assert both.admit(0.0, (1, 1)) is None
    assert both.left(0.0) == (9, 0)
    assert both.turn_of(0.0, (1, 1)) == 1.0


def test_a_small_call_does_not_overtake_a_large_one():
    one = gate(10)
    one.admit(0.0, (10,))
    large, small = Guest(one, 0.0, (8,)), Guest(one, 0.0, (1,))
    assert (large.comes, small.comes) == (8.0, 9.0)
    assert one.admit(1.0, (1,)) is None
    assert one.turn_of(1.0, (1,)) == 10.0
    assert large.come(8.0) is None
    assert small.come(8.0) == 9.0
    assert small.come(9.0) is None
    assert one.left(9.0) == (0,)


def test_who_leaves_makes_room_for_those_behind_and_wakes_the_first():
    one = gate(10)
    one.admit(0.0, (10,))
    large, small = Guest(one, 0.0, (8,)), Guest(one, 0.0, (1,))
    assert one.leave(large.waiter, 0.5) is None
    assert small.woken == 1
    assert small.come(0.5) == 1.0
    assert small.come(1.0) is None
    assert one.leave(small.waiter, 1.0) is not None
    assert one.leave(small.waiter, 1.0) is None


def test_a_waiter_serves_those_before_it():
    one = gate(1)
    one.admit(0.0, (1,))
    first, second = Guest(one, 0.0, (1,)), Guest(one, 0.0, (1,))
    assert second.come(2.0) == 3.0  # the first came late, and so was taken for late
    assert first.woken == 1
    assert first.come(2.5) is None


def test_one_that_nobody_can_wake_holds_nobody_up():
    one = gate(1)
    one.admit(0.0, (1,))
    Guest(one, 0.0, (1,), reachable=False)
    second = Guest(one, 0.0, (1,))
    assert second.come(2.0) is None or second.come(2.0) is None
    assert not one.waiters


@pytest.mark.once
@pytest.mark.parametrize(("given_back", "waiting"), [(0.5, 1), (1, 0)])
def test_any_number_that_nobody_can_wake_hold_nobody_up(given_back, waiting):
    one = gate(1, queue=1000)
    marks = one.admit(0.0, (1,))
    for _ in range(600):  # each has come, waits for its turn, and its event loop ends
        waiter, waiter.comes = one.join(0.0, (1,), INF)
        waiter.wake = lambda: False
    last = Guest(one, 0.0, (1,))
    one.settle(marks, (-given_back,), 0.0)
    assert last.woken == 1
    assert len(one.waiters) == waiting


def test_one_that_nobody_can_wake_is_dropped_when_its_turn_comes_nearer():
    one = gate(10)
    marks = one.admit(0.0, (10,))
    Guest(one, 0.0, (8,), reachable=False)
    second = Guest(one, 0.0, (3,))
    one.settle(marks, (-2,), 0.0)
    assert second.woken == 1
    assert second.come(0.0) == 1.0


def test_a_settlement_moves_those_who_wait():
    one = gate(10)
    marks = one.admit(0.0, (10,))
    guest = Guest(one, 0.0, (2,))
    one.settle(marks, (-10,), 0.0)
    assert guest.woken == 1
    assert guest.waiter.marks is not None
    assert guest.come(0.0) is None
    late = gate(10)
    marks = late.admit(0.0, (10,))
    guest = Guest(late, 0.0, (2,))
    late.settle(marks, (3,), 0.0)
    assert guest.woken == 0
    assert guest.come(2.0) == 5.0


def test_all_whose_turn_has_come_are_let_in_at_once():
    one = gate(10)
    marks = one.admit(0.0, (10,))
    guests = [Guest(one, 0.0, (cost,)) for cost in (2, 3, 4, 2)]
    one.settle(marks, (-10,), 0.0)
    assert [guest.waiter.marks is not None for guest in guests] == [True, True, True, False]
    assert [guest.woken for guest in guests] == [1, 1, 1, 1]  # the last as its turn came nearer


def test_whose_turn_is_as_it_was_is_not_woken():
    one = gate(10)
    one.admit(0.0, (10,))
    guest = Guest(one, 0.0, (2,))
    one.hear(0, 0.5, None, 0.0)
    assert guest.woken == 0
    one.close(0.5, 1.0)
    one.hear(0, 0.5, None, 0.0)
    assert guest.woken == 0
    assert guest.come(2.0) is None
    assert guest.woken == 0  # it was awake, and saw for itself


def test_nobody_waits_who_would_be_too_late_or_too_many():
    one = gate(1, queue=1)
    one.admit(0.0, (1,))
    assert one.join(0.0, (1,), 0.5) == (None, 1.0)
    waiter, turn = one.join(0.0, (1,), 1.0)
    assert (waiter is not None, turn) == (True, 1.0)
    assert one.join(0.0, (1,), INF) == (None, 2.0)


def test_a_closed_gate_lets_nobody_in_until_it_opens():
    one = gate(10)
    one.close(0.0, 5.0)
    one.close(0.0, 3.0)
    assert one.admit(4.0, (1,)) is None
    assert one.turn_of(4.0, (1,)) == 5.0
    guest = Guest(one, 4.0, (1,))
    assert guest.comes == 5.0
    assert guest.come(4.5) == 5.0
    assert guest.come(5.0 - 0.5e-9) is None  # what rounding brings
    assert one.admit(5.0, (1,)) is not None


def test_a_provider_is_obeyed_at_once_and_forgotten_slowly():
    one = RateGate([SlidingWindow(100, per=10.0)], 10)
    one.hear(0, 0.0, 50.0, 20.0)
    assert one.left(0.0) == (30,)
    one.hear(0, 0.5, 500.0, 0.0)
    assert one.meters[0].limit == 50
    for now in (1.0, 1.5, 2.0, 3.0, 4.0, 5.0, 6.0, 7.0):
        one.hear(0, now, 500.0, 0.0)
        one.hear(0, now, None, 0.0)
    assert one.meters[0].limit == 100
    assert one.left(30.0) == (100,)


def test_a_limit_goes_back_up_by_a_tenth_in_each_tenth_of_a_window():
    one = RateGate([SlidingWindow(100, per=10.0)], 10)
    seen = []
    for now, told in [
        (0.0, 50.0),
        (0.9, 50.0),  # the same again delays nothing
        (0.95, 500.0),
        (1.0, None),
        (1.0, 500.0),
        (1.5, 500.0),
        (2.0, 65.0),
        (3.0, 65.0),
        (4.0, 500.0),
    ]:
        one.hear(0, now, told, 0.0)
        seen.append(one.meters[0].limit)
    assert seen == [50, 50, 50, 50, 60, 60, 65, 65, 75]


@pytest.mark.parametrize(("spare", "left"), [(-5.0, 7), (0.0, 7), (0.5, 6.5), (3.0, 4)])
def test_what_a_provider_has_beyond_what_was_thought_is_not_given_out(spare, left):
    one = gate(10)
    one.admit(0.0, (5,))
    one.hear(0, 2.0, None, spare)
    assert one.left(2.0) == (left,)


def test_who_has_not_come_yet_is_before_who_comes_late():
    one = gate(1)
    one.admit(0.0, (1,))
    Guest(one, 0.0, (1,))
    assert one.turn_of(0.5, (1,)) == 2.0
    assert one.turn_of(5.0, (1,)) == 6.0


def test_a_limit_that_is_raised_lets_those_in_who_wait():
    one = RateGate([SlidingWindow(100, per=10.0)], 10)
    one.hear(0, 0.0, 50.0, 0.0)
    one.admit(0.0, (50,))
    guest = Guest(one, 0.0, (5,))
    one.hear(0, 1.0, 100.0, 0.0)
    assert guest.woken == 1
    assert guest.come(1.0) is None


def test_a_fork_leaves_those_who_wait_behind():
    one = gate(1)
    one.admit(0.0, (1,))
    Guest(one, 0.0, (1,))
    one.after_fork()
    assert not one.waiters


def test_threads_never_take_more_than_there_is():
    one = RateGate([SlidingWindow(500, per=1e6), SlidingWindow(3000, per=1e6)], 1000)
    taken = [0] * 8

    def work(number):
        draws = random.Random(number)
        for _ in range(300):
            cost = draws.randint(1, 9)
            marks = one.admit(0.0, (1, cost))
            if marks is not None:
                used = draws.randint(0, cost)
                one.settle(marks, (0, used - cost), 0.0)
                taken[number] += used

    crowd(8, work)
    left = one.left(0.0)
    assert left[0] >= 0
    assert left[1] == 3000 - sum(taken) >= 0


@pytest.mark.parametrize("seed", range(5))
def test_turns_are_kept_to_the_instant(seed):
    draws = random.Random(seed)
    one = RateGate([SlidingWindow(10, per=10.0), Gcra(60, per=60.0, burst=5)], 100)
    guests, now = [], 0.0
    for _ in range(30):
        now += draws.random()
        if one.admit(now, (cost := (1, draws.randint(1, 5)))) is None:
            guests.append(Guest(one, now, cost))
        for guest in [guest for guest in guests if guest.waiter.marks is None]:
            guest.come(now)
    turns = [guest.waiter.turn for guest in guests if guest.waiter.marks is None]
    assert turns == sorted(turns)
    for guest in [guest for guest in guests if guest.waiter.marks is None]:
        turn = guest.waiter.turn
        assert guest.come(turn - 1e-6) is not None
        assert guest.come(turn) is None


def test_a_waiter_that_a_signal_handler_served_meanwhile_is_not_served_twice(monkeypatch):
    one = gate(10)
    one.admit(0.0, (10,))
    first, second = Guest(one, 0.0, (1,)), Guest(one, 0.0, (1,))
    removed = RateGate._removed

    def removed_before(self, waiter):
        monkeypatch.setattr(RateGate, "_removed", removed)
        removed(self, waiter)
        return False

    monkeypatch.setattr(RateGate, "_removed", removed_before)
    marks = one.admit(0.0, (0,))
    assert marks is None
    one.settle(one._take(one.meters, 2.0, (0,)), (-1,), 2.0)
    assert first.waiter not in one.waiters
    assert first.waiter.marks is None
    assert second.waiter.marks is not None


def tickets_of(gate):
    """How many tickets there are, of which none is drawn; the gate issues others when it needs them."""
    marks = list(gate.tickets)
    gate.tickets = iter(marks)
    return len(marks)


def test_calls_of_one_are_taken_beforehand_as_long_as_they_are_alike_and_given_back_when_anybody_looks():
    one = RateGate([SlidingWindow(100, per=10.0, slices=10)], 10)
    assert one.admit(0.0, (1.0,)) is not None
    assert (one.until, tickets_of(one)) == (1.0, 64)
    mark = next(one.tickets)
    assert one.left(0.5) == (98,)
    assert next(one.tickets, None) is None
    one.settle(mark, (-1.0,), 0.5)
    assert one.left(0.5) == (99,)


def test_who_asks_for_a_turn_finds_what_nobody_has_drawn():
    one = RateGate([SlidingWindow(100, per=10.0, slices=10)], 10)
    one.admit(0.0, (1.0,))
    assert one.turn_of(0.5, (99.0,)) == 0.5
    one.admit(0.5, (1.0,))
    assert one.join(0.5, (98.0,), 0.5)[1] == 0.5


def test_a_gate_that_closes_takes_its_tickets_back():
    one = RateGate([SlidingWindow(100, per=10.0, slices=10)], 10)
    one.admit(0.0, (1.0,))
    one.close(0.0, 5.0)
    assert next(one.tickets, None) is None
    assert one.left(0.0) == (99,)


def test_no_more_is_taken_beforehand_than_there_is():
    one = RateGate([SlidingWindow(10, per=10.0, slices=10)], 10)
    one.admit(0.0, (1.0,))
    assert tickets_of(one) == 9
    assert all(one.admit(0.5, (1.0,)) for _ in range(9))
    assert one.admit(0.5, (1.0,)) is None
    assert one.left(0.5) == (0,)


def test_nothing_is_taken_beforehand_for_calls_of_other_costs_or_where_the_provider_counts_along():
    one = RateGate([SlidingWindow(100, per=10.0, slices=10)], 10)
    one.admit(0.0, (2.0,))
    assert tickets_of(one) == 0
    one.hear(0, 0.0, None, 0.0)
    one.admit(0.0, (1.0,))
    assert tickets_of(one) == 0
    soon_full = gate(10)
    soon_full.admit(0.0, (1.0,))
    assert tickets_of(soon_full) == 0


def test_where_nothing_is_left_no_tickets_are_issued():
    one = RateGate([Gcra(60, per=60.0, burst=1)], 10)
    only = one.meters[0]
    only.take(0.0, 1)
    before = one.until
    one._issue(only, 0.0)
    assert one.until == before
    assert next(one.tickets, None) is None
