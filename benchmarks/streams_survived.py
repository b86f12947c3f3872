"""Which of sixteen faults of streams each library comes through, in one run, in virtual time.

``python benchmarks/streams_survived.py`` runs all; ``--quick`` ours and none, for three of the faults.
``--libs nopanic,stamina`` and ``--only S01,S15`` choose; ``--json PATH`` keeps all that was found; ``--why``
prints the reasons. It ends with 1 if this library did not pass. Peers that are not installed are listed.
"""

from __future__ import annotations

import argparse
import json
import logging
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from stream_clients import ours, peers
from survival.libraries import LIBRARIES
from survival.reporting import show, versions

from resilient_ml.testing.streaming import STREAM_CONTROLS, STREAM_FAULTS, Score, StreamFault, Verdict, score

SIGNS = {Verdict.PASS: "pass", Verdict.PARTIAL: "part", Verdict.SAFE: "safe", Verdict.WRONG: "WRONG"}
LEGEND = (
    "pass: whole, right, and all that was asked. part: whole and right, and something asked is missing. "
    "safe: an error, and nothing false before it. WRONG: something else was presented as the answer."
)
FIXED: dict[str, Any] = {"ours": ours.guarded, "naked": peers.naked, "by hand": peers.by_hand}
EVERY = (*STREAM_FAULTS, *STREAM_CONTROLS)
QUICK = ("S01", "S12", "S15")
SHORT = {
    "interlock-cb": "interl",
    "pyresilience": "pyres",
    "grit-toolkit": "grit",
    "circuitbreaker": "cbreak",
}

Board = dict[str, dict[str, Score]]
"""By client, by fault."""


def parsed(arguments: Sequence[str] | None) -> argparse.Namespace:
    """The options, checked."""
    parser = argparse.ArgumentParser(description="which faults of streams each library comes through")
    parser.add_argument("--only", default=None, metavar="S01,S15", help="these faults")
    parser.add_argument("--libs", default=",".join(peers.PEERS), metavar="A,B", help="these peers")
    parser.add_argument("--quick", action="store_true", help="three faults, without the peers")
    parser.add_argument("--why", action="store_true", help="print what was missing")
    parser.add_argument("--json", type=Path, default=None, metavar="PATH", help="write all that was found")
    options = parser.parse_args(arguments)
    only = ",".join(QUICK) if options.quick and options.only is None else options.only
    options.faults = _chosen(parser, only, {fault.id: fault for fault in EVERY})
    options.libs = [] if options.quick else _chosen(parser, options.libs, {one: one for one in peers.PEERS})
    return options


def _chosen(parser: argparse.ArgumentParser, text: str | None, among: dict[str, Any]) -> list[Any]:
    names = list(among) if text is None else [name.strip() for name in text.split(",")]
    if unknown := [name for name in names if name not in among]:
        parser.error(f"unknown: {', '.join(unknown)}; choose of {', '.join(among)}")
    return [among[name] for name in names]


def run(clients: dict[str, Any], faults: Sequence[StreamFault]) -> Board:
    """Every client through every fault."""
    return {
        name: {fault.id: score(client, fault, "asyncio") for fault in faults}
        for name, client in clients.items()
    }


def rows(faults: Sequence[StreamFault], board: Board) -> list[list[str]]:
    """The table: a sign for each client, then the totals of the faults, and the figures of the outage."""
    table = [
        [fault.id, fault.title, *(SIGNS[scores[fault.id].verdict] for scores in board.values())]
        for fault in faults
    ]
    table += [
        ["", str(verdict), *(_count(scores, verdict) for scores in board.values())] for verdict in Verdict
    ]
    outage = [scores.get("S15") for scores in board.values()]
    asked = ("-" if one is None else str(one.attempts) for one in outage)
    table.append(["", "S15: attempts on the primary", *asked])
    table.append(["", "S15: seconds until it serves again", *map(_back, outage)])
    return table


def _count(scores: dict[str, Score], verdict: Verdict) -> str:
    return str(sum(one.verdict is verdict for one in scores.values() if not one.fault.control))


def _back(one: Score | None) -> str:
    return "-" if one is None or one.back_seconds is None else f"{one.back_seconds:.0f}"


def as_json(boards: dict[str, Board]) -> str:
    """All that was found."""
    found = {
        way: {
            name: {
                fault: {
                    "verdict": one.verdict,
                    "reasons": one.reasons,
                    "attempts": one.attempts,
                    "elsewhere": one.elsewhere,
                    "back_seconds": one.back_seconds,
                }
                for fault, one in scores.items()
            }
            for name, scores in board.items()
        }
        for way, board in boards.items()
    }
    return json.dumps(found, indent=1)


@contextmanager
def quiet() -> Iterator[None]:
    """Nothing is logged: not what the libraries say of their retries."""
    before = logging.root.manager.disable
    logging.disable()
    try:
        yield
    finally:
        logging.disable(before)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run and print; 1 if this library did not pass."""
    options = parsed(arguments)
    present = [name for name in options.libs if LIBRARIES[name].version() is not None]
    ways: dict[str, dict[str, Any]] = {"as it comes": dict(FIXED), "whole": {}}
    for way, clients in ways.items():
        clients.update({SHORT.get(name, name): peers.clients(name)[way] for name in present})
    with quiet():
        boards = {way: run(clients, options.faults) for way, clients in ways.items() if clients}
    for way, board in boards.items():
        show(f"Faults of streams, {way}", ["#", "fault", *board], rows(options.faults, board))
        if options.why:
            for name, scores in board.items():
                for fault, one in scores.items():
                    if one.reasons:
                        print(f"{way}, {name}, {fault}: {'; '.join(one.reasons)}")
    print(LEGEND)
    print(versions([LIBRARIES[name] for name in options.libs]))
    if options.json is not None:
        options.json.write_text(as_json(boards))
    return any(one.verdict is not Verdict.PASS for one in boards["as it comes"]["ours"].values())


if __name__ == "__main__":
    sys.exit(main())
