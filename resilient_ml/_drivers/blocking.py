"""Plain calls: the runtime that blocks its thread, and the leaf that calls a plain function.

The runtime comes twice. For bodies whose awaits were dropped (``_derive``) its methods are plain functions;
for bodies that run as coroutines each is an ``async def`` around the same function, which never suspends.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Coroutine
from typing import Any

from .._ambient import AMBIENT
from .._call import NEVER, Call, call_type
from .._colour import Colour, Target, name_of
from .._derive import Step, bind_blocking, bind_suspending
from .._policy import Policy
from .._race import Rival
from ..kinds import kind_of
from .leaf import UNFINISHED, abandon, check_room, expired, unfinished
from .loops import warn_if_blocking
from .rivals import ThreadRival
from .workers import aside, start


def leaf(call: Call) -> Any:
    """Call the user's plain function, within the deadline."""
    if call.deadline == NEVER:
        kwargs = call.kwargs  # most calls have none, and unpacking none costs a dict
        result = call.fn(*call.args, **kwargs) if kwargs else call.fn(*call.args)
    else:
        result = limited(call, call.fn, call.args, call.kwargs)
    if type(result) in UNFINISHED:
        raise unfinished(result, call, Colour.CALL)
    return result


def limited(call: Call, fn: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    """Call *fn* and end the wait at the deadline: on a worker thread where a Timeout allows it."""
    left = call.deadline - call.now()
    if left <= 0:
        raise expired(call)
    limit = call.threads
    if limit is None:
        return _refuse_late(call, fn, args, kwargs)
    check_room(limit)
    job = start(fn, args, kwargs, call.deadline)
    try:
        in_time = job.wait(left)
    except BaseException:
        abandon(job, call, limit)
        raise
    if not in_time:
        abandon(job, call, limit)
        raise expired(call)
    return job.result()


def _refuse_late(call: Call, fn: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    token = AMBIENT.set(call.deadline)
    try:
        result = fn(*args, **kwargs)
    finally:
        AMBIENT.reset(token)
    if call.now() > call.deadline:
        raise expired(call)
    return result


def recorded(call: Call) -> Any:
    """The leaf, written down in the call's record."""
    began = call.now()
    try:
        result = leaf(call)
    except Exception as error:
        if call.record is not None:
            call.record.ended(name_of(call.fn), began, call.now(), kind_of(error))
        raise
    if call.record is not None:
        call.record.ended(name_of(call.fn), began, call.now(), None)
    return result


class Flag:
    """A signal that a thread waits for."""

    __slots__ = ("_lock",)

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._lock.acquire()

    def set(self) -> bool:
        """Wake the thread; asked once."""
        self._lock.release()
        return True

    def wait(self, seconds: float) -> bool:
        """Block until set, at most *seconds*."""
        return self._lock.acquire(timeout=max(0.0, min(seconds, threading.TIMEOUT_MAX)))


class Blocking:
    """Waits by blocking the thread."""

    def sleep(self, seconds: float) -> None:
        """Wait *seconds*."""
        if seconds > 0:
            warn_if_blocking(f"sleep {seconds:.3g} s before its next attempt")
            time.sleep(seconds)

    def signal(self) -> Flag:
        """A fresh flag."""
        return Flag()

    def wait(self, signal: Flag, until: float) -> bool:
        """Wait for *signal* until the instant *until*."""
        warn_if_blocking("wait for its turn or its answer")
        return signal.wait(until - PlainCall.now())

    def invoke(self, target: Target, call: Call) -> Any:
        """Call *target* with the call's arguments and deadline."""
        return _instead(call, target, recorded)

    def serve(self, value: Any, call: Call) -> None:
        """The caller returns *value* itself."""

    def run(self, policy: Policy, proceed: Step, call: Call) -> Any:
        """Run *policy*'s body around *proceed*."""
        step = bind_blocking(policy, proceed, copied=False)
        if step is None:
            return complete(bind_suspending(policy, as_coroutine(proceed))(call), policy.name)
        return step(call)

    def relay(self, item: Any, call: Call) -> None:
        """A plain call has no items."""

    def carry_on(self, rival: Any, call: Call) -> None:
        """A call that has ended has no rest."""

    def who(self) -> object:
        """The number of this thread."""
        return threading.get_ident()

    def spawn(self, step: Step, call: Call) -> ThreadRival:
        """Start *step* on a worker thread."""
        return ThreadRival(start(step, (call,), {}, call.deadline), call)

    def aside(self, work: Callable[[], object]) -> bool:
        """Start *work* on a worker thread; whether one could be started."""
        return aside(work)


class BlockingCoroutines:
    """The same, for bodies that run as coroutines: what they await never suspends."""

    def __init__(self) -> None:
        self._blocking = Blocking()

    async def sleep(self, seconds: float) -> None:
        """Wait *seconds*."""
        self._blocking.sleep(seconds)

    def signal(self) -> Flag:
        """A fresh flag."""
        return Flag()

    async def wait(self, signal: Flag, until: float) -> bool:
        """Wait for *signal* until the instant *until*."""
        return self._blocking.wait(signal, until)

    async def invoke(self, target: Target, call: Call) -> Any:
        """Call *target* with the call's arguments and deadline."""
        return self._blocking.invoke(target, call)

    async def serve(self, value: Any, call: Call) -> None:
        """The caller returns *value* itself."""

    async def run(self, policy: Policy, proceed: Step, call: Call) -> Any:
        """Run *policy*'s body around *proceed*."""
        return await bind_suspending(policy, proceed, copied=False)(call)

    async def relay(self, item: Any, call: Call) -> None:
        """A plain call has no items."""

    async def carry_on(self, rival: Any, call: Call) -> None:
        """A call that has ended has no rest."""

    def who(self) -> object:
        """The number of this thread."""
        return threading.get_ident()

    def spawn(self, step: Step, call: Call) -> Rival:
        """Start *step* on a worker thread, where it is run to its end."""
        return ThreadRival(start(_completed, (step, call), {}, call.deadline), call)

    def aside(self, work: Callable[[], object]) -> bool:
        """Start *work* on a worker thread; whether one could be started."""
        return aside(work)


def _completed(step: Step, call: Call) -> Any:
    return complete(step(call), name_of(call.fn))


def _instead(call: Call, target: Target, run: Step) -> Any:
    """Run *target* in the place of the call's function."""
    own, call.fn = call.fn, target.fn
    try:
        return run(call)
    finally:
        call.fn = own


def as_coroutine(step: Step) -> Step:
    """A blocking step where a coroutine function is wanted."""

    async def awaited(call: Call) -> Any:
        return step(call)

    return awaited


def complete(body: Coroutine[Any, Any, Any], name: str) -> Any:
    """Run a coroutine that never suspends to its end, with one send."""
    try:
        body.send(None)
    except StopIteration as stop:
        return stop.value
    body.close()
    raise RuntimeError(
        f"a policy of {name!r} suspended in a plain call, where nothing can resume it; "
        "in around(), await only proceed(call) and call.runtime"
    )


PlainCall = call_type("PlainCall", Blocking(), time.monotonic)  # type: ignore[arg-type]
CoroutineCall = call_type("CoroutineCall", BlockingCoroutines(), time.monotonic)
