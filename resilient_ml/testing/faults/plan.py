"""A plan: faults in an order, a seed, and what they have done so far."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from dataclasses import replace
from typing import Any, Self, TypeVar

from ... import _checks
from ..._colour import Colour, target_of
from ..._forks import ForkSafeLock
from .case import Case, Injected, Record, Target
from .course import Course
from .draws import Draws
from .fault import Fault
from .gate import Gate
from .injecting import injected
from .raising import error
from .steps import Within
from .when import Window, merged

F = TypeVar("F", bound=Callable[..., Any])


class FaultPlan:
    """Faults to put around callables; the same seed gives the same faults, however threads interleave.

    Every call meets the faults in their order: first those that wait, raise or change the arguments, then
    the callable, then those that change the answer. Which calls a fault picks is settled when a call begins,
    by the call's number, its instant and its arguments.

    A draw depends on the seed, the callable (in the order in which they were injected), the number of the
    call and the place of the fault in the plan; on nothing else. Faults that have a memory (a rate limit, a
    replay of earlier answers, ``times``) also depend on the order in which calls arrive.

    Args:
        faults: What goes wrong, in this order.
        seed: A whole number from 0.

    >>> from resilient_ml.testing import faults
    >>> plan = FaultPlan(faults.error(ConnectionError).on_calls(2), seed=7)
    >>> shout = plan.inject(str.upper)
    >>> shout("a")
    'A'
    >>> shout("b")
    Traceback (most recent call last):
    ConnectionError
    >>> [(one.call, one.fault) for one in plan.history]
    [(2, 'error(ConnectionError), on calls 2')]
    """

    def __init__(self, *faults: Fault, seed: int = 0) -> None:
        for fault in faults:
            if not isinstance(fault, Fault):
                raise TypeError(
                    f"faults must be made by the functions of resilient_ml.testing.faults, got "
                    f"{_checks.shown(fault)}; write faults.error(ConnectionError), say"
                )
        self.faults: tuple[Fault, ...] = faults
        self.seed: int = _checks.whole("seed", seed, at_least=0, remedy="pass a whole number")
        self.pid: int = os.getpid()
        """The process that made the plan, which no fault kills."""
        self._prepare()

    def _prepare(self) -> None:
        self.lock: ForkSafeLock = ForkSafeLock()
        self.gate: Gate = Gate()
        self._targets: list[Target] = []
        self._forget()

    def _forget(self) -> None:
        self._began: float | None = None
        self._history: list[Injected] = []
        self._misfits: list[Injected] = []
        self._records = [Record() for _ in self.faults]

    @classmethod
    def script(cls, *entries: object, repeat: bool = False, seed: int = 0) -> Self:
        """A plan that says call by call what happens: one entry a call, and all is well after the last.

        Args:
            entries: None for a healthy call, a fault, or what :func:`error` takes.
            repeat: Whether the script begins again after its last entry.
            seed: Of the draws that the faults make.

        >>> plan = FaultPlan.script(None, ConnectionError, "overload")
        >>> print(plan.describe())
        error(ConnectionError), on calls 2
        error('overload'), on calls 3
        """
        if not entries:
            raise ValueError("entries must name at least one call, got none; None is a healthy call")
        _checks.flag("repeat", repeat, remedy="True begins again after the last entry")
        found = []
        for number, entry in enumerate(entries, 1):
            if entry is not None:
                fault: Fault = entry if isinstance(entry, Fault) else error(entry)  # type: ignore[arg-type]
                found.append(fault.in_turn(number, len(entries)) if repeat else fault.on_calls(number))
        return cls(*found, seed=seed)

    # -- putting it around callables -----------------------------------------------------------------------

    def inject(
        self,
        fn: F,
        *,
        colour: Colour | None = None,
        name: str | None = None,
        key: Callable[[], int | None] | None = None,
    ) -> F:
        """*fn* with the faults of this plan: the same colour, signature and name.

        Args:
            fn: A function, coroutine function, generator or async generator function, method, partial,
                builtin or callable object.
            colour: Says what *fn* is where inspection cannot see it.
            name: What the history calls it; by default its own name.
            key: Gives a whole number from 0 that the draws of a call depend on in place of the call's number,
                or None to go by the number: the number of a request, to have the same request meet the same
                luck in whatever order requests arrive.

        Raises:
            TypeError: *fn* cannot be called, or one of the faults cannot strike its colour.
        """
        made: F = self.inject_method(fn, colour=colour, name=name, key=key, own=0)
        return made

    def inject_method(
        self,
        fn: Any,
        *,
        colour: Colour | None = None,
        name: str | None = None,
        key: Callable[[], int | None] | None = None,
        own: int,
    ) -> Any:
        """As :meth:`inject`, for a function whose first *own* arguments are an instance or a class."""
        found = target_of(fn, colour)
        if key is not None:
            _checks.function("key", key, remedy="pass a function that gives a whole number, or None")
        name = found.name if name is None else name
        for fault in self.faults:
            fault.check(found.colour, name)
        with self.lock:
            target = Target(name, len(self._targets), found.colour, own, key)
            self._targets.append(target)
        return injected(self, target, fn)

    def begin(self, target: Target, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Course:
        """The course of a call of *target* that begins now."""
        key = None if target.key is None else target.key()
        with self.lock:
            target.calls = number = target.calls + 1
            elapsed = self._elapsed()
            records = self._records
        cases: list[tuple[Fault, Case]] = []
        for position, (fault, record) in enumerate(zip(self.faults, records, strict=True)):
            luck = number if key is None else key
            case = Case(
                self,
                target,
                fault,
                record,
                number=number,
                elapsed=elapsed,
                args=args[target.own :],
                kwargs=kwargs,
                draws=Draws(self.seed, target.ordinal, luck, position, key is None),
            )
            cases.append((fault, case))
        return Course(cases, target.own, args, kwargs)

    def _elapsed(self) -> float:
        with Within():
            now = time.monotonic()
        if self._began is None:
            self._began = now
        return now - self._began

    def strike(self, case: Case) -> bool:
        """Whether a fault strikes: not if it has often enough. What strikes goes into the history."""
        fault, record, target = case.fault, case.record, case.target
        told = str(fault)
        with self.lock:
            if fault.when.times is not None and record.strikes >= fault.when.times:
                return False
            record.strikes += 1
            self._history.append(Injected(self._elapsed(), case.number, target.name, told))
        return True

    def misfit(self, case: Case, error: Exception) -> None:
        """A fault could not do to a call what it is for, as *error* says."""
        told = f"{case.fault} does not fit: {type(error).__name__}: {error}"
        with self.lock:
            self._misfits.append(Injected(self._elapsed(), case.number, case.target.name, told))

    # -- its time, and what it did -------------------------------------------------------------------------

    def start(self) -> None:
        """From here on seconds are counted; by default from the first call on."""
        with Within():
            now = time.monotonic()
        with self.lock:
            self._began = now

    def reset(self) -> None:
        """As new: no call has been counted, nothing has struck, and hanging faults hang again."""
        with self.lock:
            self._forget()
            for target in self._targets:
                target.calls = 0
        self.gate.close()

    def release(self) -> None:
        """Let go of every call that hangs, and have none hang from here on, until :meth:`reset`.

        Such a call raises :class:`HangReleased`.
        """
        self.gate.open()

    @property
    def history(self) -> tuple[Injected, ...]:
        """What struck, in order."""
        with self.lock:
            return tuple(self._history)

    @property
    def misfits(self) -> tuple[Injected, ...]:
        """Where a fault could not do what it is for, ``nan()`` to an answer of text, say.

        The error was raised in the call that was to be struck, where a policy may have taken it for the
        model's.
        """
        with self.lock:
            return tuple(self._misfits)

    def refuse_misfits(self) -> None:
        """Raise TypeError if a fault did not fit: what was measured under this plan means nothing then."""
        misfits = self.misfits
        if misfits:
            raise TypeError(
                "a fault does not fit what it was put around, so it proves nothing there "
                f"(calls that met one: {len(misfits)}); the first: {misfits[0]}"
            )

    # -- other plans of the same faults --------------------------------------------------------------------

    def scaled(self, factor: float) -> FaultPlan:
        """A fresh plan with every probability multiplied by *factor*, at most to 1; 0 switches all off."""
        factor = _checks.seconds(
            "factor", factor, zero=True, remedy="pass what probabilities are multiplied by"
        )
        return self._like(self.seed, *(_scaled(fault, factor) for fault in self.faults))

    def with_seed(self, seed: int) -> FaultPlan:
        """A fresh plan of the same faults with another seed."""
        return self._like(seed, *self.faults)

    def _like(self, seed: int, *faults: Fault) -> FaultPlan:
        made = FaultPlan(*faults, seed=seed)
        made.pid = self.pid
        return made

    # -- what it says of itself ----------------------------------------------------------------------------

    def windows(self, until: float) -> tuple[Window, ...]:
        """The spans of trouble that the plan knows of, in seconds from its start, up to *until*.

        Those of faults that are limited to a time, by ``between`` or ``every`` say; merged, in order.

        >>> from resilient_ml.testing import faults
        >>> FaultPlan(faults.hang().between(10, 12), faults.nan().with_probability(0.5)).windows(60)
        ((10.0, 12.0),)
        """
        until = _checks.seconds("until", until, remedy="pass how long the plan runs, in seconds")
        return merged([span for fault in self.faults for span in fault.windows(until) or ()])

    def describe(self) -> str:
        """The faults, a line each."""
        return "\n".join(map(str, self.faults))

    def __repr__(self) -> str:
        return f"FaultPlan({len(self.faults)} faults, seed={self.seed}, {len(self.history)} strikes)"

    def __getstate__(self) -> dict[str, Any]:
        # What travels to another process is what was planned; what has happened stays here.
        return {"faults": self.faults, "seed": self.seed, "pid": self.pid}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state)
        self._prepare()


def inject(
    fn: F,
    *faults: Fault,
    seed: int = 0,
    colour: Colour | None = None,
    name: str | None = None,
    key: Callable[[], int | None] | None = None,
) -> F:
    """*fn* with these faults: the short form of :meth:`FaultPlan.inject`, for who needs no history.

    >>> from resilient_ml.testing import faults
    >>> faults.inject(sum, faults.nan())([1, 2])
    nan
    """
    return FaultPlan(*faults, seed=seed).inject(fn, colour=colour, name=name, key=key)


def _scaled(fault: Fault, factor: float) -> Fault:
    return replace(fault, when=fault.when.scaled(factor))
