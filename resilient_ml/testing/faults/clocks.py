"""Clocks that jump, as operators, time servers and suspended machines make them do."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial

from ... import _checks
from ..governing import running
from .case import Case
from .fault import Before
from .steps import Act, Step


@dataclass(frozen=True, repr=False)
class _ClockJump(Before):
    seconds: float
    monotonic: bool = False

    def before(self, case: Case) -> Iterator[Step]:
        clock = running()
        if clock is None:
            raise RuntimeError(
                f"{self.title()} moves the clock of virtual time, and none runs; put the test into "
                "`with virtual_time():`"
            )
        yield Act(partial(clock.step if self.monotonic else clock.step_wall, self.seconds))


def clock_jump(seconds: float, *, monotonic: bool = False) -> Before:
    """The wall clock jumps, before the callable is called; needs virtual time.

    Args:
        seconds: How far, forward or, negative, back.
        monotonic: Whether it is the monotonic clock that jumps, and the wall clock with it, as on a machine
            that was suspended, or whose clock is broken.

    >>> import time
    >>> from resilient_ml.testing import faults, virtual_time
    >>> with virtual_time():
    ...     before = time.time()
    ...     faults.inject(time.time, faults.clock_jump(-3600))() - before
    -3600.0
    """
    seconds = _checks.real("seconds", seconds, remedy="pass how far the clock jumps")
    if seconds == 0.0:
        raise ValueError("seconds must not be 0, got 0; pass how far the clock jumps, negative for back")
    return _ClockJump(
        seconds,
        _checks.flag("monotonic", monotonic, remedy="False moves the wall clock alone"),
        called="clock_jump",
    )
