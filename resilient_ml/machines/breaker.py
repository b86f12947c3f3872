"""The circuit breaker's decisions.

::

              rate, slow rate or streak reached
    closed ───────────────────────────────────────▶ open
      ▲  ▲                                          │  ▲
      │  │ ramp_seconds over                        │  │ a probe fails, or the
      │  └──────── ramping                          │  │ window trips while ramping
      │              ▲                     time over│  │
      │ all probes   │ all probes succeed,          ▼  │
      └──────────────┴ with a ramp ──────────── half_open

    forced_open, forced_closed and disabled are entered and left by an operator alone.

Three things make it right under concurrency:

* **Permits carry their generation.** Each entry into a state makes a new one. An outcome that comes back in
  another generation than it was admitted in changes nothing: a late success never closes a breaker, a late
  failure never re-opens one.
* **Half-open permits are leases.** Exactly ``half_open_permits`` calls are let through. One that hangs loses
  its permit after ``probe_lease_seconds``, so that a hung probe cannot hold the breaker half-open for ever.
  If it ends after all, in the same generation, its outcome counts: it was only slow.
* **While closed, nothing is locked.** All calls share one permit object; admitting reads one attribute and a
  success ticks one counter (see ``stats/windows.py``). Bad outcomes and changes of state take the lock.
"""

from __future__ import annotations

import math
import threading
from collections import Counter
from typing import Any

from .._forks import survive_forks
from ..stats.windows import CountWindow, Tally, TimeWindow, Window
from .breaker_permits import Bystander, Permit, Probe
from .breaker_rules import RAMP_FLOOR, RETRY_AFTER_CAP, Change, Refusal, Rules, State
from .breaker_snapshot import Snapshot, parse

_OPEN = State.OPEN


class BreakerMachine:
    """States, generations and permits. The instants and draws are arguments; nothing here waits.

    Attributes:
        closed: The permit that everyone shares, or None while admission has to be decided; reading it
            is all that admission costs while the breaker is closed.
        slow_seconds: From when a call is slow; ``inf`` without that rule.
        failures: Failures counted so far, by kind.
    """

    __slots__ = (
        "__weakref__",
        "_last_failure",
        "_lock",
        "_open_for",
        "_overdue",
        "_probes",
        "_ramp_from",
        "_streak",
        "_successes",
        "_trips",
        "_until",
        "bystander",
        "closed",
        "current",
        "failures",
        "reason",
        "rules",
        "slow_seconds",
        "state",
        "timed",
    )

    def __init__(self, rules: Rules) -> None:
        self.rules: Rules = rules
        self.slow_seconds: float = math.inf if rules.slow_call_seconds is None else rules.slow_call_seconds
        self.timed: bool = rules.slow_call_seconds is not None
        self.failures: Counter[str] = Counter()
        self.bystander: Bystander = Bystander(self, CountWindow(1))
        self._lock = threading.RLock()
        self._trips = self._streak = self._last_failure = self._successes = 0
        self._open_for = self._until = self._ramp_from = 0.0
        self._probes: dict[Probe, float] = {}
        self._overdue: set[Probe] = set()
        self.state: State = State.CLOSED
        self.reason: str = ""
        self._enter(State.CLOSED)
        survive_forks(self)

    # -- admission -----------------------------------------------------------------------------------------

    def left_open(self, now: float) -> float | None:
        """Seconds that it stays open from *now*, without the lock; None where admission is to be decided.

        Refusing is what a breaker does under the heaviest load, so this is all that it costs.
        """
        # Beyond the open time the clock has stepped back, and admission takes the step out.
        left = self._until - now
        return left if self.state is _OPEN and 0 < left <= self._open_for else None

    def admit(self, now: float, draw: float) -> tuple[Permit | Refusal, Change | None]:
        """A permit, or why there is none, and the change of state that admission brought about.

        Args:
            now: The instant.
            draw: Uniform in [0, 1): which share of the traffic this call belongs to during a ramp.
        """
        with self._lock:
            change = self._mature(now)
            match self.state:
                case State.CLOSED | State.FORCED_CLOSED:
                    return self.current, change
                case State.DISABLED:
                    return self.bystander, change
                case State.RAMPING:
                    return self._admit_to_ramp(now, draw), change
                case State.HALF_OPEN:
                    return self._admit_probe(now), change
                case _:
                    left = self._left(now) if self.state is State.OPEN else None
                    return Refusal(self.state, left, self.reason), change

    def _mature(self, now: float) -> Change | None:
        """The changes that time alone brings: open to half-open, ramping to closed."""
        if self.state is State.OPEN and self._left(now) <= 0:
            return self._enter(State.HALF_OPEN, f"{self._open_for:.3g} s open are over")
        if self.state is State.RAMPING and self._ramped(now) >= 1:
            return self._enter(State.CLOSED, f"the ramp of {self.rules.ramp_seconds:g} s is over", keep=True)
        return None

    def _left(self, now: float) -> float:
        # A clock that stepped back would keep the breaker open for the length of the step.
        self._until = min(self._until, now + self._open_for)
        return self._until - now

    def _ramped(self, now: float) -> float:
        """How much of the ramp is behind, 1 for all of it."""
        if not self.rules.ramp_seconds:
            return 1.0  # restored from a breaker that had a ramp
        self._ramp_from = min(self._ramp_from, now)
        return (now - self._ramp_from) / self.rules.ramp_seconds

    def _admit_to_ramp(self, now: float, draw: float) -> Permit | Refusal:
        share = RAMP_FLOOR + (1 - RAMP_FLOOR) * self._ramped(now)
        if draw < share:
            return self.current
        left = self.rules.ramp_seconds - (now - self._ramp_from)
        return Refusal(self.state, left, f"while {share:.0%} of the traffic is let back")

    def _admit_probe(self, now: float) -> Permit | Refusal:
        lease = self.rules.probe_lease_seconds
        # As for the open time: a clock that stepped back must not stretch a lease.
        # Of a copy: a finalizer may end a probe on this thread meanwhile.
        leases = {probe: min(until, now + lease) for probe, until in self._probes.copy().items()}
        self._probes = {probe: until for probe, until in leases.items() if until > now}
        # The permit goes to another, but the outcome still tells of the model: one that takes longer than a
        # lease to answer would otherwise never be found well.
        self._overdue.update(leases.keys() - self._probes.keys())
        if len(self._probes) + self._successes < self.rules.half_open_permits:
            probe = Probe(self, self.current.window)
            self._probes[probe] = now + lease
            return probe
        # None are out when a signal handler asks while the last one's success is being counted on its thread.
        left = min(self._probes.values(), default=now) - now
        return Refusal(self.state, left, "while it is being probed")

    # -- outcomes ------------------------------------------------------------------------------------------

    def advance(self, permit: Permit, now: float) -> None:
        """Begin a new slice of the window that *permit* belongs to."""
        with self._lock:
            permit.window.advance(now)

    def record(
        self,
        permit: Permit,
        now: float,
        *,
        kind: str | None,
        slow: bool,
        draw: float = 0.0,
        retry_after: float | None = None,
    ) -> Change | None:
        """Record a bad outcome: a failure of *kind*, a slow answer (kind None), or a slow failure."""
        with self._lock:
            if permit is not self.current:
                return None  # admitted in another generation: it changes nothing
            if kind is not None:
                self.failures[kind] += 1
            number = permit.window.record(now, failed=kind is not None, slow=slow)
            self._count_streak(number, failed=kind is not None)
            if self.state is State.FORCED_CLOSED:
                return None
            reason = self._why_trip(permit.window.tally(now))
            return None if reason is None else self._trip(now, reason, draw, retry_after)

    def _count_streak(self, number: int, *, failed: bool) -> None:
        """Failures in a row, told by their numbers: a success between two leaves a gap."""
        follows = number == self._last_failure + 1
        self._streak = (self._streak + 1 if follows else 1) if failed else 0
        self._last_failure = number

    def _why_trip(self, tally: Tally) -> str | None:
        rules = self.rules
        if rules.consecutive_failures is not None and self._streak >= rules.consecutive_failures:
            return f"after {self._streak} failure{'s' * (self._streak > 1)} in a row"
        if tally.calls < rules.minimum_calls:
            return None
        span = (
            f"the last {tally.calls} calls"
            if rules.window_calls is not None
            else f"{rules.window_seconds:g} s"
        )
        if rules.failure_rate is not None and tally.failures / tally.calls >= rules.failure_rate:
            return f"after {tally.failures} failures of {tally.calls} calls in {span}"
        if self.timed and tally.slow / tally.calls >= rules.slow_call_rate:
            return f"after {tally.slow} slow calls of {tally.calls} in {span}"
        return None

    def probed(
        self,
        probe: Probe,
        now: float,
        kind: str | None,
        *,
        slow: bool = False,
        draw: float = 0.0,
        retry_after: float | None = None,
    ) -> Change | None:
        """A probe ended: well (kind None and not slow), or not."""
        with self._lock:
            full = len(self._probes) + self._successes >= self.rules.half_open_permits
            if full and probe in self._overdue:
                # It takes a permit back from the youngest, which then counts in the same way as this one.
                self._overdue.add(self._probes.popitem()[0])
            if not self._take_out(probe):
                return None  # it has ended already, or its generation has
            if kind is not None or slow:
                if kind is not None:
                    self.failures[kind] += 1
                return self._trip(
                    now, f"after a probe that {'was slow' if slow else 'failed'}", draw, retry_after
                )
            self._successes += 1
            if self._successes < self.rules.half_open_permits:
                return None
            self._trips = 0
            reason = f"after {self._successes} good probe{'s' * (self._successes > 1)}"
            if self.rules.ramp_seconds:
                self._ramp_from = now
                return self._enter(State.RAMPING, reason)
            return self._enter(State.CLOSED, reason)

    def give_back(self, probe: Probe) -> None:
        """The probe taught nothing: another may take its permit."""
        with self._lock:
            self._take_out(probe)

    def _take_out(self, probe: Probe) -> bool:
        """End *probe*; False if it has ended before, or belongs to another generation."""
        known = probe in self._probes or probe in self._overdue
        self._probes.pop(probe, None)
        self._overdue.discard(probe)
        return known

    # -- changes of state ----------------------------------------------------------------------------------

    def _trip(self, now: float, reason: str, draw: float, retry_after: float | None) -> Change:
        rules = self.rules
        # 2.0 ** 1024 overflows; open_seconds_max is reached long before.
        grown = rules.open_seconds * 2.0 ** min(self._trips, 100)
        self._open_for = min(rules.open_seconds_max, grown) * (1 + rules.jitter * draw)
        if retry_after is not None:
            self._open_for = max(self._open_for, min(retry_after, RETRY_AFTER_CAP))
        self._trips += 1
        self._until = now + self._open_for
        return self._enter(State.OPEN, reason)

    def _enter(self, state: State, reason: str = "", *, keep: bool = False) -> Change:
        """Begin a generation; *keep* carries the window on into it."""
        before = self.state
        if not keep:
            self.current: Permit = Permit(self, self._window())
            self._streak = 0
            self._last_failure = 0
        self.reason = reason  # first: whoever reads without the lock finds the reason of an open state
        self.state = state
        self._probes = {}
        self._overdue = set()
        self._successes = 0
        if state is State.DISABLED:
            self.closed: Permit | None = self.bystander
        else:
            self.closed = self.current if state in (State.CLOSED, State.FORCED_CLOSED) else None
        return Change(before, state, reason)

    def _window(self) -> Window:
        if self.rules.window_calls is not None:
            return CountWindow(self.rules.window_calls)
        return TimeWindow(self.rules.window_seconds)

    def force(self, state: State) -> Change | None:
        """Go to *state* by an operator's word; None if it is there already.

        Closing what is closed empties its window.
        """
        with self._lock:
            if self.state is state and state is not State.CLOSED:
                return None
            self._trips = 0
            change = self._enter(state, "by an operator")
            return None if change.before is state else change

    def look(self, now: float) -> tuple[State, Tally, float | None]:
        """The state, what the window holds, and the seconds left open, at *now*."""
        with self._lock:
            left = max(0.0, self._left(now)) if self.state is State.OPEN else None
            return self.state, self.current.window.tally(now), left

    # -- persistence ---------------------------------------------------------------------------------------

    def snapshot(self, now: float) -> dict[str, Any]:
        """The state as plain data. Times are durations, so that it can be restored on another clock."""
        with self._lock:
            opened = self.state is State.OPEN
            return Snapshot(
                state=self.state,
                reason=self.reason,
                trips=self._trips,
                left=max(0.0, self._left(now)) if opened else 0.0,
                open_for=self._open_for if opened else 0.0,
                ramped=max(0.0, now - self._ramp_from) if self.state is State.RAMPING else 0.0,
                failures=self.failures,
            ).plain()

    def restore(self, saved: dict[str, Any], now: float) -> Change:
        """Take up a snapshot at *now*; the window starts empty.

        Raises:
            ValueError: *saved* is not a snapshot of this version; nothing has changed then.
        """
        taken = parse(saved)
        rules = self.rules
        longest = max(RETRY_AFTER_CAP, rules.open_seconds_max * (1 + rules.jitter))
        with self._lock:
            self._trips = taken.trips
            self._open_for = min(taken.open_for, longest)
            self._until = now + taken.left  # held to the open time when it is looked at
            self._ramp_from = now - taken.ramped
            self.failures = Counter(taken.failures)
            return self._enter(taken.state, taken.reason)

    def after_fork(self) -> None:
        """In the child, begin a new generation of the same state.

        The lock may have been held by a thread that is gone, and so may the probes; and a window that was
        being written to may be in pieces.
        """
        self._lock = threading.RLock()
        self._enter(self.state, self.reason)
