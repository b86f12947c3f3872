"""What a circuit breaker is told, and what it says: rules, states, changes and refusals."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

RETRY_AFTER_CAP = 120.0
"""The longest that a server's retry-after may extend the open time, in seconds."""

RAMP_FLOOR = 0.1
"""The share of traffic that is let through at the start of a ramp."""


class State(StrEnum):
    """Where a breaker is."""

    CLOSED = "closed"
    OPEN = "open"
    HALF_OPEN = "half_open"
    RAMPING = "ramping"
    FORCED_OPEN = "forced_open"
    FORCED_CLOSED = "forced_closed"
    DISABLED = "disabled"


@dataclass(frozen=True, slots=True)
class Rules:
    """When a breaker trips and how it comes back; checked by the policy that makes it."""

    failure_rate: float | None = 0.5
    minimum_calls: int = 10
    window_seconds: float = 10.0
    window_calls: int | None = None
    consecutive_failures: int | None = 10
    slow_call_seconds: float | None = None
    slow_call_rate: float = 0.5
    open_seconds: float = 5.0
    open_seconds_max: float = 60.0
    jitter: float = 0.1
    half_open_permits: int = 1
    probe_lease_seconds: float = 30.0
    ramp_seconds: float = 0.0


@dataclass(frozen=True, slots=True)
class Change:
    """A change of state, for whoever tells of it."""

    before: State
    after: State
    reason: str


@dataclass(frozen=True, slots=True)
class Refusal:
    """Why a call is not admitted: for how long (None: until an operator says), and after what."""

    state: State
    retry_after: float | None
    reason: str
