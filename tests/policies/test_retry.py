"""Retry in every colour: how often it calls, what it retries, and what comes out in the end."""

import asyncio
import gc

import pytest

from resilient_ml import (
    BulkheadFull,
    CircuitOpen,
    ConstantBackoff,
    Kind,
    Pipeline,
    Retry,
    events,
)

from ..worlds import items, slow

AT_ONCE = ConstantBackoff(0)


def notes(error):
    return getattr(error, "__notes__", [])


# ---- how often


def test_a_blip_is_ridden_out(world):
    model = world.model(ConnectionError(), "cat")
    assert world.call(Retry(backoff=ConstantBackoff(1))(model), "picture", size=3) == "cat"
    assert model.starts == [0, 1]
    assert model.asked == [(("picture",), {"size": 3})] * 2


@pytest.mark.parametrize("attempts", [1, 2, 3, 7])
def test_attempts_counts_calls_and_not_retries(world, attempts):
    model = world.model(ConnectionError())
    assert isinstance(world.failure(Retry(attempts, backoff=AT_ONCE)(model)), ConnectionError)
    assert len(model.starts) == attempts


def test_the_last_error_comes_out_as_it_was_with_one_note(world):
    errors = [ConnectionError(number) for number in range(3)]
    model = world.model(*errors)
    assert world.failure(Retry(3, backoff=AT_ONCE)(model)) is errors[2]
    assert notes(errors[2]) == ["Retry stopped after attempt 3 of 3 (kind connection): no attempts are left"]
    assert notes(errors[0]) == notes(errors[1]) == []


def test_an_answer_is_the_very_same_object(world):
    answer = object()
    assert world.call(Retry()(world.model(answer))) is answer


def test_nothing_of_one_call_is_kept_for_the_next(world):
    model = world.model(
        ConnectionError(), ConnectionError(), "first", ConnectionError(), ConnectionError(), "second"
    )
    safe = Retry(3, backoff=AT_ONCE)(model)
    assert [world.call(safe), world.call(safe)] == ["first", "second"]


def test_calls_at_once_each_have_their_own_attempts(world):
    model = world.model(
        slow(1, ConnectionError()), slow(1, ConnectionError()), slow(1, "cat"), slow(1, "dog")
    )
    safe = Retry(2, backoff=AT_ONCE)(model)
    assert set(world.together((safe,), (safe,))) == {"cat", "dog"}
    assert model.starts == [0, 0, 1, 1]


def test_an_attempt_begins_only_after_the_one_before_has_ended(world):
    model = world.model(slow(3, ConnectionError()), slow(3, ConnectionError()), "cat")
    assert world.call(Retry(3, backoff=AT_ONCE)(model)) == "cat"
    assert model.script.most_inside == 1
    assert model.starts == [0, 3, 6]


# ---- what is retried


@pytest.mark.parametrize(
    "on",
    [
        KeyError,
        (KeyError, OSError),
        [LookupError],
        "bad_input",
        {Kind.BAD_INPUT, Kind.AUTH},
        (OSError, "bad_input"),
        lambda error: isinstance(error, KeyError),
    ],
    ids=["type", "types", "base", "kind", "kinds", "both", "predicate"],
)
def test_on_takes_types_kinds_and_a_predicate(world, on):
    bad = KeyError("missing")
    bad.status_code = 400
    retried, other = world.model(bad, "cat"), world.model(ArithmeticError())
    retry = Retry(3, on=on, backoff=AT_ONCE)
    assert world.call(retry(retried)) == "cat"
    assert isinstance(world.failure(retry(other)), ArithmeticError)
    assert len(other.starts) == 1


@pytest.mark.parametrize(
    ("error", "calls"),
    [
        (ValueError("row"), 1),
        (MemoryError(), 1),
        (ConnectionError(), 2),
        (ArithmeticError(), 2),
        (TimeoutError(), 2),
    ],
    ids=lambda given: type(given).__name__,
)
def test_by_default_the_kinds_that_may_pass_are_retried(world, error, calls):
    model = world.model(error, "cat")
    world.failure(Retry(backoff=AT_ONCE)(model))
    assert len(model.starts) == calls


def test_what_is_not_retried_says_so_in_a_note(world):
    error = ValueError("row")
    assert world.failure(Retry()(world.model(error))) is error
    assert notes(error) == [
        (
            "Retry stopped after attempt 1 of 3 (kind bad_input): "
            "what failed is not retried; name it with on= to change that"
        )
    ]


@pytest.mark.parametrize("refusal", [CircuitOpen, BulkheadFull])
def test_a_refusal_is_retried_only_when_asked_for(world, refusal):
    model = world.model(refusal("full"), "cat")
    assert isinstance(world.failure(Retry(backoff=AT_ONCE)(model)), refusal)
    model = world.model(refusal("full"), "cat")
    assert world.call(Retry(on=refusal, backoff=AT_ONCE)(model)) == "cat"


@pytest.mark.parametrize("error", [KeyboardInterrupt, SystemExit, asyncio.CancelledError, BaseException])
def test_what_is_no_exception_is_neither_retried_nor_shown_to_predicates(plain_world, error):
    asked = []
    model = plain_world.model(error())
    with pytest.raises(error):
        plain_world.call(Retry(on=lambda error: asked.append(error) or True, backoff=AT_ONCE)(model))
    assert len(model.starts) == 1
    assert asked == []


@pytest.mark.parametrize("error", [GeneratorExit, BaseException])
def test_what_is_no_exception_passes_through_awaits_too(await_world, error):
    model = await_world.model(error())
    with pytest.raises(error):
        await_world.call(Retry(on=lambda error: True, backoff=AT_ONCE)(model))
    assert len(model.starts) == 1


def test_a_predicate_that_fails_is_not_hidden(world):
    def broken(error):
        raise LookupError("predicate")

    error = world.failure(Retry(on=broken)(world.model(ConnectionError())))
    assert isinstance(error, LookupError)
    assert isinstance(error.__context__, ConnectionError)


# ---- results


def test_a_result_that_will_not_do_is_asked_for_again(call_world):
    model = call_world.model("", "", "cat")
    retry = Retry(3, retry_result=lambda answer: not answer, backoff=ConstantBackoff(1))
    assert call_world.call(retry(model)) == "cat"
    assert model.starts == [0, 1, 2]


def test_a_stream_has_no_result_to_judge(stream_world):
    with pytest.raises(TypeError, match=r"Retry\(retry_result=\) cannot guard .*stream 'model': its items"):
        Retry(retry_result=lambda answer: not answer)(stream_world.model("a"))


def test_the_last_result_is_returned_as_it_is(call_world):
    seen = []
    model = call_world.model("")
    retry = Retry(2, retry_result=lambda answer: not answer, backoff=AT_ONCE, on_event=seen.append)
    assert call_world.call(retry(model)) == ""
    assert [type(event) for event in seen] == [events.RetryScheduled, events.RetryStopped]
    assert {event.kind for event in seen} == {Kind.INVALID_OUTPUT}


# ---- streams


def test_a_stream_is_begun_again_only_before_its_first_item(stream_world):
    model = stream_world.model(ConnectionError(), items("to", "ken"))
    assert stream_world.call(Retry(backoff=AT_ONCE)(model)) == ("to", "ken")


def test_a_stream_that_breaks_after_an_item_is_not_begun_again(stream_world):
    error = ConnectionError()
    model = stream_world.model(items("to", "ken", error))
    assert stream_world.failure(Retry(backoff=AT_ONCE)(model)) is error
    assert len(model.starts) == 1
    assert notes(error) == [
        "Retry stopped after attempt 1 of 3 (kind connection): 2 items of the stream were passed on"
    ]


# ---- hostile errors


class Falsy(ConnectionError):
    def __bool__(self):
        return False

    def __len__(self):
        return 0


class Hostile(ConnectionError):
    def __eq__(self, other):
        raise RuntimeError("compared")

    __hash__ = None

    def __str__(self):
        raise RuntimeError("shown")

    __repr__ = __str__

    def __getattr__(self, name):
        raise RuntimeError("read")


class Frozen(ConnectionError):
    def __setattr__(self, name, value):
        if not name.startswith("__"):  # contextlib sets tracebacks
            raise AttributeError(name)
        super().__setattr__(name, value)

    def add_note(self, note):
        raise RuntimeError("noted")


class Slotted(Exception):
    __slots__ = ("__notes__",)


@pytest.mark.parametrize("kind", [Falsy, Hostile, Frozen, Slotted])
def test_errors_that_misbehave_are_retried_and_raised_like_any_other(world, kind):
    error = kind()
    model = world.model(error)
    caught = None
    try:
        world.call(Retry(3, backoff=AT_ONCE)(model))
    except kind as raised:
        caught = raised
    assert caught is error
    assert len(model.starts) == 3


def test_an_error_that_is_raised_again_and_again_collects_few_notes(world):
    error = ConnectionError()
    safe = Retry(1)(world.model(error))
    for _ in range(30):
        world.failure(safe)
    assert len(notes(error)) == 8


def test_notes_of_a_stranger_type_are_left_alone(world):
    error = ConnectionError()
    error.__notes__ = "mine"
    assert world.failure(Retry(1)(world.model(error))) is error
    assert error.__notes__ == "mine"


def test_a_failed_attempt_is_let_go_of_before_the_next(plain_world):
    class Weight:
        alive = 0

        def __init__(self):
            Weight.alive += 1

        def __del__(self):
            Weight.alive -= 1

    seen = []

    def model():
        seen.append(Weight.alive)
        weight = Weight()
        raise ConnectionError(weight)

    def stream():
        yield model()

    gc.disable()
    try:
        plain_world.failure(Retry(3, backoff=AT_ONCE)(stream if plain_world.streams else model))
        assert seen == [0, 0, 0]
    finally:
        gc.enable()


# ---- what is told


def test_each_retry_and_the_end_are_told(world):
    seen = []
    model = world.model(ConnectionError())
    retry = Retry(2, backoff=ConstantBackoff(2), name="ask", on_event=seen.append)
    began = world.clock.now()
    world.failure(retry(model))
    assert seen == [
        events.RetryScheduled(policy="ask", at=began, attempt=1, kind="connection", delay=2),
        events.RetryStopped(
            policy="ask", at=began + 2, attempt=2, kind="connection", reason="no attempts are left"
        ),
    ]


def test_a_retry_describes_itself():
    assert repr(Retry(budget=None)) == "Retry(attempts=3, backoff=Backoff(base=0.1, cap=10), budget=None)"


def test_a_retry_outside_others_leaves_their_answer_alone(world):
    model = world.model("cat")
    assert world.call(Pipeline(Retry(), Retry())(model)) == "cat"


@pytest.mark.parametrize(
    ("options", "kind", "message"),
    [
        ({"attempts": 0}, ValueError, "attempts must be at least 1, got 0; leave Retry out to call once"),
        ({"attempts": 1.5}, TypeError, "attempts must be a whole number"),
        ({"attempts": True}, TypeError, "attempts must be a whole number"),
        ({"on": BaseException}, TypeError, "on must hold subclasses of Exception or kinds"),
        ({"on": "no kind"}, TypeError, "on must hold subclasses of Exception or kinds, got 'no kind'"),
        ({"on": 7}, TypeError, "on must hold subclasses of Exception or kinds, got 7"),
        ({"on": ()}, ValueError, "on must not be empty"),
        ({"retry_result": 1}, TypeError, "retry_result must be callable"),
        ({"backoff": 1}, TypeError, r"backoff must have a delay\(attempt, draw, previous\) method, got 1"),
        ({"backoff_by_kind": {"server": 1}}, TypeError, "backoff_by_kind must have a delay"),
        (
            {"backoff_by_kind": {"sever": AT_ONCE}},
            ValueError,
            "backoff_by_kind has no kind 'sever'; the kinds are conn",
        ),
        ({"budget": 0.2}, TypeError, "budget must be a RetryBudget or None, got 0.2"),
        ({"replay": "again"}, TypeError, "replay must be callable"),
        ({"retry_after_cap": -1}, ValueError, "retry_after_cap must not be negative"),
        ({"name": 1}, TypeError, "name must be a string or None, got 1"),
        ({"on_event": 1}, TypeError, "listener must be callable, got int"),
    ],
)
def test_bad_options_are_refused_with_the_remedy(options, kind, message):
    with pytest.raises(kind, match=message):
        Retry(**options)
