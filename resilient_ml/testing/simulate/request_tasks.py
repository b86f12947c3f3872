"""A request on its way, and attempts of it that run side by side."""

from __future__ import annotations

import contextvars
from collections.abc import Callable
from typing import Any

from ..._call import Call, with_orphans
from ..._derive import Step
from .loop import Cancelled, Task


class Request(Task):
    """One request of a client on its way, and the record that policies write in.

    Attributes:
        sends: How often a server, or other code in its place, was called for it.
        served_by: The name of the fallback that answered.
        degraded: Whether the answer came from a fallback.
    """

    __slots__ = ("degraded", "sends", "served_by")

    sends: int
    served_by: str | None
    degraded: bool

    def sent(self) -> None:
        """A server was called once more."""
        self.sends += 1


class SimulatedRival(Request):
    """One of several attempts, as a task of its own; what it sends counts as its request's.

    Args:
        step: What to run.
        call: Its call, whose record is the request.
        stops: Whether it can be cancelled; a thread runs to its end.
        running: Where it is kept until it has ended, so that whoever ends the simulation can close it.
    """

    __slots__ = (
        "__weakref__",
        "_error",
        "_owner",
        "_running",
        "_stops",
        "_value",
        "_watchers",
        "call",
        "finished",
    )

    served_by: str | None
    degraded: bool

    def __init__(self, step: Step, call: Call, *, stops: bool, running: dict[SimulatedRival, None]) -> None:
        record: Any = call.record
        self._running = running
        self._owner: Request = record
        self._stops = stops
        self._value: Any = None
        self._error: BaseException | None = None
        self._watchers: list[Callable[[], object]] = []
        self.finished: bool = False
        self.served_by = None
        self.degraded = False
        self.call: Call = call
        own: Any = self
        call.record = own
        running[self] = None
        self.begin(step(call), contextvars.copy_context())

    def sent(self) -> None:
        """A server was called once more, for the request."""
        self._owner.sent()

    def result(self) -> Any:
        """What it came to, or raise that."""
        if self._error is not None:
            raise self._error
        self._owner.served_by = self.served_by
        self._owner.degraded = self.degraded
        return self._value

    def cancel(self) -> None:
        """Cancel it, unless it is on a thread."""
        if self._stops and not self.finished:
            try:
                self.throw(Cancelled())
            except Cancelled as cancelled:
                self._end(None, cancelled)

    def when_arrived(self, callback: Callable[[], object]) -> None:
        """Call *callback* once it has ended; at once if it has."""
        if self.finished:
            callback()
        else:
            self._watchers.append(callback)

    def when_finished(self, callback: Callable[[], object]) -> None:
        """Call *callback* once nothing of it runs any more."""
        self.when_arrived(with_orphans(self.call, callback))

    def ended(self, value: Any, error: Exception | None) -> None:
        """It has returned *value*, or raised *error*."""
        self._end(value, error)

    def _end(self, value: Any, error: BaseException | None) -> None:
        self._value, self._error = value, error
        self.finished = True
        del self._running[self]
        for callback in self._watchers:
            callback()
