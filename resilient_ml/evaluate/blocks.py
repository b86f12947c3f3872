"""Blocks of consecutive requests: what is resampled, because failures come in clusters.

A stall fails a dozen requests in a row. Drawing requests one by one would count that as a dozen pieces of
evidence and make every interval too narrow and every test too eager. So the requests are cut, in the order of
their arrival, into blocks of about ``sqrt(n)``, and whole blocks are drawn (a bootstrap) or swapped between
two runs (a permutation). That is longer than the usual ``n ** (1/3)``: with independent requests it costs
little, and on clusters of eight failures it holds a test of 5 % at 6 to 12 %, where ``n ** (1/3)`` gave 16 to
22 %, and single requests 50 to 60 %.

What a fault plan does at planned times is no luck, but part of the question. So requests within its windows
and requests outside of them are *strata*: blocks do not cross from one to the other, and each is drawn from
its own. Intervals and tests then speak of this plan with other luck, and not of other plans.

Sources: E. Carlstein, "The Use of Subseries Values for Estimating the Variance of a General Statistic from a
Stationary Sequence", Annals of Statistics 14, 1986; for strata, W. Cochran, "Sampling Techniques", 1977,
chapter 5.
"""

from __future__ import annotations

import itertools
import math
from functools import cached_property

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]
Whole = npt.NDArray[np.intp]


class Blocks:
    """The blocks of *requests* consecutive requests, and how they are drawn.

    Args:
        requests: How many there are, from 1.
        seed: The same seed draws the same blocks, in every run that is compared.
        resamples: How many times; 1999 puts the ends of a 95 % interval on whole ranks.
        strata: A whole number for each request, in order: which stratum it is in; None for one in all.

    Attributes:
        starts: The number of the first request of each block.
        sizes: How many requests are in each block.
        strata: Which stratum each block is in.

    >>> blocks = Blocks(1000, seed=0)
    >>> blocks.count, int(blocks.sizes[0])
    (32, 32)
    >>> Blocks(4, seed=0).sums(np.array([1.0, 2, 3, 4])).tolist()
    [3.0, 7.0]
    >>> Blocks(6, seed=0, strata=np.array([0, 0, 0, 0, 1, 0])).starts.tolist()
    [0, 2, 4, 5]
    """

    def __init__(
        self, requests: int, *, seed: int, resamples: int = 1999, strata: Whole | None = None
    ) -> None:
        self.requests: int = requests
        self.seed: int = seed
        self.resamples: int = resamples
        of = np.zeros(requests, dtype=np.intp) if strata is None else np.asarray(strata)
        lengths = {int(one): math.isqrt(int(np.sum(of == one)) - 1) + 1 for one in np.unique(of)}
        edges = [0, *(np.flatnonzero(np.diff(of)) + 1).tolist(), requests]
        pieces = [
            piece
            for begins, ends in itertools.pairwise(edges)
            for piece in np.array_split(
                np.arange(begins, ends), math.ceil((ends - begins) / lengths[int(of[begins])])
            )
        ]
        self.starts: Whole = np.array([piece[0] for piece in pieces], dtype=np.intp)
        self.sizes: Whole = np.diff(np.append(self.starts, requests))
        self.strata: Whole = of[self.starts]

    @property
    def count(self) -> int:
        """How many blocks there are."""
        return len(self.starts)

    @property
    def freedom(self) -> int:
        """How many of them are free to differ: all but one in each stratum; at least 1."""
        return max(1, self.count - len(np.unique(self.strata)))

    def sums(self, values: npt.NDArray[np.float64] | npt.NDArray[np.bool_]) -> Floats:
        """The sum of *values* in each block: float64, shape (blocks,)."""
        summed: Floats = np.add.reduceat(np.asarray(values, dtype=float), self.starts)
        return summed

    @cached_property
    def _drawn(self) -> Floats:
        """How often each block is in each resample: float64, shape (resamples, blocks)."""
        rng = np.random.default_rng(self.seed)
        counts = np.zeros((self.resamples, self.count))
        for stratum in np.unique(self.strata):
            within = np.flatnonzero(self.strata == stratum)
            m = len(within)
            flat = rng.integers(0, m, (self.resamples, m)) + np.arange(self.resamples)[:, np.newaxis] * m
            counted = np.bincount(flat.ravel(), minlength=self.resamples * m)
            counts[:, within] = counted.reshape(self.resamples, m)
        return counts

    @cached_property
    def swaps(self) -> npt.NDArray[np.bool_]:
        """Which blocks two runs swap in each resample: shape (resamples, blocks)."""
        return np.random.default_rng(self.seed + 1).random((self.resamples, self.count)) < 0.5

    @cached_property
    def _signs(self) -> Floats:
        return np.where(self.swaps, -1.0, 1.0)

    def means(self, values: Floats) -> Floats:
        """The mean in each resample, NaN left out: float64, shape (resamples,).

        Strata keep their weights: what is drawn is the mean in each.
        """
        known = ~np.isnan(values)
        sums, counts = self.sums(np.where(known, values, 0.0)), self.sums(known)
        found = np.zeros(self.resamples)
        for stratum in np.unique(self.strata):
            within = self.strata == stratum
            weight = counts[within].sum() / counts.sum() if counts.any() else np.nan
            if weight:
                drawn = self._drawn[:, within]
                with np.errstate(invalid="ignore"):  # of a resample in which nothing is known, nothing is
                    found += weight * (drawn @ sums[within]) / (drawn @ counts[within])
        return found

    def flipped(self, sums: Floats) -> Floats:
        """The sum over all blocks with random signs: float64, shape (resamples,)."""
        totals: Floats = self._signs @ sums
        return totals

    def resample(self, index: int) -> Whole:
        """The numbers of the requests in one resample."""
        drawn = np.repeat(np.arange(self.count), self._drawn[index].astype(np.intp))
        return np.concatenate([np.arange(start, start + size) for start, size in self._spans[drawn]])

    @cached_property
    def _spans(self) -> Whole:
        return np.column_stack([self.starts, self.sizes])

    def swapped(self, index: int) -> npt.NDArray[np.bool_]:
        """Which requests two runs swap in one resample: shape (requests,)."""
        return np.repeat(self.swaps[index], self.sizes)

    def variance(self, values: Floats, known: npt.NDArray[np.bool_]) -> float:
        """The variance of the mean of *values* where *known*, by how the blocks of a stratum differ."""
        sums, counts, total = self.sums(values * known), self.sums(known), 0.0
        for stratum in np.unique(self.strata):
            within = self.strata == stratum
            m, n = int(within.sum()), float(counts[within].sum())
            if m > 1 and n > 0:
                residuals = sums[within] - float(sums[within].sum()) / n * counts[within]
                total += m / (m - 1) * float(residuals @ residuals)
        return total / float(known.sum()) ** 2
