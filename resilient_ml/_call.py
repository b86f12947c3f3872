"""What one call knows, and what its policies may wait for.

A :class:`Call` is made once per call and holds everything that belongs to that call alone.
A :class:`Runtime` is everything a policy's body may wait for; which one it is decides whether the body
blocks its thread or suspends its task.
"""

from __future__ import annotations

import itertools
import math
import types
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Any, Protocol, TypeVar

from ._forks import survive_forks

if TYPE_CHECKING:
    from ._colour import Target
    from ._outcome import Record
    from ._passage import Tape
    from ._policy import Policy
    from ._race import Rival

T = TypeVar("T")

NEVER = math.inf
"""The deadline of a call that has none."""


class Signal(Protocol):
    """A one-shot flag that one call waits for and any thread may set."""

    def set(self) -> bool:
        """Wake whoever waits; False when nobody can be woken any more, as its event loop is gone."""


class Job(Protocol):
    """User code that runs on a worker thread and may outlive the call that started it."""

    def when_finished(self, callback: Callable[[], object]) -> None:
        """Call *callback* once the thread has left the user's code, at once if it has already."""


class Limit:
    """The limit that a policy put on a call: who set it, and what it has left behind.

    Attributes:
        seconds: The limit.
        policy: The name of the policy, for messages.
        max_abandoned: How many threads may be left behind before calls are refused.
        grace: How long a coroutine may take to end once it is cancelled; None for as long as it likes.
        phase: Which part of a stream it limits: ``"first"``, ``"gap"`` or ``"total"``.
        running: The jobs that were abandoned and still run.
    """

    __slots__ = ("__weakref__", "grace", "max_abandoned", "phase", "policy", "running", "seconds")

    def __init__(
        self,
        seconds: float,
        policy: str,
        *,
        max_abandoned: int,
        grace: float | None = None,
        phase: str = "total",
    ) -> None:
        self.seconds: float = seconds
        self.policy: str = policy
        self.phase: str = phase
        self.max_abandoned: int = max_abandoned
        self.grace: float | None = grace
        self.running: set[Job] = set()
        survive_forks(self)

    def abandon(self, job: Job) -> None:
        """Count *job* until its thread returns."""
        self.running.add(job)
        job.when_finished(lambda: self.running.discard(job))

    def after_fork(self) -> None:
        """The threads that were left behind are not in this process."""
        self.running = set()


class Gap(Protocol):
    """How long a stream's reader may wait for the next chunk."""

    def allowed(self) -> float:
        """Seconds that may pass now."""

    def observe(self, seconds: float) -> None:
        """So long it took this time."""


class Runtime(Protocol):
    """All that a body may wait for.

    The two that ship block a thread or suspend a task; tests use a virtual one.
    Where a body was derived for plain calls (see ``_derive``) these are plain functions.
    """

    def sleep(self, seconds: float) -> Awaitable[None]:
        """Wait *seconds*."""

    def signal(self) -> Signal:
        """A fresh signal for this call to wait on."""

    def wait(self, signal: Any, until: float) -> Awaitable[bool]:
        """Wait for *signal* until the instant *until*; True if it came."""

    def invoke(self, target: Target, call: Call) -> Awaitable[Any]:
        """Run *target* in place of the call's own function, with the same arguments and deadline."""

    def serve(self, value: Any, call: Call) -> Awaitable[None]:
        """Pass *value* on as an item, where the call is a stream; a plain call just returns it."""

    def run(self, policy: Policy, proceed: Proceed[T], call: Call) -> Awaitable[T]:
        """Run another policy's body around *proceed*."""

    def relay(self, item: Any, call: Call) -> Awaitable[None]:
        """Pass *item* on as one of many, where the call is a stream."""

    def who(self) -> object:
        """What runs the body: the number of a thread, or a task."""

    def spawn(self, step: Callable[[Call], Any], call: Call) -> Rival:
        """Start *step* with a call of its own, on a worker thread or in a task; a stream to its content."""

    def carry_on(self, rival: Any, call: Call) -> Awaitable[Any]:
        """Pass on, as *call*'s, what a *rival* that streams has and what follows; gives what it returns."""

    def aside(self, work: Callable[[], object]) -> bool:
        """Start plain *work* on a worker thread; nobody waits for it. Whether there was a thread to start."""


# Under a name of its own, as the kinds of call that stream or record have slots where this has constants.
_SLOTS = ("args", "attempt", "deadline", "degraded", "fn", "kwargs", "limit", "orphans", "threads")


class Call:
    """All that one call knows.

    Attributes:
        fn: The user's callable.
        args: Its positional arguments.
        kwargs: Its keyword arguments.
        deadline: The instant it must end by, on the clock of :meth:`now`; ``inf`` for none.
        limit: The policy's limit that set the deadline; None when it is the caller's own, or there is none.
        threads: The limit that lets a plain function be left behind on a worker thread, or None.
        attempt: Which attempt this is, from 1.
        emitted: How many items of a stream have been passed on, in all attempts.
        orphans: Jobs of this call that were abandoned and still run.
        degraded: Set where a fallback or a stale value answered; not there at all otherwise, so that it costs
            other calls nothing: ``getattr(call, "degraded", False)``.
        record: Where attempts are written down, or None when nobody asked.
        outlet: Where a stream's items leave the pipeline; set for streams alone.
        tape: What is known of a stream over all its attempts; None where nobody needs it.
        then: The deadline and the limit that hold once a stream's first content has come; None where those
            of now hold on.
        gaps: How long the wait for a stream's next chunk may be, and who says so.
        runtime: What the call's policies may wait for (one for each colour, on the class).
    """

    __slots__ = _SLOTS
    fn: Callable[..., Any]
    args: tuple[Any, ...]
    kwargs: dict[str, Any]
    deadline: float
    limit: Limit | None
    threads: Limit | None
    attempt: int
    orphans: tuple[Job, ...]
    degraded: bool

    # On the class, so that they cost a call nothing; the kinds of call that use one have a slot for it.
    runtime: Runtime
    record: Record | None = None
    emitted: int = 0
    outlet: Any = None
    tape: Tape | None = None
    then: tuple[float, Limit | None] | None = None
    gaps: tuple[tuple[Limit, Gap], ...] = ()

    if TYPE_CHECKING:

        @staticmethod
        def now() -> float:
            """The monotonic clock, in seconds."""
            return 0.0


def call_type(
    name: str,
    runtime: Runtime,
    clock: Callable[[], float],
    slots: tuple[str, ...] = (),
    base: type[Call] = Call,
) -> type[Call]:
    """A kind of Call bound to one runtime and one clock, so that neither is stored per call.

    Args:
        name: What it is called.
        runtime: What its policies wait for.
        clock: Its monotonic clock, in seconds.
        slots: Attributes that it holds for each call where others share a constant.
        base: The kind of call that it is otherwise like.
    """
    return types.new_class(
        name, (base,), exec_body=lambda body: body.update(__slots__=slots, runtime=runtime, now=clock)
    )


def make_call(
    kind: type[Call],
    fn: Callable[..., Any],
    args: tuple[Any, ...],
    kwargs: dict[str, Any],
    deadline: float,
) -> Call:
    """A fresh call. The guarded functions of ``_drivers`` spell this out in line, for speed."""
    call = kind()
    call.fn = fn
    call.args = args
    call.kwargs = kwargs
    call.deadline = deadline
    call.limit = None
    call.threads = None
    call.attempt = 1
    call.orphans = ()
    return call


def make_stream_call(
    kind: type[Call],
    fn: Callable[..., Any],
    args: tuple[Any, ...],
    kwargs: dict[str, Any],
    deadline: float,
    outlet: Any,
    tape: Tape | None,
) -> Call:
    """A fresh call of a stream, whose items leave through *outlet* and are written down on *tape*."""
    call = make_call(kind, fn, args, kwargs, deadline)
    call.emitted = 0
    call.outlet = outlet
    call.tape = tape
    call.then = None
    call.gaps = ()
    return call


def fork_call(call: Call) -> Call:
    """A call of its own for an attempt that runs beside others; a stream's with a way out of its own."""
    if call.outlet is None:
        own = make_call(type(call), call.fn, call.args, call.kwargs, call.deadline)
    else:
        tape = None if call.tape is None else call.tape.fork()
        own = make_stream_call(
            type(call), call.fn, call.args, call.kwargs, call.deadline, type(call.outlet)(), tape
        )
        own.then = call.then
        own.gaps = call.gaps
    own.limit = call.limit
    own.threads = call.threads
    own.attempt = call.attempt
    if call.record is not None:
        own.record = call.record
    return own


STREAM_SLOTS = ("emitted", "gaps", "outlet", "tape", "then")
"""What a call of a stream holds beside the rest."""


def make_recorded_call(
    kind: type[Call],
    fn: Callable[..., Any],
    args: tuple[Any, ...],
    kwargs: dict[str, Any],
    deadline: float,
    record: Record,
) -> Call:
    """A fresh call whose attempts are written down in *record*."""
    call = make_call(kind, fn, args, kwargs, deadline)
    call.record = record
    return call


def when_all_finished(jobs: tuple[Job, ...], callback: Callable[[], object]) -> None:
    """Call *callback* once, when the last of *jobs* has finished."""
    # next() is one step: of several threads that end together exactly one draws 0.
    left = itertools.count(len(jobs) - 1, -1)

    def ended() -> None:
        if next(left) == 0:
            callback()

    for job in jobs:
        job.when_finished(ended)


def with_orphans(call: Call, callback: Callable[[], object]) -> Callable[[], None]:
    """What to call when *call* has ended, so that *callback* comes once all it left behind has ended too."""

    def ended() -> None:
        if call.orphans:
            when_all_finished(call.orphans, callback)
        else:
            callback()

    return ended


Proceed = Callable[[Call], Awaitable[T]]
"""The rest of the pipeline, as a policy's body sees it."""
