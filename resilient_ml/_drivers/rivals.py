"""Attempts that run beside the body which started them: on a worker thread, or in a task of their own.

The one that is not needed any more is left behind: a task is cancelled, a thread runs to its end. Neither
keeps the winner waiting; outer policies hold what they took until both have ended.
"""

from __future__ import annotations

import asyncio
import contextvars
from collections import deque
from collections.abc import Callable
from typing import Any

import anyio

from .._call import Call, with_orphans
from .._derive import Step
from .workers import Job


class ThreadRival:
    """An attempt on a worker thread."""

    __slots__ = ("__weakref__", "_job", "call")

    def __init__(self, job: Job, call: Call) -> None:
        self._job = job
        self.call = call

    def result(self) -> Any:
        """What it came to, or raise that."""
        return self._job.result()

    def cancel(self) -> None:
        """A thread runs to its end."""

    def when_arrived(self, callback: Callable[[], object]) -> None:
        """Call *callback*, on the worker's thread."""
        self._job.when_finished(callback)

    def when_finished(self, callback: Callable[[], object]) -> None:
        """Call *callback* once nothing of the attempt runs any more."""
        self._job.when_finished(with_orphans(self.call, callback))


class _InTask:
    """An attempt in a task: its outcome, and who wants to know."""

    __slots__ = ("__weakref__", "_error", "_finished", "_result", "_watchers", "call")

    def __init__(self, call: Call) -> None:
        self.call = call
        self._result: Any = None
        self._error: BaseException | None = None
        self._finished = False
        self._watchers: deque[Callable[[], object]] = deque()

    async def _run(self, step: Step) -> None:
        """Run *step* and keep what it comes to; an interrupt, too, is the caller's to raise."""
        try:
            self._result = await step(self.call)
        except BaseException as error:
            self._error = error
            # A GeneratorExit is the model's own, or nobody is there to ask which loop this was.
            if not isinstance(error, GeneratorExit) and isinstance(error, anyio.get_cancelled_exc_class()):
                raise  # it is for the loop
        finally:
            del self, step  # the traceback holds this frame

    def result(self) -> Any:
        """What it came to, or raise that."""
        error, self._error = self._error, None
        if error is None:
            result, self._result = self._result, None
            return result
        try:
            raise error
        finally:
            del error

    def when_arrived(self, callback: Callable[[], object]) -> None:
        """Call *callback* on the loop's thread."""
        if self._finished:
            callback()
        else:
            self._watchers.append(callback)

    def when_finished(self, callback: Callable[[], object]) -> None:
        """Call *callback* once nothing of the attempt runs any more."""
        self.when_arrived(with_orphans(self.call, callback))

    def _end(self) -> None:
        self._finished = True
        while self._watchers:
            self._watchers.popleft()()


class TaskRival(_InTask):
    """An attempt in an asyncio task."""

    __slots__ = ("_task",)

    def __init__(self, step: Step, call: Call) -> None:
        super().__init__(call)
        self._task = asyncio.get_running_loop().create_task(self._run(step))
        self._task.add_done_callback(self._done)  # which keeps it alive until then

    def cancel(self) -> None:
        """Cancel the task; what it does about that holds up nobody."""
        self._task.cancel()

    def _done(self, task: asyncio.Task[None]) -> None:
        if task.cancelled() and self._error is None:
            self._error = asyncio.CancelledError()  # before it had begun
        self._end()


class TrioRival(_InTask):
    """An attempt in a task of trio's, outside of any nursery of the caller's."""

    __slots__ = ("_scope",)

    def __init__(self, step: Step, call: Call) -> None:
        import trio

        super().__init__(call)
        self._scope = trio.CancelScope()
        trio.lowlevel.spawn_system_task(self._within, step, context=contextvars.copy_context())

    def cancel(self) -> None:
        """Cancel the task; what it does about that holds up nobody."""
        self._scope.cancel()

    async def _within(self, step: Step) -> None:
        try:
            with self._scope:
                if not self._scope.cancel_called:
                    await self._run(step)
        finally:
            self._end()


def rival_in_task(step: Step, call: Call, task: asyncio.Task[object] | None) -> TaskRival | TrioRival:
    """*step* in a task of its own on the loop that runs *task*; on trio, where there is none."""
    return TrioRival(step, call) if task is None else TaskRival(step, call)
