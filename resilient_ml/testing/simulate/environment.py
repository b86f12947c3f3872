"""What a simulation takes over while it runs, and gives back: clocks, the source of jitter, the events.

Policies read the time from the call and from :class:`~resilient_ml._ambient.Clock`, and draw jitter from the
``random`` module where the user gave them nothing else. So a simulation sets ``Clock`` to its own time, for
its own thread, and seeds ``random``, whose state it puts back at the end.
"""

from __future__ import annotations

import contextlib
import random
import threading
from collections.abc import Callable, Iterator

from ... import events
from ..._ambient import Clock
from .current import Current

WALL_START = 1_700_000_000.0
"""Unix seconds at which every simulation starts."""

_one_at_a_time = threading.Lock()


@contextlib.contextmanager
def taken_over(current: Current, seed: int, *, keep_events: bool) -> Iterator[list[events.Event]]:
    """Run the block in simulated time; yields the list that collects its events, if they are to be kept.

    Raises:
        RuntimeError: A simulation runs already, in this thread or another: both would draw from ``random``.
    """
    if not _one_at_a_time.acquire(blocking=False):
        raise RuntimeError("a simulation runs already in this process; begin the next one when it has ended")
    told: list[events.Event] = []
    own = threading.get_ident()
    loop = current.loop

    def listen(event: events.Event) -> None:
        if keep_events and threading.get_ident() == own:
            told.append(event)

    clocks = vars(Clock)["now"], vars(Clock)["wall"]
    state = random.getstate()
    random.seed(f"{seed}:policies")
    _set_clocks(
        staticmethod(_here(own, loop.clock, Clock.now)),
        staticmethod(_here(own, lambda: WALL_START + loop.now, Clock.wall)),
    )
    Current.running = current
    try:
        # Also where none are kept: a policy that nobody listens to may draw fewer random numbers.
        with events.subscribe(listen):
            yield told
    finally:
        Current.running = None
        _set_clocks(*clocks)
        random.setstate(state)
        _one_at_a_time.release()


def _here(own: int, simulated: Callable[[], float], real: Callable[[], float]) -> Callable[[], float]:
    """The simulated clock on the thread *own*, the real one on others."""
    return lambda: simulated() if threading.get_ident() == own else real()


def _set_clocks(now: object, wall: object) -> None:
    for name, clock in (("now", now), ("wall", wall)):
        setattr(Clock, name, clock)
