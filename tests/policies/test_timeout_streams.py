"""Limits on a stream: to its first content, from item to item, and on all of it."""

import asyncio
import contextvars
import pickle

import anyio
import pytest

from resilient_ml import (
    AdaptiveGap,
    Bulkhead,
    CircuitBreaker,
    Colour,
    ConstantBackoff,
    DeadlineExceeded,
    Fallback,
    Kind,
    Pipeline,
    Retry,
    Stream,
    StreamTimeout,
    Timeout,
    deadline,
    events,
    kind_of,
    remaining,
)
from resilient_ml._drivers import expiry
from resilient_ml.events import TimedOut

from ..worlds import World, calling, hang, items, slow

EPSILON = 0.001
HEART = "."


def spoken(**rules):
    """Dots are heartbeats; all else is content."""
    return Stream(is_content=lambda chunk: chunk != HEART, **rules)


@pytest.mark.parametrize(("seconds", "late"), [(2 - EPSILON, False), (2 + EPSILON, True)])
def test_the_first_item_may_come_until_its_limit(stream_world, seconds, late):
    world = stream_world
    reading = world.read(Timeout(first=2)(world.model(items(slow(seconds, "a"), slow(50, "b")))))
    if not late:
        assert (reading.items, reading.error) == (["a", "b"], None)
        return
    error = reading.error
    assert (reading.items, reading.ended, type(error)) == ([], 2, StreamTimeout)
    assert isinstance(error, DeadlineExceeded)
    assert (error.phase, error.kind, error.seconds, error.delivered) == ("first", "timeout", 2, 0)
    assert (error.first_seconds, error.waited_seconds, error.reader_seconds) == (None, 2, 0)
    assert kind_of(error) is Kind.TIMEOUT
    assert str(error) == (
        "'model' sent nothing in its limit of 2 s to the first item; raise first=, or make it faster"
    )


@pytest.mark.parametrize(("seconds", "late"), [(2 - EPSILON, False), (2 + EPSILON, True)])
def test_each_item_may_take_the_gap_and_the_first_one_any_time(stream_world, seconds, late):
    world = stream_world
    model = world.model(items(slow(9, "a"), slow(seconds, "b"), slow(seconds, "c")))
    reading = world.read(Timeout(gap=2)(model))
    if not late:
        assert (reading.items, reading.error) == (["a", "b", "c"], None)
        return
    error = reading.error
    assert (reading.items, reading.ended) == (["a"], 11)
    assert (error.phase, error.kind, error.seconds, error.delivered) == ("gap", "stall", 2, 1)
    assert (error.first_seconds, error.waited_seconds) == (9, 11)
    assert kind_of(error) is Kind.STALL
    assert str(error) == (
        "'model' sent no item for 2 s, its limit on a gap (items sent: 1); "
        "raise gap=, or put a Retry and Stream outside"
    )


@pytest.mark.parametrize(("seconds", "late"), [(3 - EPSILON, False), (3 + EPSILON, True)])
def test_the_total_holds_from_the_call_to_the_last_item(stream_world, seconds, late):
    world = stream_world
    reading = world.read(Timeout(6, first=5, gap=5)(world.model(items(slow(3, "a"), slow(seconds, "b")))))
    if not late:
        assert (reading.items, reading.error) == (["a", "b"], None)
        return
    assert (reading.items, reading.ended) == (["a"], 6)
    assert (reading.error.phase, reading.error.kind, reading.error.seconds) == ("total", "timeout", 6)


def test_a_slow_reader_is_no_gap(stream_world):
    world = stream_world
    reading = world.read(Timeout(gap=0.1)(world.model(items("a", "b", "c"))), pause=1)
    assert (reading.items, reading.error) == (["a", "b", "c"], None)


def test_the_readers_time_is_told_from_the_models(stream_world):
    world = stream_world
    model = world.model(items(slow(1, "a"), slow(2, "b"), slow(2, "c"), hang()))
    error = world.read(Timeout(gap=3)(model), pause=10).error
    assert (error.first_seconds, error.waited_seconds, error.reader_seconds) == (1, 1 + 2 + 2 + 3, 30)


def test_a_slow_reader_uses_up_the_total(stream_world):
    world = stream_world
    reading = world.read(Timeout(5, gap=1)(world.model(items("a", slow(0.5, "b")))), pause=6)
    assert (reading.items, reading.error.phase, reading.error.reader_seconds) == (["a"], "total", 6)


def test_heartbeats_are_neither_the_first_item_nor_an_end_of_the_gap(stream_world):
    world = stream_world
    beats = [slow(0.9, HEART)] * 10
    reading = world.read(Pipeline(spoken(), Timeout(first=2))(world.model(items(*beats, "a"))))
    assert (reading.items, reading.ended, reading.error.phase) == ([], 2, "first")
    reading = world.read(Pipeline(spoken(), Timeout(gap=2))(world.model(items("a", *beats, "b"))))
    assert (reading.items, reading.ended, reading.error.phase) == (["a", HEART, HEART], 2, "gap")


def test_heartbeats_may_be_made_to_count(stream_world):
    world = stream_world
    model = world.model(items("a", *[slow(0.9, HEART)] * 10, "b"))
    reading = world.read(Pipeline(spoken(heartbeats_count=True), Timeout(gap=2))(model))
    assert (reading.text, reading.error) == (f"a{HEART * 10}b", None)


def test_a_heartbeat_does_not_give_the_readers_time_to_the_gap(stream_world):
    world = stream_world
    model = world.model(items("a", slow(1.5, HEART), slow(1, "b")))
    reading = world.read(Pipeline(spoken(), Timeout(gap=2))(model), pause=5)
    assert (reading.items, reading.error.phase, reading.ended) == (["a", HEART], "gap", 5 + 1.5 + 5 + 0.5)


def test_the_first_limit_is_over_with_the_first_content_and_the_total_holds_on(stream_world):
    world = stream_world
    seen = []

    def chunks():
        seen.append(remaining())
        yield "a"
        seen.append(remaining())
        yield "b"

    async def achunks():
        for chunk in chunks():
            yield chunk

    world.read(Timeout(60, first=2, gap=5)(achunks if world.is_async else chunks))
    assert seen == [2, 5]


@pytest.mark.parametrize(
    ("outer", "inner", "ended", "phase", "policy"),
    [
        ({"first": 5, "total": 60}, {"first": 2, "total": 20}, 2, "first", "inner"),
        ({"first": 2, "total": 60}, {"first": 5, "total": 20}, 2, "first", "outer"),
        ({"total": 3}, {"first": 5}, 3, "total", "outer"),
        ({"first": 5}, {"total": 3}, 3, "total", "inner"),
    ],
)
def test_of_nested_limits_the_tightest_holds_before_the_first_item(
    stream_world, outer, inner, ended, phase, policy
):
    world = stream_world
    both = Pipeline(Timeout(**outer, name="outer"), Timeout(**inner, name="inner"))
    error = world.read(both(world.model(hang())))
    assert (error.ended, error.error.phase, error.error.policy) == (ended, phase, policy)


@pytest.mark.parametrize(
    ("outer", "inner", "ended", "phase", "policy"),
    [
        ({"first": 5, "total": 60}, {"first": 2, "total": 20}, 20, "total", "inner"),
        ({"first": 5, "total": 20}, {"first": 2, "total": 60}, 20, "total", "outer"),
        ({"gap": 9}, {"gap": 4}, 5, "gap", "inner"),
        ({"gap": 4}, {"gap": 9}, 5, "gap", "outer"),
        ({"first": 2}, {"gap": 4}, 5, "gap", "inner"),
        ({"first": 5, "total": 20}, {"first": 2}, 20, "total", "outer"),
    ],
)
def test_of_nested_limits_the_tightest_holds_after_the_first_item(
    stream_world, outer, inner, ended, phase, policy
):
    world = stream_world
    both = Pipeline(Timeout(**outer, name="outer"), Timeout(**inner, name="inner"))
    reading = world.read(both(world.model(items(slow(1, "a"), hang()))))
    assert (reading.ended, reading.error.phase, reading.error.policy) == (ended, phase, policy)


def test_the_limit_on_the_first_item_is_each_attempts_own_inside_a_retry(stream_world):
    world = stream_world
    model = world.model(hang(), hang(), items("a", "b"))
    guard = Pipeline(Retry(backoff=ConstantBackoff(1)), Timeout(first=2))
    reading = world.read(guard(model))
    assert (reading.items, reading.times, model.starts) == (["a", "b"], [6, 6], [0, 3, 6])


def test_outside_a_retry_it_bounds_all_attempts_together(stream_world):
    world = stream_world
    model = world.model(ConnectionError(), ConnectionError(), ConnectionError())
    guard = Pipeline(Timeout(first=2), Retry(attempts=3, backoff=ConstantBackoff(1.5)))
    reading = world.read(guard(model))
    assert type(reading.error) is ConnectionError
    assert model.starts == [0, 1.5]  # the third would begin after the limit on the first item


def test_outside_a_retry_it_is_over_once_an_item_has_come_even_if_that_attempt_fails(stream_world):
    world = stream_world
    model = world.model(items("a", slow(9, ConnectionError())), items("b", slow(9, "c")))
    guard = Pipeline(Stream(on_interrupt="restart"), Timeout(first=2), Retry(backoff=ConstantBackoff(5)))
    reading = world.read(guard(model))
    assert (reading.error, reading.items[2:]) == (None, ["b", "c"])


def test_what_is_over_stays_over_for_the_limits_inside(stream_world):
    world = stream_world
    model = world.model(items("a", slow(9, ConnectionError())), items("b", slow(9, "c")))
    limits = Timeout(first=2), Retry(backoff=ConstantBackoff(5)), Timeout(50, first=2)
    reading = world.read(Pipeline(Stream(on_interrupt="restart"), *limits)(model))
    assert (reading.error, reading.items[2:]) == (None, ["b", "c"])


def test_after_a_late_first_item_another_target_answers(stream_world):
    world = stream_world
    other = world.model(items("x", "y"))
    reading = world.read(Pipeline(Fallback(other), Timeout(first=2))(world.model(hang())))
    assert (reading.items, reading.times) == (["x", "y"], [2, 2])


def test_the_callers_own_deadline_is_no_fault_of_the_model(stream_world):
    world = stream_world
    with deadline(3):
        reading = world.read(Timeout(first=60, gap=60)(world.model(items(slow(1, "a"), hang()))))
    error = reading.error
    assert (reading.ended, error.kind, error.delivered) == (3, "deadline", 1)
    assert (error.phase, error.policy, error.__cause__) == (None, None, None)
    assert str(error) == (
        "the caller's deadline passed before 'model' answered (items sent: 1); "
        "give the block more time, or put a Fallback with a ready value outside it"
    )


def test_a_limit_that_passes_is_told_once_by_the_policy_that_set_it(stream_world):
    world = stream_world
    seen = []
    guard = Pipeline(Timeout(60, name="outer"), Timeout(first=9, gap=2, name="inner"))
    with events.subscribe(seen.append):
        world.read(guard(world.model(items("a", hang()))))
    assert [(type(one), one.policy, one.seconds) for one in seen] == [(TimedOut, "inner", 2)]


def test_a_time_out_carries_what_was_delivered_where_a_stream_keeps_it(stream_world):
    world = stream_world
    guard = Pipeline(Stream(), Timeout(gap=1))
    error = world.read(guard(world.model(items("a", "b", hang())))).error
    assert (error.partial, error.delivered) == (("a", "b"), 2)
    again = pickle.loads(pickle.dumps(error))
    assert (again.partial, again.phase, again.waited_seconds) == (("a", "b"), "gap", 1)
    error = world.read(Pipeline(Stream(keep=1), Timeout(gap=1))(world.model(items("a", "b", hang())))).error
    assert (error.partial, error.delivered) == (None, 2)


def test_a_stall_counts_against_the_model(stream_world):
    world = stream_world
    breaker = CircuitBreaker(consecutive_failures=1)
    world.read(Pipeline(breaker, Timeout(gap=1))(world.model(items("a", hang()))))
    assert breaker.state == "open"
    assert breaker.failures[Kind.STALL] == 1


def test_an_item_that_is_there_when_the_gap_passes_is_delivered(clock):
    world = World(Colour.ASYNC_STREAM, "asyncio", clock)

    async def chunks():
        yield "a"
        await anyio.sleep(2)  # wakes in the same turn of the loop as the limit
        yield "b"

    assert world.read(Timeout(gap=2)(chunks)).items == ["a", "b"]


def test_a_plain_stream_that_blocks_is_left_behind_and_keeps_its_seat(clock):
    world = World(Colour.STREAM, None, clock)
    bulkhead = Bulkhead(1)
    limit = Timeout(gap=1)
    reading = world.read(Pipeline(bulkhead, limit)(world.model(items("a", slow(5, "b")))))
    assert (reading.items, reading.ended) == (["a"], 1)
    assert (limit.abandoned, bulkhead.in_flight) == (1, 1)
    clock.sleep(4.5)
    assert (limit.abandoned, bulkhead.in_flight) == (0, 0)


@pytest.mark.parametrize("backend", ["asyncio", "trio"])
def test_the_gap_stands_still_while_another_task_reads(clock, backend):
    world = World(Colour.ASYNC_STREAM, backend, clock)

    async def main():
        stream = Timeout(gap=1)(world.model(items("a", slow(0.5, "b"), slow(0.5, "c"), hang())))()
        found = []

        async def read_one():
            found.append(await anext(stream))

        for _ in range(3):
            async with anyio.create_task_group() as group:
                group.start_soon(read_one)
            await anyio.sleep(3)
        with pytest.raises(StreamTimeout):
            await anext(stream)
        return found

    assert world.run(main) == ["a", "b", "c"]


# ---- a gap that is learned


def test_an_adaptive_gap_is_the_ceiling_until_it_has_seen_a_hundred(stream_world):
    world = stream_world
    limit = Timeout(gap=AdaptiveGap(floor=0.5, multiple=4, ceiling=30))
    guarded = limit(world.model(items("a", *[slow(0.25, "b")] * 90, slow(29, "c"))))
    assert world.read(guarded).error is None


def test_then_it_follows_the_models_own_gaps(stream_world):
    world = stream_world
    limit = Timeout(gap=AdaptiveGap(floor=0.5, multiple=4, ceiling=30))
    assert world.read(limit(world.model(items("a", *[slow(0.25, "b")] * 150)))).error is None
    error = world.read(limit(world.model(items("a", slow(5, "b"))))).error
    assert error.phase == "gap"
    assert 0.95 <= error.seconds <= 1.05  # four times a quarter of a second, to within the buckets


def test_and_never_rises_above_its_ceiling(stream_world):
    world = stream_world
    limit = Timeout(gap=AdaptiveGap(floor=0.5, multiple=4, ceiling=30))
    world.read(limit(world.model(items("a", *[slow(20, "b")] * 150))))
    assert world.read(limit(world.model(items("a", hang())))).error.seconds == 30


def test_and_never_falls_below_its_floor(stream_world):
    world = stream_world
    limit = Timeout(gap=AdaptiveGap(floor=2, multiple=4, ceiling=30))
    world.read(limit(world.model(items("a", *[slow(0.01, "b")] * 150))))
    reading = world.read(limit(world.model(items("a", slow(1.9, "b"), hang()))))
    assert (reading.items, reading.error.seconds) == (["a", "b"], 2)


# ---- options


def test_it_describes_its_limits():
    assert repr(Timeout(60, first=2, gap=1.5)) == "Timeout(60 s, first 2 s, gap 1.5 s)"
    assert repr(Timeout(gap=AdaptiveGap(1))) == (
        "Timeout(gap AdaptiveGap(floor=1, multiple=4.0, ceiling=60.0))"
    )


@pytest.mark.parametrize("name", ["first", "gap"])
def test_what_gives_one_answer_has_no_first_item_and_no_gaps(call_world, name):
    with pytest.raises(TypeError, match=rf"Timeout\({name}=\) limits streams, and 'model' gives one answer"):
        Timeout(**{name: 1})(call_world.model("a"))


@pytest.mark.parametrize(
    ("options", "kind", "message"),
    [
        ({}, ValueError, r"Timeout needs a limit, got none; pass Timeout\(5.0\), or leave it out"),
        ({"first": 0}, ValueError, "first must be above 0, got 0; leave it out for no limit"),
        ({"gap": -1}, ValueError, "gap must be above 0, got -1; leave it out for no limit"),
        ({"gap": "1"}, TypeError, "gap must be a number, got '1'"),
    ],
)
def test_bad_limits_are_refused_with_the_remedy(options, kind, message):
    with pytest.raises(kind, match=message):
        Timeout(**options)


@pytest.mark.parametrize(
    ("options", "kind", "message"),
    [
        ({"floor": 0}, ValueError, "floor must be above 0, got 0; pass the least limit, 1 say"),
        ({"floor": 1, "multiple": 0.5}, ValueError, "multiple must be at least 1, got 0.5"),
        ({"floor": 1, "multiple": "2"}, TypeError, "multiple must be a number, got '2'"),
        ({"floor": 2, "ceiling": 1}, ValueError, "ceiling must be at least floor, got 1 and 2; raise it"),
    ],
)
def test_bad_adaptive_gaps_are_refused_with_the_remedy(options, kind, message):
    with pytest.raises(kind, match=message):
        AdaptiveGap(**options)


# ---- on asyncio's own timer


def test_a_stream_that_swallows_its_cancellation_is_late_all_the_same(clock):
    world = World(Colour.ASYNC_STREAM, "asyncio", clock)

    async def chunks():
        yield "a"
        try:
            await anyio.sleep(60)
        except asyncio.CancelledError:
            yield "too late"
        yield "b"

    async def main():
        reading = []
        with pytest.raises(StreamTimeout):
            async for chunk in Timeout(gap=2)(chunks)():
                reading.append(chunk)  # noqa: PERF401
        await asyncio.sleep(5)  # nothing of the cancellation is left in this task
        return reading

    assert world.run(main) == ["a"]


def test_a_cancellation_from_outside_that_comes_with_the_gap_wins(clock):
    world = World(Colour.ASYNC_STREAM, "asyncio", clock)

    async def main():
        stream = Timeout(gap=2)(world.model(items("a", hang())))()
        assert await anext(stream) == "a"
        with anyio.move_on_after(2) as scope:
            await anext(stream)
        return scope.cancelled_caught

    assert world.run(main)


def test_a_guarded_call_inside_that_runs_out_of_the_gap_is_a_stall_of_the_stream(stream_world):
    world = stream_world
    inner = Retry(1)(world.model(items("a", slow(3, "b"))))
    reading = world.read(Timeout(gap=2, name="outer")(calling(world, inner)))
    error = reading.error
    assert (reading.items, error.kind, error.policy, error.phase) == (["a"], "stall", "outer", "gap")


def test_a_stream_that_is_ended_from_another_context_gives_all_back(clock):
    world = World(Colour.ASYNC_STREAM, "asyncio", clock)
    bulkhead = Bulkhead(1)

    async def main():
        stream = Pipeline(bulkhead, Timeout(first=5))(world.model(hang()))()

        async def read():
            return [chunk async for chunk in stream]

        reader = read()
        contextvars.copy_context().run(reader.send, None)
        with pytest.raises(asyncio.CancelledError):
            reader.throw(asyncio.CancelledError)
        return bulkhead.in_flight

    assert world.run(main) == 0


def test_a_guarded_call_inside_that_is_refused_for_the_gap_is_a_stall_of_the_stream(clock):
    world = World(Colour.ASYNC_STREAM, "asyncio", clock)
    inner = Retry(1)(world.model("b", colour=Colour.ASYNC_CALL))

    async def chunks():
        yield "a"
        clock.sleep(3)  # holds the loop, so that the limit passes unseen
        yield await inner()

    reading = world.read(Timeout(gap=2, name="outer")(chunks))
    assert (reading.items, reading.error.kind, reading.error.policy) == (["a"], "stall", "outer")
    assert reading.error.__cause__.kind == "deadline"


def test_many_pulls_cost_the_timer_one_entry_and_leave_none(clock):
    world = World(Colour.ASYNC_STREAM, "asyncio", clock)
    sizes = []

    async def main():
        stream = Timeout(60, first=2, gap=5)(world.model(items(*[slow(0.01, "a")] * 500)))
        async for _ in stream():
            sizes.append(len(expiry.timer_of(asyncio.get_running_loop())._heap))  # noqa: PERF401
        return expiry.timer_of(asyncio.get_running_loop())._live

    assert world.run(main) == 0
    assert max(sizes) <= 2


def test_streams_that_are_over_are_forgotten_by_the_timer(clock):
    world = World(Colour.ASYNC_STREAM, "asyncio", clock)

    async def main():
        safe = Timeout(60)(world.model(items("a", "b")))
        for _ in range(50):
            assert [item async for item in safe()] == ["a", "b"]
        return len(expiry.timer_of(asyncio.get_running_loop())._heap)

    assert world.run(main) == 1


def test_a_fallback_of_a_stream_is_not_begun_when_the_callers_time_is_up(stream_world):
    world = stream_world
    breaker = CircuitBreaker()
    breaker.force_open()
    colour = Colour.ASYNC_CALL if world.is_async else Colour.CALL
    other = world.model("b", name="other", colour=colour)
    with deadline(0):
        error = world.read(Pipeline(Fallback(other), breaker)(world.model("a"))).error
    assert other.starts == []
    assert any("failed too: StreamTimeout" in note for note in error.__notes__)


def test_a_limit_that_is_in_the_timer_twice_cancels_once(clock):
    """The total is armed before the first item, and again after a gap was found to be no more."""
    world = World(Colour.ASYNC_STREAM, "asyncio", clock)

    async def main():
        stream = Timeout(60, gap=5)(world.model(items(slow(1, "a"), slow(1, "b"), hang())))()
        assert [await anext(stream), await anext(stream)] == ["a", "b"]
        await anyio.sleep(56)
        with pytest.raises(StreamTimeout):
            await anext(stream)
        return asyncio.current_task().cancelling()

    assert world.run(main) == 0


def test_a_deadline_of_the_models_own_is_no_time_out_of_the_stream(stream_world):
    world = stream_world
    inner = Retry(1)(world.model(items("b")))

    def chunks():
        yield "a"
        with deadline(0):
            yield from inner()

    async def achunks():
        yield "a"
        with deadline(0):
            await anext(inner())

    reading = world.read(Timeout(gap=5)(achunks if world.is_async else chunks))
    assert (reading.items, reading.error.kind, reading.error.policy) == (["a"], "deadline", None)


def test_streams_that_share_a_policy_have_each_their_own_gap(stream_world):
    """One is past its last chunk, where it is given less time, while the other stalls."""
    world = stream_world
    limit = Timeout(gap=5)
    rules = Stream(is_final=lambda chunk: chunk == "end", end_seconds=0.5)
    stalls = Pipeline(rules, limit)(world.model(items("a", hang())))
    ends = Pipeline(rules, limit)(world.model(items(slow(1, "a"), "end", hang())))
    error, whole = world.together((stalls,), (ends,))
    assert (error.seconds, whole) == (5, ("a", "end"))
