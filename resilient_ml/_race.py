"""Several attempts at one call that run side by side, and the order in which they arrive.

A :class:`Rival` is one attempt with a :class:`~resilient_ml._call.Call` of its own; a runtime's ``spawn``
starts it, on a worker thread or in a task. It arrives when it ends; where it streams, when its first content
is there. A :class:`Race` is what the body that waits for them looks at. Which of them arrives first, on which
thread, and in which moment, is left to chance: each arrival is noted in one uninterruptible step, and wakes
the waiting body at most once.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from functools import partial
from typing import Any, Protocol

from ._call import Call, Job


class Rival(Protocol):
    """One attempt of a race; also the job that outer policies wait for, where it is left behind.

    Attributes:
        call: Its own call.
    """

    call: Call

    def result(self) -> Any:
        """What it came to, or raise that; asked once, after it has arrived.

        Of a stream a tuple of its first content, which is empty where it ended without any.
        """

    def cancel(self) -> None:
        """Ask it to end; a thread cannot be asked. A stream is closed."""

    def when_finished(self, callback: Callable[[], object]) -> None:
        """Call *callback* once it has ended, and with it all that it left behind."""

    def when_arrived(self, callback: Callable[[], object]) -> None:
        """Call *callback* once it has arrived; at once if it has."""


class Race:
    """Who runs, and who has arrived but not been looked at.

    Attributes:
        running: Those that have not been looked at, in the order in which they started.
    """

    __slots__ = ("_arrived", "_given_up", "_wakes", "running")

    def __init__(self) -> None:
        self.running: list[Rival] = []
        self._given_up: list[Rival] = []
        self._arrived: deque[Rival] = deque()
        self._wakes: deque[Callable[[], object]] = deque()

    def enter(self, rival: Rival) -> None:
        """*rival* has started."""
        self.running.append(rival)
        rival.when_arrived(partial(self._arrive, rival))

    def next(self) -> Rival | None:
        """The first that has arrived and was not looked at; None if there is none."""
        try:
            rival = self._arrived.popleft()
        except IndexError:
            return None
        self.running.remove(rival)
        return rival

    def listen(self, wake: Callable[[], object]) -> bool:
        """Have *wake* called at the next arrival; False where one is there already, and nobody is called.

        One that arrived just before, and has been looked at since, may call it too.
        """
        self._wakes.append(wake)
        if not self._arrived:
            return True
        try:
            self._wakes.pop()
        except IndexError:  # it arrived in this moment, and *wake* has been called
            return True
        return False

    def heard(self) -> Rival | None:
        """After listening: nobody listens any more; who has arrived, or None."""
        self._wakes.clear()
        return self.next()

    def give_up(self) -> None:
        """Wait for nobody any more; those who run are left by :meth:`leave`."""
        self._given_up = self.running
        self.running = []

    def leave(self) -> tuple[Job, ...]:
        """Ask all that run to end, once; they are jobs to wait for."""
        left = (*self._given_up, *self.running)
        self.running = []
        self._given_up = []
        for rival in left:
            rival.cancel()
        return left

    def _arrive(self, rival: Rival) -> None:
        self._arrived.append(rival)
        try:
            wake = self._wakes.pop()
        except IndexError:
            return
        wake()
