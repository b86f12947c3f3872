"""Scores watched by their ranks."""

from collections.abc import Callable
from statistics import NormalDist
from typing import Any

import numpy as np
import pytest

from resilient_ml.drift import ConformalShiryaevRoberts

QUIET = np.random.default_rng(1).normal(size=1000)


def test_the_evidence_is_the_formula() -> None:
    reference = np.arange(20.0)
    detector = ConformalShiryaevRoberts(reference, arl=1e9, margin=0.2)
    quantile = np.vectorize(NormalDist().inv_cdf)
    ratios: list[Callable[[Any], Any]] = []
    for shift in (0.25, 0.5, 1.0):
        ratios += [lambda z, d=shift: np.exp(d * z), lambda z, d=shift: np.exp(-d * z)]
    for spread in (0.6, 1.5, 2.2):
        ratios += [lambda z, s=spread: np.exp(z**2 / 2 * (1 - 1 / s**2))]
    # A new value's rank is that of any of the reference as often, and now and then beyond them.
    known = quantile(np.array([0, *range(1, 40, 2), 40]) / 42 + 1 / 42)
    often = np.array([0.5, *[1.0] * 20, 0.5]) / 21

    def mean(values: Any) -> Any:
        return max(values @ often, values[1:-1].mean())

    wealth = np.zeros(9)
    for value in (3.0, 25.0, 7.5, 19.0):
        rank = (reference < value).sum() + (reference <= value).sum()
        bets = []
        for ratio in ratios:
            usual = ratio(known) / mean(ratio(known))
            floor = mean(np.maximum(usual, 0.05))
            usual = np.maximum(usual, 0.05) / floor
            fee = 0.2 / 20**0.5 * np.sqrt((usual - 1) ** 2 @ often)
            here = max(ratio(quantile((rank + 1) / 42)) / mean(ratio(known)), 0.05) / floor
            bets.append(max(here * (1 - fee), 0.05))
        wealth = (wealth + 1) * bets
        detector.update(value)
        assert detector.statistic == pytest.approx(wealth @ np.array([8, 8, 2, 2, 1, 1, 1, 1, 1]) / 25)


def test_no_bet_earns_anything_by_chance() -> None:
    for reference in (QUIET, np.round(QUIET), np.where(QUIET > 0.3, 1.0, QUIET)):
        earned = 0.0
        detector = ConformalShiryaevRoberts(reference, arl=1e9, margin=0.0)
        for value in reference:
            detector.reset()
            detector.update(value)
            earned += detector.statistic
        assert 0.97 < earned / len(reference) <= 1.0


@pytest.mark.parametrize(
    ("count", "arl", "margin"),
    [(1000, 10_000, 0.75), (1000, 15_000, 0.75), (100, 10_000, 1.22), (50, 10_000, 1.67), (1000, 3e5, 0.99)],
)
def test_a_small_reference_beside_a_long_run_takes_more_off(count: int, arl: float, margin: float) -> None:
    detector = ConformalShiryaevRoberts(QUIET[:count], arl=arl)
    detector.fix_reference()
    assert detector.margin == pytest.approx(margin, abs=0.01)


@pytest.mark.parametrize(
    ("count", "arl", "margin"),
    [
        (1000, 6000, 0.28),
        (1000, 10_000, 0.341),
        (50, 1000, 2.15),
        (100, 1000, 1.45),
        (4000, 6e4, 0.459),
        (8000, 12e4, 0.443),
    ],
)
def test_while_it_grows_less_is_taken_off(count: int, arl: float, margin: float) -> None:
    reference = np.random.default_rng(1).normal(size=count)
    assert ConformalShiryaevRoberts(reference, arl=arl).margin == pytest.approx(margin, abs=0.001)


@pytest.mark.once
@pytest.mark.parametrize("grows", [True, False])
@pytest.mark.parametrize("count", [50, 200])
def test_small_references_keep_the_promise(count: int, grows: bool) -> None:
    alarms, streams, length = 0, *((120, 4000) if grows else (60, 5000))
    for seed in range(streams):
        draw = np.random.default_rng([seed, count]).normal
        detector = ConformalShiryaevRoberts(draw(size=count), arl=2000)
        if not grows:
            detector.fix_reference()
        alarms += len(detector.update_many(draw(size=length)))
    assert 0 < alarms <= streams * length / 2000


@pytest.mark.parametrize(
    ("drift", "sign"),
    [
        (lambda x: x + 1.0, 1),
        (lambda x: x - 1.0, -1),
        (lambda x: x * 3.0, 1),
        (lambda x: x * 0.2, -1),
    ],
)
def test_level_and_spread_are_found_in_both_directions(drift: object, sign: int) -> None:
    assert callable(drift)
    stream = np.random.default_rng(2).normal(size=600)
    stream[500:] = drift(stream[500:])
    detector = ConformalShiryaevRoberts(QUIET, arl=1000)
    alarms = detector.update_many(stream)
    assert 500 <= alarms[0] < 570
    detector.reset()
    detector.update_many(stream[: alarms[0] + 1])
    assert detector.evidence is not None
    assert np.sign(detector.evidence.effect) == sign
    assert 0.1 < abs(detector.evidence.effect) < 1
    assert abs(detector.evidence.since - (alarms[0] - 499)) < 15


def test_only_ranks_count() -> None:
    stream = np.random.default_rng(3).normal(0.6, size=400)
    one, other = ConformalShiryaevRoberts(QUIET, arl=500), ConformalShiryaevRoberts(np.exp(QUIET), arl=500)
    assert one.update_many(stream).tolist() == other.update_many(np.exp(stream)).tolist()


def test_a_constant_score_is_no_drift_until_it_moves() -> None:
    detector = ConformalShiryaevRoberts(np.full(100, 5.0), arl=200)
    assert not len(detector.update_many(np.full(20_000, 5.0)))
    assert len(detector.update_many(np.full(50, 6.0)))


def test_ties_alone_raise_no_alarm() -> None:
    generator = np.random.default_rng(4)
    detector = ConformalShiryaevRoberts(generator.integers(0, 4, 1000), arl=1000)
    detector.update_many(generator.integers(0, 4, 50_000))
    assert detector.alarms <= 50


@pytest.mark.once
@pytest.mark.parametrize("draw", ["normal", "standard_cauchy", "exponential"])
def test_false_alarms_are_as_rare_as_promised_whatever_the_distribution(draw: str) -> None:
    alarms = 0
    for seed in range(20):
        generator = np.random.default_rng(seed)
        sample = getattr(generator, draw)
        detector = ConformalShiryaevRoberts(sample(size=1000), arl=500)
        detector.update_many(sample(size=5000))
        alarms += detector.alarms
    assert 0 < alarms <= 20 * 5000 / 500


def test_the_alarm_comes_when_the_evidence_reaches_the_run_length() -> None:
    exact = ConformalShiryaevRoberts(QUIET, arl=1e9)
    for _ in range(6):
        exact.update(2.0)
    single = ConformalShiryaevRoberts(QUIET, arl=exact.statistic)
    assert [single.update(2.0) for _ in range(6)] == [False] * 5 + [True]
