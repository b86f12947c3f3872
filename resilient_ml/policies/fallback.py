"""Answer from somewhere else when the model cannot."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextvars import Token
from dataclasses import dataclass
from typing import Any, Literal, TypeVar, get_args

from .. import _checks
from .._ambient import PANIC
from .._call import Call, Proceed
from .._colour import ANSWERED_BY, Target, target_of
from .._notes import add_note
from .._policy import Policy
from ..errors import Rejected
from ..events import AllTargetsDown, FallbackServed
from ..kinds import Kind, kind_of
from ._matching import ErrorMatch, match_errors

T = TypeVar("T")

AllOut = Literal["fail_fast", "wait", "panic", "least_bad"]

_SHORTEST = 0.001
"""The least that is waited for a target, so that one which is back at once is not asked in a circle."""


@dataclass(frozen=True, slots=True, eq=False)
class _Step:
    """One of the chain: a value that is ready, or a target to call."""

    name: str
    value: Any = None
    target: Target | None = None


class Fallback(Policy):
    """Serve a value, or the answer of another callable, when the call fails.

    The targets are tried in turn, each with the arguments of the call, until one answers.
    When all fail, the first error is raised, with a note for each of the rest.
    :meth:`Pipeline.outcome` tells who answered, and that the answer is degraded.

    By default it acts on every failure that another target may answer, refusals by a breaker or bulkhead
    included; ``bad_input`` and ``content_policy`` are the caller's own and come out. Cancellation always
    passes through.

    A callable that is plain runs on a worker thread for async callers. For a stream, a value or the result of
    a plain callable is emitted as a single item. Once items have been passed on, a target that streams goes
    on as ``Stream(on_interrupt=)`` says; a single item follows only a :class:`Reset`, and without a Stream
    nothing.

    Args:
        targets: Values, or callables of any colour that can answer for the guarded function, first choice
            first. A value is handed out as it is, the same object each time.
        on: What to act on: exception types, kinds, or a predicate on the exception.
        when_all_out: What to do where the guarded function and every target refused the call unseen, and one
            of them at least said for how long. ``"fail_fast"``: raise the first refusal. ``"wait"``: wait for
            the first that is back, and ask all again. ``"panic"``: ask all in turn once more, through their
            open breakers. ``"least_bad"``: ask the one that would be back first, through its open breaker.
            The last two are for calls alone; what an operator has forced open stays so.
        wait_seconds: The longest that ``"wait"`` waits in all; and never to the call's deadline.
        name: How messages call it; by default the name of the function it guards.
        on_event: Called with its :class:`~resilient_ml.events.FallbackServed` and
            :class:`~resilient_ml.events.AllTargetsDown` events.

    >>> @Fallback("neutral")
    ... def classify(text):
    ...     raise ConnectionError
    >>> classify("fine")
    'neutral'
    """

    role: str = "fallback"

    def __init__(
        self,
        *targets: Any,
        on: ErrorMatch | None = None,
        when_all_out: AllOut = "fail_fast",
        wait_seconds: float = 30.0,
        name: str | None = None,
        on_event: Callable[[Any], object] | None = None,
    ) -> None:
        super().__init__(name=name, on_event=on_event)
        if when_all_out not in get_args(AllOut):
            raise ValueError(
                f"when_all_out must be one of {', '.join(map(repr, get_args(AllOut)))}, got "
                f"{_checks.shown(when_all_out)}; 'fail_fast' raises the first refusal"
            )
        self.when_all_out: AllOut = when_all_out
        self.wait_seconds: float = _checks.seconds(
            "wait_seconds", wait_seconds, remedy="pass when_all_out='fail_fast' not to wait"
        )
        if not targets:
            raise ValueError(
                "Fallback needs at least one target; pass a value or a callable to answer instead"
            )
        self._steps = tuple(_step(target) for target in targets)
        self._on = match_errors("on", on, lambda _, kind: kind.treatment.try_elsewhere)

    def check(self, target: Target) -> None:
        """Refuse a fallback that cannot answer for *target*'s colour."""
        if target.colour.streams and self.when_all_out in ("panic", "least_bad"):
            raise TypeError(
                f"Fallback cannot guard {target.colour.value} {target.name!r} with "
                f"when_all_out={self.when_all_out!r}: breakers would stay open to it between two items; "
                "pass 'wait' or 'fail_fast'"
            )
        for step in self._steps:
            if step.target is not None and step.target.colour not in ANSWERED_BY[target.colour]:
                raise TypeError(
                    f"Fallback cannot serve {target.colour.value} {target.name!r} from "
                    f"{step.target.colour.value} {step.target.name!r}; pass a target of colour "
                    + " or ".join(sorted(colour.value for colour in ANSWERED_BY[target.colour]))
                )

    async def around(self, proceed: Proceed[T], call: Call) -> T:
        """Proceed; if that fails, go down the chain; where all are out, do as was said."""
        try:
            return await proceed(call)
        except Exception as error:
            kind = kind_of(error)
            if (call.emitted and not resumable(call)) or not self._on(error, kind):
                raise
            chain = _Chain(self, call, error)
        try:
            while True:
                for step in chain.turns():
                    try:
                        if step is None:
                            return await proceed(call)
                        if step.target is None:
                            await call.runtime.serve(step.value, call)
                            value: T = step.value
                            return self._served(step, kind, call, value)
                        result: T = await call.runtime.invoke(step.target, call)
                    except Exception as error:
                        if chain.broken_by(step, error):
                            raise
                    else:
                        return self._served(step, kind, call, result)
                seconds = chain.again_in()
                if seconds is None:
                    raise cut_of(call, chain.first)
                await call.runtime.sleep(seconds)
        finally:
            chain.end()  # the errors hold this frame: without this, both would wait for the garbage collector

    def _served(self, step: _Step, kind: Kind, call: Call, result: T) -> T:
        call.degraded = True
        if call.record is not None:
            call.record.served_by = step.name
            call.record.degraded = True
        self.emit(FallbackServed, call.now(), target=step.name, kind=kind)
        return result

    def describe(self) -> str:
        """Who answers, in turn."""
        return f"Fallback({', '.join(step.name for step in self._steps)})"


class _Chain:
    """The targets of one call that the model has failed, and what each of them ended in.

    Attributes:
        first: What the guarded function failed with first.
    """

    __slots__ = ("_call", "_fallback", "_only", "_out", "_panic", "_primary", "_since", "first")

    first: Exception

    def __init__(self, fallback: Fallback, call: Call, error: Exception) -> None:
        self._fallback = fallback
        self._call = call
        self._out: dict[_Step | None, float | None] = {}
        self._primary = False
        self._only: tuple[_Step | None, ...] | None = None
        self._panic: Token[bool] | None = None
        self._since = call.now()
        self.first = error
        self._refused(None, error)

    def turns(self) -> Iterator[_Step | None]:
        """Whom to ask, in turn; None stands for the guarded function."""
        call = self._call
        if self._only is not None:
            yield from self._only
            return
        if self._primary:
            self._out.clear()
            yield None
        for step in self._fallback._steps:
            if call.emitted and not fits(step, call):
                add_note(self.first, f"Fallback {step.name!r} cannot go on in the middle of an answer")
                continue
            yield step
            if call.emitted and not resumable(call):
                return

    def broken_by(self, step: _Step | None, error: Exception) -> bool:
        """*step* has failed; whether its error is the one to raise, at once."""
        call = self._call
        self._refused(step, error)
        if step is not None:
            add_note(self.first, f"Fallback {step.name!r} failed too: {type(error).__name__}")
        return bool(call.emitted) and not resumable(call) and cut_of(call, error) is error

    def _refused(self, step: _Step | None, error: Exception) -> None:
        """Note who refused the call unseen, and when it will be back."""
        if isinstance(error, Rejected):
            self._out[step] = error.retry_after

    def again_in(self) -> float | None:
        """Seconds after which to ask again, all or one; None where the call has failed."""
        fallback, call = self._fallback, self._call
        if fallback.when_all_out == "fail_fast" or self._panic is not None:
            return None
        if len(self._out) < 1 + len(fallback._steps):
            return None  # one of them was asked, and failed
        back = {step: seconds for step, seconds in self._out.items() if seconds is not None}
        if not back:
            return None
        now = call.now()
        soonest = min(back, key=lambda step: back[step])
        self._primary = True
        if fallback.when_all_out == "wait":
            until = min(call.deadline, self._since + fallback.wait_seconds)
            if now + back[soonest] >= until:
                return None
            seconds = max(back[soonest], _SHORTEST)
            fallback.emit(AllTargetsDown, now, action="wait", seconds=seconds)
            return seconds
        if fallback.when_all_out == "least_bad":
            self._only = (soonest,)
        self._panic = PANIC.set(True)
        fallback.emit(AllTargetsDown, now, action=fallback.when_all_out)
        return 0.0

    def end(self) -> None:
        """The call is over: nothing is kept."""
        if self._panic is not None:
            PANIC.reset(self._panic)
        del self.first


def resumable(call: Call) -> bool:
    """Whether another attempt may follow what a stream has passed on."""
    return call.tape is not None and call.tape.resumable()


def cut_of(call: Call, error: Exception) -> Exception:
    """What a stream broke with first, where it did in the middle of an answer; else *error*."""
    return error if call.tape is None else call.tape.cut or error


def fits(step: _Step, call: Call) -> bool:
    """Whether a step of the chain can follow what was passed on: one that is whole must begin anew."""
    streams = step.target is not None and step.target.colour.streams
    return streams or (call.tape is not None and call.tape.rules.on_interrupt == "restart")


def _step(given: Any) -> _Step:
    if callable(given):
        target = target_of(given)
        return _Step(target.name, target=target)
    return _Step(f"a value of type {type(given).__name__}", value=given)
