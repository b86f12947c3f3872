"""HDDM_W: the weighted rate of recent errors is above that of the best beginning, by McDiarmid's bound."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import astuple, dataclass
from itertools import accumulate, islice, pairwise, repeat
from typing import Any, ClassVar, Self

import numpy as np
import numpy.typing as npt

from .._checks import flag, share
from .classic import Classic, confidences
from .detector import Evidence, Floats, surplus


@dataclass(slots=True)
class Halves:
    """A beginning and what came after it; averages are negated where falls are looked for.

    Attributes:
        key: The average and bound of the beginning, the smallest so far.
        before: The average of the beginning.
        before_weight: The sum of the squared weights of its observations.
        after: The average since.
        after_weight: The sum of the squared weights since.
        count: How many observations came after it; -1 stands for no beginning.
    """

    key: float = 0.0
    before: float = 0.0
    before_weight: float = 1.0
    after: float = 0.0
    after_weight: float = 1.0
    count: int = -1


class HDDMW(Classic):
    """Alarms when recent errors have become more frequent, by averages that forget (HDDM_W).

    The average ``z <- lambda_ x + (1 - lambda_) z`` begins with the first observation, and ``v``, the sum of
    its squared weights, goes ``v <- lambda_**2 + (1 - lambda_)**2 v`` from 1. Of all beginnings the one with
    the smallest ``z + sqrt(v / 2 * ln(1 / drift_confidence))`` is remembered, with its ``z_1`` and ``v_1``; a
    second average ``z_2``, ``v_2`` begins after it::

        z_2 - z_1 > sqrt((v_1 + v_2) / 2 * ln(1 / warning_confidence))      warn
        z_2 - z_1 > sqrt((v_1 + v_2) / 2 * ln(1 / drift_confidence))        alarm

    After an alarm all is forgotten. Warnings and alarms come at the same observations as those of river 0.26;
    there one NaN ends all alarms for ever, here it is refused.

    It is for sudden, large changes. Measured at the defaults: a rise of errors from 0.1 to 0.3 is found in
    169 observations, most rises to 0.2 not within 2000, and with quiet errors of 0.3 a false alarm comes
    every 2370. `EShiryaevRoberts` with ``arl=10_000`` finds them in 48 and 147, with a run length that you
    choose, and of the two of this family `HDDMA` is the better one.

    `statistic` is the difference as a share of its bound, so `threshold` is 1; the effect is ``z_2 - z_1``,
    and `since` is when the beginning ended, which may be long before the change.

    Args:
        drift_confidence: The probability of an alarm by chance at one test, above 0 and below 1.
        warning_confidence: That of a warning, at least as large, below 1.
        lambda_: The weight of the latest observation, above 0 and at most 1; the less, the longer the memory.
        two_sided: Whether falls alarm too.

    Observations are 1 for an error and 0 for none; losses between them are taken as they are, and values
    beyond as the bound.

    Raises:
        ValueError: A parameter is out of its range.

    >>> detector = HDDMW()
    >>> detector.update_many([0, 0, 0, 0, 1] * 60 + [1, 1, 0, 1, 1] * 10)
    array([320])
    >>> detector.evidence.effect > 0.3
    True

    Source: I. Frias-Blanco, J. del Campo-Avila, G. Ramos-Jimenez, R. Morales-Bueno, A. Ortiz-Diaz, Y.
    Caballero-Mota, "Online and Non-Parametric Drift Detection Methods Based on Hoeffding's Bounds", IEEE
    Transactions on Knowledge and Data Engineering 27(3), 2015, section 4.
    """

    _kind: ClassVar[str] = "HDDMW"
    statistic: float
    drift_confidence: float
    warning_confidence: float
    _least, _most = 0.0, 1.0
    _made = ("drift_confidence", "warning_confidence", "lambda_", "two_sided")
    _count: int
    _average: float
    _weight: float
    _halves: list[Halves]
    _filled = ("_count", "_average", "_weight", "_warned")

    def __init__(
        self,
        *,
        drift_confidence: float = 0.001,
        warning_confidence: float = 0.005,
        lambda_: float = 0.05,
        two_sided: bool = False,
    ) -> None:
        self.drift_confidence, self.warning_confidence = confidences(drift_confidence, warning_confidence)
        self.lambda_: float = share("lambda_", lambda_, remedy="leave it out for 0.05")
        self.two_sided: bool = flag("two_sided", two_sided, remedy="True lets falls alarm too")
        self._keep = 1.0 - self.lambda_
        self._square, self._keep_square = self.lambda_ * self.lambda_, self._keep * self._keep
        self._drift_log = math.log(1.0 / self.drift_confidence)
        self._warning_log = math.log(1.0 / self.warning_confidence)
        super().__init__(1.0)

    def _step(self, value: float) -> bool:
        self._average = self.lambda_ * value + self._keep * self._average if self._count else value
        self._weight = self._square + self._keep_square * self._weight
        self._count = self._count + 1
        average, bound = self._average, math.sqrt(self._weight * self._drift_log / 2)
        alarm = self._warned = False
        self.statistic = 0.0
        for one in self._halves:
            if one.count < 0 or average + bound < one.key:
                one.key, one.before, one.before_weight = average + bound, average, self._weight
                one.after, one.after_weight, one.count = 0.0, 1.0, 0
            else:
                one.after = self.lambda_ * value + self._keep * one.after if one.count else value
                one.after_weight = self._square + self._keep_square * one.after_weight
                one.count += 1
                difference = one.after - one.before
                if difference > 0.0:
                    weight = one.before_weight + one.after_weight
                    drift = math.sqrt(weight * self._drift_log / 2)
                    self.statistic = max(self.statistic, difference / drift)
                    alarm = alarm or difference > drift
                    self._warned = self._warned or difference > math.sqrt(weight * self._warning_log / 2)
            average, value = -average, -value
        return alarm

    def _absorb(self, rows: Floats) -> tuple[int, bool]:
        values = self._bring(rows)
        averages = self._averaged(self._average if self._count else None, values)
        weights = self._weighed(self._weight, len(values))
        bounds = np.sqrt(weights * self._drift_log / 2)
        reached = np.zeros(len(values), dtype=bool)
        sides = []
        signed, sign = averages, 1.0
        for one in self._halves:
            keys = signed + bounds
            lowest = np.minimum.accumulate(np.append(math.inf if one.count < 0 else one.key, keys[:-1]))
            begins = keys < lowest
            latest = np.maximum.accumulate(np.where(begins, np.arange(len(values)), -1))
            # Long after it began, its average is that of all to the last bit, and stays so.
            met = one.count > 0 and one.after == sign * self._average
            after, after_weights = self._since(
                one, sign * values, np.flatnonzero(begins), signed if met else None
            )
            differences = after - np.where(latest < 0, one.before, signed[latest])
            differences[begins] = 0.0
            both = np.where(latest < 0, one.before_weight, weights[latest]) + after_weights
            reached |= (differences > 0.0) & (differences > np.sqrt(both * self._drift_log / 2))
            sides.append((one, keys, signed, latest, after, after_weights, differences, both))
            signed, sign = -signed, -1.0
        last = int(reached.argmax()) if reached.any() else len(values) - 1
        self._warned = False
        self.statistic = 0.0
        for one, keys, signed, latest, after, after_weights, differences, both in sides:
            place = int(latest[last])
            one.count += last + 1
            if place >= 0:
                one.key, one.before = float(keys[place]), float(signed[place])
                one.before_weight, one.count = float(weights[place]), last - place
            one.after, one.after_weight = float(after[last]), float(after_weights[last])
            difference, weight = float(differences[last]), float(both[last])
            if difference > 0.0:
                self.statistic = max(self.statistic, difference / math.sqrt(weight * self._drift_log / 2))
                self._warned = self._warned or difference > math.sqrt(weight * self._warning_log / 2)
        self._count += last + 1
        self._average, self._weight = float(averages[last]), float(weights[last])
        return last + 1, bool(reached[last])

    def _since(
        self, one: Halves, values: Floats, begins: npt.NDArray[np.intp], of_all: Floats | None
    ) -> tuple[Floats, Floats]:
        """The average, and its weight, of what comes after *one*, and anew after each of *begins*.

        Where *of_all* is given, these averages are those after *one* as well.
        """
        first = int(begins[0]) if len(begins) else len(values)
        averages, weights = np.zeros(len(values)), np.ones(len(values))
        if of_all is None:
            averages[:first] = self._averaged(one.after if one.count else None, values[:first])
        else:
            averages[:first] = of_all[:first]
        weights[:first] = self._weighed(one.after_weight, first)
        for begin, end in pairwise([*begins.tolist(), len(values)]):
            if end > begin + 1:
                averages[begin + 1 : end] = self._averaged(None, values[begin + 1 : end])
                weights[begin + 1 : end] = self._weighed(1.0, end - begin - 1)
        return averages, weights

    def _averaged(self, held: float | None, values: Floats) -> Floats:
        """The average after each of *values*, from *held* on."""
        rate, keep = self.lambda_, self._keep
        found = accumulate(
            values.tolist(), lambda average, value: rate * value + keep * average, initial=held
        )
        return np.fromiter(found if held is None else islice(found, 1, None), np.float64, len(values))

    def _weighed(self, held: float, count: int) -> Floats:
        """The sum of the squared weights after each of *count* observations, from *held* on."""
        square, keep = self._square, self._keep_square
        if square + keep * held == held:
            return np.full(count, held)
        found = accumulate(repeat(square, count), lambda weight, more: more + keep * weight, initial=held)
        return np.fromiter(islice(found, 1, None), np.float64, count)

    def _explain(self) -> Evidence:
        def share_of_bound(one: Halves) -> float:
            return (one.after - one.before) / math.sqrt(one.before_weight + one.after_weight)

        one = max((one for one in self._halves if one.count > 0), key=share_of_bound)
        middle = abs(one.before + one.after) / 2
        spread = math.sqrt(middle * (1.0 - middle))
        size = surplus(one.after - one.before, spread, 1.0 / (one.before_weight + one.after_weight))
        falling = one is not self._halves[0]
        return Evidence(self.statistic, self.threshold, self.seen, one.count, -size if falling else size)

    def _begin(self) -> None:
        self._count, self._average, self._weight = 0, 0.0, 1.0
        self._halves = [Halves() for _ in range(1 + self.two_sided)]
        self.statistic = 0.0
        self._warned = False

    def _save(self) -> dict[str, Any]:
        return {**super()._save(), "halves": [list(astuple(one)) for one in self._halves]}

    @classmethod
    def _load(cls, state: Mapping[str, Any]) -> Self:
        detector = super()._load(state)
        detector._halves = [Halves(*one) for one in state["halves"]]
        return detector
