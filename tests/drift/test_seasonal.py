"""Scores judged among their own stratum."""

import itertools
from typing import Any

import numpy as np
import pytest

from resilient_ml.drift import (
    CategoricalShiryaevRoberts,
    Classes,
    Combined,
    ConformalShiryaevRoberts,
    EShiryaevRoberts,
    Losses,
    Numbers,
    RandomFeatureAverages,
    SeasonalShiryaevRoberts,
    Signal,
    Thinned,
    Vectors,
    WindowedKS,
)
from resilient_ml.drift.monitor import Channel, Monitor
from resilient_ml.drift.seasonal import NORMAL, visits


def hourly(count: int, seed: int, *, each: int = 10, depth: float = 2.0, memory: float = 0.0) -> Any:
    """24 strata, *each* observations in a row, with a cycle of *depth* standard deviations."""
    hours = np.arange(count) // each % 24
    noise = np.random.default_rng(seed).normal(size=count)
    for place in range(1, count):
        noise[place] += memory * noise[place - 1]
    return np.column_stack([hours, noise + depth * np.sin(hours / 24 * 2 * np.pi)])


@pytest.mark.once
@pytest.mark.parametrize("memory", [0.0, 0.5])
def test_a_cycle_that_the_strata_follow_is_no_drift(memory: float) -> None:
    plain = seasonal = 0
    for seed in range(8):
        rows = hourly(12_000, seed, each=30, memory=memory)
        seasonal += len(SeasonalShiryaevRoberts(rows[:3600], arl=2000).update_many(rows[3600:]))
        plain += len(ConformalShiryaevRoberts(rows[:3600, 1], arl=2000).update_many(rows[3600:, 1]))
    assert seasonal <= 8 * 8400 / 2000
    assert plain > 8 * 8400 / 2000


def test_what_is_usual_at_another_hour_is_found() -> None:
    rows = hourly(4000, 1, depth=4.0)
    detector = SeasonalShiryaevRoberts(rows[:2400], arl=10_000)
    late = rows[2400:].copy()
    late[800:, 1] = rows[2400 - 120 : -800 - 120, 1]  # the same values, half a day late
    assert set(np.round(late[:, 1], 1)) <= set(np.round(rows[:, 1], 1))
    assert 800 <= detector.update_many(late)[0] < 830
    assert detector.evidence is not None
    assert 0.1 < abs(detector.evidence.effect) <= 1


def test_a_stratum_that_is_hardly_known_is_judged_among_all() -> None:
    rows = hourly(2400, 2, depth=0.0)
    rows[:19, 0] = 99.0
    rows[300:, 0] %= 24
    detector = SeasonalShiryaevRoberts(rows, arl=1e9)
    twin = SeasonalShiryaevRoberts(rows, arl=1e9)
    assert sorted(stratum for stratum, _ in detector.state()["strata"]) == list(range(24))
    for value in (0.3, -1.2, 2.0):
        detector.update((99.0, value))
        twin.update((-7.5, value))
    assert detector.state() == twin.state()


def test_scores_are_normal_in_each_stratum_whatever_its_distribution() -> None:
    generator = np.random.default_rng(3)
    strata = np.arange(6000) % 3
    values = np.where(strata == 0, generator.exponential(size=6000), generator.integers(0, 3, 6000))
    values[strata == 2] = 7.0
    detector = SeasonalShiryaevRoberts(np.column_stack([strata, values]))
    scores = np.array(detector.state()["reference"])
    assert scores.mean() == pytest.approx(0.0, abs=0.05)
    assert scores.std() == pytest.approx(1.0, abs=0.05)
    assert np.percentile(scores, [10, 90]) == pytest.approx([-1.28, 1.28], abs=0.1)


def test_more_strata_and_fewer_visits_take_more_off() -> None:
    few, many = hourly(2400, 4, each=10), hourly(2400, 4, each=25)
    assert SeasonalShiryaevRoberts(few).margin == pytest.approx(0.75 + np.log2(24) * 0.3, abs=0.01)
    assert visits(many[:, 0]) == 4.0
    assert SeasonalShiryaevRoberts(many).margin == pytest.approx(0.75 + np.log2(24) * 7 / 16, abs=0.01)
    one = hourly(2400, 4, depth=0.0)
    one[:, 0] = 5.0
    one[::2, 0] = 6.0
    assert SeasonalShiryaevRoberts(one).margin == pytest.approx(0.75 + 0.3, abs=0.01)


def test_visits_counts_runs_and_ends_by_half() -> None:
    assert visits(np.array([4.0])) == 0.0
    assert visits(np.repeat([1.0, 2.0, 1.0, 2.0], 5)) == 1.5
    assert visits(np.tile([1.0, 2.0, 3.0], 50)) == 49.5


@pytest.mark.parametrize(
    ("reference", "message"),
    [
        (np.zeros(500), r"reference must have shape \(n, 2\), a stratum and a value a row, got \(500,\)"),
        (hourly(99, 5, each=1), "at least 100 finite rows in order, got 99"),
        (hourly(480, 5, each=20), "must come to each stratum at least twice"),
    ],
)
def test_a_reference_that_tells_too_little_is_refused(reference: Any, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        SeasonalShiryaevRoberts(reference)


def test_rows_that_are_not_finite_are_left_out_of_the_reference() -> None:
    rows = hourly(2400, 6)
    broken = np.insert(rows, [5, 700], [[np.nan, 1.0], [3.0, np.inf]], axis=0)
    assert SeasonalShiryaevRoberts(broken).state() == SeasonalShiryaevRoberts(rows).state()


def test_the_signal_learns_until_each_stratum_came_twice_and_then_watches_it_there() -> None:
    hour = 0
    signal = Numbers("load", strata=lambda: hour % 4)
    channel = Channel(signal, None, 2000.0, size=100, rearm=50)
    draw = np.random.default_rng(7).normal

    def cycle(shift: float = 0.0) -> list[str]:
        nonlocal hour
        told: list[str] = []
        for _ in range(4):
            values = [signal.read(draw(5.0 * (hour % 4) + shift)) for _ in range(100)]
            told += [change.after for change in channel.feed(np.concatenate(values))]
            hour += 1
        return told

    assert cycle() == []
    assert channel.state == "learning"
    told = cycle() + cycle() + cycle()
    assert told[:1] == ["ok"]
    assert "drifted" not in [*told, *cycle(), *cycle()]
    assert "drifted" in cycle(1.5)
    assert isinstance(channel.detector, SeasonalShiryaevRoberts | Thinned)


def test_a_reference_that_never_tells_enough_stays_bounded_and_learns_on() -> None:
    numbers = itertools.count()
    signal = Numbers("x", strata=lambda: next(numbers) // 7)
    channel = Channel(signal, None, 2000.0, size=100, rearm=50)
    for _ in range(40):
        assert channel.feed(np.concatenate([signal.read(1.0) for _ in range(100)])) == []
    assert channel.state == "learning"
    assert channel._count <= 500
    assert channel._stride >= 8


def test_a_reference_that_had_to_reach_far_back_is_thinned_and_so_is_what_it_watches() -> None:
    hour = 0
    signal = Numbers("x", strata=lambda: hour)
    channel = Channel(signal, None, 5000.0, size=100, rearm=50)
    draw = np.random.default_rng(8).normal
    while channel.state == "learning":
        for hour in (0, 1):
            channel.feed(np.concatenate([signal.read(draw(9.0 * hour)) for _ in range(600)]))
    assert isinstance(channel.detector, Thinned)
    assert channel.detector.every == channel._stride > 1
    told = []
    for hour in (0, 1, 0, 1):
        told += channel.feed(np.concatenate([signal.read(draw(9.0 * hour)) for _ in range(600)]))
    assert not any(change.after == "drifted" for change in told)


def test_strata_are_a_function_and_not_for_shapes() -> None:
    with pytest.raises(TypeError, match="strata must be callable, got 24"):
        Numbers("x", strata=24)  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="shape and strata cannot both"):
        Numbers("x", shape=True, strata=lambda: 1)


@pytest.mark.parametrize(
    ("signal", "values", "kind"),
    [
        (Numbers("x", shape=True), hourly(1000, 9, depth=0.0)[:, 1], WindowedKS),
        (Numbers("x", shape=True), hourly(1000, 9, depth=0.0, memory=0.8)[:, 1], Thinned),
        (Numbers("x", shape=True, memory=False), hourly(1000, 9, memory=0.8)[:, 1], WindowedKS),
        (Numbers("x", shape=True), np.repeat([1.0, 0.1], 500) * hourly(1000, 9, depth=0.0)[:, 1], Thinned),
        (Classes("x"), np.random.default_rng(1).integers(0, 3, 1000) * 1.0, CategoricalShiryaevRoberts),
        (Classes("x"), np.repeat(np.random.default_rng(1).integers(0, 3, 200), 5) * 1.0, Thinned),
        (Vectors("x"), np.random.default_rng(1).normal(size=(1000, 2)), RandomFeatureAverages),
        (Vectors("x"), np.repeat(np.random.default_rng(1).normal(size=(200, 2)), 5, axis=0), Thinned),
        (
            Vectors("x"),
            np.repeat([[1.0], [0.1]], 500, axis=0) * np.random.default_rng(1).normal(size=(1000, 2)),
            Thinned,
        ),
        (Losses(), np.random.default_rng(1).random(1000) < 0.2, EShiryaevRoberts),
        (Losses(), np.repeat(np.random.default_rng(1).random(200) < 0.2, 5) * 1.0, Thinned),
    ],
)
def test_what_remembers_is_thinned_and_nothing_else(signal: Signal, values: Any, kind: type) -> None:
    detector = signal.detector(values, 10_000)
    assert detector.arl == pytest.approx(10_000)
    if isinstance(detector, Combined):
        detector = detector.detectors[0]
    assert type(detector) is kind
    if isinstance(detector, Thinned):
        assert signal.part_name(0, detector) == ("others" if isinstance(signal, Classes) else "0")


def test_a_reference_that_is_given_has_pairs_of_stratum_and_observation() -> None:
    names = ["night", "noon"]
    now = "night"
    signal = Numbers("x", strata=lambda: now)
    draw = np.random.default_rng(10).normal
    given = [(names[place // 25 % 2], draw(9.0 * (place // 25 % 2))) for place in range(400)]
    monitor = Monitor([signal], arl=1000, references={"x": given})
    monitor.check_references()
    for now in names:
        monitor.feed(
            signal, None, np.concatenate([signal.read(draw(9.0 * (now == "noon"))) for _ in range(99)])
        )
    assert monitor.state() == "ok"
    monitor.feed(signal, None, np.concatenate([signal.read(draw()) for _ in range(99)]))
    assert monitor.state() == "drifted"
    with pytest.raises(ValueError, match=r"references\['x'\] cannot be read"):
        Monitor([signal], arl=1000, references={"x": [1.0, 2.0]})


def test_two_visits_to_each_stratum_are_enough_and_less_is_not() -> None:
    scores = np.random.default_rng(3).normal(size=200)
    twice = np.repeat([0, 1, 0, 1, 0, 1], [20, 40, 40, 40, 40, 20])
    assert visits(twice) == 2.5
    twice = np.repeat([0, 1, 0, 1, 0], [20, 50, 60, 50, 20])  # half a visit, one, and half of one; and two
    assert visits(twice) == 2.0
    assert SeasonalShiryaevRoberts(np.column_stack([twice, scores])).seen == 0
    once = np.repeat([0, 1, 0, 1], [20, 80, 80, 20])
    with pytest.raises(ValueError, match="at least twice"):
        SeasonalShiryaevRoberts(np.column_stack([once, scores]))


@pytest.mark.parametrize(("known", "moved"), [(20, True), (19, False)])
def test_twenty_values_make_a_stratum_of_its_own(known: int, moved: bool) -> None:
    """The values of a small stratum are unusual among all, and usual among each other."""
    draw = np.random.default_rng(11).normal
    strata = np.zeros(2000)
    strata[np.linspace(40, 1960, known).astype(int)] = 1
    rows = np.column_stack([strata, draw(size=2000) + 6.0 * strata])
    detector = SeasonalShiryaevRoberts(rows, arl=10_000)
    own = np.column_stack([np.ones(60), draw(size=60) + 6.0])
    assert (len(detector.update_many(own)) == 0) is moved


def test_a_value_of_the_reference_has_its_rank_among_the_others() -> None:
    scores = np.random.default_rng(2).normal(size=200)
    strata = np.arange(200) // 10 % 2
    detector = SeasonalShiryaevRoberts(np.column_stack([strata, scores]))
    for stratum in (0, 1):
        ranks = scores[strata == stratum].argsort().argsort()
        for place, rank in zip(np.flatnonzero(strata == stratum), ranks, strict=True):
            score = detector._score((float(stratum), scores[place]), int(place), among_others=True)
            assert rank / 100 <= NORMAL.cdf(score) <= (rank + 1) / 100
