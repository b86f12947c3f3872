"""Faults that take time: how long, who can end it, and what stands still meanwhile."""

import asyncio
import math
import time

import anyio
import pytest

from resilient_ml import Timeout
from resilient_ml.errors import DeadlineExceeded
from resilient_ml.testing import faults, virtual_time
from resilient_ml.testing.faults import FaultPlan

from ...virtual_time import run_on_asyncio


def seconds_of(world, model, calls=1):
    """How long each of so many calls takes."""
    found = []
    for _ in range(calls):
        began = world.clock.now()
        world.call(model)
        found.append(round(world.clock.now() - began, 9))
    return found


def test_latency_is_added(world):
    assert seconds_of(world, faults.inject(world.model("cat"), faults.latency(0.25))) == [0.25]


def test_a_timeout_ends_latency(world):
    error = world.failure(Timeout(1.0)(faults.inject(world.model("cat"), faults.latency(5.0))))
    assert isinstance(error, DeadlineExceeded)


@pytest.mark.parametrize(
    ("distribution", "median", "least", "most"),
    [
        (faults.exponential(0.1), 0.0693, 0.0, math.inf),
        (faults.lognormal(median=0.1, sigma=1.0), 0.1, 0.0, math.inf),
        (faults.pareto(least=0.1, shape=2.0), 0.1414, 0.1, math.inf),
        (faults.uniform(0.1, 0.3), 0.2, 0.1, 0.3),
    ],
)
def test_latency_follows_a_distribution(distribution, median, least, most):
    with virtual_time() as clock:
        model = faults.inject(lambda: None, faults.latency(distribution), seed=11)
        waits = []
        for _ in range(2001):
            began = clock.now()
            model()
            waits.append(clock.now() - began)
    assert least <= min(waits) + 1e-9
    assert max(waits) - 1e-9 <= most
    assert sorted(waits)[1000] == pytest.approx(median, rel=0.15)


class Odd:
    """A distribution of one's own."""

    def draw(self, u):
        return 1.0 + (u < 2.0)


def test_a_distribution_of_ones_own_will_do(world):
    assert seconds_of(world, faults.inject(world.model("cat"), faults.latency(Odd()))) == [2.0]


@pytest.mark.parametrize(
    ("fault", "seconds"),
    [
        (faults.slow_start(30), [30, 0, 0, 0]),
        (faults.slow_start(30, calls=2), [30, 30, 0, 0]),
        (faults.slow_start(30, seconds=45), [30, 30, 0, 0]),
        (faults.slow_start(30).on_calls(2), [0, 0, 0, 0]),
    ],
    ids=str,
)
def test_a_cold_model_is_slow_at_first(world, fault, seconds):
    assert seconds_of(world, faults.inject(world.model("cat"), fault), 4) == seconds


async def heartbeat(beats, clock):
    while True:
        beats.append(clock.now())
        await anyio.sleep(1)


@pytest.mark.parametrize(
    ("fault", "beats_meanwhile"), [(faults.latency(10), 10), (faults.block(10), 0)], ids=str
)
def test_a_block_stops_the_event_loop_and_latency_does_not(async_world, fault, beats_meanwhile):
    model = faults.inject(async_world.model("cat"), fault)
    beats = []

    async def main():
        async with anyio.create_task_group() as group:
            group.start_soon(heartbeat, beats, async_world.clock)
            await anyio.sleep(0.5)
            before = len(beats)
            await async_world.use(model, {})
            during = len(beats) - before
            group.cancel_scope.cancel()
        return during

    assert async_world.run(main) == beats_meanwhile


def test_a_plain_call_is_blocked_too(plain_world):
    assert seconds_of(plain_world, faults.inject(plain_world.model("cat"), faults.block(3))) == [3]


def test_a_stubborn_call_outlives_the_cancellation_of_its_scope(async_world):
    model = faults.inject(async_world.model("cat"), faults.stubborn(10))

    async def main():
        began = async_world.clock.now()
        with anyio.move_on_after(2):
            await async_world.use(model, {})
        return async_world.clock.now() - began

    assert async_world.run(main) == 10


def test_a_stubborn_call_swallows_every_cancellation_of_its_task(clock):
    async def answer():
        return "cat"

    model = faults.inject(answer, faults.stubborn(10))

    async def main():
        task = asyncio.create_task(model())
        for _ in range(3):
            await asyncio.sleep(2)
            task.cancel()
        began = clock.now()
        assert await task == "cat"
        return clock.now() - began

    assert run_on_asyncio(clock, main) == 4


def test_a_stubborn_plain_call_is_merely_slow(plain_world):
    assert seconds_of(plain_world, faults.inject(plain_world.model("cat"), faults.stubborn(3))) == [3]


def test_a_stubborn_call_that_nobody_cancels_is_merely_slow(async_world):
    assert seconds_of(async_world, faults.inject(async_world.model("cat"), faults.stubborn(3))) == [3]


def test_holding_the_interpreters_lock_takes_real_time():
    began = time.perf_counter()
    assert faults.inject(len, faults.hold_gil(0.02))("abc") == 3
    assert time.perf_counter() - began >= 0.02


def test_what_they_say_of_themselves():
    plan = FaultPlan(
        faults.latency(0.05),
        faults.latency(faults.uniform(0.1, 0.2)),
        faults.hang(),
        faults.block(2),
        faults.stubborn(2),
        faults.hold_gil(0.5),
        faults.slow_start(30),
        faults.slow_start(30, seconds=60),
    )
    assert plan.describe().splitlines() == [
        "latency(seconds=0.05)",
        "latency(seconds=Uniform(low=0.1, high=0.2))",
        "hang()",
        "block(seconds=2)",
        "stubborn(seconds=2)",
        "hold_gil(seconds=0.5)",
        "slow_start(latency=30, calls=1)",
        "slow_start(latency=30, seconds=60)",
    ]


@pytest.mark.parametrize(
    ("make", "error", "text"),
    [
        (lambda: faults.latency(-1), ValueError, "seconds must not be negative, got -1"),
        (lambda: faults.latency("slow"), TypeError, "pass seconds, or a distribution such as"),
        (lambda: faults.block(0), ValueError, "seconds must be above 0"),
        (lambda: faults.stubborn(0), ValueError, "seconds must be above 0"),
        (lambda: faults.hold_gil(0), ValueError, "seconds must be above 0"),
        (lambda: faults.hold_gil(1000), ValueError, "seconds must be below 1,000, got 1000"),
        (lambda: faults.slow_start(0), ValueError, "latency must be above 0"),
        (lambda: faults.slow_start(1, calls=0), ValueError, "calls must be at least 1"),
        (lambda: faults.slow_start(1, seconds=0), ValueError, "seconds must be above 0"),
        (
            lambda: faults.slow_start(1, calls=1, seconds=1),
            ValueError,
            "calls or seconds must be given, not both",
        ),
        (lambda: faults.lognormal(median=0, sigma=1), ValueError, "median must be above 0"),
        (lambda: faults.uniform(2, 1), ValueError, "high must be at least low"),
    ],
)
def test_nonsense_is_refused(make, error, text):
    with pytest.raises(error, match=text):
        make()
