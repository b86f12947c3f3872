"""CUSUM: a mean is no longer that of a reference, as what is beyond an allowance adds up."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any, ClassVar, Self

import numpy as np
import numpy.typing as npt

from .classic import CHUNK, running
from .detector import Detector, Evidence, Floats, reference_values, surplus

UNIT = 2**20
"""Scores are whole numbers of so many to a standard deviation: their sums are exact in any order."""

CLIP = 4.0
"""No observation counts as further from the mean than so many standard deviations."""

ALLOWANCE = 0.25
"""A mean may be off by so many standard deviations: half the shift that is found soonest."""

SAFETY = 1.5
"""So many times the run length is asked of the formula, which is for normal scores with a known mean."""


class CUSUM(Detector):
    """Alarms when the mean of a score has moved away from that of a reference, up or down (Page's CUSUM).

    Each observation becomes ``z``, its distance from the reference's mean in standard deviations, at most 4::

        up   <- max(0, up   + z - k)
        down <- max(0, down - z - k)      k = 0.25 + 1 / sqrt(n)

    with *n* values in the reference, whose mean may be off by ``1 / sqrt(n)``. The alarm comes when either
    reaches ``h``: what Siegmund's formula gives for 0.25 and 1.5 times *arl*, as scores are not quite normal.

    It is the cheapest detector with a run length, and the quickest for a lasting shift of half a standard
    deviation or more in scores of about normal shape: one deviation is found in 20 observations, by
    `ConformalShiryaevRoberts` in 28. The run length is measured, not proved: asked for 10 000 it is 20 833 on
    normal scores, 40 000 on t(3), 18 182 on Beta(8, 2), but 5000 on errors of 0.1, which are too skewed, and
    299 with an autocorrelation of 0.5. Use `EShiryaevRoberts` for errors, `WhitenedShiryaevRoberts` for
    scores with memory or cycles, and `ConformalShiryaevRoberts` for any other distribution, and for changes
    of the spread alone.

    The effect is the mean ``z`` since the sum was last 0, in standard deviations of the reference.

    Args:
        reference: Scores of quiet times, one dimension, at least 20 finite ones, not all equal; 1000 are good
            (with 100 false alarms may come twice as often as asked for).
        arl: Observations between false alarms, from 2; the default is one in 10 000.

    Raises:
        ValueError: A parameter is out of its range.

    >>> import numpy as np
    >>> draw = np.random.default_rng(2).normal
    >>> detector = CUSUM(draw(size=1000), arl=1000)
    >>> detector.update_many(np.concatenate([draw(size=500), draw(1.0, size=20)]))
    array([514])
    >>> detector.evidence.since, 0.7 < detector.evidence.effect < 0.9
    (15, True)

    Source: E. S. Page, "Continuous inspection schemes", Biometrika 41, 1954; D. Siegmund, "Sequential
    Analysis", 1985, section 10.3, for the run length.
    """

    _kind: ClassVar[str] = "CUSUM"
    _up: int
    _down: int
    _up_count: int
    _down_count: int

    def __init__(self, reference: npt.ArrayLike, *, arl: float = 10_000) -> None:
        values = reference_values(reference)
        with np.errstate(over="ignore", invalid="ignore"):
            centre, spread = float(values.mean()), float(values.std())
        if not 1e-100 < spread < 1e100:
            raise ValueError(
                f"reference must have a spread from 1e-100 to 1e100, as that is the unit, got {spread:g}; "
                "collect values that are not all equal"
            )
        self._setup(arl, centre, spread, len(values))

    def _setup(self, arl: float, centre: float, spread: float, count: int) -> None:
        super().__init__(arl)
        self._centre, self._spread, self._size = centre, spread, count
        self._scale = UNIT / spread
        self._low, self._high = centre - CLIP * spread, centre + CLIP * spread
        self._allowance = round((ALLOWANCE + 1.0 / math.sqrt(count)) * UNIT)
        self.threshold: float = _height(SAFETY * self.arl)
        self._warn_at = _height(max(SAFETY * self.arl / 10.0, 2.0))
        self._begin()

    def _warning(self) -> float:
        return self._warn_at

    def update(self, value: float) -> bool:
        """Feed one observation; whether it raised an alarm."""
        if not math.isfinite(value):
            return self._refuse()
        value = self._low if value < self._low else self._high if value > self._high else float(value)
        score = round((value - self._centre) * self._scale)
        self.seen: int = self.seen + 1
        self.alarmed_last = False
        up, down = self._up + score - self._allowance, self._down - score - self._allowance
        if up > 0:
            self._up, self._up_count = up, self._up_count + 1
        else:
            self._up = self._up_count = 0
        if down > 0:
            self._down, self._down_count = down, self._down_count + 1
        else:
            self._down = self._down_count = 0
        self.statistic = max(up, down, 0) / UNIT
        if self.statistic < self.threshold:
            return False
        self._raise_alarm()
        return True

    def _absorb(self, rows: Floats) -> tuple[int, bool]:
        values = np.minimum(np.maximum(rows[:CHUNK], self._low), self._high)
        scores = np.rint((values - self._centre) * self._scale)
        ups = _sums(self._up, scores - self._allowance)
        downs = _sums(self._down, -scores - self._allowance)
        statistics = np.maximum(ups, downs) / UNIT
        reached = statistics >= self.threshold
        last = int(reached.argmax())
        alarm = bool(reached[last])
        if not alarm:
            last = len(scores) - 1
        self._up, self._up_count = int(ups[last]), _stretch(ups[: last + 1], self._up_count)
        self._down, self._down_count = int(downs[last]), _stretch(downs[: last + 1], self._down_count)
        self.statistic: float = float(statistics[last])
        return last + 1, alarm

    def _explain(self) -> Evidence:
        rising = self._up >= self._down
        total, since = (self._up, self._up_count) if rising else (self._down, self._down_count)
        distance = (total / since + self._allowance) / UNIT
        effect = surplus(distance if rising else -distance, 1.0, since)
        return Evidence(self.statistic, self.threshold, self.seen, since, effect)

    def _begin(self) -> None:
        self._up = self._up_count = self._down = self._down_count = 0
        self.statistic = 0.0

    def _save(self) -> dict[str, Any]:
        made = {"arl": self.arl, "centre": self._centre, "spread": self._spread, "size": self._size}
        sums = {"up": self._up, "down": self._down}
        return {**made, **sums, "up_count": self._up_count, "down_count": self._down_count}

    @classmethod
    def _load(cls, state: Mapping[str, Any]) -> Self:
        detector = cls.__new__(cls)
        detector._setup(state["arl"], float(state["centre"]), float(state["spread"]), int(state["size"]))
        detector._up, detector._up_count = int(state["up"]), int(state["up_count"])
        detector._down, detector._down_count = int(state["down"]), int(state["down_count"])
        return detector


def _sums(carry: int, steps: Floats) -> Floats:
    """``sum <- max(0, sum + step)`` after each step: a running sum less its lowest, which is at most 0."""
    path = running(carry, steps)
    return path - np.minimum(np.minimum.accumulate(path), 0.0)


def _stretch(sums: Floats, before: int) -> int:
    """How many of the latest *sums* are above 0; *before* of them were seen earlier."""
    ended = np.flatnonzero(sums == 0.0)
    return len(sums) - 1 - int(ended[-1]) if len(ended) else before + len(sums)


def _height(length: float) -> float:
    """The threshold that a sum on either side reaches after *length* normal scores on average.

    One side takes ``(exp(2 k b) - 2 k b - 1) / (2 k**2)`` with ``b = h + 1.166``, two take half of it.
    """
    length = min(length, 1e300)
    low, high = 0.0, 1.0
    while _length(high) < length:
        high *= 2.0
    for _ in range(60):
        middle = (low + high) / 2.0
        low, high = (middle, high) if _length(middle) < length else (low, middle)
    return high


def _length(height: float) -> float:
    far = min(
        2.0 * ALLOWANCE * (height + 1.166), 700.0
    )  # beyond it, its exponential is more than a float holds
    return (math.expm1(far) - far) / (4.0 * ALLOWANCE * ALLOWANCE)
