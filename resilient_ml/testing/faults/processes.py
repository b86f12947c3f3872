"""Faults that are real: memory that runs out, and processes that die, in a child where that is."""

from __future__ import annotations

import contextlib
import ctypes
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from typing import Any

from ... import _checks
from ...errors import WorkerCrashed
from ..governing import running
from .case import Case
from .fault import Before
from .steps import Act, Step

_NO_CORE = "import resource; resource.setrlimit(resource.RLIMIT_CORE, (0, 0)); "

_DEATHS: dict[str, tuple[Callable[..., Any], str]] = {
    "segfault": (partial(ctypes.string_at, 0), "import ctypes; ctypes.string_at(0)"),
    "abort": (os.abort, "import os; os.abort()"),
    "kill_9": (partial(signal.raise_signal, 9), "import signal; signal.raise_signal(signal.SIGKILL)"),
    "exit_process": (os._exit, "import os; os._exit({status})"),
}
"""Each way to die: what does it, and a program that does."""


@dataclass(frozen=True, repr=False)
class _Crash(Before):
    status: int | None = None
    in_child: bool = False

    def before(self, case: Case) -> Iterator[Step]:
        if self.in_child:
            yield Act(self._die_in_child)
        elif os.getpid() == case.plan.pid:
            raise RuntimeError(
                f"{self.title()} would kill the process that made the plan; call the callable in a worker "
                f"process, or say {self.called}(in_child=True) to have a child die for it"
            )
        else:
            yield Act(self._die)

    def _die(self) -> None:
        import resource  # only where the system has it

        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))  # the death is real, its dump of no use
        _DEATHS[self.called][0](*(() if self.status is None else (self.status,)))

    def _die_in_child(self) -> None:
        ended = in_child(_NO_CORE + _DEATHS[self.called][1].format(status=self.status)).returncode
        how = f"exit code {ended}" if ended >= 0 else f"signal {-ended} ({signal.Signals(-ended).name})"
        raise WorkerCrashed(f"a worker process died of {how}", exitcode=ended)


def in_child(program: str, *args: str) -> subprocess.CompletedProcess[str]:
    """Run *program* in a fresh interpreter; virtual time stands still meanwhile."""
    clock = running()
    with contextlib.nullcontext() if clock is None else clock.hold():
        return subprocess.run(  # noqa: S603 - our own program
            [sys.executable, "-I", "-S", "-c", program, *args],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
            check=False,
        )


def _crash(called: str, *, in_child: bool, status: int | None = None) -> Before:
    return _Crash(
        status,
        _checks.flag("in_child", in_child, remedy="True has a child die in place of this process"),
        called=called,
    )


def segfault(*, in_child: bool = False) -> Before:
    """Native code reads memory that is not its own: the process dies of SIGSEGV.

    The callable must run in another process than the one that made the plan, a worker say, which then really
    dies.

    Args:
        in_child: Instead, a child process is started and really dies, and ``WorkerCrashed`` is raised.

    >>> from resilient_ml.testing import faults
    >>> faults.inject(len, faults.segfault(in_child=True))("rows")
    Traceback (most recent call last):
    resilient_ml.errors.WorkerCrashed: a worker process died of signal 11 (SIGSEGV)
    """
    return _crash("segfault", in_child=in_child)


def abort(*, in_child: bool = False) -> Before:
    """Native code gives up, as C++ does on an uncaught exception: SIGABRT; as :func:`segfault`."""
    return _crash("abort", in_child=in_child)


def kill_9(*, in_child: bool = False) -> Before:
    """The system kills the process, as it does when memory is short: SIGKILL; as :func:`segfault`."""
    return _crash("kill_9", in_child=in_child)


def exit_process(status: int = 1, *, in_child: bool = False) -> Before:
    """Native code ends the process at once, without any cleaning up; as :func:`segfault`.

    Args:
        status: The exit code, from 0 to 255.
        in_child: As in :func:`segfault`.
    """
    status = _checks.whole("status", status, at_least=0, remedy="pass an exit code, from 0 to 255")
    if status > 255:
        raise ValueError(f"status must be at most 255, got {status}; exit codes have eight bits")
    return _crash("exit_process", in_child=in_child, status=status)


_EXHAUST = """
import resource, sys
limit = int(sys.argv[1])
with open("/proc/self/statm") as pages:
    used = int(pages.read().split()[0]) * resource.getpagesize()
resource.setrlimit(resource.RLIMIT_AS, (used + limit, used + limit))
held = []
try:
    while True:
        held.append(bytearray(1 << 20))
except MemoryError as error:
    got = len(held)
    held.clear()
    print(type(error).__name__, got)
"""


@dataclass(frozen=True, repr=False)
class _OutOfMemory(Before):
    megabytes: float = 64.0

    def before(self, case: Case) -> Iterator[Step]:
        yield Act(self._exhaust)

    def _exhaust(self) -> None:
        told = in_child(_EXHAUST, str(int(self.megabytes * (1 << 20)))).stdout.split()
        if told[:1] != ["MemoryError"]:
            raise RuntimeError(
                f"{self.title()} found no limit on memory in its child; this system does not set one"
            )
        raise MemoryError(f"a child process got {told[1]} MiB, and may have {self.megabytes:g} MiB")


def out_of_memory(megabytes: float = 64.0) -> Before:
    """Memory runs out, really: in a child process with a limit, whose ``MemoryError`` is raised here.

    Args:
        megabytes: How much the child may allocate, in MiB; more takes longer.
    """
    size = _checks.seconds("megabytes", megabytes, remedy="pass how much the child may allocate, in MiB")
    return _OutOfMemory(size, called="out_of_memory")
