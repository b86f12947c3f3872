"""Errors that come in bursts: each is held against what is usual after what came last."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any, ClassVar, Self

import numpy as np
import numpy.typing as npt

from ._recursion import TOGETHER
from .detector import Floats, reference_values
from .stratified import LEAST, StratifiedShiryaevRoberts

GOOD, BAD, UNKNOWN = 0.0, 1.0, -1.0

TELLING = 50
"""So many errors show whether they come in bursts."""


class MarkovShiryaevRoberts(StratifiedShiryaevRoberts):
    """Alarms when losses whose neighbours resemble each other have become higher on average.

    Where an error makes the next one likelier, a detector for independent ones alarms at every burst. Here
    the mean that is tolerated is that after a good observation, or after a bad one, as the last one was: the
    strata of `StratifiedShiryaevRoberts`. So every observation is used, where `Thinned` passes most over.

    The run length is promised for a stream that remembers no more than its last observation. Longer memory
    shows in what is left, ``x - usual after the last``: `Losses` looks there, and thins where it must.

    Effects are in the unit of the observations, beyond what is tolerated.

    Args:
        reference: Losses of quiet times from 0 to 1, in the order in which they came, one dimension, at least
            21 finite ones; 1000 are good. Above their mean is bad.
        arl: Observations between false alarms, from 2; the default is one in 10 000.

    Attributes:
        middle: What is above it is bad.

    Raises:
        ValueError: A parameter is out of its range.

    >>> import numpy as np
    >>> draw = np.random.default_rng(3).random
    >>> bad = np.repeat(draw(2000) < 0.1, np.random.default_rng(4).geometric(0.5, 2000))
    >>> detector = MarkovShiryaevRoberts(bad[:1500])
    >>> detector.update_many(bad[1500:3500])
    array([], dtype=int64)
    >>> more = np.repeat(draw(300) < 0.3, np.random.default_rng(5).geometric(0.5, 300))
    >>> detector.update_many(more)[:1]
    array([142])

    Source: P. Billingsley, "Statistical Inference for Markov Processes", 1961; for the evidence that of
    `EShiryaevRoberts`.
    """

    _kind: ClassVar[str] = "MarkovShiryaevRoberts"

    def __init__(self, reference: npt.ArrayLike, *, arl: float = 10_000) -> None:
        values = reference_values(reference)
        if len(values) <= LEAST:
            raise ValueError(
                f"reference must hold at least {LEAST + 1} finite values in order, got {len(values)}; "
                "collect 1000 in quiet times"
            )
        self.middle: float = float(values.mean())
        self._last = UNKNOWN
        super().__init__(np.column_stack([values[:-1] > self.middle, values[1:]]), arl=arl)

    def _learn(self, rows: Floats, always: Sequence[float] = ()) -> None:
        # However few are bad: what is usual after them is nothing like the mean of all.
        super()._learn(rows, (GOOD, BAD))

    def update(self, value: float) -> bool:  # type: ignore[override]
        """Feed one observation; whether it raised an alarm."""
        if not math.isfinite(value):
            return self._refuse()
        place = self._places.get(self._last, len(self._strata))
        self._last = BAD if value > self.middle else GOOD
        return self._judge(place, float(value))

    def _rows(self, values: npt.ArrayLike) -> Floats:
        rows = np.asarray(values, dtype=np.float64)
        if rows.ndim != 1:
            raise ValueError(f"values must have 1 dimension, got {rows.ndim}; pass one number an observation")
        return rows

    def _absorb(self, rows: Floats) -> tuple[int, bool]:
        rows = rows[:TOGETHER]
        strata = np.append(self._last, np.where(rows > self.middle, BAD, GOOD))
        used, alarm = self._judge_all(self._numbered(strata[:-1]), rows)
        self._last = float(strata[used])
        return used, alarm

    def reset(self) -> None:
        """Begin anew: nothing has been seen, and nothing came last."""
        super().reset()
        self._last = UNKNOWN

    def _save(self) -> dict[str, Any]:
        return {**super()._save(), "middle": self.middle, "last": self._last}

    @classmethod
    def _load(cls, state: Mapping[str, Any]) -> Self:
        detector = super()._load(state)
        detector.middle, detector._last = float(state["middle"]), float(state["last"])
        return detector


def left_over(values: Floats) -> Floats:
    """What is left of losses, in the order in which they came, after what is usual after the last of each."""
    after_bad = np.append(False, values[:-1] > values.mean())
    rest = values.astype(np.float64)
    for ones in (after_bad, ~after_bad):
        if ones.any():
            rest[ones] -= rest[ones].mean()
    return rest


def few_errors(values: Floats) -> bool:
    """Whether there are too few bad losses, or good ones, to show whether they come in bursts."""
    bad = int(np.count_nonzero(values > values.mean()))
    return min(bad, len(values) - bad) < TELLING
