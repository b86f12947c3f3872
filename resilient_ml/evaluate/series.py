"""A series: one configuration serves the traffic without faults, then with them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from ..testing.faults import FaultPlan
from .configurations import Configuration, describe, made
from .judging import Bench, Judge
from .kpis import KPI
from .oracle import Expected
from .progress import Progress
from .running import Run, Setting, run


@dataclass(frozen=True, slots=True)
class Series:
    """The runs of an evaluation, one configuration after the other."""

    setting: Setting
    faults: FaultPlan | None
    seed: int
    expected: Expected
    judge: Judge | None
    complete: Callable[[list[Any]], bool] | None
    kpis: Sequence[KPI]
    healthy: bool
    keep_answers: bool

    def serve(self, name: str, configuration: Configuration, shown: Progress) -> tuple[str, Run, Run | None]:
        """What stands around the model, the faulty run, and the healthy one where there is one."""
        ready = made(configuration)
        without: Run | None = None
        if self.healthy:
            shown.begin(f"{name}, without faults")
            without = run(
                name,
                ready,
                self.setting,
                None,
                judge=self.expected.learn,
                keep_answers=False,
                settled=shown.settled,
            )
            self.expected.learned()
        shown.begin(name)
        bench = Bench(
            expected=self.expected.answer if self.expected.known else None,
            judge=self.judge,
            complete=self.complete,
            streams=self.setting.colour.streams,
            kpis=self.kpis,
        )
        plan = None if self.faults is None else self.faults.with_seed(self.seed)
        faulty = run(
            name,
            ready,
            self.setting,
            plan,
            judge=bench.judge,
            keep_answers=self.keep_answers,
            settled=shown.settled,
        )
        return describe(ready), faulty, without
