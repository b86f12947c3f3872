"""The model as the configurations see it: with the faults of the run, and every call of it counted."""

from __future__ import annotations

import functools
import itertools
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import aclosing
from typing import Any

from .._colour import Colour
from .tickets import CURRENT


class Backend:
    """Counts the calls of *model*, in all and for each request.

    Args:
        model: The callable that configurations guard, with its faults already in it.
        colour: Its colour.
    """

    def __init__(self, model: Callable[..., Any], colour: Colour) -> None:
        self._numbers = itertools.count()  # next() is one step: threads need no lock
        self._calls = 0
        wrap = {
            Colour.CALL: self._call,
            Colour.ASYNC_CALL: self._async_call,
            Colour.STREAM: self._stream,
            Colour.ASYNC_STREAM: self._async_stream,
        }[colour]
        self.model: Callable[..., Any] = wrap(model)
        named = isinstance(getattr(model, "__name__", None), str)
        functools.update_wrapper(
            self.model, model, assigned=functools.WRAPPER_ASSIGNMENTS if named else (), updated=()
        )

    @property
    def calls(self) -> int:
        """How many calls were made so far."""
        return self._calls

    def _count(self) -> None:
        self._calls = max(self._calls, next(self._numbers) + 1)
        ticket = CURRENT.get()
        if ticket is not None:
            ticket.attempts += 1

    def _call(self, model: Callable[..., Any]) -> Callable[..., Any]:
        def counted(*args: Any, **kwargs: Any) -> Any:
            self._count()
            return model(*args, **kwargs)

        return counted

    def _async_call(self, model: Callable[..., Any]) -> Callable[..., Any]:
        async def counted(*args: Any, **kwargs: Any) -> Any:
            self._count()
            return await model(*args, **kwargs)

        return counted

    def _stream(self, model: Callable[..., Any]) -> Callable[..., Any]:
        def counted(*args: Any, **kwargs: Any) -> Iterator[Any]:
            self._count()
            yield from model(*args, **kwargs)

        return counted

    def _async_stream(self, model: Callable[..., Any]) -> Callable[..., Any]:
        async def counted(*args: Any, **kwargs: Any) -> AsyncIterator[Any]:
            self._count()
            async with aclosing(model(*args, **kwargs)) as items:
                async for item in items:
                    yield item

        return counted
