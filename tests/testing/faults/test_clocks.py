"""Clocks that jump in the middle of a call, in virtual time only."""

import time

import pytest

from resilient_ml import Retry, Timeout
from resilient_ml.testing import faults
from resilient_ml.testing.faults import FaultPlan


@pytest.mark.parametrize(
    ("fault", "wall", "monotonic"),
    [
        (faults.clock_jump(-3600), -3600, 0),
        (faults.clock_jump(3600), 3600, 0),
        (faults.clock_jump(60, monotonic=True), 60, 60),
        (faults.clock_jump(-60, monotonic=True), -60, -60),
    ],
    ids=str,
)
def test_the_clocks_jump(world, fault, wall, monotonic):
    before = time.time(), time.monotonic()
    assert world.call(faults.inject(world.model("cat"), fault)) == "cat"
    assert (time.time() - before[0], time.monotonic() - before[1]) == (wall, monotonic)


def test_a_jump_of_the_wall_clock_changes_nothing_for_a_timeout(world):
    broken = faults.inject(world.model("cat"), faults.clock_jump(3600), faults.latency(0.5))
    assert world.call(Timeout(1.0)(broken)) == "cat"


def test_a_retry_survives_clocks_that_step_back(world):
    broken = faults.inject(
        world.model("cat"), faults.clock_jump(-5, monotonic=True), faults.error(ConnectionError).first(1)
    )
    assert world.call(Retry(attempts=2)(broken)) == "cat"


def test_in_real_time_it_is_refused_with_the_remedy():
    plan = FaultPlan(faults.clock_jump(-3600))
    with pytest.raises(
        RuntimeError, match=r"clock_jump\(seconds=-3600\) moves the clock of virtual time, and none"
    ):
        plan.inject(len)("rows")


@pytest.mark.parametrize(
    ("make", "error", "text"),
    [
        (lambda: faults.clock_jump(0), ValueError, "seconds must not be 0"),
        (lambda: faults.clock_jump("back"), TypeError, "seconds must be a number"),
        (lambda: faults.clock_jump(1, monotonic=1), TypeError, "monotonic must be True or False"),
    ],
)
def test_nonsense_is_refused(make, error, text):
    with pytest.raises(error, match=text):
        make()
