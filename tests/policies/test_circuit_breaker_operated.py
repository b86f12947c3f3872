"""CircuitBreaker for operators and with other policies, in every colour; its options."""

import pytest

from resilient_ml import (
    Bulkhead,
    CircuitBreaker,
    CircuitOpen,
    ConstantBackoff,
    Kind,
    Pipeline,
    Retry,
    State,
    events,
)


def breaker(**options):
    """A breaker that trips after two failures in a row and stays open for exactly 5 s."""
    return CircuitBreaker(
        **{"consecutive_failures": 2, "open_seconds": 5, "jitter": 0, "name": "model", **options}
    )


def trip(world, one):
    """Two failures, which open *one*."""
    safe = one(world.model(ConnectionError))
    for _ in range(2):
        world.failure(safe)
    assert one.state is State.OPEN


# ---- for operators


def test_an_operator_can_open_close_disable_and_reset_it(world):
    seen = []
    one = breaker(on_event=seen.append)
    model = world.model("cat")
    safe = one(model)
    one.force_open()
    error = world.failure(safe)
    assert (
        str(error) == "breaker 'model' is forced open by an operator; "
        "call force_closed() or reset() to let calls through"
    )
    assert error.retry_after is None
    one.force_closed()
    failing = one(world.model(ConnectionError))
    for _ in range(4):
        world.failure(failing)
    assert (world.call(safe), one.state, one.failures) == ("cat", State.FORCED_CLOSED, {Kind.CONNECTION: 4})
    one.disable()
    for _ in range(4):
        world.failure(failing)
    assert (world.call(safe), one.state, one.failures) == ("cat", State.DISABLED, {Kind.CONNECTION: 4})
    one.reset()
    one.reset()
    assert one.state is State.CLOSED
    assert [event.after for event in seen if isinstance(event, events.BreakerChanged)] == [
        "forced_open",
        "forced_closed",
        "disabled",
        "closed",
    ]


def test_a_shadow_breaker_only_reports(world):
    seen = []
    one = breaker(shadow=True, on_event=seen.append)
    trip(world, one)
    model = world.model("cat")
    assert [world.call(one(model)) for _ in range(3)] == ["cat"] * 3
    assert [event.shadow for event in seen if isinstance(event, events.CallRejected)] == [True] * 3


def test_a_snapshot_is_taken_up_where_it_was_left(world):
    one = breaker()
    trip(world, one)
    world.clock.advance(2)
    other = breaker()
    other.restore(one.snapshot())
    error = world.failure(other(world.model("cat")))
    assert error.retry_after == pytest.approx(3)
    assert other.failures == {Kind.CONNECTION: 2}
    with pytest.raises(ValueError, match="snapshot must be a dict of version 1"):
        other.restore({})


# ---- with others, and options


def test_a_retry_outside_does_not_retry_what_an_open_breaker_refuses(world):
    one = breaker()
    model = world.model(ConnectionError)
    safe = Pipeline(Retry(5, backoff=ConstantBackoff(0)), one)(model)
    assert isinstance(world.failure(safe), CircuitOpen)
    assert len(model.starts) == 2


def test_a_bulkhead_inside_an_open_breaker_is_never_touched(world):
    one, bulkhead = breaker(), Bulkhead(1)
    trip(world, one)
    world.failure(Pipeline(one, bulkhead)(world.model("cat")))
    assert bulkhead.in_flight == 0


def test_a_breaker_describes_its_rules():
    assert repr(CircuitBreaker()) == (
        "CircuitBreaker(opens for 5 s at 50% of >= 10 calls failed in 10 s or 10 failures in a row)"
    )
    assert (
        repr(
            CircuitBreaker(
                failure_rate=None,
                consecutive_failures=None,
                slow_call_seconds=2,
                window_calls=20,
                shadow=True,
            )
        )
        == "CircuitBreaker(opens for 5 s at 50% slower than 2 s in 20 calls, shadow)"
    )
    assert "no rule" in repr(CircuitBreaker(failure_rate=None, consecutive_failures=None))


@pytest.mark.parametrize(
    ("options", "kind", "message"),
    [
        ({"failure_rate": 0}, ValueError, "failure_rate must be above 0 and at most 1, got 0"),
        ({"failure_rate": 1.5}, ValueError, "failure_rate must be above 0 and at most 1, got 1.5"),
        ({"failure_rate": float("nan")}, ValueError, "failure_rate must be finite, got nan"),
        ({"minimum_calls": 0}, ValueError, "minimum_calls must be at least 1, got 0"),
        ({"window_seconds": 0}, ValueError, "window_seconds must be above 0"),
        ({"window_calls": 0}, ValueError, "window_calls must be at least 1"),
        (
            {"window_calls": 5},
            ValueError,
            "minimum_calls must be at most window_calls, got 10 and 5; no window",
        ),
        ({"consecutive_failures": 0}, ValueError, "consecutive_failures must be at least 1, got 0"),
        ({"slow_call_seconds": -1}, ValueError, "slow_call_seconds must be above 0"),
        ({"slow_call_rate": 2}, ValueError, "slow_call_rate must be above 0 and at most 1"),
        ({"open_seconds": 0}, ValueError, "open_seconds must be above 0"),
        (
            {"open_seconds": 90, "open_seconds_max": 60},
            ValueError,
            "open_seconds_max must be at least open_seconds, got 60 ",
        ),
        ({"half_open_permits": 0}, ValueError, "half_open_permits must be at least 1"),
        ({"probe_lease_seconds": 0}, ValueError, "probe_lease_seconds must be above 0"),
        ({"ramp_seconds": -1}, ValueError, "ramp_seconds must not be negative"),
        ({"jitter": -0.1}, ValueError, "jitter must be from 0 to 1"),
        ({"shadow": "yes"}, TypeError, "shadow must be True or False, got 'yes'"),
        ({"counts": 7}, TypeError, "counts must hold subclasses of Exception or kinds, got 7"),
    ],
)
def test_bad_options_are_refused_with_the_remedy(options, kind, message):
    with pytest.raises(kind, match=message):
        CircuitBreaker(**options)
