"""Model servers as a scenario describes them: workers, queue, batches and what befalls them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal, get_args

from ... import _checks
from ..distributions import Distribution, lengths
from .current import current
from .incidents import ColdStart, Incident

Choice = Literal["round_robin", "random", "shortest_queue"]

Service = float | Distribution | Callable[..., float]


class ServerFailed(Exception):
    """A simulated server answered with an error of its own: HTTP 500, of kind ``server``."""

    status_code = 500


class ServerBusy(Exception):
    """A simulated server has no room in its queue: HTTP 503, of kind ``overload``."""

    status_code = 503


@dataclass(frozen=True, slots=True)
class Batching:
    """Requests are worked on together.

    A free worker begins once *size* requests wait, or the first of them has waited *wait* seconds. A batch
    takes as long as its slowest request, and *each* seconds more for each further one.

    Args:
        size: The most in a batch, from 1.
        wait: The longest that a request waits for others, in seconds, from 0.
        each: What a further request costs, in seconds, from 0.
    """

    size: int
    wait: float
    each: float = 0.0

    def __post_init__(self) -> None:
        _checks.whole("size", self.size, at_least=1, remedy="pass the most in a batch")
        _checks.seconds("wait", self.wait, zero=True, remedy="pass 0 to begin with whatever waits")
        _checks.seconds("each", self.each, zero=True, remedy="pass what a further request costs")


@dataclass(frozen=True, eq=False, kw_only=True)
class ModelServer:
    """A model behind a queue, first come first served.

    As most real servers it does not notice that a client has given up, and works on for nobody: that is what
    retries turn into a collapse. It is a coroutine function to its callers, so it can be the target of a
    Fallback too.

    Args:
        workers: How many requests, or batches, are worked on at once, from 1.
        service: How long one takes, in seconds: a number, a distribution such as ``Exponential(0.01)``, or a
            function of the request's arguments that says.
        queue: How many may wait, from 0; None for any number. One more is refused with :class:`ServerBusy`.
        batching: How requests are put together; None to work on each by itself.
        stops_abandoned: Whether it stops work for clients that have given up, and takes them off its queue.
        failing: The share of requests, from 0 to 1, that fail with *error* after the work is done.
        error: What it fails with: an exception type, or a function that makes an exception.
        cold_start: What it goes through after a restart; None if it is ready at once.
        incidents: What befalls it.
        answer: Makes the answer from the request's arguments; by default every answer is ``"answer"``.
        name: How results and messages call it.

    >>> from dataclasses import replace
    >>> from resilient_ml.testing.simulate import Exponential, Slowdown
    >>> server = ModelServer(workers=16, service=Exponential(0.010), queue=1000)
    >>> slow = replace(server, incidents=[Slowdown(at=60, lasting=10, factor=3)])
    """

    workers: int
    service: Service
    queue: int | None = None
    batching: Batching | None = None
    stops_abandoned: bool = False
    failing: float = 0.0
    error: Callable[[], Exception] = ServerFailed
    cold_start: ColdStart | None = None
    incidents: Sequence[Incident] = ()
    answer: Callable[..., Any] | None = None
    name: str = "model"

    def __post_init__(self) -> None:
        _checks.whole("workers", self.workers, at_least=1, remedy="pass how many work at once")
        if not callable(self.service):
            lengths("service", self.service, float)  # checks it
        if self.queue is not None:
            _checks.whole("queue", self.queue, at_least=0, remedy="pass None for a queue of any length")
            if self.batching is not None and self.queue < self.batching.size:
                raise ValueError(
                    f"queue must hold a batch, got queue={self.queue} for batches of {self.batching.size}; "
                    "make it longer, or the batches smaller"
                )
        _checks.flag("stops_abandoned", self.stops_abandoned, remedy="True stops work nobody waits for")
        _checks.share("failing", self.failing, zero=True, remedy="pass 0.01 for one in a hundred")
        _checks.function("error", self.error, remedy="pass an exception type")
        for incident in self.incidents:
            if not isinstance(incident, Incident):
                raise TypeError(
                    f"incidents must be Outage, Slowdown or Restart, got {_checks.shown(incident)}; "
                    "write Outage(at=60, lasting=10), say"
                )
        if self.answer is not None:
            _checks.function("answer", self.answer, remedy="pass a function of the request's arguments")

    @property
    def __name__(self) -> str:  # as a function has one, for messages
        return self.name

    async def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """Answer one request, in simulated time."""
        return await current().desk(self)(*args, **kwargs)


@dataclass(frozen=True, eq=False)
class Replicas:
    """Several servers that clients take for one.

    Args:
        servers: At least one.
        choose: Who gets a request: the next in turn, one at random, or the one with the fewest inside.

    >>> one = ModelServer(workers=4, service=0.010)
    >>> [server.name for server in Replicas.of(one, 3).servers]
    ['model 1', 'model 2', 'model 3']
    """

    servers: Sequence[ModelServer]
    choose: Choice = "round_robin"

    def __post_init__(self) -> None:
        if not self.servers or not all(isinstance(server, ModelServer) for server in self.servers):
            raise TypeError("servers must be one ModelServer or more; use Replicas.of(server, 3) to copy one")
        if self.choose not in get_args(Choice):
            raise ValueError(
                f"choose must be one of {', '.join(map(repr, get_args(Choice)))}, "
                f"got {_checks.shown(self.choose)}; say who gets a request"
            )

    @classmethod
    def of(cls, server: ModelServer, count: int, choose: Choice = "round_robin") -> Replicas:
        """*count* servers like *server*, numbered."""
        _checks.whole("count", count, at_least=1, remedy="pass how many servers there are")
        names = [f"{server.name} {number}" for number in range(1, count + 1)]
        return cls([replace(server, name=name) for name in names], choose)

    async def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """Let one of the servers answer."""
        return await current().choose(self)(*args, **kwargs)
