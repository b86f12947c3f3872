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
from typing import Final

from .._forks import survive_forks
from ._kernel import Sleepers

LOOK_SECONDS: Final = 0.005
"""How often, in real time, the watchdog looks."""

_real_sleep = time.sleep
_real_monotonic = time.monotonic
_real_rlock = threading.RLock


class VirtualTimeOver(BaseException):
    """Raised in a thread that still waits when virtual time ends, so that it ends too.

    Not an ``Exception``: code that handles errors must not survive by it.
    """


class VirtualTimeStuck(RuntimeError):
    """Every thread waits, no timer is set, and nothing has happened for a while of real time."""


@dataclass(eq=False, slots=True)
class _Waiter:
    """One thread that waits for its turn."""

    ident: int
    ready: Callable[[], bool]
    until: float
    number: int
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
        self._mutex = threading.RLock()
        self._numbers = itertools.count()
        self._owner = threading.get_ident()
        self._holder: int | None = self._owner
        self._governed = {self._owner: threading.get_native_id()}
        self._waiters: list[_Waiter] = []
        self._astray: set[int] = set()
        self._kept: int | None = None
        self._sleepers = Sleepers()
        self._holds = 0
        self._over = False
        self._watched = False
        self._last_turn = _real_monotonic()
        survive_forks(self)

    def governs(self, ident: int) -> bool:
        """Whether the thread *ident* waits on this clock."""
        return ident in self._governed

    def wait(self, ready: Callable[[], bool], until: float, *, last: bool = False) -> bool:
        """Hand the turn on until *ready* or the instant *until*; whether it was ready.

        *ready* is called by whichever thread hands the turn on, and may take what it waits for.

        Args:
            ready: Whether the wait is over; cheap, and never waits itself.
            until: The instant it ends by at the latest; ``inf`` for never.
            last: Whether every other waiter that could go on goes first.

        Raises:
            VirtualTimeOver: Virtual time has ended meanwhile.
            VirtualTimeStuck: Nothing can end this wait, nor any other's.
        """
        waiter = self._queue(threading.get_ident(), ready, until, last=last)
        if not waiter.go.acquire(blocking=False):
            self._watch()
            try:
                waiter.go.acquire()
            except BaseException:  # an interrupt: this thread runs on, whoever has the turn
                with self._mutex:
                    self._astray.add(waiter.ident)
                    if waiter in self._waiters:
                        self._waiters.remove(waiter)
                raise
        if waiter.error is not None:
            raise waiter.error
        return waiter.came

    def _queue(self, ident: int, ready: Callable[[], bool], until: float, *, last: bool) -> _Waiter:
        with self._mutex:
            waiter = self._waiter(ident, ready, until, last=last)
            self._astray.discard(ident)
            if self._holder == ident:
                self._holder = None
            self._hand_on()
        return waiter

    def _waiter(self, ident: int, ready: Callable[[], bool], until: float, *, last: bool = False) -> _Waiter:
        number = next(self._numbers)
        waiter = _Waiter(ident, ready, until, number + (1 << 60 if last else 0))
        waiter.go.acquire()
        self._waiters.append(waiter)
        return waiter

    def expect(self) -> _Waiter:
        """A turn for a thread that is about to be started; it goes on from here in the order of starts."""
        with self._mutex:
            return self._waiter(0, lambda: True, math.inf)

    @contextlib.contextmanager
    def keep_turn(self) -> Iterator[None]:
        """The turn stays here, however long the system takes: it is about to start a thread, say."""
        self._kept = threading.get_ident()
        try:
            yield
        finally:
            self._kept = None

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
            if not self._over:
                run()
        except VirtualTimeOver:
            pass
        finally:
            with self._mutex:
                del self._governed[ident]
                self._astray.discard(ident)
                if self._holder == ident:
                    self._holder = None
                self._hand_on()

    def _hand_on(self) -> None:
        """Give the turn to whoever can go on; under the lock."""
        if self._holder is not None or not self._waiters:
            return
        # In the order in which their time came; for whom it has not, that is now.
        for waiter in sorted(self._waiters, key=lambda one: (min(one.until, self._now), one.number)):
            if self._can_go(waiter):
                self._give(waiter)
                return
        if not self._holds and not self._astray_runs():
            nearest = min(self._waiters, key=lambda one: (one.until, one.number))
            if nearest.until < math.inf:
                self._now = nearest.until
                self._give(nearest)

    def _can_go(self, waiter: _Waiter) -> bool:
        waiter.came = waiter.ready()
        if waiter.came or waiter.until <= self._now:
            return True
        if self._over:
            waiter.error = VirtualTimeOver("virtual time is over")
        return self._over

    def _give(self, waiter: _Waiter) -> None:
        self._waiters.remove(waiter)
        self._holder = waiter.ident
        self._last_turn = _real_monotonic()
        waiter.go.release()

    # -- what the clock cannot see --------------------------------------------------------------------------

    def _watch(self) -> None:
        with self._mutex:
            if not self._watched:
                self._watched = True
                _thread.start_new_thread(self._keep_watch, ())

    def _keep_watch(self) -> None:
        while self._watched:
            _real_sleep(LOOK_SECONDS)
            with self._mutex:
                self._look()

    def _look(self) -> None:
        """Take the turn from who sleeps in the kernel; see whether who went astray runs again."""
        holder = self._holder
        for ident in {*self._astray, *((holder,) if holder in self._governed else ())}:
            self._sleepers.look(self._governed[ident])
        if holder in self._governed and self._waiters and holder != self._kept and self._sleeps(holder):
            self._astray.add(holder)
            self._holder = None
        self._hand_on()
        if self._holder is None and self._waiters and not self._holds:
            self._complain_if_stuck()

    def _sleeps(self, ident: int) -> bool:
        return self._sleepers.sleeps(self._governed[ident])

    def _astray_runs(self) -> bool:
        return not all(self._sleeps(ident) for ident in self._astray)

    def _complain_if_stuck(self) -> None:
        if _real_monotonic() - self._last_turn < self._stuck_seconds:
            return
        first = next((waiter for waiter in self._waiters if waiter.ident == self._owner), None)
        if first is not None:
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
            while frame is not None and (frame.f_globals.get("__name__") or "").startswith(_OURS):
                frame = frame.f_back
            if frame is not None:
                where = f"{frame.f_code.co_name} ({frame.f_code.co_filename}:{frame.f_lineno})"
                places.append(f"{names.get(ident, ident)} in {where}")
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
                break
            _real_sleep(0.0005)
        self._watched = False
        return tuple(thread.name for thread in threading.enumerate() if thread.ident in others)

    def after_fork(self) -> None:
        """Of the threads only the one that forked is in this process."""
        ident = threading.get_ident()
        self._mutex = _real_rlock()  # not virtual time's, which waits by it
        self._waiters = []
        self._astray = set()
        self._watched = False
        self._owner = ident
        self._governed = {ident: threading.get_native_id()} if ident in self._governed else {}
        self._holder = ident if self._governed else None


_OURS = ("threading", "queue", "selectors", "asyncio", "trio", "resilient_ml")
