"""One run: one configuration serves the whole traffic once, with or without faults."""

from __future__ import annotations

import contextlib
import random
import time
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import anyio

from .. import events
from .._colour import Colour
from ..testing.faults import FaultPlan
from .backend import Backend
from .client_tasks import ClientTasks
from .client_threads import ClientThreads
from .configurations import guard
from .leaks import Leaks, LeakWatch
from .replies import Replies, Reply
from .tickets import Ticket, draw_key
from .watching import StateSpan, Watch
from .workload import Traffic


@dataclass(frozen=True, slots=True)
class Setting:
    """What all runs of an evaluation share.

    Attributes:
        model: The user's callable.
        colour: Its colour.
        traffic: What is asked for.
        seed: Of what policies draw, such as the jitter of a back-off.
        patience: How long a caller waits for one request, in seconds.
        backend: ``asyncio`` or ``trio``, for models that are awaited.
        settle_seconds: How long threads and tasks may take to end after a run, before they are leaks.
        memory: Whether to measure the memory that is left behind.
    """

    model: Callable[..., Any]
    colour: Colour
    traffic: Traffic
    seed: int
    patience: float
    backend: str
    settle_seconds: float
    memory: bool


@dataclass(frozen=True, slots=True)
class Run:
    """What one run left behind.

    Attributes:
        replies: What came of the requests.
        calls: How many calls reached the model.
        states: The spans of the policies' states.
        events: How many events of each type the policies emitted.
        leaks: What was left when it was over.
        seconds: How long it took, on its own clock.
    """

    replies: Replies
    calls: int
    states: tuple[StateSpan, ...]
    events: Counter[str]
    leaks: Leaks
    seconds: float


def run(
    name: str,
    configuration: Any,
    setting: Setting,
    plan: FaultPlan | None,
    *,
    judge: Callable[[Reply], None],
    keep_answers: bool,
    settled: Callable[[Reply], object],
) -> Run:
    """Let *configuration* serve the traffic once.

    Args:
        name: What the configuration is called.
        configuration: What stands around the model.
        setting: What all runs share.
        plan: The faults, fresh for this run; None for none.
        judge: Fills in what is to be said of each reply, after the run.
        keep_answers: Whether replies keep their answers after that.
        settled: Called after each request, with its reply.

    Raises:
        TypeError: A fault does not fit the model's answers or arguments, so that nothing was measured.
    """
    model = setting.model if plan is None else plan.inject(setting.model, key=draw_key, colour=setting.colour)
    watch, backend = Watch(), Backend(model, setting.colour)
    fn = guard(name, configuration, backend.model, setting.colour)
    tickets = [Ticket(number, watch) for number in range(len(setting.traffic.requests))]
    leak_watch = LeakWatch(memory=setting.memory)
    release = _nothing if plan is None else plan.release
    if plan is not None:
        plan.start()
    with events.subscribe(watch), _seeded(setting.seed):
        rows, began, tasks = _serve(fn, setting, tickets, settled, release)
        seconds = time.monotonic() - began
        release()
        leak_watch.settle(setting.settle_seconds)
    if plan is not None:
        plan.refuse_misfits()
    for reply, ticket in zip(rows, tickets, strict=True):
        reply.attempts = ticket.attempts
        reply.degraded = ticket.degraded and reply.ok
        judge(reply)
        if not keep_answers:
            reply.answer = None
    return Run(
        Replies(rows, setting.traffic.seconds or seconds),
        backend.calls,
        watch.states(began, began + seconds),
        watch.counts,
        leak_watch.leaks(tasks=tasks),
        seconds,
    )


def _serve(
    fn: Callable[..., Any],
    setting: Setting,
    tickets: list[Ticket],
    settled: Callable[[Reply], object],
    release: Callable[[], object],
) -> tuple[list[Reply], float, int]:
    """The replies, when it began, and how many tasks were left behind."""
    if setting.colour.is_async:
        tasks = ClientTasks(
            fn,
            setting.colour,
            setting.traffic,
            patience=setting.patience,
            tickets=tickets,
            settled=settled,
            release=release,
            settle_seconds=setting.settle_seconds,
        )
        rows = anyio.run(tasks.run, backend=setting.backend)
        return rows, tasks.began, tasks.tasks_left
    threads = ClientThreads(
        fn, setting.colour, setting.traffic, patience=setting.patience, tickets=tickets, settled=settled
    )
    return threads.run(), threads.began, 0


@contextlib.contextmanager
def _seeded(seed: int) -> Iterator[None]:
    """Policies draw from the module's generator: alike in each run; the user's own draws go on after it."""
    before = random.getstate()
    random.seed(seed)
    try:
        yield
    finally:
        random.setstate(before)


def _nothing() -> None:
    """There are no faults to let go of."""
