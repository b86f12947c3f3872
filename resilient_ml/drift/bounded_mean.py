"""The mean of a bounded number, such as the rate of errors, has risen: evidence by betting on it."""

from __future__ import annotations

import math
from abc import abstractmethod
from collections import deque
from collections.abc import Mapping
from typing import Any, ClassVar, Literal, Self, cast

import numpy as np
import numpy.typing as npt

from .._checks import one_of, real
from ._recursion import TOGETHER, blocks
from ._sums import beyond_chance
from ._wealth import Form, beginning, gather
from .detector import Detector, Evidence, Floats, reference_values, surplus

BETS = 5
MEMORY = 1024
"""How many observations are kept to say when the change began."""

SUMS = (4, 8, 16, 32, 64, 128)
"""Over so many observations a mean that swings is looked for."""

APART = 5
"""So many of such sums must be in the reference, side by side."""

SWINGS = 2.5
"""So many standard deviations of what swings are tolerated; the highest of a cycle is 1.4 from its mean."""

Direction = Literal["up", "down", "both"]


class BoundedMean(Detector):
    """What `EShiryaevRoberts` and `ECusum` share: the bets, and how a mean is tolerated.

    Each observation is brought to ``y`` in [0, 1] by *bounds*; values beyond are taken as the bound. Bet *j*
    of the upward ones multiplies its wealth by ``1 + stake_j * (y - tolerated)``: more than 1 on average
    only if the mean is above what is tolerated. The stakes are five, geometric, from 0.1 of the highest to
    ``min(0.5 / tolerated, 40)``, so one of them fits small and large rises. Downward bets mirror them.
    """

    form: ClassVar[Form]
    _wealth: list[float]

    def __init__(
        self,
        tolerated: float,
        *,
        arl: float = 10_000,
        direction: Direction = "up",
        tolerated_low: float | None = None,
        bounds: tuple[float, float] = (0.0, 1.0),
    ) -> None:
        super().__init__(arl)
        low, high = (real("bounds", end, remedy="pass (lowest, highest)") for end in bounds)
        if not low < high:
            raise ValueError(f"bounds must be (lowest, highest), got ({low!r}, {high!r}); swap or widen them")
        remedy = "pass the highest mean that is no cause for alarm"
        number = real("tolerated", tolerated, remedy=remedy)
        least = number if tolerated_low is None else real("tolerated_low", tolerated_low, remedy=remedy)
        if not (low < number < high and low < least <= number):
            raise ValueError(
                f"tolerated must lie inside the bounds {low:g} and {high:g}, tolerated_low at or below it, "
                f"got {number!r} and {least!r}; {remedy}"
            )
        self.tolerated: float = number
        self.tolerated_low: float = least
        self.direction: Direction = cast(Direction, one_of("direction", direction, ("up", "down", "both")))
        self.bounds: tuple[float, float] = (low, high)
        self._low, self._high, self._scale = low, high, 1.0 / (high - low)
        stakes, centres = self._bets()
        # factor = constant + slope * x, so that one multiplication and one addition make it.
        self._slopes = [stake * self._scale for stake in stakes]
        self._constants = [
            1.0 - stake * (centre + low * self._scale) for stake, centre in zip(stakes, centres, strict=True)
        ]
        self._recent: deque[float] = deque(maxlen=MEMORY)
        self._begin()

    def _bets(self) -> tuple[list[float], list[float]]:
        stakes: list[float] = []
        centres: list[float] = []
        up = (self.tolerated - self._low) * self._scale
        down = (self.tolerated_low - self._low) * self._scale
        if self.direction != "down":
            stakes += ladder(up)
            centres += [up] * BETS
        if self.direction != "up":
            stakes += [-stake for stake in ladder(1.0 - down)]
            centres += [down] * BETS
        return stakes, centres

    @classmethod
    def from_reference(
        cls,
        reference: npt.ArrayLike,
        *,
        arl: float = 10_000,
        direction: Direction = "up",
        bounds: tuple[float, float] = (0.0, 1.0),
    ) -> Self:
        """A detector that tolerates what *reference* shows, and a little more, as it is a sample.

        How many standard errors more depends on how rare false alarms must be: 0.8 for 1000 values and one
        in 10 000, 2.7 for 50 and one in 100 000. So the run length is kept on average over references, the
        lucky among them. Measured for rises alone, other directions have 1.28 at the least. One value at each
        bound is added, so one without any error tolerates a few.

        Where the mean swings, by the hour or the day, it is above that of all for long. How far shows in how
        much sums of neighbouring observations vary beyond chance: two and a half standard deviations of what
        swings are tolerated too, at most as much again as the mean. What the reference does not show is not:
        it should span a whole day.

        Args:
            reference: Observations of quiet times in the order in which they came, one dimension, at least 20
                finite ones; 1000 are good.
            arl: As for the class.
            direction: As for the class.
            bounds: As for the class.
        """
        low, high = bounds
        values = np.clip(reference_values(reference), low, high)
        lowest, highest = tolerable(values, arl, direction, low, high)
        centre, swing = float(values.mean()), SWINGS * swinging(values)
        return cls(
            within(highest + min(swing, centre - low), low, high),
            arl=arl,
            direction=direction,
            tolerated_low=within(lowest - min(swing, high - centre), low, high),
            bounds=bounds,
        )

    def update(self, value: float) -> bool:
        """Feed one observation; whether it raised an alarm."""
        if not math.isfinite(value):
            return self._refuse()
        value = self._low if value < self._low else self._high if value > self._high else float(value)
        self._recent.append(value)
        self.seen: int = self.seen + 1
        self.alarmed_last = False
        self.statistic = total = self._step(value)
        if total < self.threshold:
            return False
        self._raise_alarm()
        return True

    @abstractmethod
    def _step(self, value: float) -> float:
        """The mean evidence after *value*, which is within the bounds."""

    def _absorb(self, rows: Floats) -> tuple[int, bool]:
        kept = np.clip(rows[:TOGETHER], self._low, self._high)
        factors = map(self._factors, blocks(kept, len(self._slopes)))
        self._wealth, self.statistic, place = gather(self._wealth, factors, self.form, self.threshold)
        used = len(kept) if place < 0 else place + 1
        self._recent.extend(kept[max(0, used - MEMORY) : used].tolist())
        return used, place >= 0

    def _factors(self, values: Floats) -> Floats:
        factors: Floats = np.multiply.outer(values, np.array(self._slopes))
        factors += np.array(self._constants)
        return factors

    def _explain(self) -> Evidence:
        values = np.array(self._recent)
        since = beginning(self._factors(values))
        after = values[-since:]
        mean = float(after.mean())
        edge = self.tolerated if mean >= self.tolerated else self.tolerated_low
        spread = math.sqrt(max(float(after.var()), (edge - self._low) * (self._high - edge) / (since + 1)))
        return Evidence(self.statistic, self.threshold, self.seen, since, surplus(mean - edge, spread, since))

    def _begin(self) -> None:
        self._wealth = [0.0] * len(self._slopes)
        self._recent.clear()
        self.statistic: float = 0.0

    def _save(self) -> dict[str, Any]:
        return {
            "tolerated": self.tolerated,
            "tolerated_low": self.tolerated_low,
            "arl": self.arl,
            "direction": self.direction,
            "bounds": list(self.bounds),
            "wealth": list(self._wealth),
            "recent": list(self._recent),
        }

    @classmethod
    def _load(cls, state: Mapping[str, Any]) -> Self:
        low, high = state["bounds"]
        detector = cls(
            state["tolerated"],
            arl=state["arl"],
            direction=state["direction"],
            tolerated_low=state["tolerated_low"],
            bounds=(low, high),
        )
        detector._wealth = [float(one) for one in state["wealth"]]
        detector._recent.extend(state["recent"])
        return detector


def ladder(tolerated: float) -> list[float]:
    """The stakes on a rise above *tolerated*, which is between 0 and 1."""
    highest = min(0.5 / tolerated, 40.0)
    return [highest * 0.1 ** (1.0 - rung / (BETS - 1)) for rung in range(BETS)]


def swinging(values: Floats) -> float:
    """The standard deviation of the mean as it swings from stretch to stretch; 0 if that may be chance."""
    found = beyond_chance(values[:, None], SUMS, apart=APART)
    most = max((float(more[0]) / size for size, more in found), default=0.0)
    return math.sqrt(max(most, 0.0)) * float(values.std())


def tolerable(
    values: Floats, arl: float, direction: Direction = "up", low: float = 0.0, high: float = 1.0
) -> tuple[float, float]:
    """The lowest and the highest mean that are tolerated after a reference of *values*, within the bounds."""
    centre, error = estimated(values, low, high)
    errors = errors_more(len(values), arl)
    margin = (errors if direction == "up" else max(errors, 1.28)) * error
    return within(centre - margin, low, high), within(centre + margin, low, high)


def within(mean: float, low: float, high: float) -> float:
    """*mean*, or what is nearest to it between the bounds."""
    room = 1e-6 * (high - low)
    return min(max(mean, low + room), high - room)


def estimated(values: Floats, low: float = 0.0, high: float = 1.0) -> tuple[float, float]:
    """The mean of *values* and one at each bound, and its standard error."""
    among = np.append(values, [low, high])
    return float(among.mean()), float(among.std()) / math.sqrt(len(among))


def errors_more(count: int, arl: float) -> float:
    """How many standard errors more than the mean of a reference are tolerated.

    They are 0.25 more than what run lengths simulated for references of 50 to 4000 error flags needed, at
    rates of 0.01 to 0.3, with an *arl* of 1000 to 1 000 000. The rarer false alarms must be, the unluckier
    are the references that matter.
    """
    return 0.4 + 0.28 * max(0.0, math.log(arl / (0.07 * count**1.5)))
