"""One breaker and one bulkhead, shared by threads and tasks that answer, fail, or are cancelled, as drawn."""

import asyncio
import threading
from collections import Counter

from hypothesis import given, settings
from hypothesis import strategies as st

from resilient_ml import Bulkhead, BulkheadFull, CircuitBreaker, CircuitOpen, Pipeline, Rejected

ACTORS = st.lists(
    st.tuples(st.sampled_from(["thread", "task"]), st.sampled_from(["answers", "fails", "is cancelled"])),
    min_size=2,
    max_size=14,
)


class Model:
    """Counts who is inside, and how many were at once."""

    def __init__(self):
        self.lock = threading.Lock()
        self.inside = self.peak = self.entered = 0

    def enter(self):
        with self.lock:
            self.inside += 1
            self.entered += 1
            self.peak = max(self.peak, self.inside)

    def leave(self):
        with self.lock:
            self.inside -= 1

    def predict(self, end):
        self.enter()
        self.leave()
        if end == "fails":
            raise ConnectionError

    async def apredict(self, end):
        self.enter()
        try:
            await turn()
        finally:
            self.leave()
        if end == "fails":
            raise ConnectionError


async def turn():
    """Let every other task run once."""
    ready = asyncio.get_running_loop().create_future()
    asyncio.get_running_loop().call_soon(ready.set_result, None)
    await ready


def tell(counts, error):
    counts["ok" if error is None else type(error).__name__] += 1


@settings(max_examples=120, deadline=None, derandomize=True)
@given(
    actors=ACTORS,
    limit=st.integers(1, 3),
    queue=st.integers(0, 4),
    trips=st.integers(1, 4),
    permits=st.integers(1, 2),
)
def test_whatever_threads_and_tasks_do_the_bounds_hold_and_everything_is_given_back(
    actors, limit, queue, trips, permits
):
    model, counts = Model(), Counter()
    bulkhead = Bulkhead(limit, queue=queue)
    breaker = CircuitBreaker(
        failure_rate=None, consecutive_failures=trips, open_seconds=1e-4, half_open_permits=permits
    )
    guard = Pipeline(breaker, bulkhead)
    predict, apredict = guard(model.predict), guard(model.apredict)
    start = threading.Barrier(sum(world == "thread" for world, _ in actors) + 1)

    def in_thread(end):
        start.wait(10)
        try:
            predict(end)
        except (ConnectionError, Rejected) as error:
            tell(counts, error)
        else:
            tell(counts, None)

    async def in_tasks():
        tasks = {asyncio.create_task(apredict(end)): end for world, end in actors if world == "task"}
        start.wait(10)
        await turn()
        for task, end in tasks.items():
            if end == "is cancelled":
                task.cancel()
        for result in await asyncio.gather(*tasks, return_exceptions=True):
            tell(counts, result)

    threads = [threading.Thread(target=in_thread, args=(end,)) for world, end in actors if world == "thread"]
    for thread in threads:
        thread.start()
    asyncio.run(in_tasks())
    for thread in threads:
        thread.join(10)

    assert not any(thread.is_alive() for thread in threads)
    assert counts.total() == len(actors)
    assert set(counts) <= {
        "ok",
        "ConnectionError",
        "CancelledError",
        BulkheadFull.__name__,
        CircuitOpen.__name__,
    }
    assert model.peak <= limit
    assert model.inside == bulkhead.in_flight == bulkhead.waiting == 0
    assert model.entered <= len(actors) - counts["BulkheadFull"] - counts["CircuitOpen"]
    breaker.force_closed()
    assert [predict("answers") for _ in range(limit)] == [None] * limit  # no seat and no permit is missing
