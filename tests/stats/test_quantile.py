"""A fading quantile: close to numpy's, soon enough after a change, and in bounds whatever comes."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from resilient_ml.stats.quantile import DecayingQuantile


@pytest.mark.parametrize("share", [0.01, 0.5, 0.9, 0.99])
@pytest.mark.parametrize("seed", range(3))
def test_it_is_within_its_error_of_the_exact_one(share: float, seed: int) -> None:
    values = np.random.default_rng(seed).lognormal(-2, 1, 2000)
    quantile = DecayingQuantile(share, half_life=10_000)
    for value in values:
        quantile.update(value)
    exact = np.quantile(values, share, method="inverted_cdf")
    assert abs(quantile.value() / exact - 1) <= 0.0501


def test_before_the_first_number_there_is_none() -> None:
    assert math.isnan(DecayingQuantile(0.5, half_life=10).value())


def test_its_bound_is_exceeded_by_no_more_than_the_rest() -> None:
    quantile = DecayingQuantile(0.9, half_life=10_000)
    assert math.isnan(quantile.bound())
    numbers = [0.9 + 0.002 * (number % 100) for number in range(1000)]
    for number in numbers:
        quantile.update(number)
    assert sum(number > quantile.bound() for number in numbers) <= 100
    assert quantile.value() < quantile.bound() < 1.2


def test_old_numbers_fade() -> None:
    quantile = DecayingQuantile(0.5, half_life=100)
    for _ in range(1000):
        quantile.update(0.1)
    for _ in range(50):
        quantile.update(10.0)
    assert quantile.value() == pytest.approx(0.1, rel=0.05)
    for _ in range(150):
        quantile.update(10.0)
    assert quantile.value() == pytest.approx(10.0, rel=0.05)
    assert quantile.count == 1200


@given(st.lists(st.floats(), min_size=1), st.floats(0.01, 0.99))
def test_whatever_comes_the_answer_is_a_positive_number_in_bounds(values: list[float], share: float) -> None:
    quantile = DecayingQuantile(share, half_life=7)
    for value in values:
        quantile.update(value)
    assert 1e-6 <= quantile.value() <= 1e6
