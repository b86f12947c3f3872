"""Asking the model, as a client does: one request, whichever colour, and what came of it."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import aclosing
from dataclasses import dataclass, field
from typing import Any

import anyio

from .._colour import Colour
from ..errors import Rejected
from ..kinds import kind_of
from .replies import Ended
from .requests import Request


@dataclass(slots=True)
class Asked:
    """What came back, so far.

    Attributes:
        status: How it ended; ``hung`` until it has.
        kind: What kind of failure it was, or None.
        error: The name of the error's type, or None.
        answer: The answer, or the items of a stream.
        items: How many items came.
        first: When the first item came, on the monotonic clock; None for none.
    """

    status: Ended = "hung"
    kind: str | None = None
    error: str | None = None
    answer: Any = None
    items: int = 0
    first: float | None = None
    _stream: list[Any] = field(default_factory=list)

    def item(self, item: Any, now: float) -> None:
        """Take one item of a stream."""
        if self.first is None:
            self.first = now
        self._stream.append(item)
        self.answer = self._stream
        self.items += 1

    def ended(self, answer: Any, *, streams: bool) -> None:
        """The answer came, or the end of the stream."""
        self.status = "ok"
        self.answer = self._stream if streams else answer
        self.items = self.items if streams else 1

    def failed(self, error: BaseException) -> None:
        """An error came."""
        self.status = "rejected" if isinstance(error, Rejected) else "failed"
        self.kind = str(kind_of(error))
        self.error = type(error).__name__


def ask(fn: Callable[..., Any], colour: Colour, request: Request, now: Callable[[], float]) -> Asked:
    """Call *fn*, a call or a stream, and consume what it gives; never raises."""
    asked = Asked()
    try:
        answer = fn(*request.args, **request.kwargs)
        if colour.streams:
            for item in answer:
                asked.item(item, now())
        asked.ended(answer, streams=colour.streams)
    except BaseException as error:  # noqa: BLE001 -- a model may raise anything, on a thread of ours
        asked.failed(error)
    return asked


async def ask_async(
    fn: Callable[..., Any],
    colour: Colour,
    request: Request,
    now: Callable[[], float],
    *,
    asked: Asked,
    ours: Callable[[], bool],
) -> None:
    """The same for the colours that are awaited, into *asked*.

    Raises:
        BaseException: A cancellation, where *ours* says that we cancelled: a model's own is its failure.
    """
    try:
        if colour.streams:
            async with aclosing(fn(*request.args, **request.kwargs)) as items:
                async for item in items:
                    asked.item(item, now())
            asked.ended(None, streams=True)
        else:
            asked.ended(await fn(*request.args, **request.kwargs), streams=False)
    except anyio.get_cancelled_exc_class() as error:
        if ours():
            raise
        asked.failed(error)
    except (KeyboardInterrupt, SystemExit):
        raise
    except BaseException as error:  # noqa: BLE001 -- a model may raise anything
        asked.failed(error)
