"""Categories watched by betting on their recent shares."""

import json
import math
from typing import Any

import numpy as np
import pytest

from resilient_ml.drift import CategoricalShiryaevRoberts


def fee(freedom: int, size: float, arl: float) -> float:
    """What a sample of *size* is paid for being one, by the formula."""
    rare = math.log(arl / 150) if arl > 150 else 0.0
    deviations = (0.8 * rare + 0.15 * rare**2) / math.sqrt(1 + (size / 400) ** 2)
    mean = freedom + 4 * freedom * (freedom / size if freedom < 0.1 * size else 0.1)
    return (mean + deviations * math.sqrt(2 * freedom)) / size / 2


def told(reference: Any, stream: Any, categories: int, **worth: float) -> list[float]:
    """The evidence after each of *stream*, by the formulas and one observation at a time."""
    count = len(reference)
    shown = [list(reference).count(one) for one in range(categories)]
    often = [one for one in range(categories) if shown[one] >= 2]
    twice = 2 * sum(shown[one] == 2 for one in often)
    shares = [(shown[one] - twice / len(often) + 0.5) / (count + len(often) / 2 + 0.5) for one in often]
    shares.append(1.0 - sum(shares))
    freedom = max(1, len(often) - 1 + (sum(shown[one] for one in often) - twice < count))
    taken = 1 + fee(freedom, worth.get("effective_size", count), 1e9) + worth.get("swing", 0.0)
    counts, seldom = np.zeros((2, len(shares))), dict[float, float]()
    wealth, found = np.zeros(3), []
    for value in stream:
        place = often.index(value) if value in often else len(often)
        bets = [
            (20 * shares[place] + one[place]) / (20 + one.sum()) / shares[place] / taken for one in counts
        ]
        again = 0.95
        if place == len(often) and value in seldom and value >= 0:
            most = 3 + (shown[value] if 0 <= value < categories else 0)
            again += 0.05 * seldom[value] / counts[1, place] * count / most
        seldom = {one: 0.99 * held for one, held in seldom.items()}
        if place == len(often):
            seldom[value] = seldom.get(value, 0.0) + 1.0
        counts *= np.array([[0.95], [0.99]])
        counts[:, place] += 1.0
        wealth = (wealth + 1) * [*bets, again]
        found.append(float(wealth @ [0.45, 0.45, 0.1]))
    return found


def tail_of(count: int, seed: int, steepness: float = 1.0) -> Any:
    """Observations of 300 categories, the k-th of which is k times as seldom as the first."""
    shares = 1.0 / np.arange(1, 301) ** steepness
    return np.random.default_rng(seed).choice(300, count, p=shares / shares.sum())


@pytest.mark.parametrize(
    ("reference", "stream"),
    [
        ([0] * 60 + [1] * 30 + [2] * 10, [2, 2, 0, 7, 1, -1, 2, 7, 7, 0, 7]),
        ([0] * 60 + [1] * 30 + [2] * 2 + [3, 5], [2, 3, 3, 0, 5, 4, 4, 9, 1, 3, 0]),
        ([1] * 60 + [2] * 30 + [0], [1, 0, 0, 2, 0, 1, 0]),
        ([0] * 60 + [1] * 30 + [7] * 20, [1, 7, 7, 0, 8, 7, 1, 7]),
        (tail_of(200, 1), tail_of(400, 2)),
        (tail_of(2000, 3), np.append(tail_of(600, 4), [299, 1, 299, 299, 350, 350, -3])),
    ],
)
def test_the_evidence_is_the_formula(reference: Any, stream: Any) -> None:
    categories = 2 if len(reference) == 110 else None  # then 7 is not known, though it is there
    detector = CategoricalShiryaevRoberts(reference, categories=categories, arl=1e9)
    expected = told(reference, np.asarray(stream).tolist(), detector.categories)
    alone = []
    for value in stream:
        detector.update(value)
        alone.append(detector.statistic)
    assert alone == pytest.approx(expected, rel=1e-9)
    assert sum(detector.shares) == pytest.approx(1.0)
    together = CategoricalShiryaevRoberts(reference, categories=categories, arl=1e9)
    for begin in range(0, len(stream), 7):
        together.update_many(stream[begin : begin + 7])
        again = CategoricalShiryaevRoberts.from_state(json.loads(json.dumps(together.state())))
        assert again.state() == together.state()
        together = again
        last = min(begin + 7, len(stream)) - 1
        assert together.statistic == pytest.approx(expected[last], rel=1e-9)


@pytest.mark.parametrize("worth", [{"effective_size": 31.5}, {"swing": 0.125}])
def test_a_reference_that_is_worth_less_and_shares_that_swing_are_paid_for(worth: dict[str, float]) -> None:
    reference, stream = [0] * 60 + [1] * 30 + [2] * 10, [2, 2, 0, 7, 1, -1, 2]
    detector = CategoricalShiryaevRoberts(reference, arl=1e9, **worth)  # type: ignore[arg-type]
    again = CategoricalShiryaevRoberts.from_state(json.loads(json.dumps(detector.state())))
    expected = told(reference, stream, 3, **worth)
    assert expected[-1] < told(reference, stream, 3)[-1]
    for one in (detector, again):
        one.update_many(stream)
        assert one.statistic == pytest.approx(expected[-1], rel=1e-9)


def test_no_reference_is_worth_more_than_it_has() -> None:
    detector = CategoricalShiryaevRoberts([0, 1] * 50, effective_size=1e9)
    assert detector.state() == CategoricalShiryaevRoberts([0, 1] * 50).state()


@pytest.mark.parametrize(
    ("worth", "text"),
    [
        ({"effective_size": 0.5}, "effective_size must be at least 1, got 0.5; pass how many independent"),
        ({"swing": -0.1}, "swing must be at least 0, got -0.1; leave it out"),
    ],
)
def test_what_a_reference_cannot_be_worth_is_refused(worth: dict[str, float], text: str) -> None:
    with pytest.raises(ValueError, match=text):
        CategoricalShiryaevRoberts([0, 1] * 50, **worth)  # type: ignore[arg-type]


@pytest.mark.once
@pytest.mark.parametrize("categories", [2, 5])
@pytest.mark.parametrize(("count", "arl"), [(100, 300), (100, 3000), (300, 1000)])
def test_references_of_any_size_keep_the_promise(count: int, categories: int, arl: int) -> None:
    alarms = 0
    for seed in range(40):
        draw = np.random.default_rng([count, categories, seed]).integers(0, categories, 10_000 + count)
        alarms += len(CategoricalShiryaevRoberts(draw[:count], arl=arl).update_many(draw[count:]))
    assert 0 < alarms <= 40 * 10_000 / arl


@pytest.mark.once
@pytest.mark.parametrize("steepness", [1.0, 2.0])
def test_something_new_out_of_a_long_tail_is_no_change(steepness: float) -> None:
    alarms = 0
    for seed in range(10):
        detector = CategoricalShiryaevRoberts(tail_of(500, seed, steepness), arl=1000)
        alarms += len(detector.update_many(tail_of(10_000, seed + 100, steepness)))
    assert alarms <= 10 * 10_000 / 1000


@pytest.mark.parametrize("surging", [250, 1_000])
def test_one_that_was_seldom_or_unknown_and_comes_again_and_again_is_a_change(surging: int) -> None:
    delays = []
    for seed in range(9):
        detector = CategoricalShiryaevRoberts(tail_of(1000, seed))
        stream = tail_of(1300, seed + 50)
        surge = np.random.default_rng(seed).random(1300) < 0.1
        stream[300:][surge[300:]] = surging
        alarms = detector.update_many(stream)
        delays.append(alarms[0] - 300)
    assert 20 < np.median(delays) < 120


def test_what_is_not_told_apart_may_come_again() -> None:
    detector = CategoricalShiryaevRoberts(np.where(tail_of(1000, 1) < 20, 0, np.arange(1000)), arl=1e5)
    assert not len(detector.update_many(np.where(tail_of(3000, 2) < 20, 0, -1)))


def test_of_what_was_seldom_only_the_latest_is_kept() -> None:
    detector = CategoricalShiryaevRoberts(np.arange(1000), arl=1e12)
    for begin in range(0, 40_000, 1000):
        detector.update_many(1000.0 + np.arange(begin, begin + 1000))  # ids: each comes once
        assert detector.alarms == 0
        assert min(begin + 1000, 2000) <= len(detector.state()["seldom"]) <= 4096
    assert detector.state()["seldom"][-1][0] == 40_999.0


def test_a_category_that_was_never_seen_is_a_change_of_its_own() -> None:
    detector = CategoricalShiryaevRoberts([0, 1] * 500, arl=1000)
    assert detector.update_many([0, 1] * 50 + [9] * 20)[0] < 110
    assert detector.evidence is not None and detector.categories == 2
    assert [part for part, _ in detector.evidence.parts[:3]] in ([9, 0, 1], [9, 1, 0])
    assert detector.evidence.parts[0][1] > 0.9


@pytest.mark.parametrize("unknown", [-3.0, 2.5, 1e6, 1e300])
def test_what_has_no_number_of_its_own_is_named_together(unknown: float) -> None:
    for several in (False, True):
        detector = CategoricalShiryaevRoberts([0, 1] * 500, arl=1000)
        stream = [0, 1] * 50 + [unknown] * 20
        if several:
            detector.update_many(stream)
        else:
            [detector.update(value) for value in stream]
        assert detector.evidence is not None
        assert detector.evidence.parts[0] == (-1, pytest.approx(1.0, abs=0.02))


def test_categories_may_be_more_than_the_reference_shows() -> None:
    detector = CategoricalShiryaevRoberts([0, 1] * 500, categories=5)
    assert len(detector.shares) == 6
    many = CategoricalShiryaevRoberts([0, 1] * 500, categories=100)
    assert [many.update(value) for value in (0, 1, 0)] == [False] * 3
    assert many.seen == 3
    assert sum(detector.shares) == pytest.approx(1.0)


def test_the_evidence_names_what_changed() -> None:
    generator = np.random.default_rng(3)
    detector = CategoricalShiryaevRoberts([0] * 400 + [1] * 300 + [2] * 200 + [3] * 100, arl=2000)
    stream = np.r_[
        generator.choice(4, 300, p=[0.4, 0.3, 0.2, 0.1]), generator.choice(4, 60, p=[0.4, 0.1, 0.2, 0.3])
    ]
    assert len(detector.update_many(stream)) == 1
    evidence = detector.evidence
    assert evidence is not None
    assert {category for category, _ in evidence.parts[:2]} == {1, 3}
    assert dict(evidence.parts)[3] > 0 > dict(evidence.parts)[1]
    assert 0.05 < evidence.effect < 0.5
    assert abs(evidence.since - (evidence.at - 300)) < 25


@pytest.mark.once
def test_false_alarms_are_as_rare_as_promised() -> None:
    alarms = 0
    for seed in range(10):
        generator = np.random.default_rng(seed)
        shares = generator.dirichlet(np.ones(6))
        detector = CategoricalShiryaevRoberts(generator.choice(6, 1000, p=shares), arl=1000)
        detector.update_many(generator.choice(6, 10_000, p=shares))
        alarms += detector.alarms
    assert 0 < alarms <= 10 * 10_000 / 1000


@pytest.mark.parametrize("reference", [[0] * 19, np.zeros((30, 2)), [0.0] * 30 + [float("nan")]])
def test_a_reference_that_tells_too_little_is_refused(reference: Any) -> None:
    with pytest.raises(ValueError, match="at least 20 finite categories"):
        CategoricalShiryaevRoberts(reference)


def test_the_number_of_categories_is_at_least_one() -> None:
    with pytest.raises(ValueError, match="categories must be at least 1"):
        CategoricalShiryaevRoberts([0] * 20, categories=0)


def test_evidence_tells_when_and_how_far_the_shares_moved_beyond_chance() -> None:
    detector = CategoricalShiryaevRoberts(np.repeat([0, 1, 2, 3], 500), arl=1e6)
    quiet = np.random.default_rng(4).integers(0, 4, 2000)
    assert len(detector.update_many(quiet)) == 0
    moved = next(count for count in range(1, 200) if detector.update(0))
    evidence = detector.evidence
    assert evidence is not None
    assert moved <= evidence.since <= moved + 2  # the last quiet ones may have been 0 too
    chance = 4 * math.sqrt(2 * 3 / 16 / math.pi / evidence.since) / 2
    assert evidence.effect == pytest.approx(0.75 - chance, abs=0.02)
    assert evidence.parts[0] == (0, pytest.approx(0.75, abs=0.02))


def test_of_many_categories_the_ten_that_moved_most_are_told() -> None:
    detector = CategoricalShiryaevRoberts(np.repeat(np.arange(30), 40), arl=1000)
    detector.update_many(np.repeat(np.arange(15), 40))
    assert detector.evidence is not None and len(detector.evidence.parts) == 10


@pytest.mark.parametrize("count", [20, 100, 1000])
def test_one_category_for_ever_is_quiet(count: int) -> None:
    detector = CategoricalShiryaevRoberts([0] * count)
    assert not len(detector.update_many(np.zeros(40_000)))
    assert len(detector.update_many(np.ones(50))) > 0


@pytest.mark.parametrize("far", [1e6, 1e15, 1e99])
def test_an_id_is_no_category(far: float) -> None:
    reference = [0.0, 1.0] * 20 + [far]
    with pytest.raises(ValueError, match=r"categories below 1,000,000, got 1e\+.*number them from 0"):
        CategoricalShiryaevRoberts(reference)
    assert CategoricalShiryaevRoberts(reference, categories=2).categories == 2
