"""``simulate``: clients, policies and servers on one loop, from the first request to the end of the last."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from ... import _checks
from .book import Book, Sampler
from .clients import Clients
from .crowd import Crowd
from .current import Current
from .desk import Desk
from .environment import taken_over
from .loop import Loop, ScenarioError
from .result import Result
from .runtime import cancelling, simulated_call
from .server import ModelServer, Replicas
from .threads import Threads


def simulate(
    *clients: Clients,
    seconds: float,
    seed: int = 0,
    servers: Sequence[ModelServer] = (),
    sample_seconds: float = 0.1,
    drain_seconds: float | None = None,
    keep_events: bool = True,
) -> Result:
    """Run *clients* for *seconds* of simulated time, and on until the last request has ended.

    The policies are the very objects that guard real calls. Time, the clients and the servers are
    simulated, on one thread, without an event loop; hours take seconds. The same scenario and seed
    give the same result, to the byte of :meth:`Result.trace`, on every version of Python, as long as the
    guards are fresh (see :class:`Clients`) and no other thread draws from ``random`` meanwhile.

    Args:
        clients: Who asks; one group or more.
        seconds: For how long requests come.
        seed: Of all that is drawn at random: arrivals, lengths of work, failures, the policies' jitter.
            Two runs with one seed meet the same arrivals, whatever the guards.
        servers: Servers that no group calls directly, but a Fallback or a coroutine of yours does.
        sample_seconds: How often to look at the servers.
        drain_seconds: How long to wait for the last requests once no more come; None for as long as anything
            goes on. What has not ended then is ``hung``.
        keep_events: Whether to collect what the policies tell; without it, long runs in which most calls fail
            take less memory.

    Raises:
        RuntimeError: A simulation runs already; or time does not move on.

    >>> from resilient_ml import Pipeline, Retry, Timeout
    >>> from resilient_ml.testing.simulate import Clients, Exponential, ModelServer, Outage, Poisson, simulate
    >>> server = ModelServer(workers=8, service=Exponential(0.010), incidents=[Outage(at=10, lasting=0.5)])
    >>> clients = Clients(Poisson(100), server, lambda: Pipeline(Retry(3), Timeout(0.25)))
    >>> simulate(clients, seconds=20, seed=1)
    Result(2,002 requests in 20 s, availability 0.978, amplification 1.01)
    """
    groups = _named(clients)
    length = _checks.seconds("seconds", seconds, remedy="pass for how long requests come")
    every = _checks.seconds("sample_seconds", sample_seconds, remedy="pass 0.1, say")
    if drain_seconds is not None:
        remedy = "pass None to wait for all of them"
        drain_seconds = _checks.seconds("drain_seconds", drain_seconds, zero=True, remedy=remedy)
    _checks.flag("keep_events", keep_events, remedy="False collects none")
    seed = _checks.whole("seed", seed, at_least=0, remedy="pass 0, say")
    current = Current(Loop(), seed)
    with taken_over(current, seed, keep_events=keep_events) as told:
        stage = _Stage(current, clients, _servers(clients, servers), seed, length, every)
        try:
            stage.play(drain_seconds)
        except ScenarioError as stopped:
            raise stopped.error from None
        finally:
            stage.close()
    return Result(
        seconds=length,
        ended=current.loop.now,
        seed=seed,
        requests=stage.book.requests(groups),
        servers=stage.sampler.logs(),
        events=tuple(told),
    )


class _Stage:
    """Everything that has a part in one simulation."""

    def __init__(
        self,
        current: Current,
        clients: Sequence[Clients],
        servers: Sequence[ModelServer],
        seed: int,
        seconds: float,
        every: float,
    ) -> None:
        self.loop = loop = current.loop
        self.book = Book()
        self.seconds = seconds
        for server in servers:
            current.desks[server] = Desk(server, loop, seed)
        self.desks = list(current.desks.values())
        self.sampler = Sampler(self.desks, loop, every)
        self.threads = Threads(loop)
        awaited = simulated_call(loop, cancelling(loop), stops=True)
        blocking = simulated_call(loop, self.threads.leaf, stops=False)
        self.runtimes: list[Any] = [kind.runtime for kind in (awaited, blocking)]
        self.crowds = [
            Crowd(
                one, group, loop, self.book, blocking if one.threads else awaited, seed=seed, seconds=seconds
            )
            for group, one in enumerate(clients)
        ]

    def play(self, drain: float | None) -> None:
        """From the first request to the end of the last, or *drain* seconds after no more come."""
        loop = self.loop
        for desk in self.desks:
            desk.open()
        for crowd in self.crowds:
            crowd.open()
        loop.at(self.seconds, self._stop_if_idle, None)
        if drain is not None:
            loop.late(self.seconds + drain, self._stop, None)
        self.sampler.look(0)
        loop.run()
        self.sampler.sample()

    def _stop_if_idle(self, _: None) -> None:
        self.loop.stopped = not self.book.open

    def _stop(self, _: None) -> None:
        self.loop.stopped = True

    def close(self) -> None:
        """Unwind what is left."""
        for desk in self.desks:
            desk.close()
        for crowd in self.crowds:
            crowd.close()
        for runtime in self.runtimes:
            runtime.close()
        self.threads.close()
        self.loop.close()


def _named(clients: Sequence[Clients]) -> tuple[str, ...]:
    """The names of the groups, each once."""
    if not clients or not all(isinstance(one, Clients) for one in clients):
        raise TypeError(
            "clients must be one Clients or more; write simulate(Clients(Poisson(100), server), seconds=60)"
        )
    return _once("groups of clients", [one.name for one in clients])


def _servers(clients: Sequence[Clients], others: Sequence[ModelServer]) -> list[ModelServer]:
    """Every server of the scenario, once, in order."""
    found: list[ModelServer] = []
    for called in [*(one.target for one in clients), *others]:
        if isinstance(called, ModelServer):
            found.append(called)
        elif isinstance(called, Replicas):
            found.extend(called.servers)
        # Else it is a coroutine function; the servers that it awaits are named in servers=.
    servers = list(dict.fromkeys(found))
    if not servers:
        raise ValueError(
            "no server has a part in the simulation; name those that a coroutine calls in servers="
        )
    _once("servers", [server.name for server in servers])
    return servers


def _once(what: str, names: list[str]) -> tuple[str, ...]:
    for name in names:
        if names.count(name) > 1:
            raise ValueError(f"{what} must have different names, got {name!r} twice; pass name=")
    return tuple(names)
