"""A circuit breaker's state, saved and taken up again, perhaps on another clock and from a file."""

import json
import math
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from resilient_ml.kinds import Kind
from resilient_ml.machines.breaker import BreakerMachine
from resilient_ml.machines.breaker_rules import Change, Refusal, Rules, State

from .play import ONE, TWO_IN_A_ROW, Play, opened, refusal

OTHER_CLOCK = -7777.0


def restored(saved: Any, rules: Rules = ONE, now: float = OTHER_CLOCK) -> Play:
    play = Play(rules)
    play.machine.restore(json.loads(json.dumps(saved)), now)
    return play


def plain(**overrides: Any) -> dict[str, Any]:
    """A good snapshot of an open breaker, with *overrides*."""
    return {**opened().machine.snapshot(2.0), **overrides}


def test_a_snapshot_is_plain_data_with_durations() -> None:
    play = opened()
    assert play.machine.snapshot(2.0) == {
        "version": 1,
        "state": "open",
        "reason": "after 1 failure in a row",
        "trips": 1,
        "open_for": 5.0,
        "left": 3.0,
        "ramped": 0.0,
        "failures": {"server": 1},
    }


def test_only_an_open_breaker_saves_times_of_being_open() -> None:
    play = opened()
    play((5, "ok", "closed"))
    saved = play.machine.snapshot(6.0)
    assert (saved["state"], saved["open_for"], saved["left"], saved["trips"]) == ("closed", 0.0, 0.0, 0)


def test_an_open_breaker_stays_open_for_what_was_left_on_another_clock() -> None:
    play = restored(opened().machine.snapshot(2.0))
    assert refusal(play, OTHER_CLOCK) == Refusal(State.OPEN, 3.0, "after 1 failure in a row")
    assert play.machine.failures == {"server": 1}
    play((OTHER_CLOCK + 2.9, "ok", "refused"), (OTHER_CLOCK + 3, "fail", "open"))
    assert refusal(play, OTHER_CLOCK + 3).retry_after == 10.0  # the trips go on


def test_a_ramp_goes_on_where_it_was_on_another_clock() -> None:
    rules = replace(ONE, ramp_seconds=10.0)
    play = Play(rules)
    play((0, "fail", "open"), (5, "ok", "ramping"))
    saved = play.machine.snapshot(9.0)
    assert saved["ramped"] == 4.0
    assert play.machine.snapshot(-50.0)["ramped"] == 0.0
    play = restored(saved, rules)
    assert play.admit(OTHER_CLOCK, 0.45) is not None
    assert play.admit(OTHER_CLOCK, 0.47) is None
    assert play.admit(OTHER_CLOCK + 6, 0.99) is not None
    assert play.machine.state == "closed"


def test_a_ramp_is_over_in_a_breaker_that_has_none() -> None:
    play = restored(plain(state="ramping", ramped=4.0))
    play((OTHER_CLOCK, "ok", "closed"))


def test_a_half_open_breaker_has_all_its_permits_again() -> None:
    play = opened(half_open_permits=2)
    play((5, "admit a", "in"), (5, "ok a", "half_open"), (5, "admit b", "in"))
    other = restored(play.machine.snapshot(5.0), play.machine.rules)
    now = OTHER_CLOCK
    other((now, "admit a", "in"), (now, "admit b", "in"), (now, "admit c", "refused"))
    other((now, "ok a", "half_open"), (now, "ok b", "closed"))


@pytest.mark.parametrize("state", ["forced_open", "forced_closed", "disabled"])
def test_an_operators_word_outlives_the_process(state: str) -> None:
    machine = BreakerMachine(ONE)
    machine.force(State(state))
    again = restored(machine.snapshot(0.0)).machine
    assert again.state == state
    assert again.admit(0.0, 0.0)[0] == (
        Refusal(State.FORCED_OPEN, None, "by an operator")
        if state == "forced_open"
        else again.bystander
        if state == "disabled"
        else again.current
    )


def test_restoring_begins_a_generation_with_an_empty_window() -> None:
    play = Play(TWO_IN_A_ROW)
    play((0, "admit late", "in"), (0, "fail", "closed"))
    saved = play.machine.snapshot(0.0)
    assert play.machine.restore(saved, 0.0) == Change(State.CLOSED, State.CLOSED, "")
    play((0, "fail late", "closed"), (0, "fail", "closed"), (0, "fail", "open"))
    assert play.machine.failures == {"server": 3}


def test_a_snapshot_does_not_change_with_its_breaker() -> None:
    play = Play(TWO_IN_A_ROW)
    play((0, "fail", "closed"))
    saved = play.machine.snapshot(0.0)
    other = restored(saved)
    play((0, "fail", "open"))
    other((OTHER_CLOCK, "fail", "open"))
    assert saved["failures"] == {"server": 1}


@pytest.mark.parametrize(
    ("open_for", "left", "expected"),
    [(5.0, 99.0, 5.0), (1e9, 1e9, 120.0), (100.0, 100.0, 100.0), (0.0, 50.0, None), (5.0, 0.0, None)],
)
def test_what_is_left_is_held_to_what_this_breaker_could_have_done(
    open_for: float, left: float, expected: float | None
) -> None:
    play = restored(plain(open_for=open_for, left=left))
    if expected is None:
        play((OTHER_CLOCK, "admit a", "in"))
    else:
        assert refusal(play, OTHER_CLOCK).retry_after == expected


def test_a_breaker_with_a_long_open_time_keeps_it() -> None:
    rules = replace(ONE, open_seconds_max=1000.0, jitter=0.5)
    assert refusal(restored(plain(open_for=9e9, left=9e9), rules), OTHER_CLOCK).retry_after == 1500.0


def test_trips_without_number_overflow_nothing() -> None:
    play = restored(plain(trips=10**400, left=0.0))
    play((OTHER_CLOCK, "fail", "open"))
    assert refusal(play, OTHER_CLOCK).retry_after == 60.0


GARBAGE: list[Any] = [
    None,
    [],
    "closed",
    {},
    {"version": 2},
    plain(version="1"),
    *({key: value for key, value in plain().items() if key != missing} for missing in plain()),
    plain(state="ajar"),
    plain(state=None),
    plain(state=[]),
    plain(trips="many"),
    plain(trips=None),
    plain(trips=-1),
    plain(trips=math.inf),
    plain(open_for=math.nan),
    plain(open_for=10**400),
    plain(left=-0.5),
    plain(left="soon"),
    plain(ramped=math.inf),
    plain(failures=None),
    plain(failures=[1, 2]),
    plain(failures={"server": "three"}),
    plain(failures={"server": -3}),
    plain(failures={"server": math.inf}),
    plain(failures={"no kind of ours": 1}),
]


@pytest.mark.parametrize("saved", GARBAGE, ids=range(len(GARBAGE)))
def test_what_is_no_snapshot_is_refused_and_changes_nothing(saved: Any) -> None:
    play = opened()
    before = play.machine.snapshot(1.0)
    with pytest.raises(ValueError, match=r"^a breaker's snapshot .*; pass what snapshot\(\) returned$"):
        play.machine.restore(saved, 1.0)
    assert play.machine.snapshot(1.0) == before
    play((5, "ok", "closed"))


def test_the_message_does_not_show_what_was_saved() -> None:
    with pytest.raises(ValueError, match="bad or missing field") as caught:
        BreakerMachine(ONE).restore(plain(state="s3cret"), 0.0)
    assert "s3cret" not in str(caught.value)
    assert caught.value.__suppress_context__


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=5,
)


@pytest.mark.once
@settings(derandomize=True, deadline=None, max_examples=300)
@given(st.dictionaries(st.sampled_from(list(plain())), JSON), st.sampled_from(list(State)))
def test_any_json_is_taken_up_whole_or_refused(part: dict[str, Any], state: State) -> None:
    machine = BreakerMachine(ONE)
    try:
        machine.restore({**plain(state=state), **part}, 0.0)
    except ValueError:
        assert machine.state is State.CLOSED
        return
    json.dumps(machine.snapshot(0.0))
    assert machine.admit(1e6, 0.0)
    assert all(Kind(kind) for kind in machine.failures)


@pytest.mark.once
@settings(derandomize=True, deadline=None, max_examples=200)
@given(
    st.lists(st.tuples(st.sampled_from(["ok", "fail", "wait", *State]), st.floats(0, 30)), max_size=20),
    st.floats(-1e6, 1e6),
)
def test_what_is_restored_saves_the_same_again(history: list[tuple[str, float]], clock: float) -> None:
    play = Play(replace(TWO_IN_A_ROW, ramp_seconds=20.0))
    now = 0.0
    for what, seconds in history:
        now += seconds
        if what in ("ok", "fail"):
            play.happens(now, what, "")
        elif what != "wait":
            play.machine.force(State(what))
    saved = play.machine.snapshot(now)
    other = restored(saved, play.machine.rules, clock)
    again = other.machine.snapshot(clock)
    for duration in ("left", "open_for", "ramped"):
        assert again.pop(duration) == pytest.approx(saved.pop(duration), abs=1e-6)
    assert again == saved
