"""Faults of batches: rows that are shuffled, missing, or poison for the whole batch."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np

from ... import _checks
from .answers import OnNumbers, chosen
from .arguments import find, place_of
from .arrays import Array
from .case import Case
from .fault import Before, OnAnswer
from .raising import made, maker
from .steps import Raise, Step


def _rows_of(value: Any, what: str) -> int:
    """How many rows an answer has: of an array or sequence, or of each value of a dict of those."""
    if isinstance(value, dict) and value:
        counts = {_rows_of(held, what) for held in value.values()}
        if len(counts) == 1:
            return counts.pop()
    elif (isinstance(value, np.ndarray) and value.ndim) or isinstance(value, list | tuple):
        return len(value)
    raise TypeError(
        f"{what} changes rows, and there are none in an object of type {type(value).__name__!r}; put it "
        "around an array, a list, a tuple, or a dict of those with as many rows each"
    )


def _taken(value: Any, order: Sequence[int]) -> Any:
    """The rows of *value* in this order."""
    if isinstance(value, dict):
        return {key: _taken(held, order) for key, held in value.items()}
    if isinstance(value, np.ndarray):
        return value[list(order)]
    rows = [value[place] for place in order]
    return rows if isinstance(value, list) else tuple(rows)


@dataclass(frozen=True, repr=False)
class _Shuffled(OnAnswer):
    def answer(self, case: Case, value: Any) -> Any:
        count = _rows_of(value, self.title())
        if count < 2:
            return value
        order = list(range(count))
        for place in range(count - 1, 0, -1):  # Sattolo's: one cycle, so that no row stays where it was
            other = case.draws.below(place)
            order[place], order[other] = order[other], order[place]
        return _taken(value, order)


def shuffled_rows() -> OnAnswer:
    """The rows of the answer change places, all of them: each caller gets somebody else's answer.

    Of an array, a list, a tuple, or a dict of those with as many rows each. One row alone stays as it is.

    >>> from resilient_ml.testing import faults
    >>> faults.inject(lambda rows: rows, faults.shuffled_rows(), seed=3)([1, 2, 3, 4])
    [3, 4, 2, 1]

    Source: S. Sattolo, "An algorithm to generate a random cyclic permutation", 1986.
    """
    return _Shuffled(called="shuffled_rows")


@dataclass(frozen=True, repr=False)
class _Partial(OnAnswer):
    drop: int | None = None
    share: float | None = None

    def answer(self, case: Case, value: Any) -> Any:
        count = _rows_of(value, self.title())
        if not count:
            return value
        if self.drop is not None:
            share = min(self.drop, count) / count
        else:
            assert self.share is not None
            share = self.share
        gone = chosen(case.draws, count, share)
        return _taken(value, [place for place in range(count) if not gone[place]])


def partial_batch(drop: int | None = None, *, share: float | None = None) -> OnAnswer:
    """The answer has fewer rows than were asked for; the seed says which are missing.

    Args:
        drop: How many rows are missing, from 1; by default one.
        share: Instead, which share of them, above 0 and at most 1; at least one is.

    >>> from resilient_ml.testing import faults
    >>> faults.inject(lambda rows: rows, faults.partial_batch(2), seed=1)(["a", "b", "c", "d"])
    ['a', 'd']
    """
    if drop is not None and share is not None:
        raise ValueError(f"drop or share must be given, not both, got {drop} and {share}; leave one out")
    if share is not None:
        return _Partial(
            share=_checks.share("share", share, remedy="0.5 drops every other row, on average"),
            called="partial_batch",
        )
    most = _checks.whole("drop", 1 if drop is None else drop, at_least=1, remedy="1 drops one row")
    return _Partial(most, called="partial_batch")


# -- poison ------------------------------------------------------------------------------------------------


@dataclass(frozen=True, repr=False)
class _PoisonError(Before):
    bad: Callable[[Any], Any]
    argument: int | str
    make: Callable[[], BaseException]

    def title(self) -> str:
        return _poison_title(self.bad)

    def due(self, case: Case) -> bool:
        return any(self.bad(row) for row in find(case.args, case.kwargs, self.argument, self.title()))

    def before(self, case: Case) -> Iterator[Step]:
        yield Raise(partial(made, self.make, self.title()))


@dataclass(frozen=True, repr=False)
class _PoisonNaN(OnNumbers):
    bad: Callable[[Any], Any]
    argument: int | str

    def title(self) -> str:
        return _poison_title(self.bad)

    def due(self, case: Case) -> bool:
        return any(self.bad(row) for row in find(case.args, case.kwargs, self.argument, self.title()))

    def change(self, case: Case, array: Array) -> Array:
        bad = [bool(self.bad(row)) for row in find(case.args, case.kwargs, self.argument, self.title())]
        if not array.ndim or len(array) != len(bad):
            raise TypeError(
                f"{self.title()} spoils the answers to poison rows, and got an array of shape {array.shape} "
                f"for {len(bad)} rows; put it around what gives a row for a row, or say answer='fail'"
            )
        made = array.copy() if array.dtype.kind in "fc" else array.astype(np.float64)
        made[bad] = math.nan
        return made


def _poison_title(bad: Callable[[Any], Any]) -> str:
    return f"poison({getattr(bad, '__name__', '...').replace('<lambda>', '...')})"


def poison(
    bad: Callable[[Any], Any],
    *,
    answer: str = "fail",
    error: type[BaseException] | Callable[[], BaseException] | str = ValueError,
    argument: int | str = 0,
) -> Before | OnAnswer:
    """A row with a property spoils the batch that it is in.

    Args:
        bad: Tells of a row whether it is poison.
        answer: ``"fail"``, the whole batch fails; or ``"nan"``, the answers to the poison rows are NaN.
        error: What the batch fails with: an exception class, a function that makes one, or a kind.
        argument: Which argument is the batch: its position, from 0, or its name.

    >>> from resilient_ml.testing import faults
    >>> halve = lambda rows: [row / 2 for row in rows]
    >>> faults.inject(halve, faults.poison(lambda row: row < 0, answer="nan"))([2, -1, 6])
    [1.0, nan, 3.0]
    """
    _checks.function("bad", bad, remedy="pass a function that tells whether a row is poison")
    place = place_of(argument)
    if answer == "nan":
        return _PoisonNaN(bad, place, called="poison")
    if answer != "fail":
        raise ValueError(f"answer must be 'fail' or 'nan', got {_checks.shown(answer)}")
    return _PoisonError(bad, place, maker("error", error), called="poison")
