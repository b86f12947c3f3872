"""What an awaited call costs on asyncio: each policy, and four stacked, against a closure and the peers.

Run it with ``python benchmarks/overhead_async.py``.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Mapping
from typing import Any

import anyio
import fused_async
from comparison import async_closure, async_identity, compare
from measuring import Case, Options, awaits_of, measure, options
from peers import (
    BULKHEAD,
    FOUR,
    RETRY,
    TIME_BREAKER,
    TIMEOUT,
    Fn,
    Guard,
    Peer,
    async_semaphore,
    asyncio_timeout,
)
from tables import Figure, report

from resilient_ml import Bulkhead, CircuitBreaker, Pipeline, Retry, Timeout


def wait_for(fn: Fn) -> Fn:
    """A bare ``asyncio.wait_for``."""

    async def guarded(*args: Any, **kwargs: Any) -> Any:
        return await asyncio.wait_for(fn(*args, **kwargs), 1.0)

    return guarded


def fail_after(fn: Fn) -> Fn:
    """A bare ``anyio.fail_after``."""

    async def guarded(*args: Any, **kwargs: Any) -> Any:
        with anyio.fail_after(1.0):
            return await fn(*args, **kwargs)

    return guarded


def capacity_limiter(fn: Fn) -> Fn:
    """A bare ``anyio.CapacityLimiter``."""
    limiter = anyio.CapacityLimiter(10)

    async def guarded(*args: Any, **kwargs: Any) -> Any:
        async with limiter:
            return await fn(*args, **kwargs)

    return guarded


def claims(runner: asyncio.Runner) -> Iterator[tuple[str, float | None, list[Case]]]:
    """Each figure: its name, its goal and its cases."""

    def against(
        ours: Guard, by_hand: Guard, peers: tuple[Peer, ...], others: Mapping[str, Guard] | None = None
    ) -> list[Case]:
        async def made() -> list[Case]:  # hyx wants a running loop to decorate on
            able = [peer for peer in peers if peer.asynchronous]
            return compare(async_identity, lambda fn: awaits_of(runner, fn), ours, by_hand, able, others)

        return runner.run(made())

    yield "retry", None, against(Retry(3), fused_async.retry, RETRY)
    yield "breaker, time window", None, against(CircuitBreaker(), fused_async.breaker, TIME_BREAKER)
    seats = {"asyncio.Semaphore": async_semaphore(), "anyio.CapacityLimiter": capacity_limiter}
    yield "bulkhead", None, against(Bulkhead(10), fused_async.bulkhead, BULKHEAD, seats)
    bare = {
        "asyncio.timeout": asyncio_timeout(),
        "asyncio.wait_for": wait_for,
        "anyio.fail_after": fail_after,
    }
    yield "timeout", None, against(Timeout(1.0), fused_async.timeout, TIMEOUT, bare)
    four = Pipeline(Retry(3), CircuitBreaker(), Bulkhead(10), Timeout(1.0))
    bare = {"asyncio.timeout alone": asyncio_timeout()}
    yield "retry + breaker + bulkhead + timeout", 25, against(four, fused_async.four, FOUR, bare)


def main(how: Options) -> None:
    """Measure and print."""
    with asyncio.Runner() as runner:
        base = Case("async closure", awaits_of(runner, async_closure(async_identity)))
        figures = [Figure(name, measure(base, cases, how), goal) for name, goal, cases in claims(runner)]
    report("An awaited call on asyncio", figures, unit="x async closure")


if __name__ == "__main__":
    # Short batches: a timer that was cancelled is only swept out when the loop gets its turn.
    main(options(__doc__ or "", rounds=101, calls=500))
