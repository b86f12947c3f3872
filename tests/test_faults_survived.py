"""The survival table judges what it says, counts what it judged, and has no failure of ours."""

from __future__ import annotations

import datetime as dt
import json
import os
import re
import sys
import threading
import time
import warnings
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

FOLDER = Path(__file__).resolve().parent.parent / "benchmarks"
OURS = "resilient_ml"
AT_ONCE = ["F03", "F07", "F08", "F15", "F29", "F31", "F37", "F38", "F43"]
"""Faults whose cases neither wait, nor fork, nor listen to the whole process."""


@pytest.fixture(autouse=True)
def the_scripts_folder_is_importable(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.syspath_prepend(str(FOLDER))
    before = set(sys.modules)
    yield
    for name in set(sys.modules) - before:
        if str(getattr(sys.modules[name], "__file__", "")).startswith(str(FOLDER)):
            del sys.modules[name]


@pytest.fixture
def script() -> ModuleType:
    return import_module("faults_survived")


@pytest.fixture
def verdicts() -> ModuleType:
    return import_module("survival.verdicts")


def libraries() -> dict[str, Any]:
    return import_module("survival.libraries").LIBRARIES


def faults() -> dict[str, Any]:
    return import_module("survival.faults").FAULTS


def cell(fault: str, library: str, status: str, reason: str = "") -> Any:
    verdict = import_module("survival.verdicts")
    return import_module("survival.board").Cell(
        fault, library, verdict.Verdict(verdict.Status(status), reason)
    )


# ---- the cases


def test_there_are_46_faults_and_each_has_a_case() -> None:
    trials = import_module("survival.cases").TRIALS
    assert sorted(faults()) == [f"F{number:02}" for number in range(1, 47)]
    assert sorted(trials) == sorted(faults())
    assert {fault.kind for fault in faults().values()} == {"B", "T", "S"}


def test_a_case_needs_only_what_a_library_can_offer() -> None:
    base = import_module("survival.library").Library
    for trials in import_module("survival.cases").TRIALS.values():
        for trial in trials:
            assert trial.needs
            assert all(hasattr(base, method) for method in trial.needs)


@pytest.mark.parametrize("fault", AT_ONCE)
def test_this_library_survives(fault: str) -> None:
    verdict = import_module("survival.cases").judge_fault(fault, libraries()[OURS])
    assert (verdict.status, verdict.reason) == ("survived", verdict.reason)


def test_a_library_that_survives_nothing_fails_what_it_offers() -> None:
    base = import_module("survival.library").Library

    class Careless(base):  # type: ignore[misc, valid-type]
        name, distribution = "careless", "pytest"

        def breaker(self, fn: Any, failures: int, reset: float) -> Any:
            def guarded() -> Any:
                return fn()

            return guarded

        def retry(self, fn: Any, attempts: int, wait: float = 0.0, on: Any = Exception) -> Any:
            raise RuntimeError("no")

    judge = import_module("survival.cases").judge_fault
    assert judge("F43", Careless()).status == "failed"
    odd = judge("F07", Careless())
    assert (odd.status, "6 of 6" in odd.reason) == ("failed", True)
    assert judge("F14", Careless()).reason == "retry: raises RuntimeError: no"
    assert judge("F38", Careless()).status == "survived"
    assert judge("F20", Careless()).status == "not offered"


def test_the_wall_clock_steps_and_nothing_else_does() -> None:
    clocks = import_module("survival.cases.clocks")
    real = (time.time, dt.datetime)
    with clocks.wall_clock() as step:
        before = time.time(), dt.datetime.now(dt.UTC), time.monotonic()
        step(-3600.0)
        assert time.time() - before[0] < -3000
        assert (dt.datetime.now(dt.UTC) - before[1]).total_seconds() < -3000
        assert time.monotonic() >= before[2]
    assert (time.time, dt.datetime) == real


def test_a_case_that_deadlocks_or_dies_in_its_child_has_failed(verdicts: ModuleType) -> None:
    trials = import_module("survival.trials")

    def dies() -> Any:
        raise RuntimeError("no")

    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # this process has threads; the child needs none
        assert trials.in_child(60.0, lambda: verdicts.survived("fine")) == verdicts.survived("fine")
        assert trials.in_child(60.0, dies) == verdicts.failed("raises RuntimeError: no")
        assert trials.in_child(60.0, lambda: os._exit(3)) == verdicts.failed("the process died")
        hung = trials.in_child(0.01, threading.Event().wait)
    assert hung == verdicts.failed("deadlocked (killed after 0 s)")


# ---- the adapters


def test_an_adapter_offers_nothing_that_no_case_could_ask_for() -> None:
    base = import_module("survival.library").Library
    for library in libraries().values():
        mine = {name for kind in type(library).__mro__[:-2] for name in vars(kind)}
        assert {name for name in mine if name[0] != "_"} <= {*dir(base), *base.__annotations__}, library.name


def test_an_adapter_imports_its_library_only_when_it_is_asked() -> None:
    before = set(sys.modules)
    for library in libraries().values():
        assert library.offers("version") == (library.name == OURS)
    loaded = {name.partition(".")[0] for name in set(sys.modules) - before}
    peers = {one.distribution.replace("-", "_") for name, one in libraries().items() if name != OURS}
    assert loaded.isdisjoint(peers)


def test_what_an_adapter_does_not_override_is_not_offered() -> None:
    module = import_module("survival.library")
    ours = libraries()[OURS]
    assert ours.offers("breaker")
    assert not ours.offers("cache")
    with pytest.raises(module.NotOffered):
        ours.cache(len, 1, 1.0)
    assert (module.Library.rejections.fget(ours), module.Library.exhausted.fget(ours)) == ((), ())


# ---- verdicts


def test_the_worst_part_decides_and_gives_the_reasons(verdicts: ModuleType) -> None:
    good, bad = verdicts.survived("fine"), verdicts.failed("7 of 9")
    unclear = verdicts.undecided("no store")
    assert verdicts.combined([("a", good), ("b", bad), ("c", bad)]) == verdicts.failed("b, c: 7 of 9")
    assert verdicts.combined([("a", good), ("b", unclear)]) == verdicts.undecided("b: no store")
    assert verdicts.combined([("a", good), ("b", verdicts.NOT_OFFERED)]) == verdicts.survived("a: fine")
    assert verdicts.combined([("a", verdicts.NOT_OFFERED)]) == verdicts.NOT_OFFERED
    assert verdicts.flawless([], "fine") == good
    assert verdicts.flawless(["x", "y"], "fine") == verdicts.failed("x, y")


def test_the_scores_count_what_was_decided_class_by_class() -> None:
    reporting = import_module("survival.reporting")
    cells = [
        cell("F01", "peer", "survived"),
        cell("F02", "peer", "failed"),
        cell("F08", "peer", "failed"),
        cell("F03", "peer", "undecided"),
        cell("F04", "peer", "not offered"),
        cell("F05", "other", "failed"),
    ]
    assert [reporting.score(cells, "peer", kinds) for kinds in ("BTS", "B", "TS", "S")] == [
        "1/3",
        "1/2",
        "0/1",
        "-",
    ]


# ---- the run


def test_the_last_line_of_a_process_is_its_verdict() -> None:
    board = import_module("survival.board")
    told = b'noise\n{"status": "failed", "reason": "9 of 9", "seconds": 1}\nbye\n'
    assert (board.read(told, 0).status, board.read(told, 0).reason) == ("failed", "9 of 9")
    assert board.read(b"Segmentation fault\n", -11).reason == "the process died (exit code -11)"


def test_a_cell_runs_in_a_process_of_its_own() -> None:
    ran = import_module("survival.board").run_cell("F07", OURS, 120.0)
    assert (ran.fault, ran.library, ran.verdict.status) == ("F07", OURS, "survived")


def test_a_process_that_does_not_end_is_killed_and_has_failed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    board = import_module("survival.board")
    hung = tmp_path / "hung"
    hung.write_text("#!/bin/sh\nread never < /dev/zero\nexec sleep 600\n")
    hung.chmod(0o755)
    monkeypatch.setattr(board.sys, "executable", str(hung))
    ran = board.run_cell("F07", OURS, 0.01)
    assert ran.verdict.reason == "hung (killed after 0 s)"


def test_only_what_is_installed_and_offered_gets_a_process() -> None:
    board, base = import_module("survival.board"), import_module("survival.library").Library

    class Missing(base):  # type: ignore[misc, valid-type]
        name, distribution = "missing", "no-such-distribution-at-all"

    ran, told = [], []

    def run(fault: str, library: str, limit: float) -> Any:
        ran.append((fault, library, limit))
        return cell(fault, library, "survived")

    chosen = [faults()["F07"], faults()["F20"]]
    cells = board.run_all(
        chosen, [libraries()[OURS], Missing()], jobs=2, limit=9.0, on_cell=told.append, run=run
    )
    assert ran == [("F07", OURS, 9.0)]
    assert [(one.fault, one.library, str(one.verdict.status)) for one in cells] == [
        ("F07", OURS, "survived"),
        ("F07", "missing", "absent"),
        ("F20", OURS, "not offered"),
        ("F20", "missing", "absent"),
    ]
    assert len(told) == 4


# ---- the command


def test_the_command_prints_a_row_for_each_fault_and_writes_json(
    script: ModuleType, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "found.json"
    assert script.main(["--only", "F07,F20", "--libs", OURS, "--json", str(path)]) == 0
    printed = capsys.readouterr().out
    assert "falsy exception" in printed
    assert "1/1" in printed
    found = json.loads(path.read_text())
    assert [one["status"] for one in found["cells"]] == ["survived", "not offered"]
    assert found["scores"] == {OURS: "1/1"}


def test_the_command_fails_if_this_library_did(
    script: ModuleType, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    for library, code in (("tenacity", 0), (OURS, 1)):
        found = [cell("F07", library, "failed", "swallowed")]
        monkeypatch.setattr(script, "run_all", lambda *_, found=found, **__: found)
        monkeypatch.setattr(type(libraries()[library]), "version", lambda self: "9.9")
        assert script.main(["--only", "F07", "--libs", library]) == code
        assert f"F07 {library} failed: swallowed" in capsys.readouterr().out


def test_quick_keeps_to_the_faults_that_are_over_soon(
    script: ModuleType, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    asked = []

    def run_all(faults: Any, libraries: Any, **_: Any) -> list[Any]:
        asked.extend(fault.id for fault in faults)
        return [cell(fault.id, one.name, "survived") for fault in faults for one in libraries]

    monkeypatch.setattr(script, "run_all", run_all)
    assert script.main(["--quick", "--libs", OURS]) == 0
    assert asked == [name for name, fault in faults().items() if fault.quick]
    assert f"{len(asked)}/{len(asked)}" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["--only", "F01,F99"], "unknown: F99; choose of F01"),
        (["--libs", "tenacious"], "unknown: tenacious; choose of resilient_ml"),
        (["--jobs", "0"], "--jobs must be at least 1, got 0"),
        (["--limit", "-1"], "--limit must be above 0, got -1"),
        (["--limit", "nan"], "--limit must be above 0, got nan"),
    ],
)
def test_a_wrong_option_is_named_with_its_remedy(
    script: ModuleType, arguments: list[str], says: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit):
        script.parsed(arguments)
    assert says in " ".join(capsys.readouterr().err.split())


def test_markdown_has_scores_faults_table_and_reasons() -> None:
    reporting = import_module("survival.reporting")
    chosen, ours = [faults()["F07"], faults()["F20"]], libraries()[OURS]
    found = [cell("F07", OURS, "failed", "3 of <6> let through | a_b"), cell("F20", OURS, "not offered")]
    page = reporting.as_markdown(chosen, [ours], found)
    assert f"| {OURS} | {ours.version()} | ours | 0/1 | 0/1 | - |" in page
    assert "| F07 | B | a falsy exception passes for success |" in page
    assert "| F07 | B | **NO** |\n| F20 | B | - |\n" in page
    assert page.endswith(f"* F07, {OURS}: 3 of \\<6\\> let through | a\\_b\n")


@pytest.mark.parametrize("terminal", [True, False])
def test_the_table_reads_the_same_in_a_terminal_and_in_a_file(
    terminal: bool, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    reporting = import_module("survival.reporting")
    monkeypatch.setattr(sys.stdout, "isatty", lambda: terminal)
    reporting.show("faults", ["#", "class", "fault", "ours"], [["F07", "B", "falsy", "NO"]])
    row = re.sub("\x1b[^m]*m", "", capsys.readouterr().out).splitlines()[-1]
    assert row.split() == ["F07", "B", "falsy", "NO"]


@pytest.mark.parametrize("terminal", [True, False])
def test_progress_is_told_on_the_other_stream(
    script: ModuleType, terminal: bool, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys.stderr, "isatty", lambda: terminal)
    with script.progress(200) as told:
        for _ in range(200):
            told(cell("F07", OURS, "survived"))
    captured = capsys.readouterr()
    assert captured.out == ""
    assert terminal or captured.err == "100 of 200 cells\n200 of 200 cells\n"
