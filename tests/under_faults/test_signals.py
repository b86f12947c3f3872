"""Signals: Ctrl-C and SIGTERM pass and leave nothing taken; storms neither deadlock nor shorten a wait."""

import signal
import sys
import threading
import time

import pytest

from resilient_ml import (
    Bulkhead,
    BulkheadFull,
    CircuitBreaker,
    CircuitOpen,
    ConstantBackoff,
    DeadlineExceeded,
    Fallback,
    Kind,
    Pipeline,
    Retry,
    State,
    Timeout,
)
from resilient_ml.machines.breaker import BreakerMachine
from resilient_ml.machines.breaker_rules import Refusal, Rules
from resilient_ml.testing import faults
from resilient_ml.testing.faults import FaultPlan

from ..worlds import hang
from .struck import Guarded, made


@pytest.fixture
def terminated():
    """SIGTERM ends the program, as a server's handler has it."""

    def leave(signum, frame):
        sys.exit(143)

    before = signal.signal(signal.SIGTERM, leave)
    yield
    signal.signal(signal.SIGTERM, before)


@pytest.mark.parametrize(("name", "error"), [("interrupt", KeyboardInterrupt), ("terminate", SystemExit)])
def test_a_signal_in_the_middle_of_a_call_passes_and_gives_everything_back(
    plain_world, terminated, name, error
):
    plan = FaultPlan(made(name).first(1))
    breaker = CircuitBreaker(consecutive_failures=1)
    guarded = Guarded(plan.inject(plain_world.model("cat")), breaker=breaker, fallback="neutral")
    with pytest.raises(error):
        plain_world.call(guarded.safe)
    assert len(plan.history) == 1
    assert guarded.at_rest
    assert (breaker.state, breaker.failures) == (State.CLOSED, {})
    assert plain_world.call(guarded.safe) == "cat"


@pytest.mark.parametrize(("name", "error"), [("interrupt", KeyboardInterrupt), ("terminate", SystemExit)])
def test_a_signal_in_the_wait_between_two_attempts_passes_too(terminated, name, error):
    plan, bulkhead = FaultPlan(made(name)), Bulkhead(1)
    model = faults.inject(len, faults.error(ConnectionError))
    safe = Pipeline(Fallback("neutral"), Retry(3, backoff=ConstantBackoff(3600)), bulkhead)(model)
    with faults.patched(plan, "time.sleep"), pytest.raises(error):
        safe("cat")
    assert len(plan.history) == 1
    assert bulkhead.in_flight == 0


def test_a_signal_in_the_wait_for_a_seat_passes_and_leaves_no_place_in_the_queue():
    plan, bulkhead = FaultPlan(made("hang").first(1)), Bulkhead(1, queue=1)
    inside = threading.Event()

    def model():
        inside.set()
        return ask("cat")

    ask = plan.inject(str.upper)
    safe = bulkhead(model)

    def hold():
        with pytest.raises(faults.HangReleased):
            safe()

    holder = threading.Thread(target=hold)
    holder.start()
    assert inside.wait(20)
    before = signal.signal(signal.SIGALRM, signal.default_int_handler)
    try:
        signal.setitimer(signal.ITIMER_REAL, 0.02)
        with pytest.raises(KeyboardInterrupt):
            safe()
    finally:
        signal.signal(signal.SIGALRM, before)
    assert (bulkhead.in_flight, bulkhead.waiting) == (1, 0)
    plan.release()
    holder.join(20)
    assert bulkhead.in_flight == 0


def test_a_signal_in_an_awaited_call_ends_the_program_and_leaves_nothing_taken(async_world):
    plan = FaultPlan(made("interrupt"))
    guarded = Guarded(plan.inject(async_world.model(hang())), fallback="neutral")
    with pytest.raises(KeyboardInterrupt):
        async_world.run(async_world.use, guarded.safe, {})
    assert len(plan.history) == 1
    assert guarded.breaker.failures == {}
    assert guarded.at_rest


def test_a_handler_that_uses_the_policy_it_interrupts_neither_deadlocks_nor_loses_a_seat():
    handled, ended = [], []
    breaker, bulkhead = CircuitBreaker(minimum_calls=2, open_seconds=1e-6), Bulkhead(2, queue=1)

    @Pipeline(breaker, bulkhead)
    def predict(number):
        if number % 2:
            raise ConnectionError
        return number

    def ask(number):
        try:
            ended.append(predict(number))
        except (ConnectionError, CircuitOpen, BulkheadFull) as error:
            ended.append(type(error))

    def handler():
        if len(handled) < 50:  # where one takes longer than the period, signals alone would be left
            handled.append(1)
            ask(len(handled))

    def work():
        number = 0
        while len(handled) < 50:
            number += 1
            ask(number)
        return number

    plan = FaultPlan(faults.signal_storm(handler=handler))
    calls = plan.inject(work)()
    assert len(ended) == calls + len(handled)
    assert (bulkhead.in_flight, bulkhead.waiting) == (0, 0)
    assert Kind.CONNECTION in breaker.failures


def test_a_handler_that_comes_while_the_last_probe_is_being_counted_is_refused_for_no_time_at_all():
    machine = BreakerMachine(Rules(half_open_permits=1))
    machine.force(State.HALF_OPEN)
    machine._successes = 1  # the probe has been taken out; the breaker is about to close
    refusal, change = machine.admit(7.0, 0.5)
    assert (type(refusal), refusal.retry_after, change) == (Refusal, 0.0, None)


def test_waits_that_are_interrupted_again_and_again_take_as_long_as_they_should():
    """In real time, each a few hundred interrupts long; a wait that began anew each time would never end."""
    plan = FaultPlan(made("signal_storm"))
    hung = FaultPlan(made("hang"))
    inside, released = threading.Event(), threading.Event()
    bulkhead = Bulkhead(1, queue=1, queue_seconds=0.03)
    blips = FaultPlan(faults.error(ConnectionError).first(1))
    took = {}

    def timed(what, call):
        began = time.monotonic()
        end = call()
        took[what] = (end, time.monotonic() - began >= 0.03)

    def failing(call, error):
        with pytest.raises(error) as failed:
            call()
        return failed.type

    def hold():
        inside.set()
        released.wait(20)

    def waits():
        retry = Retry(2, backoff=ConstantBackoff(0.03))(blips.inject(str.upper))
        timed("back-off", lambda: retry("cat"))
        timed("limit", lambda: failing(Timeout(0.03)(hung.inject(len)), DeadlineExceeded))
        holder = threading.Thread(target=bulkhead(hold))
        holder.start()
        inside.wait(20)
        timed("queue", lambda: failing(bulkhead(len), BulkheadFull))
        released.set()
        holder.join(20)

    try:
        plan.inject(waits)()
    finally:
        hung.release()
        released.set()
    assert took == {
        "back-off": ("CAT", True),
        "limit": (DeadlineExceeded, True),
        "queue": (BulkheadFull, True),
    }
