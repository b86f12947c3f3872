"""The evaluation as one HTML page: plots and tables, no scripts, nothing to load, for phones and desks."""

from __future__ import annotations

import importlib.util
import math
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from . import wording
from .document import span
from .standard import groups_of
from .table import header, legend, verdict

if TYPE_CHECKING:
    from .evaluation import Evaluation
    from .results import Comparison

CARDS = (
    "availability",
    "right",
    "wrong",
    "truncated",
    "hung",
    "goodput",
    "p99",
    "amplification",
    "time_to_recover",
)
"""The KPIs that the page begins with, where they were measured; the user's own follow."""
NEEDS = ("jinja2", "matplotlib")
MOST_CARDS = 12
MOST_GROUPS = 50


def to_html(evaluation: Evaluation) -> str:
    """The page.

    Raises:
        ModuleNotFoundError: matplotlib or jinja2 is not installed; the message has the command.
    """
    refuse_if_not_installed()
    import jinja2
    from markupsafe import Markup

    from . import plots

    environment = jinja2.Environment(
        loader=jinja2.PackageLoader("resilient_ml.evaluate", "."),
        autoescape=True,
        trim_blocks=True,
        lstrip_blocks=True,
        undefined=jinja2.StrictUndefined,
        keep_trailing_newline=True,
    )
    page: str = environment.get_template("report.html.jinja").render(
        **_facts(evaluation),
        plots=_draw(evaluation, plots, Markup),
        verdicts=[{"key": one, "word": plots.WORDS[one]} for one in plots.verdicts_of(evaluation)],
    )
    return page


def refuse_if_not_installed() -> None:
    """Raise ModuleNotFoundError, with the command to install it, unless what a page needs is there."""
    for name in NEEDS:
        if importlib.util.find_spec(name) is None:
            raise ModuleNotFoundError(
                f"the HTML report needs {name}, which is not installed; "
                "install it with: pip install 'resilient-ml[evaluate]'",
                name=name,
            )


def _draw(evaluation: Evaluation, plots: Any, markup: Callable[[str], str]) -> dict[str, dict[str, str]]:
    """Each plot twice: for a narrow page and a wide one, so that its text can be read on both."""
    seconds = span(evaluation)
    draws: dict[str, Callable[[bool], str]] = {
        "timelines": lambda wide: plots.timelines(evaluation, seconds, wide=wide),
        "shares": lambda wide: plots.shares(evaluation, wide=wide),
        "waits": lambda wide: plots.waits(evaluation, wide=wide),
    }
    return {name: {"narrow": markup(draw(False)), "wide": markup(draw(True))} for name, draw in draws.items()}


def _facts(evaluation: Evaluation) -> dict[str, Any]:
    arms = list(evaluation.arms.values())
    return {
        "model": evaluation.model,
        "names": list(evaluation.arms),
        "workload": evaluation.workload,
        "notes": evaluation.notes,
        "requests": f"{len(arms[0].replies):,}",
        "virtual": evaluation.virtual,
        "seed": evaluation.seed,
        "passed": evaluation.passed,
        "findings": evaluation.findings,
        "missed": sum(not finding.met for finding in evaluation.findings),
        "cards": _cards(evaluation),
        "spans": evaluation.spans,
        "known": all(one.known for one in evaluation.spans),
        "states": any(arm.run.states for arm in arms),
        "header": header(evaluation),
        "rows": _rows(evaluation),
        "legend": " ".join(legend(evaluation)),
        "outages": _outages(evaluation),
        "groups": _groups(evaluation),
        "arms": arms,
        "faults": list(evaluation.faults),
    }


def _cards(evaluation: Evaluation) -> list[dict[str, Any]]:
    """What the last configuration has, and the first before it."""
    by_name = {kpi.name: kpi for kpi in evaluation.kpis}
    arms = list(evaluation.arms.values())
    first, last = arms[0], arms[-1]
    own = [kpi.name for kpi in evaluation.kpis if not _is_standard(kpi.name)]
    cards = []
    for name in [*filter(by_name.__contains__, CARDS), *own]:
        kpi, found, before = by_name[name], last.kpis.get(name), first.kpis.get(name)
        if found is not None:
            one = _comparison(evaluation, name, last.name)
            cards.append(
                {
                    "name": name.replace("_", " "),
                    "after": wording.number(found.value, kpi.unit),
                    "before": "" if one is None or before is None else wording.number(before.value, kpi.unit),
                    "better": None if one is None else verdict(one, evaluation.level),
                }
            )
    return cards[:MOST_CARDS]


def _is_standard(name: str) -> bool:
    from .standard import standard_kpis

    return name in {kpi.name for kpi in standard_kpis()}


def _comparison(evaluation: Evaluation, kpi: str, arm: str) -> Comparison | None:
    return next((one for one in evaluation.comparisons if (one.kpi.name, one.arm) == (kpi, arm)), None)


def _rows(evaluation: Evaluation) -> list[dict[str, Any]]:
    rows = []
    for kpi in evaluation.kpis:
        cells: list[dict[str, Any]] = []
        for arm in evaluation.arms.values():
            value, _, rest = wording.interval(arm.kpis.get(kpi.name), kpi.unit).partition(" (")
            cells.append({"value": value, "interval": rest.removesuffix(")"), "better": None})
        for name in list(evaluation.arms)[1:]:
            one = _comparison(evaluation, kpi.name, name)
            if one is None:
                cells += [
                    {"value": wording.UNKNOWN, "interval": "", "better": None},
                    {"value": "", "interval": "", "better": None},
                ]
                continue
            cells.append(
                {"value": wording.change(one), "interval": "", "better": verdict(one, evaluation.level)}
            )
            cells.append({"value": wording.p_value(one.adjusted), "interval": "", "better": None})
        rows.append({"name": kpi.name.replace("_", " "), "text": kpi.text, "cells": cells})
    return rows


def _outages(evaluation: Evaluation) -> list[dict[str, str]]:
    def shown(value: float | None, none: str) -> str:
        return none if value is None else wording.number(value, "s")

    return [
        {
            "arm": arm.name,
            "begins": wording.number(outage.span.begins, "s"),
            "ends": wording.number(outage.span.ends, "s"),
            "detected": shown(outage.detected, "not by a policy"),
            "recovered": shown(outage.recovered, "no request came after it"),
        }
        for arm in evaluation.arms.values()
        for outage in arm.facts.outages
    ]


def _groups(evaluation: Evaluation) -> list[dict[str, Any]]:
    by_arm = [groups_of(arm.replies) for arm in evaluation.arms.values()]
    # The worst served first: that is what fairness is about.
    names = sorted(by_arm[-1], key=lambda name: (by_arm[-1][name], name))[:MOST_GROUPS]
    return [
        {"name": name, "cells": [wording.number(shares.get(name, math.nan), "%") for shares in by_arm]}
        for name in names
    ]
