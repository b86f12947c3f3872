"""Classes judged among those of their own stratum."""

import json
from typing import Any

import numpy as np
import pytest

from resilient_ml.drift import CategoricalShiryaevRoberts, Classes, SeasonalCategorical, Thinned
from resilient_ml.drift.monitor import Channel, Monitor

FIVE = np.array([0.4, 0.25, 0.2, 0.1, 0.05])


def hourly(count: int, seed: int, *, each: int = 10, swing: float = 0.5, hours: int = 24) -> Any:
    """Five classes that come and go by the hour, *each* observations in a row."""
    draw = np.random.default_rng(seed)
    at = (np.arange(count) + draw.integers(hours * each)) // each % hours
    shares = FIVE * np.exp(swing * np.sin(2 * np.pi * at[:, None] / hours + np.arange(5)))
    below = (shares / shares.sum(axis=1, keepdims=True)).cumsum(axis=1)
    return np.column_stack([at, (draw.random(count)[:, None] > below[:, :-1]).sum(axis=1)]).astype(float)


@pytest.mark.once
@pytest.mark.parametrize(("each", "known"), [(1, 1000), (10, 1000), (100, 5000)])
def test_a_cycle_that_the_strata_follow_is_no_drift(each: int, known: int) -> None:
    seasonal = plain = 0
    for seed in range(15):
        reference, stream = hourly(known, seed, each=each), hourly(10_000, seed + 100, each=each)
        seasonal += len(SeasonalCategorical(reference, arl=2000).update_many(stream))
        plain += len(CategoricalShiryaevRoberts(reference[:, 1], arl=2000).update_many(stream[:, 1]))
    assert seasonal <= 15 * 10_000 / 2000
    assert each == 1 or plain > 15 * 10_000 / 2000


def test_what_is_usual_at_another_hour_is_found() -> None:
    reference, late = hourly(5000, 1, swing=2.0), hourly(3000, 2, swing=2.0)
    detector = SeasonalCategorical(reference, arl=10_000)
    assert not len(detector.update_many(late))
    late[:, 0] = (late[:, 0] + 12) % 24  # the same classes, half a day late
    assert detector.update_many(late)[0] < 150


def test_each_class_comes_with_the_share_of_all_in_every_stratum() -> None:
    reference = hourly(40_000, 3, each=1, swing=1.0, hours=4)
    detector = SeasonalCategorical(reference)
    stream = hourly(40_000, 4, each=1, swing=1.0, hours=4)
    coupled = detector.coupled(stream)
    usual = np.bincount(reference[:, 1].astype(int)) / 40_000
    for hour in range(4):
        here = stream[:, 0] == hour
        shares = np.bincount(coupled[here].astype(int) + 1, minlength=6)[1:] / here.sum()
        assert shares == pytest.approx(usual, abs=0.02)
        own = np.bincount(stream[here, 1].astype(int), minlength=5) / here.sum()
        assert np.abs(own - usual).max() > 0.1
        # Nothing could leave more as they were than the overlap of the two distributions.
        stayed = float((coupled[here] == stream[here, 1]).mean())
        assert stayed == pytest.approx(np.minimum(own, usual).sum(), abs=0.02)


def test_where_the_strata_are_alike_classes_stay_what_they_are() -> None:
    rows = np.column_stack([np.arange(1200) % 3, np.arange(1200) // 3 % 4]).astype(float)
    detector = SeasonalCategorical(rows)
    assert (detector.coupled(rows) == rows[:, 1]).mean() > 0.998  # the half of one that it has not seen


def test_a_stratum_that_is_hardly_known_is_judged_among_all() -> None:
    rows = hourly(2400, 5, each=10, hours=4)
    few = np.linspace(0, 2390, 19).astype(int)
    rows[few, 0] = 99.0
    detector = SeasonalCategorical(rows, arl=1e9)
    assert [stratum for stratum, _ in detector.state()["strata"]] == [0.0, 1.0, 2.0, 3.0]
    unknown = np.column_stack([np.full(300, 99.0), hourly(300, 6)[:, 1]])
    between = unknown - [96.5, 0.0]
    assert (detector.coupled(unknown) == unknown[:, 1]).all()
    assert (detector.coupled(between) == between[:, 1]).all()
    rows[2391, 0] = 99.0
    assert len(SeasonalCategorical(rows, arl=1e9).state()["strata"]) == 5


def test_nothing_may_be_known_of_any_stratum() -> None:
    rows = np.column_stack([np.arange(180) // 2 % 10, np.arange(180) % 2]).astype(float)
    detector = SeasonalCategorical(rows, arl=1000)
    assert detector.state()["strata"] == []
    again = SeasonalCategorical.from_state(json.loads(json.dumps(detector.state())))
    for one in (detector, again):
        assert not len(one.update_many(rows))
        assert len(one.update_many([[3, 1]] * 200)) > 0


def test_what_is_seldom_or_unknown_may_become_another_and_another_one_of_those() -> None:
    """In the first stratum something new comes all the time, in the second never: half of it goes there."""
    hours = np.arange(2000) // 10 % 2
    classes = np.where(hours == 0, np.where(np.arange(2000) % 2, np.arange(2000) + 10.0, 1.0), 1.0)
    detector = SeasonalCategorical(np.column_stack([hours, classes]), arl=1e6)
    news = np.column_stack([np.zeros(400), np.arange(400) + 5000.0])
    coupled = detector.coupled(news)
    assert 0.4 < (coupled == news[:, 1]).mean() < 0.6
    assert set(coupled[coupled != news[:, 1]]) == {1.0}
    usual = np.column_stack([np.ones(400), np.ones(400)])
    became = detector.coupled(usual)
    assert 0.6 < (became == 1.0).mean() < 0.9
    assert set(became) == {1.0, -1.0}


def test_a_reference_is_worth_what_it_has_of_the_strata_that_come_soon() -> None:
    sizes = [SeasonalCategorical(hourly(12_000, 7, each=each)).state()["size"] for each in (1, 10, 50, 250)]
    assert sizes[:2] == [12_000, 12_000]
    assert sizes[2:] == pytest.approx([12_000 * 6 / 24, 12_000 * 2 / 24], rel=0.03)
    few = np.column_stack([np.arange(800) // 20 % 40, np.arange(800) % 2]).astype(float)
    few = np.vstack([few, few[::-1]])[:1580]  # 40 of each stratum but one, of which there are 20
    detector = SeasonalCategorical(few, swing=0.25)
    assert detector.state()["size"] == pytest.approx((1580 + 250 * 78) / 40)
    assert detector.state()["swing"] == 0.25
    less = SeasonalCategorical(hourly(12_000, 7, each=1), effective_size=50).state()["size"]
    assert less == 50
    assert SeasonalCategorical(hourly(12_000, 7, each=250), effective_size=5000).state()["size"] < 1100


def test_the_evidence_names_the_class_that_surges() -> None:
    detector = SeasonalCategorical(hourly(4000, 8), arl=50_000)
    stream = hourly(600, 9)
    stream[300:][np.random.default_rng(1).random(300) < 0.4, 1] = 3.0
    found = next(place for place, row in enumerate(stream) if detector.update(row))
    assert 300 <= found < 380
    assert detector.evidence is not None
    assert detector.evidence.parts[0][0] == 3
    assert abs(detector.evidence.since - (detector.evidence.at - 300)) < 40


def test_many_classes_are_judged_one_at_a_time_as_together() -> None:
    draw = np.random.default_rng(2)
    hours = np.arange(3300) // 5 % 6
    rows = np.column_stack([hours, (draw.integers(0, 60, 3300) + 5 * hours) % 60]).astype(float)
    one, many = (SeasonalCategorical(rows[:3000], arl=1e6) for _ in range(2))
    for row in rows[3000:]:
        one.update(row)
    many.update_many(rows[3000:])
    assert one.statistic == pytest.approx(many.statistic, rel=1e-9)
    assert one.seen == many.seen == 300


@pytest.mark.parametrize(
    ("reference", "message"),
    [
        (np.zeros(500), r"reference must have shape \(n, 2\), a stratum and a value a row, got \(500,\)"),
        (hourly(99, 5, each=1), "at least 100 finite rows in order, got 99"),
        (hourly(240, 5, each=10), "must come to each stratum at least twice"),
    ],
)
def test_a_reference_that_tells_too_little_is_refused(reference: Any, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        SeasonalCategorical(reference)


def test_rows_that_are_not_finite_are_left_out() -> None:
    rows = hourly(1000, 6)
    broken = np.insert(rows, [5, 700], [[np.nan, 1.0], [3.0, np.inf]], axis=0)
    detector = SeasonalCategorical(broken)
    assert detector.state() == SeasonalCategorical(rows).state()
    assert not detector.update((np.inf, 1.0))
    assert not detector.update((1.0, np.nan))
    assert detector.refused == 2 and detector.seen == 0


def test_the_signal_learns_until_each_stratum_came_twice_and_then_watches_it_there() -> None:
    hour = 0
    signal = Classes("kind", strata=lambda: ("night", "day")[hour % 2])
    channel = Channel(signal, None, 2000.0, size=150, rearm=50)
    draw = np.random.default_rng(7).random

    def day(*chances: float) -> list[str]:
        nonlocal hour
        told: list[str] = []
        for chance in chances:
            values = [signal.read("code" if draw() < chance else "chat") for _ in range(100)]
            told += [change.after for change in channel.feed(np.concatenate(values))]
            hour += 1
        return told

    assert day(0.1, 0.9) == []
    assert channel.state == "learning"
    assert day(0.1, 0.9, 0.1, 0.9)[:1] == ["ok"]
    assert type(channel.detector) is SeasonalCategorical
    assert "drifted" not in day(*[0.1, 0.9] * 10)
    assert "drifted" in day(0.9, 0.1)


def test_runs_within_strata_are_seen_every_so_many() -> None:
    draw = np.random.default_rng(4)
    fresh = np.maximum.accumulate(np.where(draw.random(4000) < 0.2, np.arange(4000), 0))
    hours = np.arange(4000) // 50 % 4
    classes = (draw.integers(0, 4, 4000)[fresh] + hours) % 4
    rows = np.column_stack([hours, classes]).astype(float)
    detector = Classes("kind", strata=lambda: 0).detector(rows, 5e3)
    assert isinstance(detector, Thinned)
    assert type(detector.inner) is SeasonalCategorical
    assert 10 < detector.inner.state()["size"] < 4000 / detector.every * 1.5
    # Every so many may be of a few hours alone, so what is known of each is of all.
    assert sum(detector.inner.state()["reference"]) == 4000


def test_a_reference_that_is_given_has_pairs_of_stratum_and_class() -> None:
    now = "night"
    signal = Classes("kind", strata=lambda: now)
    usual = {"night": "code", "noon": "chat"}
    draw = np.random.default_rng(10)

    def kind(at: str) -> str:
        return usual[at] if draw.random() < 0.9 else "other"

    given = [(at, kind(at)) for _ in range(10) for at in usual for _ in range(25)]
    monitor = Monitor([signal], arl=1000, references={"kind": given})
    monitor.check_references()
    for now in usual:
        monitor.feed(signal, None, np.concatenate([signal.read(kind(now)) for _ in range(99)]))
    assert monitor.state() == "ok"
    monitor.feed(signal, None, np.concatenate([signal.read(kind("night")) for _ in range(99)]))
    assert monitor.state() == "drifted"


@pytest.mark.parametrize(
    ("given", "message"),
    [
        (["code", "chat"] * 100, "got 'code' at position 0"),
        ([("night", "code")] * 100 + ["ok"], "got 'ok' at position 100"),
        ([("night", "code", 1)] * 200, r"got an object of type tuple at position 0"),
        ([("night",)] * 200, r"got an object of type tuple at position 0"),
        ([1.0, 2.0], "got 1.0 at position 0"),
    ],
)
def test_what_is_no_pair_of_stratum_and_class_is_refused(given: Any, message: str) -> None:
    signal = Classes("kind", strata=lambda: 0)
    with pytest.raises(
        ValueError, match=r"references\['kind'\] cannot be read as .* must hold pairs .*" + message
    ):
        Monitor([signal], arl=1000, references={"kind": given})


def test_a_stratum_without_a_hash_is_refused() -> None:
    with pytest.raises(ValueError, match=r"strata gave .* list.*, which has no hash; let it give a string"):
        Classes("kind", strata=list).read("code")  # type: ignore[arg-type]


@pytest.mark.parametrize("size", [0.5, float("nan"), float("inf"), "a"])
def test_what_a_reference_cannot_be_worth_is_refused(size: Any) -> None:
    with pytest.raises((ValueError, TypeError), match="effective_size must be"):
        SeasonalCategorical(hourly(1000, 1), effective_size=size)


def test_what_strata_depend_on_is_read_at_once_and_so_is_what_is_in_them() -> None:
    assert Classes("kind").as_it_is == (str, int)
    assert Classes("kind", strata=lambda: 1).as_it_is == ()
    with pytest.raises(TypeError, match="strata must be callable, got 24"):
        Classes("kind", strata=24)  # type: ignore[arg-type]
