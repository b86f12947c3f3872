"""Hedge on streams: the first to have content is passed on to its end; nothing is mixed, nothing is left."""

import anyio
import pytest

from resilient_ml import (
    AdaptiveLimiter,
    Bulkhead,
    Cache,
    CircuitBreaker,
    Coalesce,
    Colour,
    ConstantBackoff,
    Contract,
    Fallback,
    Hedge,
    InvalidOutput,
    Pipeline,
    Policy,
    Retry,
    State,
    Stream,
    StreamInterrupted,
    StreamTimeout,
    Timeout,
    events,
    remaining,
)
from resilient_ml.contracts import Length

from ..worlds import hang, items, slow

AT_ONCE = ConstantBackoff(0)


def is_content(chunk):
    return chunk not in ("role", "ping")


class Opens(Policy):
    """Passes an item on before the stream begins, as one does that follows another call's stream."""

    async def around(self, proceed, call):
        await call.runtime.relay("role", call)
        return await proceed(call)


def settle(world):
    """Let what is still going on come to its end."""
    if world.is_async:
        world.run(anyio.sleep, 1000)
    else:
        world.clock.sleep(1000)


# ---- the race


def test_a_stream_that_begins_in_time_is_all_there_is(stream_world):
    model = stream_world.model(items(slow(1, "a"), slow(50, "b")))
    reading = stream_world.read(Hedge(delay=2)(model))
    assert (reading.items, reading.times, model.starts) == (["a", "b"], [1, 51], [0])


def test_a_stream_that_begins_late_is_asked_again_and_the_quicker_passed_on(stream_world):
    model = stream_world.model(items(slow(10, "x"), "y"), items(slow(1, "a"), slow(1, "b"), slow(20, "c")))
    reading = stream_world.read(Hedge(delay=2)(model))
    assert (reading.items, reading.times, model.starts) == (["a", "b", "c"], [3, 4, 24], [0, 2])


def test_the_first_may_win_all_the_same(stream_world):
    model = stream_world.model(items(slow(3, "a"), slow(5, "b")), items(slow(2, "x"), "y"))
    reading = stream_world.read(Hedge(delay=2)(model))
    assert (reading.items, reading.times, model.starts) == (["a", "b"], [3, 8], [0, 2])


def test_what_opens_a_stream_is_no_content(stream_world):
    model = stream_world.model(
        items("role", slow(10, "x")), items("role", slow(1, "a"), "ping", slow(1, "b"))
    )
    safe = Pipeline(Hedge(delay=2), Stream(is_content=is_content))(model)
    reading = stream_world.read(safe)
    assert (reading.items, reading.times) == (["role", "a", "ping", "b"], [3, 3, 3, 4])


def test_chunks_that_are_held_are_no_beginning_yet(stream_world):
    model = stream_world.model(items("x", slow(10, "y")), items("a", slow(1, "b"), "c"))
    safe = Pipeline(Hedge(delay=2), Stream(commit_after=2))(model)
    reading = stream_world.read(safe)
    assert (reading.items, reading.times) == (["a", "b", "c"], [3, 3, 3])


def test_items_before_the_first_content_wait_for_it(stream_world):
    model = stream_world.model(slow(10, "x"), items(slow(1, "a"), "b"))
    safe = Pipeline(Hedge(delay=2), Stream(is_content=is_content), Opens())(model)
    reading = stream_world.read(safe)
    assert (reading.items, reading.times) == (["role", "a", "b"], [3, 3, 3])


def test_so_many_hedges_as_are_allowed_each_a_delay_later(stream_world):
    model = stream_world.model(hang(), hang(), items(slow(0.5, "a"), "b"))
    reading = stream_world.read(Hedge(delay=2, hedges=2, ratio=1)(model))
    assert (reading.items, reading.times, model.starts) == (["a", "b"], [4.5, 4.5], [0, 2, 4])


def test_of_two_that_begin_at_once_one_is_passed_on_and_the_other_closed(stream_world):
    hedge = Hedge(delay=2)
    model = stream_world.model(items(slow(3, "a"), slow(1, "b")), items(slow(1, "a"), slow(1, "b")))
    reading = stream_world.read(hedge(model))
    assert (reading.items, reading.times) == (["a", "b"], [3, 4])
    settle(stream_world)
    assert (model.script.inside, len(hedge._limit.running)) == (0, 0)


def test_an_empty_stream_is_an_answer(stream_world):
    asked = []
    model = stream_world.model(hang(), slow(1, items()))
    reading = stream_world.read(Hedge(delay=2, accept=asked.append)(model))
    assert (reading.items, reading.error, model.starts, asked) == ([], None, [0, 2], [])


def test_a_stream_without_content_is_an_answer_too(stream_world):
    asked = []
    model = stream_world.model(items("role", hang()), items("role", slow(1, "ping")))
    safe = Pipeline(Hedge(delay=2, accept=asked.append), Stream(is_content=is_content))(model)
    reading = stream_world.read(safe)
    assert (reading.items, reading.times, reading.error, asked) == (["role", "ping"], [3, 3], None, [])


def test_a_ready_answer_is_content_whatever_the_rules_of_chunks_make_of_it(stream_world):
    asked = []
    hedge = Hedge(delay=2, accept=lambda chunk: asked.append(chunk) or True)
    guard = Pipeline(hedge, Stream(is_content=lambda chunk: chunk["text"]), Fallback("ready"))
    assert stream_world.call(guard(stream_world.model(ConnectionError))) == "ready"
    assert asked == ["ready"]


def test_policies_outside_are_given_what_the_winner_comes_to(stream_world):
    seen = []

    class Sees(Policy):
        async def around(self, proceed, call):
            seen.append(await proceed(call))
            return seen[-1]

    guard = Pipeline(Sees(), Hedge(delay=2), Fallback("ready"))
    assert stream_world.call(guard(stream_world.model(ConnectionError))) == "ready"
    assert seen == ["ready"]


def test_arguments_reach_each_attempt(stream_world):
    model = stream_world.model(hang(), "cat")
    assert stream_world.call(Hedge(delay=1)(model), 1, two=2) == "cat"
    assert model.asked == [((1,), {"two": 2})] * 2


@pytest.mark.parametrize("colour", list(Colour))
def test_another_target_is_asked_in_whatever_colour_can_answer(stream_world, colour):
    answers = {Colour.CALL, Colour.ASYNC_CALL, Colour.ASYNC_STREAM}
    if not stream_world.is_async:
        answers = {Colour.CALL, Colour.STREAM}
    if colour not in answers:
        with pytest.raises(TypeError, match=r"Hedge cannot ask .* 'other' for .* pass a target of colour"):
            Hedge(stream_world.model(colour=colour, name="other"))(stream_world.model("cat"))
        return
    model = stream_world.model(hang())
    other = stream_world.model(items(slow(1, "dog")), colour=colour)
    reading = stream_world.read(Hedge(other, delay=2)(model), 1)
    assert (reading.items, reading.times, other.asked) == (["dog"], [3], [((1,), {})])


# ---- what accept says


def test_a_stream_whose_first_content_is_not_accepted_does_not_win_and_is_closed(stream_world):
    model = stream_world.model(items(slow(10, "good"), "b"), items(slow(1, "bad"), "x"))
    safe = Hedge(delay=2, accept=lambda chunk: chunk == "good")(model)
    seen = []
    other = Hedge(model, delay=2, accept=lambda chunk: seen.append(model.script.inside) or chunk == "good")
    reading = stream_world.read(safe)
    assert (reading.items, reading.times) == (["good", "b"], [10, 10])
    assert model.script.inside == 0
    again = stream_world.model(items(slow(10, "good"), "b"))
    reading = stream_world.read(other(again))
    assert (reading.items, seen) == (["good", "b"], [1, 0])


def test_accept_is_asked_of_the_content_and_not_of_what_comes_before(stream_world):
    asked = []
    model = stream_world.model(items("role", "a", "b"))
    hedge = Hedge(accept=lambda chunk: asked.append(chunk) or True)
    safe = Pipeline(hedge, Stream(is_content=is_content), Opens())(model)
    assert stream_world.call(safe) == ("role", "role", "a", "b")
    assert asked == ["a"]


def test_where_none_is_accepted_it_says_so_and_nothing_was_passed_on(stream_world):
    model = stream_world.model("bad", items("bad", "x"), items("good", "b"))
    accepting = Hedge(accept=lambda chunk: chunk == "good", name="llm")
    reading = stream_world.read(accepting(model))
    assert reading.items == []
    assert isinstance(reading.error, InvalidOutput)
    assert str(reading.error).startswith("the answer for 'llm' is not one that accept= lets win;")
    assert stream_world.call(Pipeline(Retry(2, backoff=AT_ONCE, on=InvalidOutput), accepting)(model)) == (
        "good",
        "b",
    )
    assert model.script.inside == 0


def test_an_interrupt_while_it_is_asked_leaves_nothing(stream_world):
    def accept(chunk):
        raise KeyboardInterrupt

    model = stream_world.model(hang(), items("a", "b"))
    safe = Hedge(delay=2, accept=accept)(model)
    seen = []

    async def main():
        try:
            await anext(safe())
        except KeyboardInterrupt:
            seen.append("interrupted")
        await anyio.sleep(1)
        seen.append(model.script.inside)

    if stream_world.is_async:
        stream_world.run(main)
    else:
        with pytest.raises(KeyboardInterrupt):
            next(safe())
        stream_world.clock.sleep(1)
        seen = ["interrupted", model.script.inside - 1]  # the first hangs on its thread
    assert seen == ["interrupted", 0]


# ---- failures


def test_a_failure_before_the_delay_comes_out_at_once(stream_world):
    model = stream_world.model(slow(1, ConnectionError("down")))
    reading = stream_world.read(Hedge(delay=2)(model))
    assert (str(reading.error), reading.ended, model.starts) == ("down", 1, [0])


@pytest.mark.parametrize(
    ("first", "second", "when"),
    [
        (slow(5, ConnectionError()), items(slow(6, "a"), "b"), 8),
        (items(slow(9, "a"), "b"), slow(1, ConnectionError()), 9),
    ],
)
def test_a_failure_does_not_end_the_race(stream_world, first, second, when):
    reading = stream_world.read(Hedge(delay=2)(stream_world.model(first, second)))
    assert (reading.items, reading.times, reading.error) == (["a", "b"], [when, when], None)


def test_where_all_fail_the_first_failure_comes_out_with_a_note(stream_world):
    model = stream_world.model(slow(5, ConnectionError("first")), slow(1, TimeoutError("second")))
    reading = stream_world.read(Hedge(delay=2)(model))
    assert (str(reading.error), reading.ended) == ("second", 5)
    assert reading.error.__notes__ == ["another attempt failed too: ConnectionError"]


def test_what_is_told_of_the_failure_is_of_the_attempt_that_failed_with_it(stream_world):
    """A second attempt of a retry outside adds its own waiting to that."""
    model = stream_world.model(slow(4, ConnectionError()), slow(1, TimeoutError()), hang())
    guard = Pipeline(Retry(2, backoff=AT_ONCE), Hedge(delay=2, ratio=1, hedges=1), Timeout(first=5))
    error = stream_world.failure(guard(model))
    assert isinstance(error, StreamTimeout)
    assert error.waited_seconds == 1 + 5


def test_where_the_input_is_to_blame_nobody_else_is_waited_for(stream_world):
    model = stream_world.model(slow(50, "a"), slow(1, ValueError("no such row")))
    reading = stream_world.read(Hedge(delay=2)(model))
    assert (str(reading.error), reading.ended) == ("no such row", 3)


def test_what_comes_after_the_first_content_is_an_interrupted_stream(stream_world):
    broken = ConnectionError("gone")
    model = stream_world.model(hang(), items("a", "b", broken))
    reading = stream_world.read(Hedge(delay=2)(model))
    assert (reading.items, reading.error) == (["a", "b"], broken)


def test_its_end_may_be_missing(stream_world):
    model = stream_world.model(hang(), items("a", "b"))
    safe = Pipeline(Hedge(delay=2), Stream(is_final=lambda chunk: chunk == "end"))(model)
    reading = stream_world.read(safe)
    assert isinstance(reading.error, StreamInterrupted)
    assert (reading.items, reading.error.delivered) == (["a", "b"], 2)


@pytest.mark.parametrize(
    ("mode", "again", "read"),
    [
        ("restart", items("a", "b", "c"), ["a", "b", "reset 2", "a", "b", "c"]),
        ("skip_prefix", items("a", "b", "c"), ["a", "b", "c"]),
        ("continue", items("c", "d"), ["a", "b", "c", "d"]),
    ],
)
def test_an_attempt_outside_goes_on_after_a_cut_and_is_not_hedged(stream_world, mode, again, read):
    seen = []

    def goes_on(args, kwargs, partial):
        seen.append(partial)
        return (*args, partial), kwargs

    rules = Stream(on_interrupt=mode, continuation=goes_on if mode == "continue" else None)
    model = stream_world.model(hang(), items("a", "b", ConnectionError("cut")), slow(9, again), "never")
    hedge = Hedge(delay=2, ratio=1)
    reading = stream_world.read(Pipeline(Retry(2, backoff=AT_ONCE), rules, hedge)(model))
    assert [
        f"reset {item.discarded}" if type(item).__name__ == "Reset" else item for item in reading.items
    ] == read
    assert (reading.error, model.starts) == (None, [0, 2, 2])
    assert seen == ([("a", "b")] if mode == "continue" else [])


def test_where_that_fails_too_the_cut_comes_out(stream_world):
    cut = ConnectionError("cut")
    model = stream_world.model(hang(), items("a", "b", cut), TimeoutError("again"))
    rules = Stream(on_interrupt="skip_prefix")
    reading = stream_world.read(Pipeline(Retry(2, backoff=AT_ONCE), rules, Hedge(delay=2))(model))
    assert (reading.items, reading.error) == (["a", "b"], cut)
    assert any("the recovery failed too: TimeoutError" in note for note in cut.__notes__)


def test_a_fallback_outside_goes_on_after_a_cut(stream_world):
    model = stream_world.model(hang(), items("a", "b", ConnectionError("cut")))
    other = stream_world.model(items("a", "b", "c"))
    rules = Stream(on_interrupt="skip_prefix")
    assert stream_world.call(Pipeline(Fallback(other), rules, Hedge(delay=2))(model)) == ("a", "b", "c")


def test_a_fallback_outside_answers_where_all_fail(stream_world):
    model = stream_world.model(slow(5, ConnectionError()), slow(1, TimeoutError()))
    assert stream_world.call(Pipeline(Fallback("ready"), Hedge(delay=2))(model)) == "ready"


def test_a_retry_outside_begins_anew_and_is_hedged_again(stream_world):
    model = stream_world.model(ConnectionError(), hang(), items(slow(1, "a"), "b"))
    safe = Pipeline(Retry(2, backoff=ConstantBackoff(1)), Hedge(delay=2))(model)
    reading = stream_world.read(safe)
    assert (reading.items, reading.times, model.starts) == (["a", "b"], [4, 4], [0, 1, 3])


def test_a_retry_inside_belongs_to_its_attempt(stream_world):
    model = stream_world.model(hang(), ConnectionError(), items("a", ConnectionError(), "b"), items("a", "b"))
    rules = Stream(on_interrupt="skip_prefix")
    safe = Pipeline(Hedge(delay=2), Retry(3, backoff=ConstantBackoff(1)), rules)(model)
    reading = stream_world.read(safe)
    assert (reading.items, reading.times, model.starts) == (["a", "b"], [3, 4], [0, 2, 3, 4])


# ---- the delay, the budget


def test_the_delay_is_learned_from_first_contents(stream_world):
    hedge = Hedge(minimum_calls=16)
    model = stream_world.model(
        *[items(slow(1, "a"), slow(7, "b"))] * 16, hang(), items(slow(1, "c"), slow(7, "d"))
    )
    safe = hedge(model)
    assert hedge.delay is None
    for _ in range(16):
        stream_world.read(safe, pause=3)
    assert hedge.delay == pytest.approx(1, rel=0.06)
    reading = stream_world.read(safe)
    assert reading.items == ["c", "d"]
    assert reading.times == [pytest.approx(2, rel=0.06), pytest.approx(9, rel=0.06)]


def test_while_all_streams_are_slow_none_is_hedged(stream_world):
    hedge = Hedge(delay=1, ratio=0.05)
    model = stream_world.model(items(slow(1.5, "a"), "b"))
    safe = hedge(model)
    for _ in range(60):
        stream_world.call(safe)
    assert len(model.starts) - 60 == 8  # of ten that were saved up: then too many were late


def test_a_hedge_that_wins_is_told(stream_world):
    seen = []
    model = stream_world.model(hang(), items(slow(1, "a"), slow(9, "b")))
    began = stream_world.clock.now()
    stream_world.read(Hedge(delay=2, on_event=seen.append, name="llm")(model))
    assert seen == [
        events.HedgeStarted(policy="llm", at=began + 2, target="model", delay=2),
        events.HedgeWon(policy="llm", at=began + 3, target="model", seconds=3),
    ]


# ---- with others


def test_a_limit_on_the_first_content_outside_is_for_all_attempts(stream_world):
    seen = []
    model = stream_world.model(hang())
    safe = Pipeline(Timeout(first=5, on_event=seen.append), Hedge(delay=2))(model)
    reading = stream_world.read(safe)
    assert isinstance(reading.error, StreamTimeout)
    assert (reading.ended, reading.error.phase, model.left) == (5, "first", [5, 3])
    assert [type(event) for event in seen] == [events.TimedOut]
    assert reading.error.waited_seconds == 5


def test_once_the_first_content_is_there_that_limit_is_met(stream_world):
    model = stream_world.model(hang(), items(slow(1, "a"), slow(9, "b"), slow(9, "c")))
    safe = Pipeline(Timeout(40, first=5), Hedge(delay=2))(model)
    reading = stream_world.read(safe)
    assert (reading.items, reading.times, reading.error) == (["a", "b", "c"], [3, 12, 21], None)


def test_a_recovery_is_not_held_to_the_limit_on_the_first_content(stream_world):
    model = stream_world.model(hang(), items(slow(1, "a"), ConnectionError()), items("a", slow(30, "b")))
    rules = Stream(on_interrupt="skip_prefix")
    safe = Pipeline(Timeout(60, first=5), Retry(2, backoff=ConstantBackoff(10)), rules, Hedge(delay=2))(model)
    reading = stream_world.read(safe)
    assert (reading.items, reading.times, reading.error) == (["a", "b"], [3, 43], None)


def test_a_limit_on_the_first_content_inside_is_each_attempts_own(stream_world):
    model = stream_world.model(hang())
    reading = stream_world.read(Pipeline(Hedge(delay=2), Timeout(first=5))(model))
    assert isinstance(reading.error, StreamTimeout)
    assert (reading.ended, model.left) == (7, [5, 5])


@pytest.mark.parametrize("inside", [True, False])
def test_gaps_are_limited_after_the_first_content(stream_world, inside):
    model = stream_world.model(hang(), items(slow(1, "a"), slow(3, "b"), hang()))
    parts = [Hedge(delay=2), Timeout(gap=4)]
    safe = Pipeline(*(parts if inside else reversed(parts)))(model)
    reading = stream_world.read(safe, pause=9)
    assert (reading.items, reading.times, reading.ended) == (["a", "b"], [3, 12 + 3], 28)
    assert isinstance(reading.error, StreamTimeout)
    assert (reading.error.phase, reading.error.kind, reading.error.delivered) == ("gap", "stall", 2)


def test_a_limit_on_the_whole_holds_for_the_winner(stream_world):
    model = stream_world.model(hang(), items(slow(1, "a"), hang()))
    reading = stream_world.read(Pipeline(Timeout(9), Hedge(delay=2))(model))
    assert (reading.items, reading.ended, model.left) == (["a"], 9, [9, 7])


def test_code_inside_is_told_how_long_it_has_once_the_first_content_is_there(stream_world):
    left = []

    def tokens():
        yield "a"
        left.append(remaining())
        yield "b"

    async def atokens():
        yield "a"
        left.append(remaining())
        yield "b"

    model = atokens if stream_world.is_async else tokens
    stream_world.read(Pipeline(Timeout(first=5), Hedge(delay=2))(model), pause=9)
    assert left == [float("inf")]


def test_a_contract_inside_lets_no_broken_stream_win(stream_world):
    model = stream_world.model(items(slow(10, "a"), "b"), items(slow(1, "far too long"), "x"))
    safe = Pipeline(Hedge(delay=2), Contract(Length(1, 5)))(model)
    reading = stream_world.read(safe)
    assert (reading.items, reading.times, reading.error) == (["a", "b"], [10, 10], None)


def test_equal_streams_share_one_race(stream_world):
    model = stream_world.model(hang(), items(slow(1, "a"), slow(1, "b")))
    safe = Pipeline(Coalesce(), Hedge(delay=2))(model)
    assert stream_world.together((safe, 1), (safe, 1)) == [("a", "b")] * 2
    assert len(model.starts) == 2


def test_a_cache_outside_keeps_the_winner(stream_world):
    model = stream_world.model(hang(), items(slow(1, "a"), slow(1, "b")), "never")
    safe = Pipeline(Cache(), Hedge(delay=2))(model)
    assert [stream_world.call(safe, 1) for _ in range(2)] == [("a", "b")] * 2
    assert len(model.starts) == 2


def test_a_degraded_stream_of_a_hedge_is_not_kept(stream_world):
    model = stream_world.model(ConnectionError(), items("a", "b"))
    safe = Pipeline(Cache(), Hedge(delay=2), Fallback("popular"))(model)
    assert [stream_world.call(safe, 1) for _ in range(3)] == ["popular", ("a", "b"), ("a", "b")]


def test_a_breaker_outside_judges_the_winner_by_its_first_content(stream_world):
    def state_after(slow_call_seconds):
        breaker = CircuitBreaker(slow_call_rate=0.5, slow_call_seconds=slow_call_seconds, minimum_calls=1)
        model = stream_world.model(hang(), items(slow(1, "a"), slow(20, "b")))
        stream_world.read(Pipeline(breaker, Hedge(delay=2))(model))
        return breaker.state

    assert (state_after(3.5), state_after(2.5)) == (State.CLOSED, State.OPEN)


def test_a_hedge_in_a_hedge_passes_on_what_won_in_there(stream_world):
    model = stream_world.model(hang(), items(slow(1, "a"), ConnectionError("cut")), items("a", "b"))
    rules = Stream(on_interrupt="skip_prefix")
    safe = Pipeline(Retry(2, backoff=AT_ONCE), rules, Hedge(delay=9), Hedge(delay=2))(model)
    reading = stream_world.read(safe)
    assert (reading.items, reading.times, model.starts) == (["a", "b"], [3, 3], [0, 2, 3])


def test_without_any_rules_streams_race_for_their_first_item(stream_world):
    """As where a policy of the user's runs it, which nobody can see."""

    class Runs(Policy):
        async def around(self, proceed, call):
            assert call.tape is None
            return await call.runtime.run(hedge, proceed, call)

    hedge = Hedge(delay=2)
    model = stream_world.model(hang(), items(slow(1, "a"), slow(1, "b")))
    reading = stream_world.read(Runs()(model))
    assert (reading.items, reading.times) == (["a", "b"], [3, 4])


# ---- what is left behind


@pytest.mark.parametrize("outside", [Bulkhead, AdaptiveLimiter])
def test_a_place_outside_is_held_until_the_loser_has_ended(stream_world, outside):
    place = Bulkhead(1) if outside is Bulkhead else AdaptiveLimiter()
    hedge = Hedge(delay=2)
    held = []

    def look():
        held.append((round(stream_world.clock.now() - began, 6), place.in_flight, len(hedge._limit.running)))

    script = stream_world.model().script

    async def atokens():
        script.starts.append(1)
        if len(script.starts) == 1:
            try:
                await anyio.sleep(100)
            finally:
                with anyio.CancelScope(shield=True):
                    await anyio.sleep(7)
        yield "a"
        yield "b"

    def tokens():
        script.starts.append(1)
        if len(script.starts) == 1:
            stream_world.clock.sleep(5)
            try:
                yield "late"
            finally:
                stream_world.clock.sleep(4)
                held.append("closed")
        yield "a"
        yield "b"

    async def main():
        assert [item async for item in safe()] == ["a", "b"]
        look()
        await anyio.sleep(6)
        look()
        await anyio.sleep(2)
        look()

    safe = Pipeline(place, hedge)(atokens if stream_world.is_async else tokens)
    began = stream_world.clock.now()
    if stream_world.is_async:
        stream_world.run(main)
        assert held == [(2, 1, 1), (8, 1, 1), (10, 0, 0)]
    else:
        assert list(safe()) == ["a", "b"]
        look()
        stream_world.clock.sleep(6)
        look()
        stream_world.clock.sleep(2)
        look()
        assert held == [(2, 1, 1), (8, 1, 1), "closed", (10, 0, 0)]


def test_a_seat_inside_is_held_by_each_attempt_and_given_back(stream_world):
    bulkhead = Bulkhead(2)
    model = stream_world.model(slow(10, items("x", "y")), items(slow(1, "a"), slow(1, "b")))
    safe = Pipeline(Hedge(delay=2), bulkhead)(model)
    assert stream_world.call(safe) == ("a", "b")
    settle(stream_world)
    assert (model.script.most_inside, model.script.inside, bulkhead.in_flight) == (2, 0, 0)


def test_what_the_winner_left_behind_is_waited_for(stream_world):
    """Its retry inside left a thread behind, where it streams from one."""
    bulkhead = Bulkhead(1)
    model = stream_world.model(slow(20, "late"), slow(1, items("a", "b")))
    safe = Pipeline(bulkhead, Hedge(delay=9), Retry(2, backoff=AT_ONCE), Timeout(first=3))(model)
    reading = stream_world.read(safe)
    assert (reading.items, reading.times) == (["a", "b"], [4, 4])
    assert bulkhead.in_flight == (0 if stream_world.is_async else 1)
    settle(stream_world)
    assert bulkhead.in_flight == 0


def test_so_many_lost_streams_as_are_allowed(stream_world):
    if stream_world.is_async:
        return
    seen = []
    hedge = Hedge(delay=1, ratio=1, max_abandoned=2, on_event=seen.append)
    model = stream_world.model(*[slow(50, "late"), "cat"] * 2, slow(3, "dog"))
    safe = hedge(model)
    assert [stream_world.call(safe) for _ in range(3)] == ["cat", "cat", "dog"]
    assert seen[-1].reason == "2 attempts that lost are still running"
    stream_world.clock.sleep(60)
    assert len(hedge._limit.running) == 0
    assert model.script.inside == 0
