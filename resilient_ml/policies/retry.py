"""Try again, when trying again may help."""

from __future__ import annotations

import itertools
import math
import random
from collections.abc import Callable, Iterator, Mapping
from typing import Any, TypeVar

from .. import _checks
from .._call import Call, Proceed
from .._colour import Target
from .._notes import add_note
from .._policy import Policy
from ..errors import Rejected
from ..events import RetryScheduled, RetryStopped
from ..kinds import Kind, kind_of
from ..machines.backoff import Backoff, Delay
from ..machines.retry_budget import RetryBudget
from ..retry_after import retry_after_of
from ._marks import MARKS, already_retried, mark_retried
from ._matching import ErrorMatch, match_errors

T = TypeVar("T")

Replay = Callable[[tuple[Any, ...], dict[str, Any]], tuple[tuple[Any, ...], dict[str, Any]]]

_DEFAULT = RetryBudget()


class Retry(Policy):
    """Call again after a failure that may pass, at most *attempts* times in all.

    When the attempts end, the last error is raised as it was, with a note that says why they ended.

    It stops early when the error's kind is not transient, when the wait would pass the deadline or the server
    asks for longer than *retry_after_cap*, when the *budget* of retries is spent, when items of a stream have
    been passed on already and no ``Stream(on_interrupt=)`` says how to go on, or when an argument cannot be
    replayed. A failure that an inner Retry has already
    tried again is not tried once more, in this pipeline or in a guarded function that it calls: nested
    retries do not multiply.

    Args:
        attempts: The most calls in all, the first included; at least 1. What outlasts three is seldom a
            blip: it is for a breaker and a fallback.
        on: What to retry: exception types, kinds, or a predicate on the exception. By default the kinds that
            are transient (see :class:`~resilient_ml.Kind`), and no refusal of another policy. Cancellation
            and interrupts are never retried.
        retry_result: Retry while this says True of a result. The last result is returned as it is. Not for
            streams, whose items are passed on before there is a result.
        backoff: How long to wait: :class:`Backoff` (full jitter), :class:`DecorrelatedBackoff`,
            :class:`ConstantBackoff`, or anything with their ``delay``.
        backoff_by_kind: Another back-off for some kinds, ``{"rate_limited": Backoff(1, 60)}``.
        budget: How many retries the traffic earns. By default each Retry has a :class:`RetryBudget` of its
            own; share one between policies that call the same backend, or pass None for no budget.
        replay: Makes the arguments of each further attempt, ``(args, kwargs) -> (args, kwargs)``, for example
            by rewinding a file. Without it, an iterator or open file among them means one attempt.
        retry_after_cap: Wait for a server's retry-after up to this long, in seconds; stop if it is longer,
            with the instant it asked for, on the monotonic clock, as ``retry_at`` on the error.
        rng: Source of randomness with a ``random()`` method, for tests.
        name: How messages call it; by default the name of the function it guards.
        on_event: Called with its :class:`~resilient_ml.events.RetryScheduled` and
            :class:`~resilient_ml.events.RetryStopped` events.

    >>> from resilient_ml import ConstantBackoff
    >>> answers = iter([ConnectionError(), "positive"])
    >>> @Retry(attempts=3, backoff=ConstantBackoff(0))
    ... def classify(text):
    ...     answer = next(answers)
    ...     if isinstance(answer, Exception):
    ...         raise answer
    ...     return answer
    >>> classify("fine")
    'positive'
    """

    role: str = "retry"

    def __init__(
        self,
        attempts: int = 3,
        *,
        on: ErrorMatch | None = None,
        retry_result: Callable[[Any], bool] | None = None,
        backoff: Delay | None = None,
        backoff_by_kind: Mapping[Kind | str, Delay] | None = None,
        budget: RetryBudget | None = _DEFAULT,
        replay: Replay | None = None,
        retry_after_cap: float = 120.0,
        rng: random.Random | None = None,
        name: str | None = None,
        on_event: Callable[[Any], object] | None = None,
    ) -> None:
        super().__init__(name=name, on_event=on_event)
        self.attempts: int = _checks.whole(
            "attempts", attempts, at_least=1, remedy="leave Retry out to call once"
        )
        self._on = match_errors("on", on, transient)
        self._retry_result = (
            None
            if retry_result is None
            else _checks.function("retry_result", retry_result, remedy="pass a function of the result")
        )
        self._backoff = _delay("backoff", Backoff() if backoff is None else backoff)
        self._by_kind = {
            _kind(kind): _delay("backoff_by_kind", one) for kind, one in (backoff_by_kind or {}).items()
        }
        if budget is not None and not isinstance(budget, RetryBudget):
            raise TypeError(
                f"budget must be a RetryBudget or None, got {_checks.shown(budget)}; "
                "pass RetryBudget(ratio=0.2)"
            )
        self.budget: RetryBudget | None = RetryBudget() if budget is _DEFAULT else budget
        self._replay = (
            None
            if replay is None
            else _checks.function("replay", replay, remedy="pass a function of (args, kwargs)")
        )
        self._cap = _checks.seconds(
            "retry_after_cap", retry_after_cap, zero=True, remedy="pass the longest wait to obey, in seconds"
        )
        self._draw = random.random if rng is None else rng.random
        self._firsts: Iterator[int] = itertools.repeat(0) if self.budget is None else self.budget.attempts

    def check(self, target: Target) -> None:
        """A stream has no result to look at before its items have been passed on."""
        if self._retry_result is not None and target.colour.streams:
            raise TypeError(
                f"Retry(retry_result=) cannot guard {target.colour.value} {target.name!r}: its items are "
                "passed on "
                "before there is a result; say what is wrong in them with a Stream, is_valid= or is_final="
            )

    async def around(self, proceed: Proceed[T], call: Call) -> T:
        """Attempt, and wait, and attempt again."""
        next(self._firsts)
        since = MARKS.made
        attempt = 1
        wait = 0.0
        while True:
            try:
                result = await proceed(call)
            except Exception as error:
                again = self._after_error(error, call, attempt, wait, since)
                if again is None and not broke_before(error, call):
                    raise
            else:
                if self._retry_result is None:
                    return result
                again = self._after_result(result, call, attempt, wait)
                if again is None:
                    return result
            # Out of the except block: nothing keeps the failed attempt's traceback alive while we wait.
            if again is None:
                raise call.tape.cut  # type: ignore[union-attr, misc]  # what the recovery began with
            wait = again
            await call.runtime.sleep(wait)
            attempt += 1
            call.attempt = attempt
            if self._replay is not None:
                call.args, call.kwargs = self._replay(call.args, call.kwargs)

    def _after_error(
        self, error: Exception, call: Call, attempt: int, wait: float, since: int
    ) -> float | None:
        """Seconds to wait before the next attempt, or None to let *error* out."""
        kind = kind_of(error)
        if not self._on(error, kind):
            return self._stop(
                error, kind, call, attempt, "what failed is not retried; name it with on= to change that"
            )
        if already_retried(error, since):
            return self._stop(error, kind, call, attempt, "a Retry inside has retried it already")
        return self._next(error, kind, call, attempt, wait)

    def _after_result(self, result: Any, call: Call, attempt: int, wait: float) -> float | None:
        """Seconds to wait before the next attempt, or None to return *result* as it is."""
        if self._retry_result is None or not self._retry_result(result):
            return None
        return self._next(None, Kind.INVALID_OUTPUT, call, attempt, wait)

    def _next(
        self, error: Exception | None, kind: Kind, call: Call, attempt: int, wait: float
    ) -> float | None:
        """The wait, if there may be another attempt."""
        if attempt >= self.attempts:
            return self._stop(error, kind, call, attempt, "no attempts are left")
        if call.emitted and (why := cannot_resume(call)) is not None:
            return self._stop(error, kind, call, attempt, why)
        if self._replay is None and (what := consumed_by_use(call)) is not None:
            return self._stop(
                error, kind, call, attempt, f"{what} cannot be replayed; pass replay= to say how"
            )
        now = call.now()
        asked = None if error is None else retry_after_of(error, self.wall())
        if asked is not None and asked > self._cap:
            reason = f"the server asks for {asked:.0f} s, more than retry_after_cap={self._cap:g}"
            return self._stop(error, kind, call, attempt, reason, retry_at=now + asked)
        delay = asked if asked is not None else self._delay(kind, attempt, wait)
        if now + delay >= call.deadline:
            reason = f"the next attempt would start in {delay:.3g} s, after the deadline"
            return self._stop(
                error, kind, call, attempt, reason, retry_at=None if asked is None else now + asked
            )
        if self.budget is not None and kind.treatment.counts_against_budget and not self.budget.spend(now):
            return self._stop(error, kind, call, attempt, "the retry budget is spent")
        self.emit(RetryScheduled, now, attempt=attempt, kind=kind, delay=delay)
        return delay

    def _delay(self, kind: Kind, attempt: int, wait: float) -> float:
        """What the back-off says, held to a finite number from 0."""
        delay = self._by_kind.get(kind, self._backoff).delay(attempt, self._draw(), wait)
        if not 0 <= delay < math.inf:
            raise ValueError(f"backoff gave a wait of {delay!r} s; a delay must be finite and not negative")
        return delay

    def _stop(
        self,
        error: Exception | None,
        kind: Kind,
        call: Call,
        attempt: int,
        reason: str,
        retry_at: float | None = None,
    ) -> float | None:
        """No further attempt (None): say why, on the error and to whoever listens."""
        if error is not None:
            if attempt > 1 or retry_at is not None:
                mark_retried(error)
            if retry_at is not None:
                vars(error)["retry_at"] = retry_at
            add_note(
                error, f"Retry stopped after attempt {attempt} of {self.attempts} (kind {kind}): {reason}"
            )
        self.emit(RetryStopped, call.now(), attempt=attempt, kind=kind, reason=reason, retry_at=retry_at)
        return None

    def describe(self) -> str:
        """Its numbers in one line."""
        return f"Retry(attempts={self.attempts}, backoff={self._backoff!r}, budget={self.budget!r})"


def cannot_resume(call: Call) -> str | None:
    """Why no attempt may follow what a stream has passed on; None if one may."""
    if call.tape is None:
        return f"{call.emitted} items of the stream were passed on"
    return call.tape.why_not()


def broke_before(error: Exception, call: Call) -> bool:
    """Whether *error* is that of an attempt to go on after the stream had broken, which is what is raised."""
    if call.tape is None:
        return False
    cut = call.tape.original(error)
    if cut is error:
        return False
    mark_retried(cut)
    return True


def transient(error: Exception, kind: Kind) -> bool:
    """What is retried by default: kinds that may pass, and nothing that another policy refused."""
    return kind.treatment.retry_here and not isinstance(error, Rejected)


def consumed_by_use(call: Call) -> str | None:
    """What among the arguments is used up by one attempt: an iterator or an open file; None if nothing is."""
    for position, value in enumerate(call.args):
        if _is_consumable(value):
            return f"argument {position + 1} ({type(value).__name__})"
    for name, value in call.kwargs.items():
        if _is_consumable(value):
            return f"argument {name!r} ({type(value).__name__})"
    return None


def _is_consumable(value: object) -> bool:
    kind = type(value)
    return (
        hasattr(kind, "__next__")
        or hasattr(kind, "__anext__")
        or (hasattr(kind, "read") and hasattr(kind, "seek"))
    )


def _delay(parameter: str, given: Any) -> Delay:
    if not callable(getattr(given, "delay", None)):
        raise TypeError(
            f"{parameter} must have a delay(attempt, draw, previous) method, got {_checks.shown(given)}; "
            "pass Backoff(base=0.1, cap=10), or ConstantBackoff(0.5) for a fixed wait"
        )
    delay: Delay = given
    return delay


def _kind(given: Any) -> Kind:
    try:
        return Kind(given)
    except ValueError:
        raise ValueError(
            f"backoff_by_kind has no kind {_checks.shown(given)}; the kinds are {', '.join(Kind)}"
        ) from None
