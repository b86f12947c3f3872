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
            callback()
            _let_go(task)

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
    except asyncio.CancelledError:
        if not task.done():
            await _stop(task, call, limit, grace)
        else:
            _let_go(task)  # it ended in the same moment
        raise
    if not done:
        await _stop(task, call, limit, grace)
        raise expired(call)
    try:
        return _result(task)
    finally:
        del task, done  # the error's traceback holds this frame: a cycle, with the arguments in it


class _Interrupted:
    """An interrupt on its way to the caller."""

    __slots__ = ("interrupt",)

    def __init__(self, interrupt: BaseException) -> None:
        self.interrupt = interrupt


async def _within(deadline: float, answer: Awaitable[Any]) -> Any:
    AMBIENT.set(deadline)
    try:
        return await answer
    except (KeyboardInterrupt, SystemExit) as interrupt:
        # Raised out of a task it would stop the loop before the caller could give back what it took.
        return _Interrupted(interrupt)


def _result(task: asyncio.Task[Any]) -> Any:
    """What *task* returned, or raise what it raised."""
    result: Any = None
    try:
        result = task.result()
        if type(result) is _Interrupted:
            raise result.interrupt
        return result
    finally:
        del result, task  # the error's traceback holds this frame: a cycle, with the arguments in it


def _let_go(task: asyncio.Task[Any]) -> None:
    """Nobody asks what *task* ended in: its error goes unheard, an interrupt is raised all the same."""
    if not task.cancelled() and task.exception() is None:
        _result(task)


async def _stop(task: asyncio.Task[Any], call: Call, limit: Limit, grace: float) -> None:
    """Cancel *task*; leave it behind if it has not ended *grace* seconds later."""
    task.cancel()
    try:
        await asyncio.wait({task}, timeout=grace)
    finally:
        if not task.done():
            abandon(_TaskJob(task), call, limit)
        else:
            _let_go(task)


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
