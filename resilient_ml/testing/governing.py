"""Which clock governs the current thread: asked by everything that virtual time replaces."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Iterator

from .clock import VirtualClock

_clock: VirtualClock | None = None
_outside: set[int] = set()
"""Threads that wait in real time for a moment, by their identity."""


def governing() -> VirtualClock | None:
    """The running clock, if the current thread waits on it; None in real time."""
    clock = _clock
    if clock is None:
        return None
    ident = threading.get_ident()
    return clock if clock.governs(ident) and ident not in _outside else None


def running() -> VirtualClock | None:
    """The clock of this process, whichever threads wait on it."""
    return _clock


def govern(clock: VirtualClock | None) -> None:
    """Make *clock* the one of this process; None when virtual time is over."""
    global _clock
    _clock = clock


@contextlib.contextmanager
def real_time() -> Iterator[None]:
    """The current thread waits in real time in this block."""
    ident = threading.get_ident()
    _outside.add(ident)
    try:
        yield
    finally:
        _outside.discard(ident)
