"""What an adaptive limit is: it is told of each call that ended, and knows how many may be inside.

An algorithm is pure arithmetic. It has no clock, no lock and no randomness of its own; its owner
(:class:`~resilient_ml.machines.limiter.LimiterMachine`) calls it under one lock, counts who is inside, and
keeps samples away that teach nothing or are no numbers.
"""

from __future__ import annotations

import math
from typing import Any, ClassVar, cast

OK = "ok"
"""The call was answered: its seconds are a sample of the model's latency."""

DROP = "drop"
"""The call ran out of time, or the model said that it is overloaded: a sign of congestion."""

OOM = "oom"
"""The model ran out of memory: far too much was inside."""

IGNORE = "ignore"
"""The call says nothing about load: bad input, a failure within milliseconds, cancelled by its caller."""

OUTCOMES = frozenset({OK, DROP, OOM, IGNORE})


class Trip:
    """One call's stay: the permit while it is inside, the sample when it has ended.

    Attributes:
        at: When it was let in, in seconds of the owner's clock.
        cost: What it counts for, 1 unless calls are counted in units of work.
        before: What was inside once it had been let in, itself included.
        seconds: How long it took; set when its outcome is known.
        inside: What was inside at that moment, itself included.
        outcome: One of ``ok``, ``drop``, ``oom``; empty while it is not known.
        generation: Which life of its owner it belongs to.
        back: Whether its place has been given back.
    """

    __slots__ = ("at", "back", "before", "cost", "generation", "inside", "outcome", "seconds")

    def __init__(
        self,
        at: float,
        before: float = 1.0,
        cost: float = 1.0,
        generation: int = 0,
        *,
        seconds: float = 0.0,
        inside: float = 1.0,
        outcome: str = "",
    ) -> None:
        self.at: float = at
        self.before: float = before
        self.cost: float = cost
        self.generation: int = generation
        self.seconds: float = seconds
        self.inside: float = inside
        self.outcome: str = outcome
        self.back: bool = False


class LimitAlgorithm:
    """The part that all limits share: bounds, and a state that can be saved.

    Args:
        initial: The limit to begin with.
        minimum: The smallest limit, at least 1: with none inside nothing could be learned.
        maximum: The largest limit.

    Attributes:
        limit: How many may be inside, a float within the bounds; whole calls are admitted below it.
        due: When :meth:`tick` wants to be called although no call has ended; never, for most.
        minimum: The smallest limit.
        maximum: The largest limit.
    """

    KEPT: ClassVar[tuple[str, ...]] = ("limit",)
    """The numbers that a snapshot holds. Windows that were being filled begin anew after a restore."""

    def __init__(self, initial: float, minimum: float, maximum: float) -> None:
        self.minimum: float = minimum
        self.maximum: float = maximum
        self.limit: float = min(maximum, max(minimum, float(initial)))
        self.due: float = math.inf

    def learn(self, now: float, trip: Trip) -> None:
        """A call ended at *now*; *trip* says how. Its seconds are finite and not negative."""
        raise NotImplementedError

    def tick(self, now: float) -> None:
        """Called when *now* has reached :attr:`due`."""

    def forget_window(self) -> None:
        """Begin anew what was being collected, after a restore."""

    def snapshot(self) -> dict[str, float]:
        """What has been learned, as plain finite numbers."""
        return {name: value for name in self.KEPT if math.isfinite(value := float(getattr(self, name)))}

    def restore(self, saved: Any) -> None:
        """Take up what :meth:`snapshot` returned; a number that it left out stays as it is.

        Raises:
            ValueError: *saved* is no such snapshot; nothing has changed then.
        """
        remedy = "pass what snapshot() returned"
        if not isinstance(saved, dict) or "limit" not in saved:
            raise ValueError(f"a limit's snapshot must be a dict with a limit; {remedy}")
        found = cast(dict[str, Any], saved)
        numbers = {name: found[name] for name in self.KEPT if name in found}
        for name, value in numbers.items():
            if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value < math.inf:
                raise ValueError(f"a limit's snapshot has a bad {name}; {remedy}")
        for name, value in numbers.items():
            setattr(self, name, float(value))
        self.limit = min(self.maximum, max(self.minimum, self.limit))
        self.forget_window()
