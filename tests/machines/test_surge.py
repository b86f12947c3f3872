"""The virtual queue: what a burst may take, who goes first in a surge, and when it is over."""

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from resilient_ml.machines.surge import Surge, SurgeMachine

from .crowd import crowd


def let_in(machine, now, many, *, band=0, capacity=10.0, cost=1.0):
    return sum(machine.arrive(now, band, cost, capacity).wait is None for _ in range(many))


def test_a_burst_within_the_patience_passes():
    machine = SurgeMachine(2, patience=2.0, window=5.0)
    assert let_in(machine, 0.0, 20, band=1) == 20
    assert not machine.surging(0.0, 10.0)
    assert let_in(machine, 1.0, 10, band=1) == 10  # a second of work has been done
    assert not machine.surging(1.0, 10.0)


def test_the_first_call_beyond_begins_a_surge_and_says_when_there_is_room():
    machine = SurgeMachine(1, patience=2.0, window=5.0)
    let_in(machine, 0.0, 20)
    answer = machine.arrive(0.0, 0, 1.0, 10.0)
    assert (answer.began, answer.ended) == (True, None)
    assert answer.wait == pytest.approx(0.1 / 0.95)
    again = machine.arrive(0.0, 0, 1.0, 10.0)
    assert (again.began, again.wait) == (False, answer.wait)
    assert let_in(machine, 0.10, 1) == 0
    assert let_in(machine, 0.106, 1) == 1


@pytest.mark.parametrize(("bands", "most"), [(1, [20]), (2, [20, 10]), (4, [20, 15, 10, 5])])
def test_in_a_surge_each_band_may_fill_its_part(bands, most):
    def surging():
        machine = SurgeMachine(bands, patience=2.0, window=100.0)
        let_in(machine, 0.0, 21)
        assert machine.backlog(10.0, 10.0) == 0
        return machine

    assert [let_in(surging(), 10.0, 50, band=band) for band in range(bands)] == most
    machine = surging()
    assert let_in(machine, 10.0, 50, band=bands - 1) == most[-1]
    assert let_in(machine, 10.0, 50, band=0) == most[0] - most[-1]


def test_the_most_urgent_are_served_whatever_the_others_ask_for():
    machine = SurgeMachine(2, patience=1.0, window=5.0)
    inside, asked = [0, 0], [0, 0]
    draws = random.Random(1)
    now = 0.0
    while now < 60.0:  # 80 urgent ones a second, 320 others, and 100 can be served
        now += draws.expovariate(400.0)
        band = int(draws.random() > 0.2)
        asked[band] += 1
        inside[band] += machine.arrive(now, band, 1.0, 100.0).wait is None
    assert inside[0] > 0.99 * asked[0]
    assert sum(inside) == pytest.approx(5800, rel=0.03)


def test_more_is_let_in_as_capacity_comes():
    machine = SurgeMachine(1, patience=1.0, window=5.0)
    rates = []
    for second in range(60):
        capacity = 10.0 if second < 30 else 20.0
        rates.append(sum(let_in(machine, second + part / 40, 1, capacity=capacity) for part in range(40)))
    assert sum(rates[1:30]) == pytest.approx(0.95 * 290, abs=10)
    assert sum(rates[30:]) == pytest.approx(0.95 * 600, abs=15)


def test_a_surge_is_over_when_nothing_stands_and_nobody_was_refused_for_a_window():
    machine = SurgeMachine(1, patience=1.0, window=5.0)
    let_in(machine, 0.0, 12)
    assert machine.surging(4.9, 10.0)
    assert machine.arrive(4.9, 0, 1.0, 10.0).ended is None
    assert not machine.surging(5.1, 10.0)
    answer = machine.arrive(5.1, 0, 1.0, 10.0)
    assert answer.ended == Surge(seconds=5.1, shed=2, peak=pytest.approx(12 / 5))
    assert answer.wait is None
    assert machine.arrive(5.2, 0, 1.0, 10.0).ended is None


def test_a_surge_lasts_from_its_first_refusal_for_a_whole_window_after_its_last():
    machine = SurgeMachine(1, patience=1.0, window=4.0)
    let_in(machine, 8.0, 11)
    assert let_in(machine, 9.0, 11) == 9  # at 0.95 of the capacity half a call still stands
    assert machine.surging(12.75, 10.0)
    assert not machine.surging(13.0, 10.0)
    ended = machine.arrive(13.0, 0, 1.0, 10.0).ended
    assert (ended.seconds, ended.shed) == (5.0, 3)


def test_it_goes_on_while_work_stands():
    machine = SurgeMachine(1, patience=100.0, window=5.0)
    let_in(machine, 0.0, 1001)
    assert machine.surging(105.0, 10.0)
    assert not machine.surging(105.4, 10.0)


def test_one_surge_can_follow_the_other_in_one_call():
    machine = SurgeMachine(1, patience=1.0, window=5.0)
    let_in(machine, 0.0, 11)
    assert machine.backlog(6.0, 10.0) == 0
    answer = machine.arrive(6.0, 0, 1.0, capacity=0.0)
    assert answer.ended == Surge(seconds=6.0, shed=1, peak=pytest.approx(11 / 5))
    assert answer.began
    assert answer.wait == 5.0


def test_without_capacity_nobody_is_let_in_and_the_window_is_the_wait():
    machine = SurgeMachine(1, patience=1.0, window=5.0)
    assert machine.arrive(0.0, 0, 1.0, capacity=0.0).wait == 5.0
    assert machine.arrive(0.0, 0, 1.0, capacity=1.0).wait is None


def test_a_call_larger_than_the_patience_passes_when_nothing_stands():
    machine = SurgeMachine(1, patience=1.0, window=5.0)
    assert machine.arrive(0.0, 0, 50.0, capacity=10.0).wait is None
    answer = machine.arrive(1.0, 0, 50.0, capacity=10.0)
    assert answer.wait == pytest.approx(40 / 9.5)  # when nothing stands
    assert machine.arrive(5.3, 0, 50.0, capacity=10.0).wait is None


def test_what_is_taken_back_makes_room_and_no_more_than_there_was():
    machine = SurgeMachine(1, patience=1.0, window=5.0)
    let_in(machine, 0.0, 10)
    machine.take_back(1.0)
    assert machine.backlog(0.0, 10.0) == 9
    machine.take_back(100.0)
    assert machine.backlog(0.0, 10.0) == 0


def test_demand_is_what_is_asked_for_not_what_gets_through():
    machine = SurgeMachine(1, patience=1.0, window=5.0)
    for part in range(4000):
        machine.arrive(part / 40, 0, 2.0, 10.0)
    assert machine.demand(100.0) == pytest.approx(80, rel=0.02)
    assert machine.demand(105.0) == pytest.approx(80 / 2.718, rel=0.02)


def test_a_clock_that_steps_back_changes_nothing():
    machine = SurgeMachine(1, patience=1.0, window=5.0)
    let_in(machine, 10.0, 5)
    demand = machine.demand(10.0)
    assert machine.backlog(0.0, 10.0) == 5
    assert machine.demand(0.0) == demand
    assert machine.backlog(10.2, 10.0) == pytest.approx(3)


def test_a_child_process_begins_with_nothing_inside():
    machine = SurgeMachine(1, patience=1.0, window=5.0)
    let_in(machine, 0.0, 10)
    machine.after_fork()
    assert let_in(machine, 0.0, 10) == 10


def test_threads_let_in_no_more_than_one_would():
    machine = SurgeMachine(1, patience=1.0, window=5.0)
    inside = [0] * 8

    def work(number):
        inside[number] = let_in(machine, 0.0, 500, capacity=1000.0)

    crowd(8, work)
    assert sum(inside) == 1000


@given(
    st.lists(
        st.tuples(
            st.floats(0, 2),
            st.integers(0, 2),
            st.floats(0, 5),
            st.sampled_from([0.0, 1.0, 10.0]),
        ),
        max_size=80,
    )
)
def test_nothing_is_let_in_beyond_the_patience_unless_nothing_stood(calls):
    machine = SurgeMachine(3, patience=2.0, window=5.0)
    now = backlog = 0.0
    begun = False
    for passed, band, cost, capacity in calls:
        now += passed
        backlog = max(0.0, backlog - (0.95 if begun else 1.0) * capacity * passed)
        surging = machine.surging(now, capacity)
        answer = machine.arrive(now, band, cost, capacity)
        if answer.wait is None:
            share = (3 - band) / 3 if surging else 1.0
            assert backlog <= 1e-9 or backlog + cost <= 2.0 * share * capacity + 1e-6
            backlog += cost
            begun = surging
        else:
            assert answer.wait > 0
            assert machine.surging(now, capacity)
            begun = True
        assert machine.backlog(now, capacity) == pytest.approx(backlog, abs=1e-6)
