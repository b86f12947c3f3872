"""Exponentially weighted averages of a block of observations at once, as products of matrices."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from .detector import Floats

BLOCK = 64
"""The most observations of a block."""


def filters(rates: Sequence[float]) -> Floats:
    """``filters[r, i, j]``: what observation *j* of a block adds to average *r* after observation *i*.

    An average is ``a <- a + rate * (x - a)``. The part of a shorter block is ``[r, :count, :count]``.

    >>> filters([0.5])[0, :2, :2]
    array([[0.5 , 0.  ],
           [0.25, 0.5 ]])
    """
    ages = np.subtract.outer(np.arange(BLOCK), np.arange(BLOCK))
    late = np.maximum(ages, 0)
    return np.array([np.where(ages >= 0, rate * (1.0 - rate) ** late, 0.0) for rate in rates])


def remains(rates: Sequence[float]) -> Floats:
    """``remains[r, i]``: how much of average *r* is left after observation *i* of a block.

    >>> remains([0.5])[0, :2]
    array([0.5 , 0.25])
    """
    left: Floats = (1.0 - np.array(rates))[:, None] ** np.arange(1.0, BLOCK + 1)
    return left
