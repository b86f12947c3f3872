"""Async calls: the runtime that suspends its task, and the leaves that await or offload the user's code.

On asyncio the happy path uses the loop's own primitives; trio is served through anyio.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from typing import Any

import anyio

from .._ambient import AMBIENT
from .._call import NEVER, Call, call_type
from .._colour import Colour, Target, name_of
from .._derive import Step, bind_suspending
from .._policy import Policy
from .._race import Rival
from ..kinds import kind_of
from .expiry import timer_of
from .leaf import UNFINISHED, UNLIMITED, abandon, check_room, expired, unfinished
from .loops import running_task
from .own_task import in_own_task
from .rivals import rival_in_task
from .workers import aside, start


async def leaf(call: Call) -> Any:
    """Await the user's coroutine, within the deadline."""
    if call.deadline == NEVER:
        result = await call.fn(*call.args, **call.kwargs)
    else:
        check_time(call)
        result = await limited(call, call.fn(*call.args, **call.kwargs))
    if type(result) in UNFINISHED:
        raise unfinished(result, call, Colour.ASYNC_CALL)
    return result


def check_time(call: Call) -> None:
    """Refuse to begin when there is no time left."""
    if call.deadline <= call.now():
        raise expired(call)


async def limited(call: Call, answer: Awaitable[Any]) -> Any:
    """Await *answer* and cancel it at the deadline."""
    task = running_task()
    if task is None:
        return await _limited_by_scope(call, answer)
    threads = call.threads
    if threads is not None and threads.grace is not None:
        return await in_own_task(call, answer, threads, threads.grace)
    loop = task.get_loop()
    timer = timer_of(loop)
    cancels = task.cancelling()
    expiry = timer.add(call.deadline - call.now(), task, loop)
    token = AMBIENT.set(call.deadline)
    try:
        result = await answer
    except BaseException as error:
        # A cancellation from outside that comes with ours wins: then more than ours is counted.
        if expiry.fired and task.uncancel() <= cancels and isinstance(error, asyncio.CancelledError):
            raise expired(call) from None
        raise
    finally:
        timer.remove(expiry)
        try:  # noqa: SIM105 - suppress() would cost each call
            AMBIENT.reset(token)
        except ValueError:
            pass  # closed from another context, as by the garbage collector: there is nothing to restore
    if expiry.fired:
        # The user's code swallowed the cancellation and answered late.
        task.uncancel()
        raise expired(call)
    return result


async def _limited_by_scope(call: Call, answer: Awaitable[Any]) -> Any:
    token = AMBIENT.set(call.deadline)
    try:
        with anyio.CancelScope(deadline=anyio.current_time() + call.deadline - call.now()) as scope:
            result = await answer
    finally:
        AMBIENT.reset(token)
    if scope.cancelled_caught or call.now() > call.deadline:
        raise expired(call)
    return result


async def offload(call: Call) -> Any:
    """Run the user's plain function on a worker thread, within the deadline."""
    result = await on_thread(call, call.fn, call.args, call.kwargs)
    if type(result) in UNFINISHED:
        raise unfinished(result, call, Colour.CALL)
    return result


async def on_thread(call: Call, fn: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    """Run *fn* on a worker thread; whoever stops waiting leaves it behind there."""
    check_time(call)
    limit = call.threads or call.limit or UNLIMITED
    check_room(limit)
    runtime = call.runtime
    signal = runtime.signal()
    job = start(fn, args, kwargs, call.deadline)
    job.when_finished(signal.set)
    try:
        in_time = await runtime.wait(signal, call.deadline)
    except BaseException:
        abandon(job, call, limit)
        raise
    if not in_time and not job.finished:
        abandon(job, call, limit)
        raise expired(call)
    return job.result()


def recording(step: Step) -> Step:
    """*step*, written down in the call's record."""

    async def recorded(call: Call) -> Any:
        began = call.now()
        try:
            result = await step(call)
        except Exception as error:
            if call.record is not None:
                call.record.ended(name_of(call.fn), began, call.now(), kind_of(error))
            raise
        if call.record is not None:
            call.record.ended(name_of(call.fn), began, call.now(), None)
        return result

    return recorded


LEAVES = {Colour.CALL: recording(offload), Colour.ASYNC_CALL: recording(leaf)}


class LoopFlag:
    """A signal that an asyncio task waits for."""

    __slots__ = ("_future", "_loop")

    def __init__(self, task: asyncio.Task[object]) -> None:
        self._loop = task.get_loop()
        self._future: asyncio.Future[bool] = self._loop.create_future()

    def set(self) -> bool:
        """Wake the task, from any thread; False when its loop is closed."""
        try:
            self._loop.call_soon_threadsafe(self._resolve, True)
        except RuntimeError:
            return False
        return True

    def _resolve(self, came: bool) -> None:
        if not self._future.done():
            self._future.set_result(came)

    async def wait(self, seconds: float) -> bool:
        """Suspend until set, at most *seconds*."""
        if seconds == NEVER:
            return await self._future
        handle = self._loop.call_later(seconds, self._resolve, False)
        try:
            return await self._future
        finally:
            handle.cancel()


class TrioFlag:
    """A signal that a trio task waits for."""

    __slots__ = ("_event", "_token")

    def __init__(self) -> None:
        import trio

        self._token = trio.lowlevel.current_trio_token()
        self._event = trio.Event()

    def set(self) -> bool:
        """Wake the task, from any thread; False when its run has ended."""
        import trio

        try:
            self._token.run_sync_soon(self._event.set)
        except trio.RunFinishedError:
            return False
        return True

    async def wait(self, seconds: float) -> bool:
        """Suspend until set, at most *seconds*."""
        with anyio.move_on_after(None if seconds == NEVER else seconds):
            await self._event.wait()
        return self._event.is_set()


def _trio_task() -> object:
    import trio

    return trio.lowlevel.current_task()


class Suspending:
    """Waits by suspending the task."""

    async def sleep(self, seconds: float) -> None:
        """Wait *seconds*; even for 0 the loop gets its turn, and a cancellation is seen."""
        await anyio.sleep(seconds)

    def signal(self) -> LoopFlag | TrioFlag:
        """A fresh flag for this task."""
        task = running_task()
        return TrioFlag() if task is None else LoopFlag(task)

    async def wait(self, signal: LoopFlag | TrioFlag, until: float) -> bool:
        """Wait for *signal* until the instant *until*."""
        return await signal.wait(max(0.0, until - AsyncCall.now()))

    async def invoke(self, target: Target, call: Call) -> Any:
        """Call *target* with the call's arguments and deadline; a plain function on a worker thread."""
        own, call.fn = call.fn, target.fn
        try:
            return await LEAVES[target.colour](call)
        finally:
            call.fn = own

    async def serve(self, value: Any, call: Call) -> None:
        """The caller returns *value* itself."""

    async def run(self, policy: Policy, proceed: Step, call: Call) -> Any:
        """Run *policy*'s body around *proceed*."""
        return await bind_suspending(policy, proceed, copied=False)(call)

    async def relay(self, item: Any, call: Call) -> None:
        """A call has no items."""

    async def carry_on(self, rival: Any, call: Call) -> None:
        """A call that has ended has no rest."""

    def who(self) -> object:
        """This task."""
        return running_task() or _trio_task()

    def spawn(self, step: Step, call: Call) -> Rival:
        """Start *step* in a task of its own."""
        return rival_in_task(step, call, running_task())

    def aside(self, work: Callable[[], object]) -> bool:
        """Start *work* on a worker thread; whether one could be started."""
        return aside(work)


AsyncCall = call_type("AsyncCall", Suspending(), time.monotonic)
