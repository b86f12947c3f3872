"""Clients on threads, for models that block: each serves one request at a time, as a worker of a server does.

One idle client waits for the next request to arrive, the others stand behind it in line. A client that starts
on a request while nobody else is idle brings in another, up to the workload's number; when all are busy,
requests wait, and their wait counts. A client that is still at a request after the callers' patience is given
up on: its request is hung, and another client takes its place.
"""

from __future__ import annotations

import contextvars
import threading
import time
from collections.abc import Callable
from typing import Any

from .._colour import Colour
from .asking import Asked, ask
from .replies import Reply
from .tickets import CURRENT, Ticket
from .workload import Traffic


class ClientThreads:
    """Serves *traffic* with clients on threads.

    Args:
        fn: What they call: a plain function or a generator function.
        colour: Which of them.
        traffic: What they ask for.
        patience: How long a caller waits for one request once it is sent, in seconds.
        tickets: One for each request.
        settled: Called after each request, with its reply.
    """

    def __init__(
        self,
        fn: Callable[..., Any],
        colour: Colour,
        traffic: Traffic,
        *,
        patience: float,
        tickets: list[Ticket],
        settled: Callable[[Reply], object],
    ) -> None:
        self._fn = fn
        self._colour = colour
        self._traffic = traffic
        self._patience = patience
        self._tickets = tickets
        self._settled = settled
        self._numbers = iter(range(len(traffic.requests)))
        self._door = threading.Lock()  # held by the client that waits for the next arrival
        self._lock = threading.Lock()
        self._idle = 0
        self._clients = 0
        self._left = len(traffic.requests)
        self._in_flight: dict[int, float] = {}  # in the order of their start
        self._all_settled = threading.Event()
        self._stopped = False
        self._error: BaseException | None = None
        self.replies: list[Reply] = [
            Reply(number, request, 0.0) for number, request in enumerate(traffic.requests)
        ]
        self.began: float = 0.0

    def run(self) -> list[Reply]:
        """Serve everything; returns once each request has its reply.

        Raises:
            BaseException: What went wrong in the evaluation itself, or an interrupt of the user's.
        """
        self.began = time.monotonic()
        try:
            for _ in range(1 if self._traffic.arrives is not None else self._traffic.clients):
                self._hire()
            while not self._all_settled.wait(self._give_up_on_the_slow()):
                pass
        finally:
            self._stopped = True
        if self._error is not None:
            raise self._error
        return self.replies

    def _hire(self) -> None:
        """Another client, in a context of its own."""
        self._clients += 1
        self._idle += 1
        run = contextvars.copy_context().run
        threading.Thread(target=run, args=(self._client,), daemon=True, name="evaluation client").start()

    def _client(self) -> None:
        try:
            while (number := self._next()) is not None:
                if not self._serve(number):
                    return
                if self._traffic.think:
                    time.sleep(self._traffic.think)
        except BaseException as error:  # noqa: BLE001 -- raised where the user waits
            self._error = error
            self._all_settled.set()

    def _next(self) -> int | None:
        """Wait in line, then for the next request to arrive; None when there is none."""
        with self._door:
            number = None if self._stopped else next(self._numbers, None)
            if number is None:
                return None
            arrives = self._traffic.arrives
            now = time.monotonic()
            if arrives is not None:
                due = self.began + arrives[number]
                if due > now:
                    time.sleep(due - now)
                now = time.monotonic()
            reply = self.replies[number]
            reply.arrived = now - self.began if arrives is None else arrives[number]
            reply.started = now - self.began
            with self._lock:
                self._in_flight[number] = now
                self._idle -= 1
                if arrives is not None and not self._idle and self._clients < self._traffic.clients:
                    self._hire()
            return number

    def _serve(self, number: int) -> bool:
        """Send one request; False when the caller has given up meanwhile."""
        CURRENT.set(self._tickets[number])
        asked = ask(self._fn, self._colour, self._traffic.requests[number], time.monotonic)
        ended = time.monotonic()
        with self._lock:
            self._idle += 1
            if self._in_flight.pop(number, None) is None:
                return False
        self._settle(number, asked, ended)
        return True

    def _settle(self, number: int, asked: Asked, ended: float) -> None:
        reply = self.replies[number]
        settle(reply, asked, ended - self.began, self.began)
        self._settled(reply)
        with self._lock:
            self._left -= 1
            if not self._left:
                self._all_settled.set()

    def _give_up_on_the_slow(self) -> float:
        """Give up on requests that have taken too long; the seconds until the next one may have."""
        now = time.monotonic()
        for number, started in list(self._in_flight.items()):
            # As the wait below reckons: `now - started` may round to just below the patience for ever.
            if started + self._patience <= now:
                self._give_up(number, now)
        return min(self._in_flight.copy().values(), default=now) + self._patience - now

    def _give_up(self, number: int, now: float) -> None:
        with self._lock:
            if self._in_flight.pop(number, None) is None:
                return  # it was answered this very moment
            self._clients -= 1
            if self._traffic.arrives is None or not self._idle:
                self._hire()
        self._settle(number, Asked(), now)


def settle(reply: Reply, asked: Asked, ended: float, began: float) -> None:
    """Write down in *reply* what *asked* has brought by *ended*, in seconds from *began*."""
    reply.ended = ended
    reply.status = asked.status
    reply.kind = asked.kind
    reply.error = asked.error
    reply.answer = asked.answer
    reply.items = asked.items
    if asked.first is not None:
        reply.first = round(asked.first - began - reply.arrived, 9) + 0.0  # never -0.0
