"""Memory as it shows in sums of neighbours."""

from typing import Any

import numpy as np
import pytest

from resilient_ml.drift import CategoricalShiryaevRoberts, Classes, Thinned
from resilient_ml.drift._sums import swing_of_shares

SIZES = (16, 32, 64, 128)


def swinging(count: int, period: int, swing: float, seed: int, more: int = 0) -> Any:
    """Which of three classes comes, where the shares of two swing against each other."""
    draw = np.random.default_rng([period, seed, more])
    wave = 1.0 + swing * np.sin(2 * np.pi * (np.arange(count) + draw.integers(period)) / period)
    return (
        np.digitize(draw.random(count), [0.3, 0.9])
        if not swing
        else ((draw.random(count)[:, None] > np.column_stack([0.3 * wave, 0.9 + 0 * wave])).sum(axis=1))
    )


def each(classes: Any) -> Any:
    return (classes[:, None] == np.unique(classes)).astype(float)


def slowly(which: Any, sizes: Any, apart: int, every: int) -> float:
    """The formula, a sum at a time."""
    count, shares = len(which), which.mean(axis=0)
    freedom = (1 - shares).sum()
    most = 0.0
    for size in sizes:
        if size * every * apart > count:
            break
        found = []
        for first in range(every):
            kept = which[first::every]
            for begin in range(1, len(kept) - size + 1):
                off = kept[begin : begin + size].sum(axis=0) - size * shares
                found.append(float((off**2 / (size * shares)).sum()))
        more = np.mean(found) - freedom
        error = (2 * (2 * size - 1) * (size - 1) / (3 * size * count / every)) ** 0.5
        if more > 1.75 * error * freedom**0.5:
            most = max(most, 1.3 * more / size)
    return most


@pytest.mark.parametrize("every", [1, 2, 5])
@pytest.mark.parametrize("period", [60, 500])
def test_what_shares_swing_by_is_the_formula(period: int, every: int) -> None:
    which = each(swinging(1000, period, 0.8, 3))
    found = swing_of_shares(which, SIZES, apart=5, every=every)
    assert found == pytest.approx(slowly(which, SIZES, 5, every), rel=1e-9)
    assert found > 0.0 or period < 100


@pytest.mark.parametrize("every", [1, 3])
def test_whether_shares_swing_is_the_formula_too(every: int) -> None:
    """Where it is close: some do, some do not."""
    swings = []
    for seed in range(40):
        which = each(swinging(300, 150, 0.5, seed))
        swings.append(swing_of_shares(which, (8, 16), apart=5, every=every))
        assert swings[-1] == pytest.approx(slowly(which, (8, 16), 5, every), rel=1e-9)
    assert 2 < np.sum(np.array(swings) > 0.0) < 38


def test_what_shares_swing_by_is_what_is_earned_by_knowing_them() -> None:
    """On average ``(0.3 * 0.2)^2 / 4 (1 / 0.3 + 1 / 0.6)``, and 2.6 times that at most."""
    found = [swing_of_shares(each(swinging(8000, 1000, 0.2, seed)), SIZES, apart=5) for seed in range(10)]
    assert np.median(found) == pytest.approx(2.6 * 0.06**2 / 4 * 5, rel=0.35)


def test_shares_that_stay_do_not_swing() -> None:
    swings = [swing_of_shares(each(swinging(1000, 1, 0.0, seed)), SIZES, apart=5) for seed in range(100)]
    assert np.mean(np.array(swings) > 0.0) < 0.2


def test_one_class_and_too_few_observations_do_not_swing() -> None:
    assert swing_of_shares(np.ones((1000, 1)), SIZES, apart=5) == 0.0
    halves = each(np.repeat([0, 1], 39))
    assert swing_of_shares(halves, SIZES, apart=5) == 0.0
    assert swing_of_shares(each(np.repeat([0, 1], 40)), SIZES, apart=5) > 1.0


@pytest.mark.once
def test_classes_that_come_and_go_by_the_hour_alarm_no_more_often_than_promised() -> None:
    watched = plain = 0
    for seed in range(20):
        reference = swinging(1000, 500, 0.5, seed).astype(float)
        stream = swinging(10_000, 500, 0.5, seed, more=1).astype(float)
        detector = Classes("route").detector(reference, 2000)
        assert isinstance(detector, CategoricalShiryaevRoberts)
        watched += len(detector.update_many(stream))
        plain += len(CategoricalShiryaevRoberts(reference, arl=2000).update_many(stream))
    assert watched <= 20 * 10_000 / 2000 < plain / 2


def in_runs(count: int, again: float, seed: int, swing: float = 0.0) -> Any:
    """Four classes, of which a share *again* are as the one before; one comes and goes."""
    draw = np.random.default_rng(seed)
    fresh = np.maximum.accumulate(np.where(draw.random(count) >= again, np.arange(count), 0))
    wave = swing * np.sin(2 * np.pi * np.arange(count) / 500)
    return np.where(draw.random(count) < 0.4 + wave, 0, draw.integers(1, 4, count))[fresh].astype(float)


def test_what_is_seen_every_so_many_is_worth_less_and_may_swing() -> None:
    long = Classes("route").detector(in_runs(1000, 0.95, 1), 1e4)
    assert isinstance(long, Thinned)
    assert 10 < long.inner.state()["size"] < 60 < len(np.arange(1000)[::10])
    assert long.inner.state()["swing"] == 0.0
    both = Classes("route").detector(in_runs(4000, 0.3, 1, swing=0.2), 1e4)
    assert isinstance(both, Thinned) and both.every < 20
    assert both.inner.state()["swing"] > 0.05


def test_neighbours_that_hardly_resemble_each_other_neither_come_in_runs_nor_swing() -> None:
    swings = []
    for seed in range(8):
        detector = Classes("route").detector(in_runs(1000, 0.06, seed), 1e4)
        assert type(detector) is CategoricalShiryaevRoberts
        swings.append(detector.state()["swing"])
    assert swings.count(0.0) >= 6


def test_a_reference_in_which_the_classes_changed_can_be_used() -> None:
    detector = Classes("route").detector(np.repeat([0.0, 1.0], 500), 1e4)
    assert isinstance(detector, Thinned)
    assert detector.inner.state()["size"] == 1.0
    assert not len(detector.update_many(np.tile(np.repeat([0.0, 1.0], 50), 20)))


@pytest.mark.once
def test_classes_in_runs_are_seen_every_so_many_and_their_reference_is_worth_less() -> None:
    alarms = 0
    for seed in range(20):
        draw = np.random.default_rng(seed)
        fresh = np.maximum.accumulate(np.where(draw.random(21_000) < 0.2, np.arange(21_000), 0))
        classes = draw.choice(4, 21_000, p=[0.4, 0.3, 0.2, 0.1])[fresh].astype(float)
        detector = Classes("route").detector(classes[:1000], 2000)
        assert isinstance(detector, Thinned)
        kept = len(classes[:1000][:: min(detector.every, 10)])
        assert 30 < detector.inner.state()["size"] <= min(kept, 250)
        alarms += len(detector.update_many(classes[1000:]))
    assert alarms <= 20 * 20_000 / 2000
