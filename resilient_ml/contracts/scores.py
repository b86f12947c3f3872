"""What the numbers of an answer may be: their range, probabilities, lengths of vectors, confidence."""

from __future__ import annotations

import math
from abc import abstractmethod
from typing import Any

import numpy as np
import numpy.typing as npt

from .. import _checks
from .rule import Action, Bools, Part, Rule, kind_of_value, numbers


class _Numbers(Rule):
    """A rule on numbers: an array of at least one axis, of which the last is looked at, or each number."""

    def flaw(self, value: Any) -> str | None:
        """What is wrong with *value*."""
        array = numbers(value)
        if array is None or array.dtype.kind == "c":
            return f"is {kind_of_value(value)}, not real numbers"
        bad = self._bad(array)
        return self._told(array, bad) if np.count_nonzero(bad) else None

    def bad_rows(self, rows: Any) -> Bools | None:
        """Rows that break it."""
        array = numbers(rows)
        if array is None or array.ndim == 0 or array.dtype.kind == "c":
            return super().bad_rows(rows)
        if self._vectors and array.ndim == 1:  # each row is a number, and has no axis
            return super().bad_rows(rows)
        bad = self._bad(array)
        if not np.count_nonzero(bad):
            return None
        return np.asarray(bad.reshape(len(array), -1).any(axis=1))

    _vectors = True
    """Whether it looks at vectors, and not at each number."""

    @abstractmethod
    def _bad(self, array: npt.NDArray[Any]) -> Bools:
        """Which numbers, or vectors along the last axis, break it."""

    @abstractmethod
    def _told(self, array: npt.NDArray[Any], bad: Bools) -> str:
        """What is wrong, in words that follow "it"."""


class Range(_Numbers):
    """Each number lies between two bounds, both included; ``then="repair"`` brings it to the nearer one.

    NaN lies between no bounds, and is not mended.

    Args:
        least: The lower bound; ``-inf`` for none.
        most: The upper bound, from *least*; ``inf`` for none.
        then, of, repair, name: As for :class:`Rule`.

    >>> Range(0, 1).flaw([0.5, 1.25])
    'has 1 of 2 numbers outside 0 to 1: 1.25'
    """

    mends: bool = True
    _vectors = False

    def __init__(
        self,
        least: float = -math.inf,
        most: float = math.inf,
        *,
        then: Action | None = None,
        of: Part = None,
        repair: Any = None,
        name: str | None = None,
    ) -> None:
        super().__init__(then=then, of=of, repair=repair, name=name)
        self.least: float = _bound("least", least)
        self.most: float = _bound("most", most)
        if self.least > self.most:
            raise ValueError(f"most must be at least least={self.least:g}, got {self.most:g}; swap them")

    def _bad(self, array: npt.NDArray[Any]) -> Bools:
        return np.asarray(~((array >= self.least) & (array <= self.most)))

    def _told(self, array: npt.NDArray[Any], bad: Bools) -> str:
        first = array[bad].flat[0] if array.ndim else array
        outside = f"outside {self.least:g} to {self.most:g}: {float(first):g}"
        return (
            f"has {np.count_nonzero(bad)} of {bad.size} numbers {outside}" if array.ndim else f"is {outside}"
        )

    def _mended(self, value: Any) -> Any:
        array = numbers(value)
        assert array is not None
        return _like(value, np.clip(array, self.least, self.most))


class Probabilities(_Numbers):
    """Along the last axis no number is negative, and they sum to 1; ``then="repair"`` makes them do so.

    What cannot be mended: a NaN, a number below ``-tolerance``, a sum of 0.

    Args:
        tolerance: How far the sum may be from 1, and a number below 0; from 0. The default leaves room for
            float16.
        then, of, repair, name: As for :class:`Rule`.

    >>> Probabilities().flaw([[0.5, 0.5], [0.9, 0.4]])
    'has 1 of 2 rows that are no probabilities: one sums to 1.3'
    """

    mends: bool = True

    def __init__(
        self,
        tolerance: float = 0.01,
        *,
        then: Action | None = None,
        of: Part = None,
        repair: Any = None,
        name: str | None = None,
    ) -> None:
        super().__init__(then=then, of=of, repair=repair, name=name)
        self.tolerance: float = _checks.at_least("tolerance", tolerance, 0.0, remedy="leave it out for 0.01")

    def _bad(self, array: npt.NDArray[Any]) -> Bools:
        if not array.ndim:
            return np.ones((), dtype=np.bool_)
        # Comparisons with NaN are False, so that one counts as broken.
        good = np.abs(array.sum(axis=-1, dtype=np.float64) - 1.0) <= self.tolerance
        if not (array.size and np.minimum.reduce(array, axis=None) >= -self.tolerance):
            good &= (array >= -self.tolerance).all(axis=-1)
        return np.asarray(~good)

    def _told(self, array: npt.NDArray[Any], bad: Bools) -> str:
        if not array.ndim:
            return "is one number, not the probabilities of several classes"
        first = np.atleast_2d(array)[np.atleast_1d(bad)][0] if array.ndim < 3 else array[bad][0]
        least = float(first.min()) if first.size else 0.0
        why = f"one has {least:g}" if least < -self.tolerance else f"one sums to {float(first.sum()):.6g}"
        if array.ndim == 1:
            return f"is no probabilities: {why}"
        return f"has {np.count_nonzero(bad)} of {bad.size} rows that are no probabilities: {why}"

    def _mended(self, value: Any) -> Any:
        array = numbers(value)
        if array is None or not array.ndim or array.dtype.kind != "f" or not (array >= -self.tolerance).all():
            return value
        kept = np.clip(array, 0.0, None)
        sums = kept.sum(axis=-1, keepdims=True)
        return _like(value, kept / np.where(sums > 0, sums, 1.0))


class Norm(_Numbers):
    """A vector along the last axis is neither null nor constant, and as long as it should be.

    A backend that has lost its weights or its input answers with zeros, or with the same number all over, and
    status 200. ``then="repair"`` brings a vector to the length wanted.

    Args:
        length: The Euclidean length that a vector should have, above 0: 1 for normalised embeddings. None for
            any that is not 0.
        tolerance: How far from *length* it may be, as a share of it, from 0.
        least: What is shorter is null, above 0.
        constant: Whether all numbers of a vector of several may be equal.
        then, of, repair, name: As for :class:`Rule`.

    >>> Norm().flaw([[0.6, 0.8], [0.0, 0.0]])
    'has 1 of 2 vectors that are null'
    """

    mends: bool = True

    def __init__(
        self,
        length: float | None = None,
        *,
        tolerance: float = 0.01,
        least: float = 1e-6,
        constant: bool = False,
        then: Action | None = None,
        of: Part = None,
        repair: Any = None,
        name: str | None = None,
    ) -> None:
        self.length: float | None = (
            None if length is None else _checks.seconds("length", length, remedy="pass 1, or None for any")
        )
        self.mends: bool = length is not None
        super().__init__(then=then, of=of, repair=repair, name=name)
        self.tolerance: float = _checks.at_least("tolerance", tolerance, 0.0, remedy="leave it out for 0.01")
        self.least: float = _checks.seconds("least", least, remedy="leave it out for 1e-6")
        self.constant: bool = _checks.flag(
            "constant", constant, remedy="True allows vectors of equal numbers"
        )

    def _bad(self, array: npt.NDArray[Any]) -> Bools:
        if not array.ndim:
            return np.ones((), dtype=np.bool_)
        lengths = _lengths(array)
        good = lengths >= self.least
        if self.length is not None:
            good &= np.abs(lengths - self.length) <= self.tolerance * self.length
        if not self.constant and array.shape[-1] > 1:
            alike = array[..., 0] == array[..., 1]  # few vectors have as much as that
            if np.count_nonzero(alike):
                good &= ~(array == array[..., :1]).all(axis=-1)
        return np.asarray(~good)

    def _told(self, array: npt.NDArray[Any], bad: Bools) -> str:
        if not array.ndim:
            return "is one number, not a vector"
        vectors = array.reshape(-1, array.shape[-1])[bad.reshape(-1)]
        lengths = _lengths(vectors)
        if not (lengths >= self.least).all():
            why = "null" if (lengths < self.least).any() else "not numbers"
        elif (
            self.length is not None
            and not (np.abs(lengths - self.length) <= self.tolerance * self.length).all()
        ):
            why = f"not of length {self.length:g}, but {float(lengths[0]):.6g}"
        else:
            why = "constant"
        return f"is {why}" if array.ndim == 1 else f"has {len(vectors)} of {bad.size} vectors that are {why}"

    def _mended(self, value: Any) -> Any:
        array = numbers(value)
        assert array is not None
        assert self.length is not None
        if not array.ndim:
            return value
        lengths = _lengths(array)[..., None]
        usable = lengths >= self.least
        return _like(value, np.where(usable, array / np.where(usable, lengths, 1.0) * self.length, array))


class Confidence(_Numbers):
    """The largest number along the last axis, or a number by itself, is at least so large.

    With ``then="abstain"`` the model may say that it does not know; with ``"fail"`` a Fallback to a larger
    model answers.

    Args:
        least: The floor, of the same unit as the scores.
        margin: How far the largest must be above the next; from 0.
        then, of, repair, name: As for :class:`Rule`.

    >>> Confidence(0.7).flaw([0.4, 0.6])
    'is only 0.6 sure, below 0.7'
    """

    def __init__(
        self,
        least: float,
        *,
        margin: float = 0.0,
        then: Action | None = None,
        of: Part = None,
        repair: Any = None,
        name: str | None = None,
    ) -> None:
        super().__init__(then=then, of=of, repair=repair, name=name)
        self.least: float = _checks.real("least", least, remedy="pass 0.6, say")
        self.margin: float = _checks.at_least("margin", margin, 0.0, remedy="leave it out for none")

    _vectors = False

    def _bad(self, array: npt.NDArray[Any]) -> Bools:
        top, ahead = self._tops(array)
        return np.asarray(~((top >= self.least) & (ahead >= self.margin)))

    def _tops(self, array: npt.NDArray[Any]) -> tuple[npt.NDArray[Any], npt.NDArray[Any]]:
        """The largest, and how far it is ahead of the next."""
        if not array.ndim or not array.shape[-1]:
            return (array if not array.ndim else np.full(array.shape[:-1], -np.inf)), np.asarray(np.inf)
        if not self.margin or array.shape[-1] == 1:
            return np.asarray(array.max(axis=-1)), np.asarray(np.inf)
        two = np.partition(array, -2, axis=-1)[..., -2:]
        with np.errstate(invalid="ignore"):  # of two infinities none is ahead
            return two[..., 1], two[..., 1] - two[..., 0]

    def bad_rows(self, rows: Any) -> Bools | None:
        """Rows below the floor; rows that are one number each are compared with it themselves."""
        array = numbers(rows)
        if array is not None and array.ndim == 1:
            array = array[:, None]
        return super().bad_rows(rows if array is None else array)

    def _told(self, array: npt.NDArray[Any], bad: Bools) -> str:
        top, ahead = self._tops(array)
        top, ahead = np.broadcast_to(top, bad.shape)[bad], np.broadcast_to(ahead, bad.shape)[bad]
        low = ~(top >= self.least)
        at = int(low.argmax()) if low.any() else 0
        if low.any():
            why = f"only {float(top[at]):.6g} sure, below {self.least:g}"
        else:
            why = f"sure by only {float(ahead[0]):.6g}, below {self.margin:g}"
        return (
            f"is {why}"
            if array.ndim < 2
            else f"has {len(top)} of {bad.size} rows that are not sure: one is {why}"
        )


def _lengths(array: npt.NDArray[Any]) -> npt.NDArray[np.float64]:
    with np.errstate(over="ignore", invalid="ignore"):
        lengths: npt.NDArray[np.float64] = np.sqrt(np.square(array, dtype=np.float64).sum(axis=-1))
    return lengths


def _like(value: Any, array: npt.NDArray[Any]) -> Any:
    """*array* as the kind of thing that *value* is: arrays keep their type, lists stay lists."""
    if isinstance(value, np.ndarray):
        return array.astype(value.dtype, copy=False)
    return array.tolist() if isinstance(value, list | float | int) else array


def _bound(name: str, value: Any) -> float:
    if isinstance(value, float) and math.isinf(value):
        return value
    return _checks.real(name, value, remedy="pass a number, or leave it out for no bound")
