"""A lock under which no garbage is collected."""

from __future__ import annotations

import gc
import threading

_real_lock = threading.RLock


class QuietLock:
    """A re-entrant lock that keeps the garbage collector off while it is held.

    A finalizer may wait for whatever it likes. Run in the middle of handing a turn on, it would wait for a
    turn that nobody is there to give.
    """

    def __init__(self) -> None:
        self._lock = _real_lock()
        self._depth = 0
        self._collects = False

    def __enter__(self) -> None:
        collects = gc.isenabled()
        gc.disable()  # before: a collection may be due the moment the lock is held
        self._lock.acquire()
        collects |= gc.isenabled()  # another thread left the lock meanwhile
        gc.disable()
        self._depth += 1
        self._collects |= collects

    def __exit__(self, *raised: object) -> None:
        self._depth -= 1
        collects = self._collects and self._depth == 0
        if collects:
            self._collects = False
        self._lock.release()
        if collects:
            gc.enable()
