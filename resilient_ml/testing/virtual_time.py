"""``with virtual_time() as clock:`` everything in the block waits on a clock that jumps."""

from __future__ import annotations

import _thread
import contextlib
import logging
import queue
import sys
import threading
import warnings
from collections import deque
from collections.abc import Callable, Iterator
from typing import Any

from .. import _checks
from .._ambient import Clock
from .._call import Call
from .._drivers import workers
from . import event_loops, locks, threads, time_functions, trio_runs
from .clock import VirtualClock
from .governing import govern, governing, running

_EVERYWHERE: dict[Callable[..., Any], Callable[..., Any]] = {
    **time_functions.REPLACED,
    threading.Lock: locks.VirtualLock,
    threading.RLock: locks.virtual_rlock,
    _thread.allocate_lock: locks.VirtualLock,
    queue.SimpleQueue: locks.VirtualSimpleQueue,
}
"""What is replaced in every module that has it under any name, ``from time import sleep`` included."""

_COMPUTING = frozenset({"PIL", "matplotlib", "numpy", "scipy", "sklearn"})
"""Packages that wait for nobody; to look through their many names would be most of what a block costs."""

_LEFT_ALONE = (
    time_functions.MACHINERY
    | _COMPUTING
    | {"_thread", "_threading_local", "importlib", "logging", "resilient_ml"}
)


@contextlib.contextmanager
def virtual_time(
    *, start: float = 1000.0, wall: float = 1_700_000_000.0, stuck_seconds: float = 10.0, seed: int = 0
) -> Iterator[VirtualClock]:
    """In this block time jumps: sleeps, deadlines and timers take no real time, in the order they would.

    It holds for the thread that enters it and for the threads that it starts, for asyncio loops and trio runs
    in them, for ``time.sleep``, ``time.monotonic``, ``time.perf_counter`` and ``time.time``, for the locks,
    conditions, events and joins of ``threading``, for queues, futures and executors, and for this library's
    own clocks.
    Other threads, and test runners, keep real time.

    Threads take turns, one at a time, and hand the turn on where they wait, so that a run repeats itself.

    Not seen: ``datetime.datetime.now()``, uvloop, C code that sleeps by itself, what numpy, scipy, sklearn,
    matplotlib and PIL have imported by name, and locks, executors or event loops with work in flight that
    were made before the block; a thread that waits for such a thing is found out after some real
    milliseconds, on Linux. For answers from other processes see :meth:`VirtualClock.hold`.

    Args:
        start: The first instant on the monotonic clock, in seconds.
        wall: The first instant on the wall clock, in Unix seconds.
        stuck_seconds: For how long, in real time, everybody may wait for something that no timer ends.
        seed: Of the order in which trio runs tasks that could all go on; asyncio and threads have an order.

    Raises:
        RuntimeError: Virtual time runs already.

    >>> import time
    >>> with virtual_time() as clock:
    ...     began = time.monotonic()
    ...     time.sleep(3600)
    ...     time.monotonic() - began
    3600.0
    """
    if running() is not None:
        raise RuntimeError("virtual time runs already in this process; use the clock of the outer block")
    clock = VirtualClock(start=start, wall=wall, stuck_seconds=stuck_seconds)
    left: tuple[str, ...] = ()
    with contextlib.ExitStack() as undo:
        govern(clock)
        undo.callback(govern, None)
        _replace_all(undo, _checks.whole("seed", seed, at_least=0, remedy="pass a whole number"))
        try:
            yield clock
        finally:
            # An executor's thread would log that it was ended.
            with _silent("concurrent.futures"):
                left = clock.close()
            threads.see_off(clock)
            trio_runs.forget_workers(clock)
    if left:
        warnings.warn(
            f"virtual time has ended and {', '.join(left)} still runs; end the threads that a test starts",
            RuntimeWarning,
            stacklevel=3,
        )


def _replace_all(undo: contextlib.ExitStack, seed: int) -> None:
    replaced = [*threads.REPLACED, *event_loops.ASYNCIO, *trio_runs.replacements(seed)]
    replaced += [(workers._pool, "idle", deque())]  # idle threads wait in the time they were started in
    replaced += [(Clock, "now", staticmethod(_reader(Clock.now, VirtualClock.now)))]
    replaced += [(Clock, "wall", staticmethod(_reader(Clock.wall, VirtualClock.wall)))]
    for kind in _kinds_of_call(Call):
        if "now" in vars(kind):
            replaced.append((kind, "now", staticmethod(_reader(kind.now, VirtualClock.now))))
    for owner, name, new in replaced:
        own = vars(owner) if isinstance(owner, type) else {name: getattr(owner, name)}
        undo.callback(setattr, owner, name, own[name])
        setattr(owner, name, new)
    undo.callback(_put_back_where_imported_since, frozenset(sys.modules))
    for names, name, old, new in list(_occurrences(_EVERYWHERE, frozenset())):
        names[name] = new
        undo.callback(_put_back, names, name, old, new)


def _put_back(names: dict[str, Any], name: str, old: Any, new: Any) -> None:
    if names.get(name) is new:  # not what the block itself has put there
        names[name] = old


def _put_back_where_imported_since(before: frozenset[str]) -> None:
    real = {virtual: real for real, virtual in reversed(_EVERYWHERE.items())}
    for names, name, _, old in list(_occurrences(real, before)):
        names[name] = old


def _occurrences(
    replaced: dict[Callable[..., Any], Callable[..., Any]], but: frozenset[str]
) -> Iterator[tuple[dict[str, Any], str, Any, Any]]:
    """Where modules, *but* those, hold what is to be *replaced*: names, name, it, and what replaces it."""
    by_identity = {id(old): (old, new) for old, new in replaced.items()}
    identities = frozenset(by_identity)
    for module_name in frozenset(sys.modules) - but:
        if module_name.partition(".")[0] in _LEFT_ALONE:
            continue
        try:
            # A lazy module stays unloaded.
            names = object.__getattribute__(sys.modules[module_name], "__dict__")
        except (AttributeError, KeyError):  # one that has none, or that another thread has taken out
            continue
        # Of thousands of modules few hold any: most of them are passed over without a step of Python a name.
        if identities.isdisjoint(map(id, names.values())):
            continue
        for name, value in list(names.items()):
            found = by_identity.get(id(value))
            if found is not None:
                yield names, name, *found


def _reader(real: Callable[[], float], virtual: Callable[[VirtualClock], float]) -> Callable[[], float]:
    def read() -> float:
        clock = governing()
        return real() if clock is None else virtual(clock)

    return read


def _kinds_of_call(kind: type[Call]) -> Iterator[type[Call]]:
    for one in kind.__subclasses__():
        yield one
        yield from _kinds_of_call(one)


@contextlib.contextmanager
def _silent(logger: str) -> Iterator[None]:
    one = logging.getLogger(logger)
    before, one.disabled = one.disabled, True
    try:
        yield
    finally:
        one.disabled = before
