"""Progress while an evaluation runs: a bar where rich is installed, and a line now and then elsewhere."""

from __future__ import annotations

import contextlib
import sys
import time
from collections import Counter
from collections.abc import Iterator
from typing import Any, TextIO

from .replies import Reply

_now = time.monotonic  # taken before time is made virtual: whoever watches does so in real time
BAR_SECONDS = 0.1
LINE_SECONDS = 2.0


class Progress:
    """Counts replies, and shows the counts at most every *every* seconds of real time."""

    def __init__(self, total: int, every: float) -> None:
        self._total = total
        self._every = every
        self._done = 0
        self._counts: Counter[str] = Counter()
        self._shown = _now()
        self._what = ""

    def begin(self, what: str) -> None:
        """The next run begins."""
        self._what = what
        self._counts.clear()

    def settled(self, reply: Reply) -> None:
        """One more reply."""
        self._done += 1
        self._counts[reply.status] += 1
        if _now() - self._shown >= self._every:
            self._shown = _now()
            self.show()

    def line(self) -> str:
        """How the run gets on."""
        counts = "  ".join(f"{count} {status}" for status, count in sorted(self._counts.items()))
        return f"{self._what}: {counts}"

    def show(self) -> None:
        """Show it; nobody watches."""


class _Lines(Progress):
    def __init__(self, total: int, stream: TextIO) -> None:
        super().__init__(total, LINE_SECONDS)
        self._stream = stream

    def show(self) -> None:
        print(f"{self._done / self._total:4.0%}  {self.line()}", file=self._stream, flush=True)


class _Bar(Progress):
    def __init__(self, total: int, bar: Any) -> None:
        super().__init__(total, BAR_SECONDS)
        self._bar = bar
        self._task = bar.add_task("", total=total)

    def begin(self, what: str) -> None:
        super().begin(what)
        self.show()

    def show(self) -> None:
        self._bar.update(self._task, completed=self._done, description=self.line(), refresh=True)


@contextlib.contextmanager
def progress_of(wanted: bool | None, total: int, stream: TextIO | None = None) -> Iterator[Progress]:
    """What shows the progress of *total* requests while the block runs.

    Args:
        wanted: Whether to show it; None to do so on a terminal.
        total: How many replies there will be.
        stream: Where to; standard error by default.
    """
    stream = sys.stderr if stream is None else stream
    terminal = stream.isatty()
    if not (terminal if wanted is None else wanted):
        yield Progress(total, float("inf"))
        return
    if not (terminal and _has_rich()):
        yield _Lines(total, stream)
        return
    from rich.console import Console
    from rich.progress import BarColumn, TaskProgressColumn, TextColumn
    from rich.progress import Progress as RichProgress

    columns = (BarColumn(24), TaskProgressColumn(), TextColumn("{task.description}"))
    # It is drawn when something has happened, by whoever made it happen: a thread of its own would be in real
    # time while the others are not.
    with RichProgress(*columns, console=Console(file=stream), auto_refresh=False, transient=True) as bar:
        shown = _Bar(total, bar)
        yield shown
        shown.show()


def _has_rich() -> bool:
    try:
        import rich.console  # noqa: F401 -- only whether it can be had
    except ImportError:
        return False
    return True
