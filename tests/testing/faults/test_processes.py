"""What is real: memory that runs out, and processes that die, of a signal or by themselves."""

import multiprocessing
import os
import signal
import subprocess
import sys
import types

import pytest

from resilient_ml import Fallback, Kind, kind_of
from resilient_ml.errors import WorkerCrashed
from resilient_ml.testing import faults
from resilient_ml.testing.faults import FaultPlan, processes

DEATHS = {
    "segfault": (faults.segfault, -signal.SIGSEGV),
    "abort": (faults.abort, -signal.SIGABRT),
    "kill_9": (faults.kill_9, -signal.SIGKILL),
    "exit_process": (faults.exit_process, 1),
}


@pytest.mark.parametrize("death", DEATHS)
def test_a_child_dies_in_place_of_this_process(call_world, death):
    make, exitcode = DEATHS[death]
    before = call_world.clock.now()
    error = call_world.failure(faults.inject(call_world.model("cat"), make(in_child=True)))
    assert isinstance(error, WorkerCrashed)
    assert (error.exitcode, kind_of(error)) == (exitcode, Kind.CRASH)
    assert call_world.clock.now() == before


def test_the_error_names_the_signal_or_the_code():
    with pytest.raises(WorkerCrashed, match=r"a worker process died of signal 9 \(SIGKILL\)"):
        faults.inject(len, faults.kill_9(in_child=True))("rows")
    with pytest.raises(WorkerCrashed, match="a worker process died of exit code 77"):
        faults.inject(len, faults.exit_process(77, in_child=True))("rows")


@pytest.mark.parametrize("death", DEATHS)
def test_the_process_that_made_the_plan_is_spared(death):
    make, _ = DEATHS[death]
    plan = FaultPlan(make())
    for broken in (plan, plan.with_seed(1), plan.scaled(1.0)):
        with pytest.raises(
            RuntimeError, match=rf"would kill the process that made the plan; .* {death}\(in_child="
        ):
            broken.inject(len)("rows")


WORKER = """
import pickle, sys
plan = pickle.loads(sys.stdin.buffer.read())
plan.inject(len)("rows")
"""


@pytest.mark.parametrize("death", DEATHS)
def test_a_worker_process_really_dies(death):
    make, exitcode = DEATHS[death]
    ended = subprocess.run(
        [sys.executable, "-c", WORKER],
        input=__import__("pickle").dumps(FaultPlan(make())),
        stderr=subprocess.DEVNULL,
        cwd=os.getcwd(),
        check=False,
    )
    assert ended.returncode == exitcode


def test_a_forked_worker_really_dies():
    model = FaultPlan(faults.exit_process(5).on_calls(2)).inject(len)

    def work():
        model("rows")
        model("rows")

    worker = multiprocessing.get_context("fork").Process(target=work)
    worker.start()
    worker.join(30)
    assert worker.exitcode == 5


@pytest.mark.parametrize("death", DEATHS)
def test_in_a_worker_the_death_is_called_without_a_dump(death, monkeypatch):
    called = []
    _, program = processes._DEATHS[death]
    monkeypatch.setitem(processes._DEATHS, death, (lambda *args: called.append(args), program))
    monkeypatch.setitem(
        sys.modules, "resource", types.SimpleNamespace(RLIMIT_CORE=4, setrlimit=called_with(called))
    )
    plan = FaultPlan(DEATHS[death][0]())
    plan.pid = -1  # as a worker sees the plan of its parent
    assert plan.inject(len)("rows") == 4
    assert called == [("limit", 4, (0, 0)), (1,) if death == "exit_process" else ()]


def called_with(called):
    return lambda *args: called.append(("limit", *args))


def test_memory_really_runs_out(call_world):
    before = call_world.clock.now()
    error = call_world.failure(faults.inject(call_world.model("cat"), faults.out_of_memory(8)))
    assert type(error) is MemoryError
    assert kind_of(error) is Kind.OOM
    assert str(error).endswith("MiB, and may have 8 MiB")
    assert call_world.clock.now() == before


def test_a_fallback_serves_when_memory_runs_out():
    assert Fallback("small")(faults.inject(len, faults.out_of_memory(8)))("rows") == "small"


def test_a_system_without_limits_is_told_from_one_that_has_run_out(monkeypatch):
    monkeypatch.setattr(processes, "in_child", lambda *args: types.SimpleNamespace(stdout=""))
    with pytest.raises(RuntimeError, match=r"out_of_memory\(\) found no limit on memory in its child"):
        faults.inject(len, faults.out_of_memory())("rows")


def test_what_they_say_of_themselves():
    plan = FaultPlan(
        faults.segfault(),
        faults.abort(in_child=True),
        faults.kill_9(),
        faults.exit_process(3),
        faults.out_of_memory(),
        faults.out_of_memory(8),
    )
    assert plan.describe().splitlines() == [
        "segfault()",
        "abort(in_child=True)",
        "kill_9()",
        "exit_process(status=3)",
        "out_of_memory()",
        "out_of_memory(megabytes=8)",
    ]


@pytest.mark.parametrize(
    ("make", "error", "text"),
    [
        (lambda: faults.segfault(in_child=1), TypeError, "in_child must be True or False"),
        (lambda: faults.exit_process(-1), ValueError, "status must be at least 0"),
        (lambda: faults.exit_process(256), ValueError, "status must be at most 255"),
        (lambda: faults.out_of_memory(0), ValueError, "megabytes must be above 0"),
    ],
)
def test_nonsense_is_refused(make, error, text):
    with pytest.raises(error, match=text):
        make()
