"""Stores and files: a store's faults around a guarded read, and state that is torn or cannot be written.

No policy speaks to a store, or writes a file: what a user reads through a guard is answered from elsewhere in
time, and what a user keeps of a breaker is taken up whole or refused.
"""

import errno
import json

import pytest

from resilient_ml import (
    Bulkhead,
    CircuitBreaker,
    CircuitOpen,
    Fallback,
    InvalidOutput,
    Kind,
    Pipeline,
    State,
    Timeout,
)
from resilient_ml.testing import faults
from resilient_ml.testing.faults import FaultPlan

from .struck import computing

# ---- a store


class ResponseError(Exception):
    """What a store's client raises for what the server says."""


def said(text):
    return faults.error(lambda: ResponseError(text))


STORE = {
    "is not there": (lambda: faults.error(ConnectionRefusedError), Kind.CONNECTION),
    "hangs": (faults.hang, Kind.TIMEOUT),
    "is slow": (lambda: faults.latency(0.2), Kind.TIMEOUT),
    "was flushed": (lambda: faults.replaced(lambda _: None), Kind.INVALID_OUTPUT),
    "cannot be written to": (
        lambda: said("READONLY You can't write against a read only replica."),
        Kind.UNKNOWN,
    ),
    "gives garbage": (lambda: faults.replaced(lambda _: "{not json"), Kind.INVALID_OUTPUT),
    "gives another type": (lambda: faults.replaced(lambda _: "7"), Kind.INVALID_OUTPUT),
    "is busy": (lambda: said("BUSY Redis is busy running a script."), Kind.UNKNOWN),
    "has lost its scripts": (lambda: said("NOSCRIPT No matching script."), Kind.UNKNOWN),
    "is full": (lambda: said("OOM command not allowed when used memory > 'maxmemory'."), Kind.UNKNOWN),
}


def reading(world, plan):
    """A guarded read of features from a store, and the breaker around it."""

    def features(text):
        found = None if text is None else json.loads(text)
        if not isinstance(found, dict):
            raise InvalidOutput("the store gave no features", rule="features")
        return found["clicks"]

    get = plan.inject(computing(world, lambda key: '{"clicks": 7}'))

    def read(key):
        return features(get(key))

    async def aread(key):
        return features(await get(key))

    breaker = CircuitBreaker(consecutive_failures=3, open_seconds=5, jitter=0)
    policies = Pipeline(Fallback(0), breaker, Bulkhead(8), Timeout(0.1))
    return policies(aread if world.is_async else read), breaker


@pytest.mark.parametrize("name", list(STORE))
def test_a_store_in_trouble_costs_no_more_than_its_limit_and_then_nothing(call_world, name):
    fault, kind = STORE[name]
    plan = FaultPlan(fault())
    read, breaker = reading(call_world, plan)
    began = call_world.clock.now()
    assert [call_world.call(read, "user") for _ in range(10)] == [0] * 10
    assert call_world.clock.now() - began <= 3 * 0.1 + 1e-9
    assert breaker.failures == {kind: 3}
    assert breaker.state is State.OPEN
    plan.release()


def test_a_store_that_was_cut_off_and_comes_back_is_used_again_and_not_before(call_world):
    plan = FaultPlan(faults.hang().between(10, 20))
    read, breaker = reading(call_world, plan)
    plan.start()
    answers = []
    for _ in range(40):
        answers.append(call_world.call(read, "user"))
        call_world.clock.sleep(1)
    plan.release()
    first = answers.index(0)
    assert answers[:first] == [7] * 10
    assert answers[first:].index(7) >= 10
    assert set(answers[answers.index(7, first) :]) == {7}
    assert len(plan.history) <= 4
    assert breaker.state is State.CLOSED


# ---- state


def saved():
    breaker = CircuitBreaker(consecutive_failures=1, open_seconds=60)
    with pytest.raises(ConnectionResetError):
        breaker(faults.inject(len, faults.error("connection")))("cat")
    return json.dumps(breaker.snapshot())


def test_a_snapshot_that_is_torn_at_any_byte_is_refused_and_leaves_a_cold_start():
    whole = saved()
    for length in range(len(whole)):
        breaker = CircuitBreaker()
        with pytest.raises(ValueError):  # json's own, for what is none
            breaker.restore(json.loads(whole[:length]))
        assert breaker.state is State.CLOSED
    breaker = CircuitBreaker()
    breaker.restore(json.loads(whole))
    assert breaker.state is State.OPEN
    with pytest.raises(CircuitOpen):
        breaker(len)("cat")


FOREIGN = [
    {"version": 2},
    {"version": 1},
    {},
    [],
    None,
    7,
    {"version": 1, "state": "open", "reason": [], "trips": 1, "open_for": "x", "left": 1, "failures": {}},
]


@pytest.mark.parametrize("foreign", FOREIGN, ids=repr)
def test_a_snapshot_that_is_foreign_or_newer_is_refused_and_leaves_what_was_there(foreign):
    breaker = CircuitBreaker()
    breaker.force_open()
    with pytest.raises(ValueError, match="snapshot"):
        breaker.restore(foreign)
    assert breaker.state is State.FORCED_OPEN


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EROFS, errno.EIO])
def test_a_listener_that_cannot_write_its_file_disturbs_no_call(world, number, caplog):
    plan = FaultPlan(faults.error(lambda: OSError(number, "cannot write")))
    written = plan.inject(lambda event: None)
    breaker = CircuitBreaker(consecutive_failures=1, on_event=written)
    model = FaultPlan(faults.error(ConnectionError).first(1)).inject(world.model("cat"))
    safe = Pipeline(Fallback("popular"), breaker)(model)
    assert world.call(safe) == "popular"
    world.clock.sleep(60)
    assert world.call(safe) == "cat"
    assert len(plan.history) == 3  # open, half-open, closed
    assert len(caplog.records) == 1


def test_a_listener_that_is_slow_to_write_holds_up_its_own_call_alone(plain_world):
    plan = FaultPlan(faults.latency(3.0))
    breaker = CircuitBreaker(consecutive_failures=1, on_event=plan.inject(lambda event: None))
    sick = breaker(plain_world.model(ConnectionError))
    began = plain_world.clock.now()
    ends = plain_world.together((sick,), (sick,))
    assert [type(end) for end in ends] == [ConnectionError, CircuitOpen]
    assert plain_world.clock.now() - began <= 6
