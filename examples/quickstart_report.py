"""How the quickstart shows its result: a live line while it runs, a table, and a plot.

Every number here is counted from what the callers got and what the backends saw.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from resilient_ml import State, events

if TYPE_CHECKING:
    from faulty_backend import FaultyBackend
    from quickstart import Reply, Traffic

LATE_SECONDS = 1.0

# Okabe and Ito's colours, told apart by every kind of eye; the hatches tell them apart in print.
LOOKS: dict[str, dict[str, str]] = {
    "right": {"color": "#009E73"},
    "right, from the small model": {"color": "#56B4E9", "hatch": ".."},
    "right, but after 1 s or more": {"color": "#F0E442", "hatch": "//"},
    "wrong digit": {"color": "#D55E00", "hatch": "xx"},
    "no answer": {"color": "#595959"},
}


def verdict(reply: Reply) -> str:
    """Which of ``LOOKS`` *reply* is."""
    if reply.digit is None:
        return "no answer"
    if reply.digit != reply.request.digit:
        return "wrong digit"
    if reply.waited >= LATE_SECONDS:
        return "right, but after 1 s or more"
    return "right, from the small model" if reply.degraded else "right"


@dataclass(frozen=True)
class Score:
    """One run in numbers; shares are of all requests, times are in seconds."""

    requests: int
    answered: float
    right: float
    wrong: int
    wrong_unmarked: int
    garbage: int
    degraded: float
    p50: float
    p99: float
    late: float
    timeouts: int
    hangs: int
    calls_a_request: float
    calls_while_down: int

    @classmethod
    def of(cls, replies: Sequence[Reply], backend: FaultyBackend) -> Score:
        """Count what the callers got and what *backend* saw."""
        n = len(replies)
        waited = [reply.waited for reply in replies]
        answered = [reply for reply in replies if reply.digit is not None]
        right = sum(reply.digit == reply.request.digit for reply in answered)
        return cls(
            requests=n,
            answered=len(answered) / n,
            right=right / n,
            wrong=len(answered) - right,
            wrong_unmarked=sum(r.digit != r.request.digit and not r.degraded for r in answered),
            garbage=sum(reply.garbage for reply in answered),
            degraded=sum(reply.degraded for reply in answered) / n,
            p50=float(np.percentile(waited, 50)),
            p99=float(np.percentile(waited, 99)),
            late=sum(seconds >= LATE_SECONDS for seconds in waited) / n,
            timeouts=sum(reply.timeouts for reply in replies),
            hangs=backend.hangs,
            calls_a_request=backend.calls / n,
            calls_while_down=backend.calls_while_down,
        )


def watch(runs: dict[str, Traffic], requests: int, happened: Sequence[events.Event], began: float) -> None:
    """Show how the runs get on until both have ended: bars on a terminal, a line now and then elsewhere."""
    from rich.console import Console
    from rich.progress import BarColumn, Progress, TextColumn

    console = Console()
    columns = (TextColumn("{task.description:<8}"), BarColumn(16), TextColumn("{task.fields[so_far]}"))
    told = began
    with Progress(*columns, console=console, disable=not console.is_terminal) as progress:
        tasks = {name: progress.add_task(name, total=requests, so_far="") for name in runs}
        running = True
        while running:
            running = any(client.is_alive() for run in runs.values() for client in run.clients)
            lines = {name: so_far(run.replies) for name, run in runs.items()}
            lines["guarded"] += f"  breaker {breaker_state(happened)}"
            for name, run in runs.items():
                progress.update(tasks[name], completed=len(run.replies), so_far=lines[name])
            if not console.is_terminal and time.monotonic() - told >= 4:
                told = time.monotonic()
                counts = "   ".join(f"{name}: {line}" for name, line in lines.items())
                print(f"{told - began:3.0f} s  {counts}", flush=True)
            time.sleep(0.1)


def so_far(replies: Sequence[Reply]) -> str:
    """A few counts for the live line."""
    verdicts = [verdict(reply) for reply in list(replies)]
    wrong, none = verdicts.count("wrong digit"), verdicts.count("no answer")
    return f"{len(verdicts) - wrong - none:>4} right {wrong:>2} wrong {none:>3} failed"


def breaker_state(happened: Sequence[events.Event]) -> str:
    """What the breaker's last event said."""
    changes = [event.after for event in list(happened) if isinstance(event, events.BreakerChanged)]
    return (changes[-1] if changes else State.CLOSED).replace("_", "-")


def show_table(naked: Score, guarded: Score) -> None:
    """Print both runs side by side."""
    from rich.console import Console
    from rich.table import Table

    table = Table(title=f"The same {naked.requests} requests, the same faults")
    table.add_column("")
    table.add_column("naked", justify="right")
    table.add_column("guarded", justify="right", style="bold")

    def row(label: str, text: str, field: str, *, section: bool = False) -> None:
        table.add_row(
            label, *(text.format(getattr(score, field)) for score in (naked, guarded)), end_section=section
        )

    row("availability: any answer at all", "{:.1%}", "answered")
    row("right answers", "{:.1%}", "right")
    row("wrong answers served", "{}", "wrong")
    row("  not marked as degraded", "{}", "wrong_unmarked")
    row("  NaN read as a digit", "{}", "garbage")
    row("answers marked as degraded", "{:.1%}", "degraded", section=True)
    row("wait of a caller, p50", "{:.3f} s", "p50")
    row("wait of a caller, p99", "{:.3f} s", "p99")
    row(f"waited {LATE_SECONDS:g} s or more", "{:.1%}", "late", section=True)
    row("backend calls per request", "{:.2f}", "calls_a_request")
    row("backend calls while it was down", "{}", "calls_while_down")
    row("backend calls that hung", "{}", "hangs")
    row("calls cut short by Timeout", "{}", "timeouts")
    Console().print(table)


def breaker_spans(
    happened: Sequence[events.Event], began: float, ended: float
) -> list[tuple[str, float, float]]:
    """``(state, from, for)`` of the breaker, in seconds from the start."""
    changes = [event for event in happened if isinstance(event, events.BreakerChanged)]
    states = [str(State.CLOSED), *(change.after for change in changes)]
    begins = [0.0, *(change.at - began for change in changes)]
    ends = [*begins[1:], ended]
    return [(state, at, end - at) for state, at, end in zip(states, begins, ends, strict=True)]


def draw(
    path: Path,
    runs: dict[str, Sequence[Reply]],
    outage: tuple[float, float],
    spans: Sequence[tuple[str, float, float]],
) -> None:
    """Write the plot: what callers got over time, what the breaker did, and how long callers waited."""
    import matplotlib as mpl

    mpl.use("Agg")
    import matplotlib.pyplot as plt

    plt.rcParams.update({"font.size": 12, "hatch.linewidth": 0.6})
    figure, axes = plt.subplots(
        4, 1, figsize=(11, 11.5), layout="constrained", gridspec_kw={"height_ratios": [3, 3, 0.45, 3]}
    )
    seconds = max(reply.request.arrives for replies in runs.values() for reply in replies)
    for axis, (name, replies) in zip(axes, runs.items(), strict=False):
        _timeline(axis, replies, outage, seconds)
        answered = sum(reply.digit is not None for reply in replies) / len(replies)
        right = sum(reply.digit == reply.request.digit for reply in replies) / len(replies)
        title = f"{name.capitalize()}: {answered:.1%} of requests answered, {right:.1%} answered right"
        axis.set_title(title, loc="left", weight="bold")
    axes[0].text(
        sum(outage) / 2, 0.98, "backend down", ha="center", va="top", transform=axes[0].get_xaxis_transform()
    )
    _breaker(axes[2], spans, seconds)
    _waits(axes[3], runs)
    handles, labels = axes[0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside upper center", ncols=3, frameon=False)
    figure.savefig(path, dpi=110)
    plt.close(figure)


def _timeline(axis: Any, replies: Sequence[Reply], outage: tuple[float, float], seconds: float) -> None:
    edges = np.arange(0, np.ceil(seconds) + 0.25, 0.5)
    base = np.zeros(len(edges) - 1)
    for name, look in LOOKS.items():
        height = np.histogram([r.request.arrives for r in replies if verdict(r) == name], edges)[0]
        axis.bar(edges[:-1], height, 0.5, base, align="edge", label=name, edgecolor="white", lw=0.5, **look)
        base += height
    axis.axvspan(*outage, color="0.85", zorder=0)
    axis.set(xlim=(0, edges[-1]), ylim=(0, float(np.max(base)) * 1.2), ylabel="requests per half second")
    axis.tick_params(labelbottom=False)


def _breaker(axis: Any, spans: Sequence[tuple[str, float, float]], seconds: float) -> None:
    """One bar, coloured by state; a half-open breaker lets one call through, which shows as a line."""
    for state, begins, lasts in spans:
        if state == State.HALF_OPEN:
            axis.axvline(begins, color="white", lw=2.5)
            continue
        fill, ink = ("#DDDDDD", "black") if state == State.CLOSED else ("#882255", "white")
        axis.broken_barh([(begins, lasts)], (0, 1), color=fill)
        if lasts > seconds / 25:
            axis.text(begins + lasts / 2, 0.47, state, ha="center", va="center", color=ink)
    axis.set(xlim=(0, np.ceil(seconds)), ylim=(0, 1), yticks=[])
    axis.set_xlabel(
        "seconds; requests are drawn where they arrive; white lines in the breaker's bar are probes"
    )
    axis.set_ylabel("breaker", rotation=0, ha="right", va="center")


def _waits(axis: Any, runs: dict[str, Sequence[Reply]]) -> None:
    """For each wait, the share of callers that waited longer: the tail is what a median hides."""
    for (name, replies), style in zip(runs.items(), (("#D55E00", "--"), ("#0072B2", "-")), strict=True):
        waited = np.sort([reply.waited for reply in replies])
        longer = 1 - np.arange(1, len(waited) + 1) / len(waited)
        label = f"{name}: p99 {np.percentile(waited, 99):.2f} s"
        axis.step(waited[:-1], longer[:-1], where="post", color=style[0], ls=style[1], lw=2.5, label=label)
    axis.set(xscale="log", yscale="log", ylim=(None, 1.3), xlabel="seconds waited, for an answer or an error")
    axis.set_ylabel("share that waited longer")
    axis.yaxis.set_major_formatter(lambda share, _: f"{100 * share:g}%")
    axis.xaxis.set_major_formatter(lambda wait, _: f"{wait:g}")
    axis.axhline(0.01, color="0.5", lw=1)
    axis.grid(alpha=0.3)
    axis.legend(loc="lower left", frameon=False)
    axis.set_title("How long callers waited", loc="left", weight="bold")
