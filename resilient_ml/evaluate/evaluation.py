"""An evaluation: its results, whether its objectives are met, and how to show it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from .kpis import KPI
from .objectives import Finding, ObjectivesMissed
from .outages import Span
from .results import Arm, Comparison


@dataclass(frozen=True, slots=True)
class Evaluation:
    """What :func:`~resilient_ml.evaluate.evaluate` found; print it for a table.

    Attributes:
        model: The name of the model.
        arms: The configurations and what came of each, by name, in their order.
        comparisons: Every other configuration against the first one.
        findings: Whether each objective is met.
        kpis: The KPIs that were measured.
        spans: When the model was in trouble.
        workload: What was asked for, in words.
        faults: What went wrong, in words, a line each.
        seed: The same seed gives the same requests and the same faults.
        virtual: Whether time was virtual.
        level: The confidence of intervals and tests, 0.95 for 95 %.
    """

    model: str
    arms: Mapping[str, Arm]
    comparisons: Sequence[Comparison]
    findings: Sequence[Finding]
    kpis: Sequence[KPI]
    spans: Sequence[Span]
    workload: str
    faults: Sequence[str]
    seed: int
    virtual: bool
    level: float

    @property
    def passed(self) -> bool:
        """Whether every objective is met; True where there is none."""
        return all(finding.met for finding in self.findings)

    @property
    def notes(self) -> tuple[str, ...]:
        """What fails even without faults, a line for each configuration: all else is then to be doubted."""
        found = []
        for arm in self.arms.values():
            replies = arm.facts.healthy or ()
            failed = Counter(reply.error or reply.status for reply in replies if not reply.ok)
            if failed:
                told = ", ".join(f"{count:,} {what}" for what, count in failed.most_common())
                share = f"{failed.total():,} of {len(replies):,}"
                found.append(f"without faults, {arm.name} failed {share} requests: {told}")
        return tuple(found)

    def check(self) -> None:
        """Fail a test unless every objective is met.

        Raises:
            ObjectivesMissed: It is an ``AssertionError`` that lists each missed objective with its number.
        """
        missed = [finding for finding in self.findings if not finding.met]
        if missed:
            raise ObjectivesMissed(missed, len(self.findings))

    def to_dict(self) -> dict[str, Any]:
        """Everything as plain data: the schema is described in the reference."""
        from .document import document

        return document(self)

    def to_json(self, path: str | Path | None = None) -> str:
        """The evaluation as JSON, also written to *path* where one is given."""
        from .document import to_json

        text = to_json(self)
        if path is not None:
            Path(path).write_text(text, encoding="utf-8")
        return text

    def to_html(self, path: str | Path | None = None) -> str:
        """One page with plots that needs nothing else, also written to *path* where one is given.

        Raises:
            ModuleNotFoundError: matplotlib or jinja2 is not installed; the message has the command.
        """
        from .report import to_html

        text = to_html(self)
        if path is not None:
            Path(path).write_text(text, encoding="utf-8")
        return text

    def __str__(self) -> str:
        from .table import as_text

        return as_text(self)
