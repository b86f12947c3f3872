"""When a hedge is worth starting: the delay that is learned, and when all are slow there is none."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from resilient_ml.machines.hedging import HedgeMachine
from resilient_ml.machines.retry_budget import RetryBudget

PROPERTY = settings(derandomize=True, deadline=None, max_examples=100, database=None)


def hedging(delay=None, quantile=0.95, minimum=100, ratio=0.05, burst=10.0):
    return HedgeMachine(delay, quantile, minimum, RetryBudget(ratio, 0.0, burst))


def calls(machine, number, seconds, now=0.0, every=1.0):
    """So many calls that end in time, one after another; the instant after them."""
    for _ in range(number):
        machine.begin()
        machine.ended(now, seconds, late=False)
        now += every
    return now


def test_nothing_is_hedged_before_a_delay_is_learned():
    machine = hedging()
    assert machine.begin() is None
    calls(machine, 99, 0.1)
    assert machine.begin() is None
    calls(machine, 16, 0.1)
    assert machine.begin() == pytest.approx(0.1, rel=0.06)


def test_the_delay_is_the_quantile_of_what_calls_take():
    machine = hedging(quantile=0.9)
    for number in range(960):
        machine.ended(0.0, 1.0 if number % 20 == 0 else 0.1, late=False)
    assert machine.delay == pytest.approx(0.1, rel=0.06)
    machine = hedging(quantile=0.97)
    for number in range(960):
        machine.ended(0.0, 1.0 if number % 20 == 0 else 0.1, late=False)
    assert machine.delay == pytest.approx(1.0, rel=0.06)


def test_a_fixed_delay_holds_from_the_first_call_on():
    machine = hedging(delay=0.5)
    assert machine.begin() == 0.5
    calls(machine, 500, 0.1)
    assert machine.begin() == 0.5


def test_a_late_call_is_hedged_and_paid_for():
    machine = hedging(delay=0.5, ratio=0.5, burst=2.0, quantile=0.5)
    assert [machine.late(0.0) for _ in range(3)] == [None, None, "the budget is spent"]
    machine.begin()
    machine.begin()
    assert machine.late(0.0) is None


def test_when_more_calls_than_usual_are_late_all_are_slow():
    machine = hedging(delay=0.5, burst=1e9)
    calls(machine, 1000, 0.1)
    told = [machine.late(0.0) for _ in range(20)]
    assert told[:8] == [None] * 8
    assert set(told[8:]) == {"more calls than usual take so long"}
    calls(machine, 200, 0.1)
    assert machine.late(0.0) is None


def test_a_call_counts_as_late_once_however_often_it_asks():
    machine = hedging(delay=0.5, burst=1e9)
    calls(machine, 1000, 0.1)
    machine.late(0.0)
    assert {machine.late(0.0, first=False) for _ in range(50)} == {None}


def test_one_call_in_ten_being_slow_is_no_slow_backend():
    machine = hedging(delay=0.5, burst=1e9)
    told = []
    for number in range(2000):
        machine.begin()
        late = number % 10 == 0
        if late:
            told.append(machine.late(float(number)))
        machine.ended(float(number), 2.0 if late else 0.1, late=late)
    assert set(told) == {None}


def test_while_the_median_is_up_nothing_is_hedged():
    machine = hedging(delay=0.5, burst=1e9)
    now = calls(machine, 400, 0.1)
    assert machine.late(now) is None
    now = calls(machine, 100, 0.16, now)
    assert machine.slow()
    assert machine.late(now) == "calls take longer than usual"
    now = calls(machine, 200, 0.12, now)
    assert not machine.slow()
    assert machine.late(now) is None


def test_a_slowness_that_lasts_is_what_is_usual():
    machine = hedging()
    now = calls(machine, 200, 0.1)
    now = calls(machine, 150, 0.3, now)  # the first period ended at 300 s, and most of it was quick
    assert machine.slow()
    assert machine.late(now) is not None
    now = calls(machine, 300, 0.3, now)
    assert not machine.slow()


def test_a_quiet_period_says_nothing_about_what_is_usual():
    machine = hedging()
    calls(machine, 200, 0.1)
    calls(machine, 5, 10.0, now=1000.0)
    calls(machine, 5, 10.0, now=2000.0)
    assert not machine.slow()  # ten of two hundred
    calls(machine, 200, 10.0, now=3000.0)
    assert machine.slow()


@PROPERTY
@given(
    lengths=st.lists(st.floats(1e-5, 1e3), min_size=1, max_size=400),
    ratio=st.floats(0.01, 1.0),
)
def test_hedges_are_never_more_than_their_share(lengths, ratio):
    machine = hedging(ratio=ratio, burst=3.0, minimum=10)
    hedged = 0
    for number, seconds in enumerate(lengths):
        delay = machine.begin()
        late = delay is not None and seconds > delay
        if late:
            hedged += machine.late(float(number)) is None
        machine.ended(float(number), seconds, late=late)
        assert hedged <= 3 + ratio * (number + 1) + 1e-6


@pytest.mark.parametrize("odd", [float("nan"), float("inf"), -1.0, 0.0])
def test_an_odd_length_leaves_it_working(odd):
    machine = hedging()
    calls(machine, 200, 0.1)
    machine.ended(0.0, odd, late=False)
    calls(machine, 200, 0.1)
    assert machine.delay == pytest.approx(0.1, rel=0.06)


def test_where_the_budget_allows_more_than_the_quantile_so_many_may_be_late():
    machine = hedging(delay=0.5, quantile=0.99, ratio=0.2, burst=1000.0)
    answers = []
    for number in range(200):  # one call in five is late: twenty times what the quantile has, and paid for
        machine.begin()
        late = number % 5 == 0
        if late:
            answers.append(machine.late(0.0))
        machine.ended(0.0, 0.1, late=late)
    assert set(answers) == {None}


def test_calls_that_were_late_do_not_speak_for_the_others():
    machine = hedging(delay=0.5, quantile=0.95, ratio=0.1, burst=1000.0)
    answers = []
    for _ in range(30):
        answers.append(machine.late(0.0))
        machine.ended(0.0, 0.1, late=True)
    # After n of them the share is 1 - 0.98 ** n, which passes 0.3 with the eighteenth.
    assert answers.index("more calls than usual take so long") == 17


def test_however_small_the_budget_as_many_may_be_late_as_the_quantile_has():
    machine = hedging(delay=0.5, quantile=0.9, ratio=0.001, burst=1000.0)
    answers = []
    for _ in range(18):
        answers.append(machine.late(0.0))
        machine.ended(0.0, 0.1, late=True)
    assert answers == [None] * 17 + ["more calls than usual take so long"]


def test_the_delay_is_looked_up_once_in_sixteen_calls():
    machine = hedging(minimum=16)
    calls(machine, 16, 0.1)
    before = machine.delay
    for count in range(1, 16):
        machine.ended(0.0, 5.0, late=False)
        assert machine.delay == before, count
    machine.ended(0.0, 5.0, late=False)
    assert machine.delay == pytest.approx(5.0, rel=0.11)


def test_a_median_a_little_above_the_usual_is_not_slow():
    machine = hedging(delay=0.5)
    now = calls(machine, 400, 0.1)
    calls(machine, 100, 0.13, now)
    assert not machine.slow()
    calls(machine, 100, 0.17, now)
    assert machine.slow()


def test_what_is_usual_changes_after_a_whole_period_with_what_it_held_alone():
    machine = hedging(delay=0.5)
    now = calls(machine, 310, 0.1)  # the first period has ended
    now = calls(machine, 300, 0.3, now)  # and the second, whose first ten were of the old kind
    calls(machine, 5, 0.3, now)
    assert machine._usual_median == pytest.approx(0.3, rel=0.06)
