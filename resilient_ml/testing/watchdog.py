"""A thread that looks at regular intervals of real time."""

from __future__ import annotations

import _thread
import sys
import threading
from collections.abc import Callable
from typing import Final

LOOK_SECONDS: Final = 0.005


class Watchdog:
    """Calls *look* from a thread of its own, every :data:`LOOK_SECONDS`, until it is stopped."""

    def __init__(self, look: Callable[[], None]) -> None:
        self._look = look
        self._stopping = _thread.allocate_lock()
        self._ended = _thread.allocate_lock()
        self._stopping.acquire()
        self._ended.acquire()
        # Traced as any thread of threading's is, for debuggers and coverage.
        _thread.start_new_thread(
            lambda: (sys.settrace(threading.gettrace()), self._watch()),  # type: ignore[func-returns-value]
            (),
        )

    def _watch(self) -> None:
        while not self._stopping.acquire(timeout=LOOK_SECONDS):
            self._look()
        self._ended.release()

    def stop(self) -> None:
        """End it, and wait for that: a process that forks later must not find it still there."""
        self._stopping.release()
        self._ended.acquire()
