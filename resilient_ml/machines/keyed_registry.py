"""One value for each key, with a bound on the keys."""

from __future__ import annotations

import itertools
import threading
from collections import OrderedDict
from collections.abc import Callable, Hashable
from typing import Generic, TypeVar

from .._forks import survive_forks

V = TypeVar("V")

_LOOK_AT = 16
"""How many of the least recently used keys are looked at for one that forgetting does not hurt."""


class Entry(Generic[V]):
    """A key's value, and how many calls use it now."""

    __slots__ = ("in_use", "value")

    def __init__(self, value: V) -> None:
        self.value: V = value
        self.in_use: int = 0


class KeyedRegistry(Generic[V]):
    """At most *max_keys* values; the least recently used is forgotten first.

    A key in use is never forgotten: where all are, there are more than *max_keys* until calls have left and
    the next key is entered. Among the oldest, one that is *forgettable* goes before one that is not.

    Args:
        max_keys: How many keys to remember, from 1.
        forgettable: Whether a fresh value would do as well as this one. Called with the lock held.

    >>> registry = KeyedRegistry(2, forgettable=lambda value: True)
    >>> for key in "abc":
    ...     registry.leave(registry.enter(key, key.upper()))
    >>> registry.find("a"), registry.find("c").value
    (None, 'C')
    """

    __slots__ = ("__weakref__", "_entries", "_forgettable", "_lock", "max_keys")

    def __init__(self, max_keys: int, forgettable: Callable[[V], bool]) -> None:
        self.max_keys: int = max_keys
        self._forgettable = forgettable
        self._entries: OrderedDict[Hashable, Entry[V]] = OrderedDict()
        self._lock = threading.RLock()
        survive_forks(self)

    def __len__(self) -> int:
        """How many keys are remembered."""
        return len(self._entries)

    def find(self, key: Hashable) -> Entry[V] | None:
        """The entry of *key*, or None if it was never seen or is forgotten."""
        return self._entries.get(key)

    def enter(self, key: Hashable, value: V) -> Entry[V]:
        """The entry of *key*, in use until :meth:`leave`; made with *value* where there is none."""
        with self._lock:
            entry = self._entries.get(key)
            if entry is None:
                entry = self._entries[key] = Entry(value)
            entry.in_use += 1
            # Once more: a finalizer or signal handler on this thread may have had it forgotten meanwhile.
            self._entries[key] = entry
            self._entries.move_to_end(key)
            if len(self._entries) > self.max_keys:
                self._forget()
        return entry

    def leave(self, entry: Entry[V]) -> None:
        """The call is done with *entry*."""
        with self._lock:
            entry.in_use -= 1

    def _forget(self) -> None:
        """Forget old keys until the bound holds again, or all that are left are in use."""
        while len(self._entries) > self.max_keys:
            oldest = self._oldest(1)
            if not oldest:
                return
            if not self._forgettable(oldest[0][1].value):
                oldest = self._oldest(_LOOK_AT) or oldest
            spare = (key for key, entry in oldest if self._forgettable(entry.value))
            self._entries.pop(next(spare, oldest[0][0]), None)

    def _oldest(self, most: int) -> list[tuple[Hashable, Entry[V]]]:
        """The least recently used keys that are not in use."""
        idle = ((key, entry) for key, entry in self._entries.items() if not entry.in_use)
        try:
            return list(itertools.islice(idle, most))
        except RuntimeError:  # a finalizer or signal handler on this thread entered a key in between
            return self._oldest(most)

    def after_fork(self) -> None:
        """In the child nobody is inside: calls of vanished threads will never leave."""
        self._lock = threading.RLock()
        self._entries = OrderedDict((key, Entry(entry.value)) for key, entry in self._entries.items())
