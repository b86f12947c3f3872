"""Classes whose shares depend on the hour, the weekday or the customer: each is judged among its own kind."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any, ClassVar, Self

import numpy as np
import numpy.typing as npt

from ._recursion import TOGETHER
from .categorical import FEW, NO_NUMBER, CategoricalShiryaevRoberts, independent
from .detector import Floats
from .seasonal import coming_again, told_apart, worth
from .stratified import pairs, places_among

GOLDEN = 0.6180339887498949


class SeasonalCategorical(CategoricalShiryaevRoberts):
    """Alarms when categories no longer come in the shares that they used to have in their stratum.

    A *stratum* is whatever the shares are known to depend on: the hour of the week, a customer, a route.
    Where they are ``p_s``, and ``p`` in all, a category *x* stays what it is with a chance of
    ``p(x) / p_s(x)``, at most 1; otherwise it becomes one of those that are rarer in the stratum than in all,
    in proportion to how much. So each comes with the share ``p`` in every stratum, and nothing that achieves
    this leaves more of them as they were: it is the maximal coupling. `CategoricalShiryaevRoberts` watches
    the result. A cycle that the strata follow raises no alarm, and what is usual at noon is found at night.

    What a stratum is like is counted with half an observation more of each category, as they come in all.
    Each is known from its part of the reference, so that is worth no more than what it has of the
    strata which come within 250 observations. A stratum of which it has fewer than 20 is judged
    among all. Choices are made by multiples of the golden ratio, so the same stream always has the same.

    Effects are those of `CategoricalShiryaevRoberts`, of what categories have become; as -1 come those, too,
    that became any that the reference shows less than twice.

    Args:
        reference: Rows of quiet times in the order in which they came, float64, shape (n, 2): the number of
            the stratum, and the category, a whole number from 0. At least 100 finite ones, that came to each
            stratum twice or more.
        categories, arl, effective_size, swing: As for `CategoricalShiryaevRoberts`.

    Raises:
        ValueError: A parameter is out of its range, or the reference came to each stratum once.

    >>> import numpy as np
    >>> hours = np.arange(9600) % 24
    >>> draw = np.random.default_rng(0).random(9600)
    >>> kinds = (draw < np.where(hours < 8, 0.6, 0.1)) * 1.0  # questions of one kind come at night
    >>> kinds[7200:] = (draw < 0.4)[7200:]
    >>> rows = np.column_stack([hours, kinds])
    >>> detector = SeasonalCategorical(rows[:4800], arl=10_000)
    >>> bool(7200 <= detector.update_many(rows[4800:])[0] + 4800 < 7300)
    True

    Source: T. Lindvall, "Lectures on the Coupling Method", 1992, section I.5.
    """

    _kind: ClassVar[str] = "SeasonalCategorical"
    _version: ClassVar[int] = 1
    _known: dict[float, list[int]]

    def __init__(
        self,
        reference: npt.ArrayLike,
        *,
        categories: int | None = None,
        arl: float = 10_000,
        effective_size: float | None = None,
        swing: float = 0.0,
    ) -> None:
        rows = pairs(reference, "reference")
        rows = rows[np.isfinite(rows).all(axis=1)]
        if len(rows) < 100:
            raise ValueError(
                f"reference must hold at least 100 finite rows in order, got {len(rows)}; collect 1000"
            )
        coming_again(rows[:, 0])
        size = min(worth(rows[:, 0]), independent(effective_size, len(rows)))
        super().__init__(
            rows[:, 1],
            categories=categories,
            arl=arl,
            effective_size=size,
            swing=swing,
        )
        bins = self._bin_of[self._binned(rows[:, 1])]
        self._couple(
            {
                stratum: np.bincount(bins[rows[:, 0] == stratum], minlength=len(self._shares)).tolist()
                for stratum in told_apart(rows[:, 0])
            }
        )

    def _couple(self, known: dict[float, list[int]]) -> None:
        """Learn what categories become from how often each bin came in the strata that are known."""
        self._known = known
        self._strata = np.array(sorted(known))
        all_of_it = self._shares
        counts = np.array([known[stratum] for stratum in self._strata.tolist()])
        counts = counts.reshape(len(known), len(all_of_it))
        prior = len(all_of_it) / 2.0
        shares = (counts + prior * all_of_it) / (counts.sum(axis=1, keepdims=True) + prior)
        missing = np.cumsum(np.maximum(all_of_it - shares, 0.0), axis=1)
        missing /= np.maximum(missing[:, -1:], 1e-300)
        # The last row is that of all other strata, in which categories stay what they are.
        self._stays = np.vstack([np.minimum(all_of_it / shares, 1.0), np.ones(len(all_of_it))])
        # Each row is raised by its number, so that one search finds a place in any of them.
        self._becomes = missing + np.arange(len(known))[:, None]
        often = np.flatnonzero(self._bin_of < len(all_of_it) - 1)  # by their bins, one each
        self._category_of = np.append(often, NO_NUMBER).astype(np.float64)
        self._place_of = {stratum: place for place, stratum in enumerate(self._strata.tolist())}
        self._stays_of = self._stays.tolist() if len(all_of_it) <= FEW else []

    def coupled(self, rows: Floats, *, first: int = 0) -> Floats:
        """What categories become: those of *rows*, of which the first is observation number *first*."""
        strata, values = rows[:, 0], rows[:, 1]
        places = places_among(self._strata, strata)
        bins = self._bin_of[self._binned(values)]
        chances = (np.arange(first, first + len(rows)) + 0.5) * GOLDEN % 1.0
        stays = self._stays[places, bins]
        found = values.copy()
        moved = np.flatnonzero(chances >= stays)
        if len(moved):
            left = (chances[moved] - stays[moved]) / (1.0 - stays[moved])
            found[moved] = self._category_of[self._others(places[moved], left)]
        return found

    def _others(self, places: npt.NDArray[np.intp], left: Floats) -> npt.NDArray[np.intp]:
        """The bins that others become in strata, by what is *left* of a choice from 0 to 1."""
        bins = len(self._category_of)
        found = np.searchsorted(self._becomes.ravel(), places + left, side="right") - places * bins
        others: npt.NDArray[np.intp] = np.clip(found, 0, bins - 1)
        return others

    def update(self, value: Sequence[float] | Floats) -> bool:  # type: ignore[override]
        """Feed one observation, a stratum and a category; whether it raised an alarm."""
        stratum, category = value
        if not (math.isfinite(stratum) and math.isfinite(category)):
            return self._refuse()
        if len(self._share_of) > FEW:
            return bool(len(self.update_many(np.array([[stratum, category]], dtype=np.float64))))
        return super().update(self._become(float(stratum), float(category)))

    def _become(self, stratum: float, category: float) -> float:
        """What :meth:`coupled` makes of the next observation."""
        place = self._place_of.get(stratum, -1)
        chance = (self.seen + 0.5) * GOLDEN % 1.0
        stay = self._stays_of[place][self._bins[int(category) if 0.0 <= category < self.categories else -1]]
        if chance < stay:
            return category
        other = self._others(np.array([place]), np.array([(chance - stay) / (1.0 - stay)]))
        return float(self._category_of[other[0]])

    def _rows(self, values: npt.ArrayLike) -> Floats:
        return pairs(values, "values")

    def _absorb(self, rows: Floats) -> tuple[int, bool]:
        return super()._absorb(self.coupled(rows[:TOGETHER], first=self.seen))

    def _save(self) -> dict[str, Any]:
        return {**super()._save(), "strata": [[one, list(counts)] for one, counts in self._known.items()]}

    @classmethod
    def _load(cls, state: Mapping[str, Any]) -> Self:
        detector = super()._load(state)
        detector._couple({float(one): [int(count) for count in counts] for one, counts in state["strata"]})
        return detector
