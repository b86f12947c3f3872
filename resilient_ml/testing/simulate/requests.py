"""What became of the requests: one row each, in numpy arrays, and the figures that are drawn from them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from ... import _checks
from ...kinds import Kind

Floats = npt.NDArray[np.float64]
Mask = npt.NDArray[np.bool_]

STATUSES: Final = ("hung", "ok", "failed", "rejected")
"""How a request ended, in the words of :class:`~resilient_ml.Outcome`; ``hung`` if it never did."""
KINDS: Final = ("", *(kind.value for kind in Kind))
"""The kinds of failure; the first stands for none."""


@dataclass(frozen=True, eq=False, slots=True)
class Requests:
    """Requests in the order in which they came.

    Attributes:
        arrived: float64, seconds from the start.
        ended: float64, seconds from the start; NaN where it never did.
        attempts: int64, how often a server was called for it.
        degraded: bool, whether a fallback answered.
        group: int64, which of :attr:`groups` asked.
        groups: The names of the groups.
        statuses: int8, indices into ``STATUSES``.
        kinds: int8, indices into ``KINDS``.
    """

    arrived: Floats
    ended: Floats
    attempts: npt.NDArray[np.int64]
    degraded: Mask
    group: npt.NDArray[np.int64]
    groups: tuple[str, ...]
    statuses: npt.NDArray[np.int8]
    kinds: npt.NDArray[np.int8]

    def __len__(self) -> int:
        return len(self.arrived)

    # -- how each ended ------------------------------------------------------------------------------------

    @property
    def ok(self) -> Mask:
        """Which were answered, by the model or by a fallback."""
        return np.equal(self.statuses, 1)

    @property
    def failed(self) -> Mask:
        """Which ended in the server's error or a passed deadline."""
        return np.equal(self.statuses, 2)

    @property
    def rejected(self) -> Mask:
        """Which a policy refused."""
        return np.equal(self.statuses, 3)

    @property
    def hung(self) -> Mask:
        """Which never ended."""
        return np.equal(self.statuses, 0)

    @property
    def status(self) -> npt.NDArray[np.str_]:
        """How each ended, in words."""
        return np.array(STATUSES)[self.statuses]

    @property
    def kind(self) -> npt.NDArray[np.str_]:
        """What kind of failure each ended in; empty where it was answered or never ended."""
        return np.array(KINDS)[self.kinds]

    @property
    def seconds(self) -> Floats:
        """How long each took, with all waits."""
        return self.ended - self.arrived

    # -- some of them --------------------------------------------------------------------------------------

    def where(self, mask: Mask) -> Requests:
        """Those for which *mask* is True."""
        return Requests(
            self.arrived[mask],
            self.ended[mask],
            self.attempts[mask],
            self.degraded[mask],
            self.group[mask],
            self.groups,
            self.statuses[mask],
            self.kinds[mask],
        )

    def between(self, start: float, end: float) -> Requests:
        """Those that came from second *start* up to, and not including, second *end*."""
        return self.where((self.arrived >= start) & (self.arrived < end))

    def of(self, group: str) -> Requests:
        """Those of the group of that name."""
        if group not in self.groups:
            raise ValueError(
                f"group must be one of {', '.join(self.groups)}, got {_checks.shown(group)}; "
                "name groups with name= of Clients"
            )
        return self.where(self.group == self.groups.index(group))

    # -- figures -------------------------------------------------------------------------------------------

    @property
    def availability(self) -> float:
        """The share that was answered, by the model or by a fallback; NaN of none."""
        return _share(self.ok)

    @property
    def amplification(self) -> float:
        """Calls of servers per request; NaN of none."""
        return float(self.attempts.sum() / len(self)) if len(self) else float("nan")

    def latency(self, quantile: float | Any) -> Any:
        """Seconds within which that share of the answered requests was answered; NaN if none was.

        Args:
            quantile: From 0 to 1, or an array of these.
        """
        if not np.all((np.asarray(quantile) >= 0) & (np.asarray(quantile) <= 1)):
            raise ValueError(f"quantile must be from 0 to 1, got {quantile}; 0.99 is the 99th percentile")
        answered = self.seconds[self.ok]
        if not len(answered):
            return np.full(np.shape(quantile), np.nan)[()]
        return np.quantile(answered, quantile)


def _share(mask: Mask) -> float:
    return float(mask.mean()) if len(mask) else float("nan")
