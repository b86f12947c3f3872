"""What a conformance run found: verdicts, their report, and the error that shows what is broken."""

from __future__ import annotations

import textwrap
from dataclasses import dataclass
from typing import Literal

Status = Literal["kept", "broken", "refused", "skipped"]


class BrokenPromise(Exception):
    """A promise is not kept: what was *seen*, and what to do."""

    def __init__(self, seen: str, remedy: str) -> None:
        super().__init__(f"{seen}; {remedy}")
        self.seen = seen
        self.remedy = remedy


class Refused(Exception):
    """The policy does not guard this colour, and says so."""


@dataclass(frozen=True, slots=True)
class Verdict:
    """Whether one promise is kept in one colour.

    Attributes:
        check: The promise.
        where: The colour, and the event loop of async ones; empty where neither matters.
        status: ``kept``, ``broken``, ``refused`` (the policy does not guard this colour) or ``skipped``.
        detail: What was seen and what to do; why it was refused or skipped; empty where the promise is kept.
    """

    check: str
    where: str
    status: Status
    detail: str = ""

    @property
    def ok(self) -> bool:
        """Whether nothing is broken."""
        return self.status != "broken"

    def __str__(self) -> str:
        place = f" ({self.where})" if self.where else ""
        return f"{self.check}{place}: {self.status}{f': {self.detail}' if self.detail else ''}"


@dataclass(frozen=True, slots=True)
class Report:
    """What a run of the suite found; print it for a table.

    Attributes:
        policy: The policy, as it describes itself.
        verdicts: One for each promise in each colour, in the order they were checked.
    """

    policy: str
    verdicts: tuple[Verdict, ...]

    @property
    def ok(self) -> bool:
        """Whether no promise is broken."""
        return not self.broken

    @property
    def broken(self) -> tuple[Verdict, ...]:
        """The verdicts that say so."""
        return tuple(verdict for verdict in self.verdicts if not verdict.ok)

    def __str__(self) -> str:
        kept = sum(verdict.status == "kept" for verdict in self.verdicts)
        title = f"{self.policy}\n{kept} of {len(self.verdicts)} checks kept, {len(self.broken)} broken\n"
        return "\n".join([title, *_table(self.verdicts), *_notes(self.verdicts)])


class ConformanceError(AssertionError):
    """A policy breaks promises that every policy keeps.

    Attributes:
        report: Everything that was checked.
    """

    def __init__(self, report: Report) -> None:
        self.report = report
        lines = [f"{report.policy} breaks {len(report.broken)} of {len(report.verdicts)} promises:"]
        lines += (f"* {_told(verdict, others)}" for verdict, others in _grouped(report.broken))
        super().__init__("\n".join(lines))

    def __reduce__(self) -> tuple[type[ConformanceError], tuple[Report]]:
        return type(self), (self.report,)


def _grouped(verdicts: tuple[Verdict, ...]) -> list[tuple[Verdict, list[str]]]:
    """The verdicts, those that differ in the colour alone as one, with all their colours."""
    groups: dict[tuple[str, str], tuple[Verdict, list[str]]] = {}
    for verdict in verdicts:
        groups.setdefault((verdict.check, verdict.detail), (verdict, []))[1].append(verdict.where)
    return list(groups.values())


def _told(verdict: Verdict, where: list[str]) -> str:
    places = ", ".join(filter(None, where))
    return f"{verdict.check}{f' ({places})' if places else ''}: {verdict.detail}"


def _table(verdicts: tuple[Verdict, ...]) -> list[str]:
    places = list(dict.fromkeys(verdict.where for verdict in verdicts if verdict.where))
    rows: dict[str, dict[str, str]] = {}
    for verdict in verdicts:
        shown = verdict.status.upper() if not verdict.ok else verdict.status
        rows.setdefault(verdict.check, {})[verdict.where] = shown
    first = max([len("promise"), *map(len, rows)])
    heads = [place.split(" on ") for place in places]
    widths = [max(8, *map(len, head)) for head in heads]

    def line(name: str, cells: list[str]) -> str:
        padded = (cell.ljust(width) for cell, width in zip(cells, widths, strict=True))
        return "  ".join([name.ljust(first), *padded]).rstrip()

    lines = [line("promise", [head[0] for head in heads])]
    if any(len(head) > 1 for head in heads):
        lines.append(line("", [head[1] if len(head) > 1 else "" for head in heads]))
    for name, cells in rows.items():
        alone = cells.get("")
        if alone is not None:
            lines.append(f"{name.ljust(first)}  {alone}")
        else:
            lines.append(line(name, [cells.get(place, "") for place in places]))
    return lines


def _notes(verdicts: tuple[Verdict, ...]) -> list[str]:
    told = tuple(verdict for verdict in verdicts if verdict.detail)
    lines = [""] if told else []
    for verdict, where in _grouped(told):
        note = f"{verdict.status}: {_told(verdict, where)}"
        lines += textwrap.wrap(note, 100, subsequent_indent="    ", break_long_words=False)
    return lines
