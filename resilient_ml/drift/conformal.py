"""Any score has moved or changed its spread: its ranks among a reference are bet on."""

from __future__ import annotations

import math
from array import array
from bisect import bisect_left, bisect_right
from collections import deque
from collections.abc import Mapping
from itertools import islice
from operator import mul
from statistics import NormalDist
from typing import Any, ClassVar, Self

import numpy as np
import numpy.typing as npt

from .._checks import at_least
from ._growth import LAG, LARGEST, joining
from ._ranking import Ranking
from ._recursion import TOGETHER, blocks
from ._wealth import beginning, gather
from .detector import Detector, Evidence, Floats, reference_values, surplus

SHIFTS = (0.25, 0.5, 1.0)
SPREADS = (0.6, 1.5, 2.2)
"""The bets: on the level having moved by so many standard deviations up or down, on the spread being so many
times what it was, each as they would be for a normal distribution."""

WEIGHTS = np.array((8.0, 8.0, 2.0, 2.0, 1.0, 1.0, 1.0, 1.0, 1.0)) / 25.0
"""A small shift takes long to show, and a larger part of the evidence saves it most observations."""
_WEIGHTS: tuple[float, ...] = tuple(WEIGHTS.tolist())
BETS = len(_WEIGHTS)

LEAST = 0.05
"""No factor is smaller: what was lost at one observation can be won back."""

MEMORY = 1024
"""How many observations are kept, to say when the change began and to let the reference grow."""


class ConformalShiryaevRoberts(Detector):
    """Alarms when a score no longer falls among those of a reference as they fall among each other.

    The mid-rank among *n* reference values becomes a normal score ``z``, the quantile that the rank would
    have were the scores normal. Nine bets are the likelihood ratios of what may have changed, divided by
    their mean over the reference, so that whatever the distribution none earns anything by chance::

        exp(+-d z)                           the level, d = 0.25, 0.5, 1
        exp(z^2 / 2 (1 - 1 / s^2))           the spread, s = 0.6, 1.5, 2.2

    Each factor is lowered by ``margin / sqrt(n)`` of its standard deviation, as the reference is a sample. It
    grows: an observation joins it when 256 to 512 more have come without an alarm, up to 4000 in all.
    The Shiryaev-Roberts evidence of all is averaged, that on the smallest shifts with eight times the weight
    and that on the next with twice, and the alarm comes at ``arl``.

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
            mean over such a sample, from 0. The default is what keeps the promise: about 0.3 for a
            reference of 1000 that grows, 0.75 for one that is kept from it; more for small ones and a long
            *arl*.

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
    _excess: Floats = np.zeros(BETS)
    """By how much sums of each bet's factors vary more than those of independent observations, as a share."""

    def __init__(self, reference: npt.ArrayLike, *, arl: float = 10_000, margin: float | None = None) -> None:
        super().__init__(arl)
        self._given = np.sort(reference_values(reference))
        self._given_margin: float | None = (
            None
            if margin is None
            else at_least("margin", margin, 0.0, remedy="leave it out for what keeps the promise")
        )
        self._grows = self._may_grow()
        self._recent: deque[float] = deque(maxlen=MEMORY)
        self._judge_by(self._given)
        self._begin()

    def _judge_by(self, reference: Floats) -> None:
        """Take *reference*, sorted, for what is usual."""
        self._reference = reference
        self._sorted: list[float] = reference.tolist()
        count = len(reference)
        self._ranking = Ranking(reference)
        self._join = joining(count) if self._grows else 0
        self._due: float = LAG + self._join if self._join else math.inf
        self.margin: float = self._margin(count) if self._given_margin is None else self._given_margin
        own = self._ranking.twice_midranks(reference)
        place = (own - count) / (count + 1.0)
        # The mean of mid-ranks is what it is whatever the values; how far they spread depends on ties.
        self._usual_spread = float((2.0 * np.abs(place) - 1.0).mean())
        self._table: Floats = _bets(count, own, self.margin, 2.0 / self.arl, self._excess)
        self._factors = array("d", self._table.tobytes())

    def _may_grow(self) -> bool:
        """Whether what is observed may join the reference."""
        return True

    def _margin(self, count: int) -> float:
        """What is taken off each bet for a reference of *count*."""
        grows = self._grows or count >= LARGEST
        return growing_margin(count, self.arl) if grows else fixed_margin(count, self.arl)

    def _grow(self) -> None:
        """Let the oldest of what has been observed since the evidence began join the reference."""
        begin = len(self._recent) - self._fresh
        joined = list(islice(self._recent, begin, begin + self._join))
        self._fresh -= len(joined)
        self._judge_by(np.sort(np.concatenate([self._reference, joined])))

    def fix_reference(self) -> None:
        """Keep the reference as it is: nothing that is observed joins it."""
        super().fix_reference()
        self._judge_by(self._reference)

    def update(self, value: float) -> bool:
        """Feed one observation; whether it raised an alarm."""
        if not math.isfinite(value):
            return self._refuse()
        return self._judge(float(value))  # what is kept is plain data, and equals what a batch has

    def _judge(self, value: float) -> bool:
        """Use *value*, which is finite; whether it raised an alarm."""
        rank = bisect_left(self._sorted, value) + bisect_right(self._sorted, value)
        self._recent.append(value)
        self.seen: int = self.seen + 1
        self.alarmed_last = False
        factors = self._factors[BETS * rank : BETS * rank + BETS]
        self._wealth = wealth = [
            (one + 1.0) * factor for one, factor in zip(self._wealth, factors, strict=True)
        ]
        self.statistic = total = sum(map(mul, _WEIGHTS, wealth))
        self._fresh += 1
        if total >= self.threshold:
            self._raise_alarm()
            return True
        if self._fresh >= self._due:
            self._grow()
        return False

    def _absorb(self, rows: Floats) -> tuple[int, bool]:
        rows = rows[: int(min(TOGETHER, self._due - self._fresh))]
        factors = (self._table.take(ranks, 0) for ranks in blocks(self._ranking.twice_midranks(rows), BETS))
        self._wealth, self.statistic, place = gather(self._wealth, factors, "sr", self.threshold, WEIGHTS)
        used = len(rows) if place < 0 else place + 1
        self._recent.extend(rows[max(0, used - MEMORY) : used].tolist())
        self._fresh += used
        if place < 0 and self._fresh >= self._due:
            self._grow()
        return used, place >= 0

    def _explain(self) -> Evidence:
        ranks = self._ranking.twice_midranks(np.array(self._recent))
        since = beginning(self._table[ranks])
        count = len(self._sorted)
        place = (ranks[-since:] - count) / (count + 1.0)
        moved = surplus(float(place.mean()), 0.58, since)
        spread = surplus(float((2.0 * np.abs(place) - 1.0).mean()) - self._usual_spread, 0.58, since)
        effect = moved if abs(moved) >= abs(spread) else spread
        return Evidence(self.statistic, self.threshold, self.seen, since, effect)

    def _begin(self) -> None:
        self._wealth = [0.0] * BETS
        self._recent.clear()
        self._fresh = 0
        self.statistic: float = 0.0

    def reset(self) -> None:
        """Begin anew with the reference that was given: nothing has been seen."""
        if len(self._reference) > len(self._given):
            self._judge_by(self._given)
        super().reset()

    def _save(self) -> dict[str, Any]:
        made = {"arl": self.arl, "margin": self._given_margin, "reference": self._given.tolist()}
        filled = {"wealth": list(self._wealth), "recent": list(self._recent), "fresh": self._fresh}
        return {**made, "grows": self._grows, "judged_by": list(self._sorted), **filled}

    @classmethod
    def _load(cls, state: Mapping[str, Any]) -> Self:
        detector = cls.__new__(cls)
        detector._fill(state)
        return detector

    def _fill(self, state: Mapping[str, Any]) -> None:
        ConformalShiryaevRoberts.__init__(self, state["reference"], arl=state["arl"], margin=state["margin"])
        self._grows = bool(state["grows"])
        self._judge_by(np.array(state["judged_by"], dtype=np.float64))
        self._wealth = [float(one) for one in state["wealth"]]
        self._recent.extend(state["recent"])
        self._fresh = int(state["fresh"])


def fixed_margin(count: int, arl: float) -> float:
    """The margin that keeps the promise with a reference that stays as it is.

    The rarer alarms may be, the unluckier references matter. Fitted to run lengths simulated for references
    of 20 to 4000 and an *arl* of 1000 to 300 000.
    """
    return 0.75 + 2.5 / math.sqrt(count) * max(0.0, math.log(arl / (15.0 * count)))


def growing_margin(count: int, arl: float) -> float:
    """The margin that keeps the promise with a reference that grows: an unlucky one does not stay so.

    Fitted to run lengths simulated for references that had 30 to 2000 at first, and an *arl* of 1000 to
    1 000 000.
    """
    rarer = arl / (1.5 * max(count, LARGEST))
    return 0.15 + min(130.0 / count, 2.0) + 0.12 * max(0.0, math.log(rarer))


def _bets(count: int, own: npt.NDArray[np.intp], margin: float, least: float, excess: Floats) -> Floats:
    """The factors by twice the mid-rank, which is all they depend on: shape (2 * count + 1, bets).

    Args:
        count: How many values the reference has.
        own: Twice the mid-rank of each of them; a new value has as often the rank of any, and once in
            ``count + 1`` is beyond all of them.
        margin: As for the class.
        least: What is taken off at least, as a share: where a value is always the same, its factor is nearly
            1, and the evidence would grow for ever.
        excess: By how much sums of each bet's factors vary more than they would by chance, as a share, shape
            (bets,).
    """
    normal = NormalDist()
    low = np.array([normal.inv_cdf((rank + 1) / (2 * count + 2)) for rank in range(count)])
    scores = np.concatenate([low, [0.0], -low[::-1]])
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
    # Products of what goes together grow by half the excess of their variance. Where the spread stays large
    # for a while, those of bets on the level grow too, by what that adds to their squares.
    fees = margin / math.sqrt(count) * spread + 0.5 * excess * np.square(spread)
    levels = 2 * len(SHIFTS)
    fees[:levels] += 0.5 * excess[levels:].max() * spread[:levels] ** 4
    fees = np.minimum(np.maximum(fees, least), 0.9)
    lowered: Floats = np.maximum(table * (1.0 - fees)[:, None], LEAST)
    return np.ascontiguousarray(lowered.T)
