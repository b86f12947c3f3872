"""Clients as a scenario describes them: when they ask, whom, and behind which policies."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from ... import _checks
from ..._colour import Colour, target_of
from ..._pipeline import Pipeline, guard_of
from ..._policy import Policy
from .arrivals import Constant, Poisson, Users

Guard = Pipeline | Policy
Arguments = tuple[Any, ...] | Callable[[int], tuple[Any, ...]]


@dataclass(frozen=True, eq=False)
class Clients:
    """A group of clients that ask alike.

    A guard that is given as an object is shared by all of them, as by the threads or tasks of one process,
    and keeps what it has learned when the simulation is over. A function that makes guards is called once for
    each process, and a run with such guards repeats itself.

    Args:
        load: When they ask: :class:`Poisson`, :class:`Constant` or :class:`Users`.
        calls: What they call: a :class:`ModelServer`, :class:`Replicas`, or a coroutine function of
            yours that awaits these and ``simulate.sleep``. It may be guarded itself; what it calls may not.
        guard: The policies around it: a pipeline, a policy, or a function that makes one; None for none.
        args: The arguments of a request; or a function of its number in the group, from 0, that gives them.
            Keyed policies find their key in these.
        kwargs: Keyword arguments of every request.
        deadline: The caller's own deadline for a request, in seconds; None for none.
        processes: How many processes the requests are dealt out to in turn, each with a guard of its own.
        threads: Whether each client is a plain function call that blocks its thread. When its time is over,
            the call then is left behind on a worker thread, and holds its seat in a Bulkhead until it
            ends. Otherwise it is awaited, and cancelled.
        name: How results call the group.
    """

    load: Poisson | Constant | Users
    calls: Callable[..., Awaitable[Any]]
    guard: Guard | Callable[[], Guard] | None = None
    args: Arguments = ()
    kwargs: Mapping[str, Any] = field(default_factory=dict)
    deadline: float | None = None
    processes: int = 1
    threads: bool = False
    name: str = "clients"

    def __post_init__(self) -> None:
        if not isinstance(self.load, Poisson | Constant | Users):
            raise TypeError(
                f"load must be Poisson, Constant or Users, got {_checks.shown(self.load)}; "
                "write Poisson(100) for 100 requests per second"
            )
        target = target_of(self.calls)
        if target.colour is not Colour.ASYNC_CALL:
            raise TypeError(
                f"calls must be a server or a coroutine function, got {target.colour.value} {target.name!r}; "
                "write async def, and await a ModelServer in it"
            )
        guard: Any = self.guard
        if not (guard is None or callable(guard)):
            raise TypeError(
                f"guard must be a pipeline, a policy, a function that makes one, or None, "
                f"got {_checks.shown(guard)}; write guard=lambda: Pipeline(Retry(), Timeout(1.0)), say"
            )
        if not (isinstance(self.args, tuple) or callable(self.args)):
            raise TypeError(
                f"args must be a tuple or a function of a number, got {_checks.shown(self.args)}; "
                "write args=('row',) for one argument"
            )
        if self.deadline is not None:
            _checks.seconds("deadline", self.deadline, remedy="pass None for no deadline")
        _checks.whole("processes", self.processes, at_least=1, remedy="pass how many processes there are")
        shared = isinstance(self.guard, Pipeline | Policy) or guard_of(self.calls) is not None
        if self.processes > 1 and shared:
            raise TypeError(
                f"guard must be a function where there are {self.processes} processes, got an object; "
                "leave calls= unguarded, and write guard=lambda: Pipeline(...), which is called for each"
            )
        _checks.flag("threads", self.threads, remedy="True for clients that block their thread")

    @property
    def target(self) -> Callable[..., Awaitable[Any]]:
        """What they call, without the policies that guard it."""
        guarded = guard_of(self.calls)
        fn: Callable[..., Awaitable[Any]] = self.calls if guarded is None else guarded.fn
        return fn

    def guards(self) -> list[tuple[Policy, ...]]:
        """The policies of each process, outermost first.

        Raises:
            TypeError: The function returned no guard, or a policy refuses what it is to guard.
        """
        return [self._policies() for _ in range(self.processes)]

    def _policies(self) -> tuple[Policy, ...]:
        policies = self._outer()
        guarded = guard_of(self.calls)
        if guarded is not None:
            policies = (*policies, *guarded.pipeline.policies)
        target = target_of(self.target)
        for policy in policies:
            policy.check(target)
        return policies

    def _outer(self) -> tuple[Policy, ...]:
        guard: Any = self.guard
        if guard is None:
            return ()
        if not isinstance(guard, Pipeline | Policy):
            guard = guard()
            if not isinstance(guard, Pipeline | Policy):
                raise TypeError(
                    f"guard must return a pipeline or a policy, got {_checks.shown(guard)}; "
                    "write guard=lambda: Pipeline(...)"
                )
        return guard.policies if isinstance(guard, Pipeline) else (guard,)
