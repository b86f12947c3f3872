"""A mean watched against a reference by cumulative sums."""

import math
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from resilient_ml.drift import CUSUM

Draw = Callable[[np.random.Generator, int], Any]


def reference(count: int = 1000, seed: int = 0) -> Any:
    """Numbers of mean 7 and standard deviation 2, exactly."""
    values = np.random.default_rng(seed).normal(size=count)
    return 7.0 + 2.0 * (values - values.mean()) / values.std()


def test_the_sums_are_the_formula() -> None:
    detector, allowance = CUSUM(reference(400)), 0.25 + 1 / 20
    up = down = 0.0
    for value in (7.0, 8.0, 9.0, 30.0, 7.0, 1.0, 2.0, 6.9, 6.9, 7.0, 7.1, 9.5):
        score = min(max((value - 7.0) / 2.0, -4.0), 4.0)
        up, down = max(0.0, up + score - allowance), max(0.0, down - score - allowance)
        detector.update(value)
        assert detector.statistic == pytest.approx(max(up, down), abs=1e-5)


@pytest.mark.parametrize(("arl", "normals"), [(100, 6.32), (1000, 10.72), (10_000, 15.3), (1e6, 24.5)])
def test_the_threshold_is_what_siegmund_gives_for_half_as_much_again(arl: float, normals: float) -> None:
    height = CUSUM(reference(), arl=arl).threshold
    assert height == pytest.approx(normals, abs=0.05)
    far = 0.5 * (height + 1.166)
    assert (math.exp(far) - far - 1) / (2 * 0.25**2) / 2 == pytest.approx(1.5 * arl)


@pytest.mark.parametrize("arl", [2, 3, 1e308])
def test_any_run_length_has_a_threshold(arl: float) -> None:
    detector = CUSUM(reference(), arl=arl)
    assert 0.0 < detector.threshold < 3000.0
    detector.update(8.0)
    assert detector.level == "stable"


def test_it_warns_at_the_threshold_of_a_tenth_of_the_run_length() -> None:
    tenth = CUSUM(reference(), arl=1000).threshold
    detector = CUSUM(reference(), arl=10_000)
    before = 0.0
    while detector.level != "warn":
        before = detector.statistic
        assert not detector.update(9.0)
    assert before < tenth <= detector.statistic < detector.threshold


@pytest.mark.parametrize(
    "draw",
    [
        lambda draw, count: draw.normal(size=count),
        lambda draw, count: draw.standard_t(3, size=count),
        lambda draw, count: draw.beta(8, 2, size=count),
    ],
    ids=["normal", "t(3)", "Beta(8, 2)"],
)
def test_false_alarms_are_as_far_apart_as_asked_for(draw: Draw) -> None:
    alarms = 0
    for seed in range(100):
        generator = np.random.default_rng([seed, 11])
        detector = CUSUM(draw(generator, 1000), arl=10_000)
        alarms += len(detector.update_many(draw(generator, 20_000)))
    assert 0 < alarms <= 100 * 20_000 / 10_000


@pytest.mark.parametrize(("shift", "soon"), [(0.5, 80), (1.0, 27), (-1.0, 27)])
def test_a_shift_is_found_soon(shift: float, soon: int) -> None:
    delays = []
    for seed in range(50):
        generator = np.random.default_rng([seed, 12])
        detector = CUSUM(generator.normal(size=1000))
        delays.append(int(detector.update_many(generator.normal(shift, size=2000))[0]) + 1)
    assert np.median(delays) < soon


@pytest.mark.parametrize("sign", [1.0, -1.0])
def test_the_evidence_dates_and_measures_the_change(sign: float) -> None:
    detector = CUSUM(reference())
    quiet = 7.0 - sign * np.tile([1.0, 0.0, 0.5], 40)
    assert detector.update_many(np.append(quiet, np.full(11, 7.0 + sign * 4.0))).tolist() == [128]
    evidence = detector.evidence
    assert evidence is not None
    assert evidence.since == 9
    assert evidence.effect == pytest.approx(sign * (2.0 - math.sqrt(2 / (math.pi * 9))), abs=1e-5)
    single = CUSUM(reference())
    for value in np.append(quiet, np.full(9, 7.0 + sign * 4.0)):
        single.update(value)
    assert single.evidence == evidence


@settings(max_examples=100, deadline=None)
@given(st.lists(st.floats(0, 14), min_size=1, max_size=60), st.integers(0, 60))
def test_many_at_once_are_the_same_to_the_last_bit(values: list[float], cut: int) -> None:
    single, many = CUSUM(reference(50), arl=50), CUSUM(reference(50), arl=50)
    alarms = [place for place, value in enumerate(values) if single.update(value)]
    found = [*many.update_many(values[:cut]), *(min(cut, len(values)) + many.update_many(values[cut:]))]
    assert found == alarms
    assert many.state() == single.state()


def test_a_sum_that_comes_to_nothing_has_ended() -> None:
    state = {**CUSUM(reference(400)).state(), "centre": 0.0, "spread": 1.0}
    single, many = CUSUM.from_state(state), CUSUM.from_state(state)
    allowance = round(0.3 * 2**20) / 2**20  # 0.25 + 1 / 20
    for value in (allowance, -allowance, 1.0, 2 * allowance - 1.0, -1.0, 1.0 - 2 * allowance):
        single.update(value)
        many.update_many([value])
        assert many.state() == single.state()
        for side in ("up", "down"):
            assert (single.state()[side] > 0) == (single.state()[f"{side}_count"] > 0)


def test_the_alarm_comes_when_a_sum_reaches_the_threshold() -> None:
    exact = CUSUM(reference())
    exact.update_many([9.0] * 5)
    single, many, short = CUSUM(reference()), CUSUM(reference()), CUSUM(reference())
    single.threshold = many.threshold = exact.statistic
    short.threshold = exact.statistic * 1.0001
    assert [single.update(9.0) for _ in range(5)] == [False] * 4 + [True]
    assert many.update_many([9.0] * 5).tolist() == [4]
    assert short.update_many([9.0] * 6).tolist() == [5]


def test_a_long_stream_is_the_same_to_the_last_bit() -> None:
    values = 7.0 + 2.0 * np.random.default_rng(3).standard_t(2, size=20_000)
    single, many = CUSUM(reference(), arl=500), CUSUM(reference(), arl=500)
    alarms = [place for place, value in enumerate(values.tolist()) if single.update(value)]
    assert many.update_many(values).tolist() == alarms != []
    assert many.state() == single.state()


def test_no_finite_number_is_too_large() -> None:
    single, many = CUSUM(reference()), CUSUM(reference())
    values = [1.7e308, -1.7e308, 7.0]
    assert [single.update(value) for value in values] == [False] * 3
    assert not len(many.update_many(values))
    assert many.state() == single.state()
    assert many.refused == 0


def test_only_a_spread_is_a_unit() -> None:
    for values in (np.full(30, 2.5), [1e308, -1e308] * 20, [1e150, -1e150] * 20, [0.0, 1e-120] * 20):
        with pytest.raises(ValueError, match="reference must have a spread from 1e-100 to 1e100"):
            CUSUM(values)
    with pytest.raises(ValueError, match="at least 20 finite values, got 19"):
        CUSUM([0.0, 1.0] * 9 + [3.0, math.nan])
    with pytest.raises(ValueError, match="arl must be at least 2"):
        CUSUM(reference(), arl=1)
