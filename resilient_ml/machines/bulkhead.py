"""A bulkhead's seats: one bound for threads, tasks and event loops together.

The free seats are a ``deque``. Taking one is a ``pop`` and giving it back an ``append``, each a single
uninterruptible step in CPython, so a call that finds a free seat takes no lock.

A call that finds none may queue. From then on seats are handed over under the lock, first come first served:

* whoever gives a seat back while somebody waits hands it to the first in the queue, and wakes that one
  after the lock is released;
* whoever joins the queue looks at the free seats once more, for a seat that was given back between its
  first look and its joining;
* a waiter that leaves, at its deadline or cancelled, is taken out; if a seat had been handed to it in that
  very moment, it learns so and passes it on.
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable

from .._forks import survive_forks

Seats = deque[None]
"""The free seats of one process: after a fork the child begins with new ones, and a call that was
inside across the fork gives its seat back to the old ones, where it does no harm."""


class Ticket:
    """A place in the queue.

    Attributes:
        granted: The seats that one was handed over from, or None while waiting.
    """

    __slots__ = ("granted", "wake")

    def __init__(self, wake: Callable[[], bool]) -> None:
        self.wake: Callable[[], bool] = wake
        self.granted: Seats | None = None


class BulkheadMachine:
    """At most *limit* inside, at most *queue* waiting.

    Args:
        limit: How many seats there are, from 1.
        queue: How many may wait, from 0.

    Attributes:
        waiters: Who waits, the first to be served first; :meth:`hand_over` after giving a seat back to them.
    """

    __slots__ = ("__weakref__", "_lock", "_seats", "limit", "queue", "waiters")

    def __init__(self, limit: int, queue: int) -> None:
        self.limit: int = limit
        self.queue: int = queue
        self._lock = threading.RLock()
        self._seats: Seats = deque([None] * limit)
        self.waiters: deque[Ticket] = deque()
        survive_forks(self)

    @property
    def in_flight(self) -> int:
        """How many seats are taken."""
        return self.limit - len(self._seats)

    @property
    def waiting(self) -> int:
        """How many wait."""
        return len(self.waiters)

    def take(self) -> Seats | None:
        """A free seat, to be given back with :meth:`give`; None when there is none, or others wait for it."""
        seats = self._seats
        if self.waiters:
            return None
        try:
            seats.pop()
        except IndexError:
            return None
        return seats

    def give(self, seats: Seats) -> None:
        """Give a seat back to where it was taken from."""
        seats.append(None)
        if self.waiters:
            self.hand_over()

    def join(self, wake: Callable[[], bool]) -> Ticket | None:
        """A place in the queue, or None when it is full.

        Args:
            wake: Called, with no lock held, once the ticket is granted; False when nobody can be woken
                any more, and the seat must go to the next.
        """
        ticket = Ticket(wake)
        with self._lock:
            if len(self.waiters) >= self.queue:
                return None
            self.waiters.append(ticket)
        self.hand_over()
        return ticket

    def leave(self, ticket: Ticket) -> Seats | None:
        """Leave the queue; what had been granted in the meantime, to be used or given back."""
        with self._lock:
            granted, ticket.granted = ticket.granted, None
            if granted is None and ticket in self.waiters:
                self.waiters.remove(ticket)
            return granted

    def hand_over(self) -> None:
        """Hand free seats to the first in the queue, for as long as there are both."""
        while True:
            with self._lock:
                if not self.waiters:
                    return
                seats = self._seats
                try:
                    seats.pop()
                except IndexError:
                    return
                try:
                    ticket = self.waiters.popleft()
                except IndexError:  # a finalizer or signal handler on this thread came in between
                    seats.append(None)
                    return
                ticket.granted = seats
            if not ticket.wake():
                # Its event loop is gone and will never ask: unless it has left with the seat after all.
                with self._lock:
                    lost, ticket.granted = ticket.granted, None
                if lost is not None:
                    lost.append(None)

    def after_fork(self) -> None:
        """Whoever was inside or waiting is not in this process."""
        self._lock = threading.RLock()
        self._seats = deque([None] * self.limit)
        self.waiters = deque()
