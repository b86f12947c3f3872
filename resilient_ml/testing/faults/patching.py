"""Puts faults around an attribute, whoever uses it, and puts everything back exactly as it was."""

from __future__ import annotations

import contextlib
import difflib
import functools
import importlib
import inspect
from collections.abc import Callable, Iterator
from typing import Any

from ... import _checks
from ..._colour import Colour
from .plan import FaultPlan


@contextlib.contextmanager
def patched(
    plan: FaultPlan, *targets: str | tuple[object, str], colour: Colour | None = None
) -> Iterator[FaultPlan]:
    """In this block the attributes *targets* have the faults of *plan*.

    Whoever looks a target up meets them; who has it under another name, by ``from module import function``,
    does not: patch it where it is used.

    Args:
        plan: The faults.
        targets: ``"package.module.function"``, ``"package.module.Class.method"`` (a staticmethod and a
            classmethod stay what they are), or ``(object, "name")``.
        colour: Says what the targets are where inspection cannot see it.

    Raises:
        ImportError: There is no such module.
        AttributeError: There is no such attribute.
        TypeError: It cannot be called.

    >>> import json
    >>> from resilient_ml.testing import faults
    >>> with faults.patched(faults.FaultPlan(faults.error(ConnectionError)), "json.dumps"):
    ...     json.dumps([])
    Traceback (most recent call last):
    ConnectionError
    >>> json.dumps([])
    '[]'
    """
    if not isinstance(plan, FaultPlan):
        raise TypeError(f"plan must be a FaultPlan, got {_checks.shown(plan)}; pass FaultPlan(faults.hang())")
    with contextlib.ExitStack() as undo:
        for target in targets:
            owner, name, told = _found(target)
            struck = _struck(plan, owner, name, told, colour)
            undo.callback(_put(owner, name, told, struck))
        yield plan


def _found(target: str | tuple[object, str]) -> tuple[Any, str, str]:
    """Who has the attribute, its name, and what to call it in the history."""
    if isinstance(target, str):
        path, _, name = target.rpartition(".")
        if not path:
            raise ValueError(f"target must have a dot, got {target!r}; write 'package.module.function'")
        return _owner(path), name, target
    given: Any = target
    if not isinstance(given, tuple) or len(given) != 2 or not isinstance(given[1], str):
        raise TypeError(
            f"target must be a path or (object, name), got {_checks.shown(target)}; write "
            "'package.module.function', or (model, 'predict')"
        )
    owner, name = target
    named = (
        getattr(owner, "__qualname__", None) or getattr(owner, "__name__", None) or type(owner).__qualname__
    )
    return owner, name, f"{named}.{name}"


def _owner(path: str) -> Any:
    """The module, or what is in it, at *path*."""
    module, *rest = path.split(".")
    found = importlib.import_module(module)
    for name in rest:
        module = f"{module}.{name}"
        if not hasattr(found, name) and inspect.ismodule(found):
            importlib.import_module(module)
        found = getattr(found, name)
    return found


def _struck(plan: FaultPlan, owner: Any, name: str, told: str, colour: Colour | None) -> Any:
    """The attribute with the faults."""
    try:
        value = inspect.getattr_static(owner, name) if isinstance(owner, type) else getattr(owner, name)
    except AttributeError as error:
        raise AttributeError(
            f"target {told!r}: there is no attribute {name!r}; {_hint(owner, name)}"
        ) from error
    if not isinstance(owner, type):
        return plan.inject(value, name=told, colour=colour)
    if isinstance(value, staticmethod):
        return staticmethod(plan.inject(value.__func__, name=told, colour=colour))
    if isinstance(value, classmethod):
        return classmethod(plan.inject_method(value.__func__, name=told, colour=colour, own=1))
    if _takes_instance(value):
        return plan.inject_method(value, name=told, colour=colour, own=1)
    return staticmethod(plan.inject(value, name=told, colour=colour))


def _takes_instance(value: object) -> bool:
    """Whether an attribute of a class is given the instance first: a partial is not."""
    if isinstance(value, functools.partial):
        return False
    return inspect.isfunction(value) or inspect.ismethoddescriptor(value)


def _hint(owner: Any, name: str) -> str:
    close = difflib.get_close_matches(name, dir(owner), n=1)
    return f"did you mean {close[0]!r}?" if close else "check its spelling"


def _put(owner: Any, name: str, told: str, value: Any) -> Callable[[], None]:
    """Put *value* there; what is given back puts back what was."""
    own = getattr(owner, "__dict__", {})
    if name in own:
        back = functools.partial(setattr, owner, name, own[name])
    elif inspect.isdatadescriptor(inspect.getattr_static(type(owner), name, None)):  # a slot
        back = functools.partial(setattr, owner, name, getattr(owner, name))
    else:  # inherited, or the class's: what is put here only hides it
        back = functools.partial(delattr, owner, name)
    try:
        setattr(owner, name, value)
    except (AttributeError, TypeError) as error:  # slots, and types written in C
        raise type(error)(f"target {told!r}: {error}; patch it where it is looked up, or its class") from None

    return back
