"""``python -m resilient_ml evaluate``: an evaluation from a shell."""

from __future__ import annotations

import argparse
import inspect
import os
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from ..testing.faults import FaultPlan
from .configurations import NAKED
from .evaluating import evaluate
from .evaluation import Evaluation
from .loading import NotLoaded, load
from .objectives import Objective
from .report import refuse_if_not_installed
from .scenarios import SCENARIOS
from .table import show
from .workload import CLIENTS, Workload

MISSED = 1
"""The exit status when an objective is missed."""
NOT_UNDERSTOOD = 2
"""The exit status when something was not understood, as argparse has it."""
INTERRUPTED = 130
"""The exit status after Ctrl-C, as shells have it."""

DESCRIPTION = """\
Serve the same requests under the same faults by a model alone and by the model with each guard, and compare
what callers got: availability, right and wrong answers, waits, cost, recovery."""

EPILOG = """\
examples:
  python -m resilient_ml evaluate app:predict --guard app:guard --requests app:samples --faults outage
  python -m resilient_ml evaluate app:predict --guard app:guard --guard old=app:old_guard --virtual \\
      --requests app:samples --faults app:plan --objective "guarded.availability >= 99%" --html report.html

Names are module:attribute, imported from the current directory or from what is installed.
The exit status is 0 when every objective is met, 1 when one is missed, 2 when something was not understood,
and 130 after Ctrl-C."""


def add_command(commands: Any) -> None:
    """Add ``evaluate`` to the commands of a parser."""
    parser: argparse.ArgumentParser = commands.add_parser(
        "evaluate",
        help="measure what guards buy: a model alone against the same model guarded",
        description=DESCRIPTION,
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.set_defaults(run=lambda arguments: run(parser, arguments))
    parser.add_argument(
        "model", metavar="module:callable", help="the model: a function, coroutine function or generator"
    )
    parser.add_argument(
        "--guard",
        action="append",
        default=[],
        metavar="[name=]module:guard",
        help="a Pipeline, policy or decorator to compare with the model alone; may be given again",
    )

    traffic = parser.add_argument_group("traffic")
    traffic.add_argument(
        "--requests",
        required=True,
        metavar="module:requests",
        help="what the model is called with: an iterable of items, or a function of the request's number; "
        "an item is an argument, a tuple of arguments, or (tuple of arguments, label)",
    )
    traffic.add_argument(
        "--rate", type=float, default=20.0, metavar="R", help="requests a second (default: %(default)g)"
    )
    length = traffic.add_mutually_exclusive_group()
    length.add_argument("--seconds", type=float, metavar="S", help="how long requests arrive (default: 30)")
    length.add_argument("--count", type=int, metavar="N", help="how many requests arrive instead")
    traffic.add_argument(
        "--clients",
        type=int,
        default=CLIENTS,
        metavar="N",
        help="requests in flight at once (default: %(default)d)",
    )
    traffic.add_argument(
        "--patience",
        type=float,
        default=30.0,
        metavar="S",
        help="seconds a caller waits for one (default: %(default)g)",
    )

    trouble = parser.add_argument_group("faults")
    names = "; ".join(f"{name}: {scenario.text}" for name, scenario in SCENARIOS.items())
    trouble.add_argument(
        "--faults",
        metavar="module:plan|NAME",
        help=f"a FaultPlan, or one of these: {names}".replace("%", "%%"),
    )
    trouble.add_argument(
        "--seed", type=int, default=0, metavar="N", help="of arrivals and faults (default: %(default)d)"
    )
    time = trouble.add_mutually_exclusive_group()
    time.add_argument("--real", action="store_true", help="in real time (the default)")
    time.add_argument(
        "--virtual", action="store_true", help="in virtual time: waits take none, and neither does code"
    )
    trouble.add_argument(
        "--backend",
        choices=("asyncio", "trio"),
        default="asyncio",
        help="for models that are awaited (default: %(default)s)",
    )

    results = parser.add_argument_group("results")
    results.add_argument(
        "--objective",
        action="append",
        default=[],
        metavar="TEXT",
        help='what must hold, such as "guarded.availability >= 99%%", "p99 <= 500 ms" or '
        '"guarded.right beats naked"; may be given again',
    )
    results.add_argument(
        "--oracle",
        metavar="module:function|healthy",
        help="answers right, for requests without labels; 'healthy' is what the model answers without faults",
    )
    results.add_argument("--price", type=float, metavar="P", help="what one call of the model costs")
    results.add_argument("--json", type=Path, metavar="FILE", help="write the result as JSON")
    results.add_argument("--html", type=Path, metavar="FILE", help="write the result as a page with plots")
    results.add_argument("--quiet", action="store_true", help="no table and no progress")


def run(parser: argparse.ArgumentParser, arguments: argparse.Namespace) -> int:
    """Evaluate what *arguments* ask for; returns the exit status."""
    try:
        _refuse_early(arguments)
        evaluation = _evaluate(arguments)
        texts = {
            path: text()
            for path, text in ((arguments.json, evaluation.to_json), (arguments.html, evaluation.to_html))
            if path is not None
        }
    except KeyboardInterrupt:
        parser.exit(INTERRUPTED, f"{parser.prog}: interrupted\n")
    except (NotLoaded, TypeError, ValueError, ModuleNotFoundError, OSError) as error:
        if not _is_ours(error):
            raise  # the user's own code: where it failed says more than what
        parser.exit(NOT_UNDERSTOOD, f"{parser.prog}: error: {error}\n")
    try:
        for path, text in texts.items():
            path.write_text(text, encoding="utf-8")
    except OSError as error:
        parser.exit(NOT_UNDERSTOOD, f"{parser.prog}: error: {error}\n")
    if not arguments.quiet:
        show(evaluation, sys.stdout)
    return 0 if evaluation.passed else MISSED


def _is_ours(error: BaseException) -> bool:
    """Whether this library raised *error*, and not what it called."""
    trace = error.__traceback__
    while trace is not None and trace.tb_next is not None:
        trace = trace.tb_next
    return trace is not None and trace.tb_frame.f_globals.get("__name__", "").startswith("resilient_ml.")


def _refuse_early(arguments: argparse.Namespace) -> None:
    """Nobody waits for a run whose result cannot be written."""
    for option, path in (("--json", arguments.json), ("--html", arguments.html)):
        if path is None:
            continue
        folder = path.resolve().parent
        if not folder.is_dir():
            raise NotADirectoryError(f"{option}: there is no directory {folder}; make it first")
        if path.is_dir():
            raise IsADirectoryError(f"{option}: {path} is a directory; name a file in it")
        if not os.access(path if path.exists() else folder, os.W_OK):
            raise PermissionError(f"{option}: {path} cannot be written; name a file that can")
    if arguments.html is not None:
        refuse_if_not_installed()


def _evaluate(arguments: argparse.Namespace) -> Evaluation:
    objectives = [Objective.parse(text) for text in arguments.objective]
    seconds = 30.0 if arguments.seconds is None and arguments.count is None else arguments.seconds
    workload = Workload.poisson(
        load("--requests", arguments.requests),
        rate=arguments.rate,
        seconds=seconds,
        count=arguments.count,
        clients=arguments.clients,
    )
    length = arguments.count / arguments.rate if seconds is None else seconds
    return evaluate(
        load("the model", arguments.model),
        _configurations(arguments.guard),
        workload=workload,
        faults=_faults(arguments.faults, length),
        seed=arguments.seed,
        objectives=objectives,
        oracle=arguments.oracle
        if arguments.oracle in (None, "healthy")
        else load("--oracle", arguments.oracle),
        price=arguments.price,
        patience=arguments.patience,
        virtual=arguments.virtual,
        backend=arguments.backend,
        progress=False if arguments.quiet else None,
    )


def _configurations(given: Iterable[str]) -> dict[str, Any]:
    configurations: dict[str, Any] = {NAKED: None}
    for one in given:
        name, equals, named = one.rpartition("=")
        name = (
            name if equals else ("guarded" if "guarded" not in configurations else named.rpartition(":")[2])
        )
        if name in configurations:
            raise ValueError(
                f"--guard: two configurations are called {name!r}; name one, as in --guard other={named}"
            )
        configurations[name] = load("--guard", named)
    return configurations


def _faults(given: str | None, seconds: float) -> FaultPlan | None:
    if given is None:
        return None
    if ":" not in given:
        if given not in SCENARIOS:
            raise ValueError(
                f"--faults knows no scenario {given!r}; it is one of {', '.join(SCENARIOS)}, or module:plan"
            )
        return SCENARIOS[given].plan(seconds)
    plan = load("--faults", given)
    if inspect.isroutine(plan):
        plan = plan()
    if not isinstance(plan, FaultPlan):
        raise TypeError(f"--faults: {given} is no FaultPlan, but of type {type(plan).__name__}")
    return plan
