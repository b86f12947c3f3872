"""HotKeyLimiter: one hot key does not starve the rest."""

import pytest

from resilient_ml import Bulkhead, BulkheadFull, Coalesce, HotKeyLimiter, LimitExceeded, Pipeline, events

from ..worlds import slow


def by_tenant(tenant, row=0):
    return tenant


def test_a_hot_key_has_so_many_calls_in_flight_and_the_rest_is_served(world):
    model = world.model(slow(1, "cat"))
    safe = HotKeyLimiter(key=by_tenant, hot_share=0.5, hot_limit=2, window=20)(model)
    ends = world.together(*[(safe, "big", row) for row in range(8)], (safe, "small"), (safe, "tiny"))
    assert ends.count("cat") == 4
    assert ends[-2:] == ["cat", "cat"]
    assert all(isinstance(end, LimitExceeded) for end in ends[2:8])
    assert world.call(safe, "big") == "cat"


def test_without_it_one_key_takes_every_seat_of_a_bulkhead_and_with_it_the_tail_is_served(world):
    crowd = [("big", row) for row in range(10)] + [("small", 0), ("tiny", 0)]
    for policies, tail in [
        ([Bulkhead(4)], BulkheadFull),
        ([HotKeyLimiter(key=by_tenant, hot_share=0.5, hot_limit=2, window=20), Bulkhead(4)], str),
    ]:
        safe = Pipeline(*policies)(world.model(slow(1, "cat")))
        ends = world.together(*[(safe, *who) for who in crowd])
        assert all(isinstance(end, tail) for end in ends[-2:])


def test_equal_calls_of_a_hot_key_are_one_where_a_coalesce_is_outside(world):
    model = world.model(slow(1, "cat"))
    limiter = HotKeyLimiter(key=by_tenant, hot_share=0.5, hot_limit=1, window=20)
    safe = Pipeline(Coalesce(), limiter)(model)
    assert world.together(*[(safe, "big")] * 10) == ["cat"] * 10


def test_a_call_without_a_key_goes_by(world):
    safe = HotKeyLimiter(key=lambda tenant: None, hot_limit=1, window=1)(world.model(slow(1, "cat")))
    assert world.together(*[(safe, "a")] * 4) == ["cat"] * 4


def test_a_refusal_is_told_with_the_remedy(world):
    told = []
    limiter = HotKeyLimiter(
        key=lambda n: n, hot_share=1, hot_limit=1, keys=2, window=20, on_event=told.append
    )
    safe = limiter(world.model(slow(1, "cat")))
    ends = world.together((safe, 7), (safe, 7))
    assert "warm_limit=" in str(ends[1])
    assert [type(event) for event in told] == [events.CallRejected]
    assert limiter.forgettable()
    (heavy,) = limiter.hottest()
    assert heavy.count >= 1
    assert repr(limiter) == "HotKeyLimiter(above 1 at most 1 in flight)"


@pytest.mark.parametrize(
    "wrong",
    [{"key": 1}, {"hot_share": 0}, {"hot_limit": 0}, {"warm_limit": 0}, {"keys": 19}, {"window": 0}],
    ids=str,
)
def test_wrong_arguments_are_refused(wrong):
    (name,) = wrong
    with pytest.raises((TypeError, ValueError), match=name):
        HotKeyLimiter(**{"key": by_tenant, **wrong})
