"""Load: herds on recovery, rate limits, servers that slow down, and calls that call themselves."""

import anyio
import pytest

from resilient_ml import (
    Bulkhead,
    BulkheadFull,
    CircuitBreaker,
    CircuitOpen,
    DeadlineExceeded,
    Kind,
    Pipeline,
    Retry,
    RetryBudget,
    State,
    Timeout,
    kind_of,
)
from resilient_ml.testing import faults
from resilient_ml.testing.faults import FaultPlan

from ..every_policy import AT_ONCE
from ..worlds import slow
from .struck import Guarded, made


def test_of_a_herd_that_waits_for_a_model_to_recover_only_the_probes_reach_it(await_world):
    plan = FaultPlan(made("outage"))
    breaker = CircuitBreaker(consecutive_failures=1, open_seconds=12, jitter=0, half_open_permits=3)
    model = await_world.model(slow(0.5, "cat"))
    safe = breaker(plan.inject(model))
    ends = []

    async def client():
        try:
            ends.append(await safe())
        except CircuitOpen as error:
            ends.append(error.retry_after)

    async def herd():
        plan.start()
        await anyio.sleep(10)
        with pytest.raises(ConnectionRefusedError):
            await safe()
        await anyio.sleep(12)
        async with anyio.create_task_group() as group:
            for _ in range(1000):
                group.start_soon(client)

    await_world.run(herd)
    assert ends.count("cat") == len(model.starts) == 3
    refused = [end for end in ends if end != "cat"]
    assert len(refused) == 997
    assert min(refused) > 0
    assert breaker.state is State.CLOSED


def test_breakers_that_opened_together_do_not_probe_together(world):
    plan = FaultPlan(made("outage"))
    dead = plan.inject(world.model("cat"))
    plan.start()
    world.clock.sleep(10)
    breakers = [CircuitBreaker(consecutive_failures=1, open_seconds=5) for _ in range(20)]
    for breaker in breakers:
        world.failure(breaker(dead))
    back = [world.failure(breaker(dead)).retry_after for breaker in breakers]
    assert len(set(back)) > 10
    assert 5 <= min(back) <= max(back) <= 5.5


def test_clients_of_a_rate_limit_come_back_when_it_says_and_none_of_them_is_a_storm(await_world):
    plan = FaultPlan(made("rate_limit"))  # ten a second
    retry = Retry(4, backoff=AT_ONCE, budget=RetryBudget(ratio=1, burst=30))
    model = await_world.model("cat")
    safe = retry(plan.inject(model))
    ends = await_world.together(*[(safe,)] * 30)
    assert ends == ["cat"] * 30
    assert sorted(model.starts) == [0] * 10 + [1] * 10 + [2] * 10
    assert len(plan.history) == 20 + 10


def test_a_rate_limit_that_outlasts_the_attempts_opens_the_breaker_for_as_long_as_it_says(world):
    plan = FaultPlan(faults.rate_limit(1, per=60))
    guarded = Guarded(
        plan.inject(world.model("cat")), attempts=1, breaker=CircuitBreaker(consecutive_failures=1, jitter=0)
    )
    assert world.call(guarded.safe) == "cat"
    assert kind_of(world.failure(guarded.safe)) is Kind.RATE_LIMITED
    assert world.failure(guarded.safe).retry_after == 60
    world.clock.sleep(60)
    assert world.call(guarded.safe) == "cat"


def test_a_server_that_is_overrun_refuses_and_one_behind_a_bulkhead_is_not_overrun(call_world):
    bare = FaultPlan(made("overload"))  # at full speed up to 4 at once, refuses above 32
    naked = bare.inject(call_world.model("cat"))
    refused = [end for end in call_world.together(*[(naked,)] * 40) if end != "cat"]
    assert len(refused) == 8
    assert {kind_of(error) for error in refused} == {Kind.OVERLOAD}

    plan = FaultPlan(made("overload"))
    model = call_world.model("cat")
    safe = Bulkhead(4, queue=36)(plan.inject(model))
    began = call_world.clock.now()
    assert call_world.together(*[(safe,)] * 40) == ["cat"] * 40
    assert round(call_world.clock.now() - began, 6) == 0.5  # ten rounds of 0.05 s: none was slowed down


def test_a_call_that_calls_itself_under_a_bulkhead_of_one_is_refused_and_not_hung(world):
    bulkhead = Bulkhead(1)

    def again():
        return safe()

    plan = FaultPlan(faults.reentry(again).times(1))
    safe = bulkhead(plan.inject(world.model("cat")))
    assert isinstance(world.failure(safe), BulkheadFull)
    assert len(plan.history) == 1
    assert bulkhead.in_flight == 0
    assert world.call(safe) == "cat"


def test_a_call_that_waits_for_its_own_seat_ends_at_its_limit(async_world):
    bulkhead = Bulkhead(1, queue=1)

    def again():
        return safe()

    plan = FaultPlan(faults.reentry(again).times(1))
    safe = Pipeline(bulkhead, Timeout(3))(plan.inject(async_world.model("cat")))
    began = async_world.clock.now()
    assert isinstance(async_world.failure(safe), DeadlineExceeded | BulkheadFull)
    assert async_world.clock.now() - began == 3
    assert (bulkhead.in_flight, bulkhead.waiting) == (0, 0)
