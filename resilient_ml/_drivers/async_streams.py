"""Async streams: as ``streams``, with a coroutine that may also suspend for the event loop."""

from __future__ import annotations

import inspect
import time
import types
from collections.abc import Callable, Coroutine, Generator
from functools import partial
from typing import Any

from .._ambient import AMBIENT
from .._call import NEVER, Call, call_type, make_stream_call
from .._colour import Colour, Target
from .._derive import Step
from . import suspending
from .own_task import close_behind
from .streams import Outlet, emit, thrower
from .suspending import Suspending


async def leaf(call: Call) -> None:
    """Pull the user's async stream to its end."""
    orphans = call.orphans
    stream = await _apull(call, _open, call)
    advance: Callable[[], Any] = stream.__anext__
    try:
        while True:
            try:
                item = await (advance() if call.deadline == NEVER else _apull(call, advance))
            except StopAsyncIteration:
                return
            try:
                sent = await emit(call, item)
            except GeneratorExit:
                raise
            except BaseException as error:
                advance = partial(thrower(stream, "athrow"), error)
            else:
                advance = stream.__anext__ if sent is None else partial(stream.asend, sent)
    finally:
        close = getattr(stream, "aclose", None) or getattr(stream, "close", None)
        if close is None or (call.orphans is orphans and getattr(stream, "ag_running", False)):
            pass  # there is nothing to close, or the loop is doing it, as it does with all that are left
        elif call.orphans is not orphans:
            close_behind(close, call, call.orphans[-1])  # left behind inside a pull, where it still runs
        elif inspect.isawaitable(closing := close()):
            await closing


async def _open(call: Call) -> Any:
    """The user's stream; clients often give it out of a coroutine."""
    stream = call.fn(*call.args, **call.kwargs)
    if inspect.isawaitable(stream):
        stream = await stream
    return aiter(stream)


async def _apull(call: Call, step: Callable[..., Any], *args: Any) -> Any:
    if call.deadline == NEVER:
        return await step(*args)
    suspending.check_time(call)
    return await suspending.limited(call, step(*args))


@types.coroutine
def _until_item(
    resume: Callable[[], Any], body: Coroutine[Any, Any, Any], outlet: Outlet
) -> Generator[Any, Any, bool]:
    """Run *body* to its next item (True) or to its end (False); what else it waits for goes to the loop."""
    try:
        signal = resume()
        while signal is not outlet:
            try:
                reply = yield signal
            except BaseException as error:
                signal = body.throw(error)
            else:
                signal = body.send(reply)
    except StopIteration:
        return False
    return True


async def _finish(resume: Callable[[], Any], body: Coroutine[Any, Any, Any], outlet: Outlet) -> None:
    try:
        emitted = await _until_item(resume, body, outlet)
    except GeneratorExit:
        return
    if emitted:
        body.close()


class AsyncStreamRuntime(Suspending):
    """Suspends the task; what takes the call's place emits."""

    async def invoke(self, target: Target, call: Call) -> Any:
        """Stream *target* with the call's arguments; the result of a function is a single item."""
        own, call.fn = call.fn, target.fn
        try:
            if target.colour is Colour.ASYNC_STREAM:
                return await leaf(call)
            return await emit(call, await suspending.LEAVES[target.colour](call))
        finally:
            call.fn = own

    async def serve(self, value: Any, call: Call) -> None:
        """Emit *value* as a single item."""
        await emit(call, value)


AsyncStreamCall = call_type("AsyncStreamCall", AsyncStreamRuntime(), time.monotonic, ("emitted", "outlet"))


def guarded_async_stream(fn: Callable[..., Any], step: Step) -> Callable[..., Any]:
    """An async generator function that runs *step* around *fn*."""

    async def guarded(*args: Any, **kwargs: Any) -> Any:
        outlet = Outlet()
        call = make_stream_call(AsyncStreamCall, fn, args, kwargs, AMBIENT.get(), outlet)
        body = step(call)
        again = resume = partial(body.send, None)
        while await _until_item(resume, body, outlet):
            try:
                outlet.sent = yield outlet.item
            except GeneratorExit:
                # The user's stream is closed by the leaf, which may have to wait for it.
                outlet.closing = True
                await _finish(again, body, outlet)
                raise
            except BaseException as error:
                resume = partial(body.throw, error)
            else:
                resume = again

    return guarded
