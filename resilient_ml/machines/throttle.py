"""Client-side throttling: how many calls to hold back from a model that refuses some of them.

Over the window, *requests* are all that were wanted, those held back here included, and *accepts* those that
the model took. A call is held back with the chance ::

    p = min(most, max(0, (requests - multiplier * accepts) / (requests + 1)))

While the model takes at least one in *multiplier*, nothing is held back. Beyond that, what is sent settles
near *multiplier* times what is taken, so that the cost of refusing stays small for the model.
"""

from __future__ import annotations

import threading
from dataclasses import dataclass

from .._forks import survive_forks
from ..stats.windows import Tally, TimeWindow


@dataclass(frozen=True, slots=True)
class HeldBack:
    """Why a call was held back: with which chance, and what the window held."""

    share: float
    requests: int
    accepts: int


class ThrottleMachine:
    """Counts requests and accepts, and holds calls back in proportion.

    Args:
        multiplier: How many calls are sent for each that is taken, above 1.
        seconds: The window, in seconds.
        most: The largest share held back, above 0 and below 1: what is left finds out that the model is well.
        minimum: How many requests the window must hold before anything is held back.

    Attributes:
        tight: Whether the model has refused anything lately: only then a call must ask :meth:`admit`.

    Source: B. Beyer et al., "Site Reliability Engineering", 2016, ch. 21, "Client-Side Throttling".
    """

    __slots__ = ("__weakref__", "_lock", "_minimum", "_most", "_multiplier", "_seconds", "_window", "tight")

    def __init__(self, multiplier: float, seconds: float, most: float, minimum: int) -> None:
        self._multiplier = multiplier
        self._seconds = seconds
        self._most = most
        self._minimum = minimum
        self._window = TimeWindow(seconds)
        self._lock = threading.RLock()
        self.tight: bool = False
        survive_forks(self)

    def admit(self, now: float, draw: float) -> HeldBack | None:
        """Whether to hold a call back; one that is held back counts as a request.

        Args:
            now: The instant.
            draw: A uniform sample in [0, 1).
        """
        with self._lock:
            tally = self._window.tally(now)
            share = self._share(tally)
            if not tally.failures:
                self.tight = False
            if draw >= share:
                return None
            self._window.record(now, failed=True, slow=False)
        return HeldBack(share, tally.calls, tally.calls - tally.failures)

    def accepted(self, now: float) -> None:
        """The model took a call. Takes no lock, but for the first in each tenth of the window."""
        window = self._window
        if now < window.edge:
            window.tick()
            return
        with self._lock:
            window.advance(now)
            window.tick()

    def refused(self, now: float) -> None:
        """The model refused a call, or broke under its load."""
        with self._lock:
            self._window.record(now, failed=True, slow=False)
            self.tight = True

    def share(self, now: float) -> float:
        """The share of calls that is held back at *now*, from 0 to *most*."""
        with self._lock:
            return self._share(self._window.tally(now))

    def tally(self, now: float) -> Tally:
        """What the window holds at *now*: all requests, and as failures those refused or held back."""
        with self._lock:
            return self._window.tally(now)

    def reset(self) -> None:
        """Forget everything."""
        with self._lock:
            self._window = TimeWindow(self._seconds)
            self.tight = False

    def _share(self, tally: Tally) -> float:
        if tally.calls < self._minimum:
            return 0.0
        over = tally.calls - self._multiplier * (tally.calls - tally.failures)
        return min(self._most, max(0.0, over / (tally.calls + 1)))

    def after_fork(self) -> None:
        """The lock may have been held by a thread that is gone."""
        self._lock = threading.RLock()
