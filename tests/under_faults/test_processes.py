"""Processes: workers that die, forks in bad moments, policies and errors that travel."""

import faulthandler
import multiprocessing
import os
import pickle
import signal
import subprocess
import sys
import threading
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool

import pytest

from resilient_ml import (
    Bulkhead,
    CircuitBreaker,
    CircuitOpen,
    DeadlineExceeded,
    Fallback,
    Kind,
    Pipeline,
    Retry,
    State,
    Timeout,
    WorkerCrashed,
)
from resilient_ml.testing import faults
from resilient_ml.testing.faults import FaultPlan

from ..every_policy import AT_ONCE
from ..test_forks import in_child
from .struck import Guarded, made

# ---- deaths that a caller survives

DEATHS = {
    "segfault": (faults.segfault, -signal.SIGSEGV),
    "abort": (faults.abort, -signal.SIGABRT),
    "kill_9": (faults.kill_9, -signal.SIGKILL),
    "exit_process": (faults.exit_process, 1),
}


@pytest.mark.parametrize("name", list(DEATHS))
def test_a_worker_that_dies_is_an_error_that_is_counted_and_the_next_call_works(call_world, name):
    """A child really dies."""
    die, exitcode = DEATHS[name]
    plan = FaultPlan(die(in_child=True).first(2))
    guarded = Guarded(plan.inject(call_world.model("cat")))
    error = call_world.failure(guarded.safe)
    assert isinstance(error, WorkerCrashed)
    assert error.exitcode == exitcode
    assert guarded.breaker.failures == {Kind.CRASH: 2}
    assert call_world.call(guarded.safe) == "cat"
    assert guarded.at_rest


def ask(plan, text):
    """What a worker of a pool does."""
    return plan.inject(str.upper)(text)


class Pool:
    """One worker process, started anew after it has died: what a careful user has without isolation."""

    def __init__(self):
        self.pool = None

    def predict(self, plan, text):
        if self.pool is None:
            self.pool = ProcessPoolExecutor(
                1, multiprocessing.get_context("fork"), initializer=faulthandler.disable
            )
        try:
            return self.pool.submit(ask, plan, text).result()
        except BrokenProcessPool:
            self.close()
            raise

    def close(self):
        if self.pool is not None:
            self.pool.shutdown()
            self.pool = None


@pytest.fixture
def pool():
    made = Pool()
    yield made
    made.close()


@pytest.mark.filterwarnings("ignore:.*multi-threaded.*:DeprecationWarning")
@pytest.mark.parametrize("name", list(DEATHS))
def test_a_pool_whose_worker_really_dies_is_a_crash_that_is_counted_and_the_next_one_serves(pool, name):
    """The worker of the pool itself dies of it, in the middle of the call."""
    breaker, bulkhead = CircuitBreaker(), Bulkhead(1)
    safe = Pipeline(breaker, bulkhead)(pool.predict)
    with pytest.raises(BrokenProcessPool):
        safe(FaultPlan(made(name)), "cat")
    assert breaker.failures == {Kind.CRASH: 1}
    assert safe(FaultPlan(), "cat") == "CAT"
    assert bulkhead.in_flight == 0


# ---- forks in bad moments


@pytest.mark.filterwarnings("ignore:.*multi-threaded.*:DeprecationWarning")
def test_a_child_that_is_forked_while_a_call_hangs_and_locks_are_held_may_use_every_policy_at_once():
    plan = FaultPlan(made("hang").first(1))
    breaker, bulkhead, timeout = CircuitBreaker(), Bulkhead(1), Timeout(20, max_abandoned=1)
    ask, inside = plan.inject(str.upper), threading.Event()

    @Pipeline(Fallback("popular"), Retry(2, backoff=AT_ONCE), breaker, bulkhead)
    def safe(text):
        inside.set()
        return ask(text)

    timed = Pipeline(timeout)(str.upper)
    assert timed("warm") == "WARM"  # its helper thread is there, and will not be in the child
    holder = threading.Thread(target=safe, args=("cat",))
    holder.start()
    assert inside.wait(20)

    def check():
        assert bulkhead.in_flight == 0
        assert safe("cat") == "CAT"
        assert timed("cat") == "CAT"
        assert breaker.state is State.CLOSED

    with breaker._machine._lock, bulkhead._machine._lock:
        held = threading.Thread(target=in_child, args=(check,))
        held.start()  # the child's thread is not the one that holds the locks
        held.join(20)
    assert bulkhead.in_flight == 1
    plan.release()
    holder.join(20)
    assert not held.is_alive()
    assert bulkhead.in_flight == 0


def test_a_child_that_is_forked_while_its_threads_are_all_hung_starts_with_none_of_them():
    plan = FaultPlan(made("hang").first(1))
    timeout = Timeout(0.01, max_abandoned=1)
    safe = timeout(plan.inject(str.upper))
    with pytest.raises(DeadlineExceeded):
        safe("cat")

    def check():
        assert timeout.abandoned == 0
        assert Timeout(20)(str.upper)("cat") == "CAT"

    in_child(check)
    assert timeout.abandoned == 1
    plan.release()


# ---- what travels


def test_policies_travel_to_a_process_that_was_spawned_as_configuration_and_work_there():
    breaker = CircuitBreaker(consecutive_failures=1)
    guard = Pipeline(Fallback("popular"), Retry(2), breaker, Bulkhead(4), Timeout(60), name="classify")
    plan = FaultPlan(faults.error(ConnectionError))
    assert guard.call(plan.inject(len), "cat") == "popular"
    assert breaker.state is State.OPEN
    program = (
        "import pickle, sys\n"
        "guard, plan = pickle.load(sys.stdin.buffer)\n"
        "broken = plan.inject(str.upper)\n"
        "print(guard.call(str.upper, 'cat'), guard.call(broken, 'cat'), guard.policies[2].state)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", program],
        input=pickle.dumps((guard, plan)),
        capture_output=True,
        timeout=60,
        check=False,
    )
    assert (done.stdout.decode(), done.stderr.decode()) == ("CAT popular open\n", "")
    assert breaker.failures == {Kind.CONNECTION: 1}


@Pipeline(CircuitBreaker(consecutive_failures=1, open_seconds=3600), name="doubling")
def double(number):
    return number.attribute if number < 0 else number * 2


@pytest.mark.filterwarnings("ignore:.*multi-threaded.*:DeprecationWarning")
def test_a_guarded_function_travels_by_its_name_and_its_errors_come_back_whole():
    assert pickle.loads(pickle.dumps(double)) is double
    with ProcessPoolExecutor(1, multiprocessing.get_context("fork")) as pool:
        assert pool.submit(double, 21).result() == 42
        with pytest.raises(AttributeError):
            pool.submit(double, -1).result()
        pool.submit(os.getpid).result()
        refused = pool.submit(double, 21).exception()
        assert isinstance(refused, CircuitOpen)
        assert (refused.policy, refused.state, refused.reason) == (
            "doubling",
            "open",
            "after 1 failure in a row",
        )
        assert refused.retry_after > 3000
        assert pool.submit(len, "cat").result() == 3  # the pool has outlived it
    assert double(21) == 42  # and this process's breaker has seen nothing


def test_what_a_fault_raises_travels_too():
    for kind in ("overload", "rate_limited", "oom", "crash", "deadline"):
        with pytest.raises(Exception) as struck:
            faults.inject(len, faults.error(kind, retry_after=2))("cat")
        copied = pickle.loads(pickle.dumps(struck.value))
        assert type(copied) is type(struck.value)
        assert vars(copied) == vars(struck.value)
