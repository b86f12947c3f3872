"""Kinds of failure: what each means for retry, fallback, breaker and budget, and how errors map to them."""

from __future__ import annotations

import inspect
import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from functools import partial
from types import MappingProxyType, TracebackType
from typing import Any, Self, overload

from ._classifier import classify, read
from ._forks import ForkSafeLock

__all__ = ["TREATMENTS", "Kind", "Registration", "Treatment", "kind_of", "register_kind"]

_log = logging.getLogger("resilient_ml")


class Kind(StrEnum):
    """What went wrong with a call, in the terms that decide what to do next.

    Our own refusals map to ``OVERLOAD``, ``RATE_LIMITED`` and ``BUDGET``, for a fallback to choose by.
    They never reached the model: whoever judges its health sets ``Rejected`` aside before asking for a kind.

    >>> Kind.OOM.treatment.retry_here
    False
    """

    CONNECTION = "connection"
    """The line failed: refused, reset, DNS, TLS, a stream cut off."""
    TIMEOUT = "timeout"
    """The model, or a limit that a policy set for it, ran out of time."""
    STALL = "stall"
    """A stream stopped emitting."""
    OVERLOAD = "overload"
    """No capacity now: 503, 529, a lock contended, a pool or queue full."""
    RATE_LIMITED = "rate_limited"
    """Too many calls in the window; often with a retry-after."""
    SERVER = "server"
    """The model's side failed by its own account: 500, 502, gRPC's INTERNAL."""
    OOM = "oom"
    """This input did not fit into memory."""
    CRASH = "crash"
    """The process or device that ran the model is gone or unusable."""
    INVALID_OUTPUT = "invalid_output"
    """An answer came that may not be served."""
    TRUNCATED = "truncated"
    """An answer came without its end."""
    BAD_INPUT = "bad_input"
    """The input is wrong wherever it is sent."""
    CONTEXT_TOO_LONG = "context_too_long"
    """The input is too large for this model."""
    CONTENT_POLICY = "content_policy"
    """The input or the answer was refused for what it says."""
    AUTH = "auth"
    """Not offered to us here: credentials, permissions, certificates, an unknown path or model (404)."""
    BUDGET = "budget"
    """The money, tokens or quota are spent; waiting seconds will not help."""
    DEADLINE = "deadline"
    """The caller's own time ran out."""
    UNKNOWN = "unknown"
    """Nothing tells."""

    @property
    def treatment(self) -> Treatment:
        """What policies do with this kind by default."""
        return TREATMENTS[self]


@dataclass(frozen=True, slots=True)
class Treatment:
    """What policies do with a kind, unless told otherwise.

    Attributes:
        retry_here: Another attempt at the same target, with the same input, may succeed.
        try_elsewhere: Another target, or a ready value, may answer.
        counts_against_model: The failure is evidence about the model's health.
        counts_against_budget: A retry that follows it is paid for from the retry budget.
    """

    retry_here: bool
    try_elsewhere: bool
    counts_against_model: bool
    counts_against_budget: bool


# Every retry is a further call on the target, so each is paid for, also one that a user asks for against the
# default: that holds amplification at 1 + ratio. A passed deadline leaves no time for a retry to pay for.
_TRANSIENT = Treatment(True, True, True, True)
_LOST_HERE = Treatment(False, True, False, True)
_LOST_ANYWHERE = Treatment(False, False, False, True)

TREATMENTS: Mapping[Kind, Treatment] = MappingProxyType(
    {
        Kind.CONNECTION: _TRANSIENT,
        Kind.TIMEOUT: _TRANSIENT,
        Kind.STALL: _TRANSIENT,
        Kind.OVERLOAD: _TRANSIENT,
        # The model may be well, but it does not serve us: a breaker open until the retry-after is the remedy.
        Kind.RATE_LIMITED: _TRANSIENT,
        Kind.SERVER: _TRANSIENT,
        # The same input would not fit a second time; a smaller model or another machine may hold it.
        Kind.OOM: Treatment(False, True, True, True),
        # Calls that merely shared the worker fall with the one that killed it; a fresh worker serves them.
        Kind.CRASH: _TRANSIENT,
        # Models that sample may do better the next time; for the others attempts are few and budgeted.
        Kind.INVALID_OUTPUT: _TRANSIENT,
        Kind.TRUNCATED: _TRANSIENT,
        Kind.BAD_INPUT: _LOST_ANYWHERE,
        Kind.CONTEXT_TOO_LONG: _LOST_HERE,
        # Shopping around for a model that does not mind is for the user to decide.
        Kind.CONTENT_POLICY: _LOST_ANYWHERE,
        Kind.AUTH: _LOST_HERE,
        Kind.BUDGET: _LOST_HERE,
        # Time is up for another model, but a ready value still answers.
        Kind.DEADLINE: Treatment(False, True, False, False),
        # Predict calls can be replayed, and a failure that nobody explains must not go unguarded.
        Kind.UNKNOWN: _TRANSIENT,
    }
)


class Registration:
    """A rule in force, until it is closed; also a context manager that closes it."""

    __slots__ = ("_kind", "_match", "_warned")

    def __init__(
        self, match: Callable[[BaseException], Kind | None] | type[BaseException], kind: Kind | None
    ) -> None:
        self._match = match
        self._kind = kind
        self._warned = False

    def close(self) -> None:
        """Take the rule back; a second time does nothing."""
        global _rules
        with _lock:
            _rules = tuple(rule for rule in _rules if rule is not self)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _answer(self, error: BaseException) -> Kind | None:
        match = self._match
        try:
            if self._kind is not None:
                return self._kind if issubclass(type(error), match) else None  # type: ignore[arg-type]
            answer = match(error)
        except Exception as broken:  # noqa: BLE001 -- a rule that fails must not hide the failure it is about
            self._warn(f"raised {type(broken).__name__}")
            return None
        if answer is None or type(answer) is Kind:
            return answer
        self._warn(f"returned {type(answer).__name__}, neither a Kind nor None")
        return None

    def _warn(self, what: str) -> None:
        if not self._warned:
            self._warned = True
            name = read(self._match, "__qualname__") or type(self._match).__name__
            _log.warning("kind rule %s %s: taken as no answer, and not reported again", name, what)


_lock = ForkSafeLock()
_rules: tuple[Registration, ...] = ()  # newest first; replaced whole, so readers need no lock


def kind_of(error: BaseException) -> Kind:
    """Return what kind of failure *error* stands for; never raises.

    Registered rules come first, then the class, status, codes and headline of the error, then its causes:
    ``__cause__``, else ``__context__`` unless suppressed, 8 links at most. Of an exception group, the worst
    leaf speaks: a kind that counts against a model before one that does not.

    Interrupts, exits and cancellations are ``UNKNOWN``: they are no failures, and no policy asks about them.

    >>> kind_of(ConnectionResetError())
    <Kind.CONNECTION: 'connection'>
    >>> kind_of(RuntimeError("CUDA out of memory. Tried to allocate 2.00 GiB"))
    <Kind.OOM: 'oom'>
    """
    rules = _rules
    return _BY_VALUE[classify(error, partial(_ask, rules) if rules else None)]


_BY_VALUE: Mapping[str, Kind] = {kind.value: kind for kind in Kind}


def _ask(rules: tuple[Registration, ...], error: BaseException) -> Kind | None:
    for rule in rules:
        answer = rule._answer(error)
        if answer is not None:
            return answer
    return None


@overload
def register_kind(match: type[BaseException], kind: Kind) -> Registration: ...
@overload
def register_kind(match: Callable[[BaseException], Kind | None]) -> Registration: ...
def register_kind(
    match: type[BaseException] | Callable[[BaseException], Kind | None], kind: Kind | None = None
) -> Registration:
    """Teach :func:`kind_of` about your own errors; the newest rule is asked first, before the built-in ones.

    Args:
        match: An exception class, its subclasses included; or a function that is given each error of a chain
            and returns its kind, or None to leave it to the other rules. It should be quick, as it runs on
            every failure. One that raises counts as no answer and is logged once.
        kind: The kind of that class; left out for a function.

    Returns:
        A handle: ``close()`` takes the rule back, and so does the end of a ``with`` block.

    Raises:
        TypeError: *match* is neither, or *kind* does not go with it.

    >>> class ModelUnloaded(Exception): ...
    >>> with register_kind(ModelUnloaded, Kind.OVERLOAD):
    ...     kind_of(ModelUnloaded())
    <Kind.OVERLOAD: 'overload'>
    """
    global _rules
    _check(match, kind)
    rule = Registration(match, kind)
    with _lock:
        _rules = (rule, *_rules)
    return rule


def _check(match: Any, kind: object) -> None:
    if isinstance(match, type):
        if not issubclass(match, BaseException):
            raise TypeError(
                f"match must be an exception class or a function, got class {match.__name__}; "
                "pass the class of the error that is raised"
            )
        if not isinstance(kind, Kind):
            raise TypeError(
                f"kind must be a Kind for exception class {match.__name__}, got {type(kind).__name__}; "
                f"write register_kind({match.__name__}, Kind.SERVER), or Kind('server') for text"
            )
        return
    if not callable(match):
        raise TypeError(
            f"match must be an exception class or a function, got {type(match).__name__}; "
            "for several classes register each"
        )
    if inspect.iscoroutinefunction(match):
        raise TypeError(
            f"match must be a plain function, got coroutine function {match.__name__}; "
            "errors are classified without waiting, so write it with def"
        )
    if kind is not None:
        raise TypeError(
            f"kind must be left out for a function, got {type(kind).__name__}; "
            "a function returns the Kind itself, or None to leave the error to the other rules"
        )
