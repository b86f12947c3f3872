"""What the classic detectors share: their authors' parameters in place of a promised run length."""

from __future__ import annotations

import math
from abc import abstractmethod
from collections.abc import Mapping
from copy import deepcopy
from typing import Any, ClassVar, Self

import numpy as np

from .._checks import real, shown
from .detector import Detector, Floats, Level, surplus

LARGEST = 1e100
"""Values further out count as that far: their squares would be beyond what a float holds."""

CHUNK = 1024
"""Observations at a time: what comes after an alarm is looked at again."""


class Classic(Detector):
    """A detector that is known by its name and asked for by it.

    How far its false alarms are apart depends on the stream, so `arl` is 0: nothing is promised. It has no
    reference, so after an alarm all is forgotten. `level` is ``warn`` where the definition has a warning, and
    never otherwise.

    One observation at a time goes through `_step`, many at once through `_absorb`. Both add up in the same
    order, so what they find is equal to the last bit.
    """

    _least: ClassVar[float] = -LARGEST
    _most: ClassVar[float] = LARGEST
    """The bounds of an observation: one beyond is taken as the bound."""

    _made: ClassVar[tuple[str, ...]]
    """The parameters, by which a detector like it is made."""

    _filled: ClassVar[tuple[str, ...]]
    """The attributes in which it keeps what it has seen."""

    seen: int
    statistic: float
    _warned: bool = False

    def __init__(self, threshold: float) -> None:
        self._watch(0.0, threshold)
        self._begin()

    @property
    def level(self) -> Level:
        """``drift`` when the latest observation raised an alarm, ``warn`` where the definition warns."""
        if self.alarmed_last:
            return "drift"
        return "warn" if self._warned else "stable"

    def update(self, value: float) -> bool:
        """Feed one observation; whether it raised an alarm."""
        if not self._least <= value <= self._most:
            if not math.isfinite(value):
                return self._refuse()
            value = min(max(value, self._least), self._most)
        self.seen += 1
        self.alarmed_last = False
        if not self._step(float(value)):
            return False
        self._raise_alarm()
        return True

    def _bring(self, rows: Floats, count: int = CHUNK) -> Floats:
        """The first *count* of *rows*, a copy, within the bounds."""
        return np.minimum(np.maximum(rows[:count], self._least), self._most)

    @abstractmethod
    def _step(self, value: float) -> bool:
        """Use *value*, which is within the bounds; whether it is cause for an alarm."""

    def _save(self) -> dict[str, Any]:
        return {name.lstrip("_"): deepcopy(getattr(self, name)) for name in (*self._made, *self._filled)}

    @classmethod
    def _load(cls, state: Mapping[str, Any]) -> Self:
        detector = cls(**{name: state[name] for name in cls._made})
        for name in cls._filled:
            setattr(detector, name, deepcopy(state[name.lstrip("_")]))
        return detector


def running(carry: float, values: Floats) -> Floats:
    """*carry* plus the first of *values*, plus the second, and so on, as a loop would add them up.

    *values* is changed.
    """
    values[0] += carry
    return np.add.accumulate(values, out=values)


def moved(before: float, after: float, counts: tuple[int, int], within: float) -> float:
    """How far a mean has moved, less what chance shows between means of so many observations.

    Args:
        before: The mean before the change.
        after: The mean since.
        counts: How many observations were before, and since.
        within: The sum of the squared distances of all from the mean of their part.
    """
    one, other = counts
    spread = math.sqrt(max(0.0, within) / (one + other))
    return surplus(after - before, spread, one * other / (one + other))


def confidences(drift: float, warning: float) -> tuple[float, float]:
    """The probabilities of an alarm and of a warning by chance, at one test."""
    one = real("drift_confidence", drift, remedy="leave it out for 0.001")
    other = real("warning_confidence", warning, remedy="leave it out for 0.005")
    if not 0.0 < one <= other < 1.0:
        raise ValueError(
            "drift_confidence must be above 0 and at most warning_confidence, and both below 1, got "
            f"{shown(drift)} and {shown(warning)}; leave them out for 0.001 and 0.005"
        )
    return one, other
