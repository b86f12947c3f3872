"""Clients that block their thread: a call whose time is over is left behind, and goes on without them.

It holds what policies took for it, such as a seat in a Bulkhead, until the server answers after all.
"""

from __future__ import annotations

import contextvars
from collections.abc import Callable
from typing import Any

from ..._ambient import AMBIENT
from ..._call import NEVER, Call
from ..._drivers.leaf import abandon, check_room, expired
from .loop import Loop, Task, Wait


class _Worker(Task):
    """One call on a worker thread, which nobody can stop."""

    __slots__ = ("_ended", "_error", "_threads", "_value", "_watchers", "finished")

    def __init__(self, threads: Threads) -> None:
        self.finished: bool = False
        self._ended = Wait()
        self._error: Exception | None = None
        self._value: Any = None
        self._threads = threads
        self._watchers: list[Callable[[], object]] = []

    def start(self, call: Call) -> None:
        self._threads.running[self] = None
        context = contextvars.copy_context()
        context.run(AMBIENT.set, call.deadline)
        self.begin(call.fn(*call.args, **call.kwargs), context)

    def ended(self, value: Any, error: Exception | None) -> None:
        self._value, self._error = value, error
        self._finish()
        self._ended.resume()

    def _finish(self) -> None:
        self.finished = True
        del self._threads.running[self]
        for callback in self._watchers:
            callback()

    def close(self) -> None:
        super().close()
        self._finish()

    async def wait(self, until: float, loop: Loop) -> bool:
        """Whether it ends by the instant *until*."""
        if not self.finished:
            loop.late(until, Wait.resume, self._ended)
            await self._ended
        return self.finished

    def result(self) -> Any:
        if self._error is not None:
            raise self._error
        return self._value

    def when_finished(self, callback: Callable[[], object]) -> None:
        """Call *callback* when the server has answered."""
        self._watchers.append(callback)


class Threads:
    """The worker threads of a simulation.

    Attributes:
        running: Those that have not returned.
    """

    def __init__(self, loop: Loop) -> None:
        self.running: dict[_Worker, None] = {}
        self._loop = loop

    async def leaf(self, call: Call) -> Any:
        """The leaf of plain calls: wait for the thread, and leave it behind at the call's deadline."""
        loop = self._loop
        request: Any = call.record
        if call.deadline < NEVER and call.deadline <= loop.now:
            raise expired(call)
        limit = call.threads
        if call.deadline == NEVER or limit is None:
            request.sent()
            return await self._to_the_end(call)
        check_room(limit)
        request.sent()
        worker = _Worker(self)
        worker.start(call)
        try:
            in_time = await worker.wait(call.deadline, loop)
        except BaseException:
            abandon(worker, call, limit)
            raise
        if not in_time:
            abandon(worker, call, limit)
            raise expired(call)
        return worker.result()

    async def _to_the_end(self, call: Call) -> Any:
        """On the caller's own thread, which only learns afterwards that it was late."""
        token = AMBIENT.set(call.deadline)
        try:
            result = await call.fn(*call.args, **call.kwargs)
        finally:
            AMBIENT.reset(token)
        if self._loop.now > call.deadline:
            raise expired(call)
        return result

    def close(self) -> None:
        """Let the threads return that are left."""
        for worker in list(self.running):
            worker.close()
