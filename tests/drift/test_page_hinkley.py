"""Page-Hinkley: its sums, its sides, its evidence."""

from typing import Any

import numpy as np
import pytest

from resilient_ml.drift import PageHinkley


@pytest.mark.parametrize("alpha", [1.0, 0.9, 0.001])
def test_the_statistic_is_the_formula(alpha: float) -> None:
    detectors = {
        mode: PageHinkley(threshold=1e9, delta=0.1, alpha=alpha, mode=mode, min_instances=3)  # type: ignore[arg-type]
        for mode in ("up", "down", "both")
    }
    values = np.random.default_rng(2).normal(5.0, 3.0, size=2500)
    up = down = lowest = highest = 0.0
    for count, value in enumerate(values.tolist(), 1):
        deviation = value - values[:count].mean()
        up, down = alpha * up + deviation - 0.1, alpha * down + deviation + 0.1
        lowest, highest = min(lowest, up), max(highest, down)
        expected = {"up": up - lowest, "down": highest - down, "both": max(up - lowest, highest - down)}
        for mode, detector in detectors.items():
            detector.update(value)
            assert detector.statistic == pytest.approx(expected[mode] if count >= 3 else 0.0, abs=1e-7)


def test_no_alarm_comes_before_so_many_observations() -> None:
    values = [0.0] * 3 + [100.0] * 40
    for least in (2, 10, 30):
        detector = PageHinkley(min_instances=least, threshold=1.0)
        assert detector.update_many(values)[0] == max(3, least - 1)


def test_the_threshold_is_to_be_exceeded() -> None:
    values = [0.0, 3.0]
    assert (
        PageHinkley(min_instances=1, delta=0.0, alpha=1.0, threshold=1.5).update_many(values).tolist() == []
    )
    detector = PageHinkley(min_instances=1, delta=0.0, alpha=1.0, threshold=1.4999)
    assert detector.update_many(values).tolist() == [1]
    single = PageHinkley(min_instances=1, delta=0.0, alpha=1.0, threshold=1.5)
    assert not any(single.update(value) for value in values)


@pytest.mark.parametrize("sign", [1.0, -1.0])
@pytest.mark.parametrize("mode", ["one", "both"])
def test_the_evidence_dates_and_measures_the_change(sign: float, mode: str) -> None:
    side: Any = {1.0: "up", -1.0: "down"}[sign] if mode == "one" else "both"
    detector, single = (PageHinkley(threshold=20.0, delta=0.2, mode=side) for _ in range(2))
    values = 50.0 + sign * np.append(np.tile([1.0, -1.0], 50), np.tile([6.0, 4.0], 10))
    first = detector.update_many(values)[0]
    assert [single.update(value) for value in values[: first + 1]] == [False] * first + [True]
    assert single.evidence == detector.evidence
    evidence = detector.evidence
    assert evidence is not None
    assert evidence.at == first + 1
    assert evidence.since == evidence.at - 100
    # The mean rose by 5, or a little more where an odd number has come since, less 0.8 standard errors.
    assert 4.2 < sign * evidence.effect < 5.0
    assert not len(PageHinkley(threshold=20.0, delta=0.2, mode="down").update_many(values[::1] * sign)) or (
        sign < 0
    )


def test_a_change_from_the_very_first_on_has_only_that_before_it() -> None:
    detector = PageHinkley(threshold=10.0, delta=0.0, alpha=1.0, mode="up", min_instances=5)
    detector.update_many([0.0, 1.0, 2.0, 3.0, 4.0, 5.0, 6.0, 7.0])
    assert detector.evidence is not None
    assert detector.evidence.since == detector.evidence.at - 1
    assert detector.evidence.effect > 0.5


@pytest.mark.parametrize("level", np.linspace(0.3, 9.9, 33).tolist())
def test_parts_without_any_spread_have_the_whole_difference_as_effect(level: float) -> None:
    detector = PageHinkley(threshold=0.1, delta=0.0, min_instances=1)
    detector.update_many([0.1] * 7 + [level])
    assert detector.evidence is not None
    assert detector.evidence.effect == pytest.approx(level - 0.1, abs=1e-7)


def test_a_stream_far_from_0_is_judged_like_one_at_0() -> None:
    values = np.random.default_rng(5).integers(-8, 9, 4000) / 4.0
    values[2000:] += 1.0
    detector, far = PageHinkley(threshold=25.0), PageHinkley(threshold=25.0)
    assert far.update_many(values + 2.0**40).tolist() == detector.update_many(values).tolist() != []


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        ({"min_instances": 0}, ValueError, "min_instances must be at least 1, got 0"),
        ({"min_instances": 2.5}, TypeError, "min_instances must be a whole number"),
        ({"delta": -0.1}, ValueError, "delta must be at least 0, got -0.1"),
        ({"threshold": 0.0}, ValueError, "threshold must be above 0, got 0.0"),
        ({"threshold": "high"}, TypeError, "threshold must be a number"),
        ({"alpha": 0.0}, ValueError, "alpha must be from 0.001 to 1, got 0.0"),
        ({"alpha": 1.01}, ValueError, "alpha must be from 0.001 to 1, got 1.01"),
        ({"mode": "sideways"}, ValueError, "mode must be 'up' or 'down' or 'both', got 'sideways'"),
    ],
)
def test_parameters_out_of_range_are_named(
    arguments: dict[str, Any], error: type[Exception], message: str
) -> None:
    with pytest.raises(error, match=message):
        PageHinkley(**arguments)
