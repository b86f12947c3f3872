"""Servers under load: windows of a rate limit, and service that slows down with the crowd."""

import pytest

from resilient_ml import Retry, kind_of
from resilient_ml.retry_after import retry_after_of
from resilient_ml.testing import faults, virtual_time
from resilient_ml.testing.faults import FaultPlan


def test_a_window_serves_so_many_calls_and_refuses_the_rest(world):
    limited = faults.inject(world.model("cat"), faults.rate_limit(2, per=10))
    assert [world.failure(limited) for _ in range(2)] == [None, None]
    refusal = world.failure(limited)
    assert (refusal.status_code, kind_of(refusal)) == (429, "rate_limited")
    assert dict(refusal.response.headers) == {
        "x-ratelimit-limit-requests": "2",
        "x-ratelimit-remaining-requests": "0",
        "x-ratelimit-reset-requests": "10s",
        "retry-after": "10",
    }
    world.clock.sleep(9.75)
    assert retry_after_of(world.failure(limited), wall=0.0) == 0.25
    world.clock.sleep(0.25)
    assert [world.failure(limited) for _ in range(2)] == [None, None]
    assert world.failure(limited).status_code == 429


def test_who_comes_back_when_told_to_is_served(plain_world):
    limited = faults.inject(plain_world.model("cat"), faults.rate_limit(1, per=0.7))
    for _ in range(50):
        refusal = plain_world.failure(limited)
        if refusal is not None:
            plain_world.clock.sleep(retry_after_of(refusal, wall=0.0))
            assert plain_world.failure(limited) is None
        plain_world.clock.sleep(0.0373)


def test_a_window_begins_at_its_instant_though_floats_fall_short_of_it():
    with virtual_time() as clock:
        plan = FaultPlan(faults.rate_limit(1, per=0.3))
        limited = plan.inject(abs)
        plan.start()
        clock.sleep(0.25)
        limited(1)
        clock.sleep(0.05)
        assert clock.now() - 1000.0 < 0.3  # by 5e-14
        limited(2)


def test_a_retry_that_listens_gets_through(world):
    plan = FaultPlan(faults.rate_limit(1, per=10))
    safe = Retry(attempts=2)(plan.inject(world.model("cat")))
    assert [world.call(safe) for _ in range(3)] == ["cat"] * 3
    assert [one.call for one in plan.history] == [2, 4]


def test_all_callables_of_a_plan_share_a_window_and_each_plan_has_its_own():
    plan = FaultPlan(faults.rate_limit(1, per=3600))
    first, second = plan.inject(abs), plan.inject(abs)
    assert first(1) == 1
    with pytest.raises(faults.APIStatusError):
        second(1)
    assert plan.with_seed(1).inject(abs)(1) == 1


def test_calls_that_the_limit_does_not_pick_are_not_counted():
    limited = faults.inject(abs, faults.rate_limit(1, per=3600).where(lambda number: number > 0))
    assert [limited(-1), limited(-1), limited(1), limited(-1)] == [1, 1, 1, 1]
    with pytest.raises(faults.APIStatusError):
        limited(2)


def test_service_slows_down_with_the_calls_in_flight(world):
    plan = FaultPlan(faults.overload(2, 1.0))
    model = plan.inject(world.model("cat"))
    began = world.clock.now()
    assert world.together(*[(model,)] * 4) == ["cat"] * 4
    # The first two find no crowd and take 1 s, the third 1.5 s and the fourth 2 s.
    assert world.clock.now() - began == 2.0
    world.call(model)
    assert world.clock.now() - began == 3.0


def test_above_the_bound_calls_are_refused_at_once(world):
    model = faults.inject(world.model("cat"), faults.overload(1, 1.0, refuse_above=2, retry_after=0.5))
    ends = world.together(*[(model,)] * 3)
    assert ends[:2] == ["cat", "cat"]
    assert (ends[2].status_code, kind_of(ends[2]), retry_after_of(ends[2], wall=0.0)) == (
        503,
        "overload",
        0.5,
    )
    assert world.call(model) == "cat"


def test_seats_are_given_back_however_a_call_ends(world):
    model = faults.inject(world.model(KeyError("x")), faults.overload(1, 1.0, refuse_above=1))
    for _ in range(3):
        assert isinstance(world.failure(model), KeyError)


def test_a_predicate_that_fails_leaves_nobody_inside():
    model = faults.inject(
        sum, faults.overload(1, 0.0, refuse_above=1), faults.poison(lambda row: 1 / row < 0)
    )
    with pytest.raises(ZeroDivisionError):
        model([0])
    assert model([1]) == 1


def test_what_they_say_of_themselves():
    plan = FaultPlan(
        faults.rate_limit(5),
        faults.rate_limit(5, per=60),
        faults.overload(4, 0.05),
        faults.overload(4, 0.05, refuse_above=8, retry_after=1),
    )
    assert plan.describe().splitlines() == [
        "rate_limit(calls=5, per=1)",
        "rate_limit(calls=5, per=60)",
        "overload(capacity=4, seconds=0.05)",
        "overload(capacity=4, seconds=0.05, refuse_above=8, retry_after=1)",
    ]


@pytest.mark.parametrize(
    ("make", "error", "text"),
    [
        (lambda: faults.rate_limit(-1), ValueError, "calls must be at least 0"),
        (lambda: faults.rate_limit(1, per=0), ValueError, "per must be above 0"),
        (lambda: faults.overload(0, 1), ValueError, "capacity must be at least 1"),
        (lambda: faults.overload(1, -1), ValueError, "seconds must not be negative"),
        (lambda: faults.overload(1, 1, refuse_above=-1), ValueError, "refuse_above must be at least 0"),
        (lambda: faults.overload(1, 1, retry_after=-1), ValueError, "retry_after must not be negative"),
    ],
)
def test_nonsense_is_refused(make, error, text):
    with pytest.raises(error, match=text):
        make()
