"""Cancellation at every await of every policy and of every pair, on asyncio and trio: nothing is lost."""

import contextvars
import itertools

import anyio
import pytest

from resilient_ml import (
    Bulkhead,
    CircuitBreaker,
    ConstantBackoff,
    Fallback,
    Keyed,
    Pipeline,
    PolicyOrderWarning,
    Retry,
    RetryBudget,
    State,
    Timeout,
)

from ..torture import torture
from ..virtual_time import run_on_asyncio


class Scene:
    """A call that fails once, is slow, and shares a bulkhead and a half-open breaker with rivals."""

    def __init__(self, world, names):
        self.world = world
        self.inside = 0
        self.calls = 0
        self.bulkhead = Bulkhead(1, queue=2)
        self.breaker = CircuitBreaker(
            consecutive_failures=1, open_seconds=1, jitter=0, probe_lease_seconds=900
        )
        self.timeout = Timeout(1.5)
        self.keyed = Keyed(lambda: Bulkhead(1, queue=2), key=lambda: "acme")
        made = {
            "retry": lambda: Retry(3, backoff=ConstantBackoff(0.25), budget=RetryBudget()),
            "breaker": lambda: self.breaker,
            "bulkhead": lambda: self.bulkhead,
            "timeout": lambda: self.timeout,
            "fallback": lambda: Fallback(self.model("fallback")),
            "keyed": lambda: self.keyed,
        }
        self.safe = Pipeline(*[made[name]() for name in names])(self.model("model"))
        self.rivals = []
        if "bulkhead" in names:
            self.rivals.append(self.holder(self.bulkhead))
        if "keyed" in names:
            self.rivals.append(self.holder(self.keyed))

    def holder(self, policy):
        async def hold():
            await anyio.sleep(0.5)

        async def rival():
            await policy(hold)()

        return rival

    def model(self, name):
        async def work():
            self.inside += 1
            try:
                await anyio.sleep(0.25)
                self.calls += 1
                if self.calls == 2:
                    await anyio.sleep(9)  # past the limit, where there is one
                if self.calls < 4 and name == "model":
                    raise ConnectionError
                return name
            finally:
                self.inside -= 1

        async def stream():
            self.inside += 1
            try:
                answer = await work()
                yield answer
                await anyio.sleep(0.25)
                yield answer
            finally:
                self.inside -= 1

        made = stream if self.world.streams else work
        made.__name__ = made.__qualname__ = name
        return made

    async def body(self):
        try:
            return await self.world.use(self.safe, {})
        except Exception as error:  # noqa: BLE001
            return error

    async def check(self):
        assert self.inside == 0
        assert (self.bulkhead.in_flight, self.bulkhead.waiting) == (0, 0)
        kept = self.keyed.policy_of("acme")
        assert kept is None or (kept.in_flight, kept.waiting) == (0, 0)
        assert self.timeout.abandoned == 0

        async def well():
            return "well"

        # Whatever state the breaker was left in, every permit is there: a good probe closes it.
        assert await self.breaker(well)() == "well"
        assert self.breaker.state is State.CLOSED
        assert await Pipeline(self.bulkhead, self.keyed)(well)() == "well"


POLICIES = ["retry", "breaker", "bulkhead", "timeout", "fallback", "keyed"]
STACKS = [
    *[(one,) for one in POLICIES],
    *itertools.permutations(POLICIES, 2),
    ("fallback", "retry", "breaker", "keyed", "bulkhead", "timeout"),
]


@pytest.mark.filterwarnings(f"ignore::{PolicyOrderWarning.__module__}.PolicyOrderWarning")
@pytest.mark.parametrize("names", STACKS, ids=" ".join)
def test_a_cancellation_at_any_await_gives_everything_back(async_world, names):
    assert torture(async_world, lambda: Scene(async_world, names)) >= 1


def test_a_second_cancellation_during_the_first_gives_everything_back_too(async_world):
    if async_world.backend == "asyncio":
        assert torture(async_world, lambda: Scene(async_world, STACKS[-1]), twice=True) >= 5


class ProbeScene(Scene):
    """As the scene, with the breaker half-open from the start."""

    def __init__(self, world, names):
        super().__init__(world, names)
        self.calls = 3
        self.breaker._machine.force(State.HALF_OPEN)


@pytest.mark.parametrize("names", [("breaker",), ("retry", "breaker", "bulkhead", "timeout")], ids=" ".join)
def test_a_cancelled_probe_gives_its_permit_back_at_any_await(async_world, names):
    assert torture(async_world, lambda: ProbeScene(async_world, names)) >= 1


class ThreadScene:
    """A plain function that is awaited: its thread goes on after a cancellation and keeps the seat."""

    def __init__(self, world):
        self.world = world
        self.bulkhead = Bulkhead(1, queue=1)
        self.guard = Pipeline(Retry(2, backoff=ConstantBackoff(0.25)), self.bulkhead, Timeout(1))
        self.rivals = [self.rival]

    async def rival(self):
        await self.guard.acall(self.world.clock.sleep, 0.5)

    async def body(self):
        try:
            return await self.guard.acall(self.world.clock.sleep, 2)
        except Exception as error:  # noqa: BLE001
            return error

    async def check(self):
        assert (self.bulkhead.in_flight, self.bulkhead.waiting) == (0, 0)


def test_a_cancelled_wait_for_a_thread_gives_its_seat_back_once_the_thread_returns(await_world):
    assert torture(await_world, lambda: ThreadScene(await_world)) >= 3


class LeavingScene(Scene):
    """The consumer leaves a stream after its first item."""

    async def body(self):
        self.calls = 3
        stream = self.safe()
        try:
            async for _ in stream:
                break
        finally:
            with anyio.CancelScope(shield=True):
                await stream.aclose()


def test_a_consumer_that_leaves_and_is_cancelled_meanwhile_loses_nothing(stream_world):
    if stream_world.is_async:
        names = ("fallback", "retry", "breaker", "bulkhead", "timeout")
        assert torture(stream_world, lambda: LeavingScene(stream_world, names)) >= 1


def test_a_call_that_is_closed_from_another_context_is_closed_and_no_more(clock):
    """As the garbage collector closes a task whose loop is gone: no failure, so nothing is tried again."""
    calls, bulkhead = [], Bulkhead(1)

    async def model():
        calls.append(1)
        await anyio.sleep(60)

    async def scenario():
        guard = Pipeline(Retry(3, on=Exception), CircuitBreaker(consecutive_failures=1), bulkhead, Timeout(5))
        call = guard(model)()
        contextvars.copy_context().run(call.send, None)
        call.close()

    run_on_asyncio(clock, scenario)
    assert (calls, bulkhead.in_flight) == ([1], 0)
