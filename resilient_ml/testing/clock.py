"""A clock that jumps: monotonic and wall time that only the program's own waits move."""

from __future__ import annotations

import contextlib
import math
from collections.abc import Iterator
from typing import Final

from .. import _checks
from .turns import Turns

LOOKS: Final = 10_000
"""How often the time may be asked for at one instant."""

A_LOOK: Final = 1e-6
"""What asking takes beyond that, in seconds."""


class VirtualClock(Turns):
    """Monotonic and wall time that only the program's own waits move.

    Made by :func:`~resilient_ml.testing.virtual_time`, which also makes everything wait on it.

    Args:
        start: What :meth:`now` says first, in seconds.
        wall: What :meth:`wall` says first, in Unix seconds.
        stuck_seconds: For how long, in real time, everybody may wait for something that no timer ends,
            before :class:`VirtualTimeStuck` is raised in the thread that began.
    """

    def __init__(
        self, *, start: float = 1000.0, wall: float = 1_700_000_000.0, stuck_seconds: float = 10.0
    ) -> None:
        super().__init__(
            _checks.real("start", start, remedy="pass the first instant, in seconds"),
            _checks.seconds(
                "stuck_seconds", stuck_seconds, remedy="pass how long, in real time, to look for a way on"
            ),
        )
        self._offset = _checks.real("wall", wall, remedy="pass Unix seconds") - start
        self._looked_at = start
        self._looks = 0

    def __repr__(self) -> str:
        return f"<VirtualClock at {self._now:.3f} s>"

    def now(self) -> float:
        """The monotonic time, in seconds."""
        return self._now

    def wall(self) -> float:
        """The wall time, in Unix seconds."""
        return self._now + self._offset

    def sleep(self, seconds: float) -> None:
        """Wait *seconds*; the others run meanwhile. ``time.sleep`` comes here.

        Raises:
            ValueError: *seconds* is negative or not a number.
            RuntimeError: This thread does not wait on this clock.
        """
        if not seconds >= 0:
            raise ValueError(f"sleep length must be non-negative, got {seconds!r}")
        if seconds == 0:
            self.look()
        self.wait(None, self._now + float(seconds))

    def look(self) -> None:
        """Count that the program asks for the time: more than :data:`LOOKS` times at one instant take time.

        So a loop that only asks, until it is late enough, comes to its end.
        """
        if self._now != self._looked_at:
            self._looked_at, self._looks = self._now, 0
        self._looks += 1
        if self._looks > LOOKS:
            self.wait(None, self._now + A_LOOK)
            self._looked_at = self._now

    def advance(self, seconds: float) -> None:
        """Move the clock forward by *seconds* at once: whoever waits for an instant in between is late."""
        _checks.seconds("seconds", seconds, zero=True, remedy="a broken clock's way back is step()")
        self.step(seconds)

    def step(self, seconds: float) -> None:
        """Move the monotonic clock, forward or back, as a clock does that is broken or was suspended."""
        with self._mutex:
            self._now += _checks.real("seconds", seconds, remedy="pass how far it jumps, in seconds")

    def step_wall(self, seconds: float) -> None:
        """Move the wall clock alone, forward or back, as an operator or a time server does."""
        self._offset += _checks.real("seconds", seconds, remedy="pass how far it jumps, in seconds")

    def settle(self) -> None:
        """Let every other thread run until it waits or ends; the clock stands still."""
        with self.hold():
            self.wait(lambda: not self._astray_runs(), math.inf, last=True)

    @contextlib.contextmanager
    def hold(self) -> Iterator[None]:
        """No jump in this block: for waits on what is outside of virtual time, such as another process."""
        with self._mutex:
            self._holds += 1
        try:
            yield
        finally:
            with self._mutex:
                self._holds -= 1
