"""Admit what the model can serve, found by measurement."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Final, TypeVar

from .. import _checks
from .._call import Call, Proceed, when_all_finished
from .._policy import Policy
from ..errors import LimitExceeded, Rejected
from ..events import CallRejected
from ..kinds import Kind, kind_of
from ..machines.admission import AdmissionMachine
from ..machines.limiter import LimiterMachine
from ..machines.limiter_gate import LimiterGate
from ..machines.limits.protocol import DROP, IGNORE, OK, OOM, LimitAlgorithm, Trip
from ..machines.limits.waiting import WaitingLimit
from ..machines.queue_rules import Queue
from ._visit import Door, Visit

T = TypeVar("T")

OUTCOMES: Final = {
    Kind.OVERLOAD: DROP,
    Kind.RATE_LIMITED: DROP,
    Kind.TIMEOUT: DROP,
    Kind.STALL: DROP,
    Kind.OOM: OOM,
}
"""What a failure says about the load; those that are not here say nothing."""


class AdaptiveLimiter(Policy):
    """Let as many calls in at once as the model can take without letting them wait; refuse the rest.

    The limit is found from how long calls take, how many run out of time, and what the model says: it grows
    while it is used and calls do not wait for each other, and comes down when they do. How the default does
    that is at the head of ``machines/limits/waiting.py``. It takes the deadline from a Timeout inside it,
    which makes it much better: place it outside the Timeout.

    A call is measured to its end, a stream to its first content, and either by cost where *cost* is given:
    long requests are no overload. A place is held until the work has really ended: to the end of a stream,
    and until an abandoned thread returns. Failures of the kinds ``overload``, ``rate_limited``, ``timeout``
    and ``stall`` are signs of too much load, ``oom`` of far too much; others teach nothing.

    One AdaptiveLimiter bounds threads, tasks and several event loops together.

    Args:
        initial: The limit to begin with, from 1.
        minimum: The smallest limit, from 1.
        maximum: The largest limit, at least *minimum*.
        deadline: The seconds that a call may take, above 0; None to take it from the Timeout inside.
        cost: What a call costs; takes the call's arguments and returns a number above 0: tokens, rows,
            pixels. The limits are then in cost. None for 1 each.
        queue: How many may wait, from 0; or a :class:`~resilient_ml.Queue`.
        queue_seconds: The longest wait, in seconds, above 0; None for as long as the call's deadline
            allows.
        algorithm: Makes another algorithm than the default, from ``resilient_ml.machines.limits``; *initial*,
            *minimum* and *maximum* are then its own business.
        name: How messages call it; by default the name of the function it guards.
        on_event: Called with its :class:`~resilient_ml.events.CallRejected` events.

    Raises:
        LimitExceeded: From the guarded function, when there is no room, and no place or time left in the
            queue.

    >>> @AdaptiveLimiter()
    ... def predict(row):
    ...     return row * 2
    >>> predict(21)
    42
    """

    role: str = "limiter"
    watches_streams: bool = True

    def __init__(
        self,
        *,
        initial: float = 20,
        minimum: float = 1,
        maximum: float = 1000,
        deadline: float | None = None,
        cost: Callable[..., float] | None = None,
        queue: int | Queue = 0,
        queue_seconds: float | None = None,
        algorithm: Callable[[], LimitAlgorithm] | None = None,
        name: str | None = None,
        on_event: Callable[[Any], object] | None = None,
    ) -> None:
        super().__init__(name=name, on_event=on_event)
        least = _bound("minimum", minimum)
        most = _bound("maximum", maximum)
        if most < least:
            raise ValueError(f"maximum must be at least minimum, got {most:g} and {least:g}; raise it")
        self._own_deadline = deadline is not None
        if deadline is not None:
            deadline = _checks.seconds(
                "deadline", deadline, remedy="pass None to take it from the Timeout inside"
            )
        if cost is not None:
            _checks.function("cost", cost, remedy="pass a function of the call's arguments")
        if queue_seconds is not None:
            queue_seconds = _checks.seconds(
                "queue_seconds", queue_seconds, remedy="pass queue=0 to refuse at once"
            )
        self._made: LimitAlgorithm
        if algorithm is None:
            self._made = WaitingLimit(
                deadline=deadline, initial=_bound("initial", initial), minimum=least, maximum=most
            )
        else:
            made = _checks.function(
                "algorithm", algorithm, remedy="pass a class of resilient_ml.machines.limits"
            )()
            if not isinstance(made, LimitAlgorithm):
                raise TypeError(
                    f"algorithm must make a LimitAlgorithm, got {_checks.shown(made)}; pass its class"
                )
            self._made = made
            if deadline is not None:
                self._tell(deadline)
        self._machine = LimiterMachine(self._made)
        rules = queue if isinstance(queue, Queue) else None
        if rules is None:
            size = _checks.whole("queue", queue, at_least=0, remedy="pass 0 to refuse at once")
            rules = Queue(size=size) if size else None
        self._door: Door | None = None
        if rules is not None or cost is not None:
            admission = AdmissionMachine(LimiterGate(self._machine), rules)
            self._door = Door(admission, rules, cost, queue_seconds, self.clock)

    def placed(self, inside: Sequence[Policy]) -> None:
        """Take the deadline from the Timeouts inside: of a stream to its first content."""
        if self._own_deadline:
            return
        for policy in inside:
            seconds = getattr(policy, "first", None) or getattr(policy, "total", None)
            if policy.role == "timeout" and isinstance(seconds, float):
                self._tell(seconds)
                return

    def _tell(self, deadline: float) -> None:
        """Tell the algorithm, if it wants to know."""
        if hasattr(self._made, "deadline"):
            self._made.deadline = deadline

    async def around(self, proceed: Proceed[T], call: Call) -> T:
        """Go in, run, tell how it went; the place comes back when the work has ended."""
        before = call.orphans
        visit: Visit | None = None
        if self._door is None:
            trip = self._machine.admit(call.now())
            if trip is None:
                raise self._full("is full", call)
        else:
            visit = Visit(self._door, call)
            if visit.permit is None:
                signal = call.runtime.signal()
                refusal = visit.join(signal.set)
                if refusal is not None:
                    raise self._full(refusal.reason, call, refusal.retry_after)
                try:
                    await call.runtime.wait(signal, visit.until)
                except BaseException:
                    visit.leave()
                    raise
                late = visit.seated()
                if late is not None:
                    raise self._full(late, call)
            trip = visit.permit
        outcome = IGNORE
        try:
            result = await proceed(call)
            outcome = OK
            return result
        except Exception as error:
            if not isinstance(error, Rejected):
                outcome = OUTCOMES.get(kind_of(error), IGNORE)
            raise
        finally:
            now = call.now()
            tape = call.tape
            seconds = None if tape is None or tape.first_at is None else tape.first_at - trip.at
            if visit is None and call.orphans is before:
                self._machine.end(trip, now, outcome, seconds)
            else:
                self._machine.judge(trip, now, outcome, seconds)
                self._leave(trip, visit, call, len(before))

    def _leave(self, trip: Trip, visit: Visit | None, call: Call, before: int) -> None:
        """Give the place back once all work has ended."""
        if visit is not None:
            visit.end()
        else:
            when_all_finished(call.orphans[before:], lambda: self._machine.leave(trip))

    def _full(self, what: str, call: Call, retry_after: float | None = None) -> LimitExceeded:
        what = f"{what}; its limit is {self.limit:g}"
        self.emit(CallRejected, call.now(), reason=what, retry_after=retry_after)
        return LimitExceeded(
            f"adaptive limiter {self.name!r} {what}; give the model more capacity, or put a Fallback or a "
            "Retry with on=LimitExceeded outside it",
            retry_after=retry_after,
            policy=self.name,
        )

    # -- for operators -------------------------------------------------------------------------------------

    @property
    def limit(self) -> float:
        """How much may be inside now."""
        return self._machine.limit

    @property
    def in_flight(self) -> float:
        """How much is inside."""
        return self._machine.inside

    @property
    def waiting(self) -> int:
        """How many wait."""
        return 0 if self._door is None else self._door.machine.waiting

    def snapshot(self) -> dict[str, Any]:
        """What it has learned, as plain data for :meth:`restore`. JSON keeps it whole."""
        return self._machine.snapshot()

    def restore(self, saved: dict[str, Any]) -> None:
        """Take up a snapshot, made here or in another process.

        Raises:
            ValueError: *saved* is no snapshot of this algorithm; nothing has changed then.
        """
        self._machine.restore(saved)
        if self._door is not None:
            self._door.machine.hand_over(self.clock())

    def forgettable(self) -> bool:
        """One that has nobody inside begins again where it began."""
        return not self._machine.inside

    def describe(self) -> str:
        """Its bounds; :attr:`limit` is what it is now."""
        made = self._made
        rules = None if self._door is None else self._door.rules
        by_cost = " in cost" if self._door is not None and self._door.cost else ""
        queue = "0" if rules is None else f"{rules.size}, {rules.order}"
        return f"AdaptiveLimiter({made.minimum:g} to {made.maximum:g}{by_cost}, queue={queue})"


def _bound(name: str, value: float) -> float:
    number = _checks.real(name, value, remedy="pass how many may be inside")
    if number < 1:
        raise ValueError(f"{name} must be at least 1, got {number:g}; with none inside nothing is learned")
    return number
