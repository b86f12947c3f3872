"""Which event loop runs on this thread, if any."""

from __future__ import annotations

import asyncio
import sys
import warnings

_warned = False


def running_task() -> asyncio.Task[object] | None:
    """The asyncio task that runs this code; None on trio, and outside any loop."""
    try:
        return asyncio.current_task()
    except RuntimeError:
        return None


def on_event_loop() -> bool:
    """Whether an event loop, of asyncio or trio, runs on this thread."""
    if running_task() is not None:
        return True
    trio = sys.modules.get("trio")
    if trio is None:
        return False
    try:
        trio.lowlevel.current_task()
    except RuntimeError:
        return False
    return True


def leave_loop() -> None:
    """On a worker thread, in a context that was copied from an event loop's: here runs none.

    ``anyio.run`` writes into the context which loop runs, and would refuse to run another one here.
    """
    sniffio = sys.modules.get("sniffio")
    if sniffio is not None:
        sniffio.current_async_library_cvar.set(None)


def warn_if_blocking(what: str) -> None:
    """Warn, once in a process, that a plain call is about to block the loop it runs on."""
    global _warned
    if _warned or not on_event_loop():
        return
    _warned = True
    warnings.warn(
        f"a guarded plain function is about to {what} on the thread of a running event loop, which stops "
        "every other task; call it with 'await guard.acall(fn, ...)', which uses a worker thread",
        RuntimeWarning,
        stacklevel=2,
    )
