"""The library's own policies keep every promise that it asks of others."""

import pytest

from resilient_ml import (
    AdaptiveGap,
    Bulkhead,
    CircuitBreaker,
    ConstantBackoff,
    Fallback,
    Keyed,
    Pipeline,
    Policy,
    Retry,
    RetryBudget,
    Stream,
    Throttle,
    Timeout,
)
from resilient_ml.testing import conformance

AT_ONCE = ConstantBackoff(0)


def seats():
    return Bulkhead(4, queue=4)


def tenant(*args, **kwargs):
    return "acme"


POLICIES = {
    "nothing": Policy,
    "retry": lambda: Retry(2, backoff=AT_ONCE),
    "retry that waits": lambda: Retry(3, backoff=ConstantBackoff(2), budget=RetryBudget()),
    "timeout": lambda: Timeout(60),
    "timeout with grace": lambda: Timeout(60, grace=5),
    "late only": lambda: Timeout(60, late_only=True),
    "breaker": CircuitBreaker,
    "count window": lambda: CircuitBreaker(window_calls=100),
    "nervous breaker": lambda: CircuitBreaker(consecutive_failures=1, open_seconds=30, half_open_permits=2),
    "queue": seats,
    "queue with a limit": lambda: Bulkhead(2, queue=2, queue_seconds=30),
    "throttle": Throttle,
    "nervous throttle": lambda: Throttle(minimum_calls=1, max_rejection=0.99),
    "fallback": lambda: Fallback("popular"),
    "keyed": lambda: Keyed(seats, key=tenant),
    "everything": lambda: Pipeline(
        Fallback("popular"),
        Retry(2, backoff=AT_ONCE),
        CircuitBreaker(),
        Bulkhead(4),
        Timeout(60),
    ),
}


def go_on(args, kwargs, partial):
    return args, kwargs


OF_STREAMS = {
    "stream": Stream,
    "stream that continues": lambda: Pipeline(
        Stream(on_interrupt="continue", continuation=go_on), Retry(2, backoff=AT_ONCE)
    ),
    "stream that restarts": lambda: Pipeline(Stream(on_interrupt="restart"), Retry(2, backoff=AT_ONCE)),
    "limits": lambda: Timeout(60, first=50, gap=40),
    "learned gap": lambda: Timeout(gap=AdaptiveGap(floor=30)),
    "limits with grace": lambda: Timeout(60, first=50, gap=40, grace=5),
    "all of a stream": lambda: Pipeline(
        Fallback("popular"),
        Stream(),
        Retry(2, backoff=AT_ONCE),
        CircuitBreaker(slow_call_seconds=10),
        Bulkhead(4),
        Timeout(60, first=50, gap=40),
    ),
}


@pytest.mark.parametrize("name", OF_STREAMS)
def test_our_policies_for_streams_keep_every_promise_of_streams(name):
    skip = {"errors": "it goes on after the error"} if "that" in name else {}
    report = conformance.check(OF_STREAMS[name], skip=skip)
    of_streams = {verdict.status for verdict in report.verdicts if "stream" in verdict.where}
    assert of_streams == {"kept"} | ({"skipped"} if skip else set())


@pytest.mark.parametrize("make", POLICIES.values(), ids=POLICIES.keys())
def test_our_policies_keep_every_promise(make):
    report = conformance.check(make)
    assert {verdict.status for verdict in report.verdicts} == {"kept"}
