"""Numbers for classes and strata, which are anything that has a hash."""

from __future__ import annotations

import math
from collections.abc import Callable, Hashable, Iterator, Sequence
from typing import Any

import numpy as np

from .. import _checks
from .detector import Floats
from .seasonal import visits
from .stratified import pairs

MOST = 1000
"""So many strata are told apart."""


class Numbering:
    """Numbers for things that have a hash, in the order in which they are first seen.

    Args:
        most: So many are told apart; all others have this number.

    Attributes:
        names: What they are called, by number.
    """

    def __init__(self, most: int) -> None:
        self._most = most
        self._numbers: dict[Hashable, int] = {}
        self._free = list(range(most - 1, -1, -1))
        self.names: dict[int, str] = {}

    def of(self, one: Hashable) -> int:
        """The number of *one*."""
        number = self._numbers.get(one)
        return self._new(one) if number is None else number

    def _new(self, one: Hashable) -> int:
        if isinstance(one, float) and math.isnan(one):  # each is unlike any other, and they are all one
            one = math.nan
        name = str(one)[:40]
        try:
            free = self._free.pop()
        except IndexError:
            return self._numbers.get(one, self._most)
        # Each step is one that no other thread sees half of: two that meet the same one agree on its number.
        number = self._numbers.setdefault(one, free)
        if number == free:
            self.names[number] = name
        else:
            self._free.append(free)
        return number


StratumOf = Callable[[], Hashable] | None


class Strata:
    """Says to which stratum what is watched at the moment belongs, if anybody has said how to tell."""

    def __init__(self, of: StratumOf) -> None:
        self.of: StratumOf = (
            None if of is None else _checks.function("strata", of, remedy="pass a function without arguments")
        )
        self._numbers = Numbering(MOST)

    def beside(self, numbers: Floats) -> Floats:
        """*numbers*, or rows of them, each with the number of its stratum where there are any."""
        if self.of is None:
            return numbers
        columns = numbers[:, None] if numbers.ndim == 1 else numbers
        # On the caller's thread: a third of the time of stacking columns.
        rows = np.empty((len(columns), 1 + columns.shape[1]))
        rows[:, 0], rows[:, 1:] = self._now(), columns
        return rows

    def _now(self) -> int:
        assert self.of is not None
        stratum = self.of()
        try:
            return self._numbers.of(stratum)
        except TypeError as error:
            raise ValueError(
                f"strata gave {_checks.shown(stratum)}, which has no hash; let it give a string or a number"
            ) from error

    def given(self, reference: Any, number: Callable[[Any], float] = float) -> Floats:
        """A reference of pairs of a stratum and what has a *number*."""
        known = [[self._numbers.of(stratum), number(one)] for stratum, one in _pairs(reference)]
        return pairs(known, "reference")

    def given_rows(self, reference: Any) -> Floats:
        """A reference of pairs of a stratum and a row."""
        return np.array(
            [[self._numbers.of(stratum), *row] for stratum, row in _pairs(reference)], dtype=np.float64
        )

    def known(self, reference: Floats) -> bool:
        """Whether the stream came to each stratum twice, so that *reference* shows what it is like."""
        return self.of is None or (len(reference) > 0 and visits(reference[:, 0]) >= 2.0)


def _pairs(reference: Any) -> Iterator[tuple[Any, Any]]:
    """The pairs that a reference is made of.

    Raises:
        ValueError: It holds something else.
    """
    for place, one in enumerate(reference):
        if isinstance(one, str) or not isinstance(one, Sequence | np.ndarray) or len(one) != 2:
            raise ValueError(
                "it must hold pairs of a stratum and an observation, in order, got "
                f"{_checks.shown(one)} at position {place}; pass zip(strata, observations)"
            )
        yield one[0], one[1]
