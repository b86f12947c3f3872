"""Odd callables and odd errors: what is falsy, what fails only later."""

from __future__ import annotations

import asyncio
import functools
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import suppress
from typing import Any

from survival.library import Fn, Library
from survival.trials import Guard, each, trial
from survival.verdicts import Verdict, failed, judged, survived


class EmptyBatch(Exception):
    """Falsy: an error that holds the rows that failed, and there are none."""

    def __len__(self) -> int:
        return 0


class EqualToAll(Exception):
    """Equal to everything, and not hashable."""

    def __eq__(self, other: object) -> bool:
        return True

    def __hash__(self) -> int:
        raise TypeError("not hashable")


ODD = (EmptyBatch, EqualToAll)


@trial("F07", "breaker", "breaker")
def odd_errors_open_a_breaker(library: Library) -> Verdict:
    for odd in ODD:
        calls: list[int] = []

        def model(odd: type[Exception] = odd, calls: list[int] = calls) -> None:
            calls.append(1)
            raise odd

        guarded = library.breaker(model, 3, 60.0)
        for _ in range(6):
            with suppress(Exception):
                guarded()
        if len(calls) != 3:
            return failed(f"{len(calls)} of 6 calls that raise {odd.__name__} let through, 3 open it")
    return survived("counted")


async def _let_through(guard: Callable[[Fn], Fn], odd: type[Exception]) -> int:
    calls = 0

    async def model() -> None:
        nonlocal calls
        calls += 1
        raise odd

    guarded = guard(model)
    for _ in range(6):
        with suppress(Exception):
            await guarded()
    return calls


@trial("F07", "async breaker", "abreaker")
def odd_errors_open_an_async_breaker(library: Library) -> Verdict:
    for odd in ODD:
        calls = asyncio.run(_let_through(lambda fn: library.abreaker(fn, 3, 60.0), odd))
        if calls != 3:
            return failed(f"{calls} of 6 calls that raise {odd.__name__} let through, 3 open it")
    return survived("counted")


@trial("F07", "async with breaker", "abreaker_block")
def odd_errors_open_a_block(library: Library) -> Verdict:
    def guard(fn: Fn) -> Fn:
        block = library.abreaker_block(3, 60.0)

        async def guarded() -> Any:
            async with block():
                return await fn()

        return guarded

    for odd in ODD:
        calls = asyncio.run(_let_through(guard, odd))
        if calls != 3:
            return failed(f"{calls} of 6 calls that raise {odd.__name__} let through, 3 open it")
    return survived("counted")


@trial("F07", "retry", "retry")
def odd_errors_are_retried(library: Library) -> Verdict:
    for odd in ODD:
        for on, expected in ((Exception, 3), (KeyError, 1)):
            calls: list[int] = []

            def model(odd: type[Exception] = odd, calls: list[int] = calls) -> None:
                calls.append(1)
                raise odd

            try:
                answer = library.retry(model, 3, on=on)()
            except (odd, *library.exhausted):
                if len(calls) != expected:
                    return failed(f"{len(calls)} attempts at {odd.__name__}, expected {expected}")
            except Exception as error:  # noqa: BLE001 - what it was made into
                return failed(f"{odd.__name__} became {type(error).__name__}: {str(error)[:60]}")
            else:
                return failed(f"{odd.__name__} swallowed, the call returned {answer!r}")
    return survived("retried and raised")


@each("F07", "timeout", "bulkhead", "rate", "cache")
def odd_errors_come_through(library: Library, guard: Guard) -> Verdict:
    for odd in ODD:

        def model(odd: type[Exception] = odd) -> None:
            raise odd

        try:
            answer = guard(model)()
        except odd:
            continue
        except Exception as error:  # noqa: BLE001 - what it was made into
            return failed(f"{odd.__name__} became {type(error).__name__}")
        return failed(f"{odd.__name__} swallowed, the call returned {answer!r}")
    return survived("raised")


def kinds(calls: list[int]) -> Iterator[tuple[str, Fn, str]]:
    """Nine kinds of callables that fail, and how each is used: name, callable, colour."""

    def fail() -> None:
        calls.append(1)
        raise ConnectionError("down")

    async def afail() -> None:
        fail()

    def stream() -> Iterator[int]:
        fail()
        yield 1

    async def astream() -> AsyncIterator[int]:
        fail()
        yield 1

    class Model:
        """A model with a method."""

        async def predict(self) -> None:
            fail()

    class Plain:
        """A model that is called."""

        def __call__(self) -> None:
            fail()

    class Awaited:
        """A model that is called and awaited."""

        async def __call__(self) -> None:
            fail()

    yield "function", fail, "call"
    yield "coroutine function", afail, "await"
    yield "partial of a function", functools.partial(fail), "call"
    yield "partial of a coroutine function", functools.partial(afail), "await"
    yield "callable object", Plain(), "call"
    yield "async callable object", Awaited(), "await"
    yield "bound async method", Model().predict, "await"
    yield "generator function", stream, "iterate"
    yield "async generator function", astream, "aiterate"


async def _use(guarded: Fn, how: str) -> None:
    for _ in range(6):
        with suppress(Exception):
            if how == "call":
                guarded()
            elif how == "await":
                await guarded()
            elif how == "iterate":
                list(guarded())
            else:
                async for _item in guarded():
                    pass


@trial("F08", "kinds", "decorate")
def nothing_is_silently_unprotected(library: Library) -> Verdict:
    bare: list[str] = []
    refused: list[str] = []
    protected: list[str] = []
    calls: list[int] = []
    for name, fn, how in kinds(calls):
        calls.clear()
        try:
            guarded = library.decorate(fn)
        except Exception:  # noqa: BLE001 - refused, loudly
            refused.append(name)
            continue
        asyncio.run(_use(guarded, how))
        # Three attempts make 18 calls of 6, a breaker lets 3 through; 6 means that nothing was guarded.
        # None at all is an error at the first use, as where a generator is awaited.
        {0: refused, 6: bare}.get(len(calls), protected).append(name)
    if bare:
        return failed(f"not protected, and no error: {', '.join(bare)}")
    return judged(True, f"{len(protected)} of 9 kinds protected, {len(refused)} refused")
