"""Any score has moved or changed its spread: its ranks among a reference are bet on."""

from __future__ import annotations

import math
from bisect import bisect_left, bisect_right
from collections import deque
from collections.abc import Mapping
from operator import mul
from statistics import NormalDist
from typing import Any, ClassVar, Self

import numpy as np
import numpy.typing as npt

from .._checks import at_least
from ._wealth import LEAST, beginning, gather
from .detector import Detector, Evidence, Floats, reference_values, surplus

SHIFTS = (0.25, 0.5, 1.0)
SPREADS = (0.6, 1.5, 2.2)
"""The bets: on the level having moved by so many standard deviations up or down, on the spread being so many
times what it was, each as they would be for a normal distribution."""

WEIGHTS = np.array((4.0, 4.0, 1.0, 1.0, 1.0, 1.0, 1.0, 1.0, 1.0)) / 15.0
"""A small shift takes long to show, and a larger part of the evidence saves it most observations."""
_WEIGHTS: tuple[float, ...] = tuple(WEIGHTS.tolist())

MEMORY = 1024


class ConformalShiryaevRoberts(Detector):
    """Alarms when a score no longer falls among those of a reference as they fall among each other.

    The mid-rank among *n* reference values becomes a normal score ``z``, the quantile that the rank would
    have were the scores normal. Nine bets are the likelihood ratios of what may have changed, divided by
    their mean over the reference, so that whatever the distribution none earns anything by chance::

        exp(+-d z)                           the level, d = 0.25, 0.5, 1
        exp(z^2 / 2 (1 - 1 / s^2))           the spread, s = 0.6, 1.5, 2.2

    Each factor is lowered by ``margin / sqrt(n)`` of its standard deviation, as the reference is a sample.
    The Shiryaev-Roberts evidence of all is averaged, that on the smallest shifts with four times the weight,
    and the alarm comes at ``arl``.

    Only ranks count, so the promise is the same for every distribution, ties and heavy tails included; it
    supposes that the quiet observations are exchangeable with the reference. Streams with memory or daily
    cycles are not: `WhitenedShiryaevRoberts` takes that off first. For rare binary events use
    `EShiryaevRoberts`.

    Effects are shifts of the mean rank, as a share of the reference from -1 to 1, or of the spread if that
    changed more.

    Args:
        reference: Scores of quiet times, one dimension, at least 20 finite ones; 1000 are good, as fewer make
            slower detectors.
        arl: Observations between false alarms, from 2; the default is one in 10 000.
        margin: How much is taken off each bet as the reference is a sample, in standard deviations of its
            mean over such a sample, from 0. The default is what keeps the promise: 0.75, and more where
            the reference has less than a fifteenth of *arl*.

    Raises:
        ValueError: A parameter is out of its range.

    >>> import numpy as np
    >>> draw = np.random.default_rng(1).normal
    >>> detector = ConformalShiryaevRoberts(draw(size=1000), arl=1000)
    >>> stream = np.concatenate([draw(size=500), draw(1.0, size=100)])
    >>> detector.update_many(stream)[:1]
    array([503])

    Source: V. Vovk, A. Gammerman, G. Shafer, "Algorithmic Learning in a Random World", 2nd edition, 2022,
    chapter 8; J. Shin, A. Ramdas, A. Rinaldo, "E-detectors", New England Journal of Statistics in Data
    Science 2(2), 2024; B. L. van der Waerden, Proceedings of the Koninklijke Nederlandse Akademie van
    Wetenschappen A 55, 1952, for the normal scores.
    """

    _kind: ClassVar[str] = "ConformalShiryaevRoberts"
    _wealth: list[float]

    def __init__(self, reference: npt.ArrayLike, *, arl: float = 10_000, margin: float | None = None) -> None:
        super().__init__(arl)
        self._reference = np.sort(reference_values(reference))
        self._sorted: list[float] = self._reference.tolist()
        count = len(self._sorted)
        self._padded = np.append(self._reference, np.nan)
        self._upto = np.searchsorted(self._reference, self._padded, side="right")
        self.margin: float = (
            margin_for(count, self.arl)
            if margin is None
            else at_least("margin", margin, 0.0, remedy="leave it out for what keeps the promise")
        )
        own = self._ranks(self._reference)
        place = (own - count) / (count + 1.0)
        # The mean of mid-ranks is what it is whatever the values; how far they spread depends on ties.
        self._usual_spread = float((2.0 * np.abs(place) - 1.0).mean())
        self._table: Floats = _bets(count, own, self.margin)
        self._rows_of_table: list[tuple[float, ...]] = list(map(tuple, self._table.T.tolist()))
        self._recent: deque[int] = deque(maxlen=MEMORY)
        self._begin()

    def _ranks(self, values: Floats) -> npt.NDArray[np.intp]:
        """Twice the mid-ranks: how many of the reference are below, and how many not above."""
        below = np.searchsorted(self._reference, values, side="left")
        tied = self._padded[below] == values  # the second search is needed for these alone, and was done
        return below + np.where(tied, self._upto[below], below)

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
        self.statistic = total = sum(map(mul, _WEIGHTS, wealth))
        if total < self.threshold:
            return False
        self._raise_alarm()
        return True

    def _absorb(self, rows: Floats) -> tuple[int, bool]:
        ranks = self._ranks(rows[:8192])
        factors = self._table[:, ranks]
        self._wealth, self.statistic, place = gather(self._wealth, factors, "sr", self.threshold, WEIGHTS)
        used = len(ranks) if place < 0 else place + 1
        self._recent.extend(ranks[max(0, used - MEMORY) : used].tolist())
        return used, place >= 0

    def _explain(self) -> Evidence:
        ranks = np.array(self._recent)
        since = beginning(self._table[:, ranks])
        count = len(self._sorted)
        place = (ranks[-since:] - count) / (count + 1.0)
        moved = surplus(float(place.mean()), 0.58, since)
        spread = surplus(float((2.0 * np.abs(place) - 1.0).mean()) - self._usual_spread, 0.58, since)
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


def margin_for(count: int, arl: float) -> float:
    """The margin that keeps the promise: the rarer alarms may be, the unluckier references matter.

    Fitted to run lengths simulated for references of 20 to 4000 and an *arl* of 1000 to 300 000.
    """
    return 0.75 + 2.5 / math.sqrt(count) * max(0.0, math.log(arl / (15.0 * count)))


def _bets(count: int, own: npt.NDArray[np.intp], margin: float) -> Floats:
    """The factors of each bet by twice the mid-rank, which is all they depend on: from 0 to ``2 * count``.

    Args:
        count: How many values the reference has.
        own: Twice the mid-rank of each of them; a new value has as often the rank of any, and once in
            ``count + 1`` is beyond all of them.
        margin: As for the class.
    """
    normal = NormalDist()
    scores = np.array([normal.inv_cdf((rank + 1) / (2 * count + 2)) for rank in range(2 * count + 1)])
    ratios = [np.exp(sign * shift * scores) for shift in SHIFTS for sign in (1.0, -1.0)]
    ratios += [np.exp(np.square(scores) * (0.5 - 0.5 / spread**2)) for spread in SPREADS]
    own_shares = np.bincount(own, minlength=2 * count + 1) / count
    shares = own_shares * count / (count + 1.0)
    shares[[0, -1]] += 0.5 / (count + 1.0)
    # Where there are ties, how much is beyond the reference is not known: a bet earns nothing either way.
    table: Floats = np.array(ratios)
    table /= np.maximum(table @ shares, table @ own_shares)[:, None]
    table = np.maximum(table, LEAST)
    table /= np.maximum(table @ shares, table @ own_shares)[:, None]
    spread = np.sqrt((table - 1.0) ** 2 @ shares)
    fees = np.minimum(margin / math.sqrt(count) * spread, 0.9)
    lowered: Floats = np.maximum(table * (1.0 - fees)[:, None], LEAST)
    return lowered
