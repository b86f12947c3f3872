"""How long the wait for a stream's next item may be: fixed, or learned from the waits so far."""

from __future__ import annotations

from dataclasses import dataclass

from .. import _checks
from ..stats.quantile import DecayingQuantile

_ENOUGH = 100
"""From so many gaps on a 99th percentile means something."""


@dataclass(frozen=True)
class AdaptiveGap:
    """A limit on a stream's gaps that follows the model: ``max(floor, multiple * p99 of its gaps)``.

    Until a hundred gaps have been seen, *ceiling* is the limit. Recent gaps count more: the weight of a gap
    halves with every ten thousand that follow.

    Args:
        floor: The least it ever is, in seconds, above 0: a pause that the busiest healthy model makes.
        multiple: How many times the 99th percentile is too long; at least 1.
        ceiling: The most it ever is, in seconds, and what holds at first; at least *floor*.

    >>> AdaptiveGap(floor=1.0)
    AdaptiveGap(floor=1.0, multiple=4.0, ceiling=60.0)
    """

    floor: float
    multiple: float = 4.0
    ceiling: float = 60.0

    def __post_init__(self) -> None:
        _checks.seconds("floor", self.floor, remedy="pass the least limit, 1 say")
        _checks.real("multiple", self.multiple, remedy="pass 4, say")
        _checks.seconds("ceiling", self.ceiling, remedy="pass the most that is ever waited, 60 say")
        if self.multiple < 1:
            raise ValueError(
                f"multiple must be at least 1, got {self.multiple:g}; below that, gaps that the model often "
                "makes would be too long"
            )
        if self.ceiling < self.floor:
            raise ValueError(
                f"ceiling must be at least floor, got {self.ceiling:g} and {self.floor:g}; raise it"
            )


class FixedGap:
    """The same for every gap."""

    __slots__ = ("_seconds",)

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds

    def allowed(self) -> float:
        """Seconds that may pass."""
        return self._seconds

    def observe(self, seconds: float) -> None:
        """There is nothing to learn."""


class GapMachine:
    """Learns from the gaps of all streams through one policy. Threads share it: a lost count is no harm."""

    __slots__ = ("_allowed", "_quantile", "_rules")

    def __init__(self, rules: AdaptiveGap) -> None:
        self._rules = rules
        self._quantile = DecayingQuantile(0.99, half_life=10_000)
        self._allowed = rules.ceiling

    def allowed(self) -> float:
        """Seconds that may pass now."""
        return self._allowed

    def observe(self, seconds: float) -> None:
        """So long it took this time."""
        quantile = self._quantile
        quantile.update(seconds)
        if quantile.count >= _ENOUGH and quantile.count % 16 == 0:  # it moves slowly, and costs a walk
            rules = self._rules
            self._allowed = min(rules.ceiling, max(rules.floor, rules.multiple * quantile.value()))
