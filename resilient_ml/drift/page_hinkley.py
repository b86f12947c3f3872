"""Page-Hinkley: a mean has moved, as its faded sum of deviations is far from its lowest."""

from __future__ import annotations

import math
from typing import ClassVar, Literal, cast

import numpy as np

from .._checks import at_least, one_of, real, shown, whole
from .classic import CHUNK, Classic, moved, running
from .detector import Evidence, Floats

Mode = Literal["up", "down", "both"]


class PageHinkley(Classic):
    """Alarms when deviations from the running mean add up: no reference, but a threshold with a unit.

    With the running mean ``m`` of all since the last alarm, the latest included, and forgetting ``alpha``::

        U <- alpha * U + (x - m) - delta      rise = U - lowest U so far
        D <- alpha * D + (x - m) + delta      fall = highest D so far - D

    The alarm comes when rise or fall exceeds *threshold*, once *min_instances* have been seen. Alarms come at
    the same observations as those of river 0.26, with two exceptions: there one NaN ends all alarms for ever,
    here it is refused; and far from 0, from about 1e10 times the noise on, rounding of the running mean moves
    or makes alarms there, while here all is measured from the first observation.

    *delta* and *threshold* are in the unit of the observations, so no default fits. Measured at the defaults:
    on confidences a fall from Beta(8, 2) to Beta(6, 3) is found in 475 observations, by `CUSUM` in 17 and by
    `ConformalShiryaevRoberts` in 30; on normal scores a false alarm comes every 1718, there every 20 000 and
    more. Those two have no unit and a run length that you choose. This one is for where a threshold is known
    from elsewhere.

    The effect is the mean since the lowest (or highest) sum, less the mean before, in the unit of the
    observations.

    Args:
        min_instances: No alarm before so many observations since the last one, from 1.
        delta: How far a mean may move, in the unit of the observations, from 0.
        threshold: How large a sum of deviations may become, in the same unit, above 0.
        alpha: What is kept of the sums at each observation, from 0.001 to 1: the default remembers about
            10 000 observations, 1 all.
        mode: ``"up"`` alarms at rises, ``"down"`` at falls, ``"both"`` at either.

    Raises:
        ValueError: A parameter is out of its range.

    >>> detector = PageHinkley(threshold=20.0)
    >>> detector.update_many([1.0, 0.0] * 100 + [3.0, 4.0] * 20)
    array([206])
    >>> detector.evidence.since, detector.evidence.effect > 2.5
    (7, True)

    Source: E. S. Page, "Continuous inspection schemes", Biometrika 41, 1954; D. V. Hinkley, "Inference about
    the change-point from cumulative sum tests", Biometrika 58(3), 1971.
    """

    _kind: ClassVar[str] = "PageHinkley"
    statistic: float
    _made = ("min_instances", "delta", "threshold", "alpha", "mode")
    _filled = ("_count", "_origin", "_total", "_squares", "_up", "_down", "_lowest", "_highest")
    _count: int
    _origin: float
    """The first observation: what is added up is the distance from it."""
    _total: float
    _squares: float
    _up: float
    _down: float
    """What of U and D is left when how they have faded since the last multiple of so many is taken off."""
    _lowest: list[float]
    """The lowest faded sum, how many observations it was of, and their plain sum."""
    _highest: list[float]

    def __init__(
        self,
        *,
        min_instances: int = 30,
        delta: float = 0.005,
        threshold: float = 50.0,
        alpha: float = 0.9999,
        mode: Mode = "both",
    ) -> None:
        self.min_instances: int = whole("min_instances", min_instances, at_least=1, remedy="pass 30, say")
        self.delta: float = at_least("delta", delta, 0.0, remedy="pass half the shift that matters")
        limit = real("threshold", threshold, remedy="pass it in the unit of the observations")
        if limit <= 0.0:
            raise ValueError(
                f"threshold must be above 0, got {shown(threshold)}; pass about 50 standard deviations"
            )
        self.alpha: float = real("alpha", alpha, remedy="leave it out for 0.9999")
        if not 0.001 <= self.alpha <= 1.0:
            raise ValueError(f"alpha must be from 0.001 to 1, got {shown(alpha)}; leave it out for 0.9999")
        self.mode: Mode = cast(Mode, one_of("mode", mode, ("up", "down", "both")))
        # A faded sum is the plain sum of what is divided by how much it has faded since some beginning, times
        # that; there is a new beginning after every so many observations, before the divisors are too small.
        forgetting = -math.log(self.alpha)
        size = CHUNK if forgetting * CHUNK < 200.0 else int(200.0 / forgetting)
        self._fades: Floats = np.power(self.alpha, np.arange(1.0, size + 1.0))
        self._growth: Floats = 1.0 / self._fades
        self._weights: list[tuple[float, float]] = list(
            zip(self._growth.tolist(), self._fades.tolist(), strict=True)
        )
        super().__init__(limit)

    def _step(self, value: float) -> bool:
        place = self._count % len(self._weights)
        if not self._count:
            self._origin = value
        elif not place:
            self._fold()
        self._count = self._count + 1
        value -= self._origin
        self._total = self._total + value
        self._squares = self._squares + value * value
        deviation = value - self._total / self._count
        grow, fade = self._weights[place]
        self._up = self._up + (deviation - self.delta) * grow
        self._down = self._down + (deviation + self.delta) * grow
        up, down = self._up * fade, self._down * fade
        if up <= self._lowest[0]:
            self._lowest = [up, self._count, self._total]
        if down >= self._highest[0]:
            self._highest = [down, self._count, self._total]
        if self._count < self.min_instances:
            return False
        rise, fall = up - self._lowest[0], self._highest[0] - down
        mode = self.mode
        self.statistic = rise if mode == "up" or (mode == "both" and rise > fall) else fall
        return self.statistic > self.threshold

    def _fold(self) -> None:
        """The sums as they have faded, to begin anew with."""
        self._up *= self._weights[-1][1]
        self._down *= self._weights[-1][1]

    def _absorb(self, rows: Floats) -> tuple[int, bool]:
        place = self._count % len(self._weights)
        values = self._bring(rows, len(self._weights) - place)
        if not self._count:
            self._origin = float(values[0])
        elif not place:
            self._fold()
        size = len(values)
        values -= self._origin
        squares = running(self._squares, values * values)
        totals = running(self._total, values.copy())
        counts = np.arange(self._count + 1, self._count + size + 1)
        deviations = values - totals / counts
        grows, fades = self._growth[place : place + size], self._fades[place : place + size]
        up_sums = running(self._up, (deviations - self.delta) * grows)
        down_sums = running(self._down, (deviations + self.delta) * grows)
        ups, downs = up_sums * fades, down_sums * fades
        rises = ups - np.minimum(np.minimum.accumulate(ups), self._lowest[0])
        falls = np.maximum(np.maximum.accumulate(downs), self._highest[0]) - downs
        mode = self.mode
        scores = rises if mode == "up" else falls if mode == "down" else np.maximum(rises, falls)
        scores[: max(0, self.min_instances - 1 - self._count)] = 0.0
        reached = scores > self.threshold
        last = int(reached.argmax())
        alarm = bool(reached[last])
        if not alarm:
            last = size - 1
        # The latest of equal ones: the change is after it.
        low, high = last - int(ups[last::-1].argmin()), last - int(downs[last::-1].argmax())
        if ups[low] <= self._lowest[0]:
            self._lowest = [float(ups[low]), int(counts[low]), float(totals[low])]
        if downs[high] >= self._highest[0]:
            self._highest = [float(downs[high]), int(counts[high]), float(totals[high])]
        self._count, self._total, self._squares = int(counts[last]), float(totals[last]), float(squares[last])
        self._up, self._down = float(up_sums[last]), float(down_sums[last])
        self.statistic = float(scores[last])
        return last + 1, alarm

    def _explain(self) -> Evidence:
        fade = self._weights[(self._count - 1) % len(self._weights)][1]
        rising = self.statistic == self._up * fade - self._lowest[0]
        _, place, total = self._lowest if rising else self._highest
        count, since = int(place), self._count - int(place)
        before, after = total / count, (self._total - total) / since
        within = self._squares - count * before * before - since * after * after
        effect = moved(before, after, (count, since), within)
        return Evidence(self.statistic, self.threshold, self.seen, since, effect)

    def _begin(self) -> None:
        self._count = 0
        self._origin = self._total = self._squares = self._up = self._down = self.statistic = 0.0
        self._lowest, self._highest = [0.0, 0, 0.0], [0.0, 0, 0.0]
