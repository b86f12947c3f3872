"""The backend counts the calls of the model, in all and for each request, and changes nothing else."""

import asyncio
import functools
import inspect

import pytest

from resilient_ml import Colour
from resilient_ml.evaluate.backend import Backend
from resilient_ml.evaluate.tickets import CURRENT, Ticket, draw_key
from resilient_ml.evaluate.watching import Watch


def call(x, *, y=1):
    """Adds."""
    return x + y


async def async_call(x, *, y=1):
    return x + y


def stream(x, *, y=1):
    yield x
    yield y


async def async_stream(x, *, y=1):
    yield x
    yield y


async def listed(items):
    return [item async for item in items]


ASKS = {
    Colour.CALL: (call, lambda fn: fn(1, y=2), 3),
    Colour.ASYNC_CALL: (async_call, lambda fn: asyncio.run(fn(1, y=2)), 3),
    Colour.STREAM: (stream, lambda fn: list(fn(1, y=2)), [1, 2]),
    Colour.ASYNC_STREAM: (async_stream, lambda fn: asyncio.run(listed(fn(1, y=2))), [1, 2]),
}


@pytest.fixture
def ticket():
    made = Ticket(5, Watch())
    token = CURRENT.set(made)
    yield made
    CURRENT.reset(token)


@pytest.mark.parametrize("colour", Colour)
def test_calls_are_counted_in_all_and_for_the_request(colour, ticket):
    model, ask, answer = ASKS[colour]
    backend = Backend(model, colour)
    assert [ask(backend.model), ask(backend.model)] == [answer, answer]
    assert (backend.calls, ticket.attempts) == (2, 2)


@pytest.mark.parametrize("colour", Colour)
def test_calls_of_no_request_are_counted_too(colour):
    model, ask, _ = ASKS[colour]
    backend = Backend(model, colour)
    ask(backend.model)
    assert backend.calls == 1
    assert draw_key() is None


def test_the_model_keeps_its_name_and_signature():
    counted = Backend(call, Colour.CALL).model
    assert (counted.__name__, counted.__doc__) == ("call", "Adds.")
    assert inspect.signature(counted) == inspect.signature(call)


def test_a_model_without_a_name_is_counted_too():
    counted = Backend(functools.partial(call, 1), Colour.CALL).model
    assert counted(y=4) == 5


def test_an_abandoned_stream_is_closed():
    closed = []

    async def endless():
        try:
            while True:
                yield 1
        finally:
            closed.append(True)

    async def main():
        items = Backend(endless, Colour.ASYNC_STREAM).model()
        await anext(items)
        await items.aclose()

    asyncio.run(main())
    assert closed == [True]


def test_the_luck_of_a_call_is_keyed_by_request_and_attempt(ticket):
    keys = []
    backend = Backend(lambda: keys.append(draw_key()), Colour.CALL)
    backend.model()
    backend.model()
    assert keys == [(5 << 20) + 1, (5 << 20) + 2]
