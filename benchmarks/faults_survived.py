"""Which faults each library survives: every fault for every library, one process each, in one run.

``python benchmarks/faults_survived.py`` runs all; ``--quick`` those that are over in a second.
A library that is not installed is listed as absent.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

from survival import reporting
from survival.board import Cell, run_all
from survival.faults import FAULTS
from survival.libraries import LIBRARIES, OURS
from survival.verdicts import Status


def parsed(arguments: Sequence[str] | None = None) -> argparse.Namespace:
    """The options, checked."""
    parser = argparse.ArgumentParser(description="which faults each library survives")
    parser.add_argument("--only", type=_chosen(FAULTS), default=None, metavar="F01,F02", help="these faults")
    parser.add_argument(
        "--libs", type=_chosen(LIBRARIES), default=None, metavar="A,B", help="these libraries"
    )
    parser.add_argument("--quick", action="store_true", help="the faults that take about a second")
    parser.add_argument("--jobs", type=int, default=2, help="processes at a time (default: 2)")
    parser.add_argument("--limit", type=float, default=120.0, help="seconds for each process (default: 120)")
    parser.add_argument(
        "--json", type=Path, default=None, metavar="PATH", help="write all that was found here"
    )
    parser.add_argument("--markdown", action="store_true", help="print Markdown")
    options = parser.parse_args(arguments)
    if options.jobs < 1:
        parser.error(f"--jobs must be at least 1, got {options.jobs}; 1 runs one cell at a time")
    if not options.limit > 0:
        parser.error(f"--limit must be above 0, got {options.limit:g}; 120 is enough for every case")
    return options


def _chosen(among: Mapping[str, object]) -> Callable[[str], list[str]]:
    def chosen(text: str) -> list[str]:
        names = [name.strip() for name in text.split(",")]
        unknown = [name for name in names if name not in among]
        if unknown:
            raise argparse.ArgumentTypeError(f"unknown: {', '.join(unknown)}; choose of {', '.join(among)}")
        return names

    return chosen


@contextmanager
def progress(cells: int) -> Iterator[Callable[[Cell], None]]:
    """Told of each cell as it is done: a bar in a terminal, a line every so often elsewhere."""
    count = 0

    def told(cell: Cell) -> None:
        nonlocal count
        count += 1
        if count % 100 == 0:
            print(f"{count} of {cells} cells", file=sys.stderr)

    if not sys.stderr.isatty():
        yield told
        return
    try:
        from rich.console import Console
        from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn
    except ImportError:
        yield told
        return
    columns = (TextColumn("{task.description:24}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    with Progress(*columns, console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task("", total=cells)
        yield lambda cell: bar.update(task, advance=1, description=f"{cell.fault} {cell.library}")


def main(arguments: Sequence[str] | None = None) -> int:
    """Run and print; 1 if this library failed anything."""
    options = parsed(arguments)
    faults = [
        fault
        for name, fault in FAULTS.items()
        if (options.only is None or name in options.only) and (fault.quick or not options.quick)
    ]
    libraries = [one for name, one in LIBRARIES.items() if options.libs is None or name in options.libs]
    began = time.monotonic()
    with progress(len(faults) * len(libraries)) as on_cell:
        cells = run_all(faults, libraries, jobs=options.jobs, limit=options.limit, on_cell=on_cell)
    if options.json is not None:
        options.json.write_text(reporting.as_json(libraries, cells))
    if options.markdown:
        print(reporting.as_markdown(faults, libraries, cells), end="")
    else:
        present = [one for one in libraries if one.version() is not None]
        reporting.show("faults survived", reporting.heads(present), reporting.rows(faults, present, cells))
        print(reporting.LEGEND)
        for cell in reporting.failures(cells):
            print(f"{cell.fault} {cell.library} {cell.verdict.status}: {cell.verdict.reason}")
        print(f"{reporting.versions(libraries)}; {time.monotonic() - began:.0f} s")
    return any(cell.library == OURS and cell.verdict.status is Status.FAILED for cell in cells)


if __name__ == "__main__":
    sys.exit(main())
