"""Where calls hang until they are cancelled or let go: no fault leaves a thread behind for good."""

from __future__ import annotations

import asyncio
import contextlib
import importlib
import threading
from collections.abc import Callable
from typing import Any

import anyio

from ..._drivers.loops import running_task
from ..._forks import ForkSafeLock


class HangReleased(Exception):
    """What a call ends in that hung until its plan let go of it, with ``plan.release()``."""


class Gate:
    """Threads and tasks wait here until it is opened; once it is open, nobody does."""

    def __init__(self) -> None:
        self._lock = ForkSafeLock()
        self._open = False
        self._wakers: list[Callable[[], object]] = []

    def hang(self, what: str) -> None:
        """Hang this thread, then raise :class:`HangReleased`."""
        event = threading.Event()
        if self._enter(event.set):
            try:
                event.wait()
            finally:
                self._leave(event.set)
        raise _released(what)

    async def hang_task(self, what: str) -> None:
        """Hang this task, then raise :class:`HangReleased`."""
        event = anyio.Event()
        wake = _from_anywhere(event.set)
        if self._enter(wake):
            try:
                await event.wait()
            finally:
                self._leave(wake)
        raise _released(what)

    def open(self) -> None:
        """Let go of all who hang; from any thread."""
        with self._lock:
            self._open = True
            wakers = list(self._wakers)
        for wake in wakers:
            wake()

    def close(self) -> None:
        """From here on calls hang again."""
        with self._lock:
            self._open = False

    def _enter(self, wake: Callable[[], object]) -> bool:
        with self._lock:
            if not self._open:
                self._wakers.append(wake)
            return not self._open

    def _leave(self, wake: Callable[[], object]) -> None:
        with self._lock:
            self._wakers.remove(wake)


def _from_anywhere(wake: Callable[[], object]) -> Callable[[], object]:
    """*wake*, to be called from any thread, also when the loop of this task has ended."""
    if running_task() is not None:
        post: Callable[..., object] = asyncio.get_running_loop().call_soon_threadsafe
    else:
        trio: Any = importlib.import_module("trio")
        post = trio.lowlevel.current_trio_token().run_sync_soon

    def wake_there() -> None:
        with contextlib.suppress(RuntimeError):  # the loop has ended, and with it who hung there
            post(wake)

    return wake_there


def _released(what: str) -> HangReleased:
    return HangReleased(f"{what} hung until its fault plan let go of it, with release()")
