"""Threads: that cannot be started, are killed from outside, share a policy, or have their time replaced."""

import ctypes
import math
import sys
import threading
import time
from collections import deque

import pytest

from resilient_ml import (
    Bulkhead,
    CircuitBreaker,
    ConstantBackoff,
    DeadlineExceeded,
    Fallback,
    Kind,
    LimitExceeded,
    Pipeline,
    Retry,
    Timeout,
)
from resilient_ml._drivers import workers
from resilient_ml.testing import faults
from resilient_ml.testing.faults import FaultPlan

from ..every_policy import AT_ONCE
from .struck import made


def test_a_thread_that_cannot_be_started_is_a_refusal_and_costs_no_seat(plain_world):
    plan = FaultPlan(made("thread_start_fails").first(2))
    bulkhead = Bulkhead(1)
    guard = Pipeline(bulkhead, Timeout(5))
    model = plain_world.model("cat")
    with faults.patched(plan, "threading.Thread.start"):
        assert isinstance(plain_world.failure(guard(model)), LimitExceeded)
        assert bulkhead.in_flight == 0
        assert plain_world.call(Pipeline(Fallback("neutral"), guard)(model)) == "neutral"
        assert plain_world.call(guard(model)) == "cat"
    assert len(plan.history) == 2
    assert len(model.starts) == 1


def test_a_thread_that_cannot_be_started_for_an_awaited_call_is_a_refusal_too(await_world):
    plan = FaultPlan(made("thread_start_fails").first(1))
    bulkhead = Bulkhead(1)
    guard = Pipeline(bulkhead, Timeout(5))

    async def main():
        with faults.patched(plan, "threading.Thread.start"):
            with pytest.raises(LimitExceeded):
                await guard.acall(str.upper, "cat")
            assert bulkhead.in_flight == 0
            return await guard.acall(str.upper, "cat")

    assert await_world.run(main) == "CAT"


def kill(ident):
    """Have SystemExit raised in the thread *ident*, from outside, when it next runs Python code."""
    killed = ctypes.pythonapi.PyThreadState_SetAsyncExc(ctypes.c_ulong(ident), ctypes.py_object(SystemExit))
    assert killed == 1


@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")
def test_an_idle_worker_that_was_killed_from_outside_is_replaced_and_its_call_is_answered(monkeypatch):
    monkeypatch.setattr(workers, "IDLE_SECONDS", 1.0)  # where coverage is measured it only then finds out
    bulkhead = Bulkhead(1)
    safe = Pipeline(bulkhead, Timeout(20))(threading.current_thread)
    first = safe()
    kill(first.ident)  # it sleeps, and finds out when it is woken for the next call
    second = safe()
    assert second is not first
    assert safe() is second
    assert bulkhead.in_flight == 0


@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")
def test_an_idle_worker_that_was_killed_is_no_longer_counted_on(monkeypatch):
    monkeypatch.setattr(workers, "IDLE_SECONDS", 0.01)
    monkeypatch.setattr(workers._pool, "idle", deque())
    safe = Timeout(20)(threading.current_thread)
    first = safe()
    kill(first.ident)
    first.join(20)
    assert not workers._pool.idle
    assert safe() is not first


@pytest.mark.parametrize("there", [True, False])
def test_a_worker_that_is_killed_as_it_is_handed_a_job_passes_it_on(monkeypatch, there):
    monkeypatch.setattr(workers._pool, "idle", deque())
    job = workers.Job(threading.get_ident, (), {}, math.inf)
    worker = object.__new__(workers._Worker)

    class Gate:
        def acquire(self, timeout):
            assert worker.job is None
            worker.job = job  # the caller has taken it from the idle ones, and hands over now
            return True

    worker.job, worker._gate, worker._idle = job if there else None, Gate(), deque()
    worker._pass_on()
    assert job.wait(20)
    assert job.result() != threading.get_ident()


def test_a_worker_that_is_killed_after_its_call_has_ended_leaves_the_answer_alone():
    job = workers.start(str.upper, ("cat",), {}, math.inf)
    assert job.wait(20)
    job.fail(SystemExit())
    assert job.result() == "CAT"


@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")
@pytest.mark.parametrize("moment", ["run", "finish"])
def test_a_worker_that_is_killed_around_a_call_ends_that_call_and_is_no_longer_counted_on(
    monkeypatch, moment
):
    """In the moments before, between and after what is the user's code."""
    monkeypatch.setattr(workers, "IDLE_SECONDS", 0.01)
    monkeypatch.setattr(workers._pool, "idle", deque())
    bulkhead = Bulkhead(1)
    safe = Pipeline(bulkhead, Timeout(20))(str.upper)
    whole = getattr(workers.Job, moment)
    killed = []

    def die_once(job):
        if killed:
            return whole(job)
        killed.append(threading.current_thread())
        raise SystemExit

    monkeypatch.setattr(workers.Job, moment, die_once)
    with pytest.raises(SystemExit):
        safe("cat")
    killed[0].join(20)
    assert bulkhead.in_flight == 0
    assert not workers._pool.idle
    assert safe("cat") == "CAT"


def test_a_worker_that_is_killed_in_the_middle_of_a_call_ends_that_call_and_serves_on():
    bulkhead, breaker = Bulkhead(1), CircuitBreaker(consecutive_failures=1)

    def model(die):
        if die:
            kill(threading.get_ident())
            for _ in range(1000):
                time.sleep(0)
        return "cat"

    safe = Pipeline(breaker, bulkhead, Timeout(60))(model)
    with pytest.raises(SystemExit):
        safe(True)
    assert bulkhead.in_flight == 0
    assert [safe(False) for _ in range(3)] == ["cat"] * 3
    assert breaker.failures == {}


def test_threads_that_share_policies_lose_no_failure_and_no_seat():
    """Switched as often as the interpreter can."""
    plan = FaultPlan(faults.error(ConnectionError).with_probability(0.5), seed=2)
    breaker = CircuitBreaker(failure_rate=None, consecutive_failures=None)
    bulkhead = Bulkhead(8)
    safe = Pipeline(Fallback("popular"), Retry(2, backoff=AT_ONCE, budget=None), breaker, bulkhead)(
        plan.inject(lambda number: number)
    )
    ends = []

    def work():
        ends.extend(safe(number) for number in range(150))

    interval = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    try:
        threads = [threading.Thread(target=work) for _ in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    finally:
        sys.setswitchinterval(interval)
    assert len(ends) == 8 * 150
    assert breaker.failures == {Kind.CONNECTION: len(plan.history)}
    assert bulkhead.in_flight == 0


def test_waits_go_through_whatever_has_replaced_the_sleep_of_the_standard_library(monkeypatch):
    """As gevent does when it patches: names are looked up when they are used, not when we are imported."""
    plan, slept = FaultPlan(faults.error(ConnectionError).first(1)), []
    monkeypatch.setattr(time, "sleep", slept.append)
    assert Retry(2, backoff=ConstantBackoff(3600))(plan.inject(str.upper))("cat") == "CAT"
    assert slept == [3600]


def test_awaited_calls_of_plain_functions_leave_no_more_threads_behind_than_the_bound(await_world):
    plan = FaultPlan(made("hang"))
    timeout = Timeout(1, max_abandoned=2)
    guard = Pipeline(timeout)
    ask = plan.inject(str.upper)

    async def main():
        ends = []
        for _ in range(4):
            try:
                await guard.acall(ask, "cat")
            except (DeadlineExceeded, LimitExceeded) as error:
                ends.append(type(error))
        return ends

    assert await_world.run(main) == [DeadlineExceeded] * 2 + [LimitExceeded] * 2
    assert timeout.abandoned == 2
    plan.release()
    await_world.clock.settle()
    assert timeout.abandoned == 0
