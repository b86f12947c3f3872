"""The block itself: what it replaces and puts back, how it ends, and that nothing is left of it."""

import asyncio
import concurrent.futures.thread
import contextlib
import gc
import os
import queue
import selectors
import subprocess
import sys
import textwrap
import threading
import time
import warnings

import pytest
import trio
import trio._core._run as trio_run
import trio._core._thread_cache as trio_threads

from resilient_ml import Timeout, deadline, remaining
from resilient_ml._ambient import Clock
from resilient_ml._drivers import workers
from resilient_ml._drivers.blocking import PlainCall
from resilient_ml.testing import VirtualTimeOver, ending, turns, virtual_time
from resilient_ml.testing.ending import is_the_end
from resilient_ml.testing.watchdog import Watchdog

from .threads_in_turn import all_threads


def everything_replaced():
    places = [vars(module) for module in (time, threading, queue, selectors, asyncio.base_events)]
    places += [vars(module) for module in (concurrent.futures.thread, trio_run, subprocess)]
    places += [vars(kind) for kind in (threading.Thread, asyncio.BaseEventLoop, Clock, PlainCall)]
    places += [vars(kind) for kind in (selectors.EpollSelector, selectors.SelectSelector)]
    places += [vars(kind) for kind in (trio_run.SystemClock, trio_run.TheIOManager, trio_threads.ThreadCache)]
    return [dict(place) for place in places] + [{"idle": workers._pool.idle}]


def changed(before):
    return [
        name
        for was, now in zip(before, everything_replaced(), strict=True)
        for name in was.keys() | now.keys()
        if was.get(name) is not now.get(name)
    ]


def test_everything_is_put_back():
    before = everything_replaced()
    with virtual_time():
        names = changed(before)
    assert changed(before) == []
    assert {
        "sleep",
        "monotonic",
        "time_ns",
        "perf_counter",
        "Lock",
        "RLock",
        "SimpleQueue",
        "start",
        "is_alive",
    } <= set(names)
    assert {"select", "current_time", "get_events", "idle", "now", "wall", "join"} <= set(names)


@pytest.mark.parametrize("error", [LookupError, KeyboardInterrupt, GeneratorExit])
def test_everything_is_put_back_when_the_block_is_broken(error):
    before = everything_replaced()
    with pytest.raises(error), virtual_time():
        raise error
    assert changed(before) == []
    with virtual_time() as clock:
        time.sleep(1)
        assert clock.now() == 1001.0


def test_everything_is_put_back_when_the_block_cannot_begin():
    before = everything_replaced()
    with pytest.raises(ValueError, match="seed must be at least 0"), virtual_time(seed=-1):
        pass
    assert changed(before) == []


def test_the_clocks_of_guarded_calls_are_virtual():
    class Inherits(PlainCall):
        __slots__ = ()

    with virtual_time() as clock:
        with pytest.raises(TimeoutError):
            Timeout(10)(time.sleep)(60)
        assert clock.now() == PlainCall.now() == Inherits.now() == 1010.0
        assert (Clock.now(), Clock.wall()) == (1010.0, clock.wall())
        with deadline(5):
            assert remaining() == 5
    assert Inherits.now is PlainCall.now is time.monotonic


def test_there_is_one_virtual_time_at_a_time():
    with virtual_time() as clock:
        with pytest.raises(RuntimeError, match="runs already in this process; use the clock of the outer"):
            virtual_time().__enter__()
        refused = []

        def second():
            try:
                virtual_time().__enter__()
            except RuntimeError as error:
                refused.append(error)

        all_threads(second)
        assert len(refused) == 1
        time.sleep(1)
        assert clock.now() == 1001.0


# -- the end --------------------------------------------------------------------------------------------


def test_threads_that_still_wait_are_ended():
    ends = []

    def waits(how):
        try:
            how()
        except BaseException as error:
            ends.append(type(error))
            raise

    with virtual_time():
        lock, event, words = threading.Lock(), threading.Event(), queue.SimpleQueue()
        lock.acquire()
        ways = [
            lambda: time.sleep(1e9),
            event.wait,
            words.get,
            lock.acquire,
            lambda: lock.acquire(timeout=99),
        ]
        ways += [threading.Barrier(2).wait, threading.Thread(target=event.wait).start]
        threads = [threading.Thread(target=waits, args=(how,)) for how in ways]
        for thread in threads:
            thread.start()
        time.sleep(1)
    assert ends == [VirtualTimeOver] * 6
    assert not any(thread.is_alive() for thread in threads)


def test_a_thread_that_never_had_its_turn_begins_at_the_end():
    steps = []

    def work():
        steps.append("begun")
        time.sleep(1)
        steps.append("went on")

    with virtual_time():
        threading.Thread(target=work).start()
    assert steps == ["begun"]


def test_what_a_thread_does_on_its_way_out_may_wait():
    steps = []

    def work():
        try:
            time.sleep(1e9)
        finally:
            began = time.monotonic()
            time.sleep(5)
            helper = threading.Thread(target=lambda: steps.append("helped"))
            helper.start()
            helper.join()
            steps.append(time.monotonic() - began)

    with virtual_time() as clock:
        threading.Thread(target=work).start()
        clock.settle()
    assert steps == ["helped", 5.0]


def test_threads_leave_a_condition_one_after_the_other():
    errors = []

    def waits():
        try:
            with condition:
                condition.wait()
        except BaseException as error:
            errors.append(error)
            raise

    def holds():
        time.sleep(1)
        with condition:
            time.sleep(1e9)

    with virtual_time():
        condition = threading.Condition()
        for work in (waits, waits, holds):
            threading.Thread(target=work).start()
        time.sleep(5)
    assert [type(error) for error in errors] == [VirtualTimeOver] * 2


def test_errors_that_come_of_the_end_are_not_shown(monkeypatch):
    shown = []
    monkeypatch.setattr(threading, "excepthook", lambda args: shown.append(args.exc_type))

    def wraps():
        try:
            time.sleep(1e9)
        except BaseException as error:
            raise ValueError("broken off") from error

    def another():
        try:
            time.sleep(1e9)
        finally:
            raise LookupError

    with virtual_time() as clock:
        for work in (wraps, another):
            threading.Thread(target=work).start()
        clock.settle()
    assert shown == []


def test_the_end_is_known_in_whatever_it_is_wrapped():
    over = VirtualTimeOver()
    group = BaseExceptionGroup("several", [ValueError(), over])
    assert is_the_end(over)
    assert is_the_end(group)
    assert not is_the_end(BaseExceptionGroup("several", [ValueError(), LookupError()]))
    assert not is_the_end(None)


def test_a_thread_that_will_not_end_is_named(monkeypatch):
    monkeypatch.setattr(turns.Turns.close, "__kwdefaults__", {"seconds": 0.05})
    stop = []

    def stubborn():
        while not stop:
            with contextlib.suppress(BaseException):
                time.sleep(0.01)

    def block():
        with virtual_time() as clock:
            thread.start()
            clock.settle()

    thread = threading.Thread(target=stubborn, name="stubborn")
    with pytest.warns(
        RuntimeWarning, match="virtual time has ended and stubborn still runs; end the threads"
    ):
        block()
    stop.append(True)
    thread.join()


def test_who_waits_on_while_another_will_not_end_is_let_go(monkeypatch):
    monkeypatch.setattr(turns.Turns.close, "__kwdefaults__", {"seconds": 0.3})
    near, far = os.pipe()
    busy, ends = [True], []

    def works():
        os.read(near, 1)
        while busy:
            pass

    def waits():
        try:
            time.sleep(1e9)
        finally:
            forever = threading.Event()
            try:
                forever.wait()
            finally:
                ends.append("let go")

    def block():
        with virtual_time() as clock:
            worker.start()
            waiter.start()
            clock.settle()
            os.write(far, b"!")

    worker = threading.Thread(target=works, name="busy")
    waiter = threading.Thread(target=waits, name="waiter")
    with pytest.warns(RuntimeWarning, match="has ended and busy, waiter still runs"):
        block()
    busy.clear()
    waiter.join()
    worker.join()
    os.close(near)
    os.close(far)
    assert ends == ["let go"]


def test_the_error_of_the_block_is_not_hidden_by_threads_that_are_left():
    near, far = os.pipe()
    with pytest.raises(LookupError), virtual_time() as clock:
        thread = threading.Thread(target=os.read, args=(near, 1))
        thread.start()
        clock.settle()
        raise LookupError
    os.write(far, b"!")
    thread.join()
    os.close(near)
    os.close(far)


# -- nothing is left ------------------------------------------------------------------------------------


def test_two_hundred_blocks_leave_nothing_behind():
    async def main():
        await asyncio.gather(asyncio.to_thread(time.sleep, 1), asyncio.sleep(2))

    async def trio_main():
        await trio.to_thread.run_sync(time.sleep, 1)

    def block():
        with virtual_time():
            asyncio.run(main())
            trio.run(trio_main)
            all_threads(lambda: time.sleep(1))
            threading.Thread(target=time.sleep, args=(1,)).start()

    block()
    gc.collect()
    counts = threading.active_count(), len(os.listdir("/proc/self/fd"))
    clocks = sum(isinstance(one, turns.Turns) for one in gc.get_objects())
    for _ in range(200):
        block()
    gc.collect()
    assert (threading.active_count(), len(os.listdir("/proc/self/fd"))) == counts
    assert sum(isinstance(one, turns.Turns) for one in gc.get_objects()) <= clocks


def test_no_thread_of_its_own_is_left_for_a_fork_to_find():
    code = """
        import os, threading, time
        from resilient_ml.testing import virtual_time
        for _ in range(20):
            with virtual_time():
                thread = threading.Thread(target=time.sleep, args=(1,))
                thread.start()
                thread.join()
            child = os.fork()
            if child == 0:
                os._exit(0)
            os.waitpid(child, 0)
        print("no warning")
    """
    command = [sys.executable, "-W", "error", "-c", textwrap.dedent(code)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert (done.stdout, done.stderr) == ("no warning\n", "")


def test_no_warning_where_all_threads_have_ended():
    with warnings.catch_warnings(), virtual_time():
        warnings.simplefilter("error")
        all_threads(lambda: time.sleep(1))


def test_the_errors_of_virtual_time_are_public():
    assert ending.VirtualTimeOver is VirtualTimeOver
    assert not issubclass(VirtualTimeOver, Exception)


def test_a_watchdog_looks_until_it_is_stopped():
    looks, seen = [], threading.Event()

    def look():
        looks.append(threading.get_ident())
        if len(looks) == 3:
            seen.set()
        if threading.current_thread() is threading.main_thread() and len(looks) > 5:
            dog._stopping.release()

    dog = Watchdog(look)
    seen.wait()
    dog.stop()
    assert set(looks) == {looks[0]}
    assert looks[0] != threading.get_ident()
    # Once more, here: whoever measures coverage by tracing does not see the loop of a bare thread.
    looks += [None] * 3
    dog._watch()
    assert looks[-1] == threading.get_ident()


def test_a_clock_says_what_time_it_is():
    with virtual_time(start=5.0) as clock:
        time.sleep(1.25)
        assert repr(clock) == "<VirtualClock at 6.250 s>"
