"""Bulkhead in every colour: one bound for threads, tasks and loops, a fair queue, no trace of who left."""

import asyncio

import anyio
import pytest

from resilient_ml import Bulkhead, BulkheadFull, ConstantBackoff, Pipeline, Retry, Timeout, deadline, events
from resilient_ml._drivers.suspending import TrioFlag
from resilient_ml.machines.bulkhead import BulkheadMachine

from ..virtual_time import run_on_asyncio, run_on_trio, thread_of
from ..worlds import calling, hang, items, slow


def idle(bulkhead):
    return (bulkhead.in_flight, bulkhead.waiting) == (0, 0)


# ---- seats


def test_no_more_calls_are_inside_than_the_limit(world):
    bulkhead = Bulkhead(2)
    model = world.model(slow(1, "cat"))
    ends = world.together(*[(bulkhead(model),)] * 5)
    assert [type(end) for end in ends] == [str, str] + [BulkheadFull] * 3
    assert model.script.most_inside == 2
    assert idle(bulkhead)


@pytest.mark.parametrize("end", ["cat", KeyError], ids=["answer", "error"])
def test_a_seat_is_given_back_however_the_call_ends(world, end):
    bulkhead = Bulkhead(1)
    safe = bulkhead(world.model(end))
    for _ in range(3):
        assert not isinstance(world.failure(safe), BulkheadFull)
    assert idle(bulkhead)


def test_an_interrupt_gives_the_seat_back(plain_world):
    bulkhead = Bulkhead(1)
    with pytest.raises(KeyboardInterrupt):
        plain_world.call(bulkhead(plain_world.model(KeyboardInterrupt())))
    assert idle(bulkhead)


def test_a_refusal_says_how_full_it_is_and_what_to_do(world):
    seen = []
    bulkhead = Bulkhead(1, queue=1, name="gpu", on_event=seen.append)
    safe = bulkhead(world.model(slow(1, "cat")))
    began = world.clock.now()
    refusal = world.together((safe,), (safe,), (safe,))[2]
    assert str(refusal) == (
        "bulkhead 'gpu' is full: 1 calls are inside and its queue of 1 is full; raise limit= if the model "
        "can take more, or put a Fallback or a Retry with on=BulkheadFull outside it"
    )
    assert (refusal.policy, refusal.retry_after) == ("gpu", None)
    assert seen == [
        events.CallRejected(
            policy="gpu", at=began, reason="is full: 1 calls are inside and its queue of 1 is full"
        )
    ]


def test_a_stream_holds_its_seat_to_its_end(stream_world):
    bulkhead = Bulkhead(1)
    safe = bulkhead(stream_world.model(items("to", "ken")))
    if stream_world.is_async:

        async def consume():
            async for _ in safe():
                assert bulkhead.in_flight == 1

        stream_world.run(consume)
    else:
        for _ in safe():
            assert bulkhead.in_flight == 1
    assert idle(bulkhead)


def test_a_stream_that_was_never_begun_holds_no_seat(stream_world):
    bulkhead = Bulkhead(1)
    stream = bulkhead(stream_world.model("cat"))()
    assert idle(bulkhead)
    del stream


def test_a_call_inside_its_own_bulkhead_is_refused_and_not_hung(world):
    bulkhead = Bulkhead(1)
    inner = bulkhead(world.model("cat"))
    assert isinstance(world.failure(bulkhead(calling(world, inner))), BulkheadFull)
    assert idle(bulkhead)


def test_a_call_that_waits_for_its_own_seat_ends_at_its_deadline(world):
    bulkhead = Bulkhead(1, queue=1)
    inner = bulkhead(world.model("cat"))
    began = world.clock.now()
    with deadline(5):
        error = world.failure(bulkhead(calling(world, inner)))
    assert isinstance(error, BulkheadFull | TimeoutError)
    assert world.clock.now() - began == 5
    assert idle(bulkhead)


# ---- the queue


def test_waiters_are_served_first_come_first_served(world):
    bulkhead = Bulkhead(1, queue=3)
    model = world.model(slow(1, "a"), slow(1, "b"), slow(1, "c"), slow(1, "d"))
    safe = bulkhead(model)
    assert world.together((safe, 0), (safe, 1), (safe, 2), (safe, 3)) == ["a", "b", "c", "d"]
    assert model.starts == [0, 1, 2, 3]
    assert [args for args, _ in model.asked] == [(0,), (1,), (2,), (3,)]
    assert idle(bulkhead)


def test_nobody_overtakes_the_queue(world):
    bulkhead = Bulkhead(2, queue=4)
    model = world.model(slow(1, "first"), slow(3.5, "second"), slow(1, "rest"))
    safe = bulkhead(model)
    world.together(*[(safe, number) for number in range(6)])
    assert [args[0] for args, _ in model.asked] == [0, 1, 2, 3, 4, 5]


def test_a_waiter_leaves_at_queue_seconds(world):
    bulkhead = Bulkhead(1, queue=2, queue_seconds=2, name="gpu")
    model = world.model(slow(5, "cat"))
    safe = bulkhead(model)
    began = world.clock.now()
    assert [type(end) for end in world.together((safe,), (safe,))] == [str, BulkheadFull]
    assert world.clock.now() - began == 5
    assert idle(bulkhead)


def test_a_waiter_leaves_at_its_deadline_and_never_reaches_the_model(world):
    bulkhead = Bulkhead(1, queue=2, queue_seconds=60)
    model = world.model(slow(5, "cat"))
    safe = bulkhead(model)
    ends = world.together((safe,), (under(world, 2, safe),))
    assert ends[0] == "cat"
    assert isinstance(ends[1], BulkheadFull)
    assert str(ends[1]).startswith("bulkhead 'model' had no seat free in the time that was left to wait")
    assert len(model.starts) == 1
    assert idle(bulkhead)


def under(world, seconds, safe):
    """*safe* under a deadline of its own."""

    def call(*args):
        with deadline(seconds):
            return safe(*args)

    async def acall(*args):
        with deadline(seconds):
            return await safe(*args)

    def stream(*args):
        with deadline(seconds):
            items = list(safe(*args))
        yield from items

    async def astream(*args):
        with deadline(seconds):
            items = [item async for item in safe(*args)]
        for item in items:
            yield item

    return {"call": call, "async call": acall, "stream": stream, "async stream": astream}[world.colour.value]


def test_waiting_counts_towards_a_timeout_outside(world):
    bulkhead = Bulkhead(1, queue=1)
    with pytest.warns(UserWarning, match="a Timeout outside a limiter"):
        safe = Pipeline(Timeout(3), bulkhead)(world.model(slow(2, "cat")))
    ends = world.together((safe,), (safe,))
    assert ends[0] == "cat"
    assert isinstance(ends[1], TimeoutError)
    world.clock.release()
    assert idle(bulkhead)


def test_a_waiter_that_is_cancelled_leaves_no_trace(async_world):
    bulkhead = Bulkhead(1, queue=1)
    model = async_world.model(slow(5, "cat"))
    safe = bulkhead(model)

    async def scenario():
        async with anyio.create_task_group() as group:
            group.start_soon(async_world.use, safe, {})
            await anyio.sleep(1)
            with anyio.move_on_after(1):
                await async_world.use(safe, {})
            assert (bulkhead.in_flight, bulkhead.waiting) == (1, 0)
            assert await async_world.use(safe, {}) == "cat"

    async_world.run(scenario)
    assert model.starts == [0, 5]
    assert idle(bulkhead)


def test_a_seat_granted_to_a_waiter_that_is_cancelled_in_that_moment_goes_to_the_next(
    async_world, monkeypatch
):
    hand_over = BulkheadMachine.hand_over
    bulkhead = Bulkhead(1, queue=2)
    safe = bulkhead(async_world.model(slow(5, "cat")))
    ends = []

    async def wait_for_it(scope):
        with scope:
            ends.append(await async_world.use(safe, {}))

    async def scenario():
        scope = anyio.CancelScope()
        async with anyio.create_task_group() as group:
            group.start_soon(wait_for_it, anyio.CancelScope())
            await anyio.sleep(1)
            group.start_soon(wait_for_it, scope)
            await anyio.sleep(1)
            group.start_soon(wait_for_it, anyio.CancelScope())
            await anyio.sleep(1)
            monkeypatch.setattr(
                BulkheadMachine, "hand_over", lambda machine: (hand_over(machine), scope.cancel())
            )

    async_world.run(scenario)
    assert ends == ["cat", "cat"]
    assert idle(bulkhead)


def test_a_retry_can_wait_for_a_seat_instead_of_a_queue(world):
    bulkhead = Bulkhead(1)
    safe = Pipeline(Retry(5, on=BulkheadFull, backoff=ConstantBackoff(1), budget=None), bulkhead)(
        world.model(slow(1.5, "cat"))
    )
    assert world.together((safe,), (safe,)) == ["cat", "cat"]


# ---- threads, tasks and loops together


def test_threads_and_tasks_of_several_loops_share_one_limit(clock):
    bulkhead = Bulkhead(2, queue=20)
    inside = []
    most = []
    ended = []

    def enter():
        inside.append(None)
        most.append(len(inside))

    def leave():
        inside.pop()
        ended.append(clock.now())

    @bulkhead
    def model():
        enter()
        clock.sleep(1)
        leave()
        return "plain"

    @bulkhead
    async def amodel():
        enter()
        await anyio.sleep(1)
        leave()
        return "awaited"

    async def tasks():
        return await asyncio.gather(*[amodel() for _ in range(3)])

    ends = []
    began = clock.now()
    with (
        thread_of(clock, lambda: ends.extend(run_on_asyncio(clock, tasks))),
        thread_of(clock, lambda: ends.extend(run_on_asyncio(clock, tasks))),
        thread_of(clock, lambda: ends.append(model())),
    ):
        ends.append(model())
        clock.sleep(60)
    assert sorted(ends) == ["awaited"] * 6 + ["plain"] * 2
    assert max(most) == 2
    assert max(ended) - began == 4
    assert idle(bulkhead)


def test_a_seat_is_not_lost_to_a_waiter_whose_loop_was_closed(clock):
    bulkhead = Bulkhead(1, queue=2)
    left = []

    @bulkhead
    def hold():
        """Holds the seat while another loop is dropped in the middle of a wait for it."""
        loop = asyncio.new_event_loop()
        left.append(loop.create_task(bulkhead(asyncio.sleep)(0)))
        loop.call_soon(loop.stop)
        loop.run_forever()
        assert bulkhead.waiting == 1
        loop.close()
        return "held"

    assert hold() == "held"
    assert idle(bulkhead)
    assert bulkhead(lambda: "cat")() == "cat"
    with pytest.raises(RuntimeError, match="Event loop is closed"):
        left[0].cancel()  # wakes it, which a closed loop refuses
    left[0]._log_destroy_pending = False
    left[0].get_coro().close()
    assert idle(bulkhead)


def test_a_seat_is_not_lost_to_a_waiter_whose_trio_run_has_ended(clock):
    flags = []

    async def scenario():
        flags.append(TrioFlag())

    run_on_trio(clock, scenario)
    assert flags[0].set() is False


def test_a_loop_that_ends_between_two_calls_changes_nothing(await_world):
    bulkhead = Bulkhead(1, queue=1)
    safe = bulkhead(await_world.model("cat"))
    assert [await_world.call(safe) for _ in range(3)] == ["cat"] * 3


def test_a_hang_holds_its_seat_and_only_that(async_world):
    bulkhead = Bulkhead(2)
    hung, well = bulkhead(async_world.model(hang())), bulkhead(async_world.model("cat"))

    async def scenario():
        async with anyio.create_task_group() as group:
            group.start_soon(async_world.use, hung, {})
            await anyio.sleep(1)
            assert [await async_world.use(well, {}) for _ in range(3)] == ["cat"] * 3
            group.cancel_scope.cancel()

    async_world.run(scenario)
    assert idle(bulkhead)


# ---- options


def test_a_bulkhead_describes_itself():
    bulkhead = Bulkhead(4, queue=2)
    assert repr(bulkhead) == "Bulkhead(4, queue=2)"
    assert bulkhead.limit == 4


@pytest.mark.parametrize(
    ("limit", "options", "kind", "message"),
    [
        (0, {}, ValueError, "limit must be at least 1, got 0; pass how many calls may run at once"),
        (2.5, {}, TypeError, "limit must be a whole number, got 2.5"),
        (1, {"queue": -1}, ValueError, "queue must be at least 0, got -1; pass 0 to refuse at once"),
        (
            1,
            {"queue_seconds": 0},
            ValueError,
            "queue_seconds must be above 0, got 0; pass queue=0 to refuse at once",
        ),
    ],
)
def test_bad_options_are_refused_with_the_remedy(limit, options, kind, message):
    with pytest.raises(kind, match=message):
        Bulkhead(limit, **options)
