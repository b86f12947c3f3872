"""asyncio in virtual time: timers at their exact instants, loops beside threads and other loops."""

import asyncio
import concurrent.futures
import contextlib
import math
import queue
import selectors
import socket
import threading
import time

import pytest

from resilient_ml.testing import virtual_time

from .threads_in_turn import Diary, all_threads


def test_timers_fire_at_their_exact_instants():
    async def main():
        loop, fired, done = asyncio.get_running_loop(), [], asyncio.Event()
        for delay in (0.3, 0.1, 0.7, 86400 * 3, 0.1):
            loop.call_later(delay, lambda delay=delay: fired.append((delay, loop.time())))
        loop.call_at(2e6, done.set)
        loop.call_later(5, lambda: fired.append("cancelled")).cancel()
        await done.wait()
        assert loop.time() == 2e6
        return fired

    with virtual_time() as clock:
        assert asyncio.run(main()) == [(delay, 1000.0 + delay) for delay in (0.1, 0.1, 0.3, 0.7, 86400 * 3)]
        assert clock.now() == 2e6


def test_tasks_sleep_side_by_side():
    async def main():
        diary = Diary()

        async def work(name, *naps):
            for nap in naps:
                await asyncio.sleep(nap)
                diary.note(name)
            return name

        names = await asyncio.gather(work("a", 2, 2), work("b", 1, 3), work("c", 3600))
        return names, diary

    with virtual_time():
        names, diary = asyncio.run(main())
    assert names == ["a", "b", "c"]
    assert diary == [(1, "b"), (2, "a"), (4, "b"), (4, "a"), (3600, "c")] or diary == [
        (1, "b"),
        (2, "a"),
        (4, "a"),
        (4, "b"),
        (3600, "c"),
    ]


def test_limits_end_waits_in_time():
    async def main():
        loop = asyncio.get_running_loop()
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(asyncio.sleep(100), 2.5)
        assert loop.time() == 1002.5
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(1):
                await asyncio.Event().wait()
        assert loop.time() == 1003.5
        with pytest.raises(TimeoutError):
            async with asyncio.timeout_at(1010):
                await asyncio.get_running_loop().create_future()
        assert loop.time() == 1010
        done, pending = await asyncio.wait([loop.create_task(asyncio.sleep(n)) for n in (1, 50)], timeout=2)
        assert (len(done), len(pending), loop.time()) == (1, 1, 1012)

    with virtual_time():
        asyncio.run(main())


@pytest.mark.parametrize("start", [0.0, -5.0, 1e7, 1e12])
def test_late_or_early_in_time_timers_still_fire(start):
    async def main():
        loop, fired = asyncio.get_running_loop(), asyncio.Event()
        loop.call_later(0, fired.set)
        await fired.wait()
        loop.call_at(loop.time(), fired.clear)
        await asyncio.sleep(1)
        assert not fired.is_set()
        for _ in range(3):
            await asyncio.sleep(86400 * 365)
        return loop.time()

    with virtual_time(start=start):
        assert asyncio.run(main(), debug=True) == start + 1 + 3 * 86400 * 365


def test_a_loop_that_runs_on_after_the_block_is_in_real_time():
    async def nothing():
        await asyncio.sleep(0.001)
        return asyncio.get_running_loop().time()

    with asyncio.Runner() as runner:
        before = runner.run(nothing())
        with virtual_time(start=before - 1e6):
            assert runner.run(nothing()) == pytest.approx(before - 1e6)
        assert before < runner.run(nothing()) < before + 1e5


def test_threads_of_a_loop_take_turns_with_it():
    async def main():
        diary, loop = Diary(), asyncio.get_running_loop()

        def blocking(name, seconds):
            time.sleep(seconds)
            diary.note(name)
            return name

        async def ticks():
            for _ in range(4):
                await asyncio.sleep(1)
                diary.note("tick")

        with concurrent.futures.ThreadPoolExecutor() as pool:
            answers = await asyncio.gather(
                asyncio.to_thread(blocking, "thread", 2.5),
                loop.run_in_executor(pool, blocking, "executor", 1.5),
                ticks(),
            )
        assert answers[:2] == ["thread", "executor"]
        return diary

    with virtual_time():
        assert asyncio.run(main()) == [
            (1, "tick"), (1.5, "executor"), (2, "tick"), (2.5, "thread"), (3, "tick"), (4, "tick")
        ]  # fmt: skip


def test_several_loops_in_threads_share_one_clock():
    with virtual_time():
        diary = Diary()

        async def ticks(name, every):
            for _ in range(3):
                await asyncio.sleep(every)
                diary.note(name)

        all_threads(
            lambda: asyncio.run(ticks("a", 2)),
            lambda: asyncio.run(ticks("b", 3)),
            lambda: asyncio.run(ticks("c", 2.5)),
        )
    assert diary == [
        (2, "a"), (2.5, "c"), (3, "b"), (4, "a"), (5, "c"), (6, "b"), (6, "a"), (7.5, "c"), (9, "b")
    ]  # fmt: skip


def test_a_thread_asks_a_loop_in_another_thread():
    with virtual_time() as clock:
        loops = queue.SimpleQueue()

        async def serve():
            stop = asyncio.Event()
            loops.put((asyncio.get_running_loop(), stop))
            await stop.wait()

        async def answer(seconds):
            await asyncio.sleep(seconds)
            return seconds

        server = threading.Thread(target=lambda: asyncio.run(serve()))
        server.start()
        loop, stop = loops.get()
        future = asyncio.run_coroutine_threadsafe(answer(30), loop)
        with pytest.raises(TimeoutError):
            future.result(timeout=10)
        assert clock.now() == 1010.0
        assert asyncio.run_coroutine_threadsafe(answer(5), loop).result() == 5
        assert clock.now() == 1015.0
        assert future.result() == 30
        assert clock.now() == 1030.0
        loop.call_soon_threadsafe(stop.set)
        server.join()


def test_streams_on_loopback_answer_before_time_goes_on():
    async def main():
        async def serve(reader, writer):
            while line := await reader.readline():
                await asyncio.sleep(0.5)
                writer.write(line.upper())
                await writer.drain()
            writer.close()

        server = await asyncio.start_server(serve, "127.0.0.1", 0)
        async with server:
            reader, writer = await asyncio.open_connection(*server.sockets[0].getsockname())
            answers = []
            for line in (b"one\n", b"two\n"):
                writer.write(line)
                async with asyncio.timeout(60):
                    answers.append(await reader.readline())
            writer.close()
            await writer.wait_closed()
        return answers

    with virtual_time():
        began = time.monotonic()
        assert asyncio.run(main()) == [b"ONE\n", b"TWO\n"]
        assert time.monotonic() - began == 1.0


def test_a_selector_of_ones_own_waits_in_virtual_time():
    near, far = socket.socketpair()
    with virtual_time() as clock, near, far, selectors.DefaultSelector() as selector:
        selector.register(near, selectors.EVENT_READ)
        assert selector.select(timeout=20) == []
        assert clock.now() == 1020.0
        assert selector.select(timeout=0) == []
        assert selector.select(timeout=-1) == []
        threading.Timer(5, far.send, (b"!",)).start()
        assert [key.fileobj for key, _ in selector.select()] == [near]
        assert [key.fileobj for key, _ in selector.select()] == [near]
        assert clock.now() == 1025.0


def test_what_breaks_a_wait_is_raised_where_it_waits():
    def waits():
        try:
            selector.select()
        except ValueError as error:
            broken.append(str(error))

    with virtual_time() as clock:
        broken, selector = [], selectors.SelectSelector()
        near, far = socket.socketpair()
        selector.register(near, selectors.EVENT_READ)
        thread = threading.Thread(target=waits)
        thread.start()
        clock.settle()
        near.close()
        far.close()
        selector._readers.add(-1)
        time.sleep(1)
        thread.join()
        selector.close()
    assert len(broken) == 1


def test_debug_mode_sees_slow_callbacks(caplog):
    async def main():
        blocks(2)

    with virtual_time():
        blocks = time.sleep
        asyncio.run(main(), debug=True)
    assert "took 2.000 seconds" in caplog.text


def test_a_task_that_never_ends_is_cancelled_at_the_end_of_its_run():
    async def main():
        task = asyncio.create_task(cleans_up())
        await asyncio.sleep(1)
        return task

    async def cleans_up():
        with contextlib.suppress(asyncio.CancelledError):
            await asyncio.sleep(math.inf)
        await asyncio.sleep(3)

    with virtual_time() as clock:
        assert asyncio.run(main()).done()
        assert clock.now() == 1004.0
