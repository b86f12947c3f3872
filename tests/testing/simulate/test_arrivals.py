"""Requests come at the instants that the rate says, whatever its shape."""

import itertools
import math
import random

import pytest

from resilient_ml.testing.simulate import Constant, Poisson, Ramp, Steps, Uniform, Users


def first(load, count, seed=1):
    return list(itertools.islice(load.instants(random.Random(seed).random), count))


def until(load, end, seed=1):
    return list(itertools.takewhile(lambda at: at < end, load.instants(random.Random(seed).random)))


def test_a_constant_rate_comes_at_even_distances():
    assert first(Constant(4.0), 3) == [0.25, 0.5, 0.75]


def test_steps_change_the_distance_at_their_instants():
    load = Constant(Steps((0, 1), (2, 4), (3, 0.5)))
    assert first(load, 8) == [1.0, 2.0, 2.25, 2.5, 2.75, 3.0, 5.0, 7.0]


def test_no_requests_come_while_the_rate_is_zero():
    assert first(Constant(Steps((0, 2), (1, 0), (10, 2))), 4) == [0.5, 1.0, 10.5, 11.0]


def test_a_rate_that_ends_at_zero_ends_the_requests():
    assert first(Constant(Steps((0, 2), (1, 0))), 10) == [0.5, 1.0]
    assert len(first(Poisson(Steps((0, 50), (1, 0))), 10_000)) < 100


def test_a_ramp_reaches_each_count_where_the_area_under_it_does():
    instants = first(Constant(Ramp((0, 10), (10, 30))), 400)
    for number, at in enumerate(instants, 1):
        area = 10 * at + at * at if at <= 10 else 200 + 30 * (at - 10)
        assert area == pytest.approx(number)


def test_a_ramp_may_fall():
    instants = first(Constant(Ramp((0, 4), (4, 0))), 20)
    assert len(instants) == 8
    assert instants[-1] == pytest.approx(4.0)
    assert [4 * at - at * at / 2 for at in instants] == pytest.approx(range(1, 9))


def test_poisson_arrivals_have_the_rate_and_spread_of_their_kind():
    # Counts in 2,000 seconds at 50 a second: mean and variance are 50. The standard error of the mean is
    # 0.16, that of the variance 1.6: four of each.
    counts = [0] * 2000
    for at in until(Poisson(50.0), 2000.0):
        counts[int(at)] += 1
    mean = sum(counts) / 2000
    variance = sum((count - mean) ** 2 for count in counts) / 1999
    assert mean == pytest.approx(50, abs=0.64)
    assert variance == pytest.approx(50, abs=6.4)


def test_poisson_arrivals_follow_a_changing_rate():
    instants = until(Poisson(Steps((0, 100), (50, 300), (100, 100))), 150.0, seed=3)
    quiet, busy = sum(at < 50 for at in instants), sum(50 <= at < 100 for at in instants)
    assert quiet == pytest.approx(5_000, abs=4 * math.sqrt(5_000))
    assert busy == pytest.approx(15_000, abs=4 * math.sqrt(15_000))


def test_the_same_draws_give_the_same_arrivals():
    assert first(Poisson(3.0), 100) == first(Poisson(3.0), 100)
    assert first(Poisson(3.0), 100) != first(Poisson(3.0), 100, seed=2)


def test_users_think_for_as_long_as_they_are_told():
    think = Users(3, think=Uniform(1.0, 2.0)).thoughts(lambda: 0.5)
    assert think() == 1.5


@pytest.mark.parametrize(
    ("make", "error", "says"),
    [
        (lambda: Poisson(0.0), ValueError, "rate must be above 0, got 0.0; pass requests per second"),
        (lambda: Constant("fast"), TypeError, "rate must be a number, got 'fast'"),
        (Steps, ValueError, "points must begin at second 0 and go on in order, got []"),
        (lambda: Steps((1, 5)), ValueError, "points must begin at second 0 and go on in order, got [1.0]"),
        (lambda: Ramp((0, 5), (0, 6)), ValueError, "points must begin at second 0 and go on in order"),
        (lambda: Ramp((0, 5), (9, -1)), ValueError, "the rate of a point must not be negative, got -1"),
        (lambda: Steps((0, 5), (-1, 5)), ValueError, "the second of a point must not be negative, got -1"),
        (lambda: Steps(5), TypeError, "points must be pairs of a second and a rate, got 5; write Steps("),
        (lambda: Ramp((1, 2, 3)), TypeError, "points must be pairs of a second and a rate"),
        (lambda: Users(0, think=1.0), ValueError, "count must be at least 1, got 0"),
        (lambda: Users(1, think=-1.0), ValueError, "think must not be negative, got -1.0"),
    ],
)
def test_impossible_loads_are_refused(make, error, says):
    with pytest.raises(error) as raised:
        make()
    assert str(raised.value).startswith(says)


def test_loads_show_their_numbers():
    assert repr(Poisson(2.5)) == "Poisson(Steps((0, 2.5)))"
    assert repr(Constant(Ramp((0, 1), (2, 3)))) == "Constant(Ramp((0, 1), (2, 3)))"
    assert repr(Users(5, think=Uniform(1, 2))) == "Users(5, think=Uniform(low=1, high=2))"
