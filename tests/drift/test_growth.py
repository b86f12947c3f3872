"""References that grow by what is observed, once it lies some way back without an alarm since."""

import copy
import json
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from resilient_ml.drift import (
    Combined,
    ConformalShiryaevRoberts,
    Detector,
    EShiryaevRoberts,
    Numbers,
    RandomFeatureAverages,
    SeasonalShiryaevRoberts,
    Thinned,
    WhitenedShiryaevRoberts,
    WindowedKS,
)
from resilient_ml.drift.monitor import Channel

LAG = 256


def normal(count: int, seed: int, mean: float = 0.0) -> Any:
    return np.random.default_rng(seed).normal(mean, size=count)


def rows(count: int, seed: int, mean: float = 0.0) -> Any:
    return np.random.default_rng(seed).normal(mean, size=(count, 3))


ROWS = RandomFeatureAverages(rows(300, 1), arl=1e5).state()
MAKE: dict[str, Callable[[], Any]] = {
    "conformal": lambda: ConformalShiryaevRoberts(normal(400, 1), arl=1e5),
    "whitened": lambda: WhitenedShiryaevRoberts(normal(400, 3), arl=1e5),
    "windowed": lambda: WindowedKS(normal(400, 1), arl=1e5),
    "thinned": lambda: Thinned(
        lambda kept, arl: ConformalShiryaevRoberts(kept, arl=arl), normal(400, 1), every=2, arl=1e5
    ),
    "combined": lambda: Combined(
        [WindowedKS(normal(400, 1), arl=2e5), ConformalShiryaevRoberts(normal(400, 1), arl=2e5)]
    ),
    "rows": lambda: RandomFeatureAverages.from_state(ROWS),
}


def quiet_stream(kind: str, count: int, seed: int = 2, mean: float = 0.0) -> Any:
    return (rows if kind == "rows" else normal)(count, seed, mean)


def size(detector: Any) -> int:
    """Of how many observations the reference is."""
    if isinstance(detector, Combined):
        one, other = map(size, detector.detectors)
        assert one == other
        return one
    inner = detector.inner if isinstance(detector, Thinned) else detector
    return len(inner._reference) if isinstance(inner, ConformalShiryaevRoberts) else inner._count


@pytest.fixture(params=MAKE)
def kind(request: pytest.FixtureRequest) -> str:
    return str(request.param)


def sizes_after(given: int, observed: int) -> tuple[int, int]:
    """How large a reference of *given* is after so many quiet observations, and how many still wait."""
    count, waiting = given, observed
    while (joins := min(count // 16, 4000 - count)) and waiting >= LAG + joins:
        count, waiting = count + joins, waiting - joins
    return count, waiting


@pytest.mark.parametrize("observed", [0, 280, 281, 305, 306, 1000, 3000])
@pytest.mark.parametrize("at_once", [1, 97, 5000])
def test_what_lies_back_far_enough_is_part_of_the_reference(observed: int, at_once: int) -> None:
    given, stream = normal(400, 1), normal(3000, 2)
    detector = ConformalShiryaevRoberts(given, arl=1e9)
    for begin in range(0, observed, at_once):
        values = stream[begin : min(begin + at_once, observed)]
        detector.update(values[0]) if at_once == 1 else detector.update_many(values)
    count, _ = sizes_after(400, observed)
    assert detector._sorted == sorted([*given, *stream[: count - 400]])
    twin = ConformalShiryaevRoberts(np.array(detector._sorted), arl=1e9)
    assert np.array_equal(detector._table, twin._table)
    assert detector.margin == twin.margin


def test_counts_below_the_cuts_grow_with_it() -> None:
    given, stream = normal(400, 1), normal(1500, 2)
    detector = WindowedKS(given, arl=1e9)
    detector.update_many(stream)
    count, _ = sizes_after(400, 1500)
    reference = np.concatenate([given, stream[: count - 400]])
    assert detector._count == count
    assert detector._below.tolist() == [(reference <= cut).sum() for cut in detector.cuts]


def test_the_mean_of_rows_grows_with_it() -> None:
    given, stream = rows(300, 1), rows(2000, 2)
    detector = RandomFeatureAverages.from_state(ROWS)
    detector.update_many(stream)
    joined = 64 * (2000 // 64 - 1024 // 64)
    assert detector._count == 300 + joined
    known = np.concatenate([given, stream[:joined]])
    assert detector._mean == pytest.approx(detector._map(known).mean(axis=0), abs=1e-5)
    # What is averaged is off that mean, since the beginning.
    apart = detector._map(stream) - detector._mean
    average = np.zeros(256)
    for one in apart:
        average += 0.02 * (one - average)
    assert detector._averages[1] == pytest.approx(average, abs=1e-5)


@pytest.mark.once
@settings(max_examples=20, deadline=None)
@given(cuts=st.lists(st.integers(0, 1200), max_size=6), kind=st.sampled_from(sorted(MAKE)))
def test_however_it_is_fed_it_grows_alike(cuts: list[int], kind: str) -> None:
    stream = quiet_stream(kind, 1200)
    whole, parts = MAKE[kind](), MAKE[kind]()
    whole.update_many(stream)
    for begin, end in zip([0, *sorted(cuts)], [*sorted(cuts), 1200], strict=True):
        parts.update_many(stream[begin:end])
    assert size(parts) == size(whole) > 400
    assert parts.statistic == pytest.approx(whole.statistic, rel=1e-4)


def test_one_by_one_it_grows_alike(kind: str) -> None:
    stream = quiet_stream(kind, 1200 if kind == "rows" else 700)
    many, single = MAKE[kind](), MAKE[kind]()
    many.update_many(stream)
    for value in stream:
        single.update(value)
    assert size(single) == size(many)
    assert single.statistic == pytest.approx(many.statistic, rel=1e-4)


@pytest.mark.parametrize("observed", [200, 613])
def test_the_state_has_what_has_joined_and_what_waits(kind: str, observed: int) -> None:
    stream = quiet_stream(kind, 2000)
    detector = MAKE[kind]()
    detector.update_many(stream[:observed])
    twin = type(detector).from_state(json.loads(json.dumps(detector.state())))
    assert twin.state() == detector.state()
    for one in (detector, twin):
        one.update_many(stream[observed:])
    assert size(twin) == size(detector) > 600
    assert twin.statistic == pytest.approx(detector.statistic, rel=1e-6)
    twin.reset()
    assert size(twin) == size(MAKE[kind]())


def test_a_new_beginning_has_the_reference_that_was_given(kind: str) -> None:
    stream = quiet_stream(kind, 1500)
    detector, fresh = MAKE[kind](), MAKE[kind]()
    detector.update_many(stream)
    detector.reset()
    for one in (detector, fresh):
        one.update_many(stream[:400])
    assert detector.state() == fresh.state()


@pytest.mark.once
def test_it_stops_at_a_bound(kind: str) -> None:
    detector = MAKE[kind]()
    detector.update_many(quiet_stream(kind, 12_000))
    least = 4000 - 63 if kind == "rows" else 4000  # rows join by 64
    assert least <= size(detector) <= 4000
    kept = size(detector)
    detector.update_many(quiet_stream(kind, 1000, seed=3))
    assert size(detector) == kept


def test_a_large_reference_stays_as_it_is() -> None:
    for detector in (ConformalShiryaevRoberts(normal(5000, 1)), WindowedKS(normal(5000, 1))):
        detector.update_many(normal(600, 2))
        for value in normal(5, 3):
            detector.update(value)
        assert size(detector) == 5000
    many = RandomFeatureAverages(rows(4000, 1))
    threshold = many.threshold
    many.update_many(rows(1500, 2))
    assert (size(many), many.threshold) == (4000, threshold)


def test_a_reference_that_is_fixed_does_not_grow(kind: str) -> None:
    detector = MAKE[kind]()
    before = size(detector)
    detector.fix_reference()
    detector.update_many(quiet_stream(kind, 2000))
    assert size(detector) == before
    twin = type(detector).from_state(json.loads(json.dumps(detector.state())))
    twin.update_many(quiet_stream(kind, 2000, seed=3))
    assert size(twin) == before


def test_it_may_be_fixed_once_it_has_grown(kind: str) -> None:
    detector = MAKE[kind]()
    detector.update_many(quiet_stream(kind, 1500))
    grown = size(detector)
    detector.fix_reference()
    detector.update_many(quiet_stream(kind, 1500, seed=3))
    assert size(detector) == grown > 400


def test_a_fixed_reference_is_as_one_that_never_could_grow() -> None:
    detector = EShiryaevRoberts(0.1)
    before = detector.state()
    detector.fix_reference()
    assert detector.state() == before


@pytest.mark.once
def test_what_raises_alarms_never_joins(kind: str) -> None:
    detector = MAKE[kind]()
    detector.update_many(quiet_stream(kind, 100))
    before = size(detector)
    alarms = detector.update_many(quiet_stream(kind, 6000, seed=3, mean=1.5))
    assert len(alarms) > 20
    assert size(detector) == before


def test_what_comes_after_an_alarm_joins_again(kind: str) -> None:
    detector = MAKE[kind]()
    alarms = detector.update_many(quiet_stream(kind, 60, seed=3, mean=3.0))
    assert len(alarms) >= 1
    detector.update_many(quiet_stream(kind, 2000, seed=4))
    assert size(detector) > 800
    if kind == "conformal":
        assert max(detector._sorted) < 5.0


def test_memory_and_strata_leave_the_reference_as_it_is() -> None:
    noise = normal(3000, 1)
    for place in range(1, 3000):
        noise[place] += 0.6 * noise[place - 1]
    whitened = WhitenedShiryaevRoberts(noise[:1000], arl=1e5)
    whitened.update_many(noise[1000:])
    assert size(whitened) == 1000
    hours = np.column_stack([np.arange(3000) % 5, normal(3000, 2)])
    seasonal = SeasonalShiryaevRoberts(hours[:1000], arl=1e5)
    seasonal.update_many(hours[1000:])
    assert size(seasonal) == 1000


@pytest.mark.once
def test_a_small_change_is_found_sooner() -> None:
    growing, fixed = [], []
    for seed in range(40):
        stream = np.concatenate([normal(3000, seed), normal(1500, seed + 100, 0.25)])
        for found in (growing, fixed):
            detector = ConformalShiryaevRoberts(normal(300, seed + 200), arl=1e5)
            if found is fixed:
                detector.fix_reference()
            detector.update_many(stream[:3000])
            alarms = detector.update_many(stream[3000:])
            found.append(alarms[0] if len(alarms) else 1500)
    assert np.median(growing) < 0.75 * np.median(fixed)


@pytest.mark.once
def test_a_slow_drift_is_found_all_the_same(kind: str) -> None:
    detector = MAKE[kind]()
    stream = quiet_stream(kind, 10_000)
    stream += np.linspace(0.0, 2.0, 10_000).reshape(-1, *[1] * (stream.ndim - 1))
    alarms = detector.update_many(stream)
    assert 0 < alarms[0] < 5000
    assert len(detector.update_many(quiet_stream(kind, 1000, seed=3, mean=2.0))) > 1


def test_a_channel_learns_on_and_keeps_what_it_is_given() -> None:
    learned = Channel(Numbers("x", memory=False), None, 1e5, size=400, rearm=100)
    given = Channel(Numbers("x", memory=False), None, 1e5, size=400, rearm=100, reference=normal(400, 1))
    learned.feed(normal(400, 1))
    for channel in (learned, given):
        channel.feed(normal(1000, 2))
    detectors: list[Detector | None] = [learned.detector, given.detector]
    assert [size(one) for one in detectors] == [sizes_after(400, 1000)[0], 400]


@pytest.mark.parametrize("make", [ConformalShiryaevRoberts, WindowedKS])
def test_numbers_of_any_type_are_judged_and_kept_as_floats(make: Any) -> None:
    reference = np.round(normal(400, 1), 1)
    values = np.round(normal(600, 2), 1).astype(np.float32)
    single, many = make(reference, arl=1e5), make(reference, arl=1e5)
    many.update_many(values)
    for value in values:
        single.update(value)
    assert single.statistic == pytest.approx(many.statistic, rel=1e-6)
    single.update(7)
    single.update(np.int64(7))
    json.dumps(single.state())


def test_thinned_it_begins_anew_with_the_threshold_that_it_had() -> None:
    detector = Thinned(lambda kept, arl: WindowedKS(kept, arl=arl), normal(400, 1), every=2, arl=1e5)
    before = detector.threshold
    detector.update_many(normal(3000, 2))
    assert detector.threshold != before
    detector.reset()
    assert detector.threshold == detector.inner.threshold == before


def test_a_reference_that_is_large_enough_is_not_judged_anew_when_it_is_fixed() -> None:
    detector = ConformalShiryaevRoberts(normal(5000, 1))
    margin = detector.margin
    detector.fix_reference()
    assert detector.margin == margin


def test_more_is_asked_of_rows_whose_reference_is_fixed() -> None:
    growing, fixed = RandomFeatureAverages.from_state(ROWS), RandomFeatureAverages.from_state(ROWS)
    fixed.fix_reference()
    assert fixed.threshold > growing.threshold
    assert RandomFeatureAverages.from_state(fixed.state()).threshold == fixed.threshold
    fixed.reset()
    assert fixed.threshold > growing.threshold


def test_copies_grow_apart(kind: str) -> None:
    detector = MAKE[kind]()
    detector.update_many(quiet_stream(kind, 300))
    other = copy.deepcopy(detector)
    other.update_many(quiet_stream(kind, 1500, seed=3))
    assert size(detector) < size(other)
