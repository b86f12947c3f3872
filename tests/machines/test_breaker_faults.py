"""A circuit breaker under an operator's hand and on clocks that lie; the tables are explained in ``play``."""

import math
from dataclasses import replace

import pytest

from resilient_ml.machines.breaker import BreakerMachine
from resilient_ml.machines.breaker_permits import Permit
from resilient_ml.machines.breaker_rules import Change, Refusal, State

from .play import NO_RULES, ONE, TWO_IN_A_ROW, Play, calls, opened, refusal

# ---- by an operator


def test_forced_open_refuses_until_told_otherwise() -> None:
    play = Play(ONE)
    assert play.machine.force(State.FORCED_OPEN) == Change(State.CLOSED, State.FORCED_OPEN, "by an operator")
    assert refusal(play, 1e9) == Refusal(State.FORCED_OPEN, None, "by an operator")
    play.machine.force(State.CLOSED)
    play((0, "ok", "closed"))


def test_forced_closed_counts_but_never_opens() -> None:
    play = Play(replace(ONE, failure_rate=0.1, slow_call_seconds=1.0, slow_call_rate=0.1))
    play.machine.force(State.FORCED_CLOSED)
    play(*calls("fail", 50, state="forced_closed"), *calls("slow", 50, state="forced_closed"))
    assert play.machine.failures == {"server": 50}
    tally = play.machine.look(0.0)[1]
    assert (tally.calls, tally.failures, tally.slow) == (100, 50, 50)
    answer, _ = play.machine.admit(0.0, 0.0)
    assert answer is play.machine.current


def test_disabled_lets_everything_through_and_watches_nothing() -> None:
    play = Play(ONE)
    play.machine.force(State.DISABLED)
    play(*calls("fail", 5, state="disabled"), *calls("ok", 5, state="disabled"), (0, "abandon", "disabled"))
    assert play.machine.failures == {}
    assert play.machine.look(0.0)[1].calls == 0
    answer, _ = play.machine.admit(0.0, 0.0)
    assert answer is play.machine.bystander is play.machine.closed


@pytest.mark.parametrize("state", [s for s in State if s is not State.CLOSED])
def test_forcing_the_state_it_is_in_already_changes_nothing(state: State) -> None:
    machine = BreakerMachine(ONE)
    machine.force(state)
    permit = machine.current
    assert machine.force(state) is None
    assert machine.current is permit


def test_closing_what_is_closed_empties_its_window() -> None:
    play = Play(TWO_IN_A_ROW)
    play((0, "fail", "closed"))
    assert play.machine.force(State.CLOSED) is None
    assert play.machine.look(0.0)[1].calls == 0
    play((0, "fail", "closed"), (0, "fail", "open"))


def test_an_operators_word_brings_the_open_time_back_to_its_first() -> None:
    play = opened()
    play((5, "fail", "open"))
    play.machine.force(State.CLOSED)
    play((6, "fail", "open"))
    assert refusal(play, 6.0).retry_after == 5.0


def test_failures_are_counted_by_kind_in_the_generation_they_belong_to() -> None:
    machine = BreakerMachine(replace(NO_RULES, failure_rate=1.0, minimum_calls=4))
    late = machine.current
    for kind in ("server", "timeout", "server", "connection"):
        machine.current.fail(0.0, kind, 0.0, 0.0, None)
    late.fail(0.0, "oom", 0.0, 0.0, None)
    probe, _ = machine.admit(5.0, 0.0)
    assert isinstance(probe, Permit)
    probe.fail(5.0, "stall", 0.0, 0.0, None)
    assert machine.failures == {"server": 2, "timeout": 1, "connection": 1, "stall": 1}


def test_only_the_open_state_says_how_long_is_left() -> None:
    play = Play(ONE)
    assert play.machine.look(0.0)[2] is None
    play((0, "fail", "open"))
    assert play.machine.look(1.0)[2] == 4.0
    assert play.machine.look(7.0)[2] == 0.0
    play((7, "admit a", "in"))
    assert play.machine.look(7.0)[2] is None


def test_how_long_it_is_open_is_read_without_its_lock() -> None:
    play = opened()
    assert [play.machine.left_open(now) for now in (0.0, 4.5, 5.0, 9.0)] == [5.0, 0.5, None, None]
    assert play.machine.left_open(-0.1) is None  # the clock stepped back: admission decides


@pytest.mark.parametrize("state", [state for state in State if state is not State.OPEN])
def test_only_the_open_state_is_read_so(state: State) -> None:
    play = opened()
    play.machine.force(state)
    assert play.machine.left_open(1.0) is None


# ---- clocks that stand still, step back or jump


def test_a_clock_that_steps_back_keeps_it_open_no_longer_than_its_open_time() -> None:
    play = opened()
    assert refusal(play, -1000.0).retry_after == 5.0
    play((math.nextafter(-995.0, -1000.0), "admit a", "refused"), (-995, "admit a", "in"))


def test_a_clock_that_steps_back_never_opens_it_early() -> None:
    play = opened()
    play((4, "ok", "refused"), (3, "ok", "refused"), (4.9, "ok", "refused"), (5, "ok", "closed"))


def test_a_clock_that_steps_back_does_not_stretch_a_lease() -> None:
    play = opened(probe_lease_seconds=30.0)
    play((5, "admit a", "in"))
    assert refusal(play, -1000.0).retry_after == 30.0
    play((-971, "admit b", "refused"), (-970, "admit b", "in"), (-970, "admit c", "refused"))


def test_a_clock_that_stands_still_still_counts() -> None:
    play = Play(replace(NO_RULES, failure_rate=0.5, minimum_calls=10))
    play(*calls("ok", 5, now=3), *calls("fail", 4, now=3), (3, "fail", "open"), *[(3.0, "ok", "refused")] * 5)


@pytest.mark.parametrize("far", [1e9, 1e15, 1e18, 1e300, -1e18])
def test_a_clock_may_jump_as_far_as_it_likes(far: float) -> None:
    play = Play(TWO_IN_A_ROW)
    play((0, "fail", "closed"), (far, "ok", "closed"), (far, "fail", "closed"), (far, "fail", "open"))
    play.machine.force(State.CLOSED)
    play((0, "fail", "closed"), (0, "fail", "open"), (5, "ok", "closed"))


def test_a_clock_too_coarse_for_the_open_time_is_never_stuck() -> None:
    play = Play(ONE)
    play((1e18, "fail", "open"), (math.nextafter(1e18, math.inf), "ok", "closed"))
