"""Which clock governs the current thread: asked by everything that virtual time replaces."""

from __future__ import annotations

import threading

from .clock import VirtualClock

_clock: VirtualClock | None = None


def governing() -> VirtualClock | None:
    """The running clock, if the current thread waits on it; None in real time."""
    clock = _clock
    return clock if clock is not None and clock.governs(threading.get_ident()) else None


def running() -> VirtualClock | None:
    """The clock of this process, whichever threads wait on it."""
    return _clock


def govern(clock: VirtualClock | None) -> None:
    """Make *clock* the one of this process; None when virtual time is over."""
    global _clock
    _clock = clock
