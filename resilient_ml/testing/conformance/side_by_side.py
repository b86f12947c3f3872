"""No lock is held around the model: calls run side by side, and nothing else waits for them."""

from __future__ import annotations

import threading
import time

from .subject import Subject
from .verdicts import BrokenPromise
from .worlds import LONG, World

_LOCK = "hold a lock for the policy's own lines alone, and never across await proceed(call)"

_CALLS = 8


def side_by_side(subject: Subject, world: World) -> None:
    """Calls of a second each, begun together, end together; only a limiter may hold them back."""
    if "limiter" not in subject.roles and "rate_limiter" not in subject.roles:
        began = time.monotonic()
        crowd = subject.crowd(world, subject.make(), _CALLS)
        took = time.monotonic() - began
        if crowd.peak < _CALLS or took >= 2.0:
            raise BrokenPromise(
                f"of {_CALLS} calls at once at most {crowd.peak} were with the model, and together they took "
                f"{took:g} s where each takes 1 s",
                f"{_LOCK}; a policy that holds calls back on purpose has role = 'limiter'",
            )
    _looked_at_meanwhile(subject, world)


def _looked_at_meanwhile(subject: Subject, world: World) -> None:
    """While a call is with the model, the policy can be shown and named."""
    guard = subject.make()
    calling = threading.Thread(target=world.end, args=(subject.answers_for(world, guard),), daemon=True)
    calling.start()
    time.sleep(0.5)
    looking = threading.Thread(target=lambda: (repr(guard), str(guard)), daemon=True)
    began = time.monotonic()
    looking.start()
    looking.join(LONG)
    took = time.monotonic() - began
    calling.join(LONG)
    if took > 0:
        raise BrokenPromise(f"showing the policy took {took:g} s while a call was with the model", _LOCK)
