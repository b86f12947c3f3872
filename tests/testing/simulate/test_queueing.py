"""The simulator itself is right: queues wait as long as queueing theory says.

A mean over a long run has an error of its own. It is estimated from the means of 40 stretches of the run,
long enough to be nearly independent, and a figure must lie within four standard errors of the formula; each
test also asks that the standard error is a few percent at most, so that it can fail.
"""

import math

import numpy as np
import pytest

from resilient_ml.testing.simulate import (
    Batching,
    Clients,
    Constant,
    Exponential,
    ModelServer,
    Poisson,
    Users,
    simulate,
)

pytestmark = pytest.mark.once

BATCHES = 40


def erlang_c(workers, load):
    """The probability that a request must wait in M/M/c, where *load* is the mean of busy workers.

    Source: A. K. Erlang, 1917; L. Kleinrock, "Queueing Systems", vol. 1, 1975, section 3.5.
    """
    last = load**workers / math.factorial(workers) * workers / (workers - load)
    return last / (sum(load**k / math.factorial(k) for k in range(workers)) + last)


def mean_and_error(values):
    means = np.array([part.mean() for part in np.array_split(values, BATCHES)])
    return means.mean(), means.std(ddof=1) / math.sqrt(BATCHES)


def agrees(values, formula, precision):
    mean, error = mean_and_error(values)
    assert error < precision * formula, "the run is too short to tell"
    assert abs(mean - formula) < 4 * error, f"{mean:.6g} is not {formula:.6g}, with an error of {error:.2g}"


@pytest.mark.parametrize(("workers", "busy", "seed"), [(1, 0.6, 1), (1, 0.8, 2), (4, 3.0, 3), (16, 14.0, 4)])
def test_waiting_in_m_m_c_is_that_of_erlang(workers, busy, seed):
    service, seconds = 0.01, 60_000 / (busy / 0.01)
    server = ModelServer(workers=workers, service=Exponential(service))
    result = simulate(Clients(Poisson(busy / service), server), seconds=seconds, seed=seed)
    waiting = erlang_c(workers, busy) * service / (workers - busy)
    agrees(result.requests.seconds, waiting + service, 0.05)
    log = result.servers["model"]
    agrees(log.busy[:-1], busy, 0.05)
    # Little's law, of the queue alone: the mean number that waits is the rate times the mean wait.
    agrees(log.waiting[:-1], busy / service * waiting, 0.2)


def test_waiting_in_m_d_1_is_half_of_that_in_m_m_1():
    # Pollaczek and Khinchine: with a service of fixed length D and load r, r * D / (2 * (1 - r)).
    result = simulate(Clients(Poisson(75.0), ModelServer(workers=1, service=0.01)), seconds=800, seed=5)
    agrees(result.requests.seconds, 0.01 + 0.75 * 0.01 / (2 * 0.25), 0.03)


def test_littles_law_holds_exactly_for_what_was_inside():
    result = simulate(
        Clients(Poisson(80.0), ModelServer(workers=2, service=Exponential(0.02))), seconds=100, seed=6
    )
    requests = result.requests
    # The area under the number inside, summed up over its jumps, is the sum of the times in it.
    instants = np.concatenate([requests.arrived, requests.ended])
    jumps = np.concatenate([np.ones(len(requests)), -np.ones(len(requests))])
    order = np.argsort(instants, kind="stable")
    inside = np.cumsum(jumps[order])[:-1]
    area = float((inside * np.diff(instants[order])).sum())
    assert area == pytest.approx(float(requests.seconds.sum()))
    # And the samples see the same number inside.
    log = result.servers["model"]
    for at, held in list(zip(log.at, log.waiting + log.working, strict=True))[::50]:
        assert held == ((requests.arrived <= at) & (requests.ended > at)).sum()


def test_a_loss_system_refuses_as_many_as_erlangs_other_formula_says():
    # Erlang B, 8 workers and a load of 6: 12.2 % find all of them busy.
    workers, load = 8, 6.0
    blocked = (
        load**workers / math.factorial(workers) / sum(load**k / math.factorial(k) for k in range(workers + 1))
    )
    server = ModelServer(workers=workers, service=Exponential(0.01), queue=0)
    result = simulate(Clients(Poisson(600.0), server), seconds=120, seed=7)
    agrees(result.requests.failed.astype(float), blocked, 0.03)


def test_users_get_as_many_answers_as_the_response_time_law_says():
    # users / (think + response), whatever the distributions: P. Denning and J. Buzen, 1978.
    server = ModelServer(workers=2, service=Exponential(0.05))
    result = simulate(Clients(Users(30, think=Exponential(0.4)), server), seconds=1500, seed=8)
    requests = result.requests
    rate = len(requests) / 1500
    assert rate == pytest.approx(30 / (0.4 + float(requests.seconds.mean())), rel=0.01)
    assert rate == pytest.approx(2 / 0.05, rel=0.02)  # the server is the bottleneck


def test_batches_raise_what_a_server_can_take():
    # Alone 20 ms each: 50 a second. Eight together 20 + 7 * 2 ms: 235 a second.
    batching = Batching(size=8, wait=0.01, each=0.002)
    alone = ModelServer(workers=1, service=0.020, queue=50)
    together = ModelServer(workers=1, service=0.020, queue=50, batching=batching)
    goodputs = [
        simulate(Clients(Constant(300), server), seconds=30).goodput(5, 30) for server in (alone, together)
    ]
    assert goodputs == pytest.approx([50, 8 / 0.034], rel=0.01)
