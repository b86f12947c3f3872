"""CircuitBreaker in every colour: what it counts, what it lets through, and what it says."""

import pytest

from resilient_ml import (
    BulkheadFull,
    CircuitBreaker,
    CircuitOpen,
    Kind,
    LimitExceeded,
    Pipeline,
    State,
    Timeout,
    deadline,
    events,
)

from ..worlds import hang, items, slow


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


# ---- the round from closed to open and back


def test_it_opens_refuses_probes_and_closes(world):
    seen = []
    one = breaker(on_event=seen.append)
    model = world.model(ConnectionError, ConnectionError, "cat")
    safe = one(model)
    assert [type(world.failure(safe)) for _ in range(3)] == [ConnectionError, ConnectionError, CircuitOpen]
    assert len(model.starts) == 2
    world.clock.advance(5)
    assert world.call(safe) == "cat"
    assert one.state is State.CLOSED
    assert [(event.before, event.after) for event in seen if isinstance(event, events.BreakerChanged)] == [
        ("closed", "open"),
        ("open", "half_open"),
        ("half_open", "closed"),
    ]


def test_a_refusal_says_why_for_how_long_and_what_to_do(world):
    seen = []
    one = breaker(name="embedder", on_event=seen.append)
    trip(world, one)
    world.clock.advance(1)
    error = world.failure(one(world.model("cat")))
    assert type(error) is CircuitOpen
    assert str(error) == (
        "breaker 'embedder' is open for another 4.0 s after 2 failures in a row; "
        "retry after that, or put a Fallback outside it"
    )
    assert (error.retry_after, error.policy) == (4, "embedder")
    assert seen[-1] == events.CallRejected(
        policy="embedder", at=world.clock.now(), reason="after 2 failures in a row", retry_after=4
    )


def test_a_failed_probe_opens_it_again_for_longer(world):
    one = breaker()
    trip(world, one)
    world.clock.advance(5)
    safe = one(world.model(ConnectionError, "cat"))
    assert isinstance(world.failure(safe), ConnectionError)
    world.clock.advance(9)
    assert world.failure(safe).retry_after == pytest.approx(1)
    world.clock.advance(1)
    assert world.call(safe) == "cat"


def test_a_rate_of_failures_in_a_window_opens_it(world):
    one = breaker(consecutive_failures=None, failure_rate=0.5, minimum_calls=4)
    safe = one(world.model("cat", ConnectionError))
    for _ in range(4):
        world.failure(safe)
    assert str(world.failure(safe)).startswith(
        "breaker 'model' is open for another 5.0 s after 3 failures of 4 calls in 10 s"
    )


def test_a_count_window_opens_it_too(world):
    one = breaker(consecutive_failures=None, failure_rate=0.5, minimum_calls=2, window_calls=4)
    safe = one(world.model("cat", "cat", ConnectionError))
    for _ in range(4):
        world.failure(safe)
    assert one.state is State.OPEN


def test_while_half_open_only_its_permits_are_admitted(world):
    one = breaker(half_open_permits=2)
    trip(world, one)
    world.clock.advance(5)
    model = world.model(slow(1, "cat"))
    ends = world.together(*[(one(model),)] * 5)
    assert [getattr(end, "policy", end) for end in ends] == ["cat", "cat", "model", "model", "model"]
    assert model.script.most_inside == 2
    assert one.state is State.CLOSED


def test_a_probe_that_hangs_loses_its_lease(async_world):
    one = breaker(probe_lease_seconds=2)
    trip(async_world, one)
    async_world.clock.advance(5)
    model = async_world.model(slow(60, "late"), "cat")
    safe = one(model)

    async def scenario():
        import anyio

        async with anyio.create_task_group() as group:
            group.start_soon(async_world.use, safe, {})
            await anyio.sleep(1)
            with pytest.raises(CircuitOpen, match=r"half open for another 1\.0 s while it is being probed"):
                await async_world.use(safe, {})
            await anyio.sleep(1)
            assert await async_world.use(safe, {}) == "cat"
            assert one.state is State.CLOSED

    async_world.run(scenario)


def test_an_outcome_from_before_it_opened_changes_nothing(async_world):
    import anyio

    one = breaker()
    safe = one(async_world.model(slow(3, "cat"), ConnectionError))

    async def scenario():
        async with anyio.create_task_group() as group:
            group.start_soon(async_world.use, safe, {})
            await anyio.sleep(1)
            for _ in range(2):
                with pytest.raises(ConnectionError):
                    await async_world.use(safe, {})
        assert one.state is State.OPEN

    async_world.run(scenario)


def test_a_server_that_asks_for_longer_is_left_alone_for_longer(world):
    one = breaker()
    error = ConnectionError()
    error.retry_after = 60
    safe = one(world.model(error))
    world.failure(safe)
    world.failure(safe)
    assert world.failure(safe).retry_after == 60


def test_traffic_comes_back_gradually_over_a_ramp(world):
    from random import Random

    one = breaker(ramp_seconds=10, rng=Random(5))
    trip(world, one)
    world.clock.advance(5)
    safe = one(world.model("cat"))
    assert world.call(safe) == "cat"
    assert one.state is State.RAMPING
    refused = [error for _ in range(50) if (error := world.failure(safe)) is not None]
    assert 30 < len(refused) < 50
    assert "is ramping for another 10.0 s while 10% of the traffic is let back" in str(refused[0])
    world.clock.advance(10)
    assert world.call(safe) == "cat"
    assert one.state is State.CLOSED


# ---- slow calls


def test_slow_answers_open_it(world):
    one = breaker(consecutive_failures=None, minimum_calls=2, slow_call_seconds=2)
    safe = one(world.model(slow(3, "late")))
    assert [world.call(safe), world.call(safe)] == ["late", "late"]
    assert str(world.failure(safe)).startswith(
        "breaker 'model' is open for another 5.0 s after 2 slow calls of 2 in 10 s"
    )


def test_answers_in_time_do_not(world):
    one = breaker(minimum_calls=2, slow_call_seconds=2)
    safe = one(world.model(slow(1, "cat")))
    assert [world.call(safe) for _ in range(4)] == ["cat"] * 4


def test_a_slow_failure_counts_as_both(world):
    one = breaker(slow_call_seconds=2)
    trip(world, one)
    safe = one(world.model(slow(3, ConnectionError)))
    world.clock.advance(5)
    assert isinstance(world.failure(safe), ConnectionError)
    assert one.state is State.OPEN


# ---- what counts


@pytest.mark.parametrize(
    "error",
    [ValueError, BulkheadFull, LimitExceeded, CircuitOpen],
    ids=lambda error: error.__name__,
)
def test_what_says_nothing_about_the_model_does_not_count(world, error):
    one = breaker()
    safe = one(world.model(error))
    for _ in range(5):
        world.failure(safe)
    assert (one.state, one.failures) == (State.CLOSED, {})


def test_a_policys_time_out_counts_and_the_callers_deadline_does_not(world):
    one = breaker()
    safe = Pipeline(one, Timeout(2))(world.model(hang()))
    for _ in range(3):
        with deadline(1):
            assert world.failure(safe).kind == "deadline"
    assert one.state is State.CLOSED
    for _ in range(2):
        assert world.failure(safe).kind == "timeout"
    assert one.state is State.OPEN
    assert one.failures == {Kind.TIMEOUT: 2}


def test_a_refusal_inside_gives_the_probes_permit_back(world):
    one = breaker()
    trip(world, one)
    world.clock.advance(5)
    safe = one(world.model(BulkheadFull("full"), ValueError("row"), "cat"))
    assert isinstance(world.failure(safe), BulkheadFull)
    assert isinstance(world.failure(safe), ValueError)
    assert one.state is State.HALF_OPEN
    assert world.call(safe) == "cat"


def test_the_user_can_say_what_counts(world):
    one = breaker(counts=(KeyError, "auth"))
    others = one(world.model(ConnectionError))
    mine = one(world.model(KeyError))
    for _ in range(3):
        world.failure(others)
    assert one.state is State.CLOSED
    for _ in range(2):
        world.failure(mine)
    assert one.state is State.OPEN
    assert one.failures == {Kind.UNKNOWN: 2}


def test_a_predicate_that_fails_gives_the_probes_permit_back(world):
    def broken(error):
        raise LookupError("predicate")

    one = breaker(counts=broken)
    one._machine.force(State.HALF_OPEN)
    safe = one(world.model(ConnectionError, "cat"))
    assert isinstance(world.failure(safe), LookupError)
    assert world.call(safe) == "cat"
    assert one.state is State.CLOSED


def test_the_longest_open_time_follows_the_first_unless_it_is_given(world):
    one = breaker(open_seconds=100)
    trip(world, one)
    assert world.failure(one(world.model("cat"))).retry_after == 100


def test_what_is_no_exception_counts_neither_way(plain_world):
    one = breaker()
    safe = one(plain_world.model(KeyboardInterrupt()))
    for _ in range(5):
        with pytest.raises(KeyboardInterrupt):
            plain_world.call(safe)
    assert (one.state, one.failures) == (State.CLOSED, {})


def test_a_cancelled_probe_gives_its_permit_back(async_world):
    import anyio

    one = breaker()
    trip(async_world, one)
    async_world.clock.advance(5)
    safe = one(async_world.model(hang(), "cat"))

    async def scenario():
        with anyio.move_on_after(1):
            await async_world.use(safe, {})
        assert one.state is State.HALF_OPEN
        assert await async_world.use(safe, {}) == "cat"

    async_world.run(scenario)
    assert one.failures == {Kind.CONNECTION: 2}


# ---- streams


def test_a_stream_is_judged_at_its_end(stream_world):
    one = breaker()
    broken = one(stream_world.model(items("to", "ken", ConnectionError)))
    for _ in range(2):
        assert isinstance(stream_world.failure(broken), ConnectionError)
    assert one.state is State.OPEN


def test_a_stream_that_its_consumer_leaves_counts_neither_way(stream_world):
    one = breaker()
    trip(stream_world, one)
    stream_world.clock.advance(5)
    safe = one(stream_world.model(items("to", "ken")))
    if stream_world.is_async:

        async def leave():
            stream = safe()
            assert await anext(stream) == "to"
            await stream.aclose()

        stream_world.run(leave)
    else:
        stream = safe()
        assert next(stream) == "to"
        stream.close()
    assert one.state is State.HALF_OPEN
    assert stream_world.call(safe) == ("to", "ken")
    assert one.state is State.CLOSED
