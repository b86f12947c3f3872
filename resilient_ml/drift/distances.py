"""How far two samples are apart: numbers for a report, each with what chance alone would show.

Every two samples differ. A population stability index of 0.1 is alarming between samples of ten thousand and
usual between samples of a hundred, whatever their bins. So each distance comes with its *excess* over what
two samples of these sizes from one and the same source have on average, and with the probability that chance
brings so large a distance. For alarms on a stream use a detector: a p-value looked at every hour is below
0.05 once a day.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from .._checks import whole
from .detector import Floats

PERMUTATIONS = 200
LARGEST = 1000
"""Rows that :func:`mmd` compares at most: its cost grows with their square."""


@dataclass(frozen=True, slots=True)
class Distance:
    """How far two samples are apart.

    Attributes:
        value: The distance, as its name is defined.
        excess: What of it is left when what chance shows on average is taken off; 0 where nothing is.
        p_value: The probability of a distance as large between two samples of one source.
    """

    value: float
    excess: float
    p_value: float


def psi(reference: npt.ArrayLike, current: npt.ArrayLike, *, bins: int = 10) -> Distance:
    """The population stability index: ``sum((q - p) * ln(q / p))`` over bins of equal shares of *reference*.

    Half an observation is added to each bin, so that none is empty. By chance it is ``(K - 1)(1/n + 1/m)`` on
    average, and that much times a chi-square with ``K - 1`` degrees of freedom over ``K - 1``.

    Args:
        reference: Numbers of quiet times, shape (n,); those that are not finite are left out, here and below.
        current: Numbers to compare, shape (m,).
        bins: How many bins, from 2; equal values may make them fewer.

    >>> draw = np.random.default_rng(0).normal
    >>> one, other = psi(draw(size=1000), draw(size=250)), psi(draw(size=1000), draw(0.5, size=250))
    >>> one.p_value > 0.05, other.p_value < 0.001
    (True, True)

    Source: B. Yurdakul, "Statistical Properties of Population Stability Index", Western Michigan University,
    2018.
    """
    p, q, n, m = _shares(reference, current, bins)
    return _chi_square_like(float(((q - p) * np.log(q / p)).sum()), len(p) - 1, 1 / n + 1 / m)


def jensen_shannon(reference: npt.ArrayLike, current: npt.ArrayLike, *, bins: int = 10) -> Distance:
    """The Jensen-Shannon divergence over the same bins, in bits: 0 for equal shares, 1 for disjoint ones.

    Args:
        reference: Numbers of quiet times, shape (n,).
        current: Numbers to compare, shape (m,).
        bins: How many bins, from 2.

    Source: J. Lin, "Divergence Measures Based on the Shannon Entropy", IEEE Transactions on Information
    Theory 37(1), 1991.
    """
    p, q, n, m = _shares(reference, current, bins)
    middle = (p + q) / 2
    value = float((p * np.log2(p / middle) + q * np.log2(q / middle)).sum()) / 2
    return _chi_square_like(value, len(p) - 1, (1 / n + 1 / m) / (8 * math.log(2)))


def chi_square(reference: Sequence[Any], current: Sequence[Any]) -> Distance:
    """Whether classes come in other shares: the value is Cramer's V, 0 for equal shares and at most 1.

    Args:
        reference: Classes of quiet times, anything with a hash.
        current: Classes to compare.

    >>> chi_square(["a"] * 50 + ["b"] * 50, ["a"] * 20 + ["b"] * 80).p_value < 0.001
    True

    Source: K. Pearson, Philosophical Magazine 50, 1900; H. Cramer, "Mathematical Methods of Statistics",
    1946.
    """
    one, other = list(reference), list(current)
    if not one or not other:
        raise ValueError("reference and current must hold at least one class each; pass what was predicted")
    places = {name: at for at, name in enumerate(dict.fromkeys([*one, *other]))}
    counts = np.array(
        [np.bincount([places[name] for name in side], minlength=len(places)) for side in (one, other)],
        dtype=np.float64,
    )
    total = counts.sum()
    expected = counts.sum(axis=1, keepdims=True) * counts.sum(axis=0) / total
    statistic = float((np.square(counts - expected) / expected).sum())
    freedom = len(places) - 1
    value, chance = math.sqrt(statistic / total), math.sqrt(freedom / total)
    return Distance(value, max(0.0, value - chance), _chi_square_tail(statistic, freedom))


def ks(reference: npt.ArrayLike, current: npt.ArrayLike) -> Distance:
    """The Kolmogorov-Smirnov distance: the largest gap between the two empirical distributions, 0 to 1.

    Args:
        reference: Numbers of quiet times, shape (n,).
        current: Numbers to compare, shape (m,).

    Source: N. Smirnov, Annals of Mathematical Statistics 19, 1948.
    """
    one, other = np.sort(_finite("reference", reference)), np.sort(_finite("current", current))
    places = np.concatenate([one, other])
    gaps = np.searchsorted(one, places, "right") / len(one) - np.searchsorted(other, places, "right") / len(
        other
    )
    value = float(np.abs(gaps).max())
    size = math.sqrt(len(one) * len(other) / (len(one) + len(other)))
    chance = math.sqrt(math.pi / 2) * math.log(2) / size
    return Distance(value, max(0.0, value - chance), _kolmogorov_tail(value * size))


def wasserstein(reference: npt.ArrayLike, current: npt.ArrayLike, *, seed: int = 0) -> Distance:
    """The Wasserstein distance, or earth mover's, in standard deviations of *reference*.

    What chance shows is found by dealing all numbers into two samples of these sizes, 200 times.

    Args:
        reference: Numbers of quiet times, shape (n,), not all equal.
        current: Numbers to compare, shape (m,).
        seed: Chooses the deals.

    Source: L. Ruschendorf, "Wasserstein metric", Encyclopedia of Mathematics, 2001.
    """
    one, other = _finite("reference", reference), _finite("current", current)
    spread = float(one.std())
    if not spread:
        raise ValueError("reference must not be all equal, as its spread is the unit; compare means instead")
    deal = np.random.default_rng(seed)
    every = np.concatenate([one, other])

    def dealt() -> float:
        shuffled = deal.permutation(every)
        return _transport(shuffled[: len(one)], shuffled[len(one) :])

    return _by_dealing(_transport(one, other), dealt, 1 / spread)


def mmd(reference: npt.ArrayLike, current: npt.ArrayLike, *, seed: int = 0) -> Distance:
    """The squared maximum mean discrepancy between rows, by a Gaussian kernel of their median distance.

    It sees any difference of distributions, of embeddings and of many features. Of more than 1000 rows a side
    1000 are drawn. What chance shows is found by dealing all rows into two samples, 200 times.

    Args:
        reference: Rows of quiet times, float64, shape (n, features), at least 2.
        current: Rows to compare, shape (m, features), at least 2.
        seed: Chooses the draws and the deals.

    Source: A. Gretton et al., "A Kernel Two-Sample Test", JMLR 13, 2012.
    """
    generator = np.random.default_rng(seed)
    sides = [_rows(name, side, generator) for name, side in (("reference", reference), ("current", current))]
    if sides[0].shape[1] != sides[1].shape[1]:
        raise ValueError(
            f"current must have {sides[0].shape[1]} features as reference has, got {sides[1].shape[1]}"
        )
    rows, n = np.concatenate(sides), len(sides[0])
    squares = np.square(rows).sum(axis=1)
    distances = np.maximum(squares[:, None] + squares[None, :] - 2 * rows @ rows.T, 0.0)
    middle = float(np.median(distances[np.triu_indices(len(rows), 1)]))
    kernel = np.exp(-distances / (middle or 1.0))
    np.fill_diagonal(kernel, 0.0)

    def between(first: npt.NDArray[np.bool_]) -> float:
        sums = first.astype(np.float64) @ kernel
        inside, across = float(sums[first].sum()), float(sums[~first].sum())
        rest = float(kernel.sum()) - inside - 2 * across
        m = len(rows) - n
        return inside / (n * (n - 1)) + rest / (m * (m - 1)) - 2 * across / (n * m)

    first = np.arange(len(rows)) < n
    return _by_dealing(between(first), lambda: between(generator.permutation(first)), 1.0)


def _by_dealing(found: float, dealt: Callable[[], float], unit: float) -> Distance:
    by_chance = [dealt() for _ in range(PERMUTATIONS)]
    larger = sum(one >= found for one in by_chance)
    chance = math.fsum(by_chance) / PERMUTATIONS
    return Distance(found * unit, max(0.0, found - chance) * unit, (larger + 1) / (PERMUTATIONS + 1))


def _transport(one: Floats, other: Floats) -> float:
    """The area between the two empirical distributions."""
    one, other = np.sort(one), np.sort(other)
    places = np.sort(np.concatenate([one, other]))
    share = np.searchsorted(one, places[:-1], "right") / len(one)
    share -= np.searchsorted(other, places[:-1], "right") / len(other)
    return float((np.abs(share) * np.diff(places)).sum())


def _shares(reference: npt.ArrayLike, current: npt.ArrayLike, bins: int) -> tuple[Floats, Floats, int, int]:
    """The shares of both in bins of the reference, half an observation added to each, and their sizes."""
    whole("bins", bins, at_least=2, remedy="pass 10, say")
    one, other = _finite("reference", reference), _finite("current", current)
    edges = np.unique(np.quantile(one, np.linspace(0.0, 1.0, bins + 1)[1:-1]))
    counts = (
        np.bincount(np.searchsorted(edges, side, "right"), minlength=len(edges) + 1) for side in (one, other)
    )
    p, q = ((count + 0.5) / (count.sum() + len(count) / 2) for count in counts)
    return p, q, len(one), len(other)


def _finite(name: str, given: npt.ArrayLike) -> Floats:
    values = np.asarray(given, dtype=np.float64).reshape(-1)
    values = values[np.isfinite(values)]
    if len(values) < 2:
        raise ValueError(f"{name} must hold at least 2 finite numbers, got {len(values)}; collect more")
    return values


def _rows(name: str, given: npt.ArrayLike, draw: np.random.Generator) -> Floats:
    rows = np.asarray(given, dtype=np.float64)
    if rows.ndim != 2 or len(rows) < 2 or not np.isfinite(rows).all():
        raise ValueError(
            f"{name} must hold at least 2 finite rows, got shape {rows.shape}; pass (rows, features)"
        )
    return rows if len(rows) <= LARGEST else rows[draw.permutation(len(rows))[:LARGEST]]


def _chi_square_like(value: float, freedom: int, scale: float) -> Distance:
    """A distance that by chance is *scale* times a chi-square."""
    return Distance(value, max(0.0, value - freedom * scale), _chi_square_tail(value / scale, freedom))


def _chi_square_tail(statistic: float, freedom: int) -> float:
    """The probability of more than *statistic*, by E. B. Wilson and M. M. Hilferty, PNAS 17, 1931."""
    if freedom < 1:
        return 1.0
    spread = 2.0 / (9.0 * freedom)
    far = ((max(statistic, 0.0) / freedom) ** (1 / 3) - (1.0 - spread)) / math.sqrt(spread)
    return 0.5 * math.erfc(far / math.sqrt(2.0))


def _kolmogorov_tail(far: float) -> float:
    """The probability of more than *far*, in the limit of large samples."""
    if far < 0.2:
        return 1.0
    terms = ((-1) ** (k - 1) * math.exp(-2.0 * (k * far) ** 2) for k in range(1, 101))
    return min(1.0, max(0.0, 2.0 * math.fsum(terms)))
