"""The library under every fault of the catalogue: each call ends in time, and nothing is left behind."""

import math
import signal

import anyio
import pytest

from resilient_ml import Bulkhead, CircuitBreaker, Fallback, Kind, Pipeline, Retry, Timeout, kind_of
from resilient_ml.testing import faults
from resilient_ml.testing.faults import CATALOGUE, FaultPlan

from ...worlds import items

IN_A_CHILD = {
    "segfault": lambda: faults.segfault(in_child=True),
    "abort": lambda: faults.abort(in_child=True),
    "kill_9": lambda: faults.kill_9(in_child=True),
    "exit_process": lambda: faults.exit_process(in_child=True),
    "out_of_memory": lambda: faults.out_of_memory(8),
}
"""What would kill this process, or takes its time."""

PASS_THROUGH = {"system_exit", "cancelled", "interrupt", "terminate"}
"""What no policy may touch."""

BY_CHANCE = {
    *("transient_error", "outage", "flapping", "slow_for_a_while", "rate_limit"),
    *("duplicate_items", "lost_items", "malformed_items"),
}
"""What need not strike the first calls."""

LIMIT, ATTEMPTS, CALLS = 5.0, 2, 3
GOOD, POISON = [1.0, 2.0], [math.nan, 2.0]


def made(name):
    return IN_A_CHILD.get(name, CATALOGUE[name].make)()


def guard():
    return Pipeline(
        Fallback("neutral"), Retry(attempts=ATTEMPTS), CircuitBreaker(), Bulkhead(1, queue=0), Timeout(LIMIT)
    )


@pytest.mark.parametrize(
    "name", [name for name, entry in CATALOGUE.items() if name not in PASS_THROUGH and not entry.streams]
)
def test_every_call_ends_in_time_and_gives_its_seat_back(world, name):
    check(world, name)


@pytest.mark.parametrize("name", [name for name, entry in CATALOGUE.items() if entry.streams])
def test_every_stream_ends_in_time_and_gives_its_seat_back(stream_world, name):
    check(stream_world, name)


def check(world, name):
    policies, plan = guard(), FaultPlan(made(name))
    answers = [items("a", "b", f"c{call}") if CATALOGUE[name].streams else [0.25, call] for call in range(9)]
    safe = policies(plan.inject(world.model(*answers)))
    try:
        for rows in (GOOD, POISON, POISON)[:CALLS]:
            began = world.clock.now()
            end = world.failure(safe, rows)
            # A fallback answers whatever fails, but for a wrong input, and a stream that has begun.
            assert end is None or world.streams or kind_of(end) is Kind.BAD_INPUT
            # Attempts are bounded, and so are the pauses; a clock that is stepped is no time that passed.
            passed = world.clock.now() - began
            assert -ATTEMPTS * 5 <= passed <= ATTEMPTS * LIMIT + 5 or name == "suspend"
    finally:
        plan.release()
    assert plan.history or name in BY_CHANCE
    world.clock.sleep(3600)  # what was left behind ends, and no breaker is open for as long
    assert world.call(policies(world.model("cat")), GOOD) == "cat"


@pytest.mark.parametrize("name", sorted(PASS_THROUGH))
def test_what_no_policy_may_touch_passes_through_all(plain_world, name):
    safe, bulkhead = passing(plain_world, name)
    before = signal.signal(signal.SIGTERM, leave)
    try:
        with pytest.raises((SystemExit, KeyboardInterrupt) if name != "cancelled" else Exception):
            plain_world.call(safe)
    finally:
        signal.signal(signal.SIGTERM, before)
    assert bulkhead.in_flight == 0


@pytest.mark.parametrize("name", ["system_exit", "cancelled"])
def test_what_no_policy_may_touch_passes_through_coroutines(async_world, name):
    safe, bulkhead = passing(async_world, name)

    async def main():
        try:
            await async_world.use(safe, {})
        except BaseException as error:  # noqa: BLE001
            return type(error), anyio.get_cancelled_exc_class()
        return None, None

    error, cancelled = async_world.run(main)
    assert error is (cancelled if name == "cancelled" else SystemExit)
    assert bulkhead.in_flight == 0


def passing(world, name):
    bulkhead = Bulkhead(1)
    policies = Pipeline(Retry(attempts=2), CircuitBreaker(), bulkhead)
    return policies(faults.inject(world.model("cat"), made(name))), bulkhead


def leave(signum, frame):
    raise SystemExit
