"""What happened, told to whoever asked.

An event is a frozen dataclass, handed to plain callables after the decision, with no lock held.
Listen to everything with :func:`subscribe`, or to one policy with its ``on_event=``.
A listener that raises is logged once and never breaks a call; with no listener, events cost nothing.
No event carries arguments, results or the text of an exception.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass
from types import TracebackType
from typing import Any, Self

from ._forks import ForkSafeLock

__all__ = [
    "AllTargetsDown",
    "BatchSplit",
    "BreakerChanged",
    "BudgetSoftLimit",
    "CallRejected",
    "CeilingChanged",
    "ContractBroken",
    "DriftChanged",
    "Event",
    "FallbackServed",
    "HedgeSkipped",
    "HedgeStarted",
    "HedgeWon",
    "Listener",
    "NotStored",
    "RateClosed",
    "RetryScheduled",
    "RetryStopped",
    "RowsIsolated",
    "StaleServed",
    "Subscription",
    "SurgeEnded",
    "SurgeStarted",
    "TimedOut",
    "log_to",
    "subscribe",
]

_logger = logging.getLogger("resilient_ml")


@dataclass(frozen=True, slots=True, kw_only=True)
class Event:
    """One thing that happened in one policy.

    Attributes:
        policy: The name of the policy.
        at: When, in seconds on the monotonic clock of the call.
    """

    policy: str
    at: float


@dataclass(frozen=True, slots=True, kw_only=True)
class RetryScheduled(Event):
    """Attempt *attempt* failed with *kind*; the next one starts in *delay* seconds."""

    attempt: int
    kind: str
    delay: float


@dataclass(frozen=True, slots=True, kw_only=True)
class RetryStopped(Event):
    """Attempt *attempt* failed with *kind* and was the last, because of *reason*.

    ``retry_at`` is the instant the server asked for, when that lies past the deadline or the cap.
    """

    attempt: int
    kind: str
    reason: str
    retry_at: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class BreakerChanged(Event):
    """A breaker went from state *before* to state *after*, because of *reason*."""

    before: str
    after: str
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class CallRejected(Event):
    """A call was refused before it reached the model; ``shadow`` when it was let through all the same."""

    reason: str
    retry_after: float | None = None
    shadow: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class TimedOut(Event):
    """A call ran into the limit of *seconds*; *abandoned* threads and tasks of it are still running."""

    seconds: float
    abandoned: int


@dataclass(frozen=True, slots=True, kw_only=True)
class FallbackServed(Event):
    """The model failed with *kind* and *target* answered in its place."""

    target: str
    kind: str


@dataclass(frozen=True, slots=True, kw_only=True)
class AllTargetsDown(Event):
    """The model and every fallback refused the call unseen; *action* is what follows.

    ``seconds`` is how long it waits for the first to return, where it waits.
    """

    action: str
    seconds: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class HedgeStarted(Event):
    """The call has lasted *delay* seconds, and *target* is asked as well."""

    target: str
    delay: float


@dataclass(frozen=True, slots=True, kw_only=True)
class HedgeSkipped(Event):
    """The call has lasted *delay* seconds, and nobody else is asked, because of *reason*."""

    delay: float
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class HedgeWon(Event):
    """*target*, which was asked as well, answered first, *seconds* after the call began."""

    target: str
    seconds: float


@dataclass(frozen=True, slots=True, kw_only=True)
class RateClosed(Event):
    """The provider refused a call for its rate, and none is let through for *seconds*."""

    seconds: float


@dataclass(frozen=True, slots=True, kw_only=True)
class BudgetSoftLimit(Event):
    """Of the *limit*, *spent* is spent or reserved, which is more than the share to be warned at."""

    spent: float
    limit: float


@dataclass(frozen=True, slots=True, kw_only=True)
class SurgeStarted(Event):
    """More is asked for than can be served: *demand* a second, where *capacity* is what there is."""

    demand: float
    capacity: float


@dataclass(frozen=True, slots=True, kw_only=True)
class SurgeEnded(Event):
    """All can be served again, after *seconds*; *shed* calls were refused, *peak* a second asked for."""

    seconds: float
    shed: int
    peak: float


@dataclass(frozen=True, slots=True, kw_only=True)
class StaleServed(Event):
    """A cached answer was served *age* seconds after its time, because of *reason*.

    The reason is ``refreshing`` while a new one is fetched, or the kind of the failure.
    """

    reason: str
    age: float


@dataclass(frozen=True, slots=True, kw_only=True)
class ContractBroken(Event):
    """An answer (*side* ``output``) or an argument (``input``) breaks *rule*, and *action* follows.

    *flaw* is what is wrong, in words that follow "it"; *rows* is how many rows break it, if there are any.
    """

    side: str
    rule: str
    action: str
    flaw: str
    rows: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class DriftChanged(Event):
    """A *signal*, in a *segment* of the traffic, went from state *before* to *after*.

    Where it has drifted, *effect* is by how much, *since* how many observations ago that began, and *moved*
    names the features or classes that moved most and by how much: ``"income +2.1, age -0.3"``.
    """

    signal: str
    segment: str | None
    before: str
    after: str
    effect: float = 0.0
    since: int = 0
    moved: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class RowsIsolated(Event):
    """Of a batch of *rows*, *bad* ones were told from the others, which took *calls* of the model."""

    rows: int
    bad: int
    calls: int


@dataclass(frozen=True, slots=True, kw_only=True)
class BatchSplit(Event):
    """A batch of *rows*, of this *cost*, did not fit into memory and is cut in halves."""

    rows: int
    cost: float


@dataclass(frozen=True, slots=True, kw_only=True)
class CeilingChanged(Event):
    """No more than *ceiling* is sent at once from here on."""

    ceiling: float


@dataclass(frozen=True, slots=True, kw_only=True)
class NotStored(Event):
    """An answer was served and not put into the cache, because of *reason*."""

    reason: str


Listener = Callable[[Any], object]


class Subscription:
    """One listener; close it, or use it as a context manager, to stop listening."""

    __slots__ = ("_failed", "_listener")

    def __init__(self, listener: Listener) -> None:
        if not callable(listener):
            raise TypeError(
                f"listener must be callable, got {type(listener).__name__}; "
                "pass a function that takes one event"
            )
        self._listener = listener
        self._failed = False

    def deliver(self, event: Event) -> None:
        """Hand *event* over; an exception is logged the first time and swallowed."""
        try:
            self._listener(event)
        except Exception as error:
            if not self._failed:
                self._failed = True
                _logger.error(
                    "an event listener raised %s on %s; its further errors are not logged",
                    type(error).__name__,
                    type(event).__name__,
                )

    def close(self) -> None:
        """Stop listening; closing twice is harmless."""
        global _subscriptions
        with _lock:
            _subscriptions = tuple(s for s in _subscriptions if s is not self)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


_lock = ForkSafeLock()
_subscriptions: tuple[Subscription, ...] = ()


def subscribe(listener: Listener) -> Subscription:
    """Call *listener* with every event of every policy in this process.

    >>> seen = []
    >>> with subscribe(seen.append):
    ...     pass
    """
    global _subscriptions
    subscription = Subscription(listener)
    with _lock:
        _subscriptions = (*_subscriptions, subscription)
    return subscription


def subscriptions() -> tuple[Subscription, ...]:
    """The process-wide listeners of this moment."""
    return _subscriptions


def log_to(logger: logging.Logger, level: int = logging.WARNING) -> Subscription:
    """Write one line to *logger* for every event, until the subscription is closed."""

    def write(event: Event) -> None:
        logger.log(level, "%s", event)

    return subscribe(write)
