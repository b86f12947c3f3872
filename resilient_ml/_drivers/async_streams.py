"""Async streams: as ``streams``, with a coroutine that may also suspend for the event loop."""

from __future__ import annotations

import asyncio
import inspect
import math
import time
from collections.abc import Awaitable, Callable
from functools import partial
from typing import Any

from .._ambient import AMBIENT
from .._call import NEVER, STREAM_SLOTS, Call, Job, call_type, make_stream_call
from .._colour import Colour, Target, name_of
from .._derive import Step
from .._passage import Tape
from .._stream_rules import StreamRules
from ..errors import DeadlineExceeded
from . import suspending
from .attempt import Attempt
from .expiry import Expiry, LoopTimer, timer_of
from .leaf import expired
from .loops import running_task
from .outlet import Outlet, emit, finish, until_item
from .own_task import close_behind
from .streams import emit_rest, emit_whole, forget, thrower
from .suspending import Suspending
from .task_streams import TaskStream


async def leaf(call: Call) -> Any:
    """Pull the user's async stream to its end."""
    if call.tape is not None or call.gaps or call.deadline != NEVER:
        return await _watched(call)
    orphans = call.orphans
    stream = await _open(call.fn, call.args, call.kwargs)
    advance: Callable[[], Any] = stream.__anext__
    try:
        while True:
            try:
                item = await advance()
            except StopAsyncIteration:
                return None
            try:
                sent = await emit(call, item)
            except GeneratorExit:
                raise
            except BaseException as error:
                advance = partial(thrower(stream, "athrow"), error)
            else:
                advance = stream.__anext__ if sent is None else partial(stream.asend, sent)
    finally:
        await _close(stream, call, orphans)


async def _watched(call: Call) -> None:
    """The same where there are limits or rules: each pull is timed, and each chunk looked at."""
    attempt = Attempt(call)
    passage, tape = attempt.passage, attempt.tape
    orphans = call.orphans
    stream: Any = None
    pulls = _Pulls(attempt)
    try:
        try:
            args, kwargs = passage.arguments(call.args, call.kwargs)
            stream = await pulls.pull(partial(_open, call.fn, args, kwargs))
            advance: Callable[[], Any] = stream.__anext__
            while True:
                try:
                    chunk = await pulls.pull(advance)
                except StopAsyncIteration:
                    break
                items = attempt.came(chunk)
                sent = None
                try:
                    for item in items:
                        tape.passed(item)
                        sent = await emit(call, item)
                except GeneratorExit:
                    raise
                except BaseException as error:
                    advance = partial(thrower(stream, "athrow"), attempt.thrown_by_reader(error))
                else:
                    advance = stream.__anext__ if sent is None else partial(stream.asend, sent)
            rest = passage.end(name_of(call.fn), call.now())
        except Exception as error:
            if attempt.failed(error):
                raise
            rest = passage.end(name_of(call.fn), call.now())
        await emit_rest(attempt, rest)
    finally:
        pulls.over()
        if stream is not None:
            await _close(stream, call, orphans)


class _Pulls:
    """The pulls of one attempt, each within its deadline; on asyncio with one entry in the loop's timer."""

    __slots__ = ("_attempt", "_expiry", "_timer")

    def __init__(self, attempt: Attempt) -> None:
        self._attempt = attempt
        self._timer: LoopTimer | None = None
        self._expiry: Expiry | None = None

    async def pull(self, step: Callable[[], Awaitable[Any]]) -> Any:
        """What *step* comes to."""
        attempt = self._attempt
        call = attempt.call
        now = attempt.begin()
        try:
            if call.deadline == NEVER:
                return await step()
            if call.deadline <= now:
                raise expired(call)
            task = running_task()
            if task is None or (call.threads is not None and call.threads.grace is not None):
                return await suspending.limited(call, step())
            # As in suspending.limited(), but for the entry, which is armed again and again.
            loop = task.get_loop()
            if self._timer is None:
                self._timer = timer_of(loop)
                self._expiry = self._timer.watch(task)
            expiry = self._expiry
            assert expiry is not None
            cancels = task.cancelling()
            self._timer.arm(expiry, call.deadline - now, task, loop)
            token = AMBIENT.set(call.deadline)
            try:
                item = await step()
            except BaseException as error:
                if expiry.fired:
                    expiry.fired = False
                    if task.uncancel() <= cancels and isinstance(error, asyncio.CancelledError):
                        raise expired(call) from None
                raise
            finally:
                expiry.until = math.inf
                try:  # noqa: SIM105 - suppress() would cost each chunk
                    AMBIENT.reset(token)
                except ValueError:
                    pass  # closed from another context: there is nothing to restore
            if expiry.fired:
                # The user's code swallowed the cancellation and answered late.
                expiry.fired = False
                task.uncancel()
                raise expired(call)
            return item
        except DeadlineExceeded as error:
            own = attempt.own(error)
            if own is None:
                raise
            raise own from error
        finally:
            attempt.end()

    def over(self) -> None:
        """No pull follows."""
        if self._timer is not None and self._expiry is not None:
            self._timer.remove(self._expiry)
            self._timer = None


async def _open(fn: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    """The user's stream; clients often give it out of a coroutine."""
    stream = fn(*args, **kwargs)
    if inspect.isawaitable(stream):
        stream = await stream
    return aiter(stream)


async def _close(stream: Any, call: Call, orphans: tuple[Job, ...]) -> None:
    """Close the user's stream; one that was left behind since *orphans*, once it has ended."""
    close = getattr(stream, "aclose", None) or getattr(stream, "close", None)
    if close is None or (call.orphans is orphans and getattr(stream, "ag_running", False)):
        pass  # there is nothing to close, or the loop is doing it, as it does with all that are left
    elif call.orphans is not orphans:
        close_behind(close, call, call.orphans[-1])  # left behind inside a pull, where it still runs
    elif inspect.isawaitable(closing := close()):
        await closing


class AsyncStreamRuntime(Suspending):
    """Suspends the task; what takes the call's place emits."""

    async def invoke(self, target: Target, call: Call) -> Any:
        """Stream *target* with the call's arguments; the result of a function is a single item."""
        own, call.fn = call.fn, target.fn
        try:
            if target.colour is Colour.ASYNC_STREAM:
                return await leaf(call)
            return await emit_whole(call, await suspending.LEAVES[target.colour](call))
        finally:
            call.fn = own

    async def serve(self, value: Any, call: Call) -> None:
        """Emit *value* as a single item."""
        await emit_whole(call, value)

    async def relay(self, item: Any, call: Call) -> None:
        """Emit *item*; what the reader sends back is nobody's."""
        if call.tape is not None:
            call.tape.passed(item)
        await emit(call, item)

    def spawn(self, step: Step, call: Call) -> TaskStream:
        """Start *step* in a task of its own, where it runs to its first content."""
        return TaskStream(step, call, running_task())

    async def carry_on(self, rival: TaskStream, call: Call) -> Any:
        """Pass on what *rival* has and what follows."""
        return await rival.carry_on(call)


AsyncStreamCall = call_type("AsyncStreamCall", AsyncStreamRuntime(), time.monotonic, STREAM_SLOTS)


def guarded_async_stream(fn: Callable[..., Any], step: Step, rules: StreamRules | None) -> Callable[..., Any]:
    """An async generator function that runs *step* around *fn*, whose chunks mean what *rules* say."""

    async def guarded(*args: Any, **kwargs: Any) -> Any:
        outlet = Outlet()
        tape = None if rules is None else Tape(rules, AsyncStreamCall.now())
        call = make_stream_call(AsyncStreamCall, fn, args, kwargs, AMBIENT.get(), outlet, tape)
        body = step(call)
        again = resume = partial(body.send, None)
        try:
            while await until_item(resume, body, outlet):
                try:
                    outlet.sent = yield outlet.item
                except GeneratorExit:
                    # The user's stream is closed by the leaf, which may have to wait for it.
                    await finish(again, body, outlet)
                    raise
                except BaseException as error:
                    resume = partial(body.throw, error)
                else:
                    resume = again
        finally:
            forget(call)

    return guarded
