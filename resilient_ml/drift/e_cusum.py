"""The CUSUM e-detector: fewer false alarms than the Shiryaev-Roberts form at the same promise, and slower."""

from __future__ import annotations

from typing import ClassVar

from ._wealth import Form
from .bounded_mean import BoundedMean


class ECusum(BoundedMean):
    """Alarms when the mean of a bounded number has left what is tolerated.

    ``K_j <- max(K_j, 1) * (1 + stake_j * (x - tolerated))``, alarm when the mean of all ``K_j`` reaches
    ``arl``.

    The promise, the parameters and the effects are those of `EShiryaevRoberts`, whose evidence is never less:
    so this one alarms later, and less often than promised by a larger factor.

    >>> detector = ECusum(0.12, arl=1000)
    >>> alarms = detector.update_many([0, 0, 0, 0, 0, 0, 0, 0, 0, 1] * 30 + [0, 1] * 30)
    >>> int(alarms[0]) - 300
    15

    Source: J. Shin, A. Ramdas, A. Rinaldo, "E-detectors: a nonparametric framework for sequential change
    detection", New England Journal of Statistics in Data Science 2(2), 2024.
    """

    form: ClassVar[Form] = "cusum"
    _kind: ClassVar[str] = "ECusum"

    def _step(self, value: float) -> float:
        self._wealth = wealth = [
            (one if one > 1.0 else 1.0)  # noqa: FURB136 - max() costs a call
            * (constant + slope * value)
            for one, constant, slope in zip(self._wealth, self._constants, self._slopes, strict=True)
        ]
        return sum(wealth) / len(wealth)
