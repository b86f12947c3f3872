"""What the drivers are made of, in real time where it is the real thing that counts."""

import asyncio
import collections
import sys
import threading

import pytest
import trio

from resilient_ml import Bulkhead, BulkheadFull, Timeout
from resilient_ml._drivers import expiry, loops, workers

from ..virtual_time import VirtualLoop, run_on_asyncio


def test_a_thread_that_waits_in_a_queue_is_woken_by_the_one_that_leaves():
    bulkhead = Bulkhead(1, queue=1)
    inside, leave = threading.Event(), threading.Event()
    answers = []

    @bulkhead
    def hold():
        inside.set()
        leave.wait()

    holder = threading.Thread(target=hold)
    waiter = threading.Thread(target=lambda: answers.append(bulkhead(lambda: "cat")()))
    holder.start()
    inside.wait()
    waiter.start()
    while not bulkhead.waiting:
        threading.Event().wait(0.001)
    leave.set()
    holder.join()
    waiter.join()
    assert answers == ["cat"]


def test_a_thread_that_waits_in_a_queue_leaves_in_real_time():
    bulkhead = Bulkhead(1, queue=1, queue_seconds=0.01)
    with pytest.raises(BulkheadFull):
        bulkhead(bulkhead(lambda: "cat"))()


def test_a_worker_that_is_handed_a_job_as_it_goes_does_it_first(monkeypatch):
    class TakenAtLast(collections.deque):
        """Idle workers, one of which a caller takes in the very moment that it gives up waiting."""

        def remove(self, worker):
            super().remove(worker)
            if not job.finished:
                monkeypatch.setattr(workers, "IDLE_SECONDS", 10)
                worker.hand(job)
                raise ValueError

    job = workers.Job(lambda: "cat", (), {}, float("inf"))
    monkeypatch.setattr(workers, "IDLE_SECONDS", 0.001)
    monkeypatch.setattr(workers._pool, "idle", TakenAtLast())
    assert Timeout(5)(lambda: "dog")() == "dog"
    assert job.wait(5)
    assert job.result() == "cat"


def test_whoever_asks_about_a_job_that_has_finished_is_told_at_once():
    job = workers.start(lambda: "cat", (), {}, float("inf"))
    assert job.wait(5)
    told = []
    while not job.finished:
        pass
    job.when_finished(lambda: told.append("finished"))
    assert told == ["finished"]
    assert job.result() == "cat"


def test_two_loops_that_take_turns_keep_their_own_timers(clock):
    safe = Timeout(5)(asyncio.sleep)
    first, second = VirtualLoop(clock), VirtualLoop(clock)
    for loop in (first, second, first, second):
        loop.run_until_complete(safe(1))
    assert expiry.timer_of(first) is not expiry.timer_of(second)
    for loop in (first, second):
        loop.close()


def test_a_loop_is_noticed_whichever_it_is(clock, monkeypatch):
    async def scenario():
        return loops.on_event_loop()

    assert not loops.on_event_loop()
    assert run_on_asyncio(clock, scenario)
    assert trio.run(scenario)
    monkeypatch.delitem(sys.modules, "trio")
    assert not loops.on_event_loop()


def test_loops_that_start_and_end_on_many_threads_at_once_do_not_disturb_each_other():
    errors = []

    async def model():
        return "cat"

    def start_loops():
        for _ in range(30):
            try:
                asyncio.run(Timeout(60)(model)())
            except BaseException as error:  # noqa: BLE001
                errors.append(error)

    usual = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    try:
        threads = [threading.Thread(target=start_loops) for _ in range(12)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    finally:
        sys.setswitchinterval(usual)
    assert errors == []
