"""Ranks by cells are the ranks that a search finds."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from resilient_ml.drift._ranking import Ranking

SHAPES: dict[str, Callable[[Any, int], Any]] = {
    "normal": lambda draw, count: draw.normal(size=count),
    "heavy tails": lambda draw, count: draw.standard_cauchy(size=count),
    "skewed": lambda draw, count: draw.lognormal(0.0, 3.0, size=count),
    "few values": lambda draw, count: draw.integers(0, 5, size=count) * 1.0,
    "mostly one": lambda draw, count: np.where(draw.random(count) < 0.995, 2.0, draw.normal(size=count)),
    "one value": lambda draw, count: np.full(count, 7.0),
    "far from 0": lambda draw, count: 1e15 + draw.normal(size=count),
    "hardly apart": lambda draw, count: 1.0 + draw.integers(0, 9, size=count) * np.finfo(float).eps,
    "tiny": lambda draw, count: draw.normal(size=count) * 1e-310,
    "huge": lambda draw, count: draw.uniform(-1.0, 1.0, size=count) * 1.7e308,
}


def searched(reference: Any, values: Any) -> Any:
    return np.searchsorted(reference, values, "left") + np.searchsorted(reference, values, "right")


@pytest.mark.parametrize("count", [1, 20, 150, 4000])
@pytest.mark.parametrize("shape", SHAPES)
def test_ranks_are_those_of_a_search(shape: str, count: int) -> None:
    draw = np.random.default_rng(count)
    reference = np.sort(SHAPES[shape](draw, count))
    extremes = [0.0, -0.0, 1.7e308, -1.7e308, 5e-324]
    beside = [np.nextafter(reference[:300], np.inf), np.nextafter(reference[:300], -np.inf)]
    values = np.concatenate([SHAPES[shape](draw, 2000), reference[:300], extremes, *beside])
    found = Ranking(reference).twice_midranks(values)
    np.testing.assert_array_equal(found, searched(reference, values))


NUMBERS = st.floats(allow_nan=False, allow_infinity=False) | st.integers(-3, 3).map(float)


@pytest.mark.once
@settings(max_examples=200, deadline=None)
@given(arrays(np.float64, st.integers(1, 60), elements=NUMBERS), st.lists(NUMBERS, min_size=1, max_size=20))
def test_ranks_of_any_numbers(reference: Any, values: list[float]) -> None:
    reference = np.sort(reference)
    among = np.array([*values, *reference])
    np.testing.assert_array_equal(Ranking(reference).twice_midranks(among), searched(reference, among))
