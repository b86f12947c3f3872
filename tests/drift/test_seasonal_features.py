"""Rows judged among those of their own stratum."""

import json
from typing import Any

import numpy as np
import pytest

from resilient_ml.drift import RandomFeatureAverages, SeasonalFeatureAverages, Thinned, Vectors
from resilient_ml.drift.monitor import Channel, Monitor
from resilient_ml.drift.seasonal_features import less_usual


def hourly(count: int, seed: int, *, each: int = 10, hours: int = 4, memory: float = 0.0) -> Any:
    """Six features whose levels, spreads and bonds depend on the hour, *each* rows in a row."""
    draw = np.random.default_rng(seed)
    at = (np.arange(count) + draw.integers(hours * each)) // each % hours
    noise = draw.normal(size=(count, 6))
    for place in range(1, count):
        noise[place] += memory * noise[place - 1]
    angles = at[:, None] + np.arange(6)
    rows = noise * (1.0 + 0.5 * np.cos(angles)) + 2.0 * np.sin(angles)
    rows[:, 1] += np.sin(at) * rows[:, 0]
    return np.column_stack([at, rows])


KNOWN = hourly(1000, 1)


def detector_of(known: Any = KNOWN, **given: Any) -> SeasonalFeatureAverages:
    return SeasonalFeatureAverages(known, **given)


@pytest.mark.once
@pytest.mark.parametrize("each", [1, 10, 60])
def test_a_cycle_that_the_strata_follow_is_no_drift(each: int) -> None:
    seasonal = plain = 0
    for seed in range(6):
        known, stream = hourly(1000, seed, each=each), hourly(6000, seed + 50, each=each)
        seasonal += len(SeasonalFeatureAverages(known, arl=2000).update_many(stream))
        plain += len(RandomFeatureAverages(known[:, 1:], arl=2000).update_many(stream[:, 1:]))
    assert seasonal <= 6 * 6000 / 2000
    assert each < 60 or plain > 6 * 6000 / 2000


def test_what_is_usual_at_another_hour_is_found() -> None:
    late = hourly(600, 2)
    detector = detector_of(arl=10_000)
    late[300:, 0] = (late[300:, 0] + 2) % 4
    assert 300 <= detector.update_many(late)[0] < 340


def test_what_is_averaged_is_what_is_left_of_the_stratum() -> None:
    """With the mean of each stratum, and its spread brought to that of all."""
    detector = detector_of(arl=1e6)
    _, centred = detector._centred(KNOWN)
    for hour in range(4):
        own = centred[KNOWN[:, 0] == hour]
        assert np.abs(own.mean(axis=0)).max() < 1e-5
        assert float(np.square(own).sum()) / (len(own) - 1) == pytest.approx(
            sum(detector._expected) / sum(rate / (2 - rate) for rate in (0.08, 0.02, 0.005)), rel=0.02
        )


def test_the_evidence_names_the_features_that_moved_from_what_is_usual_then() -> None:
    stream = hourly(360, 3)
    stream[300:, 4] += 2.5
    detector = detector_of(arl=5000)
    found = next(place for place, row in enumerate(stream) if detector.update(row))
    assert 300 <= found < 340
    assert detector.evidence is not None
    assert detector.evidence.parts[0][0] == 3
    assert detector.evidence.parts[0][1] > 0.5
    assert all(abs(size) < 0.5 for _, size in detector.evidence.parts[1:])


def test_a_stratum_that_is_hardly_known_is_judged_among_all() -> None:
    known = KNOWN.copy()
    known[np.linspace(0, 990, 19).astype(int), 0] = 99.0
    detector = detector_of(known, arl=1000)
    assert detector.state()["strata"]["numbers"] == [0.0, 1.0, 2.0, 3.0]
    unknown = hourly(1500, 4)
    unknown[:, 0] = 77.5
    mixed = np.random.default_rng(1).permutation(unknown)
    assert len(detector.update_many(mixed)) <= 3
    known[995, 0] = 99.0
    assert detector_of(known, arl=1000).state()["strata"]["numbers"][-1] == 99.0


def test_nothing_may_be_known_of_any_stratum() -> None:
    rows = hourly(150, 5, each=1, hours=10)
    detector = detector_of(rows, arl=1000)
    assert detector.state()["strata"]["numbers"] == []
    again = SeasonalFeatureAverages.from_state(json.loads(json.dumps(detector.state())))
    again.update_many(rows)
    detector.update_many(rows)
    assert again.state() == detector.state()


def test_a_reference_that_is_worth_less_needs_more_evidence() -> None:
    plain = detector_of(arl=5000).threshold
    assert detector_of(arl=5000, effective_size=50).threshold > 1.2 * plain
    assert detector_of(arl=5000, effective_size=1e9).threshold == plain
    assert detector_of(hourly(1000, 1, each=100), arl=5000).threshold > 1.05 * plain


def test_its_reference_does_not_grow() -> None:
    detector = detector_of(arl=1e6)
    before = detector.state()
    detector.update_many(hourly(3000, 6))
    after = detector.state()
    assert (after["mean"], after["waiting"], after["grows"]) == (before["mean"], [], False)
    assert detector.threshold == detector_of(arl=1e6).threshold
    detector.reset()
    assert detector.state() == before


@pytest.mark.parametrize(
    ("reference", "message"),
    [
        (np.zeros(500), r"reference must have shape \(rows, 1 \+ features\), a stratum first, got \(500,\)"),
        (np.zeros((500, 1)), r"a stratum first, got \(500, 1\); use np.column_stack"),
        (hourly(99, 5, each=1), "at least 100 finite rows of features"),
        (np.column_stack([np.zeros(200), np.full(200, np.nan)]), "at least 100 finite rows of features"),
        (hourly(400, 5, each=100), "must come to each stratum at least twice"),
    ],
)
def test_a_reference_that_tells_too_little_is_refused(reference: Any, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        SeasonalFeatureAverages(reference)


def test_strata_and_sizes_that_are_no_numbers_are_refused() -> None:
    known = KNOWN.copy()
    known[3, 0] = np.inf
    with pytest.raises(ValueError, match="reference must have finite strata, got inf"):
        detector_of(known)
    with pytest.raises(ValueError, match=r"effective_size must be at least 1, got 0\.5; pass how many"):
        detector_of(effective_size=0.5)
    with pytest.raises(ValueError, match="a stratum and 6 features a row, got shape"):
        detector_of().update_many(KNOWN[:, 1:])


def test_what_is_left_of_a_reference_has_no_stratum_in_it() -> None:
    rows = np.column_stack([KNOWN, np.full(1000, 5.0)])
    left = less_usual(rows)
    for hour in range(4):
        own = left[rows[:, 0] == hour]
        assert own.mean(axis=0) == pytest.approx(0.0, abs=1e-9)
        assert own.std(axis=0) == pytest.approx([1, 1, 1, 1, 1, 1, 0])


def test_the_signal_learns_until_each_stratum_came_twice_and_then_watches_it_there() -> None:
    hour = 0
    signal = Vectors("row", strata=lambda: ("night", "day")[hour % 2], names=("a", "b"))
    channel = Channel(signal, None, 2000.0, size=150, rearm=50)
    draw = np.random.default_rng(7).normal

    def day(*levels: float) -> list[str]:
        nonlocal hour
        told: list[str] = []
        for level in levels:
            rows = signal.read(draw(level, size=(100, 2)))
            told += [change.after for change in channel.feed(rows)]
            hour += 1
        return told

    assert day(0.0, 9.0) == []
    assert channel.state == "learning"
    assert day(0.0, 9.0, 0.0, 9.0)[:1] == ["ok"]
    assert type(channel.detector) is SeasonalFeatureAverages
    assert "drifted" not in day(*[0.0, 9.0] * 4)
    assert "drifted" in day(9.0, 0.0)
    assert signal.part_name(1, channel.detector) == "b"


def test_rows_that_remember_are_seen_every_so_many_and_all_strata_are_known() -> None:
    rows = hourly(2000, 8, each=1, hours=3, memory=0.8)
    detector = Vectors("row", strata=lambda: 0).detector(rows, 5000)
    assert isinstance(detector, Thinned)
    assert type(detector.inner) is SeasonalFeatureAverages
    assert detector.inner.state()["strata"]["numbers"] == [0, 1, 2]
    worth = 2000 / detector.every
    expected = SeasonalFeatureAverages(rows, arl=5000 / detector.every, effective_size=worth)
    assert detector.inner.threshold == expected.threshold
    assert type(Vectors("row", strata=lambda: 0).detector(KNOWN, 5000)) is SeasonalFeatureAverages


def test_a_reference_that_is_given_has_pairs_of_stratum_and_row() -> None:
    now = "night"
    signal = Vectors("row", strata=lambda: now)
    draw = np.random.default_rng(10).normal
    level = {"night": 0.0, "noon": 9.0}
    given = [(at, draw(level[at], size=2)) for _ in range(8) for at in level for _ in range(25)]
    monitor = Monitor([signal], arl=1000, references={"row": given})
    monitor.check_references()
    for now in ("night", "noon"):
        monitor.feed(signal, None, signal.read(draw(level[now], size=(99, 2))))
    assert monitor.state() == "ok"
    monitor.feed(signal, None, signal.read(draw(size=(99, 2))))
    assert monitor.state() == "drifted"
