"""Means watched by betting on them."""

from typing import Any

import numpy as np
import pytest

from resilient_ml.drift import ECusum, EShiryaevRoberts


def stakes(tolerated: float) -> list[float]:
    highest = min(0.5 / tolerated, 40.0)
    return [highest * 0.1 ** (1 - rung / 4) for rung in range(5)]


@pytest.mark.parametrize("tolerated", [0.2, 0.01])
@pytest.mark.parametrize("form", [EShiryaevRoberts, ECusum])
def test_the_evidence_is_the_formula(form: type[EShiryaevRoberts] | type[ECusum], tolerated: float) -> None:
    detector = form(tolerated, arl=1e9)
    wealth = [0.0] * 5
    for value in (0.0, 1.0, 0.5, 1.0, 0.25):
        detector.update(value)
        into = [one + 1 if form is EShiryaevRoberts else max(one, 1) for one in wealth]
        wealth = [
            one * (1 + stake * (value - tolerated))
            for one, stake in zip(into, stakes(tolerated), strict=True)
        ]
        assert detector.statistic == pytest.approx(sum(wealth) / 5)


def test_the_alarm_comes_when_the_evidence_reaches_the_run_length() -> None:
    exact = EShiryaevRoberts(0.2, arl=1e9)
    for _ in range(4):
        exact.update(1.0)
    reached = exact.statistic
    assert EShiryaevRoberts(0.2, arl=reached).update_many([1.0] * 4).tolist() == [3]
    single = EShiryaevRoberts(0.2, arl=reached)
    assert [single.update(1.0) for _ in range(4)] == [False, False, False, True]
    assert EShiryaevRoberts(0.2, arl=reached * 1.001).update_many([1.0] * 5).tolist() == [4]


def test_bounds_scale_the_observation_and_clip_it() -> None:
    plain, scaled = EShiryaevRoberts(0.25, arl=1e6), EShiryaevRoberts(-5.0, bounds=(-10.0, 10.0), arl=1e6)
    for value, twin in ((0.0, -10.0), (1.0, 10.0), (0.5, 0.0), (1.0, 99.0), (0.0, -99.0)):
        plain.update(value)
        scaled.update(twin)
        assert scaled.statistic == pytest.approx(plain.statistic)


def test_a_fall_is_a_rise_of_the_complement() -> None:
    values = [0.2, 0.4, 0.1, 0.0]
    up, down = EShiryaevRoberts(0.3, arl=1e6), EShiryaevRoberts(0.7, direction="down", arl=1e6)
    up.update_many(values)
    down.update_many([1 - value for value in values])
    assert down.statistic == pytest.approx(up.statistic)


def test_both_ways_are_averaged_so_that_the_promise_holds() -> None:
    up = EShiryaevRoberts(0.6, arl=1e6)
    down = EShiryaevRoberts(0.4, direction="down", arl=1e6)
    both = EShiryaevRoberts(0.6, tolerated_low=0.4, direction="both", arl=1e6)
    for detector in (up, down, both):
        detector.update_many([0.1, 0.9, 0.9, 0.2])
    assert both.statistic == pytest.approx((up.statistic + down.statistic) / 2)


def test_errors_alarm_upwards_only_unless_asked() -> None:
    assert not len(EShiryaevRoberts(0.5, arl=100).update_many(np.zeros(1000)))
    alarms = EShiryaevRoberts(0.5, direction="both", arl=100).update_many(np.zeros(1000))
    assert alarms[0] < 20


def test_the_reference_sets_what_is_tolerated() -> None:
    detector = EShiryaevRoberts.from_reference(([0.0] * 9 + [1.0]) * 10)
    mean = 11 / 102
    # The fewer values and the longer the run, the more standard errors: 0.4 and 0.28 for each factor of e.
    margin = (0.4 + 0.28 * np.log(10_000 / 70)) * (mean * (1 - mean) / 102) ** 0.5
    assert detector.tolerated == pytest.approx(mean + margin)
    assert detector.tolerated_low == pytest.approx(mean - margin)
    often = EShiryaevRoberts.from_reference(([0.0] * 9 + [1.0]) * 10, arl=20)
    assert often.tolerated == pytest.approx(mean + 0.4 * (mean * (1 - mean) / 102) ** 0.5)


def cycle_of(count: int, seed: int, *, period: int = 200, rate: float = 0.1) -> Any:
    """Errors at *rate* on average, 0.08 more and less often for a part of each period."""
    draw = np.random.default_rng(seed)
    place = np.arange(count) + draw.integers(period)
    return (draw.random(count) < rate + 0.08 * np.sin(2 * np.pi * place / period)) * 1.0


def test_a_mean_that_swings_is_tolerated_as_far_as_it_shows() -> None:
    references = [cycle_of(1000, seed) for seed in range(15)]
    shuffled = [np.random.default_rng(1).permutation(one) for one in references]
    steady = [EShiryaevRoberts.from_reference(one) for one in shuffled]
    swings = [EShiryaevRoberts.from_reference(one, direction="both") for one in references]
    assert 0.1 < np.median([one.tolerated for one in steady]) < 0.13
    assert 0.17 < np.median([one.tolerated for one in swings]) < 0.23
    assert np.median([one.tolerated_low for one in swings]) < 0.03
    often = [EShiryaevRoberts.from_reference(cycle_of(2000, seed, rate=0.4)) for seed in range(15)]
    assert 0.46 < np.median([one.tolerated for one in often]) < 0.65
    # A reference that is not in order swings further than any: twice the mean is the most.
    assert EShiryaevRoberts.from_reference([0.0] * 900 + [1.0] * 100).tolerated < 0.22


@pytest.mark.once
def test_errors_that_come_and_go_by_the_hour_keep_the_promise() -> None:
    alarms = unordered = 0
    for seed in range(30):
        reference, stream = cycle_of(1000, seed), cycle_of(10_000, seed + 100)
        alarms += len(EShiryaevRoberts.from_reference(reference).update_many(stream))
        shuffled = np.random.default_rng(seed).permutation(reference)
        unordered += len(EShiryaevRoberts.from_reference(shuffled).update_many(stream))
    assert alarms <= 30 < 60 < unordered


@pytest.mark.once
@pytest.mark.parametrize(("count", "rate", "arl"), [(50, 0.1, 2000), (200, 0.3, 3000), (1000, 0.1, 5000)])
def test_the_promise_is_kept_on_average_over_references(count: int, rate: float, arl: float) -> None:
    draw = np.random.default_rng(count)
    alarms = seen = 0
    while seen < 60 * arl:
        detector = EShiryaevRoberts.from_reference((draw.random(count) < rate) * 1.0, arl=arl)
        alarms += len(detector.update_many((draw.random(3000) < rate) * 1.0))
        seen += 3000
    assert alarms <= 60


@pytest.mark.parametrize(("value", "low"), [(0.0, 0.0), (1.0, 0.9)])
def test_a_reference_without_errors_or_without_successes_still_leaves_room(value: float, low: float) -> None:
    detector = ECusum.from_reference(np.full(50, value), direction="both")
    assert low < detector.tolerated_low < detector.tolerated < 1.0


def test_what_is_not_finite_in_a_reference_is_left_out() -> None:
    with pytest.raises(ValueError, match="at least 20 finite values, got 19"):
        EShiryaevRoberts.from_reference([0.0] * 19 + [float("nan")])
    with pytest.raises(ValueError, match="reference must have 1 dimension, got 2"):
        EShiryaevRoberts.from_reference(np.zeros((30, 2)))


def test_the_evidence_tells_what_was_beyond_what_is_tolerated_and_since_when() -> None:
    detector = EShiryaevRoberts(0.2, arl=10_000)
    detector.update_many([0.1] * 500 + [0.6] * 20)
    assert detector.evidence is not None
    assert detector.evidence.since == detector.evidence.at - 500
    assert 0.2 < detector.evidence.effect < 0.4
    down = EShiryaevRoberts(0.5, tolerated_low=0.4, direction="down", arl=10_000)
    down.update_many([0.5] * 100 + [0.0] * 30)
    assert down.evidence is not None
    assert -0.4 < down.evidence.effect < -0.2


def test_its_stretches_are_remembered_to_a_bound() -> None:
    detector = EShiryaevRoberts(0.2)
    detector.update_many(np.full(9000, 0.1))
    assert len(detector.state()["recent"]) == 1024
    single = EShiryaevRoberts(0.2)
    for _ in range(1100):
        single.update(0.1)
    assert len(single.state()["recent"]) == 1024


@pytest.mark.parametrize("form", [EShiryaevRoberts, ECusum])
def test_false_alarms_are_as_far_apart_as_promised(form: type[EShiryaevRoberts] | type[ECusum]) -> None:
    values = (np.random.default_rng(5).random(200_000) < 0.1).astype(float)
    detector = form(0.1, arl=500)
    detector.update_many(values)
    assert 0 < detector.alarms <= 200_000 / 500


def test_the_promise_needs_no_independence() -> None:
    """A spread that stays for long, around the tolerated mean given the past."""
    generator = np.random.default_rng(6)
    scale = np.repeat(generator.choice([0.1, 1.0], 2000), 100)
    values = 0.5 + 0.5 * scale * generator.choice([-1.0, 1.0], 200_000)
    detector = EShiryaevRoberts(0.5, arl=500)
    detector.update_many(values)
    assert detector.alarms <= 200_000 / 500


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"tolerated": 0.0}, "tolerated must lie inside the bounds"),
        ({"tolerated": 1.0}, "tolerated must lie inside the bounds"),
        ({"tolerated": 0.5, "tolerated_low": 0.6}, "tolerated_low at or below it"),
        ({"tolerated": 0.5, "tolerated_low": 0.0}, "tolerated must lie inside"),
        ({"tolerated": 0.5, "bounds": (1.0, 0.0)}, "bounds must be"),
        ({"tolerated": 0.5, "bounds": (1.0, 1.0)}, "bounds must be"),
        ({"tolerated": 0.5, "direction": "sideways"}, "direction must be"),
    ],
)
def test_parameters_out_of_range_are_named(arguments: dict[str, object], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        EShiryaevRoberts(**arguments)  # type: ignore[arg-type]
