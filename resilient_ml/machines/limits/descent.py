"""Whether a series of cuts has paid."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

PAYS = 0.8
"""The share of good answers that a cut to 0.65 must leave: one that is not full gives 0.65."""


class Descent:
    """What a series of cuts did to the good answers a second.

    ``steps`` holds (limit, good answers, seconds, whether the limit was all used) of each round.
    """

    DEEP: ClassVar[float] = 0.65
    MOST: ClassVar[int] = 40
    ENOUGH: ClassVar[int] = 20
    LAST: ClassVar[int] = 5

    def __init__(self, top: float) -> None:
        self.top: float = top
        self.steps: list[tuple[float, int, float, bool]] = []

    def judge(self, limit: float, good: int, seconds: float, *, full: bool) -> bool | None:
        """Whether the cuts since the top paid; None while it is too early to tell."""
        steps = self.steps
        steps.append((limit, good, seconds, full))
        if len(steps) > self.MOST:
            del steps[1 : self.MOST // 2]
        deep = self.DEEP * self.top
        if limit >= deep:
            return None
        # The first round of all, and the first of those deep down, hold answers to calls let in before.
        # Of those near the top the last count: the model may have changed while the limit stayed there.
        high = [step for step in steps[1:] if step[0] > 0.75 * self.top][-self.LAST :]
        if not high:
            self.top, self.steps = limit, []
            return None
        begin = len(steps)
        while steps[begin - 1][0] < deep:
            begin -= 1
        low = steps[begin + 1 :]
        if sum(step[1] for step in low) < self.ENOUGH and len(low) < 4:
            return None
        used = sum(step[3] for step in low) > 0.6 * len(low)
        return not (used and self._rate(low) < PAYS * self._rate(high))

    @staticmethod
    def _rate(steps: Sequence[tuple[float, int, float, bool]]) -> float:
        return sum(step[1] for step in steps) / sum(step[2] for step in steps)
