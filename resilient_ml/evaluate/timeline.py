"""The timeline of a run: how many requests of each verdict arrived when."""

from __future__ import annotations

import math
from dataclasses import dataclass

from .replies import VERDICTS, Replies, Verdict

STEPS = (0.1, 0.2, 0.5, 1.0, 2.0, 5.0, 10.0, 15.0, 30.0, 60.0, 120.0, 300.0, 600.0, 900.0, 1800.0, 3600.0)


@dataclass(frozen=True, slots=True)
class Timeline:
    """Requests in even steps of time.

    Attributes:
        step: The length of a step, in seconds.
        counts: For each verdict, how many requests with it arrived in each step.
    """

    step: float
    counts: dict[Verdict, list[int]]

    @property
    def seconds(self) -> float:
        """From the start to the end of the last step."""
        return self.step * len(self.counts["right"])


def timeline(replies: Replies, seconds: float, *, steps: int) -> Timeline:
    """*replies* in at most *steps* steps of a round length.

    Args:
        replies: Of one run.
        seconds: How long the timeline is, above 0.
        steps: The most steps.
    """
    step = next(
        (step for step in STEPS if seconds / step <= steps), math.ceil(seconds / steps / 3600) * 3600.0
    )
    if seconds < STEPS[0] * 5:
        step = seconds / 5  # a run of milliseconds
    length = max(1, math.ceil(seconds / step - 1e-9))
    counts: dict[Verdict, list[int]] = {verdict: [0] * length for verdict in VERDICTS}
    for reply in replies:
        counts[reply.verdict][min(length - 1, int(reply.arrived / step))] += 1
    return Timeline(step, counts)
