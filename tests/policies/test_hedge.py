"""Hedge: a second attempt when the first takes long; the first good answer is served, and nothing is left."""

import contextvars
import threading

import anyio
import pytest

from resilient_ml import (
    Bulkhead,
    BulkheadFull,
    ConstantBackoff,
    Fallback,
    Hedge,
    InvalidOutput,
    Pipeline,
    Retry,
    Timeout,
    deadline,
    events,
    remaining,
)
from resilient_ml._drivers.blocking import Blocking, BlockingCoroutines, Flag
from resilient_ml._race import Race

from ..worlds import hang, slow


def ended(world, safe, *args):
    """What a call came to, and when."""
    began = world.clock.now()
    (end,) = world.together((safe, *args))
    return (end if not isinstance(end, Exception) else type(end)), round(world.clock.now() - began, 6)


def answered(world, safe):
    """What a call came to, and after how long the caller had it."""
    seen = []

    def call():
        seen.append(safe())
        seen.append(world.clock.now())

    async def acall():
        seen.append(await safe())
        seen.append(world.clock.now())

    began = world.clock.now()
    if world.is_async:
        world.run(acall)
    else:
        call()
    return seen[0], round(seen[1] - began, 6)


# ---- the race


def test_a_quick_answer_is_all_there_is(call_world):
    model = call_world.model(slow(1, "cat"))
    assert answered(call_world, Hedge(delay=2)(model)) == ("cat", 1)
    assert model.starts == [0]


def test_a_slow_call_is_asked_again_and_the_quicker_answer_served(call_world):
    model = call_world.model(slow(10, "late"), slow(1, "cat"))
    assert answered(call_world, Hedge(delay=2)(model)) == ("cat", 3)
    assert model.starts == [0, 2]


def test_the_first_may_win_all_the_same(call_world):
    model = call_world.model(slow(3, "cat"), slow(10, "late"))
    assert answered(call_world, Hedge(delay=2)(model)) == ("cat", 3)
    assert model.starts == [0, 2]


def test_another_target_is_asked_where_there_is_one(call_world):
    model = call_world.model(slow(10, "late"))
    other = call_world.model(slow(1, "dog"))
    assert answered(call_world, Hedge(other, delay=2)(model)) == ("dog", 3)
    assert (model.starts, other.starts) == ([0], [2])


def test_other_targets_are_asked_in_turn(call_world):
    model = call_world.model(slow(5, "late"))
    others = [call_world.model(name, name=name) for name in ("a", "b")]
    safe = Hedge(*others, delay=1)(model)
    assert [answered(call_world, safe)[0] for _ in range(3)] == ["a", "b", "a"]


def test_arguments_reach_each_attempt(call_world):
    model = call_world.model(slow(10, "late"), "cat")
    call_world.call(Hedge(delay=1)(model), 1, two=2)
    assert model.asked == [((1,), {"two": 2})] * 2


def test_so_many_hedges_as_are_allowed_each_a_delay_later(call_world):
    model = call_world.model(slow(100, "late"), slow(100, "late"), slow(0.5, "cat"))
    assert answered(call_world, Hedge(delay=2, hedges=2, ratio=1)(model)) == ("cat", 4.5)
    assert model.starts == [0, 2, 4]


def test_no_more_hedges_than_are_allowed(call_world):
    model = call_world.model(slow(10, "cat"), slow(100, "late"))
    assert answered(call_world, Hedge(delay=2)(model)) == ("cat", 10)
    assert model.starts == [0, 2]


@pytest.mark.parametrize("when", [1, 2, 3])
def test_woken_for_one_that_it_has_looked_at_already_it_waits_on(call_world, monkeypatch, when):
    listen, times = Race.listen, []

    def listen_and_be_woken(race, wake):
        waits = listen(race, wake)
        times.append(call_world.clock.now())
        if len(times) == when:
            wake()
        return waits

    monkeypatch.setattr(Race, "listen", listen_and_be_woken)
    model = call_world.model(slow(10, "cat"), slow(100, "late"), "too many")
    assert answered(call_world, Hedge(delay=2, ratio=1)(model)) == ("cat", 10)
    assert model.starts == [0, 2]


def test_of_two_that_end_at_once_one_is_served_and_none_is_left(call_world):
    hedge = Hedge(delay=2)
    model = call_world.model(slow(3, "cat"), slow(1, "cat"))
    assert answered(call_world, hedge(model)) == ("cat", 3)
    call_world.clock.settle()
    assert len(hedge._limit.running) == 0


def test_an_answer_that_comes_while_it_gets_ready_to_wait_is_seen(plain_world, monkeypatch):
    if plain_world.streams:
        return
    for runtime in (Blocking, BlockingCoroutines):

        def signal(self):
            plain_world.clock.sleep(2)
            return Flag()

        monkeypatch.setattr(runtime, "signal", signal)
    assert answered(plain_world, Hedge(delay=9)(plain_world.model(slow(1, "cat")))) == ("cat", 2)


# ---- failures


def test_a_failure_before_the_delay_comes_out_at_once(call_world):
    model = call_world.model(slow(1, ConnectionError()), "cat")
    assert ended(call_world, Hedge(delay=2)(model)) == (ConnectionError, 1)
    assert model.starts == [0]


@pytest.mark.parametrize(
    ("first", "second", "when"),
    [
        (slow(5, ConnectionError()), slow(6, "cat"), 8),
        (slow(9, "cat"), slow(1, ConnectionError()), 9),
    ],
)
def test_a_failure_does_not_end_the_race(call_world, first, second, when):
    model = call_world.model(first, second)
    assert answered(call_world, Hedge(delay=2)(model)) == ("cat", when)


def test_where_both_fail_the_first_failure_comes_out_with_a_note(call_world):
    model = call_world.model(slow(5, ConnectionError("first")), slow(1, TimeoutError("second")))
    error = call_world.failure(Hedge(delay=2)(model))
    assert str(error) == "second"
    assert error.__notes__ == ["another attempt failed too: ConnectionError"]
    assert model.starts == [0, 2]


def test_where_the_input_is_to_blame_nobody_else_is_waited_for(call_world):
    model = call_world.model(slow(50, "cat"), slow(1, ValueError("no such row")))
    safe = Pipeline(Fallback("ready", on=ValueError), Hedge(delay=2))(model)
    assert answered(call_world, safe) == ("ready", 3)


def test_an_answer_that_is_not_accepted_does_not_win(call_world):
    model = call_world.model(slow(10, "a whole answer"), slow(1, "short"))
    safe = Hedge(delay=2, accept=lambda answer: len(answer) > 8)(model)
    assert answered(call_world, safe) == ("a whole answer", 10)


def test_where_no_answer_is_accepted_it_says_so(call_world):
    model = call_world.model(slow(10, "bad"), slow(1, "worse"))
    error = call_world.failure(Hedge(delay=2, accept=lambda answer: answer == "good", name="llm")(model))
    assert type(error) is InvalidOutput
    assert error.rule == "accept"
    assert str(error) == (
        "the answer for 'llm' is not one that accept= lets win; put a Retry with on='invalid_output' or a "
        "Fallback outside"
    )


def test_an_answer_that_is_not_accepted_is_a_failure_while_nothing_is_hedged_yet(call_world):
    safe = Hedge(accept=lambda answer: answer == "good")(call_world.model("bad", "good"))
    assert isinstance(call_world.failure(safe), InvalidOutput)
    assert call_world.call(safe) == "good"


# ---- the delay, the budget


def test_the_delay_is_learned(call_world):
    hedge = Hedge(minimum_calls=16)
    model = call_world.model(*[slow(1, "cat")] * 16, slow(50, "late"), slow(1, "dog"))
    safe = hedge(model)
    assert hedge.delay is None
    assert hedge.forgettable()
    for _ in range(16):
        assert call_world.call(safe) == "cat"
    assert hedge.delay == pytest.approx(1, rel=0.06)
    assert not hedge.forgettable()
    answer, seconds = answered(call_world, safe)
    assert (answer, seconds) == ("dog", pytest.approx(2, rel=0.06))


def test_hedges_are_paid_for(call_world):
    seen = []
    hedge = Hedge(delay=1, quantile=0.5, ratio=0.5, on_event=seen.append, name="llm")
    safe = hedge(call_world.model(slow(1.5, "cat")))
    for _ in range(40):
        assert call_world.call(safe) == "cat"
    kinds = [type(event) for event in seen]
    assert kinds.count(events.HedgeStarted) == 29
    assert seen[0] == events.HedgeStarted(policy="llm", at=pytest.approx(seen[0].at), target="model", delay=1)
    skipped = next(event for event in seen if isinstance(event, events.HedgeSkipped))
    assert (skipped.delay, skipped.reason) == (1, "the budget is spent")


def test_a_hedge_that_wins_is_told(call_world):
    seen = []
    model = call_world.model(slow(9, "late"), slow(1, "cat"))
    began = call_world.clock.now()
    answered(call_world, Hedge(delay=2, on_event=seen.append, name="llm")(model))
    assert seen == [
        events.HedgeStarted(policy="llm", at=began + 2, target="model", delay=2),
        events.HedgeWon(policy="llm", at=began + 3, target="model", seconds=3),
    ]


def test_while_all_calls_are_slow_none_is_hedged(call_world):
    hedge = Hedge(delay=1, ratio=0.05)
    model = call_world.model(slow(1.5, "cat"))
    safe = hedge(model)
    for _ in range(60):
        call_world.call(safe)
    assert len(model.starts) - 60 == 8  # of ten that were saved up: then too many were late


# ---- what is left behind


def test_the_loser_is_cancelled_and_holds_nobody_up(await_world):
    gone = []

    async def model():
        if not gone and not began:
            began.append(1)
            try:
                await anyio.sleep(100)
            finally:
                with anyio.CancelScope(shield=True):
                    await anyio.sleep(7)
                gone.append(round(await_world.clock.now() - start, 6))
        return "cat"

    began = []
    start = await_world.clock.now()
    safe = Hedge(delay=2)(model)

    async def main():
        assert await safe() == "cat"
        assert round(await_world.clock.now() - start, 6) == 2
        await anyio.sleep(20)

    await_world.run(main)
    assert gone == [9]


def test_a_seat_outside_is_held_until_the_loser_has_ended(call_world):
    bulkhead = Bulkhead(1)
    model = call_world.model(slow(10, "late"), slow(1, "cat"))
    if call_world.is_async:

        async def stubborn():
            if not model.starts:
                try:
                    return await model()
                finally:
                    with anyio.CancelScope(shield=True):
                        await anyio.sleep(7)
            return await model()

        safe = Pipeline(bulkhead, Hedge(delay=2))(stubborn)
    else:
        safe = Pipeline(bulkhead, Hedge(delay=2))(model)
    seats = []

    def look():
        seats.append((round(call_world.clock.now() - began, 6), bulkhead.in_flight))

    def call():
        assert safe() == "cat"
        look()
        call_world.clock.sleep(6)
        look()
        call_world.clock.sleep(2)
        look()

    async def acall():
        assert await safe() == "cat"
        look()
        await anyio.sleep(6)
        look()
        await anyio.sleep(2)
        look()

    began = call_world.clock.now()
    if call_world.is_async:
        call_world.run(acall)
    else:
        call()
    assert seats == [(3, 1), (9, 1), (11, 0)]


def test_a_seat_outside_is_held_until_the_losers_own_threads_have_returned(plain_world):
    if plain_world.streams:
        return
    bulkhead = Bulkhead(1)
    model = plain_world.model(slow(10, "late"), slow(1, "cat"))
    safe = Pipeline(bulkhead, Hedge(delay=1), Timeout(3))(model)
    assert answered(plain_world, safe) == ("cat", 2)
    plain_world.clock.sleep(3)  # the loser's limit has passed, its thread is still inside the model
    assert bulkhead.in_flight == 1
    plain_world.clock.sleep(6)
    assert bulkhead.in_flight == 0


def test_a_seat_inside_is_held_by_each_attempt(call_world):
    bulkhead = Bulkhead(2)
    model = call_world.model(slow(10, "late"), slow(1, "cat"))
    safe = Pipeline(Hedge(delay=2), bulkhead)(model)
    assert answered(call_world, safe) == ("cat", 3)
    assert model.script.most_inside == 2


def test_a_full_bulkhead_inside_refuses_the_hedge_and_not_the_call(call_world):
    model = call_world.model(slow(10, "cat"))
    safe = Pipeline(Hedge(delay=2), Bulkhead(1))(model)
    assert answered(call_world, safe) == ("cat", 10)
    assert model.starts == [0]


def test_so_many_lost_attempts_as_are_allowed(plain_world):
    if plain_world.streams:
        return
    seen = []
    hedge = Hedge(delay=1, ratio=1, max_abandoned=2, on_event=seen.append)
    model = plain_world.model(*[slow(50, "late"), "cat"] * 2, slow(3, "dog"))
    safe = hedge(model)
    assert [answered(plain_world, safe) for _ in range(3)] == [("cat", 1), ("cat", 1), ("dog", 3)]
    assert seen[-1].reason == "2 attempts that lost are still running"
    plain_world.clock.sleep(60)
    assert len(hedge._limit.running) == 0


def test_a_caller_that_is_cancelled_cancels_all(await_world):
    model = await_world.model(hang())

    async def main():
        with anyio.move_on_after(5):
            await Hedge(delay=2)(model)()
        await anyio.sleep(1)

    await_world.run(main)
    assert model.starts == [0, 2]
    assert model.script.inside == 0


def test_a_caller_that_is_cancelled_at_once_has_asked_nobody(await_world):
    model = await_world.model("cat")

    async def main():
        if await_world.backend == "asyncio":
            call = Hedge(delay=2)(model)()
            call.send(None)
            call.close()
        else:
            with anyio.CancelScope() as scope:
                scope.cancel()
                await Hedge(delay=2)(model)()
        await anyio.sleep(1)

    await_world.run(main)
    assert model.starts == []


def test_an_interrupt_comes_out(plain_world):
    if plain_world.streams:
        return
    with pytest.raises(KeyboardInterrupt):
        plain_world.call(Hedge(delay=2)(plain_world.model(KeyboardInterrupt())))


def test_a_task_that_is_interrupted_does_not_stop_the_loop(await_world):
    seen = []

    async def main():
        try:
            await Hedge(delay=2)(await_world.model(KeyboardInterrupt()))()
        except KeyboardInterrupt:
            seen.append("interrupted")

    await_world.run(main)
    assert seen == ["interrupted"]


# ---- with others


def test_each_attempt_keeps_the_callers_deadline(call_world):
    model = call_world.model(hang())
    safe = Pipeline(Timeout(5), Hedge(delay=2))(model)
    assert ended(call_world, safe) == (type(call_world.failure(safe)), 5)
    assert model.left[:2] == [5, 3]


def test_a_time_limit_inside_is_each_attempts_own(call_world):
    model = call_world.model(hang())
    safe = Pipeline(Hedge(delay=2), Timeout(5))(model)
    began = call_world.clock.now()
    assert isinstance(call_world.failure(safe), TimeoutError)
    assert round(call_world.clock.now() - began, 6) == 7
    assert model.left == [5, 5]


def test_a_deadline_of_the_callers_holds(await_world):
    model = await_world.model(hang())
    with deadline(4):
        error = await_world.failure(Hedge(delay=2)(model))
    assert isinstance(error, TimeoutError)
    assert model.left == [4, 2]


def test_a_retry_outside_begins_anew(call_world):
    model = call_world.model(ConnectionError(), slow(10, "late"), slow(1, "cat"))
    safe = Pipeline(Retry(2, backoff=ConstantBackoff(1)), Hedge(delay=2))(model)
    assert answered(call_world, safe) == ("cat", 4)
    assert model.starts == [0, 1, 3]


def test_all_attempts_are_in_the_outcome(call_world):
    model = call_world.model(slow(10, "late"), slow(1, "cat"), name="llm")
    other = call_world.model(slow(1, "dog"), name="spare")
    pipeline = Pipeline(Hedge(other, delay=2))
    if call_world.is_async:
        seen = []

        async def main():
            seen.append(await pipeline.aoutcome(model))

        call_world.run(main)
        (outcome,) = seen
    else:
        outcome = pipeline.outcome(model)
    assert (outcome.value, outcome.served_by, outcome.degraded) == ("dog", "spare", False)
    assert [attempt.target for attempt in outcome.attempts] == ["spare"]


def test_context_variables_reach_each_attempt(call_world):
    variable = contextvars.ContextVar("variable", default="unset")
    seen = []

    def model():
        seen.append(variable.get())
        if len(seen) == 1:
            call_world.clock.sleep(10)
        return "cat"

    async def amodel():
        seen.append(variable.get())
        if len(seen) == 1:
            await anyio.sleep(10)
        return "cat"

    variable.set("set")
    call_world.call(Hedge(delay=2)(amodel if call_world.is_async else model))
    assert seen == ["set", "set"]


def test_an_async_function_may_be_hedged_by_a_plain_one(await_world):
    model = await_world.model(slow(10, "late"))

    def plain():
        assert threading.current_thread() is not threading.main_thread()
        return "ready"

    assert answered(await_world, Hedge(plain, delay=2)(model)) == ("ready", 2)


def test_remaining_is_told_to_each_attempt(call_world):
    left = []

    def model():
        left.append(remaining())
        call_world.clock.sleep(3)

    async def amodel():
        left.append(remaining())
        await anyio.sleep(3)

    call_world.call(Pipeline(Timeout(9), Hedge(delay=2))(amodel if call_world.is_async else model))
    assert left == [9, 7]


# ---- what it refuses


def test_a_target_of_another_colour_is_refused():
    async def other():
        return "cat"

    with pytest.raises(
        TypeError, match=r"Hedge cannot ask async call '.*other' for call '.*'; pass a target of"
    ):
        Hedge(other)(lambda: "cat")


def test_it_shows_its_numbers():
    assert repr(Hedge()) == "Hedge(after the 95% quantile, at most 5% of calls)"
    assert repr(Hedge(len, delay=0.5, ratio=0.1)) == "Hedge(len, after 0.5 s, at most 10% of calls)"


@pytest.mark.parametrize(
    ("wrong", "error", "message"),
    [
        ({"delay": 0}, ValueError, "delay must be above 0, got 0; pass None to learn it"),
        ({"quantile": 1}, ValueError, "quantile must be below 1, got 1; no call takes longer than all"),
        ({"quantile": 0}, ValueError, "quantile must be above 0 and at most 1, got 0; pass 0.95 to hedge"),
        (
            {"ratio": 0},
            ValueError,
            "ratio must be above 0 and at most 1, got 0; pass the most hedges per call",
        ),
        ({"hedges": 0}, ValueError, "hedges must be at least 1, got 0; leave Hedge out to ask once"),
        ({"accept": "yes"}, TypeError, "accept must be callable, got 'yes'; pass a function of the answer"),
        ({"minimum_calls": 0}, ValueError, "minimum_calls must be at least 1, got 0; pass 100, say"),
        ({"max_abandoned": 0}, ValueError, "max_abandoned must be at least 1, got 0; pass 64, say"),
    ],
)
def test_bad_settings_are_refused_with_the_remedy(wrong, error, message):
    with pytest.raises(error) as refused:
        Hedge(**wrong)
    assert str(refused.value).startswith(message)


def test_a_target_that_cannot_be_called_is_refused():
    with pytest.raises(TypeError, match="targets must be callable, got 'replica-2'; pass functions that can"):
        Hedge("replica-2")


def test_a_full_outer_bulkhead_refuses_while_a_loser_runs(plain_world):
    if plain_world.streams:
        return
    bulkhead = Bulkhead(1)
    model = plain_world.model(slow(10, "late"), "cat", "dog")
    safe = Pipeline(bulkhead, Hedge(delay=1))(model)
    assert plain_world.call(safe) == "cat"
    assert isinstance(plain_world.failure(safe), BulkheadFull)
    plain_world.clock.sleep(10)
    assert plain_world.call(safe) == "dog"
