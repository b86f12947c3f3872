"""Policies composed around one callable, outermost first.

``Pipeline(A, B)(fn)`` is what ``@A @B def fn`` is: one driver, one ``Call``, one cancel scope.
"""

from __future__ import annotations

import dataclasses
import functools
import inspect
import types
import weakref
from collections.abc import Awaitable, Callable
from typing import Any, ParamSpec, TypeVar, overload

from . import _checks, _order
from ._ambient import AMBIENT
from ._call import Call, call_type, make_call, make_recorded_call
from ._colour import Colour, Target, known_colour, name_of, target_of
from ._derive import Step
from ._drivers import blocking, suspending
from ._drivers.async_streams import guarded_async_stream
from ._drivers.guarded import LEAVES, chain, guarded_async_call, guarded_call, plain_chain
from ._drivers.streams import guarded_stream
from ._outcome import Outcome, Record, Status
from ._policy import Configured, Policy
from ._stream_rules import NO_RULES, StreamRules
from .errors import Rejected
from .kinds import kind_of

F = TypeVar("F", bound=Callable[..., Any])
P = ParamSpec("P")
R = TypeVar("R")

RECORDED = {
    kind: call_type(f"Recorded{kind.__name__}", kind.runtime, kind.now, ("record",), kind)
    for kind in (blocking.PlainCall, blocking.CoroutineCall, suspending.AsyncCall)
}
"""The kinds of call that hold a record of their attempts, by those that do not."""

_GUARD = "__resilient_ml__"
"""Where a guarded function keeps what it was made of."""


class _Guard:
    """What a guarded function was made of. *made* tells it from a wrapper that copied its attributes."""

    __slots__ = ("fn", "made", "pipeline")

    def __init__(self, pipeline: Pipeline, fn: Any, made: Any) -> None:
        self.pipeline = pipeline
        self.fn = fn
        self.made = made


class Pipeline(Configured):
    """Policies around any callable, outermost first.

    Args:
        policies: Outermost first. A pipeline among them stands for its policies.
        name: How the pipeline prints itself, and how its policies are called that have no name of their own.

    Raises:
        TypeError: One of *policies* is no policy.

    Warns:
        PolicyOrderWarning: The order is known to hurt; the text says why.

    >>> from resilient_ml import Bulkhead, Fallback, Timeout
    >>> guard = Pipeline(Fallback("neutral"), Bulkhead(4), Timeout(1.0))
    >>> guard.call(str.upper, "fine")
    'FINE'
    >>> print(guard)
    Pipeline, outermost first:
      1. Fallback(a value of type str)
      2. Bulkhead(4, queue=0)
      3. Timeout(1 s)
    """

    def __init__(self, *policies: Policy | Pipeline, name: str | None = None) -> None:
        flat: list[Policy] = []
        known: set[str] = set()
        for policy in policies:
            if isinstance(policy, Pipeline):
                flat.extend(policy.policies)
                known.update(policy.complaints)
            elif isinstance(policy, Policy):
                flat.append(policy)
            else:
                raise TypeError(
                    f"a Pipeline is made of policies, got {_checks.shown(policy)}; "
                    "make one with Retry(), say, and call the pipeline with the function"
                )
        self.policies: tuple[Policy, ...] = tuple(flat)
        for position, policy in enumerate(flat, 1):
            policy.placed(flat[position:])
        self.name = name
        if name is not None:
            for policy in flat:
                policy.adopt(name)
        self._chains: dict[object, Any] = {}
        self._joined: weakref.WeakKeyDictionary[Pipeline, Pipeline] = weakref.WeakKeyDictionary()
        self.complaints: tuple[str, ...] = tuple(_order.complaints(self.policies))
        for complaint in self.complaints:
            if complaint not in known:  # each once, however many decorators are stacked
                _order.warn(complaint)

    # -- guarding a callable -------------------------------------------------------------------------------

    def __call__(self, fn: F, *, colour: Colour | None = None) -> F:
        """Guard *fn*, keeping its colour, signature and name.

        Args:
            fn: A function, coroutine function, generator or async generator function, method, classmethod,
                staticmethod, partial, builtin or callable object. A function that is guarded already gets
                these policies in front of its own.
            colour: Says what *fn* is where inspection cannot see it, ``Colour.STREAM`` for a client's
                method that returns an iterator of chunks, say.

        Raises:
            TypeError: *fn* cannot be guarded, or not by one of the policies; the text has the remedy.
        """
        guarded: F = self._guard(fn, colour)
        return guarded

    def _guard(self, fn: Any, colour: Colour | None) -> Any:
        if isinstance(fn, classmethod | staticmethod):
            return type(fn)(self._guard(fn.__func__, colour))
        if isinstance(fn, functools.partialmethod):
            return functools.partialmethod(self._guard(fn.func, colour), *fn.args, **fn.keywords)
        inner = guard_of(fn)
        if inner is not None:
            return Pipeline(self, inner.pipeline)._guard(inner.fn, colour)
        target = target_of(fn, colour)
        self._accept(target)
        for policy in self.policies:
            policy.adopt(target.name)
        made = self._make(target)
        # A callable object keeps its attributes to itself: copying them would go stale.
        named = isinstance(getattr(fn, "__name__", None), str)  # a remote method answers to any name at all
        functools.update_wrapper(
            made,
            fn,
            assigned=functools.WRAPPER_ASSIGNMENTS if named else ("__module__",),
            updated=("__dict__",) if inspect.isroutine(fn) else (),
        )
        if not named:
            made.__name__ = made.__qualname__ = target.name
            made.__doc__ = type(fn).__doc__ if not isinstance(fn, functools.partial) else fn.func.__doc__
        setattr(made, _GUARD, _Guard(self, fn, made))
        return made

    def _make(self, target: Target) -> Any:
        match target.colour:
            case Colour.CALL:
                step, new = plain_chain(self.policies, LEAVES[Colour.CALL])
                return guarded_call(target.fn, step, new)
            case Colour.ASYNC_CALL:
                return guarded_async_call(target.fn, chain(self.policies, LEAVES[Colour.ASYNC_CALL]))
            case Colour.STREAM:
                step = chain(self.policies, LEAVES[Colour.STREAM])
                return guarded_stream(target.fn, step, target.name, self._rules(target))
            case _:  # ASYNC_STREAM
                step = chain(self.policies, LEAVES[Colour.ASYNC_STREAM])
                return guarded_async_stream(target.fn, step, self._rules(target))

    def _rules(self, target: Target) -> StreamRules | None:
        """What one of the policies says of the chunks of a stream."""
        said = [policy.stream_rules for policy in self.policies if policy.stream_rules is not None]
        if len(said) > 1:
            raise TypeError(
                f"{len(said)} policies say what the chunks of {target.name!r} mean; keep one Stream in a "
                "pipeline"
            )
        rules = said[0] if said else NO_RULES
        followers = tuple(
            policy.follow for policy in self.policies if type(policy).follow is not Policy.follow
        )
        if followers:
            return dataclasses.replace(rules, followers=followers)
        policies = [one for policy in self.policies for one in (policy, *policy.runs())]
        return rules if said or any(policy.watches_streams for policy in policies) else None

    def _accept(self, target: Target) -> None:
        """Let each policy refuse *target*, and warn about what is inside it."""
        for policy in self.policies:
            policy.check(target)
        if any(policy.role == "retry" for policy in self.policies):
            library = _order.foreign_retry(target.fn)
            if library is not None:
                _order.warn(_order.foreign_complaint(library))

    # -- calling through -----------------------------------------------------------------------------------

    def call(self, fn: Callable[P, R], /, *args: P.args, **kwargs: P.kwargs) -> R:
        """Call a plain function through the policies.

        Raises:
            TypeError: *fn* is not a plain function: await :meth:`acall`, or guard it and iterate.
        """
        step, call = self._plain_call(fn, args, kwargs, None)
        result: R = step(call)
        return result

    @overload
    async def acall(self, fn: Callable[P, Awaitable[R]], /, *args: P.args, **kwargs: P.kwargs) -> R: ...

    @overload
    async def acall(self, fn: Callable[P, R], /, *args: P.args, **kwargs: P.kwargs) -> R: ...

    async def acall(self, fn: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Any:
        """Call a coroutine function through the policies; a plain function runs on a worker thread.

        A caller that is cancelled, or out of time, leaves the thread behind: it runs to its end, keeps its
        seat in a Bulkhead until then, and sees the caller's context variables.

        Raises:
            TypeError: *fn* is a generator function: guard it and iterate.
        """
        step, call = self._async_call(fn, args, kwargs, None)
        return await step(call)

    def outcome(self, fn: Callable[P, R], /, *args: P.args, **kwargs: P.kwargs) -> Outcome[R]:
        """Like :meth:`call`, but returns what happened instead of raising.

        >>> from resilient_ml import Fallback
        >>> def broken(text):
        ...     raise ConnectionError
        >>> out = Pipeline(Fallback("neutral")).outcome(broken, "fine")
        >>> out.value, out.degraded, [attempt.kind.value for attempt in out.attempts]
        ('neutral', True, ['connection'])
        """
        record = Record(blocking.PlainCall.now())
        step, call = self._plain_call(fn, args, kwargs, record)
        try:
            value = step(call)
        except Exception as error:
            return _ended(record, blocking.PlainCall.now(), None, error)
        return _ended(record, blocking.PlainCall.now(), value, None)

    @overload
    async def aoutcome(
        self, fn: Callable[P, Awaitable[R]], /, *args: P.args, **kwargs: P.kwargs
    ) -> Outcome[R]: ...

    @overload
    async def aoutcome(self, fn: Callable[P, R], /, *args: P.args, **kwargs: P.kwargs) -> Outcome[R]: ...

    async def aoutcome(self, fn: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Outcome[Any]:
        """Like :meth:`acall`, but returns what happened instead of raising. Cancellation passes through."""
        record = Record(suspending.AsyncCall.now())
        step, call = self._async_call(fn, args, kwargs, record)
        try:
            value = await step(call)
        except Exception as error:
            return _ended(record, suspending.AsyncCall.now(), None, error)
        return _ended(record, suspending.AsyncCall.now(), value, None)

    def _plain_call(self, fn: Any, args: Any, kwargs: Any, record: Record | None) -> tuple[Step, Call]:
        """What runs *fn* through the policies, and the call to run it with."""
        inner = guard_of(fn)
        if inner is not None:
            return self._around(inner.pipeline)._plain_call(inner.fn, args, kwargs, record)
        colour = known_colour(fn)
        if colour is not Colour.CALL:
            raise TypeError(
                f"call() runs plain functions, and {name_of(fn)!r} is of colour {colour.value!r}; "
                + (
                    "await acall()"
                    if colour is Colour.ASYNC_CALL
                    else "guard it, Pipeline(...)(fn), and iterate"
                )
            )
        key = ("call", record is not None)
        if key not in self._chains:
            self._accept(target_of(fn))
            leaf = blocking.leaf if record is None else blocking.recorded
            self._chains[key] = plain_chain(self.policies, leaf)
        step, new = self._chains[key]
        return step, _make_call(new, fn, args, kwargs, record)

    def _async_call(self, fn: Any, args: Any, kwargs: Any, record: Record | None) -> tuple[Step, Call]:
        """What runs *fn* through the policies when it is awaited, and the call to run it with."""
        inner = guard_of(fn)
        if inner is not None:
            return self._around(inner.pipeline)._async_call(inner.fn, args, kwargs, record)
        colour = known_colour(fn)
        if colour.streams:
            raise TypeError(
                f"acall() runs functions, and {name_of(fn)!r} is of colour {colour.value!r}; "
                "guard it, Pipeline(...)(fn), and iterate"
            )
        key = (colour, record is not None)
        if key not in self._chains:
            # A plain function is awaited here, so the policies see the colour of the await.
            self._accept(target_of(fn, Colour.ASYNC_CALL))
            leaf: Step = suspending.offload if colour is Colour.CALL else suspending.leaf
            self._chains[key] = chain(self.policies, leaf if record is None else suspending.recording(leaf))
        step: Step = self._chains[key]
        return step, _make_call(suspending.AsyncCall, fn, args, kwargs, record)

    def _around(self, inner: Pipeline) -> Pipeline:
        """These policies outside those of *inner*, joined once."""
        joined: Pipeline | None = self._joined.get(inner)
        if joined is None:
            joined = self._joined[inner] = Pipeline(self, inner)
        return joined

    # -- what it looks like --------------------------------------------------------------------------------

    def describe(self) -> str:
        """The policies in order, one a line."""
        title = "Pipeline" if self.name is None else f"Pipeline {self.name!r}"
        lines = [f"  {number}. {policy.describe()}" for number, policy in enumerate(self.policies, 1)]
        return "\n".join([f"{title}, outermost first:", *lines])

    def __str__(self) -> str:
        return self.describe()

    def __repr__(self) -> str:
        return f"Pipeline({', '.join(policy.describe() for policy in self.policies)})"


def _make_call(new: type[Call], fn: Any, args: Any, kwargs: Any, record: Record | None) -> Call:
    if record is None:
        return make_call(new, fn, args, kwargs, AMBIENT.get())
    return make_recorded_call(RECORDED[new], fn, args, kwargs, AMBIENT.get(), record)


def guard_of(fn: Any) -> _Guard | None:
    """What *fn* was made of, if it is a guarded function or a method of one; None otherwise."""
    if isinstance(fn, types.MethodType):
        inner = guard_of(fn.__func__)
        return None if inner is None else _Guard(inner.pipeline, types.MethodType(inner.fn, fn.__self__), fn)
    if isinstance(fn, types.FunctionType):
        guard = fn.__dict__.get(_GUARD)
        if isinstance(guard, _Guard) and guard.made is fn:
            return guard
    return None


def _ended(record: Record, now: float, value: Any, error: Exception | None) -> Outcome[Any]:
    status: Status = "ok"
    if error is not None:
        status = "rejected" if isinstance(error, Rejected) else "failed"
    return Outcome(
        status=status,
        value=value,
        error=error,
        kind=None if error is None else kind_of(error),
        served_by=record.served_by if error is None else None,
        degraded=record.degraded and error is None,
        attempts=tuple(record.attempts),
        seconds=max(0.0, now - record.began),
    )


Policy.compose = lambda policies: Pipeline(*policies)
