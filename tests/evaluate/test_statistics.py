"""The statistics keep their promises on simulated data, whose truth is known.

Each figure is the share of fixed, seeded simulations: it never changes, and the bounds say how good it is.
"""

import math

import numpy as np
import pytest

from resilient_ml.evaluate import intervals, significance
from resilient_ml.evaluate.blocks import Blocks

RUNS = 200


def independent(rng, n):
    """One request in ten fails, each by itself."""
    return (rng.random(n) < 0.9).astype(float)


def clustered(rng, n):
    """One request in ten fails, eight in a row on average."""
    values, at = np.ones(n), 0
    while at < n:
        at += rng.geometric(0.1 / 8 / 0.9)
        length = rng.geometric(1 / 8)
        values[at : at + length] = 0
        at += length
    return values


def waits(rng, n):
    return rng.lognormal(0.0, 1.0, n)


def coverage(measure, truth, draw, n):
    """How often the 95 % interval holds the truth."""
    held = 0
    for seed in range(RUNS):
        found = measure(draw(np.random.default_rng(seed), n), Blocks(n, seed=seed, resamples=399))
        held += found.low <= truth <= found.high
    return held / RUNS


def false_alarms(test, draw, n):
    """How often two runs of the same kind are told apart, at 5 %."""
    alarms = 0
    for seed in range(RUNS):
        rng = np.random.default_rng(seed)
        alarms += test(draw(rng, n), draw(rng, n), Blocks(n, seed=seed, resamples=399)) <= 0.05
    return alarms / RUNS


@pytest.mark.parametrize("n", [200, 1000])
def test_the_interval_of_a_share_holds_the_truth_where_failures_are_independent(n):
    assert 0.92 <= coverage(intervals.share, 0.9, independent, n) <= 0.99


def test_the_interval_of_a_share_holds_the_truth_where_failures_come_in_clusters():
    assert coverage(intervals.share, 0.9, clustered, 2000) >= 0.91


def test_single_requests_would_not():
    def by_request(values, blocks):
        blocks.starts = np.arange(blocks.requests)
        blocks.sizes, blocks.strata = np.ones_like(blocks.starts), np.zeros_like(blocks.starts)
        return intervals.share(values, blocks)

    assert coverage(by_request, 0.9, clustered, 2000) <= 0.7


@pytest.mark.parametrize("n", [200, 1000])
def test_the_interval_of_a_mean_holds_the_truth(n):
    assert 0.89 <= coverage(intervals.mean, math.exp(0.5), waits, n) <= 0.99


@pytest.mark.parametrize(("q", "z"), [(0.5, 0.0), (0.95, 1.6449), (0.99, 2.3263)])
def test_the_interval_of_a_quantile_holds_the_truth(q, z):
    def measure(values, blocks):
        return intervals.quantile(values, q, blocks)

    assert 0.92 <= coverage(measure, math.exp(z), waits, 1000) <= 0.99


@pytest.mark.parametrize("n", [100, 1000])
@pytest.mark.parametrize("draw", [waits, lambda rng, n: rng.normal(size=n)], ids=["heavy tail", "normal"])
def test_swapping_blocks_tells_equal_runs_apart_in_one_of_twenty(draw, n):
    def test(ours, theirs, blocks):
        return significance.sign_flip(ours - theirs, blocks)

    assert 0.01 <= false_alarms(test, draw, n) <= 0.09


def test_the_test_of_shares_is_not_fooled_by_clusters_and_mcnemar_alone_is():
    def binary(ours, theirs, blocks):
        return significance.binary(ours, theirs, blocks)[0]

    def mcnemar(ours, theirs, _):
        return significance.mcnemar(int(np.sum(ours > theirs)), int(np.sum(ours < theirs)))

    assert false_alarms(binary, clustered, 2000) <= 0.1
    assert false_alarms(mcnemar, clustered, 2000) >= 0.4
    assert false_alarms(binary, independent, 500) <= 0.07


def test_a_real_difference_is_found():
    rng = np.random.default_rng(0)
    theirs = independent(rng, 500)
    ours = np.where(rng.random(500) < 0.8, 1.0, theirs)  # four of five failures are saved
    p, only_ours, only_theirs = significance.binary(ours, theirs, Blocks(500, seed=0))
    assert p < 0.001
    assert only_ours > 30
    assert only_theirs == 0


# -- what each of them says, by hand


def test_blocks_are_about_as_many_as_they_are_long():
    sizes = [Blocks(n, seed=0).sizes.tolist() for n in (1, 2, 10)]
    assert sizes == [[1], [2], [4, 3, 3]]
    assert Blocks(10_000, seed=0).sizes.tolist() == [100] * 100


def test_blocks_of_a_stratum_stay_in_it_and_are_drawn_from_it():
    strata = np.array([0] * 9 + [1] * 4 + [0] * 7)
    blocks = Blocks(20, seed=0, resamples=50, strata=strata)
    assert blocks.starts.tolist() == [0, 3, 6, 9, 11, 13, 17]
    assert blocks.strata.tolist() == [0, 0, 0, 1, 1, 0, 0]
    assert blocks.freedom == 5
    assert blocks.means(strata * 1.0) == pytest.approx(0.2)
    for index in range(50):
        numbers = blocks.resample(index)
        assert np.isin(numbers, range(9, 13)).sum() == 4
        assert np.array_equal(np.unique(blocks.swapped(index)[9:11]), blocks.swaps[index, 3:4])


def test_a_planned_outage_is_no_doubt_about_a_share():
    strata = np.array([0] * 400 + [1] * 200 + [0] * 400)
    values = 1.0 - strata
    planned = intervals.share(values, Blocks(1000, seed=0, strata=strata))
    surprise = intervals.share(values, Blocks(1000, seed=0))
    assert 0.77 < planned.low < 0.8 < planned.high < 0.83
    assert surprise.high - surprise.low > 3 * (planned.high - planned.low)
    blocks = Blocks(1000, seed=0, strata=strata)
    assert intervals.difference(blocks.means(np.ones(1000)), blocks.means(values), 0.2, blocks) == (
        0.2,
        pytest.approx(0.2),
        pytest.approx(0.2),
    )
    p, only_ours, only_theirs = significance.binary(np.ones(1000), values, blocks)
    assert (p <= 0.01, only_ours, only_theirs) == (True, 200, 0)


def test_a_resample_draws_as_many_blocks_as_there_are():
    blocks = Blocks(100, seed=3, resamples=50)
    assert [len(blocks.resample(index)) for index in range(50)] == [100] * 50
    assert blocks.means(np.ones(100)).tolist() == [1.0] * 50
    assert np.abs(blocks.flipped(np.ones(blocks.count))).max() <= blocks.count
    values = np.arange(100.0)
    assert blocks.means(values).tolist() == Blocks(100, seed=3, resamples=50).means(values).tolist()
    assert blocks.means(values).mean() == pytest.approx(values.mean(), abs=15)


def test_a_share_of_one_has_an_upper_end_of_one_and_still_a_doubt():
    found = intervals.share(np.ones(100), Blocks(100, seed=0))
    assert (found.value, found.high) == (1.0, 1.0)
    assert 0.94 < found.low < 1.0
    none = intervals.share(np.zeros(100), Blocks(100, seed=0))
    assert (none.value, none.low) == (0.0, 0.0)
    assert 0.0 < none.high < 0.06


def test_one_request_has_a_wide_interval_and_no_failure():
    found = intervals.share(np.ones(1), Blocks(1, seed=0))
    assert found.low < 0.3
    assert intervals.mean(np.array([2.0]), Blocks(1, seed=0)) == (2.0, 2.0, 2.0)


def test_what_nobody_knows_is_left_out():
    values = np.array([1.0, np.nan, 0.0, 1.0, np.nan, 1.0])
    blocks = Blocks(6, seed=0)
    assert intervals.share(values, blocks).value == 0.75
    assert intervals.mean(values, blocks).value == 0.75
    assert intervals.quantile(values, 0.5, blocks).value == 1.0


def test_of_nothing_there_is_no_number():
    nothing = np.full(4, np.nan)
    blocks = Blocks(4, seed=0)
    for found in (
        intervals.share(nothing, blocks),
        intervals.mean(nothing, blocks),
        intervals.quantile(nothing, 0.5, blocks),
    ):
        assert all(math.isnan(number) for number in found)
    assert np.isnan(intervals.quantiles(nothing, 0.5, blocks)).all()


def test_a_stratum_of_which_nothing_is_known_counts_for_nothing():
    strata = np.array([0, 0, 0, 0, 1, 1, 1, 1])
    values = np.array([1.0, 0.0, 1.0, 0.0, *[np.nan] * 4])
    assert intervals.share(values, Blocks(8, seed=0, strata=strata)).value == 0.5
    assert intervals.mean(values, Blocks(8, seed=0, strata=strata)) == (0.5, 0.5, 0.5)


def test_a_quantile_is_one_of_the_values():
    values = np.array([3.0, 1.0, 2.0, 4.0])
    blocks = Blocks(4, seed=0)
    found = [intervals.quantile(values, q, blocks).value for q in (0.25, 0.5, 0.51, 0.99, 1.0)]
    assert found == [1.0, 2.0, 3.0, 4.0, 4.0]


def test_an_interval_is_scaled_as_a_whole():
    assert intervals.Interval(1.0, 0.5, 2.0).scaled(10.0) == (10.0, 5.0, 20.0)


@pytest.mark.parametrize(
    ("level", "freedom", "table"), [(0.95, 5, 2.571), (0.95, 30, 2.042), (0.99, 10, 3.169), (0.9, 20, 1.725)]
)
def test_students_quantiles_are_those_of_the_tables(level, freedom, table):
    assert intervals.student(level, freedom) == pytest.approx(table, rel=0.01)


@pytest.mark.parametrize(
    ("ours", "theirs", "p"),
    [(0, 0, 1.0), (5, 5, 1.0), (1, 0, 1.0), (6, 0, 2 / 64), (0, 6, 2 / 64), (10, 2, 0.03857)],
)
def test_mcnemar_is_exact_for_few_requests(ours, theirs, p):
    assert significance.mcnemar(ours, theirs) == pytest.approx(p, rel=1e-3)


def test_mcnemar_of_many_is_as_good_as_exact():
    exact = significance.mcnemar(530, 470)
    near = significance.mcnemar(531, 470)
    assert near == pytest.approx(exact, rel=0.1)
    assert significance.mcnemar(600, 600) == 1.0


def test_equal_runs_have_no_difference_to_test():
    assert significance.sign_flip(np.zeros(50), Blocks(50, seed=0)) == 1.0
    assert significance.sign_flip(np.full(50, np.nan), Blocks(50, seed=0)) == 1.0


def test_holm_adjusts_and_keeps_the_order():
    assert significance.holm([]) == []
    assert significance.holm([0.5, 0.9]) == [1.0, 1.0]
    assert significance.holm([0.001, 0.5]) == [0.002, 0.5]


def test_jain_of_nothing_for_anybody_is_fair():
    assert significance.jain([0.0, 0.0]) == 1.0
    assert significance.jain([1.0, 0.0, 0.0, 0.0]) == 0.25
