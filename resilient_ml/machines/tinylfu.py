"""A bounded cache that keeps what is asked for often, and not merely last: W-TinyLFU.

::

    new entry -> window (1 %, least recently used) -- the oldest --> candidate
                                                                         | often enough?
    main (99 %): protected (80 % of it)  <-- asked for again --  probation --> the oldest is the victim

What leaves the window competes with the entries that would have to go for it: it comes in only if it was
asked for more often than all of them together, as far as the sketch of frequencies knows. So a scan of many
keys that come once, or keys that somebody makes up, pass through the window and leave the rest alone.

Each entry has a weight; together they never weigh more than the bound.

A hit takes no lock: it is put down in a short list, which is worked off under the lock when it is full or
before anything changes.

Source: G. Einziger, R. Friedman, B. Manes, "TinyLFU: a highly efficient cache admission policy", ACM TOS
13(4), 2017; G. Einziger, O. Eytan, R. Friedman, B. Manes, "Lightweight robust size aware cache management",
ACM TOS 18(3), 2022, for victims taken together.
"""

from __future__ import annotations

import threading
from collections import OrderedDict, deque
from collections.abc import Callable, Hashable
from dataclasses import dataclass
from typing import Generic, TypeVar

from .._forks import survive_forks
from ..stats.frequency_sketch import FrequencySketch

V = TypeVar("V")

_HITS = 64
"""So many hits are put down before they are worked off."""
_FEWEST, _EXPECTED = 64, 16_384
"""The sketch is made for so many entries at least, and at most."""
_WARM = 6
_CHANCE = 1 / 128
"""A candidate that came this often and still lost is let in now and then: where somebody has made a victim
look popular, or it was so yesterday, it does not stay for ever."""
_VICTIMS = 64
"""No more victims than this are looked at for one candidate, so that a step is bounded."""


class Entry(Generic[V]):
    """One value in the cache.

    Attributes:
        key: Its key.
        value: The value.
        weight: What it weighs.
        fresh_until: Until when it may be served without a word, an instant.
        dead_at: From when it is of no use at all, an instant.
    """

    __slots__ = ("_home", "dead_at", "fresh_until", "key", "value", "weight")

    def __init__(self, key: Hashable, value: V, weight: int, fresh_until: float, dead_at: float) -> None:
        self.key: Hashable = key
        self.value: V = value
        self.weight: int = weight
        self.fresh_until: float = fresh_until
        self.dead_at: float = dead_at
        self._home: _Segment[V] | None = None


class _Segment(Generic[V]):
    """A part of the cache, the least recently used first."""

    __slots__ = ("entries", "most", "weight")

    def __init__(self, most: int) -> None:
        self.most = most
        self.weight = 0
        self.entries: OrderedDict[Hashable, Entry[V]] = OrderedDict()

    def add(self, entry: Entry[V]) -> None:
        self.entries[entry.key] = entry
        self.weight += entry.weight
        entry._home = self

    def take(self, entry: Entry[V]) -> None:
        del self.entries[entry.key]
        self.weight -= entry.weight
        entry._home = None

    def oldest(self) -> Entry[V]:
        return next(iter(self.entries.values()))


@dataclass(frozen=True, slots=True)
class CacheStatistics:
    """What a cache holds and did.

    Attributes:
        hits: Calls that were answered from it.
        misses: Calls that were not.
        evictions: Entries that had to go for others, or were not let in.
        refused: Entries that weigh more than the whole cache may hold.
        entries: How many there are.
        weight: What they weigh together.
        max_weight: What they may.
    """

    hits: int
    misses: int
    evictions: int
    refused: int
    entries: int
    weight: int
    max_weight: int

    @property
    def hit_rate(self) -> float:
        """Hits as a share of all lookups, from 0 to 1; 0 before the first."""
        return self.hits / max(1, self.hits + self.misses)


class TinyLFU(Generic[V]):
    """At most *max_weight* of entries, those that are asked for most often.

    Args:
        max_weight: What all entries may weigh together, from 1.
        rng: Draws a number in [0, 1).
        window: The share of the window, from 0 to 1.
        protected: The share of the main part that is for entries that were asked for again.
        seed: Shifts the hashes of the sketch.
        entries: How many entries to expect, for the size of the sketch; by default *max_weight*, as if each
            weighed 1, and at most 16,384. Where there are more, it grows.

    >>> cache = TinyLFU(2, rng=lambda: 0.5)
    >>> for key in ("cat", "dog"):
    ...     _ = cache.put(key, key.upper(), 1)
    >>> cache.get("cat", 0.0).value, cache.get("bird", 0.0)
    ('CAT', None)
    """

    __slots__ = (
        *("__weakref__", "_count", "_entries", "_hits", "_lock", "_misses", "_probation", "_protected"),
        *("_recent", "_rng", "_sketch", "_window", "evictions", "max_weight", "refused"),
    )

    def __init__(
        self,
        max_weight: int,
        *,
        rng: Callable[[], float],
        window: float = 0.01,
        protected: float = 0.8,
        seed: int = 0,
        entries: int | None = None,
    ) -> None:
        self.max_weight: int = max_weight
        self.evictions: int = 0
        self.refused: int = 0
        self._rng = rng
        room = max(1, round(max_weight * window))
        self._window: _Segment[V] = _Segment(room)
        self._probation: _Segment[V] = _Segment(max_weight)
        self._protected: _Segment[V] = _Segment(int((max_weight - room) * protected))
        self._entries: dict[Hashable, Entry[V]] = {}
        expected = max_weight if entries is None else entries
        self._sketch = FrequencySketch(min(max(expected, _FEWEST), _EXPECTED), seed=seed)
        self._hits = 0
        self._misses = 0
        self._recent: deque[Hashable] = deque()
        self._lock = threading.RLock()
        survive_forks(self)

    def get(self, key: Hashable, now: float) -> Entry[V] | None:
        """The entry of *key*, or None where there is none that is of use at *now*."""
        entry = self._entries.get(key)
        recent = self._recent
        recent.append(key)
        if len(recent) >= _HITS:
            self._settle()
        if entry is None or entry.dead_at <= now:
            return None
        return entry

    def peek(self, key: Hashable, now: float) -> Entry[V] | None:
        """The same, and nobody has asked for it."""
        entry = self._entries.get(key)
        return None if entry is None or entry.dead_at <= now else entry

    def put(
        self,
        key: Hashable,
        value: V,
        weight: int,
        *,
        fresh_until: float = float("inf"),
        dead_at: float = float("inf"),
    ) -> bool:
        """Put *value* in, in place of what was there; False where it is too heavy.

        It may go again at once, where others are asked for more often.
        """
        entry = Entry(key, value, max(1, weight), fresh_until, dead_at)
        with self._lock:
            self._work_off()
            self._drop(key)
            if entry.weight > self.max_weight:
                self.refused += 1
                return False
            self._entries[key] = entry
            self._window.add(entry)
            self._sketch.ensure(len(self._entries))
            self._make_room()
        return True

    def discard(self, key: Hashable) -> bool:
        """Forget *key*; whether it was there."""
        with self._lock:
            return self._drop(key)

    def clear(self) -> None:
        """Forget all keys; how often each came is still known."""
        with self._lock:
            self._entries.clear()
            for segment in (self._window, self._probation, self._protected):
                segment.entries.clear()
                segment.weight = 0

    def statistics(self) -> CacheStatistics:
        """What it holds and did."""
        with self._lock:
            self._work_off()
            weight = self._window.weight + self._probation.weight + self._protected.weight
            return CacheStatistics(
                self._hits,
                self._misses,
                self.evictions,
                self.refused,
                len(self._entries),
                weight,
                self.max_weight,
            )

    def __len__(self) -> int:
        """How many entries there are."""
        return len(self._entries)

    # -- under the lock ------------------------------------------------------------------------------------

    def _settle(self) -> None:
        """Work the list off, unless another thread is at it."""
        if self._lock.acquire(blocking=False):
            try:
                self._work_off()
            finally:
                self._lock.release()

    def _work_off(self) -> None:
        recent, entries, add = self._recent, self._entries, self._sketch.add
        protected, probation = self._protected, self._probation
        while recent:
            try:
                key = recent.popleft()
            except IndexError:  # a signal handler on this thread came in between
                return
            add(key)
            entry = entries.get(key)
            if entry is None:
                self._misses += 1
                continue
            self._hits += 1
            home = entry._home
            if home is not probation:
                if home is not None:
                    home.entries.move_to_end(key)
            elif entry.weight <= protected.most:
                probation.take(entry)
                protected.add(entry)
                while protected.weight > protected.most:
                    oldest = protected.oldest()
                    protected.take(oldest)
                    probation.add(oldest)

    def _drop(self, key: Hashable) -> bool:
        entry = self._entries.pop(key, None)
        if entry is None:
            return False
        if entry._home is not None:
            entry._home.take(entry)
        return True

    def _make_room(self) -> None:
        window, probation, protected = self._window, self._probation, self._protected
        while window.weight > window.most:
            candidate = window.oldest()
            window.take(candidate)
            room = self.max_weight - window.most - probation.weight - protected.weight
            if candidate.weight <= room:
                probation.add(candidate)
                continue
            victims = self._victims(candidate, candidate.weight - room)
            for loser in (candidate,) if victims is None else victims:
                self._drop(loser.key)
                self.evictions += 1
            if victims is not None:
                probation.add(candidate)

    def _victims(self, candidate: Entry[V], needed: int) -> list[Entry[V]] | None:
        """Who goes for *candidate*, which needs so much room; None if it is not worth it."""
        worth = self._sketch.estimate(candidate.key)
        lucky = worth >= _WARM and self._rng() < _CHANCE
        victims: list[Entry[V]] = []
        popular = 0
        for segment in (self._probation, self._protected):
            for entry in segment.entries.values():
                victims.append(entry)
                needed -= entry.weight
                popular += self._sketch.estimate(entry.key)
                if not lucky and (popular >= worth or len(victims) > _VICTIMS):
                    return None
                if needed <= 0:
                    return victims
        return None  # it does not fit into the main part

    def after_fork(self) -> None:
        """The lock may have been held in the middle of a change: the child begins with nothing."""
        self._lock = threading.RLock()
        self._entries = {}
        self._recent = deque()
        for segment in (self._window, self._probation, self._protected):
            segment.entries = OrderedDict()
            segment.weight = 0
