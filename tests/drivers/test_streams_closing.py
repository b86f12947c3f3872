"""Streams that end early: closed, dropped, cancelled; the user's stream is closed and waited for."""

import asyncio
import contextlib
import gc

import anyio
import pytest

from resilient_ml import (
    Bulkhead,
    CircuitBreaker,
    Colour,
    Fallback,
    Hedge,
    Pipeline,
    Policy,
    Retry,
    Timeout,
)

from ..virtual_time import run_on_asyncio
from ..worlds import items

STACKS = {
    "nothing": lambda: (),
    "limits": lambda: (Bulkhead(5), Timeout(5)),
    "a race": lambda: (Hedge(delay=9),),
    "a race with limits": lambda: (Bulkhead(5), Timeout(5), Hedge(delay=1)),
    "everything": lambda: (Fallback(0, on=OSError), Retry(1), CircuitBreaker(), Bulkhead(5), Timeout(5)),
}


def everything():
    return Pipeline(*STACKS["everything"]())


@pytest.fixture(params=list(STACKS.values()), ids=list(STACKS))
def guard(request, clock):
    return Pipeline(*request.param())


async def aecho():
    """As echo; an async generator returns nothing."""
    sent = yield "begin"
    while sent != "end":
        try:
            sent = yield sent
        except KeyError as error:
            sent = yield f"caught {error.args[0]}"


@pytest.mark.parametrize("begun", [0, 1])
def test_closing_closes_the_users_generator(guard, begun):
    closed = []

    @guard
    def model():
        try:
            yield 1
            yield 2
        finally:
            closed.append(True)

    stream = model()
    for _ in range(begun):
        next(stream)
    stream.close()
    assert closed == [True] * begun
    stream.close()


def test_a_stream_that_is_dropped_is_closed_at_once(guard):
    closed = []

    @guard
    def model():
        try:
            yield 1
        finally:
            closed.append(True)

    gc.disable()
    try:
        stream = model()
        next(stream)
        del stream
        assert closed == [True]
    finally:
        gc.enable()


def test_a_generator_that_yields_while_it_is_closed_is_an_error(guard):
    @guard
    def model():
        try:
            yield 1
        finally:
            yield 2

    stream = model()
    next(stream)
    with pytest.raises(RuntimeError, match="generator ignored GeneratorExit"):
        stream.close()


def test_an_error_while_closing_comes_out(guard):
    @guard
    def model():
        try:
            yield 1
        finally:
            raise KeyError("cleanup")

    stream = model()
    next(stream)
    with pytest.raises(KeyError, match="cleanup"):
        stream.close()


def test_closing_an_async_stream_waits_for_its_cleanup(stream_world):
    if not stream_world.is_async:
        return
    closed = []
    guard = everything()

    @guard
    async def model():
        try:
            yield 1
            yield 2
        finally:
            await anyio.sleep(1)
            closed.append(stream_world.clock.now())

    async def scenario():
        began = stream_world.clock.now()
        stream = model()
        assert await anext(stream) == 1
        await stream.aclose()
        assert closed == [began + 1]
        await stream.aclose()

    stream_world.run(scenario)


def test_closing_an_async_stream_that_was_never_begun_does_nothing(clock):
    async def scenario():
        stream = everything()(aecho)()
        await stream.aclose()

    run_on_asyncio(clock, scenario)


def test_an_async_generator_that_yields_while_it_is_closed_is_an_error(clock):
    @everything()
    async def model():
        try:
            yield 1
        finally:
            yield 2

    async def scenario():
        stream = model()
        await anext(stream)
        with pytest.raises(RuntimeError, match="ignored GeneratorExit"):
            await stream.aclose()

    run_on_asyncio(clock, scenario)


def test_a_cancelled_consumer_closes_the_users_stream(stream_world):
    if not stream_world.is_async:
        return
    closed = []
    bulkhead = Bulkhead(1)

    @Pipeline(bulkhead, Timeout(50))
    async def model():
        try:
            yield 1
            await anyio.sleep_forever()
        finally:
            closed.append(True)

    async def scenario():
        with anyio.move_on_after(1) as scope:
            async for _ in model():
                pass
        assert scope.cancelled_caught

    stream_world.run(scenario)
    assert closed == [True]
    assert bulkhead.in_flight == 0


def test_no_scope_is_open_while_the_consumer_has_the_item(stream_world):
    """The consumer may take longer than the limit leaves per pull, and trio's scopes stay nested."""
    if not stream_world.is_async:
        return
    safe = Timeout(10)(stream_world.model(items("to", "ken")))

    async def scenario():
        seen = []
        with anyio.move_on_after(60):
            stream = safe()
            with anyio.move_on_after(30):
                seen.append(await anext(stream))
            with anyio.move_on_after(5):
                seen.append(await anext(stream))
            async for item in stream:
                seen.append(item)  # noqa: PERF401
        return seen

    assert stream_world.run(scenario) == ["to", "ken"]


class Stubborn(Policy):
    """Breaks the rules of a body: it goes on after the consumer has left."""

    async def around(self, proceed, call):
        try:
            return await proceed(call)
        except GeneratorExit:
            return await proceed(call)


def test_a_policy_that_goes_on_after_the_consumer_left_is_closed_all_the_same(stream_world):
    safe = Stubborn()(stream_world.model(items("a", "b")))
    if stream_world.is_async:

        async def leave():
            stream = safe()
            await anext(stream)
            await stream.aclose()

        stream_world.run(leave)
    else:
        stream = safe()
        next(stream)
        with pytest.raises(RuntimeError, match="coroutine ignored GeneratorExit"):
            stream.close()


class Content(Policy):
    """Breaks the rules of a body: it takes the consumer's leaving for an answer."""

    async def around(self, proceed, call):
        try:
            return await proceed(call)
        except GeneratorExit:
            return "left"


def test_a_policy_that_swallows_the_consumers_leaving_ends_all_the_same(stream_world):
    safe = Content()(stream_world.model(items("a", "b")))
    if stream_world.is_async:

        async def leave():
            stream = safe()
            await anext(stream)
            await stream.aclose()

        stream_world.run(leave)
    else:
        stream = safe()
        next(stream)
        with contextlib.suppress(RuntimeError):
            stream.close()
        assert list(stream) == []


def test_a_loop_that_closes_the_streams_itself_does_not_make_the_model_look_sick(clock):
    """As it does when it shuts down: it may begin with the user's stream, while ours is open."""
    breaker, bulkhead = CircuitBreaker(consecutive_failures=1), Bulkhead(1)
    inner = []

    async def model():
        try:
            yield "cat"
        finally:
            await anyio.sleep(1)
            inner.append("closed")

    def opened():
        inner.append(model())
        return inner[-1]

    async def scenario():
        stream = Pipeline(breaker, bulkhead)(opened, colour=Colour.ASYNC_STREAM)()
        await anext(stream)
        closing = asyncio.ensure_future(inner[0].aclose())
        await asyncio.sleep(0)
        await stream.aclose()
        await closing

    run_on_asyncio(clock, scenario)
    assert inner[-1] == "closed"
    assert (breaker.failures, bulkhead.in_flight) == ({}, 0)
