"""Answers that may not be served: a failure for breaker and fallback, told without the tensor."""

import math

import numpy as np
import pytest

from resilient_ml import Fallback, InvalidOutput, Kind, Pipeline, Retry
from resilient_ml.testing import faults
from resilient_ml.testing.faults import FaultPlan

from ..every_policy import AT_ONCE
from .struck import Guarded, checked, computing, made

ROWS = np.linspace(0.1, 0.9, 9).reshape(3, 3)


def scores(rows):
    """One row of scores for each row, which sum to 1; another for each."""
    return rows / rows.sum(axis=1, keepdims=True)


def fits(rows, answer):
    return (
        answer.dtype.kind == "f"
        and answer.shape == rows.shape
        and bool(np.isfinite(answer).all())
        and bool(np.allclose(answer.sum(axis=1), 1))
        and bool(np.allclose(answer, scores(rows)))
    )


WRONG = ["nan", "inf", "wrong_shape", "wrong_dtype", "shuffled_rows", "partial_batch", "zeroed", "constant"]


@pytest.mark.parametrize("name", WRONG)
def test_a_wrong_answer_is_a_failure_that_is_tried_again_counted_and_answered_elsewhere(world, name):
    plan = FaultPlan(made(name).first(3))
    model = checked(world, plan.inject(computing(world, scores)), "scores", fits)
    guarded = Guarded(model, fallback="neutral")
    assert world.call(guarded.safe, ROWS) == "neutral"
    assert len(plan.history) == 2
    assert guarded.breaker.failures == {Kind.INVALID_OUTPUT: 2}
    assert fits(ROWS, world.call(guarded.safe, ROWS))  # the first attempt was wrong, the second is served
    assert len(plan.history) == 3
    assert guarded.at_rest


def test_the_error_of_a_wrong_answer_does_not_show_it(world):
    model = checked(world, faults.inject(computing(world, scores), made("wrong_shape")), "scores", fits)
    error = world.failure(Guarded(model).safe, ROWS)
    assert isinstance(error, InvalidOutput)
    assert error.rule == "scores"
    assert "array" not in repr(error) + "".join(error.__notes__)


def test_a_batch_that_comes_back_short_is_asked_for_again_as_a_whole(call_world):
    plan = FaultPlan(made("partial_batch").first(1))
    model = plan.inject(computing(call_world, list))
    safe = Retry(2, retry_result=lambda answer: len(answer) != 4, backoff=AT_ONCE)(model)
    assert call_world.call(safe, "abcd") == list("abcd")
    assert len(plan.history) == 1


def test_a_dead_model_that_says_the_same_to_everything_is_seen_by_who_looks_at_several_rows(world):
    plan = FaultPlan(made("constant"))
    model = checked(world, plan.inject(computing(world, scores)), "spread", lambda _, got: got.std() > 0)
    guarded = Guarded(model, fallback="neutral")
    assert world.call(guarded.safe, ROWS) == "neutral"
    assert guarded.breaker.failures == {Kind.INVALID_OUTPUT: 2}


def test_a_stale_answer_is_told_by_the_number_of_its_request(world):
    plan = FaultPlan(made("stale").on_calls(3))
    model = checked(
        world,
        plan.inject(computing(world, lambda request: {"id": request["id"], "label": "cat"})),
        "id",
        lambda request, answer: answer["id"] == request["id"],
    )
    guarded = Guarded(model, attempts=1, fallback="neutral")
    ends = [world.call(guarded.safe, {"id": number}) for number in range(4)]
    assert [end if end == "neutral" else end["id"] for end in ends] == [0, 1, "neutral", 3]
    assert guarded.breaker.failures == {Kind.INVALID_OUTPUT: 1}


def test_a_poison_row_fails_its_batch_once_and_is_no_fault_of_the_model(world):
    plan = FaultPlan(made("poison_row"))
    guarded = Guarded(plan.inject(computing(world, len)), fallback="neutral")
    assert isinstance(world.failure(guarded.safe, [1.0, math.nan]), ValueError)
    assert world.call(guarded.safe, [1.0, 2.0]) == 2
    assert len(plan.history) == 1
    assert guarded.breaker.failures == {}
    assert guarded.at_rest


def test_rows_whose_answers_a_poison_row_spoiled_are_not_served(world):
    plan = FaultPlan(made("poison_row_nan"))
    model = plan.inject(computing(world, lambda rows: np.ones(len(rows))))
    guarded = Guarded(
        checked(world, model, "finite", lambda _, answer: bool(np.isfinite(answer).all())), fallback="neutral"
    )
    assert world.call(guarded.safe, [1.0, math.nan]) == "neutral"
    assert list(world.call(guarded.safe, [1.0, 2.0])) == [1.0, 1.0]


def test_an_input_with_holes_is_its_senders_fault(world):
    plan = FaultPlan(made("input_nan"))

    def strict(rows):
        if np.isnan(rows).any():
            raise ValueError("rows must have no holes")
        return scores(rows)

    guarded = Guarded(plan.inject(computing(world, strict)), fallback="neutral")
    assert isinstance(world.failure(guarded.safe, ROWS), ValueError)
    assert len(plan.history) == 1
    assert guarded.breaker.failures == {}


@pytest.mark.parametrize("name", ["input_drift", "output_drift"])
def test_drift_passes_through_the_policies_untouched(name):
    """Nothing watches for it yet: what is seen here is that it gets as far as a detector would be."""
    plan = FaultPlan(made(name))
    safe = Pipeline(Fallback("neutral"), Retry(2))(plan.inject(lambda rows: rows * 1.0))
    moved = [float((safe(ROWS) - ROWS).mean()) for _ in range(1000)]
    assert moved == sorted(moved)
    assert math.isclose(moved[-1], 1.0)
    assert len(plan.history) == 1000
