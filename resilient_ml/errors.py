"""Every error the library raises, in one tree.

::

    ResilienceError
    ├── Rejected                  the call never reached the model; ``retry_after`` says when to come back
    │   ├── CircuitOpen           a breaker holds the model's traffic back
    │   ├── BulkheadFull          every seat is taken and the queue is full, or the wait ran out
    │   ├── LimitExceeded         another bound was reached (abandoned threads, adaptive limit)
    │   ├── Drifted               a model's inputs or answers are no longer what they were
    │   ├── RateLimited           too many calls in the window
    │   └── BudgetExhausted       the money, tokens or calls of the window are spent
    ├── DeadlineExceeded          (also a TimeoutError) a policy's limit or the caller's own deadline passed
    ├── InvalidOutput             the model answered, and the answer breaks its contract
    ├── InvalidInput              (also a ValueError) the input breaks its contract; the model was not called
    ├── BadRows                   (also a ValueError) some rows of a batch are bad; ``results`` has the others
    ├── RowQuarantined            (also a ValueError) a row that failed lately was not sent
    ├── StreamInterrupted         a stream broke after it had begun; ``delivered`` counts what was passed on
    │   ├── StreamTruncated       a stream ended without its declared end
    │   └── StreamTimeout         (also a DeadlineExceeded) its first item, a gap or all of it took too long
    └── WorkerCrashed             an isolated worker died

A user's own exception is never wrapped or replaced by one of these.
Each pickles, copies, and carries its numbers as attributes; none keeps arguments, results or payloads, but
for the ``partial`` answer of a stream, where :class:`~resilient_ml.Stream` was told to keep it, and for the
``results`` of :class:`BadRows`, which are the answers that the caller asked for.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Self

__all__ = [
    "BadRows",
    "BudgetExhausted",
    "BulkheadFull",
    "CircuitOpen",
    "DeadlineExceeded",
    "Drifted",
    "InvalidInput",
    "InvalidOutput",
    "LimitExceeded",
    "RateLimited",
    "Rejected",
    "ResilienceError",
    "RowQuarantined",
    "StreamInterrupted",
    "StreamTimeout",
    "StreamTruncated",
    "WorkerCrashed",
]


class ResilienceError(Exception):
    """The root of the tree: catch it to catch whatever the library itself raises."""


class Rejected(ResilienceError):
    """The call was refused before it reached the model.

    Attributes:
        retry_after: Seconds until another try makes sense; None when nobody can say.
        policy: The name of the policy that refused, or None.
    """

    def __init__(
        self, message: str = "", *, retry_after: float | None = None, policy: str | None = None
    ) -> None:
        super().__init__(message)
        self.retry_after = retry_after
        self.policy = policy


class CircuitOpen(Rejected):
    """A circuit breaker is open, or its half-open permits are all in use.

    Attributes:
        state: The state of the breaker, in words: ``open``, ``half open``, ``ramping`` or ``forced open``;
            None on an error that no breaker made.
        reason: What brought it there, such as ``after 5 failures in a row``, or None.
        retry_after: Seconds until it lets a probe through; None while an operator holds it open.
        policy: The name of the breaker.
    """

    state: str | None = None
    reason: str | None = None

    @classmethod
    def of(cls, policy: str, state: str, retry_after: float | None, reason: str) -> Self:
        """The refusal of breaker *policy*.

        Refusing is what a breaker does most under the heaviest load, so the message waits until it is read.
        """
        error = cls.__new__(cls)
        error.policy = policy
        error.state = state
        error.retry_after = retry_after
        error.reason = reason
        return error

    def __str__(self) -> str:
        if self.state is None:
            return super().__str__()
        if self.retry_after is None:
            return (
                f"breaker {self.policy!r} is {self.state} {self.reason}; "
                "call force_closed() or reset() to let calls through"
            )
        return (
            f"breaker {self.policy!r} is {self.state} for another {self.retry_after:.1f} s {self.reason}; "
            "retry after that, or put a Fallback outside it"
        )

    def __repr__(self) -> str:
        return f"{type(self).__name__}({str(self)!r})"


class BulkheadFull(Rejected):
    """A bulkhead has no free seat, and no place in its queue or no time left to wait in it."""


class LimitExceeded(Rejected):
    """A bound other than a bulkhead's was reached, for example on abandoned threads."""


class RateLimited(Rejected):
    """The rate allowed in the window is used up."""


class Drifted(Rejected):
    """A drift detector holds the model's traffic back: it is no longer what its reference was."""


class BudgetExhausted(Rejected):
    """The budget of the window is spent."""


class DeadlineExceeded(ResilienceError, TimeoutError):
    """Time ran out.

    Attributes:
        kind: ``"timeout"`` when a policy's own limit passed, which counts against the model;
            ``"deadline"`` when the caller's own did, which does not.
        seconds: The limit that passed, in seconds, or None where only the instant is known.
        deadline: The instant that passed, on the monotonic clock, or None.
        policy: The name of the policy that set the limit, or None.
    """

    def __init__(
        self,
        message: str = "",
        *,
        kind: str = "deadline",
        seconds: float | None = None,
        deadline: float | None = None,
        policy: str | None = None,
    ) -> None:
        super().__init__(message)
        self.kind = kind
        self.seconds = seconds
        self.deadline = deadline
        self.policy = policy

    @classmethod
    def of_limit(cls, seconds: float, policy: str, deadline: float) -> DeadlineExceeded:
        """The error for a limit of *seconds* that *policy* set and that passed at the instant *deadline*."""
        return cls(
            f"{policy!r} took longer than its limit of {seconds:g} s; raise the limit, or make it faster",
            kind="timeout",
            seconds=seconds,
            deadline=deadline,
            policy=policy,
        )


class InvalidOutput(ResilienceError):
    """The model answered, but the answer is not one that may be served.

    Attributes:
        rule: The rule that was broken, or None.
        rows: The numbers of the rows that break it, from 0; empty where the answer has none.
    """

    def __init__(self, message: str = "", *, rule: str | None = None, rows: tuple[int, ...] = ()) -> None:
        super().__init__(message)
        self.rule = rule
        self.rows = rows


class InvalidInput(ResilienceError, ValueError):
    """An argument is not one that the model may see; it was not called.

    Attributes:
        rule: The rule that was broken, or None.
        rows: The numbers of the rows that break it, from 0; empty where the argument has none.
        argument: The name or the position of the argument, or None.
    """

    def __init__(
        self,
        message: str = "",
        *,
        rule: str | None = None,
        rows: tuple[int, ...] = (),
        argument: str | int | None = None,
    ) -> None:
        super().__init__(message)
        self.rule = rule
        self.rows = rows
        self.argument = argument


@dataclass(frozen=True, slots=True)
class RowResult:
    """What became of one row of a batch.

    Attributes:
        ok: Whether it was answered.
        value: Its answer; None unless ``ok``.
        error: What it failed with; None where ``ok``.
        kind: The kind of that failure, as text; None where ``ok``.
    """

    ok: bool
    value: Any
    error: Exception | None
    kind: str | None


class BadRows(ResilienceError, ValueError):
    """Some rows of a batch are bad, each with an error of its own.

    Attributes:
        results: What became of each row, in order.
    """

    def __init__(self, message: str = "", *, results: tuple[RowResult, ...] = ()) -> None:
        super().__init__(message)
        self.results = results

    @property
    def bad(self) -> tuple[int, ...]:
        """The numbers of the bad rows, from 0."""
        return tuple(row for row, result in enumerate(self.results) if not result.ok)


class RowQuarantined(ResilienceError, ValueError):
    """A row failed by itself not long ago, and was not sent again."""


class StreamInterrupted(ResilienceError):
    """A stream broke after it had begun.

    Attributes:
        delivered: How many items had been passed on.
        partial: Those items, where :class:`~resilient_ml.Stream` was told to keep them; None otherwise.
    """

    partial: tuple[Any, ...] | None = None

    def __init__(self, message: str = "", *, delivered: int = 0) -> None:
        super().__init__(message)
        self.delivered = delivered


class StreamTruncated(StreamInterrupted):
    """A stream ended without the end it had declared."""


class StreamTimeout(StreamInterrupted, DeadlineExceeded):
    """A stream took too long: to its first item, from one item to the next, or in all.

    Attributes:
        phase: Which limit passed: ``"first"``, ``"gap"`` or ``"total"``; None when it was the caller's own.
        kind: ``"timeout"``; ``"stall"`` for a gap; ``"deadline"`` when it was the caller's own.
        seconds: The limit that passed, in seconds, or None.
        deadline: The instant that passed, on the monotonic clock.
        policy: The name of the policy that set the limit, or None.
        delivered: How many items had been passed on.
        partial: Those items, where :class:`~resilient_ml.Stream` was told to keep them; None otherwise.
        first_seconds: From the beginning of the call to the first content; None if none came.
        waited_seconds: Spent waiting for items, in all.
        reader_seconds: Spent by the reader between items, in all.
    """

    phase: str | None = None
    first_seconds: float | None = None
    waited_seconds: float = 0.0
    reader_seconds: float = 0.0

    def __init__(
        self,
        message: str = "",
        *,
        kind: str = "deadline",
        seconds: float | None = None,
        deadline: float | None = None,
        policy: str | None = None,
        delivered: int = 0,
    ) -> None:
        DeadlineExceeded.__init__(self, message, kind=kind, seconds=seconds, deadline=deadline, policy=policy)
        self.delivered = delivered


class WorkerCrashed(ResilienceError):
    """An isolated worker died while it held the call.

    Attributes:
        exitcode: The worker's exit code, negative for a signal, or None.
    """

    def __init__(self, message: str = "", *, exitcode: int | None = None) -> None:
        super().__init__(message)
        self.exitcode = exitcode
