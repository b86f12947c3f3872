"""The keys that come most often, of very many, in a fixed amount of memory."""

from __future__ import annotations

from collections.abc import Hashable
from dataclasses import dataclass
from typing import Generic, TypeVar

K = TypeVar("K", bound=Hashable)


@dataclass(frozen=True, slots=True)
class Heavy(Generic[K]):
    """One of the heaviest keys.

    Attributes:
        key: The key.
        count: How often it came, at most.
        error: By how much *count* may be too high: the true count is from ``count - error`` to ``count``.
        share: ``count`` as a share of all, from 0 to 1.
    """

    key: K
    count: int
    error: int
    share: float


class SpaceSaving(Generic[K]):
    """Counters for at most *size* keys: a new key takes the place of the one that came least, and its count.

    So a count is never too low, and too high by at most the count that was taken over. Each key that made up
    more than ``1 / size`` of all since the last halving is among them, whatever the others were.
    All counts are halved each time *window* keys have come.

    Keys with the same count are kept together, so that the least is found in one step.

    Args:
        size: How many keys to count, from 1.
        window: After so many all counts are halved; 0 for never.

    >>> heaviest = SpaceSaving(2)
    >>> for key in "abacada":
    ...     _ = heaviest.add(key)
    >>> heaviest.top(1)[0].key, heaviest.top(1)[0].count
    ('a', 4)

    Source: A. Metwally, D. Agrawal, A. El Abbadi, "Efficient computation of frequent and top-k elements in
    data streams", ICDT 2005.
    """

    __slots__ = ("_buckets", "_counts", "_errors", "_least", "_window", "size", "total")

    def __init__(self, size: int, *, window: int = 0) -> None:
        self.size: int = size
        self.total: int = 0
        self._window = window
        self._counts: dict[K, int] = {}
        self._errors: dict[K, int] = {}
        self._buckets: dict[int, dict[K, None]] = {}
        self._least = 0

    def add(self, key: K) -> int:
        """*key* came; how often it has, surely: never too high."""
        counts = self._counts
        count = counts.get(key)
        if count is not None:
            self._take(key, count)
        elif len(counts) < self.size:
            count = self._errors[key] = 0
        else:
            count = self._least_count()
            gone = next(iter(self._buckets[count]))
            self._take(gone, count)
            del counts[gone], self._errors[gone]
            self._errors[key] = count
        counts[key] = count + 1
        self._buckets.setdefault(count + 1, {})[key] = None
        self._least = min(self._least, count + 1)
        self.total += 1
        if self._window and self.total >= self._window:
            self._halve()
        return self.surely(key)

    def surely(self, key: K) -> int:
        """How often *key* came, at least."""
        return self._counts.get(key, 0) - self._errors.get(key, 0)

    def above(self, least: float) -> int:
        """How many keys came more often than *least*, surely."""
        errors = self._errors
        return sum(
            count - errors[key] > least
            for count, keys in self._buckets.items()
            if count > least  # for most it is not, and there are fewer counts than keys
            for key in keys
        )

    def top(self, most: int) -> list[Heavy[K]]:
        """The heaviest keys, the heaviest first, at most *most*."""
        counts = sorted(self._counts.items(), key=lambda pair: -pair[1])[:most]
        total = max(1, self.total)
        return [Heavy(key, count, self._errors[key], count / total) for key, count in counts]

    def __len__(self) -> int:
        """How many keys are counted."""
        return len(self._counts)

    def _take(self, key: K, count: int) -> None:
        bucket = self._buckets[count]
        del bucket[key]
        if not bucket:
            del self._buckets[count]

    def _least_count(self) -> int:
        # It only ever rises until a new key comes in, by one step for each that has come.
        while self._least not in self._buckets:
            self._least += 1
        return self._least

    def _halve(self) -> None:
        """Halve all; a count may lose half a step more than its error, and then the error gives way."""
        self.total //= 2
        old, self._counts, self._buckets = self._counts, {}, {}
        for key, count in old.items():
            half = -(-count // 2)  # rounded up: a count is never too low
            # The true count halved is at least (count - error) // 2.
            self._errors[key] = half - (count - self._errors[key]) // 2
            self._counts[key] = half
            self._buckets.setdefault(half, {})[key] = None
        self._least = min(self._buckets)
