"""HDDM_A: the rate of errors is above that of its best beginning, by Hoeffding's bound."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import astuple, dataclass
from typing import Any, ClassVar, Self

import numpy as np

from .._checks import flag
from .classic import Classic, confidences, moved, running
from .detector import Evidence, Floats


@dataclass(slots=True)
class Beginning:
    """The best beginning so far; means are negated where falls are looked for.

    Attributes:
        count: How many observations it has; 0 stands for none.
        key: Its mean and bound, the smallest so far.
        mean: Its mean.
        errors: Its sum.
    """

    count: int = 0
    key: float = 0.0
    mean: float = 0.0
    errors: float = 0.0


class HDDMA(Classic):
    """Alarms when errors have become more frequent than in a beginning of the stream, by averages (HDDM_A).

    Of all beginnings the one with the smallest ``mean + sqrt(ln(1 / drift_confidence) / (2 n))`` is
    remembered, its mean ``p_c`` and length ``c``. With the mean ``p`` of all ``n`` since the last alarm::

        m = (n - c) / (c n)
        p - p_c >= sqrt(m / 2 * ln(2 / warning_confidence))      warn
        p - p_c >= sqrt(m / 2 * ln(2 / drift_confidence))        alarm

    After an alarm all is forgotten. Warnings and alarms come at the same observations as those of river 0.26;
    there one NaN ends all alarms for ever, here it is refused.

    The confidence is that of one test, and a stream is tested at every observation. Measured at the defaults:
    with errors of 0.1 one false alarm in a million observations, with 0.3 one in 62 500; a rise from 0.1 to
    0.2 is found in 518, one from 0.01 to 0.05 not within 2000. `EShiryaevRoberts` with ``arl=10_000`` finds
    them in 147 and 166, with a run length that you choose.

    `statistic` is the difference as a share of its bound, so `threshold` is 1; the effect is the rate of
    errors since the best beginning, less the rate in it.

    Args:
        drift_confidence: The probability of an alarm by chance at one test, above 0 and below 1.
        warning_confidence: That of a warning, at least as large, below 1.
        two_sided: Whether falls alarm too.

    Observations are 1 for an error and 0 for none; losses between them are taken as they are, and values
    beyond as the bound.

    Raises:
        ValueError: A parameter is out of its range.

    >>> detector = HDDMA()
    >>> detector.update_many([0, 0, 0, 0, 1] * 60 + [1, 1, 0, 1, 1] * 10)
    array([309])
    >>> detector.evidence.since, detector.evidence.effect > 0.3
    (11, True)

    Source: I. Frias-Blanco, J. del Campo-Avila, G. Ramos-Jimenez, R. Morales-Bueno, A. Ortiz-Diaz, Y.
    Caballero-Mota, "Online and Non-Parametric Drift Detection Methods Based on Hoeffding's Bounds", IEEE
    Transactions on Knowledge and Data Engineering 27(3), 2015, section 3.
    """

    _kind: ClassVar[str] = "HDDMA"
    statistic: float
    drift_confidence: float
    warning_confidence: float
    _least, _most = 0.0, 1.0
    _made = ("drift_confidence", "warning_confidence", "two_sided")
    _count: int
    _errors: float
    _best: list[Beginning]
    _filled = ("_count", "_errors", "_warned")

    def __init__(
        self, *, drift_confidence: float = 0.001, warning_confidence: float = 0.005, two_sided: bool = False
    ) -> None:
        self.drift_confidence, self.warning_confidence = confidences(drift_confidence, warning_confidence)
        self.two_sided: bool = flag("two_sided", two_sided, remedy="True lets falls alarm too")
        self._log = math.log(1.0 / self.drift_confidence)
        self._drift_log = math.log(2.0 / self.drift_confidence)
        self._warning_log = math.log(2.0 / self.warning_confidence)
        super().__init__(1.0)

    def _step(self, value: float) -> bool:
        self._count = self._count + 1
        self._errors = self._errors + value
        count = self._count
        mean = self._errors / count
        bound = math.sqrt(1.0 / (2 * count) * self._log)
        alarm = self._warned = False
        self.statistic = 0.0
        for best in self._best:
            if not best.count or mean + bound <= best.key:
                best.count, best.key, best.mean, best.errors = count, mean + bound, mean, self._errors
            else:  # its bound was larger, so its mean is smaller
                half = (count - best.count) / best.count * (1.0 / count) / 2
                drift = math.sqrt(half * self._drift_log)
                self.statistic = max(self.statistic, (mean - best.mean) / drift)
                alarm = alarm or mean - best.mean >= drift
                self._warned = self._warned or mean - best.mean >= math.sqrt(half * self._warning_log)
            mean = -mean
        return alarm

    def _absorb(self, rows: Floats) -> tuple[int, bool]:
        values = self._bring(rows)
        errors = running(self._errors, values)
        counts = np.arange(self._count + 1, self._count + len(values) + 1)
        means = errors / counts
        bounds = np.sqrt(1.0 / (2 * counts) * self._log)
        places = np.arange(len(means))
        reached = np.zeros(len(means), dtype=bool)
        sides = []
        for best in self._best:
            keys = means + bounds
            lowest = np.minimum.accumulate(keys)
            if best.count:
                lowest = np.minimum(lowest, best.key)
            # Where the key was lowest last: -1 stands for the beginning that is remembered.
            latest = np.maximum.accumulate(np.where(keys == lowest, places, -1))
            cuts = np.where(latest < 0, best.count, counts[latest])
            differences = means - np.where(latest < 0, best.mean, means[latest])
            halves = (counts - cuts) / cuts * (1.0 / counts) / 2
            drifts = np.sqrt(halves * self._drift_log)
            reached |= (differences > 0.0) & (differences >= drifts)
            sides.append((best, keys, means, latest, differences, halves, drifts))
            means = -means
        last = int(reached.argmax())
        alarm = bool(reached[last])
        if not alarm:
            last = len(means) - 1
        self._warned = False
        self.statistic = 0.0
        for best, keys, signed, latest, differences, halves, drifts in sides:
            place = int(latest[last])
            if place >= 0:
                best.count, best.errors = int(counts[place]), float(errors[place])
                best.key, best.mean = float(keys[place]), float(signed[place])
            difference = float(differences[last])
            if difference > 0.0:
                self.statistic = max(self.statistic, difference / float(drifts[last]))
                warning = math.sqrt(float(halves[last]) * self._warning_log)
                self._warned = self._warned or difference >= warning
        self._count, self._errors = int(counts[last]), float(errors[last])
        return last + 1, alarm

    def _explain(self) -> Evidence:
        mean, count = self._errors / self._count, self._count
        # Of the two sides the one whose difference is the larger share of its bound.
        _, best = max(
            zip((mean, -mean), self._best, strict=False),
            key=lambda side: (
                (side[0] - side[1].mean) * math.sqrt(side[1].count / max(count - side[1].count, 1))
            ),
        )
        since = count - best.count
        before, after = best.errors / best.count, (self._errors - best.errors) / since
        within = best.errors * (1.0 - before) + since * after * (1.0 - after)
        effect = moved(before, after, (best.count, since), within)
        return Evidence(self.statistic, self.threshold, self.seen, since, effect)

    def _begin(self) -> None:
        self._count, self._errors = 0, 0.0
        self._best = [Beginning() for _ in range(1 + self.two_sided)]
        self.statistic = 0.0
        self._warned = False

    def _save(self) -> dict[str, Any]:
        return {**super()._save(), "best": [list(astuple(one)) for one in self._best]}

    @classmethod
    def _load(cls, state: Mapping[str, Any]) -> Self:
        detector = super()._load(state)
        detector._best = [Beginning(*one) for one in state["best"]]
        return detector
