"""Scores that depend on the hour, the weekday or the customer: each is judged among its own kind."""

from __future__ import annotations

import math
from bisect import bisect_left, bisect_right
from collections.abc import Mapping, Sequence
from statistics import NormalDist
from typing import Any, ClassVar

import numpy as np
import numpy.typing as npt

from .detector import Floats
from .stratified import pairs, run_begins
from .whitened import WhitenedShiryaevRoberts

NORMAL = NormalDist()
LEAST = 20
"""A stratum with fewer values than this in the reference is judged among all."""

SPAN = 250.0
"""Over the strata that come within so many observations, about as long as evidence collects, their luck
averages out."""

ALL = math.inf
"""Where the values of all strata are kept."""


class SeasonalShiryaevRoberts(WhitenedShiryaevRoberts):
    """Alarms when a score no longer falls among those of its own stratum as it used to.

    A *stratum* is whatever the score is known to depend on: the hour of the week, a customer, a route. Each
    score becomes the normal score of its rank among the reference values of its stratum, which has the same
    distribution in all; `WhitenedShiryaevRoberts` judges these, so memory within the strata goes too. A
    cycle that the strata follow raises no alarm, however deep it is, and a value that is usual at noon is
    found at midnight.

    What a stratum is like is known from its part of the reference alone, and from how often the stream came
    there, as each visit has its own luck. So more is taken off the bets than for a plain score: 0.3 of a
    margin for each doubling of the number of strata, and ``7 / visits^2`` where there were fewer than 4 or 5
    visits to each. A stratum of which the reference has fewer than 20 values is judged among all.

    Effects are those of `ConformalShiryaevRoberts`, of ranks within the strata.

    Args:
        reference: Rows of quiet times in the order in which they came, float64, shape (n, 2): the number of
            the stratum, and the score. At least 100 finite ones, that came to each stratum twice or more;
            four times, with 50 values each, are good.
        arl: Observations between false alarms, from 2; the default is one in 10 000.

    Raises:
        ValueError: A parameter is out of its range, or the reference came to each stratum once.

    >>> import numpy as np
    >>> hours = np.arange(4800) % 24
    >>> scores = np.random.default_rng(0).normal(size=4800) + 3.0 * np.sin(hours / 24 * 2 * np.pi)
    >>> scores[3600:] += 1.0
    >>> rows = np.column_stack([hours, scores])
    >>> detector = SeasonalShiryaevRoberts(rows[:2400], arl=10_000)
    >>> bool(3600 <= detector.update_many(rows[2400:])[0] + 2400 < 3640)
    True

    Source: V. Vovk, A. Gammerman, G. Shafer, "Algorithmic Learning in a Random World", 2nd edition, 2022,
    chapter 4, on Mondrian conformal predictors, which judge each category by itself.
    """

    _kind: ClassVar[str] = "SeasonalShiryaevRoberts"
    _strata: dict[float, list[float]]
    _visits: float

    def __init__(self, reference: npt.ArrayLike, *, arl: float = 10_000) -> None:
        rows = pairs(reference, "reference")
        rows = rows[np.isfinite(rows).all(axis=1)]
        if len(rows) < 100:
            raise ValueError(
                f"reference must hold at least 100 finite rows in order, got {len(rows)}; collect 1000"
            )
        self._visits = coming_again(rows[:, 0])
        self._strata = {ALL: np.sort(rows[:, 1]).tolist()}
        for stratum in np.unique(rows[:, 0]).tolist():
            values = np.sort(rows[rows[:, 0] == stratum, 1])
            if len(values) >= LEAST:
                self._strata[stratum] = values.tolist()
        scores = [self._score(row, place, among_others=True) for place, row in enumerate(rows.tolist())]
        super().__init__(scores, arl=arl)

    def _may_grow(self) -> bool:
        return False

    def _margin(self, count: int) -> float:
        doublings = math.log2(max(1, len(self._strata) - 1))
        return super()._margin(count) + doublings * max(0.3, 7.0 / self._visits**2)

    def _score(self, row: Sequence[float], place: int, *, among_others: bool = False) -> float:
        """The normal score of observation number *place*, a (stratum, value), in its stratum.

        Where the values that it lies between, or equals, leave its rank open, it is drawn: from multiples of
        the golden ratio, so that the same stream always has the same scores.

        Args:
            row: The stratum, and the value.
            place: Its number, which chooses the draw.
            among_others: Whether it is one of the reference itself, and has its rank among the others.
        """
        stratum, value = row
        known = self._strata.get(stratum) or self._strata[ALL]
        below, upto = bisect_left(known, value), bisect_right(known, value)
        draw = (place + 0.5) * 0.6180339887498949 % 1.0
        own = 0 if among_others else 1
        share = (below + draw * (upto - below + own)) / (len(known) + own)
        return NORMAL.inv_cdf(min(max(share, 1e-12), 1.0 - 1e-12))

    def update(self, value: Sequence[float] | Floats) -> bool:  # type: ignore[override]
        """Feed one observation, a stratum and a score; whether it raised an alarm."""
        stratum, score = value
        if not (math.isfinite(stratum) and math.isfinite(score)):
            return self._refuse()
        return super().update(self._score((float(stratum), float(score)), self.seen))

    def _rows(self, values: npt.ArrayLike) -> Floats:
        return pairs(values, "values")

    def _absorb(self, rows: Floats) -> tuple[int, bool]:
        scores = [self._score(row, self.seen + place) for place, row in enumerate(rows[:1024].tolist())]
        return super()._absorb(np.array(scores))

    def _save(self) -> dict[str, Any]:
        strata = [[stratum, values] for stratum, values in self._strata.items() if stratum != ALL]
        return {**super()._save(), "strata": strata, "all": self._strata[ALL], "visits": self._visits}

    def _fill(self, state: Mapping[str, Any]) -> None:
        self._visits = float(state["visits"])
        self._strata = {ALL: list(state["all"])}
        self._strata.update((float(stratum), list(values)) for stratum, values in state["strata"])
        super()._fill(state)


def visits(strata: Floats) -> float:
    """How often a stream came to a stratum: the median number of runs of the strata in *strata*.

    The first and the last run, which may be parts of longer ones, count for half.

    >>> visits(np.array([1, 1, 2, 2, 2, 1, 1, 2, 2, 1.0]))
    2.0
    """
    begins = run_begins(strata)
    runs = np.ones(len(begins))
    runs[0] -= 0.5
    runs[-1] -= 0.5
    _, numbers = np.unique(strata[begins], return_inverse=True)
    return float(np.median(np.bincount(numbers, weights=runs)))


def coming_again(strata: Floats) -> float:
    """`visits`, which are two or more.

    Raises:
        ValueError: They are fewer.
    """
    found = visits(strata)
    if found < 2.0:
        raise ValueError(
            "reference must come to each stratum at least twice, and most were visited once; collect two "
            "cycles or more, or use fewer strata"
        )
    return found


def told_apart(strata: Floats) -> list[float]:
    """Of which of *strata* a reference has enough."""
    found, counts = np.unique(strata, return_counts=True)
    enough: list[float] = found[counts >= LEAST].tolist()
    return enough


def worth(strata: Floats) -> float:
    """How many observations a reference is worth of which each stratum has its part."""
    at_once = 1.0 + SPAN * len(run_begins(strata)) / len(strata)
    return len(strata) * min(1.0, at_once / max(1, len(told_apart(strata))))
