"""A gate whose width is found by measurement."""

from __future__ import annotations

from .limiter import LimiterMachine
from .limits.protocol import Trip


class LimiterGate:
    """Lets calls in for as long as a limiter does.

    Args:
        machine: The limiter. Its owner tells it how calls went; here places come and go.
    """

    __slots__ = ("_machine",)

    def __init__(self, machine: LimiterMachine) -> None:
        self._machine = machine

    @property
    def limit(self) -> float:
        """How much may be inside now."""
        return self._machine.limit

    def admit(self, now: float, cost: float) -> Trip | None:
        """A permit, where there is room."""
        return self._machine.admit(now, cost)

    def take_back(self, permit: Trip, now: float) -> None:
        """The place of *permit* is free again."""
        self._machine.leave(permit)

    def fits(self, cost: float) -> bool:
        """Whatever it costs, it is let in when nobody else is inside."""
        return True

    def after_fork(self) -> None:
        """The machine looks after itself."""
