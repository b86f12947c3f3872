"""When a fault strikes: conditions on the call, its instant and its arguments, of which all must hold."""

from __future__ import annotations

import math
from collections.abc import Callable, Collection, Iterator
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Protocol

from ..._colour import name_of

if TYPE_CHECKING:
    from .case import Case

Window = tuple[float, float]


class Condition(Protocol):
    """One of the things that must hold."""

    def holds(self, case: Case) -> bool:
        """Whether it does for this call."""

    def windows(self, until: float) -> Iterator[Window] | None:
        """The spans in which it can hold, in seconds from the start; None where time does not matter."""

    def __str__(self) -> str: ...


class _AnyTime:
    """A condition that time does not matter to."""

    __slots__ = ()

    def windows(self, until: float) -> None:
        """None."""


@dataclass(frozen=True, slots=True)
class OnCalls(_AnyTime):
    """These calls, counted from 1."""

    numbers: Collection[int]

    def holds(self, case: Case) -> bool:
        """Whether it does."""
        return case.number in self.numbers

    def __str__(self) -> str:
        if isinstance(self.numbers, range) and self.numbers.step == 1 and len(self.numbers) > 1:
            return f"on calls {self.numbers.start} to {self.numbers.stop - 1}"
        return f"on calls {', '.join(map(str, sorted(self.numbers)))}"


@dataclass(frozen=True, slots=True)
class InTurn(_AnyTime):
    """Call *place* of every *cycle* calls, both from 1."""

    place: int
    cycle: int

    def holds(self, case: Case) -> bool:
        """Whether it does."""
        return (case.number - self.place) % self.cycle == 0

    def __str__(self) -> str:
        return f"on call {self.place} of every {self.cycle}"


@dataclass(frozen=True, slots=True)
class Between:
    """Calls that begin in a span of time, in seconds from the start of the plan."""

    begins: float
    ends: float

    def holds(self, case: Case) -> bool:
        """Whether it does."""
        return self.begins <= case.elapsed < self.ends

    def windows(self, until: float) -> Iterator[Window]:
        """This one."""
        if self.begins < until:
            yield self.begins, min(self.ends, until)

    def __str__(self) -> str:
        return f"from {self.begins:g} s" + (f" to {self.ends:g} s" if self.ends < math.inf else " on")


@dataclass(frozen=True, slots=True)
class Every:
    """Calls that begin in the first *lasting* seconds of every *period*, counted from *offset*."""

    period: float
    lasting: float
    offset: float

    def holds(self, case: Case) -> bool:
        """Whether it does."""
        since = case.elapsed - self.offset
        return since >= 0.0 and since % self.period < self.lasting

    def windows(self, until: float) -> Iterator[Window]:
        """One in each period."""
        turn = 0
        while (begins := self.offset + turn * self.period) < until:
            yield begins, min(begins + self.lasting, until)
            turn += 1

    def __str__(self) -> str:
        first = f", first at {self.offset:g} s" if self.offset else ""
        return f"for {self.lasting:g} s in every {self.period:g} s{first}"


@dataclass(frozen=True, slots=True)
class Where(_AnyTime):
    """Calls whose arguments the user's predicate picks."""

    predicate: Callable[..., Any]

    def holds(self, case: Case) -> bool:
        """Whether it does."""
        return bool(self.predicate(*case.args, **case.kwargs))

    def __str__(self) -> str:
        return f"where {name_of(self.predicate)}(...)"


@dataclass(frozen=True, slots=True)
class When:
    """The calls that a fault strikes.

    Attributes:
        probability: Of those that meet the conditions, how many; from 0 to 1.
        conditions: What must hold, all of them.
        times: How often it strikes at most; None without end.
    """

    probability: float = 1.0
    conditions: tuple[Condition, ...] = ()
    times: int | None = None

    def picks(self, case: Case) -> bool:
        """Whether the call is struck, how often aside.

        The first draw is spent on it whatever the probability, so that scaling it changes no other draw.
        """
        luck = case.draws.uniform()
        return luck < self.probability and all(condition.holds(case) for condition in self.conditions)

    def scaled(self, factor: float) -> When:
        """With *factor* times the probability, 1 at most."""
        return replace(self, probability=min(1.0, self.probability * factor))

    def windows(self, until: float, within: list[Window] | None = None) -> list[Window] | None:
        """The spans of time it is limited to, *within* others if any; None where time does not matter.

        >>> When(conditions=(Between(10, 20), Every(8, 2, 0))).windows(60)
        [(16, 18)]
        """
        found = within
        for condition in self.conditions:
            spans = condition.windows(until)
            if spans is not None:
                found = list(spans) if found is None else list(_overlaps(found, list(spans)))
        return [] if found is not None and self.probability == 0.0 else found

    def __str__(self) -> str:
        parts = [str(condition) for condition in self.conditions]
        if self.probability < 1.0:
            parts.append(f"with probability {self.probability:g}")
        if self.times is not None:
            parts.append(f"{self.times} times at most")
        return ", ".join(parts)


def _overlaps(some: list[Window], others: list[Window]) -> Iterator[Window]:
    for begins, ends in some:
        for other_begins, other_ends in others:
            if max(begins, other_begins) < min(ends, other_ends):
                yield max(begins, other_begins), min(ends, other_ends)


def merged(windows: list[Window]) -> tuple[Window, ...]:
    """*windows* in order, those that touch made one.

    >>> merged([(5, 7), (1, 3), (3, 4)])
    ((1, 4), (5, 7))
    """
    found: list[Window] = []
    for begins, ends in sorted(windows):
        if found and begins <= found[-1][1]:
            found[-1] = (found[-1][0], max(found[-1][1], ends))
        else:
            found.append((begins, ends))
    return tuple(found)
