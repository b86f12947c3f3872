"""Faults of servers under load: rate limits, and service that slows down as calls pile up."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import partial

from ... import _checks
from .case import Case
from .fault import Before
from .steps import Raise, Sleep, Step
from .vendor_errors import APIStatusError, refusal, retry_headers


@dataclass(slots=True)
class _Counter:
    window: int = -1
    used: int = 0


@dataclass(frozen=True, repr=False)
class _RateLimit(Before):
    calls: int
    per: float

    def due(self, case: Case) -> bool:
        counter = case.remembered(_Counter)
        window = self._window(case)
        with case.plan.lock:
            if window > counter.window:
                counter.window, counter.used = window, 0
            counter.used += 1
            return counter.used > self.calls

    def before(self, case: Case) -> Iterator[Step]:
        left = (self._window(case) + 1) * self.per - case.elapsed
        # Up to the next millisecond, so that who comes back then is in the next window.
        yield Raise(partial(self._refusal, math.ceil(left * 1000) / 1000))

    def _window(self, case: Case) -> int:
        # A billionth is forgiven: sums of floats miss the boundary by less.
        return math.floor(case.elapsed / self.per + 1e-9)

    def _refusal(self, left: float) -> APIStatusError:
        headers = {
            "x-ratelimit-limit-requests": str(self.calls),
            "x-ratelimit-remaining-requests": "0",
            "x-ratelimit-reset-requests": f"{left:g}s",
        }
        message = f"Rate limit reached for requests: limit {self.calls} per {self.per:g} s"
        return refusal(429, "rate_limit_exceeded", message, headers | retry_headers(left))


def rate_limit(calls: int, *, per: float = 1.0) -> Before:
    """The server serves so many calls in each window of time, and answers 429 to the rest.

    As from a server: it has ``status_code``, the header ``retry-after`` and those of ``x-ratelimit``.
    The windows follow one another from the plan's start; all callables of the plan share them.

    Args:
        calls: How many it serves in a window, from 0.
        per: The length of a window, in seconds.

    >>> from resilient_ml.testing import faults, virtual_time
    >>> with virtual_time():
    ...     predict = faults.inject(len, faults.rate_limit(1, per=60))
    ...     predict("rows")
    ...     try:
    ...         predict("rows")
    ...     except Exception as error:
    ...         print(error.status_code, error.response.headers["retry-after"])
    4
    429 60
    """
    most = _checks.whole("calls", calls, at_least=0, remedy="pass how many calls a window serves")
    return _RateLimit(
        most,
        _checks.seconds("per", per, remedy="pass the length of a window in seconds"),
        called="rate_limit",
    )


@dataclass(slots=True)
class _Crowd:
    inside: set[int] = field(default_factory=set)


@dataclass(frozen=True, repr=False)
class _Overload(Before):
    capacity: int
    seconds: float
    refuse_above: int | None = None
    retry_after: float | None = None

    def due(self, case: Case) -> bool:
        crowd = case.remembered(_Crowd)
        with case.plan.lock:
            full = self.refuse_above is not None and len(crowd.inside) >= self.refuse_above
            if not full:
                crowd.inside.add(id(case))
            case.kept = None if full else len(crowd.inside)
        return True

    def before(self, case: Case) -> Iterator[Step]:
        if case.kept is None:
            message = f"The engine is currently overloaded: {self.refuse_above} requests are being served"
            headers = retry_headers(self.retry_after)
            yield Raise(partial(refusal, 503, "service_unavailable", message, headers))
        yield Sleep(self.seconds * max(1.0, case.kept / self.capacity))

    def end(self, case: Case) -> None:
        crowd = case.remembered(_Crowd)
        with case.plan.lock:
            crowd.inside.discard(id(case))


def overload(
    capacity: int, seconds: float, *, refuse_above: int | None = None, retry_after: float | None = None
) -> Before:
    """The service slows down as calls pile up, and refuses some when there are too many.

    A call that finds *n* in flight, itself included, takes ``seconds * max(1, n / capacity)`` longer. All
    callables of the plan share the server.

    Args:
        capacity: How many calls are served at full speed, from 1.
        seconds: How long one takes then, from 0.
        refuse_above: How many are in flight at most; further ones are answered with 503. None for all.
        retry_after: For how many seconds the refusal asks to be left alone.

    Source: the processor-sharing queue of L. Kleinrock, "Queueing Systems", volume 2, 1976, section 4.4, with
    the rate fixed at arrival.
    """
    capacity = _checks.whole(
        "capacity", capacity, at_least=1, remedy="pass how many are served at full speed"
    )
    seconds = _checks.seconds(
        "seconds", seconds, zero=True, remedy="pass how long one call takes at full speed"
    )
    if refuse_above is not None:
        refuse_above = _checks.whole("refuse_above", refuse_above, at_least=0, remedy="None refuses none")
    if retry_after is not None:
        retry_after = _checks.seconds("retry_after", retry_after, zero=True, remedy="None asks for no pause")
    return _Overload(capacity, seconds, refuse_above, retry_after, called="overload")
