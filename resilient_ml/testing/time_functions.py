"""The functions of ``time`` in virtual time, for governed threads and for code that is not test machinery."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from typing import Any

from .governing import governing

MACHINERY = frozenset(
    {"_pytest", "coverage", "execnet", "faulthandler", "hypothesis", "multiprocessing", "pluggy", "pytest"}
    | {"pytest_timeout", "subprocess", "xdist"}
)
"""Packages that measure or wait for what is real: test runners, and other processes."""


def asked_by_machinery(depth: int = 2) -> bool:
    """Whether the code that called our caller belongs to :data:`MACHINERY`."""
    module: Any = sys._getframe(depth).f_globals.get("__name__") or ""
    return module.partition(".")[0] in MACHINERY


def _clock_function(real: Callable[[], Any], virtual: Callable[[Any], Any]) -> Callable[[], Any]:
    def read() -> Any:
        clock = governing()
        if clock is None or asked_by_machinery():
            return real()
        clock.look()
        return virtual(clock)

    read.__name__ = read.__qualname__ = real.__name__
    read.__doc__ = f"``time.{real.__name__}``, in virtual time."
    return read


_real_sleep = time.sleep


def sleep(seconds: float, /) -> None:
    """``time.sleep``, in virtual time."""
    clock = governing()
    if clock is None or asked_by_machinery():
        _real_sleep(seconds)
    else:
        clock.sleep(seconds)


def _nanoseconds(seconds: float) -> int:
    return round(seconds * 1e9)


REPLACED: dict[Callable[..., Any], Callable[..., Any]] = {
    time.sleep: sleep,
    time.monotonic: _clock_function(time.monotonic, lambda clock: clock.now()),
    time.monotonic_ns: _clock_function(time.monotonic_ns, lambda clock: _nanoseconds(clock.now())),
    time.perf_counter: _clock_function(time.perf_counter, lambda clock: clock.now()),
    time.perf_counter_ns: _clock_function(time.perf_counter_ns, lambda clock: _nanoseconds(clock.now())),
    time.time: _clock_function(time.time, lambda clock: clock.wall()),
    time.time_ns: _clock_function(time.time_ns, lambda clock: _nanoseconds(clock.wall())),
}
