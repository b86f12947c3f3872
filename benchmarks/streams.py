"""What a chunk of a stream costs through four policies, against the bare generator.

Run it with ``python benchmarks/streams.py``.

A stream is one call that emits: its policies act when it begins and ends, so that a chunk pays for its way
through the pipeline, and for the deadline where there is one. The plain stream has no Timeout that holds:
that would cross threads for each chunk. One with ``late_only`` is shown beside it.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Iterator
from importlib import import_module
from typing import Any

from measuring import CPU, Batch, Case, Options, measure, options, own_copy
from tables import Figure, report

from resilient_ml import AdaptiveGap, Bulkhead, CircuitBreaker, Fallback, Pipeline, Retry, Timeout
from resilient_ml import Stream as StreamRules

Stream = Callable[[int], Any]


def tokens(count: int) -> Iterator[int]:
    """So many chunks."""
    yield from range(count)


async def async_tokens(count: int) -> AsyncIterator[int]:
    """So many chunks."""
    for chunk in range(count):
        yield chunk


def passed_on(stream: Stream) -> Stream:
    """A loop around a stream: the least that a guard in Python costs."""

    def guarded(count: int) -> Iterator[int]:
        for chunk in stream(count):  # noqa: UP028 - each chunk passes through this frame
            yield chunk

    return guarded


def async_passed_on(stream: Stream) -> Stream:
    """A loop around an async stream."""

    async def guarded(count: int) -> AsyncIterator[int]:
        async for chunk in stream(count):
            yield chunk

    return guarded


def nopanic(*names: str) -> Callable[[Stream], Stream] | None:
    """The one peer that guards streams item by item; None where it is not installed."""
    try:
        library = import_module("nopanic")
    except ImportError:
        return None
    made = {
        "retry": lambda: library.retry(attempts=3, budget=library.RetryBudget()),
        "breaker": library.circuit_breaker,
        "bulkhead": lambda: library.bulkhead(10),
        "timeout": lambda: library.timeout(60.0),
    }
    composed: Callable[[Stream], Stream] = library.compose(*[made[name]() for name in names])
    return composed


def chunks_of(stream: Stream) -> Batch:
    """A batch is one stream of so many chunks."""
    drain = own_copy(_drain)
    return lambda calls: int(drain(stream, calls))


def _drain(stream: Stream, count: int) -> int:
    began = CPU()
    for _ in stream(count):
        pass
    return CPU() - began


def async_chunks_of(runner: asyncio.Runner, stream: Stream) -> Batch:
    """A batch is one async stream of so many chunks."""
    drain = own_copy(_adrain)
    return lambda calls: int(runner.run(drain(stream, calls)))


async def _adrain(stream: Stream, count: int) -> int:
    began = CPU()
    async for _ in stream(count):
        pass
    return CPU() - began


def peer(
    guard: Callable[[Stream], Stream] | None,
    stream: Stream,
    batch: Callable[[Stream], Batch],
    note: str = "",
) -> Case:
    """The case of nopanic, absent or not."""
    made = None if guard is None else batch(guard(stream))
    return Case("nopanic + budget", made, "peer", same=not note, note=note)


def ended() -> StreamRules:
    """Looks at every chunk for the end, and keeps what was passed on; the last chunk of a batch is it."""
    return StreamRules(is_final=lambda chunk: chunk >= 0, keep=1_000_000)


def main(how: Options) -> None:
    """Measure and print."""
    four = Pipeline(Fallback(0), Retry(3), CircuitBreaker(), Bulkhead(10))
    limited = Pipeline(Retry(3), CircuitBreaker(), Bulkhead(10), Timeout(60.0, late_only=True))
    fewer = "three: no fallback for streams"
    plain = [
        Case("passed on by a loop", chunks_of(passed_on(tokens))),
        Case("ours", chunks_of(four(tokens)), "ours"),
        Case("ours, with a Stream (is_final)", chunks_of(Pipeline(ended(), four)(tokens))),
        Case("ours, Timeout(late_only) for Fallback", chunks_of(limited(tokens))),
        peer(nopanic("retry", "breaker", "bulkhead"), tokens, chunks_of, fewer),
    ]
    figures = [Figure("sync, four policies", measure(Case("bare generator", chunks_of(tokens)), plain, how))]
    with asyncio.Runner() as runner:

        def batch(stream: Stream) -> Batch:
            return async_chunks_of(runner, stream)

        rest = Retry(3), CircuitBreaker(), Bulkhead(10)
        timed = Pipeline(*rest, Timeout(60.0))
        gap = Pipeline(*rest, Timeout(60.0, first=5.0, gap=1.0))
        learned = Pipeline(*rest, Timeout(60.0, first=5.0, gap=AdaptiveGap(floor=1.0)))
        base = Case("bare async generator", batch(async_tokens))
        loop = Case("passed on by a loop", batch(async_passed_on(async_tokens)))
        for name, guard, more, theirs in (
            (
                "async, four policies",
                four,
                {"with a Stream (is_final)": Pipeline(ended(), four)},
                peer(nopanic("retry", "breaker", "bulkhead"), async_tokens, batch, fewer),
            ),
            (
                "async, four with a Timeout",
                timed,
                {
                    "first= and gap= too": gap,
                    "gap=AdaptiveGap": learned,
                    "first=, gap= and a Stream (is_final)": Pipeline(ended(), gap),
                },
                peer(nopanic("retry", "breaker", "bulkhead", "timeout"), async_tokens, batch),
            ),
        ):
            ours = [Case("ours", batch(guard(async_tokens)), "ours")]
            ours += [Case(f"ours, {told}", batch(guard(async_tokens))) for told, guard in more.items()]
            figures.append(Figure(name, measure(base, [loop, *ours, theirs], how)))
    report("A chunk of a stream", figures, unit="x bare")


if __name__ == "__main__":
    main(options(__doc__ or "", rounds=201, calls=1000))
