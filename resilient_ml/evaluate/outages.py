"""Spans of trouble: how long until a configuration noticed, and how long until it served again."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from .replies import Replies, Reply


@dataclass(frozen=True, slots=True)
class Span:
    """When the model was in trouble, in seconds from the start: *known* from the plan, or else found."""

    begins: float
    ends: float
    known: bool = True


@dataclass(frozen=True, slots=True)
class Outage:
    """What one configuration did in one span of trouble.

    Attributes:
        span: When that was.
        detected: Seconds from its beginning until a policy held calls back, as an open breaker does, before
            the span was over; None when none did.
        recovered: Seconds from its end until the first request arrived from which on several in a row were
            answered by the model itself; ``inf`` when that never happened in the run; None when no requests
            arrived after it.
    """

    span: Span
    detected: float | None
    recovered: float | None


def outages_of(
    spans: Iterable[Span], replies: Replies, alarms: Sequence[tuple[float, float]], *, in_a_row: int
) -> tuple[Outage, ...]:
    """What a configuration did in each of *spans*.

    Args:
        spans: Of trouble.
        replies: Of the configuration.
        alarms: From when to when a policy held calls back, in seconds from the start.
        in_a_row: How many good answers of the model in a row are a recovery, from 1.

    >>> from .requests import Request
    >>> rows = [Reply(i, Request(()), float(i), status="failed" if 3 <= i < 8 else "ok") for i in range(20)]
    >>> outages_of([Span(3.0, 6.0)], Replies(rows, 20.0), [(4.5, 8.5)], in_a_row=3)
    (Outage(span=Span(begins=3.0, ends=6.0, known=True), detected=1.5, recovered=2.0),)
    """
    return tuple(
        Outage(span, _detected(span, alarms), _recovered(span.ends, replies, in_a_row)) for span in spans
    )


def _detected(span: Span, alarms: Sequence[tuple[float, float]]) -> float | None:
    """A policy that held calls back already when the trouble began has detected it at once."""
    return min(
        (
            max(0.0, began - span.begins)
            for began, over in alarms
            if began <= span.ends and over > span.begins
        ),
        default=None,
    )


def _recovered(ends: float, replies: Replies, in_a_row: int) -> float | None:
    after = [reply for reply in replies if reply.arrived >= ends]
    if not after:
        return None
    began = _first_run(after, in_a_row)
    return math.inf if began is None else began - ends


def _first_run(replies: Sequence[Reply], in_a_row: int) -> float | None:
    """When the first of *in_a_row* good answers of the model arrived; fewer are enough at the very end."""
    run = 0
    for index, reply in enumerate(replies):
        run = run + 1 if is_normal(reply) else 0
        if run == in_a_row:
            return replies[index - in_a_row + 1].arrived
    return replies[-run].arrived if run else None


def find_spans(replies: Replies, *, in_a_row: int) -> tuple[Span, ...]:
    """Spans of trouble in a timeline, where no plan tells of any.

    One begins with the arrival of the first of *in_a_row* requests in a row that the model did not answer
    well, and ends with the arrival of the last before *in_a_row* good answers in a row.

    >>> from .requests import Request
    >>> rows = [Reply(i, Request(()), float(i), status="failed" if 3 <= i < 8 else "ok") for i in range(20)]
    >>> find_spans(Replies(rows, 20.0), in_a_row=3)
    (Span(begins=3.0, ends=7.0, known=False),)
    """
    spans: list[Span] = []
    bad: list[float] = []
    good = 0
    for reply in replies:
        if is_normal(reply):
            good += 1
            if good == in_a_row or not bad:
                _close(spans, bad, in_a_row)
                bad = []
            continue
        if good and len(bad) < in_a_row:
            bad = []  # so far it was no outage, and a good answer came between
        good = 0
        bad.append(reply.arrived)
    _close(spans, bad, in_a_row)
    return tuple(spans)


def _close(spans: list[Span], bad: list[float], in_a_row: int) -> None:
    if len(bad) >= in_a_row:
        spans.append(Span(bad[0], bad[-1], known=False))


def is_normal(reply: Reply) -> bool:
    """Whether the model itself answered well."""
    return reply.good and not reply.degraded
