"""Locks, and what is built on them: who waits hands the turn on, and gets it back in order."""

import copy
import gc
import math
import queue
import signal
import threading
import time
import types

import pytest

from resilient_ml.testing import virtual_time
from resilient_ml.testing.quiet_lock import QuietLock

from .threads_in_turn import Diary, all_threads


@pytest.fixture(params=["Lock", "RLock"])
def kind(request):
    return request.param


def test_a_lock_goes_to_whoever_waited_first(kind):
    with virtual_time():
        diary, lock = Diary(), getattr(threading, kind)()

        def work(name):
            with lock:
                diary.note(name)
                time.sleep(1)

        all_threads(*[lambda name=name: work(name) for name in "abcd"])
    assert diary == [(0, "a"), (1, "b"), (2, "c"), (3, "d")]


def test_waiting_for_a_lock_takes_virtual_time(kind):
    with virtual_time():
        diary, lock = Diary(), getattr(threading, kind)()

        def impatient():
            assert not lock.acquire(blocking=False)
            diary.note(lock.acquire(timeout=4))
            diary.note(lock.acquire(timeout=60))
            lock.release()

        with lock:
            thread = threading.Thread(target=impatient)
            thread.start()
            time.sleep(10)
        thread.join()
    assert diary == [(4, False), (10, True)]


def test_a_lock_without_limit_outlasts_any_sleep():
    with virtual_time():
        lock = threading.Lock()
        lock.acquire()
        threading.Timer(1e6, lock.release).start()
        assert lock.acquire(timeout=threading.TIMEOUT_MAX)
        assert time.monotonic() == 1000 + 1e6


def test_a_re_entrant_lock_is_entered_again():
    with virtual_time():
        lock = threading.RLock()
        with lock, lock:
            assert lock.acquire(blocking=False)
            lock.release()
        with pytest.raises(RuntimeError):
            lock.release()


@pytest.mark.parametrize("timeout", [-2, -0.5, math.nan])
def test_a_lock_refuses_a_limit_that_is_none(timeout):
    with virtual_time():
        lock = threading.Lock()
        lock.acquire()
        with pytest.raises(ValueError, match="timeout value must be a non-negative number"):
            lock.acquire(timeout=timeout)
        with pytest.raises(ValueError, match="can't specify a timeout"):
            lock.acquire(False, 1)
        with pytest.raises(RuntimeError):
            threading.Lock().release()


def test_a_lock_made_in_the_block_is_a_lock_afterwards():
    with virtual_time():
        lock = threading.Lock()
        assert repr(lock) == "<unlocked VirtualLock>"
        lock.acquire()
    assert repr(lock) == "<locked VirtualLock>"
    assert not lock.acquire(timeout=0.001)
    with pytest.raises(ValueError, match="timeout value"):
        lock.acquire(timeout=-5)
    lock.release()
    assert not lock.locked()
    with pytest.raises(TypeError):
        copy.deepcopy(lock)


def test_an_interrupted_wait_takes_no_lock():
    class Interruption(BaseException):
        pass

    def hit(signum, frame):
        raise Interruption

    before = signal.signal(signal.SIGUSR1, hit)
    try:
        with virtual_time():
            lock = threading.Lock()
            lock.acquire()

            def interrupter():
                time.sleep(1)
                signal.pthread_kill(threading.main_thread().ident, signal.SIGUSR1)
                lock.release()

            thread = threading.Thread(target=interrupter)
            thread.start()
            with pytest.raises(Interruption):
                lock.acquire()
            thread.join()
            assert lock.acquire(timeout=1)
    finally:
        signal.signal(signal.SIGUSR1, before)


def test_a_condition_wakes_as_many_as_it_is_told_to():
    with virtual_time():
        diary, condition = Diary(), threading.Condition()

        def waiter(name, limit=None):
            with condition:
                diary.note((name, condition.wait(limit)))

        threads = [
            threading.Thread(target=waiter, args=("abcd"[n], (None, None, 5, None)[n])) for n in range(4)
        ]
        for thread in threads:
            thread.start()
        time.sleep(1)
        with condition:
            condition.notify()
        time.sleep(6)
        with condition:
            condition.notify_all()
        for thread in threads:
            thread.join()
    assert diary == [(1, ("a", True)), (5, ("c", False)), (7, ("b", True)), (7, ("d", True))]


def test_a_condition_waits_for_what_it_is_told():
    with virtual_time():
        condition, numbers = threading.Condition(), []

        def count():
            for number in range(10):
                time.sleep(1)
                with condition:
                    numbers.append(number)
                    condition.notify_all()

        threading.Thread(target=count).start()
        with condition:
            assert condition.wait_for(lambda: len(numbers) == 7, timeout=60)
            assert time.monotonic() == 1007
            assert not condition.wait_for(lambda: len(numbers) == 11, timeout=60)
            assert time.monotonic() == 1067


def test_an_event_wakes_everybody_at_its_instant():
    with virtual_time():
        diary, event = Diary(), threading.Event()
        threading.Timer(3, event.set).start()
        all_threads(
            lambda: diary.note(("a", event.wait())),
            lambda: diary.note(("b", event.wait(2))),
            lambda: diary.note(("c", event.wait(4))),
        )
    assert diary == [(2, ("b", False)), (3, ("a", True)), (3, ("c", True))]


def test_a_semaphore_lets_so_many_in():
    with virtual_time():
        diary, semaphore = Diary(), threading.BoundedSemaphore(2)

        def work(name):
            with semaphore:
                time.sleep(1)
                diary.note(name)

        all_threads(*[lambda name=name: work(name) for name in "abcde"])
        assert not [semaphore.acquire(timeout=1) for _ in range(3)][2]
    assert diary == [(1, "a"), (1, "b"), (2, "c"), (2, "d"), (3, "e")]


def test_a_barrier_waits_for_the_last_and_breaks_in_time():
    with virtual_time():
        diary, barrier = Diary(), threading.Barrier(3)

        def meet(name, delay):
            time.sleep(delay)
            try:
                barrier.wait(timeout=5)
                diary.note(name)
            except threading.BrokenBarrierError:
                diary.note("broken")

        all_threads(*[lambda delay=delay: meet(delay, delay) for delay in (1, 2, 4)])
        assert diary == [(4, 4), (4, 1), (4, 2)]
        meet("alone", 1)
        assert diary[-1] == (10, "broken")


@pytest.mark.parametrize(
    ("kind", "out"),
    [(queue.Queue, [3, 1, 2]), (queue.LifoQueue, [2, 1, 3]), (queue.PriorityQueue, [1, 2, 3])],
)
def test_a_queue_hands_over_in_its_order_and_in_time(kind, out):
    with virtual_time() as clock:
        items, put = kind(maxsize=3), []

        def produce():
            for item in (3, 1, 2, 9):
                items.put(item)
                put.append((item, clock.now()))

        thread = threading.Thread(target=produce)
        thread.start()
        time.sleep(1)
        with pytest.raises(queue.Full):
            items.put(0, timeout=2)
        assert [items.get(timeout=1)] == out[:1]
        thread.join()
        assert put == [(3, 1000.0), (1, 1000.0), (2, 1000.0), (9, 1003.0)]
        assert sorted(items.get() for _ in range(3)) == sorted([*out[1:], 9])
        with pytest.raises(queue.Empty):
            items.get(timeout=7.5)
        assert clock.now() == 1010.5


def test_a_queue_is_joined_when_its_work_is_done():
    with virtual_time() as clock:
        items = queue.Queue()

        def work():
            while (item := items.get()) is not None:
                time.sleep(item)
                items.task_done()

        thread = threading.Thread(target=work)
        thread.start()
        for item in (1, 2, 3):
            items.put(item)
        items.join()
        assert clock.now() == 1006.0
        items.put(None)
        thread.join()


def test_a_simple_queue_hands_over_in_time():
    with virtual_time():
        diary, items = Diary(), queue.SimpleQueue()
        items.put("first")
        assert items.get() == items_left(items, "first")
        with pytest.raises(queue.Empty):
            items.get(timeout=2)
        with pytest.raises(queue.Empty):
            items.get(block=False)
        with pytest.raises(queue.Empty):
            items.get_nowait()
        with pytest.raises(ValueError, match="'timeout' must be a non-negative number, got -1"):
            items.get(timeout=-1)

        def take(name):
            diary.note((name, items.get()))

        threads = [threading.Thread(target=take, args=(name,)) for name in "abc"]
        for thread in threads:
            thread.start()
        for item in range(3):
            time.sleep(1)
            items.put(item)
        for thread in threads:
            thread.join()
    assert diary == [(3, ("a", 0)), (4, ("b", 1)), (5, ("c", 2))]
    items.put("later")
    assert isinstance(items, queue.SimpleQueue)
    assert items.get(timeout=1) == "later"


def items_left(items, first):
    assert items.empty()
    assert items.qsize() == 0
    return first


def test_a_finalizer_may_put_into_a_simple_queue_while_it_is_in_use():
    class Last:
        def __init__(self):
            self.me = self

        def __del__(self):
            items.put("last words")

    with virtual_time():
        items = queue.SimpleQueue()
        before = gc.get_threshold()
        gc.set_threshold(1)
        try:

            def rubbish():
                for _ in range(50):
                    Last()
                    time.sleep(0)
                    items.put("word")

            threads = [threading.Thread(target=rubbish) for _ in range(3)]
            for thread in threads:
                thread.start()
            heard = [items.get() for _ in range(150)]
            for thread in threads:
                thread.join()
        finally:
            gc.set_threshold(*before)
        gc.collect()
        heard += [items.get() for _ in range(items.qsize())]
    assert (heard.count("word"), heard.count("last words")) == (150, 150)


def test_a_finalizer_may_wait_for_a_lock_wherever_it_runs():
    closed = []

    class Connection:
        def __init__(self):
            self.me = self

        def __del__(self):
            with lock:
                closed.append(None)

    with virtual_time():
        # Re-entrant: which thread collects is luck, and who holds a plain one would wait for itself.
        lock = threading.RLock()
        before = gc.get_threshold()
        gc.set_threshold(1)
        try:

            def holder():
                for _ in range(100):
                    with lock:
                        time.sleep(0.5)
                    time.sleep(0.25)

            def rubbish():
                for _ in range(100):
                    Connection()
                    time.sleep(0.1)

            all_threads(holder, rubbish, rubbish)
        finally:
            gc.set_threshold(*before)
        gc.collect()
    assert len(closed) == 200


def test_no_garbage_is_collected_while_turns_change_hands():
    lock = QuietLock()
    assert gc.isenabled()
    with lock:
        assert not gc.isenabled()
        with lock:
            assert not gc.isenabled()
        assert not gc.isenabled()
    assert gc.isenabled()
    gc.disable()
    try:
        with lock:
            assert not gc.isenabled()
        assert not gc.isenabled()
    finally:
        gc.enable()


def test_the_collector_is_on_again_after_whoever_leaves_last():
    lock = QuietLock()
    inside, leave = threading.Event(), threading.Event()

    def first():
        with lock:
            inside.set()
            leave.wait()

    def second():
        leave.set()
        with lock:
            assert not gc.isenabled()

    threads = [threading.Thread(target=first), threading.Thread(target=second)]
    threads[0].start()
    inside.wait()
    threads[1].start()
    for thread in threads:
        thread.join()
    assert gc.isenabled()


def test_test_runners_have_real_locks():
    runner = types.ModuleType("coverage.collector")
    exec("import threading\ndef make(kind):\n    return getattr(threading, kind)()\n", runner.__dict__)
    with virtual_time():
        assert [type(runner.make(kind)) for kind in ("Lock", "RLock")] == REAL_KINDS
        assert type(threading.Lock()) not in REAL_KINDS


REAL_KINDS = [type(threading.Lock()), type(threading.RLock())]
