"""Distances between samples: as others define them, nothing by chance, and clear where there is a shift."""

import math

import numpy as np
import pytest

from resilient_ml.drift.distances import chi_square, jensen_shannon, ks, mmd, psi, wasserstein

stats = pytest.importorskip("scipy.stats")


def normal(count, mean=0.0, seed=0, spread=1.0):
    return np.random.default_rng(seed).normal(mean, spread, count)


BY_BINS = [psi, jensen_shannon]
OF_NUMBERS = [psi, jensen_shannon, ks, wasserstein]


@pytest.mark.once
@pytest.mark.parametrize("distance", OF_NUMBERS)
def test_by_chance_there_is_next_to_nothing(distance):
    found = [distance(normal(400, seed=2 * seed), normal(150, seed=2 * seed + 1)) for seed in range(150)]
    assert 0.01 <= np.mean([one.p_value < 0.05 for one in found]) <= 0.1
    assert 0.3 <= np.mean([one.p_value < 0.5 for one in found]) <= 0.7
    chance = np.mean([one.value - one.excess for one in found if one.excess])
    assert abs(np.mean([one.value for one in found]) - chance) < 0.35 * chance


@pytest.mark.parametrize("distance", OF_NUMBERS)
@pytest.mark.parametrize("changed", [normal(300, 0.6, 9), normal(300, 0.0, 9, 2.0)], ids=["level", "spread"])
def test_a_change_is_clear(distance, changed):
    found = distance(normal(1000), changed)
    assert found.p_value < 0.01
    assert 0 < found.excess < found.value


def test_ks_is_scipys():
    one, other = normal(300), normal(200, 0.2, 1)
    found, known = ks(one, other), stats.ks_2samp(one, other, method="asymp")
    assert found.value == pytest.approx(known.statistic)
    assert found.p_value == pytest.approx(known.pvalue, rel=0.25)
    assert ks(one, one).p_value == 1.0
    assert ks([0.0, 0.0, 1.0], [0.0, 0.0, 1.0]).value == 0.0


def test_wasserstein_is_scipys_in_standard_deviations():
    one, other = normal(300) * 7, normal(200, 0.3, 1) * 7
    assert wasserstein(one, other).value == pytest.approx(stats.wasserstein_distance(one, other) / one.std())
    assert wasserstein(one, one + 14).value == pytest.approx(14 / one.std())


@pytest.mark.parametrize("shares", [(0.5, 0.5), (0.6, 0.4), (0.9, 0.1)])
def test_chi_square_is_scipys(shares):
    draw = np.random.default_rng(1)
    one, other = draw.choice(["a", "b"], 300), draw.choice(["a", "b"], 200, p=shares)
    table = [[(side == name).sum() for name in ("a", "b")] for side in (one, other)]
    known = stats.chi2_contingency(table, correction=False)
    found = chi_square(list(one), list(other))
    assert found.value == pytest.approx(math.sqrt(known.statistic / 500))
    assert found.p_value == pytest.approx(known.pvalue, abs=0.02)


def test_chi_square_of_many_classes_and_of_one():
    draw = np.random.default_rng(1)
    one, other = draw.integers(0, 20, 2000).tolist(), draw.integers(0, 20, 500).tolist()
    table = [np.bincount(side, minlength=20) for side in (one, other)]
    assert chi_square(one, other).p_value == pytest.approx(stats.chi2_contingency(table).pvalue, abs=0.01)
    assert chi_square(["a"] * 10, ["a"] * 5) == chi_square(["b"] * 10, ["b"] * 5)
    assert chi_square(["a"], ["a"]).p_value == 1.0
    with pytest.raises(ValueError, match="reference and current must hold at least one class each"):
        chi_square([], ["a"])


def test_psi_is_what_its_name_says():
    found = psi([0.0] * 50 + [1.0] * 50, [0.0] * 80 + [1.0] * 20, bins=2)
    p, q = np.array([50.5, 50.5]) / 101, np.array([80.5, 20.5]) / 101
    assert found.value == pytest.approx(float(((q - p) * np.log(q / p)).sum()))


def test_jensen_shannon_is_one_bit_for_what_has_nothing_in_common():
    found = jensen_shannon(np.arange(5000.0), np.arange(5000.0) + 1e6)
    assert 0.6 < found.value <= 1.0
    one, other = np.array([0.0, 1.0] * 500), np.array([0.0, 0.0, 0.0, 1.0] * 250)
    p, q = (np.array([250.5 + 250, 500.5]) / 1001, np.array([750.5, 250.5]) / 1001)
    known = stats.entropy([*(p + q) / 2], base=2) - (stats.entropy(p, base=2) + stats.entropy(q, base=2)) / 2
    assert jensen_shannon(one, other, bins=2).value == pytest.approx(known, rel=1e-3)


def test_what_is_not_finite_is_left_out():
    one = np.r_[normal(300), math.nan, math.inf]
    for distance in OF_NUMBERS:
        assert distance(one, normal(200, seed=1)) == distance(one[:300], normal(200, seed=1))


def test_mmd_sees_what_no_single_feature_shows():
    draw = np.random.default_rng(1)
    one = draw.normal(size=(300, 2))
    turned = draw.multivariate_normal([0, 0], [[1, 0.9], [0.9, 1]], 200)
    assert mmd(one, turned).p_value < 0.01
    alike = [
        mmd(draw.normal(size=(60, 3)), draw.normal(size=(40, 3)), seed=seed).p_value for seed in range(60)
    ]
    assert np.mean([one < 0.05 for one in alike]) <= 0.15
    assert 0.3 < np.mean([one < 0.5 for one in alike]) < 0.7


def test_mmd_is_the_unbiased_estimate():
    draw = np.random.default_rng(1)
    one, other = draw.normal(size=(7, 2)), draw.normal(1.0, size=(5, 2))
    rows = np.concatenate([one, other])
    gaps = np.array([np.square(a - b).sum() for a in rows for b in rows]).reshape(12, 12)
    kernel = np.exp(-gaps / np.median([gaps[a, b] for a in range(12) for b in range(a + 1, 12)]))
    inside = sum(kernel[a, b] for a in range(7) for b in range(7) if a != b) / 42
    rest = sum(kernel[a, b] for a in range(7, 12) for b in range(7, 12) if a != b) / 20
    assert mmd(one, other).value == pytest.approx(inside + rest - 2 * kernel[:7, 7:].mean())
    assert mmd(np.zeros((3, 2)), np.zeros((4, 2))).p_value == 1.0


@pytest.mark.once
def test_mmd_of_many_rows_is_that_of_some():
    draw = np.random.default_rng(1)
    assert mmd(draw.normal(size=(3000, 2)), draw.normal(0.5, size=(1500, 2))).p_value < 0.01


@pytest.mark.parametrize(
    ("call", "text"),
    [
        (lambda: psi([1.0], [1.0, 2.0]), "reference must hold at least 2 finite numbers, got 1"),
        (lambda: ks([1.0, 2.0], [math.nan] * 9), "current must hold at least 2 finite numbers, got 0"),
        (lambda: psi([1.0, 2.0], [1.0, 2.0], bins=1), "bins must be at least 2, got 1"),
        (lambda: wasserstein([1.0, 1.0], [1.0, 2.0]), "reference must not be all equal"),
        (
            lambda: mmd([1.0, 2.0], [[1.0], [2.0]]),
            "reference must hold at least 2 finite rows, got shape (2,)",
        ),
        (lambda: mmd([[1.0], [2.0]], [[math.nan], [2.0]]), "current must hold at least 2 finite rows"),
        (
            lambda: mmd([[1.0], [2.0]], [[1.0, 2.0], [2.0, 3.0]]),
            "current must have 1 features as reference has, got 2",
        ),
    ],
)
def test_what_cannot_be_compared_is_refused(call, text):
    with pytest.raises(ValueError, match="must") as caught:
        call()
    assert text in str(caught.value)
