"""Answer from somewhere else when the model cannot."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, TypeVar

from .._call import Call, Proceed
from .._colour import Colour, Target, target_of
from .._notes import add_note
from .._policy import Policy
from ..events import FallbackServed
from ..kinds import Kind, kind_of
from ._matching import ErrorMatch, match_errors

T = TypeVar("T")

_SERVED_BY = {
    Colour.CALL: {Colour.CALL},
    Colour.ASYNC_CALL: {Colour.CALL, Colour.ASYNC_CALL},
    Colour.STREAM: {Colour.CALL, Colour.STREAM},
    Colour.ASYNC_STREAM: {Colour.CALL, Colour.ASYNC_CALL, Colour.ASYNC_STREAM},
}
"""Which colours of a fallback can answer for which colour of a function."""


@dataclass(frozen=True, slots=True)
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
        name: How messages call it; by default the name of the function it guards.
        on_event: Called with its :class:`~resilient_ml.events.FallbackServed` events.

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
        name: str | None = None,
        on_event: Callable[[Any], object] | None = None,
    ) -> None:
        super().__init__(name=name, on_event=on_event)
        if not targets:
            raise ValueError(
                "Fallback needs at least one target; pass a value or a callable to answer instead"
            )
        self._steps = tuple(_step(target) for target in targets)
        self._on = match_errors("on", on, lambda _, kind: kind.treatment.try_elsewhere)

    def check(self, target: Target) -> None:
        """Refuse a fallback that cannot answer for *target*'s colour."""
        for step in self._steps:
            if step.target is not None and step.target.colour not in _SERVED_BY[target.colour]:
                raise TypeError(
                    f"Fallback cannot serve {target.colour.value} {target.name!r} from "
                    f"{step.target.colour.value} {step.target.name!r}; pass a target of colour "
                    + " or ".join(sorted(colour.value for colour in _SERVED_BY[target.colour]))
                )

    async def around(self, proceed: Proceed[T], call: Call) -> T:
        """Proceed; if that fails, go down the chain."""
        try:
            return await proceed(call)
        except Exception as error:
            kind = kind_of(error)
            if (call.emitted and not resumable(call)) or not self._on(error, kind):
                raise
            first = error
        try:
            for step in self._steps:
                if call.emitted and not fits(step, call):
                    add_note(first, f"Fallback {step.name!r} cannot go on in the middle of an answer")
                    continue
                if step.target is None:
                    await call.runtime.serve(step.value, call)
                    value: T = step.value
                    return self._served(step, kind, call, value)
                try:
                    result: T = await call.runtime.invoke(step.target, call)
                except Exception as error:
                    add_note(first, f"Fallback {step.name!r} failed too: {type(error).__name__}")
                    if call.emitted and not resumable(call):
                        if cut_of(call, error) is error:
                            raise
                        break
                else:
                    return self._served(step, kind, call, result)
            raise cut_of(call, first)
        finally:
            del first  # the error holds this frame: without this, both would wait for the garbage collector

    def _served(self, step: _Step, kind: Kind, call: Call, result: T) -> T:
        if call.record is not None:
            call.record.served_by = step.name
            call.record.degraded = True
        self.emit(FallbackServed, call.now(), target=step.name, kind=kind)
        return result

    def describe(self) -> str:
        """Who answers, in turn."""
        return f"Fallback({', '.join(step.name for step in self._steps)})"


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
