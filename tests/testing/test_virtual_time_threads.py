"""Threads take turns: their order is the program's, from the start of each to its end."""

import signal
import sys
import threading
import time

import pytest

from resilient_ml.testing import threads as in_threads
from resilient_ml.testing import virtual_time

from .threads_in_turn import Diary, all_threads


def test_threads_wake_in_the_order_of_their_instants_then_of_their_waits():
    with virtual_time():
        diary = Diary()

        def sleeper(name, *naps):
            for nap in naps:
                time.sleep(nap)
                diary.note(name)

        all_threads(
            lambda: sleeper("a", 2, 2),
            lambda: sleeper("b", 1, 3),
            lambda: sleeper("c", 2, 1),
        )
        assert diary == [(1, "b"), (2, "a"), (2, "c"), (3, "c"), (4, "b"), (4, "a")]


def test_a_started_thread_runs_when_its_starter_waits():
    with virtual_time():
        order = []
        thread = threading.Thread(target=order.append, args=("thread",))
        thread.start()
        order.append("starter")
        assert thread.is_alive()
        thread.join()
        assert not thread.is_alive()
        order.append("joined")
    assert order == ["starter", "thread", "joined"]


def test_a_turn_waits_for_a_thread_that_is_slow_to_come():
    with virtual_time() as clock:
        diary, given = Diary(), []

        def until_it_has_the_turn(frame, event, argument):
            if event == "call" and frame.f_code.co_name == "governed_run":
                while clock._holder != 0:  # as long as the turn of whoever is to come is not given
                    nap(0.001)
                given.append(True)

        threading.setprofile(until_it_has_the_turn)
        try:
            thread = threading.Thread(target=lambda: (time.sleep(1), diary.note("thread")))
            thread.start()
        finally:
            threading.setprofile(None)
        time.sleep(2)
        diary.note("starter")
        thread.join()
    assert given == [True]
    assert diary == [(1, "thread"), (2, "starter")]


def nap(seconds, real_sleep=time.sleep):
    real_sleep(seconds)


def test_threads_start_threads():
    with virtual_time():
        diary = Diary()

        def family(depth):
            diary.note(depth)
            if depth < 5:
                child = threading.Thread(target=family, args=(depth + 1,))
                child.start()
                time.sleep(1)
                child.join()
                diary.note(-depth)

        family(1)
    down = [(0, depth) for depth in (1, 2, 3, 4, 5)]
    assert diary == [*down, *[(1, -depth) for depth in (4, 3, 2, 1)]]


def test_a_join_gives_up_in_time():
    with virtual_time() as clock:
        thread = threading.Thread(target=time.sleep, args=(10,))
        thread.start()
        thread.join(timeout=4)
        assert (clock.now(), thread.is_alive()) == (1004.0, True)
        thread.join(timeout=-1)
        thread.join(timeout=0)
        assert clock.now() == 1004.0
        thread.join(timeout=60)
        assert (clock.now(), thread.is_alive()) == (1010.0, False)
        thread.join()


def test_a_thread_is_dead_as_soon_as_its_turn_is_over():
    """However long the system takes: what a program sees must not hang on that."""
    slow, local = threading.Lock(), threading.local()
    slow.acquire()

    class Heavy:
        def __del__(self):
            slow.acquire()

    def work():
        local.heavy = Heavy()

    with virtual_time():
        thread = threading.Thread(target=work)
        thread.start()
        time.sleep(1)
        assert not thread.is_alive()
        slow.release()
        order = []
        other = threading.Thread(target=order.append, args=("other",))
        other.start()
        thread.join()
        order.append("joined, without a turn for others")
        other.join()
    assert order == ["joined, without a turn for others", "other"]


def test_a_thread_that_cannot_be_joined_says_so():
    with virtual_time():
        with pytest.raises(RuntimeError, match="before it is started"):
            threading.Thread().join()
        with pytest.raises(RuntimeError, match="current thread"):
            threading.current_thread().join()


def test_a_thread_starts_once():
    with virtual_time():
        ran = []
        thread = threading.Thread(target=ran.append, args=(1,))
        thread.start()
        with pytest.raises(RuntimeError, match="only be started once"):
            thread.start()
        thread.join()
        with pytest.raises(RuntimeError, match="only be started once"):
            thread.start()
        time.sleep(1)
    assert ran == [1]


def test_a_thread_that_the_system_refuses_leaves_no_turn_behind(monkeypatch):
    def refuse(*args, **kwargs):
        raise RuntimeError("can't start new thread")

    with virtual_time() as clock:
        name = (
            "_start_joinable_thread" if hasattr(threading, "_start_joinable_thread") else "_start_new_thread"
        )
        with monkeypatch.context() as patch:
            patch.setattr(threading, name, refuse)
            with pytest.raises(RuntimeError, match="can't start"):
                threading.Thread(target=time.sleep, args=(1,)).start()
        time.sleep(1)
        all_threads(lambda: time.sleep(1))
        assert clock.now() == 1002.0


def test_a_thread_of_an_own_class_runs_its_own_run():
    class Worker(threading.Thread):
        def run(self):
            time.sleep(5)
            self.answer = time.monotonic()

    with virtual_time():
        worker = Worker()
        worker.start()
        worker.join()
    assert worker.answer == 1005.0


def test_a_thread_made_before_the_block_is_governed_if_it_starts_there():
    thread = threading.Thread(target=lambda: time.sleep(3600))
    with virtual_time() as clock:
        thread.start()
        thread.join()
        assert clock.now() == 4600.0


def test_an_error_is_shown_in_its_threads_turn(monkeypatch):
    with virtual_time():
        diary = Diary()

        def shown(args):
            time.sleep(1)
            diary.note((args.exc_type, args.thread.name))

        def breaks():
            raise LookupError("gone")

        monkeypatch.setattr(threading, "excepthook", shown)
        threads = [threading.Thread(target=breaks, name=f"breaks {number}") for number in (1, 2)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
            diary.note(f"{thread.name} has ended")
    assert diary == [
        (1, (LookupError, "breaks 1")),
        (1, "breaks 1 has ended"),
        (1, (LookupError, "breaks 2")),
        (1, "breaks 2 has ended"),
    ]


def test_a_thread_may_exit(monkeypatch):
    monkeypatch.setattr(threading, "excepthook", threading.__excepthook__)
    with virtual_time() as clock:

        def leaves():
            time.sleep(1)
            sys.exit(3)

        all_threads(leaves)
        assert clock.now() == 1001.0


def test_a_timer_fires_at_its_instant_unless_it_is_cancelled():
    with virtual_time():
        diary = Diary()
        timers = [threading.Timer(seconds, diary.note, (seconds,)) for seconds in (5, 2, 9)]
        for timer in timers:
            timer.start()
        time.sleep(6)
        timers[2].cancel()
        for timer in timers:
            timer.join()
        diary.note("end")
    assert diary == [(2, 2), (5, 5), (6, "end")]


def test_each_thread_has_its_own_locals():
    with virtual_time():
        local = threading.local()
        seen = []

        def work(number):
            local.number = number
            time.sleep(10 - number)
            seen.append(local.number)

        all_threads(*[lambda number=number: work(number) for number in range(5)])
        assert not hasattr(local, "number")
    assert seen == [4, 3, 2, 1, 0]


def test_a_finalizer_of_what_is_local_to_a_thread_may_wait_for_another(monkeypatch):
    monkeypatch.setattr(in_threads, "MOMENT", 0.05)
    with virtual_time():
        lock = threading.Lock()
        local = threading.local()
        closed = []

        class Connection:
            def __del__(self):
                with lock:  # in the thread's last moments, when it has no turn any more
                    closed.append(threading.get_ident())

        def work():
            local.connection = Connection()

        def holder():
            with lock:
                time.sleep(1)

        first = threading.Thread(target=holder)
        first.start()
        all_threads(work)
        first.join()
    assert len(closed) == 1


def test_a_daemon_is_governed_too():
    with virtual_time() as clock:
        all_threads(lambda: time.sleep(100), daemon=True)
        assert clock.now() == 1100.0


def test_a_thread_that_nobody_joins_goes_on_in_its_turn():
    with virtual_time():
        diary = Diary()

        def ticks():
            for _ in range(3):
                time.sleep(1)
                diary.note("tick")

        threading.Thread(target=ticks).start()
        time.sleep(2.5)
        diary.note("main")
        time.sleep(1)
    assert diary == [(1, "tick"), (2, "tick"), (2.5, "main"), (3, "tick")]


def test_an_interrupt_ends_a_wait_and_loses_no_turn():
    def hit(signum, frame):
        raise KeyboardInterrupt

    before = signal.signal(signal.SIGINT, hit)
    try:
        with virtual_time() as clock:
            lock, held = threading.Lock(), threading.Event()
            interrupted = threading.Event()

            def holder():
                with lock:
                    held.set()
                    time.sleep(1)
                    signal.pthread_kill(threading.main_thread().ident, signal.SIGINT)
                    interrupted.wait()

            thread = threading.Thread(target=holder)
            thread.start()
            held.wait()
            with pytest.raises(KeyboardInterrupt):
                lock.acquire()
            interrupted.set()
            thread.join()
            assert lock.acquire(timeout=1)
            time.sleep(5)
            assert clock.now() == 1006.0
    finally:
        signal.signal(signal.SIGINT, before)


def test_everybody_settles_while_the_clock_stands_still():
    with virtual_time() as clock:
        steps = []

        def work(name):
            for step in range(3):
                steps.append((name, step))
                time.sleep(0)
            time.sleep(1)
            steps.append((name, "late"))

        threads = [threading.Thread(target=work, args=(name,)) for name in "ab"]
        for thread in threads:
            thread.start()
        clock.settle()
        assert clock.now() == 1000.0
        assert steps == [(name, step) for step in range(3) for name in "ab"]
        for thread in threads:
            thread.join()
        assert steps[-2:] == [("a", "late"), ("b", "late")]


def test_a_thousand_threads_take_their_turns():
    with virtual_time() as clock:
        woken = []

        def sleeper(number):
            time.sleep(1 + number % 10)
            woken.append(number)

        all_threads(*[lambda number=number: sleeper(number) for number in range(1000)])
        assert clock.now() == 1010.0
    assert woken == sorted(range(1000), key=lambda number: (number % 10, number))
