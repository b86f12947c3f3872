"""The course of one call: which faults strike it, and what each does, in the order of the plan."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from .case import Case
from .fault import Before, Fault, OnAnswer, OnArguments, OnStream
from .steps import End, Give, Step


class Course:
    """What happens to one call. The drivers perform its steps and call the callable.

    Args:
        cases: Every fault of the plan with the call as it sees it.
        own: How many leading arguments are the instance or class of a method.
        args: The caller's arguments.
        kwargs: The caller's keyword arguments.

    Attributes:
        args: What the callable is given.
        kwargs: The keywords it is given.
        over: Whether a stream ends here, though the callable has more.
    """

    __slots__ = ("_acting", "_cases", "_items", "_own", "_picked", "args", "kwargs", "over")

    def __init__(
        self, cases: list[tuple[Fault, Case]], own: int, args: tuple[Any, ...], kwargs: dict[str, Any]
    ) -> None:
        self._cases = cases
        self._own = own
        self._picked: list[tuple[Fault, Case]] = []
        self._acting: list[tuple[Fault, Case]] = []
        self._items = 0
        self.args: tuple[Any, ...] = args
        self.kwargs: dict[str, Any] = kwargs
        self.over: bool = False

    def before(self) -> Iterator[Step]:
        """What happens before the callable is called."""
        self._picked = [(fault, case) for fault, case in self._cases if fault.when.picks(case)]
        self._acting = [(fault, case) for fault, case in self._picked if fault.due(case)]
        for fault, case in self._acting:
            if isinstance(fault, Before) and case.strike():
                yield from fault.before(case)
            elif isinstance(fault, OnArguments):
                own, rest = self.args[: self._own], self.args[self._own :]
                try:
                    args, kwargs = fault.arguments(case, rest, self.kwargs)
                except Exception as error:
                    case.misfit(error)
                    raise
                if (args is not rest or kwargs is not self.kwargs) and case.strike():
                    self.args, self.kwargs = own + args, kwargs

    def answered(self, value: Any) -> Any:
        """The answer that the caller gets for *value*."""
        self._watch(value)
        for fault, case in self._acting:
            if isinstance(fault, OnAnswer):
                value = _changed(fault, case, value)
        return value

    def passes(self, item: Any) -> Iterator[Step]:
        """What happens to an item of a stream."""
        self._watch(item)
        return self._through(item, 0)

    def tail(self) -> Iterator[Step]:
        """What happens when a stream has ended."""
        for fault, case in self._acting:
            if isinstance(fault, OnStream):
                yield from fault.tail(case)

    def end(self) -> None:
        """The call is over."""
        for fault, case in reversed(self._picked):
            fault.end(case)

    def _watch(self, value: Any) -> None:
        for fault, case in self._cases:
            if isinstance(fault, OnAnswer):
                fault.watch(case, self._items, value)
        self._items += 1

    def _through(self, item: Any, position: int) -> Iterator[Step]:
        """An item at the faults from *position* on."""
        for at in range(position, len(self._acting)):
            fault, case = self._acting[at]
            if isinstance(fault, OnAnswer):
                item = _changed(fault, case, item)
            elif isinstance(fault, OnStream):
                case.index += 1
                yield from self._hand_on(fault.item(case, case.index - 1, item), at + 1)
                return
        yield Give(item)

    def _hand_on(self, steps: Iterator[Step], position: int) -> Iterator[Step]:
        for step in steps:
            if isinstance(step, Give):
                yield from self._through(step.item, position)
            elif isinstance(step, End):
                self.over = True
            else:
                yield step
            if self.over:  # by this fault, or by one further on
                return


def _changed(fault: OnAnswer, case: Case, value: Any) -> Any:
    try:
        changed = fault.answer(case, value)
    except Exception as error:
        case.misfit(error)
        raise
    case.index += 1
    return changed if changed is not value and case.strike() else value
