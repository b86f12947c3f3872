"""A group of clients at work: each request is a call through the policies of its process."""

from __future__ import annotations

import contextvars
import random
from typing import Any

from ..._ambient import AMBIENT
from ..._call import NEVER, Call
from ..._derive import Step, bind_suspending
from ..._policy import Policy
from .arrivals import Users
from .book import Book
from .clients import Clients
from .loop import Loop
from .request_tasks import Request

_FEW = 16
"""Up to so many processes have code objects of their own for their policies, which then run faster."""


class _Asked(Request):
    """A request of a client; its row is *number*."""

    __slots__ = ("_crowd", "_user", "number")

    def __init__(self, crowd: Crowd, user: int | None, number: int) -> None:
        self.sends = 0
        self.served_by: str | None = None
        self.degraded = False
        self.number: int = number
        self._crowd = crowd
        self._user = user

    def ended(self, value: Any, error: Exception | None) -> None:
        """The answer, or the error, has come out of the policies."""
        self._crowd.settle(self, self._user, error)


class Crowd:
    """One group in one simulation.

    Args:
        clients: Its description.
        group: Its number.
        loop: The loop.
        book: Where its requests are written down.
        kind: The kind of its calls; what they wait for has the leaf too.
        seed: Of the simulation.
        seconds: For how long requests come.
    """

    def __init__(
        self,
        clients: Clients,
        group: int,
        loop: Loop,
        book: Book,
        kind: type[Call],
        *,
        seed: int,
        seconds: float,
    ) -> None:
        self._clients = clients
        self._target = clients.target
        self._group = group
        self._loop = loop
        self._book = book
        self._kind = kind
        self._seconds = seconds
        self._steps = [self._bound(policies) for policies in clients.guards()]
        self._numbered = clients.args if callable(clients.args) else None
        self._args = () if callable(clients.args) else clients.args
        self._kwargs = dict(clients.kwargs)
        self._allowance = NEVER if clients.deadline is None else clients.deadline
        self._context = contextvars.copy_context()
        self._context.run(AMBIENT.set, NEVER)  # a deadline around the simulation is in another time
        self._open: dict[int, _Asked] = {}
        self._asked = 0
        self._uniform = random.Random(f"{seed}:{group}:arrivals").random
        if isinstance(clients.load, Users):
            self._think = clients.load.thoughts(self._uniform)
        else:
            self._instants = clients.load.instants(self._uniform)

    def _bound(self, policies: tuple[Policy, ...]) -> Step:
        step: Step = self._kind.runtime.leaf  # type: ignore[attr-defined]  # the simulation's own runtime
        for policy in reversed(policies):
            step = bind_suspending(policy, step, copied=self._clients.processes <= _FEW)
        return step

    def open(self) -> None:
        """Let the first requests come."""
        load = self._clients.load
        if isinstance(load, Users):
            # Somewhere in their first thought, so that they do not all ask at once.
            for user in range(load.count):
                self._think_on(user, self._uniform())
        else:
            self._await_next()

    def _think_on(self, user: int, share: float = 1.0) -> None:
        when = self._loop.now + share * self._think()
        if when < self._seconds:
            self._loop.at(when, self._ask, user)

    def _await_next(self) -> None:
        when = next(self._instants, NEVER)
        if when < self._seconds:
            self._loop.at(when, self._come, when)

    def _come(self, when: float) -> None:
        self._await_next()
        self._ask(None)

    def _ask(self, user: int | None) -> None:
        """Send a request on its way: of a user, or of nobody in particular."""
        now = self._loop.now
        asked = self._asked
        self._asked += 1
        args = self._args if self._numbered is None else self._numbered(asked)
        number = self._book.begin(now, self._group)
        request = self._open[number] = _Asked(self, user, number)
        call = self._kind()
        call.fn = self._target
        call.args = args
        call.kwargs = self._kwargs
        call.deadline = now + self._allowance
        call.limit = None
        call.threads = None
        call.attempt = 1
        call.orphans = ()
        call.record = request  # type: ignore[assignment]  # a slot here; policies write two attributes
        step = self._steps[(asked if user is None else user) % len(self._steps)]
        request.begin(step(call), self._context.copy())

    def settle(self, request: _Asked, user: int | None, error: Exception | None) -> None:
        """*request* has ended."""
        del self._open[request.number]
        loop = self._loop
        self._book.end(request.number, loop.now, error, request.sends, degraded=request.degraded)
        if user is not None:
            self._think_on(user)
        if loop.now >= self._seconds and not self._book.open:
            loop.stopped = True

    def close(self) -> None:
        """Unwind the requests that are left."""
        for request in list(self._open.values()):
            self._book.hung(request.number, request.sends)
            request.close()
