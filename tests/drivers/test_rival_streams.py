"""Streams that run beside each other: what reaches the one that won, and that the others are closed."""

import asyncio
import contextlib
import contextvars
import gc
import threading
import weakref

import anyio
import pytest

from resilient_ml import Bulkhead, Fallback, Hedge, Pipeline, Policy, Retry, Stream, Timeout, deadline
from resilient_ml._call import make_stream_call
from resilient_ml._drivers import async_streams
from resilient_ml._drivers.async_streams import AsyncStreamCall
from resilient_ml._drivers.outlet import Outlet
from resilient_ml._drivers.streams import StreamCall

from ..machines.crowd import crowd
from ..torture import torture
from ..virtual_time import run_on_asyncio, run_on_trio
from ..worlds import hang, items

PATIENCE = 20.0
THREADS, EACH = 6, 40
LATE = 9.0


class Seen:
    """A model that hangs the first time, and afterwards answers what it is sent, slowly."""

    def __init__(self, world):
        self.world = world
        self.began = 0
        self.open = 0
        self.closed = []
        self.cleaning = 0.0

    @property
    def model(self):
        return self.astream if self.world.is_async else self.stream

    def now(self):
        return round(self.world.clock.now() - 1000, 6)

    def stream(self):
        self.began += 1
        self.open += 1
        late = self.began == 1
        try:
            if late:
                self.world.clock.sleep(LATE)
            sent = yield "begin"
            while sent != "end":
                self.world.clock.sleep(1)
                try:
                    sent = yield sent
                except KeyError as error:
                    sent = yield f"caught {error.args[0]}"
            return "ended"
        finally:
            self.world.clock.sleep(self.cleaning)
            self.open -= 1
            self.closed.append(self.now())

    async def astream(self):
        self.began += 1
        self.open += 1
        late = self.began == 1
        try:
            if late:
                await anyio.sleep(LATE)
            sent = yield "begin"
            while sent != "end":
                await anyio.sleep(1)
                try:
                    sent = yield sent
                except KeyError as error:
                    sent = yield f"caught {error.args[0]}"
        finally:
            if self.cleaning:
                with anyio.CancelScope(shield=True):
                    await anyio.sleep(self.cleaning)
            self.open -= 1
            self.closed.append(self.now())


@pytest.fixture
def seen(stream_world):
    return Seen(stream_world)


def test_what_the_reader_sends_and_throws_reaches_the_winner(seen):
    safe = Hedge(delay=2)(seen.model)

    def read():
        stream = safe()
        given = [next(stream), stream.send("a"), stream.throw(KeyError("b")), next(stream)]
        with pytest.raises(StopIteration) as stop:
            stream.send("end")
        return [*given, stop.value.value]

    async def aread():
        stream = safe()
        given = [await anext(stream), await stream.asend("a"), await stream.athrow(KeyError("b"))]
        given.append(await anext(stream))
        with pytest.raises(StopAsyncIteration):
            await stream.asend("end")
        return [*given, "ended"]

    given = seen.world.run(aread) if seen.world.is_async else read()
    assert given == ["begin", "a", "caught b", None, "ended"]
    assert seen.began == 2


def throw_at_first(world, safe, error):
    """A reader that throws *error* in where it has the first item."""

    def read():
        stream = safe()
        next(stream)
        stream.throw(error)

    async def aread():
        stream = safe()
        await anext(stream)
        await stream.athrow(error)

    return world.run(aread) if world.is_async else read()


def test_what_is_thrown_and_not_caught_comes_out_and_is_never_gone_on_from(seen):
    rules = Stream(on_interrupt="restart")
    safe = Pipeline(Retry(3), rules, Hedge(delay=2))(seen.model)
    error = ConnectionError("thrown")
    with pytest.raises(ConnectionError) as caught:
        throw_at_first(seen.world, safe, error)
    assert caught.value is error
    seen.world.clock.sleep(20)
    assert (seen.began, seen.open) == (2, 0)


class Opens(Policy):
    """Passes items on of its own, before the stream begins and when it has ended."""

    async def around(self, proceed, call):
        for item in ("role", "ping"):
            await call.runtime.relay(item, call)
        return await proceed(call)


@pytest.mark.parametrize("how", ["send", "throw", "close"])
def test_items_before_the_content_are_the_readers_to_answer_too(stream_world, how):
    """As without a race, what is sent for one of several that came at once is nobody's."""
    got = []

    def answer(item):
        got.append(item)
        return item != "x"

    def tokens():
        try:
            got.append((yield "a"))
            yield "b"
        except KeyError:
            yield "caught"
        finally:
            got.append("closed")

    async def atokens():
        try:
            got.append((yield "a"))
            yield "b"
        except KeyError:
            yield "caught"
        finally:
            got.append("closed")

    rules = Stream(is_content=lambda chunk: chunk not in ("role", "ping"))
    safe = Pipeline(Hedge(), rules, Opens())(atokens if stream_world.is_async else tokens)

    def read():
        stream = safe()
        given = [next(stream)]
        if how == "close":
            stream.close()
        elif how == "send":
            given += [stream.send("for the role"), *stream]
        else:
            given += [stream.throw(KeyError("k")), *stream]
        return given

    async def aread():
        stream = safe()
        given = [await anext(stream)]
        if how == "close":
            await stream.aclose()
        elif how == "send":
            given.append(await stream.asend("for the role"))
        else:
            given.append(await stream.athrow(KeyError("k")))
        return [*given, *[item async for item in stream]]

    given = stream_world.run(aread) if stream_world.is_async else read()
    assert (given, got) == {
        "send": (["role", "ping", "a", "b"], [None, "closed"]),
        "throw": (["role", "caught"], ["closed"]),
        "close": (["role"], ["closed"]),
    }[how]


def test_what_is_thrown_for_an_item_of_a_stream_that_has_ended_comes_out_again(stream_world):
    """It ended without content, and what it held is passed on; the error goes nowhere else."""
    rules = Stream(is_content=lambda chunk: chunk not in ("role", "ping"), on_interrupt="skip_prefix")
    model = stream_world.model(items())
    error = ConnectionError("thrown")
    safe = Pipeline(Retry(3), rules, Hedge(), Opens())(model)
    with pytest.raises(ConnectionError) as caught:
        throw_at_first(stream_world, safe, error)
    assert caught.value is error
    assert model.starts == [0]


def test_a_stream_is_never_ahead_of_its_reader(stream_world):
    got = []

    def tokens():
        for item in ("a", "b", "c"):
            got.append(item)
            yield item

    async def atokens():
        for item in ("a", "b", "c"):
            got.append(item)
            yield item

    rules = Stream(is_content=lambda chunk: chunk not in ("role", "ping"))
    safe = Pipeline(Hedge(), rules, Opens())(atokens if stream_world.is_async else tokens)
    steps = []

    async def aread():
        async for item in safe():
            await anyio.sleep(1)
            steps.append((item, got[-1]))

    if stream_world.is_async:
        stream_world.run(aread)
    else:
        for item in safe():
            stream_world.clock.sleep(1)
            steps.append((item, got[-1]))
    assert steps == [("role", "a"), ("ping", "a"), ("a", "a"), ("b", "b"), ("c", "c")]


# ---- the reader leaves


@pytest.mark.parametrize("most", [1, 2])
def test_a_reader_that_leaves_closes_the_winner_and_waits_for_it(seen, most):
    seen.cleaning = 3.0
    safe = Hedge(delay=2)(seen.model)
    reading = seen.world.read(safe, most=most)
    assert (reading.items, reading.times) == (["begin", None][:most], [2, 3][:most])
    mine = 2 + most - 1 + 3
    if seen.world.is_async:
        assert seen.closed == [5, mine] if mine > 5 else [5, 5]  # the loser was cancelled at 2
    else:
        assert seen.closed == [mine]
        seen.world.clock.sleep(20)
        assert seen.closed == [mine, LATE + 3]
    assert seen.open == 0


def test_a_reader_that_leaves_before_anything_came_leaves_nothing(stream_world):
    if not stream_world.is_async:
        return
    model = stream_world.model(hang())

    async def main():
        with anyio.move_on_after(5):
            async for _ in Hedge(delay=2)(model)():
                pass
        await anyio.sleep(1)
        assert model.script.inside == 0

    stream_world.run(main)
    assert model.starts == [0, 2]


def test_a_reader_that_is_cancelled_in_a_pull_waits_until_the_stream_has_ended(seen):
    if not seen.world.is_async:
        return
    seen.cleaning = 3.0
    bulkhead = Bulkhead(1)
    safe = Pipeline(bulkhead, Hedge(delay=2))(seen.model)

    async def main():
        with anyio.move_on_after(2.5) as scope:
            async for _ in safe():
                pass
        assert scope.cancelled_caught
        assert (seen.now(), seen.open, bulkhead.in_flight) == (5.5, 0, 0)

    seen.world.run(main)
    assert seen.closed == [5, 5.5]


def test_a_reader_that_is_cancelled_while_its_stream_closes_has_that_cancelled_too(stream_world):
    if not stream_world.is_async:
        return
    ended = []

    async def tokens():
        try:
            yield "a"
        finally:
            try:
                await anyio.sleep(50)
            finally:
                ended.append(round(stream_world.clock.now() - 1000, 6))

    async def main():
        stream = Hedge()(tokens)()
        await anext(stream)
        with anyio.move_on_after(3) as scope:
            await stream.aclose()
        assert scope.cancelled_caught
        assert ended == [3]

    stream_world.run(main)


def test_a_second_cancellation_ends_the_wait_and_the_seat_is_held_until_the_stream_has_ended(clock):
    bulkhead = Bulkhead(1)

    async def tokens():
        try:
            yield "a"
            await asyncio.sleep(50)
        finally:
            ending = asyncio.ensure_future(asyncio.sleep(5))
            while not ending.done():
                with contextlib.suppress(asyncio.CancelledError):
                    await asyncio.shield(ending)

    async def main():
        async def read():
            async for _ in Pipeline(bulkhead, Hedge())(tokens)():
                pass

        task = asyncio.ensure_future(read())
        await asyncio.sleep(1)
        for _ in range(2):
            task.cancel()
            await asyncio.sleep(1)
        assert task.cancelled()
        assert bulkhead.in_flight == 1
        await asyncio.sleep(4)
        assert bulkhead.in_flight == 0

    run_on_asyncio(clock, main)


@pytest.mark.parametrize("cleanup", ["raises", "yields"])
def test_what_goes_wrong_while_it_is_closed_comes_out(stream_world, cleanup):
    def tokens():
        try:
            yield "a"
        finally:
            if cleanup == "yields":
                yield "b"
            raise KeyError("cleanup")

    async def atokens():
        try:
            yield "a"
        finally:
            if cleanup == "yields":
                yield "b"
            raise KeyError("cleanup")

    async def main():
        stream = Hedge()(atokens)()
        await anext(stream)
        with pytest.raises(error, match=message):
            await stream.aclose()

    def read():
        stream = Hedge()(tokens)()
        next(stream)
        with pytest.raises(error, match=message):
            stream.close()

    error, message = {"raises": (KeyError, "cleanup"), "yields": (RuntimeError, "ignored GeneratorExit")}[
        cleanup
    ]
    stream_world.run(main) if stream_world.is_async else read()


def test_a_stream_that_is_dropped_is_closed(seen):
    bulkhead = Bulkhead(1)
    safe = Pipeline(bulkhead, Hedge(delay=2))(seen.model)

    async def adrop():
        stream = safe()
        await anext(stream)
        del stream
        for _ in range(9):
            await anyio.lowlevel.checkpoint()
        assert (seen.open, bulkhead.in_flight) == (0, 0)

    def drop():
        stream = safe()
        next(stream)
        del stream
        assert seen.open == 1  # the loser, on its thread
        seen.world.clock.sleep(10)
        assert (seen.open, bulkhead.in_flight) == (0, 0)

    gc.disable()
    try:
        if seen.world.backend == "trio":
            with pytest.warns(ResourceWarning):
                seen.world.run(adrop)
        else:
            seen.world.run(adrop) if seen.world.is_async else drop()
    finally:
        gc.enable()


def test_a_pull_that_is_closed_from_outside_cancels_the_stream_and_waits_for_nothing(clock):
    """As when a task is destroyed in the middle of a pull: there nothing may be awaited."""
    ended = []

    async def tokens():
        try:
            yield "a"
            await asyncio.sleep(50)
        finally:
            ended.append(True)

    async def main():
        call, own = (stream_call(AsyncStreamCall, tokens) for _ in range(2))
        rival = call.runtime.spawn(async_streams.leaf, own)
        await asyncio.sleep(1)
        body = call.runtime.carry_on(rival, call)
        assert body.send(None) is call.outlet
        assert asyncio.isfuture(body.send(None))
        body.close()
        assert (ended, call.orphans) == ([], (rival,))
        rival.when_finished(lambda: ended.append("finished"))
        await asyncio.sleep(1)
        assert ended == [True, "finished"]

    run_on_asyncio(clock, main)


def test_a_loop_that_ends_closes_what_waits_for_its_reader(clock):
    ended = []

    async def tokens():
        try:
            yield "a"
        finally:
            await asyncio.sleep(1)
            ended.append("whole")

    async def main():
        stream = Hedge()(tokens)()
        await anext(stream)
        for task in asyncio.all_tasks() - {asyncio.current_task()}:
            task.cancel()
        await asyncio.sleep(2)
        assert ended == ["whole"]
        with pytest.raises(asyncio.CancelledError):
            await anext(stream)
        other = Hedge()(tokens)()
        await anext(other)
        for task in asyncio.all_tasks() - {asyncio.current_task()}:
            task.cancel()
        await asyncio.sleep(2)
        with pytest.raises(KeyError):
            await other.athrow(KeyError("nobody is there to take it"))

    run_on_asyncio(clock, main)


# ---- losers


def test_a_loser_that_swallows_its_cancellation_is_closed_at_its_next_item(stream_world):
    if not stream_world.is_async:
        return
    closed = []

    async def tokens():
        if not starts:
            starts.append(1)
            try:
                with contextlib.suppress(BaseException):
                    await anyio.sleep(50)
                yield "late"
                yield "later"
            finally:
                closed.append(True)
        else:
            yield "a"
            yield "b"

    starts = []
    if stream_world.backend == "asyncio":
        assert stream_world.call(Hedge(delay=2)(tokens)) == ("a", "b")
        assert closed == [True]


def test_an_error_of_a_loser_is_nobodys_and_dies_with_it(stream_world):
    raised = []

    class Late(KeyError):
        """One whose end can be seen."""

    def fail():
        error = Late()
        raised.append(weakref.ref(error))
        try:
            raise error
        finally:
            del error

    def tokens():
        starts.append(1)
        if len(starts) == 1:
            stream_world.clock.sleep(5)
            fail()
        yield "a"
        yield "b"

    async def atokens():
        starts.append(1)
        if len(starts) == 1:
            try:
                await anyio.sleep(5)
            finally:
                fail()
        yield "a"
        yield "b"

    async def main():
        assert [item async for item in safe()] == ["a", "b"]
        await anyio.sleep(9)
        # On trio its context, the cancellation, is in a circle with the task that it was for.
        if stream_world.backend == "asyncio":
            assert raised[0]() is None
        assert (len(raised), len(hedge._limit.running)) == (1, 0)

    starts = []
    hedge = Hedge(delay=2)
    safe = hedge(atokens if stream_world.is_async else tokens)
    gc.disable()
    try:
        if stream_world.is_async:
            stream_world.run(main)
        else:
            assert list(safe()) == ["a", "b"]
            stream_world.clock.sleep(9)
            stream_world.clock.settle()
            assert (len(raised), raised[0](), len(hedge._limit.running)) == (1, None, 0)
    finally:
        gc.enable()


def test_closing_a_loser_holds_nobody_up(stream_world):
    """Both begin at once; that which is not taken stands still, and takes its time to close."""
    starts, closed = [], []
    clock = stream_world.clock
    began = clock.now()

    def tokens():
        starts.append(1)
        clock.sleep(3 if len(starts) == 1 else 1)
        try:
            yield "a"
            yield "b"
        except GeneratorExit:
            clock.sleep(20)
            closed.append(clock.now() - began)

    async def atokens():
        starts.append(1)
        await anyio.sleep(3 if len(starts) == 1 else 1)
        try:
            yield "a"
            yield "b"
        except GeneratorExit:
            await anyio.sleep(20)
            closed.append(clock.now() - began)

    hedge = Hedge(delay=2)
    safe = hedge(atokens if stream_world.is_async else tokens)

    async def main():
        assert [item async for item in safe()] == ["a", "b"]
        assert (clock.now() - began, len(hedge._limit.running)) == (3, 1)
        await anyio.sleep(30)

    if stream_world.is_async:
        stream_world.run(main)
    else:
        assert list(safe()) == ["a", "b"]
        assert (clock.now() - began, len(hedge._limit.running)) == (3, 1)
        clock.sleep(30)
    assert (closed, len(hedge._limit.running)) == ([23], 0)


def test_on_real_threads_every_stream_is_whole_and_every_loser_closed():
    """Both attempts begin at the same time; who is first, and who is closed when, is left to chance."""
    opened, closed = [], []
    asked_again = [threading.Event() for _ in range(THREADS * EACH)]

    def tokens(number):
        opened.append(number)
        attempt = opened.count(number)
        try:
            if attempt == 1:
                assert asked_again[number].wait(PATIENCE)
            asked_again[number].set()
            for position in range(5):
                yield number, attempt, position
        finally:
            closed.append(number)

    places = Bulkhead(THREADS, queue=THREADS)
    hedge = Hedge(delay=1e-6, ratio=1, minimum_calls=10**6)
    safe = Pipeline(places, hedge)(tokens)
    winners = []

    def work(who):
        for number in range(EACH * who, EACH * (who + 1)):
            given = list(safe(number))
            assert given == [(number, given[0][1], position) for position in range(5)]
            winners.append(given[0][1])

    def take(seats):
        return not seats or places(take)(seats - 1)

    crowd(THREADS, work)
    with deadline(PATIENCE):
        assert take(THREADS)  # every seat is free again: all that lost have ended
    assert set(winners) <= {1, 2}
    assert sorted(closed) == sorted(opened) == sorted([*range(THREADS * EACH)] * 2)
    assert (places.in_flight, len(hedge._limit.running)) == (0, 0)


# ---- one context, one task


def test_a_plain_stream_runs_in_one_context_from_first_to_last(stream_world):
    if stream_world.is_async:
        return
    variable = contextvars.ContextVar("variable", default="unset")
    threads = []

    def tokens():
        token = variable.set(variable.get() + " inside")
        try:
            threads.append(threading.current_thread())
            yield variable.get()
            threads.append(threading.current_thread())
            yield variable.get()
        finally:
            variable.reset(token)
            threads.append(variable.get())

    variable.set("outside")
    assert list(Hedge()(tokens)()) == ["outside inside"] * 2
    assert threads[0] is not threading.current_thread()
    assert threads[1:] == [threading.current_thread(), "outside"]
    assert variable.get() == "outside"
    threads.clear()
    stream = Hedge()(tokens)()
    next(stream)
    stream.close()
    assert threads[1:] == ["outside"]


def test_a_stream_may_have_a_task_group_open_while_its_reader_has_an_item(stream_world):
    if not stream_world.is_async:
        return
    beats = []

    async def beat():
        while True:
            await anyio.sleep(1)
            beats.append(1)

    async def tokens():
        async with anyio.create_task_group() as group:
            group.start_soon(beat)
            with anyio.move_on_after(100):
                for item in ("a", "b", "c"):
                    await anyio.sleep(0.3)
                    yield item
            group.cancel_scope.cancel()

    async def read_on(stream):
        assert await anext(stream) == "b"

    async def main():
        assert [item async for item in Hedge(delay=9)(tokens)()] == ["a", "b", "c"]
        beats.clear()
        stream = Hedge(delay=9)(tokens)()
        assert await anext(stream) == "a"
        async with anyio.create_task_group() as group:
            group.start_soon(read_on, stream)
        await anyio.sleep(5)
        assert len(beats) == 5
        with pytest.raises(BaseExceptionGroup):  # as task groups tell that a generator was closed in them
            await stream.aclose()
        await anyio.sleep(5)
        assert len(beats) == 5

    stream_world.run(main)


# ---- cancelled at every await


class Scene:
    """A stream whose first attempt is late, whose second is slow, beside what holds the only seat."""

    def __init__(self, world, outside, inside):
        self.world = world
        self.inside = 0
        self.calls = 0
        self.bulkhead = Bulkhead(1, queue=2)
        self.hedge = Hedge(delay=0.5)
        self.timeout = Timeout(60, first=30)
        made = {
            "bulkhead": lambda: self.bulkhead,
            "hedge": lambda: self.hedge,
            "timeout": lambda: self.timeout,
            "retry": lambda: Retry(2, on=ConnectionError),
            "fallback": lambda: Fallback("ready"),
            "rules": lambda: Stream(on_interrupt="restart"),
        }
        self.safe = Pipeline(*[made[name]() for name in (*outside, "hedge", *inside)])(self.model)
        self.rivals = [self.holder] if "bulkhead" in outside else []

    async def holder(self):
        async def hold():
            await anyio.sleep(0.5)

        await self.bulkhead(hold)()

    async def model(self):
        self.inside += 1
        self.calls += 1
        try:
            await anyio.sleep({1: 9, 2: 0.25}.get(self.calls, 0))
            yield "a"
            await anyio.sleep(0.25)
            if self.calls == 2:
                raise ConnectionError
            yield "b"
        finally:
            self.inside -= 1

    async def body(self):
        try:
            return [item async for item in self.safe()]
        except ConnectionError as error:
            return error

    async def check(self):
        assert self.inside == 0
        assert (self.bulkhead.in_flight, self.bulkhead.waiting) == (0, 0)
        assert (self.timeout.abandoned, len(self.hedge._limit.running)) == (0, 0)


STACKS = [
    ((), ()),
    (("bulkhead",), ()),
    (("bulkhead", "timeout"), ()),
    (("fallback", "retry", "rules", "bulkhead"), ("timeout",)),
    ((), ("retry", "rules", "timeout")),
]


@pytest.mark.parametrize(("outside", "inside"), STACKS)
def test_a_cancellation_at_any_await_gives_everything_back(stream_world, outside, inside):
    if stream_world.is_async:
        assert torture(stream_world, lambda: Scene(stream_world, outside, inside)) >= 3
        if stream_world.backend == "asyncio":
            assert torture(stream_world, lambda: Scene(stream_world, outside, inside), twice=True) >= 3


class Leaving(Scene):
    """Its reader leaves after the first item."""

    async def body(self):
        stream = self.safe()
        try:
            async for _ in stream:
                break
        finally:
            with anyio.CancelScope(shield=True):
                await stream.aclose()


@pytest.mark.parametrize(("outside", "inside"), STACKS)
def test_a_reader_that_leaves_and_is_cancelled_meanwhile_loses_nothing(stream_world, outside, inside):
    if stream_world.is_async:
        assert torture(stream_world, lambda: Leaving(stream_world, outside, inside)) >= 2


# ---- the parts by themselves


def test_a_policy_that_suspends_in_a_plain_stream_is_caught(clock):
    class Suspends(Policy):
        async def around(self, proceed, call):
            await asyncio.sleep(0)
            return await proceed(call)

    def tokens():
        yield "a"

    with pytest.raises(RuntimeError, match="suspended in a plain stream, where nothing can resume it"):
        list(Pipeline(Hedge(), Suspends())(tokens)())


def stream_call(kind, fn):
    return make_stream_call(kind, fn, (), {}, float("inf"), Outlet(), None)


def test_one_that_has_arrived_says_so_at_once(clock):
    seen = []

    async def tokens(call):
        await call.runtime.relay("a", call)

    call = stream_call(StreamCall, tokens)
    rival = call.runtime.spawn(tokens, call)
    rival.when_arrived(lambda: seen.append("plain"))
    clock.settle()
    rival.cancel()
    rival.cancel()
    rival.when_finished(lambda: seen.append("closed"))
    clock.settle()
    assert seen == ["plain", "closed"]

    async def main():
        call = stream_call(AsyncStreamCall, tokens)
        rival = call.runtime.spawn(tokens, call)
        await anyio.sleep(1)
        rival.when_arrived(lambda: seen.append("async"))
        rival.cancel()
        await anyio.sleep(1)
        rival.when_arrived(lambda: seen.append("over"))

    run_on_asyncio(clock, main)
    run_on_trio(clock, main)
    assert seen[2:] == ["async", "over"] * 2
