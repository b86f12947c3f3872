"""Stale answers: of an earlier call, of the same callable, item by item in a stream."""

import pytest

from resilient_ml.testing import faults
from resilient_ml.testing.faults import FaultPlan

from ...worlds import items


def test_the_answer_before_is_served(world):
    model = world.model("a", "b", "c", "d")
    plan = FaultPlan(faults.stale().on_calls(2, 4))
    broken = plan.inject(model)
    assert [world.call(broken) for _ in range(4)] == ["a", "a", "c", "c"]
    assert [one.call for one in plan.history] == [2, 4]
    assert len(model.starts) == 4


def test_an_older_answer_is_served(call_world):
    broken = faults.inject(call_world.model("a", "b", "c", "d"), faults.stale(age=2))
    assert [call_world.call(broken) for _ in range(4)] == ["a", "b", "a", "b"]


def test_streams_are_replayed_item_by_item(stream_world):
    model = stream_world.model(items("a", "b"), items("c", "d", "e"))
    broken = faults.inject(model, faults.stale())
    assert [stream_world.call(broken) for _ in range(2)] == [("a", "b"), ("a", "b", "e")]


def test_each_callable_has_its_own_past():
    plan = FaultPlan(faults.stale())
    first, second = plan.inject(abs), plan.inject(abs)
    assert [first(1), second(2), first(3), second(4)] == [1, 2, 1, 2]


def test_a_reset_forgets():
    plan = FaultPlan(faults.stale())
    model = plan.inject(abs)
    model(1)
    plan.reset()
    assert [model(2), model(3)] == [2, 2]


def test_an_age_of_nothing_is_refused():
    with pytest.raises(ValueError, match="age must be at least 1, got 0"):
        faults.stale(0)
