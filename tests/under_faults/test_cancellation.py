"""Cancellation: at every await, with the deadline, twice, swallowed, and raised by the callee itself."""

import asyncio
import concurrent.futures

import anyio
import pytest
import trio

from resilient_ml import (
    Bulkhead,
    CircuitBreaker,
    ConstantBackoff,
    DeadlineExceeded,
    Fallback,
    Pipeline,
    Retry,
    State,
    Timeout,
)
from resilient_ml.testing import faults
from resilient_ml.testing.faults import FaultPlan

from ..torture import torture
from ..virtual_time import run_on_asyncio, run_on_trio
from ..worlds import slow
from .struck import made


class Scene:
    """A call that meets an error, a late answer and a hang, beside a rival for its only seat."""

    def __init__(self, world):
        self.world = world
        self.bulkhead = Bulkhead(1, queue=2)
        self.breaker = CircuitBreaker(
            consecutive_failures=1, open_seconds=0.5, open_seconds_max=0.5, jitter=0, probe_lease_seconds=900
        )
        self.timeout = Timeout(1.5)
        plan = FaultPlan(
            faults.error(ConnectionError).on_calls(1),
            faults.latency(2.0).on_calls(2),
            made("hang").on_calls(3),
        )
        self.safe = Pipeline(
            Fallback(world.model(slow(0.25, "fallback"))),
            Retry(3, backoff=ConstantBackoff(0.6)),
            self.breaker,
            self.bulkhead,
            self.timeout,
        )(plan.inject(world.model(slow(0.25, "cat"))))
        self.rivals = [self.rival]

    async def rival(self):
        await self.bulkhead(anyio.sleep)(0.5)

    async def body(self):
        return await self.world.use(self.safe, {})

    async def check(self):
        assert (self.bulkhead.in_flight, self.bulkhead.waiting, self.timeout.abandoned) == (0, 0, 0)

        async def well():
            return "well"

        assert await self.breaker(well)() == "well"
        assert self.breaker.state is State.CLOSED


@pytest.mark.parametrize("twice", [False, True])
def test_a_cancellation_at_any_await_of_a_call_in_trouble_gives_everything_back(async_world, twice):
    assert torture(async_world, lambda: Scene(async_world), twice=twice) >= 6


def test_a_cancellation_that_comes_with_the_deadline_wins_on_asyncio(clock):
    plan, bulkhead = FaultPlan(made("hang")), Bulkhead(1)

    async def model():
        return "cat"

    async def main():
        task = asyncio.ensure_future(Pipeline(bulkhead, Timeout(1))(plan.inject(model))())
        asyncio.get_running_loop().call_later(1, task.cancel)
        await asyncio.wait([task])
        return task.cancelled()

    assert run_on_asyncio(clock, main)
    assert bulkhead.in_flight == 0


def test_a_cancellation_that_comes_with_the_deadline_wins_on_trio(clock):
    plan, bulkhead = FaultPlan(made("hang")), Bulkhead(1)

    async def model():
        return "cat"

    async def main():
        with trio.move_on_after(1) as scope:
            await Pipeline(bulkhead, Timeout(1))(plan.inject(model))()
        return scope.cancelled_caught

    assert run_on_trio(clock, main)
    assert bulkhead.in_flight == 0


def test_a_second_cancellation_in_the_middle_of_the_cleanup_of_the_first_loses_no_seat(clock):
    cleaned, bulkhead = [], Bulkhead(1)

    async def model():
        try:
            await anyio.sleep_forever()
        finally:
            cleaned.append("begun")
            await anyio.sleep(5)
            cleaned.append("ended")

    async def main():
        task = asyncio.ensure_future(Pipeline(bulkhead, Timeout(60))(model)())
        for _ in range(2):
            await anyio.sleep(1)
            task.cancel()
        await asyncio.wait([task])
        return task.cancelled()

    assert run_on_asyncio(clock, main)
    assert cleaned == ["begun"]
    assert bulkhead.in_flight == 0


def test_a_task_that_swallows_its_cancellation_is_left_behind_after_its_grace_and_counted(clock):
    plan = FaultPlan(made("stubborn").first(1))  # for 0.5 s
    timeout, bulkhead = Timeout(0.1, grace=0.1), Bulkhead(1)

    async def model():
        return "cat"

    async def main():
        safe = Pipeline(bulkhead, timeout)(plan.inject(model))
        began = clock.now()
        with pytest.raises(DeadlineExceeded):
            await safe()
        assert round(clock.now() - began, 6) == 0.2
        assert (timeout.abandoned, bulkhead.in_flight) == (1, 1)
        await anyio.sleep(1)
        assert (timeout.abandoned, bulkhead.in_flight) == (0, 0)
        return await safe()

    assert run_on_asyncio(clock, main) == "cat"


def test_without_a_grace_and_on_trio_who_swallows_its_cancellation_is_late_and_no_more(async_world):
    plan = FaultPlan(made("stubborn").first(1))
    bulkhead = Bulkhead(1)
    safe = Pipeline(bulkhead, Timeout(0.1))(plan.inject(async_world.model("cat")))
    began = async_world.clock.now()
    assert isinstance(async_world.failure(safe), DeadlineExceeded)
    assert round(async_world.clock.now() - began, 6) == 0.5
    assert bulkhead.in_flight == 0
    assert async_world.call(safe) == "cat"


def test_a_cancellation_that_the_callee_raises_itself_teaches_nothing_and_harms_nobody_else(async_world):
    plan = FaultPlan(made("cancelled").first(1))
    bulkhead, breaker = Bulkhead(2), CircuitBreaker(consecutive_failures=1)
    policies = (Fallback("neutral"), Retry(2), breaker, bulkhead, Timeout(60))
    safe = Pipeline(*policies)(plan.inject(async_world.model(slow(1, "cat"))))

    async def strayed(ends):
        try:
            await async_world.use(safe, {})
        except anyio.get_cancelled_exc_class() as stray:
            ends.append(type(stray).__name__)

    async def other(ends):
        ends.append(await async_world.use(safe, {}))

    async def main():
        ends = []
        async with anyio.create_task_group() as group:
            group.start_soon(strayed, ends)
            await anyio.sleep(0.5)
            group.start_soon(other, ends)
        return ends

    assert async_world.run(main) in (["CancelledError", "cat"], ["Cancelled", "cat"])
    assert len(plan.history) == 1
    assert (breaker.state, breaker.failures, bulkhead.in_flight) == (State.CLOSED, {}, 0)


def test_a_future_that_was_cancelled_elsewhere_is_an_error_like_any_other_to_a_plain_call(plain_world):
    plan = FaultPlan(made("cancelled"))
    bulkhead = Bulkhead(1)
    safe = Pipeline(Retry(2, backoff=ConstantBackoff(0)), bulkhead)(plan.inject(plain_world.model("cat")))
    assert isinstance(plain_world.failure(safe), concurrent.futures.CancelledError)
    assert 1 <= len(plan.history) <= 2
    assert bulkhead.in_flight == 0
