"""Spoiled inputs: the model is given other numbers, and the caller's stay as they are."""

import numpy as np
import pytest

from resilient_ml.testing import faults
from resilient_ml.testing.faults import FaultPlan


def test_the_model_is_given_spoiled_numbers_and_the_caller_keeps_its_own(world):
    model = world.model("cat")
    rows = np.ones(4)
    plan = FaultPlan(faults.on_input(faults.nan(share=0.25)))
    assert world.call(plan.inject(model), rows, k=3) == "cat"
    ((spoiled,), keywords) = model.asked[0]
    assert np.isnan(spoiled).sum() == 1
    assert keywords == {"k": 3}
    assert (rows == 1).all()
    assert [one.fault for one in plan.history] == ["on_input(nan(share=0.25))"]


@pytest.mark.parametrize(("argument", "expected"), [(0, (2, 2, 2)), (1, (1, 3, 2)), ("third", (1, 2, 3))])
def test_any_argument_can_be_spoiled(argument, expected):
    model = faults.inject(
        lambda *args, **kwargs: (*args, *kwargs.values()),
        faults.on_input(faults.drift(1.0), argument=argument),
    )
    assert model(1, 2, third=2) == expected


def test_inputs_drift_call_by_call_and_faults_of_inputs_add_up():
    drift = faults.on_input(faults.drift(shift=4.0, over_calls=4))
    model = faults.inject(lambda row: row, drift, faults.on_input(faults.drift(scale=10.0)))
    assert [model(1.0) for _ in range(3)] == [20.0, 30.0, 40.0]


def test_it_strikes_when_the_fault_inside_would():
    plan = FaultPlan(faults.on_input(faults.drift(1.0).on_calls(2)).times(1))
    model = plan.inject(lambda row: row)
    assert [model(1.0) for _ in range(3)] == [1.0, 2.0, 1.0]
    assert plan.describe() == "on_input(drift(shift=1)), on calls 2, 1 times at most"


def test_once_it_has_struck_often_enough_inputs_pass():
    model = faults.inject(lambda row: row, faults.on_input(faults.drift(1.0)).times(1))
    assert [model(1.0) for _ in range(2)] == [2.0, 1.0]


def test_an_input_that_stays_the_same_is_no_strike():
    plan = FaultPlan(faults.on_input(faults.shuffled_rows(), argument="rows"))
    assert plan.inject(lambda rows: rows)(rows=[1]) == [1]
    assert plan.history == ()


@pytest.mark.parametrize(("argument", "given"), [(2, "0, k"), ("rows", "0, k")])
def test_an_argument_that_is_not_there_is_missed(argument, given):
    model = faults.inject(lambda *args, **kwargs: None, faults.on_input(faults.nan(), argument=argument))
    with pytest.raises(
        TypeError, match=f"looks at argument {argument!r}, and the call has {given}; say argument="
    ):
        model(1, k=2)


def test_a_call_without_arguments_is_missed():
    with pytest.raises(TypeError, match="and the call has none; say argument="):
        faults.inject(lambda: None, faults.on_input(faults.nan()))()


def test_what_it_says_of_itself():
    assert str(faults.on_input(faults.nan(), argument="rows")) == "on_input(nan(), argument='rows')"


@pytest.mark.parametrize(
    ("make", "error", "text"),
    [
        (lambda: faults.on_input(faults.hang()), TypeError, "fault must be one that changes answers"),
        (lambda: faults.on_input(faults.stale()), TypeError, r"stale\(\) replays answers, and has none of"),
        (lambda: faults.on_input(faults.nan(), argument=-1), ValueError, "argument must be at least 0"),
        (lambda: faults.on_input(faults.nan(), argument=0.5), TypeError, "argument must be a whole number"),
    ],
)
def test_nonsense_is_refused(make, error, text):
    with pytest.raises(error, match=text):
        make()
