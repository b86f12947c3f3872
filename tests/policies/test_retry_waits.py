"""How long Retry waits in every colour: back-off, what the server asks for, and the deadline."""

import email.utils
import math
import random
from types import SimpleNamespace

import pytest

from resilient_ml import Backoff, ConstantBackoff, DecorrelatedBackoff, Retry, Timeout, deadline, events

from ..worlds import slow


class Fixed(random.Random):
    """Draws the same number every time."""

    def __init__(self, draw):
        super().__init__()
        self.draw = draw

    def random(self):
        return self.draw


def asking(seconds=None, **headers):
    """An error of a server that asks to be left alone."""
    error = ConnectionError("busy")
    if seconds is not None:
        error.retry_after = seconds
    if headers:
        error.response = SimpleNamespace(
            headers={name.replace("_", "-"): value for name, value in headers.items()}
        )
    return error


# ---- back-off


def test_full_jitter_doubles_up_to_the_cap(world):
    model = world.model(ConnectionError())
    world.failure(Retry(5, backoff=Backoff(1, 3), rng=Fixed(0.5), budget=None)(model))
    assert model.starts == [0, 0.5, 1.5, 3.0, 4.5]


def test_decorrelated_waits_are_drawn_from_the_last_one(world):
    model = world.model(ConnectionError())
    world.failure(Retry(4, backoff=DecorrelatedBackoff(1, 60), rng=Fixed(0.5), budget=None)(model))
    assert model.starts == [0, 2, 5.5, 11.25]


def test_a_kind_may_have_a_backoff_of_its_own(world):
    busy = RuntimeError()
    busy.status_code = 429
    model = world.model(busy, ConnectionError(), "cat")
    retry = Retry(3, backoff=ConstantBackoff(1), backoff_by_kind={"rate_limited": ConstantBackoff(30)})
    assert world.call(retry(model)) == "cat"
    assert model.starts == [0, 30, 31]


@pytest.mark.parametrize("wait", [-1, math.nan, math.inf])
def test_a_backoff_that_gives_no_time_to_wait_is_an_error(world, wait):
    backoff = SimpleNamespace(delay=lambda attempt, draw, previous: wait)
    error = world.failure(Retry(backoff=backoff)(world.model(ConnectionError())))
    assert isinstance(error, ValueError)
    assert "a delay must be finite and not negative" in str(error)


# ---- what a server asks for


@pytest.mark.parametrize(
    ("error", "wait"),
    [
        (asking(7), 7),
        (asking("7"), 7),
        (asking(retry_after="7"), 7),
        (asking(Retry_After="7"), 7),
        (asking(retry_after_ms="1500"), 1.5),
        (asking(0), 0),
        (asking(-3), 1),
        (asking(math.nan), 1),
        (asking(math.inf), 1),
        (asking("soon"), 1),
        (asking(retry_after="never"), 1),
    ],
    ids=[
        "attribute",
        "text",
        "seconds",
        "case",
        "milliseconds",
        "zero",
        "negative",
        "nan",
        "inf",
        "word",
        "garbage",
    ],
)
def test_a_wait_that_a_server_asks_for_is_obeyed_and_garbage_is_not(world, error, wait):
    model = world.model(error, "cat")
    assert world.call(Retry(backoff=ConstantBackoff(1))(model)) == "cat"
    assert model.starts == [0, wait]


def test_a_date_is_read_on_the_wall_clock(world):
    world.clock.advance(math.ceil(world.clock.now()) - world.clock.now())
    date = email.utils.formatdate(world.clock.wall() + 20, usegmt=True)
    model = world.model(asking(retry_after=date), "cat")
    assert world.call(Retry(backoff=ConstantBackoff(1))(model)) == "cat"
    assert model.starts == [0, 20]


def test_more_than_the_cap_means_stop_now_and_say_when(world):
    seen = []
    error = asking(121)
    began = world.clock.now()
    assert world.failure(Retry(on_event=seen.append)(world.model(error))) is error
    assert world.clock.now() == began
    assert error.retry_at == began + 121
    assert [(type(event), event.retry_at) for event in seen] == [(events.RetryStopped, began + 121)]
    assert error.__notes__ == [
        (
            "Retry stopped after attempt 1 of 3 (kind connection): "
            "the server asks for 121 s, more than retry_after_cap=120"
        )
    ]


def test_the_cap_can_be_moved(world):
    model = world.model(asking(300), "cat")
    assert world.call(Retry(retry_after_cap=300)(model)) == "cat"
    assert model.starts == [0, 300]


def test_more_than_the_deadline_leaves_means_stop_now_and_say_when(world):
    seen = []
    error = asking(5)
    began = world.clock.now()
    with deadline(4):
        assert world.failure(Retry(on_event=seen.append)(world.model(error))) is error
    assert world.clock.now() == began
    assert error.retry_at == seen[-1].retry_at == began + 5


def test_a_server_that_is_obeyed_is_still_paid_for_from_the_budget(world):
    from resilient_ml import RetryBudget

    model = world.model(asking(1))
    world.failure(Retry(5, budget=RetryBudget(ratio=0, floor=0, burst=2))(model))
    assert len(model.starts) == 3


# ---- the deadline


def test_no_wait_is_begun_that_would_pass_the_deadline(world):
    seen = []
    error = ConnectionError()
    model = world.model(error)
    began = world.clock.now()
    with deadline(5):
        assert (
            world.failure(Retry(9, backoff=ConstantBackoff(2), budget=None, on_event=seen.append)(model))
            is error
        )
    assert world.clock.now() - began == 4
    assert model.starts == [0, 2, 4]
    assert seen[-1].reason == "the next attempt would start in 2 s, after the deadline"
    assert seen[-1].retry_at is None
    assert not hasattr(error, "retry_at")


def test_a_timeout_outside_bounds_all_attempts_together(world):
    model = world.model(slow(2, ConnectionError()))
    safe = Timeout(5)(Retry(9, backoff=ConstantBackoff(0), budget=None)(model))
    error = world.failure(safe)
    assert isinstance(error, TimeoutError)
    assert model.starts == [0, 2, 4]


def test_a_timeout_inside_bounds_each_attempt(world):
    model = world.model(slow(9), slow(9), slow(1, "cat"))
    safe = Retry(3, backoff=ConstantBackoff(1))(Timeout(2)(model))
    assert world.call(safe) == "cat"
    assert model.starts == [0, 3, 6]
