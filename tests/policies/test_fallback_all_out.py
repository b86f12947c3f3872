"""Fallback where every target is out: fail fast, wait for the first to return, panic, or the least bad."""

import pytest

from resilient_ml import (
    Bulkhead,
    CircuitBreaker,
    CircuitOpen,
    Fallback,
    Pipeline,
    Rejected,
    Timeout,
    deadline,
    events,
)

from ..worlds import slow


class Away(Rejected):
    """Not here before so many seconds have passed."""


def away(seconds):
    return Away("away", retry_after=seconds)


def open_for(seconds):
    """A breaker that is open for so long once it has seen a failure."""
    return CircuitBreaker(consecutive_failures=1, open_seconds=seconds, jitter=0)


def all_out(world, *seconds, **options):
    """A model and fallbacks whose breakers are all open for so long; their answers name them."""
    models = [world.model(ConnectionError(), f"from {number}") for number in range(len(seconds))]
    breakers = [open_for(each) for each in seconds]
    guarded = [breaker(model) for breaker, model in zip(breakers, models, strict=True)]
    for one in guarded:
        assert isinstance(world.failure(one), ConnectionError)
    return Fallback(*guarded[1:], **options)(guarded[0]), models, breakers


def took(world, safe):
    began = world.clock.now()
    try:
        end = world.call(safe)
    except Exception as error:  # noqa: BLE001
        end = error
    return end, round(world.clock.now() - began, 6)


def test_by_default_the_first_refusal_comes_out_at_once(world):
    safe, models, _ = all_out(world, 5, 3, 9)
    end, seconds = took(world, safe)
    assert isinstance(end, CircuitOpen)
    assert seconds == 0
    assert end.__notes__ == ["Fallback 'model' failed too: CircuitOpen"] * 2
    assert [len(model.starts) for model in models] == [1, 1, 1]


def test_the_first_that_is_back_is_waited_for(world):
    safe, models, _ = all_out(world, 5, 3, 9, when_all_out="wait")
    assert took(world, safe) == ("from 1", 3)
    assert [len(model.starts) for model in models] == [1, 2, 1]


def test_the_guarded_function_is_asked_first_again(world):
    safe, models, _ = all_out(world, 3, 3, when_all_out="wait")
    assert took(world, safe) == ("from 0", 3)
    assert [len(model.starts) for model in models] == [2, 1]


def test_it_waits_again_where_all_are_out_again(call_world):
    world = call_world
    model = world.model(away(2), away(3), "cat")
    other = world.model(away(9))
    assert took(world, Fallback(other, when_all_out="wait")(model)) == ("cat", 5)
    assert model.starts == [0, 2, 5]


def test_nobody_waits_longer_than_is_allowed(world):
    safe, _, _ = all_out(world, 5, 3, when_all_out="wait", wait_seconds=2.9)
    end, seconds = took(world, safe)
    assert isinstance(end, CircuitOpen)
    assert seconds == 0


def test_nobody_waits_past_the_deadline(call_world):
    world = call_world
    model = world.model(away(3))
    safe = Pipeline(Timeout(4), Fallback(world.model(away(9)), when_all_out="wait"))(model)
    end, seconds = took(world, safe)
    assert isinstance(end, Away)
    assert seconds == 3
    assert model.starts == [0, 3]


def test_a_deadline_of_the_callers_is_none_to_wait_past(plain_world):
    safe, _, _ = all_out(plain_world, 5, 3, when_all_out="wait")
    with deadline(3):
        end, seconds = took(plain_world, safe)
    assert isinstance(end, CircuitOpen)
    assert seconds == 0


def test_a_target_that_is_back_at_once_is_not_asked_in_a_circle(call_world):
    world = call_world
    model = world.model(*[away(0)] * 5, "cat")
    end, seconds = took(world, Fallback(world.model(away(0)), when_all_out="wait")(model))
    assert (end, seconds) == ("cat", 0.005)


@pytest.mark.parametrize("what", ["wait", "panic", "least_bad"])
def test_a_target_that_was_asked_and_failed_ends_it(call_world, what):
    world = call_world
    model, other = world.model(away(3)), world.model(ConnectionError())
    end, seconds = took(world, Fallback(other, when_all_out=what)(model))
    assert (type(end), seconds) == (Away, 0)
    assert (len(model.starts), len(other.starts)) == (1, 1)


@pytest.mark.parametrize("what", ["wait", "panic", "least_bad"])
def test_where_nobody_says_when_it_is_back_there_is_nothing_to_wait_for(call_world, what):
    world = call_world
    model, other = world.model(away(None)), world.model(away(None))
    end, seconds = took(world, Fallback(other, when_all_out=what)(model))
    assert (type(end), seconds) == (Away, 0)
    assert (len(model.starts), len(other.starts)) == (1, 1)


def test_in_a_panic_all_are_asked_in_turn_through_their_open_breakers(call_world):
    safe, models, breakers = all_out(call_world, 5, 3, 9, when_all_out="panic")
    assert took(call_world, safe) == ("from 0", 0)
    assert [len(model.starts) for model in models] == [2, 1, 1]
    assert [str(breaker.state) for breaker in breakers] == ["open"] * 3  # a panic teaches nothing
    end, _ = took(call_world, safe)
    assert end == "from 0"


def test_in_a_panic_those_that_fail_are_passed_over_and_no_further_round_follows(call_world):
    world = call_world
    models = [world.model(ConnectionError()) for _ in range(2)]
    guarded = [open_for(5)(model) for model in models]
    for one in guarded:
        world.failure(one)
    end, seconds = took(world, Fallback(guarded[1], when_all_out="panic")(guarded[0]))
    assert (type(end), seconds) == (CircuitOpen, 0)
    assert [len(model.starts) for model in models] == [2, 2]


def test_the_least_bad_is_the_one_that_would_be_back_first(call_world):
    safe, models, _ = all_out(call_world, 5, 3, 9, when_all_out="least_bad")
    assert took(call_world, safe) == ("from 1", 0)
    assert [len(model.starts) for model in models] == [1, 2, 1]


def test_a_least_bad_one_that_fails_ends_it(call_world):
    world = call_world
    models = [world.model(ConnectionError()) for _ in range(2)]
    guarded = [open_for(5 - number)(model) for number, model in enumerate(models)]
    for one in guarded:
        world.failure(one)
    end, seconds = took(world, Fallback(guarded[1], when_all_out="least_bad")(guarded[0]))
    assert (type(end), seconds) == (CircuitOpen, 0)
    assert [len(model.starts) for model in models] == [1, 2]


def test_the_least_bad_may_be_the_guarded_function(call_world):
    safe, models, _ = all_out(call_world, 2, 3, when_all_out="least_bad")
    assert took(call_world, safe) == ("from 0", 0)
    assert [len(model.starts) for model in models] == [2, 1]


def test_what_an_operator_has_forced_open_stays_so(call_world):
    safe, models, breakers = all_out(call_world, 5, 3, when_all_out="panic")
    breakers[0].force_open()
    assert took(call_world, safe) == ("from 1", 0)
    assert [len(model.starts) for model in models] == [1, 2]


def test_a_breaker_beside_it_in_the_pipeline_is_passed_too(call_world):
    world = call_world
    model, other = world.model(ConnectionError(), "cat"), world.model(ConnectionError())
    safe_other = open_for(9)(other)
    world.failure(safe_other)
    safe = Pipeline(Fallback(safe_other, when_all_out="least_bad"), open_for(5))(model)
    world.failure(safe)
    assert took(world, safe) == ("cat", 0)


def test_a_panic_ends_with_its_call(call_world):
    safe, models, breakers = all_out(call_world, 5, 3, when_all_out="panic")
    assert took(call_world, safe) == ("from 0", 0)
    assert isinstance(call_world.failure(breakers[0](models[0])), CircuitOpen)


def test_a_full_bulkhead_is_out_but_cannot_say_for_how_long(call_world):
    world = call_world
    full = Bulkhead(1)
    hold = full(world.model(slow(4, "held")))
    safe = Fallback(full(world.model("cat")), when_all_out="wait")(world.model(away(2), "dog"))
    assert world.together((hold,), (safe,)) == ["held", "dog"]


def test_it_tells_what_it_does(call_world):
    world = call_world
    for what, seconds in (("wait", 2.0), ("panic", None), ("least_bad", None)):
        seen = []
        model, other = world.model(away(2), "cat"), world.model(away(3))
        safe = Fallback(other, when_all_out=what, name="llm", on_event=seen.append)(model)
        began = world.clock.now()
        assert world.call(safe) == "cat"
        assert seen == [events.AllTargetsDown(policy="llm", at=began, action=what, seconds=seconds)]


@pytest.mark.parametrize("what", ["panic", "least_bad"])
def test_streams_are_not_sent_through_open_breakers(stream_world, what):
    with pytest.raises(
        TypeError, match=f"with when_all_out='{what}': breakers would stay open to it between"
    ):
        Fallback("ready", when_all_out=what)(stream_world.model("cat"))


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        (
            {"when_all_out": "retry"},
            "when_all_out must be one of 'fail_fast', 'wait', 'panic', 'least_bad', got",
        ),
        (
            {"wait_seconds": 0},
            "wait_seconds must be above 0, got 0; pass when_all_out='fail_fast' not to wait",
        ),
    ],
)
def test_bad_settings_are_refused_with_the_remedy(wrong, message):
    with pytest.raises(ValueError, match="^" + message.replace("(", r"\(")):
        Fallback("ready", **wrong)
