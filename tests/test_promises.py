"""The promises that every policy keeps, a test each; most are tested further where the policy is."""

import asyncio
import contextvars
import copy
import inspect
import os
import pickle
import signal
import sys
import threading

import anyio
import pytest

from resilient_ml import (
    Bulkhead,
    BulkheadFull,
    CircuitBreaker,
    CircuitOpen,
    ConstantBackoff,
    DeadlineExceeded,
    Fallback,
    LimitExceeded,
    Pipeline,
    Retry,
    RetryBudget,
    State,
    Timeout,
    deadline,
    events,
)

from .every_policy import AT_ONCE
from .worlds import hang, slow

# ---- in flight


def test_work_in_flight_never_exceeds_its_bound(world):
    bulkhead = Bulkhead(2, queue=2)
    model = world.model(slow(1, "cat"), slow(2, ConnectionError), slow(1, "dog"))
    world.together(*[(bulkhead(model),)] * 6)
    assert model.script.most_inside == 2
    assert (bulkhead.in_flight, bulkhead.waiting) == (0, 0)


def test_permits_are_released_exactly_once(world):
    bulkhead = Bulkhead(1)
    for end in ("cat", KeyError):
        world.failure(bulkhead(world.model(end)))
    assert bulkhead.in_flight == 0
    assert [type(one) for one in world.together(*[(bulkhead(world.model(slow(1, "cat"))),)] * 2)] == [
        str,
        BulkheadFull,
    ]


# ---- the breaker


def open_breaker(world, **options):
    breaker = CircuitBreaker(consecutive_failures=1, open_seconds=5, jitter=0, **options)
    world.failure(breaker(world.model(ConnectionError)))
    assert breaker.state is State.OPEN
    return breaker


def test_a_breaker_admits_exactly_its_half_open_permits(world):
    breaker = open_breaker(world, half_open_permits=2)
    world.clock.advance(5)
    model = world.model(slow(1, "cat"))
    ends = world.together(*[(breaker(model),)] * 6)
    assert [type(end) for end in ends] == [str] * 2 + [CircuitOpen] * 4


def test_a_probe_that_hangs_loses_its_lease(async_world):
    breaker = open_breaker(async_world, probe_lease_seconds=2)
    async_world.clock.advance(5)
    safe = breaker(async_world.model(hang(), "cat"))

    async def scenario():
        async with anyio.create_task_group() as group:
            group.start_soon(async_world.use, safe, {})
            await anyio.sleep(2)
            assert await async_world.use(safe, {}) == "cat"
            group.cancel_scope.cancel()

    async_world.run(scenario)
    assert breaker.state is State.CLOSED


def test_an_outcome_from_an_earlier_state_changes_nothing(async_world):
    breaker = CircuitBreaker(consecutive_failures=1)
    late = breaker(async_world.model(slow(3, ConnectionError)))

    async def scenario():
        async with anyio.create_task_group() as group:
            group.start_soon(failing, async_world, late)
            await anyio.sleep(1)
            breaker.force_open()
            breaker.reset()

    async_world.run(scenario)
    assert breaker.state is State.CLOSED


async def failing(world, safe):
    with pytest.raises(ConnectionError):
        await world.use(safe, {})


def test_cancellation_is_neither_success_nor_failure(async_world):
    breaker = CircuitBreaker(consecutive_failures=1, minimum_calls=1)

    async def scenario():
        with anyio.move_on_after(1):
            await async_world.use(breaker(async_world.model(hang())), {})

    async_world.run(scenario)
    assert (breaker.state, breaker.failures) == (State.CLOSED, {})


@pytest.mark.parametrize("step", [0, -1000, 1000])
def test_a_clock_that_stands_still_or_jumps_breaks_nothing(world, step):
    breaker = open_breaker(world)
    world.clock.step(step)
    safe = breaker(world.model("cat"))
    error = world.failure(safe)
    assert error is None or 0 <= error.retry_after <= 5
    world.clock.advance(5)
    assert world.call(safe) == "cat"


# ---- attempts


def test_three_attempts_call_at_most_three_times(world):
    model = world.model(ConnectionError)
    world.failure(Retry(attempts=3, backoff=AT_ONCE)(model))
    assert len(model.starts) == 3


def test_sleeps_end_before_the_deadline(world):
    model = world.model(ConnectionError)
    began = world.clock.now()
    with deadline(10):
        world.failure(Retry(9, backoff=ConstantBackoff(3), budget=None)(model))
    assert world.clock.now() - began == 9


def test_a_retry_budget_caps_amplification(world):
    model = world.model(ConnectionError)
    safe = Retry(9, backoff=AT_ONCE, budget=RetryBudget(ratio=0.1, floor=0, burst=1))(model)
    for _ in range(100):
        world.failure(safe)
    assert len(model.starts) <= 100 * 1.1 + 1


def test_a_retry_inside_a_retry_does_not_multiply(world):
    model = world.model(ConnectionError)
    world.failure(Retry(3, backoff=AT_ONCE)(Retry(3, backoff=AT_ONCE)(model)))
    assert len(model.starts) == 3


# ---- what passes through everything


@pytest.mark.parametrize("error", [KeyboardInterrupt, SystemExit, GeneratorExit, asyncio.CancelledError])
def test_interrupts_and_cancellation_pass_through_everything(clock, error):
    bulkhead, breaker = Bulkhead(1), CircuitBreaker(consecutive_failures=1)
    raised = error()

    def model():
        raise raised

    guard = Pipeline(
        Fallback("popular", on=lambda error: True), Retry(on=lambda error: True), breaker, bulkhead
    )
    with pytest.raises(error) as caught:
        guard(model)()
    assert caught.value is raised
    assert (bulkhead.in_flight, breaker.state) == (0, State.CLOSED)


def test_a_signal_in_the_middle_of_a_wait_passes_and_gives_everything_back():
    bulkhead = Bulkhead(1)
    safe = Pipeline(bulkhead, Retry(2, backoff=ConstantBackoff(5)))(lambda: 1 / 0)
    old = signal.signal(signal.SIGALRM, signal.default_int_handler)
    try:
        signal.setitimer(signal.ITIMER_REAL, 0.02)
        with pytest.raises(KeyboardInterrupt):
            safe()
    finally:
        signal.signal(signal.SIGALRM, old)
    assert bulkhead.in_flight == 0


# ---- time-outs


def test_the_users_own_time_out_is_never_mistaken_for_the_policys(world):
    seen = []
    error = TimeoutError()
    assert world.failure(Timeout(5, on_event=seen.append)(world.model(error))) is error
    assert seen == []


def test_a_timed_out_call_keeps_its_slot_until_its_thread_returns(plain_world):
    bulkhead = Bulkhead(1)
    plain_world.failure(Pipeline(bulkhead, Timeout(1))(plain_world.model(slow(3))))
    assert bulkhead.in_flight == 1
    plain_world.clock.sleep(3)
    plain_world.clock.settle()
    assert bulkhead.in_flight == 0


def test_abandoned_calls_are_counted_and_capped(plain_world):
    timeout = Timeout(1, max_abandoned=1)
    safe = timeout(plain_world.model(hang()))
    late, refused = (plain_world.failure(safe) for _ in range(2))
    assert isinstance(late, DeadlineExceeded)
    assert isinstance(refused, LimitExceeded)
    assert timeout.abandoned == 1


def test_nothing_is_injected_into_a_running_thread(plain_world):
    ended = []

    def model():
        try:
            plain_world.clock.sleep(3)
        finally:
            ended.append(sys.exc_info()[0])

    def stream():
        yield model()

    plain_world.failure(Timeout(1)(stream if plain_world.streams else model))
    plain_world.clock.sleep(3)
    plain_world.clock.settle()
    assert ended == [None]


# ---- shared


def test_a_policy_made_before_any_loop_serves_threads_tasks_and_several_loops(world):
    guard = Pipeline(Retry(2, backoff=AT_ONCE), CircuitBreaker(), Bulkhead(8), Timeout(5))
    for _ in range(3):
        assert world.call(guard(world.model("cat"))) == "cat"

    async def awaited():
        return "dog"

    assert [asyncio.run(guard(awaited)()) for _ in range(3)] == ["dog"] * 3


def test_eight_threads_may_share_one_policy(policy):
    answers = []

    def model(number):
        if number % 7 == 0:
            raise ConnectionError
        return number

    safe = Pipeline(Fallback("popular"), policy)(model)

    def work():
        answers.extend(safe(number) for number in range(200))

    interval = sys.getswitchinterval()
    sys.setswitchinterval(1e-5)
    try:
        threads = [threading.Thread(target=work) for _ in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    finally:
        sys.setswitchinterval(interval)
    assert len(answers) == 1600
    assert {answer for answer in answers if answer != "popular"} <= set(range(200))


@pytest.mark.filterwarnings("ignore:.*multi-threaded.*:DeprecationWarning")
def test_a_forked_child_may_go_on_with_every_policy(policy):
    safe = Pipeline(policy)(lambda: "cat")
    assert safe() == "cat"
    child = os.fork()
    if child == 0:
        os._exit(0 if safe() == "cat" else 1)
    assert os.waitpid(child, 0)[1] == 0


def test_a_child_that_is_forked_in_the_middle_of_calls_has_every_seat():
    bulkhead = Bulkhead(1)

    @bulkhead
    def hold():
        child = os.fork()
        if child == 0:
            os._exit(0 if bulkhead(lambda: "cat")() == "cat" else 1)
        return os.waitpid(child, 0)[1]

    assert hold() == 0
    assert bulkhead.in_flight == 0


# ---- context, signatures


def test_context_variables_reach_the_users_function_whichever_thread_it_runs_in(call_world):
    tenant = contextvars.ContextVar("tenant", default=None)
    guard = Pipeline(Retry(), Timeout(5))

    def model():
        return tenant.get()

    tenant.set("acme")
    if call_world.is_async:
        assert call_world.run(lambda: guard.acall(model)) == "acme"
    else:
        assert guard.call(model) == "acme"


def test_signatures_survive_decoration(policy):
    def model(row: int, *, scale: float = 2.0) -> float:
        """Predict."""
        return row * scale

    safe = policy(model)
    assert inspect.signature(safe) == inspect.signature(model)
    assert (safe.__name__, safe.__doc__) == ("model", "Predict.")


# ---- messages


def secret_errors(world):
    """What the library itself raises around a call whose argument is a secret."""
    breaker = CircuitBreaker()
    breaker.force_open()
    bulkhead = Bulkhead(1)
    yield world.failure(breaker(world.model("x")), "secret-7")
    with_deadline = Timeout(1)(world.model(hang()))
    yield world.failure(with_deadline, "secret-7")
    yield world.together(*[(bulkhead(world.model(slow(1, "x"))), "secret-7")] * 2)[1]


def test_messages_carry_numbers_and_the_remedy_and_no_argument(world):
    for error in secret_errors(world):
        assert "secret" not in repr(error) + str(vars(error))
        assert ";" in str(error)


def test_errors_travel_between_processes(world):
    for error in secret_errors(world):
        for copied in (pickle.loads(pickle.dumps(error)), copy.copy(error), copy.deepcopy(error)):
            assert type(copied) is type(error)
            assert str(copied) == str(error)


def test_a_listener_that_fails_or_asks_again_breaks_no_call(world):
    breaker = CircuitBreaker(consecutive_failures=1)
    heard = []

    def listen(event):
        heard.append(breaker.state)
        breaker.snapshot()
        raise KeyError("listener")

    with events.subscribe(listen):
        assert isinstance(world.failure(breaker(world.model(ConnectionError))), ConnectionError)
    assert heard == [State.OPEN]
