"""An evaluation as plain data: the JSON that other programs read.

The schema has a version, :data:`VERSION`. Within a version fields are only ever added; what is removed or
changes its meaning has a new one. The reference lists every field.
"""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from .intervals import Interval
from .kpis import KPI
from .outages import Outage
from .results import Arm, Comparison
from .standard import groups_of
from .timeline import timeline

if TYPE_CHECKING:
    from .evaluation import Evaluation

SCHEMA = "resilient_ml.evaluation"
VERSION = 1
STEPS = 120


def to_json(evaluation: Evaluation) -> str:
    """The document as text, its keys in a fixed order: the same evaluation gives the same bytes."""
    return json.dumps(document(evaluation), indent=2, allow_nan=False, ensure_ascii=False) + "\n"


def document(evaluation: Evaluation) -> dict[str, Any]:
    """Everything that is to be told of *evaluation*."""
    seconds = span(evaluation)
    return {
        "schema": SCHEMA,
        "version": VERSION,
        "model": evaluation.model,
        "seed": evaluation.seed,
        "virtual": evaluation.virtual,
        "level": evaluation.level,
        "workload": evaluation.workload,
        "faults": list(evaluation.faults),
        "notes": list(evaluation.notes),
        "requests": len(next(iter(evaluation.arms.values())).replies),
        "seconds": _number(seconds),
        "passed": evaluation.passed,
        "outages": [
            {"begins": _number(one.begins), "ends": _number(one.ends), "known": one.known}
            for one in evaluation.spans
        ],
        "kpis": [
            {"name": kpi.name, "unit": kpi.unit, "better": kpi.better, "text": kpi.text}
            for kpi in evaluation.kpis
        ],
        "configurations": [_arm(arm, evaluation.kpis, seconds) for arm in evaluation.arms.values()],
        "comparisons": [_comparison(one, evaluation.level) for one in evaluation.comparisons],
        "objectives": [
            {
                "objective": finding.objective.text,
                "configuration": finding.arm,
                "met": finding.met,
                "found": _number(finding.found),
                "text": finding.text,
            }
            for finding in evaluation.findings
        ],
    }


def span(evaluation: Evaluation) -> float:
    """How long the timelines are, in seconds: until the last arrival, the same in each configuration."""
    arms = evaluation.arms.values()
    return max(max(arm.replies.seconds, *(reply.arrived for reply in arm.replies)) for arm in arms) or 1e-9


def _arm(arm: Arm, kpis: Sequence[KPI], seconds: float) -> dict[str, Any]:
    line = timeline(arm.replies, seconds, steps=STEPS)
    leaks = arm.run.leaks
    return {
        "name": arm.name,
        "description": arm.description,
        "kpis": {kpi.name: _interval(arm.kpis.get(kpi.name)) for kpi in kpis},
        "calls": arm.run.calls,
        "outages": [_outage(outage) for outage in arm.facts.outages],
        "groups": {group: _number(value) for group, value in groups_of(arm.replies).items()},
        "leaks": {
            "threads": leaks.threads,
            "tasks": leaks.tasks,
            "descriptors": leaks.descriptors,
            "memory": leaks.memory,
        },
        "events": dict(sorted(arm.run.events.items())),
        "states": [
            {
                "policy": one.policy,
                "state": one.state,
                "begins": _number(one.begins),
                "ends": _number(one.ends),
            }
            for one in arm.run.states
        ],
        "timeline": {"step": _number(line.step), **line.counts},
    }


def _comparison(one: Comparison, level: float) -> dict[str, Any]:
    return {
        "kpi": one.kpi.name,
        "configuration": one.arm,
        "baseline": one.baseline,
        "difference": _interval(one.difference.interval),
        "gain": _number(one.gain),
        "p": _number(one.difference.p),
        "adjusted_p": _number(one.adjusted),
        "significant": one.significant(level),
        "only_here": one.difference.only_ours,
        "only_baseline": one.difference.only_theirs,
    }


def _outage(outage: Outage) -> dict[str, Any]:
    return {
        "begins": _number(outage.span.begins),
        "ends": _number(outage.span.ends),
        "detected": _number(outage.detected),
        "recovered": _number(outage.recovered),
    }


def _interval(found: Interval | None) -> dict[str, Any] | None:
    if found is None:
        return None
    return {"value": _number(found.value), "low": _number(found.low), "high": _number(found.high)}


def _number(value: float | None) -> float | str | None:
    """To nine significant digits; JSON has no infinity, which is a string here, and no NaN, which is null."""
    if value is None or math.isnan(value):
        return None
    if math.isinf(value):
        return "infinite" if value > 0 else "-infinite"
    return float(f"{value:.9g}")
