"""Tickets: which request the running code belongs to, wherever it runs.

A client takes a ticket for each request and carries it in a context variable. The model, the faults and the
policies' events find it there, on whichever thread or task they are: that is how calls of the model are
counted for each request, how the same faults strike the same request in every configuration, and how a
degraded answer is known.
"""

from __future__ import annotations

from contextvars import ContextVar
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from .watching import Watch


class Ticket:
    """One request of one run.

    Attributes:
        number: Which request it is.
        watch: Who listens to the events of this run.
        attempts: How many calls of the model were made for it so far.
        degraded: Whether a fallback has answered it.
    """

    __slots__ = ("attempts", "degraded", "number", "watch")

    def __init__(self, number: int, watch: Watch) -> None:
        self.number: int = number
        self.watch: Watch = watch
        self.attempts: int = 0
        self.degraded: bool = False


CURRENT: ContextVar[Ticket | None] = ContextVar("resilient_ml_request", default=None)
"""The request that the current thread or task works for."""


def draw_key() -> int | None:
    """What the draws of faults are keyed by: the request and its attempt; None where no request is known.

    So the first attempt of a request meets the same luck in every configuration, and so does its second.
    """
    ticket = CURRENT.get()
    # An attempt is counted before it meets its faults, so from 1; none comes near 2 ** 20.
    return None if ticket is None else (ticket.number << 20) + ticket.attempts
