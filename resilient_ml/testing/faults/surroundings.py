"""Faults around a call: signals that arrive in its middle, and a garbage collector that never rests."""

from __future__ import annotations

import gc
import signal
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from typing import Any

from ... import _checks
from .case import Case
from .fault import Before
from .steps import Act, Step


@dataclass(frozen=True, repr=False)
class _Interrupt(Before):
    signum: int = signal.SIGINT

    def title(self) -> str:
        return f"interrupt({signal.Signals(self.signum).name})"

    def before(self, case: Case) -> Iterator[Step]:
        yield Act(partial(signal.raise_signal, self.signum))


def interrupt(signum: int = signal.SIGINT) -> Before:
    """A signal arrives in the middle of the call: Ctrl-C by default.

    Python handles it on the main thread, whichever thread makes the call.

    Args:
        signum: ``signal.SIGTERM`` say; a handler must be set for it, or the process ends.
    """
    try:
        found = signal.Signals(signum)
    except ValueError as unknown:
        raise ValueError(
            f"signum must be a signal's number, got {_checks.shown(signum)}; pass signal.SIGTERM, say"
        ) from unknown
    return _Interrupt(int(found), called="interrupt")


def _nothing() -> None:
    """A handler that does nothing."""


AGAIN = 0.02
"""Seconds after which a signal that nobody has dealt with is followed by another.

Python deals with one that comes just before a thread begins to wait only when that thread wakes.
"""


class _Arriving:
    """What signals call, one at a time: of those that nest, a slow one would overflow the stack."""

    def __init__(self, period: float, handler: Callable[[], Any]) -> None:
        self._period = period
        self._handler = handler
        self._busy = False
        self.over = False
        self.before: Any = signal.SIG_DFL

    def call_for_next(self) -> None:
        signal.setitimer(signal.ITIMER_REAL, *((0.0,) if self.over else (self._period, AGAIN)))

    def __call__(self, signum: int, frame: object) -> None:
        if self._busy:
            return
        self._busy = True
        signal.setitimer(signal.ITIMER_REAL, 0.0)
        try:
            self._handler()
        finally:
            self._busy = False
            self.call_for_next()


@dataclass(frozen=True, repr=False)
class _SignalStorm(Before):
    period: float = 0.0002
    handler: Callable[[], Any] = _nothing

    def before(self, case: Case) -> Iterator[Step]:
        yield Act(partial(self._begin, case))

    def _begin(self, case: Case) -> None:
        if threading.current_thread() is not threading.main_thread():
            raise RuntimeError(
                f"{self.title()} sets a handler for SIGALRM, as only the main thread can; make the call there"
            )
        case.kept = arriving = _Arriving(self.period, self.handler)
        arriving.before = signal.signal(signal.SIGALRM, arriving) or signal.SIG_DFL
        arriving.call_for_next()

    def end(self, case: Case) -> None:
        arriving, case.kept = case.kept, None
        if arriving is not None:
            arriving.over = True  # no signal calls for the next any more
            arriving.call_for_next()
            signal.signal(signal.SIGALRM, arriving.before)


def signal_storm(period: float = 0.0002, handler: Callable[[], Any] | None = None) -> Before:
    """While the call lasts, signals interrupt whatever waits in it, again and again; of the main thread only.

    Args:
        period: Seconds of real time from the end of one to the next.
        handler: What is called each time: a use of the policy that guards the call, say. By default nothing.
    """
    period = _checks.seconds("period", period, remedy="pass seconds from one signal to the next")
    act = (
        _nothing
        if handler is None
        else _checks.function("handler", handler, remedy="pass what each signal calls")
    )
    return _SignalStorm(period, act, called="signal_storm")


class _Cycle:
    """Garbage that only the collector finds."""

    def __init__(self, finalizer: Callable[[], Any]) -> None:
        self.itself = self
        self.finalizer = finalizer

    def __del__(self) -> None:
        self.finalizer()


@dataclass(frozen=True, repr=False)
class _GcStorm(Before):
    finalizer: Callable[[], Any] = _nothing

    def before(self, case: Case) -> Iterator[Step]:
        yield Act(partial(self._begin, case))

    def _begin(self, case: Case) -> None:
        case.kept = gc.get_threshold()
        for _ in range(100):
            _Cycle(self.finalizer)
        gc.set_threshold(1)

    def end(self, case: Case) -> None:
        if case.kept is not None:
            gc.set_threshold(*case.kept)
            gc.collect()


def gc_storm(finalizer: Callable[[], Any] | None = None) -> Before:
    """While the call lasts, the garbage collector runs at every allocation, and finalizers wherever that is.

    Args:
        finalizer: What each of a hundred finalizers calls: a use of the policy that guards the call, say.
            By default nothing.
    """
    act = (
        _nothing
        if finalizer is None
        else _checks.function("finalizer", finalizer, remedy="pass what each finalizer calls")
    )
    return _GcStorm(act, called="gc_storm")
