"""Answers to parts of a batch, put together as the model would have given them for all of it.

An answer has its rows along the first axis of an array, a tensor or a frame, or as the items of a list or
tuple. A model of several outputs gives a dict of such columns, or a tuple or list of them. A tuple of two
arrays for two rows could be either: which one it is, the parts of other sizes tell, and where none does it is
refused, since a guess could hand one row the answer of another.
"""

from __future__ import annotations

import itertools
import sys
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

Rows = Sequence[int]
Parts = Sequence[tuple[Rows, Any]]


class NoBatch(TypeError):
    """A value that has no rows, or answers that cannot be put together; the text has the remedy."""


def count_rows(batch: Any) -> int | None:
    """How many rows; None where *batch* has none."""
    if isinstance(batch, np.ndarray):  # first, as it is the most frequent
        return len(batch) if batch.ndim else None
    if isinstance(batch, str | bytes):
        return None
    if isinstance(batch, Mapping):
        counts = {count_rows(column) for column in batch.values()}
        return counts.pop() if len(counts) == 1 else None
    shape = getattr(batch, "shape", None)
    if shape is not None:
        return int(shape[0]) if len(shape) else None
    return len(batch) if isinstance(batch, list | tuple) else None


def row_of(batch: Any, row: int) -> Any:
    """One row, for a hash or a result."""
    if isinstance(batch, Mapping):
        return {name: row_of(column, row) for name, column in batch.items()}
    if hasattr(batch, "iloc"):
        return batch.iloc[row]
    return batch[row]


def rows_in(answer: Any, expected: int) -> int | None:
    """How many rows *answer* has: *expected*, where it can be read so; None where it has none."""
    if isinstance(answer, np.ndarray):
        return count_rows(answer)
    if isinstance(answer, Mapping):
        counts = {rows_in(column, expected) for column in answer.values()}
        return counts.pop() if len(counts) == 1 else None
    if isinstance(answer, list | tuple):
        if _are_outputs(answer, expected):
            return expected
        if _is_record(answer):
            return count_rows(answer[0]) if answer else None
    return count_rows(answer)


def own(answer: Any) -> Any:
    """*answer* in memory of its own: the next part may be answered in the same buffer."""
    if isinstance(answer, Mapping):
        return {name: own(column) for name, column in answer.items()}
    if isinstance(answer, list | tuple):
        return _remade(answer, [own(one) for one in answer])
    if isinstance(answer, np.ndarray):
        return answer.copy()
    return answer.clone() if _package(answer) == "torch" else answer


def answers_by_row(parts: Parts) -> dict[int, Any]:
    """Each row's own answer: of a model of several outputs a dict or tuple of them."""
    if not parts:
        return {}
    first = parts[0][1]
    if all(isinstance(answer, Mapping) for _, answer in parts):
        columns = {name: answers_by_row(_column(parts, name)) for name in _keys(parts)}
        return {row: {name: columns[name][row] for name in columns} for rows, _ in parts for row in rows}
    if has_outputs(parts):
        outputs = [answers_by_row(_column(parts, at)) for at in range(len(first))]
        return {row: _remade(first, [one[row] for one in outputs]) for rows, _ in parts for row in rows}
    return {row: row_of(answer, at) for rows, answer in parts for at, row in enumerate(rows)}


def join_answers(parts: Parts, count: int, fill: Any = None, batch: Any = None) -> Any:
    """Answers to parts, as one in the order of the rows, of the kind that they are.

    Args:
        parts: At least one; ``(numbers of the rows, answer)``.
        count: How many rows there are in all.
        fill: What stands for the rows that no part has; for several outputs a dict or tuple of one each.
        batch: What was asked, for the labels of rows that no part has.

    Raises:
        NoBatch: They do not fit together.
    """
    first = parts[0][1]
    if len(parts) == 1 and len(parts[0][0]) == count:
        return first
    if not all(type(answer) is type(first) for _, answer in parts):
        raise NoBatch("the answers to parts of the batch are of several types; pass join=")
    if isinstance(first, Mapping):
        return {
            name: join_answers(
                _column(parts, name), count, fill.get(name) if isinstance(fill, Mapping) else fill, batch
            )
            for name in _keys(parts)
        }
    if has_outputs(parts):
        one_each = isinstance(fill, tuple) and len(fill) == len(first)
        return _remade(
            first,
            [
                join_answers(_column(parts, at), count, fill[at] if one_each else fill, batch)
                for at in range(len(first))
            ],
        )
    return _join_rows(parts, count, fill, batch)


def has_outputs(parts: Parts) -> bool:
    """Whether the lists or tuples of *parts* hold one item an output, and not one a row.

    Raises:
        NoBatch: They could be either.
    """
    if not all(isinstance(answer, list | tuple) for _, answer in parts):
        return False
    as_outputs = len({len(answer) for _, answer in parts}) == 1 and all(
        _are_outputs(answer, len(rows)) for rows, answer in parts
    )
    as_rows = all(len(answer) == len(rows) and not _is_record(answer) for rows, answer in parts)
    if as_outputs and as_rows:
        raise NoBatch(
            f"the answers to parts of the batch are {len(parts[0][1])} columns of as many rows: they could "
            "be one item a row or one an output; return an array or a dict of columns, or pass join="
        )
    return as_outputs


def _join_rows(parts: Parts, count: int, fill: Any, batch: Any) -> Any:
    """Answers that have their rows as items or along the first axis."""
    parts = sorted(parts, key=lambda part: part[0][0])
    first = parts[0][1]
    answers = [answer for _, answer in parts]
    numbers, missing, order = _order(parts, count)
    if isinstance(first, list | tuple):
        flat = [one for answer in answers for one in answer] + [fill] * len(missing)
        joined = flat if order is None else [flat[place] for place in order]
        return joined if isinstance(first, list) else tuple(joined)
    package = _package(first)
    try:
        if isinstance(first, np.ndarray):
            if missing:
                answers.append(_filled_array(first, len(missing), fill))
            masked = isinstance(first, np.ma.MaskedArray)
            whole = (np.ma.concatenate if masked else np.concatenate)(answers)
            return whole if order is None else whole[order]
        if package == "torch":
            torch = sys.modules["torch"]
            if missing:
                answers.append(_filled_tensor(torch, first, len(missing), fill))
            whole = torch.cat(answers)
            return whole if order is None else whole[order]
        if package == "pandas":
            return _join_frames(sys.modules["pandas"], parts, numbers, missing, order, fill, batch)
    except (ValueError, RuntimeError) as error:  # shapes that differ, such as texts padded part by part
        raise NoBatch("the answers to parts of the batch differ in shape; pass join=") from error
    raise NoBatch(f"answers of type {type(first).__name__} cannot be put together; pass join=")


def _order(parts: Parts, count: int) -> tuple[Rows, Rows, list[int] | None]:
    """The numbers of the rows, those in no part last; which these are; and the places of all in order.

    The places are None where *parts*, sorted by their first row, have all rows in order: a million rows are
    then put together without a list of them.
    """
    if sum(len(rows) for rows, _ in parts) == count and all(
        one[-1] < two[0] for (one, _), (two, _) in itertools.pairwise(parts)
    ):
        return range(count), (), None
    numbers = [row for rows, _ in parts for row in rows]
    known = set(numbers)
    missing = [row for row in range(count) if row not in known]
    numbers += missing
    return numbers, missing, sorted(range(count), key=numbers.__getitem__)


def _filled_array(like: Any, count: int, fill: Any) -> Any:
    value = np.nan if fill is None and like.dtype.kind in "fc" else fill
    kind = like.dtype if _fits_type(value, like.dtype) else np.dtype(object)
    made = np.empty((count, *like.shape[1:]), kind)
    made[...] = value
    return made


def _fits_type(value: Any, dtype: np.dtype[Any]) -> bool:
    """Whether an array of *dtype* can hold *value* unchanged."""
    try:
        with np.errstate(all="ignore"):
            held = np.asarray(value).astype(dtype)
        return bool(np.array_equal(held, np.asarray(value), equal_nan=dtype.kind in "fc"))
    except (TypeError, ValueError, OverflowError):
        return False


def _filled_tensor(torch: Any, like: Any, count: int, fill: Any) -> Any:
    if fill is None and like.is_floating_point():
        fill = float("nan")
    if not isinstance(fill, bool | int | float):
        raise NoBatch(f"a tensor of {like.dtype} cannot hold the fill; pass a number as fill=")
    shape = (count, *like.shape[1:])
    if like.is_floating_point() or like.new_full((1,), fill).item() == fill:
        return like.new_full(shape, fill)
    return torch.full(shape, fill, device=like.device)  # a wider type, which the whole then has


def _join_frames(
    pandas: Any, parts: Parts, numbers: Rows, missing: Rows, order: Rows | None, fill: Any, batch: Any
) -> Any:
    """Frames and series: labelled as the batch is, or from 0 where each part was, or as the rows were."""
    whole = pandas.concat([answer for _, answer in parts])
    known = numbers[: len(numbers) - len(missing)]
    labels = whole.index
    if hasattr(batch, "iloc") and [batch.index[row] for row in known] == list(labels):
        labels = batch.index
    elif all(list(answer.index) == list(range(len(rows))) for rows, answer in parts):
        labels = pandas.RangeIndex(len(numbers))
    elif missing:
        raise NoBatch("nobody can say which labels the filled rows have; pass join=")
    elif order is not None:
        labels = labels[order]
    whole.index = known
    whole = whole.reindex(range(len(numbers)), **({} if fill is None else {"fill_value": fill}))
    whole.index = labels
    return whole


def _are_outputs(answer: Any, rows: int) -> bool:
    """Whether *answer* can be read as one column an output, each of so many rows."""
    columns = answer if isinstance(answer, tuple) else [one for one in answer if hasattr(one, "shape")]
    return bool(answer) and len(columns) == len(answer) and all(count_rows(one) == rows for one in columns)


def _is_record(answer: Any) -> bool:
    """Whether it is a named tuple, whose items are outputs for sure."""
    return isinstance(answer, tuple) and hasattr(answer, "_fields")


def _remade(like: Any, items: list[Any]) -> Any:
    if isinstance(like, list):
        return items
    return type(like)(*items) if _is_record(like) else tuple(items)


def _keys(parts: Parts) -> list[Any]:
    first = parts[0][1]
    if not all(answer.keys() == first.keys() for _, answer in parts):
        raise NoBatch("the answers to parts of the batch have different keys; pass join=")
    return list(first)


def _column(parts: Parts, name: Any) -> Parts:
    return [(rows, answer[name]) for rows, answer in parts]


def _package(value: Any) -> str:
    return type(value).__module__.partition(".")[0]
