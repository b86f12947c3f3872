"""Plain streams that run beside the body which started them.

A stream begins on a worker thread and runs there to its first content. If it wins, its reader's own thread
goes on with it, so that no thread is held while the reader takes its time; all of it runs in one context. If
it loses, it runs on its thread to its first content all the same, as a thread cannot be stopped, and is then
closed on a worker thread: nobody waits for that, but for what policies outside hold.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Coroutine
from functools import partial
from typing import Any

from .._ambient import AMBIENT
from .._call import Call, with_orphans
from .._colour import name_of
from .._derive import Step
from .outlet import emit, suspended
from .rival_streams import RivalStream
from .workers import Job, start, start_after


class ThreadStream(RivalStream):
    """A plain stream that begins on a worker thread."""

    __slots__ = ("__weakref__", "_body", "_closing", "_job")
    _body: Coroutine[Any, Any, Any]

    def __init__(self, step: Step, call: Call) -> None:
        super().__init__(call)
        self._closing: Job | None = None
        self._job = start(self._begin, (step,), {}, AMBIENT.get())

    def _begin(self, step: Step) -> None:
        """Run to the first content, or to the end; on the worker."""
        self._body = body = step(self.call)
        while self._advance(partial(body.send, None)):
            if self._opens():
                return

    def _advance(self, resume: Callable[[], Any]) -> bool:
        """Run the body to its next item; False at its end."""
        try:
            signal = resume()
        except BaseException as stop:
            self._over = True
            if not isinstance(stop, StopIteration):
                raise
            self._returned = stop.value
            return False
        if signal is self.call.outlet:
            return True
        raise suspended(name_of(self.call.fn))

    def result(self) -> tuple[Any, ...]:
        """Its first content, or raise what it failed with."""
        self._job.result()
        return self._first_content()

    async def carry_on(self, call: Call) -> Any:
        """Pass all of it on, on the thread of its reader; gives what it returns."""
        self._won(call)
        body = self._body
        resume = again = partial(body.send, None)
        try:
            while self._held or (not self._over and self._job.within(self._next, resume)):
                resume = again
                try:
                    self._outlet.sent = await emit(call, self._held.popleft())
                except GeneratorExit:
                    raise
                except BaseException as error:
                    self._thrown(error)
                    resume = partial(body.throw, error)
            return self._returned
        except BaseException:
            self._job.within(self._close)
            raise
        finally:
            self._settle(call)

    def _next(self, resume: Callable[[], Any]) -> bool:
        return self._advance(resume) and self._opens()

    def _close(self) -> None:
        self._over = True
        self._body.close()

    def cancel(self) -> None:
        """Close it, once its thread has left it; nobody waits for that."""
        if not self._over:
            self._closing = start_after(self._job, self._shut)

    def _shut(self) -> None:
        with contextlib.suppress(BaseException):  # it has lost: what it ended in is nobody's
            self._job.result()
            self._job.within(self._close)

    def when_arrived(self, callback: Callable[[], object]) -> None:
        """Call *callback* on the worker's thread, once the first content is there or it has ended."""
        self._job.when_finished(callback)

    def when_finished(self, callback: Callable[[], object]) -> None:
        """Call *callback* once it is closed and nothing that it left behind runs any more."""
        (self._closing or self._job).when_finished(with_orphans(self.call, callback))
