"""One seed is one trace: an hour of faulty traffic, on threads, asyncio and trio, is the same to the byte.

The digests hold for every run and every version of Python. Who changes what policies decide, or what faults
draw, changes them: then look at the trace, and put the new digest here.
"""

import asyncio
import hashlib
import random
import threading
import time

import anyio
import pytest
import trio

from resilient_ml import (
    Bulkhead,
    CircuitBreaker,
    Fallback,
    Pipeline,
    Retry,
    Timeout,
)
from resilient_ml.testing import EventTrace, faults, virtual_time

CLIENTS = 8
REQUESTS = 450  # one every eight seconds, for an hour
DIGESTS = {"threads": "75bdb58263573859", "asyncio": "f914e13554390b3e", "trio": "f914e13554390b3e"}


def guard(luck):
    return Pipeline(
        Fallback(lambda number: -number),
        Retry(rng=luck),
        CircuitBreaker(rng=luck),
        Bulkhead(4, queue=4),
        Timeout(2.0),
        name="model",
    )


def plan():
    return faults.FaultPlan(
        faults.latency(faults.lognormal(median=0.2, sigma=1.0)),
        faults.error("overload").with_probability(0.1),
        faults.latency(30.0).with_probability(0.02),
        faults.error(ConnectionError).between(1200, 1500),
        seed=7,
    )


class Run:
    """An hour of requests, and the lines of what came of them."""

    def __init__(self, clock, model):
        luck = random.Random(1)
        self.clock = clock
        self.plan = plan()
        self.ask = guard(luck)(self.plan.inject(model))
        self.lines = []

    def told(self, client, number, answer):
        self.lines.append(f"{self.clock.now():.6f} {client} {number} {answer}")


def on_threads(clock):
    run = Run(clock, lambda number: number)

    def client(which):
        for number in range(REQUESTS):
            time.sleep(8 - which / 10)
            run.told(which, number, run.ask(number))

    threads = [threading.Thread(target=client, args=(which,)) for which in range(CLIENTS)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return run


async def as_tasks(clock):
    async def model(number):
        return number

    run = Run(clock, model)

    async def client(which):
        for number in range(REQUESTS):
            await anyio.sleep(8 - which / 10)
            run.told(which, number, await run.ask(number))

    async with anyio.create_task_group() as group:
        for which in range(CLIENTS):
            group.start_soon(client, which)
    return run


HOURS = {
    "threads": on_threads,
    "asyncio": lambda clock: asyncio.run(as_tasks(clock)),
    "trio": lambda clock: trio.run(as_tasks, clock),
}


@pytest.mark.parametrize("where", HOURS)
def test_an_hour_of_traffic_is_the_same_to_the_byte(where):
    def trace():
        with virtual_time(start=0.0) as clock, EventTrace() as events:
            run = HOURS[where](clock)
            assert 3480 < clock.now() < 4200
            assert len(run.lines) == CLIENTS * REQUESTS
        told = [*run.lines, *map(str, run.plan.history), *events.lines()]
        return "\n".join(told).encode()

    first = trace()
    assert trace() == first
    assert hashlib.sha256(first).hexdigest()[:16] == DIGESTS[where]
