"""Faults that take time: latency, hangs, blocks, slow starts."""

from __future__ import annotations

import ctypes
from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from typing import Any

from ... import _checks
from .case import Case
from .distributions import Distribution
from .fault import Before
from .steps import Act, Block, Hang, Ignore, Sleep, Step
from .when import Window

_REMEDY = "pass seconds, or a distribution such as faults.lognormal(median=0.05, sigma=1.0)"


@dataclass(frozen=True, repr=False)
class Latency(Before):
    """Waits a drawn number of seconds."""

    seconds: float | Distribution

    def before(self, case: Case) -> Iterator[Step]:
        """Wait."""
        yield Sleep(drawn(self.seconds, case))


def latency(seconds: float | Distribution) -> Latency:
    """The call takes longer, by *seconds*: a number, or a distribution to draw each call's from.

    Distributions are :func:`exponential`, :func:`lognormal`, :func:`pareto`, :func:`uniform`, and anything
    with a method ``draw(u)`` that gives seconds for a uniform number in [0, 1).
    """
    return Latency(length("seconds", seconds), called="latency")


def length(name: str, given: Any) -> float | Distribution:
    """*given* as seconds from 0 or a distribution of them, or a complaint."""
    if isinstance(given, Distribution):
        return given
    return _checks.seconds(name, given, zero=True, remedy=_REMEDY)


def drawn(length: float | Distribution, case: Case) -> float:
    """A length of time for this call."""
    return length.draw(case.draws.uniform()) if isinstance(length, Distribution) else length


@dataclass(frozen=True, repr=False)
class _Hanging(Before):
    def before(self, case: Case) -> Iterator[Step]:
        yield Hang(f"call {case.number} of {case.target.name!r}")


def hang() -> Before:
    """The call hangs until it is cancelled, or let go by ``plan.release()``: then it raises ``HangReleased``.

    A plain call cannot be cancelled: it holds its thread until it is let go.
    """
    return _Hanging(called="hang")


@dataclass(frozen=True, repr=False)
class _Blocking(Before):
    seconds: float

    def before(self, case: Case) -> Iterator[Step]:
        yield Block(self.seconds)


def block(seconds: float) -> Before:
    """The call holds its thread for *seconds*, in an ``async def`` too: its event loop stands still."""
    return _Blocking(
        _checks.seconds("seconds", seconds, remedy="pass for how long the thread is held"), called="block"
    )


@dataclass(frozen=True, repr=False)
class _Stubborn(Before):
    seconds: float

    def before(self, case: Case) -> Iterator[Step]:
        yield Ignore(self.seconds)


def stubborn(seconds: float) -> Before:
    """The call takes *seconds* longer and swallows every cancellation meanwhile."""
    return _Stubborn(
        _checks.seconds("seconds", seconds, remedy="pass for how long cancellations are ignored"),
        called="stubborn",
    )


@dataclass(frozen=True, repr=False)
class _HoldingTheGil(Before):
    seconds: float

    def before(self, case: Case) -> Iterator[Step]:
        # PyDLL keeps the interpreter's lock, where CDLL gives it up.
        yield Act(partial(ctypes.PyDLL(None).usleep, round(self.seconds * 1e6)))


def hold_gil(seconds: float) -> Before:
    """Native code holds the interpreter's lock for *seconds* of real time: no other thread of Python runs.

    Only another process is safe from it. Less than 1,000 s.
    """
    seconds = _checks.seconds("seconds", seconds, remedy="pass for how long nothing runs")
    if seconds >= 1000:
        raise ValueError(
            f"seconds must be below 1,000, got {seconds:g}; it is real time, and nothing ends it"
        )
    return _HoldingTheGil(seconds, called="hold_gil")


@dataclass(frozen=True, repr=False)
class _SlowStart(Before):
    latency: float
    calls: int | None
    seconds: float | None

    def due(self, case: Case) -> bool:
        if self.calls is not None:
            return case.number <= self.calls
        assert self.seconds is not None
        return case.elapsed < self.seconds

    def before(self, case: Case) -> Iterator[Step]:
        yield Sleep(self.latency)

    def windows(self, until: float) -> list[Window] | None:
        within = None if self.seconds is None else [(0.0, min(self.seconds, until))]
        return self.when.windows(until, within)


def slow_start(latency: float, *, calls: int | None = None, seconds: float | None = None) -> Before:
    """A cold model: its first calls take longer.

    Args:
        latency: By how many seconds.
        calls: How many calls of each callable are slow, from 1; by default the first.
        seconds: Instead, for how many seconds from the plan's start calls are slow.
    """
    latency = _checks.seconds(
        "latency", latency, remedy="pass by how many seconds the first calls take longer"
    )
    if calls is not None and seconds is not None:
        raise ValueError(
            f"calls or seconds must be given, not both, got {calls} and {seconds}; leave one out"
        )
    if seconds is not None:
        seconds = _checks.seconds("seconds", seconds, remedy="pass for how long calls are slow")
    else:
        calls = _checks.whole(
            "calls", 1 if calls is None else calls, at_least=1, remedy="1 is the first call"
        )
    return _SlowStart(latency, calls, seconds, called="slow_start")
