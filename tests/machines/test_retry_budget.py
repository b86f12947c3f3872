"""A budget of retries: what is earned, what is saved, and that no more is ever spent."""

import itertools
import math
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from resilient_ml.machines.retry_budget import RetryBudget

from .crowd import crowd

PROPERTY = settings(derandomize=True, deadline=None, max_examples=300, database=None)


def attempts(budget: RetryBudget, number: int) -> None:
    for _ in range(number):
        budget.earn()


def spent(budget: RetryBudget, now: float, tries: int = 100) -> int:
    return sum(budget.spend(now) for _ in range(tries))


def test_a_full_budget_is_there_at_first() -> None:
    budget = RetryBudget(ratio=0.0, floor=0.0, burst=3.0)
    assert budget.saved(0.0) == 3.0
    assert spent(budget, 1e9) == 3


def test_first_attempts_earn_their_ratio() -> None:
    budget = RetryBudget(ratio=0.2, floor=0.0, burst=10.0)
    assert spent(budget, 0.0) == 10
    attempts(budget, 50)
    assert spent(budget, 0.0) == 10
    attempts(budget, 12)
    assert spent(budget, 0.0) == 2
    assert budget.saved(0.0) == pytest.approx(0.4)


def test_seconds_earn_the_floor() -> None:
    budget = RetryBudget(ratio=0.0, floor=2.0, burst=10.0)
    assert spent(budget, 5.0) == 10
    assert spent(budget, 5.49) == 0
    assert spent(budget, 5.5) == 1
    assert spent(budget, 8.5) == 6


def test_no_more_than_the_burst_is_saved_up() -> None:
    budget = RetryBudget(ratio=1.0, floor=1.0, burst=2.5)
    attempts(budget, 1000)
    assert budget.saved(1e6) == 2.5
    assert spent(budget, 1e6) == 2
    assert budget.saved(1e6) == 0.5


def test_what_is_refused_takes_nothing_out() -> None:
    budget = RetryBudget(ratio=0.5, floor=0.0, burst=1.0)
    assert spent(budget, 0.0) == 1
    attempts(budget, 1)
    assert spent(budget, 0.0) == 0
    attempts(budget, 1)
    assert spent(budget, 0.0) == 1


def test_looking_earns_nothing() -> None:
    budget = RetryBudget(ratio=1.0, floor=0.0, burst=5.0)
    assert spent(budget, 0.0) == 5
    assert [budget.saved(0.0) for _ in range(20)] == [0.0] * 20


@pytest.mark.parametrize(("ratio", "each"), [(0.1, 10), (0.2, 5), (0.01, 100), (1 / 3, 3), (0.7, 10)])
def test_earnings_that_are_added_up_one_by_one_make_whole_retries(ratio: float, each: int) -> None:
    budget = RetryBudget(ratio=ratio, floor=0.0, burst=20.0)
    assert spent(budget, 0.0) == 20
    got = 0
    for _ in range(each * 50):
        budget.earn()
        got += budget.spend(0.0)
    assert got == round(each * ratio) * 50


OPERATIONS = st.lists(
    st.one_of(
        st.tuples(st.just("attempts"), st.integers(1, 30)),
        st.tuples(st.just("retry"), st.integers(1, 5)),
        st.tuples(st.just("wait"), st.floats(0, 20)),
        st.tuples(st.just("look"), st.just(0)),
    ),
    max_size=40,
)


@pytest.mark.once
@PROPERTY
@given(st.floats(0, 2), st.floats(0, 3), st.floats(1, 20), OPERATIONS)
def test_no_stretch_has_more_retries_than_burst_and_earnings(
    ratio: float, floor: float, burst: float, operations: list[tuple[str, float]]
) -> None:
    budget = RetryBudget(ratio, floor, burst)
    now, firsts, retries = 0.0, 0, 0
    points = [(now, firsts, retries)]
    for what, amount in operations:
        if what == "attempts":
            attempts(budget, int(amount))
            firsts += int(amount)
        elif what == "retry":
            retries += spent(budget, now, int(amount))
        elif what == "wait":
            now += amount
        else:
            assert 0 <= budget.saved(now) + 1e-9 <= burst + 1e-9
        points.append((now, firsts, retries))
    for (began, first, before), (ended, last, after) in itertools.combinations(points, 2):
        assert after - before <= burst + ratio * (last - first) + floor * (ended - began) + 1e-6


@pytest.mark.once
@PROPERTY
@given(st.floats(0, 2), st.floats(0, 3), st.floats(1, 20), OPERATIONS)
def test_what_is_earned_can_be_spent(
    ratio: float, floor: float, burst: float, operations: list[tuple[str, float]]
) -> None:
    budget, now, model = RetryBudget(ratio, floor, burst), 0.0, burst
    budget.saved(now)
    for what, amount in operations:
        if what == "attempts":
            attempts(budget, int(amount))
            model = min(burst, model + ratio * int(amount))
        elif what == "wait":
            now += amount
            model = min(burst, model + floor * amount)
        elif what == "retry" and abs(model - round(model)) > 1e-6:
            assert budget.spend(now) == (model >= 1)
            model -= model >= 1
        assert budget.saved(now) == pytest.approx(model, abs=1e-6)


def test_a_clock_that_steps_back_earns_nothing_twice() -> None:
    budget = RetryBudget(ratio=0.0, floor=1.0, burst=10.0)
    assert spent(budget, 100.0) == 10
    for _ in range(50):
        assert spent(budget, 50.0) == 0
        assert spent(budget, 100.0) == 0
    assert spent(budget, 103.0) == 3


def test_a_jump_of_the_clock_earns_no_more_than_the_burst() -> None:
    budget = RetryBudget(ratio=0.0, floor=1.0, burst=10.0)
    assert spent(budget, -1e18) == 10
    assert spent(budget, 1e300) == 10
    assert spent(budget, 1e300) == 0


def test_threads_that_share_a_budget_spend_exactly_what_it_holds() -> None:
    budget = RetryBudget(ratio=0.25, floor=0.0, burst=8000.0)
    assert spent(budget, 0.0, 8000) == 8000
    got = [0] * 8

    def earn_and_try(number: int) -> None:
        for turn in range(1000):
            budget.earn()
            if turn % 5 == 0:
                got[number] += budget.spend(0.0)

    crowd(8, earn_and_try)
    assert sum(got) + spent(budget, 0.0, 8000) == 2000


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        ({"ratio": -0.1}, ValueError, "ratio must not be negative, got -0.1; pass a number from 0"),
        ({"ratio": math.nan}, ValueError, "ratio must be finite, got nan; pass a number from 0"),
        ({"ratio": "a lot"}, TypeError, "ratio must be a number, got 'a lot'; pass a number from 0"),
        ({"floor": -1}, ValueError, "floor must not be negative, got -1; pass a number from 0"),
        ({"floor": True}, TypeError, "floor must be a number, got True; pass a number from 0"),
        ({"burst": 0.5}, ValueError, "burst must be at least 1, got 0.5; pass budget=None for no budget"),
        ({"burst": math.inf}, ValueError, "burst must be finite, got inf; pass the most retries"),
    ],
)
def test_bad_amounts_are_refused_with_the_remedy(
    arguments: dict[str, Any], error: type[Exception], message: str
) -> None:
    with pytest.raises(error) as caught:
        RetryBudget(**arguments)
    assert str(caught.value).startswith(message)


def test_it_shows_its_numbers() -> None:
    assert repr(RetryBudget()) == "RetryBudget(ratio=0.2, floor=1, burst=10)"
    assert RetryBudget(ratio=0, floor=0, burst=1).saved(0.0) == 1.0
