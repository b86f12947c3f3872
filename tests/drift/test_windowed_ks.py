"""Scores watched by how many of the latest fall below quantiles of a reference."""

import itertools
import json
import math
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from resilient_ml.drift import WindowedKS

QUIET = np.random.default_rng(1).normal(size=1000)


def stream(change: Callable[[Any, Any], Any], quiet: int = 500, count: int = 1000) -> Any:
    generator = np.random.default_rng(2)
    values = generator.normal(size=count)
    values[quiet:] = change(values[quiet:], generator)
    return values


def two_modes(values: Any, generator: Any) -> Any:
    """Mean 0 and deviation 1 as before."""
    return 0.44 * values + 0.9 * generator.choice([-1.0, 1.0], len(values))


def outliers(values: Any, generator: Any) -> Any:
    return np.where(generator.random(len(values)) < 0.05, 8.0, values)


CHANGES: dict[str, tuple[Callable[[Any, Any], Any], int]] = {
    "none": (lambda values, _: values, -1),
    "level": (lambda values, _: values + 1.0, 519),
    "level down": (lambda values, _: values - 1.0, 514),
    "a little": (lambda values, _: values + 0.3, 719),
    "spread": (lambda values, _: values * 2.0, 536),
    "less spread": (lambda values, _: values * 0.5, 564),
    "two modes": (two_modes, 559),
    "outliers": (outliers, 557),
    "stuck": (lambda values, _: np.full_like(values, 0.2), 516),
}


@pytest.mark.parametrize("name", CHANGES)
def test_each_change_is_found_where_it_always_was(name: str) -> None:
    change, first = CHANGES[name]
    alarms = WindowedKS(QUIET).update_many(stream(change))
    assert alarms[:1].tolist() == ([] if first < 0 else [first])


def log_beta(a: float, b: float) -> float:
    return math.lgamma(a) + math.lgamma(b) - math.lgamma(a + b)


def beta_binomial(width: int, a: int, b: int) -> list[float]:
    """The probability of each count from 0 to *width*."""
    if a == 0 or b == 0:
        return [float(count == (0 if a == 0 else width)) for count in range(width + 1)]
    return [
        math.comb(width, count) * math.exp(log_beta(count + a, width - count + b) - log_beta(a, b))
        for count in range(width + 1)
    ]


def surprise(reference: Any, latest: Any, cuts: list[float]) -> float:
    """The formula, counted from the values themselves."""
    n, width = len(reference), len(latest)
    largest = 0.0
    for cut in cuts:
        j, c = int((reference <= cut).sum()), int((latest <= cut).sum())
        few = math.fsum(beta_binomial(width, j, n - j + 1)[: c + 1])
        many = math.fsum(beta_binomial(width, j + 1, n - j)[c:])
        largest = max(largest, -math.log(min(few, many, 1.0)))
    return largest


def test_the_statistic_is_the_formula() -> None:
    reference = np.round(QUIET[:60], 1)
    detector = WindowedKS(reference, arl=1e9, windows=[5, 12])
    values = np.random.default_rng(3).normal(0.8, 1.5, size=40).round(1)
    for seen, value in enumerate(values, 1):
        detector.update(value)
        expected = [
            surprise(reference, values[seen - width : seen], detector.cuts)
            for width in (5, 12)
            if seen >= width
        ]
        assert detector.statistic == pytest.approx(max(expected, default=0.0), abs=1e-9)
    assert detector.statistic > 0.5


def test_the_alarm_comes_when_the_statistic_reaches_the_threshold() -> None:
    values = stream(CHANGES["level"][0])
    traced = WindowedKS(QUIET, arl=1e7)
    path = []
    for value in values[:600]:
        traced.update(value)
        path.append(traced.evidence.statistic if traced.evidence else traced.statistic)
    first = int(np.flatnonzero(np.array(path) >= traced.threshold)[0])
    assert max(path[:first]) < traced.threshold <= path[first]
    assert WindowedKS(QUIET, arl=1e7).update_many(values)[0] == first


def test_cuts_are_quantiles_finer_in_the_tails_and_the_ends() -> None:
    reference = np.arange(1.0, 129.0)
    cuts = WindowedKS(reference).cuts
    assert cuts == [math.nextafter(1.0, 0.0), 1.0, 2.0, *np.arange(4.0, 125.0, 4.0), 126.0, 127.0, 128.0]


def test_a_value_that_fills_over_half_a_bin_is_cut_on_both_sides() -> None:
    reference = np.r_[np.arange(1.0, 65.0) / 100, np.full(64, 1.0)]
    cuts = WindowedKS(reference).cuts
    assert cuts[-3:] == [0.64, math.nextafter(1.0, 0.0), 1.0]
    twice = WindowedKS(np.arange(128.0) // 2).cuts
    assert twice == [math.nextafter(0.0, -1.0), 0.0, *np.arange(1.0, 62.0, 2.0), 62.0, 63.0]
    thrice = WindowedKS(np.arange(129.0) // 3).cuts
    assert {math.nextafter(cut, -1.0) for cut in thrice if cut % 1 == 0} < {*thrice}


def test_an_end_that_nothing_can_be_below_is_no_cut() -> None:
    lowest = -np.finfo(np.float64).max
    detector = WindowedKS(np.r_[lowest, np.arange(30.0)])
    assert detector.cuts[0] == lowest
    assert math.inf not in np.abs(detector.cuts)


@pytest.mark.parametrize("moved", [4.0, 6.0, 4.9999, math.nextafter(5.0, 6.0)])
def test_a_constant_score_is_no_drift_until_it_moves_at_all(moved: float) -> None:
    detector = WindowedKS(np.full(100, 5.0), arl=1000)
    assert not len(detector.update_many(np.full(5000, 5.0)))
    assert detector.level == "stable"
    assert len(detector.update_many(np.full(40, moved)))


def test_between_values_of_whole_numbers_is_new() -> None:
    reference = np.random.default_rng(4).integers(0, 4, 1000)
    assert len(WindowedKS(reference).update_many(np.full(100, 1.5)))


def test_fewer_of_a_value_that_most_have_are_noticed() -> None:
    generator = np.random.default_rng(5)

    def confidence(certain: float, count: int) -> Any:
        return np.where(generator.random(count) < certain, 1.0, generator.beta(8, 2, count))

    detector = WindowedKS(confidence(0.6, 1000))
    assert 1000 <= detector.update_many(np.r_[confidence(0.6, 1000), confidence(0.2, 300)])[0] < 1060
    assert detector.evidence is not None
    assert detector.evidence.effect < -0.1
    place, gained = detector.evidence.parts[0]
    assert detector.cuts[place] == 1.0
    assert gained < -0.3


def test_only_ranks_count() -> None:
    values = stream(CHANGES["spread"][0])
    one, other = WindowedKS(QUIET), WindowedKS(np.exp(QUIET))
    assert one.update_many(values).tolist() == other.update_many(np.exp(values)).tolist() != []


@pytest.mark.parametrize(("shift", "sign"), [(1.0, 1), (-1.0, -1)])
def test_the_evidence_says_how_much_and_which_way_and_since_when(shift: float, sign: int) -> None:
    values = stream(lambda values, _: values + shift)
    detector = WindowedKS(QUIET)
    detector.fix_reference()
    first = int(detector.update_many(values)[0])
    detector.reset()
    detector.update_many(values[: first + 1])
    evidence = detector.evidence
    assert evidence is not None
    assert evidence.at == first + 1
    assert abs(evidence.since - (first - 499)) <= 5
    assert sign * evidence.effect > 0.2
    latest = values[first + 1 - evidence.since : first + 1]
    gained = {
        place: ((latest > low) & (latest <= high)).mean() - ((low < QUIET) & (high >= QUIET)).mean()
        for place, (low, high) in enumerate(itertools.pairwise([-math.inf, *detector.cuts, math.inf]))
    }
    assert len(evidence.parts) == 10
    assert dict(evidence.parts) == pytest.approx({place: gained[place] for place, _ in evidence.parts})
    sizes = [abs(size) for _, size in evidence.parts]
    assert sizes == sorted(sizes, reverse=True)
    assert sizes[0] == pytest.approx(max(map(abs, gained.values())))


def test_outliers_are_in_the_bin_above_all_of_the_reference() -> None:
    values = stream(CHANGES["outliers"][0])
    detector = WindowedKS(QUIET)
    first = int(detector.update_many(values)[0])
    detector.reset()
    detector.update_many(values[: first + 1])
    evidence = detector.evidence
    assert evidence is not None
    latest = values[first + 1 - evidence.since : first + 1]
    assert latest[0] == 8.0
    assert dict(evidence.parts)[len(detector.cuts)] == pytest.approx((latest == 8.0).mean())


def test_a_small_reference_without_ties_is_cut_at_each_value_once() -> None:
    assert WindowedKS(np.arange(25.0)).cuts == [-5e-324, *np.arange(25.0)]


def test_the_effect_is_less_what_chance_shows() -> None:
    values = np.random.default_rng(9).normal(0.5, size=2000)
    small = WindowedKS(QUIET, windows=[80])
    small.update_many(values)
    evidence = small.evidence
    assert evidence is not None
    assert (evidence.since, round(evidence.effect, 3)) == (50, 0.306)
    latest = values[evidence.at - evidence.since : evidence.at]
    effects = []
    for cut in small.cuts[1:-1]:
        share = (cut < QUIET).mean()
        chance = math.sqrt(share * (1 - share) * 2 / math.pi / evidence.since)
        effects.append((latest > cut).mean() - share - chance)
    assert np.isclose(effects, evidence.effect).any()

    detector = WindowedKS(np.arange(1000.0), windows=[20])
    detector.update_many(np.full(40, 2000.0))
    assert detector.evidence is not None
    # All of the reference is below the last cut: chance moves none beyond it.
    assert (detector.evidence.since, detector.evidence.effect) == (20, 1.0)
    detector.reset()
    detector.update_many(np.full(40, 500.5))
    assert detector.evidence is not None
    assert 0.2 < abs(detector.evidence.effect) < 0.6


def test_the_beginning_is_looked_for_since_the_last_alarm() -> None:
    detector = WindowedKS(QUIET, arl=1e5)
    detector.update_many(np.full(1000, 3.1))
    assert detector.evidence is not None
    assert detector.evidence.since == 20
    assert detector.alarms == 50


def test_a_window_is_looked_at_once_it_is_full() -> None:
    detector = WindowedKS(QUIET, windows=[20, 60])
    for _ in range(19):
        assert not detector.update(9.0)
        assert detector.statistic == 0.0
    assert detector.update(9.0)
    many = WindowedKS(QUIET, windows=[20, 60])
    assert many.update_many(np.full(45, 9.0)).tolist() == [19, 39]


@pytest.mark.once
@settings(max_examples=15, deadline=None)
@given(
    cuts=st.lists(st.integers(0, 500), max_size=5),
    seed=st.integers(0, 1000),
    digits=st.integers(0, 3),
    windows=st.sets(st.integers(2, 90), min_size=1, max_size=3),
    arl=st.sampled_from([2.0, 30.0, 1000.0]),
)
def test_any_split_gives_exactly_the_state_of_single_updates(
    cuts: list[int], seed: int, digits: int, windows: set[int], arl: float
) -> None:
    generator = np.random.default_rng(seed)
    reference = generator.normal(size=generator.integers(20, 300)).round(digits)
    values = np.r_[generator.normal(size=250), generator.normal(0.7, 1.5, size=250)].round(digits)
    values[generator.integers(0, 500, 3)] = np.nan
    single, many = (WindowedKS(reference, arl=arl, windows=list(windows)) for _ in range(2))
    found: list[int] = []
    for begin, end in itertools.pairwise([0, *sorted(cuts), len(values)]):
        found += (begin + many.update_many(values[begin:end])).tolist()
    assert found == [place for place, value in enumerate(values) if single.update(value)]
    assert many.state() == single.state()
    assert many.statistic == single.statistic
    again = WindowedKS.from_state(json.loads(json.dumps(single.state(), allow_nan=False)))
    assert again.state() == single.state()
    assert (again.threshold, again.level) == (single.threshold, single.level)
    assert again.update_many(values).tolist() == many.update_many(values).tolist()
    assert again.state() == many.state()


def test_long_batches_are_taken_in_parts() -> None:
    values = np.random.default_rng(6).normal(size=9000)
    values[7000:] += 0.7
    whole = WindowedKS(QUIET)
    parts = WindowedKS(QUIET)
    found = whole.update_many(values).tolist()
    assert found
    assert found == [
        begin + int(place)
        for begin in range(0, 9000, 450)
        for place in parts.update_many(values[begin : begin + 450])
    ]
    assert whole.state() == parts.state()


def test_one_nan_changes_nothing() -> None:
    values = stream(CHANGES["level"][0])
    detector = WindowedKS(QUIET)
    assert detector.update_many(np.insert(values, 300, np.nan))[0] == CHANGES["level"][1] + 1
    assert detector.refused == 1
    assert detector.seen == 1000


def test_a_warning_is_a_tenth_of_the_way() -> None:
    detector = WindowedKS(QUIET)
    change, first = CHANGES["a little"]
    for value in stream(change)[:first]:
        detector.update(value)
        expected = "warn" if detector.statistic >= detector.threshold - math.log(10) else "stable"
        assert detector.level == expected
    assert detector.level == "warn"
    short = WindowedKS(QUIET, arl=2)
    assert short.level == "stable"


@pytest.mark.once
@pytest.mark.parametrize(
    ("sample", "count"),
    [
        (lambda generator, count: generator.normal(size=count), 1000),
        (lambda generator, count: generator.standard_t(3, count), 1000),
        (lambda generator, count: np.maximum(generator.random(count), 0.6), 1000),
        (lambda generator, count: np.minimum(generator.geometric(0.2, count), 10), 1000),
        (lambda generator, count: generator.random(count) < 0.5, 50),
    ],
)
def test_false_alarms_are_as_rare_as_promised_whatever_the_distribution(
    sample: Callable[[Any, int], Any], count: int
) -> None:
    alarms = 0
    for seed in range(20):
        generator = np.random.default_rng(seed)
        detector = WindowedKS(sample(generator, count), arl=500)
        alarms += len(detector.update_many(sample(generator, 5000)))
    assert 20 * 5000 / 500 / 3 < alarms <= 20 * 5000 / 500


def test_a_longer_run_length_needs_about_its_logarithm_more() -> None:
    thresholds = [WindowedKS(QUIET, arl=arl).threshold for arl in (2, 100, 1e3, 1e5, 1e7)]
    assert thresholds == pytest.approx([1.0, 6.099, 8.6, 13.66, 18.55], abs=0.01)


@pytest.mark.parametrize("arl", [2.0, 10.0, 1e4, 1e7, 1e12])
@pytest.mark.parametrize("count", [20, 1000, 100_000])
def test_the_threshold_is_sane_for_every_reference_and_run_length(count: int, arl: float) -> None:
    for reference in (np.arange(count), np.arange(count) % 2, np.zeros(count)):
        level = WindowedKS(reference, arl=arl).threshold
        assert max(1.0, math.log(arl) - 6.0) <= level < math.log(arl) + 3.0


def test_fewer_cuts_or_windows_need_less() -> None:
    full = WindowedKS(QUIET).threshold
    assert WindowedKS(QUIET, windows=[80]).threshold < full
    assert WindowedKS(QUIET > 0).threshold < full - 1
    assert WindowedKS(QUIET, windows=(300, 20, 80, 80)).threshold == full


@pytest.mark.parametrize(
    ("windows", "error", "message"),
    [
        ([], ValueError, "windows must hold at least one width, got none; leave it out"),
        ([1], ValueError, "windows must be at least 2, got 1; leave it out"),
        ([20, 2.5], TypeError, "windows must be a whole number, got 2.5"),
        ([True], TypeError, "windows must be a whole number, got True"),
    ],
)
def test_windows_are_whole_numbers(windows: Any, error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        WindowedKS(QUIET, windows=windows)


def test_bad_references_and_run_lengths_are_refused() -> None:
    with pytest.raises(ValueError, match="at least 20 finite values, got 19"):
        WindowedKS(np.r_[np.arange(19.0), np.nan])
    with pytest.raises(ValueError, match="reference must have 1 dimension, got 2"):
        WindowedKS(np.zeros((30, 2)))
    with pytest.raises(ValueError, match="arl must be at least 2"):
        WindowedKS(QUIET, arl=1)


def test_the_widths_and_the_reference_are_kept_as_asked() -> None:
    detector = WindowedKS([*QUIET.tolist(), math.nan], windows=(50, 10))
    assert detector.windows == (10, 50)
    assert detector.cuts[-1] == QUIET.max()
