"""One table a claim: goal, ours, fused by hand, the peers; by rich where it is installed, else plain text."""

from __future__ import annotations

import os
import platform
from collections.abc import Sequence
from dataclasses import dataclass
from importlib import metadata

from measuring import Result

FUSED_GOAL = 1.6
"""The most that ours may cost as a multiple of the same work fused by hand."""

PEERS = (
    "backoff",
    "circuitbreaker",
    "func_timeout",
    "grit-toolkit",
    "hyx",
    "interlock-cb",
    "nopanic",
    "pybreaker",
    "pyresilience",
    "resilix",
    "stamina",
    "tenacity",
)


@dataclass(frozen=True, slots=True)
class Figure:
    """The results of one claim.

    Attributes:
        name: What is guarded with.
        results: Of the baseline first.
        goal: The most that ours may cost as a multiple of the baseline; None where none is set.
    """

    name: str
    results: Sequence[Result]
    goal: float | None = None

    def summary(self) -> list[str]:
        """Name, goal, ours, whether met, ours to fused, cheapest peer, cheapest peer that does the same."""
        ours = self._cheapest([one for one in self.results if one.case.role == "ours"])
        fused = self._cheapest([one for one in self.results if one.case.role == "fused"])
        peers = [one for one in self.results if one.case.role == "peer"]
        against = "-"
        if ours is not None and fused is not None and ours.ratio and fused.ratio:
            ratio = ours.ratio / fused.ratio
            against = f"{ratio:.2f}{' *' if ratio > FUSED_GOAL else ''}"
        met = "-"
        if self.goal is not None and ours is not None and ours.ratio is not None:
            met = "yes" if ours.ratio <= self.goal else "no"
        return [
            self.name,
            "-" if self.goal is None else f"{self.goal:g}",
            _times(ours),
            met,
            against,
            _named(self._cheapest(peers)),
            _named(self._cheapest([one for one in peers if one.case.same])),
        ]

    @staticmethod
    def _cheapest(results: Sequence[Result]) -> Result | None:
        measured = [one for one in results if one.ratio is not None]
        return min(measured, key=lambda one: one.ratio or 0.0, default=None)


def report(claim: str, figures: Sequence[Figure], *, unit: str = "x closure") -> None:
    """Print *figures*, cheapest case first, and how ours stands in each."""
    details = []
    for figure in figures:
        base, *others = figure.results
        for one in [base, *sorted(others, key=lambda one: one.ratio or float("inf"))]:
            least = "absent" if one.ratio is None else f"{one.least:,.0f}"
            case = one.case
            marked = f"> {case.name}" if case.role == "ours" else f"  {case.name}"
            details.append([figure.name if one is base else "", marked, _times(one), least, case.note])
    table(claim, ["guarded with", "by", unit, "min ns", "note"], details)
    heads = ["figure", "goal", "ours", "met", "ours / fused", "cheapest peer", "cheapest that does the same"]
    table(f"{unit}; the goal for ours / fused is {FUSED_GOAL}", heads, [one.summary() for one in figures])
    print(machine())


def table(title: str, heads: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    """Print a table; numbers to the right."""
    right = [all(_numeric(row[at]) for row in rows) for at in range(len(heads))]
    try:
        from rich.console import Console
        from rich.table import Table
    except ImportError:
        _plain(title, heads, rows, right)
        return
    drawn = Table(title=title, title_justify="left")
    for head, numeric in zip(heads, right, strict=True):
        drawn.add_column(head, justify="right" if numeric else "left", overflow="fold")
    for row in rows:
        drawn.add_row(*row)
    console = Console(markup=False, highlight=False)
    if not console.is_terminal:
        console = Console(markup=False, highlight=False, width=150)
    console.print(drawn)


def _plain(title: str, heads: Sequence[str], rows: Sequence[Sequence[str]], right: Sequence[bool]) -> None:
    widths = [max(len(row[at]) for row in [heads, *rows]) for at in range(len(heads))]
    print(title)
    for row in [heads, ["-" * width for width in widths], *rows]:
        cells = [
            cell.rjust(width) if numeric else cell.ljust(width)
            for cell, width, numeric in zip(row, widths, right, strict=True)
        ]
        print("  ".join(cells).rstrip())
    print()


def machine(peers: Sequence[str] = PEERS) -> str:
    """What this was measured on, and with which versions of the peers."""
    python = f"{platform.python_implementation()} {platform.python_version()}"
    return f"{python}, {os.cpu_count()} cores; {versions(peers)}"


def versions(peers: Sequence[str] = PEERS) -> str:
    """The peers' versions."""
    found = []
    for name in peers:
        try:
            found.append(f"{name} {metadata.version(name)}")
        except metadata.PackageNotFoundError:
            found.append(f"{name} absent")
    return ", ".join(found)


def _times(one: Result | None) -> str:
    if one is None or one.ratio is None:
        return "-"
    return (
        f"{one.ratio:.2f}"
        if one.ratio < 10
        else f"{one.ratio:.1f}"
        if one.ratio < 100
        else f"{one.ratio:.0f}"
    )


def _named(one: Result | None) -> str:
    return "-" if one is None else f"{one.case.name} {_times(one)}"


def _numeric(cell: str) -> bool:
    return cell in ("", "-", "absent") or cell.replace(",", "").replace(".", "").replace(" *", "").isdigit()
