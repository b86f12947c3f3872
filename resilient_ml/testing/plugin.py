"""The pytest plugin: fixtures ``faults``, ``virtual_time``, ``events``, and the marker ``faults``.

It is there wherever pytest and this library are installed; ``-p no:resilient_ml`` leaves it out.
"""

from __future__ import annotations

import hashlib
import random
import secrets
from collections.abc import Generator, Iterator
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:  # what a run of tests does not use is not imported
    from .clock import VirtualClock
    from .event_trace import EventTrace
    from .injector import FaultInjector

_SEED = pytest.StashKey[int]()
_NOTES = pytest.StashKey[dict[str, Any]]()

_MARKER = (
    "faults(*faults, target=None, seed=None): strike the attribute *target* ('package.module.name') with "
    "these faults while the test runs; without a target, whatever the test gives to faults.wrap()"
)


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add the options."""
    group = parser.getgroup("resilient_ml", "faults")
    group.addoption(
        "--fault-seed",
        metavar="SEED",
        type=_seed,
        default=0,
        help="where the luck of injected faults comes from: a whole number, or 'random' for a new one; each "
        "test has its own, drawn from this (default: 0)",
    )
    group.addoption(
        "--fault-scale",
        metavar="FACTOR",
        type=_scale,
        default=1.0,
        help="multiply the probability of injected faults, at most to 1; 0 runs without any (default: 1)",
    )


def _seed(text: str) -> int:
    if text == "random":
        return secrets.randbelow(1 << 31)
    if not text.isdecimal():
        raise pytest.UsageError(f"--fault-seed must be a whole number or 'random', got {text!r}")
    return int(text)


def _scale(text: str) -> float:
    try:
        scale = float(text)
    except ValueError:
        scale = -1.0
    if not 0.0 <= scale < float("inf"):
        raise pytest.UsageError(f"--fault-scale must be a number from 0, got {text!r}; 1 changes nothing")
    return scale


def pytest_configure(config: pytest.Config) -> None:
    """Register the marker, and settle the seed."""
    config.addinivalue_line("markers", _MARKER)
    # A worker of pytest-xdist has the seed of the session that started it.
    given = getattr(config, "workerinput", {}).get("resilient_ml_fault_seed")
    config.stash[_SEED] = config.getoption("--fault-seed") if given is None else given


@pytest.hookimpl(optionalhook=True)
def pytest_configure_node(node: Any) -> None:
    """Give a worker of pytest-xdist this session's seed."""
    node.workerinput["resilient_ml_fault_seed"] = node.config.stash[_SEED]


def pytest_report_header(config: pytest.Config) -> str | None:
    """Show the seed where it is not the usual one."""
    seed, scale = config.stash[_SEED], config.getoption("--fault-scale")
    return f"faults: seed {seed}, scale {scale:g}" if seed or scale != 1.0 else None


def seed_of(base: int, test: str) -> int:
    """The seed of one test, the same in whatever order and process it runs."""
    return int.from_bytes(hashlib.blake2b(f"{base}:{test}".encode(), digest_size=6).digest(), "big")


# -- fixtures -----------------------------------------------------------------------------------------------


@pytest.fixture
def virtual_time(request: pytest.FixtureRequest) -> Iterator[VirtualClock]:
    """Virtual time for this test: sleeps, deadlines and timers jump when nothing else can run.

    The value is the :class:`~resilient_ml.testing.VirtualClock`. Python's ``random`` is seeded, so that
    jitter repeats itself, and put back afterwards.
    """
    from .virtual_time import virtual_time as in_virtual_time

    state = random.getstate()
    seed = seed_of(request.config.stash[_SEED], request.node.nodeid)
    random.seed(seed)
    try:
        with in_virtual_time(seed=seed) as clock:
            yield clock
    finally:
        random.setstate(state)


@pytest.fixture
def faults(request: pytest.FixtureRequest) -> Iterator[FaultInjector]:
    """Faults around callables and attributes, undone after the test: a :class:`~...testing.FaultInjector`."""
    from .injector import FaultInjector

    if "virtual_time" in request.fixturenames:
        # Before faults begin, whichever the test names first: their windows count from then, and what they
        # patched is put back before time is.
        request.getfixturevalue("virtual_time")
    config, node = request.config, request.node
    injector = FaultInjector(
        seed_of(config.stash[_SEED], node.nodeid), scale=config.getoption("--fault-scale")
    )
    _notes(node)["faults"] = injector
    with injector:
        for marker in reversed(list(node.iter_markers("faults"))):
            _apply(marker, injector)
        yield injector


@pytest.fixture
def events(request: pytest.FixtureRequest) -> Iterator[EventTrace]:
    """The events of all policies during this test: an :class:`~resilient_ml.testing.EventTrace`."""
    from .event_trace import EventTrace

    with EventTrace() as trace:
        _notes(request.node)["events"] = trace
        yield trace


def _apply(marker: pytest.Mark, injector: FaultInjector) -> None:
    unknown = set(marker.kwargs) - {"target", "seed"}
    if unknown:
        raise pytest.UsageError(f"@pytest.mark.faults takes target= and seed=, got {sorted(unknown)}")
    if not marker.args:
        raise pytest.UsageError("@pytest.mark.faults needs at least one fault, such as faults.hang()")
    target = marker.kwargs.get("target")
    if target is None:
        injector.always(*marker.args)
    else:
        injector.patch(target, *marker.args, seed=marker.kwargs.get("seed"))


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """A test with the marker has the fixture, whether or not it names it."""
    for item in items:
        names = getattr(item, "fixturenames", None)
        if names is not None and item.get_closest_marker("faults") and "faults" not in names:
            names.append("faults")


# -- what a failure shows -----------------------------------------------------------------------------------


def _notes(node: Any) -> dict[str, Any]:
    notes: dict[str, Any] = node.stash.setdefault(_NOTES, {})
    return notes


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Show the seed, what struck and what the policies did, under a test that fails."""
    report = yield
    if report.failed:
        notes = _notes(item)
        if "faults" in notes:
            report.sections.append(("faults", _told(notes["faults"], item.config)))
        if "events" in notes:
            report.sections.append(("events", str(notes["events"])))
    return report


def _told(injector: FaultInjector, config: pytest.Config) -> str:
    lines = [f"run it again with --fault-seed={config.stash[_SEED]}  (this test's own seed: {injector.seed})"]
    struck = injector.history
    shown = struck[-20:]
    lines.append(
        f"strikes: {len(struck)}" + (f", the last {len(shown)}:" if len(shown) < len(struck) else "")
    )
    lines += [f"  {one}" for one in shown]
    return "\n".join(lines)
