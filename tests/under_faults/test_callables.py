"""Decorators on everything that can be called: each is protected, by a fault that is counted, or refused."""

import asyncio
import functools
import itertools

import pytest

from resilient_ml import CircuitBreaker, Kind, Pipeline, Retry, Timeout
from resilient_ml.testing import faults

from ..every_policy import AT_ONCE


def broken(rows=None):
    raise AssertionError("the fault comes first")


strike = faults.inject(broken, faults.error("connection"))


def plain():
    return strike()


async def awaited():
    return strike()


def generator():
    yield strike()


async def async_generator():
    yield strike()


class Model:
    """One of each kind of method."""

    def method(self):
        return strike()

    async def amethod(self):
        return strike()

    @classmethod
    def of_class(cls):
        return strike()

    @staticmethod
    def static():
        return strike()

    def stream(self):
        yield strike()

    def __call__(self):
        return strike()


class AsyncModel:
    """An object that is awaited when it is called."""

    async def __call__(self):
        return strike()


class StreamModel:
    """An object that streams when it is called."""

    def __call__(self):
        yield strike()


KINDS = {
    "function": lambda: plain,
    "coroutine function": lambda: awaited,
    "generator function": lambda: generator,
    "async generator function": lambda: async_generator,
    "bound method": lambda: Model().method,
    "bound coroutine method": lambda: Model().amethod,
    "bound generator method": lambda: Model().stream,
    "method of a class": lambda: Model.of_class,
    "static method": lambda: Model.static,
    "callable object": Model,
    "awaited object": AsyncModel,
    "streaming object": StreamModel,
    "partial": lambda: functools.partial(plain),
    "partial of a coroutine function": lambda: functools.partial(awaited),
    "partial of a partial": lambda: functools.partial(functools.partial(generator)),
    "lambda": lambda: lambda: strike(),  # noqa: PLW0108 - that it is one is the point
    "builtin": lambda: functools.partial(next, map(broken_of, itertools.repeat(0))),
    "wrapped function": lambda: functools.wraps(plain)(lambda: plain()),  # noqa: PLW0108
    "cached function": lambda: functools.lru_cache(plain),
    "injected function": lambda: strike,
    "guarded function": lambda: Timeout(60)(plain),
    "guarded coroutine function": lambda: Timeout(60)(awaited),
}


def broken_of(_):
    return strike()


def use(safe):
    """Use what was guarded as its colour is used."""
    given = safe()
    if hasattr(given, "__await__"):

        async def main():
            return await given

        asyncio.run(main())
    elif hasattr(given, "__aiter__"):

        async def main():
            async for _ in given:
                pass

        asyncio.run(main())
    elif hasattr(given, "__next__"):
        list(given)


@pytest.mark.parametrize("kind", list(KINDS))
def test_a_fault_counts_whatever_kind_of_callable_it_strikes(kind):
    breaker = CircuitBreaker()
    safe = Pipeline(Retry(2, backoff=AT_ONCE, replay=lambda args, kwargs: (args, kwargs)), breaker)(
        KINDS[kind]()
    )
    with pytest.raises(ConnectionResetError):
        use(safe)
    assert breaker.failures == {Kind.CONNECTION: 2}


def test_methods_that_are_decorated_in_their_class_count_too():
    breaker = CircuitBreaker()

    class Decorated:
        @breaker
        def method(self):
            return strike()

        @breaker
        @classmethod
        def of_class(cls):
            return strike()

        @classmethod
        @breaker
        def of_class_too(cls):
            return strike()

        @breaker
        @staticmethod
        def static():
            return strike()

        @breaker
        async def amethod(self):
            return strike()

        @breaker
        def stream(self):
            yield strike()

        def raw(self, rows):
            return strike(rows)

        part = breaker(functools.partialmethod(raw, "rows"))

    model = Decorated()
    every = [
        model.method,
        model.of_class,
        model.of_class_too,
        model.static,
        model.amethod,
        model.stream,
        model.part,
    ]
    for call in every:
        with pytest.raises(ConnectionResetError):
            use(call)
    assert breaker.failures == {Kind.CONNECTION: len(every)}


@pytest.mark.parametrize("what", [Model, property(plain), 7, "plain", None])
def test_what_cannot_be_protected_is_refused_when_it_is_decorated(what):
    with pytest.raises(TypeError):
        CircuitBreaker()(what)
