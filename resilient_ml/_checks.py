"""Checks of what users pass to constructors: each names the parameter, the value, the rule and the remedy.

Values are shown only when they are numbers, strings or types: anything else by its type alone.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any


def shown(value: object) -> str:
    """How *value* appears in a message: numbers and short strings as they are, the rest by type."""
    if value is None or isinstance(value, bool | type):
        return repr(value)
    if isinstance(value, int):
        bits = value.bit_length()
        return repr(int(value)) if bits <= 128 else f"an int of {bits} bits"
    if isinstance(value, float):
        return repr(float(value))
    if isinstance(value, str):
        return repr(value if len(value) <= 40 else value[:40] + "…")
    return f"an object of type {type(value).__name__}"


def whole(name: str, value: Any, *, at_least: int, remedy: str) -> int:
    """*value* as an int of at least *at_least*."""
    if isinstance(value, bool) or not hasattr(type(value), "__index__"):
        raise TypeError(f"{name} must be a whole number, got {shown(value)}; {remedy}{_bare(value)}")
    number = int(value.__index__())
    if number < at_least:
        raise ValueError(f"{name} must be at least {at_least}, got {shown(number)}; {remedy}")
    return number


def seconds(name: str, value: Any, *, remedy: str, zero: bool = False) -> float:
    """*value* as a finite number of seconds above zero, or from zero where *zero* is allowed."""
    number = real(name, value, remedy=remedy)
    if number < 0 or (number == 0 and not zero):
        rule = "must not be negative" if zero else "must be above 0"
        raise ValueError(f"{name} {rule}, got {shown(value)}; {remedy}")
    return number


def share(name: str, value: Any, *, remedy: str, zero: bool = False) -> float:
    """*value* as a share: above 0 (or from 0 where *zero* is allowed) and at most 1."""
    number = real(name, value, remedy=remedy)
    if not 0 <= number <= 1 or (number == 0 and not zero):
        rule = "from 0 to 1" if zero else "above 0 and at most 1"
        raise ValueError(f"{name} must be {rule}, got {shown(value)}; {remedy}")
    return number


def real(name: str, value: Any, *, remedy: str) -> float:
    """*value* as a finite float; booleans and strings are refused."""
    if isinstance(value, bool | str | bytes) or not (hasattr(type(value), "__float__")):
        raise TypeError(f"{name} must be a number, got {shown(value)}; {remedy}{_bare(value)}")
    try:
        number = float(value)
    except OverflowError:
        number = math.inf
    if not math.isfinite(number):
        raise ValueError(f"{name} must be finite, got {shown(value)}; {remedy}")
    return number


def _bare(value: object) -> str:
    """The likeliest reason for a function where a number belongs."""
    return "; a decorator needs its parentheses, as in @Retry()" if callable(value) else ""


def at_least(name: str, value: Any, least: float, *, remedy: str) -> float:
    """*value* as a finite float of at least *least*."""
    number = real(name, value, remedy=remedy)
    if number < least:
        raise ValueError(f"{name} must be at least {least:g}, got {shown(value)}; {remedy}")
    return number


def one_of(name: str, value: Any, choices: tuple[str, ...]) -> str:
    """*value*, where it is one of *choices*."""
    if value not in choices:
        raise ValueError(
            f"{name} must be {' or '.join(map(repr, choices))}, got {shown(value)}; pass one of them"
        )
    return str(value)


def flag(name: str, value: Any, *, remedy: str) -> bool:
    """*value* as a bool, nothing else."""
    if not isinstance(value, bool):
        raise TypeError(f"{name} must be True or False, got {shown(value)}; {remedy}")
    return value


def function(name: str, value: Any, *, remedy: str) -> Callable[..., Any]:
    """*value* as a callable."""
    if not callable(value):
        raise TypeError(f"{name} must be callable, got {shown(value)}; {remedy}")
    checked: Callable[..., Any] = value
    return checked
