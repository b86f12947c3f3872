"""Facts: what one run of one configuration left behind, from which its KPIs are computed."""

from __future__ import annotations

from dataclasses import dataclass

from .blocks import Blocks
from .leaks import Leaks
from .outages import Outage
from .replies import Replies


@dataclass(frozen=True, slots=True)
class Facts:
    """One run of one configuration.

    Attributes:
        replies: What came of the requests.
        calls: How many calls reached the model, by whomever they were made.
        blocks: How its requests are resampled.
        level: The confidence of intervals, 0.95 for 95 %.
        outages: What it did in each span of trouble.
        leaks: What was left when it was over.
        healthy: The replies of the same workload without faults; None where that was not run.
        naked_healthy: Those of the first configuration, to compare with.
    """

    replies: Replies
    calls: int
    blocks: Blocks
    level: float = 0.95
    outages: tuple[Outage, ...] = ()
    leaks: Leaks | None = None
    healthy: Replies | None = None
    naked_healthy: Replies | None = None
