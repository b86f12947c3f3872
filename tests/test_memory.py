"""Memory, threads and descriptors: nothing is kept past a call, and nothing grows.

A run of a million calls, as before a release: ``RESILIENT_ML_SOAK=1000000 pytest tests/test_memory.py``.
"""

import asyncio
import contextlib
import gc
import os
import sys
import threading
import tracemalloc
import weakref

import pytest

from resilient_ml import (
    Bulkhead,
    CircuitBreaker,
    CircuitOpen,
    DeadlineExceeded,
    Fallback,
    Keyed,
    Pipeline,
    Retry,
    Timeout,
)

from .every_policy import AT_ONCE

pytestmark = pytest.mark.filterwarnings("ignore::resilient_ml.PolicyOrderWarning")  # a breaker refuses inside


@pytest.fixture(autouse=True, scope="module")
def quick_collections():
    """Set aside what was there before, so that each collection looks at this module's objects alone."""
    gc.collect()
    gc.freeze()


SOAK = int(os.environ.get("RESILIENT_ML_SOAK", "100000"))


# ---- memory


class Weight:
    """Something whose end can be seen."""


ENDS = ["answer", "error", "rejection"]


@pytest.mark.parametrize("how", ENDS)
@pytest.mark.parametrize("colour", ["plain", "awaited", "stream", "async stream"])
def test_arguments_and_results_are_not_kept_alive_past_the_call(policy, how, colour):
    """By counting references alone: the garbage collector is off."""
    breaker = CircuitBreaker()
    if how == "rejection":
        breaker.force_open()

    def work(weight):
        if how == "error":
            raise ConnectionError(weight)
        return weight

    async def awork(weight):
        return work(weight)

    def stream(weight):
        yield work(weight)

    async def astream(weight):
        yield work(weight)

    made = {"plain": work, "awaited": awork, "stream": stream, "async stream": astream}[colour]
    safe = Pipeline(policy, breaker)(made)

    def once(gone):
        weight = Weight()
        gone.append(weakref.ref(weight))
        with contextlib.suppress(ConnectionError, CircuitOpen):
            list(safe(weight)) if colour == "stream" else safe(weight)

    async def aonce(gone):
        weight = Weight()
        gone.append(weakref.ref(weight))
        with contextlib.suppress(ConnectionError, CircuitOpen):
            await safe(weight) if colour == "awaited" else [item async for item in safe(weight)]

    with asyncio.Runner() as runner:

        def run(gone):
            runner.run(aonce(gone)) if colour in ("awaited", "async stream") else once(gone)
            return gone

        run([])
        gc.collect()
        gc.disable()
        try:
            assert [ref() for ref in run([])] == [None]
        finally:
            gc.enable()


def test_a_failed_call_in_a_task_of_its_own_leaves_no_cycle_behind():
    async def broken(weight):
        raise ConnectionError

    async def main(gone):
        weight = Weight()
        gone.append(weakref.ref(weight))
        with contextlib.suppress(ConnectionError):
            await Timeout(60, grace=1)(broken)(weight)

    gone = []
    gc.disable()
    try:
        asyncio.run(main(gone))
        assert [ref() for ref in gone] == [None]
    finally:
        gc.enable()


def test_arguments_of_a_call_that_timed_out_go_when_its_thread_returns(clock):
    gc.disable()
    try:
        weight = Weight()
        gone = weakref.ref(weight)
        with pytest.raises(DeadlineExceeded):
            Timeout(1)(lambda weight: clock.sleep(3))(weight)
        del weight
        clock.sleep(4)
        clock.settle()
        assert gone() is None
    finally:
        gc.enable()


def grown(work, calls, policy):
    """Bytes that *calls* calls of *work* left behind, after as many to warm up.

    The least of up to four rounds: what leaks does so in each, and what a policy learns from comes and goes.
    """
    for _ in range(200):
        work()
    gc.collect()
    tracemalloc.start()
    try:
        for _ in range(50):
            work()
        gc.collect()
        left = []
        while not left or (min(left) > 1_000 and len(left) < 4):
            before = tracemalloc.get_traced_memory()[0]
            for _ in range(calls):
                work()
            gc.collect()
            left.append(tracemalloc.get_traced_memory()[0] - before)
        return min(left)
    finally:
        # Before 3.12.9 and 3.13.2 an interpreter may crash that stops tracing while another thread allocates.
        getattr(policy, "flush", bool)()
        tracemalloc.stop()


def descriptors():
    return len(os.listdir("/proc/self/fd")) if os.path.isdir("/proc/self/fd") else 0


@pytest.mark.parametrize("how", ["answer", "error", "rejection"])
def test_many_plain_calls_grow_neither_memory_nor_threads_nor_descriptors(policy, how):
    breaker = CircuitBreaker(failure_rate=None, consecutive_failures=None)
    if how == "rejection":
        breaker.force_open()

    def model():
        if how == "error":
            raise ValueError
        return "cat"

    safe = Pipeline(policy, breaker)(model)

    def work():
        with contextlib.suppress(ValueError, CircuitOpen):
            safe()

    threads, open_files = threading.active_count(), descriptors()
    assert grown(work, SOAK // 100, policy) < 10_000
    assert threading.active_count() <= threads + 1
    assert descriptors() <= open_files


def test_many_awaited_calls_grow_neither_memory_nor_threads_nor_descriptors(policy):
    async def model():
        return "cat"

    safe = policy(model)

    async def many(calls):
        for _ in range(calls):
            await safe()

    with asyncio.Runner() as runner:
        runner.run(many(300))
        threads, open_files = threading.active_count(), descriptors()
        assert grown(lambda: runner.run(many(20)), SOAK // 2000, policy) < 10_000
        assert threading.active_count() <= threads  # idle ones may have ended
        assert descriptors() == open_files


def test_a_long_run_of_good_and_bad_calls_grows_neither_memory_nor_threads_nor_descriptors():
    numbers = iter(range(10**9))

    def model():
        if next(numbers) % 3 == 0:
            raise ConnectionError
        return "cat"

    retry = Retry(3, backoff=AT_ONCE, budget=None)
    safe = Pipeline(Fallback("popular"), retry, CircuitBreaker(), Bulkhead(4), Timeout(60, late_only=True))(
        model
    )

    def run(calls):
        for _ in range(calls):
            safe()

    run(2000)
    gc.collect()
    blocks, threads, open_files = sys.getallocatedblocks(), threading.active_count(), descriptors()
    run(SOAK)
    gc.collect()
    assert sys.getallocatedblocks() - blocks < 500
    assert threading.active_count() <= threads  # idle ones may have ended
    assert descriptors() == open_files


def test_a_flood_of_keys_is_bounded(clock):
    keyed = Keyed(CircuitBreaker, key=lambda key: key, max_keys=16)
    safe = keyed(lambda key: key)
    for number in range(1000):
        safe(number)
    assert len(keyed) == 16
