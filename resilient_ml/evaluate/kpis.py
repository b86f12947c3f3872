"""KPIs: a number for each run, with its uncertainty, and a test of whether two runs differ."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np

from .. import _checks
from . import intervals, significance
from .blocks import Floats
from .facts import Facts
from .intervals import Interval
from .replies import Replies, Reply

Better = Literal["higher", "lower"]

WHOLE_RESAMPLES = 199
"""How often a user's function of all replies is asked again: it may be slow."""


@dataclass(frozen=True, slots=True)
class Difference:
    """How far two runs differ in one KPI.

    Attributes:
        interval: Ours less theirs, with its confidence interval.
        p: How likely a difference as large is if neither is better; None where there is no test.
        only_ours: For shares, of how many requests it was true with us only; None otherwise.
        only_theirs: With them only.
    """

    interval: Interval
    p: float | None
    only_ours: int | None = None
    only_theirs: int | None = None


class KPI:
    """The mean of one number for each request.

    Args:
        name: How tables, objectives and JSON call it: letters, digits and underscores.
        per_request: What one reply is worth: a number, a bool, or None where nobody can say. It sees the
            answer, and is called once for each reply, after the run.
        better: Which way is better, ``"higher"`` or ``"lower"``.
        unit: Shown after the number: ``"s"``, ``"EUR"``; ``"%"`` shows a share as a percentage.
        text: What it is, in a line, for tables.
        total: Report the sum over all requests and not their mean.

    >>> revenue = KPI("revenue", lambda reply: 0.02 * bool(reply.right), better="higher", unit="EUR")
    >>> revenue.name
    'revenue'
    """

    def __init__(
        self,
        name: str,
        per_request: Callable[[Reply], float | bool | None],
        *,
        better: Better,
        unit: str = "",
        text: str = "",
        total: bool = False,
    ) -> None:
        if not str(name).isidentifier():
            raise ValueError(
                f"name of a KPI must be letters, digits and underscores, got {_checks.shown(name)}; "
                "objectives call it by that name"
            )
        if better not in ("higher", "lower"):
            raise ValueError(
                f"better must be 'higher' or 'lower', got {_checks.shown(better)}; say which is better"
            )
        self.name: str = name
        self.better: Better = better
        self.unit: str = unit
        self.text: str = text or name.replace("_", " ")
        self.per_request: Callable[[Reply], Any] = _checks.function(
            "per_request", per_request, remedy="pass a function of one reply that returns a number"
        )
        self._total = total

    @staticmethod
    def whole(
        name: str, of: Callable[[Replies], float | None], *, better: Better, unit: str = "", text: str = ""
    ) -> KPI:
        """A KPI that is a function of all replies at once; arguments as for :class:`KPI`.

        *of* is called some hundred times, with parts of the replies drawn anew: it may not depend on their
        order.

        >>> KPI.whole("slowest", lambda replies: max(replies.waited), better="lower", unit="s").name
        'slowest'
        """
        return _Whole(name, of, better=better, unit=unit, text=text)

    def judge(self, reply: Reply) -> float | None:
        """What *reply* is worth, as a float; None where nobody can say.

        Raises:
            TypeError: The user's function returned something else.
        """
        value: Any = self.per_request(reply)
        if value is None:
            return None
        if isinstance(value, bool | np.bool_):
            return float(value)
        return _checks.real(
            f"the value of KPI {self.name!r}", value, remedy="return a number, a bool or None"
        )

    def column(self, replies: Replies) -> Floats:
        """What each reply is worth: float64, shape (requests,), NaN where nobody can say."""
        return replies.column(lambda row: row.values[self.name] if row.values else None)

    def factor(self, replies: Replies) -> float:
        """By what the mean is multiplied."""
        return float(len(replies)) if self._total else 1.0

    def measure(self, facts: Facts) -> Interval | None:
        """The number, with its interval; None where it does not apply."""
        values = self.column(facts.replies)
        if np.isnan(values).all():
            return None
        measured = intervals.share if is_binary(values) else intervals.mean
        return measured(values, facts.blocks, facts.level).scaled(self.factor(facts.replies))

    def compare(self, ours: Facts, theirs: Facts) -> Difference | None:
        """How far two runs of the same requests differ; None where that cannot be said."""
        mine, other = self.column(ours.replies), self.column(theirs.replies)
        paired = ~(np.isnan(mine) | np.isnan(other))
        if not paired.any():
            return None
        mine, other = np.where(paired, mine, np.nan), np.where(paired, other, np.nan)
        drawn = ours.blocks.means(mine), ours.blocks.means(other)
        value = float(np.nanmean(mine) - np.nanmean(other))
        interval = intervals.difference(*drawn, value, ours.blocks, ours.level).scaled(
            self.factor(ours.replies)
        )
        if is_binary(mine) and is_binary(other):
            return Difference(interval, *significance.binary(mine, other, ours.blocks))
        return Difference(interval, significance.sign_flip(mine - other, ours.blocks))


class Quantile(KPI):
    """A quantile of one number for each request."""

    def __init__(self, name: str, q: float, of: Callable[[Replies], Floats], *, unit: str, text: str) -> None:
        super().__init__(name, _no_number, better="lower", unit=unit, text=text)
        self._q = q
        self._of = of

    def measure(self, facts: Facts) -> Interval | None:
        """The quantile."""
        measured = intervals.quantile(self._of(facts.replies), self._q, facts.blocks, facts.level)
        return None if math.isnan(measured.value) else measured

    def compare(self, ours: Facts, theirs: Facts) -> Difference | None:
        """The difference of the quantiles; tested is the share of requests beyond the quantile of both.

        Source: A. M. Mood, "On the Asymptotic Efficiency of Certain Nonparametric Two-Sample Tests", Annals
        of Mathematical Statistics 25, 1954 (the median test; here for any quantile, and paired).
        """
        mine, other = self._of(ours.replies), self._of(theirs.replies)
        if np.isnan(mine).all() or np.isnan(other).all():
            return None
        mine_at = intervals.quantile(mine, self._q, ours.blocks).value
        other_at = intervals.quantile(other, self._q, ours.blocks).value
        drawn = (
            intervals.quantiles(mine, self._q, ours.blocks),
            intervals.quantiles(other, self._q, ours.blocks),
        )
        interval = intervals.difference(*drawn, mine_at - other_at, ours.blocks, ours.level)
        if interval.value == 0:
            return Difference(interval, 1.0)  # also where the tails beyond it differ
        cut = np.nanquantile(np.concatenate([mine, other]), self._q, method="inverted_cdf")
        return Difference(
            interval, significance.binary((mine > cut) * 1.0, (other > cut) * 1.0, ours.blocks)[0]
        )


class Fact(KPI):
    """A number of the run as a whole, which no resampling of requests can test."""

    def __init__(
        self,
        name: str,
        of: Callable[[Facts], Interval | float | None],
        *,
        better: Better,
        unit: str,
        text: str,
    ) -> None:
        super().__init__(name, _no_number, better=better, unit=unit, text=text)
        self._fact = of

    def measure(self, facts: Facts) -> Interval | None:
        """The number."""
        found = self._fact(facts)
        return Interval(found, math.nan, math.nan) if isinstance(found, int | float) else found

    def compare(self, ours: Facts, theirs: Facts) -> Difference | None:
        """The plain difference."""
        mine, other = self.measure(ours), self.measure(theirs)
        if mine is None or other is None:
            return None
        gap = 0.0 if mine.value == other.value else mine.value - other.value  # inf less inf is no number
        return Difference(Interval(gap, math.nan, math.nan), None)


class _Whole(KPI):
    """A user's function of all replies."""

    def __init__(
        self, name: str, of: Callable[[Replies], float | None], *, better: Better, unit: str, text: str
    ) -> None:
        super().__init__(name, _no_number, better=better, unit=unit, text=text)
        self._of = _checks.function("of", of, remedy="pass a function of the replies that returns a number")

    def _ask(self, rows: Sequence[Reply], seconds: float) -> float:
        value = self._of(Replies(rows, seconds))
        if value is None:
            return math.nan
        return _checks.real(f"the value of KPI {self.name!r}", value, remedy="return a number or None")

    def _drawn(self, facts: Facts) -> Floats:
        drawn = []
        for index in range(WHOLE_RESAMPLES):
            rows = [facts.replies[number] for number in facts.blocks.resample(index)]
            drawn.append(self._ask(rows, facts.replies.seconds))
        return np.array(drawn)

    def measure(self, facts: Facts) -> Interval | None:
        """What the function says, with a bootstrap interval."""
        value = self._ask(facts.replies, facts.replies.seconds)
        if math.isnan(value):
            return None
        drawn = self._drawn(facts)
        return intervals.difference(drawn, np.zeros(len(drawn)), value, facts.blocks, facts.level)

    def compare(self, ours: Facts, theirs: Facts) -> Difference | None:
        """The difference, tested by asking again with blocks of requests swapped between the runs."""
        value = self._ask(ours.replies, ours.replies.seconds) - self._ask(
            theirs.replies, theirs.replies.seconds
        )
        if math.isnan(value):
            return None
        drawn = self._drawn(ours), self._drawn(theirs)
        interval = intervals.difference(*drawn, value, ours.blocks, ours.level)
        as_far = 0
        for index in range(WHOLE_RESAMPLES):
            pairs = list(zip(ours.blocks.swapped(index), ours.replies, theirs.replies, strict=True))
            mine = [other if swap else own for swap, own, other in pairs]
            other = [own if swap else other for swap, own, other in pairs]
            gap = self._ask(mine, ours.replies.seconds) - self._ask(other, theirs.replies.seconds)
            as_far += abs(gap) >= abs(value) * (1 - 1e-9)
        return Difference(interval, (1 + as_far) / (1 + WHOLE_RESAMPLES))


def _no_number(_: Reply) -> None:
    """What one reply says of a KPI that is about all of them."""


def is_binary(values: Floats) -> bool:
    """Whether all that is known is 0 or 1."""
    known = values[~np.isnan(values)]
    return bool(np.isin(known, (0.0, 1.0)).all())
