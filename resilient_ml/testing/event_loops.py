"""asyncio in virtual time: the clock of its loops, and their waits, as those of any selector."""

from __future__ import annotations

import asyncio
import math
import selectors
from collections.abc import Callable
from typing import Any

from .governing import governing
from .time_functions import asked_by_machinery

_real_loop_time = asyncio.BaseEventLoop.time


def loop_time(loop: asyncio.BaseEventLoop) -> float:
    """``loop.time()``."""
    clock = governing()
    if clock is None:
        return _real_loop_time(loop)
    now = clock.now()
    # A loop takes what is due before now plus its resolution, which late in time is lost in rounding.
    loop._clock_resolution = max(loop._clock_resolution, math.ulp(now))  # type: ignore[attr-defined]
    return now


def _next_timer(selector: Any, now: float, timeout: float | None) -> float:
    """When the wait of *selector* ends: for a loop the very instant of its next timer.

    ``now + timeout`` would be off by a rounding.
    """
    loop: Any = asyncio._get_running_loop()
    if loop is not None and getattr(loop, "_selector", None) is selector:
        return float(loop._scheduled[0].when()) if loop._scheduled else math.inf  # a heap
    return math.inf if timeout is None else now + timeout


def _select(real: Callable[..., list[Any]]) -> Callable[..., list[Any]]:
    def select(selector: Any, timeout: float | None = None) -> list[Any]:
        clock = governing()
        if clock is None or (timeout is not None and timeout <= 0) or asked_by_machinery():
            return real(selector, timeout)
        found = real(selector, 0)
        if found:
            return found

        def ready() -> bool:
            found.extend(real(selector, 0))
            return bool(found)

        clock.wait(ready, _next_timer(selector, clock.now(), timeout))
        return found

    return select


def _selectors() -> list[tuple[Any, str, Any]]:
    names = ("SelectSelector", "PollSelector", "EpollSelector", "DevpollSelector", "KqueueSelector")
    kinds = [getattr(selectors, name) for name in names if hasattr(selectors, name)]
    return [(kind, "select", _select(kind.select)) for kind in kinds if "select" in vars(kind)]


ASYNCIO: tuple[tuple[Any, str, Any], ...] = (
    (asyncio.BaseEventLoop, "time", loop_time),
    *_selectors(),
)
