"""Leave to call the model: what a breaker hands out, and what comes back with it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..stats.windows import Window
from .breaker_rules import Change

if TYPE_CHECKING:
    from .breaker import BreakerMachine


class Permit:
    """Leave to call the model, to be ended once by ``succeed``, ``fail`` or ``abandon``.

    Shared by all calls of a generation while the breaker lets everything through; one for each probe.
    """

    __slots__ = ("machine", "window")

    def __init__(self, machine: BreakerMachine, window: Window) -> None:
        self.machine: BreakerMachine = machine
        self.window: Window = window

    def succeed(self, now: float, seconds: float) -> Change | None:
        """The model answered after *seconds*."""
        if seconds >= self.machine.slow_seconds:
            return self.machine.record(self, now, kind=None, slow=True)
        window = self.window
        if now >= window.edge:
            self.machine.advance(self, now)
        window.tick()
        return None

    def fail(
        self, now: float, kind: str, seconds: float, draw: float, retry_after: float | None
    ) -> Change | None:
        """The model failed with *kind* after *seconds*; *draw* is uniform in [0, 1), for the jitter."""
        slow = seconds >= self.machine.slow_seconds
        return self.machine.record(self, now, kind=kind, slow=slow, draw=draw, retry_after=retry_after)

    def abandon(self) -> None:
        """The call was cancelled, interrupted or never reached the model: it teaches nothing."""


class Probe(Permit):
    """One of the half-open permits."""

    __slots__ = ()

    def succeed(self, now: float, seconds: float) -> Change | None:
        """A probe that is slow has not shown that the model is well again."""
        return self.machine.probed(self, now, None, slow=seconds >= self.machine.slow_seconds)

    def fail(
        self, now: float, kind: str, seconds: float, draw: float, retry_after: float | None
    ) -> Change | None:
        """The model is still sick: open again, for longer."""
        return self.machine.probed(self, now, kind, draw=draw, retry_after=retry_after)

    def abandon(self) -> None:
        """Give the permit to the next caller."""
        self.machine.give_back(self)


class Bystander(Permit):
    """Leave to pass a breaker that watches nothing (disabled), or that only reports (shadow)."""

    __slots__ = ()

    def succeed(self, now: float, seconds: float) -> Change | None:
        """Nothing is learned."""
        return None

    def fail(
        self, now: float, kind: str, seconds: float, draw: float, retry_after: float | None
    ) -> Change | None:
        """Nothing is learned."""
        return None
