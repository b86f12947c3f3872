"""What happened to a call, for those who ask, in the colours that give one answer."""

import asyncio

import anyio
import pytest

from resilient_ml import (
    Bulkhead,
    CircuitBreaker,
    CircuitOpen,
    ConstantBackoff,
    Fallback,
    Kind,
    Outcome,
    Pipeline,
    Retry,
    Timeout,
)
from resilient_ml._outcome import Record

from .worlds import hang, slow


def outcome(world, guard, fn, *args, **kwargs):
    if world.is_async:
        return world.run(lambda: guard.aoutcome(fn, *args, **kwargs))
    return guard.outcome(fn, *args, **kwargs)


def test_an_answer_is_told_with_who_gave_it_and_when(call_world):
    model = call_world.model(slow(2, "cat"))
    out = outcome(call_world, Pipeline(Retry()), model, "picture", size=3)
    assert (out.status, out.value, out.error, out.kind) == ("ok", "cat", None, None)
    assert (out.served_by, out.degraded, out.seconds, out.ok) == ("model", False, 2, True)
    assert model.asked == [(("picture",), {"size": 3})]
    assert out.unwrap() == "cat"


def test_every_attempt_is_told_with_its_kind_and_times(call_world):
    model = call_world.model(slow(1, ConnectionError), slow(9), slow(1, "cat"))
    guard = Pipeline(Retry(3, backoff=ConstantBackoff(2)), Timeout(3))
    out = outcome(call_world, guard, model)
    assert [(one.kind, one.started, one.seconds) for one in out.attempts] == [
        (Kind.CONNECTION, 0, 1),
        (Kind.TIMEOUT, 3, 3),
        (None, 8, 1),
    ]


def test_a_failure_is_told_and_raised_when_unwrapped(call_world):
    error = ConnectionError()
    out = outcome(call_world, Pipeline(Retry(1)), call_world.model(error))
    assert (out.status, out.ok, out.value, out.error, out.kind) == (
        "failed",
        False,
        None,
        error,
        Kind.CONNECTION,
    )
    assert (out.served_by, out.degraded, len(out.attempts)) == (None, False, 1)
    with pytest.raises(ConnectionError) as caught:
        out.unwrap()
    assert caught.value is error


def test_a_refusal_is_told_apart_from_a_failure(call_world):
    breaker = CircuitBreaker()
    breaker.force_open()
    out = outcome(call_world, Pipeline(breaker), call_world.model("cat"))
    assert (out.status, type(out.error), out.attempts) == ("rejected", CircuitOpen, ())


def test_none_is_an_answer(call_world):
    out = outcome(call_world, Pipeline(Retry()), call_world.model(None))
    assert out.ok
    assert out.unwrap() is None


def test_an_interrupt_is_no_outcome():
    def model():
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        Pipeline(Retry()).outcome(model)


def test_a_cancelled_call_is_no_outcome(await_world):
    async def scenario():
        with anyio.move_on_after(1) as scope:
            await Pipeline(Retry()).aoutcome(await_world.model(hang()))
        assert scope.cancelled_caught

    await_world.run(scenario)


def test_a_guarded_function_tells_its_own_attempts_too(call_world):
    model = call_world.model(ConnectionError, "cat")
    safe = Retry(2, backoff=ConstantBackoff(0))(model)
    out = outcome(call_world, Pipeline(Bulkhead(1)), safe)
    assert [one.kind for one in out.attempts] == [Kind.CONNECTION, None]
    assert out.value == "cat"


def test_a_plain_function_that_is_awaited_tells_the_same(await_world):
    def model(row):
        raise ConnectionError

    guard = Pipeline(Fallback("popular"), Retry(2, backoff=ConstantBackoff(1)))
    out = await_world.run(lambda: guard.aoutcome(model, 1))
    assert [(one.kind, one.started) for one in out.attempts] == [(Kind.CONNECTION, 0), (Kind.CONNECTION, 1)]
    assert (out.value, out.degraded) == ("popular", True)


def test_outcomes_of_calls_at_once_are_kept_apart(clock):
    from .virtual_time import run_on_asyncio

    async def model(seconds):
        await asyncio.sleep(seconds)
        return seconds

    async def scenario():
        guard = Pipeline(Retry())
        return await asyncio.gather(*[guard.aoutcome(model, seconds) for seconds in (3, 1, 2)])

    outs = run_on_asyncio(clock, scenario)
    assert [out.value for out in outs] == [out.seconds for out in outs] == [3, 1, 2]
    assert [len(out.attempts) for out in outs] == [1, 1, 1]


def test_the_model_that_answers_after_a_fallback_did_is_not_called_degraded(call_world):
    model = call_world.model(ConnectionError, "cat")
    guard = Pipeline(
        Retry(retry_result=lambda answer: answer == "dull", backoff=ConstantBackoff(1)), Fallback("dull")
    )
    out = outcome(call_world, guard, model)
    assert (out.value, out.degraded) == ("cat", False)


def test_an_outcome_is_a_value():
    out = Outcome("ok", "cat", None, None, "model", False, (), 1.0)
    assert out == Outcome("ok", "cat", None, None, "model", False, (), 1.0)
    with pytest.raises(AttributeError):
        out.value = "dog"


def test_an_answer_from_no_call_is_judged_without_a_trace() -> None:
    record = Record(0.0)
    record.judged(Kind.INVALID_OUTPUT)
    assert record.attempts == []
    record.ended("model", 0.0, 1.0, None)
    record.judged(Kind.INVALID_OUTPUT)
    assert [attempt.kind for attempt in record.attempts] == [Kind.INVALID_OUTPUT]
