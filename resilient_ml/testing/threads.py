"""Threads in virtual time: each is governed from its start to its end, and joined in its turn."""

from __future__ import annotations

import math
import threading
import weakref
from collections.abc import Callable
from typing import Any, Final

from .clock import VirtualClock
from .ending import is_the_end
from .governing import governing

MOMENT: Final = 1.0
"""For how long, in real time, a thread that has done its work may take to end, with the turn kept for it."""

_real_start = threading.Thread.start
_real_join = threading.Thread.join
_real_is_alive = threading.Thread.is_alive

_ended: weakref.WeakSet[threading.Thread] = weakref.WeakSet()
_governed: weakref.WeakKeyDictionary[threading.Thread, VirtualClock] = weakref.WeakKeyDictionary()


def clock_of(thread: threading.Thread) -> VirtualClock | None:
    """The clock that *thread* was started under."""
    return _governed.get(thread)


def start(thread: threading.Thread) -> None:
    """``Thread.start``: a thread that a governed one starts is governed too."""
    clock = governing()
    if clock is None or thread.ident is not None:  # one that was started before is refused
        _real_start(thread)
        return
    run = thread.run
    expected = clock.expect()

    def whole() -> None:
        try:
            run()
        except BaseException as error:  # noqa: BLE001 - shown as threading shows it
            if not is_the_end(error):
                # In its turn; the thread itself would do it when it has none any more.
                thread._invoke_excepthook(thread)  # type: ignore[attr-defined]
        finally:
            _ended.add(thread)  # before the turn is handed on: whoever joins it can go on

    def governed_run() -> None:
        del thread.run
        clock.live(expected, whole)

    thread.run = governed_run  # type: ignore[method-assign]
    _governed[thread] = clock
    try:
        with clock.outside():  # it only waits for the system to have made the thread
            _real_start(thread)
    except BaseException:
        thread.__dict__.pop("run", None)
        clock.forget(expected)
        raise


def join(thread: threading.Thread, timeout: float | None = None) -> None:
    """``Thread.join``, in virtual time."""
    clock = governing()
    if clock is None or thread.ident is None or thread is threading.current_thread():
        _real_join(thread, timeout)
        return
    until = math.inf if timeout is None else clock.now() + max(timeout, 0)
    if _has_ended(thread) or clock.wait(lambda: _has_ended(thread), until):
        with clock.outside():
            _real_join(thread, MOMENT)
        _real_join(thread)  # a finalizer of what is local to it may wait for somebody's turn


def is_alive(thread: threading.Thread) -> bool:
    """``Thread.is_alive``: no longer than until the end of its turn, however long the system takes."""
    return _real_is_alive(thread) and (governing() is None or thread not in _ended)


def see_off(clock: VirtualClock) -> None:
    """Wait until the system has ended, too, whichever threads did their work under *clock*."""
    for thread, its_clock in list(_governed.items()):
        if its_clock is clock and thread in _ended and thread is not threading.current_thread():
            _real_join(thread, MOMENT)


def _has_ended(thread: threading.Thread) -> bool:
    return thread in _ended or not _real_is_alive(thread)


REPLACED: tuple[tuple[Any, str, Callable[..., Any]], ...] = (
    (threading.Thread, "start", start),
    (threading.Thread, "join", join),
    (threading.Thread, "is_alive", is_alive),
)
