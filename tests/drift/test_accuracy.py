"""Accuracy without labels, and predictions that wait for theirs."""

import json
import math
from collections import OrderedDict

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from resilient_ml.drift import ConfidenceEstimator
from resilient_ml.drift.accuracy import _isotonic
from resilient_ml.drift.prediction_log import Pending, PredictionLog


def reference(count=2000, seed=0, bend=lambda sure: sure):
    draw = np.random.default_rng(seed)
    sure = draw.uniform(0.5, 1.0, count)
    return sure, draw.uniform(size=count) < bend(sure)


@pytest.mark.once
def test_the_interval_holds_the_accuracy_as_often_as_it_says():
    hits = 0
    for seed in range(200):
        draw = np.random.default_rng(1000 + seed)
        estimator = ConfidenceEstimator(*reference(seed=seed, bend=lambda sure: sure**2), window=400)
        sure = draw.uniform(0.5, 0.9, 400)
        estimator.update_many(sure)
        estimate = estimator.estimate()
        right = (draw.uniform(size=400) < sure**2).mean()
        hits += estimate.low <= right <= estimate.high
    assert 180 <= hits <= 199


def test_a_model_that_is_too_sure_of_itself_is_calibrated():
    estimator = ConfidenceEstimator(*reference(20_000, bend=lambda sure: 0.6))
    assert abs(estimator.calibrated(0.95) - 0.6) < 0.05
    estimator.update_many(np.full(100, 0.95))
    assert abs(estimator.estimate().accuracy - 0.6) < 0.05


def test_before_the_first_answer_there_is_no_estimate_and_later_one_of_the_last():
    estimator = ConfidenceEstimator(*reference(), window=100)
    assert estimator.estimate() is None
    estimator.update_many(np.full(500, 0.99))
    for _ in range(100):
        estimator.update(0.51)
    estimator.update(math.nan)
    estimator.update_many([math.inf, 0.51])
    estimate = estimator.estimate()
    assert estimate.count == 100
    assert estimate.accuracy < 0.6
    assert estimator.refused == 2
    assert 0.0 <= estimate.low < estimate.accuracy < estimate.high <= 1.0


def test_its_state_is_plain_data():
    estimator = ConfidenceEstimator(*reference(), window=100)
    estimator.update_many(np.full(50, 0.7))
    again = ConfidenceEstimator.from_state(json.loads(json.dumps(estimator.state())))
    assert again.estimate() == estimator.estimate()
    again.update(0.9)
    estimator.update(0.9)
    assert again.estimate() == estimator.estimate()


@settings(deadline=None)
@given(st.lists(st.tuples(st.sampled_from([0.1, 0.3, 0.5, 0.7]), st.booleans()), min_size=1, max_size=30))
def test_the_calibration_rises_and_no_rising_curve_is_nearer(pairs):
    sure = np.array([one for one, _ in pairs])
    right = np.array([float(two) for _, two in pairs])
    levels = np.unique(sure)
    curve = _isotonic(sure, right, levels)
    assert (np.diff(curve) >= -1e-12).all()
    loss = float(((right - np.interp(sure, levels, curve)) ** 2).sum())
    grid = np.linspace(0, 1, 6)
    rng = np.random.default_rng(0)
    for _ in range(50):
        other = np.sort(rng.choice(grid, len(levels)))
        assert loss <= float(((right - np.interp(sure, levels, other)) ** 2).sum()) + 1e-9


@pytest.mark.parametrize(
    ("sure", "right", "text"),
    [
        (np.ones(40), np.ones(40), "must be of one length, at least 50, got shapes (40,) and (40,)"),
        (np.ones(60), np.ones(50), "must be of one length"),
        (np.ones((60, 1)), np.ones((60, 1)), "must be of one length"),
        (np.full(60, math.nan), np.ones(60), "confidences must be finite and correct 0 or 1"),
        (np.ones(60), np.full(60, 0.5), "confidences must be finite and correct 0 or 1"),
    ],
)
def test_what_it_cannot_learn_from_is_refused(sure, right, text):
    with pytest.raises(ValueError, match="must be") as caught:
        ConfidenceEstimator(sure, right)
    assert text in str(caught.value)


# -- labels ------------------------------------------------------------------------------------------------


def pending(at=0.0, prediction="cat"):
    return Pending(prediction, math.nan, None, None, at)


def test_a_label_meets_its_prediction_once():
    log = PredictionLog(10)
    log.put("a", pending())
    assert log.take("a", 1.0).prediction == "cat"
    assert log.take("a", 1.0) is None
    assert log.take("b", 1.0) is None
    assert (log.joined, log.unknown, log.expired, len(log)) == (1, 2, 0, 0)


def test_the_oldest_goes_when_there_are_too_many_or_its_time_is_over():
    log = PredictionLog(2, seconds=10.0)
    for number in range(4):
        log.put(number, pending(at=float(number)))
    assert (len(log), log.expired) == (2, 2)
    assert log.take(3, 12.5).at == 3.0  # and that of 2 is over
    assert (len(log), log.expired) == (0, 3)
    log.put("x", pending(at=20.0))
    assert log.take("x", 30.0) is None


def test_a_thread_that_was_there_first_is_no_harm():
    class Emptied(OrderedDict):
        def popitem(self, last=True):
            raise KeyError

    log = PredictionLog(1)
    log._waiting = Emptied()
    log.put("a", pending())
    log.put("b", pending())
    assert log.expired == 0


def test_a_second_prediction_of_one_id_takes_the_place_of_the_first():
    log = PredictionLog(2)
    log.put("a", pending(prediction=1))
    log.put("b", pending())
    log.put("a", pending(prediction=2))
    log.put("c", pending())
    assert log.take("b", 0.0) is None
    assert log.take("a", 0.0).prediction == 2
