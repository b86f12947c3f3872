"""Clients written by hand: one that does all that is asked, and some that do one thing wrong."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Iterator
from typing import Any

from resilient_ml.testing.streaming import Chunk, Guarded, ServiceError

SECONDS, OPEN_SECONDS = 4.0, 18.0


class Bad(Exception):
    """A chunk or an end that may not be passed on."""


class Ideal:
    """What the library does, in one class for asyncio: the catalogue asks for nothing that cannot be had."""

    def __init__(self, primary: Any, secondary: Any) -> None:
        self.primary, self.secondary = primary, secondary
        self.closed_until = 0.0
        self.served = ""

    async def stream(self, prompt: str) -> AsyncIterator[Chunk]:
        told, problem = "", None
        for asked in (self.primary, self.primary, self.secondary):
            if asked is self.primary and time.monotonic() < self.closed_until:
                continue
            try:
                async for chunk in self.one(asked, prompt, told):
                    told += chunk.text
                    yield chunk
            except (ServiceError, OSError, Bad) as error:
                problem = problem or error
                wait = getattr(error, "retry_after", None) or 0.1
                if asked is self.primary:
                    self.closed_until = time.monotonic() + (OPEN_SECONDS if self.hopeless(error) else 0)
                    await asyncio.sleep(wait)
            else:
                self.served = asked.__name__
                return
        assert problem is not None
        raise problem

    def hopeless(self, error: Exception) -> bool:
        return getattr(error, "status_code", 0) in (401, 503)

    async def one(self, asked: Any, prompt: str, told: str) -> AsyncIterator[Chunk]:
        chunks = asked(prompt, prefix=told)
        limit = asyncio.get_running_loop().time() + SECONDS
        try:
            while True:
                try:
                    async with asyncio.timeout_at(limit):
                        chunk = await anext(chunks)
                except StopAsyncIteration:
                    raise Bad("truncated") from None
                if chunk.error or chunk.raw:
                    raise Bad("chunk")
                if chunk.text or chunk.final:
                    yield chunk
                    limit = asyncio.get_running_loop().time() + SECONDS
                if chunk.final:
                    return
        finally:
            await chunks.aclose()


def ideal(primary: Any, secondary: Any) -> Guarded:
    made = Ideal(primary, secondary)
    return Guarded(made.stream, lambda: made.served)


def naked(primary: Any, secondary: Any) -> Any:
    return primary


def repeating(primary: Any, secondary: Any) -> Any:
    """Asks again after a cut, and says everything twice."""

    def stream(prompt: str) -> Iterator[Chunk]:
        try:
            yield from primary(prompt)
        except OSError:
            yield from primary(prompt)

    return stream


def repeating_and_failing(primary: Any, secondary: Any) -> Any:
    def stream(prompt: str) -> Iterator[Chunk]:
        yield from repeating(primary, secondary)(prompt)
        raise ValueError("no")

    return stream


def collecting(primary: Any, secondary: Any) -> Any:
    """Keeps the reader waiting for the whole."""
    return lambda prompt: iter(list(primary(prompt)))


def elsewhere(primary: Any, secondary: Any) -> Any:
    """Never asks the primary."""
    return secondary


def impatient(primary: Any, secondary: Any) -> Any:
    """Asks again at once, for ever."""

    def stream(prompt: str) -> Iterator[Chunk]:
        while True:
            try:
                yield from primary(prompt)
            except ServiceError:
                continue
            return

    return stream


def leaking(primary: Any, secondary: Any) -> Any:
    """Opens one stream too many and forgets it."""
    kept = []

    def stream(prompt: str) -> Iterator[Chunk]:
        kept.append(primary(prompt))
        next(kept[0])
        yield from primary(prompt)

    return stream
