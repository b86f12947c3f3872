"""Errors: rides out blips, leaves bad input alone, counts each failure once, lets go of what it was given."""

import contextlib
import gc
import resource
import sys
import weakref

import pytest

from resilient_ml import (
    CircuitBreaker,
    CircuitOpen,
    Fallback,
    Kind,
    Pipeline,
    Retry,
    RetryBudget,
    State,
    Timeout,
)
from resilient_ml.testing import EventTrace, faults
from resilient_ml.testing.faults import APIStatusError, FaultPlan

from ..every_policy import AT_ONCE
from ..test_forks import in_child
from ..worlds import calling, items
from .struck import Guarded, made


def test_a_transient_error_is_ridden_out_within_the_budget_and_settled_once(world):
    plan = FaultPlan(made("transient_error"), seed=4)
    model = world.model("cat")
    guarded = Guarded(plan.inject(model), attempts=3)
    assert [world.call(guarded.safe) for _ in range(30)] == ["cat"] * 30
    assert plan.history
    assert len(model.starts) == 30
    assert guarded.breaker.failures == {Kind.CONNECTION: len(plan.history)}
    assert guarded.at_rest


def test_bad_input_is_neither_tried_again_nor_held_against_the_model_nor_papered_over(world):
    plan = FaultPlan(made("permanent_error"))
    breaker = CircuitBreaker(consecutive_failures=1)
    guarded = Guarded(plan.inject(world.model("cat")), breaker=breaker, fallback="neutral")
    assert isinstance(world.failure(guarded.safe), ValueError)
    assert len(plan.history) == 1
    assert (breaker.state, breaker.failures) == (State.CLOSED, {})
    assert guarded.at_rest


def test_a_server_that_fails_every_time_is_left_alone_and_answered_for(world):
    plan = FaultPlan(made("server_error"))
    breaker = CircuitBreaker(consecutive_failures=4)
    guarded = Guarded(plan.inject(world.model("cat")), breaker=breaker, fallback="neutral")
    assert [world.call(guarded.safe) for _ in range(9)] == ["neutral"] * 9
    assert len(plan.history) == 4
    assert breaker.state is State.OPEN
    assert guarded.at_rest


def test_after_an_outage_the_first_probe_brings_the_traffic_back(world):
    plan = FaultPlan(made("outage"))
    breaker = CircuitBreaker(consecutive_failures=2, open_seconds=4, jitter=0)
    safe = breaker(plan.inject(world.model("cat")))
    ends = []
    plan.start()
    for _ in range(30):
        ends.append(type(world.failure(safe)))
        world.clock.sleep(1)
    refused, dead, well = CircuitOpen, ConnectionRefusedError, type(None)
    # Down from 10 s to 20 s; open for 4 s, and after the failed probe for 8 s.
    assert ends == [well] * 10 + [dead] * 2 + [refused] * 3 + [dead] + [refused] * 7 + [well] * 7
    assert breaker.state is State.CLOSED


def test_a_backend_that_flaps_costs_one_probe_each_time_it_is_down(world):
    plan = FaultPlan(made("flapping"))
    breaker = CircuitBreaker(consecutive_failures=1, open_seconds=2, jitter=0)
    safe = Pipeline(Fallback("neutral"), breaker)(plan.inject(world.model("cat")))
    plan.start()
    for _ in range(40):
        world.call(safe)
        world.clock.sleep(1)
    assert [round(strike.at) for strike in plan.history] == [8, 18, 28, 38]


def test_what_does_not_fit_into_memory_is_not_tried_again_and_is_answered_elsewhere(world):
    plan = FaultPlan(faults.out_of_memory(8))
    guarded = Guarded(plan.inject(world.model("cat")), fallback="neutral")
    assert world.call(guarded.safe) == "neutral"
    assert len(plan.history) == 1
    assert guarded.breaker.failures == {Kind.OOM: 1}
    assert guarded.at_rest


def test_the_way_of_an_error_works_while_memory_is_really_exhausted():
    def exhaust():
        sys.settrace(None)  # who measures coverage needs memory too
        with open("/proc/self/statm") as pages:
            used = int(pages.read().split()[0]) * resource.getpagesize()
        before = resource.getrlimit(resource.RLIMIT_AS)
        resource.setrlimit(resource.RLIMIT_AS, (used + (16 << 20), before[1]))
        held = []

        def model():
            for size in (1 << 20, 1 << 12, 1 << 9):
                with contextlib.suppress(MemoryError):
                    while True:
                        held.append(bytearray(size))
            held.append(bytearray(1 << 20))

        guarded = Guarded(model, fallback="neutral")
        answer, size = guarded.safe(), sum(map(len, held))
        held.clear()
        resource.setrlimit(resource.RLIMIT_AS, before)
        assert answer == "neutral"
        assert size > 8 << 20
        assert guarded.breaker.failures == {Kind.OOM: 1}
        assert guarded.at_rest

    in_child(exhaust)


def test_a_full_gpu_is_not_asked_again_and_a_smaller_model_answers(world):
    plan = FaultPlan(made("gpu_out_of_memory"))
    small = world.model("small")
    guarded = Guarded(plan.inject(world.model("large")), fallback=small)
    assert world.call(guarded.safe, "batch") == "small"
    assert len(plan.history) == 1
    assert small.asked == [(("batch",), {})]
    assert guarded.breaker.failures == {Kind.OOM: 1}


class Tensor:
    """Something whose end can be seen."""


@pytest.mark.parametrize("name", ["gpu_out_of_memory", "server_error", "permanent_error"])
def test_an_error_that_was_handled_holds_no_input(world, name):
    """By counting references alone: the garbage collector is off."""
    guarded = Guarded(faults.inject(world.model("cat"), made(name)))

    def call():
        tensor = Tensor()
        assert world.failure(guarded.safe, tensor) is not None
        return weakref.ref(tensor)

    async def acall():
        tensor = Tensor()
        with contextlib.suppress(ValueError, RuntimeError, APIStatusError):
            await world.use(guarded.safe, tensor, {})
        return weakref.ref(tensor)

    def ask():
        return world.run(acall) if world.is_async else call()

    ask()
    gc.collect()
    gc.disable()
    try:
        assert ask()() is None
    finally:
        gc.enable()


def test_a_time_out_holds_no_input_once_its_thread_has_ended(plain_world):
    plan = FaultPlan(made("hang"))
    safe = Timeout(1)(plan.inject(plain_world.model("cat")))

    def ask():
        tensor = Tensor()
        assert isinstance(plain_world.failure(safe, tensor), TimeoutError)
        return weakref.ref(tensor)

    gc.disable()
    try:
        gone = ask()
        plan.release()
        plain_world.clock.settle()
        assert gone() is None
    finally:
        gc.enable()


def layers(world, dead, make_retry):
    """Three guarded functions that call each other, the innermost the dead backend."""
    low = make_retry()(dead)
    middle = make_retry()(calling(world, low))
    return make_retry()(calling(world, middle))


def test_layers_of_retries_do_not_multiply(world):
    plan = FaultPlan(made("outage"))
    top = layers(world, plan.inject(world.model("cat")), lambda: Retry(3, backoff=AT_ONCE, budget=None))
    plan.start()
    world.clock.sleep(10)
    assert isinstance(world.failure(top), ConnectionRefusedError)
    assert len(plan.history) == 3


def test_a_budget_that_layers_share_caps_a_storm_of_retries(world):
    plan = FaultPlan(made("outage"))
    budget = RetryBudget(ratio=0.1, floor=0, burst=1)
    top = layers(world, plan.inject(world.model("cat")), lambda: Retry(3, backoff=AT_ONCE, budget=budget))
    plan.start()
    world.clock.sleep(10)
    for _ in range(40):
        world.failure(top)
    # Each layer's first attempt earns, so three layers may spend three times the ratio between them.
    assert 40 < len(plan.history) <= 40 * (1 + 3 * 0.1) + 1


def test_a_server_that_says_when_to_come_back_is_asked_then(world):
    plan = FaultPlan(made("overloaded").first(1))
    model = world.model("cat")
    with EventTrace() as events:
        assert world.call(Retry(2, backoff=AT_ONCE)(plan.inject(model))) == "cat"
    assert model.starts == [2]
    assert len(events) == 1


def test_an_exit_passes_through_everything_and_is_not_tried_again(world):
    plan = FaultPlan(made("system_exit"))
    guarded = Guarded(plan.inject(world.model(items("cat"))), fallback="neutral")
    with pytest.raises(SystemExit):
        leave(world, guarded.safe)
    assert len(plan.history) == 1
    assert guarded.breaker.failures == {}
    assert guarded.at_rest


def leave(world, safe):
    """Call *safe*; what is raised leaves the loop as it does in a program."""
    if not world.is_async:
        return world.call(safe)
    import asyncio

    import trio

    run = {"asyncio": asyncio.run, "trio": lambda coroutine: trio.run(lambda: coroutine)}[world.backend]
    return run(world.use(safe, {}))
