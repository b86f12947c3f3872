"""The suite: every promise, where it is checked, and what runs the checks."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from typing import Any

from ... import _checks
from ..._colour import Colour
from ..ending import VirtualTimeStuck
from . import (
    answers,
    cancellation,
    clocks,
    forks,
    interrupts,
    leaks,
    listeners,
    looks,
    loops,
    pickling,
    reentrancy,
    side_by_side,
    strange,
    transparency,
)
from .subject import Make, Subject, time_to_check
from .verdicts import BrokenPromise, ConformanceError, Refused, Report, Status, Verdict
from .worlds import Hung, Interrupt, World, worlds

_EVERY = tuple(Colour)
_ASYNC = (Colour.ASYNC_CALL, Colour.ASYNC_STREAM)
_STREAMS = (Colour.STREAM, Colour.ASYNC_STREAM)


@dataclass(frozen=True, slots=True)
class _Promise:
    """One promise, and the colours it is checked in; without any, it is checked once."""

    name: str
    kept: Callable[..., None]
    colours: tuple[Colour, ...] = _EVERY


_PROMISES = (
    _Promise("answers", answers.answers),
    _Promise("streams", answers.streams, _STREAMS),
    _Promise("errors", answers.errors),
    _Promise("strange errors", strange.strange_errors),
    _Promise("strange objects", strange.strange_objects),
    _Promise("transparency", transparency.transparency),
    _Promise("cancellation", cancellation.cancellation, _ASYNC),
    _Promise("interrupts", interrupts.interrupts),
    _Promise("permits", leaks.permits),
    _Promise("references", leaks.references),
    _Promise("growth", leaks.growth),
    _Promise("side by side", side_by_side.side_by_side),
    _Promise("reentrancy", reentrancy.reentrancy),
    _Promise("listeners", listeners.listeners),
    _Promise("loops", loops.loops, _ASYNC),
    _Promise("forks", forks.forks),
    _Promise("clocks", clocks.clocks),
    _Promise("pickling", pickling.pickling, ()),
    _Promise("looks", looks.looks, ()),
)

PROMISES = tuple(promise.name for promise in _PROMISES)
"""The names of the promises, for ``only=`` and ``skip=``."""


@dataclass(frozen=True, slots=True)
class Check:
    """One promise in one colour: call it with what makes a fresh policy.

    Attributes:
        name: The promise.
        where: The colour, and the event loop of async ones; empty where neither matters.
    """

    name: str
    where: str
    _kept: Callable[[Subject], None]

    def __call__(
        self,
        make: Make,
        *,
        call: Callable[[Any, Any], Any] | None = None,
        answer: Callable[[], Any] | None = None,
    ) -> Verdict:
        """Check the promise.

        Args:
            make: Makes a fresh policy, or pipeline, each time it is called.
            call: As for :func:`check`.
            answer: As for :func:`check`.

        Returns:
            A verdict that is ``kept`` or ``refused``.

        Raises:
            ConformanceError: The promise is broken; the message says what was seen and what to do.
        """
        with time_to_check():
            subject = Subject(make, call=call, answer=answer)
            verdict = self._verdict(subject)
        if not verdict.ok:
            raise ConformanceError(Report(subject.name, (verdict,)))
        return verdict

    def _verdict(self, subject: Subject) -> Verdict:
        status: Status = "kept"
        detail = ""
        with warnings.catch_warnings():
            # Coroutines that a broken policy never awaits, orders that hurt: another's business.
            warnings.simplefilter("ignore")
            try:
                self._kept(subject)
            except Refused as refused:
                status, detail = "refused", str(refused)
            except BrokenPromise as broken:
                status, detail = "broken", str(broken)
            except (Hung, VirtualTimeStuck):
                status = "broken"
                detail = "a call waits for ever; wait with call.runtime alone, and give back what a call took"
            except Interrupt as interrupt:
                status = "broken"
                detail = (
                    f"{type(interrupt).__name__} that the model raised stopped the event loop; "
                    "let it out of the call, and run no model in a task of its own"
                )
            except Exception as error:
                status = "broken"
                detail = (
                    f"the check ended in {type(error).__name__}: {error}; look at its traceback with only="
                )
        return Verdict(self.name, self.where, status, detail)

    def __str__(self) -> str:
        return f"{self.name}, {self.where}" if self.where else self.name


def checks(*, only: Collection[str] | str | None = None) -> tuple[Check, ...]:
    """Every promise in every colour: ``@pytest.mark.parametrize("check", conformance.checks(), ids=str)``.

    Args:
        only: The names of promises to check, as in :data:`PROMISES`; None for all.

    >>> [str(check) for check in checks(only="streams")][0]
    'streams, stream'
    """
    wanted = PROMISES if only is None else _named("only", (only,) if isinstance(only, str) else only)
    found: list[Check] = []
    for promise in _PROMISES:
        if promise.name not in wanted:
            continue
        if promise.kept is forks.forks and not forks.can_fork():
            continue
        if not promise.colours:
            found.append(Check(promise.name, "", promise.kept))
        else:
            found += (
                Check(promise.name, str(world), _in_world(promise.kept, world))
                for world in worlds(*promise.colours)
            )
    return tuple(found)


def _in_world(kept: Callable[[Subject, World], None], world: World) -> Callable[[Subject], None]:
    return lambda subject: kept(subject, world)


def run(
    make: Make,
    *,
    only: Collection[str] | str | None = None,
    skip: Mapping[str, str] | None = None,
    call: Callable[[Any, Any], Any] | None = None,
    answer: Callable[[], Any] | None = None,
) -> Report:
    """Check a policy and say what was found; print the report for a table.

    Args:
        make: As for :func:`check`.
        only: The names of promises to check, as in :data:`PROMISES`; None for all.
        skip: Promises not to check, each with the reason: ``{"pickling": "holds a socket"}``.
        call: As for :func:`check`.
        answer: As for :func:`check`.

    >>> from resilient_ml import Bulkhead
    >>> print(run(lambda: Bulkhead(2), only="looks"))
    Bulkhead(2, queue=0)
    1 of 1 checks kept, 0 broken
    <BLANKLINE>
    promise
    looks    kept
    """
    reasons = dict(skip or {})
    _named("skip", reasons)
    with time_to_check():
        subject = Subject(make, call=call, answer=answer)
        verdicts = tuple(
            Verdict(check.name, check.where, "skipped", reasons[check.name])
            if check.name in reasons
            else check._verdict(subject)
            for check in checks(only=only)
        )
    return Report(subject.name, verdicts)


def check(
    make: Make,
    *,
    only: Collection[str] | str | None = None,
    skip: Mapping[str, str] | None = None,
    call: Callable[[Any, Any], Any] | None = None,
    answer: Callable[[], Any] | None = None,
) -> Report:
    """Check that a policy keeps every promise that every policy keeps.

    It takes some seconds; time is virtual.

    Args:
        make: Makes a fresh policy, or pipeline, each time it is called. Small ones are checked best: of a
            bulkhead with a hundred seats, one that is lost is hard to see.
        only: The names of promises to check, as in :data:`PROMISES`; None for all.
        skip: Promises not to check, each with the reason: ``{"pickling": "holds a socket"}``.
        call: How a guarded callable is called with one thing, ``(guarded, thing)``; by default
            ``guarded(thing)``. For policies that need certain arguments:
            ``lambda guarded, thing: guarded(thing, tenant="acme")``.
        answer: Makes an answer that the policy lets pass, for policies that look at answers; by default an
            object of no meaning.

    Returns:
        The report; a colour that the policy refuses is in it as ``refused``.

    Raises:
        ConformanceError: Promises are broken, or every colour is refused; the message lists each with what
            was seen and what to do.
        TypeError: *make* does not make what guards a callable.
        ValueError: *make* gives the same object twice; *only* or *skip* name what is no promise.
        RuntimeError: An event loop runs on this thread, or virtual time on another.

    >>> from resilient_ml import Bulkhead
    >>> check(lambda: Bulkhead(2), only={"answers", "transparency"}).ok
    True
    """
    report = run(make, only=only, skip=skip, call=call, answer=answer)
    refused = [verdict for verdict in report.verdicts if verdict.status == "refused"]
    if refused and not any(verdict.status in ("kept", "broken") for verdict in report.verdicts):
        detail = f"it guards no colour at all; of the first it says: {refused[0].detail}"
        report = Report(report.policy, (*report.verdicts, Verdict("serving", "", "broken", detail)))
    if not report.ok:
        raise ConformanceError(report)
    return report


def _named(parameter: str, names: Collection[str]) -> Collection[str]:
    for name in names:
        if name not in PROMISES:
            raise ValueError(
                f"{parameter} must name promises, got {_checks.shown(name)}; they are {', '.join(PROMISES)}"
            )
    return names
