"""The library's own policies keep every promise that it asks of others."""

import itertools

import pytest

from resilient_ml import (
    AdaptiveGap,
    AdaptiveLimiter,
    Budget,
    Bulkhead,
    Cache,
    CircuitBreaker,
    Coalesce,
    ConstantBackoff,
    Contract,
    DriftDetector,
    Fallback,
    Hedge,
    HotKeyLimiter,
    Keyed,
    OomSplit,
    Pipeline,
    Policy,
    Queue,
    RateLimiter,
    Retry,
    RetryBudget,
    RowIsolation,
    Stream,
    SurgeGuard,
    Throttle,
    Timeout,
)
from resilient_ml.contracts import Finite
from resilient_ml.drift import Numbers
from resilient_ml.testing import conformance

AT_ONCE = ConstantBackoff(0)


def seats():
    return Bulkhead(4, queue=4)


def tenant(*args, **kwargs):
    return "acme"


def two(*args, **kwargs):
    return 2


_numbers = itertools.count()


def another_key(*args, **kwargs):
    """A key of its own for each call, as what these promises are checked with has no content."""
    return next(_numbers)


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
    "queue of tenants": lambda: Bulkhead(4, queue=Queue(size=4, tenant=tenant)),
    "seats by cost": lambda: Bulkhead(8, cost=two, queue=4),
    "queue with a limit": lambda: Bulkhead(2, queue=2, queue_seconds=30),
    "limiter": lambda: AdaptiveLimiter(minimum=20),
    "limiter with a queue": lambda: AdaptiveLimiter(
        initial=4, minimum=4, maximum=4, queue=4, queue_seconds=30
    ),
    "throttle": Throttle,
    "nervous throttle": lambda: Throttle(minimum_calls=1, max_rejection=0.99),
    "surge guard": lambda: SurgeGuard(1e6, cost=two),
    "rate limiter": lambda: RateLimiter(1e6),
    "bucket": lambda: RateLimiter(1e6, tokens=1e9, window="bucket", output_tokens=10),
    "budget": lambda: Budget(1e6, unit="calls"),
    "fallback": lambda: Fallback("popular"),
    "fallback that waits": lambda: Fallback("popular", when_all_out="wait"),
    "keyed": lambda: Keyed(seats, key=tenant),
    "hot keys": lambda: HotKeyLimiter(key=tenant, hot_limit=8),
    "contract": Contract,
    "drift": lambda: DriftDetector(
        # One that is learned would grow for longer than a check lasts.
        Numbers("calls", two, side="input"),
        arl=1e6,
        references={"calls": [2.0] * 100},
    ),
    "contract on inputs": lambda: Contract(inputs=Finite()),
    "coalesce": lambda: Coalesce(key=another_key),
    "cache": lambda: Cache(2000, key=another_key),
    "cache that shares nothing": lambda: Cache(2000, key=another_key, coalesce=False, ttl=60),
    "cache around all": lambda: Pipeline(
        Cache(2000, key=another_key), Retry(2, backoff=AT_ONCE), Bulkhead(4, queue=4), Timeout(60)
    ),
    # It is to learn nothing from the hundreds of calls at once of a check, after which it would hedge.
    "hedge": lambda: Hedge(minimum_calls=10_000),
    "hedge that never comes": lambda: Hedge(delay=5000),
    "hedge after a delay": lambda: Hedge(delay=0.5, ratio=1.0),
    "hedge around all": lambda: Pipeline(
        Fallback("popular"), Hedge(delay=0.5, ratio=1.0), Bulkhead(32), Timeout(60)
    ),
    "everything": lambda: Pipeline(
        Fallback("popular"),
        Retry(2, backoff=AT_ONCE),
        CircuitBreaker(),
        Bulkhead(4),
        Timeout(60),
    ),
}


OF_CALLS = {
    "fallback in a panic": lambda: Fallback("popular", when_all_out="panic"),
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


def one_row(batch):
    return 1


OF_BATCHES = {
    "rows": lambda: RowIsolation(size=one_row),
    "what fits": lambda: OomSplit(size=one_row),
    "batches": lambda: Pipeline(
        RowIsolation(size=one_row), Retry(2, backoff=AT_ONCE), CircuitBreaker(), OomSplit(size=one_row)
    ),
}


def each(policies, whole):
    """All of *policies*; that which has the others in it on every version of Python, the rest on one."""
    return [pytest.param(name, marks=[] if name == whole else [pytest.mark.once]) for name in policies]


@pytest.mark.parametrize("name", each(OF_STREAMS, "all of a stream"))
def test_our_policies_for_streams_keep_every_promise_of_streams(name):
    skip = {"errors": "it goes on after the error"} if "that" in name else {}
    report = conformance.check(OF_STREAMS[name], skip=skip)
    of_streams = {verdict.status for verdict in report.verdicts if "stream" in verdict.where}
    assert of_streams == {"kept"} | ({"skipped"} if skip else set())


@pytest.mark.parametrize("name", each(OF_CALLS, "fallback in a panic"))
def test_our_policies_for_calls_keep_every_promise_of_calls(name):
    report = conformance.check(OF_CALLS[name])
    assert {verdict.status for verdict in report.verdicts} == {"kept", "refused"}
    assert all("stream" in verdict.where for verdict in report.verdicts if verdict.status == "refused")


@pytest.mark.parametrize("name", each(OF_BATCHES, "batches"))
def test_our_policies_for_batches_keep_every_promise_but_that_a_batch_may_be_left_out(name):
    report = conformance.check(OF_BATCHES[name], skip={"answers": "it asks for answers without a batch"})
    assert {verdict.status for verdict in report.verdicts} == {"kept", "refused", "skipped"}
    assert all("stream" in verdict.where for verdict in report.verdicts if verdict.status == "refused")


@pytest.mark.parametrize("name", each(POLICIES, "everything"))
def test_our_policies_keep_every_promise(name):
    report = conformance.check(POLICIES[name])
    assert {verdict.status for verdict in report.verdicts} == {"kept"}
