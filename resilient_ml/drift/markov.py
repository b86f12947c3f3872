"""Errors that come in bursts: each is held against what is usual after what came last."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any, ClassVar, Self

import numpy as np
import numpy.typing as npt

from ._recursion import TOGETHER
from .detector import Floats, reference_values
from .stratified import LEAST, ByStratum

GOOD, BAD, UNKNOWN = 0, 1, 2
"""What came last, which is the place of its stratum as well: before the first that of all others."""

TELLING = 50
"""So many errors show whether they come in bursts."""

BEYOND_CHANCE = 2.0
"""So many standard errors of a correlation are a sign of it."""


class MarkovShiryaevRoberts(ByStratum):
    """Alarms when losses whose neighbours resemble each other have become higher on average.

    Where an error makes the next one likelier, a detector for independent ones alarms at every burst. Here
    the mean that is tolerated is that after a good observation, or after a bad one, as the last one was: the
    strata of `StratifiedShiryaevRoberts`. So every observation is used, where `Thinned` passes most over.

    The run length is promised for a stream that remembers no more than its last observation. Longer memory
    shows in what is left, ``x - usual after the last``: `Losses` looks there, and thins where it must.

    Effects are in the unit of the observations, beyond what is tolerated.

    Args:
        reference: Losses of quiet times from 0 to 1, in the order in which they came, one dimension, at least
            21 finite ones; 1000 are good. Above their mean is bad. What lies beyond is taken as the bound.
        arl: Observations between false alarms, from 2; the default is one in 10 000.

    Attributes:
        tolerated: The highest mean that is no cause for alarm after a good observation, 0, and a bad one, 1.
        otherwise: That of the first observation.
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
        super().__init__(arl)
        values = np.clip(reference_values(reference), 0.0, 1.0)
        if len(values) <= LEAST:
            raise ValueError(
                f"reference must hold at least {LEAST + 1} finite values in order, got {len(values)}; "
                "collect 1000 in quiet times"
            )
        self.middle: float = float(values.mean())
        # However few are bad: what is usual after them is nothing like the mean of all.
        self._learn(np.column_stack([values[:-1] > self.middle, values[1:]]), always=(GOOD, BAD))
        self._last = UNKNOWN
        self._begin()

    def update(self, value: float) -> bool:
        """Feed one observation; whether it raised an alarm."""
        if not math.isfinite(value):
            return self._refuse()
        place, self._last = self._last, BAD if value > self.middle else GOOD
        return self._judge(place, float(value))

    def _absorb(self, rows: Floats) -> tuple[int, bool]:
        rows = rows[:TOGETHER]
        places = np.append(self._last, np.where(rows > self.middle, BAD, GOOD))
        used, alarm = self._judge_all(places[:-1], rows)
        self._last = int(places[used])
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
        detector.middle, detector._last = float(state["middle"]), int(state["last"])
        return detector


def left_over(values: Floats) -> Floats:
    """What is left of losses, in the order in which they came, after what is usual after the last of each."""
    after_bad = np.append(False, values[:-1] > values.mean())
    rest = values.astype(np.float64)
    for ones in (after_bad, ~after_bad):
        if ones.any():
            rest[ones] -= rest[ones].mean()
    return rest


def follows(values: Floats) -> bool:
    """Whether high losses follow high ones, more than they would by chance."""
    off = values - values.mean()
    total = float(off @ off)
    return float(off[1:] @ off[:-1]) * math.sqrt(len(values)) > BEYOND_CHANCE * total


def few_errors(values: Floats) -> bool:
    """Whether there are too few bad losses, or good ones, to show whether they come in bursts."""
    bad = int(np.count_nonzero(values > values.mean()))
    return min(bad, len(values) - bad) < TELLING
