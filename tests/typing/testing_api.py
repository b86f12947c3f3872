"""The public names of testing and evaluation in use, as mypy and pyright must see them. Only type-checked."""

from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from typing import assert_type

from resilient_ml import Pipeline, Retry, Timeout
from resilient_ml.events import Event, RetryScheduled
from resilient_ml.testing import EventTrace, FaultInjector, VirtualClock, faults, virtual_time
from resilient_ml.testing.faults import Fault, FaultPlan, Injected
from resilient_ml.testing.simulate import Clients, ModelServer, Poisson, Result, simulate


def clocks() -> None:
    with virtual_time(start=0.0, wall=0.0, stuck_seconds=1.0, seed=3) as clock:
        assert_type(clock, VirtualClock)
        assert_type(clock.now(), float)
        assert_type(clock.wall(), float)
        clock.sleep(1.0)
        clock.advance(1.0)
        clock.step(-1.0)
        clock.step_wall(-3600.0)
        clock.settle()
        with clock.hold():
            pass


def traces(events: EventTrace) -> None:
    assert_type(events.expect(RetryScheduled, times=2, attempt=1), RetryScheduled)
    assert_type(events.of(RetryScheduled), tuple[RetryScheduled, ...])
    assert_type(events[0], Event)
    assert_type(events.lines(), tuple[str, ...])
    events.expect_none(RetryScheduled)
    events.expect_order(RetryScheduled, RetryScheduled)


def plans(
    call: Callable[[str], int],
    acall: Callable[[str], Awaitable[int]],
    stream: Callable[[str], Iterator[int]],
    astream: Callable[[str], AsyncIterator[int]],
) -> None:
    fault: Fault = faults.error(ConnectionError).with_probability(0.1).between(10, 20)
    plan = FaultPlan(fault, faults.latency(faults.lognormal(median=0.1, sigma=1.0)), seed=7)
    assert_type(plan.inject(call), Callable[[str], int])
    assert_type(plan.inject(acall), Callable[[str], Awaitable[int]])
    assert_type(plan.inject(stream), Callable[[str], Iterator[int]])
    assert_type(plan.inject(astream), Callable[[str], AsyncIterator[int]])
    assert_type(faults.inject(call, fault, seed=3), Callable[[str], int])
    assert_type(plan.history, tuple[Injected, ...])
    assert_type(plan.scaled(2.0).with_seed(3), FaultPlan)
    assert_type(FaultPlan.script(None, ConnectionError, "overload"), FaultPlan)


def injectors(injector: FaultInjector, call: Callable[[str], int]) -> None:
    assert_type(injector.wrap(call, faults.hang()), Callable[[str], int])
    assert_type(injector.patch("shop.embed", faults.hang()), FaultPlan)
    assert_type(injector.history, tuple[Injected, ...])


def simulations() -> None:
    server = ModelServer(workers=8, service=0.01)
    result = simulate(
        Clients(Poisson(100), server, lambda: Pipeline(Retry(), Timeout(1.0))), seconds=10, seed=1
    )
    assert_type(result, Result)
    assert_type(result.availability, float)
    assert_type(result.trace(), str)
