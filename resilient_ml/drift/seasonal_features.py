"""Embeddings or many features by the hour or the customer: rows are judged among their own kind."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar, Self

import numpy as np
import numpy.typing as npt

from .categorical import independent
from .detector import Floats
from .random_features import (
    DOUBT,
    FIXED_SAFETY,
    RATES,
    STEPS,
    STREAMS,
    RandomFeatureAverages,
    Singles,
    rarely,
)
from .seasonal import coming_again, told_apart
from .stratified import places_among

TINY = 1e-6
"""What is no spread."""


class SeasonalFeatureAverages(RandomFeatureAverages):
    """Alarms when rows of numbers are no longer distributed as a reference is in their stratum.

    A *stratum* is whatever rows are known to depend on: the hour of the week, a customer, a route. The random
    features of `RandomFeatureAverages` have a mean and a spread in each; what is averaged is a row's own less
    that mean, by that spread. So a stratum may differ from the others in anything, and a cycle that the
    strata follow raises no alarm.

    The threshold is set from streams that go through the strata as the reference does, each with rows drawn
    from the stratum and with its mean redrawn, as that is known from its part of the reference alone. This
    does not grow. A stratum of which it has fewer than 20 rows is judged among all.

    Effects and parts are those of `RandomFeatureAverages`, against what is usual in the stratum.

    Args:
        reference: Rows of quiet times in the order in which they came, float64, shape (rows, 1 + features):
            the number of the stratum, and the features. At least 100, all finite, that came to each stratum
            twice or more.
        arl: Rows between false alarms, from 2; the default is one in 10 000.
        seed: Chooses the random features.
        effective_size: How many independent rows the reference is worth, from 1: fewer than it has where
            neighbours resemble each other. By default all of them.

    Raises:
        ValueError: A parameter is out of its range, or the reference came to each stratum once.

    >>> import numpy as np
    >>> hours = np.arange(3000) % 6
    >>> rows = np.random.default_rng(0).normal(size=(3000, 4)) + 3.0 * (hours[:, None] == np.arange(4))
    >>> rows[2400:] += 1.0
    >>> stream = np.column_stack([hours, rows])
    >>> detector = SeasonalFeatureAverages(stream[:1200], arl=5000)
    >>> bool(2400 < detector.update_many(stream[1200:])[0] + 1200 < 2440)
    True

    Source: that of `RandomFeatureAverages`; V. Vovk, A. Gammerman, G. Shafer, "Algorithmic Learning in a
    Random World", 2nd edition, 2022, chapter 4, for judging each category by itself.
    """

    _kind: ClassVar[str] = "SeasonalFeatureAverages"

    def __init__(
        self,
        reference: npt.ArrayLike,
        *,
        arl: float = 10_000,
        seed: int = 0,
        effective_size: float | None = None,
    ) -> None:
        rows = np.asarray(reference, dtype=np.float64)
        if rows.ndim != 2 or rows.shape[1] < 2:
            raise ValueError(
                f"reference must have shape (rows, 1 + features), a stratum first, got {rows.shape}; use "
                "np.column_stack([strata, features])"
            )
        strata = rows[:, 0]
        if not np.isfinite(strata).all():
            unlike = strata[~np.isfinite(strata)][0]
            raise ValueError(f"reference must have finite strata, got {unlike:g}; leave such rows out")
        mapped = self._learn(rows[:, 1:], arl, seed)
        coming_again(strata)
        size = independent(effective_size, len(rows))
        self._strata = np.array(told_apart(strata))
        places = places_among(self._strata, strata)
        # The last place is that of all other strata.
        self._centres = np.vstack(
            [*(rows[strata == one, 1:].mean(axis=0) for one in self._strata), self._centre]
        )
        self._means = np.vstack([*(mapped[strata == one].mean(axis=0) for one in self._strata), self._mean])
        off = mapped - self._means[places]
        # Each mean is that of its own rows, from which they are less far.
        squares = np.einsum("ij,ij->i", off, off)
        counts = np.bincount(places, minlength=len(self._means))
        usual = np.bincount(places, squares, len(self._means)) / np.maximum(counts - 1, 1)
        usual[-1] = mapped.var(axis=0).sum()
        alike = float(squares.sum()) / max(1, len(rows) - len(self._strata))
        self._gains = np.sqrt(max(alike, TINY) / np.maximum(usual, TINY)).astype(np.float32)
        centred = off * self._gains[places, None]
        self._expect(centred)
        self._thresholds = (self._threshold_of(centred, places, size), 0.0, 0.0)
        self.fix_reference()
        self._begin()

    def _threshold_of(self, centred: Singles, places: npt.NDArray[np.intp], size: float) -> float:
        """The threshold, from streams that go through the strata as the reference does.

        The rows are drawn from those of the stratum, whose mean is redrawn for each stream as it is that of a
        sample. The largest statistic of each stream is taken.
        """
        generator = np.random.default_rng([self._seed, 1])
        order = np.argsort(places, kind="stable")
        counts = np.bincount(places, minlength=len(self._means))
        begins = np.cumsum(counts) - counts

        def drawn(here: npt.NDArray[np.intp]) -> Singles:
            chosen = begins[here] + (generator.random(here.shape) * counts[here]).astype(np.intp)
            rows: Singles = centred[order[chosen]]
            return rows

        there = np.flatnonzero(counts)
        off = np.zeros((STREAMS, len(counts), centred.shape[1]), np.float32)
        for one in off:
            one[there] = np.add.reduceat(drawn(places[order]), begins[there]) / counts[there, None]
        off *= np.float32(DOUBT * np.sqrt(len(centred) / size))
        begin = generator.integers(0, len(places), STREAMS)
        largest = np.zeros(STREAMS)
        averages = [np.zeros((STREAMS, centred.shape[1]), np.float32) for _ in RATES]
        for step in range(STEPS):
            here = places[(begin + step) % len(places)]
            fresh = drawn(here) - off[np.arange(STREAMS), here]
            for average, rate, expected in zip(averages, RATES, self._expected, strict=True):
                np.add(average, np.float32(rate) * (fresh - average), out=average)
                np.maximum(largest, np.einsum("ij,ij->i", average, average) / expected, out=largest)
        return rarely(largest, FIXED_SAFETY * self.arl)

    def _rows(self, values: npt.ArrayLike) -> Floats:
        rows = np.asarray(values, dtype=np.float64)
        if rows.ndim != 2 or rows.shape[1] != 1 + self.features:
            raise ValueError(
                f"values must have 2 dimensions, a stratum and {self.features} features a row, got shape "
                f"{rows.shape}; use np.column_stack([strata, features])"
            )
        return rows

    def _centred(self, rows: Floats) -> tuple[Singles, Singles]:
        features = self._map(rows[:, 1:])
        places = places_among(self._strata, rows[:, 0])
        return features, (features - self._means[places]) * self._gains[places, None]

    def _from_centre(self, rows: Floats) -> Floats:
        off: Floats = rows[:, 1:] - self._centres[places_among(self._strata, rows[:, 0])]
        return off

    def _save(self) -> dict[str, Any]:
        strata = {
            "numbers": self._strata.tolist(),
            "centres": self._centres.tolist(),
            "means": self._means.tolist(),
            "gains": self._gains.tolist(),
        }
        return {**super()._save(), "strata": strata}

    @classmethod
    def _load(cls, state: Mapping[str, Any]) -> Self:
        detector = super()._load(state)
        strata = state["strata"]
        detector._strata = np.array(strata["numbers"], dtype=np.float64)
        detector._centres = np.array(strata["centres"], dtype=np.float64)
        detector._means = np.array(strata["means"], dtype=np.float32)
        detector._gains = np.array(strata["gains"], dtype=np.float32)
        return detector


def less_usual(reference: Floats) -> Floats:
    """The features of a reference, each less its mean and by its spread in the stratum: what may remember."""
    _, numbers = np.unique(reference[:, 0], return_inverse=True)
    counts = np.bincount(numbers)[:, None]
    features = reference[:, 1:]
    means = np.zeros((len(counts), features.shape[1]))
    np.add.at(means, numbers, features)
    off = features - (means / counts)[numbers]
    squares = np.zeros_like(means)
    np.add.at(squares, numbers, np.square(off))
    spread = np.sqrt(squares / counts)[numbers]
    found: Floats = off / np.where(spread > 0.0, spread, 1.0)
    return found
