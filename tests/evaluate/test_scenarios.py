"""Scenarios: each does what its line says, for a run of any length."""

import pytest

from resilient_ml import Fallback, Pipeline, Retry, Timeout
from resilient_ml.evaluate import Workload, evaluate
from resilient_ml.evaluate.scenarios import SCENARIOS
from resilient_ml.testing.faults import FaultPlan

from .made import sell


def kpis(name, seconds=120.0):
    evaluation = evaluate(
        lambda number: float(sell(number)),
        {
            "naked": None,
            "guarded": lambda: Pipeline(Fallback(0.0), Retry(attempts=3), Timeout(1.0)),
        },
        workload=Workload.constant(list(range(50)), rate=10.0, seconds=seconds),
        faults=SCENARIOS[name].plan(seconds),
        oracle="healthy",
        virtual=True,
        patience=10.0,
        seed=1,
    )
    return {arm: found.kpis for arm, found in evaluation.arms.items()}, evaluation


@pytest.mark.parametrize("name", SCENARIOS)
def test_a_scenario_is_a_plan_with_a_line_about_it(name):
    assert isinstance(SCENARIOS[name].plan(60.0), FaultPlan)
    assert SCENARIOS[name].text


@pytest.mark.once
def test_blips_fail_a_few_and_a_retry_saves_most():
    found, evaluation = kpis("blips")
    assert 0.9 < found["naked"]["availability"].value < 0.96
    assert found["guarded"]["right"].value > 0.99
    assert evaluation.spans == ()


@pytest.mark.once
def test_an_outage_lasts_a_fifth_of_the_time():
    found, evaluation = kpis("outage")
    assert found["naked"]["availability"].value == pytest.approx(0.8)
    assert [(span.begins, span.ends) for span in evaluation.spans] == [(48.0, 72.0)]
    assert found["guarded"]["availability"].value == 1.0


@pytest.mark.once
def test_garbage_is_answered_and_wrong():
    found, _ = kpis("garbage")
    assert found["naked"]["availability"].value == 1.0
    assert 0.03 < found["naked"]["wrong"].value < 0.07


@pytest.mark.once
def test_hangs_are_given_up_on_and_a_timeout_ends_them():
    found, _ = kpis("hangs")
    assert 0.003 < found["naked"]["hung"].value < 0.03
    assert found["guarded"]["hung"].value == 0.0
    assert found["guarded"]["leaks"].value == 0


@pytest.mark.once
def test_a_storm_is_all_of_it():
    found, evaluation = kpis("storm")
    assert found["naked"]["hung"].value > 0
    assert found["naked"]["availability"].value < 0.85 < found["guarded"]["availability"].value
    assert len(evaluation.spans) >= 4
