"""Losses that depend on the hour, the customer or the route: each is held against its own kind."""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Mapping, Sequence
from typing import Any, ClassVar, Self

import numpy as np
import numpy.typing as npt

from ._recursion import TOGETHER, blocks
from ._wealth import beginning, gather
from .bounded_mean import BETS, MEMORY, errors_more, estimated, ladder, tolerable
from .detector import Detector, Evidence, Floats, surplus

LONG = 500.0
"""Where so many observations in a row are of one stratum, none averages out with others."""

LEAST = 20
"""A stratum with fewer values than this in the reference is judged as all are together."""


class ByStratum(Detector):
    """One evidence from losses that are each held against what is tolerated in a stratum of theirs.

    Attributes:
        tolerated: The highest mean that is no cause for alarm, by stratum.
        otherwise: That of all others.
    """

    _wealth: list[float]

    def _learn(self, rows: Floats, always: Sequence[float] = ()) -> None:
        """Tolerate what *rows* show, by stratum where there are enough of it, or of *always* however few."""
        strata, losses = rows[:, 0], np.clip(rows[:, 1], 0.0, 1.0)
        parts = {stratum: losses[strata == stratum] for stratum in (*always, *np.unique(strata).tolist())}
        parts = {one: part for one, part in parts.items() if one in always or len(part) >= LEAST}
        alike = len(rows) / len(run_begins(strata))
        means = _tolerated(list(parts.values()), alike, self.arl)
        self._judge_by(dict(zip(parts, means, strict=True)), tolerable(losses, self.arl)[1])

    def _judge_by(self, tolerated: dict[float, float], otherwise: float) -> None:
        self.tolerated: dict[float, float] = tolerated
        self.otherwise: float = otherwise
        self._strata = np.array(sorted(tolerated))
        self._means = np.array([*(tolerated[stratum] for stratum in self._strata.tolist()), otherwise])
        self._stakes = np.array([ladder(mean) for mean in self._means.tolist()])
        self._places = {stratum: place for place, stratum in enumerate(self._strata.tolist())}
        self._bets: list[tuple[float, list[float]]] = list(
            zip(self._means.tolist(), self._stakes.tolist(), strict=True)
        )
        self._recent: deque[tuple[int, float]] = deque(maxlen=MEMORY)

    def _judge(self, place: int, loss: float) -> bool:
        """Use *loss* in stratum number *place*; whether it raised an alarm."""
        loss = min(max(loss, 0.0), 1.0)
        mean, stakes = self._bets[place]
        more = loss - mean
        self._wealth = wealth = [
            (one + 1.0) * (1.0 + stake * more) for one, stake in zip(self._wealth, stakes, strict=True)
        ]
        self._recent.append((place, loss))
        self.seen: int = self.seen + 1
        self.alarmed_last = False
        self.statistic = total = sum(wealth) / BETS
        if total < self.threshold:
            return False
        self._raise_alarm()
        return True

    def _numbered(self, strata: Floats) -> npt.NDArray[np.intp]:
        """The places of *strata*, which all others share the last of."""
        return places_among(self._strata, strata)

    def _judge_all(self, places: npt.NDArray[np.intp], losses: Floats) -> tuple[int, bool]:
        kept = np.clip(losses, 0.0, 1.0)
        more = kept - self._means.take(places)
        factors = map(self._factors, blocks(places, BETS), blocks(more, BETS))
        self._wealth, self.statistic, place = gather(self._wealth, factors, "sr", self.threshold)
        used = len(kept) if place < 0 else place + 1
        latest = slice(max(0, used - MEMORY), used)
        self._recent.extend(zip(places[latest].tolist(), kept[latest].tolist(), strict=True))
        return used, place >= 0

    def _factors(self, places: npt.NDArray[np.intp], more: Floats) -> Floats:
        """The factors of the bets by place and by how much losses are beyond what is tolerated there."""
        factors = self._stakes.take(places, 0)
        factors *= more[:, None]
        factors += 1.0
        return factors

    def _explain(self) -> Evidence:
        places = np.array([place for place, _ in self._recent])
        tolerated = self._means[places]
        more = np.array([loss for _, loss in self._recent]) - tolerated
        since = beginning(self._factors(places, more))
        late, usual = more[-since:], tolerated[-since:]
        spread = math.sqrt(max(float(late.var()), float((usual * (1.0 - usual)).mean()) / (since + 1)))
        effect = surplus(float(late.mean()), spread, since)
        return Evidence(self.statistic, self.threshold, self.seen, since, effect)

    def _begin(self) -> None:
        self._wealth = [0.0] * BETS
        self._recent.clear()
        self.statistic: float = 0.0

    def _save(self) -> dict[str, Any]:
        return {
            "arl": self.arl,
            "tolerated": [[stratum, mean] for stratum, mean in self.tolerated.items()],
            "otherwise": self.otherwise,
            "wealth": list(self._wealth),
            "recent": [list(one) for one in self._recent],
        }

    @classmethod
    def _load(cls, state: Mapping[str, Any]) -> Self:
        detector = cls.__new__(cls)
        Detector.__init__(detector, state["arl"])
        tolerated = {float(stratum): float(mean) for stratum, mean in state["tolerated"]}
        detector._judge_by(tolerated, float(state["otherwise"]))
        detector._begin()
        detector._wealth = [float(one) for one in state["wealth"]]
        detector._recent.extend((int(place), float(loss)) for place, loss in state["recent"])
        return detector


class StratifiedShiryaevRoberts(ByStratum):
    """Alarms when the mean of losses has risen above what is usual in their strata.

    A *stratum* is whatever losses are known to depend on: the hour of the week, a customer, a route. Each has
    a mean that is tolerated, learned from its part of the reference, and one evidence collects from all::

        R_j <- (R_j + 1) * (1 + stake_j * (x - tolerated of its stratum))

    with the stakes and the alarm of `EShiryaevRoberts`, whose theorem holds as it is: false alarms are at
    least *arl* observations apart on average while the mean, given the past and the stratum, is no higher
    than tolerated. A stratum that comes up more often than before is no cause for alarm, if the reference has
    at least 20 values of it. One that it knows less of is held against the mean of all, so where that one is
    harder and comes up more often it does alarm.

    Effects are in the unit of the observations, beyond what is tolerated.

    Args:
        reference: Rows of quiet times, float64, shape (n, 2): the number of the stratum, and the loss from 0
            to 1; what lies beyond is taken as the bound. At least 20 finite ones.
        arl: Observations between false alarms, from 2; the default is one in 10 000.

    Attributes:
        tolerated: The highest mean that is no cause for alarm, by stratum.
        otherwise: That of all others.

    Raises:
        ValueError: A parameter is out of its range.

    >>> import numpy as np
    >>> hours = np.arange(4800) % 24
    >>> rates = np.where(hours < 8, 0.3, 0.05)  # nights are hard
    >>> rates[3600:] *= 2.0
    >>> wrong = np.random.default_rng(0).random(4800) < rates
    >>> rows = np.column_stack([hours, wrong])
    >>> detector = StratifiedShiryaevRoberts(rows[:2400], arl=10_000)
    >>> detector.update_many(rows[2400:])[:1] + 2400
    array([3748])

    Source: J. Shin, A. Ramdas, A. Rinaldo, "E-detectors: a nonparametric framework for sequential change
    detection", New England Journal of Statistics in Data Science 2(2), 2024.
    """

    _kind: ClassVar[str] = "StratifiedShiryaevRoberts"

    def __init__(self, reference: npt.ArrayLike, *, arl: float = 10_000) -> None:
        super().__init__(arl)
        rows = pairs(reference, "reference")
        rows = rows[np.isfinite(rows).all(axis=1)]
        if len(rows) < LEAST:
            raise ValueError(
                f"reference must hold at least {LEAST} finite rows, got {len(rows)}; collect 1000 in quiet "
                "times"
            )
        self._learn(rows)
        self._begin()

    def update(self, value: Sequence[float] | Floats) -> bool:
        """Feed one observation, a stratum and a loss; whether it raised an alarm."""
        stratum, loss = value
        if not (math.isfinite(stratum) and math.isfinite(loss)):
            return self._refuse()
        return self._judge(self._places.get(float(stratum), len(self._strata)), float(loss))

    def _rows(self, values: npt.ArrayLike) -> Floats:
        return pairs(values, "values")

    def _absorb(self, rows: Floats) -> tuple[int, bool]:
        return self._judge_all(self._numbered(rows[:TOGETHER, 0]), rows[:TOGETHER, 1])


def _tolerated(parts: Sequence[Floats], alike: float, arl: float) -> list[float]:
    """The means that are tolerated of strata, by what the reference has of each.

    Each is off by its own luck. Where the stream goes from one to the next the luck of many averages out, and
    what has to be tolerated is what the evidence is off by: the errors, weighted by stakes. Where it stays in
    one for as long as it takes to find a change, that luck is all there is.

    Args:
        parts: The losses of each stratum.
        alike: How many observations in a row are of one.
        arl: Observations between false alarms.
    """
    if not parts:
        return []
    means, errors = np.array([estimated(part) for part in parts]).T
    counts = np.array([len(part) + 1 for part in parts])
    weights = counts * errors / np.maximum(means, 1.0 / 80.0)  # by the stakes, which are 40 at most
    averaged = math.sqrt(float(weights @ weights)) / float(weights.sum())
    stays = min(1.0, alike / LONG)
    alone = np.array([errors_more(count, arl) for count in counts.tolist()])
    more = (1.0 - stays) * averaged * errors_more(int(counts.sum()), arl) + stays * alone
    tolerated: list[float] = np.minimum(means + more * errors, 1.0 - 1e-6).tolist()
    return tolerated


def places_among(known: Floats, strata: Floats) -> npt.NDArray[np.intp]:
    """The places of *strata* among those that are *known*, in order; all others share the one after the last.

    >>> places_among(np.array([3.0, 5.0]), np.array([5.0, 4.0, 3.0, 9.0]))
    array([1, 2, 0, 2])
    """
    places = np.searchsorted(known, strata)
    return np.where(np.append(known, np.nan)[places] == strata, places, len(known))


def run_begins(strata: Floats) -> npt.NDArray[np.intp]:
    """Where in a stream each run of one stratum begins.

    >>> run_begins(np.array([1.0, 1.0, 2.0, 1.0]))
    array([0, 2, 3])
    """
    return np.flatnonzero(np.append(True, strata[1:] != strata[:-1]))


def pairs(rows: npt.ArrayLike, name: str) -> Floats:
    """Rows of a stratum and a value.

    Raises:
        ValueError: *rows* have another shape.
    """
    values = np.asarray(rows, dtype=np.float64)
    if not values.size:
        return np.empty((0, 2))
    if values.ndim != 2 or values.shape[1] != 2:
        raise ValueError(
            f"{name} must have shape (n, 2), a stratum and a value a row, got {values.shape}; "
            "use np.column_stack([strata, values])"
        )
    return values
