"""When requests come: open loops, which care for no answer, and closed ones, which wait for each.

An open loop has a rate, which may change over time. The n-th request comes when the rate, summed up over
time, reaches the n-th number of a row: whole numbers for an even flow, sums of exponential draws for Poisson
arrivals.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, ClassVar

from ... import _checks
from ..distributions import Distribution, lengths

_RATE = "pass requests per second, or Steps((0, 300), (60, 900)), say"


@dataclass(frozen=True, slots=True)
class _Segment:
    """A stretch of time in which the rate goes evenly from *first* to *last*; *length* may be infinite."""

    start: float
    length: float
    first: float
    last: float

    def area(self) -> float:
        """How many requests come in it."""
        if self.first == self.last == 0.0:
            return 0.0
        return (self.first + self.last) / 2.0 * self.length

    def instant(self, area: float) -> float:
        """When so many of them have come."""
        slope = (self.last - self.first) / self.length
        return self.start + 2.0 * area / (self.first + math.sqrt(self.first**2 + 2.0 * slope * area))


class _Profile:
    """A rate that changes over time, as points of (second, requests per second)."""

    even: ClassVar[bool]
    """Whether it goes evenly from point to point; it jumps otherwise."""

    def __init__(self, *points: tuple[float, float]) -> None:
        given: tuple[Any, ...] = points
        remedy = f"write {type(self).__name__}((0, 300), (60, 900)), say"
        for point in given:
            if not (isinstance(point, tuple) and len(point) == 2):
                raise TypeError(
                    f"points must be pairs of a second and a rate, got {_checks.shown(point)}; {remedy}"
                )
        self.points: tuple[tuple[float, float], ...] = tuple(
            (
                _checks.seconds("the second of a point", at, zero=True, remedy=remedy),
                _checks.seconds("the rate of a point", rate, zero=True, remedy=remedy),
            )
            for at, rate in points
        )
        instants = [at for at, _ in self.points]
        if not instants or instants[0] != 0 or sorted(set(instants)) != instants:
            raise ValueError(f"points must begin at second 0 and go on in order, got {instants}; {remedy}")

    def segments(self) -> Iterator[_Segment]:
        """The stretches, the last of which never ends."""
        for (at, rate), (end, following) in zip(self.points, self.points[1:], strict=False):
            yield _Segment(at, end - at, rate, following if self.even else rate)
        at, rate = self.points[-1]
        yield _Segment(at, math.inf, rate, rate)

    def __repr__(self) -> str:
        return f"{type(self).__name__}({', '.join(f'({at:g}, {rate:g})' for at, rate in self.points)})"


class Steps(_Profile):
    """A rate that jumps: from each point's second on, its requests per second.

    >>> Steps((0, 300), (60, 900), (65, 300))
    Steps((0, 300), (60, 900), (65, 300))
    """

    even = False


class Ramp(_Profile):
    """A rate that goes evenly from point to point, and stays at the last.

    >>> Ramp((0, 100), (60, 500))
    Ramp((0, 100), (60, 500))
    """

    even = True


def _profile(rate: Any) -> _Profile:
    if isinstance(rate, _Profile):
        return rate
    return Steps((0.0, _checks.seconds("rate", rate, remedy=_RATE)))


def _instants(profile: _Profile, counts: Iterator[float]) -> Iterator[float]:
    """When the rate, summed up over time, reaches each of *counts*."""
    segments = profile.segments()
    segment = next(segments)
    before, area = 0.0, segment.area()
    while True:
        count = next(counts)
        while count - before > area:
            before += area
            following = next(segments, None)
            if following is None:
                return
            segment, area = following, following.area()
        yield segment.instant(count - before)


class Poisson:
    """Requests of many clients that know nothing of each other: Poisson arrivals.

    Args:
        rate: Requests per second, above 0; or :class:`Steps` or a :class:`Ramp` of it.

    >>> import random
    >>> times = Poisson(2.0).instants(random.Random(7).random)
    >>> [round(next(times), 3) for _ in range(3)]
    [0.196, 0.277, 0.804]
    """

    def __init__(self, rate: float | Steps | Ramp) -> None:
        self.rate: _Profile = _profile(rate)

    def instants(self, uniform: Callable[[], float]) -> Iterator[float]:
        """The seconds at which requests come, without end unless the rate ends at 0."""

        def counts() -> Iterator[float]:
            count = 0.0
            while True:
                count -= math.log1p(-uniform())
                yield count

        return _instants(self.rate, counts())

    def __repr__(self) -> str:
        return f"Poisson({self.rate!r})"


class Constant:
    """Requests at even distances, the first after one distance.

    Args:
        rate: As for :class:`Poisson`.

    >>> times = Constant(Ramp((0, 0), (4, 4))).instants()
    >>> [round(next(times), 3) for _ in range(4)]
    [1.414, 2.0, 2.449, 2.828]
    """

    def __init__(self, rate: float | Steps | Ramp) -> None:
        self.rate: _Profile = _profile(rate)

    def instants(self, uniform: Callable[[], float] | None = None) -> Iterator[float]:
        """The seconds at which requests come, without end unless the rate ends at 0."""

        def counts() -> Iterator[float]:
            count = 0.0
            while True:
                count += 1.0
                yield count

        return _instants(self.rate, counts())

    def __repr__(self) -> str:
        return f"Constant({self.rate!r})"


class Users:
    """A closed loop: each user thinks, asks, waits for the answer, and thinks again.

    Args:
        count: How many users there are, from 1.
        think: How long each thinks, in seconds, or a distribution of it. Users who do not think at all ask
            without end at one instant when they are refused at once, which ends the simulation with an error.

    >>> Users(100, think=0.5)
    Users(100, think=0.5)
    """

    def __init__(self, count: int, *, think: float | Distribution) -> None:
        self.count: int = _checks.whole("count", count, at_least=1, remedy="pass how many users there are")
        lengths("think", think, float)  # checks it
        self.think: float | Distribution = think

    def thoughts(self, uniform: Callable[[], float]) -> Callable[[], float]:
        """A function that gives the length of the next thought."""
        return lengths("think", self.think, uniform)

    def __repr__(self) -> str:
        return f"Users({self.count}, think={self.think!r})"
