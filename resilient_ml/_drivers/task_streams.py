"""Async streams that run beside the body which started them, each in a task of its own from first to last.

A generator may have task groups and cancel scopes open while its reader has an item, and these belong to the
task that opened them. So the one that wins stays in its task: its reader asks for an item and waits until it
is there. Reader and stream take turns, and none is ahead of the other.

A reader that leaves has the stream closed, in the stream's task, and waits until it is; so does one that is
cancelled. A stream that loses is cancelled where it runs, and closed where it stands still. Nobody waits for
that, but for what policies outside hold.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable
from functools import partial
from typing import Any

import anyio

from .._call import Call
from .._derive import Step
from .outlet import emit, finish, until_item
from .rival_streams import RivalStream
from .rivals import rival_in_task


class TaskStream(RivalStream):
    """An async stream in a task of its own."""

    __slots__ = (
        *("__weakref__", "_cancelled", "_event", "_left", "_rival", "_stands"),
        *("_there", "_threw", "_wanted", "_watchers"),
    )

    def __init__(self, step: Step, call: Call, task: asyncio.Task[object] | None) -> None:
        super().__init__(call)
        self._event, self._cancelled = _primitives(task)
        self._watchers: deque[Callable[[], object]] = deque()
        self._left = False
        self._stands = False
        self._threw: BaseException | None = None
        self._wanted = self._event()
        self._there = self._event()
        self._rival = rival_in_task(partial(self._run, step), call, task)
        self._rival.when_arrived(self._end)

    # -- in its task ---------------------------------------------------------------------------------------

    async def _run(self, step: Step, call: Call) -> Any:
        """Run to the first content, and from there on an item each time that the reader wants one."""
        outlet = self._outlet
        returned: list[Any] = []
        body = _kept(step, call, returned)
        resume = again = partial(body.send, None)
        try:
            while await until_item(resume, body, outlet):
                resume = again
                if self._opens():
                    try:
                        await self._stand()
                    except self._cancelled:  # the loop ends
                        await finish(again, body, outlet)
                        raise
                    if self._left:
                        await finish(again, body, outlet)
                        return
                    if self._threw is not None:
                        resume, self._threw = partial(body.throw, self._threw), None
            (self._returned,) = returned
        finally:
            # An error's traceback holds this frame, and nobody asks for that of one that lost.
            del self, resume

    async def _stand(self) -> None:
        """Wait until the reader wants the next item, or has left."""
        if self._left:
            return  # it was cancelled, and went on all the same
        self._wanted = self._event()
        self._stands = True
        self._tell()
        await self._wanted.wait()
        self._stands = False

    def _end(self) -> None:
        self._over = True
        self._tell()

    def _tell(self) -> None:
        self._there.set()
        while self._watchers:
            self._watchers.popleft()()

    # -- for its reader ------------------------------------------------------------------------------------

    def result(self) -> tuple[Any, ...]:
        """Its first content, or raise what it failed with."""
        if self._over:
            self._rival.result()
        return self._first_content()

    async def carry_on(self, call: Call) -> Any:
        """Pass all of it on to its reader; gives what it returns."""
        self._won(call)
        try:
            while await self._has_next():
                try:
                    sent = await emit(call, self._held.popleft())
                except GeneratorExit:
                    raise
                except BaseException as error:
                    self._thrown(error)
                    self._threw = error
                    self._go_on()
                else:
                    self._outlet.sent = sent
                    if not self._held and not self._over:
                        self._go_on()
            self._rival.result()
            return self._returned
        except BaseException as error:
            if not self._over:
                await self._leave(error, call)
            raise
        finally:
            self._settle(call)

    async def _has_next(self) -> bool:
        if not self._held:
            await self._there.wait()
        return bool(self._held)

    def _go_on(self) -> None:
        self._there = self._event()
        self._wanted.set()

    async def _leave(self, error: BaseException, call: Call) -> None:
        """End it for a reader that was stopped by *error*, and wait until it has ended where one can wait."""
        self._there = self._event()
        self.cancel()
        if isinstance(error, self._cancelled):
            await self._shielded()
        elif isinstance(error, GeneratorExit) and call.outlet.closing:
            try:
                await self._there.wait()
            except self._cancelled:
                self._rival.cancel()
                await self._shielded()
                raise
            self._rival.result()  # what went wrong while it was closed comes out
        # Else it was thrown into a wait of ours, by whoever may not be kept waiting.

    async def _shielded(self) -> None:
        with anyio.CancelScope(shield=True):
            await self._there.wait()

    def _settle(self, call: Call) -> None:
        super()._settle(call)
        if not self._over:
            call.orphans = (*call.orphans, self)

    def cancel(self) -> None:
        """Close it where it stands still, else cancel its task; what it does about that holds up nobody."""
        self._left = True
        if self._stands:
            self._wanted.set()
        else:
            self._rival.cancel()

    def when_arrived(self, callback: Callable[[], object]) -> None:
        """Call *callback* on the loop's thread."""
        if self._over or self._stands:
            callback()
        else:
            self._watchers.append(callback)

    def when_finished(self, callback: Callable[[], object]) -> None:
        """Call *callback* once it is closed and nothing that it left behind runs any more."""
        self._rival.when_finished(callback)


async def _kept(step: Step, call: Call, returned: list[Any]) -> None:
    returned.append(await step(call))


def _primitives(task: asyncio.Task[object] | None) -> tuple[Callable[[], Any], type[BaseException]]:
    """How to wait on the loop that runs *task*, and what it cancels with; on trio, where there is none."""
    if task is not None:
        return asyncio.Event, asyncio.CancelledError
    import trio

    return trio.Event, trio.Cancelled
