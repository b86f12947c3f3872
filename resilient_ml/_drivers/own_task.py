"""Awaiting a coroutine that may not let itself be cancelled.

A coroutine that swallows its cancellation holds the task it runs in. Where that must not be the caller's
task, the coroutine gets a task of its own, on asyncio; it is cancelled at the deadline, and left behind if
it has not ended *grace* seconds later. Trio has no task that outlives its parent: there the caller waits.
"""

from __future__ import annotations

import asyncio
import inspect
from collections.abc import Awaitable, Callable
from typing import Any

from .._ambient import AMBIENT
from .._call import Call, Job, Limit
from ..errors import LimitExceeded
from .leaf import abandon, check_room, expired


class _TaskJob:
    """A task that was left behind."""

    __slots__ = ("_task",)

    def __init__(self, task: asyncio.Task[Any]) -> None:
        self._task = task

    def when_finished(self, callback: Callable[[], object]) -> None:
        """Call *callback* when the task ends; its error is nobody's any more."""

        def ended(task: asyncio.Task[Any]) -> None:
            if not task.cancelled():
                task.exception()
            callback()

        self._task.add_done_callback(ended)


async def in_own_task(call: Call, answer: Awaitable[Any], limit: Limit, grace: float) -> Any:
    """Await *answer* in a task of its own; end the wait at the deadline, and *grace* seconds more at most."""
    try:
        check_room(limit)
    except LimitExceeded:
        getattr(answer, "close", _nothing)()  # a coroutine that is not awaited is not to complain of it
        raise
    task = asyncio.get_running_loop().create_task(_within(call.deadline, answer))
    try:
        done, _ = await asyncio.wait({task}, timeout=call.deadline - call.now())
        if done:
            return task.result()
    except asyncio.CancelledError:
        if not task.done():
            await _stop(task, call, limit, grace)
        elif not task.cancelled():
            task.exception()  # it failed in the same moment, and nobody will ask
        raise
    await _stop(task, call, limit, grace)
    raise expired(call)


async def _within(deadline: float, answer: Awaitable[Any]) -> Any:
    AMBIENT.set(deadline)
    return await answer


async def _stop(task: asyncio.Task[Any], call: Call, limit: Limit, grace: float) -> None:
    """Cancel *task*; leave it behind if it has not ended *grace* seconds later."""
    task.cancel()
    try:
        await asyncio.wait({task}, timeout=grace)
    finally:
        if not task.done():
            abandon(_TaskJob(task), call, limit)
        elif not task.cancelled():
            task.exception()


def close_behind(close: Callable[[], Any], call: Call, job: Job) -> None:
    """Close a stream that *job* was left behind in, once that has ended; what waits for it waits for both."""
    ended = asyncio.Event()
    job.when_finished(ended.set)
    closing = _TaskJob(asyncio.get_running_loop().create_task(_close_after(ended, close)))
    closing.when_finished(_nothing)
    call.orphans = (*call.orphans, closing)


async def _close_after(ended: asyncio.Event, close: Callable[[], Any]) -> None:
    await ended.wait()
    closing = close()
    if inspect.isawaitable(closing):
        await closing


def _nothing() -> None:
    """What closing a future comes to, and what nobody waits for."""
