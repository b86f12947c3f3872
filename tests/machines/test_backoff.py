"""How long to wait: formulas as tables, bounds as properties."""

import math
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from resilient_ml.machines.backoff import Backoff, ConstantBackoff, DecorrelatedBackoff

PROPERTY = settings(derandomize=True, deadline=None, max_examples=300, database=None)
SECONDS = st.floats(1e-9, 1e9)
DRAWS = st.floats(0, 1, exclude_max=True)
ATTEMPTS = st.integers(1, 10**6)


@pytest.mark.parametrize(
    ("attempt", "draw", "expected"),
    [
        (1, 0.5, 0.05),
        (2, 0.5, 0.1),
        (3, 0.5, 0.2),
        (4, 1.0, 0.8),
        (6, 1.0, 3.2),
        (7, 1.0, 5.0),
        (9, 0.0, 0.0),
    ],
)
def test_full_jitter_draws_from_zero_to_an_exponential_bound(
    attempt: int, draw: float, expected: float
) -> None:
    assert Backoff(base=0.1, cap=5.0).delay(attempt, draw) == pytest.approx(expected)


@PROPERTY
@given(SECONDS, SECONDS, ATTEMPTS, DRAWS, st.floats(0, 1e9))
def test_full_jitter_stays_between_zero_and_its_cap(
    base: float, extra: float, attempt: int, draw: float, previous: float
) -> None:
    backoff = Backoff(base, base + extra)
    delay = backoff.delay(attempt, draw, previous)
    assert 0 <= delay <= backoff.cap
    assert delay == draw * backoff.delay(attempt, 1.0)
    assert delay <= backoff.delay(attempt + 1, draw)


@pytest.mark.parametrize("attempt", [500, 501, 502, 1024, 10**6, 10**400])
def test_no_attempt_is_too_late_for_a_finite_wait(attempt: int) -> None:
    assert Backoff(base=1e-9, cap=1e9).delay(attempt, 1.0) == 1e9
    assert Backoff(base=1e300, cap=1e308).delay(attempt, 1.0) == 1e308


@pytest.mark.parametrize(
    ("previous", "draw", "expected"),
    [(0.0, 0.0, 1.0), (0.0, 1.0, 3.0), (1.0, 0.5, 2.0), (2.0, 0.5, 3.5), (2.0, 1.0, 6.0), (50.0, 1.0, 60.0)],
)
def test_decorrelated_jitter_draws_from_its_base_to_three_times_the_last_wait(
    previous: float, draw: float, expected: float
) -> None:
    assert DecorrelatedBackoff(base=1.0, cap=60.0).delay(5, draw, previous) == expected


@pytest.mark.once
@PROPERTY
@given(SECONDS, SECONDS, st.lists(DRAWS, min_size=1, max_size=50))
def test_decorrelated_jitter_stays_between_its_base_and_its_cap(
    base: float, extra: float, draws: list[float]
) -> None:
    backoff, wait = DecorrelatedBackoff(base, base + extra), 0.0
    for attempt, draw in enumerate(draws, 1):
        wait = backoff.delay(attempt, draw, wait)
        assert base <= wait <= backoff.cap


@pytest.mark.parametrize("seconds", [0, 0.5, 7])
def test_a_constant_wait_is_always_the_same(seconds: float) -> None:
    backoff = ConstantBackoff(seconds)
    assert {backoff.delay(attempt, draw, 3.0) for attempt in (1, 10**9) for draw in (0.0, 0.9)} == {seconds}


def test_the_defaults_wait_a_tenth_of_a_second_and_ten_at_most() -> None:
    for kind in (Backoff, DecorrelatedBackoff):
        assert (kind().base, kind().cap) == (0.1, 10.0)
    assert Backoff(1.0, 1.0).delay(1, 1.0) == 1.0


@pytest.mark.parametrize("kind", [Backoff, DecorrelatedBackoff])
@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        ({"base": 0}, ValueError, "base must be above 0, got 0; pass the first wait in seconds, 0.1 say"),
        ({"base": -1.0}, ValueError, "base must be above 0, got -1.0; pass the first"),
        ({"base": math.nan}, ValueError, "base must be finite, got nan; pass the first"),
        ({"base": True}, TypeError, "base must be a number, got True; pass the first"),
        (
            {"cap": math.inf},
            ValueError,
            "cap must be finite, got inf; pass the longest wait in",
        ),
        ({"cap": 0}, ValueError, "cap must be above 0, got 0; pass the longest"),
        ({"cap": "10"}, TypeError, "cap must be a number, got '10'; pass the longest"),
        ({"base": 2.0, "cap": 1.0}, ValueError, "cap must be at least base, got cap=1 and base=2; swap them"),
    ],
)
def test_bad_bounds_are_refused_with_the_remedy(
    kind: Any, arguments: dict[str, Any], error: type[Exception], message: str
) -> None:
    with pytest.raises(error) as caught:
        kind(**arguments)
    assert str(caught.value).startswith(message)


@pytest.mark.parametrize("seconds", [-1, math.inf, math.nan, "1", None, True])
def test_a_bad_constant_wait_is_refused(seconds: Any) -> None:
    with pytest.raises((ValueError, TypeError), match=r"^seconds must"):
        ConstantBackoff(seconds)


def test_each_shows_its_numbers() -> None:
    shown = repr([Backoff(0.5, 8), DecorrelatedBackoff(), ConstantBackoff(2)])
    assert shown == "[Backoff(base=0.5, cap=8), DecorrelatedBackoff(base=0.1, cap=10), ConstantBackoff(2)]"
