"""When a second attempt is worth starting: after which delay, and whether at all.

The delay is a quantile of how long calls take, so that a set share of them ever reaches it. A second attempt
is started if the first has lasted that long, except

* when more calls than usual reach the delay: then the whole backend is slow, and not this one call;
* when the median of the last calls lies well above that of the last minutes: the same, some time later, when
  the quantile has followed;
* when the budget, a share of all calls, is spent.

A slowness that lasts is what is usual after five to ten minutes.
"""

from __future__ import annotations

from ..stats.quantile import DecayingQuantile
from .retry_budget import RetryBudget

_RECENT = 64
"""The half-life of what counts as the last calls."""
_PERIOD = 300.0
"""Seconds in each half of what counts as usual."""
_FOLLOW = 1 / 50
"""The weight of one call in the share that reaches the delay."""
_TOO_MANY = 3.0
"""So many times the usual share of calls reaching the delay means that all are slow."""
_TOO_SLOW = 1.5
"""So many times the usual median does."""


class HedgeMachine:
    """Decides when to hedge. Threads share it: a lost count is no harm.

    Args:
        delay: Seconds after which to hedge; None to learn it.
        quantile: Which quantile of the calls' lengths it then is, above 0 and below 1.
        minimum: From so many calls on there is something to go by.
        budget: What hedges are paid from.

    Attributes:
        fixed: The delay where it is not learned.

    Source: J. Dean, L. A. Barroso, "The Tail at Scale", CACM 56(2), 2013.
    """

    __slots__ = (
        "_began",
        "_budget",
        "_delay",
        "_minimum",
        "_recent",
        "_share",
        "_tail",
        "_too_many",
        "_usual_median",
        "_usual_next",
        "fixed",
    )

    def __init__(self, delay: float | None, quantile: float, minimum: int, budget: RetryBudget) -> None:
        self.fixed: float | None = delay
        self._minimum = minimum
        self._budget = budget
        self._too_many = _TOO_MANY * max(1 - quantile, budget.ratio)
        self._share = 0.0
        self._tail = DecayingQuantile(quantile, half_life=1000)
        self._recent = DecayingQuantile(0.5, half_life=_RECENT)
        self._usual_next = _fresh()
        self._usual_median: float | None = None
        self._began: float | None = None
        self._delay: float | None = delay

    @property
    def delay(self) -> float | None:
        """Seconds after which a call is hedged; None while too few calls have been seen."""
        return self._delay

    def begin(self) -> float | None:
        """A call begins: the delay after which to ask :meth:`late`; None where there is none yet."""
        self._budget.earn()
        return self._delay

    def late(self, now: float, *, first: bool = True) -> str | None:
        """A call has reached its delay. None where it is to be hedged, and is paid for; else why not.

        Args:
            now: The instant.
            first: Whether it is the first time for this call.
        """
        if first:
            self._share += _FOLLOW * (1.0 - self._share)
        if self._share > self._too_many:
            return "more calls than usual take so long"
        if self.slow():
            return "calls take longer than usual"
        return None if self._budget.spend(now) else "the budget is spent"

    def ended(self, now: float, seconds: float, *, late: bool) -> None:
        """A call has ended, or lost to a hedge, *seconds* after it began."""
        if not late:
            self._share -= _FOLLOW * self._share
        self._tail.update(seconds)
        self._recent.update(seconds)
        self._turn(now)
        self._usual_next.update(seconds)
        if self.fixed is None and self._tail.count >= self._minimum and self._tail.count % 16 == 0:
            self._delay = self._tail.bound()

    def slow(self) -> bool:
        """Whether the last calls took much longer than is usual."""
        usual = self._usual_median
        return usual is not None and self._recent.value() > _TOO_SLOW * usual

    def _turn(self, now: float) -> None:
        """The usual is what the last whole period held; before there is one, its first part."""
        if self._began is None:
            self._began = now
        if now - self._began >= _PERIOD:
            if self._usual_next.count >= self._minimum:
                self._usual_median = self._usual_next.value()
            self._usual_next = _fresh()
            self._began = now
        elif self._usual_median is None and self._usual_next.count >= self._minimum:
            self._usual_median = self._usual_next.value()


def _fresh() -> DecayingQuantile:
    return DecayingQuantile(0.5, half_life=1 << 62)
