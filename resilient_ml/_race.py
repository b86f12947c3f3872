"""Several attempts at one call that run side by side, and the order in which they end.

A :class:`Rival` is one attempt with a :class:`~resilient_ml._call.Call` of its own; a runtime's ``spawn``
starts it, on a worker thread or in a task. A :class:`Race` is what the body that waits for them looks at.
Which of them ends first, on which thread, and in which moment, is left to chance: each end is noted in one
uninterruptible step, and wakes the waiting body at most once.
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
        """What it came to, or raise that; asked once, after it has ended."""

    def cancel(self) -> None:
        """Ask it to end; a thread cannot be asked."""

    def when_finished(self, callback: Callable[[], object]) -> None:
        """Call *callback* once it has ended, and with it all that it left behind."""

    def when_ended(self, callback: Callable[[], object]) -> None:
        """Call *callback* once it has ended; at once if it has."""


class Race:
    """Who runs, and who has ended but not been looked at.

    Attributes:
        running: Those that have not been looked at, in the order in which they started.
    """

    __slots__ = ("_ended", "_given_up", "_wakes", "running")

    def __init__(self) -> None:
        self.running: list[Rival] = []
        self._given_up: list[Rival] = []
        self._ended: deque[Rival] = deque()
        self._wakes: deque[Callable[[], object]] = deque()

    def enter(self, rival: Rival) -> None:
        """*rival* has started."""
        self.running.append(rival)
        rival.when_ended(partial(self._arrive, rival))

    def next(self) -> Rival | None:
        """The first that has ended and was not looked at; None if there is none."""
        try:
            rival = self._ended.popleft()
        except IndexError:
            return None
        self.running.remove(rival)
        return rival

    def listen(self, wake: Callable[[], object]) -> bool:
        """Have *wake* called at the next end; False where one has ended already, and nobody is called."""
        self._wakes.append(wake)
        if not self._ended:
            return True
        try:
            self._wakes.pop()
        except IndexError:  # it ended in this moment, and *wake* has been called
            return True
        return False

    def heard(self) -> Rival | None:
        """After listening: nobody listens any more; who has ended, or None."""
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
        self._ended.append(rival)
        try:
            wake = self._wakes.pop()
        except IndexError:
            return
        wake()
