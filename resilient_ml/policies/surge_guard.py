"""Let in what can be served while more capacity is on its way, the most urgent first."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any, TypeVar

from .. import _checks
from .._call import Call, Proceed
from .._policy import Policy
from ..errors import LimitExceeded, Rejected
from ..events import CallRejected, SurgeEnded, SurgeStarted
from ..machines.bands import band_of, check_bands
from ..machines.surge import Answer, SurgeMachine

T = TypeVar("T")

_LOOKS = 50
"""The capacity is asked for so many times in each window."""


class SurgeGuard(Policy):
    """Tighten admission from the first second of a surge until the capacity for it has come.

    An autoscaler needs a minute or more to bring replicas. Until then everything beyond what the replicas
    serve only makes all wait, and limits that learn from latency notice a queue after it was waited in.
    SurgeGuard compares what comes with *capacity*, what the replicas that are ready can serve. A burst that
    they work off within *patience* seconds passes untouched. Beyond that it is a surge: calls are refused
    before they cost anybody, the least urgent band first, and let in again, without a step, as *capacity*
    rises. How is at the head of ``machines/surge.py``.

    Subscribe to :class:`~resilient_ml.events.SurgeStarted`, or read :attr:`demand`, to scale by what is asked
    for, not by what gets through. Put a Bulkhead or an AdaptiveLimiter inside, which holds where the capacity
    was overstated: calls that it refuses are not counted.

    Args:
        capacity: What can be served a second: a number, from 0, or a function without arguments that returns
            it, such as ``lambda: 12 * ready_replicas()``. It is asked 50 times a window at most, so it should
            be quick. With *cost*, in cost.
        patience: How many seconds of work may stand before a call is refused, above 0. Less than a call may
            wait at most.
        cost: What a call costs; takes the call's arguments and returns a number from 0: tokens, rows. None
            for 1 each.
        band: Which band a call belongs to; takes the call's arguments and returns one of *bands*.
        bands: The bands, the most urgent first.
        window: Over how many seconds demand is averaged, above 0; also how long nobody must have been refused
            for the surge to be over, and the least ``retry_after``.
        name: How messages call it; by default the name of the function it guards.
        on_event: Called with its :class:`~resilient_ml.events.CallRejected`,
            :class:`~resilient_ml.events.SurgeStarted` and :class:`~resilient_ml.events.SurgeEnded` events.

    Raises:
        LimitExceeded: From the guarded function, when there is no room for its band.

    >>> guard = SurgeGuard(50, band=lambda text, band: band, bands=("live", "batch"))
    >>> @guard
    ... def classify(text, band):
    ...     return "positive"
    >>> classify("fine", "batch")
    'positive'

    Source: the panic window of Knative's autoscaler, which this is the admission for; the virtual queue of
    S. Kunniyur, R. Srikant, "Analysis and Design of an Adaptive Virtual Queue", SIGCOMM 2001.
    """

    role: str = "surge_guard"

    def __init__(
        self,
        capacity: float | Callable[[], float],
        *,
        patience: float = 1.0,
        cost: Callable[..., float] | None = None,
        band: Callable[..., str] | None = None,
        bands: Sequence[str] = (),
        window: float = 5.0,
        name: str | None = None,
        on_event: Callable[[Any], object] | None = None,
    ) -> None:
        super().__init__(name=name, on_event=on_event)
        self._tells = capacity if callable(capacity) else None
        self._capacity = 0.0
        if not callable(capacity):
            self._capacity = _checks.at_least("capacity", capacity, 0, remedy="pass what is served a second")
        self._look_at = -math.inf
        self._patience = _checks.seconds("patience", patience, remedy="pass how much work may stand, 1 say")
        self._window = _checks.seconds("window", window, remedy="pass 5, say")
        self._cost = (
            None
            if cost is None
            else _checks.function("cost", cost, remedy="pass a function of the call's arguments")
        )
        check_bands(band, bands)
        self._band = band
        self._bands = tuple(bands)
        self._machine = SurgeMachine(max(1, len(self._bands)), self._patience, self._window)

    async def around(self, proceed: Proceed[T], call: Call) -> T:
        """Let in or refuse; a call that something inside refuses is taken back."""
        cost = 1.0 if self._cost is None else self._said(self._cost(*call.args, **call.kwargs))
        band = band_of(self._band, self._bands, call.args, call.kwargs)
        now = call.now()
        answer = self._machine.arrive(now, band, cost, self._served(now))
        if answer.began or answer.ended is not None:
            self._tell(answer, now)
        if answer.wait is not None:
            raise self._refusal(answer.wait, band, now)
        try:
            return await proceed(call)
        except Rejected:
            self._machine.take_back(cost)
            raise

    @property
    def demand(self) -> float:
        """What is asked for a second, averaged over the window: what to scale by."""
        return self._machine.demand(self.clock())

    @property
    def surging(self) -> bool:
        """Whether there is a surge."""
        now = self.clock()
        return self._machine.surging(now, self._served(now))

    def _served(self, now: float) -> float:
        if self._tells is not None and not self._look_at - self._window < now < self._look_at:
            told = _checks.at_least(
                "capacity",
                self._tells(),
                0,
                remedy="return what can be served a second, 0 if nothing is ready",
            )
            self._capacity = told
            self._look_at = now + self._window / _LOOKS
        return self._capacity

    @staticmethod
    def _said(cost: float) -> float:
        return _checks.at_least("cost", cost, 0, remedy="return what the call costs, 1 if all cost the same")

    def _tell(self, answer: Answer, now: float) -> None:
        if answer.ended is not None:
            ended = answer.ended
            self.emit(SurgeEnded, now, seconds=ended.seconds, shed=ended.shed, peak=ended.peak)
        if answer.began:
            self.emit(SurgeStarted, now, demand=self._machine.demand(now), capacity=self._capacity)

    def _refusal(self, wait: float, band: int, now: float) -> LimitExceeded:
        wait = max(wait, self._window)
        who = f"calls of band {self._bands[band]!r}" if self._bands else "calls"
        what = (
            f"has no room for {who}: {self._machine.demand(now):.3g} a second are asked for, and "
            f"{self._capacity:.3g} can be served"
        )
        self.emit(CallRejected, now, reason=what, retry_after=wait)
        return LimitExceeded(
            f"surge guard {self.name!r} {what}; bring more capacity, raise patience= if calls may wait "
            "longer, or put a Fallback outside it",
            retry_after=wait,
            policy=self.name,
        )

    def forgettable(self) -> bool:
        """One with no work standing and no surge is as good as new."""
        now = self.clock()
        served = self._capacity
        return not self._machine.surging(now, served) and not self._machine.backlog(now, served)

    def describe(self) -> str:
        """Its numbers in one line."""
        served = "told" if self._tells is not None else f"{self._capacity:g} a second"
        return f"SurgeGuard({served}, {self._patience:g} s of work may stand)"
