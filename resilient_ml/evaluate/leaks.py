"""Leaks: the threads, tasks, file descriptors and bytes that a run leaves behind."""

from __future__ import annotations

import gc
import os
import threading
import time
import tracemalloc
from dataclasses import dataclass
from pathlib import Path

from .._drivers import workers

_DESCRIPTORS = Path("/proc/self/fd")
_OWN = str(Path(__file__).parent / "*")


@dataclass(frozen=True, slots=True)
class Leaks:
    """What was there after a run and not before it.

    Attributes:
        threads: Threads that still ran.
        tasks: Tasks of the event loop that still ran.
        descriptors: Open file descriptors; None where the system does not tell.
        memory: Bytes that Python still held, less those of the evaluation's own records; None when it was not
            measured.
    """

    threads: int
    tasks: int
    descriptors: int | None
    memory: int | None = None

    @property
    def count(self) -> int:
        """Threads, tasks and descriptors together."""
        return self.threads + self.tasks + (self.descriptors or 0)


class LeakWatch:
    """What is there now, to compare with later.

    Args:
        memory: Whether to trace every allocation, which makes a run about three times slower.
    """

    def __init__(self, *, memory: bool) -> None:
        self._threads = _busy_threads()
        self._descriptors = _open_descriptors()
        self._traces = memory and not tracemalloc.is_tracing()
        if self._traces:
            tracemalloc.start()
        self._memory = _held() if memory else None

    def settle(self, seconds: float) -> None:
        """Give threads that are about to end up to *seconds* to do so."""
        limit = time.monotonic() + seconds
        while self.new_threads() and time.monotonic() < limit:
            time.sleep(0.01)

    def new_threads(self) -> int:
        """How many more threads are busy now."""
        return max(0, _busy_threads() - self._threads)

    def leaks(self, *, tasks: int) -> Leaks:
        """What is there now and was not; *tasks* were counted where their loop ran."""
        gc.collect()
        memory = None if self._memory is None else max(0, _held() - self._memory)
        if self._traces:
            tracemalloc.stop()
        now = _open_descriptors()
        opened = None if now is None or self._descriptors is None else max(0, now - self._descriptors)
        return Leaks(self.new_threads(), tasks, opened, memory)


def _busy_threads() -> int:
    """Threads that run, less this library's idle workers, which end by themselves after some seconds."""
    return threading.active_count() - len(workers._pool.idle)


def _open_descriptors() -> int | None:
    """Linux alone tells. What is open under /proc is left out: who looks at threads opens it for a moment."""
    if not _DESCRIPTORS.is_dir():
        return None
    return sum(_lasts(name) for name in os.listdir(_DESCRIPTORS))


def _lasts(name: str) -> bool:
    try:
        return not os.readlink(_DESCRIPTORS / name).startswith("/proc/")
    except OSError:  # closed meanwhile, as the one that listed them
        return False


def _held() -> int:
    gc.collect()
    snapshot = tracemalloc.take_snapshot().filter_traces(
        [tracemalloc.Filter(False, _OWN), tracemalloc.Filter(False, tracemalloc.__file__)]
    )
    return sum(trace.size for trace in snapshot.traces)
