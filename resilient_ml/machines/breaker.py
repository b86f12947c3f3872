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
from .breaker_rules import RAMP_FLOOR, RETRY_AFTER_CAP, Change, Refusal, Rules, State


class Permit:
    """Leave to call the model, to be ended once by ``succeed``, ``fail`` or ``abandon``.

    Shared by all calls of a generation while the breaker lets everything through; one for each probe.
    """

    __slots__ = ("machine", "window")

    def __init__(self, machine: BreakerMachine, window: Window) -> None:
        self.machine = machine
        self.window = window

    def succeed(self, now: float, seconds: float) -> Change | None:
        """The model answered after *seconds*."""
        if seconds >= self.machine.slow_seconds:
            return self.machine.record(self, now, kind=None, slow=True)
        window = self.window
        if now >= window.edge:
            self.machine.advance(self, now)
        window.tick()
        return None

    def fail(
        self, now: float, kind: str, seconds: float, draw: float, retry_after: float | None
    ) -> Change | None:
        """The model failed with *kind* after *seconds*; *draw* is uniform in [0, 1), for the jitter."""
        slow = seconds >= self.machine.slow_seconds
        return self.machine.record(self, now, kind=kind, slow=slow, draw=draw, retry_after=retry_after)

    def abandon(self) -> None:
        """The call was cancelled, interrupted or never reached the model: it teaches nothing."""


class Probe(Permit):
    """One of the half-open permits."""

    __slots__ = ()

    def succeed(self, now: float, seconds: float) -> Change | None:
        """A probe that is slow has not shown that the model is well again."""
        return self.machine.probed(self, now, None, slow=seconds >= self.machine.slow_seconds)

    def fail(
        self, now: float, kind: str, seconds: float, draw: float, retry_after: float | None
    ) -> Change | None:
        """The model is still sick: open again, for longer."""
        return self.machine.probed(self, now, kind, draw=draw, retry_after=retry_after)

    def abandon(self) -> None:
        """Give the permit to the next caller."""
        self.machine.give_back(self)


class Bystander(Permit):
    """Leave to pass a breaker that watches nothing (disabled), or that only reports (shadow)."""

    __slots__ = ()

    def succeed(self, now: float, seconds: float) -> Change | None:
        """Nothing is learned."""
        return None

    def fail(
        self, now: float, kind: str, seconds: float, draw: float, retry_after: float | None
    ) -> Change | None:
        """Nothing is learned."""
        return None


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
        "_probes",
        "_ramp_from",
        "_reason",
        "_streak",
        "_successes",
        "_trips",
        "_until",
        "bystander",
        "closed",
        "current",
        "failures",
        "rules",
        "slow_seconds",
        "state",
        "timed",
    )

    def __init__(self, rules: Rules) -> None:
        self.rules = rules
        self.slow_seconds = math.inf if rules.slow_call_seconds is None else rules.slow_call_seconds
        self.timed = rules.slow_call_seconds is not None
        self.failures: Counter[str] = Counter()
        self.bystander = Bystander(self, CountWindow(1))
        self._lock = threading.RLock()
        self._trips = 0
        self._open_for = self._until = self._ramp_from = 0.0
        self.state = State.CLOSED
        self._enter(State.CLOSED)
        survive_forks(self)

    # -- admission -----------------------------------------------------------------------------------------

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
                case State.OPEN:
                    return Refusal(self.state, self._left(now), self._reason), change
                case State.FORCED_OPEN:
                    return Refusal(self.state, None, self._reason), change

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
        self._ramp_from = min(self._ramp_from, now)
        return (now - self._ramp_from) / self.rules.ramp_seconds

    def _admit_to_ramp(self, now: float, draw: float) -> Permit | Refusal:
        share = RAMP_FLOOR + (1 - RAMP_FLOOR) * self._ramped(now)
        if draw < share:
            return self.current
        left = self.rules.ramp_seconds - (now - self._ramp_from)
        return Refusal(self.state, left, f"while {share:.0%} of the traffic is let back")

    def _admit_probe(self, now: float) -> Permit | Refusal:
        hung = [probe for probe, until in self._probes.items() if until <= now]
        for probe in hung:
            del self._probes[probe]
        if len(self._probes) + self._successes < self.rules.half_open_permits:
            probe = Probe(self, self.current.window)
            self._probes[probe] = now + self.rules.probe_lease_seconds
            return probe
        first = min(self._probes.values(), default=now)
        return Refusal(self.state, max(0.0, first - now), "while it is being probed")

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
            return f"after {self._streak} failures in a row"
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
            if self._probes.pop(probe, None) is None:
                return None  # its lease is over, or its generation is
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
            self._probes.pop(probe, None)

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
            self.current = Permit(self, self._window())
            self._streak = 0
            self._last_failure = 0
        self.state = state
        self._reason = reason
        self._probes: dict[Probe, float] = {}
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
        """Go to *state* by an operator's word; None if it is there already."""
        with self._lock:
            if self.state is state:
                return None
            self._trips = 0
            return self._enter(state, "by an operator")

    def look(self, now: float) -> tuple[State, Tally, float | None]:
        """The state, what the window holds, and the seconds left open, at *now*."""
        with self._lock:
            left = max(0.0, self._left(now)) if self.state is State.OPEN else None
            return self.state, self.current.window.tally(now), left

    # -- persistence ---------------------------------------------------------------------------------------

    def snapshot(self, now: float) -> dict[str, Any]:
        """The state as plain data. Times are durations, so that it can be restored on another clock."""
        with self._lock:
            return {
                "version": 1,
                "state": str(self.state),
                "reason": self._reason,
                "trips": self._trips,
                "open_for": self._open_for if self.state is State.OPEN else 0.0,
                "left": max(0.0, self._left(now)) if self.state is State.OPEN else 0.0,
                "ramped": max(0.0, now - self._ramp_from) if self.state is State.RAMPING else 0.0,
                "failures": dict(self.failures),
            }

    def restore(self, saved: dict[str, Any], now: float) -> Change:
        """Take up a snapshot at *now*; the window starts empty.

        Raises:
            ValueError: *saved* is not a snapshot of this version; nothing has changed then.
        """
        state, trips, open_for, left, ramped, failures, reason = _parse(saved)
        with self._lock:
            change = self._enter(state, reason)
            self._trips = trips
            self._open_for = min(
                open_for, max(RETRY_AFTER_CAP, self.rules.open_seconds_max * (1 + self.rules.jitter))
            )
            self._until = now + min(left, self._open_for)
            self._ramp_from = now - ramped
            self.failures = Counter(failures)
            return change

    def after_fork(self) -> None:
        """The lock may have been held by a thread that is gone, and so may the probes."""
        self._lock = threading.RLock()
        self._probes.clear()


def _parse(saved: Any) -> tuple[State, int, float, float, float, dict[str, int], str]:
    """The fields of a snapshot, each checked."""
    remedy = "pass what snapshot() returned"
    if not isinstance(saved, dict) or saved.get("version") != 1:
        raise ValueError(f"a breaker's snapshot must be a dict of version 1; {remedy}")
    try:
        state = State(saved["state"])
        numbers = [float(saved[key]) for key in ("open_for", "left", "ramped")]
        trips = int(saved["trips"])
        failures = {str(kind): int(count) for kind, count in saved["failures"].items()}
        reason = str(saved["reason"])
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise ValueError(
            f"a breaker's snapshot has a bad or missing field ({type(error).__name__}); {remedy}"
        ) from None
    if trips < 0 or not all(0 <= number < math.inf for number in numbers):
        raise ValueError(f"a breaker's snapshot has a number that is negative or not finite; {remedy}")
    open_for, left, ramped = numbers
    return state, trips, open_for, left, ramped, failures, reason
