"""The shares of classes, routes or tokens have changed: evidence by betting on the recent shares."""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Mapping
from operator import mul
from typing import Any, ClassVar, Self

import numpy as np
import numpy.typing as npt

from .._checks import at_least, whole
from ._recursion import TOGETHER, recur
from ._wealth import gather
from .detector import Detector, Evidence, Floats

RATES = (0.05, 0.01)
PRIOR = 20.0
"""How many observations the reference counts for against the recent ones."""

LEFT = 1.0 - RATES[-1]

MEMORY = 1024
KEPT = (1.0 - np.array(RATES)) ** np.arange(TOGETHER + 1.0)[:, None]
"""What is left of an observation after so many others, at each rate."""
COME = (1.0 - KEPT) / np.array(RATES)
"""What so many observations count for together."""
MOST = 1_000_000
"""So large a category is more likely an id, and there would be a count for each below it."""

FEW = 40
"""Up to so many bins one observation alone costs less in a loop than in arrays."""

SELDOM = 2
"""What a reference shows less often shares a bin with what it does not show."""

STAKE = 0.05
"""What is bet on one of those coming again."""

NO_NUMBER = -1
"""The part of evidence that stands for all that is unknown and no whole number from 0."""

MANY = 4096
"""So many of them are kept at most: of one that came so many ago hardly anything is left."""

AT_MOST = 3.0
"""None of those comes more often than in so many more observations of the reference than show it."""

WEIGHTS = np.array((0.45, 0.45, 0.1))
_WEIGHTS: tuple[float, ...] = tuple(WEIGHTS.tolist())
BETS = len(_WEIGHTS)


class CategoricalShiryaevRoberts(Detector):
    """Alarms when categories no longer come in the shares that a reference shows.

    ``q(x) = (20 p(x) + recent count of x) / (20 + recent count)`` is what one would expect from the recent
    past, whose counts are forgotten at 5 and at 1 percent an observation; it is known before *x* comes. So
    ``q(x) / p(x)`` is 1 on average while the shares are ``p``, and is a bet with evidence
    ``R <- (R + 1) * q(x) / p(x) / fee``; the alarm comes when their mean reaches *arl*.

    Categories that the reference shows less than twice share a bin with all that it does not show. Of a long
    tail, as tokens and routes have, something new comes all the time: that bin has the share that it would
    have had for each observation of the reference, judged by all the others (Good and Turing), and as much
    less have the others, each the same. Half an observation is added to every bin.

    A third bet, with a tenth of the evidence, is on one of the seldom ones coming more and more::

        0.95 + 0.05 * (its share of the recent seldom ones) / (what it has at most)

    with 0.95 for all others; at most it has what 3 observations more than the reference shows would be. What
    is below 0 may be anything, and no such bet is on it.

    The shares are those of a sample, and a bet on the true ones would earn ``chi^2 / 2n`` an observation from
    its errors, with a degree of freedom for each category but one. As much is the fee, which is that of a
    sample the unluckier, the rarer false alarms must be and the smaller it is: 2 standard deviations of
    ``chi^2`` for 1000 observations and one in 10 000, 6 for 100.

    Effects are the share since the change less that of the reference, halved and summed over the bins (total
    variation, 0 to 1), less what chance gives; its parts name the categories, those too that are unknown, and
    as -1 all that have no number of their own.

    Args:
        reference: Categories of quiet times, whole numbers from 0, one dimension, at least 20.
        categories: How many there are, from 1; those of the reference if left out. All others are unknown.
        arl: Observations between false alarms, from 2; the default is one in 10 000.
        effective_size: How many independent observations the reference is worth, from 1: fewer than it has
            where neighbours resemble each other. By default all of them.
        swing: What a bet that knew the shares as they swing in quiet times, by the hour, would earn an
            observation, from 0: as much is added to the fee.

    Raises:
        ValueError: A parameter is out of its range.

    >>> detector = CategoricalShiryaevRoberts([0, 0, 0, 1] * 250, arl=1000)
    >>> alarms = detector.update_many([0, 0, 0, 1] * 50 + [0, 1, 1, 1] * 25)
    >>> int(alarms[0]) > 200, [category for category, _ in detector.evidence.parts][:2]
    (True, [1, 0])

    Source: J. Shin, A. Ramdas, A. Rinaldo, "E-detectors", New England Journal of Statistics in Data Science
    2(2), 2024; R. Krichevsky, V. Trofimov, IEEE Transactions on Information Theory 27(2), 1981, for the half;
    I. J. Good, Biometrika 40(3-4), 1953; H. Ney, U. Essen, R. Kneser, Computer Speech and Language 8(1),
    1994, for what is taken off each.
    """

    _kind: ClassVar[str] = "CategoricalShiryaevRoberts"
    _version: ClassVar[int] = 3
    _wealth: list[float]
    _counts: list[list[float]]
    _seldom: dict[float, tuple[float, int]]

    def __init__(
        self,
        reference: npt.ArrayLike,
        *,
        categories: int | None = None,
        arl: float = 10_000,
        effective_size: float | None = None,
        swing: float = 0.0,
    ) -> None:
        values = np.asarray(reference, dtype=np.float64)
        if values.ndim != 1 or len(values) < 20 or not np.isfinite(values).all():
            raise ValueError(
                "reference must hold at least 20 finite categories in one dimension, got shape "
                f"{values.shape}; collect 1000 in quiet times"
            )
        if categories is None:
            if not values.max() < MOST:
                raise ValueError(
                    f"reference must hold categories below {MOST:,}, got {values.max():g}; number them from "
                    "0, or pass categories="
                )
            known = int(max(values.max(), 0.0)) + 1
        else:
            known = whole("categories", categories, at_least=1, remedy="pass how many categories there are")
        counts = np.bincount(_binned(values, known), minlength=known + 1)
        size = independent(effective_size, len(values))
        self._setup(counts.tolist(), arl, size, at_least("swing", swing, 0.0, remedy="leave it out"))

    def _setup(self, counts: list[int], arl: float, size: float, swing: float) -> None:
        super().__init__(arl)
        self._size, self._swing = size, swing
        self._reference = counts
        self.categories: int = len(counts) - 1
        shown = np.array(counts, dtype=np.float64)
        often = shown >= SELDOM
        often[-1] = False
        bins = int(often.sum()) + 1
        self._bin_of = np.where(often, np.cumsum(often) - 1, bins - 1)
        self._bins: list[int] = self._bin_of.tolist()
        # Without one of its observations, the reference shows less than twice what it shows twice.
        more = float(shown[often & (shown == SELDOM)].sum())
        held = np.append(shown[often] - more / max(1, bins - 1), shown[~often].sum() + more)
        self._shares = (held + 0.5) / (sum(counts) + 0.5 * bins)
        self._share_of: list[float] = self._shares.tolist()
        among = np.where(often, 1.0, (shown + 0.5) / (shown + 0.5)[~often].sum())
        self.shares: list[float] = (self._shares[self._bin_of] * among).tolist()
        # One category alone has errors too: those that it does not know have not come yet.
        self._fee = 1.0 + _from_errors(max(1, int((held > 0.0).sum()) - 1), size, self.arl) + swing
        self._at_most = ((shown + AT_MOST) / sum(counts)).tolist()
        self._at_most[-1] = AT_MOST / sum(counts)
        self._recent: deque[int] = deque(maxlen=MEMORY)
        self._begin()

    def update(self, value: float) -> bool:
        """Feed one observation; whether it raised an alarm."""
        if not math.isfinite(value):
            return self._refuse()
        if len(self._share_of) > FEW:
            return bool(len(self.update_many([value])))
        category = int(value) if 0 <= value < self.categories else self.categories
        place = self._bins[category]
        wealth = self._wealth
        again = 1.0 - STAKE
        if place == len(self._share_of) - 1:
            again = self._again(float(value), category, self.seen, self._counts[-1][place])
        wealth[-1] = (wealth[-1] + 1.0) * again
        for bet, rate in enumerate(RATES):
            counts = self._counts[bet]
            share = self._share_of[place]
            factor = (PRIOR * share + counts[place]) / ((PRIOR + sum(counts)) * share * self._fee)
            wealth[bet] = (wealth[bet] + 1.0) * factor
            kept = 1.0 - rate
            self._counts[bet] = counts = [count * kept for count in counts]
            counts[place] += 1.0
        self._recent.append(category if category < self.categories else int(self._numbers(value)))
        self.seen: int = self.seen + 1
        self.alarmed_last = False
        self.statistic = total = sum(map(mul, _WEIGHTS, wealth))
        if total < self.threshold:
            return False
        self._raise_alarm()
        return True

    def _again(self, value: float, category: int, at: int, every: float) -> float:
        """What a bet earns that is on the seldom one which comes now coming again; it has come now.

        Args:
            value: What came.
            category: Its number, the last for all that are unknown.
            at: How many came before.
            every: The recent count of all seldom ones.
        """
        one = value if category == self.categories else category
        if one < 0.0:
            return 1.0 - STAKE
        count, latest = self._seldom.get(one, (0.0, at))
        recent = count * LEFT ** (at - latest - 1)
        if len(self._seldom) >= MANY:
            gone = at - MANY // 2
            self._seldom = {each: met for each, met in self._seldom.items() if met[1] > gone}
        self._seldom[one] = recent * LEFT + 1.0, at
        return 1.0 - STAKE + STAKE * (recent / every / self._at_most[category] if recent else 0.0)

    def _absorb(self, rows: Floats) -> tuple[int, bool]:
        categories = self._binned(rows[:TOGETHER])
        bins = self._bin_of.take(categories)
        count = len(bins)
        shares = self._shares.take(bins)
        held = np.array(self._counts).T
        recent = self._recent_counts(bins, held)
        factors = np.empty((count, BETS))
        expected, below = PRIOR * shares, self._fee * shares
        for bet, every in enumerate(held.sum(axis=0).tolist()):
            total = every * KEPT[:count, bet] + COME[:count, bet]
            total += PRIOR
            total *= below
            np.divide(expected + recent[:, bet], total, out=factors[:, bet])
        factors[:, -1] = 1.0 - STAKE
        seldom = np.flatnonzero(bins == len(held) - 1)
        come = zip(
            rows[seldom].tolist(), categories[seldom].tolist(), (seldom + self.seen).tolist(), strict=True
        )
        factors[seldom, -1] = [
            self._again(value, category, at, every)
            for (value, category, at), every in zip(come, recent[seldom, -1].tolist(), strict=True)
        ]
        self._wealth, self.statistic, place = gather(self._wealth, [factors], "sr", self.threshold, WEIGHTS)
        used = count if place < 0 else place + 1
        held *= KEPT[used]
        for bet in range(len(RATES)):
            weights = KEPT[used - 1 :: -1, bet]
            held[:, bet] += np.bincount(bins[:used], weights=weights, minlength=len(held))
        self._counts = held.T.tolist()
        latest = slice(max(0, used - MEMORY), used)
        known = categories[latest] < self.categories
        self._recent.extend(np.where(known, categories[latest], self._numbers(rows[latest])).tolist())
        return used, place >= 0

    def _binned(self, values: Floats) -> npt.NDArray[np.intp]:
        return _binned(values, self.categories)

    def _numbers(self, values: Any) -> npt.NDArray[np.intp]:
        """Those of *values* that are unknown: their own, where they have one."""
        whole_ones = (values >= self.categories) & (values < MOST) & (values == np.floor(values))
        return np.where(whole_ones, values, NO_NUMBER).astype(np.intp)

    def _recent_counts(self, bins: npt.NDArray[np.intp], held: Floats) -> Floats:
        """How often each of *bins* came before, forgotten at each rate, shape (observations, rates).

        Args:
            bins: The observations.
            held: How often each bin came before them, shape (bins, rates).
        """
        # Those of one bin after one another, the count goes on from one to the next, over the gap between.
        narrow = np.uint16 if len(held) <= 2**16 else np.intp  # narrow ones are sorted by their digits
        order = np.argsort(bins.astype(narrow), kind="stable")
        grouped = bins[order]
        first = np.flatnonzero(np.diff(grouped, prepend=-1))
        gaps = np.diff(order, prepend=0)
        left, added = KEPT.take(gaps, 0), KEPT.take(gaps - 1, 0)
        left[first] = 0.0
        added[first] = held[grouped[first]] * KEPT[order[first]]
        back = np.empty_like(order)
        back[order] = np.arange(len(order))
        return recur(np.zeros(len(RATES)), left, added).take(back, 0)

    def _explain(self) -> Evidence:
        categories = np.array(self._recent)
        unknown = (categories < 0) | (categories >= self.categories)
        bins = self._bin_of[np.where(unknown, self.categories, categories)]
        # The recent shares were not known in the past: bets on the last ones, few and many.
        growth = np.array([self._growth(bins, latest) for latest in (25, 100)])
        since = int(growth.max(axis=0).argmax()) + 1
        moved = np.bincount(bins[-since:], minlength=len(self._shares)) / since - self._shares
        chance = np.sqrt(self._shares * (1.0 - self._shares) * 2.0 / (math.pi * since))
        effect = max(float(np.abs(moved).sum() - chance.sum()) / 2.0, 0.0)
        numbers, counts = np.unique(categories[-since:], return_counts=True)
        names = np.append(np.arange(NO_NUMBER, self.categories), numbers[numbers >= self.categories])
        named = np.zeros(len(names))
        named[: self.categories + 1] = -np.array([self.shares[-1], *self.shares[:-1]])
        named[np.searchsorted(names, numbers)] += counts / since
        order = np.argsort(-np.abs(named), kind="stable")[:10]
        parts = tuple((int(names[one]), float(named[one])) for one in order)
        return Evidence(self.statistic, self.threshold, self.seen, since, effect, parts)

    def _growth(self, bins: npt.NDArray[np.intp], latest: int) -> Floats:
        """Earnings of a bet on the shares of the *latest* over the last one, the last two, and so on."""
        late = np.bincount(bins[-latest:], minlength=len(self._shares)) + PRIOR * self._shares
        return np.cumsum(np.log(late / late.sum() / self._shares)[bins[::-1]])

    def _begin(self) -> None:
        self._wealth = [0.0] * BETS
        self._seldom = {}
        self._counts = [[0.0] * len(self._share_of) for _ in RATES]
        self._recent.clear()
        self.statistic: float = 0.0

    def _save(self) -> dict[str, Any]:
        counts = [list(one) for one in self._counts]
        seldom = [[one, count, at] for one, (count, at) in self._seldom.items()]
        filled = {"wealth": list(self._wealth), "counts": counts, "recent": list(self._recent)}
        known = {"reference": list(self._reference), "size": self._size, "swing": self._swing}
        return {"arl": self.arl, **known, "seldom": seldom, **filled}

    @classmethod
    def _load(cls, state: Mapping[str, Any]) -> Self:
        detector = cls.__new__(cls)
        counts, size, swing = state["reference"], float(state["size"]), float(state["swing"])
        detector._setup([int(one) for one in counts], state["arl"], size, swing)
        detector._wealth = [float(one) for one in state["wealth"]]
        detector._counts = [[float(one) for one in counts] for counts in state["counts"]]
        detector._recent.extend(state["recent"])
        detector._seldom = {one: (float(count), int(at)) for one, count, at in state["seldom"]}
        return detector


def independent(effective_size: float | None, count: int) -> float:
    """How many independent observations a reference is said to be worth: all of its *count* at most."""
    if effective_size is None:
        return float(count)
    remedy = "pass how many independent observations the reference is worth"
    return min(float(count), at_least("effective_size", effective_size, 1.0, remedy=remedy))


def _from_errors(freedom: int, size: float, arl: float) -> float:
    """What a bet on the true shares would earn an observation from the errors of the estimated ones.

    It is ``chi^2 / 2 size`` of so many degrees of *freedom*, taken so many standard deviations above its mean
    as run lengths simulated for references of 30 to 3000 and 2 to 300 categories needed, with an *arl* of 300
    to 100 000; and a little more where the reference has few of each, of which chi^2 is no good account.
    """
    rare = max(0.0, math.log(arl / 150.0))
    deviations = rare * (0.8 + 0.15 * rare) / math.hypot(1.0, size / 400.0)
    mean = freedom * (1.0 + 4.0 * min(freedom / size, 0.1))
    return (mean + deviations * math.sqrt(2.0 * freedom)) / (2.0 * size)


def _binned(values: Floats, known: int) -> npt.NDArray[np.intp]:
    """Categories as bins, all that is unknown in the last."""
    return np.where((values >= 0) & (values < known), values, known).astype(np.intp)
