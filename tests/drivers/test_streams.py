"""Streams: what the consumer sends, throws and leaves reaches the user's stream through every policy."""

import asyncio

import pytest

from resilient_ml import (
    Bulkhead,
    CircuitBreaker,
    Colour,
    ConstantBackoff,
    Fallback,
    Hedge,
    Pipeline,
    Retry,
    Timeout,
)

from ..virtual_time import run_on_asyncio
from ..worlds import hang, items, slow

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


# ---- generators


def echo():
    """Answers what it is sent, shouts at what is thrown, and returns at last."""
    sent = yield "begin"
    while sent != "end":
        try:
            sent = yield sent
        except KeyError as error:
            sent = yield f"caught {error.args[0]}"
    return "ended"


async def aecho():
    """As echo; an async generator returns nothing."""
    sent = yield "begin"
    while sent != "end":
        try:
            sent = yield sent
        except KeyError as error:
            sent = yield f"caught {error.args[0]}"


def test_what_is_sent_and_thrown_reaches_a_generator_and_its_return_comes_back(guard):
    stream = guard(echo)()
    assert next(stream) == "begin"
    assert stream.send("a") == "a"
    assert stream.throw(KeyError("b")) == "caught b"
    assert next(stream) is None
    with pytest.raises(StopIteration) as stop:
        stream.send("end")
    assert stop.value.value == "ended"


def test_what_is_sent_and_thrown_reaches_an_async_generator(guard, clock):
    async def scenario():
        stream = guard(aecho)()
        assert await anext(stream) == "begin"
        assert await stream.asend("a") == "a"
        assert await stream.athrow(KeyError("b")) == "caught b"
        assert await anext(stream) is None
        with pytest.raises(StopAsyncIteration):
            await stream.asend("end")

    run_on_asyncio(clock, scenario)


def test_yield_from_passes_the_return_value_on(guard):
    def outer():
        return (yield from guard(echo)())

    stream = outer()
    next(stream)
    with pytest.raises(StopIteration) as stop:
        stream.send("end")
    assert stop.value.value == "ended"


def test_what_is_thrown_and_not_caught_comes_out_as_it_was(guard):
    stream = guard(echo)()
    next(stream)
    error = LookupError("thrown")
    with pytest.raises(LookupError) as caught:
        stream.throw(error)
    assert caught.value is error
    with pytest.raises(StopIteration):
        next(stream)


# ---- streams that are no generators


class Chunks:
    """An iterator as clients give it: no send, no throw, no close."""

    def __init__(self, *chunks):
        self.chunks = list(chunks)

    def __iter__(self):
        return self

    def __next__(self):
        if not self.chunks:
            raise StopIteration
        return self.chunks.pop(0)


class AsyncChunks(Chunks):
    def __aiter__(self):
        return self

    async def __anext__(self):
        if not self.chunks:
            raise StopAsyncIteration
        return self.chunks.pop(0)


class ClosedChunks(AsyncChunks):
    closed = 0

    def close(self):
        ClosedChunks.closed += 1


def test_an_iterator_may_be_guarded_as_a_stream(guard):
    safe = guard(lambda: Chunks("to", "ken"), colour=Colour.STREAM)
    assert list(safe()) == ["to", "ken"]
    stream = safe()
    next(stream)
    with pytest.raises(KeyError):
        stream.throw(KeyError())


def test_an_iterable_may_be_guarded_as_a_stream(guard):
    assert list(guard(lambda: ["to", "ken"], colour=Colour.STREAM)()) == ["to", "ken"]


def test_an_async_iterator_may_be_guarded_as_a_stream(guard, clock):
    async def scenario():
        safe = guard(lambda: AsyncChunks("to", "ken"), colour=Colour.ASYNC_STREAM)
        assert [item async for item in safe()] == ["to", "ken"]
        stream = safe()
        await anext(stream)
        with pytest.raises(KeyError):
            await stream.athrow(KeyError())

    run_on_asyncio(clock, scenario)


def test_a_coroutine_that_gives_a_stream_may_be_guarded_as_one(guard, clock):
    async def connect():
        await asyncio.sleep(1)
        return ClosedChunks("to", "ken")

    async def scenario():
        ClosedChunks.closed = 0
        safe = guard(connect, colour=Colour.ASYNC_STREAM)
        return [item async for item in safe()], ClosedChunks.closed

    assert run_on_asyncio(clock, scenario) == (["to", "ken"], 1)


def test_what_is_no_stream_is_an_error(guard):
    with pytest.raises(TypeError, match="not iterable"):
        list(guard(lambda: 7, colour=Colour.STREAM)())


# ---- items


def test_items_are_passed_on_one_by_one_as_they_come(stream_world):
    began = stream_world.clock.now()
    seen = []
    safe = Pipeline(Retry(), Timeout(60))(stream_world.model(items(slow(1, "a"), slow(2, "b"), slow(3, "c"))))

    if stream_world.is_async:

        async def consume():
            async for item in safe():
                seen.append((item, stream_world.clock.now() - began))  # noqa: PERF401

        stream_world.run(consume)
    else:
        for item in safe():
            seen.append((item, stream_world.clock.now() - began))  # noqa: PERF401
    assert seen == [("a", 1), ("b", 3), ("c", 6)]


def test_an_empty_stream_is_a_stream(stream_world):
    assert stream_world.call(Pipeline(Retry(), Timeout(5))(stream_world.model(items()))) == ()


def test_exceptions_and_none_may_be_items(stream_world):
    async def awaited():
        yield None
        yield KeyError
        yield StopIteration()

    def plain():
        yield None
        yield KeyError
        yield StopIteration()

    seen = stream_world.call(Retry()(awaited if stream_world.is_async else plain))
    assert seen[:2] == (None, KeyError)
    assert isinstance(seen[2], StopIteration)


def test_a_stop_iteration_that_a_model_raises_is_an_error_and_no_end(stream_world):
    error = stream_world.failure(Retry(1)(stream_world.model(items("a", StopIteration("mine")))))
    assert isinstance(error, RuntimeError)


def test_two_streams_of_one_function_at_once_are_kept_apart(stream_world):
    safe = everything()(
        stream_world.model(items(slow(1, "a"), slow(1, "b")), items(slow(1, "c"), slow(1, "d")))
    )
    assert stream_world.together((safe,), (safe,)) == [("a", "b"), ("c", "d")]


def test_a_stream_that_hangs_after_items_ends_at_the_limit(stream_world):
    began = stream_world.clock.now()
    seen = []
    safe = Timeout(5)(stream_world.model(items("a", slow(2, "b"), hang())))

    async def consume():
        async for item in safe():
            seen.append(item)  # noqa: PERF401

    with pytest.raises(TimeoutError):
        if stream_world.is_async:
            stream_world.run(consume)
        else:
            for item in safe():
                seen.append(item)  # noqa: PERF402
    assert seen == ["a", "b"]
    assert stream_world.clock.now() - began == 5


def test_retry_waits_inside_a_stream_give_the_loop_its_turn(stream_world):
    model = stream_world.model(ConnectionError, items("a", "b"))
    assert stream_world.call(Retry(2, backoff=ConstantBackoff(3))(model)) == ("a", "b")
    assert model.starts == [0, 3]
