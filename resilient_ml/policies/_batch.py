"""Batches, by their rows: how many there are, some of them, and answers put together again.

Known are arrays, lists, tuples, dicts of columns, tensors of torch and frames of pandas; no package is
imported that the caller has not imported already.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from .. import _checks
from .._colour import Target
from .._policy import Policy

Rows = Sequence[int]


class NoBatch(TypeError):
    """A value that has no rows, or answers that cannot be put together; the text has the remedy."""


@dataclass(frozen=True, slots=True)
class Batches:
    """How to count, take and join rows.

    Attributes:
        size: ``(batch) -> rows``; None for what is known here.
        take: ``(batch, numbers) -> batch`` with those rows.
        join: ``([(numbers, answer), ...], count) -> answer`` of all rows in order.
    """

    size: Callable[[Any], int] | None = None
    take: Callable[[Any, Rows], Any] | None = None
    join: Callable[[Sequence[tuple[Rows, Any]], int], Any] | None = None

    def count(self, batch: Any) -> int:
        """How many rows there are.

        Raises:
            NoBatch: It has none.
        """
        found = count_rows(batch) if self.size is None else self.size(batch)
        if found is None:
            raise NoBatch(
                f"a {type(batch).__name__} has no rows that could be told apart; pass size= and take="
            )
        return found

    def part(self, batch: Any, rows: Rows) -> Any:
        """Some of the rows, in that order."""
        return take_rows(batch, rows) if self.take is None else self.take(batch, rows)

    def joined(self, parts: Sequence[tuple[Rows, Any]], count: int) -> Any:
        """One answer for *count* rows, of answers to parts of them.

        Raises:
            NoBatch: They do not fit together.
        """
        return join_answers(parts, count) if self.join is None else self.join(parts, count)

    def filled(self, parts: Sequence[tuple[Rows, Any]], bad: Rows, fill: Any, count: int) -> Any:
        """The same, with *fill* for the *bad* rows; a list of it where all are bad."""
        if not parts:
            return [fill] * count
        return self.joined(filled_answer(parts, bad, fill, parts[0][1]), count)


def filled_answer(
    parts: Sequence[tuple[Rows, Any]], bad: Sequence[int], fill: Any, like: Any
) -> list[tuple[Rows, Any]]:
    """*parts* and one more, that holds *fill* for the *bad* rows, of the kind that *like* is."""
    if isinstance(like, Mapping):
        made: Any = {
            name: filled_answer([], bad, fill.get(name) if isinstance(fill, Mapping) else fill, column)[0][1]
            for name, column in like.items()
        }
    elif isinstance(like, np.ndarray):
        value = np.nan if fill is None and like.dtype.kind in "fc" else fill
        kind = like.dtype if fits_type(value, like.dtype) else np.dtype(object)
        made = np.empty((len(bad), *like.shape[1:]), kind)
        made[...] = value
    else:
        made = [fill] * len(bad) if isinstance(like, list) else (fill,) * len(bad)
    return [*parts, (list(bad), made)]


def fits_type(value: Any, dtype: np.dtype[Any]) -> bool:
    """Whether an array of *dtype* can hold *value* unchanged."""
    try:
        with np.errstate(all="ignore"):
            held = np.asarray(value).astype(dtype)
        return bool(np.array_equal(held, np.asarray(value), equal_nan=dtype.kind in "fc"))
    except (TypeError, ValueError, OverflowError):
        return False


def count_rows(batch: Any) -> int | None:
    """How many rows; None where *batch* has none."""
    if isinstance(batch, str | bytes):
        return None
    if isinstance(batch, Mapping):
        counts = {count_rows(column) for column in batch.values()}
        return counts.pop() if len(counts) == 1 else None
    shape = getattr(batch, "shape", None)
    if shape is not None:
        return int(shape[0]) if len(shape) else None
    return len(batch) if isinstance(batch, list | tuple) else None


def take_rows(batch: Any, rows: Rows) -> Any:
    """Some rows of *batch*."""
    if isinstance(batch, Mapping):
        return {name: take_rows(column, rows) for name, column in batch.items()}
    if isinstance(batch, list):
        return [batch[row] for row in rows]
    if isinstance(batch, tuple):
        return tuple(batch[row] for row in rows)
    if hasattr(batch, "iloc"):
        return batch.iloc[list(rows)]
    return batch[list(rows)]


def row_of(batch: Any, row: int) -> Any:
    """One row, for a hash or a result."""
    if isinstance(batch, Mapping):
        return {name: row_of(column, row) for name, column in batch.items()}
    if hasattr(batch, "iloc"):
        return batch.iloc[row]
    return batch[row]


def join_answers(parts: Sequence[tuple[Rows, Any]], count: int) -> Any:
    """Answers to parts, as one in the order of the rows, of the kind that they are."""
    if len(parts) == 1 and len(parts[0][0]) == count:  # parts are in order
        return parts[0][1]
    first = parts[0][1]
    if not all(type(answer) is type(first) for _, answer in parts):
        raise NoBatch("the answers to parts of the batch are of several types; pass join=")
    if isinstance(first, Mapping):
        if not all(answer.keys() == first.keys() for _, answer in parts):
            raise NoBatch("the answers to parts of the batch have different keys; pass join=")
        return {name: join_answers([(rows, answer[name]) for rows, answer in parts], count) for name in first}
    numbers = [row for rows, _ in parts for row in rows]
    order = sorted(range(len(numbers)), key=numbers.__getitem__)
    if isinstance(first, list | tuple):
        flat = [one for _, answer in parts for one in answer]
        joined = [flat[place] for place in order]
        return joined if isinstance(first, list) else tuple(joined)
    if isinstance(first, np.ndarray):
        return np.concatenate([answer for _, answer in parts])[order]
    module = type(first).__module__.partition(".")[0]
    answers = [answer for _, answer in parts]
    if module == "torch":
        return sys.modules["torch"].cat(answers)[order]
    if module == "pandas":
        return sys.modules["pandas"].concat(answers).iloc[order]
    raise NoBatch(f"answers of type {type(first).__name__} cannot be put together; pass join=")


def batch_place(given: Any) -> str | int:
    """*given*, where it names an argument."""
    if isinstance(given, str):
        return given
    return _checks.whole("rows", given, at_least=0, remedy="pass the name or position of the batch")


def batches(size: Any, take: Any, join: Any) -> Batches:
    """The user's own ways to treat a batch, checked."""
    return Batches(
        optional("size", size, "pass (batch) -> int"),
        optional("take", take, "pass (batch, numbers) -> batch"),
        optional("join", join, "pass ([(numbers, answer), ...], count) -> answer"),
    )


def refuse_streams(policy: Policy, target: Target) -> None:
    """Refuse what gives no answer that has rows."""
    if target.colour.streams:
        raise TypeError(
            f"{type(policy).__name__} cannot guard {target.colour.value} {target.name!r}, whose answer "
            f"has no rows; "
            "guard the function that takes a batch"
        )


def optional(name: str, given: Any, remedy: str) -> Any:
    """*given*, a function or None."""
    return None if given is None else _checks.function(name, given, remedy=remedy)
