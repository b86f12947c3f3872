"""trio in virtual time: the clock of its runs, their waits, and its cache of threads."""

from __future__ import annotations

import importlib
import math
import random
import sys
import threading
import weakref
from collections.abc import Callable
from typing import Any, NoReturn

from .clock import VirtualClock
from .ending import VirtualTimeOver
from .governing import governing
from .threads import clock_of


def replacements(seed: int) -> list[tuple[Any, str, Any]]:
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

        until = _end_of_wait(asked.get(io_manager, math.inf), clock.now(), timeout, _run._MAX_TIMEOUT)

        def ready() -> bool:
            nonlocal found
            found = real_events(io_manager, 0)
            return bool(found)

        try:
            clock.wait(ready, until, ending=io_manager in ended)
        except VirtualTimeOver as over:
            # Raised here it would break the run. So it is raised in the main task, once.
            if io_manager in ended or not _told(_run, over):
                raise
            ended.add(io_manager)
        return found

    def start_thread_soon(thread_cache: Any, *args: Any, **kwargs: Any) -> None:
        clock = governing()
        # Others wait on another clock than their work would.
        _forget(thread_cache, lambda thread: clock_of(thread) is not clock)
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


def _end_of_wait(deadline: float, now: float, timeout: float, longest: float) -> float:
    """The instant at which trio wants to wake.

    It asks for what is left until its next deadline and waits that long, but never longer than *longest*,
    which is also what it waits without a deadline. ``now + timeout`` would be off by a rounding.
    """
    if min(max(0, deadline - now), longest) == timeout:
        return deadline
    return math.inf if timeout >= longest else now + timeout


def _told(_run: Any, error: BaseException) -> bool:
    """Raise *error* in the main task of this thread's run, if it has one that waits."""
    runner = getattr(_run.GLOBAL_RUN_CONTEXT, "runner", None)  # a guest's waits are in another thread
    if runner is None or runner.main_task._abort_func is None:
        return False

    def throw() -> NoReturn:
        raise error

    runner.main_task._attempt_abort(throw)
    return True


def _forget(thread_cache: Any, which: Callable[[threading.Thread], bool]) -> None:
    for worker in list(thread_cache._idle_workers):
        if which(worker._thread):
            del thread_cache._idle_workers[worker]


def forget_workers(clock: VirtualClock) -> None:
    """Let trio forget the idle threads that ended with *clock*."""
    if sys.modules.get("trio") is not None:
        from trio._core._thread_cache import THREAD_CACHE

        _forget(THREAD_CACHE, lambda thread: clock_of(thread) is clock)
