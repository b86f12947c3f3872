"""What happened to a call, for those who ask: the answer with its provenance."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Generic, Literal, TypeVar, cast

from .kinds import Kind

T = TypeVar("T")

Status = Literal["ok", "failed", "rejected"]


@dataclass(frozen=True, slots=True)
class Attempt:
    """One time that user code was called.

    Attributes:
        target: The name of the function: the guarded one, or a fallback.
        kind: What kind of failure it ended in; None when it answered.
        started: Seconds from the start of the call.
        seconds: How long the caller waited for it.
    """

    target: str
    kind: Kind | None
    started: float
    seconds: float


@dataclass(frozen=True, slots=True)
class Outcome(Generic[T]):
    """How a call ended.

    Attributes:
        status: ``ok``, with an answer, degraded or not; ``failed``, with the model's error or a passed
            deadline; or ``rejected``, when a policy refused the call. A cancelled call has no outcome:
            cancellation passes through.
        value: The answer; None unless ``ok``.
        error: What was raised; None when ``ok``.
        kind: The kind of the failure; None when ``ok``. A refusal has one too, such as ``overload``.
        served_by: The name of the function or fallback value that answered; None when none did.
        degraded: Whether the answer came from a fallback.
        attempts: Every call of user code, in order.
        seconds: From start to end, with all waits.
    """

    status: Status
    value: T | None
    error: BaseException | None
    kind: Kind | None
    served_by: str | None
    degraded: bool
    attempts: tuple[Attempt, ...]
    seconds: float

    @property
    def ok(self) -> bool:
        """Whether there is an answer, degraded or not."""
        return self.status == "ok"

    def unwrap(self) -> T:
        """The answer, or the error raised again."""
        if self.error is not None:
            raise self.error
        return cast(T, self.value)


@dataclass(slots=True)
class Record:
    """Where one call's attempts are written down while it runs."""

    began: float
    attempts: list[Attempt] = field(default_factory=list)
    served_by: str | None = None
    degraded: bool = False

    def ended(self, target: str, started: float, now: float, kind: Kind | None) -> None:
        """Write down one call of *target*, begun at *started*."""
        self.attempts.append(Attempt(target, kind, started - self.began, max(0.0, now - started)))
        if kind is None:
            self.served_by = target
            self.degraded = False  # a fallback says so after this

    def judged(self, kind: Kind) -> None:
        """The answer of the last call is none that may be served."""
        if self.attempts:
            self.attempts[-1] = replace(self.attempts[-1], kind=kind)
