"""Events written down as they happen, with assertions that show the whole trace when they fail."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from types import TracebackType
from typing import Any, Self, TypeVar

from .. import _checks
from ..events import Event, subscribe

E = TypeVar("E", bound=Event)

_SHOWN = 50
"""How many events a message shows, from the last back."""


class EventTrace:
    """What the policies of this process told, in order, from the beginning of a block to its end.

    In tests it is the fixture ``events``. Instants are shown in seconds from the beginning.

    >>> from resilient_ml import ConstantBackoff, Fallback, Pipeline, Retry
    >>> from resilient_ml.events import FallbackServed, RetryScheduled
    >>> guard = Pipeline(Fallback("neutral"), Retry(2, backoff=ConstantBackoff(0)), name="classify")
    >>> def broken():
    ...     raise ConnectionError
    >>> with EventTrace() as events:
    ...     answer = guard.call(broken)
    >>> events.expect(RetryScheduled, attempt=1).delay
    0.0
    >>> events.expect_order(RetryScheduled, FallbackServed)
    >>> events.expect_none(RetryScheduled, attempt=2)
    """

    def __init__(self) -> None:
        self._events: list[Event] = []
        self._subscription: Any = None

    def __enter__(self) -> Self:
        self._subscription = subscribe(self._events.append)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._subscription.close()

    # -- reading it -----------------------------------------------------------------------------------------

    def __iter__(self) -> Iterator[Event]:
        return iter(tuple(self._events))

    def __len__(self) -> int:
        return len(self._events)

    def __getitem__(self, index: int) -> Event:
        return self._events[index]

    def of(self, kind: type[E], /, **facts: Any) -> tuple[E, ...]:
        """The events of *kind* whose attributes have the values of *facts*, in order.

        Raises:
            TypeError: Events of *kind* have no such attribute.
        """
        _check_kind(kind, facts)
        return tuple(
            event
            for event in self
            if isinstance(event, kind) and all(getattr(event, name) == value for name, value in facts.items())
        )

    def clear(self) -> None:
        """Forget what has happened so far."""
        self._events.clear()

    # -- asserting on it ------------------------------------------------------------------------------------

    def expect(self, kind: type[E], /, *, times: int | None = None, **facts: Any) -> E:
        """The first event of *kind* with these *facts*; AssertionError, with the trace, if there is none.

        Args:
            kind: The class of the event.
            times: How many there must be; None for at least one.
            facts: Values that its attributes must have.
        """
        __tracebackhide__ = True  # pytest shows the test's own line
        found = self.of(kind, **facts)
        if times is not None:
            _checks.whole("times", times, at_least=1, remedy="expect_none() is for no event at all")
        if not found or (times is not None and len(found) != times):
            wanted = "at least one" if times is None else str(times)
            raise AssertionError(
                f"expected {wanted} of {_described(kind, facts)}, found {len(found)} in {self}"
            )
        return found[0]

    def expect_none(self, kind: type[Event] = Event, /, **facts: Any) -> None:
        """AssertionError, with the trace, if there is an event of *kind* with these *facts*."""
        __tracebackhide__ = True
        found = self.of(kind, **facts)
        if found:
            raise AssertionError(f"expected no {_described(kind, facts)}, found {len(found)} in {self}")

    def expect_order(self, *kinds: type[Event]) -> None:
        """AssertionError, with the trace, unless *kinds* came in this order; others may lie between."""
        __tracebackhide__ = True
        events = iter(self)
        for position, kind in enumerate(kinds, 1):
            _check_kind(kind, {})
            if not any(isinstance(event, kind) for event in events):
                wanted = ", ".join(one.__name__ for one in kinds)
                raise AssertionError(
                    f"expected {wanted} in this order; number {position}, {kind.__name__}, "
                    f"did not come in {self}"
                )

    # -- showing it -----------------------------------------------------------------------------------------

    def lines(self) -> tuple[str, ...]:
        """One line an event, the same in every run that does the same: ``+0.250000 TimedOut ...``."""
        events = tuple(self)
        began = events[0].at if events else 0.0
        return tuple(f"{event.at - began:+.6f} {_shown(event)}" for event in events)

    def __repr__(self) -> str:
        return f"<EventTrace, events: {len(self)}>"

    def __str__(self) -> str:
        lines = self.lines()
        if not lines:
            return "an empty trace"
        left_out = [f"  ... {len(lines) - _SHOWN} earlier ones"] if len(lines) > _SHOWN else []
        return "\n".join(["the trace:", *left_out, *(f"  {line}" for line in lines[-_SHOWN:])])


def _check_kind(kind: Any, facts: dict[str, Any]) -> None:
    if not (isinstance(kind, type) and issubclass(kind, Event)):
        raise TypeError(
            f"kind must be a class of events, got {_checks.shown(kind)}; "
            "pass resilient_ml.events.RetryScheduled, say"
        )
    known = {field.name for field in dataclasses.fields(kind)}
    for name in facts:
        if name not in known:
            raise TypeError(f"{kind.__name__} has no attribute {name!r}; it has {', '.join(sorted(known))}")


def _described(kind: type[Event], facts: dict[str, Any]) -> str:
    return f"{kind.__name__}({', '.join(f'{name}={value!r}' for name, value in facts.items())})"


def _shown(event: Event) -> str:
    facts = ((field.name, getattr(event, field.name)) for field in dataclasses.fields(event))
    told = (f"{name}={_value(value)}" for name, value in facts if name != "at" and value is not None)
    return f"{type(event).__name__} {' '.join(told)}"


def _value(value: Any) -> str:
    if isinstance(value, float):
        return f"{value:.6g}"
    return repr(str(value)) if isinstance(value, str) else repr(value)  # a kind is shown as its word
