"""Classes that are watched: predicted labels, routes, tokens."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from .. import _checks
from ._numbering import Numbering, Strata, StratumOf
from ._sums import swing_of_shares
from .bounded_mean import APART
from .categorical import CategoricalShiryaevRoberts
from .detector import Detector, Floats
from .seasonal_categorical import SeasonalCategorical
from .signals import Side, Signal
from .thinned import Thinned, correlations, effective_size, spacing

_MOST_CLASSES = 1000
_COMMONEST = 64
"""So many classes say whether neighbours resemble each other."""
_RUNS = 0.1
"""Where neighbours resemble each other less, no observation need be passed over."""
_SPANS = (16, 32, 64, 128)
"""Over so many observations shares that swing are looked for: a bet could follow them."""
ANY_OTHER = -1
"""The number of all classes that are not told apart."""


class Classes(Signal):
    """A class, label, route or token a call, or one a row: anything that has a hash.

    Up to 1000 are told apart, in the order in which they are first seen; the rest are one.

    Args:
        name, of, side: As for :class:`Signal`.
        strata: As for :class:`Numbers`: each class is judged by the shares of its stratum.
    """

    def __init__(
        self,
        name: str,
        of: Callable[..., Any] | None = None,
        *,
        side: Side = "answer",
        strata: StratumOf = None,
    ) -> None:
        super().__init__(name, of, side=side)
        self._numbers = Numbering(_MOST_CLASSES)
        self._strata = Strata(strata)
        self.strata: StratumOf = self._strata.of
        if strata is None:  # with strata, what is read depends on when
            self.as_it_is: tuple[type, ...] = (str, int)

    def read(self, value: Any) -> Floats:
        """The numbers of the classes; with *strata* each with the number of its stratum."""
        if isinstance(value, np.ndarray):
            value = value.reshape(-1).tolist()
        if not isinstance(value, list | tuple):
            value = [value]
        return self._strata.beside(np.array([self._number(one) for one in value], dtype=np.float64))

    def _number(self, one: Any) -> int:
        try:
            number = self._numbers.of(one)
            return number if number < _MOST_CLASSES else ANY_OTHER
        except TypeError as error:
            raise ValueError(
                f"{self!r} was given {_checks.shown(one)}, which has no hash; pass of="
            ) from error

    def read_reference(self, given: Any) -> Floats:
        """Classes; with *strata* pairs of a stratum and a class."""
        if self.strata is None:
            return self.read(given)
        return self._strata.given(given, self._number)

    def tells_enough(self, reference: Floats) -> bool:
        """Whether the stream came to each stratum twice."""
        return self._strata.known(reference)

    def detector(self, reference: Floats, arl: float) -> Detector:
        """Bets on the recent shares, less what these swing by; in runs of classes every so many are used."""
        if self.strata is None:
            return self._watching(reference, _each(reference), arl)
        return self._watching(reference, _each(SeasonalCategorical(reference).coupled(reference)), arl)

    def _watching(self, reference: Floats, each: Floats, arl: float) -> Detector:
        """What watches classes of which *each* says when they came, as if there were no strata."""
        kind = CategoricalShiryaevRoberts if self.strata is None else SeasonalCategorical
        every = spacing(each) if correlations(each)[1] > _RUNS else 1
        swing = swing_of_shares(each, _SPANS, apart=APART, every=every)
        if every == 1:
            return kind(reference, arl=arl, swing=swing)
        size = effective_size(each)

        def make(known: Floats, run: float) -> Detector:
            known = known if self.strata is None else reference  # every so many may be of a few strata alone
            return kind(known, arl=run, effective_size=min(float(len(known)), size), swing=swing)

        return Thinned(make, reference, every=every, arl=arl)

    def part_name(self, part: int, detector: Detector) -> str:
        """The class, whether the reference has it or not; those that are not told apart are one."""
        return self._numbers.names.get(part, "others")


def _each(classes: Floats) -> Floats:
    """Whether each of *classes* is one of the commonest, shape (observations, those)."""
    known, counts = np.unique(classes, return_counts=True)
    commonest = known[np.argsort(-counts, kind="stable")[:_COMMONEST]]
    each: Floats = (classes[:, None] == commonest).astype(np.float64)
    return each
