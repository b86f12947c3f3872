"""Several detectors watch one stream, each for what it sees best, on one budget of false alarms."""

from __future__ import annotations

import copy
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any, ClassVar, Self

import numpy as np
import numpy.typing as npt

from .detector import Detector, Evidence, Floats, Level, restored

BLOCK = 2048
"""Observations at a time."""


class Combined(Detector):
    """Alarms when any of several detectors does; all of them begin anew then.

    No detector is best at everything: bets on level and spread find these soonest, and counts below quantiles
    find whatever else changes. The rates of false alarms add up, so ``1 / arl = sum of 1 / arl of each``.

    The statistic is that of the detector that is nearest to its threshold, as a share of that. Evidence is
    that of the first one that alarmed.

    Args:
        detectors: Detectors of the same kind of observations, two or more, each with a run length. They
            belong to this one from here on.

    Attributes:
        detectors: The detectors inside.

    Raises:
        ValueError: There are fewer than two different ones, or one promises no run length.
        TypeError: One is no detector.

    >>> import numpy as np
    >>> from resilient_ml.drift import ConformalShiryaevRoberts, WindowedKS
    >>> generator = np.random.default_rng(1)
    >>> quiet = generator.normal(size=1000)
    >>> parts = WindowedKS(quiet, arl=30_000), ConformalShiryaevRoberts(quiet, arl=15_000)
    >>> detector = Combined(parts)
    >>> detector.arl
    10000.0
    >>> two_modes = 0.44 * generator.normal(size=500) + 0.9 * generator.choice([-1, 1], size=500)
    >>> stream = np.concatenate([generator.normal(size=1000), two_modes])
    >>> bool(1000 < detector.update_many(stream)[0] < 1500)
    True

    Source: G. Lorden, "Procedures for Reacting to a Change in Distribution", Annals of Mathematical
    Statistics 42(6), 1971, which stops at the first of several procedures.
    """

    _kind: ClassVar[str] = "Combined"

    def __init__(self, detectors: Sequence[Detector]) -> None:
        if isinstance(detectors, Detector):
            raise TypeError(f"detectors must be several, got one {type(detectors).__name__}; pass a list")
        parts = tuple(detectors)
        for one in parts:
            if not isinstance(one, Detector):
                raise TypeError(f"detectors must be detectors of drift, got {one!r}; make each one first")
            if one.arl <= 0.0:
                raise ValueError(
                    f"detectors must each have a run length, got {type(one).__name__}, which promises none; "
                    "leave it out, or watch with it by itself"
                )
        if len(set(map(id, parts))) < max(len(parts), 2):
            raise ValueError(
                f"detectors must be two or more different ones, got {len(parts)} of which "
                f"{len(set(map(id, parts)))} differ; use one by itself"
            )
        arl = 1.0 / sum(1.0 / one.arl for one in parts)
        if arl < 2.0:
            raise ValueError(
                f"detectors together must have false alarms at least 2 observations apart, got {arl:.3g}; "
                "give each a longer arl"
            )
        super().__init__(arl)
        self.threshold: float = 1.0
        self.detectors: tuple[Detector, ...] = parts
        self._alarmed = parts[0]

    def _mirror(self) -> None:
        self.statistic: float = max(one.statistic / one.threshold for one in self.detectors)

    @property
    def level(self) -> Level:
        """``drift`` when the latest observation raised an alarm, ``warn`` while any of them warns."""
        if self.alarmed_last:
            return "drift"
        return "warn" if any(one.level != "stable" for one in self.detectors) else "stable"

    def update(self, value: Any) -> bool:
        """Feed one observation; whether it raised an alarm."""
        (row,) = self._rows([value])
        if not np.isfinite(row).all():
            return self._refuse()
        self.seen: int = self.seen + 1
        self.alarmed_last = False
        alarmed = [one for one in self.detectors if one.update(row)]
        if not alarmed:
            self._mirror()
            return False
        self._alarmed = alarmed[0]
        self._raise_alarm()
        return True

    def _rows(self, values: npt.ArrayLike) -> Floats:
        for one in self.detectors:  # each refuses what it cannot use
            rows = one._rows(values)
        return rows

    def _absorb(self, rows: Floats) -> tuple[int, bool]:
        rows = rows[:BLOCK]
        first = len(rows)
        others = self.detectors[:-1]
        # They may see what comes after the alarm of another, which comes once more.
        before = [copy.deepcopy(vars(one)) for one in others] if first > 1 else []
        fed: list[int] = []
        alarmed: list[Detector] = []
        for one in self.detectors:
            used, alarm = one._feed(rows[:first])
            if alarm:
                alarmed = [one] if used < first or not alarmed else [*alarmed, one]
                first = used
            fed.append(used)
        if not alarmed:
            self._mirror()
            return first, False
        for one, used, state in zip(others, fed, before, strict=False):  # none for a single row
            if used > first:
                vars(one).update(state)
                one._feed(rows[:first])
        for one in alarmed:
            one._raise_alarm()
        self._alarmed = alarmed[0]
        return first, True

    def _explain(self) -> Evidence:
        assert self._alarmed.evidence is not None
        return replace(self._alarmed.evidence, at=self.seen)

    def _begin(self) -> None:
        for one in self.detectors:
            one._begin()
            one.alarmed_last = False
        self._mirror()

    def reset(self) -> None:
        """Begin anew with the references that were given: nothing has been seen."""
        for one in self.detectors:
            one.reset()
        super().reset()

    def fix_reference(self) -> None:
        """Keep the reference of each as it is."""
        for one in self.detectors:
            one.fix_reference()
        self._mirror()

    def _save(self) -> dict[str, Any]:
        return {"detectors": [one.state() for one in self.detectors]}

    @classmethod
    def _load(cls, state: Mapping[str, Any]) -> Self:
        return cls([restored(one) for one in state["detectors"]])
