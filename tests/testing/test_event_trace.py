"""The trace of events: what it keeps, what it asserts, and what it shows when that fails."""

import random

import pytest

from resilient_ml import CircuitBreaker, ConstantBackoff, Fallback, Pipeline, Retry
from resilient_ml.events import BreakerChanged, Event, FallbackServed, RetryScheduled, RetryStopped
from resilient_ml.testing import EventTrace


def broken():
    raise ConnectionError


@pytest.fixture
def trace(clock):
    guard = Pipeline(Fallback("neutral"), Retry(3, backoff=ConstantBackoff(0.25)), name="classify")
    with EventTrace() as events:
        assert guard.call(broken) == "neutral"
    assert guard.call(broken) == "neutral"  # nobody listens any more
    return events


def test_events_are_kept_in_order(trace):
    assert [type(event) for event in trace] == [RetryScheduled, RetryScheduled, RetryStopped, FallbackServed]
    assert len(trace) == 4
    assert trace[0] is next(iter(trace))
    assert trace[-1].target == "a value of type str"


def test_events_are_found_by_class_and_facts(trace):
    assert [event.attempt for event in trace.of(RetryScheduled)] == [1, 2]
    assert [event.attempt for event in trace.of(RetryScheduled, attempt=2, kind="connection")] == [2]
    assert trace.of(RetryScheduled, attempt=3) == ()
    assert len(trace.of(Event)) == 4


def test_an_expected_event_is_given(trace):
    assert trace.expect(RetryStopped) is trace[2]
    assert trace.expect(RetryScheduled, times=2) is trace[0]
    assert trace.expect(RetryScheduled, times=1, attempt=2) is trace[1]


WHOLE = """the trace:
  +0.000000 RetryScheduled policy='classify' attempt=1 kind='connection' delay=0.25
  +0.250000 RetryScheduled policy='classify' attempt=2 kind='connection' delay=0.25
  +0.500000 RetryStopped policy='classify' attempt=3 kind='connection' reason='no attempts are left'
  +0.500000 FallbackServed policy='classify' target='a value of type str' kind='connection'"""


@pytest.mark.parametrize(
    ("ask", "told"),
    [
        (
            lambda trace: trace.expect(BreakerChanged),
            "expected at least one of BreakerChanged(), found 0 in ",
        ),
        (
            lambda trace: trace.expect(RetryScheduled, times=3, kind="connection"),
            "expected 3 of RetryScheduled(kind='connection'), found 2 in ",
        ),
        (
            lambda trace: trace.expect(RetryScheduled, times=1),
            "expected 1 of RetryScheduled(), found 2 in ",
        ),
        (
            lambda trace: trace.expect_none(RetryScheduled, attempt=1),
            "expected no RetryScheduled(attempt=1), found 1 in ",
        ),
        (lambda trace: trace.expect_none(), "expected no Event(), found 4 in "),
        (
            lambda trace: trace.expect_order(FallbackServed, RetryScheduled),
            (
                "expected FallbackServed, RetryScheduled in this order; number 2, RetryScheduled, "
                "did not come in "
            ),
        ),
        (
            lambda trace: trace.expect_order(RetryScheduled, RetryScheduled, RetryScheduled),
            (
                "expected RetryScheduled, RetryScheduled, RetryScheduled in this order; "
                "number 3, RetryScheduled, did not come in "
            ),
        ),
    ],
)
def test_what_is_missed_is_told_with_the_whole_trace(trace, ask, told):
    with pytest.raises(AssertionError) as caught:
        ask(trace)
    first, _, rest = str(caught.value).partition("the trace:")
    assert first == told
    assert "the trace:" + rest == str(trace)


def test_the_trace_reads_from_its_first_event(trace):
    assert str(trace) == WHOLE


def test_what_holds_passes(trace):
    trace.expect_order(RetryScheduled, RetryScheduled, FallbackServed)
    trace.expect_order()
    trace.expect_none(BreakerChanged)
    trace.expect_none(RetryScheduled, attempt=3)


def test_a_long_trace_shows_its_end(clock):
    with EventTrace() as events:
        assert str(events) == "an empty trace"
        guard = Fallback("neutral", name="guard")(broken)
        for _ in range(60):
            guard()
    lines = str(events).splitlines()
    assert lines[:2] == ["the trace:", "  ... 10 earlier ones"]
    assert len(lines) == 52
    events.clear()
    assert events.lines() == ()


def test_two_runs_give_the_same_lines(clock):
    def lines():
        breaker = CircuitBreaker(consecutive_failures=2, name="breaker", rng=random.Random(1))
        with EventTrace() as events:
            for _ in range(4):
                Pipeline(Fallback("neutral", name="fallback"), breaker).outcome(broken)
                clock.sleep(1.5)
        return events.lines()

    assert lines() == lines()


@pytest.mark.parametrize("kind", ["RetryScheduled", ValueError, 3])
def test_what_is_no_event_class_is_refused(trace, kind):
    with pytest.raises(TypeError, match=r"kind must be a class of events, got .*; pass resilient_ml\.events"):
        trace.of(kind)
    with pytest.raises(TypeError, match="kind must be a class of events"):
        trace.expect_order(kind)


def test_an_attribute_that_the_event_has_not_is_refused(trace):
    with pytest.raises(
        TypeError, match="RetryScheduled has no attribute 'attempts'; it has at, attempt, delay, kind, policy"
    ):
        trace.expect(RetryScheduled, attempts=3)


def test_a_number_of_times_below_one_is_refused(trace):
    with pytest.raises(ValueError, match="times must be at least 1, got 0; expect_none"):
        trace.expect(RetryScheduled, times=0)


def test_it_shows_how_many_events_there_are(trace):
    assert repr(trace) == f"<EventTrace, events: {len(trace)}>"
