"""asyncio and trio in virtual time: their clocks, and the waits of their loops."""

from __future__ import annotations

import asyncio
import importlib
import math
import random
import selectors
import sys
import weakref
from collections.abc import Callable
from typing import Any, NoReturn

from .clock import VirtualClock
from .ending import VirtualTimeOver
from .governing import governing
from .threads import clock_of
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


def trio_replacements(seed: int) -> list[tuple[Any, str, Any]]:  # noqa: C901 - small functions, side by side
    """What is to be replaced in trio, where it is installed: it may be imported later, by anyio say."""
    try:
        _run: Any = importlib.import_module("trio._core._run")
        _thread_cache: Any = importlib.import_module("trio._core._thread_cache")
    except ImportError:
        return []

    asked: weakref.WeakKeyDictionary[Any, float] = weakref.WeakKeyDictionary()
    ended: weakref.WeakSet[Any] = weakref.WeakSet()
    clock_class, manager, cache = _run.SystemClock, _run.TheIOManager, _thread_cache.ThreadCache
    real_time, real_left = clock_class.current_time, clock_class.deadline_to_sleep_time
    real_events, real_soon = manager.get_events, cache.start_thread_soon

    def current_time(trio_clock: Any) -> float:
        clock = governing()
        return float(real_time(trio_clock)) if clock is None else clock.now()

    def deadline_to_sleep_time(trio_clock: Any, deadline: float) -> float:
        clock = governing()
        if clock is None:
            return float(real_left(trio_clock, deadline))
        asked[_run.GLOBAL_RUN_CONTEXT.runner.io_manager] = deadline
        return deadline - clock.now()

    def get_events(io_manager: Any, timeout: float) -> Any:
        clock = governing()
        found = real_events(io_manager, 0 if clock is not None else timeout)
        if clock is None or timeout <= 0 or found:
            return found

        # Trio asks for what is left of its next deadline and waits that long; for a day if it has none.
        deadline = asked.get(io_manager, math.inf)
        if min(max(0, deadline - clock.now()), _run._MAX_TIMEOUT) == timeout:
            until = deadline
        else:
            until = math.inf if timeout >= _run._MAX_TIMEOUT else clock.now() + timeout

        def ready() -> bool:
            nonlocal found
            found = real_events(io_manager, 0)
            return bool(found)

        try:
            clock.wait(ready, until, ending=io_manager in ended)
        except VirtualTimeOver as over:
            main = getattr(getattr(_run.GLOBAL_RUN_CONTEXT, "runner", None), "main_task", None)
            if io_manager in ended or main is None or main._abort_func is None:
                raise
            # Raised here it would break the run. So it is raised in the main task, once.
            ended.add(io_manager)
            main._attempt_abort(_raising(over))
        return found

    def start_thread_soon(thread_cache: Any, *args: Any, **kwargs: Any) -> None:
        clock = governing()
        for worker in list(thread_cache._idle_workers):
            if clock_of(worker._thread) is not clock:
                # It waits on another clock than its work would.
                del thread_cache._idle_workers[worker]
        real_soon(thread_cache, *args, **kwargs)

    return [
        # Of tasks that could all go on trio picks by luck; here by the same luck each time.
        (_run, "_ALLOW_DETERMINISTIC_SCHEDULING", True),
        (_run, "_r", random.Random(seed)),
        (clock_class, "current_time", current_time),
        (clock_class, "deadline_to_sleep_time", deadline_to_sleep_time),
        (manager, "get_events", get_events),
        (cache, "start_thread_soon", start_thread_soon),
    ]


def _raising(error: BaseException) -> Callable[[], NoReturn]:
    def throw() -> NoReturn:
        raise error

    return throw


def forget_workers(clock: VirtualClock) -> None:
    """Let trio forget the idle threads that ended with *clock*."""
    if sys.modules.get("trio") is not None:
        from trio._core._thread_cache import THREAD_CACHE

        for worker in list(THREAD_CACHE._idle_workers):
            if clock_of(worker._thread) is clock:
                del THREAD_CACHE._idle_workers[worker]
