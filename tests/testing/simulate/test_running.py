"""A simulation repeats itself to the byte, ends what it began, and gives back what it took over."""

import asyncio
import os
import random
import subprocess
import sys
import threading
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import resilient_ml
from resilient_ml import (
    Bulkhead,
    CircuitBreaker,
    Fallback,
    Pipeline,
    Retry,
    Timeout,
    deadline,
    events,
    remaining,
)
from resilient_ml._ambient import Clock
from resilient_ml._call import Runtime
from resilient_ml.events import RetryScheduled
from resilient_ml.testing import virtual_time
from resilient_ml.testing.simulate import (
    Batching,
    Clients,
    ColdStart,
    Constant,
    Exponential,
    Lognormal,
    ModelServer,
    Outage,
    Poisson,
    Restart,
    Slowdown,
    Steps,
    Uniform,
    Users,
    simulate,
)
from resilient_ml.testing.simulate.runtime import Simulated

ROOT = Path(resilient_ml.__file__).parent.parent


def guard():
    return Pipeline(Retry(3), CircuitBreaker(open_seconds=0.5), Bulkhead(12, queue=4), Timeout(0.4))


def everything(load=None, service=None, seed=5):
    """A scenario that uses every part, with all the luck there is."""
    server = ModelServer(
        workers=4,
        service=service or Lognormal(0.02, sigma=0.5),
        queue=30,
        failing=0.02,
        cold_start=ColdStart(loading=1.0, warming=2.0, factor=3.0),
        incidents=[
            Outage(3, 1),
            Slowdown(6, 2, factor=6),
            Restart(9),
            Outage(12, 1, "hangs"),
            Outage(14, 1, "errors"),
        ],
    )
    batches = ModelServer(
        workers=1, service=0.03, batching=Batching(8, wait=0.02, each=0.002), name="batches"
    )
    return simulate(
        Clients(load or Poisson(120), server, guard, processes=3, name="open"),
        Clients(
            Users(5, think=Uniform(0.1, 0.5)), batches, lambda: Fallback("none"), deadline=0.2, name="users"
        ),
        Clients(Constant(10), server, guard, threads=True, name="threads"),
        seconds=18,
        seed=seed,
    )


# ---- repeatable


def test_the_same_seed_gives_the_same_bytes():
    one, two = everything(), everything()
    assert one.trace() == two.trace()
    assert one.digest == two.digest
    assert {"ok", "failed", "rejected"} <= set(one.requests.status)


def test_another_seed_gives_another_run():
    assert everything().digest != everything(seed=6).digest


def test_a_run_is_the_same_on_each_version_of_python():
    # Of the C library it needs only what is exact everywhere: no logarithms, no exponentials. Whoever changes
    # what policies decide or say must pin the digest anew, after comparing it between the versions.
    result = everything(Constant(Steps((0, 100), (8, 140))), Uniform(0.01, 0.05), seed=7)
    assert len(result.requests) == 2636
    assert result.digest == "5da46e0060e1b2567c75cdc28c7652e5bea64d5adc73f1f4b01d4f1b90f89c3d"


@pytest.mark.once
@pytest.mark.parametrize("hash_seed", ["1", "2"])
def test_a_run_is_the_same_whatever_the_hashes(hash_seed):
    program = "from tests.testing.simulate.test_running import everything;print(everything().digest)"
    child = subprocess.run(
        [sys.executable, "-c", program],
        capture_output=True,
        check=True,
        cwd=ROOT,
        env={**os.environ, "PYTHONHASHSEED": hash_seed},
        text=True,
    )
    assert child.stdout.strip() == everything().digest


def test_every_arm_of_a_comparison_meets_the_same_arrivals():
    server = ModelServer(workers=4, service=Exponential(0.05))
    naked, guarded = (simulate(Clients(Poisson(50), server, one), seconds=20) for one in (None, guard))
    assert naked.requests.arrived.tolist() == guarded.requests.arrived.tolist()


def test_groups_have_luck_of_their_own():
    server = ModelServer(workers=99, service=0.01)
    alone = simulate(Clients(Poisson(20), server, name="a"), seconds=20)
    both = simulate(
        Clients(Poisson(20), server, name="a"), Clients(Poisson(30), server, name="b"), seconds=20
    )
    assert both.requests.of("a").arrived.tolist() == alone.requests.arrived.tolist()


# ---- everything ends


SERVICES = st.sampled_from([0.02, Exponential(0.05), Lognormal(0.03, 1.0)])
INCIDENTS = st.lists(
    st.one_of(
        st.builds(
            Outage,
            at=st.floats(0, 5),
            lasting=st.floats(0.1, 2),
            how=st.sampled_from(["refused", "errors", "hangs"]),
        ),
        st.builds(Slowdown, at=st.floats(0, 5), lasting=st.floats(0.1, 2), factor=st.floats(0.1, 20)),
        st.builds(Restart, at=st.floats(0, 5)),
    ),
    max_size=4,
)
SERVERS = st.builds(
    ModelServer,
    workers=st.integers(1, 5),
    service=SERVICES,
    queue=st.none() | st.integers(4, 20),
    batching=st.none() | st.builds(Batching, size=st.integers(1, 4), wait=st.floats(0, 0.1)),
    stops_abandoned=st.booleans(),
    failing=st.sampled_from([0.0, 0.1]),
    cold_start=st.none() | st.just(ColdStart(loading=0.5, warming=0.5, factor=2.0, at_start=True)),
    incidents=INCIDENTS,
)


@pytest.mark.once
@settings(max_examples=60, deadline=None)
@given(server=SERVERS, threads=st.booleans(), seed=st.integers(0, 10**6))
def test_every_request_is_settled_once_and_nothing_is_left_behind(server, threads, seed):
    seats, limit = Bulkhead(6, queue=3), Timeout(0.3)
    policies = Pipeline(Retry(3), CircuitBreaker(open_seconds=0.2), seats, limit)
    result = simulate(Clients(Poisson(60), server, policies, threads=threads), seconds=6, seed=seed)
    requests = result.requests
    assert not requests.hung.any()
    assert (requests.ok.astype(int) + requests.failed + requests.rejected == 1).all()
    assert (requests.ended >= requests.arrived).all()
    assert (seats.in_flight, seats.waiting, limit.abandoned) == (0, 0, 0)
    # What came to the server was answered, failed, refused or wasted; or it is there still, or was dropped.
    log = result.servers["model"]
    settled = log.answered[-1] + log.failed[-1] + log.refused[-1] + log.wasted[-1]
    assert settled + log.waiting[-1] + log.working[-1] <= log.arrived[-1] == requests.attempts.sum()
    assert log.answered[-1] >= requests.ok.sum()
    assert ((log.working <= 6 * (4 if server.batching else 1)) | threads).all()
    assert (log.busy <= server.workers).all()
    if not server.stops_abandoned and not any(isinstance(one, Restart) for one in server.incidents):
        assert settled + log.waiting[-1] + log.working[-1] == log.arrived[-1]


def test_what_has_not_ended_when_nothing_goes_on_is_hung_and_unwound():
    seats = Bulkhead(2)
    unwound = []

    async def model():
        try:
            return await server()
        finally:
            unwound.append(True)

    server = ModelServer(workers=1, service=1e9, stops_abandoned=True)
    clients = Clients(Constant(1), model, seats)
    result = simulate(clients, seconds=5, drain_seconds=2.5, servers=[server])
    assert result.requests.status.tolist() == ["hung", "hung", "rejected", "rejected"]
    assert result.requests.attempts.tolist() == [1, 1, 0, 0]
    assert (result.ended, seats.in_flight, unwound) == (7.5, 0, [True, True])


def test_without_a_limit_to_the_drain_it_ends_when_nothing_more_can_happen():
    async def waits_for_nobody():
        await Wait()

    from resilient_ml.testing.simulate.loop import Wait

    server = ModelServer(workers=1, service=1.0)
    result = simulate(Clients(Constant(1), waits_for_nobody), seconds=3, servers=[server])
    assert result.requests.status.tolist() == ["hung", "hung"]
    assert result.ended == pytest.approx(3.0)


def test_a_drain_that_is_long_enough_changes_nothing():
    server = ModelServer(workers=1, service=1.0)
    free, bound = (
        simulate(Clients(Constant(1), server), seconds=5, drain_seconds=drain) for drain in (None, 1e6)
    )
    assert free.trace() == bound.trace()


# ---- what it takes over


def test_clocks_and_randomness_are_given_back():
    now, wall, state = vars(Clock)["now"], vars(Clock)["wall"], random.getstate()
    everything()
    assert (vars(Clock)["now"], vars(Clock)["wall"], random.getstate()) == (now, wall, state)
    assert not events.subscriptions()


def test_they_are_given_back_after_an_interrupt_too_and_what_was_taken_is_released():
    seats = Bulkhead(5)
    now, state = vars(Clock)["now"], random.getstate()

    def service(number):
        if number == 3:
            raise KeyboardInterrupt
        return 10.0

    server = ModelServer(workers=9, service=service)
    with pytest.raises(KeyboardInterrupt):
        simulate(Clients(Constant(1), server, seats, args=lambda number: (number,)), seconds=9)
    assert (vars(Clock)["now"], random.getstate(), seats.in_flight) == (now, state, 0)
    assert simulate(Clients(Constant(1), ModelServer(workers=1, service=0.1)), seconds=2).availability == 1.0


def test_when_it_ends_early_servers_begin_nothing_anew():
    # Unwinding clients free the workers of a server that stops abandoned work: for nobody, now.
    asked = []

    def service(number):
        asked.append(number)
        if len(asked) > 1:
            raise KeyError("a mistake")
        return 1e9

    seats = Bulkhead(9)
    server = ModelServer(workers=1, service=service, stops_abandoned=True)
    clients = Clients(Constant(1), server, seats, args=lambda number: (number,))
    result = simulate(clients, seconds=5, drain_seconds=1)
    assert result.requests.hung.all()
    assert (asked, seats.in_flight) == ([0], 0)


def test_an_error_in_the_arguments_ends_the_simulation():
    seats = Bulkhead(9)

    def arguments(number):
        return (1 // (2 - number),)

    clients = Clients(Constant(1), ModelServer(workers=9, service=lambda _: 1e9), seats, arguments)
    with pytest.raises(ZeroDivisionError):
        simulate(clients, seconds=5)
    assert seats.in_flight == 0


def test_policies_outside_of_any_call_read_simulated_time_and_other_threads_the_real_one():
    seen = []

    def look(where):
        seen.append((where, Clock.now(), Clock.wall()))

    def service():
        look("simulated")
        other = threading.Thread(target=look, args=("other",))
        other.start()
        other.join()
        return 0.5

    before = Clock.now()
    simulate(Clients(Constant(4), ModelServer(workers=1, service=service)), seconds=0.3)
    (_, *simulated), (_, *other) = seen
    assert simulated == [0.25, 1_700_000_000.25]
    assert before <= other[0] <= Clock.now()
    assert other[1] != simulated[1]


def test_events_need_not_be_kept():
    server = ModelServer(workers=1, service=0.1, failing=1.0)
    told, untold = (
        simulate(Clients(Poisson(10), server, guard), seconds=10, keep_events=keep) for keep in (True, False)
    )
    assert told.events and not untold.events
    assert told.requests.ended.tolist() == untold.requests.ended.tolist()


def test_events_of_other_threads_are_not_those_of_the_simulation():
    def service():
        other = threading.Thread(
            target=lambda: Retry(1).emit(RetryScheduled, 0.0, attempt=1, kind="x", delay=0.0)
        )
        other.start()
        other.join()
        return 0.1

    assert simulate(Clients(Constant(1), ModelServer(workers=1, service=service)), seconds=2).events == ()


def test_a_simulation_in_a_simulation_is_refused():
    def service():
        everything()
        return 0.1

    with pytest.raises(
        RuntimeError, match="a simulation runs already in this process; begin the next one when"
    ):
        simulate(Clients(Constant(1), ModelServer(workers=1, service=service), Retry(3)), seconds=2)


def test_it_runs_inside_of_an_event_loop_a_deadline_and_virtual_time():
    expected = everything().digest

    async def main():
        with deadline(0.5):
            return everything().digest

    assert asyncio.run(main()) == expected
    with virtual_time() as clock:
        before = clock.now()
        assert everything().digest == expected
        assert clock.now() == before
        with deadline(5.0):
            assert remaining() == 5.0


def test_it_offers_policies_all_that_they_may_wait_for():
    offered = {name for name in vars(Runtime) if not name.startswith("_")}
    assert offered == {
        "aside",
        "carry_on",
        "invoke",
        "relay",
        "run",
        "serve",
        "signal",
        "sleep",
        "spawn",
        "wait",
        "who",
    }
    assert offered <= set(dir(Simulated))


# ---- mistakes


SERVER = ModelServer(workers=1, service=0.1)
CLIENTS = Clients(Constant(1), SERVER)


@pytest.mark.parametrize(
    ("run", "error", "says"),
    [
        (
            lambda: simulate(seconds=1),
            TypeError,
            "clients must be one Clients or more; write simulate(Clients(",
        ),
        (lambda: simulate(SERVER, seconds=1), TypeError, "clients must be one Clients or more"),
        (lambda: simulate(CLIENTS, seconds=0), ValueError, "seconds must be above 0, got 0"),
        (lambda: simulate(CLIENTS, seconds=1, seed=1.5), TypeError, "seed must be a whole number, got 1.5"),
        (lambda: simulate(CLIENTS, seconds=1, seed=True), TypeError, "seed must be a whole number, got True"),
        (
            lambda: simulate(CLIENTS, seconds=1, sample_seconds=0),
            ValueError,
            "sample_seconds must be above 0, got 0",
        ),
        (
            lambda: simulate(CLIENTS, seconds=1, drain_seconds=-1),
            ValueError,
            "drain_seconds must not be negative",
        ),
        (
            lambda: simulate(CLIENTS, seconds=1, keep_events=1),
            TypeError,
            "keep_events must be True or False, got 1; False collects none",
        ),
        (
            lambda: simulate(CLIENTS, CLIENTS, seconds=1),
            ValueError,
            "groups of clients must have different names, got 'clients' twice; pass name=",
        ),
        (
            lambda: simulate(CLIENTS, seconds=1, servers=[ModelServer(workers=2, service=0.1)]),
            ValueError,
            "servers must have different names, got 'model' twice; pass name=",
        ),
        (
            lambda: simulate(Clients(Constant(1), asyncio.sleep), seconds=1),
            ValueError,
            "no server has a part in the simulation; name those that a coroutine calls in servers=",
        ),
    ],
)
def test_impossible_simulations_are_refused(run, error, says):
    with pytest.raises(error) as raised:
        run()
    assert str(raised.value).startswith(says)


def test_a_server_may_be_named_twice():
    assert len(simulate(CLIENTS, seconds=2, servers=[SERVER]).servers) == 1
