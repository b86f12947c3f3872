"""Plots of an evaluation, as SVG that takes its colours from the page around it.

Each colour is a name of ours while matplotlib draws, and a CSS variable afterwards: so one drawing serves
light and dark pages. Text stays text, in the page's own font.
"""

from __future__ import annotations

import io
import re
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from ..machines.breaker_rules import State
from .replies import VERDICTS, Verdict
from .timeline import timeline

if TYPE_CHECKING:
    from .evaluation import Evaluation

# Drawn with these, and shown with the variable of the page.
INK, MUTED, GRID, SHADE = "#0a0001", "#0a0002", "#0a0003", "#0a0004"
COLOURS: Mapping[Verdict, str] = {verdict: f"#0a00{16 + index:02x}" for index, verdict in enumerate(VERDICTS)}
ARMS = tuple(f"#0a00{32 + index:02x}" for index in range(6))
STATES: Mapping[str, str] = {
    "closed": "#0a0030",
    "half_open": "#0a0031",
    "ramping": "#0a0032",
    "open": "#0a0033",
}
VARIABLES: Mapping[str, str] = {
    INK: "ink",
    MUTED: "muted",
    GRID: "grid",
    SHADE: "shade",
    **{colour: verdict for verdict, colour in COLOURS.items()},
    **{colour: f"arm{index}" for index, colour in enumerate(ARMS)},
    **{colour: f"state-{state.replace('_', '-')}" for state, colour in STATES.items()},
}
WORDS: Mapping[Verdict, str] = {
    "right": "right",
    "degraded": "by a fallback",
    "wrong": "wrong",
    "rejected": "rejected",
    "failed": "failed",
    "hung": "hung",
}
MOST_LANES = 6
"""Policies whose states are drawn; a registry of breakers may have thousands."""


def verdicts_of(evaluation: Evaluation) -> list[Verdict]:
    """The verdicts that any request got, in a fixed order."""
    seen = {reply.verdict for arm in evaluation.arms.values() for reply in arm.replies}
    return [verdict for verdict in VERDICTS if verdict in seen]


def timelines(evaluation: Evaluation, seconds: float, *, wide: bool) -> str:
    """What callers got over time, and under it the states of the policies, for each configuration."""
    arms = list(evaluation.arms.values())
    lanes = [list(dict.fromkeys(span.policy for span in arm.run.states))[:MOST_LANES] for arm in arms]
    heights = [
        height for lane in lanes for height in (2.0 if wide else 1.7, *([0.2 * len(lane)] if lane else []))
    ]
    figure = _figure((10.4 if wide else 4.9, sum(heights) + 0.55 * len(arms) + 0.5))
    axes = iter(figure.subplots(len(heights), 1, squeeze=False, gridspec_kw={"height_ratios": heights})[:, 0])
    lines = [timeline(arm.replies, seconds, steps=100 if wide else 50) for arm in arms]
    top = max(
        sum(counts[i] for counts in line.counts.values())
        for line in lines
        for i in range(len(line.counts["right"]))
    )
    for arm, line, lane in zip(arms, lines, lanes, strict=True):
        axis = next(axes)
        _bars(axis, line.step, line.counts)
        for span in evaluation.spans:
            axis.axvspan(
                span.begins, max(span.ends, span.begins + seconds / 300), color=SHADE, zorder=0, lw=0
            )
        axis.set(xlim=(0, line.seconds), ylim=(0, top * 1.08))
        axis.set_title(f"{arm.name}: requests in {line.step:g} s", loc="left", weight="bold")
        if lane:
            axis.tick_params(labelbottom=False)
            axis = next(axes)
            _lanes(axis, arm.run.states, lane, line.seconds, width=16 if wide else 9)
        axis.set_xlabel("seconds" if arm is arms[-1] else "")
    return _svg(figure, f"timeline-{'wide' if wide else 'narrow'}")


def _bars(axis: Any, step: float, counts: Mapping[Verdict, Sequence[int]]) -> None:
    base = np.zeros(len(counts["right"]))
    edges = step * np.arange(len(base))
    for verdict in VERDICTS:
        height = np.array(counts[verdict], dtype=float)
        if height.any():
            axis.stairs(
                base + height,
                np.append(edges, edges[-1] + step),
                baseline=base,
                fill=True,
                color=COLOURS[verdict],
            )
        base += height


def _lanes(axis: Any, states: Sequence[Any], policies: Sequence[str], seconds: float, *, width: int) -> None:
    rows = {policy: row for row, policy in enumerate(policies)}
    for span in [span for span in states if span.policy in rows and span.begins <= seconds]:
        tries = span.state == State.HALF_OPEN
        colour = STATES.get(span.state.removeprefix("forced_"), STATES["closed"])
        # A half-open breaker tries one call and decides at once: it is drawn wide enough to be seen.
        lasts = max(min(span.ends, seconds) - span.begins, seconds / 250 * tries)
        lane = (rows[span.policy] + 0.08, 0.84)
        axis.broken_barh([(span.begins, lasts)], lane, color=colour, lw=0, zorder=1 + tries)
    # Of a function in a function, the name that its author would say.
    names = [policy.rpartition("<locals>.")[2] for policy in policies]
    shortened = [name if len(name) <= width else name[: width - 1] + "…" for name in names]
    axis.set(xlim=(0, seconds), ylim=(len(policies), 0))
    axis.set_yticks([row + 0.5 for row in range(len(policies))], shortened)
    axis.tick_params(axis="y", length=0)
    axis.grid(visible=False)


def shares(evaluation: Evaluation, *, wide: bool) -> str:
    """Before and after: what share of the requests got which verdict."""
    arms = list(evaluation.arms.values())
    figure = _figure((5.2 if wide else 4.9, 0.62 * len(arms) + 0.55))
    axis = figure.subplots()
    for row, arm in enumerate(arms):
        left = 0.0
        for verdict in VERDICTS:
            part = sum(reply.verdict == verdict for reply in arm.replies) / len(arm.replies)
            axis.barh(row, part, left=left, height=0.62, color=COLOURS[verdict], lw=0)
            left += part
    axis.set(xlim=(0, 1), ylim=(len(arms) - 0.5, -0.5))
    axis.set_yticks(range(len(arms)), [arm.name for arm in arms])
    axis.set_xticks([0, 0.25, 0.5, 0.75, 1], ["0", "25 %", "50 %", "75 %", "100 %"])
    axis.set_xlabel("share of the requests")
    return _svg(figure, f"shares-{'wide' if wide else 'narrow'}")


def waits(evaluation: Evaluation, *, wide: bool) -> str:
    """For each wait, the share of callers who waited longer: the tail is what a median hides."""
    from matplotlib.ticker import LogLocator

    figure = _figure((5.2 if wide else 4.9, 3.1))
    axis = figure.subplots()
    smallest = 1.0
    waits = np.concatenate([arm.replies.waited for arm in evaluation.arms.values()])
    # A refusal may take no time at all, in virtual time: it is drawn at the left end.
    least = max(1e-6, float(np.min(waits, where=waits > 0, initial=1.0)) / 2)
    for colour, arm in zip(_cycle(ARMS, len(evaluation.arms)), evaluation.arms.values(), strict=True):
        waited = np.sort(np.maximum(arm.replies.waited, least))
        longer = 1 - np.arange(len(waited)) / len(waited)
        smallest = min(smallest, 1 / len(waited))
        axis.step(waited, longer, where="pre", color=colour, lw=2.2, label=arm.name)
    axis.set(xscale="log", yscale="log", ylim=(max(smallest, 1e-5) * 0.8, 1.25))
    axis.set_xlabel("seconds waited, for an answer or an error")
    axis.set_ylabel("share that waited longer")
    axis.yaxis.set_major_formatter(lambda share, _: f"{100 * share:g} %")
    axis.xaxis.set_major_formatter(lambda wait, _: f"{wait:g}")
    axis.minorticks_off()
    axis.xaxis.set_major_locator(LogLocator(numticks=6))
    axis.legend(loc="lower left", frameon=False, fontsize=11.0, labelcolor=INK)
    return _svg(figure, f"waits-{'wide' if wide else 'narrow'}")


def _cycle(colours: Sequence[str], count: int) -> list[str]:
    return [colours[index % len(colours)] for index in range(count)]


def _figure(size: tuple[float, float]) -> Any:
    from matplotlib.figure import Figure

    with _style():
        return _Styled(Figure(figsize=size, layout="constrained"))


class _Styled:
    """A figure whose every step is in our style, which matplotlib reads when it makes axes and text."""

    def __init__(self, figure: Any) -> None:
        self._figure = figure

    def subplots(self, *args: Any, **kwargs: Any) -> Any:
        """As the figure's own."""
        with _style():
            return self._figure.subplots(*args, **kwargs)

    def save(self, file: io.StringIO) -> None:
        """Write the figure as SVG."""
        with _style():
            self._figure.savefig(file, format="svg", transparent=True, metadata={"Date": None})


def _style() -> Any:
    import matplotlib as mpl

    return mpl.rc_context(
        {
            "axes.axisbelow": True,
            "axes.edgecolor": MUTED,
            "axes.grid": True,
            "axes.labelcolor": INK,
            "axes.labelsize": 11.0,
            "axes.spines.right": False,
            "axes.spines.top": False,
            "axes.titlecolor": INK,
            "axes.titlesize": 12.0,
            "figure.dpi": 72.0,
            "font.family": "sans-serif",
            "font.sans-serif": ["DejaVu Sans"],
            "font.size": 11.0,
            "legend.fontsize": 11.0,
            "grid.color": GRID,
            "grid.linewidth": 0.8,
            "svg.fonttype": "none",
            "svg.hashsalt": "resilient_ml",
            "text.color": INK,
            "text.parse_math": False,
            "xtick.color": MUTED,
            "xtick.labelcolor": INK,
            "xtick.labelsize": 11.0,
            "ytick.color": MUTED,
            "ytick.labelcolor": INK,
            "ytick.labelsize": 11.0,
        }
    )


def _svg(figure: _Styled, name: str) -> str:
    """*figure* as an element of a page: its colours are variables, its ids are its own, and it scales."""
    file = io.StringIO()
    figure.save(file)
    text = file.getvalue()
    text = text[text.index("<svg") :]
    text = re.sub(r"<metadata>.*?</metadata>", "", text, flags=re.DOTALL)
    text = re.sub(r'(<svg[^>]*?) width="[^"]*"', r"\1", text, count=1)
    text = re.sub(r'(<svg[^>]*?) height="[^"]*"', r"\1", text, count=1)
    text = re.sub(r'\bid="', f'id="{name}-', text)
    text = re.sub(r'(url\(|href=")#', rf"\g<1>#{name}-", text)
    replace: Callable[[re.Match[str]], str] = lambda found: f"var(--{VARIABLES[found[0]]})"  # noqa: E731
    return re.sub("|".join(VARIABLES), replace, text)
