"""DDM: its statistic, its zones, its evidence."""

import math
from typing import Any

import numpy as np
import pytest

from resilient_ml.drift import DDM


def test_the_statistic_is_the_formula() -> None:
    detector = DDM(warm_start=10, warning_threshold=50.0, drift_threshold=99.0)
    errors = (np.random.default_rng(1).random(300) < 0.3).astype(float)
    best = (math.inf, 0.0, 0.0)
    for count, error in enumerate(errors.tolist(), 1):
        detector.update(error)
        rate = errors[:count].mean()
        spread = math.sqrt(rate * (1 - rate) / count)
        if count > 10:
            best = min(best, (rate + spread, rate, spread))
            assert detector.statistic == pytest.approx((rate + spread - best[1]) / best[2])
        else:
            assert detector.statistic == 0.0


def test_a_rate_that_was_never_above_0_has_a_statistic_all_the_same() -> None:
    detector, single = DDM(), DDM()
    assert detector.update_many([0.0] * 40 + [1.0]).tolist() == [40]
    assert [place for place, value in enumerate([0.0] * 40 + [1.0]) if single.update(value)] == [40]
    assert single.evidence == detector.evidence
    assert detector.evidence is not None
    assert math.isfinite(detector.evidence.statistic)
    assert detector.evidence.statistic > 3.0
    assert (detector.evidence.since, detector.evidence.effect) == (1, 1.0)


def test_the_zones_follow_each_other() -> None:
    detector = DDM()
    detector.update_many([0.0, 0.0, 0.0, 0.0, 1.0] * 40)
    levels = []
    while "drift" not in levels:
        detector.update(1.0)
        levels.append(detector.level)
        assert detector.level == (
            "drift" if detector.alarmed_last else "warn" if detector.statistic > 2.0 else "stable"
        )
    assert levels == ["stable"] * levels.count("stable") + ["warn"] * levels.count("warn") + ["drift"]
    assert min(levels.count("stable"), levels.count("warn")) > 0
    detector.update(1.0)
    assert detector.level == "stable"


def test_many_at_once_tell_the_zone_of_the_last() -> None:
    detector = DDM()
    detector.update_many([0.0, 0.0, 0.0, 0.0, 1.0] * 40)
    assert detector.level == "stable"
    detector.update_many([1.0] * 8)
    assert detector.level == "warn"
    detector.update_many([0.0] * 40)
    assert detector.level == "stable"


def test_it_has_a_warm_start() -> None:
    values = [0.0] * 3 + [1.0] * 60
    for start in (3, 20, 30):
        detector = DDM(warm_start=start)
        detector.update_many(values[: start + 1])
        before = [0.0] * (start + 1) + [1.0] * 3
        assert DDM(warm_start=start).update_many(before)[0] == start + 1


def test_the_evidence_dates_and_measures_the_change() -> None:
    detector = DDM()
    values = [0.0, 0.0, 0.0, 0.0, 1.0] * 60 + [1.0, 1.0, 0.0] * 15
    first = detector.update_many(values)[0]
    evidence = detector.evidence
    assert evidence is not None
    assert evidence.at == first + 1
    assert evidence.since == evidence.at - 299
    before, after = np.mean(values[:299]), np.mean(values[299 : first + 1])
    within = 299 * before * (1 - before) + evidence.since * after * (1 - after)
    chance = math.sqrt(within / evidence.at * 2 / math.pi * (1 / 299 + 1 / evidence.since))
    assert evidence.effect == pytest.approx(after - before - chance)
    assert 0.3 < evidence.effect < 0.5


def test_an_alarm_at_the_best_rate_itself_has_no_effect() -> None:
    detector = DDM(warm_start=4, warning_threshold=0.5, drift_threshold=0.5)
    assert detector.update_many([0.0, 1.0] * 4).tolist() == [4]
    assert detector.evidence is not None
    assert (detector.evidence.since, detector.evidence.effect) == (1, 0.0)


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        ({"warm_start": 0}, ValueError, "warm_start must be at least 1, got 0"),
        ({"warning_threshold": 0.0}, ValueError, "warning_threshold must be above 0"),
        ({"warning_threshold": 3.5}, ValueError, "at most drift_threshold, got 3.5 and 3.0"),
        ({"drift_threshold": -1.0}, ValueError, "drift_threshold must be at least 0, got -1.0"),
        ({"drift_threshold": math.nan}, ValueError, "drift_threshold must be finite"),
        ({"warning_threshold": None}, TypeError, "warning_threshold must be a number"),
    ],
)
def test_parameters_out_of_range_are_named(
    arguments: dict[str, Any], error: type[Exception], message: str
) -> None:
    with pytest.raises(error, match=message):
        DDM(**arguments)
