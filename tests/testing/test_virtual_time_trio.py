"""trio in virtual time, in its own mode and as a guest; anyio on both."""

import asyncio
import gc
import hashlib
import math
import queue
import subprocess
import sys
import textwrap
import threading
import time
from functools import partial

import anyio
import anyio.from_thread
import anyio.to_thread
import pytest
import trio
import trio.testing

from resilient_ml.testing import VirtualTimeOver, trio_runs, turns, virtual_time

from .threads_in_turn import Diary, all_threads

BACKENDS = ["asyncio", "trio"]


def test_tasks_sleep_to_the_exact_instant():
    async def main():
        diary = Diary()

        async def work(name, *naps):
            for nap in naps:
                await trio.sleep(nap)
                diary.note(name)

        async with trio.open_nursery() as nursery:
            nursery.start_soon(work, "a", 2, 2)
            nursery.start_soon(work, "b", 1, 3600)
            nursery.start_soon(work, "c", 86400 * 3)
        return diary, trio.current_time()

    with virtual_time():
        diary, now = trio.run(main)
    assert diary == [(1, "b"), (2, "a"), (4, "a"), (3601, "b"), (86400 * 3, "c")]
    assert now == 1000.0 + 86400 * 3


def test_limits_end_waits_in_time():
    async def main():
        with trio.move_on_after(2.5) as scope:
            await trio.sleep_forever()
        assert scope.cancelled_caught
        assert trio.current_time() == 1002.5
        with pytest.raises(trio.TooSlowError), trio.fail_at(1010.1):
            await trio.Event().wait()
        assert trio.current_time() == 1010.1
        with trio.fail_after(math.inf):
            await trio.lowlevel.checkpoint()

    with virtual_time():
        trio.run(main)


def test_all_tasks_blocked_takes_no_time():
    async def main():
        async with trio.open_nursery() as nursery:
            nursery.start_soon(trio.sleep, 10)
            await trio.testing.wait_all_tasks_blocked()
            assert trio.current_time() == 1000.0
            await trio.testing.wait_all_tasks_blocked(0.25)
            assert trio.current_time() == 1000.25

    with virtual_time():
        trio.run(main)


def test_threads_of_a_run_take_turns_with_it():
    async def main():
        diary = Diary()

        def blocking(name, seconds):
            time.sleep(seconds)
            trio.from_thread.run_sync(diary.note, name)
            trio.from_thread.run(trio.sleep, 1)

        async with trio.open_nursery() as nursery:
            nursery.start_soon(trio.to_thread.run_sync, blocking, "thread", 2.5)
            await trio.sleep(3)
            diary.note("run")
        diary.note("end")
        return diary

    with virtual_time():
        assert trio.run(main) == [(2.5, "thread"), (3, "run"), (3.5, "end")]


def test_a_run_is_a_guest_of_another_loop():
    with virtual_time():
        diary, calls, outcomes = Diary(), queue.SimpleQueue(), []

        async def guest():
            for _ in range(3):
                await trio.sleep(2)
                diary.note("guest")
            with trio.move_on_after(86400 * 2):
                await trio.sleep_forever()
            await trio.lowlevel.checkpoint()
            return "home"

        trio.lowlevel.start_guest_run(
            guest, run_sync_soon_threadsafe=calls.put, done_callback=outcomes.append
        )
        threading.Timer(3, calls.put, (partial(diary.note, "host"),)).start()
        while not outcomes:
            calls.get()()
        assert outcomes[0].unwrap() == "home"
        diary.note("end")
    assert diary == [(2, "guest"), (3, "host"), (4, "guest"), (6, "guest"), (6 + 86400 * 2, "end")]


def test_a_mock_clock_of_trios_keeps_its_own_time():
    async def main():
        began = trio.current_time()
        await trio.sleep(3600)
        return trio.current_time() - began

    with virtual_time() as clock:
        assert trio.run(main, clock=trio.testing.MockClock(autojump_threshold=0)) == 3600
        assert clock.now() == 1000.0


def test_several_runs_in_threads_share_one_clock():
    with virtual_time():
        diary = Diary()

        async def ticks(name, every):
            for _ in range(2):
                await trio.sleep(every)
                diary.note(name)

        all_threads(lambda: trio.run(ticks, "a", 2), lambda: trio.run(ticks, "b", 3))
    assert diary == [(2, "a"), (3, "b"), (4, "a"), (6, "b")]


def test_idle_threads_of_trios_wait_in_the_time_they_were_started_in():
    async def main():
        await trio.to_thread.run_sync(time.sleep, 0)
        return await trio.to_thread.run_sync(threading.current_thread)

    before = trio.run(main)
    with virtual_time() as clock:
        inside = trio.run(main)
        assert inside is not before
        assert clock.governs(inside.ident)
    assert not inside.is_alive()
    assert trio.run(main) is not inside


def test_trio_may_be_imported_after_the_block_began():
    code = """
        import sys
        from resilient_ml.testing import VirtualTimeOver, trio_runs, turns, virtual_time
        with virtual_time() as clock:
            import trio
            async def main():
                await trio.to_thread.run_sync(clock.sleep, 60)
                await trio.sleep(60)
            trio.run(main)
            print(clock.now())
    """
    command = [sys.executable, "-W", "error", "-c", textwrap.dedent(code)]
    assert subprocess.run(command, capture_output=True, text=True, check=True).stdout == "1120.0\n"


def test_virtual_time_goes_without_trio():
    code = """
        import sys
        sys.modules["trio"] = None
        import asyncio, time
        from resilient_ml.testing import VirtualTimeOver, trio_runs, turns, virtual_time
        with virtual_time() as clock:
            time.sleep(60)
            asyncio.run(asyncio.sleep(60))
            print(clock.now())
    """
    command = [sys.executable, "-W", "error", "-c", textwrap.dedent(code)]
    assert subprocess.run(command, capture_output=True, text=True, check=True).stdout == "1120.0\n"


@pytest.mark.parametrize("backend", BACKENDS)
def test_anyio_waits_in_virtual_time_on_both_backends(backend):
    async def main():
        diary = Diary()

        def blocking():
            time.sleep(5)
            diary.note("thread")
            anyio.from_thread.run(anyio.sleep, 1)
            return "answer"

        async def ticks():
            await anyio.sleep(4)
            diary.note("task")

        async with anyio.create_task_group() as group:
            group.start_soon(ticks)
            assert await anyio.to_thread.run_sync(blocking) == "answer"
            with anyio.move_on_after(10):
                await anyio.sleep_forever()
            with pytest.raises(TimeoutError), anyio.fail_after(3):
                await anyio.Event().wait()
        diary.note("end")
        return diary

    with virtual_time():
        assert anyio.run(main, backend=backend) == [(4, "task"), (5, "thread"), (19, "end")]


@pytest.mark.parametrize("backend", BACKENDS)
def test_a_portal_serves_threads(backend):
    with virtual_time() as clock:
        with anyio.from_thread.start_blocking_portal(backend) as portal:
            assert portal.call(anyio.sleep, 10) is None
            assert clock.now() == 1010.0
            future = portal.start_task_soon(anyio.sleep, 100)
            portal.call(anyio.sleep, 20)
            assert (clock.now(), future.done()) == (1030.0, False)
            future.result()
        assert clock.now() == 1110.0


@pytest.mark.parametrize("backend", BACKENDS)
def test_a_loop_in_a_thread_that_nobody_stops_ends_with_the_block(backend):
    cleaned = []

    async def forever():
        try:
            await anyio.sleep_forever()
        finally:
            cleaned.append(threading.get_ident())

    with virtual_time() as clock:
        thread = threading.Thread(target=lambda: anyio.run(forever, backend=backend))
        thread.start()
        clock.settle()
    assert not thread.is_alive()
    assert cleaned == [thread.ident]


def test_a_loop_with_threads_of_its_own_ends_with_the_block():
    async def main():
        await asyncio.to_thread(time.sleep, 3600)

    with virtual_time() as clock:
        thread = threading.Thread(target=lambda: asyncio.run(main()))
        thread.start()
        clock.settle()
    assert not thread.is_alive()


def test_a_thread_that_the_system_is_slow_to_end_has_ended_with_the_block():
    class Slow:
        def __del__(self):
            hashlib.pbkdf2_hmac("sha256", b"", b"", 50_000)  # lets other threads run

    def work():
        local.slow = Slow()

    local = threading.local()
    with virtual_time() as clock:
        thread = threading.Thread(target=work)
        thread.start()
        clock.settle()
    assert not thread.is_alive()


def test_a_run_that_will_not_end_is_broken_off(monkeypatch):
    monkeypatch.setattr(turns.Turns.close, "__kwdefaults__", {"seconds": 0.05})
    unraisable = []
    monkeypatch.setattr(sys, "unraisablehook", unraisable.append)
    told = []

    async def stubborn():
        while True:
            try:
                await trio.sleep_forever()
            except BaseException as error:
                told.append(type(error))
                if len(told) > 1:
                    raise

    def block():
        with virtual_time() as clock:
            thread.start()
            clock.settle()

    thread = threading.Thread(target=lambda: trio.run(stubborn), name="stubborn")
    gc.disable()  # a run that was broken off is garbage, of which trio warns: not before it is looked for
    try:
        with pytest.warns(RuntimeWarning, match="stubborn still runs"):
            block()
        thread.join()
        gc.collect()
    finally:
        gc.enable()
    assert told[0] is VirtualTimeOver
    assert told[1:] == [GeneratorExit]


def test_who_has_no_run_in_its_thread_is_not_told():
    class Module:
        GLOBAL_RUN_CONTEXT = threading.local()

    assert not trio_runs._told(Module, VirtualTimeOver())
