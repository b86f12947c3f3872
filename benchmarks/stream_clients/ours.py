"""This library's client: one pipeline, with one configuration for all faults."""

from __future__ import annotations

from typing import Any

from resilient_ml import Backoff, CircuitBreaker, Fallback, Pipeline, Retry, Stream, Timeout
from resilient_ml.testing.streaming import Chunk, Guarded


class ErrorInStream(Exception):
    """An error that a chunk told of."""


def error_of(chunk: Chunk) -> Exception | None:
    """The error that a chunk tells of."""
    return None if chunk.error is None else ErrorInStream(chunk.error)


def go_on(args: Any, kwargs: Any, partial: tuple[Chunk, ...]) -> Any:
    """The arguments that ask for the rest of an answer."""
    return args, {**kwargs, "prefix": "".join(chunk.text for chunk in partial)}


def guarded(primary: Any, secondary: Any) -> Guarded:
    """A client as its user would write it.

    The open time of 18 s asks a dead primary four times a minute, and finds it well at most that long, and
    one request, after it is.
    """
    served: list[str] = [primary.__name__]
    guard = Pipeline(
        Fallback(secondary, on_event=lambda event: served.append(event.target)),
        Stream(
            is_content=lambda chunk: bool(chunk.text),
            is_final=lambda chunk: chunk.final is not None,
            error_of=error_of,
            is_valid=lambda chunk: chunk.raw is None,
            on_interrupt="continue",
            continuation=go_on,
        ),
        Retry(3, backoff=Backoff(base=0.1, cap=1.0)),
        CircuitBreaker(consecutive_failures=2, open_seconds=18.0, open_seconds_max=18.0, jitter=0.0),
        Timeout(120.0, first=4.0, gap=4.0),
    )

    def served_by() -> str:
        name = served[-1]
        del served[1:]
        return name

    return Guarded(guard(primary), served_by)
