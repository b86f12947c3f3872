"""Locks whose waits take virtual time; what ``threading`` builds on them follows.

``Condition``, ``Event``, ``Semaphore``, ``Barrier``, ``queue.Queue``, futures and executors all wait on plain
locks that they make when they need one. ``queue.SimpleQueue`` is C, and has its own.
"""

from __future__ import annotations

import _thread
import math
import queue
import threading
from types import TracebackType
from typing import Any

from .governing import governing
from .time_functions import asked_by_machinery

_real_rlock = threading.RLock


class VirtualLock:
    """A ``threading.Lock`` whose waiting threads hand their turn on. Test runners are given a real one."""

    __slots__ = ("__weakref__", "_lock")

    def __new__(cls) -> Any:  # noqa: D102
        return _thread.allocate_lock() if asked_by_machinery() else super().__new__(cls)

    def __init__(self) -> None:
        self._lock = _thread.allocate_lock()

    def acquire(self, blocking: bool = True, timeout: float = -1) -> bool:
        """As ``threading.Lock.acquire``, in virtual time."""
        if timeout == -1 and self._lock.acquire(False):
            return True
        clock = governing()
        if clock is None or not blocking:
            return self._lock.acquire(blocking, timeout)
        if timeout != -1 and not timeout >= 0:
            raise ValueError(f"timeout value must be a non-negative number, got {timeout!r}")
        # The longest wait that a lock takes is what code asks for that would wait for ever.
        forever = timeout == -1 or timeout >= threading.TIMEOUT_MAX
        until = math.inf if forever else clock.now() + float(timeout)
        while not self._lock.acquire(False):
            if not clock.wait(lambda: not self._lock.locked(), until):
                return False
        return True

    def release(self) -> None:
        """Free it, from any thread."""
        self._lock.release()

    def locked(self) -> bool:
        """Whether somebody holds it."""
        return self._lock.locked()

    def _at_fork_reinit(self) -> None:
        self._lock = _thread.allocate_lock()

    def __enter__(self) -> bool:
        return self.acquire()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._lock.release()

    def __repr__(self) -> str:
        return f"<{'locked' if self.locked() else 'unlocked'} VirtualLock>"


class VirtualSimpleQueue(queue.SimpleQueue[Any]):
    """A ``queue.SimpleQueue`` whose waiting threads hand their turn on."""

    def get(self, block: bool = True, timeout: float | None = None) -> Any:
        """As ``queue.SimpleQueue.get``, in virtual time."""
        clock = governing()
        if clock is None or not block:
            return super().get(block, timeout)
        if timeout is not None and not timeout >= 0:
            raise ValueError(f"'timeout' must be a non-negative number, got {timeout!r}")
        until = math.inf if timeout is None else clock.now() + float(timeout)
        while True:
            try:
                return super().get(False)
            except queue.Empty:
                if not clock.wait(lambda: not self.empty(), until):
                    raise


def virtual_rlock(*args: Any, **kwargs: Any) -> Any:
    """A re-entrant lock on top of :class:`VirtualLock`: ``threading``'s own in Python."""
    return (_real_rlock if asked_by_machinery() else threading._RLock)(*args, **kwargs)
