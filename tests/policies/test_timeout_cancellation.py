"""Timeout where its limit meets a cancellation, an answer or a time-out of somebody else, on both loops."""

import asyncio
import gc

import anyio
import pytest
import trio

from resilient_ml import DeadlineExceeded, Pipeline, Retry, Timeout
from resilient_ml._drivers import expiry

from ..virtual_time import run_on_asyncio, run_on_trio
from ..worlds import hang, slow

# ---- asyncio


def test_a_cancellation_in_the_same_tick_as_the_limit_wins(clock):
    async def scenario():
        async def model():
            await asyncio.sleep(60)

        task = asyncio.ensure_future(Timeout(2)(model)())
        asyncio.get_running_loop().call_later(2, task.cancel)
        with pytest.raises(asyncio.CancelledError):
            await task
        return task.cancelled(), task.cancelling()

    assert run_on_asyncio(clock, scenario) == (True, 1)


@pytest.mark.parametrize("when", [1.9, 2.0, 2.1])
def test_every_cancellation_is_kept_count_of(clock, when):
    """Whoever asked the task to end finds it ended or still asked to: the limit takes back only its own."""

    async def scenario():
        async def model():
            await asyncio.sleep(60)

        counts = []

        async def caller():
            try:
                await Timeout(2)(model)()
            except (DeadlineExceeded, asyncio.CancelledError) as error:
                counts.append((type(error), asyncio.current_task().cancelling()))
            await asyncio.sleep(1)
            counts.append("went on")

        task = asyncio.ensure_future(caller())
        asyncio.get_running_loop().call_later(when, task.cancel)
        await asyncio.wait([task])
        return counts, task.cancelled()

    counts, cancelled = run_on_asyncio(clock, scenario)
    if when > 2:
        assert counts == [(DeadlineExceeded, 0)] and cancelled
    else:
        assert counts == [(asyncio.CancelledError, 1), "went on"] and not cancelled


def test_an_answer_in_the_same_tick_as_the_limit_wins(clock):
    async def scenario():
        async def model():
            answer = asyncio.get_running_loop().create_future()
            asyncio.get_running_loop().call_later(2, answer.set_result, "cat")
            return await answer

        answer = await Timeout(2)(model)()
        await asyncio.sleep(1)  # no stray cancellation comes after it
        return answer, asyncio.current_task().cancelling()

    assert run_on_asyncio(clock, scenario) == ("cat", 0)


def test_code_that_swallows_its_cancellation_is_late_all_the_same(clock):
    async def scenario():
        async def model():
            try:
                await asyncio.sleep(60)
            except asyncio.CancelledError:
                await asyncio.sleep(3)
            return "late"

        began = clock.now()
        with pytest.raises(DeadlineExceeded):
            await Timeout(2)(model)()
        await asyncio.sleep(0)
        return clock.now() - began, asyncio.current_task().cancelling()

    assert run_on_asyncio(clock, scenario) == (5, 0)


def test_code_that_turns_its_cancellation_into_an_error_keeps_that_error(clock):
    async def scenario():
        async def model():
            try:
                await asyncio.sleep(60)
            except asyncio.CancelledError:
                raise KeyError("cleanup") from None

        with pytest.raises(KeyError, match="cleanup"):
            await Timeout(2)(model)()
        return asyncio.current_task().cancelling()

    assert run_on_asyncio(clock, scenario) == 0


def test_code_that_cancels_itself_is_not_taken_for_the_limit(clock):
    async def scenario():
        async def model():
            raise asyncio.CancelledError("by itself")

        with pytest.raises(asyncio.CancelledError, match="by itself"):
            await Timeout(2)(model)()

    run_on_asyncio(clock, scenario)


def test_time_outs_of_asyncio_around_and_inside_stay_their_own(clock):
    async def scenario():
        async def model():
            async with asyncio.timeout(1):
                await asyncio.sleep(60)

        with pytest.raises(TimeoutError) as inside:
            await Timeout(2)(model)()

        async def patient():
            await asyncio.sleep(60)

        with pytest.raises(TimeoutError) as around:
            async with asyncio.timeout(1):
                await Timeout(2)(patient)()
        return type(inside.value), type(around.value), asyncio.current_task().cancelling()

    assert run_on_asyncio(clock, scenario) == (TimeoutError, TimeoutError, 0)


def test_a_timeout_works_inside_a_task_group(clock):
    async def scenario():
        async def model():
            await asyncio.sleep(60)

        ends = []

        async def caller():
            try:
                await Timeout(2)(model)()
            except DeadlineExceeded:
                ends.append(clock.now())

        began = clock.now()
        async with asyncio.TaskGroup() as group:
            for _ in range(3):
                group.create_task(caller())
        return [end - began for end in ends]

    assert run_on_asyncio(clock, scenario) == [2, 2, 2]


def test_limits_of_many_lengths_fire_each_in_its_time(clock):
    async def scenario():
        async def model():
            await asyncio.sleep(100)

        began = clock.now()

        async def caller(seconds):
            with pytest.raises(DeadlineExceeded):
                await Timeout(seconds)(model)()
            return clock.now() - began

        return await asyncio.gather(*map(caller, (5, 1, 3, 1, 4, 2)))

    assert run_on_asyncio(clock, scenario) == [5, 1, 3, 1, 4, 2]


def test_limits_that_never_fire_are_forgotten(clock):
    async def scenario():
        safe = Timeout(60)(asyncio.sleep)
        for _ in range(1000):
            await safe(0)
        return len(expiry.timer_of(asyncio.get_running_loop())._heap)

    assert run_on_asyncio(clock, scenario) <= expiry._SLACK + 2


def test_limits_that_never_fire_are_swept_out_from_behind_one_that_may(clock):
    async def scenario():
        async def model():
            await asyncio.sleep(1)

        first = asyncio.ensure_future(Timeout(2)(model)())
        await asyncio.sleep(0)
        safe = Timeout(60)(asyncio.sleep)
        for _ in range(1000):
            await safe(0)
        held = len(expiry.timer_of(asyncio.get_running_loop())._heap)
        await first
        await asyncio.sleep(100)  # the timer fires for entries that are done
        return held

    assert run_on_asyncio(clock, scenario) <= expiry._SLACK + 4


def test_a_closed_loop_and_its_timer_are_forgotten(clock):
    async def scenario():
        await Timeout(60)(asyncio.sleep)(0)

    before = list(expiry._timers)  # of other tests, which may have set their loops aside from the collector
    for _ in range(3):
        run_on_asyncio(clock, scenario)
    gc.collect()
    assert not [loop for loop in list(expiry._timers) if loop.is_closed() and loop not in before]


# ---- trio


def test_an_outer_trio_scope_that_ends_with_the_limit_wins(clock):
    async def scenario():
        async def model():
            await trio.sleep(60)

        with trio.move_on_after(2) as scope:
            await Timeout(3)(model)()
        return scope.cancelled_caught

    assert run_on_trio(clock, scenario)


def test_trio_code_that_swallows_its_cancellation_is_late_all_the_same(clock):
    async def scenario():
        async def model():
            with trio.CancelScope(shield=True):
                await trio.sleep(5)
            return "late"

        began = clock.now()
        with pytest.raises(DeadlineExceeded):
            await Timeout(2)(model)()
        return clock.now() - began

    assert run_on_trio(clock, scenario) == 5


def test_trio_code_that_turns_its_cancellation_into_an_error_keeps_that_error(clock):
    async def scenario():
        async def model():
            try:
                await trio.sleep(60)
            finally:
                raise KeyError("cleanup")

        with pytest.raises(KeyError, match="cleanup"):
            await Timeout(2)(model)()

    run_on_trio(clock, scenario)


# ---- both


def test_an_outer_cancellation_is_no_time_out(await_world):
    seen = []
    timeout = Timeout(5, on_event=seen.append)

    async def scenario():
        with anyio.move_on_after(2) as scope:
            await Pipeline(Retry(), timeout)(await_world.model(hang()))()
        return scope.cancelled_caught

    assert await_world.run(scenario)
    assert seen == []


def test_the_callee_is_cancelled_once_and_waited_for(await_world):
    ended = []

    async def model():
        try:
            await anyio.sleep_forever()
        finally:
            with anyio.CancelScope(shield=True):
                await anyio.sleep(1)
            ended.append(await_world.clock.now())

    began = await_world.clock.now()
    assert isinstance(await_world.failure(Timeout(2)(model)), DeadlineExceeded)
    assert ended == [began + 3]


def test_a_fast_answer_leaves_no_cancellation_behind(await_world):
    async def scenario():
        safe = Timeout(1)(await_world.model(slow(0.5, "cat")))
        answers = [await safe() for _ in range(3)]
        await anyio.sleep(10)
        return answers

    assert await_world.run(scenario) == ["cat"] * 3
