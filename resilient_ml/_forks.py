"""Locks and counters that stay usable after ``os.fork``.

A fork copies locks as they stand, and the threads that held them are gone: the child would wait for ever.
Whatever owns a lock registers here and is told in the child, before any of its code runs.
"""

from __future__ import annotations

import os
import threading
import weakref
from typing import Protocol


class Forkable(Protocol):
    """Something to be told in the child."""

    def after_fork(self) -> None:
        """Make new locks; give back what the vanished threads held."""


_registered: weakref.WeakSet[Forkable] = weakref.WeakSet()


def survive_forks(owner: Forkable) -> None:
    """Call ``owner.after_fork()`` in every forked child for as long as *owner* lives."""
    _registered.add(owner)


def _in_child() -> None:
    for owner in list(_registered):
        owner.after_fork()


# Where there is no fork there is nothing to survive.
getattr(os, "register_at_fork", lambda **_: None)(after_in_child=_in_child)


class ForkSafeLock:
    """A re-entrant lock, for a module's own state, that a forked child finds free."""

    __slots__ = ("__weakref__", "_lock")

    def __init__(self) -> None:
        self._lock = threading.RLock()
        survive_forks(self)

    def __enter__(self) -> None:
        self._lock.acquire()

    def __exit__(self, *raised: object) -> None:
        self._lock.release()

    def try_enter(self) -> bool:
        """Enter, unless another thread is inside; to be followed by :meth:`__exit__` where it says True."""
        return self._lock.acquire(blocking=False)

    def after_fork(self) -> None:
        """Whoever held it is gone."""
        self._lock = threading.RLock()
