"""Several detectors of one stream."""

import json
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from resilient_ml.drift import (
    ADWIN,
    CUSUM,
    Combined,
    ConformalShiryaevRoberts,
    Numbers,
    RandomFeatureAverages,
    Thinned,
    WhitenedShiryaevRoberts,
    WindowedKS,
)

QUIET = np.random.default_rng(1).normal(size=500)


ONE = CUSUM(QUIET)


def both(arl: float = 1000) -> Combined:
    return Combined([WindowedKS(QUIET, arl=2 * arl), ConformalShiryaevRoberts(QUIET, arl=2 * arl)])


def stream(count: int, seed: int, *changes: tuple[int, int, float, float]) -> Any:
    """Normal, and in each of *changes*, a beginning and an end, of another mean and deviation."""
    values = np.random.default_rng(seed).normal(size=count)
    for begin, end, mean, deviation in changes:
        values[begin:end] = values[begin:end] * deviation + mean
    return values


def two_modes(count: int) -> Any:
    generator = np.random.default_rng(5)
    return 0.44 * generator.normal(size=count) + 0.9 * generator.choice([-1.0, 1.0], count)


def test_rates_of_false_alarms_add_up() -> None:
    parts = [CUSUM(QUIET, arl=one) for one in (2000, 3000, 6000)]
    assert Combined(parts).arl == pytest.approx(1000)


def test_what_either_sees_raises_the_alarm() -> None:
    shape = np.concatenate([stream(500, 2), two_modes(800)])
    level = stream(1300, 2, (500, 1300, 0.3, 1.0))
    for values in (shape, level):
        alone = [one.update_many(values)[:1] for one in both().detectors]
        first = min(int(one[0]) for one in alone if len(one))
        assert both().update_many(values)[0] == first
    detector = both()
    detector.update_many(shape)
    assert detector.detectors[1].alarms == 0 < detector.detectors[0].alarms


def test_all_begin_anew_after_an_alarm() -> None:
    values = stream(700, 3, (300, 700, 1.5, 1.0))
    detector = both()
    (first, *_) = detector.update_many(values[:330])
    kept = both()
    kept.update_many(values[: first + 1])
    assert [one.statistic for one in kept.detectors] == [0.0, 0.0]
    assert (kept.statistic, kept.level, kept.alarms) == (0.0, "drift", 1)
    kept.update(float("nan"))
    assert kept.level == "stable"


def test_the_evidence_is_that_of_the_first_that_alarmed() -> None:
    values = stream(600, 3, (300, 600, 1.5, 1.0))
    detector = both()
    detector.update_many(values)
    last = detector.evidence
    assert last is not None
    told = [one.evidence for one in detector.detectors if one.evidence is not None]
    assert last.statistic in [one.statistic for one in told]
    assert 300 < last.at <= 600
    assert last.effect > 0.2


def test_the_statistic_is_the_nearest_to_its_threshold() -> None:
    detector = both()
    detector.update_many(stream(400, 4))
    shares = [one.statistic / one.threshold for one in detector.detectors]
    assert detector.statistic == max(shares)
    assert detector.threshold == 1.0


@pytest.mark.once
@settings(max_examples=20, deadline=None)
@given(
    changes=st.lists(
        st.tuples(
            st.integers(0, 2200), st.integers(0, 400), st.floats(-2.0, 2.0), st.sampled_from([0.4, 1.0, 2.0])
        ),
        max_size=4,
    ),
    cuts=st.lists(st.integers(0, 2500), max_size=5),
    seed=st.integers(0, 9),
)
def test_however_it_is_cut_the_answer_is_the_same(changes: Any, cuts: list[int], seed: int) -> None:
    values = stream(2500, seed, *((begin, begin + more, m, d) for begin, more, m, d in changes))
    single, parts = both(300), both(300)
    expected = [place for place, value in enumerate(values) if single.update(value)]
    found: list[int] = []
    for begin, end in zip([0, *sorted(cuts)], [*sorted(cuts), 2500], strict=True):
        found += [begin + int(place) for place in parts.update_many(values[begin:end])]
    assert found == expected
    assert [one.seen for one in parts.detectors] == [one.seen for one in single.detectors] == [2500, 2500]
    assert [one.alarms for one in parts.detectors] == [one.alarms for one in single.detectors]
    assert parts.statistic == pytest.approx(single.statistic, rel=1e-6)
    one, other = single.detectors[0], parts.detectors[0]
    assert isinstance(one, WindowedKS)
    assert isinstance(other, WindowedKS)
    assert (one._count, one._waiting) == (other._count, other._waiting)


def test_its_state_is_that_of_each() -> None:
    thinned = Thinned(lambda kept, arl: WindowedKS(kept, arl=arl), QUIET, every=3, arl=6000)
    detector = Combined([thinned, WhitenedShiryaevRoberts(QUIET, arl=2000)])
    values = stream(900, 6, (700, 900, 1.0, 1.0))
    detector.update_many(values[:400])
    twin = Combined.from_state(json.loads(json.dumps(detector.state())))
    assert twin.update_many(values[400:]).tolist() == detector.update_many(values[400:]).tolist()
    assert twin.state() == detector.state()


def test_a_state_of_what_is_not_known_is_refused() -> None:
    state = both().state()
    state["detectors"][0]["detector"] = "Oracle"
    with pytest.raises(ValueError, match="one of 'Oracle'; import what defines that first"):
        Combined.from_state(state)


def test_it_may_be_fixed_and_begun_anew() -> None:
    detector = both()
    detector.fix_reference()
    values = stream(2000, 7)
    alarms = detector.update_many(values).tolist()
    assert all(one._grows is False for one in detector.detectors)  # type: ignore[attr-defined]
    detector.reset()
    assert (detector.seen, detector.detectors[0].seen) == (0, 0)
    assert detector.update_many(values).tolist() == alarms


@pytest.mark.parametrize(
    ("detectors", "message"),
    [
        ([], "two or more different ones, got 0"),
        ([CUSUM(QUIET)], "two or more different ones, got 1 of which 1 differ; use one by itself"),
        ([ONE, ONE], "two or more different ones, got 2 of which 1 differ"),
        (
            [CUSUM(QUIET, arl=2), CUSUM(QUIET, arl=3)],
            "at least 2 observations apart, got 1.2; give each a lon",
        ),
        ([CUSUM(QUIET), ADWIN()], "got ADWIN, which promises none"),
    ],
)
def test_too_few_or_without_a_promise_are_refused(detectors: Any, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        Combined(detectors)


def test_what_is_no_detector_is_refused() -> None:
    with pytest.raises(TypeError, match="must be detectors of drift, got 'KS'; make each one first"):
        Combined([CUSUM(QUIET), "KS"])  # type: ignore[list-item]
    with pytest.raises(TypeError, match="must be several, got one CUSUM; pass a list"):
        Combined(CUSUM(QUIET))  # type: ignore[arg-type]


def test_what_one_part_cannot_use_reaches_none() -> None:
    rows = np.random.default_rng(1).normal(size=(120, 3))
    mixed = Combined([CUSUM(QUIET), RandomFeatureAverages(rows)])
    for feed in (mixed.update_many, mixed.update):
        with pytest.raises(ValueError, match=r"dimension|shape"):
            feed(QUIET[:50])
    with pytest.raises(ValueError, match="1 dimension"):
        both().update([0.1, 0.2])
    assert [mixed.seen, *(one.seen for one in mixed.detectors)] == [0, 0, 0]


def test_the_parts_stay_the_ones_that_were_given() -> None:
    counts, bets = WindowedKS(QUIET, arl=2000), ConformalShiryaevRoberts(QUIET, arl=2000)
    detector = Combined([counts, bets])
    assert len(detector.update_many(stream(900, 3, (300, 900, 3.0, 1.0)))) > 10
    assert detector.detectors == (counts, bets)
    assert counts.seen == bets.seen == detector.seen == 900
    detector.fix_reference()
    assert counts._grows is bets._grows is False


def test_rows_of_features_may_be_watched_by_several() -> None:
    quiet = np.random.default_rng(1).normal(size=(200, 3))
    parts = [RandomFeatureAverages(quiet, arl=2000, seed=seed) for seed in (1, 2)]
    values = np.random.default_rng(2).normal(size=(400, 3))
    values[300:] += 1.0
    single, many = Combined(parts), Combined([RandomFeatureAverages.from_state(one.state()) for one in parts])
    expected = [place for place, row in enumerate(values) if single.update(row)]
    assert many.update_many(values).tolist() == expected
    assert 300 <= expected[0] < 330


def test_inside_a_thinned_one_it_warns_as_by_itself() -> None:
    thinned = Thinned(lambda _, arl: both(arl), QUIET, every=1, arl=1000)
    alone = both()
    for value in stream(800, 4, (500, 800, 0.6, 1.0)):
        assert thinned.update(value) == alone.update(value)
        assert thinned.level == alone.level


@pytest.mark.parametrize("memory", [True, False])
def test_a_signal_of_shapes_has_level_and_spread_too(memory: bool) -> None:
    detector = Numbers("x", shape=True, memory=memory).detector(QUIET, 1000)
    assert isinstance(detector, Combined)
    assert detector.arl == pytest.approx(1000)
    assert [type(one) for one in detector.detectors] == [
        WindowedKS,
        WhitenedShiryaevRoberts if memory else ConformalShiryaevRoberts,
    ]


@pytest.mark.once
def test_false_alarms_are_as_rare_as_promised() -> None:
    alarms = 0
    for seed in range(24):
        draw = np.random.default_rng(seed).normal
        detector = Numbers("x", shape=True, memory=False).detector(draw(size=400), 500)
        alarms += len(detector.update_many(draw(size=2500)))
    assert 0 < alarms <= 24 * 2500 / 500
