"""The KPIs that every evaluation measures."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Callable, Iterable

import numpy as np

from . import intervals
from .blocks import Floats
from .facts import Facts
from .intervals import Interval
from .kpis import KPI, Better, Difference, Fact, Quantile
from .outages import is_normal
from .replies import Replies, Reply
from .significance import jain


class _Column(KPI):
    """The mean of what is read off each reply."""

    def column(self, replies: Replies) -> Floats:
        return replies.column(self.per_request)


class _Rate(_Column):
    """So many a second; where all of it took no time, nobody can say."""

    def column(self, replies: Replies) -> Floats:
        known = super().column(replies)
        return known if replies.seconds > 0 else np.full_like(known, np.nan)

    def factor(self, replies: Replies) -> float:
        return len(replies) / replies.seconds if replies.seconds > 0 else 1.0


class _Amplification(_Column):
    """Calls of the model for each request."""

    def measure(self, facts: Facts) -> Interval | None:
        if self._complete(facts):
            return super().measure(facts)
        return Interval(facts.calls / len(facts.replies), math.nan, math.nan)

    def compare(self, ours: Facts, theirs: Facts) -> Difference | None:
        if self._complete(ours) and self._complete(theirs):
            return super().compare(ours, theirs)
        mine, other = self.measure(ours), self.measure(theirs)
        assert mine is not None
        assert other is not None
        return Difference(Interval(mine.value - other.value, math.nan, math.nan), None)

    @staticmethod
    def _complete(facts: Facts) -> bool:
        """Whether each call is known by its request: some libraries use threads that do not tell."""
        return sum(reply.attempts for reply in facts.replies) == facts.calls


def standard_kpis(*, in_time: float | None = None) -> tuple[KPI, ...]:
    """The KPIs of every evaluation; those that do not apply to a run are left out of its results.

    Args:
        in_time: Answers later than this many seconds are no goodput; None for no limit.
    """
    timely = "" if in_time is None else f" within {in_time:g} s"
    limit = math.inf if in_time is None else in_time

    def share(name: str, of: Callable[[Reply], bool | None], better: Better, text: str) -> KPI:
        return _Column(name, of, better=better, unit="%", text=text)

    return (
        share("availability", lambda reply: reply.ok, "higher", "requests that got any answer"),
        share("right", _right, "higher", "requests answered right"),
        share("wrong", _wrong, "lower", "requests answered wrong"),
        share("truncated", lambda reply: reply.truncated, "lower", "streams cut short without an error"),
        share(
            "degraded", lambda reply: reply.ok and reply.degraded, "lower", "requests answered by a fallback"
        ),
        share("hung", lambda reply: reply.status == "hung", "lower", "requests given up on by their callers"),
        _Rate(
            "goodput",
            lambda reply: reply.good and reply.waited <= limit,
            better="higher",
            unit="/s",
            text=f"good answers a second{timely}",
        ),
        Quantile("p50", 0.50, _waited, unit="s", text="wait for an answer or an error, median"),
        Quantile("p95", 0.95, _waited, unit="s", text="wait, 95th percentile"),
        Quantile("p99", 0.99, _waited, unit="s", text="wait, 99th percentile"),
        Quantile("first_item", 0.5, _first_items, unit="s", text="wait for a stream's first item, median"),
        _Amplification(
            "amplification",
            lambda reply: reply.attempts,
            better="lower",
            unit="",
            text="model calls a request",
        ),
        Fact(
            "time_to_detect",
            lambda facts: _mean(outage.detected for outage in facts.outages),
            better="lower",
            unit="s",
            text="until a policy reacted to an outage, mean",
        ),
        Fact(
            "time_to_recover",
            lambda facts: _mean(outage.recovered for outage in facts.outages),
            better="lower",
            unit="s",
            text="until the model served again after one, mean",
        ),
        Fact(
            "fairness", _fairness, better="higher", unit="", text="Jain's index over the groups' good answers"
        ),
        Fact(
            "leaks",
            lambda facts: None if facts.leaks is None else facts.leaks.count,
            better="lower",
            unit="",
            text="threads, tasks, descriptors left behind",
        ),
        Fact(
            "memory",
            lambda facts: None if facts.leaks is None else facts.leaks.memory,
            better="lower",
            unit="bytes",
            text="memory left behind",
        ),
        Fact(
            "healthy_availability",
            _healthy_availability,
            better="higher",
            unit="%",
            text="requests the model answered well without faults",
        ),
        Fact(
            "overhead",
            _overhead,
            better="lower",
            unit="x",
            text="median wait without faults, over the first's",
        ),
    )


def _right(reply: Reply) -> bool | None:
    return bool(reply.right) if reply.judged else None


def _wrong(reply: Reply) -> bool | None:
    return reply.right is False if reply.judged else None


def _waited(replies: Replies) -> Floats:
    return replies.waited


def _first_items(replies: Replies) -> Floats:
    return replies.column(lambda reply: reply.first)


def _mean(values: Iterable[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    return sum(known) / len(known) if known else None


def groups_of(replies: Replies) -> dict[str, float]:
    """The share of each group's requests that got a good answer."""
    by_group: dict[str, list[bool]] = defaultdict(list)
    for reply in replies:
        if reply.request.group is not None:
            by_group[reply.request.group].append(reply.good)
    return {group: sum(good) / len(good) for group, good in sorted(by_group.items())}


def _fairness(facts: Facts) -> float | None:
    shares = groups_of(facts.replies)
    return jain(list(shares.values())) if len(shares) > 1 else None


def _healthy_availability(facts: Facts) -> Interval | None:
    if facts.healthy is None:
        return None
    return intervals.share(facts.healthy.column(is_normal), facts.blocks, facts.level)


def _overhead(facts: Facts) -> Interval | None:
    """The ratio of the median waits of two healthy runs, resampled alike."""
    if facts.healthy is None or facts.naked_healthy is None:
        return None
    ours, theirs = facts.healthy.waited, facts.naked_healthy.waited
    below = float(np.median(theirs))
    if below <= 0:
        return None  # virtual time, and a model that takes none
    drawn = intervals.quantiles(ours, 0.5, facts.blocks) / np.maximum(
        intervals.quantiles(theirs, 0.5, facts.blocks), 1e-12
    )
    ratio = (
        intervals.quantile(ours, 0.5, facts.blocks).value
        / intervals.quantile(theirs, 0.5, facts.blocks).value
    )
    return intervals.difference(drawn, np.zeros(len(drawn)), ratio, facts.blocks, facts.level)
