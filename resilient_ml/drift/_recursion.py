"""A recursion along a stream in few calls: many stretches of the stream are gone along at once.

``y <- y * factor + added`` needs its last value for the next. But what a stretch does to the value before it
is of that form again, so each stretch can begin from 0 beside all others; what came before is brought in
after, times the product of the factors since. It works for ``y <- max(y * factor, added)`` as well, as
factors are not negative. What the ends of few stretches do is taken together by twos, by fours, and so on.

Source: G. E. Blelloch, "Prefix Sums and Their Applications", Carnegie Mellon University, CMU-CS-90-190, 1990;
W. D. Hillis, G. L. Steele, "Data Parallel Algorithms", Communications of the ACM 29(12), 1986.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from .detector import Floats

STRETCH: Final = 16
"""The steps of a stretch of many: the more are beside each other, the fewer the calls."""

FEW: Final = STRETCH * STRETCH
"""So few steps are not laid out in stretches."""

CELLS: Final = 36 * 1024
"""So many numbers at once are good: the calls are few, and the numbers stay near the core."""

ROOM: Final = 4 * (CELLS + 1024)
"""For so many numbers room is kept. Freed, the system would take it back, which costs more than all else."""

FREE: Final = ROOM // 8
"""Less room than that costs nothing."""

ROOMS: Final = 2
"""So many are kept, as many threads may be at it at once."""

TOGETHER: Final = 4096
"""So many steps are prepared together, at most: what comes after an alarm is prepared again."""


def blocks(rows: NDArray[Any], columns: int) -> Iterator[NDArray[Any]]:
    """*rows*, as many at a time as are good where each becomes so many *columns*."""
    size = max(1, CELLS // columns)
    for begin in range(0, len(rows), size):
        yield rows[begin : begin + size]


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
    size = STRETCH * stretches * columns
    room = _borrow(4 * size)
    beside, joined, own, since = room[: 4 * size].reshape(4, STRETCH, -1)
    _lay(factors, beside, 1.0)
    if added is factors:
        joined = beside
    else:
        _lay(added, joined, 0.0)
    _along(beside, joined, join, own)
    _products(beside, since)
    ends = recur(held, since[-1].reshape(stretches, -1), own[-1].reshape(stretches, -1), join)
    since[:, :columns] *= held
    since[:, columns:] *= ends[:-1].ravel()
    join(own, since, out=own)
    values = np.empty((stretches * STRETCH, columns))
    _as_steps(values, columns)[:] = _beside(own, columns).T
    _give_back(room)
    return values[:count]


def _doubled(held: Floats, factors: Floats, added: Floats, join: np.ufunc) -> Floats:
    """What one step does, then two, four and so on, up to all."""
    values, since = added.copy(), factors.copy()
    far = 1
    while far < len(values):
        join(values[far:], since[far:] * values[:-far], out=values[far:])
        since[far:] *= since[:-far]
        far *= 2
    since *= held
    join(values, since, out=values)
    return values


def _along(factors: Floats, added: Floats, join: np.ufunc, values: Floats) -> None:
    """Go all steps from nothing on, one after another."""
    held = values[0]
    held[:] = added[0]
    for row, factor, more in zip(values[1:], factors[1:], added[1:], strict=True):
        held = join(np.multiply(held, factor, out=row), more, out=row)


def _products(factors: Floats, values: Floats) -> None:
    """Put the product of each row and all before it into *values*."""
    before = values[0]
    before[:] = factors[0]
    for row, factor in zip(values[1:], factors[1:], strict=True):
        before = np.multiply(before, factor, out=row)


def _lay(rows: Floats, beside: Floats, fill: float) -> None:
    """Lay *rows* out, filled up, so that step *i* of every stretch is in ``beside[i]``."""
    count, columns = rows.shape
    missing = -count % STRETCH
    if missing:
        rows = np.concatenate([rows, np.full((missing, columns), fill)])
    _beside(beside, columns)[:] = _as_steps(np.ascontiguousarray(rows), columns).T


def _as_steps(rows: Floats, columns: int) -> NDArray[np.void]:
    """*rows* by stretch and step, each as one piece: pieces are copied faster than their numbers."""
    return _beside(rows, columns).reshape(-1, STRETCH)


def _beside(rows: Floats, columns: int) -> NDArray[np.void]:
    """*rows* with every *columns* numbers as one piece."""
    return rows.view(np.dtype((np.void, columns * rows.itemsize)))


_rooms: list[Floats] = []
"""Those that nobody uses."""


def _borrow(size: int) -> Floats:
    """Room for *size* numbers, which are anything, and for nobody else until it is given back."""
    if FREE < size <= ROOM:
        try:
            return _rooms.pop()
        except IndexError:
            return np.empty(ROOM)
    return np.empty(size)


def _give_back(room: Floats) -> None:
    if len(room) == ROOM:
        _rooms.append(room)
        del _rooms[ROOMS:]  # not asked before: two threads could both find that there is place for one
