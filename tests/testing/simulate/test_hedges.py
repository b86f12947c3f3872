"""Attempts side by side in simulated time: the tail is cut, losers are stopped or run on, all are counted."""

import random

import numpy as np
import pytest

from resilient_ml import Bulkhead, Cache, Coalesce, Fallback, Hedge, Pipeline, Timeout
from resilient_ml.testing.simulate import Clients, Constant, ModelServer, Poisson, simulate


def straggling(share=0.02):
    draws = random.Random(5)
    return lambda *args: (0.5 if draws.random() < share else 0.02) * draws.uniform(0.9, 1.1)


def run(guard, *, threads=False, stops=True, seconds=30.0, load=None, **server):
    server = ModelServer(workers=32, stops_abandoned=stops, **{"service": straggling(), **server})
    clients = Clients(load or Poisson(100), server, guard, threads=threads)
    return simulate(clients, seconds=seconds, seed=3)


def p99(result):
    seen = result.requests.between(10, 30)
    return float(np.percentile(seen.seconds[seen.ok], 99))


@pytest.mark.once
@pytest.mark.parametrize("threads", [False, True])
def test_a_hedge_cuts_the_tail(threads):
    naked, hedged = run(None, threads=threads), run(Hedge, threads=threads)
    assert hedged.availability == 1.0
    assert p99(hedged) < 0.4 * p99(naked)
    assert 1.0 < hedged.amplification <= 1.05


@pytest.mark.once
def test_the_same_seed_hedges_the_same_calls():
    assert run(Hedge).digest == run(Hedge).digest


@pytest.mark.parametrize("threads", [False, True])
def test_a_loser_holds_its_seat_until_it_has_ended(threads):
    def guard():
        return Pipeline(Hedge(delay=0.03, ratio=1.0), Bulkhead(64), Timeout(2.0))

    assert run(guard, threads=threads).availability == 1.0


def test_where_both_attempts_fail_the_request_has_failed_and_both_were_sent():
    result = run(lambda: Hedge(delay=0.01, ratio=1.0), failing=1.0, load=Constant(1), seconds=5.0)
    assert result.availability == 0.0
    assert result.amplification == 2.0


def test_an_answer_of_a_fallback_inside_a_hedge_is_degraded():
    def guard():
        return Pipeline(Hedge(delay=0.2), Fallback("ready"))

    result = run(guard, failing=1.0, load=Constant(1), seconds=5.0)
    assert result.availability == 1.0
    assert result.requests.degraded.all()


def test_attempts_that_end_at_once_are_both_looked_at():
    result = run(lambda: Hedge(delay=0.01, ratio=1.0), service=0.02, load=Constant(1), seconds=5.0)
    assert result.availability == 1.0


def test_equal_calls_share_one():
    for guard in (Coalesce, Cache):
        assert run(guard, load=Poisson(200), service=0.5).amplification < 0.1
