"""Fallback in every colour: who answers in the model's place, for which failures, and who says so."""

import asyncio

import anyio
import pytest

from resilient_ml import (
    Bulkhead,
    CircuitOpen,
    Colour,
    ConstantBackoff,
    Fallback,
    Kind,
    Pipeline,
    Retry,
    Timeout,
    deadline,
    events,
)

from ..worlds import hang, items, slow

COLOURS = {
    Colour.CALL: {Colour.CALL},
    Colour.ASYNC_CALL: {Colour.CALL, Colour.ASYNC_CALL},
    Colour.STREAM: {Colour.CALL, Colour.STREAM},
    Colour.ASYNC_STREAM: {Colour.CALL, Colour.ASYNC_CALL, Colour.ASYNC_STREAM},
}


def notes(error):
    return getattr(error, "__notes__", [])


# ---- who answers


def test_the_models_own_answer_comes_first(world):
    small = world.model("small")
    assert world.call(Fallback(small)(world.model("cat"))) == "cat"
    assert small.starts == []


def test_a_value_answers_in_the_models_place(world):
    value = ["popular"]
    assert world.call(Fallback(value)(world.model(ConnectionError))) is value


@pytest.mark.parametrize("value", [None, 0, "", False])
def test_a_value_may_be_falsy(world, value):
    assert world.call(Fallback(value)(world.model(ConnectionError))) is value


@pytest.mark.parametrize("colour", list(Colour))
def test_a_callable_of_a_colour_that_can_answer_does_and_another_is_refused(world, colour):
    small = world.model("small", colour=colour, name="small")
    fallback = Fallback(small)
    if colour in COLOURS[world.colour]:
        safe = fallback(world.model(ConnectionError))
        assert world.call(safe, "picture", size=3) == "small"
        assert small.asked == [(("picture",), {"size": 3})]
    else:
        with pytest.raises(TypeError) as caught:
            fallback(world.model("cat"))
        assert str(caught.value) == (
            f"Fallback cannot serve {world.colour.value} 'model' from {colour.value} 'small'; "
            "pass a target of colour " + " or ".join(sorted(colour.value for colour in COLOURS[world.colour]))
        )


def test_a_chain_is_tried_in_turn(world):
    first, second, third = world.model(KeyError), world.model("second"), world.model("third")
    assert world.call(Fallback(first, second, third)(world.model(ConnectionError))) == "second"
    assert (len(first.starts), len(third.starts)) == (1, 0)


def test_the_end_of_a_chain_may_be_a_value(world):
    assert world.call(Fallback(world.model(KeyError), "popular")(world.model(ConnectionError))) == "popular"


def test_when_all_fail_the_first_error_comes_out_with_notes_of_the_rest(world):
    error = ConnectionError("the model's")
    chain = [world.model(KeyError("secret"), name="small"), world.model(OSError("secret"), name="tiny")]
    assert world.failure(Fallback(*chain)(world.model(error))) is error
    assert notes(error) == [
        "Fallback 'small' failed too: KeyError",
        "Fallback 'tiny' failed too: OSError",
    ]


def test_a_guarded_function_may_be_a_fallback(world):
    small = Retry(2, backoff=ConstantBackoff(0))(world.model(ConnectionError, "small"))
    assert world.call(Fallback(small)(world.model(ConnectionError))) == "small"


# ---- for which failures


@pytest.mark.parametrize(
    ("error", "answer"), [(ConnectionError, "popular"), (MemoryError, "popular"), (ValueError, None)]
)
def test_by_default_it_acts_where_somebody_else_may_answer(world, error, answer):
    safe = Fallback("popular")(world.model(error))
    if answer is None:
        assert isinstance(world.failure(safe), error)
    else:
        assert world.call(safe) == answer


@pytest.mark.parametrize("on", [KeyError, "bad_input", lambda error: type(error) is KeyError])
def test_on_takes_types_kinds_and_a_predicate(world, on):
    error = KeyError()
    error.status_code = 400
    assert world.call(Fallback("popular", on=on)(world.model(error))) == "popular"
    assert isinstance(
        world.failure(Fallback("popular", on=on)(world.model(ConnectionError))), ConnectionError
    )


def test_refusals_of_other_policies_are_answered(world):
    assert world.call(Fallback("popular")(world.model(CircuitOpen("open")))) == "popular"


def test_a_time_out_is_answered_on_time(world):
    began = world.clock.now()
    assert world.call(Pipeline(Fallback("popular"), Timeout(2))(world.model(hang()))) == "popular"
    assert world.clock.now() - began == 2


def test_a_ready_value_answers_when_the_callers_time_is_up(world):
    with deadline(0):
        assert world.call(Pipeline(Fallback("popular"), Retry())(world.model("cat"))) == "popular"


def test_another_target_is_not_begun_when_the_callers_time_is_up(world):
    small = world.model("small")
    error = None
    with deadline(0):
        error = world.failure(Fallback(small)(world.model("cat")))
    assert error.kind == "deadline"
    late = "StreamTimeout" if world.colour.streams else "DeadlineExceeded"
    assert notes(error) == [f"Fallback 'model' failed too: {late}"]
    assert small.starts == []


@pytest.mark.parametrize("error", [KeyboardInterrupt, SystemExit, asyncio.CancelledError])
def test_what_is_no_exception_is_never_answered(plain_world, error):
    with pytest.raises(error):
        plain_world.call(Fallback("popular", on=lambda error: True)(plain_world.model(error())))


def test_what_is_no_exception_in_a_fallback_passes_too(plain_world):
    small = plain_world.model(KeyboardInterrupt())
    with pytest.raises(KeyboardInterrupt):
        plain_world.call(Fallback(small, "popular")(plain_world.model(ConnectionError)))


def test_a_cancelled_call_is_not_answered(async_world):
    async def scenario():
        with anyio.move_on_after(1) as scope:
            await async_world.use(Fallback("popular")(async_world.model(hang())), {})
        assert scope.cancelled_caught

    async_world.run(scenario)


# ---- streams


def test_a_stream_falls_back_whole_or_not_at_all(stream_world):
    small = stream_world.model(items("to", "ken"))
    assert stream_world.call(Fallback(small)(stream_world.model(ConnectionError))) == ("to", "ken")


def test_nothing_is_served_after_items_were_passed_on(stream_world):
    error = ConnectionError()
    small = stream_world.model("small")
    assert stream_world.failure(Fallback(small, "popular")(stream_world.model(items("to", error)))) is error
    assert small.starts == []


def test_a_fallback_stream_that_breaks_after_an_item_is_not_followed_by_another(stream_world):
    error = KeyError()
    small = stream_world.model(items("to", error))
    assert stream_world.failure(Fallback(small, "popular")(stream_world.model(ConnectionError))) is error


# ---- who says so


def test_an_answer_from_elsewhere_is_told(world):
    seen = []
    small = world.model("small", name="small")
    world.call(Fallback(small, name="ask", on_event=seen.append)(world.model(ConnectionError)))
    world.call(Fallback("popular", name="ask", on_event=seen.append)(world.model(ConnectionError)))
    at = world.clock.now()
    assert seen == [
        events.FallbackServed(policy="ask", at=at, target="small", kind="connection"),
        events.FallbackServed(policy="ask", at=at, target="a value of type str", kind="connection"),
    ]


def outcome(world, guard, fn, *args):
    if world.is_async:
        return world.run(lambda: guard.aoutcome(fn, *args))
    return guard.outcome(fn, *args)


def test_the_outcome_tells_who_answered(call_world):
    model = call_world.model(slow(1, ConnectionError), name="large")
    small = call_world.model(slow(2, "small"), name="small")
    out = outcome(call_world, Pipeline(Fallback(small)), model)
    assert (out.value, out.status, out.ok, out.kind, out.served_by, out.degraded) == (
        "small",
        "ok",
        True,
        None,
        "small",
        True,
    )
    assert [(one.target, one.kind, one.started, one.seconds) for one in out.attempts] == [
        ("large", Kind.CONNECTION, 0, 1),
        ("small", None, 1, 2),
    ]
    assert out.seconds == 3


def test_the_outcome_of_a_value_says_so(call_world):
    out = outcome(call_world, Pipeline(Fallback(7)), call_world.model(ConnectionError))
    assert (out.value, out.served_by, out.degraded) == (7, "a value of type int", True)


def test_a_fallback_inside_a_retry_that_fails_is_no_degraded_answer(call_world):
    model = call_world.model(ConnectionError, "cat")
    small = call_world.model(KeyError, name="small")
    guard = Pipeline(Retry(2, backoff=ConstantBackoff(0)), Fallback(small))
    out = outcome(call_world, guard, model)
    assert (out.value, out.served_by, out.degraded) == ("cat", "model", False)
    assert [one.target for one in out.attempts] == ["model", "small", "model"]


def test_a_fallback_releases_what_was_held_for_the_model(world):
    bulkhead = Bulkhead(1)
    assert world.call(Pipeline(Fallback("popular"), bulkhead)(world.model(ConnectionError))) == "popular"
    assert bulkhead.in_flight == 0


def test_a_plain_fallback_of_an_awaited_call_runs_on_a_worker_thread(await_world):
    import threading

    threads = []

    def small():
        threads.append(threading.get_ident())
        return "small"

    assert await_world.call(Fallback(small)(await_world.model(ConnectionError))) == "small"
    assert threads != [threading.get_ident()]


# ---- options


def test_a_fallback_describes_itself():
    assert repr(Fallback(len, 7, name="ask")) == "Fallback(len, a value of type int)"


@pytest.mark.parametrize(
    ("targets", "options", "kind", "message"),
    [
        ((), {}, ValueError, "Fallback needs at least one target; pass a value or a callable"),
        ((int,), {}, TypeError, "cannot guard class 'int'"),
        ((1,), {"on": 3}, TypeError, "on must hold subclasses of Exception or kinds"),
    ],
)
def test_bad_options_are_refused_with_the_remedy(targets, options, kind, message):
    with pytest.raises(kind, match=message):
        Fallback(*targets, **options)
