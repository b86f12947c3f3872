"""The four colours of a callable, settled once, when it is guarded."""

from __future__ import annotations

import functools
import inspect
import types
import weakref
from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum
from typing import Any


class Colour(Enum):
    """How a callable gives its answer.

    | colour       | written as                  | used as                    |
    | ------------ | --------------------------- | -------------------------- |
    | CALL         | ``def``                     | ``f(x)``                   |
    | ASYNC_CALL   | ``async def``               | ``await f(x)``             |
    | STREAM       | a generator function        | ``for item in f(x)``       |
    | ASYNC_STREAM | an async generator function | ``async for item in f(x)`` |

    Inspection finds it; ``Pipeline(...)(fn, colour=...)`` says it where inspection cannot see it.
    """

    CALL = "call"
    ASYNC_CALL = "async call"
    STREAM = "stream"
    ASYNC_STREAM = "async stream"

    @property
    def is_async(self) -> bool:
        """Whether the caller awaits."""
        return self in (Colour.ASYNC_CALL, Colour.ASYNC_STREAM)

    @property
    def streams(self) -> bool:
        """Whether items pass by before the end."""
        return self in (Colour.STREAM, Colour.ASYNC_STREAM)


ANSWERED_BY = {
    Colour.CALL: {Colour.CALL},
    Colour.ASYNC_CALL: {Colour.CALL, Colour.ASYNC_CALL},
    Colour.STREAM: {Colour.CALL, Colour.STREAM},
    Colour.ASYNC_STREAM: {Colour.CALL, Colour.ASYNC_CALL, Colour.ASYNC_STREAM},
}
"""Which colours of another callable can answer for which colour of a function."""


@dataclass(frozen=True, slots=True)
class Target:
    """A callable with its colour and a name to call it by in messages."""

    fn: Callable[..., Any]
    colour: Colour
    name: str


_REMEDIES: tuple[tuple[type, str], ...] = (
    (type, "guard one of its methods, or an instance that can be called"),
    (property, "guard the method that computes it"),
    (functools.cached_property, "guard the method that computes it"),
)


def target_of(fn: object, colour: Colour | None = None) -> Target:
    """What *fn* is, or a TypeError that says why it cannot be guarded.

    Args:
        fn: The callable.
        colour: Overrides what inspection finds, for callables that do not show their colour,
            such as a client's plain method that returns an iterator of chunks.
    """
    for kind, remedy in _REMEDIES:
        if isinstance(fn, kind):
            raise TypeError(f"cannot guard {_describe(fn)}: {remedy}")
    if not callable(fn):
        raise TypeError(
            f"cannot guard {_describe(fn)}: it is not callable; pass the function itself, without calling it"
        )
    if colour is not None and not isinstance(colour, Colour):
        raise TypeError(f"colour must be a Colour, got {type(colour).__name__}; pass Colour.STREAM, say")
    return Target(fn, colour or colour_of(fn), name_of(fn))


def colour_of(fn: Callable[..., Any]) -> Colour:
    """The colour that inspection finds: of the function, or of the ``__call__`` of an object."""
    while isinstance(fn, functools.partial):
        fn = fn.func
    candidates = [fn]
    if not (inspect.isroutine(fn) or isinstance(fn, type)):
        candidates.append(type(fn).__call__)
    for candidate in candidates:
        if inspect.iscoroutinefunction(candidate):
            return Colour.ASYNC_CALL
        if inspect.isasyncgenfunction(candidate):
            return Colour.ASYNC_STREAM
        if inspect.isgeneratorfunction(candidate):
            return Colour.STREAM
    return Colour.CALL


_known: weakref.WeakKeyDictionary[Any, Colour] = weakref.WeakKeyDictionary()


def known_colour(fn: Any) -> Colour:
    """The colour of *fn*, inspected once: for a function by itself, for an object by its type.

    Raises:
        TypeError: *fn* cannot be guarded.
    """
    while isinstance(fn, functools.partial):
        fn = fn.func
    key = getattr(fn, "__func__", fn)
    if not isinstance(key, types.FunctionType):
        key = type(fn)
    colour = _known.get(key)
    if colour is None:
        colour = _known[key] = target_of(fn).colour
    return colour


def name_of(fn: object) -> str:
    """A name for messages: never a repr, which may hold data or an address."""
    while isinstance(fn, functools.partial):
        fn = fn.func
    name = getattr(fn, "__qualname__", None) or getattr(fn, "__name__", None)
    return name if isinstance(name, str) else type(fn).__name__


def _describe(fn: object) -> str:
    if isinstance(fn, type):
        return f"class {fn.__qualname__!r}"
    return f"an object of type {type(fn).__name__!r}"
