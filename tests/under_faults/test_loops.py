"""Event loops: closed with calls pending, changed, several at once, unusual, or not there yet."""

import asyncio
import gc
import threading
from asyncio import events

import anyio
import anyio.lowlevel
import pytest
import trio

from resilient_ml import Bulkhead, CircuitBreaker, DeadlineExceeded, Fallback, Pipeline, Retry, Timeout
from resilient_ml.testing import faults
from resilient_ml.testing.faults import FaultPlan

from ..every_policy import AT_ONCE
from .struck import made

# ---- made where no loop runs yet

AT_IMPORT = FaultPlan(faults.error(ConnectionError).in_turn(1, 2))


@Pipeline(Retry(2, backoff=AT_ONCE), CircuitBreaker(failure_rate=None), Bulkhead(4, queue=4), Timeout(60))
@AT_IMPORT.inject
async def made_at_import():
    await anyio.lowlevel.checkpoint()
    return "cat"


@pytest.mark.parametrize("backend", ["asyncio", "trio"])
def test_what_was_decorated_at_import_works_on_any_loop(backend):
    for _ in range(3):
        assert anyio.run(made_at_import, backend=backend) == "cat"


def test_a_policy_goes_from_loop_to_loop_with_what_it_knows(world):
    plan = FaultPlan(made("server_error").first(3))
    breaker = CircuitBreaker(consecutive_failures=4)
    safe = Pipeline(Fallback("popular"), breaker, Bulkhead(1), Timeout(5))(plan.inject(world.model("cat")))
    assert [world.call(safe) for _ in range(4)] == ["popular"] * 3 + ["cat"]
    assert sum(breaker.failures.values()) == 3


# ---- closed in the middle


def test_a_loop_that_is_closed_with_calls_pending_leaves_no_seat_taken():
    bulkhead, complaints = Bulkhead(1, queue=2), []

    async def model(answer=None):
        return answer or await asyncio.get_running_loop().create_future()

    safe = Pipeline(bulkhead, Timeout(60))(model)
    loop = asyncio.new_event_loop()
    loop.set_exception_handler(lambda loop, context: complaints.append(context["message"]))
    pending = [loop.create_task(safe()) for _ in range(3)]
    for _ in range(5):
        loop.run_until_complete(anyio.lowlevel.checkpoint())
    assert (bulkhead.in_flight, bulkhead.waiting) == (1, 2)
    loop.close()
    pending.clear()
    gc.collect()
    assert (bulkhead.in_flight, bulkhead.waiting) == (0, 0)
    gc.collect()  # those who waited are let go of by the queue, and only then garbage
    assert complaints == ["Task was destroyed but it is pending!"] * 3
    assert asyncio.run(safe("cat")) == "cat"


def test_a_thread_that_ends_after_the_loop_that_waited_for_it_gives_its_seat_back(clock):
    plan, bulkhead = FaultPlan(made("hang").first(1)), Bulkhead(1)
    guard = Pipeline(bulkhead, Timeout(5))
    ask = plan.inject(str.upper)
    with pytest.raises(DeadlineExceeded):
        asyncio.run(guard.acall(ask, "cat"))
    assert bulkhead.in_flight == 1
    plan.release()
    clock.settle()
    assert bulkhead.in_flight == 0
    assert asyncio.run(guard.acall(ask, "cat")) == "CAT"


# ---- several at once


def test_loops_in_several_threads_share_one_limit(clock):
    plan, bulkhead = FaultPlan(faults.latency(1.0)), Bulkhead(2, queue=20)
    inside, most, ends = [], [], []

    def entered(value):
        inside.append(value)
        most.append(len(inside))

    @plan.inject
    async def ask(number):
        return number

    @bulkhead
    async def model(number):
        entered(number)
        try:
            return await ask(number)
        finally:
            inside.remove(number)

    async def several(first):
        async def one(number):
            ends.append(await model(number))

        async with anyio.create_task_group() as group:
            for number in range(first, first + 4):
                group.start_soon(one, number)

    runs = [
        lambda: asyncio.run(several(0)),
        lambda: asyncio.run(several(10)),
        lambda: trio.run(several, 20),
    ]
    threads = [threading.Thread(target=run) for run in runs]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(ends) == [*range(4), *range(10, 14), *range(20, 24)]
    assert max(most) == 2
    assert (bulkhead.in_flight, bulkhead.waiting) == (0, 0)


# ---- others than usual


def test_scopes_around_and_inside_a_call_each_end_their_own(async_world):
    plan, bulkhead = FaultPlan(made("hang")), Bulkhead(1)
    safe = Pipeline(bulkhead, Timeout(5))(plan.inject(async_world.model("cat")))

    async def main():
        began = async_world.clock.now()
        with anyio.move_on_after(20) as outer:
            with anyio.move_on_after(2) as inner:
                await async_world.use(safe, {})
            with pytest.raises(DeadlineExceeded):
                await async_world.use(safe, {})
        return inner.cancelled_caught, outer.cancelled_caught, async_world.clock.now() - began

    assert async_world.run(main) == (True, False, 7)
    assert bulkhead.in_flight == 0


class OtherLoop(asyncio.SelectorEventLoop):
    """A loop that is not driven as asyncio's own are: what uses their insides fails here."""

    _run_once = None

    def run_forever(self):
        self._check_closed()
        self._check_running()
        self._thread_id = threading.get_ident()
        events._set_running_loop(self)
        try:
            while not self._stopping:
                asyncio.BaseEventLoop._run_once(self)
        finally:
            self._stopping = False
            self._thread_id = None
            events._set_running_loop(None)


def test_a_loop_of_another_make_serves_as_well(clock):
    plan = FaultPlan(made("hang").on_calls(1), faults.error(ConnectionError).on_calls(2))

    async def model():
        await anyio.sleep(0.5)
        return "cat"

    bulkhead = Bulkhead(1, queue=1)
    safe = Pipeline(Retry(3, backoff=AT_ONCE), bulkhead, Timeout(1))(plan.inject(model))

    async def main():
        ends = []

        async def one():
            ends.append(await safe())

        async with anyio.create_task_group() as group:
            for _ in range(2):
                group.start_soon(one)
        return ends

    with asyncio.Runner(loop_factory=OtherLoop) as runner:
        assert runner.run(main()) == ["cat", "cat"]
    assert bulkhead.in_flight == 0


def test_a_plain_function_under_a_guard_may_be_awaited_while_its_loop_goes_on(await_world):
    plan = FaultPlan(made("block"))  # 0.2 s
    guard = Pipeline(Retry(2, backoff=AT_ONCE), Timeout(5))
    ticks = []

    async def tick():
        for _ in range(10):
            await anyio.sleep(0.05)
            ticks.append(await_world.clock.now())

    async def main():
        async with anyio.create_task_group() as group:
            group.start_soon(tick)
            answer = await guard.acall(plan.inject(str.upper), "cat")
            ticked = len(ticks)
        return answer, ticked

    answer, ticked = await_world.run(main)
    assert answer == "CAT"
    assert ticked >= 3
