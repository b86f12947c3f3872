"""Batches, by their rows: how many there are, some of them, and answers put together again.

Known are arrays, lists, tuples, dicts of columns, tensors of torch and frames of pandas; no package is
imported that the caller has not imported already.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from hashlib import blake2b
from typing import Any

import numpy as np

from .. import _checks
from .._colour import Target
from .._content import content_key
from .._policy import Policy
from ._joining import NoBatch, Parts, Rows, count_rows, join_answers, row_of, rows_in

CHANGED = "the model has changed its batch in place, so no part of it can be tried: let it work on a copy"
"""The note on an error after which the batch is no longer what was asked."""


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

    def rows_in(self, answer: Any, expected: int) -> int:
        """How many rows *answer* has: *expected*, where it can be read so.

        Raises:
            NoBatch: It has none.
        """
        if self.size is None and (found := rows_in(answer, expected)) is not None:
            return found
        return self.count(answer)

    def joined(self, parts: Parts, count: int, batch: Any = None, fill: Any = None) -> Any:
        """One answer for *count* rows of *batch*, of answers to parts; *fill* for the rows that none has.

        Raises:
            NoBatch: They do not fit together.
        """
        if self.join is None:
            return join_answers(parts, count, fill, batch) if parts else [fill] * count
        known = {row for rows, _ in parts for row in rows}
        bad = [row for row in range(count) if row not in known]
        return self.join([*parts, (bad, [fill] * len(bad))] if bad else parts, count)


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


def sample_of(batch: Any) -> Any:
    """A little of what *batch* holds, by which a model is found out that changes its batch in place.

    Of an array, some 32 elements from all over it; of a tensor, the count of its changes that torch keeps; of
    a list, that of its first row. Costs about a microsecond; None where there is none to take.
    """
    if isinstance(batch, np.ndarray):
        step, width = max(1, batch.size // 32), batch.size // max(1, len(batch)) if batch.ndim else 1
        while math.gcd(step, width) > 1:  # so that the sample has elements of every column
            step -= 1
        return batch.flat[::step].tobytes()
    if isinstance(batch, Mapping):
        return [sample_of(column) for column in batch.values()]
    if isinstance(batch, list | tuple):
        return (len(batch), sample_of(batch[0])) if len(batch) and not isinstance(batch[0], str) else None
    try:
        return getattr(batch, "_version", None)
    except RuntimeError:  # tensors of torch.inference_mode count nothing
        return None


def row_keys(batch: Any, scope: int) -> Callable[[int], bytes]:
    """``(number) -> key`` of a row by its content; *scope* tells functions apart.

    The function that is returned raises TypeError for a row that has no content.
    """
    if type(batch) is np.ndarray and batch.dtype.kind in "biufcSUMm":  # many rows, and a quarter of the time
        head = f"{scope} {batch.dtype.str} {batch.shape[1:]} ".encode()
        return lambda row: blake2b(head + batch[row].tobytes(), digest_size=16).digest()
    return lambda row: content_key(scope, (row_of(batch, row),), {})


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
