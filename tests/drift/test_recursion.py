"""A recursion in stretches gives what a loop gives."""

from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from resilient_ml.drift import _recursion
from resilient_ml.drift._recursion import CELLS, blocks, recur
from resilient_ml.drift._wealth import gather

JOINS = pytest.mark.parametrize("join", [np.add, np.maximum])


def looped(held: Any, factors: Any, added: Any, join: np.ufunc) -> Any:
    found = np.empty_like(factors)
    for step, (factor, more) in enumerate(zip(factors, added, strict=True)):
        held = found[step] = join(held * factor, more)
    return found


@JOINS
@settings(max_examples=60, deadline=None)
@given(count=st.integers(1, 1300), columns=st.integers(1, 4), seed=st.integers(0, 9))
def test_it_is_the_loop(join: np.ufunc, count: int, columns: int, seed: int) -> None:
    draw = np.random.default_rng(seed)
    factors, added = draw.random((2, count, columns)) * 1.2
    factors[draw.random(factors.shape) < 0.05] = 0.0
    held = draw.random(columns) * 100.0
    given_before = held.copy(), factors.copy(), added.copy()
    found = recur(held, factors, added, join)
    np.testing.assert_allclose(found, looped(held, factors, added, join), rtol=1e-11)
    for now, before in zip((held, factors, added), given_before, strict=True):
        np.testing.assert_array_equal(now, before)


@JOINS
@pytest.mark.parametrize("count", [1, 40, 64, 65, 1024])
def test_what_is_added_may_be_the_factors(join: np.ufunc, count: int) -> None:
    factors = np.random.default_rng(count).uniform(0.3, 1.7, size=(count, 3))
    found = recur(np.zeros(3), factors, factors, join)
    np.testing.assert_allclose(found, looped(np.zeros(3), factors, factors, join), rtol=1e-11)


def test_averages_may_be_of_any_sign() -> None:
    values = np.random.default_rng(0).normal(size=(500, 1))
    found = recur(np.array([3.0]), np.full((500, 1), 0.9), 0.1 * values)
    np.testing.assert_allclose(found, looped(np.array([3.0]), np.full((500, 1), 0.9), 0.1 * values, np.add))


@pytest.mark.parametrize("form", ["sr", "cusum"])
def test_evidence_beyond_all_numbers_has_reached_the_threshold(form: Any) -> None:
    factors = np.vstack([np.full((700, 2), 0.9), np.full((700, 2), 1e6)])
    _, mean, place = gather([0.0, 0.0], blocks(factors, 9), form, 1e9)
    assert (place, mean >= 1e9) == (701, True)
    _, mean, place = gather([0.0, 0.0], blocks(factors, 9), form, np.finfo(float).max)
    assert 700 + 51 <= place <= 700 + 52
    assert gather([0.0, 0.0], [np.full((40, 2), 1e300)], form, 1e9)[2] == 0


@pytest.mark.parametrize("form", ["sr", "cusum"])
def test_evidence_that_was_lost_is_won_back(form: Any) -> None:
    factors = np.vstack([np.full((3000, 1), 0.05), np.full((20, 1), 3.0)])
    wealth, mean, place = gather([500.0], blocks(factors, 9), form, 1e12)
    at_once, _, _ = gather([0.05 if form == "cusum" else 1 / 19], [factors[-20:]], form, 1e12)
    assert place == -1
    assert wealth == pytest.approx(at_once) == [mean]


def test_threads_and_what_was_returned_have_numbers_of_their_own() -> None:
    """Room for large numbers is kept and used again, by one at a time."""

    def twice(seed: int) -> None:
        draw = np.random.default_rng(seed)
        for columns in (2, 9, 12):
            first, second = draw.uniform(0.3, 1.7, (2, CELLS // columns - seed, columns))
            found = recur(np.zeros(columns), first, first)
            more = recur(np.ones(columns), second, first, np.maximum)
            np.testing.assert_allclose(found, looped(np.zeros(columns), first, first, np.add), rtol=1e-10)
            np.testing.assert_allclose(more, looped(np.ones(columns), second, first, np.maximum), rtol=1e-10)

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(twice, range(8)))
    assert 1 <= len(_recursion._rooms) <= _recursion.ROOMS
    assert all(len(room) == _recursion.ROOM for room in _recursion._rooms)


def test_more_than_there_is_room_for() -> None:
    factors = np.random.default_rng(0).uniform(0.3, 1.7, size=(2 * CELLS // 9, 9))
    found = recur(np.zeros(9), factors, factors)
    np.testing.assert_allclose(found, looped(np.zeros(9), factors, factors, np.add), rtol=1e-10)
