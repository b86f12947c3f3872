"""The Shiryaev-Roberts e-detector: the default for errors, losses and everything else with bounds."""

from __future__ import annotations

from typing import ClassVar

from ._wealth import Form
from .bounded_mean import BoundedMean


class EShiryaevRoberts(BoundedMean):
    """Alarms when the mean of a bounded number has left what is tolerated.

    ``R_j <- (R_j + 1) * (1 + stake_j * (x - tolerated))``, alarm when the mean of all ``R_j`` reaches
    ``arl``.

    While the mean, given the past, is no further out than what is tolerated, false alarms are at least *arl*
    observations apart on average, for any distribution, independent or not: a theorem, nothing is tuned.
    A shift within what is tolerated never alarms.

    Effects are in the unit of the observations, beyond what is tolerated.

    Args:
        tolerated: The highest mean that is no cause for alarm, inside the bounds; learn it with
            `from_reference`.
        arl: Observations between false alarms, from 2. The default is one in 10 000; a service with a
            thousand requests a day that bears one false alarm a month passes 30_000.
        direction: ``"up"`` for errors and losses, which harm only by rising; ``"down"``, or ``"both"``.
        tolerated_low: The lowest mean that is no cause for alarm; *tolerated* itself when left out.
        bounds: Lowest and highest value; what lies beyond is taken as the bound.

    Raises:
        ValueError: A parameter is out of its range.

    >>> detector = EShiryaevRoberts(0.12, arl=1000)
    >>> alarms = detector.update_many([0, 0, 0, 0, 0, 0, 0, 0, 0, 1] * 30 + [0, 1] * 30)
    >>> int(alarms[0]) - 300, detector.evidence.since
    (11, 15)

    Source: J. Shin, A. Ramdas, A. Rinaldo, "E-detectors: a nonparametric framework for sequential change
    detection", New England Journal of Statistics in Data Science 2(2), 2024.
    """

    form: ClassVar[Form] = "sr"
    _kind: ClassVar[str] = "EShiryaevRoberts"

    def _step(self, value: float) -> float:
        self._wealth = wealth = [
            (one + 1.0) * (constant + slope * value)
            for one, constant, slope in zip(self._wealth, self._constants, self._slopes, strict=True)
        ]
        return sum(wealth) / len(wealth)
