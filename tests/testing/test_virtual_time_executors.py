"""Executors and futures: their threads take turns, and their limits are virtual."""

import concurrent.futures
import time
from concurrent.futures import ThreadPoolExecutor

import pytest

from resilient_ml.testing import virtual_time

from .threads_in_turn import Diary


def slow(seconds):
    time.sleep(seconds)
    return seconds


def test_work_is_done_by_so_many_threads_in_the_order_it_was_given():
    with virtual_time():
        diary = Diary()

        def work(name):
            time.sleep(2)
            diary.note(name)

        with ThreadPoolExecutor(2) as pool:
            for name in "abcde":
                pool.submit(work, name)
    assert diary == [(2, "a"), (2, "b"), (4, "c"), (4, "d"), (6, "e")]


def test_a_map_gives_answers_in_order_and_gives_up_in_time():
    with virtual_time() as clock, ThreadPoolExecutor(3) as pool:
        assert list(pool.map(slow, [3, 1, 2])) == [3, 1, 2]
        assert clock.now() == 1003.0
        with pytest.raises(TimeoutError):
            list(pool.map(slow, [1, 50], timeout=10))
        assert clock.now() == 1013.0
    assert clock.now() == 1053.0


def test_an_answer_is_waited_for_so_long_and_no_longer():
    with virtual_time() as clock, ThreadPoolExecutor(1) as pool:
        future = pool.submit(slow, 5)
        with pytest.raises(TimeoutError):
            future.result(timeout=2)
        assert clock.now() == 1002.0
        assert future.result(timeout=60) == 5
        assert clock.now() == 1005.0


def test_errors_come_back():
    with virtual_time(), ThreadPoolExecutor() as pool:
        assert isinstance(pool.submit(slow, -1).exception(), ValueError)


def test_work_that_has_not_begun_can_be_cancelled():
    with virtual_time() as clock:
        with ThreadPoolExecutor(1) as pool:
            first, second, third = (pool.submit(slow, 10) for _ in range(3))
            time.sleep(1)
            assert second.cancel()
            assert not first.cancel()
            pool.shutdown(wait=False, cancel_futures=True)
            assert third.cancelled()
            with pytest.raises(RuntimeError, match="after shutdown"):
                pool.submit(slow, 1)
        assert first.result() == 10
        assert clock.now() == 1010.0


def test_futures_are_waited_for_as_they_complete():
    with virtual_time() as clock, ThreadPoolExecutor(4) as pool:
        futures = [pool.submit(slow, seconds) for seconds in (4, 2, 8, 1)]
        ends = [(future.result(), clock.now()) for future in concurrent.futures.as_completed(futures)]
        assert ends == [(1, 1001.0), (2, 1002.0), (4, 1004.0), (8, 1008.0)]
        slowest = [pool.submit(slow, seconds) for seconds in (1, 30)]
        done, left = concurrent.futures.wait(slowest, timeout=5)
        assert (done, left) == ({slowest[0]}, {slowest[1]})
        assert clock.now() == 1013.0
        done, left = concurrent.futures.wait(slowest, return_when=concurrent.futures.FIRST_COMPLETED)
        assert clock.now() == 1013.0
        with pytest.raises(TimeoutError):
            list(concurrent.futures.as_completed(slowest, timeout=1))
        # It asks for the time until that is past its limit; the very instant is not.
        assert clock.now() == pytest.approx(1014.0, abs=1e-5)


def test_an_executor_that_was_left_open_ends_with_the_block(caplog):
    with virtual_time():
        pool = ThreadPoolExecutor(3)
        asleep = [pool.submit(slow, 3600) for _ in range(3)]
        waiting = pool.submit(slow, 1)
        time.sleep(1)
    assert [future.running() for future in asleep] == [False] * 3
    assert not waiting.running()
    assert not caplog.records
