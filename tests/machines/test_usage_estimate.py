"""Estimates of usage: nothing before enough is known, a percentile for one call, nearer the mean for many."""

import random

import pytest

from resilient_ml.machines.usage_estimate import UsageEstimate


def taught(margin=1.0):
    estimate = UsageEstimate(margin)
    draws = random.Random(1)
    for _ in range(400):
        estimate.learn(draws.uniform(0, 100))
    return estimate


def test_nothing_is_known_before_twenty_calls():
    estimate = UsageEstimate(1.0)
    for _ in range(19):
        estimate.learn(5.0)
    assert estimate.expected() is None
    estimate.learn(5.0)
    assert estimate.expected() is not None


def test_one_call_is_reserved_its_percentile_and_many_come_nearer_the_mean():
    estimate = taught()
    assert 90 < estimate.expected() < 105
    for _ in range(24):
        estimate.begin()
    assert 50 < estimate.expected() < 65
    for _ in range(12):
        estimate.end()
    assert 60 < estimate.expected() < 70
    for _ in range(12):
        estimate.end()
    assert 90 < estimate.expected() < 105


def test_the_margin_widens_it():
    assert taught(1.5).expected() == pytest.approx(taught().expected() * 1.5)


def test_where_a_few_use_nearly_all_the_mean_is_reserved_and_never_less():
    estimate = UsageEstimate(1.0)
    for number in range(100):
        estimate.learn(1000.0 if number % 33 == 32 else 1.0)
    mean = (3 * 1000.0 + 97 * 1.0) / 100
    assert estimate.expected() == pytest.approx(mean)
    estimate.begin()
    assert estimate.expected() == pytest.approx(mean)


def test_what_calls_used_long_ago_is_forgotten_by_the_mean_too():
    estimate = UsageEstimate(1.0)
    for used in [100.0] * 2000 + [10.0] * 4000:
        estimate.learn(used)
    for _ in range(10_000):  # so many in flight come to their mean
        estimate.begin()
    assert estimate.expected() == pytest.approx(10.0, rel=0.02)


def test_a_fork_leaves_the_calls_in_flight_behind():
    estimate = taught()
    before = estimate.expected()
    estimate.begin()
    estimate.after_fork()
    assert estimate.expected() == before
    estimate.end()  # in the child, that of a call which had begun before
    assert estimate.expected() == before
