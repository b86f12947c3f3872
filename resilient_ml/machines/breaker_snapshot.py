"""A breaker's state as plain data, which may have come through a file or another process."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

from ..kinds import Kind
from .breaker_rules import State

VERSION = 1


@dataclass(frozen=True, slots=True)
class Snapshot:
    """What outlives a process. Times are durations, so that they mean the same on another clock.

    Attributes:
        state: Where the breaker is.
        reason: Why.
        trips: How often it has opened in a row.
        open_for: How long it was opened for, in seconds; 0 unless it is open.
        left: How much of that is left.
        ramped: How long it has been ramping, in seconds; 0 unless it is.
        failures: Failures counted, by kind.
    """

    state: State
    reason: str
    trips: int
    open_for: float
    left: float
    ramped: float
    failures: dict[str, int]

    def plain(self) -> dict[str, Any]:
        """A dict of strings and numbers, which JSON keeps whole."""
        return {
            "version": VERSION,
            "state": str(self.state),
            "reason": self.reason,
            "trips": self.trips,
            "open_for": self.open_for,
            "left": self.left,
            "ramped": self.ramped,
            "failures": {str(kind): count for kind, count in self.failures.items()},
        }


def parse(saved: Any) -> Snapshot:
    """The snapshot that *saved* is.

    Raises:
        ValueError: It is none, or not one of this version.
    """
    remedy = "pass what snapshot() returned"
    if not isinstance(saved, dict) or saved.get("version") != VERSION:
        raise ValueError(f"a breaker's snapshot must be a dict of version {VERSION}; {remedy}")
    try:
        snapshot = Snapshot(
            state=State(saved["state"]),
            reason=str(saved["reason"]),
            trips=int(saved["trips"]),
            open_for=float(saved["open_for"]),
            left=float(saved["left"]),
            ramped=float(saved["ramped"]),
            failures={str(Kind(kind)): int(count) for kind, count in saved["failures"].items()},
        )
    except (KeyError, TypeError, ValueError, AttributeError, OverflowError) as error:
        raise ValueError(
            f"a breaker's snapshot has a bad or missing field ({type(error).__name__}); {remedy}"
        ) from None
    numbers = (snapshot.trips, snapshot.open_for, snapshot.left, snapshot.ramped, *snapshot.failures.values())
    if not all(0 <= number < math.inf for number in numbers):
        raise ValueError(f"a breaker's snapshot has a number that is negative or not finite; {remedy}")
    return snapshot
