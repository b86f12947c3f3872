"""Worker threads for plain functions that a caller may stop waiting for.

A call is handed over through two raw locks: the worker sleeps on its ``gate``, the caller on the job's
``done``. That is the least that a thread can be woken by, and half of what an executor's queue and future
cost.

Workers are daemon threads, so one that hangs in user code never keeps the interpreter from exiting.
An idle worker is used again, the last one first; after ``IDLE_SECONDS`` without work it ends.
There are as many as there are calls at once: bounding those is the caller's business, and each limit
counts and caps the threads it has left behind.
"""

from __future__ import annotations

import contextvars
import threading
from collections import deque
from collections.abc import Callable
from typing import Any

from .._ambient import AMBIENT
from .._call import NEVER
from .._call import Job as Finishing
from .._forks import survive_forks
from ..errors import LimitExceeded
from .loops import leave_loop

IDLE_SECONDS = 10.0


class Job:
    """One call on a worker thread.

    Attributes:
        finished: Whether the thread has left the user's code.
    """

    __slots__ = (
        "_args",
        "_context",
        "_deadline",
        "_done",
        "_error",
        "_fn",
        "_kwargs",
        "_result",
        "_watchers",
        "finished",
    )

    def __init__(
        self, fn: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any], deadline: float
    ) -> None:
        self._fn: Callable[..., Any] | None = fn
        self._args = args
        self._kwargs = kwargs
        self._deadline = deadline
        self._context = contextvars.copy_context()
        self._done = threading.Lock()
        self._done.acquire()
        self._watchers: deque[Callable[[], object]] = deque()
        self._result: Any = None
        self._error: BaseException | None = None
        self.finished = False

    def run(self) -> None:
        """Call the user's code; on the worker."""
        fn, self._fn = self._fn, None
        args, self._args = self._args, ()
        kwargs, self._kwargs = self._kwargs, {}
        assert fn is not None
        try:
            self._result = self._context.run(_within, self._deadline, fn, args, kwargs)
        except BaseException as error:
            self._error = error
            del self  # the traceback holds this frame: nobody may ever ask for an abandoned job's error

    def within(self, fn: Callable[..., Any], *args: Any) -> Any:
        """Call *fn* in the context that the job ran in, once it has finished; on this thread."""
        return self._context.run(fn, *args)

    def finish(self) -> None:
        """Wake whoever waits; on the worker, after it is free for the next job."""
        self.finished = True
        self._done.release()
        if self._watchers:
            self._tell()

    def fail(self, error: BaseException) -> None:
        """The worker was killed around the user's code; nobody is to wait for it."""
        if not self.finished:
            self._error = error
            self.finish()

    def wait(self, seconds: float) -> bool:
        """Block until the job has finished, at most *seconds*; whether it has."""
        return self._done.acquire(timeout=min(seconds, threading.TIMEOUT_MAX)) or self.finished

    def result(self) -> Any:
        """What the user's code returned, or raise what it raised. Asked once."""
        error, self._error = self._error, None
        if error is None:
            result, self._result = self._result, None
            return result
        try:
            raise error
        finally:
            del error  # the traceback holds this frame: the frame must not hold the error

    def when_finished(self, callback: Callable[[], object]) -> None:
        """Call *callback* once the user's code has been left; at once if it has."""
        self._watchers.append(callback)
        if self.finished:
            self._tell()

    def _tell(self) -> None:
        # Each popleft is one step, so a callback that is added while the job ends is called exactly once.
        while True:
            try:
                callback = self._watchers.popleft()
            except IndexError:
                return
            callback()


def _within(deadline: float, fn: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    AMBIENT.set(deadline)
    leave_loop()
    return fn(*args, **kwargs)


class _Worker:
    __slots__ = ("_gate", "_idle", "job")

    def __init__(self, job: Job) -> None:
        self.job: Job | None = job
        self._idle = _pool.idle  # of this process, and of the time that its locks wait in
        self._gate = threading.Lock()
        self._gate.acquire()
        threading.Thread(target=self._work, name="resilient_ml worker", daemon=True).start()

    def hand(self, job: Job) -> None:
        self.job = job
        self._gate.release()

    def _work(self) -> None:
        job: Job | None = None
        try:
            while True:
                job, self.job = self.job, None
                assert job is not None
                job.run()
                # Idle first, finished second: whoever waited finds this worker free for its next call.
                self._idle.append(self)
                job.finish()
                job = None
                if not self._wait():
                    return
        except BaseException as killed:  # injected into the thread from outside: it ends, and nobody waits
            if job is not None:
                job.fail(killed)
            self._pass_on()
            raise

    def _wait(self) -> bool:
        """Wait for the next job; False if this worker is to end."""
        while not self._gate.acquire(timeout=IDLE_SECONDS):
            try:
                self._idle.remove(self)
            except ValueError:
                continue  # a caller took it in this moment: its job is on the way
            return False
        return True

    def _pass_on(self) -> None:
        """Let nobody count on this worker any more; a job that it was handed goes to another."""
        try:
            self._idle.remove(self)
        except ValueError:
            # If a caller took it in this moment, its job is there or on the way.
            if self.job is None:
                self._gate.acquire(timeout=IDLE_SECONDS)
            job, self.job = self.job, None
            if job is not None:
                _begin(job)


class _Pool:
    """The idle workers of this process; threads do not survive a fork."""

    def __init__(self) -> None:
        self.idle: deque[_Worker] = deque()

    def after_fork(self) -> None:
        self.idle = deque()


_pool = _Pool()
survive_forks(_pool)


def start(fn: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any], deadline: float) -> Job:
    """Run ``fn(*args, **kwargs)`` on a worker thread, in a copy of this context with *deadline* ambient.

    Raises:
        LimitExceeded: No thread can be started.
    """
    job = Job(fn, args, kwargs, deadline)
    _hand_over(job)
    return job


def aside(work: Callable[[], object]) -> bool:
    """Run *work* on a worker thread, for nobody in particular; whether a thread could be started."""
    try:
        start(work, (), {}, NEVER)
    except LimitExceeded:
        return False
    return True


def start_after(earlier: Finishing, fn: Callable[[], Any]) -> Job:
    """Run *fn* on a worker thread once *earlier* has finished; its result and error are nobody's."""
    job = Job(fn, (), {}, NEVER)
    earlier.when_finished(lambda: _begin(job))
    return job


def _begin(job: Job) -> None:
    try:
        _hand_over(job)
    except LimitExceeded:  # this thread does it, as there is no other
        job.run()
        job.finish()


def _hand_over(job: Job) -> None:
    try:
        worker = _pool.idle.pop()
    except IndexError:
        try:
            _Worker(job)
        except RuntimeError:
            raise LimitExceeded(
                "no worker thread could be started: the system refuses more threads; "
                "bound the calls with a Bulkhead, or raise the system's limit"
            ) from None
    else:
        worker.hand(job)
