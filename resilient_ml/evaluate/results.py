"""Results: what an evaluation found of each configuration, and how they compare."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from .facts import Facts
from .intervals import Interval
from .kpis import KPI, Difference
from .replies import Replies
from .running import Run
from .significance import holm


@dataclass(frozen=True, slots=True)
class Arm:
    """One configuration and what came of it.

    Attributes:
        name: What it is called.
        description: What stands around the model.
        run: Its run with the faults.
        facts: What its KPIs are computed from.
        kpis: Each KPI that applies, with its confidence interval, by name.
    """

    name: str
    description: str
    run: Run
    facts: Facts
    kpis: Mapping[str, Interval] = field(default_factory=dict)

    @property
    def replies(self) -> Replies:
        """What came of the requests, in the order of arrival."""
        return self.run.replies


@dataclass(frozen=True, slots=True)
class Comparison:
    """One KPI of one configuration against the first one's.

    Attributes:
        kpi: The KPI.
        arm: The name of the configuration.
        baseline: The name of the first one.
        difference: Ours less the first one's, its interval, and the p-value.
        adjusted: The p-value adjusted for how many were looked at (Holm); None where there is no test.
    """

    kpi: KPI
    arm: str
    baseline: str
    difference: Difference
    adjusted: float | None

    @property
    def gain(self) -> float:
        """How much better it is, in the direction that is better; negative when it is worse."""
        gap = self.difference.interval.value
        if gap == 0 or math.isnan(gap):
            return gap
        return gap if self.kpi.better == "higher" else -gap

    def significant(self, level: float) -> bool | None:
        """Whether the difference is more than luck, at confidence *level*; None where there is no test."""
        return None if self.adjusted is None else self.adjusted <= 1 - level


def compared(arms: Sequence[Arm], kpis: Sequence[KPI]) -> tuple[Comparison, ...]:
    """Every other configuration against the first one, in each KPI that applies to both."""
    baseline, *others = arms
    found: list[tuple[KPI, str, Difference]] = []
    for arm in others:
        for kpi in kpis:
            difference = kpi.compare(arm.facts, baseline.facts)
            if difference is not None:
                found.append((kpi, arm.name, difference))
    tested = [index for index, (_, _, difference) in enumerate(found) if difference.p is not None]
    adjusted = dict(zip(tested, holm([p for _, _, one in found if (p := one.p) is not None]), strict=True))
    return tuple(
        Comparison(kpi, arm, baseline.name, difference, adjusted.get(index))
        for index, (kpi, arm, difference) in enumerate(found)
    )
