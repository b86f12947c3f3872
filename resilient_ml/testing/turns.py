"""Threads that take turns on one clock, which jumps when all of them wait.

A thread that is *governed* by the clock either has the turn, and runs, or waits. A wait says what would end
it (``ready``) and by when (``until``). Whoever begins to wait, or ends, hands the turn on:

1. to the first waiter whose ``ready`` is true or whose ``until`` has come, in the order of the instants, then
   in the order in which they began to wait;
2. or else the clock jumps to the earliest ``until``, and that waiter has the turn.

So one thread runs at a time, in an order that depends on nothing but the program: the same run gives the same
trace. An hour of waiting costs as much as a millisecond, and nothing jumps while anybody can still run.

What a thread waits for in other ways, such as a lock made before virtual time began or a socket, the clock
cannot see. A watchdog looks at the system instead: a thread that has slept in the kernel for a while has gone
*astray*, its turn goes to the others, and time stands still whenever one that went astray runs again.

At the end whoever still waits is told so by an error, :class:`VirtualTimeOver`. What it does while that error
passes through it, in ``finally`` blocks say, may wait as ever.

The scheme is trio's ``MockClock`` (N. J. Smith, 2017) widened to threads.
"""

from __future__ import annotations

import _thread
import contextlib
import itertools
import math
import sys
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Final, cast

from .._forks import survive_forks
from ._kernel import Sleepers
from .ending import VirtualTimeOver, VirtualTimeStuck, is_the_end
from .quiet_lock import QuietLock
from .watchdog import Watchdog

HEED_SECONDS: Final = 0.05
"""How often, in real time, the main thread looks up from a wait, to heed signals."""

_real_sleep = time.sleep
_real_monotonic = time.monotonic


@dataclass(eq=False, slots=True)
class _Waiter:
    """One thread that waits for its turn."""

    ident: int
    ready: Callable[[], bool] | None
    until: float
    number: int
    ending: bool = False
    go: _thread.LockType = field(default_factory=_thread.allocate_lock)
    came: bool = False
    error: BaseException | None = None


class Turns:
    """Whose turn it is, and what time.

    Args:
        now: The first instant, in seconds.
        stuck_seconds: For how long, in real time, everybody may wait for something that no timer ends.
    """

    def __init__(self, now: float, stuck_seconds: float) -> None:
        self._now = now
        self._stuck_seconds = stuck_seconds
        self._mutex = QuietLock()
        self._numbers = itertools.count()
        self._owner = threading.get_ident()
        self._holder: int | None = self._owner
        self._turn = 0
        self._turn_seen = 0
        self._governed = {self._owner: threading.get_native_id()}
        self._outside: set[int] = set()
        self._waiters: list[_Waiter] = []
        self._astray: set[int] = set()
        self._sleepers = Sleepers()
        self._holds = 0
        self._over = False
        self._watchdog: Watchdog | None = None
        self._idle_since: float | None = None
        survive_forks(self)

    def governs(self, ident: int) -> bool:
        """Whether the thread *ident* waits on this clock."""
        return ident in self._governed and ident not in self._outside

    @contextlib.contextmanager
    def outside(self) -> Iterator[None]:
        """The current thread keeps its turn in this block and waits in real time, for a moment only."""
        ident = threading.get_ident()
        self._outside.add(ident)
        try:
            yield
        finally:
            self._outside.discard(ident)

    def wait(
        self, ready: Callable[[], bool] | None, until: float, *, last: bool = False, ending: bool = False
    ) -> bool:
        """Hand the turn on until *ready* or the instant *until*; whether it was ready.

        *ready* is called by whichever thread hands the turn on. It may be true once and not again when this
        thread runs: one that went astray has come in between.

        Args:
            ready: Whether the wait is over; cheap, and never waits itself. None: only *until* ends it.
            until: The instant it ends by at the latest; ``inf`` for never.
            last: Whether every other waiter that could go on goes first.
            ending: Whether this thread knows that virtual time is over, and waits for what it must yet do.

        Raises:
            VirtualTimeOver: Virtual time has ended meanwhile.
            VirtualTimeStuck: Nothing can end this wait, nor any other's.
            RuntimeError: This thread does not take turns on this clock.
        """
        ident = threading.get_ident()
        if ident not in self._governed:
            raise RuntimeError(
                f"thread {threading.current_thread().name!r} cannot wait on this clock; "
                "start it in the block of virtual_time(), and wait while that lasts"
            )
        waiter = self._waiter(ident, ready, until, last=last)
        waiter.ending = ending or (self._over and is_the_end(sys.exception()))
        try:
            self._queue(waiter)
            if not waiter.go.acquire(blocking=False):
                self._watch()
                # Signals go to the main thread. One that comes just before it waits does not end the wait.
                limit = HEED_SECONDS if ident == threading.main_thread().ident else -1
                while not waiter.go.acquire(timeout=limit):
                    pass
        except BaseException:  # an interrupt: this thread runs on, whoever has the turn
            with self._mutex:
                self._astray.add(ident)
                self._waiters = [one for one in self._waiters if one is not waiter]
            raise
        error, waiter.error = waiter.error, None
        if error is None:
            return waiter.came
        try:
            raise error
        finally:
            del error  # the traceback holds this frame: the frame must not hold the error

    def _waiter(
        self, ident: int, ready: Callable[[], bool] | None, until: float, *, last: bool = False
    ) -> _Waiter:
        waiter = _Waiter(ident, ready, until, next(self._numbers) + (1 << 60 if last else 0))
        waiter.go.acquire()
        return waiter

    def _queue(self, waiter: _Waiter) -> None:
        with self._mutex:
            self._waiters.append(waiter)
            self._astray.discard(waiter.ident)
            if self._holder == waiter.ident:
                self._holder = None
            self._hand_on()

    def expect(self) -> _Waiter:
        """A turn for a thread that is about to be started; it goes on from here in the order of starts."""
        expected = self._waiter(0, _at_once, math.inf)
        with self._mutex:
            self._waiters.append(expected)
        self._watch()  # whoever starts it may wait for it in a way that the clock cannot see
        return expected

    def forget(self, expected: _Waiter) -> None:
        """The thread could not be started."""
        with self._mutex:
            self._waiters.remove(expected)

    def live(self, expected: _Waiter, run: Callable[[], None]) -> None:
        """Run a started thread's code in turn, from the first line to the last."""
        ident = threading.get_ident()
        with self._mutex:
            self._governed[ident] = threading.get_native_id()
            if expected.go.locked():
                expected.ident = ident
            else:  # it was given the turn before it came
                self._holder = ident
        try:
            expected.go.acquire()
            run()
        finally:
            with self._mutex:
                self._governed.pop(ident, None)  # gone already, if virtual time ended without it
                self._sleepers.forget(threading.get_native_id())
                self._astray.discard(ident)
                if self._holder == ident:
                    self._holder = None
                self._hand_on()

    def _hand_on(self) -> None:
        """Give the turn to whoever can go on; under the lock."""
        if self._holder is not None or not self._waiters:
            return
        # In the order in which their time came; for whom it has not, that is now.
        for waiter in sorted(self._candidates(), key=lambda one: (min(one.until, self._now), one.number)):
            if self._can_go(waiter):
                self._give(waiter)
                return
        if not self._holds and not self._astray_runs():
            nearest = min(self._waiters, key=lambda one: (one.until, one.number))
            if nearest.until < math.inf:
                self._now = nearest.until
                self._give(nearest)
                return
        if self._idle_since is None:
            self._idle_since = _real_monotonic()

    def _candidates(self) -> list[_Waiter]:
        if self._over:
            return self._waiters
        now = self._now
        return [one for one in self._waiters if one.ready is not None or one.until <= now]

    def _can_go(self, waiter: _Waiter) -> bool:
        try:
            waiter.came = waiter.ready is not None and waiter.ready()
        except Exception as error:  # noqa: BLE001 - raised in the thread that waits
            waiter.error = error
            return True
        if waiter.came or waiter.until <= self._now:
            return True
        if not self._over or waiter.ending:
            return False
        waiter.error = VirtualTimeOver("virtual time is over")
        return True

    def _give(self, waiter: _Waiter) -> None:
        self._waiters.remove(waiter)
        self._holder = waiter.ident
        self._turn += 1
        self._idle_since = None
        waiter.go.release()

    # -- what the clock cannot see --------------------------------------------------------------------------

    def _watch(self) -> None:
        if self._watchdog is not None:
            return
        with self._mutex:  # another thread may have come first
            self._watchdog = cast(Watchdog | None, self._watchdog) or Watchdog(self._look)

    def _look(self) -> None:
        """Take the turn from who sleeps in the kernel; see whether who went astray runs again."""
        with self._mutex:
            holder = self._holder
            seen = holder if holder in self._governed and holder not in self._outside else None
            if self._turn != self._turn_seen:  # who has the turn has not slept since the last look
                self._turn_seen, seen = self._turn, None
            for ident in {*self._astray, *(() if seen is None else (seen,))}:
                self._sleepers.look(self._governed[ident])
            if seen is not None and self._waiters and self._sleeps(seen):
                self._astray.add(seen)
                self._holder = None
            self._hand_on()
            if self._holder is None and self._waiters and not self._holds:
                self._complain_if_stuck()

    def _sleeps(self, ident: int) -> bool:
        return ident not in self._outside and self._sleepers.sleeps(self._governed[ident])

    def _astray_runs(self) -> bool:
        return not all(self._sleeps(ident) for ident in self._astray)

    def _complain_if_stuck(self) -> None:
        if self._astray_runs() or self._idle_since is None:
            self._idle_since = None
        elif _real_monotonic() - self._idle_since >= self._stuck_seconds:
            # Who began, if it can be told: it may be astray for ever.
            first = min(self._waiters, key=lambda one: (one.ident != self._owner, one.number))
            first.error = VirtualTimeStuck(
                f"every thread has waited for {self._stuck_seconds:g} s of real time and no timer is set: "
                f"{self._whereabouts()}; let one of them set what the others wait for, or, if that comes "
                "from outside of virtual time, wait for it in `with clock.hold():`"
            )
            self._give(first)

    def _whereabouts(self) -> str:
        frames = sys._current_frames()
        names = {thread.ident: thread.name for thread in threading.enumerate()}
        places = []
        for ident in self._governed:
            frame = frames.get(ident)
            while frame is not None and (frame.f_globals.get("__name__") or "").partition(".")[0] in _OURS:
                frame = frame.f_back
            where = (
                f" in {frame.f_code.co_name} ({frame.f_code.co_filename}:{frame.f_lineno})" if frame else ""
            )
            places.append(f"{names.get(ident, ident)}{where}")
        return ", ".join(places)

    def close(self, *, seconds: float = 5.0) -> tuple[str, ...]:
        """End virtual time: wake every thread that still waits, so that it ends.

        Args:
            seconds: For how long, in real time, to wait for threads that are slow to end.

        Returns:
            The names of the threads that go on all the same.
        """
        self._over = True
        limit = _real_monotonic() + seconds
        own = threading.get_ident()
        while True:
            with self._mutex:
                if self._holder == own:
                    self._holder = None
                self._hand_on()
                others = set(self._governed) - {own}
                blind = [ident for ident in others & self._astray if self._sleeps(ident)]
                if (len(blind) == len(others) and not self._waiters) or _real_monotonic() > limit:
                    left = tuple(thread.name for thread in threading.enumerate() if thread.ident in others)
                    self._let_go()
                    break
            _real_sleep(0.0005)
        if self._watchdog is not None:
            self._watchdog.stop()
        return left

    def _let_go(self) -> None:
        """Whoever is left is on its own, in real time."""
        self._governed = {}
        self._astray = set()
        for waiter in self._waiters:
            waiter.error = VirtualTimeOver("virtual time is over")
            waiter.go.release()
        self._waiters = []

    def after_fork(self) -> None:
        """Of the threads only the one that forked is in this process."""
        ident = threading.get_ident()
        self._mutex = QuietLock()
        self._waiters = []
        self._astray = set()
        self._watchdog = None
        self._owner = ident
        self._governed = {ident: threading.get_native_id()} if ident in self._governed else {}
        self._holder = ident if self._governed else None


def _at_once() -> bool:
    return True


_OURS = {"anyio", "asyncio", "concurrent", "queue", "resilient_ml", "selectors", "threading", "trio"}
