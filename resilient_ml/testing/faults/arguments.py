"""Faults of the inputs: whatever spoils an answer can spoil an argument."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

from ... import _checks
from .case import Case
from .fault import Arguments, OnAnswer, OnArguments
from .when import When


def place_of(argument: Any) -> int | str:
    """Which argument, as a position or a name."""
    if isinstance(argument, str):
        return argument
    return _checks.whole("argument", argument, at_least=0, remedy="pass its position, from 0, or its name")


def find(args: tuple[Any, ...], kwargs: dict[str, Any], argument: int | str, what: str) -> Any:
    """An argument of a call; a TypeError where it was not given."""
    if isinstance(argument, str):
        if argument in kwargs:
            return kwargs[argument]
    elif argument < len(args):
        return args[argument]
    given = [*map(str, range(len(args))), *kwargs]
    raise TypeError(
        f"{what} looks at argument {argument!r}, and the call has {', '.join(given) or 'none'}; "
        "say argument=, a position from 0 or the name that callers use"
    )


@dataclass(frozen=True, repr=False)
class _OnInput(OnArguments):
    fault: OnAnswer
    argument: int | str = 0

    def title(self) -> str:
        place = "" if self.argument == 0 else f", argument={self.argument!r}"
        return f"on_input({self.fault.title()}{place})"

    def arguments(self, case: Case, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Arguments:
        given = find(args, kwargs, self.argument, self.title())
        spoiled = self.fault.answer(case, given)
        if spoiled is given:
            return args, kwargs
        if isinstance(self.argument, str):
            return args, {**kwargs, self.argument: spoiled}
        return (*args[: self.argument], spoiled, *args[self.argument + 1 :]), kwargs


def on_input(fault: OnAnswer, *, argument: int | str = 0) -> OnArguments:
    """The callable is given a spoiled argument; the caller's own object stays as it is.

    Args:
        fault: What would spoil an answer: ``drift(shift=3.0)``, ``nan(share=0.1)``, ``wrong_shape()``.
            When it would strike, this does.
        argument: Which argument: its position, from 0, or its name.

    >>> from resilient_ml.testing import faults
    >>> faults.inject(sum, faults.on_input(faults.drift(shift=1.0)))([1, 2, 3])
    9.0
    """
    if not isinstance(fault, OnAnswer):
        raise TypeError(
            f"fault must be one that changes answers, got {_checks.shown(fault)}; "
            "pass faults.drift(shift=1.0), say"
        )
    if type(fault).watch is not OnAnswer.watch:
        raise TypeError(
            f"{fault.title()} replays answers, and has none of inputs; put it around the callable"
        )
    return _OnInput(replace(fault, when=When()), place_of(argument), called="on_input", when=fault.when)
