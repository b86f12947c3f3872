"""How soon detectors of drift find a change, ours and the peers', and how often they alarm for nothing.

    python benchmarks/drift_delays.py [--quick] [--all] [--only NAMES] [--json PATH]

The claim, on streams with and without drift: ours (a) alarm no more often than promised, (b) find changes in
at most 0.7 of the median delay of the best peer at its defaults that alarms no more often, and (c) no later
than the best peer when each is tuned on that very quiet stream to the same run length. `drift_measuring.py`
says how it is measured. Ours learn from 1000 quiet observations that come before; peers take no reference.

Peers: river, and with `--all` frouros, which is slow.
"""

from __future__ import annotations

import argparse
import dataclasses
import json
import math
import multiprocessing
import os
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")  # before numpy: a process has one core

from drift_measuring import HORIZON, Delay, Found, Plan, RunLength, measured
from drift_streams import STREAMS
from drift_watches import LIBRARIES, Entry, entries
from tables import machine, table

SOONER, AS_SOON = 0.7, 1.0
"""The goals for the ratio of our delay to that of the best peer: at the defaults, and tuned alike."""

NEVER = Delay(math.inf, math.inf)

QUICK = Plan(arl=500, seeds=10, streams=10)
FEW = ("normal", "errors 0.1", "32 features", "10 classes")


@dataclass(frozen=True, slots=True)
class Verdict:
    """One figure of ours against a goal.

    Attributes:
        goal: Which.
        entry: Of which of our detectors.
        on: The stream or change.
        met: ``yes``; ``close`` if missed by less than two standard errors; ``no``; ``-`` if there is none.
    """

    goal: str
    entry: str
    on: str
    met: str


@dataclass(frozen=True, slots=True)
class Ratio:
    """Our delay by that of the best peer.

    Attributes:
        ours: Our delay.
        peer: The name of the peer; empty if there is none.
        theirs: Its delay.
        goal: The most that the ratio may be.
    """

    ours: Delay
    peer: str
    theirs: Delay
    goal: float

    @property
    def value(self) -> float:
        """The ratio, at most so much where the peer never alarms; nan where there is none."""
        if not self.peer or self.ours.median == self.theirs.median == math.inf:
            return math.nan
        return self.ours.median / min(self.theirs.median, HORIZON)

    @property
    def met(self) -> str:
        if math.isnan(self.value):
            return "-"
        if self.value <= self.goal:
            return "yes"
        noise = math.hypot(*(one.error / one.median for one in (self.ours, self.theirs)))
        return "close" if self.value * (1.0 - 2.0 * noise) <= self.goal else "no"

    def cells(self) -> list[str]:
        """Ours, the peer, its delay, the ratio, whether the goal is met."""
        below = "<" if self.theirs.median == math.inf else ""
        ratio = "-" if math.isnan(self.value) or self.value == math.inf else f"{below}{self.value:.2f}"
        theirs = shown(self.theirs) if self.peer else "-"
        return [shown(self.ours), self.peer or "none", theirs, ratio, self.met]


def shown(delay: Delay) -> str:
    if delay.median == math.inf:
        return f"> {HORIZON}"
    error = "?" if delay.error == math.inf else f"{delay.error:.0f}"
    return f"{delay.median:.0f} ± {error}"


def length_shown(length: RunLength) -> str:
    if not length.alarms:
        return f"> {length.observations:,}"
    return f"{length.mean:,.0f} ± {100.0 * length.error:.0f} %"


@dataclass(frozen=True, slots=True)
class Results:
    """All that was found, and the detectors it was found of."""

    plan: Plan
    known: dict[str, Entry]
    found: Sequence[Found]

    def ours(self) -> Iterator[tuple[Entry, Found]]:
        for one in self.found:
            entry = self.known[one.entry]
            if entry.ours:
                yield entry, one

    def peers(self, stream: str) -> list[Found]:
        return [one for one in self.found if one.stream == stream and not self.known[one.entry].ours]

    def at_defaults(self, one: Found, change: str) -> Ratio:
        """Against the peers that alarm no more often on the quiet stream."""
        rare = [peer for peer in self.peers(one.stream) if peer.quiet.rate <= one.quiet.rate]
        return against(one.delays[change], {peer.entry: peer.delays[change] for peer in rare}, SOONER)

    def once_tuned(self, one: Found, change: str) -> Ratio:
        """Against all peers that can be made to alarm as rarely."""
        peers = {peer.entry: self.tuned(peer)[change] for peer in self.peers(one.stream) if self.tuned(peer)}
        return against(self.tuned(one).get(change, NEVER), peers, AS_SOON)

    def tuned(self, one: Found) -> dict[str, Delay]:
        """Its delays once tuned; none where it cannot be made to alarm as rarely."""
        rarest = max((length.mean for length in one.lengths), default=0.0)
        return one.tuned if one.tuned and rarest > 0.9 * self.plan.arl else {}

    def quiet_row(self, entry: Entry, one: Found) -> tuple[list[str], Verdict]:
        met = "yes" if one.quiet.mean >= self.plan.arl else "no"
        if met == "no" and one.quiet.mean * (1.0 + 2.0 * one.quiet.error) >= self.plan.arl:
            met = "close"
        peers = ", ".join(f"{short(peer.entry)} {kilo(peer.quiet)}" for peer in self.peers(one.stream))
        row = [one.stream, entry.name, f"{self.plan.arl:,}", length_shown(one.quiet), met, peers]
        return row, Verdict("(a)", entry.name, one.stream, met)


def against(ours: Delay, peers: dict[str, Delay], goal: float) -> Ratio:
    best = min(peers, key=lambda name: peers[name].median, default="")
    return Ratio(ours, best, peers.get(best, NEVER), goal)


def short(name: str) -> str:
    return name.removeprefix("river ")


def kilo(length: RunLength) -> str:
    return f"{length.mean:,.0f}" if length.alarms else f"> {length.observations:,}"


def report(results: Results) -> list[Verdict]:
    """Print the tables."""
    quiet, default, tuned = [], [], []
    verdicts: list[Verdict] = []
    for entry, one in results.ours():
        row, verdict = results.quiet_row(entry, one)
        quiet.append(row)
        verdicts.append(verdict)
        for change in one.delays:
            if not results.peers(one.stream):
                default.append([change, entry.name, shown(one.delays[change]), "no peer", "-", "-", "-"])
                continue
            ratio = results.at_defaults(one, change)
            default.append([change, entry.name, *ratio.cells()])
            verdicts.append(Verdict("(b)", entry.name, change, ratio.met))
            ratio = results.once_tuned(one, change)
            tuned.append([change, entry.name, *ratio.cells()])
            verdicts.append(Verdict("(c)", entry.name, change, ratio.met))
    heads = ["quiet stream", "by", "asked", "observations between false alarms", "met", "peers at defaults"]
    table("(a) False alarms: at least as many observations apart as asked", heads, quiet)
    heads = ["change", "by", "ours", "best peer", "its delay", "ratio"]
    title = f"(b) At the defaults, against the best peer that alarms no more often: at most {SOONER}"
    table(title, [*heads, f"<= {SOONER}"], default)
    if tuned:
        title = (
            f"(c) Each tuned on the quiet stream to {results.plan.arl:,} observations between false alarms"
        )
        table(title, [*heads, f"<= {AS_SOON:g}"], tuned)
    return verdicts


def summary(verdicts: Sequence[Verdict]) -> None:
    rows = []
    for goal in ("(a)", "(b)", "(c)"):
        for name in dict.fromkeys(one.entry for one in verdicts if one.goal == goal):
            of = [one for one in verdicts if (one.goal, one.entry) == (goal, name) and one.met != "-"]
            if of:
                met, close, missed = (
                    [one.on for one in of if one.met == met] for met in ("yes", "close", "no")
                )
                rows.append([goal, name, f"{len(met)} of {len(of)}", "; ".join(close), "; ".join(missed)])
    table("Goals", ["goal", "by", "met", "missed by less than two standard errors", "missed"], rows)


def task(job: tuple[str, str, bool], *, plan: Plan, libraries: tuple[str, ...]) -> Found:
    stream, name, tune = job
    return measured(entries(plan.arl, libraries=libraries)[name], stream, plan, tune=tune)


def run(plan: Plan, *, streams: Sequence[str], libraries: tuple[str, ...], jobs: int) -> Results:
    """Measure every detector on every stream of its kind, in so many processes."""
    known = entries(plan.arl, libraries=libraries)
    tuned_kinds = {kind for entry in known.values() if not entry.ours for kind in entry.kinds}
    todo = [
        (name, entry.name, STREAMS[name].kind in tuned_kinds)
        for name in streams
        for entry in known.values()
        if STREAMS[name].kind in entry.kinds
    ]
    slow_first = sorted(todo, key=lambda job: (known[job[1]].share, not STREAMS[job[0]].changes))
    work = partial(task, plan=plan, libraries=libraries)
    found: list[Found] = []
    if jobs == 1:
        found += map(work, slow_first)
    else:
        with multiprocessing.get_context("spawn").Pool(jobs) as pool:
            for one in pool.imap_unordered(work, slow_first):
                found.append(one)
                if sys.stderr.isatty():
                    print(f"{len(found)} of {len(todo)}", end="\r", file=sys.stderr, flush=True)
    order = {(stream, name): place for place, (stream, name, _) in enumerate(todo)}
    return Results(plan, known, sorted(found, key=lambda one: order[one.stream, one.entry]))


def written(results: Results, verdicts: Sequence[Verdict]) -> str:
    """All that was found as JSON; what is infinite is null."""

    def plain(value: object) -> object:
        if isinstance(value, dict):
            return {key: plain(one) for key, one in value.items()}
        if isinstance(value, list | tuple):
            return [plain(one) for one in value]
        return None if value == math.inf else value

    found = [dataclasses.asdict(one) for one in results.found]
    said = [dataclasses.asdict(one) for one in verdicts]
    whole = {"plan": dataclasses.asdict(results.plan), "found": found, "verdicts": said}
    return json.dumps(plain(whole), indent=1)


def parsed(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="how soon detectors of drift find a change")
    parser.add_argument("--seeds", type=int, default=None, help="streams with a change (100)")
    parser.add_argument("--jobs", type=int, default=2, help="processes at a time (2)")
    parser.add_argument("--all", action="store_true", help="with frouros, which is slow")
    parser.add_argument("--quick", action="store_true", help="few and short streams: too little for figures")
    parser.add_argument("--only", default="", metavar="A,B", help="quiet streams whose name has one of these")
    parser.add_argument("--json", type=Path, default=None, metavar="PATH", help="write all that was found")
    return parser.parse_args(arguments)


def main(arguments: Sequence[str] | None = None) -> None:
    """Measure and print."""
    given = parsed(arguments)
    plan = QUICK if given.quick else Plan()
    if given.seeds is not None:
        plan = dataclasses.replace(plan, seeds=given.seeds)
    among = FEW if given.quick else STREAMS
    streams = [name for name in among if any(part in name for part in given.only.split(","))]
    libraries = LIBRARIES if given.all else LIBRARIES[:1]
    results = run(plan, streams=streams, libraries=libraries, jobs=given.jobs)
    verdicts = report(results)
    summary(verdicts)
    print(machine(libraries))
    if given.json is not None:
        given.json.write_text(written(results, verdicts), encoding="utf-8")


if __name__ == "__main__":
    main()
