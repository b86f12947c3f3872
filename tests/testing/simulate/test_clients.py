"""Clients ask through the policies that they are given, and every policy does what it does for real calls."""

import pytest

from resilient_ml import (
    Bulkhead,
    CircuitBreaker,
    ConstantBackoff,
    Fallback,
    Keyed,
    Pipeline,
    Policy,
    Retry,
    State,
    Timeout,
    deadline,
    remaining,
)
from resilient_ml.events import BreakerChanged, RetryScheduled, TimedOut
from resilient_ml.testing.simulate import (
    Clients,
    Constant,
    Exponential,
    ModelServer,
    Outage,
    Poisson,
    Steps,
    Uniform,
    Users,
    loop,
    simulate,
    sleep,
)

FAST = ModelServer(workers=99, service=0.1)
DOWN = ModelServer(workers=99, service=0.1, incidents=[Outage(at=0, lasting=1e6, how="errors")], name="down")


def ask(calls, guard=None, *, rate=1.0, seconds=10.0, **more):
    servers = more.pop("servers", ())
    return simulate(Clients(Constant(rate), calls, guard, **more), seconds=seconds, servers=servers)


def kinds(result):
    return result.requests.kind.tolist()


# ---- each policy


def test_a_timeout_ends_a_request_at_its_very_limit():
    result = ask(ModelServer(workers=1, service=1e9), Timeout(0.7), rate=3.0, seconds=30)
    requests = result.requests
    assert (requests.ended == requests.arrived + 0.7).all()
    assert set(kinds(result)) == {"timeout"}
    assert {(event.seconds, type(event)) for event in result.events} == {(0.7, TimedOut)}


def test_an_answer_at_the_very_limit_is_in_time():
    assert ask(ModelServer(workers=1, service=0.5), Timeout(0.5)).availability == 1.0


def test_a_callers_own_deadline_ends_a_request_too_and_is_told_apart():
    result = ask(ModelServer(workers=1, service=1e9), Retry(3), deadline=0.4, seconds=3)
    assert kinds(result) == ["deadline"] * 2
    assert (result.requests.ended == result.requests.arrived + 0.4).all()
    assert result.requests.attempts.tolist() == [1, 1]


def test_a_deadline_that_has_passed_is_found_before_the_server_is_called():
    class Late(Policy):
        async def around(self, proceed, call):
            await call.runtime.sleep(1.0)
            return await proceed(call)

    for threads in (False, True):
        result = ask(FAST, Late(), deadline=1.0, seconds=3, threads=threads)
        assert (kinds(result), result.amplification) == (["deadline"] * 2, 0.0)


def test_a_retry_waits_in_simulated_time_and_counts_its_attempts():
    result = ask(DOWN, Retry(3, backoff=ConstantBackoff(2.0)), seconds=3)
    assert kinds(result) == ["server", "server"]
    assert (result.requests.ended == result.requests.arrived + 4.0).all()
    assert result.amplification == 3.0
    assert [event.at for event in result.events if isinstance(event, RetryScheduled)] == [1.0, 2.0, 3.0, 4.0]


def test_a_breaker_opens_stays_open_and_probes():
    server = ModelServer(workers=9, service=0.1, incidents=[Outage(at=2.5, lasting=7.0)])
    guard = CircuitBreaker(consecutive_failures=2, open_seconds=4.0, jitter=0.0)
    result = ask(server, guard, seconds=14)
    changes = [(event.at, event.after) for event in result.events if isinstance(event, BreakerChanged)]
    # Fails at 3 and 4; is probed in vain at 8, stays open for 8 s then, and finds the server well at 16.
    assert changes == [(4.0, "open"), (8.0, "half_open"), (8.0, "open")]
    assert result.requests.rejected.sum() == 13 - 2 - 2 - 1
    assert guard.state is State.OPEN


def test_a_bulkhead_never_lets_more_in_than_its_limit_and_hands_its_seats_on_in_order():
    inside, most = 0, 0
    order = []

    async def counted(number):
        nonlocal inside, most
        inside += 1
        most = max(most, inside)
        order.append(number)
        try:
            return await server(number)
        finally:
            inside -= 1

    server = ModelServer(workers=99, service=Exponential(0.1))
    guard = Bulkhead(7, queue=5)
    clients = Clients(Poisson(120), counted, Pipeline(guard, Timeout(0.3)), args=lambda number: (number,))
    result = simulate(clients, seconds=60, seed=3, servers=[server])
    assert (most, inside, guard.in_flight, guard.waiting) == (7, 0, 0, 0)
    assert order == sorted(order)
    assert result.requests.rejected.any() and result.requests.ok.any() and result.requests.failed.any()


def test_a_wait_in_the_queue_of_a_bulkhead_ends_at_its_limit():
    guard = Bulkhead(1, queue=9, queue_seconds=0.8)
    result = ask(ModelServer(workers=9, service=2.75), guard, seconds=5)
    assert kinds(result) == ["", "overload", "", "overload"]
    # The third waits from 3 until its seat is free at 3.75.
    assert result.requests.ended.tolist() == [3.75, 2.8, 6.5, 4.8]


def test_a_seat_that_is_free_at_once_needs_no_wait():
    class Impatient(Policy):
        """Is signalled before it waits."""

        async def around(self, proceed, call):
            signal = call.runtime.signal()
            assert signal.set()
            assert await call.runtime.wait(signal, call.now())
            return await proceed(call)

    assert ask(FAST, Impatient()).availability == 1.0


def test_a_wait_for_a_signal_may_last_for_ever():
    class Handed(Policy):
        """The second call wakes the first."""

        signal = None

        async def around(self, proceed, call):
            if self.signal is None:
                type(self).signal = call.runtime.signal()
                assert await call.runtime.wait(self.signal, float("inf"))
                return call.now()
            self.signal.set()
            return await proceed(call)

    result = ask(FAST, Handed, seconds=3)
    assert result.requests.ended.tolist() == [2.0, 2.1]


def test_a_fallback_answers_with_a_value_a_function_or_another_server():
    small = ModelServer(workers=9, service=0.5, name="small")
    by_value = ask(DOWN, Fallback("neutral"), seconds=2)
    by_function = ask(DOWN, Fallback(lambda: "neutral"), seconds=2)
    by_server = ask(DOWN, Fallback(small), seconds=2, servers=[small])
    for result, seconds in [(by_value, 0.0), (by_function, 0.0), (by_server, 0.5)]:
        assert result.requests.seconds.tolist() == [seconds]
        assert (result.availability, result.requests.degraded.tolist()) == (1.0, [True])
        assert result.goodput() == 0.0
    assert [by_value.amplification, by_server.amplification] == [1.0, 2.0]
    assert {event.target for event in by_server.events} == {"small"}


def test_a_fallback_that_fails_too_lets_the_error_out():
    def broken():
        raise KeyError

    result = ask(DOWN, Fallback(broken), seconds=2)
    assert (kinds(result), result.requests.degraded.tolist()) == (["server"], [False])


def test_a_keyed_policy_finds_its_key_in_the_arguments():
    breakers = Keyed(lambda: CircuitBreaker(consecutive_failures=1), key=lambda row, tenant: tenant)
    groups = [
        Clients(Constant(1), server, breakers, args=("row",), kwargs={"tenant": name}, name=name)
        for server, name in [(FAST, "well"), (DOWN, "ill")]
    ]
    result = simulate(*groups, seconds=5)
    assert result.requests.of("well").availability == 1.0
    assert result.requests.of("ill").status.tolist() == ["failed", "rejected", "rejected", "rejected"]
    assert [breakers.policy_of(tenant).state for tenant in ("well", "ill")] == [State.CLOSED, State.OPEN]


def test_a_policy_of_ones_own_runs_as_it_is():
    # A body that closes over something is bound as it stands.
    seconds = 0.25

    class Closed(Policy):
        async def around(self, proceed, call):
            await call.runtime.sleep(seconds)
            return await proceed(call)

    assert ask(FAST, Closed(), seconds=2).requests.seconds == pytest.approx([0.35])


# ---- what clients call


def test_clients_may_call_a_coroutine_of_the_users_within_their_deadline():
    left = []

    async def twice(row):
        left.append(remaining())
        await FAST(row)
        await sleep(1.0)
        left.append(remaining())
        return await FAST(row)

    result = ask(twice, Timeout(2.0), seconds=2, args=("row",), servers=[FAST])
    assert result.requests.seconds == pytest.approx([1.2])
    assert left == pytest.approx([2.0, 0.9])


def test_without_a_deadline_of_its_own_a_client_has_all_the_time_whatever_surrounds_the_simulation():
    left = []

    async def looked():
        left.append(remaining())
        return await FAST()

    with deadline(3.0):
        ask(looked, seconds=2, servers=[FAST])
    assert left == [float("inf")]


def test_a_coroutine_that_swallows_its_cancellation_answers_too_late():
    async def stubborn():
        try:
            await sleep(9.0)
        except BaseException:  # noqa: BLE001
            await sleep(1.0)
        return "late"

    result = ask(stubborn, Timeout(0.5), seconds=2, servers=[FAST])
    assert (kinds(result), result.requests.ended.tolist()) == (["timeout"], [2.5])


def test_a_coroutine_may_catch_what_the_server_raises():
    async def patient():
        try:
            return await DOWN()
        except Exception:  # noqa: BLE001
            return await FAST()

    result = ask(patient, seconds=2, servers=[FAST, DOWN])
    assert (result.availability, result.amplification) == (1.0, 1.0)


def test_a_cancellation_of_something_else_passes_through():
    class Gone(BaseException):
        pass

    async def leaves():
        raise Gone

    with pytest.raises(Gone):
        ask(leaves, Timeout(1.0), servers=[FAST])


def test_a_guarded_function_brings_its_policies_along():
    @Pipeline(Retry(2, backoff=ConstantBackoff(1.0)))
    async def predict():
        return await DOWN()

    bare, outer = (
        ask(predict, seconds=2, servers=[DOWN]),
        ask(predict, Timeout(0.5), seconds=2, servers=[DOWN]),
    )
    assert (bare.amplification, bare.requests.ended.tolist()) == (2.0, [2.0])
    assert (outer.amplification, outer.requests.ended.tolist()) == (1.0, [1.0])


def test_a_server_that_has_no_part_is_reported_whoever_catches_errors():
    async def lost():
        return await FAST()

    with pytest.raises(
        ValueError, match="server 'model' is called and has no part in the simulation; name it"
    ):
        ask(lost, Fallback("neutral"), servers=[DOWN])


# ---- processes, users, threads


def test_each_process_has_a_guard_of_its_own_and_gets_every_nth_request():
    made = []

    def guard():
        made.append(CircuitBreaker(consecutive_failures=2))
        return made[-1]

    result = ask(DOWN, guard, processes=3, seconds=10)
    assert len(made) == 3
    assert [sum(breaker.failures.values()) for breaker in made] == [2, 2, 2]
    assert result.requests.status.tolist() == ["failed"] * 6 + ["rejected"] * 3


def test_thousands_of_processes_are_no_trouble():
    result = ask(FAST, CircuitBreaker, processes=2000, rate=4000, seconds=1)
    assert result.availability == 1.0
    assert len(result.requests) == 3999


def test_a_guard_that_is_given_as_an_object_is_shared_and_keeps_what_it_learns():
    breaker = CircuitBreaker(consecutive_failures=4, open_seconds=1000)
    first = simulate(
        Clients(Constant(1), DOWN, breaker, name="a"),
        Clients(Constant(1), DOWN, breaker, name="b"),
        seconds=4,
    )
    assert first.requests.status.tolist() == ["failed"] * 4 + ["rejected"] * 2
    assert ask(DOWN, breaker, seconds=3).requests.rejected.all()


def test_users_ask_again_when_they_have_thought_about_the_answer():
    result = simulate(Clients(Users(3, think=1.0), ModelServer(workers=3, service=0.5)), seconds=60, seed=2)
    arrived = sorted(result.requests.arrived.tolist())
    # Each asks at its own instant of the first second, and every 1.5 s from then on.
    firsts = arrived[:3]
    assert 0 < firsts[0] < firsts[1] < firsts[2] < 1
    expected = sorted(first + 1.5 * turn for first in firsts for turn in range(50))
    assert arrived == pytest.approx([at for at in expected if at < 60])


def test_users_of_several_processes_keep_to_theirs():
    made = []

    def guard():
        made.append(Bulkhead(1))
        return made[-1]

    clients = Clients(
        Users(4, think=Uniform(0.1, 0.2)), ModelServer(workers=9, service=0.3), guard, processes=4
    )
    assert simulate(clients, seconds=20).availability == 1.0


def test_users_who_do_not_think_and_are_refused_at_once_are_reported(monkeypatch):
    monkeypatch.setattr(loop, "CIRCLE", 1000)
    with pytest.raises(RuntimeError, match="time does not move on; give users time to think"):
        simulate(Clients(Users(1, think=0.0), DOWN), seconds=1)


def threaded(service, guard, **more):
    return ask(ModelServer(workers=99, service=service), guard, threads=True, **more)


def test_a_thread_that_is_out_of_time_is_left_behind_and_keeps_its_seat():
    def guard():
        return Pipeline(Bulkhead(1), Timeout(0.5))

    left = threaded(2.75, guard, seconds=5)
    assert left.requests.status.tolist() == ["failed", "rejected", "rejected", "failed"]
    assert kinds(left) == ["timeout", "overload", "overload", "timeout"]
    assert (left.requests.ended[[0, 3]] == left.requests.arrived[[0, 3]] + 0.5).all()
    awaited = ask(ModelServer(workers=99, service=2.75), guard, seconds=5)
    assert awaited.requests.status.tolist() == ["failed"] * 4


def test_a_thread_that_answers_in_time_or_fails_is_as_any_call():
    assert threaded(0.5, Timeout(0.5)).availability == 1.0
    assert threaded(0.5, None).availability == 1.0
    assert kinds(ask(DOWN, Timeout(0.5), threads=True, seconds=2)) == ["server"]


def test_too_many_abandoned_threads_are_refused():
    result = threaded(10.0, Timeout(0.5, max_abandoned=2), seconds=6)
    assert result.requests.status.tolist() == ["failed"] * 2 + ["rejected"] * 3


def test_without_a_worker_thread_a_late_answer_is_only_refused():
    late = threaded(2.0, Timeout(0.5, late_only=True), seconds=3)
    assert (kinds(late), late.requests.ended.tolist()) == (["timeout"] * 2, [3.0, 4.0])
    assert threaded(0.5, Timeout(0.5, late_only=True), seconds=3).availability == 1.0
    assert kinds(threaded(2.0, None, seconds=2, deadline=0.5)) == ["deadline"]


def test_code_on_a_thread_knows_how_much_time_is_left():
    left = []

    async def looked():
        await sleep(0.1)
        left.append(remaining())
        return await FAST()

    for guard in (Timeout(0.5), Timeout(0.5, late_only=True)):
        ask(looked, guard, seconds=2, threads=True, servers=[FAST])
    assert left == pytest.approx([0.4, 0.4])


def test_threads_that_hang_to_the_end_give_their_seats_back_when_the_simulation_is_over():
    seats, limit = Bulkhead(3), Timeout(0.5)
    hanging = ModelServer(workers=99, service=1e9)
    load = Constant(Steps((0, 1), (2, 0)))
    result = simulate(
        Clients(load, hanging, Pipeline(seats, limit), threads=True),
        Clients(load, hanging, seats, name="waits", threads=True),
        seconds=5,
        drain_seconds=1.0,
    )
    assert result.requests.status.tolist() == ["failed", "hung", "failed", "rejected"]
    assert (seats.in_flight, limit.abandoned) == (0, 0)


def test_a_thread_whose_caller_waits_when_the_simulation_ends_is_let_go():
    seats, limit = Bulkhead(3), Timeout(5.0)
    result = simulate(
        Clients(Constant(1), ModelServer(workers=9, service=1e9), Pipeline(seats, limit), threads=True),
        seconds=2.5,
        drain_seconds=0.5,
    )
    assert result.requests.status.tolist() == ["hung", "hung"]
    assert (seats.in_flight, limit.abandoned) == (0, 0)


# ---- descriptions


def generator():
    yield 1


@pytest.mark.parametrize(
    ("make", "error", "says"),
    [
        (
            lambda: Clients(100, FAST),
            TypeError,
            "load must be Poisson, Constant or Users, got 100; write Poisson(",
        ),
        (
            lambda: Clients(Constant(1), len),
            TypeError,
            "calls must be a server or a coroutine function, got call 'len'; write async def, and await",
        ),
        (
            lambda: Clients(Constant(1), generator),
            TypeError,
            "calls must be a server or a coroutine function, got stream 'generator'",
        ),
        (lambda: Clients(Constant(1), 3), TypeError, "cannot guard an object of type 'int'"),
        (
            lambda: Clients(Constant(1), FAST, 3),
            TypeError,
            "guard must be a pipeline, a policy, a function that makes one, or None, got 3",
        ),
        (
            lambda: Clients(Constant(1), FAST, args="row"),
            TypeError,
            "args must be a tuple or a function of a number",
        ),
        (lambda: Clients(Constant(1), FAST, deadline=0), ValueError, "deadline must be above 0, got 0"),
        (lambda: Clients(Constant(1), FAST, processes=0), ValueError, "processes must be at least 1, got 0"),
        (
            lambda: Clients(Constant(1), FAST, Bulkhead(1), processes=2),
            TypeError,
            "guard must be a function where there are 2 processes, got an object; leave calls= unguarded",
        ),
        (
            lambda: Clients(Constant(1), Bulkhead(1)(FAST), processes=2),
            TypeError,
            "guard must be a function where there are 2 processes, got an object",
        ),
        (lambda: Clients(Constant(1), FAST, threads=1), TypeError, "threads must be True or False, got 1"),
        (
            lambda: Clients(Constant(1), FAST, lambda: 3).guards(),
            TypeError,
            "guard must return a pipeline or a policy, got 3; write guard=lambda: Pipeline(...)",
        ),
        (
            lambda: Clients(Constant(1), FAST, Fallback(generator)).guards(),
            TypeError,
            "Fallback cannot serve async call 'model' from stream 'generator'",
        ),
    ],
)
def test_impossible_clients_are_refused(make, error, says):
    with pytest.raises(error) as raised:
        make()
    assert str(raised.value).startswith(says)
