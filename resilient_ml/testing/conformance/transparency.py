"""A guarded callable looks like the one it guards: name, signature, colour, attributes."""

from __future__ import annotations

import inspect
from collections.abc import AsyncIterator, Iterator
from typing import Any

from .subject import Subject
from .verdicts import BrokenPromise
from .worlds import World


def predict(rows: list[int], *, scale: float = 2.0) -> list[float]:
    """Predict for each of *rows*."""
    return [row * scale for row in rows]


async def apredict(rows: list[int], *, scale: float = 2.0) -> list[float]:
    """Predict for each of *rows*, in its time."""
    return [row * scale for row in rows]


def stream(rows: list[int], *, scale: float = 2.0) -> Iterator[float]:
    """Predict *rows* one by one."""
    yield from (row * scale for row in rows)


async def astream(rows: list[int], *, scale: float = 2.0) -> AsyncIterator[float]:
    """Predict *rows* one by one, in its time."""
    for row in rows:
        yield row * scale


_KINDS = ("iscoroutinefunction", "isgeneratorfunction", "isasyncgenfunction")
_NAMES = ("__name__", "__qualname__", "__doc__", "__module__")


def transparency(subject: Subject, world: World) -> None:
    """Name, documentation, signature, colour, attributes and the original are kept."""
    model: Any = world.pick(predict, apredict, stream, astream)
    model.version = "7"
    guarded = subject.fresh(model)
    lost = [name for name in _NAMES if getattr(guarded, name, None) != getattr(model, name)]
    if inspect.unwrap(guarded) is not model:
        lost.append("__wrapped__")
    if inspect.signature(guarded) != inspect.signature(model):
        lost.append("its signature")
    lost += [name for name in _KINDS if getattr(inspect, name)(guarded) != getattr(inspect, name)(model)]
    if getattr(guarded, "version", None) != "7":
        lost.append("its attributes")
    if lost:
        raise BrokenPromise(
            f"the guarded callable has lost {', '.join(lost)}",
            "guard by calling a Pipeline, or apply functools.wraps to a callable of the same colour",
        )
