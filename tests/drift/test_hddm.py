"""HDDM_A and HDDM_W: their bounds, their sides, their evidence."""

import math
from typing import Any

import numpy as np
import pytest

from resilient_ml.drift import HDDMA, HDDMW

QUIET = [0.0, 0.0, 0.0, 0.0, 1.0] * 80


def test_the_statistic_of_averages_is_the_formula() -> None:
    detector = HDDMA(drift_confidence=1e-9, warning_confidence=0.5)
    errors = np.append((np.random.default_rng(1).random(200) < 0.3), np.ones(20))
    best = (math.inf, 0, 0.0)
    for count, error in enumerate(errors.tolist(), 1):
        detector.update(error)
        mean = errors[:count].mean()
        key = mean + math.sqrt(math.log(1e9) / (2 * count))
        if key <= best[0]:
            best = (key, count, mean)
        m = (count - best[1]) / (best[1] * count)
        drift = math.sqrt(m / 2 * math.log(2e9)) or 1.0
        assert detector.statistic == pytest.approx(max(0.0, mean - best[2]) / drift)
        warning = math.sqrt(m / 2 * math.log(4.0)) or 1.0
        assert detector.level == ("warn" if mean - best[2] >= warning else "stable")


def test_the_statistic_of_weighted_averages_is_the_formula() -> None:
    detector = HDDMW(drift_confidence=1e-9, warning_confidence=0.5, lambda_=0.1)
    errors = np.append((np.random.default_rng(1).random(200) < 0.3), np.ones(20))
    best, average, weight = (math.inf, 0.0, 0.0), 0.0, 1.0
    after, since = [0.0, 1.0], 0
    for count, error in enumerate(errors.tolist(), 1):
        detector.update(error)
        average = error if count == 1 else 0.1 * error + 0.9 * average
        weight = 0.01 + 0.81 * weight
        key = average + math.sqrt(weight / 2 * math.log(1e9))
        if key < best[0]:
            best, after, since = (key, average, weight), [0.0, 1.0], 0
        else:
            after[0] = 0.1 * error + 0.9 * after[0] if since else error
            after[1] = 0.01 + 0.81 * after[1]
            since += 1
        difference = after[0] - best[1] if since else 0.0
        unit = math.sqrt((best[2] + after[1]) / 2)
        assert detector.statistic == pytest.approx(max(0.0, difference) / unit / math.sqrt(math.log(1e9)))
        assert detector.level == ("warn" if difference > unit * math.sqrt(math.log(2.0)) else "stable")


@pytest.mark.parametrize("form", [HDDMA, HDDMW])
def test_falls_alarm_only_where_asked_for(form: Any) -> None:
    values = [1.0 - value for value in QUIET] + [0.0] * 80
    assert form().update_many(values).tolist() == []
    detector, mirrored = form(two_sided=True), form()
    first = detector.update_many(values)[0]
    assert 400 < first < 450
    assert mirrored.update_many([1.0 - value for value in values])[0] == first
    assert detector.evidence.since == mirrored.evidence.since
    assert detector.evidence.statistic == pytest.approx(mirrored.evidence.statistic)
    assert detector.evidence.effect == pytest.approx(-mirrored.evidence.effect)
    assert detector.evidence.effect < -0.3


@pytest.mark.parametrize("form", [HDDMA, HDDMW])
def test_two_sides_find_a_rise_as_one_does(form: Any) -> None:
    values = QUIET + [1.0] * 30
    one, both = form(), form(two_sided=True)
    assert both.update_many(values).tolist() == one.update_many(values).tolist()
    assert both.evidence == one.evidence
    assert one.evidence.effect > 0.3


@pytest.mark.parametrize("form", [HDDMA, HDDMW])
def test_two_sides_show_the_one_that_is_further(form: Any) -> None:
    confidence = {"drift_confidence": 1e-9, "warning_confidence": 0.5}
    both, many = (form(two_sided=True, **confidence) for _ in range(2))
    up, down = form(**confidence), form(**confidence)
    levels = set()
    rates = np.repeat([0.5, 0.2, 0.6, 0.4], 50)
    for error in (np.random.default_rng(4).random(200) < rates).astype(float).tolist():
        for detector, value in ((both, error), (up, error), (down, 1.0 - error)):
            assert not detector.update(value)
        many.update_many([error])
        assert both.statistic == pytest.approx(max(up.statistic, down.statistic))
        assert both.level == ("warn" if "warn" in {up.level, down.level} else "stable")
        assert many.state() == both.state()
        levels.add((up.level, down.level, up.statistic > down.statistic > 0.0))
    assert len(levels) > 3


@pytest.mark.parametrize("form", [HDDMA, HDDMW])
def test_the_evidence_is_of_the_side_that_alarmed(form: Any) -> None:
    detector = form(two_sided=True, drift_confidence=0.01, warning_confidence=0.05)
    draw, signs = np.random.default_rng(6), []
    for rate in [0.1, 0.8] * 10:
        for error in (draw.random(150) < rate).astype(float).tolist():
            if detector.update(error):
                signs.append(
                    math.copysign(1.0, detector.evidence.effect) if detector.evidence.effect else 0.0
                )
                assert signs[-1] in {0.0, 1.0 if rate > 0.5 else -1.0}
    assert len(signs) > 15


@pytest.mark.parametrize("form", [HDDMA, HDDMW])
def test_a_fall_warns_before_it_alarms(form: Any) -> None:
    values = [1.0 - value for value in QUIET] + [0.0] * 80
    detector = form(two_sided=True)
    levels = [detector.update(value) or detector.level for value in values]
    first = levels.index(True)
    assert levels[first - 1] == "warn"
    assert "stable" in levels[400:first]


def test_what_is_measured_since_the_best_beginning() -> None:
    detector = HDDMA()
    values = QUIET + [1.0, 1.0, 0.0] * 15
    first = detector.update_many(values)[0]
    evidence = detector.evidence
    assert evidence is not None
    assert evidence.at == first + 1
    assert evidence.since == evidence.at - 399
    before, after = np.mean(values[:399]), np.mean(values[399 : first + 1])
    within = 399 * before * (1 - before) + evidence.since * after * (1 - after)
    chance = math.sqrt(within / evidence.at * 2 / math.pi * (1 / 399 + 1 / evidence.since))
    assert evidence.effect == pytest.approx(after - before - chance)
    assert 0.3 < evidence.effect < 0.6


def test_what_is_weighed_since_the_best_beginning() -> None:
    detector = HDDMW(lambda_=1.0, drift_confidence=0.5, warning_confidence=0.9)
    assert detector.update_many([0.0, 0.25, 0.5, 1.0]).tolist() == [3]
    evidence = detector.evidence
    assert evidence is not None
    assert (evidence.since, evidence.at) == (3, 4)
    assert evidence.statistic == pytest.approx(1.0 / math.sqrt(math.log(2.0)))
    assert evidence.effect == pytest.approx(1.0 - 0.5 * math.sqrt(2 / math.pi * 2))


@pytest.mark.parametrize("form", [HDDMA, HDDMW])
@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        ({"drift_confidence": 0.0}, ValueError, "drift_confidence must be above 0"),
        (
            {"drift_confidence": 0.01},
            ValueError,
            "at most warning_confidence, and both below 1, got 0.01 and",
        ),
        ({"warning_confidence": 1.0}, ValueError, "both below 1, got 0.001 and 1.0"),
        ({"warning_confidence": "low"}, TypeError, "warning_confidence must be a number"),
        ({"two_sided": 1}, TypeError, "two_sided must be True or False, got 1"),
    ],
)
def test_parameters_out_of_range_are_named(
    form: Any, arguments: dict[str, Any], error: type[Exception], message: str
) -> None:
    with pytest.raises(error, match=message):
        form(**arguments)
    assert form(drift_confidence=0.01, warning_confidence=0.01).warning_confidence == 0.01


@pytest.mark.parametrize("weight", [0.0, 1.1])
def test_a_weight_is_a_share(weight: float) -> None:
    with pytest.raises(ValueError, match="lambda_ must be above 0 and at most 1"):
        HDDMW(lambda_=weight)


@pytest.mark.parametrize("two_sided", [False, True])
@pytest.mark.parametrize("lambda_", [0.05, 0.1])
def test_long_after_its_best_beginning_many_are_the_same_to_the_last_bit(
    lambda_: float, two_sided: bool
) -> None:
    draw = np.random.default_rng(3)
    stream = (draw.random(12_000) < np.repeat([0.1, 0.05, 0.9, 0.1], 3000)).astype(float)
    single, many = (HDDMW(lambda_=lambda_, two_sided=two_sided) for _ in range(2))
    begin, alarms = 0, []
    while begin < len(stream):
        end = begin + int(draw.integers(1, 3000))
        alarms += [begin + int(place) for place in many.update_many(stream[begin:end])]
        begin = end
    assert alarms == [place for place, value in enumerate(stream.tolist()) if single.update(value)]
    assert len(alarms) > 0
    assert many.state() == single.state()
