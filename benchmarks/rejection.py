"""What it costs to be refused by an open breaker, caught by the caller, against a bare raise and except.

Run it with ``python benchmarks/rejection.py``.

An open breaker has to be cheap: it stands there just when everything else is in trouble.
Each is opened by failures, and is still open at the end: nothing of what is timed has reached the function.
"""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import Awaitable, Callable, Iterable
from dataclasses import replace
from typing import Any

from measuring import CPU, Batch, Case, Options, measure, options, own_copy
from peers import COUNT_BREAKER, TIME_BREAKER, Fn, Guard
from tables import Figure, report

from resilient_ml import Backoff, CircuitBreaker, Fallback, Pipeline, Retry

LONG = 3600.0


class Outage:
    """A function that always fails, in two colours, and counts how often it was reached."""

    def __init__(self) -> None:
        self.calls = 0

    def sync(self, x: Any) -> Any:
        """Fail."""
        self.calls += 1
        raise ConnectionError

    async def asynchronous(self, x: Any) -> Any:
        """Fail."""
        self.calls += 1
        raise ConnectionError


def refused(fn: Fn) -> Batch:
    """A batch of calls that each raise."""
    loop = own_copy(_loop)
    return lambda calls: int(loop(fn, calls))


def _loop(fn: Fn, calls: int) -> int:
    began = CPU()
    for _ in itertools.repeat(None, calls):
        try:  # noqa: SIM105 - a context manager costs more than what is timed
            fn(1)
        except Exception:  # noqa: BLE001 - each library has its own
            pass
    return CPU() - began


def refused_async(runner: asyncio.Runner, fn: Fn) -> Batch:
    """A batch of awaits that each raise."""
    loop = own_copy(_aloop)
    return lambda calls: int(runner.run(loop(fn, calls)))


async def _aloop(fn: Callable[[Any], Awaitable[Any]], calls: int) -> int:
    began = CPU()
    for _ in itertools.repeat(None, calls):
        try:  # noqa: SIM105
            await fn(1)
        except Exception:  # noqa: BLE001
            pass
    return CPU() - began


def opened(batch: Batch, outage: Outage) -> Batch:
    """*batch* once its breaker has opened.

    Raises:
        RuntimeError: A hundred failures did not open it.
    """
    for _ in range(100):
        before = outage.calls
        batch(1)
        if outage.calls == before:
            return batch
    raise RuntimeError("a hundred failures did not open the breaker")


def cases(
    target: Callable[[Outage], Fn], batch: Callable[[Fn], Batch], *, asynchronous: bool
) -> tuple[list[Case], list[Outage]]:
    """An open breaker of each library, and what shows that it stayed open."""
    outages: list[Outage] = []

    def case(name: str, make: Callable[[Fn], Fn | None]) -> Case:
        outage = Outage()
        guarded = make(target(outage))
        if guarded is None:
            return Case(name, None)
        found = opened(batch(guarded), outage)
        outages.append(outage)
        return Case(name, found)

    found = [replace(case("ours", breaker()), role="ours")]
    found.append(case("ours, Retry outside", Pipeline(Retry(3, backoff=Backoff(1e-9, 1e-9)), breaker())))
    found.append(case("ours, Fallback outside", Pipeline(Fallback(0), breaker())))
    for peer in (*TIME_BREAKER, *COUNT_BREAKER):
        if peer.asynchronous if asynchronous else peer.sync:
            made = case(peer.name, peer.make)
            found.append(replace(made, role="peer", same=peer.same, note=peer.note))
    return found, outages


def breaker() -> Any:
    """Ours, open for longer than this runs."""
    return CircuitBreaker(open_seconds=LONG, open_seconds_max=LONG)


def check(outages: Iterable[Outage], reached: Iterable[int]) -> None:
    """Raise RuntimeError if a breaker let anything through."""
    if [outage.calls for outage in outages] != list(reached):
        raise RuntimeError("a breaker closed while its refusals were timed")


def against_raise(
    name: str, batch: Callable[[Fn], Batch], bare: Fn, guarded: tuple[list[Case], list[Outage]], how: Options
) -> Figure:
    """Refusals against a function that raises."""
    them, outages = guarded
    reached = [outage.calls for outage in outages]
    results = measure(Case("raise + except", batch(bare)), them, how)
    check(outages, reached)
    return Figure(name, results)


def main(how: Options) -> None:
    """Measure and print."""
    guard: Guard = refused
    sync = against_raise(
        "sync", guard, Outage().sync, cases(lambda one: one.sync, guard, asynchronous=False), how
    )
    with asyncio.Runner() as runner:

        def batch(fn: Fn) -> Batch:
            return refused_async(runner, fn)

        them = cases(lambda one: one.asynchronous, batch, asynchronous=True)
        awaited = against_raise("async", batch, Outage().asynchronous, them, how)
    report("Refused by an open breaker", [sync, awaited], unit="x raise")


if __name__ == "__main__":
    main(options(__doc__ or ""))
