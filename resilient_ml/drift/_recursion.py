"""A recursion along a stream in few calls: many stretches of the stream are gone along at once.

``y <- y * factor + added`` needs its last value for the next. But what a stretch does to the value before it
is of that form again, so each stretch can begin from 0 beside all others; what came before is brought in
after, times the product of the factors since. It works for ``y <- max(y * factor, added)`` as well, as
factors are not negative.

Source: G. E. Blelloch, "Prefix Sums and Their Applications", Carnegie Mellon University, CMU-CS-90-190, 1990.
"""

from __future__ import annotations

from typing import Final

import numpy as np

from .detector import Floats

FEW: Final = 64
"""Up to so many steps each is joined with the one before it, then with what is two, four and more before."""

STRETCH: Final = 16
"""The steps of a stretch: the more are beside each other, the fewer the calls."""

BLOCK: Final = 1024
"""So many steps at once are good: more make arrays that the system takes back each time, which costs more."""


def recur(held: Floats, factors: Floats, added: Floats, join: np.ufunc = np.add) -> Floats:
    """Each value of ``y <- join(y * factor, added)``, from *held* on.

    Args:
        held: The value before the first step, float64, shape (columns,).
        factors: From 0, shape (steps, columns).
        added: From 0 where *join* is ``np.maximum``, shape (steps, columns); may be *factors*.
        join: ``np.add`` or ``np.maximum``.

    Returns:
        Shape (steps, columns).

    >>> recur(np.array([1.0]), np.array([[0.5], [0.5]]), np.array([[1.0], [2.0]])).ravel()
    array([1.5 , 2.75])
    """
    count, columns = factors.shape
    if count <= FEW:
        return _doubled(held, factors, added, join)
    stretches = -(-count // STRETCH)
    beside = _side_by_side(factors, stretches, 1.0)
    joined = beside if added is factors else _side_by_side(added, stretches, 0.0)
    own, since = np.empty_like(beside), beside.copy()
    own[0] = joined[0]
    for step in range(1, STRETCH):
        row = own[step]
        np.multiply(own[step - 1], beside[step], out=row)
        join(row, joined[step], out=row)
        since[step] *= since[step - 1]
    ends = recur(held, since[-1].reshape(stretches, -1), own[-1].reshape(stretches, -1), join)
    since[:, :columns] *= held
    since[:, columns:] *= ends[:-1].ravel()
    join(own, since, out=own)
    return own.reshape(STRETCH, stretches, columns).transpose(1, 0, 2).reshape(-1, columns)[:count]


def _doubled(held: Floats, factors: Floats, added: Floats, join: np.ufunc) -> Floats:
    own, since = added.copy(), factors.copy()
    join(own[:1], since[:1] * held, out=own[:1])
    before = 1
    while before < len(own):
        join(own[before:], own[:-before] * since[before:], out=own[before:])
        since[before:] = since[before:] * since[:-before]
        before *= 2
    return own


def _side_by_side(rows: Floats, stretches: int, fill: float) -> Floats:
    """*rows*, filled up, so that step *i* of every stretch is in row *i*."""
    missing = STRETCH * stretches - len(rows)
    if missing:
        rows = np.concatenate([rows, np.full((missing, rows.shape[1]), fill)])
    return rows.reshape(stretches, STRETCH, -1).transpose(1, 0, 2).reshape(STRETCH, -1)
