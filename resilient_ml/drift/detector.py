"""What every detector of drift shows, and the bookkeeping around its arithmetic."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, Final, Literal, Self

import numpy as np
import numpy.typing as npt

from .._checks import at_least

Floats = npt.NDArray[np.float64]
Level = Literal["stable", "warn", "drift"]


@dataclass(frozen=True, slots=True)
class Evidence:
    """Why a detector raised an alarm.

    Attributes:
        statistic: What the detector compared with its threshold, at the alarm.
        threshold: That threshold.
        at: The number of the observation that raised it, from 1, among those that were used.
        since: How many observations ago the change most likely began, the alarm's own included, from 1;
            no more than the detector remembers.
        effect: How large the change is, less what chance alone would show after so many observations,
            in the unit that the detector names; 0 where chance explains all of it.
        parts: What changed most: (number of the feature or class, its effect), largest first; empty for
            detectors of a single number.
    """

    statistic: float
    threshold: float
    at: int
    since: int
    effect: float
    parts: tuple[tuple[int, float], ...] = ()


SOON: Final = 256
"""So many observations are prepared after an alarm, twice as many next: another may come soon."""


class Detector(ABC):
    """A stream is watched for a change: one observation at a time, or many at once with the same answer.

    After an alarm the evidence begins anew against the same reference, so alarms are counted one by one.
    An observation that is not finite reaches no sum: it is counted in `refused` and otherwise passed over.
    A detector holds no lock: one thread at a time may feed it.

    Attributes:
        arl: Observations between false alarms, at the least (average run length); 0 where none are promised.
        seen: Observations used.
        refused: Observations passed over, as they were not finite.
        alarms: Alarms raised.
        statistic: The evidence at hand; an alarm is raised when it reaches `threshold`.
        threshold: What the evidence is compared with.
        evidence: What the latest alarm rested on; None before the first.
    """

    alarmed_last: bool
    threshold: float
    _kind: ClassVar[str]
    _version: ClassVar[int] = 1
    """Of what a state holds."""

    def __init__(self, arl: float) -> None:
        remedy = "pass how many observations one false alarm may be apart, such as 10_000"
        length = at_least("arl", arl, 2.0, remedy=remedy)
        self._watch(length, length)

    def _watch(self, arl: float, threshold: float) -> None:
        """What every constructor begins with: nothing has been seen."""
        self.arl: float = arl
        self.threshold = threshold
        self.statistic: float = 0.0
        self.seen: int = 0
        self.refused: int = 0
        self.alarms: int = 0
        self.evidence: Evidence | None = None
        self.alarmed_last = False
        self._grows = False

    @property
    def level(self) -> Level:
        """``drift`` when the latest observation raised an alarm, ``warn`` once a tenth of it is there."""
        if self.alarmed_last:
            return "drift"
        return "warn" if self.statistic >= self._warning() else "stable"

    def _warning(self) -> float:
        return self.threshold / 10.0

    def update_many(self, values: npt.ArrayLike) -> npt.NDArray[np.intp]:
        """Feed many observations; the positions in *values* at which an alarm was raised.

        Args:
            values: float64, one observation each, oldest first; shape (n,), or (n, features) for rows.
        """
        rows = self._rows(values)
        if not len(rows):
            return np.empty(0, dtype=np.intp)
        finite: npt.NDArray[np.bool_] = np.all(np.isfinite(rows).reshape(len(rows), -1), axis=1)
        places: npt.NDArray[np.intp] | None = None
        if not finite.all():
            places = np.flatnonzero(finite)
            self.refused += len(rows) - len(places)
            rows = rows[places]
        found: list[int] = []
        begin = 0
        size = len(rows)
        while begin < len(rows):
            self.alarmed_last = False
            used, alarm = self._absorb(rows[begin : begin + size])
            begin += used
            self.seen += used
            size *= 2
            if alarm:
                self._raise_alarm()
                found.append(begin - 1)
                size = SOON
        if not finite[-1]:
            self.alarmed_last = False
        alarms = np.array(found, dtype=np.intp)
        return alarms if places is None else places[alarms]

    def _rows(self, values: npt.ArrayLike) -> Floats:
        rows = np.asarray(values, dtype=np.float64)
        if rows.ndim != 1:
            raise ValueError(f"values must have 1 dimension, got {rows.ndim}; pass one number an observation")
        return rows

    def _refuse(self) -> bool:
        self.refused += 1
        self.alarmed_last = False
        return False

    def _raise_alarm(self) -> None:
        self.alarms += 1
        self.evidence = self._explain()
        self._begin()
        self.alarmed_last = True

    def reset(self) -> None:
        """Begin anew with the reference that was given: nothing has been seen."""
        self.seen = self.refused = self.alarms = 0
        self.evidence = None
        self.alarmed_last = False
        self._begin()

    def fix_reference(self) -> None:
        """Keep the reference as it is from here on: nothing that is observed joins it.

        Where a detector says that its reference grows, this is for one that says how things should be, and
        not how they happened to be; changes are mostly found later. It stays fixed after `reset`, which goes
        back to what was given. Detectors whose reference never grows stay as they are.
        """
        self._grows = False

    def state(self) -> dict[str, Any]:
        """All there is to the detector as plain data: numbers, strings, lists and dicts, fit for JSON."""
        shown = None
        if self.evidence is not None:
            one = self.evidence
            shown = [
                one.statistic,
                one.threshold,
                one.at,
                one.since,
                one.effect,
                [list(p) for p in one.parts],
            ]
        counts = {"seen": self.seen, "refused": self.refused, "alarms": self.alarms}
        return {
            "detector": self._kind,
            "version": self._version,
            "statistic": self.statistic,
            "alarmed_last": self.alarmed_last,
            "evidence": shown,
            **counts,
            **self._save(),
        }

    @classmethod
    def from_state(cls, state: Mapping[str, Any]) -> Self:
        """The detector that *state* was taken from.

        Raises:
            ValueError: *state* is of another detector or version.
        """
        if state.get("detector") != cls._kind or state.get("version") != cls._version:
            raise ValueError(
                f"state must be of {cls._kind!r} in version {cls._version}, got {state.get('detector')!r} in "
                f"version {state.get('version')!r}; use the class that it was taken from, or begin anew"
            )
        detector = cls._load(state)
        detector.statistic = float(state["statistic"])
        detector.alarmed_last = bool(state["alarmed_last"])
        detector.seen, detector.refused = int(state["seen"]), int(state["refused"])
        detector.alarms = int(state["alarms"])
        if state["evidence"] is not None:
            statistic, threshold, at, since, effect, parts = state["evidence"]
            named = tuple((int(place), float(size)) for place, size in parts)
            detector.evidence = Evidence(statistic, threshold, at, since, effect, named)
        return detector

    def _feed(self, rows: Floats) -> tuple[int, bool]:
        """Use *rows* up to the first alarm, for a detector around this one: how many, and whether it came."""
        used, alarm = 0, False
        while used < len(rows) and not alarm:
            count, alarm = self._absorb(rows[used:])
            used += count
            self.seen += count  # which numbers what comes next
        self.alarmed_last = False
        return used, alarm

    @abstractmethod
    def update(self, value: Any, /) -> bool:
        """Feed one observation; whether it raised an alarm."""

    @abstractmethod
    def _absorb(self, rows: Floats) -> tuple[int, bool]:
        """Use *rows*, all finite, up to the first alarm: how many were used, and whether the last alarmed."""

    @abstractmethod
    def _explain(self) -> Evidence:
        """The evidence of the alarm that has just been found."""

    @abstractmethod
    def _begin(self) -> None:
        """Forget the evidence, keep the reference."""

    @abstractmethod
    def _save(self) -> dict[str, Any]:
        """What makes and what fills the detector, as plain data."""

    @classmethod
    @abstractmethod
    def _load(cls, state: Mapping[str, Any]) -> Self:
        """The detector of what `_save` gave."""


def restored(state: Mapping[str, Any]) -> Detector:
    """The detector that *state* was taken from, of whichever kind it is."""
    for kind in _kinds(Detector):
        if kind.__dict__.get("_kind") == state["detector"]:
            detector: Detector = kind.from_state(state)
            return detector
    raise ValueError(
        f"state must be of a detector, got one of {state['detector']!r}; import what defines that first"
    )


def _kinds(kind: Any) -> list[Any]:
    """*kind*, and all that derives from it."""
    return [kind, *(one for below in kind.__subclasses__() for one in _kinds(below))]


def reference_values(reference: npt.ArrayLike) -> Floats:
    """The finite values of a reference in one dimension: at least 20, as fewer tell too little."""
    values = np.asarray(reference, dtype=np.float64)
    if values.ndim != 1:
        raise ValueError(
            f"reference must have 1 dimension, got {values.ndim}; pass one number an observation"
        )
    values = values[np.isfinite(values)]
    if len(values) < 20:
        raise ValueError(
            f"reference must hold at least 20 finite values, got {len(values)}; collect 1000 in quiet times"
        )
    return values


def surplus(difference: float, spread: float, count: float) -> float:
    """*difference* of a mean of *count* values drawn towards 0 by the size that chance gives it."""
    chance = spread * math.sqrt(2.0 / (math.pi * count))
    return math.copysign(max(abs(difference) - chance, 0.0), difference)
