"""Ten thousand streams, ended in every way there is, leave nothing behind."""

import asyncio
import contextlib
import gc
import sys
import threading
import time
import warnings

import anyio
import anyio.lowlevel
import pytest

from resilient_ml import (
    Bulkhead,
    CircuitBreaker,
    ConstantBackoff,
    Fallback,
    Hedge,
    Pipeline,
    Retry,
    Stream,
    StreamInterrupted,
    Timeout,
)
from resilient_ml.testing import virtual_time

pytestmark = pytest.mark.once

WAYS = (
    "whole",
    "empty",
    "cut",
    "truncated",
    "late",
    "stall",
    "closed",
    "thrown",
    "dropped",
    "cancelled",
    "unread",
)
MANY = 10_000
AT_ONCE = 200


class Open:
    """How many of the model's generators are running or suspended."""

    def __init__(self):
        self.numbers = []
        self.begun = 0

    @contextlib.contextmanager
    def model(self, number):
        self.begun += 1
        self.numbers.append(number)
        try:
            yield
        finally:
            self.numbers.remove(number)


class Reader(Exception):
    """What a reader throws in."""


def guard(*racing):
    parts = Bulkhead(AT_ONCE), CircuitBreaker(failure_rate=None, consecutive_failures=None)
    rules = Stream(
        is_final=lambda chunk: chunk == "end",
        on_interrupt="continue",
        continuation=lambda args, kwargs, partial: (args, kwargs),
    )
    limits = Timeout(60, first=1, gap=1)
    retry = Retry(2, backoff=ConstantBackoff(0.1))
    whole = Pipeline(Fallback("x", on=Reader), rules, retry, *parts, *racing, limits)
    return whole, parts[0], limits


def steps(way):
    """Chunks, and floats to wait."""
    return {
        "empty": ["end"],
        "cut": ["a", ConnectionError()],
        "truncated": ["a"],
        "late": [5.0, "a"],
        "stall": ["a", 5.0, "b"],
        "cancelled": ["a", 0.5, "b", "end"],
    }.get(way, ["a", 0.1, "b", "end"])


def plain(opened):
    def model(way, number):
        with opened.model(number):
            for step in steps(way):
                if isinstance(step, float):
                    time.sleep(step)
                elif isinstance(step, Exception):
                    raise step
                else:
                    yield step

    return model


def coroutine(opened):
    async def model(way, number):
        with opened.model(number):
            for step in steps(way):
                if isinstance(step, float):
                    await anyio.sleep(step)
                elif isinstance(step, Exception):
                    raise step
                else:
                    yield step

    return model


def read_plain(stream, way):
    if way == "unread":
        return
    try:
        for chunk in stream:
            if way == "closed":
                stream.close()
            if way == "thrown":
                stream.throw(Reader)
            if way == "dropped":
                return
            assert chunk in ("a", "b", "end")
    except (ConnectionError, StreamInterrupted, Reader):
        pass


async def read(stream, way):
    if way == "unread":
        return
    if way == "cancelled":
        with anyio.move_on_after(0.2):
            async for _ in stream:
                pass
        return
    try:
        async for chunk in stream:
            if way == "closed":
                await stream.aclose()
                return
            if way == "thrown":
                await stream.athrow(Reader)
            if way == "dropped":
                return
            assert chunk in ("a", "b", "end")
    except (ConnectionError, StreamInterrupted, Reader):
        pass


def racing():
    """Asks again for whatever is late, and there is always something to pay it from."""
    return Hedge(delay=0.05, quantile=0.5, ratio=1)


RACES = pytest.mark.parametrize("races", [(), (racing,)], ids=["one", "racing"])


@RACES
@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("backend", ["asyncio", "trio"])
def test_ten_thousand_async_streams_leave_nothing_behind(backend, caplog, races):
    opened = Open()
    guarded, bulkhead, limits = guard(*(race() for race in races))

    model = guarded(coroutine(opened))

    async def read_and_look(way, number):
        stream = model(way, number)
        await read(stream, way)
        if way != "dropped":  # that is closed when the loop gets to it
            assert number not in opened.numbers

    async def main():
        before = len(asyncio.all_tasks()) if backend == "asyncio" else 0
        for first in range(0, MANY, AT_ONCE):
            async with anyio.create_task_group() as group:
                for number in range(first, first + AT_ONCE):
                    way = WAYS[number % len(WAYS)]
                    group.start_soon(read_and_look, way, number)
            gc.collect()  # what was dropped is closed by the loop
            for _ in range(5):
                await anyio.lowlevel.checkpoint()
            await anyio.sleep(0.01)
        assert opened.numbers == []
        assert (bulkhead.in_flight, limits.abandoned) == (0, 0)
        if backend == "asyncio":
            assert len(asyncio.all_tasks()) == before

    threads = set(threading.enumerate())
    unraisable = []
    hook, sys.unraisablehook = sys.unraisablehook, lambda told: unraisable.append(told.exc_value)
    try:
        with virtual_time(), warnings.catch_warnings():
            warnings.simplefilter("error")
            if backend == "trio":
                warnings.filterwarnings(
                    "ignore", message=".*was garbage collected before it had been exhausted.*"
                )
            anyio.run(main, backend=backend)
            gc.collect()
    finally:
        sys.unraisablehook = hook
    assert unraisable == []
    assert [record.getMessage() for record in caplog.records] == []
    assert set(threading.enumerate()) <= threads
    assert opened.begun >= MANY * 0.8


@RACES
def test_ten_thousand_plain_streams_leave_nothing_behind(races):
    opened = Open()
    guarded, bulkhead, limits = guard(*(race() for race in races))

    model = guarded(plain(opened))
    ways = [way for way in WAYS if way != "cancelled"]
    with virtual_time() as clock:
        for number in range(MANY):
            way = ways[number % len(ways)]
            read_plain(model(way, number), way)
        clock.sleep(60)  # what was left behind inside a wait comes back
        assert (opened.numbers, bulkhead.in_flight, limits.abandoned) == ([], 0, 0)
    assert opened.begun >= MANY * 0.8
