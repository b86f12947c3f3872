"""The command: from a shell to a verdict, with helpful words where something was not understood."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from resilient_ml import __version__
from resilient_ml.__main__ import main

SHOP = """
import time
from resilient_ml import Fallback, Pipeline, Retry
from resilient_ml.evaluate import Request
from resilient_ml.testing import faults
from resilient_ml.testing.faults import FaultPlan

def sell(number):
    time.sleep(0.02)
    return number * 2.0

guard = Pipeline(Retry(attempts=3))
strict = Fallback(0.0)
samples = [((number,), number * 2.0) for number in range(50)]
plan = FaultPlan(faults.error(ConnectionError).with_probability(0.1))

def another_plan():
    return plan

def right(number):
    return number * 2.0

no_plan = 7

def odd(number):
    raise ValueError("odd requests")

def interrupted(number):
    raise KeyboardInterrupt
"""


@pytest.fixture
def shop(tmp_path, monkeypatch):
    """A directory with a module to evaluate."""
    (tmp_path / "corner_shop.py").write_text(SHOP)
    (tmp_path / "leaver.py").write_text("raise SystemExit(0)")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", list(sys.path))
    before = set(sys.modules)
    yield tmp_path
    for name in set(sys.modules) - before:
        sys.modules.pop(name)


def evaluate(*arguments):
    return main(
        [
            "evaluate",
            "corner_shop:sell",
            "--requests",
            "corner_shop:samples",
            "--virtual",
            "--seed",
            "7",
            *arguments,
        ]
    )


def refused(capsys, *arguments):
    with pytest.raises(SystemExit) as caught:
        evaluate(*arguments)
    assert caught.value.code == 2
    return capsys.readouterr().err


def test_a_model_and_a_guard_are_compared(shop, capsys):
    assert evaluate("--guard", "corner_shop:guard", "--faults", "corner_shop:plan", "--count", "200") == 0
    told = capsys.readouterr()
    assert "sell: 200 requests" in told.out
    assert "guarded" in told.out
    assert "fault: error(ConnectionError), with probability 0.1" in told.out
    assert told.err == ""


def test_a_missed_objective_is_the_exit_status(shop, capsys):
    objectives = ("--objective", "availability >= 99%", "--objective", "naked.availability >= 99%")
    status = evaluate(
        "--guard", "corner_shop:guard", "--faults", "corner_shop:another_plan", "--count", "200", *objectives
    )
    assert status == 1
    assert "MISSED  naked.availability >= 99%: naked has availability 89 %" in capsys.readouterr().out


def test_results_are_written_and_quiet_is_quiet(shop, capsys):
    status = evaluate(
        *(
            "--guard",
            "corner_shop:guard",
            "--guard",
            "strict=corner_shop:strict",
            "--guard",
            "corner_shop:guard",
        ),
        *("--faults", "blips", "--seconds", "10", "--rate", "20", "--price", "0.5", "--clients", "8"),
        *("--json", "result.json", "--html", "report.html", "--quiet", "--oracle", "corner_shop:right"),
    )
    assert status == 0
    assert capsys.readouterr() == ("", "")
    told = json.loads((shop / "result.json").read_text("utf-8"))
    assert [one["name"] for one in told["configurations"]] == ["naked", "guarded", "strict", "guard"]
    assert (shop / "report.html").read_text("utf-8").startswith("<!doctype html>")


@pytest.mark.parametrize("oracle", ["healthy", "corner_shop:right"])
def test_an_oracle_judges(shop, capsys, oracle):
    assert evaluate("--guard", "corner_shop:strict", "--faults", "blips", "--oracle", oracle) == 0
    assert "requests" in capsys.readouterr().out


def test_real_time_is_the_default(shop, capsys):
    arguments = [
        "evaluate",
        "corner_shop:sell",
        "--requests",
        "corner_shop:samples",
        "--rate",
        "500",
        "--count",
        "3",
    ]
    assert main(arguments) == 0
    assert "real time" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--guard", "corner_shop:gard"], "has no attribute 'gard'; did you mean 'guard'?"),
        (["--guard", "corner_shop"], "--guard must be module:attribute, got 'corner_shop'"),
        (["--guard", "no_such_module:x"], "there is no module 'no_such_module'"),
        (["--guard", "corner_shop:no_plan"], "configuration 'guarded' must be None, a Pipeline"),
        (
            ["--guard", "a=corner_shop:guard", "--guard", "a=corner_shop:strict"],
            "two configurations are called 'a'; name one, as in --guard other=corner_shop:strict",
        ),
        (["--faults", "hurricane"], "--faults knows no scenario 'hurricane'; it is one of blips, outage"),
        (["--faults", "corner_shop:no_plan"], "corner_shop:no_plan is no FaultPlan, but of type int"),
        (["--objective", "availability"], "objective 'availability' cannot be read; write"),
        (["--objective", "p98 <= 1"], "did you mean"),
        (["--rate", "0"], "rate must be above 0"),
        (["--json", "no/such/directory.json"], "--json: there is no directory"),
        (["--html", "no/such/directory.html"], "--html: there is no directory"),
        (["--json", "."], "--json: . is a directory; name a file in it"),
        (["--guard", "leaver:guard"], "module 'leaver' exits when it is imported; put what it does as"),
        (["--faults", "corner_shop:guard"], "corner_shop:guard is no FaultPlan, but of type Pipeline"),
        (["--seconds", "1", "--count", "1"], "not allowed with argument"),
    ],
)
def test_what_is_not_understood_is_told_with_the_remedy(shop, capsys, arguments, message):
    assert message in refused(capsys, *arguments)


def test_the_usage_does_not_hide_what_is_wrong(shop, capsys):
    assert refused(capsys, "--guard", "corner_shop").startswith("python -m resilient_ml evaluate: error: ")


def test_a_file_that_cannot_be_written_is_refused_before_anything_runs(shop, capsys, monkeypatch):
    monkeypatch.setattr(os, "access", lambda path, mode: False)
    assert "--json: out.json cannot be written" in refused(capsys, "--json", "out.json")
    assert not (shop / "out.json").exists()


def test_a_full_disk_is_told(shop, capsys, monkeypatch):
    def write_text(path, text, encoding):
        raise OSError("no space left")

    monkeypatch.setattr(Path, "write_text", write_text)
    assert refused(capsys, "--count", "9", "--json", "out.json").endswith("error: no space left\n")


def test_what_fails_in_the_users_own_code_is_raised_as_it_was(shop):
    with pytest.raises(ValueError, match="odd requests") as caught:
        evaluate("--oracle", "corner_shop:odd")
    assert caught.traceback[-1].name == "odd"
    with pytest.raises(ValueError, match="odd requests") as caught:
        main(["evaluate", "corner_shop:sell", "--requests", "corner_shop:odd"])
    assert caught.value.__notes__ == ["requests: a function is asked for each request by its number, from 0"]


def test_an_interrupt_ends_it_without_a_traceback(shop, capsys):
    with pytest.raises(SystemExit) as caught:
        evaluate("--oracle", "corner_shop:interrupted")
    assert caught.value.code == 130
    assert capsys.readouterr().err == "python -m resilient_ml evaluate: interrupted\n"


def test_a_model_that_cannot_be_called_is_refused(shop, capsys):
    with pytest.raises(SystemExit):
        main(["evaluate", "corner_shop:samples", "--requests", "corner_shop:samples"])
    assert "it is not callable; pass the function itself" in capsys.readouterr().err


def test_alone_it_shows_what_there_is(capsys):
    assert main([]) == 0
    told = capsys.readouterr().out
    assert "usage: python -m resilient_ml" in told
    assert "evaluate" in told


def test_its_help_names_every_scenario_and_option(capsys):
    with pytest.raises(SystemExit) as caught:
        main(["evaluate", "--help"])
    assert caught.value.code == 0
    told = capsys.readouterr().out
    for word in (
        "blips",
        "outage",
        "garbage",
        "hangs",
        "storm",
        "--objective",
        "5 % broken",
        "99%",
        "exit status",
    ):
        assert word in told


def test_it_tells_its_version(capsys):
    with pytest.raises(SystemExit):
        main(["--version"])
    assert capsys.readouterr().out == f"resilient_ml {__version__}\n"


def test_python_runs_it_as_a_module():
    ran = subprocess.run([sys.executable, "-m", "resilient_ml"], capture_output=True, text=True, check=False)
    assert (ran.returncode, ran.stderr) == (0, "")
    assert "commands" in ran.stdout
