"""What opens a circuit breaker, and for how long; the tables are explained in ``play``."""

import math
from dataclasses import replace

import pytest

from resilient_ml.machines.breaker import BreakerMachine
from resilient_ml.machines.breaker_rules import Refusal, State

from .play import NO_RULES, ONE, TWO_IN_A_ROW, Play, calls, opened, refusal

# ---- what opens it


def test_failures_in_a_row_open_it() -> None:
    play = Play(TWO_IN_A_ROW)
    play((0, "fail", "closed"), (1, "fail", "open"), (2, "ok", "refused"))
    assert play.path == ["closed to open after 2 failures in a row"]


def test_a_success_between_two_failures_breaks_the_row() -> None:
    Play(TWO_IN_A_ROW)((0, "fail", "closed"), (1, "ok", "closed"), (2, "fail", "closed"), (3, "fail", "open"))


@pytest.mark.parametrize("window", [{}, {"window_calls": 5}])
def test_a_success_breaks_the_row_whenever_it_was_admitted(window: dict[str, int]) -> None:
    Play(replace(TWO_IN_A_ROW, **window))(
        (0, "admit a", "in"),
        (0, "fail", "closed"),
        (0, "ok a", "closed"),
        (0, "fail", "closed"),
        (0, "fail", "open"),
    )


def test_an_abandoned_call_does_not_break_the_row() -> None:
    Play(TWO_IN_A_ROW)((0, "fail", "closed"), (0, "abandon", "closed"), (0, "fail", "open"))


def test_looking_at_the_window_does_not_break_the_row() -> None:
    play = Play(TWO_IN_A_ROW)
    play((0, "fail", "closed"))
    for now in (0.0, 5.0, 500.0):
        play.machine.look(now)
    play((501, "fail", "open"))


def test_a_slow_answer_breaks_the_row() -> None:
    play = Play(replace(TWO_IN_A_ROW, slow_call_seconds=1.0, slow_call_rate=1.0, minimum_calls=9))
    play((0, "fail", "closed"), (0, "slow", "closed"), (0, "fail", "closed"), (0, "fail", "open"))


def test_a_row_counts_however_slow_the_traffic() -> None:
    Play(TWO_IN_A_ROW)((0, "fail", "closed"), (1e6, "fail", "open"))


def test_without_the_rule_no_row_opens_it() -> None:
    Play(NO_RULES)(*calls("fail", 100))


@pytest.mark.parametrize(
    ("failed", "of", "rate"),
    [
        (3, 30, 0.1),
        (7, 100, 0.07),
        (29, 100, 0.29),
        (1, 3, 1 / 3),
        (2, 3, 2 / 3),
        (57, 100, 0.57),
        (5, 5, 1.0),
    ],
)
@pytest.mark.parametrize("window", [{"window_calls": 100}, {"window_seconds": 10.0}])
def test_the_rate_opens_it_at_exactly_its_threshold(
    failed: int, of: int, rate: float, window: dict[str, float]
) -> None:
    rules = replace(NO_RULES, failure_rate=rate, minimum_calls=of, **window)  # type: ignore[arg-type]
    Play(rules)(*calls("ok", of - failed), *calls("fail", failed - 1), (0, "fail", "open"))
    Play(rules)(*calls("ok", of - failed + 1), *calls("fail", failed - 1))


def test_a_rate_means_nothing_below_the_minimum_of_calls() -> None:
    play = Play(replace(NO_RULES, failure_rate=0.5, minimum_calls=10))
    play(*calls("fail", 9), (0, "fail", "open"))
    assert play.path == ["closed to open after 10 failures of 10 calls in 10 s"]


def test_a_success_may_complete_the_minimum_but_only_a_bad_outcome_opens_it() -> None:
    play = Play(replace(NO_RULES, failure_rate=0.5, minimum_calls=4))
    play(*calls("fail", 3), (0, "ok", "closed"), (0, "fail", "open"))


def test_a_count_window_forgets_what_is_older_than_its_calls() -> None:
    play = Play(replace(NO_RULES, failure_rate=0.5, minimum_calls=4, window_calls=4))
    play(
        *calls("ok", 3),
        (0, "fail", "closed"),
        *calls("ok", 3),
        (0, "fail", "closed"),  # the first failure has just left
        (0, "fail", "open"),
    )
    assert play.path == ["closed to open after 2 failures of 4 calls in the last 4 calls"]


def test_a_time_window_forgets_at_its_edge() -> None:
    rules = replace(NO_RULES, failure_rate=0.6, minimum_calls=3, window_seconds=10.0)
    bad = [(0.0, "fail", "closed"), (0.0, "fail", "closed")]
    Play(rules)(*bad, (math.nextafter(10.0, 0.0), "fail", "open"))
    Play(rules)(*bad, (10.0, "fail", "closed"))


def test_a_success_at_an_edge_belongs_to_the_slice_that_begins_there() -> None:
    machine = Play(NO_RULES)((0, "ok", "closed"), (1, "ok", "closed"))
    assert machine.look(10.0)[1].calls == 1
    assert machine.look(11.0)[1].calls == 0


def test_slow_answers_open_it() -> None:
    play = Play(replace(NO_RULES, slow_call_seconds=1.0, slow_call_rate=0.5, minimum_calls=4))
    play(*calls("ok", 2), (0, "slow", "closed"), (0, "slow", "open"))
    assert play.path == ["closed to open after 2 slow calls of 4 in 10 s"]


def test_slow_answers_and_failures_are_two_rules_that_do_not_add_up() -> None:
    play = Play(
        replace(NO_RULES, failure_rate=0.5, slow_call_seconds=1.0, slow_call_rate=0.5, minimum_calls=5)
    )
    play(*calls("ok", 1), *calls("slow", 2), *calls("fail", 2))


@pytest.mark.parametrize(("seconds", "state"), [(0.999, "closed"), (1.0, "open"), (1.001, "open")])
def test_a_call_is_slow_from_exactly_its_seconds(seconds: float, state: str) -> None:
    machine = BreakerMachine(replace(NO_RULES, slow_call_seconds=1.0, slow_call_rate=1.0))
    assert machine.timed
    machine.current.succeed(0.0, seconds)
    assert machine.state == state


@pytest.mark.parametrize(("seconds", "state"), [(0.5, "closed"), (1.0, "open")])
def test_a_failure_may_be_slow_too(seconds: float, state: str) -> None:
    machine = BreakerMachine(replace(NO_RULES, slow_call_seconds=1.0, slow_call_rate=1.0))
    machine.current.fail(0.0, "server", seconds, 0.0, None)
    assert machine.state == state


def test_without_the_slow_rule_no_answer_is_slow() -> None:
    machine = BreakerMachine(replace(NO_RULES, slow_call_rate=0.01))
    assert not machine.timed
    assert machine.current.succeed(0.0, 1e9) is None
    assert machine.look(0.0)[1].slow == 0


# ---- how long it stays open


def test_open_ends_at_exactly_its_time() -> None:
    play = opened()
    assert refusal(play, 0.0) == Refusal(State.OPEN, 5.0, "after 1 failure in a row")
    play((math.nextafter(5.0, 0.0), "admit a", "refused"), (5.0, "admit a", "in"))
    assert play.path[-1] == "open to half_open 5 s open are over"


def test_open_time_doubles_with_each_trip_up_to_its_longest() -> None:
    play, now, waits = opened(), 0.0, []
    for _ in range(8):
        waits.append(refusal(play, now).retry_after)
        now += waits[-1] or 0.0
        play((now, "fail", "open"))
    assert waits == [5.0, 10.0, 20.0, 40.0, 60.0, 60.0, 60.0, 60.0]


def test_a_good_probe_brings_the_open_time_back_to_its_first() -> None:
    play = opened()
    play((5, "fail", "open"), (15, "ok", "closed"), (15, "fail", "open"))
    assert refusal(play, 15.0).retry_after == 5.0


def test_ten_thousand_trips_overflow_nothing() -> None:
    play, now = opened(open_seconds_max=1e300), 0.0
    for _ in range(10_000):
        left = play.machine.look(now)[2]
        assert left is not None and left < math.inf
        now = max(now + left, math.nextafter(now, math.inf))
        play((now, "fail", "open"))
    assert left == 5.0 * 2.0**100


@pytest.mark.parametrize(("draw", "left"), [(0.0, 5.0), (0.5, 5.25), (1.0, 5.5)])
def test_jitter_adds_a_share_of_the_open_time(draw: float, left: float) -> None:
    machine = BreakerMachine(replace(ONE, jitter=0.1))
    machine.current.fail(0.0, "server", 0.0, draw, None)
    assert machine.look(0.0)[2] == pytest.approx(left)


@pytest.mark.parametrize(
    ("retry_after", "left"),
    [(None, 5.0), (3.0, 5.0), (30.0, 30.0), (120.0, 120.0), (1e9, 120.0), (-1.0, 5.0)],
)
def test_a_servers_retry_after_extends_the_open_time_up_to_its_cap(
    retry_after: float | None, left: float
) -> None:
    machine = BreakerMachine(ONE)
    machine.current.fail(0.0, "rate_limited", 0.0, 0.0, retry_after)
    assert machine.look(0.0)[2] == left


def test_a_probe_obeys_a_retry_after_too() -> None:
    play = opened()
    play((5, "admit a", "in"))
    play.held["a"].fail(5.0, "rate_limited", 0.0, 0.0, 40.0)
    assert refusal(play, 5.0).retry_after == 40.0


def test_a_probe_draws_jitter_too() -> None:
    play = opened(jitter=0.1)
    play((5, "admit a", "in"))
    play.held["a"].fail(5.0, "server", 0.0, 1.0, None)
    assert refusal(play, 5.0).retry_after == 11.0
