"""Timeout in every colour, in virtual time."""

import pytest

from resilient_ml import DeadlineExceeded, Timeout

from ..worlds import hang, slow


def test_an_answer_in_time_is_given(world):
    assert world.call(Timeout(2)(world.model(slow(1, "cat")))) == "cat"


def test_a_hang_ends_at_the_limit(world):
    model = world.model(hang())
    began = world.clock.now()
    error = world.failure(Timeout(2)(model))
    assert type(error) is DeadlineExceeded
    assert world.clock.now() - began == pytest.approx(2)
