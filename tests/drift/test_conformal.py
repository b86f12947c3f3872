"""Scores watched by their ranks."""

import numpy as np
import pytest

from resilient_ml.drift import ConformalShiryaevRoberts

QUIET = np.random.default_rng(1).normal(size=1000)


def test_the_evidence_is_the_formula() -> None:
    reference = np.arange(20.0)
    detector = ConformalShiryaevRoberts(reference, arl=1e9)
    fee = 0.75 / 20**0.5
    out = 2 * np.abs((2 * np.arange(20) + 1 - 20) / 21) - 1
    wealth = np.zeros(12)
    for value in (3.0, 25.0, 7.5, 19.0):
        rank = (reference < value).sum() + (reference <= value).sum()
        u = (rank - 20) / 21
        v = 2 * abs(u) - 1 - out.mean()
        bets = []
        for score, furthest in ((u, 20 / 21), (v, max(1 - out.mean() - 2 / 21, 1 + out.mean()))):
            for stake in (0.2, 0.5, 0.9):
                bet = min(stake, 0.95 / (furthest + fee))
                bets += [1 + bet * score - bet * fee, 1 - bet * score - bet * fee]
        wealth = (wealth + 1) * bets
        detector.update(value)
        assert detector.statistic == pytest.approx(wealth.mean())


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
    assert not len(detector.update_many(np.full(5000, 5.0)))
    assert len(detector.update_many(np.full(50, 6.0)))


def test_ties_alone_raise_no_alarm() -> None:
    generator = np.random.default_rng(4)
    detector = ConformalShiryaevRoberts(generator.integers(0, 4, 1000), arl=1000)
    detector.update_many(generator.integers(0, 4, 50_000))
    assert detector.alarms <= 50


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
