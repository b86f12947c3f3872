"""The peers' clients, for asyncio, in two ways that their users have.

None of the peers goes on after a cut, and only nopanic guards a generator. So all of them get, by hand, what
a careful user writes: chunks are checked (errors told in them, chunks that cannot be read, a missing end), a
429 is waited for, credentials are not tried twice, a library without a time-out gets asyncio's, and a
secondary is asked when the guarded primary has failed.

*as it comes*: the library guards the opening, up to the first content; from there on chunks are passed on.
*whole*: the library guards a coroutine that reads the whole answer; the reader gets it when it is complete.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Callable
from contextlib import aclosing
from importlib import import_module
from typing import Any

from survival.libraries import LIBRARIES
from survival.library import Library

from resilient_ml.testing.streaming import Chunk, Guarded, ServiceError

ATTEMPTS, WAIT, FAILURES, OPEN_SECONDS = 3, 0.1, 2, 18.0
FIRST_SECONDS, WHOLE_SECONDS = 4.0, 8.0

PEERS = (
    *("nopanic", "interlock-cb", "pyresilience", "resilix", "grit-toolkit", "hyx"),
    *("tenacity", "stamina", "backoff", "circuitbreaker", "purgatory"),
)
"""Those that guard coroutine functions and retry, or hold a sick target back."""

UNSEEN_CLOCKS = {"hyx"}
"""Whose breaker reads ``datetime``, which virtual time does not move: left out, as it would never close."""


class Broken(Exception):
    """The answer is not one."""


class Permanent(Exception):
    """Asking again will not help."""


async def checked(stream: Any, prompt: str) -> AsyncGenerator[Chunk, None]:
    """The content of an answer, and its last chunk; raises what is wrong with it."""
    final = False
    try:
        async with aclosing(stream(prompt)) as chunks:
            async for chunk in chunks:
                if chunk.error is not None or chunk.raw is not None:
                    raise Broken(chunk.error or "malformed")
                final = final or chunk.final is not None
                if chunk.text or final:
                    yield chunk
    except ServiceError as error:
        if error.status_code in (400, 401, 403, 404):
            raise Permanent(str(error)) from error
        if error.retry_after is not None:
            await asyncio.sleep(error.retry_after)
        raise
    if not final:
        raise Broken("truncated")


def layered(library: Library, seconds: float) -> Callable[[Any], Any]:
    """All that *library* offers for a coroutine function: a retry around a breaker around a time-out."""

    def guard(fn: Any) -> Any:
        offered = library.offers("atimeout")
        fn = library.atimeout(fn, seconds) if offered else with_asyncio(fn, seconds)
        if library.offers("abreaker") and library.name not in UNSEEN_CLOCKS:
            fn = library.abreaker(fn, FAILURES, OPEN_SECONDS)
        if library.offers("aretry"):
            again = (ServiceError, OSError, TimeoutError, Broken, *library.timeouts)
            fn = library.aretry(fn, ATTEMPTS, WAIT, on=again)
        return fn

    return guard


def with_asyncio(fn: Any, seconds: float) -> Any:
    """Limited by ``asyncio.timeout``."""

    async def limited(*args: Any) -> Any:
        async with asyncio.timeout(seconds):
            return await fn(*args)

    return limited


def whole(library: Library) -> Callable[[Any, Any], Guarded]:
    """Reads the whole answer under the library's guard, and hands it on then."""

    def client(primary: Any, secondary: Any) -> Guarded:
        served = [primary.__name__]

        async def ask(prompt: str) -> list[Chunk]:
            return [chunk async for chunk in checked(primary, prompt)]

        guarded = layered(library, WHOLE_SECONDS)(ask)

        async def stream(prompt: str) -> AsyncIterator[Chunk]:
            served[:] = [primary.__name__]
            try:
                chunks = await guarded(prompt)
            except Exception:  # noqa: BLE001 - whatever failed, the other may answer
                served[:] = [secondary.__name__]
                chunks = [chunk async for chunk in checked(secondary, prompt)]
            for chunk in chunks:
                yield chunk

        return Guarded(stream, lambda: served[0])

    return client


def opened(library: Library) -> Callable[[Any, Any], Guarded]:
    """Guards the opening, and passes on what comes."""

    def client(primary: Any, secondary: Any) -> Guarded:
        async def first(prompt: str) -> tuple[Chunk, Any]:
            chunks = checked(primary, prompt)
            try:
                return await anext(chunks), chunks
            except BaseException:
                await chunks.aclose()
                raise

        return _else(secondary, primary, _passing_on(layered(library, FIRST_SECONDS)(first)))

    return client


def guarded_generator(primary: Any, secondary: Any) -> Guarded:
    """nopanic guards a generator itself: the opening is retried, and each item has a limit."""
    nopanic = import_module("nopanic")
    # By default its retry waits for an open breaker to close, and the request with it.
    final = (Permanent, nopanic.CircuitOpen)
    guard = nopanic.compose(
        nopanic.retry(attempts=ATTEMPTS, backoff=WAIT, on=lambda error: not isinstance(error, final)),
        nopanic.circuit_breaker(failure_threshold=1.0, min_calls=FAILURES, reset_timeout=OPEN_SECONDS),
        nopanic.timeout(FIRST_SECONDS),
    )

    async def contents(prompt: str) -> AsyncIterator[Chunk]:
        async with aclosing(checked(primary, prompt)) as chunks:
            async for chunk in chunks:
                yield chunk

    return _else(secondary, primary, guard(contents))


def by_hand(primary: Any, secondary: Any) -> Guarded:
    """No library: checked, and the secondary when the first content does not come."""
    return _else(secondary, primary, lambda prompt: checked(primary, prompt))


def naked(primary: Any, secondary: Any) -> Any:
    """Nothing at all."""
    return primary


def _passing_on(open_stream: Any) -> Any:
    async def stream(prompt: str) -> AsyncIterator[Chunk]:
        head, rest = await open_stream(prompt)
        async with aclosing(rest):
            yield head
            async for chunk in rest:
                yield chunk

    return stream


def _else(secondary: Any, primary: Any, guarded: Any) -> Guarded:
    """*secondary*, if *guarded* fails before its first chunk."""
    served = [primary.__name__]

    async def stream(prompt: str) -> AsyncIterator[Chunk]:
        served[:] = [primary.__name__]
        began = False
        try:
            async with aclosing(guarded(prompt)) as chunks:
                async for chunk in chunks:
                    began = True
                    yield chunk
        except Exception:
            if began:
                raise
        else:
            return
        served[:] = [secondary.__name__]
        async with aclosing(checked(secondary, prompt)) as chunks:
            async for chunk in chunks:
                yield chunk

    return Guarded(stream, lambda: served[0])


def clients(name: str) -> dict[str, Any]:
    """The ways of a library: as it comes, and whole."""
    library = LIBRARIES[name]
    return {
        "as it comes": guarded_generator if name == "nopanic" else opened(library),
        "whole": whole(library),
    }
