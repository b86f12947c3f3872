"""Any score has moved or changed its spread: its ranks among a reference are bet on."""

from __future__ import annotations

import math
from bisect import bisect_left, bisect_right
from collections import deque
from collections.abc import Mapping
from typing import Any, ClassVar, Self

import numpy as np
import numpy.typing as npt

from .._checks import at_least
from ._wealth import LEAST, beginning, gather
from .detector import Detector, Evidence, Floats, reference_values, surplus

STAKES = (0.2, 0.5, 0.9)
MEMORY = 1024


class ConformalShiryaevRoberts(Detector):
    """Alarms when a score no longer falls among those of a reference as they fall among each other.

    The mid-rank among *n* reference values gives ``u`` in [-1, 1], the place, and ``v = 2 |u| - 1``, how far
    out it is; both are centred on the reference. The bets ``1 +- stake * (u or v) - stake * margin /
    sqrt(n)`` with stakes 0.2, 0.5 and 0.9, twelve in all, find level and spread; their Shiryaev-Roberts
    evidence is averaged, and the alarm comes at ``arl``.

    Only ranks count, so the promise is the same for every distribution, ties and heavy tails included; it
    supposes that the quiet observations are exchangeable with the reference. Streams with memory or daily
    cycles are not: whiten or thin them first. For rare binary events use `EShiryaevRoberts`.

    Effects are shifts of the mean rank, as a share of the reference from -1 to 1, or of the spread if that
    changed more.

    Args:
        reference: Scores of quiet times, one dimension, at least 20 finite ones; 1000 are good, as fewer make
            slower detectors.
        arl: Observations between false alarms, from 2; the default is one in 10 000.

        margin: How much is taken off each bet as the reference is a sample, in units of ``1 / sqrt(n)``,
            from 0; the mean rank among *n* is off by about 0.58 of these. The default keeps the promise.

    Raises:
        ValueError: A parameter is out of its range.

    >>> import numpy as np
    >>> draw = np.random.default_rng(1).normal
    >>> detector = ConformalShiryaevRoberts(draw(size=1000), arl=1000)
    >>> stream = np.concatenate([draw(size=500), draw(1.0, size=100)])
    >>> detector.update_many(stream)[:1]
    array([512])

    Source: V. Vovk, A. Gammerman, G. Shafer, "Algorithmic Learning in a Random World", 2nd edition, 2022,
    chapter 8; J. Shin, A. Ramdas, A. Rinaldo, "E-detectors", New England Journal of Statistics in Data
    Science 2(2), 2024.
    """

    _kind: ClassVar[str] = "ConformalShiryaevRoberts"
    _wealth: list[float]

    def __init__(self, reference: npt.ArrayLike, *, arl: float = 10_000, margin: float = 0.75) -> None:
        super().__init__(arl)
        self.margin: float = at_least("margin", margin, 0.0, remedy="leave it out for 0.75")
        self._reference = np.sort(reference_values(reference))
        self._sorted: list[float] = self._reference.tolist()
        count = len(self._sorted)
        place = (self._ranks(self._reference) - count) / (count + 1.0)
        self._centres = float(place.mean()), float((2.0 * np.abs(place) - 1.0).mean())
        # The twelve factors by twice the mid-rank, which is all they depend on: a whole number from 0 to 2 n.
        ranks = np.arange(2 * count + 1)
        place = (ranks - count) / (count + 1.0)
        scores = np.array([place - self._centres[0], 2.0 * np.abs(place) - 1.0 - self._centres[1]])
        bets: list[Floats] = []
        for score in scores:
            for stake in STAKES:
                bet = min(
                    stake, (1.0 - LEAST) / (float(np.abs(score).max()) + self.margin / math.sqrt(count))
                )
                fee = bet * self.margin / math.sqrt(count)
                bets += [1.0 + bet * score - fee, 1.0 - bet * score - fee]
        self._table: Floats = np.array(bets)
        self._rows_of_table: list[tuple[float, ...]] = list(map(tuple, self._table.T.tolist()))
        self._recent: deque[int] = deque(maxlen=MEMORY)
        self._begin()

    def _ranks(self, values: Floats) -> npt.NDArray[np.intp]:
        """Twice the mid-ranks: how many of the reference are below, and how many not above."""
        below = np.searchsorted(self._reference, values, side="left")
        return below + np.searchsorted(self._reference, values, side="right")

    def update(self, value: float) -> bool:
        """Feed one observation; whether it raised an alarm."""
        if not math.isfinite(value):
            return self._refuse()
        rank = bisect_left(self._sorted, value) + bisect_right(self._sorted, value)
        self._recent.append(rank)
        self.seen: int = self.seen + 1
        self.alarmed_last = False
        self._wealth = wealth = [
            (one + 1.0) * factor for one, factor in zip(self._wealth, self._rows_of_table[rank], strict=True)
        ]
        self.statistic = total = sum(wealth) / len(wealth)
        if total < self.threshold:
            return False
        self._raise_alarm()
        return True

    def _absorb(self, rows: Floats) -> tuple[int, bool]:
        ranks = self._ranks(rows[:8192])
        factors = self._table[:, ranks]
        self._wealth, self.statistic, place = gather(self._wealth, factors, "sr", self.threshold)
        used = len(ranks) if place < 0 else place + 1
        self._recent.extend(ranks[max(0, used - MEMORY) : used].tolist())
        return used, place >= 0

    def _explain(self) -> Evidence:
        ranks = np.array(self._recent)
        since = beginning(self._table[:, ranks])
        count = len(self._sorted)
        place = (ranks[-since:] - count) / (count + 1.0)
        moved = surplus(float(place.mean()) - self._centres[0], 0.58, since)
        spread = surplus(float((2.0 * np.abs(place) - 1.0).mean()) - self._centres[1], 0.58, since)
        effect = moved if abs(moved) >= abs(spread) else spread
        return Evidence(self.statistic, self.threshold, self.seen, since, effect)

    def _begin(self) -> None:
        self._wealth = [0.0] * len(self._table)
        self._recent.clear()
        self.statistic: float = 0.0

    def _save(self) -> dict[str, Any]:
        recent = list(self._recent)
        made = {"arl": self.arl, "margin": self.margin, "reference": list(self._sorted)}
        return {**made, "wealth": list(self._wealth), "recent": recent}

    @classmethod
    def _load(cls, state: Mapping[str, Any]) -> Self:
        detector = cls(state["reference"], arl=state["arl"], margin=state["margin"])
        detector._fill(state)
        return detector

    def _fill(self, state: Mapping[str, Any]) -> None:
        self._wealth = [float(one) for one in state["wealth"]]
        self._recent.extend(state["recent"])
