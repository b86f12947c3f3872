"""A timeout that returns on time, fused by hand: handed to a worker thread through two raw locks, in line."""

from __future__ import annotations

import contextvars
import threading
from collections import deque
from time import monotonic
from typing import Any

from fused import UNFINISHED, Fn, late

from resilient_ml import LimitExceeded
from resilient_ml._ambient import AMBIENT

_ambient = AMBIENT.get


def timeout(fn: Fn, *, seconds: float = 1.0, max_abandoned: int = 64) -> Fn:
    """End the wait on time: the function runs on a worker thread that is left behind if it is late."""
    idle: deque[_Worker] = deque()
    abandoned: set[_Job] = set()

    def guarded(*args: Any, **kwargs: Any) -> Any:
        now = monotonic()
        deadline = min(_ambient(), now + seconds)
        if deadline <= now:
            raise late()
        if len(abandoned) >= max_abandoned:
            raise LimitExceeded(f"{len(abandoned)} abandoned calls are still running", policy="fused")
        job = _Job(fn, args, kwargs, deadline)
        try:
            worker = idle.pop()
        except IndexError:
            _Worker(job, idle)
        else:
            worker.job = job
            worker.gate.release()
        if not job.done.acquire(timeout=deadline - now):
            abandoned.add(job)
            job.left_in = abandoned
            if job.finished:
                abandoned.discard(job)
            raise late()
        if job.error is not None:
            raise job.error
        if type(job.result) in UNFINISHED:
            raise TypeError("returned something that has yet to run")
        return job.result

    return guarded


class _Job:
    __slots__ = (
        "args",
        "context",
        "deadline",
        "done",
        "error",
        "finished",
        "fn",
        "kwargs",
        "left_in",
        "result",
    )

    def __init__(self, fn: Fn, args: tuple[Any, ...], kwargs: dict[str, Any], deadline: float) -> None:
        self.fn = fn
        self.args = args
        self.kwargs = kwargs
        self.deadline = deadline
        self.context = contextvars.copy_context()
        self.done = threading.Lock()
        self.done.acquire()
        self.error: BaseException | None = None
        self.result: Any = None
        self.finished = False
        self.left_in: set[_Job] | None = None

    def run(self) -> Any:
        AMBIENT.set(self.deadline)
        return self.fn(*self.args, **self.kwargs)


class _Worker:
    __slots__ = ("gate", "idle", "job")

    def __init__(self, job: _Job, idle: deque[_Worker]) -> None:
        self.job: _Job | None = job
        self.idle = idle
        self.gate = threading.Lock()
        self.gate.acquire()
        threading.Thread(target=self.work, daemon=True).start()

    def work(self) -> None:
        while True:
            job, self.job = self.job, None
            assert job is not None
            try:
                job.result = job.context.run(job.run)
            except BaseException as error:  # noqa: BLE001 - handed to the caller
                job.error = error
            self.idle.append(self)
            job.finished = True
            job.done.release()
            if job.left_in is not None:
                job.left_in.discard(job)
            del job
            while not self.gate.acquire(timeout=10.0):
                try:
                    self.idle.remove(self)
                except ValueError:
                    continue  # taken in this moment: its job is on the way
                return
