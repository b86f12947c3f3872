"""The rows of an answer: an array by its first axis, a list or tuple by its items, a dict by its columns."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

from .rule import Bools


class NoBlank(TypeError):
    """Nothing is known that could stand for a row; the text has the remedy."""


def row_count(answer: Any) -> int | None:
    """How many rows there are; None where the answer has none, or columns of several lengths."""
    if isinstance(answer, str | bytes):
        return None
    if isinstance(answer, Mapping):
        counts = {row_count(column) for column in answer.values()}
        return counts.pop() if len(counts) == 1 else None
    shape = getattr(answer, "shape", None)
    if shape is not None:
        return int(shape[0]) if len(shape) else None
    return len(answer) if isinstance(answer, list | tuple) else None


def places(found: Bools) -> tuple[int, ...]:
    """The numbers of the rows that are found."""
    return tuple(np.flatnonzero(found).tolist())


def with_rows(answer: Any, rows: Mapping[int, Any]) -> Any:
    """A copy of *answer*, an array, list or tuple, with other rows; the rest are the same objects."""
    changed: Any = answer.copy() if isinstance(answer, np.ndarray) else list(answer)
    for place, row in rows.items():
        changed[place] = row
    return changed if isinstance(answer, np.ndarray | list) else type(answer)(changed)


def blanked(answer: Any, gone: Bools, blank: Any) -> Any:
    """A copy of *answer* with *blank* in the rows that are *gone*.

    Raises:
        NoBlank: A column is an array that None has no place in.
    """
    if isinstance(answer, Mapping):
        return {name: blanked(column, gone, blank) for name, column in answer.items()}
    if isinstance(answer, list | tuple):
        rows = [blank if away else row for row, away in zip(answer, gone.tolist(), strict=True)]
        return rows if isinstance(answer, list) else tuple(rows)
    array: npt.NDArray[Any] = np.array(answer)
    if blank is None:
        if array.dtype.kind not in "fcO":
            raise NoBlank(
                f"is an array of {array.dtype}, in which nothing says that a row is missing; pass blank="
            )
        blank = None if array.dtype.kind == "O" else np.nan
    try:
        array[gone] = blank
    except (TypeError, ValueError) as error:
        raise NoBlank(
            f"is an array of {array.dtype}, in which blank= does not fit; pass one that does"
        ) from error
    return array
