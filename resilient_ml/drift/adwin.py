"""ADWIN: a window as long as its older and its newer part have the same mean."""

from __future__ import annotations

import math
from typing import ClassVar

import numpy as np
import numpy.typing as npt

from .._checks import share, whole
from ._recursion import TOGETHER
from .classic import CHUNK, Classic, moved, running
from .detector import Evidence, Floats

PENDING = 64
"""So many observations wait at most until they are put into buckets."""

FEW = 3
"""So few strokes of the clock are cheaper one after another."""

STROKES = 128
"""So many strokes at once, at most: what comes after an alarm is looked at again."""

TRIED = 64
"""At so many of them it is tried at once whether the window can be cut."""


class ADWIN(Classic):
    """Alarms when a window of all since the last alarm can be cut into two parts of different means.

    No reference and no unit are needed. The window is kept as buckets of 1, 2, 4 and so on observations, at
    most *max_buckets* of each size, so *n* observations need ``max_buckets * log2(n)`` numbers. At every
    *clock* observations each boundary between buckets is tried, with ``n0`` observations before it and ``n1``
    after, ``v`` the variance of all ``n`` and ``d = ln(2 ln(n) / delta)``::

        m = 1 / (n0 - min_window + 1) + 1 / (n1 - min_window + 1)
        |mean0 - mean1| > sqrt(2 m v d) + 2/3 d m      alarm

    Alarms come at the same observations as those of river 0.26, which begins anew after each; in the paper
    only the older part is forgotten. There one NaN ends all alarms for ever, here it is refused.

    *delta* is that of one test and very cautious. Measured at the defaults: no false alarm in a million
    normal scores, but a rise of errors from 0.1 to 0.2 is found in 472 observations where `EShiryaevRoberts`
    with ``arl=10_000`` needs 147, and scores with an autocorrelation of 0.5 alarm every 2591. It sees the
    mean alone. Use it where there is no reference and none can be had.

    `statistic` is the largest difference as a share of its bound, so `threshold` is 1; the effect is the mean
    after that cut less the mean before, in the unit of the observations.

    Args:
        delta: The probability of an alarm by chance at one test, above 0 and at most 1.
        clock: How many observations apart tests are, from 1: the less, the sooner the alarm and the dearer.
        max_buckets: How many buckets of a size are kept, from 1: the more, the finer the cuts.
        min_window: How many observations both parts must have, from 1.
        grace: No test before more than so many observations since the last alarm, from 0.

    Raises:
        ValueError: A parameter is out of its range.

    >>> detector = ADWIN()
    >>> detector.update_many([0.0, 1.0] * 500 + [1.0, 2.0] * 100)
    array([1023])
    >>> detector.evidence.since, round(detector.evidence.effect, 1)
    (24, 0.9)

    Source: A. Bifet, R. Gavalda, "Learning from Time-Changing Data with Adaptive Windowing", SIAM
    International Conference on Data Mining, 2007, section 4 (ADWIN2).
    """

    _kind: ClassVar[str] = "ADWIN"
    statistic: float
    _made = ("delta", "clock", "max_buckets", "min_window", "grace")
    _filled = ("_width", "_total", "_squares", "_levels", "_pending", "_room", "_cut_count", "_cut_total")
    _width: int
    _total: float
    _squares: float
    """The sum of the squared distances from the mean."""
    _room: int
    """How many observations wait until they are put into buckets."""
    _cut_count: int
    _cut_total: float
    _levels: list[list[float]]
    """The sums of the buckets of 1, 2, 4 and so on, the oldest first."""
    _pending: list[float]

    def __init__(
        self,
        *,
        delta: float = 0.002,
        clock: int = 32,
        max_buckets: int = 5,
        min_window: int = 5,
        grace: int = 10,
    ) -> None:
        self.delta: float = share("delta", delta, remedy="leave it out for 0.002")
        self.clock: int = whole("clock", clock, at_least=1, remedy="leave it out for 32")
        self.max_buckets: int = whole("max_buckets", max_buckets, at_least=1, remedy="leave it out for 5")
        self.min_window: int = whole("min_window", min_window, at_least=1, remedy="leave it out for 5")
        self.grace: int = whole("grace", grace, at_least=0, remedy="leave it out for 10")
        super().__init__(1.0)

    @property
    def width(self) -> int:
        """How many observations the window holds: all since the last alarm."""
        return self._width + len(self._pending)

    @property
    def mean(self) -> float:
        """The mean of the window; 0 before the first observation."""
        return (self._total + sum(self._pending)) / max(self.width, 1)

    # Nothing is decided between two strokes of the clock, so observations wait until then and are put into
    # the buckets together.

    def _step(self, value: float) -> bool:
        self._pending.append(value)
        if len(self._pending) < self._room:
            return False
        return self._collect()

    def _absorb(self, rows: Floats) -> tuple[int, bool]:
        waiting = len(self._pending)
        first = self.clock - self._width % self.clock
        most = min(STROKES, max(FEW, TOGETHER // self.clock))
        strokes = min((waiting + len(rows) - first) // self.clock + 1, most)
        if strokes >= FEW:
            values = self._bring(rows, first + (strokes - 1) * self.clock - waiting)
            return self._along(np.concatenate([self._pending, values]), first)
        values = self._bring(rows, min(CHUNK, max(1, FEW * self.clock))).tolist()
        begin = 0
        while begin < len(values):
            end = begin + self._room - len(self._pending)
            self._pending += values[begin:end]
            begin = min(end, len(values))
            if len(self._pending) == self._room and self._collect():
                return begin, True
        return begin, False

    def _along(self, values: Floats, first: int) -> tuple[int, bool]:
        """Go along many strokes of the clock at once, as if there were no alarm on the way, up to the first.

        Args:
            values: What waits and what comes; the last of them makes the clock strike.
            first: How many there are up to the first stroke.

        Returns:
            How many of those that did not wait were used, and whether the last alarmed.
        """
        ends = np.arange(first, len(values) + 1, self.clock)
        totals = running(self._total, values.copy())
        widths = np.arange(float(self._width), self._width + len(values))
        if widths[0]:
            away = values - np.append(self._total, totals[:-1]) / widths
        else:
            away = np.append(0.0, values[1:] - totals[:-1] / widths[1:])
        squares = running(self._squares, widths * away * away / (widths + 1))
        levels = _Levels(self._levels, values, ends, self.max_buckets)
        widths, totals, squares = widths[ends - 1] + 1, totals[ends - 1], squares[ends - 1]
        tested = np.flatnonzero((widths > self.grace) & (widths >= 2 * self.min_window))
        stroke = len(ends) - 1
        for some in np.split(tested, range(TRIED, len(tested), TRIED)):
            found = self._cut(levels, some, widths[some], totals[some], squares[some])
            if found.any():
                stroke = int(some[found.argmax()])
                break
        self._width = int(widths[stroke])
        self._total, self._squares = float(totals[stroke]), float(squares[stroke])
        self._levels = levels.after(stroke)
        used = int(ends[stroke]) - len(self._pending)
        self._pending.clear()
        self._room = min(PENDING, self.clock)
        return used, self._width > self.grace and self._test()

    def _cut(
        self,
        levels: _Levels,
        strokes: npt.NDArray[np.intp],
        widths: Floats,
        totals: Floats,
        squares: Floats,
    ) -> npt.NDArray[np.bool_]:
        """Which of *strokes* the window can be cut at: what `_test` finds, added up in the same order."""
        least = self.min_window
        counts, sums = levels.cuts(strokes)
        rests = widths[:, None] - counts
        allowed = (counts >= least) & (rests >= least)
        # `math` and `numpy` may differ in the last bit of a logarithm
        logs = [math.log(2.0 * math.log(width) / self.delta) for width in widths.tolist()]
        cautions = np.array(logs)[:, None]
        means = np.cumsum(sums, axis=1)
        others = np.subtract.accumulate(np.column_stack([totals, sums]), axis=1)[:, 1:]
        with np.errstate(divide="ignore", invalid="ignore"):  # where no cut is allowed
            means /= counts
            others /= rests
            means -= others
            np.abs(means, out=means)
            counts -= least - 1.0
            rests -= least - 1.0
            m = np.divide(1.0, counts, out=counts)
            m += np.divide(1.0, rests, out=rests)
            bounds = 2.0 * m
            bounds *= (squares / widths)[:, None]
            bounds *= cautions
            np.sqrt(bounds, out=bounds)
            m *= 2.0 / 3.0 * cautions
            bounds += m
            allowed &= means > bounds
        found: npt.NDArray[np.bool_] = np.logical_or.reduce(allowed, axis=1)
        return found

    def _collect(self) -> bool:
        """Put what waits into the buckets; at a stroke of the clock, whether the window can be cut."""
        width, total, squares = self._width, self._total, self._squares
        for value in self._pending:
            if width:
                away = value - total / width
                squares += width * away * away / (width + 1)
            width += 1
            total += value
        self._width = width
        self._total = total
        self._squares = squares
        self._levels[0] += self._pending
        self._pending.clear()
        self._room = min(PENDING, self.clock - width % self.clock)
        self._merge()
        if width % self.clock or width <= self.grace:
            return False
        return self._test()

    def _merge(self) -> None:
        """Where a size has too many buckets, put its oldest together by twos."""
        levels, most = self._levels, self.max_buckets
        place = 0
        while len(levels[place]) > most:
            buckets = levels[place]
            if place + 1 == len(levels):
                levels.append([])
            upper = levels[place + 1]
            merged = (len(buckets) - most + 1) // 2 * 2
            for first in range(0, merged, 2):
                upper.append(buckets[first] + buckets[first + 1])
            del buckets[:merged]
            place += 1

    def _test(self) -> bool:
        width, least = self._width, self.min_window
        self.statistic = 0.0
        self._cut_count, self._cut_total = 0, 0.0
        if width < 2 * least:
            return False
        variance = self._squares / width
        caution = math.log(2.0 * math.log(width) / self.delta)
        linear = 2.0 / 3.0 * caution
        count, rest = 0, width
        before, after = 0.0, self._total
        size = 1 << len(self._levels)
        found = False
        for buckets in reversed(self._levels):
            size >>= 1
            for bucket in buckets:
                count += size
                rest -= size
                before += bucket
                after -= bucket
                if count < least:
                    continue
                if rest < least:
                    break
                m = 1.0 / (count - least + 1.0) + 1.0 / (rest - least + 1.0)
                bound = math.sqrt(2.0 * m * variance * caution) + linear * m
                difference = abs(before / count - after / rest)
                if difference > bound:
                    found = True
                if difference > self.statistic * bound:
                    self.statistic = difference / bound
                    self._cut_count, self._cut_total = count, before
        return found

    def _explain(self) -> Evidence:
        count, before = self._cut_count, self._cut_total
        since = self._width - count
        one, other = before / count, (self._total - before) / since
        within = self._squares - count * since / self._width * (one - other) ** 2
        effect = moved(one, other, (count, since), within)
        return Evidence(self.statistic, self.threshold, self.seen, since, effect)

    def _begin(self) -> None:
        self._width, self._room = 0, min(PENDING, self.clock)
        self._total = self._squares = self.statistic = 0.0
        self._levels, self._pending = [[]], []
        self._cut_count, self._cut_total = 0, 0.0


class _Levels:
    """What the buckets of each size are after each of many strokes of the clock.

    The buckets of one size are a window on all there have ever been: new ones join it, and while there are
    more than *most* its oldest two leave, to be one of the next size.

    Args:
        levels: The buckets at first, of 1, 2, 4 and so on observations.
        values: What comes.
        ends: How many of these have come at each stroke.
        most: How many buckets of a size are kept.
    """

    def __init__(
        self, levels: list[list[float]], values: Floats, ends: npt.NDArray[np.intp], most: int
    ) -> None:
        self._at_first = len(levels)
        self._most = np.arange(most)
        windows = []
        fresh, joined = values, ends
        place = 0
        while len(fresh) or place < len(levels):
            held = levels[place] if place < len(levels) else []
            buckets = np.concatenate([held, fresh])
            joined = joined + len(held)
            left = np.maximum(joined - most + 1, 0) // 2 * 2
            windows.append((buckets, left, joined))
            merged = buckets[: left[-1]]
            fresh, joined = merged[::2] + merged[1::2], left // 2
            place += 1
        windows.reverse()  # larger ones are older
        every, lefts, joineds = zip(*windows, strict=True)
        self._buckets = np.concatenate([*every, np.zeros(most)])
        begins = np.cumsum([0, *map(len, every[:-1])])
        self._sizes = 2.0 ** np.arange(len(windows))[::-1]
        self._left = np.array(lefts).T + begins
        self._joined = np.array(joineds).T + begins

    def after(self, stroke: int) -> list[list[float]]:
        """The buckets after *stroke*, as the detector keeps them."""
        found = [
            self._buckets[left:joined].tolist()
            for left, joined in zip(self._left[stroke], self._joined[stroke], strict=True)
        ]
        found.reverse()
        while len(found) > self._at_first and not found[-1]:
            del found[-1]
        return found

    def cuts(self, strokes: npt.NDArray[np.intp]) -> tuple[Floats, Floats]:
        """The boundaries after each of *strokes*, the oldest first, some of them more than once.

        Returns:
            How many observations are before each, and the sum of the bucket before it, 0 where it was there
            already; both of shape (strokes, boundaries).
        """
        left, number = self._left[strokes], (self._joined - self._left)[strokes]
        there = self._most < number[..., None]
        sums = self._buckets.take(left[..., None] + self._most)
        sums *= there
        whole = number * self._sizes
        counts = np.minimum(self._most + 1.0, number[..., None])
        counts *= self._sizes[:, None]
        counts += (np.cumsum(whole, axis=1) - whole)[..., None]
        flat = len(strokes), len(self._sizes) * len(self._most)
        return counts.reshape(flat), sums.reshape(flat)
