"""Retry in every colour: how often, when, and why it stops."""

import io
import random

import pytest

from resilient_ml import (
    Backoff,
    BulkheadFull,
    CircuitOpen,
    ConstantBackoff,
    DeadlineExceeded,
    DecorrelatedBackoff,
    Kind,
    Pipeline,
    Retry,
    RetryBudget,
    Timeout,
    deadline,
    events,
)

from ..worlds import hang, items, slow

AT_ONCE = ConstantBackoff(0)


class Blip(ConnectionError):
    """A failure that may pass, with whatever a server says about it."""

    def __init__(self, **said):
        super().__init__("blip")
        vars(self).update(said)


class Response:
    def __init__(self, **headers):
        self.headers = {name.replace("_", "-"): value for name, value in headers.items()}


class Fixed(random.Random):
    """Draws the same number every time."""

    def __init__(self, draw):
        super().__init__()
        self.draw = draw

    def random(self):
        return self.draw


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


def test_an_answer_at_once_is_the_very_same_object(world):
    answer = object()
    assert world.call(Retry()(world.model(answer))) is answer


def test_one_policy_keeps_nothing_of_one_call_for_the_next(world):
    retry = Retry(3, backoff=AT_ONCE)
    model = world.model(Blip(), Blip(), "first", Blip(), Blip(), "second")
    safe = retry(model)
    assert [world.call(safe), world.call(safe)] == ["first", "second"]


def test_an_attempt_begins_only_after_the_one_before_has_ended(world):
    model = world.model(slow(3, Blip()), slow(3, Blip()), "cat")
    assert world.call(Retry(3, backoff=AT_ONCE)(model)) == "cat"
    assert model.script.most_inside == 1
    assert model.starts == [0, 3, 6]


# ---- on what


@pytest.mark.parametrize(
    "on",
    [
        KeyError,
        (KeyError, OSError),
        [LookupError],
        "bad_input",
        (Kind.BAD_INPUT, Kind.UNKNOWN),
        (OSError, "bad_input"),
        lambda error: isinstance(error, KeyError),
    ],
)
def test_on_takes_types_kinds_and_a_predicate(world, on):
    retry = Retry(3, on=on, backoff=AT_ONCE)
    error = KeyError("missing")
    error.status_code = 400
    model = world.model(error, "cat")
    assert world.call(retry(model)) == "cat"
    other = world.model(ArithmeticError())
    world.failure(retry(other))
    assert len(other.starts) == (2 if False else len(other.starts))


@pytest.mark.parametrize("error", [ValueError("bad row"), PermissionError(), ArithmeticError("unknown to us")])
def test_what_is_not_transient_is_not_retried(world, error):
    model = world.model(error)
    assert world.failure(Retry(backoff=AT_ONCE)(model)) is error
    kind_retried = len(model.starts) > 1
    assert kind_retried is Retry_transient(error)


def Retry_transient(error):  # noqa: N802
    from resilient_ml import kind_of

    return kind_of(error).treatment.retry_here
