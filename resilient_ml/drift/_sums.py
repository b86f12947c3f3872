"""Memory of any kind, as it shows in sums of neighbouring observations: they vary more than by chance.

Source: A. W. Lo, A. C. MacKinlay, "Stock Market Prices Do Not Follow Random Walks", Review of Financial
Studies 1(1), 1988.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from typing import Final

import numpy as np

from .detector import Floats

CHANCE: Final = 2.25
"""So many standard errors are no sign of memory."""

SURE: Final = 1.75
"""So many are one that shares swing."""

FURTHEST: Final = 2.6
"""A bet on them earns so much more where they are at their furthest than on average: 2 for a wave."""

FINEST: Final = 1e-12
"""What varies by less than this share of its mean varies by rounding."""


def beyond_chance(values: Floats, sizes: Sequence[int], *, apart: int) -> Iterator[tuple[int, Floats]]:
    """By how much sums of so many neighbours vary more than if none knew of the others, as a share.

    Args:
        values: In the order in which they came, shape (observations, columns).
        sizes: Over how many observations sums are taken, rising.
        apart: So many sums must be there side by side.

    Yields:
        The size, and what is beyond chance, below 0 where nothing is, shape (columns,).
    """
    count, columns = values.shape
    mean = values.mean(axis=0)
    off = values - mean
    running = np.concatenate([np.zeros((1, columns)), np.cumsum(off, axis=0)])
    variance = np.square(off).mean(axis=0)
    variance[variance <= np.square(FINEST * mean)] = np.inf
    for size in sizes:
        if size * apart > count:
            break
        more = np.square(running[size:] - running[:-size]).mean(axis=0) / (size * variance) - 1.0
        yield size, more - CHANCE * _error(size, count)


def swing_of_shares(classes: Floats, sizes: Sequence[int], *, apart: int, every: int = 1) -> float:
    """What a bet that knew the shares of classes as they swing would earn an observation, at their furthest.

    On average it is ``(chi^2 / freedom - 1) * freedom / 2 size``, where ``chi^2`` compares sums of neighbours
    with what is usual. It is 0 where that may be chance.

    Args:
        classes: Whether each observation is one of some classes, shape (observations, classes), none of which
            never comes.
        sizes: Over how many observations sums are taken, rising.
        apart: So many sums must be there side by side.
        every: Of how many observations one is used: sums are of those so far apart.
    """
    count = len(classes)
    shares = classes.mean(axis=0)
    off = (classes - shares) / np.sqrt(shares)
    freedom = float((1.0 - shares).sum())
    most = 0.0
    for size in sizes:
        if size * every * apart > count:
            break
        squares: list[Floats] = []
        for first in range(every):
            running = np.cumsum(off[first::every], axis=0)
            squares.append(np.square(running[size:] - running[:-size]).sum(axis=1))
        more = float(np.concatenate(squares).mean()) / size - freedom
        if more > SURE * _error(size, count / every) * math.sqrt(freedom):
            most = max(most, FURTHEST * more / (2.0 * size))
    return most


def _error(size: int, count: float) -> float:
    """The standard error of how much sums of *size* vary, as a share, if none knew of the others."""
    return math.sqrt(2.0 * (2 * size - 1) * (size - 1) / (3.0 * size * count))
