"""Where many values fall among a sorted reference, without a search for each.

The middle of the reference is cut into cells of one width, several to a value. The cell of a value tells how
many of the reference are in cells before it; those in its own cell, which are few, it is compared with. What
is in a crowded cell, or beyond the middle, is searched for.
"""

from __future__ import annotations

from typing import Final

import numpy as np
import numpy.typing as npt

from .detector import Floats

PER_VALUE: Final = 4
"""Cells to a value of the reference."""

BEYOND: Final = 0.01
"""The share of the reference at either end that has no cells, so that a few far away do not make all wide."""

COMPARED: Final = 2
"""How many of its cell a value is compared with before it is searched for."""


class Ranking:
    """Counts how many of a reference are below each of many values, and how many not above.

    Args:
        reference: Sorted and finite, float64, one dimension, at least one.

    >>> Ranking(np.array([1.0, 2.0, 2.0, 5.0])).twice_midranks(np.array([0.0, 2.0, 3.0, 9.0]))
    array([0, 4, 6, 8])
    """

    __slots__ = ("_before", "_cells", "_low", "_padded", "_reference", "_scale", "_upto")

    def __init__(self, reference: Floats) -> None:
        count = len(reference)
        self._reference = reference
        self._padded = np.append(reference, np.nan)  # which equals nothing, and is above nothing
        self._upto = np.searchsorted(reference, self._padded, side="right")
        edge = int(count * BEYOND)
        self._low: float = float(reference[edge])
        self._cells: int = PER_VALUE * count
        with np.errstate(over="ignore", divide="ignore"):
            scale = self._cells / (reference[-1 - edge] - self._low)
        # There may be no middle, or no end of it.
        self._scale: float = float(scale) if np.isfinite(scale) else 0.0
        per_cell = np.bincount(self._cell(reference), minlength=self._cells + 2)
        self._before = np.cumsum(per_cell) - per_cell

    def _cell(self, values: Floats) -> npt.NDArray[np.intp]:
        """The number of each value's cell, from 0, which does not fall as values rise."""
        if not self._scale:
            return np.zeros(len(values), dtype=np.intp)
        with np.errstate(over="ignore"):
            places = (values - self._low) * self._scale
        places += 1.0
        np.maximum(places, 0.0, out=places)
        np.minimum(places, self._cells + 1.0, out=places)
        return places.astype(np.intp)

    def twice_midranks(self, values: Floats) -> npt.NDArray[np.intp]:
        """How many of the reference are below each of *values*, which are finite, plus how many not above."""
        below = self._before.take(self._cell(values))
        beaten = self._padded.take(below) < values
        for _ in range(COMPARED):
            below += beaten
            beaten = self._padded.take(below) < values
        crowded = np.flatnonzero(beaten)
        if len(crowded):
            below[crowded] = np.searchsorted(self._reference, values[crowded], side="left")
        tied = np.flatnonzero(self._padded.take(below) == values)
        twice = below + below
        if len(tied):
            place = below[tied]
            twice[tied] = place + self._upto[place]
        return twice
