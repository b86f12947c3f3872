"""AdaptiveLimiter in every colour: who is let in, what its algorithm is told, and when places come back."""

import copy
import json
import pickle

import anyio
import pytest

from resilient_ml import (
    AdaptiveLimiter,
    Bulkhead,
    BulkheadFull,
    LimitExceeded,
    Pipeline,
    Queue,
    Timeout,
    deadline,
    events,
)
from resilient_ml.machines.limits.protocol import LimitAlgorithm
from resilient_ml.machines.limits.waiting import WaitingLimit

from ..worlds import hang, items, slow


class Told(LimitAlgorithm):
    """Keeps its limit, and what it was told: outcome and seconds of each call."""

    def __init__(self, limit=2):
        super().__init__(limit, 1, 1000)
        self.deadline = None
        self.trips = []

    def learn(self, now, trip):
        self.trips.append((trip.outcome, round(trip.seconds, 6)))


def limiter(limit=2, **options):
    """A limiter and its algorithm."""
    told = Told(limit)
    return AdaptiveLimiter(algorithm=lambda: told, **options), told


def idle(policy):
    return (policy.in_flight, policy.waiting) == (0, 0)


# ---- going in


def test_no_more_calls_are_inside_than_the_limit(world):
    policy, _ = limiter(2)
    model = world.model(slow(1, "cat"))
    ends = world.together(*[(policy(model),)] * 5)
    assert [type(end) for end in ends] == [str, str] + [LimitExceeded] * 3
    assert model.script.most_inside == 2
    assert idle(policy)


def test_a_refusal_says_what_the_limit_is_and_what_to_do(world):
    seen = []
    policy, _ = limiter(1, name="gpu", on_event=seen.append)
    safe = policy(world.model(slow(1, "cat")))
    began = world.clock.now()
    refusal = world.together((safe,), (safe,))[1]
    assert str(refusal) == (
        "adaptive limiter 'gpu' is full; its limit is 1; give the model more capacity, or put a Fallback or "
        "a Retry with on=LimitExceeded outside it"
    )
    assert (refusal.policy, refusal.retry_after) == ("gpu", None)
    assert seen == [events.CallRejected(policy="gpu", at=began, reason="is full; its limit is 1")]


def test_whoever_waits_is_let_in_when_there_is_room(world):
    policy, told = limiter(1, queue=2)
    model = world.model(slow(1, "cat"))
    safe = policy(model)
    assert [type(end) for end in world.together(*[(safe,)] * 4)] == [str, str, str, LimitExceeded]
    assert model.starts == [0, 1, 2]
    assert told.trips == [("ok", 1)] * 3  # the wait is none of the model's
    assert idle(policy)


def test_who_waits_goes_by_the_rules_of_the_queue(world):
    rules = Queue(size=9, band=lambda name: name, bands=("interactive", "batch"))
    policy, _ = limiter(1, queue=rules)
    model = world.model(slow(1, "cat"))
    safe = policy(model)
    world.together(*[(safe, name) for name in ("batch", "batch", "interactive")])
    assert [args[0] for args, _ in model.asked] == ["batch", "interactive", "batch"]


def test_a_full_queue_says_when_it_will_have_drained(call_world):
    policy, _ = limiter(1, queue=Queue(size=1))
    safe = policy(call_world.model(slow(2, "cat")))
    for _ in range(8):
        call_world.call(safe)
    ends = call_world.together((safe,), (safe,), (safe,))
    assert [type(end) for end in ends] == [str, str, LimitExceeded]
    assert ends[2].retry_after == pytest.approx(2)


def test_calls_take_room_by_what_they_cost(world):
    policy, _ = limiter(10, cost=lambda size: size)
    safe = policy(world.model(slow(1, "cat")))
    ends = world.together((safe, 6), (safe, 4), (safe, 0.5))
    assert [type(end) for end in ends] == [str, str, LimitExceeded]
    assert idle(policy)


def test_what_costs_more_than_the_limit_goes_in_alone(world):
    policy, _ = limiter(10, cost=lambda size: size, queue=2)
    model = world.model(slow(1, "cat"))
    safe = policy(model)
    assert world.together((safe, 20), (safe, 1)) == ["cat", "cat"]
    assert model.starts == [0, 1]


def test_a_waiter_leaves_at_queue_seconds(world):
    policy, _ = limiter(1, queue=2, queue_seconds=2)
    safe = policy(world.model(slow(5, "cat")))
    ends = world.together((safe,), (safe,))
    assert [type(end) for end in ends] == [str, LimitExceeded]
    assert "had no seat free in the time that was left to wait; its limit is 1" in str(ends[1])
    assert idle(policy)


# ---- what it is told


class Busy(Exception):
    status_code = 503


class TooMany(Exception):
    status_code = 429


@pytest.mark.parametrize(
    ("error", "outcome"),
    [
        (Busy(), "drop"),
        (TooMany(), "drop"),
        (TimeoutError(), "drop"),
        (MemoryError(), "oom"),
        (ConnectionError(), None),
        (ValueError("no such row"), None),
        (BulkheadFull("inside"), None),
    ],
)
def test_a_failure_is_told_as_what_it_says_of_the_load(world, error, outcome):
    policy, told = limiter()
    assert world.failure(policy(world.model(slow(1, error)))) is not None
    assert told.trips == ([] if outcome is None else [(outcome, 1)])
    assert idle(policy)


def test_a_stream_is_measured_to_its_first_content_and_inside_to_its_end(stream_world):
    policy, told = limiter(1)
    model = stream_world.model(items(slow(1, "to"), slow(5, "ken")))
    safe = policy(model)
    ends = stream_world.together((safe,), (policy(stream_world.model(slow(1, "other"))),))
    assert [type(end) for end in ends] == [tuple, LimitExceeded]
    assert told.trips == [("ok", 1)]
    assert idle(policy)


def test_a_call_that_runs_out_of_time_is_told_then_and_inside_until_its_thread_returns(plain_world):
    policy, told = limiter(1)
    safe = Pipeline(policy, Timeout(1))(plain_world.model(slow(5, "cat")))
    assert isinstance(plain_world.failure(safe), TimeoutError)
    assert told.trips == [("drop", 1)]
    assert policy.in_flight == 1
    assert isinstance(plain_world.failure(safe), LimitExceeded)
    plain_world.clock.sleep(4.5)
    assert idle(policy)
    assert told.trips == [("drop", 1)]


def test_the_same_where_calls_may_wait(plain_world):
    policy, told = limiter(1, queue=1, queue_seconds=1)
    safe = Pipeline(policy, Timeout(1))(plain_world.model(slow(5, "cat")))
    assert isinstance(plain_world.failure(safe), TimeoutError)
    assert policy.in_flight == 1
    plain_world.clock.sleep(4.5)
    assert idle(policy)
    assert told.trips == [("drop", 1)]


def test_the_callers_own_deadline_teaches_nothing(await_world):
    policy, told = limiter()
    with deadline(1):
        assert isinstance(await_world.failure(policy(await_world.model(hang()))), TimeoutError)
    assert told.trips == []
    assert idle(policy)


def test_an_interrupt_teaches_nothing_and_gives_the_place_back(plain_world):
    policy, told = limiter()
    with pytest.raises(KeyboardInterrupt):
        plain_world.call(policy(plain_world.model(KeyboardInterrupt())))
    assert told.trips == []
    assert idle(policy)


def test_cancelling_every_waiter_at_once_leaves_every_place_home(await_world):
    policy, told = limiter(2, queue=100)
    safe = policy(await_world.model(hang()))

    async def main():
        with anyio.move_on_after(1):
            async with anyio.create_task_group() as group:
                for _ in range(50):
                    group.start_soon(safe)
        assert idle(policy)

    await_world.run(main)
    assert told.trips == []


# ---- the deadline


@pytest.mark.parametrize(
    ("timeouts", "seconds"),
    [
        ([Timeout(2.5)], 2.5),
        ([Bulkhead(4), Timeout(2.5), Timeout(1)], 2.5),
        ([Timeout(9, first=2)], 2),
        ([Timeout(gap=1.0), Timeout(7.0)], 7),
        ([Bulkhead(4)], None),
    ],
)
def test_the_deadline_is_that_of_the_timeout_inside(timeouts, seconds):
    policy, told = limiter()
    Pipeline(policy, *timeouts)
    assert told.deadline == seconds


def test_stacked_decorators_tell_it_too():
    policy = AdaptiveLimiter()

    @policy
    @Timeout(2.5)
    def predict(row):
        return row

    assert policy._made.deadline == 2.5
    assert predict(1) == 1


def test_a_deadline_of_its_own_stays():
    policy, told = limiter(deadline=4)
    Pipeline(policy, Timeout(1))
    assert told.deadline == 4
    policy = AdaptiveLimiter(deadline=4)
    Pipeline(policy, Timeout(1))
    assert policy._made.deadline == 4


def test_an_algorithm_that_asks_for_none_is_told_none():
    class Plain(LimitAlgorithm):
        def learn(self, now, trip):
            """It learns nothing."""

    policy = AdaptiveLimiter(algorithm=lambda: Plain(4, 1, 9), deadline=4)
    Pipeline(policy, Timeout(1))
    assert not hasattr(policy._made, "deadline")
    assert policy.limit == 4


# ---- by default


def test_by_default_it_grows_with_a_model_that_takes_more(world):
    policy = AdaptiveLimiter(initial=2)
    safe = Pipeline(policy, Timeout(5))(world.model(slow(1, "cat")))
    for _ in range(12):
        world.together(*[(safe,)] * 8)
    assert policy.limit > 6
    assert idle(policy)


def test_by_default_it_shrinks_with_a_model_that_lets_calls_time_out(async_world):
    policy = AdaptiveLimiter(initial=8)
    model = async_world.model(*[slow(1, "cat")] * 16, hang())
    safe = Pipeline(policy, Timeout(5))(model)
    for _ in range(2):
        async_world.together(*[(safe,)] * 8)
    before = policy.limit
    for _ in range(3):
        async_world.together(*[(safe,)] * 8)
    assert policy.limit < before / 2


# ---- for operators


def test_what_it_has_learned_travels():
    policy = AdaptiveLimiter(initial=2)
    safe = policy(lambda: "cat")
    for _ in range(200):
        safe()
    saved = json.loads(json.dumps(policy.snapshot()))
    for other in (AdaptiveLimiter(initial=50), AdaptiveLimiter(initial=50, queue=2)):
        other.restore(saved)
        assert other.limit == policy.limit
    with pytest.raises(
        ValueError, match="a limiter's snapshot must be a dict of version 1; pass what snapshot"
    ):
        AdaptiveLimiter().restore({"limit": 3})


@pytest.mark.parametrize("again", [lambda one: pickle.loads(pickle.dumps(one)), copy.copy, copy.deepcopy])
def test_copies_learn_for_themselves(again):
    policy = AdaptiveLimiter(algorithm=Told, queue=4)
    made = again(policy)
    assert made._made is not policy._made
    assert made(lambda: "cat")() == "cat"
    assert policy._made.trips == []


def test_one_with_nobody_inside_may_be_forgotten(plain_world):
    policy, _ = limiter()
    assert policy.forgettable()
    safe = Pipeline(policy, Timeout(1))(plain_world.model(slow(5, "cat")))
    plain_world.failure(safe)
    assert not policy.forgettable()
    plain_world.clock.sleep(5)
    assert policy.forgettable()


def test_it_shows_its_bounds():
    assert repr(AdaptiveLimiter(maximum=64)) == "AdaptiveLimiter(1 to 64, queue=0)"
    assert repr(AdaptiveLimiter(cost=len, queue=4)) == "AdaptiveLimiter(1 to 1000 in cost, queue=4, fifo)"


@pytest.mark.parametrize(
    ("wrong", "error", "message"),
    [
        (
            {"initial": 0},
            ValueError,
            "initial must be at least 1, got 0; with none inside nothing is learned",
        ),
        ({"minimum": "1"}, TypeError, "minimum must be a number, got '1'; pass how many may be inside"),
        ({"minimum": 9, "maximum": 8}, ValueError, "maximum must be at least minimum, got 8 and 9; raise it"),
        ({"deadline": 0}, ValueError, "deadline must be above 0, got 0; pass None to take it from"),
        ({"cost": 3}, TypeError, "cost must be callable, got 3; pass a function of the call's arguments"),
        ({"queue": -1}, ValueError, "queue must be at least 0, got -1; pass 0 to refuse at once"),
        ({"queue_seconds": 0}, ValueError, "queue_seconds must be above 0, got 0; pass queue=0 to refuse"),
        ({"algorithm": "aimd"}, TypeError, "algorithm must be callable, got 'aimd'; pass a class of"),
        ({"algorithm": dict}, TypeError, "algorithm must make a LimitAlgorithm, got an object of type dict"),
        (
            {"algorithm": WaitingLimit()},
            TypeError,
            "algorithm must be callable, got an object of type Waiting",
        ),
    ],
)
def test_bad_settings_are_refused_with_the_remedy(wrong, error, message):
    with pytest.raises(error) as refused:
        AdaptiveLimiter(**wrong)
    assert str(refused.value).startswith(message)
