"""Workloads: which requests arrive when, drawn once from a seed and served alike by every configuration."""

from __future__ import annotations

import itertools
import math
import random
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from .. import _checks
from .requests import Request, Source

CLIENTS = 64
"""How many requests may be in flight, unless a workload says otherwise: as many as a large pool of
threads."""


@dataclass(frozen=True, slots=True)
class Traffic:
    """A workload, drawn: the requests in order, and when each arrives.

    Attributes:
        requests: In the order of their arrival.
        arrives: Seconds from the start, one for each request, ascending; None in a closed loop, where a
            client sends its next request *think* seconds after its last was answered.
        clients: How many requests may be in flight at once; more wait in line, and their wait counts.
        think: Seconds between an answer and the client's next request; for closed loops.
        seconds: How long the arrivals last; None in a closed loop, where the model's speed decides.
    """

    requests: tuple[Request, ...]
    arrives: tuple[float, ...] | None
    clients: int
    think: float = 0.0
    seconds: float | None = None


class Workload:
    """Which requests arrive when.

    *Open* workloads (:meth:`poisson`, :meth:`constant`, :meth:`at`) come whether or not the model keeps up,
    as the traffic of a service does: a model that stalls finds a queue. *Closed* ones (:meth:`closed`) are
    users who wait for an answer before they ask again.

    >>> workload = Workload.poisson(["a", "b"], rate=10.0, seconds=60.0)
    >>> print(workload)
    Poisson arrivals, 10 a second for 60 s, at most 64 in flight
    >>> traffic = workload.draw(seed=7)
    >>> len(traffic.requests), traffic == workload.draw(seed=7)
    (626, True)
    """

    def __init__(
        self,
        requests: Iterable[Any] | Callable[..., Any],
        arrivals: Callable[[random.Random], Iterator[float]] | None,
        *,
        text: str,
        clients: int,
        seconds: float | None = None,
        count: int | None = None,
        think: float = 0.0,
    ) -> None:
        self._source = Source(requests)
        self._arrivals = arrivals
        self._text = text
        self._seconds = seconds
        self._count = count
        self._think = think
        self.clients: int = _checks.whole(
            "clients", clients, at_least=1, remedy="pass how many requests may be in flight at once"
        )

    @classmethod
    def poisson(
        cls,
        requests: Iterable[Any] | Callable[..., Any],
        *,
        rate: float,
        seconds: float | None = None,
        count: int | None = None,
        clients: int = CLIENTS,
    ) -> Workload:
        """Requests of many callers who do not know of each other: exponential gaps between them.

        Args:
            requests: What the model is called with: an iterable, which starts again when it ends, or a
                function of the request's number. See :func:`~resilient_ml.evaluate.request_of` for the items.
            rate: Requests a second on average, above 0.
            seconds: How long they arrive; above 0. This or *count*.
            count: How many arrive; from 1.
            clients: How many may be in flight at once, from 1; more wait in line.
        """
        rate = _rate(rate)
        seconds, count = _extent(seconds, count)

        def arrivals(rng: random.Random) -> Iterator[float]:
            at = 0.0
            while True:
                at += -math.log1p(-rng.random()) / rate
                yield at

        text = f"Poisson arrivals, {rate:g} a second {_extent_text(seconds, count)}"
        return cls(requests, arrivals, text=text, clients=clients, seconds=seconds, count=count)

    @classmethod
    def constant(
        cls,
        requests: Iterable[Any] | Callable[..., Any],
        *,
        rate: float,
        seconds: float | None = None,
        count: int | None = None,
        clients: int = CLIENTS,
    ) -> Workload:
        """Requests in even steps of ``1 / rate`` seconds; arguments as for :meth:`poisson`.

        >>> Workload.constant("abc".split(), rate=4.0, count=3).draw(seed=0).arrives
        (0.0, 0.25, 0.5)
        """
        rate = _rate(rate)
        seconds, count = _extent(seconds, count)
        text = f"arrivals in even steps, {rate:g} a second {_extent_text(seconds, count)}"

        def arrivals(_: random.Random) -> Iterator[float]:
            return (number / rate for number in itertools.count())

        return cls(requests, arrivals, text=text, clients=clients, seconds=seconds, count=count)

    @classmethod
    def at(
        cls,
        requests: Iterable[Any] | Callable[..., Any],
        times: Sequence[float],
        *,
        clients: int = CLIENTS,
    ) -> Workload:
        """Requests at given instants, such as those of recorded traffic.

        Args:
            requests: As for :meth:`poisson`.
            times: Seconds from the start, ascending, from 0; one for each request.
            clients: As for :meth:`poisson`.

        >>> Workload.at(["a", "b"], [0.0, 1.5]).draw(seed=0).seconds
        1.5
        """
        instants = [
            _checks.seconds("times", instant, zero=True, remedy="pass seconds from the start")
            for instant in times
        ]
        if not instants:
            raise ValueError("times must hold at least one instant, got none; pass when each request arrives")
        if instants != sorted(instants):
            raise ValueError("times must ascend, and one comes before the one before it; sort them")
        return cls(
            requests,
            lambda _: iter(instants),
            text=f"{len(instants)} arrivals as given, over {instants[-1]:g} s",
            clients=clients,
            seconds=instants[-1],
            count=len(instants),
        )

    @classmethod
    def closed(
        cls,
        requests: Iterable[Any] | Callable[..., Any],
        *,
        clients: int,
        count: int,
        think: float = 0.0,
    ) -> Workload:
        """Users who ask, wait for the answer, think, and ask again.

        Args:
            requests: As for :meth:`poisson`.
            clients: How many users there are, from 1.
            count: How many requests they make in all, from 1.
            think: Seconds between an answer and the same user's next request; from 0.

        >>> print(Workload.closed(["a"], clients=4, count=100, think=1.0))
        100 requests of 4 clients that wait for each answer, then 1 s
        """
        count = _checks.whole("count", count, at_least=1, remedy="pass how many requests there are in all")
        think = _checks.seconds("think", think, zero=True, remedy="pass 0 for clients that ask on at once")
        pause = f", then {think:g} s" if think else ""
        text = f"{count} requests of {clients} clients that wait for each answer{pause}"
        return cls(requests, None, text=text, clients=clients, count=count, think=think)

    def draw(self, seed: int) -> Traffic:
        """The traffic of *seed*: the same seed gives the same traffic on every machine."""
        if self._arrivals is None:
            assert self._count is not None
            return Traffic(self._source.take(self._count), None, self.clients, self._think)
        arrives: Iterator[float] = itertools.islice(self._arrivals(random.Random(seed)), self._count)
        if self._count is None:
            limit = self._seconds
            assert limit is not None
            arrives = itertools.takewhile(lambda at: at < limit, arrives)
        instants = tuple(arrives)
        if not instants:
            raise ValueError(f"no request arrives in {self._seconds:g} s; raise the rate or the seconds")
        seconds = instants[-1] if self._seconds is None else self._seconds
        return Traffic(self._source.take(len(instants)), instants, self.clients, seconds=seconds)

    def __str__(self) -> str:
        open_loop = f", at most {self.clients} in flight" if self._arrivals is not None else ""
        return self._text + open_loop


def _rate(rate: float) -> float:
    return _checks.seconds("rate", rate, remedy="pass requests a second")


def _extent(seconds: float | None, count: int | None) -> tuple[float | None, int | None]:
    if (seconds is None) == (count is None):
        given = "neither" if seconds is None else "both"
        raise ValueError(
            f"a workload ends after seconds or after count requests, got {given}; pass one of them"
        )
    if seconds is not None:
        seconds = _checks.seconds("seconds", seconds, remedy="pass how long requests arrive")
    if count is not None:
        count = _checks.whole("count", count, at_least=1, remedy="pass how many requests arrive")
    return seconds, count


def _extent_text(seconds: float | None, count: int | None) -> str:
    return f"for {seconds:g} s" if seconds is not None else f"until {count} have come"
