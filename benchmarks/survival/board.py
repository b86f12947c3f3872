"""The whole table: each cell in a process of its own, a few at a time, none of them for ever."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from .cases import offered
from .faults import Fault
from .library import Library
from .verdicts import ABSENT, NOT_OFFERED, Status, Verdict, failed

SCRIPTS = Path(__file__).resolve().parent.parent


@dataclass(frozen=True, slots=True)
class Cell:
    """One fault for one library.

    Attributes:
        fault: Its number.
        library: Its name.
        verdict: What came of it.
        seconds: How long it took.
    """

    fault: str
    library: str
    verdict: Verdict
    seconds: float = 0.0


def run_cell(fault: str, library: str, limit: float) -> Cell:
    """Judge in a child process; one that is not over after *limit* seconds, or dies, has failed."""
    began = time.monotonic()
    with tempfile.TemporaryFile() as told:
        # A file, not a pipe: what the library leaves running would hold a pipe open.
        process = subprocess.Popen(  # noqa: S603 - this interpreter, our own module
            [sys.executable, "-W", "ignore", "-m", "survival.cell", fault, library],
            cwd=SCRIPTS,
            env={**os.environ, "PYTHONPATH": os.pathsep.join([str(SCRIPTS), str(SCRIPTS.parent), *sys.path])},
            stdin=subprocess.DEVNULL,
            stdout=told,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )
        try:
            code = process.wait(limit)
        except subprocess.TimeoutExpired:
            return Cell(fault, library, failed(f"hung (killed after {limit:.0f} s)"), limit)
        finally:
            with suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            process.wait()
        told.seek(0)
        return Cell(fault, library, read(told.read(), code), time.monotonic() - began)


def read(told: bytes, code: int) -> Verdict:
    """The verdict that a child told as its last line."""
    for line in reversed(told.decode(errors="replace").splitlines()):
        if line.startswith('{"status"'):
            verdict = json.loads(line)
            return Verdict(Status(verdict["status"]), verdict["reason"])
    return failed(f"the process died (exit code {code})")


def run_all(
    faults: Sequence[Fault],
    libraries: Sequence[Library],
    *,
    jobs: int = 2,
    limit: float = 120.0,
    on_cell: Callable[[Cell], object] = lambda cell: None,
    run: Callable[[str, str, float], Cell] = run_cell,
) -> list[Cell]:
    """Judge every fault for every library.

    Args:
        faults: Which.
        libraries: Which.
        jobs: How many processes at a time. What is judged by the clock wants a core of its own.
        limit: Seconds for each process.
        on_cell: Told of each as it is done; what is absent or not offered needs no process and comes first.
        run: Judges one.

    Returns:
        All cells, fault by fault, in the order of *libraries*.
    """
    cells: dict[tuple[str, str], Cell] = {}
    waiting: list[tuple[str, str]] = []
    for fault in faults:
        for library in libraries:
            if library.version() is None:
                cells[fault.id, library.name] = Cell(fault.id, library.name, ABSENT)
            elif not offered(fault.id, library):
                cells[fault.id, library.name] = Cell(fault.id, library.name, NOT_OFFERED)
            else:
                waiting.append((fault.id, library.name))
    for cell in cells.values():
        on_cell(cell)
    with ThreadPoolExecutor(jobs) as pool:
        for done in as_completed([pool.submit(run, fault, name, limit) for fault, name in waiting]):
            cell = done.result()
            cells[cell.fault, cell.library] = cell
            on_cell(cell)
    return [cells[fault.id, library.name] for fault in faults for library in libraries]
