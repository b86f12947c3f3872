"""The result as a table: plain text everywhere, and with rich on terminals that have it."""

from __future__ import annotations

import shutil
import sys
import textwrap
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TextIO

from . import wording
from .results import Comparison

if TYPE_CHECKING:
    from .evaluation import Evaluation

LEGEND_WIDTH = 100


@dataclass(frozen=True, slots=True)
class Row:
    """One KPI: its cells, and for each whether it is better (True), worse (False) or neither (None)."""

    cells: tuple[str, ...]
    better: tuple[bool | None, ...]


def header(evaluation: Evaluation) -> tuple[str, ...]:
    """The titles of the columns."""
    titles = ["", *evaluation.arms]
    versus = len(evaluation.arms) > 2
    for name in list(evaluation.arms)[1:]:
        titles += [f"change of {name}" if versus else "change", "p"]
    return tuple(titles)


def rows(evaluation: Evaluation) -> list[Row]:
    """A row for each KPI that was measured."""
    by_key = {(one.kpi.name, one.arm): one for one in evaluation.comparisons}
    found = []
    for kpi in evaluation.kpis:
        cells = [kpi.name.replace("_", " ")]
        cells += [wording.interval(arm.kpis.get(kpi.name), kpi.unit) for arm in evaluation.arms.values()]
        better: list[bool | None] = [None] * len(cells)
        for name in list(evaluation.arms)[1:]:
            one = by_key.get((kpi.name, name))
            cells += (
                [wording.UNKNOWN, ""] if one is None else [wording.change(one), wording.p_value(one.adjusted)]
            )
            better += [None if one is None else verdict(one, evaluation.level), None]
        found.append(Row(tuple(cells), tuple(better)))
    return found


def verdict(comparison: Comparison, level: float) -> bool | None:
    """Whether it is better or worse beyond luck; None where it is neither, or nobody can tell."""
    return comparison.gain > 0 if comparison.significant(level) and comparison.gain else None


def title(evaluation: Evaluation) -> str:
    """What was evaluated, in a line."""
    time = "virtual time" if evaluation.virtual else "real time"
    count = len(next(iter(evaluation.arms.values())).replies)
    how = f"{time}, seed {evaluation.seed}"
    return f"{evaluation.model}: {count:,} requests, the same in each configuration ({how})"


def as_text(evaluation: Evaluation, width: int | None = None) -> str:
    """The whole result in plain text; where the table is wider than *width*, as a list."""
    table = _aligned(evaluation)
    if width is not None and max(map(len, table)) > width:
        table = [text for text, _ in as_list(evaluation)]
    return "\n".join(
        [
            *about(evaluation),
            "",
            *table,
            "",
            *legend(evaluation, min(width or LEGEND_WIDTH, LEGEND_WIDTH)),
            *objectives(evaluation),
        ]
    )


def about(evaluation: Evaluation) -> list[str]:
    """What was asked, what went wrong, and what a reader should know first."""
    return [
        title(evaluation),
        evaluation.workload,
        *(f"fault: {fault}" for fault in evaluation.faults),
        *(f"note: {note}" for note in evaluation.notes),
    ]


def as_list(evaluation: Evaluation) -> Iterator[tuple[str, bool | None]]:
    """The table for narrow places: each KPI and under it a line or two for each configuration.

    Whether a line is about something better (True), worse (False) or neither (None) comes with it.
    """
    by_key = {(one.kpi.name, one.arm): one for one in evaluation.comparisons}
    indent = 4 + max(map(len, evaluation.arms))
    for kpi in evaluation.kpis:
        yield kpi.name.replace("_", " "), None
        for name, arm in evaluation.arms.items():
            yield f"  {name}".ljust(indent) + wording.interval(arm.kpis.get(kpi.name), kpi.unit), None
            one = by_key.get((kpi.name, name))
            if one is not None:
                p = "" if one.adjusted is None else f", p {wording.p_value(one.adjusted)}"
                yield " " * indent + wording.change(one) + p, verdict(one, evaluation.level)


def _aligned(evaluation: Evaluation) -> list[str]:
    """The table, a line each."""
    table = [header(evaluation), *(row.cells for row in rows(evaluation))]
    widths = [max(len(cells[column]) for cells in table) for column in range(len(table[0]))]
    lines = []
    for index, cells in enumerate(table):
        aligned = [
            cell.ljust(widths[0]) if not column else cell.rjust(widths[column])
            for column, cell in enumerate(cells)
        ]
        lines.append("  ".join(aligned).rstrip())
        if not index:
            lines.append("  ".join("-" * width for width in widths))
    return lines


def legend(evaluation: Evaluation, width: int = LEGEND_WIDTH) -> list[str]:
    """What the table does not say by itself."""
    text = f"In brackets: {evaluation.level:.0%} confidence intervals."
    if evaluation.comparisons:
        text += (
            f" Change: against {next(iter(evaluation.arms))}; p: how likely by luck alone, paired by request,"
            " adjusted for the number of KPIs (Holm)."
        )
    return textwrap.wrap(text, width)


def objectives(evaluation: Evaluation) -> list[str]:
    """A line for each objective."""
    if not evaluation.findings:
        return []
    return [
        "",
        *(
            f"{'met   ' if finding.met else 'MISSED'}  {finding.objective.text}: {finding.text}"
            for finding in evaluation.findings
        ),
    ]


def show(evaluation: Evaluation, stream: TextIO | None = None) -> None:
    """Print the result, coloured where *stream* is a terminal and rich is installed."""
    stream = sys.stdout if stream is None else stream
    if stream.isatty():
        try:
            _show_rich(evaluation, stream)
        except ModuleNotFoundError:
            pass
        else:
            return
    width = shutil.get_terminal_size().columns if stream.isatty() else None
    print(as_text(evaluation, width), file=stream)


def _show_rich(evaluation: Evaluation, stream: TextIO) -> None:
    from rich.console import Console
    from rich.text import Text

    console = Console(file=stream)
    what, *more = about(evaluation)
    console.print(Text(what, style="bold"))
    console.print(Text("\n".join(more)))
    styles = {True: "green", False: "red", None: ""}
    if max(map(len, _aligned(evaluation))) > console.width:
        console.print(Text("\n").join(Text(text, styles[better]) for text, better in as_list(evaluation)))
    else:
        console.print(_coloured(evaluation, styles))
    console.print(Text(" ".join(legend(evaluation)), style="dim"))
    for finding in evaluation.findings:
        mark = Text("met    " if finding.met else "MISSED ", style="green" if finding.met else "bold red")
        console.print(mark + Text(f"{finding.objective.text}: {finding.text}", style="not bold default"))


def _coloured(evaluation: Evaluation, styles: Mapping[bool | None, str]) -> Any:
    from rich.table import Table
    from rich.text import Text

    table = Table(box=None, pad_edge=False, header_style="bold")
    for index, name in enumerate(header(evaluation)):
        table.add_column(name, justify="right" if index else "left", overflow="fold")
    for row in rows(evaluation):
        table.add_row(
            *(Text(cell, styles[better]) for cell, better in zip(row.cells, row.better, strict=True))
        )
    return table
