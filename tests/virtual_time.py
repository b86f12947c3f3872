"""Time that jumps: one clock for threads, asyncio loops and trio runs, which moves on when everybody waits.

A thread that runs holds the clock still. One that waits says until when, and how it could be woken earlier.
When all wait and nobody can be woken, the clock jumps to the earliest instant that somebody waits for.
So nothing sleeps, and a wait of an hour costs as much as one of a millisecond.

The scheme is trio's ``MockClock`` widened to threads; worker threads of the library are counted from the
moment they are asked for, so that no jump overtakes them.
"""

import asyncio
import contextlib
import math
import selectors
import threading
import time
from types import SimpleNamespace

import trio

from resilient_ml._ambient import Clock
from resilient_ml._call import Call
from resilient_ml._drivers import blocking, workers

POLL = 0.0005
STUCK_SECONDS = 8.0


def kinds_of_call(kind):
    """Every kind of call, each of which has a clock."""
    for one in kind.__subclasses__():
        yield one
        yield from kinds_of_call(one)


class VirtualClock:
    """A clock that every thread of a test shares."""

    def __init__(self, start=1000.0):
        self.time = start
        self.released = False
        self.finished = 0
        self._running = 1
        self._waits = []
        self._lock = threading.RLock()

    def now(self):
        return self.time

    def wall(self):
        return 1_700_000_000.0 + self.time

    def enter(self):
        """Count a thread that runs."""
        with self._lock:
            self._running += 1

    def leave(self):
        with self._lock:
            self._running -= 1
            self.finished += 1

    def running(self):
        """How many threads run, or are about to."""
        with self._lock:
            return self._running + sum(until <= self.time or ready() for ready, until in self._waits)

    def nearest(self):
        with self._lock:
            return min((until for _, until in self._waits), default=math.inf)

    def advance(self, seconds):
        self.time += seconds

    def sleep(self, seconds):
        self.wait(lambda: self.released, self.time + seconds)

    def hang(self):
        """Block this thread until the test is over."""
        self.wait(lambda: self.released, math.inf)

    def wait(self, ready, until):
        """Block this thread until *ready* or the instant *until*; whether it was ready."""
        entry = (ready, until)
        with self._lock:
            self._waits.append(entry)
            self._running -= 1
        stuck_at = time.monotonic() + STUCK_SECONDS
        try:
            while True:
                with self._lock:
                    if ready():
                        return True
                    if self.time >= until:
                        return False
                    if not self.running() and self.nearest() < math.inf:
                        self.time = self.nearest()
                        continue
                assert time.monotonic() < stuck_at, "everybody waits and nobody can be woken"
                time.sleep(POLL)
        finally:
            with self._lock:
                self._waits.remove(entry)
                self._running += 1

    def settle(self):
        """Let the other threads run until each waits or is over, without moving the clock."""
        stuck_at = time.monotonic() + STUCK_SECONDS
        while self.running() > 1:
            assert time.monotonic() < stuck_at, "a thread neither waits nor ends"
            time.sleep(POLL)

    def release(self):
        """Let whatever hangs return, and wait for it."""
        self.released = True
        self.settle()
        stuck_at = time.monotonic() + STUCK_SECONDS
        while self._waits:
            assert time.monotonic() < stuck_at, "a thread still waits"
            time.sleep(POLL)
        self.settle()

    def install(self, monkeypatch):
        """Make it the library's only clock."""
        for kind in kinds_of_call(Call):
            if "now" in vars(kind):
                monkeypatch.setattr(kind, "now", self.now)
        monkeypatch.setattr(Clock, "now", self.now)
        monkeypatch.setattr(Clock, "wall", self.wall)
        monkeypatch.setattr(blocking, "time", SimpleNamespace(sleep=self.sleep, monotonic=self.now))
        self._install_threads(monkeypatch)

    def _install_threads(self, monkeypatch):
        hand_over, finish = workers._hand_over, workers.Job.finish

        def counted_hand_over(job):
            self.enter()
            try:
                hand_over(job)
            except BaseException:
                self.leave()
                raise

        def counted_finish(job):
            finish(job)
            self.leave()

        monkeypatch.setattr(workers, "_hand_over", counted_hand_over)
        monkeypatch.setattr(workers.Job, "finish", counted_finish)
        monkeypatch.setattr(
            workers.Job, "wait", lambda job, seconds: self.wait(lambda: job.finished, self.time + seconds)
        )
        monkeypatch.setattr(
            blocking.Flag,
            "wait",
            lambda flag, seconds: self.wait(lambda: not flag._lock.locked(), self.time + max(0.0, seconds)),
        )


class _JumpingSelector(selectors.DefaultSelector):
    """Never blocks in real time while nothing but time is waited for."""

    def attach(self, clock, loop):
        self._clock, self._loop = clock, loop

    def select(self, timeout=None):
        ready = super().select(0)
        if ready or (timeout is not None and timeout <= 0):
            return ready
        # The very instant of the next timer: now + timeout would be off by a rounding.
        timers = [handle.when() for handle in self._loop._scheduled if not handle.cancelled()]
        self._clock.wait(lambda: bool(super(_JumpingSelector, self).select(0)), min(timers, default=math.inf))
        return super().select(0)


class VirtualLoop(asyncio.SelectorEventLoop):
    """An asyncio loop in virtual time, which remembers what its exception handler was told."""

    def __init__(self, clock):
        self._virtual = clock
        selector = _JumpingSelector()
        selector.attach(clock, self)
        super().__init__(selector)
        self.complaints = []
        self.set_exception_handler(lambda loop, context: self.complaints.append(context))

    def time(self):
        return self._virtual.now()


class TrioClock(trio.abc.Clock):
    """A trio clock in virtual time."""

    def __init__(self, clock):
        self._clock = clock
        self._polled = None

    def start_clock(self):
        pass

    def current_time(self):
        return self._clock.now()

    def deadline_to_sleep_time(self, deadline):
        """Asked when no task can run: look for what threads have sent, and once there is nothing, jump."""
        clock = self._clock
        if deadline <= clock.now():
            return 0.0
        if clock.running() > 1:
            self._polled = None
            return POLL
        if self._polled != clock.finished:
            self._polled = clock.finished
            return 0.0
        self._polled = None
        nearest = min(deadline, clock.nearest())
        if nearest == math.inf:
            return 1.0
        clock.time = nearest
        return 0.0


def run_on_asyncio(clock, main, *args):
    """Run ``main(*args)`` on a virtual asyncio loop, and see that nothing is left behind."""

    async def whole():
        # What it raises is raised outside: the runner shows errors, which hostile ones do not allow.
        try:
            return await main(*args), None
        except Exception as error:  # noqa: BLE001
            return None, error
        finally:
            left = asyncio.all_tasks() - {asyncio.current_task()}
            assert not left, "tasks were left behind"

    with asyncio.Runner(loop_factory=lambda: VirtualLoop(clock)) as runner:
        loop = runner.get_loop()
        answer, error = runner.run(whole())
    assert not loop.complaints, loop.complaints
    try:
        if error is not None:
            raise error
        return answer
    finally:
        del error


def run_on_trio(clock, main, *args):
    """Run ``main(*args)`` on trio in virtual time."""
    return trio.run(main, *args, clock=TrioClock(clock))


@contextlib.contextmanager
def thread_of(clock, fn):
    """Run *fn* on a thread that counts on *clock*; joined at the end of the block."""
    clock.enter()

    def work():
        try:
            fn()
        finally:
            clock.leave()

    thread = threading.Thread(target=work)
    thread.start()
    try:
        yield thread
    finally:
        clock.settle()
        thread.join(STUCK_SECONDS)
