"""The trials of each fault: what they need of a library, and how they judge it."""

from __future__ import annotations

import json
import os
import select
import signal
import time
from collections.abc import Callable
from dataclasses import dataclass

from .library import Fn, Library
from .verdicts import NOT_OFFERED, Status, Verdict, combined, failed

Judge = Callable[[Library], Verdict]
Guard = Callable[[Fn], Fn]


@dataclass(frozen=True, slots=True)
class Trial:
    """One part of a fault.

    Attributes:
        fault: The number of the fault.
        label: What it tries, in a word or two.
        needs: What the library must offer for it.
        judge: Brings the fault about and says how the library came through.
    """

    fault: str
    label: str
    needs: tuple[str, ...]
    judge: Judge

    def applies(self, library: Library) -> bool:
        """Whether *library* offers what it needs."""
        return all(library.offers(method) for method in self.needs)


TRIALS: dict[str, list[Trial]] = {}
"""By fault; filled as the modules of ``cases`` are imported."""

USUAL: dict[str, Callable[[Library], Guard]] = {
    "retry": lambda library: lambda fn: library.retry(fn, 3),
    "aretry": lambda library: lambda fn: library.aretry(fn, 3),
    "breaker": lambda library: lambda fn: library.breaker(fn, 3, 60.0),
    "abreaker": lambda library: lambda fn: library.abreaker(fn, 3, 60.0),
    "bulkhead": lambda library: lambda fn: library.bulkhead(fn, 8, 0),
    "abulkhead": lambda library: lambda fn: library.abulkhead(fn, 2, 20),
    "timeout": lambda library: lambda fn: library.timeout(fn, 5.0),
    "atimeout": lambda library: lambda fn: library.atimeout(fn, 5.0),
    "fallback": lambda library: lambda fn: library.fallback(fn, "instead"),
    "afallback": lambda library: lambda fn: library.afallback(fn, "instead"),
    "rate": lambda library: lambda fn: library.rate(fn, 1_000_000, 1.0),
    "arate": lambda library: lambda fn: library.arate(fn, 1_000_000, 1.0),
    "cache": lambda library: lambda fn: library.cache(fn, 64, 60.0),
    "acache": lambda library: lambda fn: library.acache(fn, 64, 60.0),
}
"""A guard of each kind with parameters that let all through."""

PLAIN = ("retry", "breaker", "bulkhead", "timeout", "fallback", "rate", "cache")
ASYNC = tuple(f"a{one}" for one in PLAIN)


def trial(fault: str, label: str, *needs: str) -> Callable[[Judge], Judge]:
    """Register a trial of *fault*."""

    def register(judge: Judge) -> Judge:
        TRIALS.setdefault(fault, []).append(Trial(fault, label, needs, judge))
        return judge

    return register


def each(fault: str, *methods: str) -> Callable[[Callable[[Library, Guard], Verdict]], None]:
    """Register one trial of *fault* for each of *methods*, with its usual guard."""

    def register(judge: Callable[[Library, Guard], Verdict]) -> None:
        for method in methods:
            usual = USUAL[method]
            trial(fault, method, method)(lambda library, usual=usual: judge(library, usual(library)))  # type: ignore[misc]

    return register


def judge_fault(fault: str, library: Library) -> Verdict:
    """All trials of *fault* that apply to *library*, one after another."""
    parts = []
    for one in TRIALS.get(fault, []):
        if not one.applies(library):
            continue
        try:
            verdict = one.judge(library)
        except Exception as error:  # noqa: BLE001 - what a library lets out is what is being judged
            verdict = failed(f"raises {type(error).__name__}: {str(error)[:120]}")
        parts.append((one.label, verdict))
    return combined(parts) if parts else NOT_OFFERED


def offered(fault: str, library: Library) -> bool:
    """Whether any trial of *fault* applies to *library*."""
    return any(one.applies(library) for one in TRIALS.get(fault, []))


def in_child(seconds: float, judge: Callable[[], Verdict]) -> Verdict:
    """*judge* in a forked child, which has *seconds* for it: what deadlocks is killed."""
    reader, writer = os.pipe()
    child = os.fork()
    if child == 0:
        try:
            verdict = judge()
        except BaseException as error:  # noqa: BLE001 - nothing may leave the child
            verdict = failed(f"raises {type(error).__name__}: {str(error)[:120]}")
        os.write(writer, json.dumps([verdict.status, verdict.reason]).encode())
        os._exit(0)
    os.close(writer)
    began = time.monotonic()
    try:
        ready, _, _ = select.select([reader], [], [], seconds)
        told = os.read(reader, 65536) if ready else b""
    finally:
        os.close(reader)
        os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)
    if told:
        status, reason = json.loads(told)
        return Verdict(Status(status), reason)
    took = time.monotonic() - began
    return failed("the process died" if ready else f"deadlocked (killed after {took:.0f} s)")
