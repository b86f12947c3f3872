"""Tests of significance: is one configuration better, or was it luck?

Every request is served by both, so tests are paired: what counts is how the *same* request fared. Under the
null hypothesis it does not matter which configuration served a block of requests, so blocks are swapped.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from .blocks import Blocks, Floats


def sign_flip(differences: Floats, blocks: Blocks) -> float:
    """The p-value of a sum of paired differences: two-sided, exact for any dependence inside a block.

    ``p = (1 + #{|flipped sum| >= |sum|}) / (1 + resamples)``

    Args:
        differences: Ours less theirs, for each request: float64, shape (requests,); NaN is left out.
        blocks: The blocks of the requests.

    >>> rng = np.random.default_rng(0)
    >>> sign_flip(rng.normal(1.0, 1.0, 200), Blocks(200, seed=0))
    0.0005

    Sources: R. A. Fisher, "The Design of Experiments", 1935, section 21; for the one in both, B. Phipson and
    G. Smyth, "Permutation P-values Should Never Be Zero", 2010.
    """
    sums = blocks.sums(np.nan_to_num(differences, nan=0.0))
    found = abs(float(sums.sum()))
    as_far = np.abs(blocks.flipped(sums)) >= found - 1e-9 * max(1.0, float(np.abs(sums).sum()))
    return float(1 + as_far.sum()) / (1 + blocks.resamples)


def mcnemar(ours: int, theirs: int) -> float:
    """The exact p-value of McNemar's test: two-sided.

    Of the requests on which two configurations disagree, each is as likely to win one as the other.

    Args:
        ours: How many requests only we got right.
        theirs: How many only they did.

    >>> mcnemar(9, 1)
    0.021484375

    Source: Q. McNemar, "Note on the sampling error of the difference between correlated proportions or
    percentages", Psychometrika 12, 1947.
    """
    disagree, fewer = ours + theirs, min(ours, theirs)
    if disagree > 1000:
        # With Edwards's correction for continuity the normal curve is as good as exact.
        z = (max(0, abs(ours - theirs) - 1)) / math.sqrt(disagree)
        return math.erfc(z / math.sqrt(2))
    tail = sum(math.comb(disagree, k) for k in range(fewer + 1))
    return min(1.0, 2 * tail / (1 << disagree))


def binary(ours: Floats, theirs: Floats, blocks: Blocks) -> tuple[float, int, int]:
    """The p-value for zeros and ones, and how many requests only we and only they had as ones.

    The larger of :func:`mcnemar`, which is exact for single requests, and :func:`sign_flip`, which does not
    mistake a cluster of failures for as many pieces of evidence.
    """
    only_ours = int(np.sum((ours == 1) & (theirs == 0)))
    only_theirs = int(np.sum((ours == 0) & (theirs == 1)))
    return (
        max(mcnemar(only_ours, only_theirs), sign_flip(ours - theirs, blocks)),
        only_ours,
        only_theirs,
    )


def holm(p_values: Sequence[float]) -> list[float]:
    """Adjusted p-values: however many are looked at, one that is below 0.05 is luck in 1 of 20 evaluations.

    >>> holm([0.01, 0.04, 0.03])
    [0.03, 0.06, 0.06]

    Source: S. Holm, "A Simple Sequentially Rejective Multiple Test Procedure", Scandinavian Journal of
    Statistics 6, 1979.
    """
    adjusted = [0.0] * len(p_values)
    highest = 0.0
    for rank, index in enumerate(sorted(range(len(p_values)), key=lambda i: p_values[i])):
        highest = max(highest, min(1.0, (len(p_values) - rank) * p_values[index]))
        adjusted[index] = highest
    return adjusted


def jain(shares: Sequence[float]) -> float:
    """Jain's index of fairness: 1 when all have the same, ``1 / n`` when one of *n* has everything.

    ``(sum x) ** 2 / (n * sum x ** 2)``

    >>> jain([1.0, 1.0, 0.0, 0.0])
    0.5

    Source: R. Jain, D. Chiu and W. Hawe, "A Quantitative Measure of Fairness and Discrimination for Resource
    Allocation in Shared Computer Systems", DEC TR-301, 1984.
    """
    squares = sum(x * x for x in shares)
    # Where nobody has anything, nobody has less than another.
    return 1.0 if squares == 0 else sum(shares) ** 2 / (len(shares) * squares)
