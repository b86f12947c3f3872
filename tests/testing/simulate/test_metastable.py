"""The collapse that outlives its cause, and the stack that does not let it happen.

A service with a quarter of its capacity to spare is slowed down for ten seconds. Clients that retry without
a budget keep it down for good: work is done for those that have given up, and each of them asks four times.

Source: N. Bronson et al., "Metastable Failures in Distributed Systems", HotOS 2021; L. Huang et al.,
"Metastable Failures in the Wild", OSDI 2022.
"""

import math
from dataclasses import replace

import pytest

from resilient_ml import (
    Bulkhead,
    CircuitBreaker,
    ConstantBackoff,
    Pipeline,
    Retry,
    State,
    Timeout,
)
from resilient_ml.events import BreakerChanged
from resilient_ml.testing.simulate import (
    Clients,
    Exponential,
    ModelServer,
    Outage,
    Poisson,
    Slowdown,
    Steps,
    simulate,
)

pytestmark = pytest.mark.once

CALM = ModelServer(workers=2, service=Exponential(0.020))
RATE = 75.0
BEGINS, ENDS = 20.0, 30.0
TRIGGERS = {
    "slowdown": (RATE, Slowdown(at=BEGINS, lasting=ENDS - BEGINS, factor=4.0)),
    "hang": (RATE, Outage(at=BEGINS, lasting=ENDS - BEGINS, how="hangs")),
    "surge": (Steps((0, RATE), (BEGINS, 3 * RATE), (ENDS, RATE)), None),
}


def naive():
    return Pipeline(Retry(4, budget=None, backoff=ConstantBackoff(0.1)), Timeout(1.0))


def budgeted():
    return Pipeline(Retry(4, backoff=ConstantBackoff(0.1)), Timeout(1.0))


def guarded():
    return Pipeline(
        Retry(4), CircuitBreaker(open_seconds=1.0, open_seconds_max=2.0), Bulkhead(24), Timeout(1.0)
    )


def run(guard, trigger=None, *, seconds=90.0):
    rate, incident = TRIGGERS.get(trigger, (RATE, None))
    server = replace(CALM, incidents=[incident] if incident else [])
    return simulate(Clients(Poisson(rate), server, guard), seconds=seconds, seed=1)


@pytest.mark.parametrize("guard", [naive, budgeted, guarded])
def test_without_a_trigger_every_guard_is_healthy(guard):
    result = run(guard)
    assert result.availability > 0.995
    assert result.goodput() == pytest.approx(RATE, rel=0.02)
    assert result.amplification < 1.005


@pytest.mark.parametrize("trigger", TRIGGERS)
def test_naive_retries_keep_the_service_down_after_the_trigger_is_gone(trigger):
    result = run(naive, trigger)
    assert result.requests.between(0, BEGINS).availability > 0.995
    last = result.requests.between(60, 90)
    assert last.availability < 0.02
    assert last.amplification == pytest.approx(4.0, abs=0.1)
    assert result.recovered_after(ENDS) == math.inf
    log = result.servers["model"]
    end = log.at.searchsorted(90.0)
    # The workers are all busy, and nearly all of it is for nobody.
    assert (log.busy[log.at > ENDS] == 2).all()
    wasted = log.wasted_seconds[end] - log.wasted_seconds[end // 2]
    assert wasted > 0.95 * (log.busy_seconds[end] - log.busy_seconds[end // 2])


@pytest.mark.parametrize("trigger", TRIGGERS)
def test_a_guarded_service_recovers_within_seconds_of_the_end_of_the_trigger(trigger):
    result = run(guarded, trigger)
    assert result.recovered_after(ENDS) <= 4.0
    after = result.requests.between(ENDS + 4, 90)
    assert after.availability > 0.995
    assert result.amplification < 1.2
    states = [event.after for event in result.events if isinstance(event, BreakerChanged)]
    assert not states or states[-1] == State.CLOSED


def test_a_budget_of_retries_alone_lets_the_service_recover_though_it_takes_longer():
    result = run(budgeted, "slowdown", seconds=180.0)
    assert 20.0 < result.recovered_after(ENDS) < 120.0
    assert result.requests.between(BEGINS, 90).amplification < 1.25


def test_a_naive_service_recovers_only_when_load_is_taken_off():
    # As operators find: with the same retries, traffic cut to a tenth for a while ends the collapse.
    load = Steps((0, RATE), (45, RATE / 10), (130, RATE))
    server = replace(CALM, incidents=[TRIGGERS["slowdown"][1]])
    result = simulate(Clients(Poisson(load), server, naive), seconds=150, seed=1)
    assert result.requests.between(35, 45).availability < 0.02
    assert result.requests.between(135, 150).availability > 0.995


def test_a_server_that_stops_abandoned_work_comes_back_even_from_naive_retries():
    server = replace(CALM, incidents=[TRIGGERS["slowdown"][1]], stops_abandoned=True)
    result = simulate(Clients(Poisson(RATE), server, naive), seconds=90, seed=1)
    assert result.recovered_after(ENDS) < 30
