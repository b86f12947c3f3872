"""A model server at work: its queue, its workers, and what befalls them.

::

                 refused: loading, outage, queue full
    request ──┬──────────────▶ error at once
              │   queue            a worker begins          done
              └──────────▶ waiting ──────────────▶ working ──────▶ answer, or error
                              │ restart               │ restart
                              └──────────┬────────────┘
                                         ▼ connection lost

A client that has given up leaves its job behind: it is worked on all the same, and counted as wasted, unless
the server stops abandoned work.
"""

from __future__ import annotations

import math
import random
from collections import deque
from typing import Any

from .incidents import Outage, Restart, Slowdown
from .loop import Loop, ScenarioError, Task, Wait
from .pace import Pace
from .server import ModelServer, ServerBusy


class Job(Wait):
    """One request at a server, which its client awaits.

    Attributes:
        args: The request's positional arguments.
        kwargs: Its keyword arguments.
        came: When it came.
        done: Whether the server is finished with it.
        abandoned: Whether its client has given up.
        work: What it is being worked on in; None while it waits.
    """

    __slots__ = ("abandoned", "args", "came", "done", "kwargs", "work")

    def __init__(self, args: tuple[Any, ...], kwargs: dict[str, Any], came: float) -> None:
        self.task: Task | None = None
        self.args: tuple[Any, ...] = args
        self.kwargs: dict[str, Any] = kwargs
        self.came: float = came
        self.done: bool = False
        self.abandoned: bool = False
        self.work: Work | None = None


class Work:
    """What one worker does: a batch of jobs, often of one.

    Attributes:
        jobs: The jobs.
        began: When.
        dropped: Whether nobody waits for its end any more, not even the worker.
    """

    __slots__ = ("began", "dropped", "jobs")

    def __init__(self, jobs: list[Job], began: float) -> None:
        self.jobs: list[Job] = jobs
        self.began: float = began
        self.dropped: bool = False


class Desk:
    """One server in one simulation. All counts are of requests since the start.

    Attributes:
        waiting: How many wait now.
        working: How many are worked on now.
        busy: How many workers work now.
        arrived: How many came.
        refused: How many were refused.
        answered: How many were answered to a client that still waited.
        failed: How many failed, to a client that still waited.
        wasted: How many were worked on to the end for a client that had given up.
        busy_seconds: Work that was done, in seconds of workers.
        wasted_seconds: The part of it that was done for clients that had given up.
    """

    def __init__(self, server: ModelServer, loop: Loop, seed: int) -> None:
        self.server = server
        self.waiting: int = 0
        self.working: int = 0
        self.busy: int = 0
        self.arrived: int = 0
        self.refused: int = 0
        self.answered: int = 0
        self.failed: int = 0
        self.wasted: int = 0
        self.busy_seconds: float = 0.0
        self.wasted_seconds: float = 0.0
        self._loop = loop
        self._queue: deque[Job] = deque()
        self._works: dict[Work, None] = {}
        self._held: list[Work] = []
        self._refusing = self._erring = self._hanging = 0
        self._pace = Pace(server, seed)
        self._looks_at = math.inf
        self._closed = False
        self._uniform = random.Random(f"{seed}:{server.name}:fails").random

    def close(self) -> None:
        """Forget what is left, and begin nothing anew when the clients of it are unwound."""
        self._closed = True
        self._queue.clear()
        self._works.clear()
        self._held.clear()

    @property
    def inside(self) -> int:
        """How many requests it has."""
        return self.waiting + self.working

    def open(self) -> None:
        """Begin, and let the incidents come when they are due."""
        for incident in self.server.incidents:
            self._loop.at(incident.at, self._strike, incident)
        if self.server.cold_start is not None and self.server.cold_start.at_start:
            self._pace.start_cold(self._loop.now)

    # -- a request -----------------------------------------------------------------------------------------

    async def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """Answer one request."""
        job = self._accept(args, kwargs)
        try:
            return await job
        finally:
            if not job.done:
                self._abandon(job)

    def _accept(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Job:
        self.arrived += 1
        server = self.server
        if self._refusing or self._loop.now < self._pace.loaded:
            self.refused += 1
            raise ConnectionRefusedError(f"server {server.name!r} is down")
        if self._erring:
            self.failed += 1
            raise server.error()
        if server.queue is not None and self.waiting >= server.queue and not self._begins_at_once():
            self.refused += 1
            raise ServerBusy(
                f"server {server.name!r} has {self.waiting} requests waiting, and room for no more"
            )
        job = Job(args, kwargs, self._loop.now)
        self._queue.append(job)
        self.waiting += 1
        self._begin()
        return job

    def _begins_at_once(self) -> bool:
        return not self.waiting and not self._hanging and self.busy < self.server.workers

    def _abandon(self, job: Job) -> None:
        job.abandoned = True
        if self._closed or not self.server.stops_abandoned:
            return
        work = job.work
        if work is None:
            job.done = True  # taken out of the queue when its turn comes
            self.waiting -= 1
        elif all(one.abandoned for one in work.jobs):
            self.wasted_seconds += self._drop(work)
            self._begin()

    # -- work ----------------------------------------------------------------------------------------------

    def _begin(self) -> None:
        """Let free workers begin with what waits."""
        while self.busy < self.server.workers and self.waiting and not self._hanging:
            if self.server.batching is None:
                jobs = [self._next()]
            elif self._ripe(self.server.batching.size, self.server.batching.wait):
                jobs = [self._next() for _ in range(min(self.server.batching.size, self.waiting))]
            else:
                return
            self._work(jobs)

    def _next(self) -> Job:
        job = self._queue.popleft()
        while job.done:
            job = self._queue.popleft()
        self.waiting -= 1
        return job

    def _ripe(self, size: int, wait: float) -> bool:
        """Whether a batch may begin; if not, look again when the first has waited long enough."""
        if self.waiting >= size:
            return True
        while self._queue[0].done:
            self._queue.popleft()
        due = self._queue[0].came + wait
        if due <= self._loop.now:
            return True
        if due != self._looks_at:
            self._looks_at = due
            self._loop.at(due, self._look, due)
        return False

    def _look(self, due: float) -> None:
        if due == self._looks_at:
            self._looks_at = math.inf
        self._begin()

    def _work(self, jobs: list[Job]) -> None:
        now = self._loop.now
        work = Work(jobs, now)
        self.busy += 1
        self.working += len(jobs)
        self._works[work] = None
        seconds = 0.0
        for job in jobs:
            job.work = work
            seconds = max(seconds, self._pace.seconds(job.args, job.kwargs))
        if self.server.batching is not None:
            seconds += self.server.batching.each * (len(jobs) - 1)
        self._loop.at(now + seconds * self._pace.factor(now), self._finish, work)

    def _finish(self, work: Work) -> None:
        if work.dropped:
            return
        if self._hanging:
            self._held.append(work)
            return
        seconds = self._drop(work)
        self._begin()  # before the answers go out: a client may come back at once, and is not the first
        for job in work.jobs:
            job.done = True
            if job.abandoned:
                self.wasted += 1
                self.wasted_seconds += seconds / len(work.jobs)
            else:
                self._answer(job)

    def _drop(self, work: Work) -> float:
        """Free the worker; how long it worked."""
        work.dropped = True
        for job in work.jobs:
            job.work = None  # no circle is left for the garbage collector
        del self._works[work]
        self.busy -= 1
        self.working -= len(work.jobs)
        seconds = self._loop.now - work.began
        self.busy_seconds += seconds
        return seconds

    def _answer(self, job: Job) -> None:
        if self.server.failing and self._uniform() < self.server.failing:
            self.failed += 1
            job.fail(self.server.error())
            return
        self.answered += 1
        answer = self.server.answer
        if answer is None:
            job.resume("answer")
            return
        try:
            value = answer(*job.args, **job.kwargs)
        except Exception as error:
            raise ScenarioError(error) from error
        job.resume(value)

    # -- incidents -----------------------------------------------------------------------------------------

    def _strike(self, incident: Outage | Slowdown | Restart) -> None:
        if isinstance(incident, Restart):
            self._restart()
            return
        self._loop.at(incident.at + incident.lasting, self._pass, incident)
        if isinstance(incident, Slowdown):
            self._pace.slowdowns.append(incident.factor)
        else:
            self._count_outage(incident, 1)

    def _pass(self, incident: Outage | Slowdown) -> None:
        if isinstance(incident, Slowdown):
            self._pace.slowdowns.remove(incident.factor)
            return
        self._count_outage(incident, -1)
        if not self._hanging:
            held, self._held = self._held, []
            for work in held:
                self._finish(work)
            self._begin()

    def _count_outage(self, outage: Outage, by: int) -> None:
        match outage.how:
            case "refused":
                self._refusing += by
            case "errors":
                self._erring += by
            case _:
                self._hanging += by

    def _restart(self) -> None:
        lost = [job for work in self._works for job in work.jobs]
        lost += [job for job in self._queue if not job.done]
        for work in list(self._works):
            self._drop(work)
        self._held = []
        self._queue.clear()
        self.waiting = 0
        self._pace.start_cold(self._loop.now)
        for job in lost:
            job.done = True
            if not job.abandoned:
                self.failed += 1
                job.fail(ConnectionResetError(f"server {self.server.name!r} has died"))
