"""Predictions that wait for their labels, joined by an id; bounded."""

from __future__ import annotations

import math
from collections import OrderedDict
from collections.abc import Hashable
from typing import Any, NamedTuple


class Pending(NamedTuple):
    """A prediction that waits for its label.

    Attributes:
        prediction: What was predicted.
        confidence: How sure the model was; NaN where it did not say.
        segment: The segment of the call.
        epoch: The number of the references that it was made under: others came with each reset and version.
        at: When it was made.
    """

    prediction: Any
    confidence: float
    segment: Hashable
    epoch: int
    at: float


class PredictionLog:
    """Keeps predictions until their labels come, or their time is over, or there are too many.

    Not locked: a put and a take of one id do not come together, and each is one step of an ordered dict.

    Args:
        size: The most predictions, from 1; the oldest goes first.
        seconds: How long one waits, above 0.

    Attributes:
        joined: Labels that met their prediction.
        unknown: Labels that met none: too late, twice, or of an id that never was.
        expired: Predictions whose label did not come in time.
    """

    def __init__(self, size: int, seconds: float = math.inf) -> None:
        self.size: int = size
        self.seconds: float = seconds
        self.joined: int = 0
        self.unknown: int = 0
        self.expired: int = 0
        self._waiting: OrderedDict[Hashable, Pending] = OrderedDict()

    def __len__(self) -> int:
        return len(self._waiting)

    def put(self, key: Hashable, pending: Pending) -> None:
        """A prediction was made; a second one of the same id takes the place of the first."""
        self._waiting.pop(key, None)
        self._waiting[key] = pending
        self._expire(pending.at)

    def take(self, key: Hashable, now: float) -> Pending | None:
        """The prediction that a label belongs to; None where there is none."""
        self._expire(now)
        found = self._waiting.pop(key, None)
        if found is None:
            self.unknown += 1
        else:
            self.joined += 1
        return found

    def _expire(self, now: float) -> None:
        while self._waiting:
            try:
                oldest = next(iter(self._waiting.values()))
                if len(self._waiting) <= self.size and now - oldest.at < self.seconds:
                    return
                self._waiting.popitem(last=False)
            except (KeyError, RuntimeError, StopIteration):  # another thread was there first
                return
            self.expired += 1
