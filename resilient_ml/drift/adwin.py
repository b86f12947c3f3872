"""ADWIN: a window as long as its older and its newer part have the same mean."""

from __future__ import annotations

import math
from typing import ClassVar

from .._checks import share, whole
from .classic import CHUNK, Classic, moved
from .detector import Evidence, Floats

PENDING = 64
"""So many observations wait at most until they are put into buckets."""


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
    with ``arl=10_000`` needs 182, and scores with an autocorrelation of 0.5 alarm every 2591. It sees the
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
        values = self._bring(rows, CHUNK).tolist()
        begin = 0
        while begin < len(values):
            end = begin + self._room - len(self._pending)
            self._pending += values[begin:end]
            begin = min(end, len(values))
            if len(self._pending) == self._room and self._collect():
                return begin, True
        return begin, False

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
