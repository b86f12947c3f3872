"""Rows of numbers watched by random features."""

from typing import Any

import numpy as np
import pytest

from resilient_ml.drift import RandomFeatureAverages

QUIET = np.random.default_rng(1).normal(size=(600, 6))


def change(kind: str, rows: Any) -> Any:
    if kind == "level":
        return rows + np.array([0, 0, 0, 1.5, 0, 0])
    if kind == "spread":
        return rows * 1.7
    rows[:, 1] = 0.95 * rows[:, 0] + 0.3 * rows[:, 1]
    return rows


@pytest.mark.parametrize("kind", ["level", "spread", "dependence"])
def test_whatever_changes_is_found(kind: str) -> None:
    stream = np.random.default_rng(2).normal(size=(900, 6))
    stream[300:] = change(kind, stream[300:])
    assert 300 <= RandomFeatureAverages(QUIET, arl=5000).update_many(stream)[0] < 700


def test_the_evidence_names_the_features_that_moved() -> None:
    stream = np.random.default_rng(3).normal(size=(340, 6))
    stream[300:] = change("level", stream[300:])
    detector = RandomFeatureAverages(QUIET, arl=5000)
    alarms = detector.update_many(stream)
    assert len(alarms) >= 1
    evidence = detector.evidence
    assert evidence is not None
    assert evidence.parts[0][0] == 3
    assert evidence.parts[0][1] > 0.5
    assert len(evidence.parts) == 6
    assert evidence.effect > 1
    assert 10 <= evidence.since <= 60


def test_a_longer_run_length_needs_more_evidence() -> None:
    thresholds = [RandomFeatureAverages(QUIET, arl=arl).threshold for arl in (1000, 10_000, 1e6)]
    assert thresholds == sorted(set(thresholds))
    steps = np.diff(thresholds) / np.log([10, 100])
    assert steps[0] == pytest.approx(steps[1])


@pytest.mark.once
def test_false_alarms_are_as_rare_as_promised() -> None:
    alarms = 0
    for seed in range(4):
        draw = np.random.default_rng(seed).normal
        detector = RandomFeatureAverages(draw(size=(1000, 16)), arl=2000, seed=seed)
        detector.update_many(draw(size=(10_000, 16)))
        alarms += detector.alarms
    assert 0 < alarms <= 4 * 10_000 / 2000


def test_the_statistic_is_one_on_average_without_drift() -> None:
    detector = RandomFeatureAverages(QUIET, arl=1e6)
    detector.update_many(np.random.default_rng(5).normal(size=(2000, 6)))
    assert 0.5 < detector.statistic < 2.0


def test_units_do_not_count() -> None:
    stream = np.random.default_rng(6).normal(0.4, size=(400, 6))
    unit = np.array([1.0, 1e6, 1e-6, 3.0, 7.0, 1.0])
    one = RandomFeatureAverages(QUIET, arl=1000).update_many(stream)
    other = RandomFeatureAverages(QUIET * unit, arl=1000).update_many(stream * unit)
    assert len(one)
    assert one.tolist() == other.tolist()


def test_a_constant_feature_is_watched_too() -> None:
    reference = QUIET.copy()
    reference[:, 2] = 5.0
    detector = RandomFeatureAverages(reference, arl=1e6)
    stream = np.random.default_rng(7).normal(size=(400, 6))
    stream[:, 2] = 5.0
    stream[200:, 2] = 8.0
    assert 200 <= detector.update_many(stream)[0] < 260


def test_the_same_seed_is_the_same_detector() -> None:
    one, same, other = (RandomFeatureAverages(QUIET, seed=seed) for seed in (3, 3, 4))
    assert one.state() == same.state() != other.state()


def test_a_row_that_is_partly_broken_is_passed_over_whole() -> None:
    detector, clean = (RandomFeatureAverages(QUIET) for _ in range(2))
    rows = QUIET[:20].copy()
    rows[7, 3] = np.inf
    detector.update_many(rows)
    clean.update_many(np.delete(rows, 7, axis=0))
    assert detector.refused == 1
    assert detector.statistic == clean.statistic


@pytest.mark.parametrize(
    "reference", [np.zeros((99, 3)), np.zeros(200), np.full((200, 2), np.nan), np.zeros((200, 0))]
)
def test_a_reference_that_tells_too_little_is_refused(reference: Any) -> None:
    with pytest.raises(ValueError, match="at least 100 finite rows"):
        RandomFeatureAverages(reference)


def test_rows_of_another_width_are_refused() -> None:
    with pytest.raises(ValueError, match="2 dimensions and 6 features"):
        RandomFeatureAverages(QUIET).update_many(np.zeros((10, 5)))


def test_a_reference_that_is_all_the_same_alarms_only_at_something_else():
    detector = RandomFeatureAverages(np.ones((200, 2)), arl=1000)
    assert not len(detector.update_many(np.ones((1000, 2))))
    assert detector.update([1.0, 2.0])


@pytest.mark.parametrize("value", [1e39, 1e308, -1e308])
def test_the_largest_numbers_blind_nobody(value):
    draw = np.random.default_rng(1).normal
    detector = RandomFeatureAverages(draw(size=(300, 3)), arl=1000)
    detector.update_many(np.full((2, 3), value))
    assert np.isfinite(detector.statistic)
    assert len(detector.update_many(draw(3.0, size=(200, 3))))


def test_a_reference_too_large_for_a_spread_is_refused() -> None:
    rows = 1.7e308 * np.random.default_rng(1).uniform(-1.0, 1.0, size=(100, 2))
    with pytest.raises(ValueError, match=r"finite spread, got values up to 1\.\d+e.308; divide"):
        RandomFeatureAverages(rows)
