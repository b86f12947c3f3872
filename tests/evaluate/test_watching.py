"""Watching: the events of a run's own requests, and the states they tell of."""

import pytest

from resilient_ml import CircuitBreaker, ConstantBackoff, Fallback, Pipeline, Retry, events
from resilient_ml.evaluate import StateSpan
from resilient_ml.evaluate.tickets import CURRENT, Ticket
from resilient_ml.evaluate.watching import MOST_CHANGES, Watch, alarms


def changed(policy, at, before, after):
    return events.BreakerChanged(policy=policy, at=at, before=before, after=after, reason="it is so")


@pytest.fixture
def watch():
    """A watch, in the context of one of its requests."""
    made = Watch()
    token = CURRENT.set(Ticket(0, made))
    yield made
    CURRENT.reset(token)


def test_events_are_counted_by_type(watch):
    def broken():
        raise ConnectionError

    with events.subscribe(watch):
        Pipeline(Fallback(7), CircuitBreaker(consecutive_failures=1, failure_rate=None)).call(broken)
    assert watch.counts == {"BreakerChanged": 1, "FallbackServed": 1}
    assert CURRENT.get().degraded


def test_events_of_other_requests_are_not_ours(watch):
    other = Watch()
    other(events.FallbackServed(policy="p", at=0.0, target="t", kind="k"))
    CURRENT.set(None)
    watch(events.FallbackServed(policy="p", at=0.0, target="t", kind="k"))
    assert not other.counts
    assert not watch.counts


def test_states_span_the_run(watch):
    for event in (
        changed("b", 103.0, "closed", "open"),
        changed("a", 104.0, "closed", "open"),
        changed("b", 106.0, "open", "half_open"),
        changed("b", 107.0, "half_open", "closed"),
    ):
        watch(event)
    assert watch.states(100.0, 110.0) == (
        StateSpan("b", "closed", 0.0, 3.0),
        StateSpan("b", "open", 3.0, 6.0),
        StateSpan("b", "half_open", 6.0, 7.0),
        StateSpan("b", "closed", 7.0, 10.0),
        StateSpan("a", "closed", 0.0, 4.0),
        StateSpan("a", "open", 4.0, 10.0),
    )


def test_a_change_after_the_last_reply_is_within_the_run(watch):
    watch(changed("b", 111.0, "closed", "open"))
    assert watch.states(100.0, 110.0)[-1] == StateSpan("b", "open", 11.0, 11.0)


def test_a_flapping_breaker_fills_no_memory(watch):
    for number in range(MOST_CHANGES + 10):
        watch(changed("b", float(number), "closed", "open"))
    assert watch.counts["BreakerChanged"] == MOST_CHANGES + 10
    assert len(watch.states(0.0, 1.0)) == MOST_CHANGES + 1


def test_a_policy_that_holds_calls_back_is_an_alarm():
    states = [("closed", 0.0), ("open", 1.0), ("half_open", 2.0), ("disabled", 3.0), ("forced_open", 4.0)]
    spans = tuple(StateSpan("b", state, begins, begins + 1) for state, begins in states)
    assert alarms(spans) == [(1.0, 2.0), (2.0, 3.0), (4.0, 5.0)]


def test_retries_are_counted(watch):
    outcomes = iter([ConnectionError(), None])

    def flaky():
        error = next(outcomes)
        if error is not None:
            raise error

    with events.subscribe(watch):
        Pipeline(Retry(backoff=ConstantBackoff(0))).call(flaky)
    assert watch.counts == {"RetryScheduled": 1}
