"""No NaN and no infinity."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np

from .rule import Bools, Rule, numbers

_DEEPEST = 8


class Finite(Rule):
    """Each number is finite: no NaN, no infinity.

    Arrays, tensors and numbers are looked at, also within dicts, lists and tuples; text and other values that
    are no numbers are passed over. Integers and booleans are always finite.

    >>> Finite().flaw([0.2, float("nan")])
    'has 1 of 2 numbers that is not finite, at (1,)'
    """

    def flaw(self, value: Any) -> str | None:
        """The number of those that are not, and where the first is."""
        return _flaw(value, _DEEPEST)

    def bad_rows(self, rows: Any) -> Bools | None:
        """Rows with a number that is not finite."""
        array = numbers(rows)
        if array is None or array.ndim == 0:
            return super().bad_rows(rows)
        if array.dtype.kind in "biu":
            return None
        finite: Bools = np.isfinite(array)
        if np.count_nonzero(finite) == finite.size:
            return None
        return np.asarray(~finite.reshape(len(array), -1).all(axis=1))


def _flaw(value: Any, depth: int) -> str | None:
    array = numbers(value)
    if array is not None:
        if array.dtype.kind in "biu":
            return None
        finite = np.isfinite(array)
        bad = finite.size - int(np.count_nonzero(finite))
        if not bad:
            return None
        if array.ndim == 0:
            return "is not finite"
        place = tuple(int(axis[0]) for axis in np.nonzero(~finite))
        return f"has {bad} of {finite.size} numbers that {'is' if bad == 1 else 'are'} not finite, at {place}"
    if depth and isinstance(value, Mapping | list | tuple):
        parts: Iterable[tuple[Any, Any]] = value.items() if isinstance(value, Mapping) else enumerate(value)
        for part, inner in parts:
            found = _flaw(inner, depth - 1)
            if found is not None:
                shown = part if isinstance(part, int | str) else type(part).__name__
                return f"{found} in part {shown!r}" if depth == _DEEPEST else found
    return None
