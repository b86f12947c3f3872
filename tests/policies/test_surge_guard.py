"""SurgeGuard in every colour: what can be served gets in, the most urgent first, and a scaler hears of it."""

import pytest

from resilient_ml import Bulkhead, BulkheadFull, LimitExceeded, Pipeline, SurgeGuard, events

BANDS = ("live", "batch")


def band(name, *_):
    return name


def test_a_burst_that_can_be_worked_off_passes(world):
    guard = SurgeGuard(10, patience=2.0)
    safe = guard(world.model("cat"))
    assert [world.call(safe, 1) for _ in range(20)] == ["cat"] * 20
    assert not guard.surging
    assert guard.demand == pytest.approx(4.0)


def test_beyond_that_calls_are_refused_with_what_to_do(world):
    seen = []
    guard = SurgeGuard(10, patience=1.0, name="llm", on_event=seen.append)
    model = world.model("cat")
    safe = guard(model)
    for _ in range(10):
        world.call(safe)
    refusal = world.failure(safe)
    reason = "has no room for calls: 2.2 a second are asked for, and 10 can be served"
    assert type(refusal) is LimitExceeded
    assert str(refusal) == (
        f"surge guard 'llm' {reason}; bring more capacity, raise patience= if calls may wait longer, "
        "or put a Fallback outside it"
    )
    assert (refusal.policy, refusal.retry_after) == ("llm", 5.0)
    assert len(model.starts) == 10
    now = world.clock.now()
    assert seen == [
        events.SurgeStarted(policy="llm", at=now, demand=pytest.approx(2.2), capacity=10.0),
        events.CallRejected(policy="llm", at=now, reason=reason, retry_after=5.0),
    ]
    assert guard.surging
    assert not guard.forgettable()


def test_it_opens_again_and_says_so(world):
    seen = []
    guard = SurgeGuard(10, on_event=seen.append)
    safe = guard(world.model("cat"))
    for _ in range(10):
        world.call(safe)
    world.failure(safe)
    world.clock.advance(6.0)
    assert not guard.surging
    assert guard.forgettable()
    assert world.call(safe) == "cat"
    ended = seen[-1]
    assert (type(ended), ended.shed, ended.seconds) == (events.SurgeEnded, 1, 6.0)


def test_the_most_urgent_go_first_in_a_surge(world):
    guard = SurgeGuard(10, band=band, bands=BANDS)
    safe = guard(world.model("cat"))
    for _ in range(10):
        world.call(safe, "batch")
    assert "calls of band 'batch'" in str(world.failure(safe, "batch"))
    world.clock.advance(0.3)  # seven stand: live may fill ten, batch five
    assert world.call(safe, "live") == "cat"
    assert isinstance(world.failure(safe, "batch"), LimitExceeded)


def test_capacity_that_is_told_is_followed_as_it_comes(world):
    ready = [1]
    asked = []

    def capacity():
        asked.append(world.clock.now())
        return 10 * ready[0]

    guard = SurgeGuard(capacity)
    safe = guard(world.model("cat"))
    for _ in range(10):
        world.call(safe)
    world.failure(safe)
    assert len(asked) == 1
    ready[0] = 4
    world.clock.advance(0.11)
    assert world.call(safe) == "cat"
    assert len(asked) == 2


def test_a_capacity_of_nothing_lets_nobody_in(world):
    guard = SurgeGuard(0)
    assert world.failure(guard(world.model("cat"))).retry_after == 5.0


def test_the_time_until_there_is_room_is_told_where_it_is_the_longer(world):
    guard = SurgeGuard(0.1, patience=20.0, window=1.0)
    safe = guard(world.model("cat"))
    world.call(safe)
    world.call(safe)
    assert world.failure(safe).retry_after == pytest.approx(10.0 / 0.95)


def test_calls_are_counted_by_cost(world):
    guard = SurgeGuard(100, cost=len)
    safe = guard(world.model("cat"))
    world.call(safe, "x" * 90)
    assert isinstance(world.failure(safe, "x" * 20), LimitExceeded)


def test_what_something_inside_refuses_is_not_counted(world):
    guard = SurgeGuard(1, patience=2.0)
    line = Pipeline(guard, Bulkhead(1))
    safe = line(world.model("cat"))
    inner = line.policies[1]
    seats = inner._machine.take()
    for _ in range(10):
        assert isinstance(world.failure(safe), BulkheadFull)
    seats.append(None)
    assert world.call(safe) == "cat"


def test_a_failure_of_the_model_was_work_all_the_same(world):
    guard = SurgeGuard(1, patience=2.0)
    safe = guard(world.model(ValueError("no such row")))
    ends = [type(world.failure(safe)) for _ in range(3)]
    assert ends == [ValueError, ValueError, LimitExceeded]


@pytest.mark.parametrize(
    ("wrong", "says"),
    [
        ({"capacity": -1}, "capacity must be"),
        ({"capacity": "many"}, "capacity must be"),
        ({"patience": 0}, "patience must be"),
        ({"window": 0}, "window must be"),
        ({"cost": 3}, "cost must be"),
        ({"bands": BANDS}, "belong together"),
        ({"band": band, "bands": ("a", "a")}, "different names"),
    ],
)
def test_what_makes_no_sense_is_refused(wrong, says):
    with pytest.raises((TypeError, ValueError), match=says):
        SurgeGuard(**{"capacity": 10, **wrong})


@pytest.mark.parametrize(
    ("settings", "says"),
    [
        ({"capacity": lambda: -1}, "capacity must be"),
        ({"cost": lambda *_: float("nan")}, "cost must be"),
        (
            {"band": lambda *_: "third", "bands": BANDS},
            "band must return one of 'live', 'batch', got 'third'",
        ),
    ],
)
def test_what_a_function_says_that_makes_no_sense_is_refused_and_nothing_taken(world, settings, says):
    guard = SurgeGuard(**{"capacity": 10, **settings})
    with pytest.raises((TypeError, ValueError), match=says):
        raise world.failure(guard(world.model("cat")), "live")
    assert guard.demand == 0


def test_it_shows_its_numbers():
    assert repr(SurgeGuard(10)) == "SurgeGuard(10 a second, 1 s of work may stand)"
    assert repr(SurgeGuard(lambda: 10)) == "SurgeGuard(told, 1 s of work may stand)"
