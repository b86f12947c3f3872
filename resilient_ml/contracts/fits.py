"""Whether a plain value fits a type, as annotations write it."""

from __future__ import annotations

import dataclasses
import types
from collections.abc import Mapping, Sequence
from functools import lru_cache
from typing import (
    Annotated,
    Any,
    Literal,
    NotRequired,
    Required,
    TypeVar,
    Union,
    get_args,
    get_origin,
    get_type_hints,
)

from typing_extensions import is_typeddict

from .. import _checks


def misfit(value: Any, wanted: Any) -> str | None:
    """How *value* differs from the type *wanted*, in words that follow "it"; None if it fits.

    Known are classes, ``Any``, ``None``, unions, ``Literal``, ``list``, ``tuple``, ``set``, ``dict``,
    ``Sequence`` and ``Mapping`` with and without parts, ``TypedDict``, dataclasses, given as objects or as
    the dict of their fields, and ``Annotated``. An int fits ``float``; True fits no number.

    >>> misfit({"a": [1, "2"]}, dict[str, list[int]])
    "has 'a', which at 1 is a str, not int"
    """
    origin = get_origin(wanted)
    arguments = get_args(wanted)
    if wanted is Any or isinstance(wanted, TypeVar):
        return None
    if wanted is None or wanted is type(None):
        return None if value is None else f"is {_a(value)}, not None"
    if origin in (Annotated, Required, NotRequired):
        return misfit(value, arguments[0])
    if origin in (Union, types.UnionType):
        fits = any(misfit(value, one) is None for one in arguments)
        return None if fits else f"is {_a(value)}, not {_named(wanted)}"
    if origin is Literal:
        if any(value == one and type(value) is type(one) for one in arguments):
            return None
        return f"is none of {', '.join(map(repr, arguments))}"
    if is_typeddict(wanted) or (dataclasses.is_dataclass(wanted) and isinstance(value, Mapping)):
        return _keys(value, *_fields(wanted))
    kind = origin or wanted
    if not _is(value, kind):
        return f"is {_a(value)}, not {_named(kind)}"
    return _parts(value, kind, arguments) if arguments else None


def check_type(wanted: Any) -> None:
    """Look at all of a type before the first value comes.

    Raises:
        TypeError: Some part of it is no type that is known, or cannot be found.
    """
    origin = get_origin(wanted)
    if origin is Literal or wanted is None or wanted is Any or isinstance(wanted, TypeVar):
        return
    if origin is Annotated:
        check_type(get_args(wanted)[0])
        return
    if is_typeddict(wanted) or dataclasses.is_dataclass(wanted):
        for one in _fields(wanted)[0].values():
            check_type(one)
        return
    if not isinstance(origin or wanted, type) and origin not in (Union, Required, NotRequired):
        raise TypeError(
            f"schema must be a type, got {_checks.shown(wanted)}; pass a class, a TypedDict "
            "or list[float], say"
        )
    for one in get_args(wanted):
        if one is not Ellipsis:
            check_type(one)


@lru_cache(maxsize=256)
def _fields(wanted: Any) -> tuple[dict[str, Any], frozenset[str]]:
    """The types of the keys, and which of them there must be."""
    try:
        hints = get_type_hints(wanted)
    except NameError as error:
        raise TypeError(
            f"schema has annotations that name {error.name!r}, which {wanted.__name__} cannot find; "
            "define both at the top of a module"
        ) from error
    if is_typeddict(wanted):
        return hints, wanted.__required_keys__
    needed = (
        one.name
        for one in dataclasses.fields(wanted)
        if one.default is dataclasses.MISSING and one.default_factory is dataclasses.MISSING
    )
    return hints, frozenset(needed)


def _keys(value: Any, types_of: Mapping[str, Any], needed: frozenset[str]) -> str | None:
    if not isinstance(value, Mapping):
        return f"is {_a(value)}, not an object"
    for name in types_of:
        if name in needed and name not in value:
            return f"lacks {name!r}"
    for name, wanted in types_of.items():
        found = misfit(value[name], wanted) if name in value else None
        if found is not None:
            return f"has {name!r}, which {found}"
    return None


def _parts(value: Any, kind: type, arguments: tuple[Any, ...]) -> str | None:
    if issubclass(kind, Mapping):
        for key, inner in value.items():
            found = misfit(key, arguments[0])
            if found is not None:
                return f"has a key that {found}"
            found = misfit(inner, arguments[1])
            if found is not None:
                return f"has {str(key)[:40]!r}, which {found}"
        return None
    if issubclass(kind, tuple) and not (len(arguments) == 2 and arguments[1] is Ellipsis):
        if len(value) != len(arguments):
            return f"has {len(value)} items, not {len(arguments)}"
        pairs = zip(value, arguments, strict=True)
    else:
        pairs = zip(value, [arguments[0]] * len(value), strict=True)
    for at, (inner, wanted) in enumerate(pairs):
        found = misfit(inner, wanted)
        if found is not None:
            return f"at {at} {found}"
    return None


def _is(value: Any, kind: type) -> bool:
    if isinstance(value, bool):
        return kind in (bool, object)
    if kind is float:
        return isinstance(value, int | float)
    if kind is Sequence:
        return isinstance(value, Sequence) and not isinstance(value, str | bytes)
    return isinstance(value, kind)


def _a(value: object) -> str:
    return "None" if value is None else f"a {type(value).__name__}"


def _named(wanted: Any) -> str:
    return (
        wanted.__name__
        if isinstance(wanted, type) and not get_args(wanted)
        else str(wanted).replace("typing.", "")
    )
