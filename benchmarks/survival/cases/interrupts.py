"""What comes in between: Ctrl-C, signal handlers and finalizers that call in again."""

from __future__ import annotations

import gc
import os
import signal
import time
from collections.abc import Callable

from survival.library import Library
from survival.trials import PLAIN, Guard, each, in_child, trial
from survival.verdicts import Verdict, failed, flawless, judged, survived


def interrupted(guard: Guard) -> Verdict:
    """A real SIGINT inside the call."""
    calls: list[int] = []

    def model() -> str:
        calls.append(1)
        os.kill(os.getpid(), signal.SIGINT)
        time.sleep(0.5)
        return "nothing came"

    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        guard(model)()
    except KeyboardInterrupt:
        return judged(len(calls) == 1, f"came through, {len(calls)} calls")
    except BaseException as error:  # noqa: BLE001 - whatever it was made into
        return failed(f"became {type(error).__name__}")
    finally:
        signal.signal(signal.SIGINT, before)
    return failed("was swallowed")


@each("F06", "retry", "fallback", "timeout", "bulkhead")
def an_interrupt_comes_through(library: Library, guard: Guard) -> Verdict:
    return interrupted(guard)


@trial("F06", "breaker at its threshold", "breaker")
def an_interrupt_at_the_threshold(library: Library) -> Verdict:
    return interrupted(lambda fn: library.breaker(fn, 1, 60.0))


@trial("F06", "breaker's count", "breaker")
def interrupts_are_not_failures(library: Library) -> Verdict:
    pressed = True

    def model() -> int:
        if pressed:
            raise KeyboardInterrupt
        return 1

    guarded = library.breaker(model, 3, 60.0)
    for _ in range(3):
        try:
            guarded()
        except BaseException:  # noqa: BLE001, S112 - only the count is asked for
            continue
    pressed = False
    try:
        guarded()
    except Exception as error:  # noqa: BLE001 - the refusal
        return failed(f"3 interrupts opened the circuit ({type(error).__name__})")
    return survived("not counted")


def accepted(library: Library) -> tuple[type[BaseException], ...]:
    """What a library may raise by itself under load."""
    return (*library.rejections, *library.timeouts)


def storm(
    library: Library,
    guard: Guard,
    interrupting: Callable[[Callable[[], None]], None],
    litter: Callable[[], object] = int,
) -> Verdict:
    """Call for a second while *interrupting* calls in again from within; each call leaves *litter*."""
    flaws: list[str] = []
    calls = {"outer": 0, "inner": 0}
    depth = 0

    def model(x: int) -> int:
        litter()
        return x

    guarded = guard(model)

    def call(where: str) -> None:
        calls[where] += 1
        mine = calls[where]
        try:
            if guarded(mine) != mine:
                flaws.append("another call's answer")
        except accepted(library):
            pass
        except Exception as error:  # noqa: BLE001 - an internal error
            flaws.append(f"{type(error).__name__}: {str(error)[:60]}")

    def again() -> None:
        nonlocal depth
        if depth < 2:
            depth += 1
            try:
                call("inner")
            finally:
                depth -= 1

    interrupting(again)
    until = time.monotonic() + 1.0
    while time.monotonic() < until and not flaws:
        call("outer")
    signal.setitimer(signal.ITIMER_REAL, 0)
    return flawless(flaws[:1], f"{calls['outer']:,} calls, {calls['inner']:,} from within")


@each("F32", *PLAIN)
def signal_handlers_may_call_in(library: Library, guard: Guard) -> Verdict:
    def interrupting(again: Callable[[], None]) -> None:
        signal.signal(signal.SIGALRM, lambda *_: again())
        signal.setitimer(signal.ITIMER_REAL, 0.0002, 0.0002)

    return in_child(8.0, lambda: storm(library, guard, interrupting))


@each("F44", *PLAIN)
def finalizers_may_call_in(library: Library, guard: Guard) -> Verdict:
    calling_in: list[Callable[[], None]] = []

    class Garbage:
        """A cycle whose end calls in."""

        def __init__(self) -> None:
            self.itself = self

        def __del__(self) -> None:
            calling_in[0]()

    def interrupting(again: Callable[[], None]) -> None:
        calling_in.append(again)
        gc.set_threshold(50, 5, 5)

    return in_child(8.0, lambda: storm(library, guard, interrupting, Garbage))
