"""Calibration: a model too sure, or not sure enough, is told from one that is right as often as it says."""

import numpy as np
import pytest

from resilient_ml.drift import Calibration, calibration_error
from resilient_ml.drift.monitor import Channel


def gaps(count, shift=0.0, seed=1):
    """Gaps of a model that is surer than right by *shift*."""
    draw = np.random.default_rng(seed)
    sure = draw.uniform(0.6, 0.9, count)
    return sure - (draw.random(count) < sure - shift)


def channel(signal, arl=10_000.0):
    return Channel(signal, None, arl, size=1000, rearm=500)


def test_a_perfect_model_is_quiet_for_twenty_thousand_answers():
    for seed in range(10):
        one = channel(Calibration(tolerated=0.05))
        one.feed(gaps(20_000, seed=seed))
        assert one.detector.alarms == 0
    one = channel(Calibration())
    one.feed(gaps(21_000))
    assert one.detector.alarms == 0


def test_what_is_usual_alarms_no_more_often_than_asked():
    alarms = 0
    for seed in range(40):
        one = channel(Calibration())
        one.feed(gaps(11_000, seed=seed))
        alarms += one.detector.alarms
    assert alarms <= 40


@pytest.mark.parametrize("tolerated", [None, 0.05])
@pytest.mark.parametrize("shift", [0.15, -0.1])
def test_both_ways_of_being_wrong_about_oneself_are_told_with_their_sign(tolerated, shift):
    one = channel(Calibration(tolerated=tolerated))
    one.feed(gaps(1500))
    warning, alarm, *_ = one.feed(gaps(3000, shift, seed=2))
    assert (warning.after, alarm.after) == ("warn", "drifted")
    edge = tolerated or 0.0
    assert alarm.evidence.effect * shift > 0
    assert abs(alarm.evidence.effect) < abs(shift) + 0.05 - edge / 2


def test_what_is_usual_may_be_a_model_that_is_too_sure():
    one = channel(Calibration())
    one.feed(gaps(1000, 0.2))
    assert one.feed(gaps(3000, 0.2, seed=2)) == []
    assert one.feed(gaps(3000, 0.0, seed=3))[1].evidence.effect < 0


def test_a_gap_is_confidence_less_whether_it_was_right():
    signal = Calibration("sure", lambda made, label: 1 - abs(made - label))
    assert signal.gap(0.75, 0.5, 1.0) == 0.25
    assert Calibration().gap(0.9, [1, 2], np.array([1, 2])) == -0.1
    with pytest.raises(ValueError, match=r"Calibration\('calibration'\) needs a confidence from 0 to 1, got"):
        Calibration().gap(87.0, "cat", "cat")
    with pytest.raises(ValueError, match="needs a confidence from 0 to 1, got nan"):
        Calibration().gap(float("nan"), "cat", "cat")


def test_a_part_of_the_scale_is_watched_by_itself():
    signal = Calibration(between=(0.8, 1.0))
    assert signal.gaps(0.8, 1, 1).tolist() == [-0.2]
    assert signal.gaps(0.79, 1, 1).tolist() == []


@pytest.mark.once
def test_errors_of_opposite_signs_cancel_but_not_in_parts():
    draw = np.random.default_rng(1)
    sure = draw.uniform(0.5, 1.0, 6000)
    right = draw.random(6000) < np.where(sure > 0.75, sure - 0.15, sure + 0.15)
    whole, high = (
        channel(signal)
        for signal in (Calibration(tolerated=0.05), Calibration(tolerated=0.05, between=(0.75, 1)))
    )
    for signal_channel in (whole, high):
        for confidence, hit in zip(sure, right, strict=True):
            signal_channel.feed(signal_channel.signal.gaps(confidence, bool(hit), True))
    assert (whole.state, high.state) == ("ok", "drifted")


def test_a_perfect_model_shows_an_error_that_is_no_excess():
    found = []
    for seed in range(60):
        draw = np.random.default_rng(seed)
        sure = draw.uniform(0.5, 1.0, 250)
        found.append(calibration_error(sure, draw.random(250) < sure, seed=1000))
    assert 0.04 < np.mean([one.value for one in found]) < 0.055
    assert np.mean([one.excess for one in found]) < 0.01
    assert sum(one.p_value < 0.05 for one in found) <= 7


def test_an_error_is_the_mean_gap_of_each_bin_by_its_share():
    assert calibration_error([0.5, 1.0], [1, 1], bins=2).value == pytest.approx(0.25)  # 1.0 has no own bin
    assert calibration_error([0.2, 0.2, 0.9, 0.9], [0, 0, 1, 1], bins=2).value == pytest.approx(0.15)
    assert calibration_error([0.1, 0.9], [1, 0], bins=1).value == 0.0
    proud = calibration_error([0.95] * 100, [True] * 70 + [False] * 30)
    assert proud.value == pytest.approx(0.25)
    assert proud.excess == pytest.approx(0.23, abs=0.01)
    assert proud.p_value == pytest.approx(1 / 201)


@pytest.mark.parametrize(
    ("make", "kind", "text"),
    [
        (lambda: Calibration(tolerated=0), ValueError, "tolerated must be above 0 and at most 1, got 0"),
        (lambda: Calibration(tolerated=1.0), ValueError, "tolerated must be below 1, got 1.0"),
        (lambda: Calibration(between=0.9), TypeError, "between must be (lowest, highest), got 0.9"),
        (lambda: Calibration(between=(0.9,)), TypeError, "between must be (lowest, highest), got an object"),
        (lambda: Calibration(between=(1, 0)), ValueError, "between must rise, got (1.0, 0.0)"),
        (lambda: Calibration(between=(0, 90)), ValueError, "between must be from 0 to 1, got 90"),
        (lambda: calibration_error([], []), ValueError, "must be of one length in one dimension, at least 1"),
        (lambda: calibration_error([0.1], [1, 0]), ValueError, "got shapes (1,) and (2,)"),
        (lambda: calibration_error([90.0], [1]), ValueError, "confidences must be from 0 to 1"),
        (lambda: calibration_error([np.nan], [1]), ValueError, "confidences must be from 0 to 1"),
        (lambda: calibration_error([0.9], [0.5]), ValueError, "correct must be True or False, or 1 or 0"),
        (lambda: calibration_error([0.9], [1], bins=0), ValueError, "bins must be at least 1, got 0"),
    ],
)
def test_what_calibration_cannot_be_is_refused(make, kind, text):
    with pytest.raises(kind) as caught:
        make()
    assert text in str(caught.value)
    assert "; " in str(caught.value)
