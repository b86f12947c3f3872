"""Any score comes in another distribution: its last values are counted below quantiles of a reference."""

from __future__ import annotations

import math
from array import array
from bisect import bisect_left
from collections import deque
from collections.abc import Mapping, Sequence
from typing import Any, ClassVar, Self

import numpy as np
import numpy.typing as npt

from .._checks import whole
from ._growth import LAG, joining
from .detector import Detector, Evidence, Floats, reference_values, surplus

Counts = npt.NDArray[np.intp]

BINS = 32
"""Bins of equal shares of the reference; its outermost are cut at a half and at a quarter once more."""

SMALLEST, LARGEST = 64, 2048
"""Observations taken at once: few after an alarm, as there the next may be near."""


class WindowedKS(Detector):
    """Alarms when a score is no longer distributed as a reference, whatever about it changed.

    The last 20, 80 and 300 observations are counted at or below each of about 40 cuts, quantiles of the
    reference. Were they of one distribution with it, the count *c* of *w* at the *j*-th smallest of *n* would
    be beta-binomial, whatever that distribution is; so each count has its exact probability, the error of the
    reference included, and the statistic is how surprising the most surprising one is::

        P(at most c) = P(B <= c),  B ~ BetaBinomial(w, j, n - j + 1)
        statistic = max over windows and cuts of -ln min(P(at most c), P(at least c))

    That is the largest gap between the two empirical distributions, each gap measured by what chance does
    there: a twentieth of outliers is seen, and so is a second mode with the mean and spread of the first.
    A change of level or spread alone is found by `ConformalShiryaevRoberts` too.

    The reference grows: an observation is counted in it when 256 to 512 more have come without an alarm, up
    to 4000 in all. The cuts stay where they are.

    Counts that overlap resemble each other; how much that spares is known of the extremes of Gaussian
    fields. It gives the threshold, about ``ln(arl) + 2``, at once for any reference, run length and windows.
    The promise is the same for every distribution, ties and heavy tails included, and supposes that the quiet
    observations are exchangeable with the reference; it is measured, no theorem. The level is ``warn`` from
    what chance shows about ten times as often as a false alarm.

    The effect is how much the share of values above the most telling cut has grown, from -1 to 1. The parts
    are bins, from 0 for what is below all of the reference to ``len(cuts)`` for what is above it, each with
    what its share has gained.

    Args:
        reference: Scores of quiet times, one dimension, at least 20 finite ones; 1000 are good, as fewer make
            slower detectors.
        arl: Observations between false alarms, from 2; the default is one in 10 000.
        windows: How many of the latest observations are compared, whole numbers from 2; short windows find
            large changes soon, long ones find small changes at all.

    Attributes:
        cuts: Where the bins end: bin *k* holds what is above ``cuts[k - 1]`` and not above ``cuts[k]``.

    Raises:
        ValueError: A parameter is out of its range.

    >>> import numpy as np
    >>> generator = np.random.default_rng(1)
    >>> detector = WindowedKS(generator.normal(size=1000), arl=10_000)
    >>> two_modes = 0.44 * generator.normal(size=500) + 0.9 * generator.choice([-1, 1], size=500)
    >>> stream = np.concatenate([generator.normal(size=1000), two_modes])  # mean 0, deviation 1 throughout
    >>> detector.update_many(stream)[:1]
    array([1306])

    Source: R. H. Berk, D. H. Jones, "Goodness-of-fit test statistics that dominate the Kolmogorov
    statistics", Zeitschrift fuer Wahrscheinlichkeitstheorie 47, 1979, for the scale; D. Siegmund, B. Yakir,
    "The Statistics of Gene Mapping", 2007, chapter 5, for the extremes.
    """

    _kind: ClassVar[str] = "WindowedKS"

    def __init__(
        self, reference: npt.ArrayLike, *, arl: float = 10_000, windows: Sequence[int] = (20, 80, 300)
    ) -> None:
        values = np.sort(reference_values(reference))
        cuts = _cuts(values)
        below = np.searchsorted(values, cuts, "right")
        self._setup(cuts.tolist(), below, len(values), arl, windows)

    def _setup(
        self, cuts: list[float], below: Counts, count: int, arl: float, windows: Sequence[int]
    ) -> None:
        super().__init__(arl)
        remedy = "leave it out for windows of 20, 80 and 300 observations"
        widths = sorted({whole("windows", width, at_least=2, remedy=remedy) for width in windows})
        if not widths:
            raise ValueError(f"windows must hold at least one width, got none; {remedy}")
        self.windows: tuple[int, ...] = tuple(widths)
        self.cuts: list[float] = cuts
        self._given = below, count
        self._grows = True
        self._recent: deque[int] = deque(maxlen=widths[-1])
        self._waiting: list[int] = []
        self._judge_by(below, count)
        self._begin()

    def _judge_by(self, below: Counts, count: int) -> None:
        """Take a reference of *count*, of which *below* are at or below each cut, for what is usual."""
        self._below, self._count = below, count
        tails = {
            width: (_tails(below, count, width), _tails(count - below, count, width))
            for width in self.windows
        }
        self.threshold: float = _threshold(below, count, tails, self.arl)
        self._windows = [_Window(width, *sides, self.threshold) for width, sides in tails.items()]
        self._join = joining(count) if self._grows else 0

    def _grow(self) -> None:
        """Let the oldest of what has been observed since the evidence began join the reference."""
        joined = np.bincount(self._waiting[: self._join], minlength=len(self.cuts) + 1)
        del self._waiting[: self._join]
        self._judge_by(self._below + joined[:-1].cumsum(), self._count + self._join)
        self._fill(np.array(self._recent))

    def fix_reference(self) -> None:
        """Keep the reference as it is: nothing that is observed joins it."""
        super().fix_reference()
        self._waiting = []
        self._join = 0

    def _warning(self) -> float:
        return max(self.threshold - math.log(10.0), self.threshold / 2.0)

    def update(self, value: float) -> bool:
        """Feed one observation; whether it raised an alarm."""
        if not math.isfinite(value):
            return self._refuse()
        value = float(value)  # as numbers of lower precision are compared otherwise
        fresh = bisect_left(self.cuts, value)
        self.seen: int = self.seen + 1
        self._held += 1
        self.alarmed_last = False
        for window in self._windows:
            window.slide(fresh, self._recent[-window.width])
        self._recent.append(fresh)
        self.statistic = most = self._most()
        if most >= self.threshold:
            self._raise_alarm()
            return True
        if self._join:
            self._waiting.append(fresh)
            if len(self._waiting) == LAG + self._join:
                self._grow()
        return False

    def _most(self) -> float:
        """The largest score of the windows that are full; 0 while none is."""
        return max((window.most for window in self._windows if window.width <= self._held), default=0.0)

    def _absorb(self, rows: Floats) -> tuple[int, bool]:
        room = min(max(self._held, SMALLEST), LARGEST)
        if self._join:
            room = min(room, LAG + self._join - len(self._waiting))
        fresh = np.searchsorted(self.cuts, rows[:room])
        longest, count = self.windows[-1], len(fresh)
        bins = np.concatenate([np.array(self._recent), fresh])
        below = np.cumsum(bins[:, None] <= np.arange(len(self.cuts)), axis=0, dtype=np.int32)
        reached = np.zeros(count, dtype=np.bool_)
        for window in self._windows:
            found = window.reached(below[longest:] - below[longest - window.width : -window.width])
            found[: max(window.width - 1 - self._held, 0)] = False
            reached |= found
        alarm = bool(reached.any())
        used = int(reached.argmax()) + 1 if alarm else count
        self._held += used
        self._fill(bins[used : used + longest])
        self.statistic = self._most()
        if self._join and not alarm:
            self._waiting.extend(fresh.tolist())
            if len(self._waiting) == LAG + self._join:
                self._grow()
        return used, alarm

    def _fill(self, bins: Counts) -> None:
        """Take *bins*, as many as the longest window holds, for the latest observations."""
        self._recent.extend(bins.tolist())
        for window in self._windows:
            window.fill(bins)

    def _explain(self) -> Evidence:
        full = [window for window in self._windows if window.width <= self._held]
        best = max(full, key=lambda window: window.most)
        cut = best.scores.index(best.most)
        bins = np.array(self._recent)[-self._held :]
        share = self._below[cut] / self._count
        since = _beginning(bins <= cut, (self._below[cut] + 0.5) / (self._count + 1.0))
        above = float((bins[-since:] > cut).mean())
        effect = surplus(above - (1.0 - share), math.sqrt(share * (1.0 - share)), since)
        shares = np.diff(self._below, prepend=0, append=self._count) / self._count
        moved = np.bincount(bins[-since:], minlength=len(shares)) / since - shares
        order = np.argsort(-np.abs(moved), kind="stable")[:10]
        parts = tuple((int(one), float(moved[one])) for one in order)
        return Evidence(self.statistic, self.threshold, self.seen, since, effect, parts)

    def _begin(self) -> None:
        self._held = 0
        # What has not been seen yet is above all cuts; a window that holds such is not looked at.
        self._fill(np.full(self.windows[-1], len(self.cuts), dtype=np.intp))
        self._waiting.clear()
        self.statistic: float = 0.0

    def reset(self) -> None:
        """Begin anew with the reference that was given: nothing has been seen."""
        if self._count > self._given[1]:
            self._judge_by(*self._given)
        super().reset()

    def _save(self) -> dict[str, Any]:
        made = {"arl": self.arl, "windows": list(self.windows), "cuts": list(self.cuts)}
        below, count = self._given
        given = {"below": below.tolist(), "count": count, "grows": self._grows}
        grown = {"judged_by": [self._below.tolist(), self._count], "waiting": list(self._waiting)}
        return {**made, **given, **grown, "held": self._held, "recent": list(self._recent)}

    @classmethod
    def _load(cls, state: Mapping[str, Any]) -> Self:
        detector = cls.__new__(cls)
        below = np.array(state["below"], dtype=np.intp)
        cuts = [float(one) for one in state["cuts"]]
        detector._setup(cuts, below, int(state["count"]), state["arl"], state["windows"])
        detector._grows = bool(state["grows"])
        below, count = state["judged_by"]
        detector._judge_by(np.array(below, dtype=np.intp), int(count))
        detector._waiting = [int(one) for one in state["waiting"]]
        detector._held = int(state["held"])
        detector._fill(np.array(state["recent"], dtype=np.intp))
        return detector


class _Window:
    """How many of the last *width* observations are at or below each cut, and how surprising that is."""

    def __init__(self, width: int, few: Floats, many: Floats, threshold: float) -> None:
        """*few* and *many* are the tails of each cut for so many below it, and for so many above."""
        self.width = width
        surprise = -np.log(np.array([few, many]))
        # Counts of at most `_low` or at least `_high` reach the threshold.
        low, high = (surprise >= threshold).sum(axis=2)
        self._low, self._high = low - 1, width + 1 - high
        self._table = array("d", np.maximum(surprise[0], surprise[1, :, ::-1]).ravel().tolist())
        self._rows = np.arange(len(few)) * (width + 1)

    def fill(self, bins: Counts) -> None:
        """Count anew the last of *bins*."""
        counts = np.bincount(bins[-self.width :], minlength=len(self._rows) + 1)[:-1].cumsum()
        # Where in the table each cut's score is: one further for one more at or below it.
        self._places: list[int] = (self._rows + counts).tolist()
        self.scores = [self._table[place] for place in self._places]
        self.most = max(self.scores)

    def slide(self, fresh: int, gone: int) -> None:
        """Take in the bin *fresh* and let go of *gone*: only cuts between the two are touched."""
        if fresh == gone:
            return
        begin, end, step = (fresh, gone, 1) if fresh < gone else (gone, fresh, -1)
        table = self._table
        self._places[begin:end] = moved = [place + step for place in self._places[begin:end]]
        self.scores[begin:end] = [table[place] for place in moved]
        self.most = max(self.scores)

    def reached(self, counts: npt.NDArray[np.int32]) -> npt.NDArray[np.bool_]:
        """Which rows of *counts*, shape (observations, cuts), reach the threshold."""
        found: npt.NDArray[np.bool_] = np.any((counts <= self._low) | (counts >= self._high), axis=1)
        return found


def _cuts(values: Floats) -> Floats:
    """Quantiles of sorted *values*, with the ends; on both sides of a value that fills over half a bin."""
    count = len(values)
    tails = 1.0 / BINS / np.array([4.0, 2.0])
    shares = np.concatenate([np.arange(1, BINS + 1) / BINS, tails, 1.0 - tails])
    quantiles = np.unique(values[np.maximum(np.round(shares * count).astype(np.intp), 1) - 1])
    ties = np.searchsorted(values, quantiles, "right") - np.searchsorted(values, quantiles, "left")
    heavy = quantiles[(ties > 1) & (2 * BINS * ties > count)]
    just_below = [math.nextafter(value, -math.inf) for value in (values[0], *heavy)]
    cuts: Floats = np.unique(np.concatenate([quantiles, just_below]))
    return cuts[np.isfinite(cuts)]


def _tails(below: Counts, count: int, width: int) -> Floats:
    """The chance that at most c of *width* are below a cut that *below* of *count* are below, by c from 0."""
    few, many = below[:, None].astype(np.float64), count - below[:, None] + 1.0
    c = np.arange(width)
    with np.errstate(divide="ignore"):  # below a cut that none is below, none is expected
        ratios = np.log((width - c) * (c + few)) - np.log((c + 1) * (width - 1 - c + many))
    logs = np.cumsum(np.concatenate([np.zeros_like(few), ratios], axis=1), axis=1)
    chances = np.exp(logs - logs.max(axis=1, keepdims=True))
    tails: Floats = np.cumsum(chances, axis=1) / chances.sum(axis=1, keepdims=True)
    return np.clip(tails, 1e-300, 1.0)


def _threshold(below: Counts, count: int, tails: Mapping[int, Sequence[Floats]], arl: float) -> float:
    """The statistic that is reached once in *arl* observations.

    A statistic of *h* is reached by one count with the largest of its tails of at most ``exp(-h)``. Where it
    is, its neighbours among the cuts and in time often are too, so only one in a clump counts. The counts are
    nearly Gaussian, neighbours with a correlation of 1 less a gap, and theory tells how many clumps begin::

        1 / arl = exp(1 / h) * sum of tail * clumps among the cuts * clumps in time

    with the first factor from simulation: rates are higher than the theory of rare events has it.

    Args:
        below: How many of the reference are at or below each cut.
        count: How many there are.
        tails: By width of the window the tails of each cut's counts, those of few and those of many.
        arl: Observations between false alarms.
    """
    shares = (below + 0.5) / (count + 1.0)
    low, high = shares[:-1], shares[1:]
    gaps = (1.0 - np.sqrt(low * (1.0 - high) / (high * (1.0 - low)))).tolist()

    def rate(level: float) -> float:
        deviations = math.sqrt(max(2.0 * level - math.log(4.0 * math.pi * level), 1.0))
        beside = np.array([1.0, *(_clumps(deviations, gap) for gap in gaps), 1.0])
        weights = (beside[1:] + beside[:-1]) / 2.0
        total = 0.0
        for width, sides in tails.items():
            # The error of the reference stays as it is from one observation to the next.
            begun = _clumps(deviations, count / ((count + width) * width))
            reached = [np.where(side <= math.exp(-level), side, 0.0).max(axis=1) for side in sides]
            total += begun * float(weights @ np.sum(reached, axis=0))
        return total * math.exp(1.0 / level)

    most, enough = 1.0, math.log(arl) + 10.0
    while enough - most > 1e-4:
        level = (most + enough) / 2.0
        most, enough = (most, level) if rate(level) <= 1.0 / arl else (level, enough)
    return enough


def _clumps(deviations: float, gap: float) -> float:
    """Clumps for each value beyond *deviations*, neighbours being correlated by ``1 - gap``; from 0 to 1."""
    step = deviations * math.sqrt(2.0 * gap)
    inside = 0.5 * math.erf(step / math.sqrt(8.0))
    density = math.exp(-step * step / 8.0) / math.sqrt(2.0 * math.pi)
    return step * inside / (step / 2.0 * (0.5 + inside) + density)


def _beginning(below: npt.NDArray[np.bool_], share: float) -> int:
    """How many observations ago *below* most likely ceased to have a mean of *share*."""
    sizes = np.arange(1, len(below) + 1)
    inside = np.cumsum(below[::-1], dtype=np.intp)
    outside = sizes - inside
    # How much likelier the latest are with a mean of their own, as a logarithm; 0 times that of 0 is 0.
    gain = inside * np.log(np.maximum(inside, 1) / sizes / share)
    gain += outside * np.log(np.maximum(outside, 1) / sizes / (1.0 - share))
    return int(gain.argmax()) + 1
