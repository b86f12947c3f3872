"""A shared store that fails while the model is well: down, hung, killed, flushed, full of garbage."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from importlib import import_module

from survival.library import Library
from survival.trials import trial
from survival.verdicts import Verdict, judged, undecided

SERVER = """
from fakeredis import TcpFakeServer
server = TcpFakeServer(("127.0.0.1", 0), server_type="redis")
server.daemon_threads = True
print(server.server_address[1], flush=True)
server.serve_forever()
"""


@contextmanager
def server() -> Iterator[tuple[int, int]]:
    """A Redis server of its own process: port and process."""
    with subprocess.Popen(  # noqa: S603 - this interpreter, the code above
        [sys.executable, "-W", "ignore", "-c", SERVER], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL
    ) as process:
        try:
            assert process.stdout is not None
            port = int(process.stdout.readline())
            yield port, process.pid
        finally:
            with suppress(ProcessLookupError):
                os.kill(process.pid, signal.SIGKILL)


def answers(call: Callable[[], object]) -> str:
    """How a call to a healthy model goes: empty if it answers within 2 s."""
    outcome = []

    def caller() -> None:
        try:
            call()
            outcome.append("")
        except Exception as error:  # noqa: BLE001 - what the caller gets
            outcome.append(f"{type(error).__name__}: {str(error)[:60]}")

    thread = threading.Thread(target=caller, daemon=True)
    thread.start()
    thread.join(2)
    return outcome[0] if outcome else "hangs for 2 s"


def with_store(library: Library, harm: Callable[[int, int], None]) -> Verdict:
    """Call once, *harm* the store, call again."""
    try:
        import_module("fakeredis")
    except ImportError:
        return undecided("fakeredis is not installed")
    with server() as (port, process):
        guarded = library.shared_breaker(lambda: 1, 3, 60.0, port)
        if (before := answers(guarded)) != "":
            return undecided(f"does not answer with the store well: {before}")
        harm(port, process)
        time.sleep(0.1)
        after = answers(guarded)
        return judged(after == "", after or "answers")


@trial("F33", "down at start", "shared_breaker")
def a_store_that_is_down(library: Library) -> Verdict:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]

    def first() -> object:
        return library.shared_breaker(lambda: 1, 3, 60.0, port)()

    how = answers(first)
    return judged(how == "", how or "answers")


@trial("F33", "hung", "shared_breaker")
def a_store_that_hangs(library: Library) -> Verdict:
    return with_store(library, lambda port, process: os.kill(process, signal.SIGSTOP))


@trial("F33", "killed", "shared_breaker")
def a_store_that_is_killed(library: Library) -> Verdict:
    return with_store(library, lambda port, process: os.kill(process, signal.SIGKILL))


@trial("F33", "flushed", "shared_breaker")
def a_store_that_is_flushed(library: Library) -> Verdict:
    return with_store(library, lambda port, process: import_module("redis").Redis(port=port).flushall())


@trial("F33", "garbage", "shared_breaker")
def a_store_full_of_garbage(library: Library) -> Verdict:
    def harm(port: int, process: int) -> None:
        client = import_module("redis").Redis(port=port)
        for key in list(client.scan_iter()):
            client.delete(key)
            client.set(key, "{not json")

    return with_store(library, harm)
