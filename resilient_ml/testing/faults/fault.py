"""A fault: frozen data, when it strikes, and hooks that are written once for all four colours."""

from __future__ import annotations

import dataclasses
import math
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from typing import Any, Self

from ... import _checks
from ..._colour import Colour, name_of
from .case import Case
from .steps import Step
from .when import Between, Every, InTurn, OnCalls, When, Where, Window

Arguments = tuple[tuple[Any, ...], dict[str, Any]]


@dataclass(frozen=True, repr=False)
class Fault:
    """Something that goes wrong with a call, and when.

    Made by the functions of :mod:`resilient_ml.testing.faults`. Each method below gives a new fault that
    strikes less often; all that is asked for must hold.

    >>> from resilient_ml.testing import faults
    >>> print(faults.hang().between(10, 12).with_probability(0.5))
    hang(), from 10 s to 12 s, with probability 0.5
    """

    called: str = field(default="fault", kw_only=True, repr=False)
    when: When = field(default=When(), kw_only=True, repr=False)

    # -- when it strikes -----------------------------------------------------------------------------------

    def with_probability(self, probability: float) -> Self:
        """This share of the calls, from 0 to 1, picked by the plan's seed."""
        share = _checks.share(
            "probability", probability, zero=True, remedy="0.1 strikes one call in ten, on average"
        )
        return replace(self, when=self.when.scaled(share))

    def on_calls(self, *numbers: int | range) -> Self:
        """These calls of each callable, counted from 1: ``on_calls(1, 4)`` or ``on_calls(range(10, 20))``."""
        ranges = [one if isinstance(one, range) else range(_number(one), _number(one) + 1) for one in numbers]
        found = ranges[0] if len(ranges) == 1 else frozenset(number for one in ranges for number in one)
        if not found:
            raise ValueError("numbers must name at least one call, got none; on_calls(1) is the first")
        _number(min(found))
        return self._also(OnCalls(found))

    def first(self, calls: int) -> Self:
        """The first *calls* calls of each callable."""
        return self.on_calls(
            range(1, 1 + _checks.whole("calls", calls, at_least=1, remedy="first(1) is the first call"))
        )

    def in_turn(self, place: int, cycle: int) -> Self:
        """Call *place* of every *cycle* calls of each callable, counted from 1."""
        cycle = _checks.whole("cycle", cycle, at_least=1, remedy="in_turn(1, 3) is every third call")
        place = _checks.whole("place", place, at_least=1, remedy="calls are counted from 1")
        if place > cycle:
            raise ValueError(f"place must be at most cycle, got {place} of {cycle}; swap them, perhaps")
        return self._also(InTurn(place, cycle))

    def between(self, begins: float, ends: float = math.inf) -> Self:
        """Calls that begin in this span, in seconds from the plan's start, the end excluded."""
        begins = _checks.seconds("begins", begins, zero=True, remedy="pass seconds from the plan's start")
        if ends != math.inf:
            ends = _checks.seconds("ends", ends, remedy="pass seconds from the plan's start")
        if ends <= begins:
            raise ValueError(f"ends must be after begins, got {ends:g} and {begins:g}; swap them, perhaps")
        return self._also(Between(begins, ends))

    def every(self, period: float, *, lasting: float, offset: float = 0.0) -> Self:
        """Calls that begin in the first *lasting* of every *period* seconds, from *offset* on."""
        period = _checks.seconds("period", period, remedy="pass seconds from one beginning to the next")
        lasting = _checks.seconds("lasting", lasting, remedy="pass how long it strikes in every period")
        offset = _checks.seconds("offset", offset, zero=True, remedy="pass when it begins, in seconds")
        if lasting > period:
            raise ValueError(
                f"lasting must be at most the period, got {lasting:g} of {period:g} s; leave every() out to "
                "strike all the time"
            )
        return self._also(Every(period, lasting, offset))

    def where(self, predicate: Callable[..., Any]) -> Self:
        """Calls for whose arguments *predicate* is true; of a method's, without the instance."""
        return self._also(
            Where(_checks.function("predicate", predicate, remedy="pass a function of the call's arguments"))
        )

    def times(self, strikes: int) -> Self:
        """At most *strikes* times in all, over all callables of the plan."""
        most = _checks.whole("strikes", strikes, at_least=1, remedy="leave the fault out to never strike")
        known = self.when.times
        return replace(self, when=replace(self.when, times=most if known is None else min(most, known)))

    def _also(self, condition: Any) -> Self:
        return replace(self, when=replace(self.when, conditions=(*self.when.conditions, condition)))

    # -- what it says of itself ----------------------------------------------------------------------------

    def title(self) -> str:
        """What makes it, as the user would write it; what is left as it is by default is left out."""
        told = [
            f"{one.name}={_told(getattr(self, one.name))}"
            for one in dataclasses.fields(self)
            if one.repr and getattr(self, one.name) not in (one.default, None)
        ]
        return f"{self.called}({', '.join(told)})"

    def __str__(self) -> str:
        when = str(self.when)
        return f"{self.title()}, {when}" if when else self.title()

    def __repr__(self) -> str:
        return f"<fault {self}>"

    def windows(self, until: float) -> list[Window] | None:
        """The spans it is limited to, in seconds from the plan's start; None where time does not matter."""
        return self.when.windows(until)

    def check(self, colour: Colour, name: str) -> None:
        """Refuse callables that it cannot strike."""

    # -- what it does --------------------------------------------------------------------------------------

    def due(self, case: Case) -> bool:
        """Whether it has something to do in this call, which it was picked for. Sees every such call."""
        return True

    def end(self, case: Case) -> None:
        """A call that it was picked for has ended, however far it came."""


@dataclass(frozen=True, repr=False)
class Before(Fault, ABC):
    """A fault that acts before the callable is called: it waits, raises, or lets the process die."""

    @abstractmethod
    def before(self, case: Case) -> Iterator[Step]:
        """What to do."""


@dataclass(frozen=True, repr=False)
class OnArguments(Fault, ABC):
    """A fault that changes what the callable is given; never the caller's own objects."""

    @abstractmethod
    def arguments(self, case: Case, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Arguments:
        """The arguments in place of *args* and *kwargs*, those of a method without the instance."""


@dataclass(frozen=True, repr=False)
class OnAnswer(Fault, ABC):
    """A fault that changes the answer, or each item of a stream; never the model's own objects."""

    def watch(self, case: Case, index: int, value: Any) -> None:
        """The model gave *value*: the answer, or item number *index* of a stream. Sees every call's."""

    @abstractmethod
    def answer(self, case: Case, value: Any) -> Any:
        """The answer in place of *value*; *value* itself where there is nothing to change."""


@dataclass(frozen=True, repr=False)
class OnStream(Fault, ABC):
    """A fault of streams: it decides itself at which item it acts, and tells by ``case.strike()``."""

    def check(self, colour: Colour, name: str) -> None:
        """Refuse callables that give one answer."""
        if not colour.streams:
            raise TypeError(
                f"{self.title()} strikes streams, and {name!r} gives one answer; put it around a generator, "
                "or say inject(..., colour=Colour.STREAM) where inspection cannot see that it streams"
            )

    @abstractmethod
    def item(self, case: Case, index: int, item: Any) -> Iterator[Step]:
        """What to do with item number *index*, from 0."""

    def tail(self, case: Case) -> Iterator[Step]:
        """What to do when the stream has ended by itself; nothing more is given."""
        yield from ()


def _number(call: Any) -> int:
    return _checks.whole("numbers", call, at_least=1, remedy="calls are counted from 1")


def _told(value: object) -> str:
    """A parameter in words: a function by its name, data by what is in it, anything else by its type."""
    if isinstance(value, type) or (callable(value) and not dataclasses.is_dataclass(value)):
        return name_of(value)
    if dataclasses.is_dataclass(value) or isinstance(value, range):
        return repr(value)
    return f"{value:g}" if isinstance(value, float) else _checks.shown(value)
