"""Losses by stratum, and after what came last."""

from typing import Any

import numpy as np
import pytest

from resilient_ml.drift import (
    EShiryaevRoberts,
    Losses,
    MarkovShiryaevRoberts,
    StratifiedShiryaevRoberts,
    Thinned,
)
from resilient_ml.drift.markov import few_errors, follows, left_over
from resilient_ml.drift.monitor import Channel


def losses(strata: Any, rates: Any, seed: int) -> Any:
    """Error flags with a rate by stratum, each with its stratum."""
    wrong = np.random.default_rng(seed).random(len(strata)) < np.asarray(rates)[strata]
    return np.column_stack([strata, wrong])


def chain(count: int, rate: float, stays: float, seed: int) -> Any:
    """Error flags of which so many are as the one before them."""
    draw = np.random.default_rng(seed)
    fresh = np.where(draw.random(count) >= stays, np.arange(count), 0)
    return (draw.random(count) < rate).astype(float)[np.maximum.accumulate(fresh)]


DAYS = np.arange(4800) // 100 % 24
HOURLY = np.where(np.arange(24) < 8, 0.4, 0.05)


# ---- by stratum


@pytest.mark.once
@pytest.mark.parametrize(
    ("strata", "each", "count"), [(24, 1, 1000), (24, 100, 4800), (2, 1000, 4000), (168, 1, 4000)]
)
def test_strata_alarm_no_more_often_than_promised(strata: int, each: int, count: int) -> None:
    rates = 0.05 + 0.25 * np.random.default_rng(strata).random(strata) ** 2
    of = np.arange(20_000) // each % strata
    alarms = 0
    for seed in range(6):
        detector = StratifiedShiryaevRoberts(losses(of[:count], rates, seed), arl=2000)
        alarms += len(detector.update_many(losses(of, rates, seed + 100)))
    assert alarms <= 6 * 10


def test_a_cycle_that_strata_follow_is_no_drift_and_a_rise_in_it_is() -> None:
    quiet = losses(np.tile(DAYS, 2), HOURLY, 1)
    detector = StratifiedShiryaevRoberts(quiet[:4800])
    plain = EShiryaevRoberts.from_reference(quiet[:4800, 1])
    assert not len(detector.update_many(quiet[4800:]))
    assert len(plain.update_many(quiet[4800:, 1])) > 1
    worse = losses(DAYS, 2.0 * HOURLY, 2)
    assert detector.update_many(worse)[0] < 100
    assert detector.evidence is not None
    assert 0.15 < detector.evidence.effect < 0.6


def test_evidence_collects_from_all_strata() -> None:
    detector = StratifiedShiryaevRoberts(losses(np.arange(1000) % 2, [0.1, 0.4], 3), arl=1e6)
    wealth = np.zeros(5)
    for stratum, loss in [(0, 1.0), (1, 1.0), (1, 0.0), (7, 1.0), (0, 0.5), (1, 3.0), (0, -1.0)]:
        mean = detector.tolerated.get(stratum, detector.otherwise)
        highest = min(0.5 / mean, 40.0)
        stakes = np.array([highest * 0.1 ** (1 - rung / 4) for rung in range(5)])
        wealth = (wealth + 1) * (1 + stakes * (min(max(loss, 0.0), 1.0) - mean))
        detector.update((stratum, loss))
        assert detector.statistic == pytest.approx(wealth.mean())


def test_each_stratum_is_tolerated_what_is_usual_there() -> None:
    rows = losses(np.arange(4000) % 4, [0.0, 0.1, 0.3, 1.0], 4)
    detector = StratifiedShiryaevRoberts(rows)
    for stratum, rate in enumerate([0.0, 0.1, 0.3]):
        assert rate < detector.tolerated[stratum] < rate + 0.04
    assert 0.99 < detector.tolerated[3] < 1.0
    assert rows[:, 1].mean() < detector.otherwise < rows[:, 1].mean() + 0.02


@pytest.mark.parametrize(("count", "own"), [(19, False), (20, True)])
def test_a_stratum_with_few_values_is_judged_as_all(count: int, own: bool) -> None:
    strata = np.zeros(500, dtype=int)
    strata[:count] = 3
    detector = StratifiedShiryaevRoberts(losses(strata, [0.1, 0.0, 0.0, 0.5], 5))
    assert (3.0 in detector.tolerated) is own
    if not own:
        detector.update((3, 1.0))
        known = detector.statistic
        detector.reset()
        detector.update((99, 1.0))
        assert detector.statistic == known


def test_without_any_stratum_that_is_large_enough_it_is_the_plain_detector() -> None:
    rows = losses(np.arange(200) // 10, np.full(20, 0.2), 6)
    detector = StratifiedShiryaevRoberts(rows)
    plain = EShiryaevRoberts.from_reference(rows[:, 1])
    assert detector.tolerated == {}
    assert detector.otherwise == pytest.approx(plain.tolerated)
    for loss in (1.0, 0.0, 0.3):
        detector.update((0, loss))
        plain.update(loss)
        assert detector.statistic == pytest.approx(plain.statistic)


def test_the_luck_of_many_strata_averages_out() -> None:
    def errors_more(strata: int) -> float:
        of = np.arange(4000) % strata
        rows = losses(of, np.full(strata, 0.2), 8)
        detector = StratifiedShiryaevRoberts(rows)
        margins = [
            (detector.tolerated[one] - (part.sum() + 1) / (len(part) + 2)) / (part.std() / len(part) ** 0.5)
            for one in range(strata)
            for part in [rows[of == one, 1]]
        ]
        return float(np.mean(margins))

    one, four, sixteen = map(errors_more, (1, 4, 16))
    assert one == pytest.approx(0.4, rel=0.1)
    assert four == pytest.approx(one / 2, rel=0.1)
    assert sixteen == pytest.approx(one / 4, rel=0.2)


def test_what_counts_is_how_much_is_staked() -> None:
    # A frequent error in one of a hundred observations says little, and little is staked on it.
    of = (np.arange(4000) % 100 == 0).astype(int)
    rows = losses(of, [0.05, 0.9], 9)
    detector = StratifiedShiryaevRoberts(rows)
    part = rows[of == 0, 1]
    margin = detector.tolerated[0] - (part.sum() + 1) / (len(part) + 2)
    assert margin / (part.std() / len(part) ** 0.5) == pytest.approx(0.4, rel=0.1)


def test_long_visits_are_tolerated_more() -> None:
    def margins(each: int) -> float:
        strata = np.arange(4000) // each % 4
        rows = losses(strata, np.full(4, 0.2), 7)
        detector = StratifiedShiryaevRoberts(rows)
        return sum(detector.tolerated[one] - rows[strata == one, 1].mean() for one in range(4)) / 4

    short, middling, long = margins(1), margins(250), margins(1000)
    assert 0.0 < 2.0 * short < middling < long < 0.05
    assert margins(500) == pytest.approx(long, rel=0.2)


@pytest.mark.parametrize(
    ("reference", "said"),
    [
        (np.zeros(50), r"reference must have shape \(n, 2\)"),
        (np.zeros((50, 3)), r"reference must have shape \(n, 2\)"),
        (np.zeros((19, 2)), "reference must hold at least 20 finite rows, got 19"),
        (np.full((50, 2), np.nan), "got 0; collect 1000"),
    ],
)
def test_a_reference_that_is_none_is_refused(reference: Any, said: str) -> None:
    with pytest.raises(ValueError, match=said):
        StratifiedShiryaevRoberts(reference)


# ---- after what came last


@pytest.mark.once
@pytest.mark.parametrize(
    ("rate", "stays", "count"), [(0.1, 0.5, 1000), (0.3, 0.5, 300), (0.05, 0.7, 1000), (0.02, 0.5, 300)]
)
def test_bursts_alarm_no_more_often_than_promised(rate: float, stays: float, count: int) -> None:
    alarms = plain = 0
    for seed in range(20):
        reference, stream = chain(count, rate, stays, seed), chain(6000, rate, stays, seed + 100)
        alarms += len(Losses().detector(reference, 2000).update_many(stream))
        # Where its order is lost, a reference does not tell how far the mean swings.
        unordered = np.random.default_rng(seed).permutation(reference)
        plain += len(EShiryaevRoberts.from_reference(unordered, arl=2000).update_many(stream))
    assert alarms <= 60 < plain


def test_bursts_that_are_weak_are_seen_and_swings_are_none() -> None:
    steady = np.random.default_rng(1).random((100, 1000)) < 0.1
    assert sum(follows(one.astype(float)) for one in steady) < 10
    assert not follows(np.zeros(100)) and not follows(np.ones(100))
    weak = [chain(1000, 0.1, 0.2, seed) for seed in range(20)]
    assert sum(map(follows, weak)) >= 19
    assert sum(isinstance(Losses().detector(one, 1000), MarkovShiryaevRoberts) for one in weak) >= 17
    rates = 0.1 + 0.08 * np.sin(2 * np.pi * np.arange(1000) / 200)
    swings = (np.random.default_rng(2).random((20, 1000)) < rates).astype(float)
    assert sum(isinstance(Losses().detector(one, 1000), MarkovShiryaevRoberts) for one in swings) <= 2


def test_more_errors_are_found_sooner_than_by_passing_most_over() -> None:
    delays = []
    for seed in range(15):
        reference, worse = chain(1000, 0.1, 0.5, seed), chain(3000, 0.25, 0.5, seed + 100)
        last = MarkovShiryaevRoberts(reference)
        thin = Thinned(lambda quiet, arl: EShiryaevRoberts.from_reference(quiet, arl=arl), reference)
        delays.append([next(iter(one.update_many(worse)), 3000) for one in (last, thin)])
    sooner, later = np.median(delays, axis=0)
    assert sooner < 0.8 * later


def test_what_is_usual_depends_on_what_came_last() -> None:
    reference = chain(4000, 0.1, 0.5, 1)
    detector = MarkovShiryaevRoberts(reference)
    assert detector.middle == pytest.approx(reference.mean())
    assert 0.04 < detector.tolerated[0.0] < 0.08
    assert 0.5 < detector.tolerated[1.0] < 0.65
    by_stratum = StratifiedShiryaevRoberts(np.column_stack([reference[:-1], reference[1:]]))
    last = -1.0
    for loss in chain(200, 0.3, 0.5, 2).tolist():
        detector.update(loss)
        by_stratum.update((last, loss))
        assert detector.statistic == pytest.approx(by_stratum.statistic)
        last = loss


def test_after_an_alarm_it_knows_what_came_last() -> None:
    detector = MarkovShiryaevRoberts(chain(1000, 0.1, 0.5, 1), arl=100)
    while not detector.update(1.0):
        pass
    assert detector.state()["last"] == 1
    detector.reset()
    assert detector.state()["last"] == 2


@pytest.mark.parametrize("reference", [np.zeros(100), np.ones(100), np.r_[np.zeros(99), 1.0]])
def test_what_the_reference_does_not_show_is_no_cause_for_alarm(reference: Any) -> None:
    detector = MarkovShiryaevRoberts(reference, arl=1000)
    assert set(detector.tolerated) == {0.0, 1.0}
    after_bad = detector.tolerated[1.0]
    if not reference.any():
        assert after_bad > 0.99  # nobody knows what is usual after an error
        detector.update_many([0.0] * 50 + [1.0] * 6 + [0.0] * 50)
        assert detector.alarms == 0
        detector.update_many([1.0, 0.0] * 20)
        assert detector.alarms > 0


def test_a_reference_of_too_few_is_refused() -> None:
    with pytest.raises(ValueError, match="at least 21 finite values in order, got 20"):
        MarkovShiryaevRoberts(np.zeros(20))
    with pytest.raises(ValueError, match="values must have 1 dimension, got 2"):
        MarkovShiryaevRoberts(np.zeros(30)).update_many(np.zeros((3, 2)))


def test_what_is_left_over_has_no_memory() -> None:
    values = chain(5000, 0.2, 0.5, 3)
    rest = left_over(values)
    assert rest.mean() == pytest.approx(0.0, abs=1e-12)
    assert abs(np.corrcoef(rest[1:], rest[:-1])[0, 1]) < 0.05 < np.corrcoef(values[1:], values[:-1])[0, 1]
    assert not left_over(np.ones(30)).any()


# ---- the signal


def named(reference: Any) -> str:
    return type(Losses().detector(reference, 10_000)).__name__


def test_losses_are_watched_by_what_fits_their_memory() -> None:
    draw = np.random.default_rng(0).random
    assert named((draw(1000) < 0.2).astype(float)) == "EShiryaevRoberts"
    assert named(chain(1000, 0.2, 0.5, 1)) == "MarkovShiryaevRoberts"
    slow = np.repeat(draw(100) < 0.3, 10) * (draw(1000) < 0.5)  # a hard time lasts ten observations
    assert named(slow.astype(float)) == "Thinned"
    assert few_errors((draw(1000) < 0.02).astype(float))
    assert named((draw(1000) < 0.02).astype(float)) == "MarkovShiryaevRoberts"


def test_losses_by_stratum() -> None:
    hour = 0
    signal = Losses(strata=lambda: "night" if hour % 2 else "noon")
    assert signal.read(1.0).tolist() == [[0.0, 1.0]]
    given = signal.read_reference([("noon", 0.0), ("night", 1.0)] * 50)
    assert given[:2].tolist() == [[0.0, 0.0], [1.0, 1.0]]
    assert not signal.tells_enough(given[:2])
    assert signal.tells_enough(given)
    assert type(signal.detector(given, 1000.0)) is StratifiedShiryaevRoberts

    channel = Channel(signal, None, 5000.0, size=200, rearm=50)
    draw = np.random.default_rng(9).random
    told: list[str] = []

    def days(count: int, harder: float) -> None:
        nonlocal hour
        for _ in range(2 * count):
            wrong = draw(100) < harder * (0.4 if hour % 2 else 0.05)
            found = channel.feed(np.concatenate([signal.read(float(one)) for one in wrong]))
            told.extend(change.after for change in found)
            hour += 1

    days(10, 1.0)
    assert isinstance(channel.detector, StratifiedShiryaevRoberts)
    assert "drifted" not in told
    days(3, 2.0)
    assert "drifted" in told


def test_strata_and_a_mean_for_all_of_them_exclude_each_other() -> None:
    with pytest.raises(ValueError, match="tolerated and strata cannot both be given"):
        Losses(tolerated=0.1, strata=lambda: 1)
    with pytest.raises(TypeError, match="strata must be callable, got 24"):
        Losses(strata=24)  # type: ignore[arg-type]


@pytest.mark.parametrize("far", [7.0, 1e6, 1e308, -1e308])
def test_losses_beyond_the_bounds_count_as_the_bound(far: float) -> None:
    reference = chain(1000, 0.1, 0.5, 1)
    spoiled = reference.copy()
    spoiled[500] = far
    bounded = np.clip(spoiled, 0.0, 1.0)
    assert MarkovShiryaevRoberts(spoiled).state() == MarkovShiryaevRoberts(bounded).state()
    for one in (reference, (np.random.default_rng(1).random(1000) < 0.2) * 1.0):
        spoiled = one.copy()
        spoiled[500] = far
        bounded = np.clip(spoiled, 0.0, 1.0)
        assert Losses().detector(spoiled, 1000).state() == Losses().detector(bounded, 1000).state()
    every = np.full(30, far)
    assert MarkovShiryaevRoberts(every).state() == MarkovShiryaevRoberts(np.clip(every, 0.0, 1.0)).state()


@pytest.mark.parametrize(("share", "often"), [(0.05, False), (0.01, True)])
def test_a_hard_stratum_that_comes_more_often_alarms_only_if_it_is_hardly_known(
    share: float, often: bool
) -> None:
    def stream(count: int, hard: float, seed: int) -> Any:
        strata = (np.random.default_rng(seed).random(count) < hard).astype(int)
        return losses(strata, [0.05, 0.9], seed + 1)

    detector = StratifiedShiryaevRoberts(stream(1000, share, 1))
    assert (1.0 not in detector.tolerated) is often
    assert (len(detector.update_many(stream(3000, 6.0 * share, 2))) > 0) is often


def test_strata_may_be_any_numbers() -> None:
    rows = losses(np.arange(200) % 2, [0.1, 0.3], 1).astype(float)
    far = rows.copy()
    far[:, 0] = np.where(rows[:, 0] == 0, -1.7e308, 1.7e308)
    one, other = StratifiedShiryaevRoberts(rows), StratifiedShiryaevRoberts(far)
    assert list(one.tolerated.values()) == list(other.tolerated.values())
    assert one.update_many([]).tolist() == []


def test_no_reference_tells_enough_of_strata() -> None:
    signal = Losses(strata=lambda: 1)
    assert not signal.tells_enough(signal.read_reference([]))
