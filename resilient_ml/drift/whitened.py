"""Scores that remember: what their own past foretells is taken off before they are judged."""

from __future__ import annotations

import math
from collections.abc import Mapping
from itertools import combinations
from typing import Any, ClassVar

import numpy as np
import numpy.typing as npt

from ._averages import BLOCK, filters, remains
from ._recursion import TOGETHER, recur
from ._sums import beyond_chance
from .conformal import BETS, ConformalShiryaevRoberts
from .detector import Floats, reference_values

FEW, SOME, MANY = 0.3, 0.1, 0.03
RATES = (1.0, FEW, SOME, MANY)
"""The last value itself, and averages of the past over about 3, 10 and 33 observations."""

FILTERS, REMAINS = filters(RATES), remains(RATES)
FORETELLING = 1 + len(RATES)
"""What the next may be foretold from: the value before the last, and the averages."""

FURTHEST = 10.0
"""A value further from the centre than so many times the furthest of the reference counts as that far."""

LARGE = 1e100
"""A reference must be below it, so that squares are numbers."""

DEPENDENT, BY_COUNT = 1.0, 150.0
"""What is added to the margin where the past is used, and the more by the length of the reference: what the
past foretells is estimated too. By run lengths simulated for an autocorrelation of 0.5, references of 100 to
1000 and an *arl* of 1000 to 100 000; and for 0.9 and 0.95."""

STRETCHES = 30
"""An average is used only where the reference has so many stretches as long as it remembers."""

PRICES = np.array((1, 1, 3, 3, 3))
"""What each counts for in the choice of what is used. An average is believed less than a value: in a
reference, whose own mean was taken off, it seems to foretell a return to that."""

BY_AVERAGES = 1.0
"""What is added where averages are used: they follow a level that jumps, if late, and few jumps are in a
reference. By run lengths simulated for levels that stay for 20 and 50 observations."""

MAGNIFIED = 2
"""The power of how far averages magnify a steady difference from the reference. By run lengths simulated for
cycles of 4 to 24."""

LOWEST = -1.0
"""The least sum of weights: one below would more than double a steady difference, and is mostly of chance."""

SUMS = (2, 4, 8, 16, 32, 64)
"""Over so many observations what is left is looked at together."""

APART = 10
"""So many of such sums must be in the reference, side by side."""

BY_EXCESS = 3.5
"""How much what is beyond chance counts, as sums are longer than those, and evidence beyond the normal. By
run lengths simulated with references of 1000 and an *arl* of 10 000 for autoregressions of up to three
values, moving averages, cycles of 7 and 24 and spreads that change slowly."""

SMALLEST = 1e-290
"""What differs by less is not foretold: squares and steps of it would be no numbers to divide by."""

FINEST = 1e-12
"""What is left is taken in steps of this share of the furthest: less than that is of rounding."""


class WhitenedShiryaevRoberts(ConformalShiryaevRoberts):
    """Alarms when a score with memory, or one that swings slowly, has changed its level or spread.

    Neighbouring observations that resemble each other make any test for independent ones alarm all day. Here
    each observation is foretold from the past, and `ConformalShiryaevRoberts` judges what is left::

        a_r <- a_r + r (x - a_r)                 r = 1, 0.3, 0.1, 0.03
        rest = x - sum of weight_r * a_r before x - weight * the value before the last

    The weights are those of least squares on the reference, and 0 for what foretells no more than chance
    would; averages are used where the reference has 30 stretches as long as they remember. So an
    autocorrelation goes, and so does a cycle that is slow against 33 observations. A change of level shows as
    far as it cannot be foretold: at first in full, less after the averages have followed.

    Memory of other kinds, as of fast cycles or of a spread that changes slowly, stays in what is left. It
    shows in sums of neighbouring factors, which then vary more than by chance, and as much is taken off each
    bet: the detector is slower, but keeps its promise. Where the past is used more is taken off too, as the
    weights are estimated, and the reference does not grow.

    The run length is that of `ConformalShiryaevRoberts`, or longer. It is shorter where a memory does not
    show in the reference: a correlation of 0.2 among 100 values, calm and wild times among 300, a cycle that
    is longer than the reference, or a level that jumps every 20 observations, which has 0.6 of it. Known
    cycles are better given to `SeasonalShiryaevRoberts`. Effects are its own, of what is left.

    Args:
        reference: Scores of quiet times in the order in which they came, one dimension, at least 100 finite
            ones; 1000 are good, and they should span one cycle.
        arl: Observations between false alarms, from 2; the default is one in 10 000.

    Raises:
        ValueError: A parameter is out of its range, or a value of the reference beyond 1e100.

    >>> import numpy as np
    >>> noise = np.random.default_rng(0).normal(size=3000)
    >>> for place in range(1, 3000):
    ...     noise[place] += 0.6 * noise[place - 1]
    >>> noise[2000:] += 3.0
    >>> detector = WhitenedShiryaevRoberts(noise[:1000], arl=10_000)
    >>> bool(1000 < detector.update_many(noise[1000:])[0] < 1050)
    True

    Source: L. C. Alwan, H. V. Roberts, "Time-series modeling for statistical process control", Journal of
    Business & Economic Statistics 6(1), 1988; G. Schwarz, "Estimating the Dimension of a Model", Annals of
    Statistics 6(2), 1978, for the choice; A. W. Lo, A. C. MacKinlay, "Stock Market Prices Do Not Follow
    Random Walks", Review of Financial Studies 1(1), 1988, for the variance of sums.
    """

    _kind: ClassVar[str] = "WhitenedShiryaevRoberts"
    _version: ClassVar[int] = 2
    _averages: list[float]
    _earlier: float

    def __init__(self, reference: npt.ArrayLike, *, arl: float = 10_000) -> None:
        values = reference_values(reference)
        if len(values) < 100:
            raise ValueError(
                f"reference must hold at least 100 finite values in order, got {len(values)}; collect 1000"
            )
        if not float(np.abs(values).max()) < LARGE:
            raise ValueError(
                f"reference must hold values below {LARGE:g}, got one of {np.abs(values).max():g}; divide "
                "what is that large"
            )
        self._centre = float(values.mean())
        farthest = float(np.abs(values - self._centre).max())
        self._furthest = FURTHEST * farthest or 1.0  # 1 where all are the same
        self._forget()
        centred = values - self._centre
        kept = np.broadcast_to(1.0 - np.array(RATES), (len(centred), len(RATES)))
        averages = recur(np.zeros(len(RATES)), kept, np.multiply.outer(centred, RATES))
        past = np.zeros((len(centred), FORETELLING))
        past[2:, 0] = centred[:-2]
        past[1:, 1:] = averages[:-1]
        # A value that never changes is off its mean by rounding, which foretells nothing.
        varies = farthest > max(FINEST * float(np.abs(values).max()), SMALLEST)
        weights = _least_squares(past / farthest, centred / farthest) if varies else np.zeros(FORETELLING)
        self._weigh(weights)
        self._excess = np.zeros(BETS)
        rest = self._rest(centred, past @ weights) if self._foretells else centred
        super().__init__(rest, arl=arl)
        self._excess = _excess(self._table[self._ranking.twice_midranks(rest)])
        if self._excess.any():
            self._judge_by(self._given)

    def _weigh(self, weights: Floats) -> None:
        self._weights: list[float] = weights.tolist()
        by_average = weights[1:]
        self._step: float = FINEST * self._furthest
        self._foretells = any(self._weights)
        # What the averages foretell is linear in what they were before a stretch, and in what came in it.
        self._from_before = np.zeros((len(RATES), BLOCK))
        self._from_before[:, 0] = by_average
        self._from_before[:, 1:] = by_average[:, None] * REMAINS[:, :-1]
        self._from_within = np.zeros((BLOCK, BLOCK))
        self._from_within[:, 1:] = np.tensordot(by_average, FILTERS[:, :-1], 1).T

    def _rest(self, centred: Floats, foretold: Floats) -> Floats:
        """What was not foretold, in steps: equal where only rounding makes a difference."""
        rest: Floats = np.rint((centred - foretold) / self._step) * self._step
        return rest

    def _may_grow(self) -> bool:
        return not self._foretells

    def _margin(self, count: int) -> float:
        if not self._foretells:
            return super()._margin(count)
        # By so much averages magnify a steady difference from the reference, whose mean is off the true one.
        magnified = max(1.0, 1.0 - sum(self._weights[2:]))
        by_averages = BY_AVERAGES if any(self._weights[2:]) else 0.0
        dependent = (DEPENDENT + BY_COUNT / count) * magnified**MAGNIFIED
        return super()._margin(count) + dependent + by_averages

    def update(self, value: float) -> bool:
        """Feed one observation; whether it raised an alarm."""
        if not math.isfinite(value):
            return self._refuse()
        centred = float(value) - self._centre
        if not -self._furthest <= centred <= self._furthest:
            centred = math.copysign(self._furthest, centred)
        if not self._foretells:
            return self._judge(centred)
        last, few, some, many = self._averages
        by_earlier, by_last, by_few, by_some, by_many = self._weights
        earlier, self._earlier = self._earlier, last
        self._averages = [
            centred,
            few + FEW * (centred - few),
            some + SOME * (centred - some),
            many + MANY * (centred - many),
        ]
        rest = centred - by_last * last - by_few * few - by_some * some - by_many * many
        return self._judge(round((rest - by_earlier * earlier) / self._step) * self._step)

    def _absorb(self, rows: Floats) -> tuple[int, bool]:
        centred = np.clip(rows[:TOGETHER] - self._centre, -self._furthest, self._furthest)
        if not self._foretells:
            return super()._absorb(centred)
        count = len(centred)
        stretches = -(-count // BLOCK)
        within = np.zeros((stretches, BLOCK))
        within.ravel()[:count] = centred
        before = np.array([self._averages] * (stretches + 1))
        kept = np.broadcast_to(REMAINS[:, -1], (stretches, len(RATES)))
        before[1:] = recur(before[0], kept, within @ FILTERS[:, -1].T)
        foretold = before[:-1] @ self._from_before
        foretold += within @ self._from_within
        foretold = foretold.ravel()[:count]
        late_by_two = np.concatenate([[self._earlier, self._averages[0]], centred])
        foretold += self._weights[0] * late_by_two[:count]
        used, alarm = super()._absorb(self._rest(centred, foretold))
        stretch, late = divmod(used, BLOCK)
        averages = before[stretch]
        if late:
            averages = averages * REMAINS[:, late - 1] + FILTERS[:, late - 1, :late] @ within[stretch, :late]
        self._averages = averages.tolist()
        self._earlier = float(late_by_two[used])
        return used, alarm

    def reset(self) -> None:
        """Begin anew with the reference that was given: nothing has been seen, and the past is its mean."""
        super().reset()
        self._forget()

    def _forget(self) -> None:
        self._averages = [0.0] * len(RATES)
        self._earlier = 0.0

    def _save(self) -> dict[str, Any]:
        own = {"centre": self._centre, "furthest": self._furthest, "weights": list(self._weights)}
        return {
            **super()._save(),
            **own,
            "averages": list(self._averages),
            "earlier": self._earlier,
            "excess": self._excess.tolist(),
        }

    def _fill(self, state: Mapping[str, Any]) -> None:
        self._centre, self._furthest = float(state["centre"]), float(state["furthest"])
        self._weigh(np.array(state["weights"], dtype=np.float64))
        self._averages = list(state["averages"])
        self._earlier = float(state["earlier"])
        self._excess = np.array(state["excess"], dtype=np.float64)
        super()._fill(state)


def _least_squares(past: Floats, centred: Floats) -> Floats:
    """The weights that foretell *centred* best, with 0 for whatever foretells no more than chance would.

    Of all choices of what to use, nothing among them, it is the one with the least Bayesian information
    criterion, where averages count for more than one.
    """
    count = len(past)
    columns = 1 + sum(count * rate >= STRETCHES for rate in RATES)
    total = float(centred @ centred)
    # The factors are as good as the rows, and as many as there are columns.
    turned, factors = np.linalg.qr(past[:, :columns])
    told = turned.T @ centred
    untold = max(total - float(told @ told), 0.0)
    best, weights = count * math.log(total) if total else -math.inf, np.zeros(FORETELLING)
    for size in range(1, columns + 1):
        for chosen in map(list, combinations(range(columns), size)):
            some = np.linalg.lstsq(factors[:, chosen], told, rcond=None)[0]
            missed = told - factors[:, chosen] @ some
            left = max(untold + float(missed @ missed), FINEST * total)
            criterion = count * math.log(left) + int(PRICES[chosen].sum()) * math.log(count)
            if criterion < best and float(some.sum()) >= LOWEST:
                best, weights = criterion, np.zeros(FORETELLING)
                weights[chosen] = some
    return weights


def _excess(factors: Floats) -> Floats:
    """By how much sums of neighbouring *factors* vary more than if none knew of the others, as a share.

    Args:
        factors: In the order in which they came, shape (observations, bets).

    Returns:
        What is beyond chance, the largest over `SUMS`; shape (bets,).
    """
    excess = np.zeros(factors.shape[1])
    for _, more in beyond_chance(factors, SUMS, apart=APART):
        excess = np.maximum(excess, more)
    return BY_EXCESS * excess
