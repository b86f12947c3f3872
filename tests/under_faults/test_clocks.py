"""Clocks: the wall's moves change nothing, and a monotonic clock that is broken or suspended harms nobody."""

import datetime as dt

import pytest

from resilient_ml import (
    CircuitBreaker,
    CircuitOpen,
    DeadlineExceeded,
    Kind,
    Pipeline,
    Retry,
    RetryBudget,
    State,
    Timeout,
)
from resilient_ml.testing import faults
from resilient_ml.testing.faults import FaultPlan

from ..every_policy import AT_ONCE
from ..worlds import slow
from .struck import made


@pytest.mark.parametrize("name", ["wall_clock_back", "wall_clock_forward"])
def test_the_wall_clock_has_no_say_in_waits_limits_and_open_times(world, name):
    plan = FaultPlan(made(name), faults.error(ConnectionError).first(1))
    breaker = CircuitBreaker(consecutive_failures=1, open_seconds=5, jitter=0)
    model = world.model(slow(1, "cat"))
    safe = Pipeline(breaker, Timeout(2))(plan.inject(model))
    wall, now = world.clock.wall(), world.clock.now()
    assert isinstance(world.failure(safe), ConnectionError)
    assert abs(world.clock.wall() - wall) == 3600
    assert world.failure(safe).retry_after == 5
    world.clock.sleep(4)
    assert isinstance(world.failure(safe), CircuitOpen)
    world.clock.sleep(1)
    assert world.call(safe) == "cat"
    assert world.clock.now() - now == 6


@pytest.mark.parametrize("name", ["wall_clock_back", "wall_clock_forward"])
def test_a_date_to_come_back_at_is_never_waited_for_longer_than_the_cap(world, name):
    """Dates are on the wall: the one place where the library reads it."""
    at = dt.datetime.fromtimestamp(world.clock.wall() + 3, dt.UTC)

    def refused():
        late = ConnectionError("come back later")
        late.retry_after = at.strftime("%a, %d %b %Y %H:%M:%S GMT")
        return late

    plan = FaultPlan(made(name), faults.error(refused).first(1))
    began = world.clock.now()
    world.failure(Retry(2, backoff=AT_ONCE, retry_after_cap=10)(plan.inject(world.model("cat"))))
    assert 0 <= world.clock.now() - began <= 10


def test_a_monotonic_clock_that_steps_back_opens_nothing_early_and_holds_nothing_for_ever(world):
    plan = FaultPlan(faults.error(ConnectionError).first(2), made("monotonic_back").on_calls(3))
    breaker = CircuitBreaker(consecutive_failures=2, open_seconds=8, jitter=0)
    safe = Pipeline(breaker, Timeout(20))(plan.inject(world.model("cat")))
    for _ in range(2):
        world.failure(safe)
    assert breaker.state is State.OPEN
    world.clock.step(-100)
    assert world.failure(safe).retry_after == 8
    world.clock.sleep(8)
    assert world.call(safe) == "cat"  # though it ends before it began
    assert breaker.state is State.CLOSED
    assert len(plan.history) == 3


def test_a_clock_that_stands_still_still_counts_and_earns_nothing(world):
    plan = FaultPlan(made("server_error"))
    breaker = CircuitBreaker(consecutive_failures=8)
    retry = Retry(9, backoff=AT_ONCE, budget=RetryBudget(ratio=0, burst=3))
    safe = Pipeline(retry, breaker)(plan.inject(world.model("cat")))
    began = world.clock.now()
    ends = [type(world.failure(safe)) for _ in range(7)]
    assert ends == [faults.APIStatusError] * 5 + [CircuitOpen] * 2
    assert len(plan.history) == 8  # five first attempts and three retries
    assert world.clock.now() == began
    assert breaker.failures == {Kind.SERVER: 8}


def test_a_machine_that_was_suspended_finds_its_limits_passed_and_its_breakers_ready(world):
    """Time that the monotonic clock counts is time that has passed, asleep or not."""
    plan = FaultPlan(made("suspend"))  # an hour
    breaker = CircuitBreaker(consecutive_failures=1, open_seconds=60, jitter=0)
    sleepy = plan.inject(world.model(slow(1, "cat")))
    assert isinstance(world.failure(Timeout(5)(sleepy)), DeadlineExceeded)

    world.failure(breaker(world.model(ConnectionError)))
    plan.reset()
    assert world.call(sleepy) == "cat"
    assert world.call(breaker(world.model("cat"))) == "cat"
    assert breaker.state is State.CLOSED
