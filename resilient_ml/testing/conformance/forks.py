"""A forked child goes on with every policy, whatever other threads held when it was forked."""

from __future__ import annotations

import os
import signal
import threading
import time
import warnings
from collections.abc import Callable

from .subject import REST, Guard, Subject, clock_now
from .verdicts import BrokenPromise
from .worlds import LONG, World

PATIENCE = 20
"""Real seconds after which the system ends a child that does not end by itself."""

_REMEDY = (
    "tell what owns a lock, or counts who is inside, with os.register_at_fork: in the child make the locks "
    "anew and take the seats back"
)


def can_fork() -> bool:
    """Whether this system forks."""
    return hasattr(os, "fork")


def forks(subject: Subject, world: World) -> None:
    """In a child that is forked between calls, and while other threads are inside, there is room for all."""
    guard = subject.make()
    subject.crowd(world, guard)
    time.sleep(REST)
    _expect_room(subject, world, guard, "between calls")

    guard = subject.make()
    room = max(1, min(subject.room(world), 4))
    calls = [subject.answers_for(world, guard)] * room
    calling = threading.Thread(target=world.ends, args=(calls,), daemon=True)
    calling.start()
    time.sleep(0.5)
    try:
        _expect_room(subject, world, guard, f"while {room} calls of other threads were inside")
    finally:
        calling.join(LONG)


def _expect_room(subject: Subject, world: World, guard: Guard, when: str) -> None:
    wanted = subject.fresh_crowd(world)
    told = in_child(lambda: fares(subject, world, guard))
    if told is None:
        raise BrokenPromise(f"a child that was forked {when} waits for ever", _REMEDY)
    if told != str(wanted):
        raise BrokenPromise(
            f"in a child that was forked {when}, a crowd of calls ended as {told}, elsewhere as {wanted}",
            _REMEDY,
        )


def fares(subject: Subject, world: World, guard: Guard) -> str:
    """How a crowd fares, in words, or what it fails with."""
    try:
        return str(subject.crowd(world, guard))
    except Exception as error:
        return type(error).__name__


def in_child(tell: Callable[[], str]) -> str | None:
    """What *tell* says in a forked child; None if it does not come to an end there."""
    reading, writing = os.pipe()
    with warnings.catch_warnings():
        # That this process has threads, and that the child may deadlock, is what is looked at.
        warnings.simplefilter("ignore", DeprecationWarning)
        child = os.fork() or tell_and_end(tell, writing)
    os.close(writing)
    with clock_now().hold(), open(reading, encoding="utf-8") as pipe:
        told = pipe.read()
        os.waitpid(child, 0)
    return told or None


def tell_and_end(tell: Callable[[], str], writing: int) -> int:
    """In the child: say it, and end at once, without running what the parent has yet to run."""
    signal.signal(signal.SIGALRM, signal.SIG_DFL)
    signal.alarm(PATIENCE)
    try:
        os.write(writing, tell().encode())
    finally:
        signal.raise_signal(signal.SIGKILL)  # not even what a tool does at os._exit()
    return 0
