"""Timeout of plain functions: worker threads that are left behind, counted, capped, and never in the way."""

import contextvars
import os
import signal
import subprocess
import sys
import threading
import time

import anyio
import anyio.lowlevel
import numpy as np
import pytest

from resilient_ml import (
    Bulkhead,
    BulkheadFull,
    DeadlineExceeded,
    LimitExceeded,
    Pipeline,
    Timeout,
)
from resilient_ml._drivers import workers

from ..worlds import hang, slow


@pytest.fixture
def gate():
    """What a model waits for in real time; opened when the test ends, so that no thread is left."""
    event = threading.Event()
    yield event
    event.set()


def until(condition):
    """Wait for what another thread is about to do."""
    for _ in range(2000):
        if condition():
            return
        time.sleep(0.001)
    raise AssertionError("it did not happen within 2 s")


# ---- in real time, with limits of some milliseconds


def test_the_wait_ends_on_time_though_the_model_goes_on(gate):
    timeout = Timeout(0.02)
    began = time.monotonic()
    with pytest.raises(DeadlineExceeded):
        timeout(gate.wait)()
    assert 0.02 <= time.monotonic() - began < 2
    assert timeout.abandoned == 1
    gate.set()
    until(lambda: timeout.abandoned == 0)


def test_a_thread_is_used_again(gate):
    safe = Timeout(5)(threading.get_ident)
    assert len({safe() for _ in range(20)}) == 1
    assert safe() != threading.get_ident()


def test_an_idle_thread_ends_after_a_while(monkeypatch):
    monkeypatch.setattr(workers, "IDLE_SECONDS", 0.001)
    before = set(threading.enumerate())
    Timeout(5)(threading.get_ident)()
    new = [thread for thread in threading.enumerate() if thread not in before]
    until(lambda: not any(thread.is_alive() for thread in new))
    assert Timeout(5)(lambda: "cat")() == "cat"


def test_many_short_lives_of_idle_threads_lose_no_call(monkeypatch):
    monkeypatch.setattr(workers, "IDLE_SECONDS", 0.0002)
    safe = Timeout(5)(lambda number: number)
    for number in range(300):
        assert safe(number) == number
        if number % 3 == 0:
            time.sleep(0.0002)


def test_an_interrupt_of_the_wait_passes_and_the_thread_is_counted(gate):
    timeout = Timeout(5)
    bulkhead = Bulkhead(1)
    safe = Pipeline(bulkhead, timeout)(gate.wait)
    old = signal.signal(signal.SIGALRM, signal.default_int_handler)
    try:
        signal.setitimer(signal.ITIMER_REAL, 0.02)
        with pytest.raises(KeyboardInterrupt):
            safe()
    finally:
        signal.signal(signal.SIGALRM, old)
    assert (timeout.abandoned, bulkhead.in_flight) == (1, 1)
    gate.set()
    until(lambda: (timeout.abandoned, bulkhead.in_flight) == (0, 0))


def test_a_hung_thread_does_not_keep_the_interpreter_from_exiting():
    program = (
        "import time\n"
        "from resilient_ml import Timeout\n"
        "try:\n    Timeout(0.01)(time.sleep)(600)\n"
        "except TimeoutError:\n    print('timed out')\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, timeout=30, check=True
    )
    assert done.stdout == "timed out\n"
    assert done.stderr == ""


@pytest.mark.filterwarnings("ignore:.*multi-threaded.*:DeprecationWarning")
def test_a_forked_child_makes_threads_of_its_own():
    safe = Timeout(5)(threading.get_ident)
    safe()
    child = os.fork()
    if child == 0:
        os._exit(0 if safe() else 1)
    assert os.waitpid(child, 0)[1] == 0


def test_a_thread_that_cannot_be_started_is_a_refusal(monkeypatch):
    def refuse(thread):
        raise RuntimeError("can't start new thread")

    monkeypatch.setattr(workers._pool, "idle", type(workers._pool.idle)())
    monkeypatch.setattr(threading.Thread, "start", refuse)
    bulkhead = Bulkhead(1)
    with pytest.raises(LimitExceeded, match="no worker thread could be started"):
        Pipeline(bulkhead, Timeout(1))(len)("cat")
    assert bulkhead.in_flight == 0


# ---- in virtual time


def test_context_variables_reach_the_model_and_its_own_do_not_come_back(plain_world):
    tenant = contextvars.ContextVar("tenant", default="nobody")
    tenant.set("acme")
    seen = []

    def model():
        seen.append(tenant.get())
        tenant.set("model")
        return tenant.get()

    def stream():
        yield model()

    assert plain_world.call(Timeout(1)(stream if plain_world.streams else model)) == "model"
    assert seen == ["acme"]
    assert tenant.get() == "acme"


def test_numpys_error_state_reaches_the_model(clock):
    with np.errstate(divide="raise"), pytest.raises(FloatingPointError):
        Timeout(1)(lambda: np.float64(1) / np.float64(0))()


def test_abandoned_threads_are_counted_until_they_return(plain_world):
    timeout = Timeout(2)
    model = plain_world.model(slow(5, "late"))
    assert isinstance(plain_world.failure(timeout(model)), DeadlineExceeded)
    assert timeout.abandoned == 1
    plain_world.clock.sleep(4)
    plain_world.clock.settle()
    assert timeout.abandoned == 0


def test_no_more_threads_are_left_behind_than_the_cap(plain_world):
    timeout = Timeout(1, max_abandoned=2, name="ask")
    model = plain_world.model(hang())
    safe = timeout(model)
    errors = [plain_world.failure(safe) for _ in range(4)]
    assert [isinstance(error, DeadlineExceeded) for error in errors] == [True, True, False, False]
    assert [type(error) for error in errors[2:]] == [LimitExceeded] * 2
    assert timeout.abandoned == len(model.starts) == 2
    assert str(errors[2]) == (
        "2 abandoned calls of 'ask' are still running on their threads; wait until they return, "
        "raise max_abandoned=, or give the function a time limit of its own"
    )
    assert errors[2].policy == "ask"
    plain_world.clock.release()
    assert timeout.abandoned == 0


def test_a_seat_is_held_until_the_thread_really_returns(plain_world):
    bulkhead = Bulkhead(1)
    model = plain_world.model(slow(5, "late"), "cat")
    safe = Pipeline(bulkhead, Timeout(2))(model)
    assert isinstance(plain_world.failure(safe), DeadlineExceeded)
    assert bulkhead.in_flight == 1
    assert isinstance(plain_world.failure(safe), BulkheadFull)
    plain_world.clock.sleep(4)
    plain_world.clock.settle()
    assert bulkhead.in_flight == 0
    assert plain_world.call(safe) == "cat"


def test_a_seat_is_held_until_the_last_of_several_threads_returns(plain_world):
    from resilient_ml import ConstantBackoff, Retry

    bulkhead = Bulkhead(1)
    model = plain_world.model(slow(9), slow(3), slow(5))
    retry = Retry(3, backoff=ConstantBackoff(0))
    assert isinstance(plain_world.failure(Pipeline(bulkhead, retry, Timeout(1))(model)), DeadlineExceeded)
    for seconds, inside in ((4, 1), (1, 1), (2, 0)):
        plain_world.clock.sleep(seconds)
        plain_world.clock.settle()
        assert bulkhead.in_flight == inside


def test_what_is_no_exception_comes_back_from_the_thread_as_it_is(plain_world):
    for error in (KeyboardInterrupt(), SystemExit(3), BaseException()):
        with pytest.raises(BaseException) as caught:
            plain_world.call(Timeout(1)(plain_world.model(error)))
        assert caught.value is error


def test_an_abandoned_stream_is_closed_once_its_thread_has_left_it(clock):
    closed = []

    def model():
        try:
            yield "to"
            clock.sleep(5)
            yield "ken"
        finally:
            closed.append(clock.now())

    began = clock.now()
    stream = Timeout(2)(model)()
    assert next(stream) == "to"
    with pytest.raises(DeadlineExceeded):
        next(stream)
    assert closed == []
    clock.sleep(4)
    clock.settle()
    assert closed == [began + 5]


def test_a_call_inside_a_timed_call_runs_on_a_thread_of_its_own(clock):
    inner = Timeout(2)(threading.get_ident)
    outer = Timeout(5)(lambda: (inner(), threading.get_ident()))
    assert len({*outer(), threading.get_ident()}) == 3


def test_an_answer_and_its_arguments_are_not_kept_by_the_idle_thread(clock):
    import gc
    import weakref

    class Rows:
        pass

    gc.disable()
    try:
        rows = Rows()
        gone = weakref.ref(rows)
        answer = Timeout(5)(lambda rows: rows)(rows)
        clock.settle()
        del rows, answer
        assert gone() is None
    finally:
        gc.enable()


@pytest.mark.parametrize("backend", ["asyncio", "trio"])
def test_a_plain_function_that_is_awaited_may_run_an_event_loop_of_its_own(backend):
    async def sleep():
        await anyio.lowlevel.checkpoint()
        return "cat"

    async def main():
        return await Pipeline(Timeout(60)).acall(anyio.run, sleep)

    assert anyio.run(main, backend=backend) == "cat"


def test_a_worker_thread_does_without_what_tells_the_loops_apart(monkeypatch):
    monkeypatch.setitem(sys.modules, "sniffio", None)
    assert Timeout(60)(str.upper)("cat") == "CAT"
