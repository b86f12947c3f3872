"""Processes: forks, exits, crashes."""

from __future__ import annotations

import ctypes
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path

from survival.library import Library
from survival.trials import PLAIN, Guard, each, trial
from survival.verdicts import Verdict, failed, judged


def forked(call: Callable[[], object]) -> Verdict:
    """*call* in a forked child, 5 s for it."""
    child = os.fork()
    if child == 0:
        try:
            call()
        except BaseException:  # noqa: BLE001 - nothing may leave the child
            os._exit(3)
        os._exit(0)
    began = time.monotonic()
    while time.monotonic() - began < 5:
        done, status = os.waitpid(child, os.WNOHANG)
        if done:
            code = os.waitstatus_to_exitcode(status)
            took = time.monotonic() - began
            return judged(
                code == 0, f"the child's call {'failed' if code else 'answered'} after {took:.2f} s"
            )
        time.sleep(0.01)
    os.kill(child, signal.SIGKILL)
    os.waitpid(child, 0)
    return failed("the child hung (killed after 5 s)")


@each("F09", *PLAIN)
def a_child_may_call_at_once(library: Library, guard: Guard) -> Verdict:
    inside, over = threading.Event(), threading.Event()

    def model(wait: bool) -> int:
        if wait:
            inside.set()
            over.wait(10)
        return 1

    guarded = guard(model)
    threading.Thread(target=guarded, args=(True,), daemon=True).start()
    inside.wait(10)
    try:
        return forked(lambda: guarded(False))
    finally:
        over.set()


@trial("F10", "timeout", "timeout")
def limits_work_after_a_fork(library: Library) -> Verdict:
    guarded = library.timeout(lambda: 1, 2.0)
    threads = [threading.Thread(target=guarded, daemon=True) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(10)

    def calls() -> None:
        for _ in range(3):
            guarded()

    return forked(calls)


EXITING = """
import time
from survival.libraries import LIBRARIES
guarded = LIBRARIES[{name!r}].timeout(lambda: time.sleep(20), 0.3)
import threading
def caller():
    try:
        guarded()
    except Exception:
        pass
thread = threading.Thread(target=caller)
thread.start()
thread.join()
caller()
print("over", flush=True)
"""


@trial("F13", "exit", "timeout")
def the_interpreter_exits(library: Library) -> Verdict:
    folder = str(Path(__file__).resolve().parent.parent.parent)
    with subprocess.Popen(  # noqa: S603 - this interpreter, the code above
        [sys.executable, "-W", "ignore", "-c", EXITING.format(name=library.name)],
        env={**os.environ, "PYTHONPATH": os.pathsep.join([folder, *sys.path])},
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
    ) as process:
        assert process.stdout is not None
        process.stdout.readline()
        began = time.monotonic()
        try:
            process.wait(8)
        except subprocess.TimeoutExpired:
            process.kill()
            return failed("alive 8 s after its last line")
    took = time.monotonic() - began
    return judged(took < 3, f"gone {took:.1f} s after its last line")


def crash(how: str) -> int:
    """Native code that goes wrong."""
    if how == "segfault":
        ctypes.string_at(0)
    if how == "abort":
        os.abort()
    if how == "exit":
        os._exit(3)
    return 42


@trial("F42", "isolation", "isolated")
def a_crash_is_an_error(library: Library) -> Verdict:
    guarded, outcomes = library.isolated(crash, 10.0), []
    for how in ("segfault", "abort", "exit", "answer"):
        try:
            outcomes.append(f"{how}: {guarded(how)}")
        except Exception as error:  # noqa: BLE001 - an error is what is wanted
            outcomes.append(f"{how}: {type(error).__name__}")
    return judged(outcomes[-1] == "answer: 42", ", ".join(outcomes))
