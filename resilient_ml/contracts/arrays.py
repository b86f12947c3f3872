"""The form of an array: its shape and its type."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from .. import _checks
from .rule import Action, Bools, Part, Rule, kind_of_value, numbers


class Shape(Rule):
    """An array has so many axes, of these lengths.

    Args:
        lengths: The length of each axis, from 0; None for one of any length. For answers of one item a row
            (``Contract(rows=True)``) it is the shape of a row, so ``Shape(384)`` for rows of 384 numbers.
        then, of, repair, name: As for :class:`Rule`.

    >>> Shape(None, 3).flaw([[1.0, 2.0]])
    'has shape (1, 2), not (any, 3)'
    """

    def __init__(
        self,
        *lengths: int | None,
        then: Action | None = None,
        of: Part = None,
        repair: Any = None,
        name: str | None = None,
    ) -> None:
        super().__init__(then=then, of=of, repair=repair, name=name)
        self.lengths: tuple[int | None, ...] = tuple(
            None
            if one is None
            else _checks.whole("lengths", one, at_least=0, remedy="pass None for an axis of any length")
            for one in lengths
        )

    def flaw(self, value: Any) -> str | None:
        """Its shape, where it is another."""
        shape = _shape(value)
        if shape is None:
            return f"is {kind_of_value(value)}, which has no shape"
        return None if self._fits(shape) else f"has shape {shape}, not {self._told()}"

    def bad_rows(self, rows: Any) -> Bools | None:
        """All rows of an array have one shape."""
        array = numbers(rows)
        if array is None or not array.ndim:
            return super().bad_rows(rows)
        return None if self._fits(array.shape[1:]) or not len(array) else np.ones(len(array), dtype=np.bool_)

    def _fits(self, shape: tuple[int, ...]) -> bool:
        if len(shape) != len(self.lengths):
            return False
        return all(want is None or want == got for want, got in zip(self.lengths, shape, strict=True))

    def _told(self) -> str:
        inner = ", ".join("any" if one is None else str(one) for one in self.lengths)
        return f"({inner}{',' if len(self.lengths) == 1 else ''})"


class DType(Rule):
    """An array has this type of number; ``then="repair"`` converts it.

    Args:
        dtype: A numpy type, ``"float32"`` say, or a kind: ``np.floating``, ``np.integer``.
        then, of, repair, name: As for :class:`Rule`.

    >>> import numpy as np
    >>> DType(np.floating).flaw(np.array([1, 2]))
    'has type int64, not floating'
    """

    mends: bool = True

    def __init__(
        self,
        dtype: npt.DTypeLike | type[np.generic],
        *,
        then: Action | None = None,
        of: Part = None,
        repair: Any = None,
        name: str | None = None,
    ) -> None:
        abstract = isinstance(dtype, type) and issubclass(dtype, np.generic) and dtype in _ABSTRACT
        try:
            self._dtype: Any = dtype if abstract else np.dtype(dtype)
        except TypeError as error:
            raise TypeError(
                f"dtype must be one of numpy's, got {_checks.shown(dtype)}; pass 'float32', say"
            ) from error
        self.mends: bool = not abstract
        super().__init__(then=then, of=of, repair=repair, name=name)

    def flaw(self, value: Any) -> str | None:
        """Its type, where it is another."""
        dtype = getattr(value, "dtype", None)
        if not isinstance(dtype, np.dtype):
            return f"is {kind_of_value(value)}, not an array of numpy"
        if np.issubdtype(dtype, self._dtype) if isinstance(self._dtype, type) else dtype == self._dtype:
            return None
        wanted = self._dtype.__name__ if isinstance(self._dtype, type) else self._dtype
        return f"has type {dtype}, not {wanted}"

    def bad_rows(self, rows: Any) -> Bools | None:
        """All rows of an array have one type."""
        if not isinstance(rows, np.ndarray):
            return super().bad_rows(rows)
        return None if self.flaw(rows) is None or not len(rows) else np.ones(len(rows), dtype=np.bool_)

    def _mended(self, value: Any) -> Any:
        return np.asarray(value).astype(self._dtype)


_ABSTRACT = (
    *(np.generic, np.number, np.integer, np.signedinteger, np.unsignedinteger),
    *(np.inexact, np.floating, np.complexfloating, np.flexible, np.character),
)


def _shape(value: Any) -> tuple[int, ...] | None:
    shape = getattr(value, "shape", None)
    if shape is not None:
        try:
            return tuple(int(one) for one in shape)
        except (TypeError, ValueError):
            return None
    array = numbers(value)
    return None if array is None else array.shape
