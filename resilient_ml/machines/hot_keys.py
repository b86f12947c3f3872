"""Which keys are hot, and how many calls of each are in flight."""

from __future__ import annotations

import threading
from typing import Any

from .._forks import survive_forks
from ..stats.space_saving import Heavy, SpaceSaving


class HotSeat:
    """One call of a key.

    Attributes:
        heat: ``"hot"``, ``"warm"`` or None for cold.
        limit: How many of its key may be in flight.
        inside: Whether it is one of them.
    """

    __slots__ = ("_machine", "_turn", "heat", "inside", "key", "limit")

    def __init__(self, machine: HotKeyMachine, key: Any, heat: str | None, limit: int, turn: int) -> None:
        self._machine = machine
        self._turn = turn
        self.key: Any = key
        self.heat: str | None = heat
        self.limit: int = limit
        self.inside: bool = False

    def leave(self) -> None:
        """The call has ended; a second time does nothing."""
        self._machine.leave(self, self._turn)


class HotKeyMachine:
    """Heat classes of keys, and their places.

    A key is hot where it was surely asked for more than ``share`` of the traffic that the sketch counts,
    warm above half of that. All hot keys share *hot_limit* places, in equal parts while several are hot (at
    least one each); each warm key has *warm_limit*. Calls of cold keys are counted while in flight, as their
    key may become hot meanwhile: the books are as large as what is in flight, and no larger.

    Until a tenth of the window has come nothing is hot: the first call is all of the traffic there was.

    >>> machine = HotKeyMachine(0.5, hot_limit=1, warm_limit=1, keys=4, window=20)
    >>> seats = [machine.enter("a") for _ in range(5)]
    >>> [seat.inside for seat in seats]
    [True, False, False, False, False]
    """

    __slots__ = (
        *("__weakref__", "_busy", "_inside", "_least", "_lock", "_sketch", "_turn", "_window"),
        *("hot_limit", "share", "warm_limit"),
    )

    def __init__(self, share: float, hot_limit: int, warm_limit: int, keys: int, window: int) -> None:
        self.share: float = share
        self.hot_limit: int = hot_limit
        self.warm_limit: int = warm_limit
        self._sketch: SpaceSaving[Any] = SpaceSaving(keys, window=window)
        self._window = window
        self._least = window // 10
        self._busy = False
        self._inside: dict[Any, int] = {}
        self._turn = 0
        self._lock = threading.RLock()
        survive_forks(self)

    @property
    def in_flight(self) -> int:
        """How many calls are in flight."""
        return sum(list(self._inside.values()))

    def enter(self, key: Any) -> HotSeat:
        """A call of *key* has come."""
        with self._lock:
            if (
                self._busy
            ):  # a signal handler or finalizer on this thread, in the middle of the books: it goes by
                return HotSeat(self, key, None, 0, self._turn)
            self._busy = True
            try:
                return self._enter(key)
            except BaseException:
                # Interrupted: the counts may be torn, and begin anew.
                self._sketch = SpaceSaving(self._sketch.size, window=self._window)
                raise
            finally:
                self._busy = False

    def _enter(self, key: Any) -> HotSeat:
        sure = self._sketch.add(key)
        heat, limit = self._heat(sure)
        seat = HotSeat(self, key, heat, limit, self._turn)
        held = self._inside.get(key, 0)
        if heat is None or held < limit:
            self._inside[key] = held + 1
            seat.inside = True
        return seat

    def leave(self, seat: HotSeat, turn: int) -> None:
        """A call of *turn*, the time between two forks, has ended."""
        with self._lock:
            if not seat.inside:
                return
            seat.inside = False
            if turn != self._turn:
                return
            busy, self._busy = self._busy, True
            left = self._inside[seat.key] - 1
            if left:
                self._inside[seat.key] = left
            else:
                del self._inside[seat.key]
            self._busy = busy

    def hottest(self, most: int) -> list[Heavy[Any]]:
        """The heaviest keys."""
        with self._lock:
            return self._sketch.top(most)

    def _heat(self, sure: int) -> tuple[str | None, int]:
        total = self._sketch.total
        if total < self._least or sure <= self.share / 2 * total:
            return None, 0
        if sure <= self.share * total:
            return "warm", self.warm_limit
        return "hot", max(1, self.hot_limit // self._hot_keys(total))

    def _hot_keys(self, total: int) -> int:
        """How many keys are hot: at most 1 / share of them can be."""
        return max(1, self._sketch.above(self.share * total))

    def after_fork(self) -> None:
        """Nobody is inside in the child."""
        self._lock = threading.RLock()
        self._inside = {}
        self._busy = False
        self._turn += 1
