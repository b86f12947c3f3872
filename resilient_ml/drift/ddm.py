"""DDM: the rate of errors is above the best that it has been by three standard deviations."""

from __future__ import annotations

import math
from typing import ClassVar

import numpy as np

from .._checks import at_least, real, shown, whole
from .classic import Classic, moved, running
from .detector import Evidence, Floats


class DDM(Classic):
    """Alarms when errors have become more frequent than at their best (Drift Detection Method).

    After *n* observations with the share of errors ``p`` and ``s = sqrt(p (1 - p) / n)``, the smallest
    ``p + s`` so far is remembered as ``p_min`` and ``s_min``::

        p + s > p_min + warning_threshold * s_min      warn
        p + s > p_min + drift_threshold * s_min        alarm

    After an alarm all is forgotten. Warnings and alarms come at the same observations as those of river 0.26;
    there one NaN ends all alarms for ever, here it is refused.

    ``p_min`` may have been a lucky start. Measured at the defaults: of 100 streams with errors of 0.1, 40
    have a false alarm within the first 1000 observations, and of 100 with errors of 0.01, 80.
    `EShiryaevRoberts` with ``arl=10_000`` has one and one, finds a rise from 0.1 to 0.2 in 147 observations
    where this one needs 242, and keeps its run length by a theorem: it is the better one wherever the
    tolerated rate is known or can be measured.

    `statistic` is ``(p + s - p_min) / s_min``; the effect is the rate of errors since the minimum less the
    rate before.

    Args:
        warm_start: No warning and no alarm before so many observations, from 1; the authors' 30.
        warning_threshold: In standard deviations, above 0 and at most *drift_threshold*.
        drift_threshold: In standard deviations, above 0.

    Observations are 1 for an error and 0 for none; losses between them are taken as they are, and values
    beyond as the bound.

    Raises:
        ValueError: A parameter is out of its range.

    >>> detector = DDM()
    >>> detector.update_many([0, 0, 0, 0, 1] * 20 + [1, 1, 0, 1, 1] * 5)
    array([113])
    >>> detector.evidence.since, detector.evidence.effect > 0.3
    (15, True)

    Source: J. Gama, P. Medas, G. Castillo, P. Rodrigues, "Learning with Drift Detection", SBIA 2004, section
    3.
    """

    _kind: ClassVar[str] = "DDM"
    statistic: float
    _least, _most = 0.0, 1.0
    _made = ("warm_start", "warning_threshold", "drift_threshold")
    _count: int
    _errors: float
    _rate: float
    _spread: float
    _best_count: int
    _best_errors: float
    _filled = ("_count", "_errors", "_rate", "_spread", "_best_count", "_best_errors", "_warned")

    def __init__(
        self, *, warm_start: int = 30, warning_threshold: float = 2.0, drift_threshold: float = 3.0
    ) -> None:
        self.warm_start: int = whole("warm_start", warm_start, at_least=1, remedy="leave it out for 30")
        self.warning_threshold: float = real("warning_threshold", warning_threshold, remedy="pass 2, say")
        self.drift_threshold: float = at_least("drift_threshold", drift_threshold, 0.0, remedy="pass 3, say")
        if not 0.0 < self.warning_threshold <= self.drift_threshold:
            raise ValueError(
                "warning_threshold must be above 0 and at most drift_threshold, got "
                f"{shown(warning_threshold)} and {shown(drift_threshold)}; pass 2 and 3, say"
            )
        super().__init__(self.drift_threshold)

    def _step(self, value: float) -> bool:
        self._count = self._count + 1
        self._errors = self._errors + value
        count = self._count
        if count <= self.warm_start:
            return False
        rate = self._errors / count
        spread = math.sqrt(rate * (1.0 - rate) / count)
        high = rate + spread
        if not self._best_count or high <= self._rate + self._spread:
            self._rate, self._spread = rate, spread
            self._best_count, self._best_errors = count, self._errors
        self._warned = high > self._rate + self.warning_threshold * self._spread
        self.statistic = (high - self._rate) / (self._spread or TINY)
        return high > self._rate + self.drift_threshold * self._spread

    def _absorb(self, rows: Floats) -> tuple[int, bool]:
        values = self._bring(rows)
        errors = running(self._errors, values)
        counts = np.arange(self._count + 1, self._count + len(values) + 1)
        early = min(max(0, self.warm_start - self._count), len(values))
        if early == len(values):
            self._count, self._errors = int(counts[-1]), float(errors[-1])
            return early, False
        late = counts[early:]
        rates = errors[early:] / late
        spreads = np.sqrt(rates * (1.0 - rates) / late)
        highs = rates + spreads
        lowest = np.minimum.accumulate(highs)
        if self._best_count:
            lowest = np.minimum(lowest, self._rate + self._spread)
        # Where the minimum was last reached: -1 stands for the one that is remembered.
        places = np.maximum.accumulate(np.where(highs == lowest, np.arange(len(highs)), -1))
        best_rates = np.where(places < 0, self._rate, rates[places])
        best_spreads = np.where(places < 0, self._spread, spreads[places])
        reached = highs > best_rates + self.drift_threshold * best_spreads
        last = int(reached.argmax())
        alarm = bool(reached[last])
        if not alarm:
            last = len(highs) - 1
        place = int(places[last])
        if place >= 0:
            self._rate = float(rates[place])
            self._spread = float(spreads[place])
            self._best_count = int(late[place])
            self._best_errors = float(errors[early + place])
        high = float(highs[last])
        self._warned = high > self._rate + self.warning_threshold * self._spread
        self.statistic = (high - self._rate) / (self._spread or TINY)
        self._count, self._errors = int(late[last]), float(errors[early + last])
        return early + last + 1, alarm

    def _explain(self) -> Evidence:
        since = self._count - self._best_count
        effect = 0.0
        if since:
            after = (self._errors - self._best_errors) / since
            best = self._best_errors
            within = best * (1.0 - best / self._best_count) + since * after * (1.0 - after)
            effect = moved(self._rate, after, (self._best_count, since), within)
        return Evidence(self.statistic, self.threshold, self.seen, max(since, 1), effect)

    def _begin(self) -> None:
        self._count = self._best_count = 0
        self._errors = self._rate = self._spread = self._best_errors = self.statistic = 0.0
        self._warned = False


TINY = 1e-300
"""Stands for the spread of a rate that never was above 0, so that the statistic is a number."""
