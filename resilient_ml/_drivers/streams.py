"""Streams: calls whose items pass by while the policies' bodies wait inside ``proceed``.

A body runs as a coroutine. The leaf pulls items from the user's stream; for each it puts the item into the
call's outlet and suspends with the outlet itself as the signal. The driver, which is what the user iterates,
resumes the coroutine until it sees that signal, and yields the item. What else an async body suspends for
goes on to the event loop. So no cancel scope is ever open across a ``yield``, and a body sees a stream as
one call that takes long.

What the consumer sends or throws in, and its closing early, reach the user's stream through the bodies.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

from .._ambient import AMBIENT
from .._call import NEVER, STREAM_SLOTS, Call, call_type, make_stream_call
from .._colour import Colour, Target, name_of
from .._derive import Step
from .._passage import Tape
from .._stream_rules import StreamRules
from ..errors import DeadlineExceeded
from . import blocking
from .attempt import THROWN, Attempt
from .blocking import BlockingCoroutines
from .outlet import Outlet, emit, suspended
from .thread_streams import ThreadStream
from .workers import start_after

_NONE: dict[str, Any] = {}
"""No keyword arguments."""


async def emit_whole(call: Call, item: Any) -> Any:
    """Emit *item* as the whole answer: what was passed on before is void."""
    tape = call.tape
    if tape is not None:
        if call.emitted:
            reset = tape.reset(call.attempt)
            tape.passed(reset)
            await emit(call, reset)
        tape.passed(item)
    return await emit(call, item)


async def leaf(call: Call) -> Any:
    """Pull the user's sync stream to its end."""
    if call.tape is not None or call.gaps or call.deadline != NEVER:
        return await _watched(call)
    stream = iter(call.fn(*call.args, **call.kwargs))
    advance: Callable[[], Any] = stream.__next__
    try:
        while True:
            try:
                item = advance()
            except StopIteration as stop:
                return stop.value
            try:
                sent = await emit(call, item)
            except GeneratorExit:
                raise
            except BaseException as error:
                advance = partial(thrower(stream, "throw"), error)
            else:
                advance = stream.__next__ if sent is None else partial(stream.send, sent)
    finally:
        _close(stream, call, 0)


async def _watched(call: Call) -> Any:
    """The same where there are limits or rules: each pull is timed, and each chunk looked at."""
    attempt = Attempt(call)
    passage, tape = attempt.passage, attempt.tape
    orphans = call.orphans
    stream: Any = None
    returned: Any = None
    try:
        try:
            args, kwargs = passage.arguments(call.args, call.kwargs)
            stream = iter(_pull(attempt, call.fn, args, kwargs))
            advance: Callable[[], Any] = stream.__next__
            while True:
                try:
                    chunk = _pull(attempt, advance)
                except StopIteration as stop:
                    returned = stop.value
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
                    advance = partial(thrower(stream, "throw"), attempt.thrown_by_reader(error))
                else:
                    advance = stream.__next__ if sent is None else partial(stream.send, sent)
            rest = passage.end(name_of(call.fn), call.now())
        except Exception as error:
            if attempt.failed(error):
                raise
            rest = passage.end(name_of(call.fn), call.now())
        await emit_rest(attempt, rest)
        return returned
    finally:
        if stream is not None:
            _close(stream, call, len(orphans))


async def emit_rest(attempt: Attempt, items: Sequence[Any]) -> None:
    """Emit what is left when the user's stream has ended; what the reader throws in now comes out again."""
    for item in items:
        attempt.tape.passed(item)
        try:
            await emit(attempt.call, item)
        except GeneratorExit:
            raise
        except BaseException:
            attempt.tape.lost = THROWN
            raise


def _pull(
    attempt: Attempt, step: Callable[..., Any], args: tuple[Any, ...] = (), kwargs: dict[str, Any] = _NONE
) -> Any:
    call = attempt.call
    attempt.begin()
    try:
        if call.deadline == NEVER:
            return step(*args, **kwargs)
        return blocking.limited(call, step, args, kwargs)
    except DeadlineExceeded as error:
        own = attempt.own(error)
        if own is None:
            raise
        raise own from error
    finally:
        attempt.end()


def _close(stream: Any, call: Call, before: int) -> None:
    """Close the user's stream; once its thread has left it, where it was abandoned inside a pull."""
    close = getattr(stream, "close", None)
    if close is None:
        return
    jobs = call.orphans[before:]
    if jobs:
        call.orphans = (*call.orphans, start_after(jobs[-1], close))
    else:
        close()


def thrower(stream: Any, name: str) -> Callable[[BaseException], Any]:
    """The stream's own throw, or one that raises where it has none."""

    def raise_it(error: BaseException) -> Any:
        raise error

    return getattr(stream, name, raise_it)


class StreamRuntime(BlockingCoroutines):
    """Blocks the thread; what takes the call's place emits."""

    async def invoke(self, target: Target, call: Call) -> Any:
        """Stream *target* with the call's arguments; a plain function's result is a single item."""
        own, call.fn = call.fn, target.fn
        try:
            if target.colour is Colour.STREAM:
                return await leaf(call)
            return await emit_whole(call, blocking.leaf(call))
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

    def spawn(self, step: Step, call: Call) -> ThreadStream:
        """Start *step* on a worker thread, where it runs to its first content."""
        return ThreadStream(step, call)

    async def carry_on(self, rival: ThreadStream, call: Call) -> Any:
        """Pass on what *rival* has and what follows."""
        return await rival.carry_on(call)


StreamCall = call_type("StreamCall", StreamRuntime(), time.monotonic, STREAM_SLOTS)


def guarded_stream(
    fn: Callable[..., Any], step: Step, name: str, rules: StreamRules | None
) -> Callable[..., Any]:
    """A generator function that runs *step* around *fn*, whose chunks mean what *rules* say."""

    def guarded(*args: Any, **kwargs: Any) -> Any:
        outlet = Outlet()
        tape = None if rules is None else Tape(rules, StreamCall.now())
        call = make_stream_call(StreamCall, fn, args, kwargs, AMBIENT.get(), outlet, tape)
        body = step(call)
        again = resume = partial(body.send, None)
        try:
            while True:
                try:
                    signal = resume()
                except StopIteration as stop:
                    return stop.value
                if signal is not outlet:
                    body.close()
                    raise suspended(name)
                try:
                    outlet.sent = yield outlet.item
                except GeneratorExit:
                    body.close()
                    raise
                except BaseException as error:
                    resume = partial(body.throw, error)
                else:
                    resume = again
        finally:
            forget(call)

    return guarded


def forget(call: Call) -> None:
    """The call is over: its error holds its frames, and these would hold the error."""
    if call.tape is not None:
        call.tape.cut = None
