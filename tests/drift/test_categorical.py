"""Categories watched by betting on their recent shares."""

import math
from typing import Any

import numpy as np
import pytest

from resilient_ml.drift import CategoricalShiryaevRoberts


def test_the_evidence_is_the_formula() -> None:
    reference = [0] * 60 + [1] * 30 + [2] * 10
    shares = (np.array([60, 30, 10, 0]) + 0.5) / 102
    detector = CategoricalShiryaevRoberts(reference, arl=1e9)
    counts = {0.05: np.zeros(4), 0.01: np.zeros(4)}
    wealth = np.zeros(2)
    for category in (2, 2, 0, 7, 1, -1, 2):
        place = category if category in {0, 1, 2} else 3
        bets = [
            (20 * shares[place] + one[place]) / (20 + one.sum()) / shares[place] / (1 + 1.5 * 2 / 100)
            for one in counts.values()
        ]
        wealth = (wealth + 1) * bets
        for rate, one in counts.items():
            counts[rate] = one * (1 - rate) + np.eye(4)[place]
        detector.update(category)
        assert detector.statistic == pytest.approx(wealth.mean())


def test_a_category_that_was_never_seen_is_a_change_of_its_own() -> None:
    detector = CategoricalShiryaevRoberts([0, 1] * 500, arl=1000)
    assert detector.update_many([0, 1] * 50 + [9] * 20)[0] < 110
    assert detector.evidence is not None
    assert detector.evidence.parts[0][0] == detector.categories == 2


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
