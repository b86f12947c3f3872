"""Finds the numbers in an answer and puts others in their place, in a copy, whatever holds them.

Numbers are found in numpy arrays, numpy and Python scalars, lists of numbers, and in tuples, lists, dicts and
dataclasses of those. What holds none, such as text beside scores, stays as it is.
"""

from __future__ import annotations

import copy
import dataclasses
from collections.abc import Callable, Iterable
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt

Array: TypeAlias = npt.NDArray[Any]
Change = Callable[[Array], Array]

_NUMBERS = "biufc"
"""The kinds of dtypes that hold numbers."""


def changed(value: Any, change: Change, what: str) -> Any:
    """A copy of *value* with every array of numbers put through *change*.

    A list of numbers is an array, nested or not, and becomes a list again; a single number is an array of no
    dimension.

    Args:
        value: An answer of a model.
        change: Gives a new array for each; never writes into what it is given.
        what: What to say does not fit, if there is no number in it.

    Raises:
        TypeError: *value* holds no numbers.

    >>> changed({"scores": [0.2, 0.8], "model": "spam"}, lambda array: array * 0, "it")
    {'scores': [0.0, 0.0], 'model': 'spam'}
    """
    found = _changed(value, change)
    if found is _NONE:
        raise TypeError(
            f"{what} changes numbers, and there are none in an object of type "
            f"{type(value).__name__!r}; put it around numpy arrays, numbers, or lists, tuples, dicts or "
            "dataclasses of them"
        )
    return found


_NONE: Any = object()
"""There are no numbers here."""


def _changed(value: Any, change: Change) -> Any:
    if isinstance(value, np.ndarray):
        return change(value) if value.dtype.kind in _NUMBERS else _NONE
    if isinstance(value, np.generic):
        return change(np.asarray(value))[()] if value.dtype.kind in _NUMBERS else _NONE
    if isinstance(value, bool | int | float | complex):
        return change(np.asarray(value)).tolist()
    if isinstance(value, list) and (array := _as_array(value)) is not None:
        return change(array).tolist()
    return _inside(value, change)


def _as_array(value: list[Any]) -> Array | None:
    """A list of numbers, or of lists of numbers of one length, as an array; None for any other."""
    if not value or not _of_numbers(value):
        return None
    try:
        return np.asarray(value)
    except ValueError:  # rows of different lengths: each is an array of its own
        return None


def _of_numbers(value: list[Any]) -> bool:
    return all(
        _of_numbers(one) if isinstance(one, list) else isinstance(one, bool | int | float | complex)
        for one in value
    )


def _inside(value: Any, change: Change) -> Any:
    """The same for what holds values."""
    if isinstance(value, dict):
        return _put_back(value, value.items(), change)
    if isinstance(value, list):
        return _put_back(value, enumerate(value), change)
    if isinstance(value, tuple):
        listed = _inside(list(value), change)
        if listed is _NONE:
            return _NONE
        return type(value)(*listed) if hasattr(value, "_fields") else type(value)(listed)
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        names = [one.name for one in dataclasses.fields(value) if one.init]
        held = {name: getattr(value, name) for name in names}
        fresh = _inside(held, change)
        return _NONE if fresh is _NONE else dataclasses.replace(value, **fresh)
    return _NONE


def _put_back(holder: Any, items: Iterable[tuple[Any, Any]], change: Change) -> Any:
    fresh = {key: one for key, held in items if (one := _changed(held, change)) is not _NONE}
    if not fresh:
        return _NONE
    made = copy.copy(holder)
    for key, one in fresh.items():
        made[key] = one
    return made
