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
        error = math.sqrt(2.0 * (2 * size - 1) * (size - 1) / (3.0 * size * count))
        yield size, more - CHANCE * error
