"""How a value is kept so that nobody who was handed it can change what the next one is handed.

What cannot be changed is kept and handed out as it is. An array is kept as a private copy and handed out as a
copy; a list, dict or set of these is copied as far down as it can be changed. Anything else goes through
:func:`copy.deepcopy`.
"""

from __future__ import annotations

import copy
import enum
import sys
from collections.abc import Callable
from typing import Any

_FIXED = (str, bytes, int, float, complex, bool, type(None), type(...), enum.Enum)
_OVERHEAD = 350
"""What an entry costs beside its value: its key, its places in the cache's tables, the counters."""
_DEEPEST = 32


class Kept:
    """A value that is kept.

    Attributes:
        value: The private one.
        weight: Bytes, roughly, with what the entry itself costs.
        hand: Makes what is handed out; None where that is the value itself.
    """

    __slots__ = ("hand", "value", "weight")

    def __init__(self, value: Any, weight: int, hand: Callable[[Any], Any] | None) -> None:
        self.value: Any = value
        self.weight: int = weight
        self.hand: Callable[[Any], Any] | None = hand

    def out(self) -> Any:
        """The value, for somebody to keep."""
        return self.value if self.hand is None else self.hand(self.value)


def keep(value: Any, *, copied: bool = True) -> Kept | None:
    """*value*, kept; None where it cannot be copied.

    Args:
        value: Anything.
        copied: False to hand out one and the same object each time, arrays as views that cannot be written.
    """
    if type(value) in _FIXED:
        return Kept(value, weight_of(value), None)
    try:
        if not copied:
            array = _is_array(value)
            return Kept(_read_only(value) if array else value, weight_of(value), _view if array else None)
        how = _how(value)
        return Kept(how(value) if how is not None else value, weight_of(value), how)
    except Exception:  # noqa: BLE001 - whatever a copy raises: there is none
        return None


def weight_of(value: Any) -> int:
    """Bytes that *value* takes, roughly; each object in it once."""
    seen: set[int] = set()
    total = _OVERHEAD
    todo = [value]
    while todo:
        one = todo.pop()
        if id(one) in seen:
            continue
        seen.add(id(one))
        size = getattr(one, "nbytes", None)
        total += sys.getsizeof(one, 64) + (size if isinstance(size, int) and type(one) not in _FIXED else 0)
        if isinstance(one, dict):
            todo.extend(one.keys())
            todo.extend(one.values())
        elif isinstance(one, list | tuple | set | frozenset):
            todo.extend(one)
        elif not isinstance(one, type):
            held = getattr(one, "__dict__", None)
            if isinstance(held, dict):
                todo.append(held)
    return total


def _how(value: Any) -> Callable[[Any], Any] | None:
    """How to copy *value*; None where that is not needed."""
    kind = type(value)
    if _is_fixed(value, 0):
        return None
    if _is_array(value):
        return _copy_array
    if kind is list and all(_is_fixed(one, 0) for one in value):
        return list
    if kind is dict and all(_is_fixed(one, 0) for one in value.values()):
        return dict
    return copy.deepcopy


def _is_fixed(value: Any, depth: int) -> bool:
    kind = type(value)
    if kind in _FIXED or isinstance(value, enum.Enum):
        return True
    if kind is tuple or kind is frozenset:
        return depth < _DEEPEST and all(_is_fixed(one, depth + 1) for one in value)
    numpy = sys.modules.get("numpy")
    # A scalar of structure is a window on something that can be changed, and one of objects holds anything.
    return numpy is not None and isinstance(value, numpy.generic) and value.dtype.kind not in "VO"


def _is_array(value: Any) -> bool:
    numpy = sys.modules.get("numpy")
    return numpy is not None and type(value) is numpy.ndarray and not value.dtype.hasobject


def _copy_array(value: Any) -> Any:
    return value.copy()


def _view(value: Any) -> Any:
    return value.view()


def _read_only(value: Any) -> Any:
    private = value.copy()
    private.flags.writeable = False
    return private
