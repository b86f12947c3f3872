"""ADWIN: its window, its buckets, its bound, its evidence."""

import math
from typing import Any

import numpy as np
import pytest

from resilient_ml.drift import ADWIN


def test_its_memory_grows_with_the_logarithm_of_the_stream() -> None:
    detector = ADWIN(max_buckets=5)
    detector.update_many(np.tile([0.0, 1.0], 100_000))
    levels = detector.state()["levels"]
    assert len(levels) <= 17
    assert all(4 <= len(buckets) <= 5 for buckets in levels[:-1])
    assert sum(len(buckets) * 2**place for place, buckets in enumerate(levels)) == 200_000


def test_few_wait_for_a_slow_clock() -> None:
    detector = ADWIN(clock=100_000)
    detector.update_many(np.zeros(5000))
    for _ in range(100):
        detector.update(0.0)
    assert detector.width == 5100
    assert len(detector.state()["pending"]) < 64


@pytest.mark.parametrize("most", [1, 2, 5])
def test_each_bucket_is_the_sum_of_its_stretch(most: int) -> None:
    detector = ADWIN(clock=10, max_buckets=most)
    values = np.arange(1.0, 301.0) % 7
    detector.update_many(values)
    rest = values.tolist()
    for place, buckets in reversed(list(enumerate(detector.state()["levels"]))):
        assert len(buckets) <= most
        assert buckets or place + 1 < len(detector.state()["levels"])
        for bucket in buckets:
            assert bucket == sum(rest[: 2**place])
            del rest[: 2**place]
    assert rest == []


def test_the_window_is_all_since_the_last_alarm() -> None:
    detector = ADWIN()
    assert (detector.width, detector.mean) == (0, 0.0)
    for value in (4.0, 5.0, 9.0):
        detector.update(value)
    assert (detector.width, detector.mean) == (3, 6.0)
    detector.update_many([6.0] * 37)
    assert (detector.width, detector.mean) == (40, 6.0)
    detector.update_many([60.0] * 24)
    assert (detector.alarms, detector.width, detector.mean) == (1, 0, 0.0)


def bound(count: int, rest: int, variance: float, delta: float, least: int) -> float:
    m = 1 / (count - least + 1) + 1 / (rest - least + 1)
    caution = math.log(2 * math.log(count + rest) / delta)
    return math.sqrt(2 * m * variance * caution) + 2 / 3 * caution * m


def test_the_statistic_is_the_largest_difference_by_its_bound() -> None:
    values = np.array([0.0] * 4 + [9.0] * 4 + [9.0, 0.0] * 4) + np.random.default_rng(3).random(16)
    detector = ADWIN(clock=8, max_buckets=20, min_window=2, grace=0, delta=0.1)
    seen = []
    for count in (8, 16):
        detector.update_many(values[count - 8 : count])
        part = values[:count]
        ratios = [
            abs(part[:cut].mean() - part[cut:].mean()) / bound(cut, count - cut, part.var(), 0.1, 2)
            for cut in range(2, count - 1)
        ]
        assert detector.statistic == pytest.approx(max(ratios))
        seen.append(detector.statistic)
    assert seen[1] < seen[0] < 1.0


def test_the_bound_is_to_be_exceeded_by_a_cut_that_leaves_enough_on_both_sides() -> None:
    values = [0.0] * 6 + [100.0] * 2
    two, three = (ADWIN(clock=8, max_buckets=20, min_window=least, grace=0, delta=0.9) for least in (2, 3))
    assert two.update_many(values).tolist() == [7]
    assert three.update_many(values).tolist() == []
    four = ADWIN(clock=8, max_buckets=20, min_window=4, grace=0, delta=0.9)
    four.update_many([0.0] * 4 + [100.0] * 4)
    assert four.statistic == pytest.approx(100.0 / bound(4, 4, 2500.0, 0.9, 4))
    assert not ADWIN(clock=8, min_window=5, grace=0, delta=1.0).update_many(values).tolist()


@pytest.mark.parametrize(
    ("clock", "grace", "expected"),
    [(1, 0, 16), (8, 0, 23), (1, 24, 24), (1, 30, 30), (8, 31, 31), (8, 32, 39)],
)
def test_tests_come_at_strokes_of_the_clock_after_the_grace(clock: int, grace: int, expected: int) -> None:
    values = [0.0] * 12 + [100.0] * 30
    detector = ADWIN(delta=0.9, clock=clock, grace=grace)
    assert detector.update_many(values)[0] == expected


@pytest.mark.parametrize("size", [5.0, -5.0])
def test_the_evidence_dates_and_measures_the_change(size: float) -> None:
    detector, single = ADWIN(), ADWIN()
    values = np.append(np.tile([1.0, -1.0], 128), size + np.tile([1.0, -1.0], 32))
    first = detector.update_many(values)[0]
    assert [place for place, value in enumerate(values) if single.update(value)] == [first]
    assert single.evidence == detector.evidence
    evidence = detector.evidence
    assert evidence is not None
    assert evidence.since == evidence.at - 256
    chance = math.sqrt(2 / math.pi * (1 / 256 + 1 / evidence.since))
    assert evidence.effect == pytest.approx(math.copysign(5.0 - chance, size))


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        ({"delta": 0.0}, ValueError, "delta must be above 0 and at most 1, got 0.0"),
        ({"delta": 1.5}, ValueError, "delta must be above 0 and at most 1, got 1.5"),
        ({"clock": 0}, ValueError, "clock must be at least 1, got 0"),
        ({"max_buckets": 0}, ValueError, "max_buckets must be at least 1, got 0"),
        ({"min_window": 0}, ValueError, "min_window must be at least 1, got 0"),
        ({"grace": -1}, ValueError, "grace must be at least 0, got -1"),
        ({"clock": True}, TypeError, "clock must be a whole number"),
    ],
)
def test_parameters_out_of_range_are_named(
    arguments: dict[str, Any], error: type[Exception], message: str
) -> None:
    with pytest.raises(error, match=message):
        ADWIN(**arguments)


@pytest.mark.parametrize("level", np.linspace(1.0, 9.9, 33).tolist())
def test_parts_without_any_spread_have_the_whole_difference_as_effect(level: float) -> None:
    detector = ADWIN(clock=1, max_buckets=60)
    detector.update_many([0.1] * 37 + [level] * 40)
    assert detector.evidence is not None
    assert detector.evidence.effect == pytest.approx(level - 0.1, abs=1e-6)
