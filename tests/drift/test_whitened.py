"""Scores with memory."""

import json
import math
from typing import Any

import numpy as np
import pytest

from resilient_ml.drift import ConformalShiryaevRoberts, WhitenedShiryaevRoberts
from resilient_ml.drift._recursion import recur
from resilient_ml.drift.conformal import fixed_margin
from resilient_ml.drift.whitened import BY_EXCESS, _excess


def remembering(count: int, seed: int) -> Any:
    values = np.random.default_rng(seed).normal(size=count)
    for place in range(1, count):
        values[place] += 0.5 * values[place - 1]
    return values


def overshooting(count: int, seed: int) -> Any:
    """Swings within a few observations, which shows in the last two together and in no average."""
    values = np.random.default_rng(seed).normal(size=count)
    for place in range(2, count):
        values[place] += 1.2 * values[place - 1] - 0.5 * values[place - 2]
    return values


def swinging(count: int, seed: int) -> Any:
    generator = np.random.default_rng(seed)
    phase = generator.random() * 2 * math.pi
    return 0.94 * generator.normal(size=count) + 0.5 * np.sin(np.arange(count) * 2 * math.pi / 1000 + phase)


def restless(count: int, seed: int) -> Any:
    """Calm and wild times of some twenty observations each, with no memory of the level."""
    spread = recur(np.zeros(1), np.full((count, 1), 0.95), 0.16 * noise_of(count, seed + 500))[:, 0]
    return np.exp(spread) * noise_of(count, seed)[:, 0]


def weekly(count: int, seed: int) -> Any:
    return noise_of(count, seed)[:, 0] + np.sin((np.arange(count) + seed) * 2 * math.pi / 7)


def noise_of(count: int, seed: int) -> Any:
    return np.random.default_rng(seed).normal(size=(count, 1))


@pytest.mark.once
@pytest.mark.parametrize("draw", [remembering, overshooting, swinging, restless])
def test_memory_and_slow_cycles_alarm_no_more_often_than_promised(draw: Any) -> None:
    plain = whitened = 0
    for seed in range(10):
        reference, stream = draw(1000, seed), draw(10_000, seed + 100)
        for_all = ConformalShiryaevRoberts(reference, arl=1000)
        plain += len(for_all.update_many(stream))
        whitened += len(WhitenedShiryaevRoberts(reference, arl=1000).update_many(stream))
    assert whitened <= 100 < plain


def hourly(count: int, seed: int) -> Any:
    return noise_of(count, seed)[:, 0] + np.sin((np.arange(count) + seed) * 2 * math.pi / 24)


def jumping(count: int, seed: int) -> Any:
    """A level that stays for some twenty observations."""
    jumps = np.cumsum(np.random.default_rng(seed + 900).random(count) < 0.05)
    return noise_of(count, seed)[:, 0] + noise_of(count, seed + 300)[:, 0][jumps]


@pytest.mark.parametrize("seed", [75, 94, 116])
def test_no_steady_difference_is_more_than_doubled(seed: int) -> None:
    """Least squares alone would more than double it for these references."""
    assert sum(WhitenedShiryaevRoberts(weekly(1000, seed))._weights) >= -1.0


def test_what_averages_foretell_is_believed_less_and_least_where_they_magnify() -> None:
    by_last, by_averages = (
        WhitenedShiryaevRoberts(remembering(1000, 0)),
        WhitenedShiryaevRoberts(jumping(1000, 3)),
    )
    magnifying = WhitenedShiryaevRoberts(hourly(1000, 0))
    assert by_last.margin == pytest.approx(fixed_margin(1000, 10_000) + 1.15)
    assert not any(by_last._weights[2:]) and any(by_averages._weights[2:])
    assert by_averages.margin == pytest.approx(by_last.margin + 1.0)
    steady = 1.0 - sum(magnifying._weights[2:])
    assert steady > 1.5 and sum(magnifying._weights) >= -1.0
    assert magnifying.margin == pytest.approx(by_averages.margin + 1.15 * (steady**2 - 1.0))


@pytest.mark.once
def test_cycles_that_are_not_foretold_alarm_no_more_often_than_promised() -> None:
    alarms = 0
    for seed in range(10):
        detector = WhitenedShiryaevRoberts(weekly(1000, seed), arl=1000)
        alarms += len(detector.update_many(weekly(10_000, seed + 100)))
    assert alarms <= 100


def test_sums_that_vary_as_by_chance_are_no_memory() -> None:
    found = [_excess(np.exp(0.5 * noise_of(1000, seed))) for seed in range(100)]
    assert sum(one[0] > 0.0 for one in found) < 15
    assert float(np.mean(found)) < 0.03


@pytest.mark.parametrize("times", [1, 2, 5])
def test_sums_of_what_goes_together_vary_more(times: int) -> None:
    factors = np.hstack([np.repeat(noise_of(40_000 // times, 1), times, axis=0), noise_of(40_000, 2)])
    found = _excess(factors)
    expected = BY_EXCESS * (times - 1)
    assert found[0] == pytest.approx(expected, rel=0.25, abs=0.1)
    assert found[1] < 0.1
    assert _excess(np.full((1000, 2), 0.7)).tolist() == [0.0, 0.0]


def test_what_is_left_of_memory_makes_bets_smaller_and_is_kept() -> None:
    detector, plain = (
        WhitenedShiryaevRoberts(restless(1000, 1)),
        WhitenedShiryaevRoberts(noise_of(1000, 1)[:, 0]),
    )
    assert min(detector.state()["excess"][6:]) > 1.0
    assert max(plain.state()["excess"]) < 0.5
    low, high = plain._table[-1], detector._table[-1]  # the factors of a value above all others
    assert all(high[[0, 2, 4]] < low[[0, 2, 4]])
    twin = WhitenedShiryaevRoberts.from_state(json.loads(json.dumps(detector.state())))
    np.testing.assert_array_equal(twin._table, detector._table)
    stream = restless(400, 2) + 2.0
    assert twin.update_many(stream).tolist() == detector.update_many(stream).tolist() != []
    twin.reset()
    np.testing.assert_array_equal(twin._table, detector._table)


@pytest.mark.once
@pytest.mark.parametrize(("count", "arl"), [(100, 1000), (300, 10_000), (1000, 100_000)])
def test_short_references_and_long_run_lengths_keep_the_promise(count: int, arl: int) -> None:
    alarms = 0
    for seed in range(20):
        stream = recur(np.zeros(1), np.full((5 * arl, 1), 0.5), noise_of(5 * arl, seed))[:, 0]
        detector = WhitenedShiryaevRoberts(stream[:count], arl=arl)
        alarms += len(detector.update_many(stream[count:]))
    assert alarms <= 20 * 5


def test_averages_are_used_where_the_reference_is_long_against_them() -> None:
    for count, used in ((100, 3), (299, 3), (300, 4), (999, 4), (1000, 5)):
        swing = np.sin(np.arange(count) * 2 * math.pi / 60)
        noise = np.random.default_rng(count).normal(size=count)
        weights = WhitenedShiryaevRoberts(3.0 * swing + noise).state()["weights"]
        assert any(weights[:used])
        assert not any(weights[used:])


@pytest.mark.parametrize(("memory", "last"), [(0.0, False), (0.5, True)])
def test_chance_is_seldom_taken_for_memory(memory: float, last: bool) -> None:
    wrong = 0
    for seed in range(150):
        values = recur(np.zeros(1), np.full((1000, 1), memory), noise_of(1000, seed))[:, 0]
        weights = WhitenedShiryaevRoberts(values).state()["weights"]
        wrong += [bool(weight) for weight in weights] != [False, last, False, False, False]
    assert wrong <= 3


def test_each_kind_of_memory_is_told_by_what_shows_it() -> None:
    # Where noise hides the last value, an average shows what is slow below it.
    slow = recur(np.zeros(1), np.full((3000, 1), 0.97), noise_of(3000, 1))[:, 0]
    weights = WhitenedShiryaevRoberts(slow + 5.0 * noise_of(3000, 2)[:, 0]).state()["weights"]
    assert weights[:2] == [0.0, 0.0]
    assert sum(weights) > 0.3
    alternating = noise_of(1000, 3)[:, 0] + np.tile([1.0, -1.0], 500)
    assert WhitenedShiryaevRoberts(alternating).state()["weights"][1] < -0.3
    weights = WhitenedShiryaevRoberts(overshooting(1000, 1)).state()["weights"]
    assert weights == pytest.approx([-0.5, 1.2, 0.0, 0.0, 0.0], abs=0.08)


@pytest.mark.parametrize(("draw", "weights"), [(remembering, [0.0, 0.5]), (overshooting, [-0.5, 1.2])])
def test_the_rest_is_what_the_past_does_not_foretell(draw: Any, weights: list[float]) -> None:
    detector = WhitenedShiryaevRoberts(draw(2000, 1))
    state = detector.state()
    assert state["weights"] == pytest.approx([*weights, 0.0, 0.0, 0.0], abs=0.05)
    earlier, averages = 0.0, np.zeros(4)
    twin = ConformalShiryaevRoberts(state["reference"], margin=1.825)
    for value in draw(50, 2):
        centred = value - state["centre"]
        twin.update(centred - np.array([earlier, *averages]) @ state["weights"])
        earlier = averages[0]
        averages += np.array([1.0, 0.3, 0.1, 0.03]) * (centred - averages)
        detector.update(value)
        assert detector.statistic == pytest.approx(twin.statistic)
    assert detector.state()["averages"] == pytest.approx(averages.tolist())
    assert detector.state()["earlier"] == pytest.approx(earlier)


def test_without_memory_it_is_the_plain_detector() -> None:
    reference = np.random.default_rng(4).normal(size=1000)
    detector, plain = WhitenedShiryaevRoberts(reference), ConformalShiryaevRoberts(reference)
    assert detector.state()["weights"] == [0.0] * 5
    stream = np.random.default_rng(5).normal(0.5, size=500)
    assert detector.update_many(stream).tolist() == plain.update_many(stream).tolist() != []


def test_one_wild_value_does_not_rule_the_past() -> None:
    detector = WhitenedShiryaevRoberts(remembering(1000, 6), arl=10_000)
    detector.update(1e308)
    detector.update_many([-1e308, 1e308])
    limit = detector.state()["furthest"]
    assert all(abs(one) <= limit for one in detector.state()["averages"])


def test_a_short_reference_is_refused() -> None:
    with pytest.raises(ValueError, match="at least 100 finite values in order, got 99"):
        WhitenedShiryaevRoberts(np.arange(99.0))


def test_a_reference_that_is_all_the_same_is_left_by_anything_else():
    detector = WhitenedShiryaevRoberts(np.full(1000, 0.5), arl=1000)
    assert not len(detector.update_many(np.full(3000, 0.5)))
    assert len(detector.update_many(np.full(500, 0.51)))


def test_a_reference_of_numbers_whose_squares_are_none_is_refused() -> None:
    with pytest.raises(ValueError, match=r"values below 1e.100, got one of 1e.200; divide"):
        WhitenedShiryaevRoberts(np.where(np.arange(200) % 2, 1e200, -1e200))


@pytest.mark.parametrize("power", [-900, -300, 300])
def test_the_unit_does_not_matter(power: int) -> None:
    stream = overshooting(3000, 5)
    stream[2500:] += 4.0
    unit = 2.0**power
    plain, scaled = WhitenedShiryaevRoberts(stream[:1000]), WhitenedShiryaevRoberts(stream[:1000] * unit)
    assert scaled.state()["weights"] == pytest.approx(plain.state()["weights"])
    found = plain.update_many(stream[1000:]).tolist()
    assert scaled.update_many(stream[1000:] * unit).tolist() == found != []


@pytest.mark.parametrize("unit", [1e-300, 1e-320])
def test_numbers_that_are_hardly_any_are_ranked_as_they_are(unit: float) -> None:
    detector = WhitenedShiryaevRoberts(unit * noise_of(1000, 1)[:, 0])
    assert detector.update_many(unit * noise_of(1000, 2)[:, 0]).tolist() == []
    assert len(detector.update_many(np.ones(300))) > 0


@pytest.mark.parametrize("draw", [remembering, overshooting])
@pytest.mark.parametrize("size", [1, 2, 63, 64, 128, 200])
def test_what_the_past_was_is_known_wherever_a_batch_ends(size: int, draw: Any) -> None:
    stream = draw(2000, 8)
    single, many = WhitenedShiryaevRoberts(stream[:1000]), WhitenedShiryaevRoberts(stream[:1000])
    for begin in range(1000, 2000, size):
        part = stream[begin : begin + size]
        many.update_many(part)
        for value in part.tolist():
            single.update(value)
        assert many.state()["averages"] == pytest.approx(single.state()["averages"])
        assert many.state()["earlier"] == pytest.approx(single.state()["earlier"])
        assert many.statistic == pytest.approx(single.statistic)


@pytest.mark.parametrize(
    "stream",
    [
        np.full(4000, 0.1),
        np.full(4000, 0.3),
        np.full(4000, 1e9 + 0.1),
        np.tile([0.0, 1.0], 2000),
    ],
    ids=["0.1", "0.3", "far from 0", "to and fro"],
)
def test_rounding_is_no_news(stream: Any) -> None:
    single, many = WhitenedShiryaevRoberts(stream[:1000]), WhitenedShiryaevRoberts(stream[:1000])
    assert many.update_many(stream[1000:]).tolist() == []
    assert [place for place, value in enumerate(stream[1000:].tolist()) if single.update(value)] == []
    assert many.statistic == pytest.approx(single.statistic)
    assert len(many.update_many(np.full(500, stream.max() + 1.0))) > 0
