"""A batch is cut until each row is settled, within the calls that are promised."""

import itertools
import math
from collections import OrderedDict

import pytest
from hypothesis import given
from hypothesis import strategies as st

from resilient_ml.machines.bisection import Bisection
from resilient_ml.machines.ceiling import CeilingMachine, halves
from resilient_ml.machines.quarantine import Quarantine


def run(plan, bad, *, signature="x", blames=True):
    """Rows that passed, as a model that fails for *bad* rows lets them."""
    passed = []
    while (part := plan.next()) is not None:
        if bad & set(part):
            plan.failed(signature, blames_input=blames)
        else:
            plan.passed()
            passed += part
    return passed


@given(
    st.integers(1, 300).flatmap(lambda n: st.tuples(st.just(n), st.sets(st.integers(0, n - 1), max_size=6)))
)
def test_each_row_is_settled_once_and_rightly(case):
    count, bad = case
    plan = Bisection(range(count), most=10_000)
    passed = run(plan, bad)
    assert sorted(passed) == [row for row in range(count) if row not in bad]
    assert sorted(plan.bad) == sorted(bad)
    assert plan.unsettled() == []
    assert not plan.given_up


@given(st.integers(1, 10), st.data())
def test_one_bad_row_costs_two_calls_a_level(level, data):
    count = 2**level
    plan = Bisection(range(count), most=10_000)
    run(plan, {data.draw(st.integers(0, count - 1))}, blames=data.draw(st.booleans()))
    assert plan.calls == 1 + 2 * level


@given(st.integers(2, 1000), st.data())
def test_one_bad_row_never_costs_more_than_is_promised(count, data):
    plan = Bisection(range(count), most=10_000)
    run(plan, {data.draw(st.integers(0, count - 1))})
    assert plan.calls <= 1 + 2 * math.ceil(math.log2(count))


@pytest.mark.parametrize("count", [2, 3, 4, 5, 8, 100])
def test_a_model_that_is_down_is_given_up_after_five_calls(count):
    plan = Bisection(range(count), most=10_000)
    run(plan, set(range(count)), blames=False)
    assert plan.given_up
    assert plan.calls <= 5
    assert plan.next() is None


@given(st.integers(4, 100), st.data())
def test_rows_that_fail_as_a_dead_model_does_are_found_all_the_same(count, data):
    bad = data.draw(st.sets(st.integers(0, count - 1), min_size=1, max_size=count - 1))
    half = (count + 1) // 2
    firsts = {0, half}
    plan = Bisection(range(count), most=10_000)
    passed = run(plan, bad, blames=False)
    if plan.given_up:
        assert firsts <= bad  # the two rows that were tried by themselves
    else:
        assert sorted(passed) == [row for row in range(count) if row not in bad]


def test_failures_that_differ_are_no_dead_model():
    plan = Bisection(range(8), most=100)
    number = 0
    while plan.next() is not None:
        number += 1
        plan.failed(f"error {number % 2}")
    assert not plan.given_up
    assert sorted(plan.bad) == list(range(8))


def test_failures_that_blame_the_input_are_no_dead_model():
    plan = Bisection(range(8), most=100)
    run(plan, set(range(8)), blames=True)
    assert not plan.given_up
    assert len(plan.bad) == 8


def test_a_failure_that_blamed_the_input_once_is_no_dead_model():
    plan = Bisection(range(8), most=100)
    plan.next()
    plan.failed("x", blames_input=True)
    run(plan, set(range(8)), blames=False)
    assert not plan.given_up


def test_a_single_row_that_fails_is_bad():
    plan = Bisection([3], most=100)
    plan.next()
    plan.failed("x", blames_input=True)
    assert (plan.bad, plan.given_up) == ([3], False)
    plan = Bisection([3], most=100)
    plan.next()
    plan.failed("x")
    assert plan.given_up


def test_calls_are_bounded_and_what_is_left_is_unsettled():
    plan = Bisection(range(16), most=3)
    run(plan, {5})
    assert plan.calls == 3
    assert plan.unsettled() == [0, 1, 2, 3, 4, 5, 6, 7]


def test_rows_that_an_error_names_are_taken_out_at_once():
    plan = Bisection(range(8), most=100)
    assert list(plan.next()) == list(range(8))
    plan.named([0, 1, 2])
    assert list(plan.next()) == [0, 1, 2]
    plan.passed()
    assert plan.next() is None
    plan = Bisection(range(2), most=100)
    plan.next()
    plan.named([])
    assert plan.next() is None
    assert not plan.given_up


def test_a_model_that_names_rows_is_not_given_up():
    plan = Bisection(range(8), most=100)
    plan.next()
    plan.named(range(7))
    while plan.next() is not None:
        plan.failed("x")
    assert not plan.given_up


# -- quarantine --------------------------------------------------------------------------------------------


def test_what_is_bad_is_refused_for_its_time():
    held = Quarantine(2, 10.0)
    held.add(b"a", 0.0)
    assert held.holds(b"a", 9.9)
    assert not held.holds(b"b", 0.0)
    assert not held.holds(b"a", 10.0)
    assert len(held) == 0


def test_the_oldest_goes_first_and_a_second_time_begins_anew():
    held = Quarantine(2, 10.0)
    held.add(b"a", 0.0)
    held.add(b"b", 1.0)
    held.add(b"a", 2.0)
    held.add(b"c", 3.0)
    assert [held.holds(key, 4.0) for key in (b"a", b"b", b"c")] == [True, False, True]
    assert held.holds(b"a", 11.9)
    held.clear()
    assert len(held) == 0


def test_what_is_over_is_let_go_of():
    held = Quarantine(9, 10.0)
    for at, key in enumerate((b"a", b"b", b"c")):
        held.add(key, float(at))
    assert [held.trim(now) for now in (9.9, 10.0, 11.5, 12.0, 13.0)] == [3, 2, 1, 0, 0]


def test_a_thread_that_adds_while_others_look_is_no_harm():
    class Busy(OrderedDict):
        def items(self):
            raise RuntimeError("OrderedDict mutated during iteration")

    held = Quarantine(1, 10.0)
    held._keys = Busy({b"a": 0.0})
    assert held.trim(99.0) == 1


def test_a_thread_that_was_there_first_is_no_harm():
    class Emptied(OrderedDict):
        def popitem(self, last=True):
            raise KeyError

    held = Quarantine(1, 10.0)
    held._keys = Emptied()
    held.add(b"a", 0.0)
    held.add(b"b", 0.0)
    assert held.holds(b"b", 1.0)


# -- the ceiling -------------------------------------------------------------------------------------------


def test_what_does_not_fit_brings_the_ceiling_down_to_what_does():
    machine = CeilingMachine(clean=2, seconds=0)
    machine.failed(0.0, 100.0)
    assert machine.ceiling == 50
    machine.passed(1.0, 40.0, held_back=False)
    machine.failed(2.0, 45.0)
    assert machine.ceiling == 40
    machine.failed(3.0, 40.0)
    assert (machine.ceiling, machine.fits, machine.fails) == (20, 0.0, 40.0)


def test_what_failed_for_a_single_row_is_forgiven():
    machine = CeilingMachine(clean=2, seconds=0)
    machine.failed(0.0, 100.0)
    before = machine.known
    for cost in (50.0, 25.0, 12.0):
        machine.failed(1.0, cost)
    machine.forgive(before)
    assert (machine.ceiling, machine.fails) == (50.0, 100.0)


def test_the_ceiling_never_rises_by_a_failure():
    machine = CeilingMachine(clean=2, seconds=0, ceiling=10.0)
    machine.failed(0.0, 500.0)
    assert machine.ceiling == 10.0


def test_it_grows_once_enough_fitted_and_time_has_passed():
    machine = CeilingMachine(clean=3, seconds=60)
    machine.failed(0.0, 100.0)
    assert [machine.passed(59.0, 50.0, held_back=True) for _ in range(5)] == [None] * 5
    assert machine.passed(60.0, 50.0, held_back=True) == 55.0
    assert [machine.passed(200.0, 50.0, held_back=True) for _ in range(3)] == [None, None, 60.0]
    assert [machine.passed(400.0, 50.0, held_back=False) for _ in range(9)] == [None] * 9
    given = CeilingMachine(clean=1, seconds=0, ceiling=40.0)
    assert given.passed(0.0, 40.0, held_back=True) == 42.0


def test_a_failure_begins_the_count_of_clean_batches_anew():
    machine = CeilingMachine(clean=3, seconds=0)
    machine.failed(0.0, 100.0)
    assert [machine.passed(1.0, 50.0, held_back=True) for _ in range(2)] == [None, None]
    machine.failed(2.0, 50.0)
    assert [machine.passed(3.0, 25.0, held_back=True) for _ in range(2)] == [None, None]
    assert machine.passed(3.0, 25.0, held_back=True) == 27.5


def test_what_failed_once_and_fits_now_is_forgotten():
    machine = CeilingMachine(clean=1, seconds=0)
    machine.failed(0.0, 10.0)
    for _ in range(20):
        machine.passed(1.0, 1.0, held_back=True)
    assert machine.fails == machine.ceiling > 10.0


@given(st.lists(st.floats(0.1, 10), min_size=1, max_size=30), st.floats(0.5, 30))
def test_parts_hold_all_rows_in_order_within_the_ceiling(costs, ceiling):
    parts = CeilingMachine(clean=1, seconds=0, ceiling=ceiling).parts(costs, range(len(costs)))
    assert [row for part in parts for row in part] == list(range(len(costs)))
    for part in parts:
        assert len(part) == 1 or sum(costs[row] for row in part) <= ceiling + 1e-9
    for one, two in itertools.pairwise(parts):
        assert sum(costs[row] for row in one) + costs[two[0]] > ceiling - 1e-9


@given(st.lists(st.floats(0.1, 10), min_size=2, max_size=30))
def test_halves_are_cut_where_the_cost_is_nearest_to_half(costs):
    one, two = halves(range(len(costs)), costs)
    assert [*one, *two] == list(range(len(costs)))
    assert len(one) and len(two)
    gap = abs(sum(costs[: one.stop]) - sum(costs[one.stop :]))
    for cut in range(1, len(costs)):
        assert gap <= abs(sum(costs[:cut]) - sum(costs[cut:])) + 1e-6
