"""Hold calls back at the client while a remote model refuses them."""

from __future__ import annotations

import random
from collections.abc import Callable
from typing import Any, TypeVar

from .. import _checks
from .._call import Call, Proceed
from .._policy import Policy
from ..errors import LimitExceeded, Rejected
from ..events import CallRejected
from ..kinds import Kind, kind_of
from ..machines.throttle import HeldBack, ThrottleMachine
from ._matching import ErrorMatch, match_errors

T = TypeVar("T")

REFUSALS = frozenset({Kind.OVERLOAD, Kind.RATE_LIMITED, Kind.TIMEOUT, Kind.STALL})
"""How a model with too much to do fails: it says so, or it does not answer in time."""


class Throttle(Policy):
    """Send an overloaded model little more than it takes; hold the rest back before it costs anybody.

    A breaker stops all calls; a Throttle stops a share of them, as many as the model refuses beyond one in
    *multiplier*. Nothing is held back from a model that takes its calls, and what still gets through finds
    out at once when it does again. The formula is at the head of ``machines/throttle.py``.

    Put it inside a Retry, so that each attempt is counted, and outside a Timeout, so that it sees time-outs.

    Args:
        multiplier: How many calls are sent for each that the model takes, above 1: 2 keeps the model busy and
            reacts in seconds; 1.1 spares a model for which refusing is dear.
        window_seconds: How far back it looks, in seconds. After an outage all traffic is back within two
            windows, at the default multiplier.
        max_rejection: The largest share that is held back, above 0 and below 1. What is left is the only sign
            that the model is back.
        minimum_calls: So many calls must be in the window before any is held back, from 1.
        refusals: Which errors say that the model has too much to do: exception types, kinds or a predicate;
            by default the kinds ``overload``, ``rate_limited``, ``timeout`` and ``stall``. Other errors count
            as taken.
        rng: Source of randomness with a ``random()`` method, for tests.
        name: How messages call it; by default the name of the function it guards.
        on_event: Called with its :class:`~resilient_ml.events.CallRejected` events.

    Raises:
        LimitExceeded: From the guarded function, when the call is held back.

    >>> throttle = Throttle(minimum_calls=1, max_rejection=0.99, rng=random.Random(1))
    >>> @throttle
    ... def predict(row):
    ...     raise Busy
    >>> class Busy(Exception):
    ...     status_code = 503
    >>> for _ in range(100):
    ...     try: predict(1)
    ...     except (Busy, LimitExceeded): pass
    >>> throttle.rejection
    0.99

    Source: B. Beyer et al., "Site Reliability Engineering", 2016, ch. 21; the cap after Finagle and Envoy.
    """

    role: str = "throttle"

    def __init__(
        self,
        *,
        multiplier: float = 2.0,
        window_seconds: float = 10.0,
        max_rejection: float = 0.9,
        minimum_calls: int = 10,
        refusals: ErrorMatch | None = None,
        rng: random.Random | None = None,
        name: str | None = None,
        on_event: Callable[[Any], object] | None = None,
    ) -> None:
        super().__init__(name=name, on_event=on_event)
        factor = _checks.real(
            "multiplier", multiplier, remedy="pass 2 to send two calls for each that is taken"
        )
        if factor <= 1:
            raise ValueError(
                f"multiplier must be above 1, got {_checks.shown(multiplier)}; at 1 what is held back would "
                "never be sent again"
            )
        most = _checks.share(
            "max_rejection", max_rejection, remedy="pass the largest share to hold back, 0.9 say"
        )
        if most == 1:
            raise ValueError(
                f"max_rejection must be below 1, got {_checks.shown(max_rejection)}; some calls must get "
                "through, or nobody would notice that the model is back"
            )
        seconds = _checks.seconds(
            "window_seconds", window_seconds, remedy="pass how far back to look, 10 say"
        )
        least = _checks.whole("minimum_calls", minimum_calls, at_least=1, remedy="pass 1 to react at once")
        self._seconds = seconds
        self._multiplier = factor
        self._machine = ThrottleMachine(factor, seconds, most, least)
        self._refusals = match_errors("refusals", refusals, lambda _, kind: kind in REFUSALS)
        self._draw = random.random if rng is None else rng.random

    async def around(self, proceed: Proceed[T], call: Call) -> T:
        """Hold back or run, and count."""
        machine = self._machine
        if machine.tight:
            held = machine.admit(call.now(), self._draw())
            if held is not None:
                raise self._refusal(held, call)
        try:
            result = await proceed(call)
        except Exception as error:
            self._failed(error, call)
            raise
        machine.accepted(call.now())
        return result

    def _failed(self, error: Exception, call: Call) -> None:
        if isinstance(error, Rejected):
            return  # it never reached the model
        kind = kind_of(error)
        if self._refusals(error, kind):
            self._machine.refused(call.now())
        elif kind is not Kind.DEADLINE:  # the caller's own time says nothing about the model
            self._machine.accepted(call.now())

    def _refusal(self, held: HeldBack, call: Call) -> LimitExceeded:
        what = (
            f"holds back {held.share:.0%} of the calls, as the model took {held.accepts} of {held.requests} "
            f"in {self._seconds:g} s"
        )
        self.emit(CallRejected, call.now(), reason=what)
        return LimitExceeded(
            f"throttle {self.name!r} {what}; send less, give the model more capacity, or put a Fallback "
            "outside it",
            policy=self.name,
        )

    @property
    def rejection(self) -> float:
        """The share of calls that it holds back now, from 0 to *max_rejection*."""
        return self._machine.share(self.clock())

    def reset(self) -> None:
        """Forget what it has counted: nothing is held back until the model refuses again."""
        self._machine.reset()

    def forgettable(self) -> bool:
        """One that holds nothing back is as good as new."""
        return not self._machine.tight

    def describe(self) -> str:
        """Its numbers in one line."""
        return f"Throttle(sends {self._multiplier:g} for each that is taken in {self._seconds:g} s)"
