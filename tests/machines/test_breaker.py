"""How a circuit breaker comes back: probes, generations, the ramp; its tables are explained in ``play``."""

import math
from dataclasses import replace

import pytest

from resilient_ml.machines.breaker_permits import Permit
from resilient_ml.machines.breaker_rules import Refusal, State

from .play import NO_RULES, ONE, TWO_IN_A_ROW, Play, calls, opened, refusal

# ---- half-open


@pytest.mark.parametrize("permits", [1, 2, 5])
def test_half_open_admits_exactly_its_permits(permits: int) -> None:
    play = opened(half_open_permits=permits)
    play(*[(5.0, f"admit {n}", "in") for n in range(permits)], (5, "admit x", "refused"))
    play(*[(6.0, f"ok {n}", "half_open") for n in range(permits - 1)], (6, "admit x", "refused"))
    play((6, f"ok {permits - 1}", "closed"))
    assert play.path[-1] == f"half_open to closed after {permits} good probe{'s' * (permits > 1)}"


def test_one_failed_probe_opens_it_again_and_the_others_no_longer_matter() -> None:
    play = opened(half_open_permits=3)
    play(
        (5, "admit a", "in"), (5, "admit b", "in"), (5, "admit c", "in"), (5, "ok a", "half_open"),
        (6, "fail b", "open"), (6, "ok c", "open"), (15.9, "admit d", "refused"), (16, "admit d", "in"),
    )  # fmt: skip
    assert "half_open to open after a probe that failed" in play.path


def test_a_slow_probe_has_not_shown_that_the_model_is_well() -> None:
    play = opened(slow_call_seconds=1.0)
    play((5, "slow", "open"))
    assert play.path[-1] == "half_open to open after a probe that was slow"
    assert play.machine.failures == {"server": 1}


def test_an_abandoned_probe_gives_its_permit_to_the_next() -> None:
    play = opened()
    play((5, "admit a", "in"), (5, "abandon a", "half_open"), (5, "admit b", "in"), (5, "admit c", "refused"))


def test_a_hung_probe_loses_its_lease_at_exactly_its_end() -> None:
    play = opened(probe_lease_seconds=30.0)
    play((5, "admit a", "in"), (20, "admit b", "refused"))
    assert refusal(play, 20.0) == Refusal(State.HALF_OPEN, 15.0, "while it is being probed")
    play((math.nextafter(35.0, 0.0), "admit b", "refused"), (35, "admit b", "in"), (35, "admit c", "refused"))


@pytest.mark.parametrize(
    ("late", "state"), [("ok", "closed"), ("fail", "open"), ("slow", "open"), ("abandon", "half_open")]
)
def test_a_probe_that_comes_back_after_its_lease_still_tells_of_the_model(late: str, state: str) -> None:
    play = opened(probe_lease_seconds=30.0, slow_call_seconds=1.0)
    play((5, "admit a", "in"), (35, "admit b", "in"), (36, f"{late} a", state))
    assert play.machine.failures == {"server": 1 + (late == "fail")}


@pytest.mark.parametrize("late", ["ok", "fail", "slow", "abandon"])
def test_a_probe_that_comes_back_after_its_lease_and_its_generation_changes_nothing(late: str) -> None:
    play = opened(probe_lease_seconds=30.0, slow_call_seconds=1.0)
    play((5, "admit a", "in"), (35, "admit b", "in"), (36, "ok b", "closed"), (37, f"{late} a", "closed"))
    assert play.machine.failures == {"server": 1}


def test_a_model_that_takes_longer_than_the_lease_is_found_well_under_steady_traffic() -> None:
    play = opened(probe_lease_seconds=5.0)
    play(
        (5, "admit a", "in"), (9, "admit b", "refused"), (10, "admit b", "in"), (15, "admit c", "in"),
        (20, "admit d", "in"), (25, "ok a", "closed"), (30, "ok b", "closed"),
    )  # fmt: skip


def test_a_late_probe_takes_its_permit_back_so_that_no_more_than_the_permits_are_out() -> None:
    play = opened(half_open_permits=2, probe_lease_seconds=30.0)
    play(
        (5, "admit a", "in"), (20, "admit b", "in"), (35, "admit c", "in"), (36, "ok a", "half_open"),
        (37, "abandon c", "half_open"), (38, "admit d", "refused"), (39, "ok b", "closed"),
    )  # fmt: skip


def test_a_good_probe_keeps_its_place_when_another_one_hangs() -> None:
    play = opened(half_open_permits=2, probe_lease_seconds=30.0)
    play(
        (5, "admit a", "in"), (5, "admit b", "in"), (6, "ok a", "half_open"), (34, "admit c", "refused"),
        (35, "admit c", "in"), (35, "admit d", "refused"), (36, "ok c", "closed"),
    )  # fmt: skip


def test_the_refusal_names_the_lease_that_ends_first() -> None:
    play = opened(half_open_permits=2, probe_lease_seconds=30.0)
    play((5, "admit a", "in"), (15, "admit b", "in"))
    assert refusal(play, 20.0).retry_after == 15.0


def test_a_probe_is_told_to_end_once_only() -> None:
    play = opened(half_open_permits=2)
    play((5, "admit a", "in"))
    probe = play.held["a"]
    assert probe.succeed(5.0, 0.0) is None
    assert probe.succeed(5.0, 0.0) is None
    probe.abandon()
    assert play.machine.state is State.HALF_OPEN


# ---- generations: what a late outcome does


def late_permit(play: Play) -> Permit:
    """One that was admitted while the machine was closed for the first time."""
    play((0, "admit late", "in"))
    return play.held.pop("late")


LATE = {"ok": ("succeed", 0.0), "slow": ("succeed", 1.0), "fail": ("fail", 0.0)}


@pytest.mark.parametrize("how", LATE)
@pytest.mark.parametrize(
    "state", ["open", "half_open", "closed again", *(str(s) for s in State if "_c" in s or "d_o" in s)]
)
def test_a_late_outcome_changes_nothing(how: str, state: str) -> None:
    play = Play(replace(ONE, slow_call_seconds=1.0, slow_call_rate=0.01))
    late = late_permit(play)
    if state in list(State) and state not in ("open", "half_open"):
        play.machine.force(State(state))
    else:
        play((0, "fail", "open"))
        if state != "open":
            play((5, "admit a", "in"))
        if state == "closed again":
            play((5, "ok a", "closed"))
    before = play.machine.snapshot(5.0), play.machine.look(5.0)
    name, seconds = LATE[how]
    if name == "succeed":
        assert late.succeed(5.0, seconds) is None
    else:
        assert late.fail(5.0, "server", seconds, 0.0, 60.0) is None
    assert (play.machine.snapshot(5.0), play.machine.look(5.0)) == before


def test_the_window_starts_empty_after_a_probe_closed_it() -> None:
    play = Play(replace(NO_RULES, failure_rate=0.5, minimum_calls=4))
    play(*calls("fail", 3), (0, "fail", "open"), (5, "ok", "closed"))
    assert play.machine.look(5.0)[1].calls == 0
    play(*calls("fail", 3, now=5), (5, "fail", "open"))


def test_a_row_starts_anew_in_each_generation() -> None:
    play = Play(TWO_IN_A_ROW)
    play(
        *calls("fail", 1),
        (0, "fail", "open"),
        (5, "ok", "closed"),
        (5, "fail", "closed"),
        (5, "fail", "open"),
    )


# ---- the ramp


def test_a_ramp_lets_traffic_back_by_its_share() -> None:
    play = opened(ramp_seconds=10.0)
    play((5, "ok", "ramping"))
    table = [
        (5.0, 0.09, True),
        (5.0, 0.1, False),
        (10.0, 0.549, True),
        (10.0, 0.551, False),
        (14.9, 0.98, True),
    ]
    for now, draw, admitted in table:
        assert (play.admit(now, draw) is not None) is admitted, (now, draw)
    assert refusal(play, 10.0, draw=0.9) == Refusal(
        State.RAMPING, 5.0, "while 55% of the traffic is let back"
    )
    assert play.admit(15.0, 0.999) is not None
    assert play.path[-2:] == [
        "half_open to ramping after 1 good probe",
        "ramping to closed the ramp of 10 s is over",
    ]


def test_a_window_that_trips_while_ramping_opens_it_again() -> None:
    play = opened(ramp_seconds=10.0)
    play((5, "ok", "ramping"), (6, "fail", "open"))
    assert refusal(play, 6.0).retry_after == 5.0


def test_what_was_learned_while_ramping_is_kept_when_it_closes() -> None:
    play = Play(replace(TWO_IN_A_ROW, ramp_seconds=10.0))
    play(
        *calls("fail", 1),
        (0, "fail", "open"),
        (5, "ok", "ramping"),
        (14, "fail", "ramping"),
        (15, "ok", "closed"),
    )
    assert play.machine.look(15.0)[1].failures == 1
    play = Play(replace(TWO_IN_A_ROW, ramp_seconds=10.0))
    play(
        *calls("fail", 1),
        (0, "fail", "open"),
        (5, "ok", "ramping"),
        (14, "fail", "ramping"),
        (15, "fail", "open"),
    )


def test_a_call_admitted_while_ramping_still_counts_when_it_ends_closed() -> None:
    play = opened(ramp_seconds=10.0)
    play((5, "ok", "ramping"), (14, "admit a", "in"), (15, "ok", "closed"), (16, "fail a", "open"))


def test_a_clock_that_steps_back_starts_the_ramp_again() -> None:
    play = opened(ramp_seconds=10.0)
    play((5, "ok", "ramping"))
    assert play.admit(-100.0, 0.09) is not None
    assert play.admit(-100.0, 0.1) is None
    assert play.admit(-90.0, 0.999) is not None
    assert play.machine.state == "closed"
