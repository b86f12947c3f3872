"""A policy belongs to no event loop: it serves one after the other, and several at once."""

from __future__ import annotations

from .subject import CROWD, Subject
from .verdicts import BrokenPromise
from .worlds import World

_LOOP = "keep no asyncio or trio lock, event, semaphore or task on the policy: wait with call.runtime"


def loops(subject: Subject, world: World) -> None:
    """Made before any loop runs, it serves one loop after the other, and the loops of two threads at once."""
    guard = subject.make()
    subject.crowd(world, guard)
    for which in ("second", "third"):
        subject.expect_fresh(world, guard, f"on its {which} event loop", _LOOP)
    wanted = subject.fresh_crowd(world)
    found = subject.crowd(world, subject.make(), parts=2)
    unheard = {kind for kind, _ in found.ends} - {kind for kind, _ in wanted.ends}
    if unheard or found.peak > wanted.peak:
        raise BrokenPromise(
            f"on two event loops at once {CROWD} calls ended as {found}, on one as {wanted}", _LOOP
        )
