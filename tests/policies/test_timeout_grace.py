"""Coroutines that swallow their cancellation: on asyncio they are left behind once the grace is over."""

import asyncio
import gc

import anyio
import pytest

from resilient_ml import Bulkhead, Colour, DeadlineExceeded, LimitExceeded, Pipeline, Timeout, remaining

from ..virtual_time import run_on_asyncio, run_on_trio
from ..worlds import hang, slow


def stubborn(seconds):
    """Goes on for *seconds* after it was cancelled."""

    async def model():
        try:
            await anyio.sleep(60)
        except BaseException:  # noqa: BLE001
            with anyio.CancelScope(shield=True):
                await anyio.sleep(seconds)
        return "late"

    return model


def test_in_time_it_changes_nothing(async_world):
    safe = Timeout(5, grace=1)(async_world.model(slow(1, "cat"), slow(1, KeyError)))
    assert async_world.call(safe) == "cat"
    assert isinstance(async_world.failure(safe), KeyError)


def test_a_coroutine_that_heeds_its_cancellation_is_waited_for(async_world):
    timeout = Timeout(2, grace=1)
    began = async_world.clock.now()
    assert isinstance(async_world.failure(timeout(async_world.model(hang()))), DeadlineExceeded)
    assert async_world.clock.now() - began == 2
    assert timeout.abandoned == 0


def test_one_that_does_not_is_left_behind_counted_capped_and_holds_its_seat(clock):
    timeout, bulkhead = Timeout(2, grace=1, max_abandoned=1), Bulkhead(2)
    safe = Pipeline(bulkhead, timeout)(stubborn(10))

    async def scenario():
        began = clock.now()
        with pytest.raises(DeadlineExceeded):
            await safe()
        assert clock.now() - began == 3
        assert (timeout.abandoned, bulkhead.in_flight) == (1, 1)
        with pytest.raises(LimitExceeded):
            await safe()
        await asyncio.sleep(10)
        assert (timeout.abandoned, bulkhead.in_flight) == (0, 0)

    run_on_asyncio(clock, scenario)


def test_a_future_may_be_refused_as_well_as_a_coroutine(clock):
    timeout = Timeout(2, grace=0, max_abandoned=1)
    awaited = []

    def model():
        awaited.append(asyncio.ensure_future(stubborn(10)()))
        return awaited[-1]

    async def scenario():
        safe = Pipeline(timeout)(model, colour=Colour.ASYNC_CALL)
        with pytest.raises(DeadlineExceeded):
            await timeout(stubborn(10))()
        with pytest.raises(LimitExceeded):
            await safe()
        await asyncio.sleep(100)

    run_on_asyncio(clock, scenario)
    assert awaited[0].result() == "late"


def test_trio_waits_as_no_task_of_its_outlives_its_parent(clock):
    async def scenario():
        began = clock.now()
        with pytest.raises(DeadlineExceeded):
            await Timeout(2, grace=1)(stubborn(10))()
        return clock.now() - began

    assert run_on_trio(clock, scenario) == 12


def test_one_that_ends_within_its_grace_is_not_left_behind(clock):
    timeout = Timeout(2, grace=5)

    async def scenario():
        began = clock.now()
        with pytest.raises(DeadlineExceeded):
            await timeout(stubborn(1))()
        return clock.now() - began

    assert run_on_asyncio(clock, scenario) == 3
    assert timeout.abandoned == 0


def test_one_that_fails_after_it_was_left_behind_fails_unheard(clock):
    timeout = Timeout(2, grace=0)

    async def model():
        try:
            await asyncio.sleep(60)
        except asyncio.CancelledError:
            await asyncio.sleep(5)
            raise KeyError from None

    async def scenario():
        with pytest.raises(DeadlineExceeded):
            await timeout(model)()
        await asyncio.sleep(10)

    run_on_asyncio(clock, scenario)
    assert timeout.abandoned == 0


def test_one_that_is_cancelled_again_after_it_was_left_behind_ends_unheard(clock):
    timeout = Timeout(2, grace=1)
    tasks = []

    async def model():
        tasks.append(asyncio.current_task())
        for _ in range(2):
            try:
                await asyncio.sleep(60)
            except asyncio.CancelledError:
                if len(tasks) == 2:
                    raise
                tasks.append(None)

    async def scenario():
        with pytest.raises(DeadlineExceeded):
            await timeout(model)()
        tasks[0].cancel()
        await asyncio.sleep(1)

    run_on_asyncio(clock, scenario)
    assert timeout.abandoned == 0


def test_an_outer_cancellation_reaches_it_and_waits_for_the_grace_at_most(clock):
    timeout = Timeout(20, grace=1)

    async def scenario():
        began = clock.now()
        task = asyncio.ensure_future(timeout(stubborn(10))())
        asyncio.get_running_loop().call_later(2, task.cancel)
        with pytest.raises(asyncio.CancelledError):
            await task
        took = clock.now() - began
        assert timeout.abandoned == 1
        await asyncio.sleep(10)
        return took

    assert run_on_asyncio(clock, scenario) == 3
    assert timeout.abandoned == 0


def test_a_coroutine_that_cancels_itself_ends_cancelled(clock):
    async def model():
        raise asyncio.CancelledError

    async def scenario():
        with pytest.raises(asyncio.CancelledError):
            await Timeout(2, grace=1)(model)()

    run_on_asyncio(clock, scenario)


def test_it_sees_what_is_left(clock):
    async def model():
        return remaining()

    assert run_on_asyncio(clock, Timeout(2, grace=1)(model)) == 2


def test_a_bad_grace_is_refused():
    with pytest.raises(
        ValueError, match="grace must not be negative, got -1; pass None to wait for the coroutine"
    ):
        Timeout(1, grace=-1)


@pytest.mark.parametrize("close", ["aclose", "close", None])
def test_a_stream_that_is_left_behind_is_closed_once_it_lets_go_and_holds_its_seat_until_then(clock, close):
    timeout, bulkhead = Timeout(2, grace=1), Bulkhead(1)
    closed = []

    class Stubborn:
        def __aiter__(self):
            return self

        __anext__ = staticmethod(stubborn(10))

    async def aclose(self):
        await anyio.sleep(5)
        closed.append(clock.now())

    if close is not None:
        setattr(Stubborn, close, aclose if close == "aclose" else lambda self: closed.append(clock.now()))

    def opened():
        return Stubborn()

    async def scenario():
        began = clock.now()
        with pytest.raises(DeadlineExceeded):
            await anext(Pipeline(bulkhead, timeout)(opened, colour=Colour.ASYNC_STREAM)())
        assert (clock.now() - began, bulkhead.in_flight, closed) == (3, 1, [])
        await asyncio.sleep(14)
        assert bulkhead.in_flight == (close == "aclose")
        await asyncio.sleep(2)
        assert (timeout.abandoned, bulkhead.in_flight) == (0, 0)
        return [at - began for at in closed]

    assert run_on_asyncio(clock, scenario) == {"aclose": [17], "close": [12], None: []}[close]


def test_a_generator_that_is_left_behind_is_late_and_nothing_else(clock):
    async def model():
        yield "cat"
        await stubborn(10)()
        yield "late"

    async def scenario():
        stream = Timeout(2, grace=1)(model)()
        assert await anext(stream) == "cat"
        with pytest.raises(DeadlineExceeded):
            await anext(stream)
        await asyncio.sleep(20)

    run_on_asyncio(clock, scenario)


@pytest.mark.parametrize("turns", [0, 1, 2, 3])
def test_one_that_fails_as_its_caller_is_cancelled_fails_unheard(clock, turns):
    """No task is left whose exception "was never retrieved"."""
    complaints = []

    async def scenario():
        loop = asyncio.get_running_loop()
        loop.set_exception_handler(lambda loop, context: complaints.append(context))
        fails = loop.create_future()

        async def model():
            await fails
            raise KeyError

        task = loop.create_task(Timeout(2, grace=1)(model)())
        await asyncio.sleep(1)
        fails.set_result(None)
        for _ in range(turns):
            await asyncio.sleep(0)
        task.cancel()
        await asyncio.wait([task])
        del task
        gc.collect()

    run_on_asyncio(clock, scenario)
    assert complaints == []


# ---- interrupts


@pytest.mark.parametrize("interrupt", [KeyboardInterrupt, SystemExit])
def test_an_interrupt_that_the_model_raises_reaches_its_caller(clock, interrupt):
    raised = interrupt()
    bulkhead = Bulkhead(1)

    async def model():
        await asyncio.sleep(1)
        raise raised

    async def scenario():
        try:
            await Pipeline(bulkhead, Timeout(5, grace=1))(model)()
        except BaseException as error:  # noqa: BLE001
            return error, bulkhead.in_flight

    assert run_on_asyncio(clock, scenario) == (raised, 0)


def interrupting(seconds, interrupt):
    """Is interrupted *seconds* after it was cancelled."""

    async def model():
        try:
            await anyio.sleep(60)
        except BaseException:  # noqa: BLE001
            with anyio.CancelScope(shield=True):
                await anyio.sleep(seconds)
            raise interrupt from None

    return model


def test_an_interrupt_within_the_grace_reaches_its_caller(clock):
    raised = KeyboardInterrupt()

    async def scenario():
        try:
            await Timeout(2, grace=5)(interrupting(1, raised))()
        except BaseException as error:  # noqa: BLE001
            return error

    assert run_on_asyncio(clock, scenario) is raised


def test_an_interrupt_of_one_that_was_left_behind_stops_the_loop(clock):
    raised = KeyboardInterrupt()

    async def scenario():
        with pytest.raises(DeadlineExceeded):
            await Timeout(2, grace=1)(interrupting(10, raised))()
        await asyncio.sleep(20)

    loop = asyncio.new_event_loop()
    try:
        task = loop.create_task(scenario())
        with pytest.raises(KeyboardInterrupt) as caught:
            loop.run_until_complete(task)
        assert caught.value is raised
        loop.run_until_complete(task)
    finally:
        loop.close()
