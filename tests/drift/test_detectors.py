"""What every detector promises, whatever it watches."""

import functools
import itertools
import json
import math
from collections.abc import Callable
from typing import Any, cast

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from resilient_ml.drift import (
    ADWIN,
    CUSUM,
    DDM,
    HDDMA,
    HDDMW,
    CategoricalShiryaevRoberts,
    Combined,
    ConformalShiryaevRoberts,
    Detector,
    ECusum,
    EShiryaevRoberts,
    MarkovShiryaevRoberts,
    PageHinkley,
    RandomFeatureAverages,
    SeasonalCategorical,
    SeasonalFeatureAverages,
    SeasonalShiryaevRoberts,
    StratifiedShiryaevRoberts,
    Thinned,
    WhitenedShiryaevRoberts,
    WindowedKS,
)


def errors(rate: float, count: int, seed: int) -> Any:
    return (np.random.default_rng(seed).random(count) < rate).astype(float)


def normal(count: int, mean: float, seed: int) -> Any:
    return np.random.default_rng(seed).normal(mean, size=count)


def rows(count: int, mean: float, seed: int) -> Any:
    return np.random.default_rng(seed).normal(mean, size=(count, 4))


def remembering(count: int, quiet: int, seed: int) -> Any:
    """Autocorrelated by a half, moved by three standard deviations after *quiet*, if that is not 0."""
    values = np.random.default_rng(seed).normal(size=count)
    for place in range(1, count):
        values[place] += 0.5 * values[place - 1]
    if quiet:
        values[quiet:] += 3.0
    return values


def hourly(count: int, quiet: int, seed: int) -> Any:
    """A cycle of 24 strata; moved by two standard deviations after *quiet*, if that is not 0."""
    hours = np.arange(count) % 24
    values = np.random.default_rng(seed).normal(size=count) + 3.0 * np.sin(hours / 24 * 2 * np.pi)
    if quiet:
        values[quiet:] += 2.0
    return np.column_stack([hours, values])


def by_shift(count: int, quiet: int, seed: int) -> Any:
    """Errors in three strata, one of which is hard; twice and three times as many after *quiet*, if not 0."""
    shifts = np.arange(count) // 10 % 3
    rates = np.array([0.02, 0.1, 0.3])[shifts]
    if quiet:
        rates[quiet:] = 0.7
    return np.column_stack([shifts, np.random.default_rng(seed).random(count) < rates]).astype(float)


def by_hour(count: int, quiet: int, seed: int) -> Any:
    """Three classes with other shares in each of four strata; all the same after *quiet*, if not 0."""
    hours = np.arange(count) // 5 % 4
    shares = np.array([[0.8, 0.1, 0.1], [0.1, 0.8, 0.1], [0.1, 0.1, 0.8], [0.4, 0.3, 0.3]])[hours]
    if quiet:
        shares[quiet:] = [0.0, 0.1, 0.9]
    draw = np.random.default_rng(seed).random(count)
    return np.column_stack([hours, (draw[:, None] > shares.cumsum(axis=1)[:, :2]).sum(axis=1)]).astype(float)


def rows_by_hour(count: int, quiet: int, seed: int) -> Any:
    """Three features with another level and spread in each of four strata; moved after *quiet*, if not 0."""
    hours = np.arange(count) // 5 % 4
    values = (
        np.random.default_rng(seed).normal(size=(count, 3)) * (1.0 + hours[:, None]) + 5.0 * hours[:, None]
    )
    if quiet:
        values[quiet:] += 1.5 * (1.0 + hours[quiet:, None])
    return np.column_stack([hours, values])


@functools.cache
def seasonal_averages() -> dict[str, Any]:
    return SeasonalFeatureAverages(rows_by_hour(500, 0, 3), arl=1000).state()


@functools.cache
def averages() -> dict[str, Any]:
    """Made once, as its threshold takes a tenth of a second."""
    return RandomFeatureAverages(rows(500, 0.0, 3), arl=1000).state()


def thinly(reference: Any, arl: float) -> Detector:
    return ConformalShiryaevRoberts(reference, arl=arl)


MAKE: dict[str, Callable[[], Detector]] = {
    "EShiryaevRoberts": lambda: EShiryaevRoberts(0.15, arl=1000),
    "ECusum": lambda: ECusum(0.15, arl=1000),
    "both ways": lambda: EShiryaevRoberts(0.16, tolerated_low=0.04, direction="both", arl=1000),
    "ConformalShiryaevRoberts": lambda: ConformalShiryaevRoberts(normal(500, 0.0, 3), arl=1000),
    "WhitenedShiryaevRoberts": lambda: WhitenedShiryaevRoberts(remembering(1000, 0, 3), arl=1000),
    "RandomFeatureAverages": lambda: RandomFeatureAverages.from_state(averages()),
    "SeasonalShiryaevRoberts": lambda: SeasonalShiryaevRoberts(hourly(1200, 0, 3), arl=1000),
    "SeasonalCategorical": lambda: SeasonalCategorical(by_hour(1000, 0, 3), arl=1000),
    "SeasonalFeatureAverages": lambda: SeasonalFeatureAverages.from_state(seasonal_averages()),
    "StratifiedShiryaevRoberts": lambda: StratifiedShiryaevRoberts(by_shift(1000, 0, 3), arl=1000),
    "MarkovShiryaevRoberts": lambda: MarkovShiryaevRoberts(errors(0.1, 1000, 5), arl=1000),
    "Thinned": lambda: Thinned(thinly, remembering(1000, 0, 3), every=5, arl=5000),
    "WindowedKS": lambda: WindowedKS(normal(500, 0.0, 3), arl=1000),
    "CategoricalShiryaevRoberts": lambda: CategoricalShiryaevRoberts([0] * 900 + [1] * 100, arl=1000),
    "Combined": lambda: Combined(
        [WindowedKS(normal(500, 0.0, 3), arl=2000), ConformalShiryaevRoberts(normal(500, 0.0, 3), arl=2000)]
    ),
    "ADWIN": ADWIN,
    "CUSUM": lambda: CUSUM(normal(500, 0.0, 3), arl=1000),
    "PageHinkley": lambda: PageHinkley(threshold=10.0, delta=0.5),
    "DDM": lambda: DDM(warm_start=100),
    "HDDMA": HDDMA,
    "HDDMW": HDDMW,
}
UNWARNED = {"ADWIN", "PageHinkley"}
"""Their definitions have no warning."""
UNDATED = {"DDM", "HDDMA", "HDDMW"}
"""They compare with the best stretch that there was, however long ago."""
STREAM: dict[str, Any] = {name: np.r_[errors(0.1, 300, 1), errors(0.6, 300, 2)] for name in MAKE}
for one in ("CategoricalShiryaevRoberts", "DDM", "MarkovShiryaevRoberts"):
    STREAM[one] = np.r_[errors(0.1, 300, 7), errors(0.6, 300, 8)]
STREAM["RandomFeatureAverages"] = np.concatenate([rows(300, 0.0, 4), rows(300, 1.0, 5)])
STREAM["SeasonalShiryaevRoberts"] = hourly(600, 300, 4)
STREAM["SeasonalCategorical"] = by_hour(600, 300, 5)
STREAM["SeasonalFeatureAverages"] = rows_by_hour(600, 300, 4)
STREAM["StratifiedShiryaevRoberts"] = by_shift(600, 300, 4)
STREAM["Thinned"] = remembering(600, 300, 6)
STREAM["WhitenedShiryaevRoberts"] = remembering(600, 300, 4)
for one in ("ConformalShiryaevRoberts", "Combined", "WindowedKS", "ADWIN", "CUSUM", "PageHinkley"):
    STREAM[one] = np.r_[normal(300, 0.0, 4), normal(300, 1.0, 5)]


@pytest.fixture(params=MAKE)
def kind(request: pytest.FixtureRequest) -> str:
    return str(request.param)


def one_by_one(detector: Any, stream: Any) -> list[int]:
    return [place for place, value in enumerate(stream) if detector.update(value)]


def agree(one: Any, other: Any) -> bool:
    """Equal but for the rounding of sums that were added up in another order."""
    if isinstance(one, float) and isinstance(other, float):
        return math.isclose(one, other, rel_tol=1e-4, abs_tol=1e-5)
    if isinstance(one, dict):
        return one.keys() == other.keys() and all(agree(one[key], other[key]) for key in one)
    if isinstance(one, list):
        return len(one) == len(other) and all(map(agree, one, other))
    return bool(one == other)


def test_a_change_is_found_and_the_quiet_before_is_not(kind: str) -> None:
    alarms = MAKE[kind]().update_many(STREAM[kind])
    assert 300 <= alarms[0] < 400


def test_batches_of_one_give_the_answer_of_single_updates(kind: str) -> None:
    single, many = MAKE[kind](), MAKE[kind]()
    alarms = [place for place, value in enumerate(STREAM[kind]) if len(many.update_many(value[None]))]
    assert alarms == one_by_one(single, STREAM[kind])
    assert agree(single.state(), many.state())


@pytest.mark.once
@settings(max_examples=10, deadline=None)
@given(cuts=st.lists(st.integers(0, 600), max_size=6), broken=st.lists(st.integers(0, 599), max_size=5))
@pytest.mark.parametrize("kind", MAKE)
def test_any_split_gives_the_answer_of_single_updates(kind: str, cuts: list[int], broken: list[int]) -> None:
    stream = STREAM[kind].copy()
    stream[broken] = np.nan
    single, many = MAKE[kind](), MAKE[kind]()
    edges = [0, *sorted(cuts), len(stream)]
    found = [
        begin + int(place)
        for begin, end in itertools.pairwise(edges)
        for place in many.update_many(stream[begin:end])
    ]
    assert found == one_by_one(single, stream)
    assert many.refused == single.refused == len(set(broken))
    assert agree(many.state(), single.state())
    assert many.level == single.level


@pytest.mark.parametrize("bad", [math.nan, math.inf, -math.inf])
def test_what_is_not_finite_reaches_no_sum(kind: str, bad: float) -> None:
    detector, clean = cast(Any, MAKE[kind]()), MAKE[kind]()
    stream = STREAM[kind]
    poisoned = np.full_like(stream[:1], bad)
    assert not detector.update(poisoned[0])
    assert not len(detector.update_many(np.concatenate([poisoned, stream[:50], poisoned])))
    clean.update_many(stream[:50])
    assert detector.refused == 3
    assert {**detector.state(), "refused": 0} == clean.state()


def test_nothing_in_is_nothing_changed(kind: str) -> None:
    detector = MAKE[kind]()
    detector.update_many(STREAM[kind][:100])
    before = detector.state()
    assert detector.update_many(STREAM[kind][:0]).tolist() == []
    assert detector.state() == before


def test_its_state_survives_json_at_any_time(kind: str) -> None:
    for until in (0, 100, 299, 340, 600):
        detector = MAKE[kind]()
        detector.update_many(STREAM[kind][:until])
        again = type(detector).from_state(json.loads(json.dumps(detector.state())))
        assert again.state() == detector.state()
        assert (again.level, again.evidence) == (detector.level, detector.evidence)
        rest = STREAM[kind][until:]
        assert again.update_many(rest).tolist() == detector.update_many(rest).tolist()
        assert again.state() == detector.state()


def test_a_state_of_another_kind_is_refused(kind: str) -> None:
    detector = MAKE[kind]()
    another = detector.state()["version"] + 1
    for wrong in ({"detector": "Other"}, {"version": another}, {"version": None}):
        with pytest.raises(ValueError, match="state must be of"):
            type(detector).from_state({**detector.state(), **wrong})


def test_reset_is_a_new_detector(kind: str) -> None:
    detector = MAKE[kind]()
    detector.update_many(STREAM[kind])
    assert detector.alarms
    detector.reset()
    assert detector.state() == MAKE[kind]().state()


def test_after_an_alarm_the_evidence_begins_anew(kind: str) -> None:
    detector = cast(Any, MAKE[kind]())
    first = int(detector.update_many(STREAM[kind])[0])
    detector.reset()
    detector.update_many(STREAM[kind][: first + 1])
    assert detector.level == "drift"
    assert detector.statistic == 0.0
    evidence = detector.evidence
    assert evidence.at == first + 1 == detector.seen
    assert evidence.statistic >= evidence.threshold
    assert evidence.threshold == detector.threshold or kind == "Combined"  # where it is of one of several
    assert abs(first - 300 + 1 - evidence.since) <= 40 or kind in UNDATED
    assert evidence.effect > 0
    detector.update(STREAM[kind][0])
    assert detector.level == "stable"


def test_a_broken_observation_after_the_alarm_is_no_alarm(kind: str) -> None:
    detector = cast(Any, MAKE[kind]())
    first = int(detector.update_many(STREAM[kind])[0])
    detector.reset()
    broken = np.full_like(STREAM[kind][:1], np.nan)
    assert detector.update_many(np.concatenate([STREAM[kind][: first + 1], broken])).tolist() == [first]
    assert detector.level == "stable"
    detector.reset()
    detector.update_many(STREAM[kind][: first + 1])
    detector.update(broken[0])
    assert detector.level == "stable"


def test_a_warning_comes_before_the_alarm(kind: str) -> None:
    detector = cast(Any, MAKE[kind]())
    levels = []
    for value in STREAM[kind]:
        detector.update(value)
        levels.append(detector.level)
    first = levels.index("drift")
    if kind in UNWARNED:
        assert "warn" not in levels
        return
    assert "warn" in levels[300:first]
    assert levels[first - 1] == "warn"


def test_its_memory_does_not_grow(kind: str) -> None:
    detector = MAKE[kind]()
    quiet = STREAM[kind][:300]
    for _ in range(60):  # a reference may grow, up to a bound
        detector.update_many(quiet)
    size = len(json.dumps(detector.state()))
    for _ in range(20):
        detector.update_many(quiet)
    assert len(json.dumps(detector.state())) < size * 1.2


def test_the_wrong_shape_is_refused(kind: str) -> None:
    with pytest.raises(ValueError, match=r"dimension|shape"):
        MAKE[kind]().update_many(np.zeros((2, 2, 2)))


@pytest.mark.parametrize("arl", [1.9, math.nan, "many"])
def test_a_run_length_is_a_number_from_two(arl: Any) -> None:
    with pytest.raises((ValueError, TypeError), match="arl must be"):
        EShiryaevRoberts(0.1, arl=arl)
