"""Bound how long an attempt may take."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any, TypeAlias, TypeVar

from .. import _checks
from .._call import Call, Gap, Limit, Proceed
from .._colour import Target
from .._policy import Policy
from ..errors import DeadlineExceeded, StreamTimeout
from ..events import TimedOut
from ..machines.gaps import AdaptiveGap, FixedGap, GapMachine

T = TypeVar("T")

Then: TypeAlias = tuple[float, Limit | None] | None
Gaps: TypeAlias = tuple[tuple[Limit, Gap], ...]
Before: TypeAlias = tuple[float, Limit | None, Then, Limit | None, Gaps]
"""A stream call's deadline, limit, then, threads and gaps."""


class Timeout(Policy):
    """Let a call take at most *total* seconds; a stream's first item and each wait for the next so long too.

    A coroutine is cancelled at the limit; one that may not heed that needs *grace*. A plain function
    cannot be stopped: it runs on a worker thread that is abandoned at the limit, so that the caller goes
    on in time. The abandoned thread runs to its end, keeps the seat of its bulkhead until then, and is
    counted: once *max_abandoned* of them run, further calls are refused with :class:`LimitExceeded`.
    Abandoned threads never keep the interpreter from exiting. Context variables are seen on the worker
    thread; what is set there is not seen by the caller.

    Handing a plain function to a worker thread and back costs 10 to 15 microseconds a call, and up to three
    times that where the threads wake each other across cores. With *late_only* it stays on its caller's
    thread, which costs less than one, and its result is refused if it comes late.
    User code may read :func:`remaining` and stop by itself.

    The limit is a deadline that everything inside shares: retries do not sleep past it, queues are left
    by then. A ``TimeoutError`` of the user's own passes through as it is.

    A stream can be limited three ways. *total* is for all of it, the reader's own time included. *first* runs
    from the call to the first content, as ``Stream(is_content=)`` decides; every item is content where
    nothing is said. *gap* is how long the reader may wait for one item after the other: it begins anew with
    each that comes, and stands still while the reader has one. A plain stream that blocks inside ``next()``
    is left behind on its thread like a plain function.

    Args:
        total: The limit of the whole call, in seconds, above 0; None for none.
        first: For streams, how long the first content may take, in seconds, above 0; None for no limit.
        gap: For streams, how long the wait for the next item may be, in seconds, above 0; or
            :class:`AdaptiveGap` to learn it from the model. None for no limit.
        late_only: For plain functions, only refuse late results. Choose it where a late answer is worthless
            and a hang is impossible.
        grace: For coroutines that may swallow their cancellation: run each in a task of its own, on asyncio,
            and leave it behind when it has not ended so many seconds after the limit; from 0. None, the
            default, waits for it, and so does trio, where no task outlives its parent.
        max_abandoned: How many abandoned threads and tasks may run at once, from 1. The default of 64 is far
            above what a healthy model leaves behind, and far below what a machine can bear.
        name: How messages call it; by default the name of the function it guards.
        on_event: Called with its :class:`~resilient_ml.events.TimedOut` events.

    Raises:
        DeadlineExceeded: From the guarded function (it is a ``TimeoutError``), with ``kind="timeout"``.
        StreamTimeout: From a guarded stream (it is a DeadlineExceeded), with the phase, what was delivered
            and where the time went; of ``kind="stall"`` for a gap.
        LimitExceeded: From the guarded function, when *max_abandoned* threads and tasks are running.

    >>> @Timeout(5.0)
    ... def predict(row):
    ...     return row * 2
    >>> predict(21)
    42
    """

    role: str = "timeout"

    def __init__(
        self,
        total: float | None = None,
        *,
        first: float | None = None,
        gap: float | AdaptiveGap | None = None,
        late_only: bool = False,
        grace: float | None = None,
        max_abandoned: int = 64,
        name: str | None = None,
        on_event: Callable[[Any], object] | None = None,
    ) -> None:
        super().__init__(name=name, on_event=on_event)
        if total is None and first is None and gap is None:
            raise ValueError(
                "Timeout needs a limit, got none; pass Timeout(5.0), or leave it out for no limit"
            )
        self.total: float | None = _limit("total", total)
        self.first: float | None = _limit("first", first)
        self.gap: float | AdaptiveGap | None = gap if isinstance(gap, AdaptiveGap) else _limit("gap", gap)
        self.late_only: bool = _checks.flag("late_only", late_only, remedy="True only refuses late results")
        most = _checks.whole("max_abandoned", max_abandoned, at_least=1, remedy="pass 64, say")
        if grace is not None:
            grace = _checks.seconds("grace", grace, zero=True, remedy="pass None to wait for the coroutine")
        self._seconds = math.inf if self.total is None else self.total
        self._limit, self._first, self._gap = (
            Limit(
                0.0 if seconds is None else seconds, self.name, grace=grace, max_abandoned=most, phase=phase
            )
            for phase, seconds in (("total", self.total), ("first", self.first), ("gap", None))
        )
        self._gaps: tuple[tuple[Limit, Gap], ...] = ()
        if isinstance(self.gap, AdaptiveGap):
            self._gaps = ((self._gap, GapMachine(self.gap)),)
        elif self.gap is not None:
            self._gaps = ((self._gap, FixedGap(self.gap)),)

    @property
    def abandoned(self) -> int:
        """How many threads and tasks that ran into the limit are still running."""
        return len(self._limit.running)

    def adopt(self, name: str) -> None:
        """Messages of the limits carry the name too."""
        super().adopt(name)
        for limit in (self._limit, self._first, self._gap):
            limit.policy = self.name

    def check(self, target: Target) -> None:
        """Only a stream has a first item, and gaps."""
        for name, value in (("first", self.first), ("gap", self.gap)):
            if value is not None and not target.colour.streams:
                raise TypeError(
                    f"Timeout({name}=) limits streams, and {target.name!r} gives one answer; pass total=, "
                    "or say colour=Colour.STREAM where inspection cannot see that it streams"
                )

    async def around(self, proceed: Proceed[T], call: Call) -> T:
        """Tighten the deadline on the way in, restore it on the way out; the leaf enforces it."""
        if call.outlet is not None:
            before = self._limit_stream(call)
            try:
                return await proceed(call)
            except StreamTimeout as error:
                self._tell(error, call)
                raise
            finally:
                self._restore_stream(call, *before)
        deadline, limit, threads = call.deadline, call.limit, call.threads
        if not self.late_only:
            call.threads = self._limit
        mine = call.now() + self._seconds
        if mine < deadline:
            call.deadline, call.limit = mine, self._limit
        try:
            return await proceed(call)
        except DeadlineExceeded as error:
            own = self._own(error, mine, call)
            if own is None:
                raise
            raise own from error
        finally:
            call.deadline, call.limit, call.threads = deadline, limit, threads

    def _own(self, error: DeadlineExceeded, mine: float, call: Call) -> DeadlineExceeded | None:
        """This policy's own error where its limit was what passed, and *error* does not say so yet.

        A guarded function that is called inside this one sees this limit as its caller's deadline, and says
        so; here it is a time-out of what this policy guards.
        """
        if call.limit is not self._limit or error.deadline != mine:
            return None
        self.emit(TimedOut, call.now(), seconds=self._seconds, abandoned=self.abandoned)
        if error.kind == "timeout":
            return None
        return DeadlineExceeded.of_limit(self._seconds, self.name, mine)

    def _limit_stream(self, call: Call) -> Before:
        """Tighten the deadlines of a stream; gives what they were.

        Until its first content ``call.deadline`` is the least of all limits; ``call.then`` is what holds
        then.
        """
        deadline, _, then = before = call.deadline, call.limit, call.then
        threads, gaps = call.threads, call.gaps
        if not self.late_only:
            call.threads = self._limit
        call.gaps = gaps + self._gaps
        now = call.now()
        mine = now + self._seconds
        if mine < deadline:
            call.deadline, call.limit = mine, self._limit
        if then is not None and mine < then[0]:
            call.then = (mine, self._limit)
        if self.first is not None and now + self.first < call.deadline:
            call.then = call.then or (call.deadline, call.limit)
            call.deadline, call.limit = now + self.first, self._first
        return *before, threads, gaps

    def _restore_stream(
        self,
        call: Call,
        deadline: float,
        limit: Limit | None,
        then: Then,
        threads: Limit | None,
        gaps: Gaps,
    ) -> None:
        if then is not None and call.then is None:  # the first content came: an outer limit on it is met
            (deadline, limit), then = then, None
        call.deadline, call.limit, call.then = deadline, limit, then
        call.threads, call.gaps = threads, gaps

    def _tell(self, error: StreamTimeout, call: Call) -> None:
        """Say so if the limit that passed is one of this policy's."""
        tape = call.tape
        if tape is not None and tape.ran_out in (self._limit, self._first, self._gap):
            tape.ran_out = None
            self.emit(TimedOut, call.now(), seconds=error.seconds or 0.0, abandoned=self.abandoned)

    def describe(self) -> str:
        """Its limits."""
        limits = [] if self.total is None else [f"{self.total:g} s"]
        if self.first is not None:
            limits.append(f"first {self.first:g} s")
        if self.gap is not None:
            limits.append(f"gap {self.gap if isinstance(self.gap, AdaptiveGap) else f'{self.gap:g} s'}")
        return f"Timeout({', '.join(limits)}{', late_only' if self.late_only else ''})"


def _limit(name: str, seconds: float | None) -> float | None:
    return None if seconds is None else _checks.seconds(name, seconds, remedy="leave it out for no limit")
