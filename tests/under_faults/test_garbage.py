"""The garbage collector in critical sections, with finalizers that use the policy they interrupt."""

import threading

from resilient_ml import (
    Bulkhead,
    BulkheadFull,
    CircuitBreaker,
    CircuitOpen,
    Keyed,
    Pipeline,
    Retry,
    RetryBudget,
)
from resilient_ml.testing import faults
from resilient_ml.testing.faults import FaultPlan

from ..every_policy import AT_ONCE
from .struck import made


def test_finalizers_that_use_the_policy_they_interrupt_neither_deadlock_nor_lose_a_seat():
    """On a thread of its own, so that a deadlock is a failure and not the end of the run."""
    breaker, bulkhead = CircuitBreaker(minimum_calls=1, open_seconds=1e-6), Bulkhead(2)
    keyed = Keyed(lambda: Bulkhead(2), key=lambda number: number % 5, max_keys=2)
    retry = Retry(2, backoff=AT_ONCE, budget=RetryBudget())
    guard = Pipeline(retry, breaker, keyed, bulkhead)
    ended, finalized = [], []

    @guard
    def predict(number):
        if number % 2:
            raise ConnectionError
        return [[number] for _ in range(3)]

    def ask(number):
        try:
            ended.append(predict(number))
        except (ConnectionError, CircuitOpen, BulkheadFull) as error:
            ended.append(error)

    def finalizer():
        finalized.append(1)
        ask(len(finalized))

    def work():
        for number in range(200):
            ask(number)
        return len(ended)

    plan = FaultPlan(faults.gc_storm(finalizer))
    answers = []
    thread = threading.Thread(target=lambda: answers.append(plan.inject(work)()), daemon=True)
    thread.start()
    thread.join(30)
    assert answers == [300]
    assert len(finalized) == 100
    assert bulkhead.in_flight == 0
    assert {keyed.policy_of(key).in_flight for key in range(5) if keyed.policy_of(key) is not None} <= {0}


def test_a_collector_that_never_rests_changes_nothing(call_world):
    plan = FaultPlan(made("gc_storm"))
    bulkhead = Bulkhead(1)
    safe = Pipeline(Retry(2, backoff=AT_ONCE), CircuitBreaker(), bulkhead)(
        plan.inject(call_world.model("cat"))
    )
    assert [call_world.call(safe) for _ in range(3)] == ["cat"] * 3
    assert len(plan.history) == 3
    assert bulkhead.in_flight == 0
