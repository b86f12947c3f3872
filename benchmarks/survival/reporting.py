"""The table as text, as Markdown and as JSON, with the counts that go with it."""

from __future__ import annotations

import json
import platform
import re
import sys
from collections.abc import Mapping, Sequence
from typing import Any

from .board import Cell
from .faults import FAULTS, Fault
from .libraries import OURS
from .library import Library
from .verdicts import Status

SIGNS = {
    Status.SURVIVED: "yes",
    Status.FAILED: "NO",
    Status.UNDECIDED: "?",
    Status.NOT_OFFERED: "-",
    Status.ABSENT: "absent",
}
"""How a cell reads."""

LEGEND = (
    "yes: survived. NO: failed. -: the library offers nothing that this could break. "
    "?: the fault did not come about. "
    "B breaks what any user of such a policy relies on, T is a trap, S is outside what the library promises."
)


def score(cells: Sequence[Cell], library: str, kinds: str = "BTS") -> str:
    """``survived/applicable`` of *library*, over the faults of *kinds*."""
    decided = [
        cell.verdict.status
        for cell in cells
        if cell.library == library
        and FAULTS[cell.fault].kind in kinds
        and cell.verdict.status in (Status.SURVIVED, Status.FAILED)
    ]
    return f"{decided.count(Status.SURVIVED)}/{len(decided)}" if decided else "-"


def rows(
    faults: Sequence[Fault], libraries: Sequence[Library], cells: Sequence[Cell], *, titles: bool = True
) -> list[list[str]]:
    """The table: number, class, title, a sign for each library; then the scores."""
    signs = {(cell.fault, cell.library): SIGNS[cell.verdict.status] for cell in cells}
    table = [
        [
            fault.id,
            fault.kind,
            *([fault.title] if titles else []),
            *[signs[fault.id, one.name] for one in libraries],
        ]
        for fault in faults
    ]
    for label, kinds in (("survived", "BTS"), ("class B only", "B"), ("T and S", "TS")):
        names = ["", "", label] if titles else [label, ""]
        table.append([*names, *[score(cells, one.name, kinds) for one in libraries]])
    return table


def heads(libraries: Sequence[Library], *, titles: bool = True) -> list[str]:
    """What stands above the columns; short where the title of a fault takes the room."""
    if titles:
        return ["#", "class", "fault", *[short(one.name) for one in libraries]]
    return ["#", "class", *[one.name for one in libraries]]


def show(title: str, heads: Sequence[str], table: Sequence[Sequence[str]]) -> None:
    """Print the table: by rich in a terminal, plain text elsewhere."""
    if sys.stdout.isatty():
        try:
            from rich.console import Console
            from rich.table import Table
        except ImportError:
            pass
        else:
            drawn = Table(title=title, title_justify="left", box=None, padding=(0, 1, 0, 0))
            for at, head in enumerate(heads):
                drawn.add_column(head, no_wrap=True, min_width=16 if at == 2 else None)
            for row in table:
                drawn.add_row(
                    *[f"[bold red]{cell}[/]" if cell == SIGNS[Status.FAILED] else cell for cell in row]
                )
            Console(highlight=False).print(drawn)
            return
    widths = [max(len(row[at]) for row in [heads, *table]) for at in range(len(heads))]
    for row in [heads, *table]:
        print("  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip())


def short(name: str) -> str:
    """A name for a narrow column: its first letters."""
    return "ours" if name == OURS else name[:4]


def failures(cells: Sequence[Cell]) -> list[Cell]:
    """What failed or stayed undecided, with its reasons."""
    return [cell for cell in cells if cell.verdict.status in (Status.FAILED, Status.UNDECIDED)]


def versions(libraries: Sequence[Library]) -> str:
    """Python and each library."""
    python = f"{platform.python_implementation()} {platform.python_version()}, {platform.system()}"
    return f"{python}; " + ", ".join(f"{one.name} {one.version() or 'absent'}" for one in libraries)


def as_json(libraries: Sequence[Library], cells: Sequence[Cell]) -> str:
    """All that was found."""
    found: Mapping[str, Any] = {
        "python": platform.python_version(),
        "versions": {one.name: one.version() for one in libraries},
        "scores": {one.name: score(cells, one.name) for one in libraries},
        "cells": [
            {
                "fault": cell.fault,
                "class": FAULTS[cell.fault].kind,
                "title": FAULTS[cell.fault].title,
                "library": cell.library,
                "status": cell.verdict.status,
                "reason": cell.verdict.reason,
                "seconds": round(cell.seconds, 2),
            }
            for cell in cells
        ],
    }
    return json.dumps(found, indent=2) + "\n"


def _line(cells: Sequence[str]) -> str:
    return "| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |"


def as_markdown(faults: Sequence[Fault], libraries: Sequence[Library], cells: Sequence[Cell]) -> str:
    """The scores, the faults, the table, and what went wrong where: the sections of a page."""
    present = [one for one in libraries if one.version() is not None]
    lines = [
        "## Scores",
        "",
        *_table(["library", "version", "column", "survived", "class B", "classes T and S"]),
    ]
    for one in present:
        scores = [score(cells, one.name, kinds) for kinds in ("BTS", "B", "TS")]
        lines.append(_line([one.name, one.version() or "", short(one.name), *scores]))
    lines += ["", "## Faults", "", *_table(["#", "class", "what goes wrong", "what the case does"])]
    lines += [_line([one.id, one.kind, one.title, one.setting]) for one in faults]
    columns = ["#", "class", *[short(one.name) for one in present]]
    lines += ["", "## Table", "", LEGEND, "", *_table(columns)]
    for row in rows(faults, present, cells, titles=False)[: len(faults)]:
        lines.append(_line(["**NO**" if cell == "NO" else cell for cell in row]))
    lines += ["", "## What went wrong", ""]
    for cell in failures(cells):
        how = "" if cell.verdict.status is Status.FAILED else " (undecided)"
        lines.append(f"* {cell.fault}, {cell.library}{how}: {_quoted(cell.verdict.reason)}")
    return "\n".join(lines) + "\n"


def _table(columns: Sequence[str]) -> list[str]:
    return [_line(columns), _line(["---"] * len(columns))]


def _quoted(reason: str) -> str:
    """*reason*, not too long, without addresses and with nothing that Markdown would act on."""
    reason = re.sub("0x[0-9a-f]+", "…", reason).strip()
    reason = reason if len(reason) <= 240 else f"{reason[:240]} …"
    return "".join(f"\\{letter}" if letter in "*_`<>[]" else letter for letter in reason)
