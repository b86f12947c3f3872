"""What policies wait for in a simulation, and the leaf that calls a simulated server.

The bodies of the policies run as they do for async callers: the same coroutines, bound in the same way. Only
what they wait for is the simulation's loop.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from ..._ambient import AMBIENT
from ..._call import NEVER, Call, call_type
from ..._colour import Colour, Target
from ..._derive import Step, bind_suspending
from ..._drivers.leaf import expired
from ..._policy import Policy
from .loop import Cancelled, Loop, Wait
from .request_tasks import SimulatedRival


class Flag(Wait):
    """A signal that one call waits for."""

    __slots__ = ("_loop", "came")

    def __init__(self, loop: Loop) -> None:
        super().__init__()
        self._loop = loop
        self.came: bool = False

    def set(self) -> bool:
        """Wake whoever waits, once the one who sets it waits or ends."""
        self.came = True
        self._loop.at(self._loop.now, Wait.resume, self)
        return True


class Simulated:
    """Waits in simulated time.

    Args:
        loop: Whose time.
        leaf: How user code is called, such as :func:`cancelling`.
        stops: Whether what nobody waits for can be cancelled; a thread cannot.
    """

    def __init__(self, loop: Loop, leaf: Step, *, stops: bool) -> None:
        self.leaf: Step = leaf
        self._stops = stops
        self._rivals: dict[SimulatedRival, None] = {}
        self._loop = loop

    def sleep(self, seconds: float) -> Wait:
        """Wait *seconds*."""
        return self._loop.sleep(seconds)

    def signal(self) -> Flag:
        """A fresh flag."""
        return Flag(self._loop)

    async def wait(self, signal: Flag, until: float) -> bool:
        """Wait for *signal* until the instant *until*."""
        if not signal.came:
            if until < NEVER:
                self._loop.late(max(until, self._loop.now), Wait.resume, signal)
            await signal
        return signal.came

    async def invoke(self, target: Target, call: Call) -> Any:
        """Call *target* in place of the call's own function; a plain function answers at once."""
        own, call.fn = call.fn, target.fn
        try:
            if target.colour is Colour.CALL:
                return call.fn(*call.args, **call.kwargs)
            return await self.leaf(call)
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
        """Nobody in particular; what a request is inside of is in its context."""
        return object()

    def spawn(self, step: Step, call: Call) -> SimulatedRival:
        """Start *step* in a task of its own."""
        return SimulatedRival(step, call, stops=self._stops, running=self._rivals)

    def aside(self, work: Callable[[], object]) -> bool:
        """Do *work* at once: it takes no simulated time."""
        work()
        return True

    def close(self) -> None:
        """Unwind the attempts that are still running."""
        for rival in list(self._rivals):
            rival.close()
        self._rivals.clear()


def cancelling(loop: Loop) -> Step:
    """The leaf of awaited calls: await the server, and cancel the wait at the call's deadline."""

    async def leaf(call: Call) -> Any:
        request: Any = call.record
        if call.deadline == NEVER:
            request.sent()
            return await call.fn(*call.args, **call.kwargs)
        if call.deadline <= loop.now:
            raise expired(call)
        request.sent()
        expiry = loop.expire(call.deadline, request)
        token = AMBIENT.set(call.deadline)
        try:
            result = await call.fn(*call.args, **call.kwargs)
        except Cancelled:
            if not expiry.fired:
                raise  # it lost to another attempt
            raise expired(call) from None
        finally:
            expiry.task = None
            AMBIENT.reset(token)
        if expiry.fired:
            raise expired(call)  # the code inside swallowed the cancellation and answered late
        return result

    return leaf


def simulated_call(loop: Loop, leaf: Step, *, stops: bool) -> type[Call]:
    """The kind of call that waits on *loop*."""
    return call_type("SimulatedCall", Simulated(loop, leaf, stops=stops), loop.clock, ("record",))
