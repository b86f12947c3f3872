"""Where a stream's items leave its body, and how a body is run from one item to the next.

The leaf puts an item into its call's outlet and suspends with the outlet itself as the signal. Whoever runs
the body resumes it until it sees that signal; what else an async body suspends for goes on to the event loop.
"""

from __future__ import annotations

import types
from collections.abc import Callable, Coroutine, Generator
from typing import Any

from .._call import Call


class Outlet:
    """Where items leave the pipeline, and what the consumer sends comes in, its leaving included."""

    __slots__ = ("closing", "item", "sent", "tap")

    def __init__(self) -> None:
        self.closing = False
        self.item: Any = None
        self.sent: Any = None
        self.tap: Callable[[Any], bool] | None = None
        """Looks at each item that is about to be passed on, and says whether to."""


@types.coroutine
def emit(call: Call, item: Any) -> Generator[Outlet, None, Any]:
    """Pass *item* on to the consumer; returns what it sends back."""
    outlet: Outlet = call.outlet
    tap = outlet.tap
    if tap is not None and not tap(item):
        return None
    outlet.item = item
    call.emitted += 1
    yield outlet
    if outlet.closing:
        # Raised here and not thrown in: a GeneratorExit that is thrown into a coroutine closes what it awaits
        # at once, and no cleanup could wait for anything.
        raise GeneratorExit
    sent, outlet.sent = outlet.sent, None
    return sent


@types.coroutine
def until_item(
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


async def finish(resume: Callable[[], Any], body: Coroutine[Any, Any, Any], outlet: Outlet) -> None:
    """Run *body* to its end, as the consumer has left: its stream is closed, which may have to be awaited."""
    outlet.closing = True
    try:
        emitted = await until_item(resume, body, outlet)
    except GeneratorExit:
        return
    if emitted:
        body.close()


def suspended(name: str) -> RuntimeError:
    """The error of a plain stream whose body waits for what nobody can resume it from."""
    return RuntimeError(
        f"a policy of {name!r} suspended in a plain stream, where nothing can resume it; "
        "in around(), await only proceed(call) and call.runtime"
    )
