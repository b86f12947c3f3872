"""The circuit breaker's machine under real threads: nothing is lost, and nobody slips in."""

import random
import threading
from collections import Counter
from dataclasses import replace

import pytest

from resilient_ml.machines.breaker import BreakerMachine
from resilient_ml.machines.breaker_permits import Permit, Probe
from resilient_ml.machines.breaker_rules import Change, Refusal, State

from .crowd import crowd
from .play import NO_RULES, ONE, Play


@pytest.mark.parametrize("permits", [1, 3, 49])
@pytest.mark.parametrize("round_", range(10))
def test_fifty_threads_at_once_get_exactly_the_half_open_permits(permits: int, round_: int) -> None:
    play = Play(replace(ONE, half_open_permits=permits))
    play((0, "fail", "open"))
    answers: list[tuple[Permit | Refusal, Change | None]] = []
    crowd(50, lambda _: answers.append(play.machine.admit(5.0, 0.0)))
    probes = [answer for answer, _ in answers if isinstance(answer, Probe)]
    assert len(probes) == len(set(probes)) == permits
    assert len(answers) == 50
    assert [change.after for _, change in answers if change] == [State.HALF_OPEN]


def test_many_failures_at_once_open_it_once_and_none_is_lost() -> None:
    machine = BreakerMachine(replace(NO_RULES, failure_rate=1.0, minimum_calls=800))
    permit = machine.current
    opened: list[Change] = []

    def fail(number: int) -> None:
        for _ in range(200):
            change = permit.fail(0.0, ("server", "timeout")[number % 2], 0.0, 0.0, None)
            if change is not None:
                opened.append(change)

    crowd(8, fail)
    assert [change.after for change in opened] == [State.OPEN]
    assert machine.failures.total() == 800  # those after the trip belong to an earlier generation


@pytest.mark.parametrize("window", [{"window_calls": 100_000}, {"window_seconds": 1e6}])
def test_successes_take_no_lock_and_none_is_lost(window: dict[str, int]) -> None:
    machine = BreakerMachine(replace(NO_RULES, failure_rate=1.0, minimum_calls=10**9, **window))
    permit = machine.current

    def answer(number: int) -> None:
        for turn in range(1000):
            if turn % 10 == number % 10:
                permit.fail(float(turn), "server", 0.0, 0.0, None)
            else:
                permit.succeed(float(turn), 0.0)

    crowd(8, answer)
    tally = machine.look(1000.0)[1]
    assert (tally.calls, tally.failures, machine.failures.total()) == (8000, 800, 800)


def test_a_success_never_waits_for_a_lock() -> None:
    machine = BreakerMachine(NO_RULES)
    machine.current.succeed(0.0, 0.0)  # begins the slice
    held, done = threading.Event(), threading.Event()

    def hold(number: int) -> None:
        if number:
            with machine._lock:
                held.set()
                assert done.wait(30)
        else:
            assert held.wait(30)
            assert machine.closed is not None
            machine.closed.succeed(0.5, 0.0)
            done.set()

    crowd(2, hold)
    assert machine.look(0.5)[1].calls == 2


def test_every_transition_is_one_of_the_diagrams_whatever_the_threads_do() -> None:
    rules = replace(
        NO_RULES,
        failure_rate=0.5,
        minimum_calls=3,
        consecutive_failures=3,
        slow_call_seconds=1.0,
        open_seconds=0.5,
        open_seconds_max=1.0,
        half_open_permits=2,
        probe_lease_seconds=3.0,
        ramp_seconds=0.5,
    )
    machine = BreakerMachine(rules)
    paths: list[Change] = []
    most: list[int] = []

    def work(number: int) -> None:
        rng = random.Random(number)
        now = 0.0
        for _ in range(800):
            now += rng.choice([0.0, 0.1, 0.6, -0.2])
            permit = machine.closed
            if permit is None:
                answer, change = machine.admit(now, rng.random())
                if change:
                    paths.append(change)
                if isinstance(answer, Refusal):
                    assert answer.retry_after is not None
                    continue
                permit = answer
            most.append(len(machine._probes))
            outcome = rng.random()
            if outcome < 0.2:
                permit.abandon()
                change = None
            elif outcome < 0.6:
                change = permit.succeed(now, rng.choice([0.0, 0.0, 2.0]))
            else:
                change = permit.fail(now, "server", 0.0, rng.random(), rng.choice([None, 1.0]))
            if change:
                paths.append(change)

    crowd(8, work)
    steps = Counter((change.before, change.after) for change in paths)
    assert set(steps) <= {
        (State.CLOSED, State.OPEN),
        (State.OPEN, State.HALF_OPEN),
        (State.HALF_OPEN, State.OPEN),
        (State.HALF_OPEN, State.RAMPING),
        (State.RAMPING, State.CLOSED),
        (State.RAMPING, State.OPEN),
    }
    assert max(most) <= 2
    # Each state is entered as often as it is left, the first and the last apart.
    for state in (State.CLOSED, State.OPEN, State.HALF_OPEN, State.RAMPING):
        entered = sum(count for (_, after), count in steps.items() if after is state) + (
            state is State.CLOSED
        )
        left = sum(count for (before, _), count in steps.items() if before is state)
        assert entered - left == (machine.state is state)
    # Whatever has happened, it comes back.
    machine.admit(1e6, 0.0)
    machine.force(State.CLOSED)
    assert machine.closed is machine.current
