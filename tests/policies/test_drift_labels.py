"""DriftDetector and labels: late, unknown and twice, of errors and calibration; accuracy without any."""

import numpy as np
import pytest

from resilient_ml import DriftDetector
from resilient_ml.drift import Calibration, Losses, Numbers

from ..drifting import echo, score


def test_labels_come_late_and_are_joined_by_id():
    watch = DriftDetector(
        Losses(tolerated=0.1),
        arl=1000,
        key=lambda text, request: request,
        prediction=lambda answer: answer["label"],
    )

    @watch
    def classify(text, request):
        return {"label": "good"}

    for number in range(60):
        classify("a text", request=number)
    for number in range(0, 60, 2):
        assert watch.label(number, "good")
    assert watch.state() == "ok"
    for number in range(1, 60, 2):
        assert watch.label(number, "bad")
    assert watch.state() == "drifted"
    assert not watch.label(1, "bad")
    assert not watch.label("nobody", "bad")
    assert (watch.labels.joined, watch.labels.unknown) == (60, 2)


def test_labels_of_another_version_count_for_nobody():
    now = ["v1"]
    watch = DriftDetector(Losses(tolerated=0.1), arl=100, key=lambda key: key, version=lambda: now[0])
    safe = watch(echo)
    for number in range(50):
        safe(number)
    now[0] = "v2"
    safe(99)
    watch.flush()
    for number in range(50):
        assert watch.label(number, "wrong")
    assert watch.state() == "learning"


def test_labels_that_cannot_be_compared_are_counted():
    watch = DriftDetector(Losses("x", lambda made, label: made / label), key=lambda key: key)
    watch(echo)(1)
    assert watch.label(1, 0)
    assert watch.dropped == 1
    with pytest.raises(ValueError, match=r"label\(\) needs key="):
        score().label(1, 2)


def test_labels_wait_for_so_long():
    clock = [0.0]
    watch = DriftDetector(Losses(tolerated=0.1), key=lambda key: key, label_seconds=10)
    watch.clock = lambda: clock[0]
    watch(echo)(1)
    watch._watch.log._waiting[1] = watch._watch.log._waiting[1].__class__(1, 0.0, None, None, 0.0)
    clock[0] = 11.0
    assert not watch.label(1, 1)
    assert watch.labels.expired == 1


def test_accuracy_is_estimated_without_labels():
    draw = np.random.default_rng(0)
    sure = draw.uniform(0.5, 1.0, 2000)
    watch = DriftDetector(
        Numbers("confidence"),
        confidence=lambda answer: answer,
        calibration=(sure, draw.uniform(size=2000) < sure),
    )
    safe = watch(echo)
    assert watch.accuracy() is None
    for _ in range(500):
        safe(0.6)
    estimate = watch.accuracy()
    assert estimate.low < 0.6 < estimate.high
    assert score().accuracy() is None


def calibrated(on_change=None, **options):
    return DriftDetector(
        Calibration(**options),
        on_change=on_change,
        arl=1000,
        reference_size=500,
        key=lambda confidence, number: number,
        prediction=lambda answer: "cat",
        confidence=lambda answer: answer,
    )


def answered(watch, count, shift, first=0, seed=1):
    """Answers whose labels say that the model is surer than right by *shift*."""
    safe = watch(lambda confidence, number: confidence)
    draw = np.random.default_rng(seed)
    for number in range(first, first + count):
        sure = draw.uniform(0.6, 0.9)
        safe(sure, number)
        assert watch.label(number, "cat" if draw.random() < sure - shift else "dog")


@pytest.mark.parametrize("options", [{}, {"tolerated": 0.05}])
@pytest.mark.parametrize("shift", [0.2, -0.2])
def test_a_model_that_is_no_longer_as_right_as_it_is_sure_is_told(options, shift):
    seen = []
    watch = calibrated(on_change=seen.append, **options)
    answered(watch, 1000, 0.0)
    assert watch.state() in ("ok", "warn")
    answered(watch, 1000, shift, first=1000, seed=2)
    assert watch.state() == "drifted"
    (change,) = [one for one in seen if one.after == "drifted"]
    assert change.signal == "calibration"
    assert change.evidence.effect * shift > 0


def test_a_confidence_that_is_none_is_counted():
    watch = calibrated(tolerated=0.05)
    safe = watch(lambda confidence, number: confidence)
    safe(87.0, 1)
    assert watch.label(1, "cat")
    assert watch.dropped == 1


@pytest.mark.parametrize("given", [{"key": len}, {"confidence": float}])
def test_calibration_needs_labels_and_confidence(given):
    with pytest.raises(ValueError, match=r"Calibration needs key=, which .* and confidence=, which says how"):
        DriftDetector(Calibration(), **given)
