"""What the clock cannot see: C code that waits, other processes, threads that it does not govern."""

import _thread
import asyncio
import contextlib
import os
import socket
import subprocess
import sys
import threading
import time
import warnings

import pytest
import trio

from resilient_ml.testing import VirtualTimeStuck, _kernel, turns, virtual_time
from resilient_ml.testing._kernel import LOOKS, Sleepers

from .threads_in_turn import Diary, all_threads

ANSWER_LATE = [sys.executable, "-c", "import time; time.sleep(0.1); print('answer')"]


# -- locks and calls that wait in the kernel ------------------------------------------------------------


def test_a_lock_made_before_the_block_is_waited_for_in_the_kernel():
    lock = threading.Lock()
    with virtual_time():
        diary = Diary()

        def holder():
            with lock:
                time.sleep(10)
                diary.note("holder")
            time.sleep(1)
            diary.note("end")

        def waits():
            time.sleep(5)
            with lock:
                diary.note("waiter")

        all_threads(holder, waits)
    assert diary == [(10, "holder"), (10, "waiter"), (11, "end")]


def test_whoever_holds_what_the_kernel_waits_for_may_be_the_next_to_start():
    lock = threading.Lock()
    lock.acquire()
    with virtual_time():
        thread = threading.Thread(target=lock.release)
        thread.start()
        lock.acquire()  # nobody has waited on the clock so far
        thread.join()


def test_time_stands_still_until_what_woke_from_the_kernel_waits_again():
    near, far = socket.socketpair()
    with virtual_time(), near, far:
        diary = Diary()

        def serve():
            while question := far.recv(100):
                time.sleep(0.5)
                diary.note(question)
                far.send(b"!")

        thread = threading.Thread(target=serve)
        thread.start()
        for number in range(3):
            time.sleep(10)
            near.send(b"%d" % number)
            time.sleep(20)
            diary.note("asked")
            assert near.recv(100) == b"!"
        near.shutdown(socket.SHUT_WR)
        thread.join()
    assert diary == [
        (10.5, b"0"), (30, "asked"), (40.5, b"1"), (60, "asked"), (70.5, b"2"), (90, "asked")
    ]  # fmt: skip


def test_settling_waits_for_who_has_left_the_kernel():
    near, far = socket.socketpair()
    with virtual_time() as clock, near, far:
        heard = []

        def listen():
            while word := far.recv(100):
                heard.append(sum(range(10_000)) and word)

        thread = threading.Thread(target=listen)
        thread.start()
        clock.settle()
        for number in range(3):
            near.send(b"%d" % number)
            clock.settle()
            assert heard[-1] == b"%d" % number
        near.close()
        thread.join()


def test_a_thread_that_the_kernel_holds_for_ever_is_named_at_the_end():
    near, far = socket.socketpair()
    thread = threading.Thread(target=near.recv, args=(1,), name="the listener")

    def block():
        with virtual_time() as clock:
            thread.start()
            clock.settle()

    with near, far:
        with pytest.warns(RuntimeWarning, match="has ended and the listener still runs; end the threads"):
            block()
        far.send(b"!")
        thread.join()


# -- other processes ------------------------------------------------------------------------------------


def test_a_held_clock_waits_for_another_process():
    with virtual_time() as clock:
        diary, stop = Diary(), threading.Event()

        def ticks():
            while not stop.wait(1):
                diary.note("tick")

        thread = threading.Thread(target=ticks)
        thread.start()
        time.sleep(1.5)
        with clock.hold():
            assert subprocess.run(ANSWER_LATE, capture_output=True, check=True).stdout == b"answer\n"
            assert clock.now() == 1001.5
        time.sleep(1)
        stop.set()
        thread.join()
    assert diary == [(1, "tick"), (2, "tick")]


def test_a_held_clock_waits_for_a_process_of_a_loop():
    async def main():
        with clock.hold():
            process = await asyncio.create_subprocess_exec(*ANSWER_LATE, stdout=subprocess.PIPE)
            async with asyncio.timeout(0.001):
                answer, _ = await process.communicate()
        return answer

    with virtual_time() as clock:
        assert asyncio.run(main()) == b"answer\n"
        assert clock.now() == 1000.0


def test_the_limit_of_a_process_is_real():
    with virtual_time() as clock, clock.hold():
        with subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE) as process:
            with pytest.raises(subprocess.TimeoutExpired):
                process.wait(timeout=0.05)
            process.communicate(b"\n")
        assert clock.now() == 1000.0


def test_a_forked_process_has_the_clock_to_itself():
    with virtual_time() as clock:
        read, write = os.pipe()
        time.sleep(5)
        child = os.fork()
        if child == 0:
            with contextlib.suppress(BaseException):
                began = time.monotonic()
                all_threads(lambda: time.sleep(60), lambda: time.sleep(3600))
                lock = threading.Lock()
                asyncio.run(asyncio.sleep(1))
                all_threads(*[lambda: lock.acquire(timeout=1)] * 2)
                os.write(write, f"{began} {time.monotonic()}".encode())
            os._exit(0)
        with clock.hold():
            os.waitpid(child, 0)
        assert os.read(read, 100) == b"1005.0 4607.0"
        assert clock.now() == 1005.0
        os.close(read)
        os.close(write)


def test_a_process_forked_by_a_thread_goes_on_without_the_others():
    with virtual_time() as clock:
        statuses = []

        def forks():
            time.sleep(1)
            child = _fork()
            if child == 0:
                ended = time.monotonic() == 1001.0
                all_threads(lambda: time.sleep(9))
                os._exit(7 if ended and time.monotonic() == 1010.0 else 1)
            with clock.hold():
                statuses.append(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))

        all_threads(forks, lambda: time.sleep(100))
        assert statuses == [7]


def _fork():
    with warnings.catch_warnings():  # Python 3.12 tells of the other threads, whose fate is tested here
        warnings.simplefilter("ignore", DeprecationWarning)
        return os.fork()


def test_a_process_forked_by_a_stranger_is_in_real_time():
    go, statuses = _thread.allocate_lock(), []
    go.acquire()

    def forks():
        with go:
            child = _fork()
        if child == 0:
            began = time.monotonic()
            time.sleep(0)
            os._exit(0 if 0 <= time.monotonic() - began < 1e6 and began > 0 else 1)
        statuses.append(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))

    stranger = threading.Thread(target=forks)
    stranger.start()
    with virtual_time(start=-1e9) as clock:
        go.release()
        with clock.hold():
            stranger.join()
    assert statuses == [0]


# -- threads that it does not govern --------------------------------------------------------------------


def test_threads_from_before_the_block_keep_real_time():
    asked, answers = _thread.allocate_lock(), []
    asked.acquire()

    def stranger():
        with asked:
            answers.append(time.monotonic())
            time.sleep(0.001)
            answers.append(time.monotonic())
            child = threading.Thread(target=lambda: answers.append(time.monotonic()))
            child.start()
            child.join()
            answers.append(asyncio.run(loop_time()))
            trio.run(trio.sleep, 0.001)
            answers.append(time.monotonic())

    async def loop_time():
        await asyncio.sleep(0.001)
        return asyncio.get_running_loop().time()

    before = time.monotonic()
    thread = threading.Thread(target=stranger)
    thread.start()
    with virtual_time(start=-1e9) as clock:
        asked.release()
        with clock.hold():
            thread.join()
        assert clock.now() == -1e9
    assert before < answers[0] < answers[1] <= answers[2] < answers[3] < answers[4]


def test_a_thread_from_before_the_block_wakes_who_waits_in_it():
    asked = _thread.allocate_lock()
    asked.acquire()
    things = {}

    def stranger():
        with asked:
            things["event"].set()
            things["queue"].append("word")
            with things["condition"]:
                things["condition"].notify()

    thread = threading.Thread(target=stranger)
    thread.start()
    with virtual_time() as clock:
        things |= {"event": threading.Event(), "queue": [], "condition": threading.Condition()}
        with clock.hold(), things["condition"]:
            asked.release()
            assert things["event"].wait(timeout=0.001)
            assert things["condition"].wait_for(lambda: things["queue"], timeout=0.001) == ["word"]
        assert clock.now() == 1000.0
        thread.join()


# -- nobody can go on -----------------------------------------------------------------------------------


def test_when_nobody_can_go_on_the_first_thread_is_told_where_all_wait():
    with virtual_time(stuck_seconds=0.05):
        lock, event = threading.Lock(), threading.Event()

        def holds_for_ever():
            with lock:
                event.wait()

        thread = threading.Thread(target=holds_for_ever, name="the holder")
        thread.start()
        threading.Thread(target=event.wait, name="the other").start()
        with pytest.raises(VirtualTimeStuck) as stuck:
            thread.join()
        said = str(stuck.value)
        assert said.startswith("every thread has waited for 0.05 s of real time and no timer is set: ")
        assert "MainThread in test_when_nobody_can_go_on_the_first_thread_is_told_where_all_wait (" in said
        assert "the holder in holds_for_ever (" in said
        assert f"{__file__}:" in said
        assert ", the other; let one of them set" in said
        assert said.endswith("wait for it in `with clock.hold():`")
        event.set()
        thread.join()


def test_where_the_first_thread_cannot_be_told_another_is(monkeypatch):
    told = []
    before = threading.Lock()
    monkeypatch.setattr(threading, "excepthook", lambda args: told.append(args.exc_type))
    with virtual_time(stuck_seconds=0.05):

        def holds_for_ever():
            with before:
                threading.Event().wait()

        thread = threading.Thread(target=holds_for_ever)
        thread.start()
        time.sleep(1)
        before.acquire()
        thread.join()
    assert told == [VirtualTimeStuck]


def test_nobody_is_stuck_while_a_thread_from_the_kernel_works():
    near, far = socket.socketpair()
    done = []

    def works():
        near.recv(1)
        until = turns._real_monotonic() + 0.3
        while turns._real_monotonic() < until:
            pass
        done[0].set()

    with virtual_time(stuck_seconds=0.1) as clock, near, far:
        done.append(threading.Event())
        thread = threading.Thread(target=works)
        thread.start()
        clock.settle()
        far.send(b"!")
        done[0].wait()
        thread.join()
        assert clock.now() == 1000.0


def test_the_pause_that_counts_begins_when_nobody_works_any_more():
    asked = _thread.allocate_lock()
    asked.acquire()
    done = []

    def stranger():
        with asked:
            done[0].set()

    thread = threading.Thread(target=stranger)
    thread.start()
    with virtual_time(stuck_seconds=0.2):
        done.append(threading.Event())
        all_threads(lambda: time.sleep(1))
        until = turns._real_monotonic() + 0.3
        while turns._real_monotonic() < until:
            pass
        asked.release()
        done[0].wait()
        thread.join()


# -- what the system tells ------------------------------------------------------------------------------


STATUS = (
    "Name:\tpython\nState:\t{}\nThreads:\t3\nvoluntary_ctxt_switches:\t{}\nnonvoluntary_ctxt_switches:\t4\n"
)


@pytest.fixture
def system(monkeypatch):
    """What the system will say."""
    texts = []

    def status_of(native_id):
        assert native_id == 17
        return (texts.pop(0) if len(texts) > 1 else texts[0]).encode()

    monkeypatch.setattr(_kernel, "_status_of", status_of)
    return texts


def seen_of(system, *texts):
    sleepers = Sleepers()
    for text in texts:
        system[:] = [text]
        sleepers.look(17)
    return sleepers.sleeps(17)


def test_who_stays_in_one_sleep_for_several_looks_sleeps(system):
    asleep = STATUS.format("S (sleeping)", 9)
    assert not seen_of(system, *[asleep] * LOOKS)
    assert seen_of(system, *[asleep] * (LOOKS + 1))


def test_a_thread_that_is_given_the_id_of_one_that_ended_is_looked_at_anew(system):
    sleepers = Sleepers()
    system[:] = [STATUS.format("S (sleeping)", 9)]
    for _ in range(LOOKS + 1):
        sleepers.look(17)
    sleepers.forget(17)
    sleepers.forget(18)
    assert not sleepers.sleeps(17)


def test_who_has_moved_since_the_last_look_does_not_sleep(system):
    asleep, moved = STATUS.format("S (sleeping)", 9), STATUS.format("S (sleeping)", 10)
    sleepers = Sleepers()
    for _ in range(LOOKS + 1):
        system[:] = [asleep]
        sleepers.look(17)
    system[:] = [moved]
    assert not sleepers.sleeps(17)
    system[:] = [asleep]
    assert sleepers.sleeps(17)
    sleepers.look(17)
    system[:] = [STATUS.format("R (running)", 9)]
    assert not sleepers.sleeps(17)


@pytest.mark.parametrize(
    "text",
    [
        STATUS.format("R (running)", 9),
        STATUS.format("D (disk sleep)", 9),
        "State:\tS (sleeping)\n",  # no counts: two sleeps would look like one
        "nonsense",
        "",
    ],
)
def test_who_is_not_known_to_sleep_runs(system, text):
    assert not seen_of(system, *[text] * (LOOKS + 3))


def test_a_thread_that_has_ended_does_not_sleep():
    thread = threading.Thread(target=list)
    thread.start()
    thread.join()
    sleepers = Sleepers()
    for _ in range(LOOKS + 1):
        sleepers.look(thread.native_id)
    assert not sleepers.sleeps(thread.native_id)


def test_a_thread_never_looked_at_runs(system):
    assert not Sleepers().sleeps(17)


def test_a_thread_that_is_gone_is_not_asleep():
    gone = 2**22 + 1  # above the greatest id that Linux gives
    sleepers = Sleepers()
    for _ in range(LOOKS + 2):
        sleepers.look(gone)
    assert _kernel._status_of(gone) == b""
    assert not sleepers.sleeps(gone)
