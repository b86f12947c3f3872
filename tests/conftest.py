"""The fixtures that run a scenario in every colour; time is virtual in all of them."""

import gc
import os
import sys
import threading
from pathlib import Path

import hypothesis  # noqa: F401 - asks the collector who holds a generator of luck, which it does not see once frozen
import pytest

from resilient_ml import Colour
from resilient_ml._drivers import guarded, loops
from resilient_ml.testing.virtual_time import virtual_time

from .every_policy import every_policy
from .virtual_time import scenario_time
from .worlds import World

virtual = sys.modules[virtual_time.__module__]

CALLS = {
    "call": (Colour.CALL, "threads"),
    "call-by-coroutine": (Colour.CALL, "coroutines"),
    "async-call-asyncio": (Colour.ASYNC_CALL, "asyncio"),
    "async-call-trio": (Colour.ASYNC_CALL, "trio"),
}
STREAMS = {
    "stream": (Colour.STREAM, "threads"),
    "async-stream-asyncio": (Colour.ASYNC_STREAM, "asyncio"),
    "async-stream-trio": (Colour.ASYNC_STREAM, "trio"),
}
EVERY = CALLS | STREAMS

UNCOUNTED = {
    Path(__file__).parent / name
    for name in (
        "machines/test_breaker_stateful.py",
        "machines/test_bulkhead_stateful.py",
        "machines/test_rate_gate_stateful.py",
        "policies/test_threads_and_tasks.py",
        "test_faults_survived.py",
        "test_memory.py",
        "testing/conformance/test_our_policies.py",
        "testing/faults/test_library_under_faults.py",
        "testing/simulate/test_metastable.py",
        "testing/simulate/test_queueing.py",
        "testing/simulate/test_stories.py",
        "testing/test_same_trace_everywhere.py",
    )
}
"""Tests that run the same lines many times over. Counting these would take more than twice as long, so they
count for no coverage: each line has a test of its own that says what it is for."""


def pytest_configure():
    """Keep coverage, where it begins anew in a forked child, from writing down its stack for debugging: that
    asks of each frame which of a thousand modules it is from, and takes seconds."""
    collector = sys.modules.get("coverage.collector")
    if collector is not None:
        collector.short_stack = str


def pytest_sessionstart():
    """Give each worker a core of its own: threads that take turns wake each other sooner on one core."""
    worker = os.environ.get("PYTEST_XDIST_WORKER")
    if worker is not None and hasattr(os, "sched_setaffinity"):
        cores = sorted(os.sched_getaffinity(0))
        os.sched_setaffinity(0, {cores[int(worker.removeprefix("gw")) % len(cores)]})


def pytest_collection_modifyitems(items):
    """Begin with the longest tests, so that no worker is left with one at the end."""
    items.sort(key=lambda item: item.path.name != "test_our_policies.py")


@pytest.hookimpl(wrapper=True)
def pytest_runtest_protocol(item):
    """Count nothing while one of these runs."""
    if item.path not in UNCOUNTED or "coverage" not in sys.modules:
        return (yield)
    here, in_threads = sys.gettrace(), threading.gettrace()
    sys.settrace(None)
    threading.settrace(None)
    try:
        return (yield)
    finally:
        sys.settrace(here)
        threading.settrace(in_threads)


def pytest_collection_finish():
    """Set aside what the collected tests are made of, so that collections look at what tests make."""
    pass_over_modules()
    set_aside()


def pass_over_modules():
    """Let blocks of virtual time pass over the modules that hold nothing to replace now.

    Looking through 28,000 names was a quarter of the time of all tests. That may be left out here, where no
    module binds a function late, and nowhere else; what tests import or make themselves is looked through.
    """
    find = virtual._occurrences
    holding = {id(names) for names, *_ in find(virtual._EVERYWHERE, frozenset())}
    without = frozenset(
        name for name, one in sys.modules.items() if id(getattr(one, "__dict__", None)) not in holding
    )
    virtual._occurrences = lambda replaced, but: find(replaced, but | without)


@pytest.hookimpl(trylast=True)
def pytest_runtest_teardown(item, nextitem):
    """Set aside what the tests of a file have imported, too: a full collection is part of many tests."""
    if nextitem is None or nextitem.path != item.path:
        set_aside()


def set_aside():
    gc.collect()
    gc.freeze()


def among(worlds):
    return pytest.fixture(params=list(worlds.values()), ids=list(worlds))


@pytest.fixture(params=list(every_policy().values()), ids=list(every_policy()))
def policy(request):
    """One of each policy, and all of them in a pipeline."""
    return request.param()


@pytest.fixture
def clock(monkeypatch):
    """The virtual clock, as the library's only one."""
    monkeypatch.setattr(loops, "_warned", False)
    with scenario_time() as virtual:
        yield virtual


def world_of(request, clock, monkeypatch):
    colour, backend = request.param
    if backend == "coroutines":
        # As where no plain twin of a body can be derived.
        monkeypatch.setattr(guarded, "bind_blocking", lambda policy, proceed: None)
    return World(colour, backend, clock)


@among(EVERY)
def world(request, clock, monkeypatch):
    """Every colour, on threads, asyncio and trio."""
    return world_of(request, clock, monkeypatch)


@among(CALLS)
def call_world(request, clock, monkeypatch):
    """The colours that give one answer."""
    return world_of(request, clock, monkeypatch)


@among(STREAMS)
def stream_world(request, clock, monkeypatch):
    """The colours that give a stream."""
    return world_of(request, clock, monkeypatch)


@among({name: world for name, world in EVERY.items() if not world[0].is_async})
def plain_world(request, clock, monkeypatch):
    """The colours whose caller blocks a thread."""
    return world_of(request, clock, monkeypatch)


@among({name: world for name, world in EVERY.items() if world[0].is_async})
def async_world(request, clock, monkeypatch):
    """The colours whose caller awaits, on asyncio and trio."""
    return world_of(request, clock, monkeypatch)


@among({name: world for name, world in CALLS.items() if world[0].is_async})
def await_world(request, clock, monkeypatch):
    """An awaited call, on asyncio and trio."""
    return world_of(request, clock, monkeypatch)
