"""Four thin drivers: the course of a call with faults, around a callable of each colour."""

from __future__ import annotations

import functools
import inspect
from collections.abc import AsyncIterator, Callable, Iterator
from typing import TYPE_CHECKING, Any

from ..._colour import Colour, name_of
from .case import Target
from .steps import Give, within_a_fault

if TYPE_CHECKING:
    from .plan import FaultPlan


def injected(plan: FaultPlan, target: Target, fn: Callable[..., Any]) -> Callable[..., Any]:
    """*fn* with the faults of *plan*, a plain function of the colour of *target*."""
    made = _DRIVERS[target.colour](plan, target, fn)
    # A callable object keeps its attributes to itself: copying them would go stale.
    named = isinstance(getattr(fn, "__name__", None), str)
    functools.update_wrapper(
        made,
        fn,
        assigned=functools.WRAPPER_ASSIGNMENTS if named else ("__module__",),
        updated=("__dict__",) if inspect.isroutine(fn) else (),
    )
    if not named:
        made.__name__ = made.__qualname__ = name_of(fn)
        made.__doc__ = fn.func.__doc__ if isinstance(fn, functools.partial) else type(fn).__doc__
    return made


def _call(plan: FaultPlan, target: Target, fn: Callable[..., Any]) -> Callable[..., Any]:
    def call(*args: Any, **kwargs: Any) -> Any:
        if within_a_fault():
            return fn(*args, **kwargs)
        course = plan.begin(target, args, kwargs)
        try:
            for step in course.before():
                step.block(plan.gate)
            value = fn(*course.args, **course.kwargs)
            if inspect.iscoroutine(value) or inspect.isasyncgen(value):
                raise _wrong_colour(target, value)
            return course.answered(value)
        finally:
            course.end()

    return call


def _async_call(plan: FaultPlan, target: Target, fn: Callable[..., Any]) -> Callable[..., Any]:
    async def call(*args: Any, **kwargs: Any) -> Any:
        if within_a_fault():
            return await fn(*args, **kwargs)
        course = plan.begin(target, args, kwargs)
        try:
            for step in course.before():
                await step.wait(plan.gate)
            return course.answered(await fn(*course.args, **course.kwargs))
        finally:
            course.end()

    return call


def _stream(plan: FaultPlan, target: Target, fn: Callable[..., Any]) -> Callable[..., Any]:
    def stream(*args: Any, **kwargs: Any) -> Iterator[Any]:
        course = plan.begin(target, args, kwargs)
        try:
            for step in course.before():
                step.block(plan.gate)
            items = fn(*course.args, **course.kwargs)
            try:
                for item in items:
                    for step in course.passes(item):
                        if isinstance(step, Give):
                            yield step.item
                        else:
                            step.block(plan.gate)
                    if course.over:
                        return
                for step in course.tail():
                    step.block(plan.gate)
            finally:
                close = getattr(items, "close", None)
                if close is not None:
                    close()
        finally:
            course.end()

    return stream


def _async_stream(plan: FaultPlan, target: Target, fn: Callable[..., Any]) -> Callable[..., Any]:
    async def stream(*args: Any, **kwargs: Any) -> AsyncIterator[Any]:
        course = plan.begin(target, args, kwargs)
        try:
            for step in course.before():
                await step.wait(plan.gate)
            items = fn(*course.args, **course.kwargs)
            try:
                async for item in items:
                    for step in course.passes(item):
                        if isinstance(step, Give):
                            yield step.item
                        else:
                            await step.wait(plan.gate)
                    if course.over:
                        return
                for step in course.tail():
                    await step.wait(plan.gate)
            finally:
                close = getattr(items, "aclose", None)
                if close is not None:
                    await close()
        finally:
            course.end()

    return stream


_DRIVERS: dict[Colour, Callable[[FaultPlan, Target, Callable[..., Any]], Callable[..., Any]]] = {
    Colour.CALL: _call,
    Colour.ASYNC_CALL: _async_call,
    Colour.STREAM: _stream,
    Colour.ASYNC_STREAM: _async_stream,
}


def _wrong_colour(target: Target, value: Any) -> TypeError:
    colour = "ASYNC_STREAM"
    if inspect.iscoroutine(value):
        value.close()
        colour = "ASYNC_CALL"
    return TypeError(
        f"{target.name!r} looks like a plain function, and gave {type(value).__name__!r}; "
        f"say inject(..., colour=Colour.{colour})"
    )
