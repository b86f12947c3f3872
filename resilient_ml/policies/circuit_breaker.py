"""Stop calling a model that is sick, and notice when it is well again."""

from __future__ import annotations

import random
from collections.abc import Callable
from typing import Any, TypeVar

from .. import _checks
from .._ambient import PANIC
from .._call import Call, Proceed
from .._policy import Policy
from ..errors import CircuitOpen, Rejected
from ..events import BreakerChanged, CallRejected
from ..kinds import Kind, kind_of
from ..machines.breaker import BreakerMachine
from ..machines.breaker_permits import Permit
from ..machines.breaker_rules import Change, Refusal, Rules, State
from ..retry_after import retry_after_of
from ._matching import ErrorMatch, match_errors

T = TypeVar("T")


class CircuitBreaker(Policy):
    """Refuse calls while the model fails too often; let a few probes through to see when it is back.

    The breaker opens when, of at least *minimum_calls* in the window, the share of failures reaches
    *failure_rate* or the share of slow calls reaches *slow_call_rate*; or after *consecutive_failures* in
    a row. It stays open for *open_seconds*, twice as long each time a probe fails, and at least as long as a
    server's retry-after asks. Then *half_open_permits* probes are let through: all must succeed.
    The state diagram is at the head of ``machines/breaker.py``.

    Cancelled calls, calls refused by other policies, and kinds that say nothing about the model's health
    (``bad_input``, ``auth``, the caller's own ``deadline``, …) count neither way.

    Args:
        failure_rate: The share of failures that opens it, above 0 to 1; None switches this rule off.
        minimum_calls: How many calls the window must hold before a rate means anything, from 1.
        window_seconds: How far back the window reaches, in seconds.
        window_calls: Use a window of this many calls instead of one of seconds; at least *minimum_calls*.
        consecutive_failures: So many failures in a row open it, however slow the traffic; None switches
            this rule off. The default of 10 trips a healthy model with 10 % failures once in 10**10 calls.
        slow_call_seconds: From how many seconds on a call is slow, a stream's first content for a stream;
            None for no such rule.
        slow_call_rate: The share of slow calls that opens it, above 0 to 1.
        open_seconds: How long it stays open the first time, in seconds; doubled each time it opens again from
            half-open.
        open_seconds_max: The longest it stays open of its own accord, in seconds, before *jitter*; at least
            *open_seconds*, and by default 12 times that: a minute where *open_seconds* is 5. Choose it by how
            soon you want to know that the model is back: each probe costs one call.
        jitter: The most that is added to the open time, as a share of it from 0 to 1, so that clients do not
            probe in step.
        half_open_permits: How many probes are let through, and must succeed; from 1.
        probe_lease_seconds: After so many seconds a probe that has not ended loses its permit to another;
            by default *open_seconds*, at least 1 s. If it ends after all, its outcome counts.
        ramp_seconds: After good probes let the traffic back gradually over so many seconds; 0 for all at
            once.
        shadow: Only report what it would do: every call is let through.
        counts: What counts as a failure: exception types, kinds or a predicate; by default the kinds
            that count against a model.
        rng: Source of randomness with a ``random()`` method, for tests.
        name: How messages call it; by default the name of the function it guards.
        on_event: Called with its :class:`~resilient_ml.events.BreakerChanged` and
            :class:`~resilient_ml.events.CallRejected` events.

    Raises:
        CircuitOpen: From the guarded function, while the breaker is open or its probes are out;
            ``retry_after`` says for how many seconds, ``state`` and ``reason`` say why.

    >>> breaker = CircuitBreaker(consecutive_failures=2, open_seconds=30)
    >>> @breaker
    ... def predict(row):
    ...     raise ConnectionError
    >>> for _ in range(2):
    ...     try: predict(1)
    ...     except ConnectionError: pass
    >>> breaker.state
    <State.OPEN: 'open'>

    Source: M. Nygard, "Release It!", 2nd ed., 2018, ch. 5; generations after sony/gobreaker; slow-call rate
    after resilience4j.
    """

    role: str = "breaker"

    def __init__(
        self,
        *,
        failure_rate: float | None = 0.5,
        minimum_calls: int = 10,
        window_seconds: float = 10.0,
        window_calls: int | None = None,
        consecutive_failures: int | None = 10,
        slow_call_seconds: float | None = None,
        slow_call_rate: float = 0.5,
        open_seconds: float = 5.0,
        open_seconds_max: float | None = None,
        jitter: float = 0.1,
        half_open_permits: int = 1,
        probe_lease_seconds: float | None = None,
        ramp_seconds: float = 0.0,
        shadow: bool = False,
        counts: ErrorMatch | None = None,
        rng: random.Random | None = None,
        name: str | None = None,
        on_event: Callable[[Any], object] | None = None,
    ) -> None:
        super().__init__(name=name, on_event=on_event)
        opened = _checks.seconds("open_seconds", open_seconds, remedy="pass how long to stay open, 5 say")
        if open_seconds_max is None:
            open_seconds_max = 12 * opened
        longest = _checks.seconds("open_seconds_max", open_seconds_max, remedy="pass the longest open time")
        if longest < opened:
            raise ValueError(
                f"open_seconds_max must be at least open_seconds, got {longest:g} and {opened:g}; raise it"
            )
        if probe_lease_seconds is None:
            probe_lease_seconds = max(1.0, opened)
        self._rules = Rules(
            failure_rate=None
            if failure_rate is None
            else _checks.share(
                "failure_rate", failure_rate, remedy="pass 0.5 for half, or None to switch it off"
            ),
            minimum_calls=_checks.whole("minimum_calls", minimum_calls, at_least=1, remedy="pass 10, say"),
            window_seconds=_checks.seconds("window_seconds", window_seconds, remedy="pass 10, say"),
            window_calls=None
            if window_calls is None
            else _checks.whole(
                "window_calls", window_calls, at_least=1, remedy="pass None for a time window"
            ),
            consecutive_failures=None
            if consecutive_failures is None
            else _checks.whole(
                "consecutive_failures", consecutive_failures, at_least=1, remedy="pass None to switch it off"
            ),
            slow_call_seconds=None
            if slow_call_seconds is None
            else _checks.seconds("slow_call_seconds", slow_call_seconds, remedy="pass None to switch it off"),
            slow_call_rate=_checks.share("slow_call_rate", slow_call_rate, remedy="pass 0.5 for half"),
            open_seconds=opened,
            open_seconds_max=longest,
            jitter=_checks.share("jitter", jitter, zero=True, remedy="pass 0 for none"),
            half_open_permits=_checks.whole(
                "half_open_permits", half_open_permits, at_least=1, remedy="pass 1"
            ),
            probe_lease_seconds=_checks.seconds(
                "probe_lease_seconds", probe_lease_seconds, remedy="pass longer than a probe may take"
            ),
            ramp_seconds=_checks.seconds(
                "ramp_seconds", ramp_seconds, zero=True, remedy="pass 0 for no ramp"
            ),
        )
        if self._rules.window_calls is not None and self._rules.window_calls < self._rules.minimum_calls:
            raise ValueError(
                f"minimum_calls must be at most window_calls, got {self._rules.minimum_calls} and "
                f"{self._rules.window_calls}; no window would ever hold enough calls to open the breaker"
            )
        self.shadow: bool = _checks.flag("shadow", shadow, remedy="True only reports")
        self._counts = match_errors("counts", counts, lambda _, kind: kind.treatment.counts_against_model)
        self._draw = random.random if rng is None else rng.random
        self._machine = BreakerMachine(self._rules)
        self.watches_streams: bool = slow_call_seconds is not None

    async def around(self, proceed: Proceed[T], call: Call) -> T:
        """Admit, run, record."""
        machine = self._machine
        permit = machine.closed or self._admit(call)
        began = call.now() if machine.timed else 0.0
        try:
            result = await proceed(call)
        except Exception as error:
            self._failed(permit, error, call, began)
            raise
        except BaseException:
            permit.abandon()  # cancelled or interrupted: teaches nothing
            raise
        now = call.now()
        change = permit.succeed(now, taken(call, now, began) if machine.timed else 0.0)
        if change is not None:
            self._tell(change, now)
        return result

    def _admit(self, call: Call) -> Permit:
        now = call.now()
        left = self._machine.left_open(now)
        panic = left is not None and PANIC.get()
        if left is not None and not self.shadow and not panic and not self.listened():
            raise CircuitOpen.of(self.name, "open", left, self._machine.reason)
        answer, change = self._machine.admit(now, self._draw())
        if change is not None:
            self._tell(change, now)
        if not isinstance(answer, Refusal):
            return answer
        through = self.shadow or panic
        self.emit(CallRejected, now, reason=answer.reason, retry_after=answer.retry_after, shadow=through)
        if through:
            return self._machine.bystander
        raise CircuitOpen.of(
            self.name, answer.state.value.replace("_", " "), answer.retry_after, answer.reason
        )

    def _failed(self, permit: Permit, error: Exception, call: Call, began: float) -> None:
        """Record a failure, or give the permit back if the error says nothing about the model."""
        kind = kind_of(error)
        try:
            counted = not isinstance(error, Rejected) and self._counts(error, kind)
        except BaseException:  # the user's predicate
            permit.abandon()
            raise
        if not counted:
            permit.abandon()
            return
        now = call.now()
        seconds = taken(call, now, began) if self._machine.timed else 0.0
        hint = retry_after_of(error, self.wall())
        change = permit.fail(now, kind, seconds, self._draw(), hint)
        if change is not None:
            self._tell(change, now)

    def _tell(self, change: Change, now: float) -> None:
        self.emit(BreakerChanged, now, before=change.before, after=change.after, reason=change.reason)

    # -- for operators -------------------------------------------------------------------------------------

    @property
    def state(self) -> State:
        """The state as of the last call: an open breaker turns half-open when a call finds its time over."""
        return self._machine.state

    @property
    def failures(self) -> dict[Kind, int]:
        """Failures counted since it was made, by kind."""
        return {Kind(kind): count for kind, count in dict(self._machine.failures).items()}

    def force_open(self) -> None:
        """Refuse every call until told otherwise."""
        self._force(State.FORCED_OPEN)

    def force_closed(self) -> None:
        """Let every call through, still counting, until told otherwise."""
        self._force(State.FORCED_CLOSED)

    def disable(self) -> None:
        """Let every call through and watch nothing, until told otherwise."""
        self._force(State.DISABLED)

    def reset(self) -> None:
        """Start anew: closed, with an empty window."""
        self._force(State.CLOSED)

    def _force(self, state: State) -> None:
        change = self._machine.force(state)
        if change is not None:
            self._tell(change, self.clock())

    def snapshot(self) -> dict[str, Any]:
        """The state as plain data for :meth:`restore`; times in it are durations. JSON keeps it whole."""
        return self._machine.snapshot(self.clock())

    def restore(self, saved: dict[str, Any]) -> None:
        """Take up a snapshot, made here or in another process; the window starts empty.

        Raises:
            ValueError: *saved* is no snapshot; nothing has changed then.
        """
        now = self.clock()
        self._tell(self._machine.restore(saved, now), now)

    def forgettable(self) -> bool:
        """A breaker that is not closed knows something."""
        return self._machine.state is State.CLOSED

    def describe(self) -> str:
        """Its rules in one line."""
        rules = self._rules
        span = (
            f"{rules.window_calls} calls" if rules.window_calls is not None else f"{rules.window_seconds:g} s"
        )
        parts = []
        if rules.failure_rate is not None:
            parts.append(f"{rules.failure_rate:.0%} of >= {rules.minimum_calls} calls failed in {span}")
        if rules.consecutive_failures is not None:
            parts.append(f"{rules.consecutive_failures} failures in a row")
        if rules.slow_call_seconds is not None:
            parts.append(f"{rules.slow_call_rate:.0%} slower than {rules.slow_call_seconds:g} s in {span}")
        mode = ", shadow" if self.shadow else ""
        return (
            f"CircuitBreaker(opens for {rules.open_seconds:g} s at {' or '.join(parts) or 'no rule'}{mode})"
        )


def taken(call: Call, now: float, began: float) -> float:
    """How long the model took: to its whole answer, or to the first content of a stream.

    A long answer is no slow one, and neither is one that the reader takes its time with.
    """
    tape = call.tape
    return (now if tape is None or tape.first_at is None else tape.first_at) - began
