"""Numbers for classes and strata, which are anything that has a hash."""

from __future__ import annotations

from collections.abc import Callable, Hashable
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
        self.names: list[str] = []

    def of(self, one: Hashable) -> int:
        """The number of *one*."""
        number = self._numbers.get(one)
        if number is None:
            number = len(self._numbers)
            if number >= self._most:
                return self._most
            # Two threads that meet a new one at once may skip a number: nothing counts on there being none.
            number = self._numbers.setdefault(one, number)
            if number == len(self.names):
                self.names.append(str(one)[:40])
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
        """*numbers*, each with the number of its stratum where there are any."""
        if self.of is None:
            return numbers
        rows = np.empty((len(numbers), 2))  # on the caller's thread: a third of the time of stacking columns
        rows[:, 0], rows[:, 1] = self._numbers.of(self.of()), numbers
        return rows

    def given(self, reference: Any) -> Floats:
        """A reference of pairs of a stratum and a number."""
        return pairs([[self._numbers.of(stratum), number] for stratum, number in reference], "reference")

    def known(self, reference: Floats) -> bool:
        """Whether the stream came to each stratum twice, so that *reference* shows what it is like."""
        return self.of is None or (len(reference) > 0 and visits(reference[:, 0]) >= 2.0)
