"""Throttle in every colour: it holds calls back from a model that refuses them, and from no other."""

import random

import pytest

from resilient_ml import (
    Bulkhead,
    BulkheadFull,
    LimitExceeded,
    Pipeline,
    Throttle,
    Timeout,
    deadline,
    events,
)

from ..worlds import hang, items, slow


class Busy(Exception):
    status_code = 503


def always(share):
    """A source of randomness that always draws *share*."""
    rng = random.Random()
    rng.random = lambda: share
    return rng


def test_a_model_that_takes_its_calls_is_left_alone(world):
    throttle = Throttle(minimum_calls=1, rng=always(0.0))
    safe = throttle(world.model("cat"))
    assert [world.call(safe) for _ in range(20)] == ["cat"] * 20
    assert throttle.rejection == 0.0
    assert throttle.forgettable()


def test_a_model_that_refuses_is_spared_the_calls_beyond(world):
    throttle = Throttle(minimum_calls=1, rng=always(0.3))
    model = world.model(Busy())
    safe = throttle(model)
    ends = [type(world.failure(safe)) for _ in range(6)]
    assert ends == [Busy] + [LimitExceeded] * 5
    assert len(model.starts) == 1
    assert throttle.rejection == pytest.approx(6 / 7)
    assert not throttle.forgettable()


def test_it_says_what_it_saw_and_what_to_do(world):
    seen = []
    throttle = Throttle(minimum_calls=1, name="llm", rng=always(0.0), on_event=seen.append)
    safe = throttle(world.model("cat", Busy()))
    world.call(safe)
    for _ in range(2):
        world.failure(safe)
    refusal = world.failure(safe)
    reason = "holds back 25% of the calls, as the model took 1 of 3 in 10 s"
    assert str(refusal) == (
        f"throttle 'llm' {reason}; send less, give the model more capacity, or put a Fallback outside it"
    )
    assert (refusal.policy, refusal.retry_after) == ("llm", None)
    assert seen == [events.CallRejected(policy="llm", at=world.clock.now(), reason=reason)]


def test_an_error_that_is_no_refusal_counts_as_taken(world):
    throttle = Throttle(minimum_calls=1, rng=always(0.0))
    safe = throttle(world.model(ValueError("no such row")))
    for _ in range(5):
        assert isinstance(world.failure(safe), ValueError)
    assert throttle.rejection == 0.0


def test_a_time_out_is_a_refusal(world):
    throttle = Throttle(minimum_calls=1, rng=always(0.0))
    safe = Pipeline(throttle, Timeout(1))(world.model(hang()))
    assert isinstance(world.failure(safe), TimeoutError)
    assert isinstance(world.failure(safe), LimitExceeded)


def test_the_callers_own_deadline_says_nothing(world):
    throttle = Throttle(minimum_calls=1, rng=always(0.0))
    safe = throttle(world.model(slow(2, "cat")))
    with deadline(1):
        assert isinstance(world.failure(safe), TimeoutError)
    assert throttle._machine.tally(world.clock.now()).calls == 0


def test_what_an_inner_policy_refuses_says_nothing(world):
    throttle = Throttle(minimum_calls=1, rng=always(0.0))
    safe = Pipeline(throttle, Bulkhead(1))(world.model(slow(1, "cat")))
    assert [type(end) for end in world.together((safe,), (safe,))] == [str, BulkheadFull]
    assert throttle._machine.tally(world.clock.now()).calls == 1


def test_what_counts_as_a_refusal_can_be_said(world):
    throttle = Throttle(minimum_calls=1, refusals=KeyError, rng=always(0.0))
    safe = throttle(world.model(Busy(), KeyError("queue")))
    assert [type(world.failure(safe)) for _ in range(2)] == [Busy, KeyError]
    assert throttle.rejection == 0.0
    world.failure(safe)
    assert throttle.rejection > 0.0


def test_a_reset_lets_everything_through(world):
    throttle = Throttle(minimum_calls=1, rng=always(0.0))
    safe = throttle(world.model(Busy(), "cat"))
    world.failure(safe)
    throttle.reset()
    assert world.call(safe) == "cat"


def test_an_interrupt_counts_neither_way(plain_world):
    throttle = Throttle(minimum_calls=1)
    with pytest.raises(KeyboardInterrupt):
        plain_world.call(throttle(plain_world.model(KeyboardInterrupt())))
    assert throttle._machine.tally(plain_world.clock.now()).calls == 0


def test_a_stream_counts_at_its_end(stream_world):
    throttle = Throttle(minimum_calls=1, rng=always(0.0))
    safe = throttle(stream_world.model(items("to", Busy()), "cat"))
    assert isinstance(stream_world.failure(safe), Busy)
    assert throttle.rejection == pytest.approx(1 / 2)


def test_it_shows_its_numbers():
    assert repr(Throttle(multiplier=1.5)) == "Throttle(sends 1.5 for each that is taken in 10 s)"


@pytest.mark.parametrize(
    ("wrong", "error", "message"),
    [
        ({"multiplier": 1}, ValueError, "multiplier must be above 1, got 1; at 1 what is held back would"),
        ({"multiplier": "2"}, TypeError, "multiplier must be a number, got '2'; pass 2 to send two calls"),
        (
            {"max_rejection": 1},
            ValueError,
            "max_rejection must be below 1, got 1; some calls must get through",
        ),
        ({"max_rejection": 0}, ValueError, "max_rejection must be above 0 and at most 1, got 0; pass the"),
        (
            {"window_seconds": 0},
            ValueError,
            "window_seconds must be above 0, got 0; pass how far back to look",
        ),
        (
            {"minimum_calls": 0},
            ValueError,
            "minimum_calls must be at least 1, got 0; pass 1 to react at once",
        ),
        ({"refusals": 503}, TypeError, "refusals must hold subclasses of Exception or kinds, got 503"),
    ],
)
def test_bad_settings_are_refused_with_the_remedy(wrong, error, message):
    with pytest.raises(error) as refused:
        Throttle(**wrong)
    assert str(refused.value).startswith(message)
