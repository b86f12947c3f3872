"""Bound how long an attempt may take."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

from .. import _checks
from .._call import Call, Limit, Proceed
from .._policy import Policy
from ..errors import DeadlineExceeded
from ..events import TimedOut

T = TypeVar("T")


class Timeout(Policy):
    """Let a call take at most *seconds*.

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

    Args:
        seconds: The limit, in seconds, above 0.
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
        seconds: float,
        *,
        late_only: bool = False,
        grace: float | None = None,
        max_abandoned: int = 64,
        name: str | None = None,
        on_event: Callable[[Any], object] | None = None,
    ) -> None:
        super().__init__(name=name, on_event=on_event)
        self.seconds: float = _checks.seconds("seconds", seconds, remedy="leave Timeout out for no limit")
        self.late_only: bool = _checks.flag("late_only", late_only, remedy="True only refuses late results")
        self._limit = Limit(
            self.seconds,
            self.name,
            grace=None
            if grace is None
            else _checks.seconds("grace", grace, zero=True, remedy="pass None to wait for the coroutine"),
            max_abandoned=_checks.whole("max_abandoned", max_abandoned, at_least=1, remedy="pass 64, say"),
        )

    @property
    def abandoned(self) -> int:
        """How many threads and tasks that ran into the limit are still running."""
        return len(self._limit.running)

    def adopt(self, name: str) -> None:
        """Messages of the limit carry the name too."""
        super().adopt(name)
        self._limit.policy = self.name

    async def around(self, proceed: Proceed[T], call: Call) -> T:
        """Tighten the deadline on the way in, restore it on the way out; the leaf enforces it."""
        deadline, limit, threads = call.deadline, call.limit, call.threads
        if not self.late_only:
            call.threads = self._limit
        mine = call.now() + self.seconds
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
        self.emit(TimedOut, call.now(), seconds=self.seconds, abandoned=self.abandoned)
        if error.kind == "timeout":
            return None
        return DeadlineExceeded.of_limit(self.seconds, self.name, mine)

    def describe(self) -> str:
        """Its limit."""
        return f"Timeout({self.seconds:g} s{', late_only' if self.late_only else ''})"
