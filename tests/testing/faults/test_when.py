"""When faults strike: by call, by time, by luck, by arguments, so many times; and what they say of it."""

import contextlib
import math
import time

import pytest

from resilient_ml.testing import faults, virtual_time
from resilient_ml.testing.faults import FaultPlan


def struck(fault, calls=10, *, step=0.0, seed=0, args=lambda number: ()):
    """The numbers of the calls that *fault* strikes, *step* seconds apart."""
    plan = FaultPlan(fault, seed=seed)
    model = plan.inject(lambda *args: None)
    with virtual_time():
        for number in range(1, calls + 1):
            with contextlib.suppress(ConnectionError):
                model(*args(number))
            time.sleep(step)
    return [one.call for one in plan.history]


BLIP = faults.error(ConnectionError)


@pytest.mark.parametrize(
    ("fault", "calls"),
    [
        (BLIP, [1, 2, 3, 4, 5, 6, 7, 8, 9, 10]),
        (BLIP.on_calls(3, 5), [3, 5]),
        (BLIP.on_calls(range(2, 4)), [2, 3]),
        (BLIP.on_calls(1, range(9, 20)), [1, 9, 10]),
        (BLIP.first(2), [1, 2]),
        (BLIP.in_turn(2, 4), [2, 6, 10]),
        (BLIP.between(2, 5), [3, 4, 5]),
        (BLIP.between(7), [8, 9, 10]),
        (BLIP.every(4, lasting=1), [1, 5, 9]),
        (BLIP.every(4, lasting=2, offset=1), [2, 3, 6, 7, 10]),
        (BLIP.times(2), [1, 2]),
        (BLIP.times(5).times(3).times(4), [1, 2, 3]),
        (BLIP.with_probability(0), []),
        (BLIP.with_probability(1), [1, 2, 3, 4, 5, 6, 7, 8, 9, 10]),
        (BLIP.on_calls(range(2, 9)).on_calls(range(5, 20)), [5, 6, 7, 8]),
        (BLIP.between(2, 9).every(4, lasting=1).times(1), [5]),
    ],
    ids=str,
)
def test_a_fault_strikes_these_calls_a_second_apart(fault, calls):
    assert struck(fault, step=1.0) == calls


def test_a_predicate_sees_the_arguments():
    fault = BLIP.where(lambda rows: len(rows) > 2)
    assert struck(fault, 5, args=lambda number: ([0] * number,)) == [3, 4, 5]


def test_what_a_predicate_raises_is_raised():
    model = faults.inject(len, BLIP.where(lambda rows, more: True))
    with pytest.raises(TypeError, match="missing 1 required positional argument: 'more'"):
        model([])


def test_a_share_of_calls_is_struck_by_luck():
    # Of 2,000 calls at 0.3, six standard deviations around 600 are 477 to 723.
    assert 477 < len(struck(BLIP.with_probability(0.3), 2000, seed=1)) < 723


def test_luck_is_pinned():
    assert struck(BLIP.with_probability(0.3), 20, seed=7) == [1, 9, 10, 12, 14, 18]


def test_shares_multiply():
    both = struck(BLIP.with_probability(0.5).with_probability(0.5), 100)
    assert both == struck(BLIP.with_probability(0.25), 100)


def test_a_likelier_fault_strikes_what_a_less_likely_one_does_and_more():
    rare, common = (set(struck(BLIP.with_probability(share), 200)) for share in (0.1, 0.4))
    assert rare < common


def test_times_count_over_all_callables_of_a_plan():
    plan = FaultPlan(BLIP.times(1))
    first, second = plan.inject(len), plan.inject(len)
    with pytest.raises(ConnectionError):
        first("a")
    assert second("b") == 1


@pytest.mark.parametrize(
    ("fault", "text"),
    [
        (BLIP, "error(ConnectionError)"),
        (BLIP.on_calls(5, 3), "error(ConnectionError), on calls 3, 5"),
        (BLIP.first(4), "error(ConnectionError), on calls 1 to 4"),
        (BLIP.on_calls(range(1, 9, 4)), "error(ConnectionError), on calls 1, 5"),
        (BLIP.in_turn(2, 4), "error(ConnectionError), on call 2 of every 4"),
        (BLIP.between(1, 2.5), "error(ConnectionError), from 1 s to 2.5 s"),
        (BLIP.between(1), "error(ConnectionError), from 1 s on"),
        (BLIP.every(60, lasting=2), "error(ConnectionError), for 2 s in every 60 s"),
        (BLIP.every(60, lasting=2, offset=5), "error(ConnectionError), for 2 s in every 60 s, first at 5 s"),
        (BLIP.where(len), "error(ConnectionError), where len(...)"),
        (
            BLIP.times(3).with_probability(0.25),
            "error(ConnectionError), with probability 0.25, 3 times at most",
        ),
    ],
)
def test_a_fault_says_when_it_strikes(fault, text):
    assert str(fault) == text
    assert repr(fault) == f"<fault {text}>"


@pytest.mark.parametrize(
    ("fault", "windows"),
    [
        (BLIP, ()),
        (BLIP.with_probability(0.5).first(3), ()),
        (BLIP.between(10, 20), ((10, 20),)),
        (BLIP.between(10), ((10, 60),)),
        (BLIP.between(70), ()),
        (BLIP.every(25, lasting=5, offset=1), ((1, 6), (26, 31), (51, 56))),
        (BLIP.every(25, lasting=5).between(2, 28), ((2, 5), (25, 28))),
        (BLIP.between(10, 20).between(15, 30).between(40, 50), ()),
        (BLIP.between(10, 20).between(20, 30), ()),
        (BLIP.between(10, 20).with_probability(0), ()),
        (faults.outage(10, 20), ((10, 20),)),
        (faults.flapping(up=8, down=2), tuple((8 + 10 * turn, 10 + 10 * turn) for turn in range(6))[:6]),
        (faults.slow_start(5, seconds=30), ((0, 30),)),
        (faults.slow_start(5, seconds=300), ((0, 60),)),
        (faults.slow_start(5, seconds=30).between(20, 40), ((20, 30),)),
        (faults.slow_start(5, calls=3), ()),
    ],
    ids=str,
)
def test_a_plan_knows_its_spans_of_trouble(fault, windows):
    assert FaultPlan(fault).windows(60) == windows


def test_spans_of_several_faults_are_merged():
    plan = FaultPlan(BLIP.between(30, 40), faults.hang().between(10, 20), faults.nan().between(20, 25), BLIP)
    assert plan.windows(60) == ((10, 25), (30, 40))
    assert plan.windows(35) == ((10, 25), (30, 35))


@pytest.mark.parametrize(
    ("make", "error", "text"),
    [
        (lambda: BLIP.with_probability(1.5), ValueError, "probability must be from 0 to 1, got 1.5"),
        (lambda: BLIP.with_probability("often"), TypeError, "probability must be a number"),
        (BLIP.on_calls, ValueError, "numbers must name at least one call"),
        (lambda: BLIP.on_calls(0), ValueError, "numbers must be at least 1, got 0; calls are counted from 1"),
        (lambda: BLIP.on_calls(1.5), TypeError, "numbers must be a whole number"),
        (lambda: BLIP.on_calls(range(3, 3)), ValueError, "numbers must name at least one call"),
        (lambda: BLIP.on_calls(range(3)), ValueError, "numbers must be at least 1, got 0"),
        (lambda: BLIP.first(0), ValueError, "calls must be at least 1"),
        (lambda: BLIP.in_turn(3, 2), ValueError, "place must be at most cycle, got 3 of 2"),
        (lambda: BLIP.in_turn(0, 2), ValueError, "place must be at least 1"),
        (lambda: BLIP.between(-1), ValueError, "begins must not be negative"),
        (lambda: BLIP.between(5, 5), ValueError, "ends must be after begins, got 5 and 5"),
        (lambda: BLIP.between(0, math.nan), ValueError, "ends must be finite"),
        (
            lambda: BLIP.every(10, lasting=11),
            ValueError,
            "lasting must be at most the period, got 11 of 10 s",
        ),
        (lambda: BLIP.every(0, lasting=1), ValueError, "period must be above 0"),
        (lambda: BLIP.every(10, lasting=1, offset=-1), ValueError, "offset must not be negative"),
        (lambda: BLIP.where("rows"), TypeError, "predicate must be callable"),
        (lambda: BLIP.times(0), ValueError, "strikes must be at least 1"),
    ],
)
def test_nonsense_is_refused(make, error, text):
    with pytest.raises(error, match=text):
        make()
