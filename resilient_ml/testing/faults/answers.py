"""Faults that spoil the numbers of an answer: NaN, infinity, constants, wrong shapes and types, drift."""

from __future__ import annotations

import math
from abc import abstractmethod
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from ... import _checks
from .arrays import Array, changed
from .case import Case
from .draws import Draws
from .fault import OnAnswer


@dataclass(frozen=True, repr=False)
class OnNumbers(OnAnswer):
    """Changes the numbers of an answer."""

    def answer(self, case: Case, value: Any) -> Any:
        """A copy with other numbers."""
        return changed(value, lambda array: self.change(case, array), self.title())

    @abstractmethod
    def change(self, case: Case, array: Array) -> Array:
        """The array in place of *array*, a new one."""


def chosen(draws: Draws, size: int, share: float) -> npt.NDArray[np.bool_]:
    """Which of *size* things are struck: *share* of them, one at least, picked at random.

    >>> chosen(Draws(1), 5, 0.4).sum().item()
    2
    """
    count = min(size, max(1, math.floor(share * size + 0.5)))
    order = list(range(size))
    for place in range(count):  # the first steps of a Fisher-Yates shuffle
        other = place + draws.below(size - place)
        order[place], order[other] = order[other], order[place]
    mask = np.zeros(size, bool)
    mask[order[:count]] = True
    return mask


@dataclass(frozen=True, repr=False)
class _Filled(OnNumbers):
    """Puts one value in the place of a share of the numbers, or of the rows."""

    share: float = 1.0
    value: float = math.nan
    by_rows: bool = False

    def title(self) -> str:
        told = [] if self.called != "constant" else [f"value={self.value:g}"]
        if self.called == "inf" and self.value < 0:
            told.append("negative=True")
        if self.share < 1.0:
            told.append(f"share={self.share:g}")
        return f"{self.called}({', '.join(told)})"

    def change(self, case: Case, array: Array) -> Array:
        # What they cannot hold turns whole numbers into floats, as it does wherever they are computed.
        made = array.copy() if _holds(array.dtype, self.value) else array.astype(np.float64)
        with np.errstate(over="ignore"):  # half floats end at 65,504
            if self.share == 1.0 or not array.size:
                made[...] = self.value
            elif self.by_rows and array.ndim:
                made[chosen(case.draws, array.shape[0], self.share)] = self.value
            else:
                made.flat[np.flatnonzero(chosen(case.draws, array.size, self.share))] = self.value
        return made


def _holds(dtype: np.dtype[Any], value: float) -> bool:
    """Whether an array of this type can hold *value*."""
    if dtype.kind in "fc":
        return True
    low, high = (0, 1) if dtype.kind == "b" else (np.iinfo(dtype).min, np.iinfo(dtype).max)
    return low <= value <= high and value == int(value)


def nan(share: float = 1.0) -> OnAnswer:
    """Numbers of the answer are NaN; whole numbers become floats.

    Args:
        share: How many of each array's numbers, above 0 and at most 1; at least one is; the seed says which.

    >>> from resilient_ml.testing import faults
    >>> faults.inject(lambda rows: [0.2, 0.8, 0.5], faults.nan(share=0.3), seed=1)("rows")
    [0.2, nan, 0.5]
    """
    return _Filled(_share(share), called="nan")


def inf(share: float = 1.0, *, negative: bool = False) -> OnAnswer:
    """Numbers of the answer are infinite; as :func:`nan`.

    Args:
        share: How many of each array's numbers, above 0 and at most 1.
        negative: Whether they are minus infinity.
    """
    below = _checks.flag("negative", negative, remedy="True for minus infinity")
    return _Filled(_share(share), -math.inf if below else math.inf, called="inf")


def zeroed(share: float = 1.0) -> OnAnswer:
    """Rows of the answer are all zeros, as embeddings are that were never computed.

    Args:
        share: How many of each array's rows, above 0 and at most 1.
    """
    return _Filled(_share(share), 0.0, by_rows=True, called="zeroed")


def constant(value: float = 0.5) -> OnAnswer:
    """Every number of the answer is *value*: a dead model."""
    number = _checks.real("value", value, remedy="pass the number that a dead model gives")
    return _Filled(1.0, number, called="constant")


def _share(share: float) -> float:
    return _checks.share("share", share, remedy="0.1 strikes one in ten")


@dataclass(frozen=True, repr=False)
class _WrongShape(OnNumbers):
    extra: int = 1

    def change(self, case: Case, array: Array) -> Array:
        flat = array.reshape(1) if not array.ndim else array
        if self.extra < 0:
            return flat[..., : self.extra].copy()
        last = flat[..., -1:] if flat.shape[-1] else np.zeros((*flat.shape[:-1], 1), flat.dtype)
        return np.concatenate([flat, np.repeat(last, self.extra, axis=-1)], axis=-1)


def wrong_shape(extra: int = 1) -> OnAnswer:
    """The last axis of the answer is too long or too short: ``(rows, classes + extra)``.

    A single number becomes an array.

    Args:
        extra: How many columns too many; negative for too few, not 0.

    >>> from resilient_ml.testing import faults
    >>> faults.inject(lambda: [[0.2, 0.8], [0.6, 0.4]], faults.wrong_shape())()
    [[0.2, 0.8, 0.8], [0.6, 0.4, 0.4]]
    """
    columns = _checks.whole(
        "extra", extra, at_least=-1_000_000, remedy="1 is a column too many, -1 one too few"
    )
    if columns == 0:
        raise ValueError("extra must not be 0, got 0; 1 is a column too many, -1 one too few")
    return _WrongShape(columns, called="wrong_shape")


@dataclass(frozen=True, repr=False)
class _WrongDtype(OnNumbers):
    dtype: str = "str"

    def change(self, case: Case, array: Array) -> Array:
        with np.errstate(all="ignore"):  # what does not fit is what was asked for
            return array.astype(self.dtype)


def wrong_dtype(dtype: npt.DTypeLike = "str") -> OnAnswer:
    """The numbers of the answer have another type: text by default, as after a lazy parser.

    Args:
        dtype: Any of numpy's, ``"float16"`` or ``"int64"`` say.
    """
    try:
        name = "str" if dtype in ("str", str) else np.dtype(dtype).name
    except TypeError as unknown:
        raise TypeError(
            f"dtype must be one of numpy's, got {_checks.shown(dtype)}; pass 'float16' or 'str', say"
        ) from unknown
    return _WrongDtype(name, called="wrong_dtype")


@dataclass(frozen=True, repr=False)
class _Drifting(OnNumbers):
    shift: float = 0.0
    scale: float = 1.0
    over_calls: int | None = None
    over_seconds: float | None = None

    def change(self, case: Case, array: Array) -> Array:
        if self.over_calls is not None:
            way = min(1.0, case.number / self.over_calls)
        elif self.over_seconds is not None:
            way = min(1.0, case.elapsed / self.over_seconds)
        else:
            way = 1.0
        made: Array = array * (1.0 + way * (self.scale - 1.0)) + way * self.shift
        return made.astype(array.dtype) if array.dtype.kind in "fc" else made


def drift(
    shift: float = 0.0,
    scale: float = 1.0,
    *,
    over_calls: int | None = None,
    over_seconds: float | None = None,
) -> OnAnswer:
    """The numbers of the answer move away from what they should be, and stay away.

    ``x * (1 + way * (scale - 1)) + way * shift``, where *way* grows from 0 to 1. For the inputs, put it into
    :func:`on_input`.

    Args:
        shift: What is added in the end.
        scale: What it is multiplied by in the end.
        over_calls: In how many calls it gets there, from 1.
        over_seconds: Or in how many seconds from the plan's start; with neither, it is there at once.

    >>> from resilient_ml.testing import faults
    >>> score = faults.inject(lambda: 10.0, faults.drift(shift=8.0, over_calls=4))
    >>> [score() for _ in range(5)]
    [12.0, 14.0, 16.0, 18.0, 18.0]
    """
    shift = _checks.real("shift", shift, remedy="pass what is added in the end")
    scale = _checks.real("scale", scale, remedy="pass what numbers are multiplied by in the end")
    if shift == 0.0 and scale == 1.0:
        raise ValueError("shift or scale must change something, got shift 0 and scale 1; pass shift=0.1, say")
    if over_calls is not None and over_seconds is not None:
        raise ValueError(
            f"over_calls or over_seconds must be given, not both, got {over_calls} and {over_seconds}; "
            "leave one out"
        )
    if over_calls is not None:
        over_calls = _checks.whole("over_calls", over_calls, at_least=1, remedy="pass in how many calls")
    if over_seconds is not None:
        over_seconds = _checks.seconds("over_seconds", over_seconds, remedy="pass in how many seconds")
    return _Drifting(shift, scale, over_calls, over_seconds, called="drift")


@dataclass(frozen=True, repr=False)
class _Replaced(OnAnswer):
    change: Callable[[Any], Any]

    def answer(self, case: Case, value: Any) -> Any:
        return self.change(value)


def replaced(change: Callable[[Any], Any]) -> OnAnswer:
    """The answer, or each item of a stream, is what *change* makes of it: a fault of your own.

    Args:
        change: Is given the model's answer, and must leave it as it is and give another.
    """
    return _Replaced(
        _checks.function("change", change, remedy="pass a function that gives another answer for an answer"),
        called="replaced",
    )
