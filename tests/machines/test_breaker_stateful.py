"""The circuit breaker against a model that keeps every outcome in a list and counts anew each time."""

import math
from collections import Counter
from dataclasses import dataclass, field

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    Bundle,
    MultipleResults,
    RuleBasedStateMachine,
    consumes,
    initialize,
    invariant,
    multiple,
    precondition,
    rule,
)

from resilient_ml.machines.breaker import BreakerMachine
from resilient_ml.machines.breaker_permits import Permit
from resilient_ml.machines.breaker_rules import Refusal, Rules, State

pytestmark = pytest.mark.once

KINDS = ["server", "timeout", "connection"]
SLICES = 10


@dataclass(eq=False)
class Pass:
    """The model's permit: what it was admitted to."""

    generation: int
    probe: bool = False
    watched: bool = True


Admitted = tuple[Permit, Pass]
Hint = float | None


@dataclass
class Model:
    """What the documentation says, in the plainest words. Instants are multiples of 1/8 s: sums are exact."""

    rules: Rules
    state: State = State.CLOSED
    generation: int = 0
    outcomes: list[tuple[int, bool, bool]] = field(default_factory=list)  # (slice, failed, slow)
    row: list[bool] = field(default_factory=list)
    at: int | None = None  # the slice at hand
    probes: dict[Pass, float] = field(default_factory=dict)
    overdue: list[Pass] = field(default_factory=list)
    good: int = 0
    trips: int = 0
    open_for: float = 0.0
    until: float = 0.0
    ramp_from: float = 0.0
    failures: Counter[str] = field(default_factory=Counter)

    def enter(self, state: State, *, keep: bool = False) -> None:
        self.state = state
        self.probes, self.overdue, self.good = {}, [], 0
        if not keep:
            self.generation += 1
            self.outcomes, self.row, self.at = [], [], None

    # -- admission

    def left(self, now: float) -> float:
        self.until = min(self.until, now + self.open_for)
        return self.until - now

    def ramped(self, now: float) -> float:
        self.ramp_from = min(self.ramp_from, now)
        return now - self.ramp_from

    def admit(self, now: float, draw: float) -> Pass | tuple[State, float | None]:
        rules = self.rules
        if self.state is State.OPEN and self.left(now) <= 0:
            self.enter(State.HALF_OPEN)
        if self.state is State.RAMPING and self.ramped(now) >= rules.ramp_seconds:
            self.enter(State.CLOSED, keep=True)
        if self.state is State.FORCED_OPEN:
            return self.state, None
        if self.state is State.OPEN:
            return self.state, self.left(now)
        if self.state is State.DISABLED:
            return Pass(self.generation, watched=False)
        if self.state is State.RAMPING:
            done = self.ramped(now) / rules.ramp_seconds
            return (
                Pass(self.generation)
                if draw < 0.1 + 0.9 * done
                else (self.state, rules.ramp_seconds * (1 - done))
            )
        if self.state is State.HALF_OPEN:
            return self.admit_probe(now)
        return Pass(self.generation)

    def admit_probe(self, now: float) -> Pass | tuple[State, float | None]:
        lease = self.rules.probe_lease_seconds
        leases = {probe: min(end, now + lease) for probe, end in self.probes.items()}
        self.probes = {probe: end for probe, end in leases.items() if now < end}
        self.overdue += [probe for probe in leases if probe not in self.probes]
        if len(self.probes) + self.good >= self.rules.half_open_permits:
            return self.state, min(self.probes.values()) - now
        probe = Pass(self.generation, probe=True)
        self.probes[probe] = now + lease
        return probe

    # -- outcomes

    def end(self, ended: Pass, now: float, kind: str | None, *, slow: bool, draw: float, hint: Hint) -> None:
        """*kind* is None for an answer."""
        if not ended.watched or ended.generation != self.generation:
            return
        if ended.probe:
            if ended in self.probes or ended in self.overdue:
                self.end_probe(ended, now, kind, slow, draw, hint)
            return
        bad = kind is not None or slow
        self.look(now, only_ahead=not bad)
        assert self.at is not None
        self.outcomes.append((self.at, kind is not None, slow))
        self.row.append(kind is not None)
        if kind is not None:
            self.failures[kind] += 1
        if bad and self.state is not State.FORCED_CLOSED and self.tripped():
            self.open(now, draw, hint)

    def end_probe(
        self, ended: Pass, now: float, kind: str | None, slow: bool, draw: float, hint: Hint
    ) -> None:
        if ended in self.overdue and len(self.probes) + self.good == self.rules.half_open_permits:
            self.overdue.append(self.probes.popitem()[0])
        self.abandon(ended)
        if kind is not None:
            self.failures[kind] += 1
        if kind is not None or slow:
            self.open(now, draw, hint)
            return
        self.good += 1
        if self.good == self.rules.half_open_permits:
            self.trips = 0
            self.ramp_from = now
            self.enter(State.RAMPING if self.rules.ramp_seconds else State.CLOSED)

    def abandon(self, ended: Pass) -> None:
        self.probes.pop(ended, None)
        self.overdue = [probe for probe in self.overdue if probe is not ended]

    def open(self, now: float, draw: float, hint: Hint) -> None:
        rules = self.rules
        own = min(rules.open_seconds_max, rules.open_seconds * 2**self.trips) * (1 + rules.jitter * draw)
        self.open_for = own if hint is None else max(own, min(hint, 120.0))
        self.until = now + self.open_for
        self.trips += 1
        self.enter(State.OPEN)

    # -- the window

    def look(self, now: float, *, only_ahead: bool = False) -> None:
        """Which slice is at hand at *now*; a step back by more than the window forgets it all."""
        width = self.rules.window_seconds / SLICES
        here = math.floor(now / width)
        if self.at is None or here > self.at:
            self.at = here
        elif self.rules.window_calls is None and not only_ahead and now < self.at * width - width * SLICES:
            self.outcomes, self.at = [], here

    def window(self) -> list[tuple[int, bool, bool]]:
        if self.rules.window_calls is not None:
            return self.outcomes[-self.rules.window_calls :]
        return [one for one in self.outcomes if self.at is not None and one[0] > self.at - SLICES]

    def tripped(self) -> bool:
        rules, window = self.rules, self.window()
        failed = sum(failed for _, failed, _ in window)
        slow = sum(slow for _, _, slow in window)
        row = 0
        while row < len(self.row) and self.row[-1 - row]:
            row += 1
        if rules.consecutive_failures is not None and row >= rules.consecutive_failures:
            return True
        if len(window) < rules.minimum_calls:
            return False
        return (rules.failure_rate is not None and failed / len(window) >= rules.failure_rate) or (
            rules.slow_call_seconds is not None and slow / len(window) >= rules.slow_call_rate
        )


RULES = st.builds(
    Rules,
    failure_rate=st.sampled_from([None, 0.1, 0.5, 1.0]),
    minimum_calls=st.integers(1, 6),
    window_seconds=st.sampled_from([2.5, 10.0]),
    window_calls=st.sampled_from([None, None, 6, 9]),
    consecutive_failures=st.sampled_from([None, 1, 2, 4]),
    slow_call_seconds=st.sampled_from([None, 1.0]),
    slow_call_rate=st.sampled_from([0.2, 0.5, 1.0]),
    open_seconds=st.sampled_from([0.5, 4.0]),
    open_seconds_max=st.sampled_from([4.0, 16.0]),
    jitter=st.sampled_from([0.0, 0.5]),
    half_open_permits=st.integers(1, 3),
    probe_lease_seconds=st.sampled_from([1.0, 8.0]),
    ramp_seconds=st.sampled_from([0.0, 4.0]),
)
STEPS = [0.0, 0.125, 0.25, 0.5, 1.0, 2.5, 4.0, 10.0, 60.0, 1000.0, -0.125, -1.0, -5.0, -30.0]
WORDS = st.sampled_from([State.FORCED_OPEN, State.FORCED_CLOSED, State.DISABLED, *[State.CLOSED] * 3])
DRAWS = st.sampled_from([0.0, 0.25, 0.5, 0.875])
ENDS = st.sampled_from(["ok", "ok", "slow", "fail", "fail", "slow fail", "abandon"])
HINTS = st.sampled_from([None, None, None, 2.0, 90.0, 500.0])


class BreakerAgainstModel(RuleBasedStateMachine):
    """Calls overlap as they like; the clock stands, steps back and jumps."""

    inside = Bundle[Admitted]("inside")

    @initialize(rules=RULES)
    def begin(self, rules: Rules) -> None:
        self.now = 0.0
        self.machine = BreakerMachine(rules)
        self.model = Model(rules)
        self.generations = {id(self.machine.current): self.machine.current}

    @rule(step=st.sampled_from(STEPS))
    def time_goes_by(self, step: float) -> None:
        self.now += step

    @precondition(lambda self: self.model.state is State.OPEN)
    @rule()
    def the_open_time_passes(self) -> None:
        _, _, left = self.machine.look(self.now)
        self.model.look(self.now)
        assert left == max(0.0, self.model.left(self.now))
        self.now += left

    def admit(self, draw: float) -> Admitted | None:
        """As a policy does it; the model must agree."""
        read = self.machine.left_open(self.now)
        expected = self.model.admit(self.now, draw)
        assert read is None or expected == (State.OPEN, read)
        permit: Permit | Refusal | None = self.machine.closed
        if permit is None:
            permit, _ = self.machine.admit(self.now, draw)
        if isinstance(expected, tuple):
            assert isinstance(permit, Refusal)
            assert permit.state is expected[0]
            if expected[1] is None:
                assert permit.retry_after is None
            else:
                assert permit.retry_after is not None
                assert math.isclose(permit.retry_after, expected[1], abs_tol=1e-9)
            return None
        assert not isinstance(permit, Refusal)
        return permit, expected

    @rule(target=inside, draw=DRAWS)
    def a_call_comes(self, draw: float) -> MultipleResults[Admitted] | Admitted:
        admitted = self.admit(draw)
        return multiple() if admitted is None else admitted

    @rule(ended=consumes(inside), how=ENDS, kind=st.sampled_from(KINDS), draw=DRAWS, hint=HINTS)
    def a_call_ends(self, ended: Admitted, how: str, kind: str, draw: float, hint: Hint) -> None:
        self.end(ended, how, kind, draw, hint)

    @rule(how=ENDS, times=st.integers(1, 5), kind=st.sampled_from(KINDS), draw=DRAWS, hint=HINTS)
    def calls_come_and_end(self, how: str, times: int, kind: str, draw: float, hint: Hint) -> None:
        for _ in range(times):
            admitted = self.admit(draw)
            if admitted is not None:
                self.end(admitted, how, kind, draw, hint)

    def end(self, ended: Admitted, how: str, kind: str, draw: float, hint: Hint) -> None:
        permit, expected = ended
        before = self.machine.state
        if how == "abandon":
            permit.abandon()
            self.model.abandon(expected)
            return
        slow = "slow" in how and self.machine.timed
        seconds = 2.0 if "slow" in how else 0.0
        if "fail" in how:
            change = permit.fail(self.now, kind, seconds, draw, hint)
            self.model.end(expected, self.now, kind, slow=slow, draw=draw, hint=hint)
        else:
            change = permit.succeed(self.now, seconds)
            # An answer, even a slow one, carries neither a draw nor a hint.
            self.model.end(expected, self.now, None, slow=slow, draw=0.0, hint=None)
        assert (change is None) == (self.model.state is before)
        assert change is None or (change.before, change.after) == (before, self.model.state)

    @rule(state=WORDS)
    def an_operator_speaks(self, state: State) -> None:
        change = self.machine.force(state)
        assert (change is None) == (self.model.state is state)
        if change is not None or state is State.CLOSED:
            self.model.trips = 0
            self.model.enter(state)

    @rule()
    def it_is_saved_and_restored(self) -> None:
        saved = self.machine.snapshot(self.now)
        self.machine.restore(saved, self.now)
        if self.model.state is State.OPEN:
            self.model.left(self.now)
        self.model.ramp_from = min(self.model.ramp_from, self.now)
        self.model.enter(self.model.state)

    @rule()
    def somebody_looks(self) -> None:
        state, tally, left = self.machine.look(self.now)
        self.model.look(self.now)
        window = self.model.window()
        assert state is self.model.state
        assert tally.calls == len(window)
        assert tally.failures == sum(failed for _, failed, _ in window)
        assert tally.slow == sum(slow for _, _, slow in window)
        assert (left is None) == (state is not State.OPEN)
        assert left is None or math.isclose(left, max(0.0, self.model.left(self.now)), abs_tol=1e-9)

    @invariant()
    def the_machine_agrees_with_the_model(self) -> None:
        if not hasattr(self, "machine"):
            return
        machine, model = self.machine, self.model
        assert machine.state is model.state
        assert machine.failures == model.failures
        assert len(machine._probes) + machine._successes <= machine.rules.half_open_permits
        shared = model.state in (State.CLOSED, State.FORCED_CLOSED)
        assert machine.closed is (
            machine.current if shared else machine.bystander if model.state is State.DISABLED else None
        )


TestBreakerAgainstModel = BreakerAgainstModel.TestCase
TestBreakerAgainstModel.settings = settings(
    derandomize=True, deadline=None, max_examples=300, stateful_step_count=50, database=None
)
