"""A reader of streams: what one request came to."""

from __future__ import annotations

import contextlib
import inspect
import time
from collections.abc import AsyncIterator, Callable, Iterator
from dataclasses import dataclass
from typing import Any

import anyio

from ..._stream_rules import Reset

Stream = Callable[..., Any]
"""``(prompt) -> iterator`` of chunks, or an async iterator of them."""

PROMPT = "What is the capital of France, and where does it lie?"


@dataclass(frozen=True, slots=True)
class Answer:
    """What one request came to.

    Attributes:
        text: What the reader had in the end; what a :class:`~resilient_ml.Reset` made void is left out.
        error: What was raised, or None.
        first_seconds: From the request to the first content, or None if none came.
        seconds: From the request to the end.
        served_by: Who answered, by the client's own account; None if it did not say.
    """

    text: str
    error: Exception | None
    first_seconds: float | None
    seconds: float
    served_by: str | None = None


class _Reading:
    """What has come so far."""

    def __init__(self) -> None:
        self.text = ""
        self.began = time.monotonic()
        self.first: float | None = None
        self.error: Exception | None = None

    def take(self, item: Any) -> None:
        if isinstance(item, Reset):
            self.text = ""
            return
        text = getattr(item, "text", item)
        if text and self.first is None:
            self.first = time.monotonic() - self.began
        self.text += text

    def answer(self) -> Answer:
        return Answer(self.text, self.error, self.first, time.monotonic() - self.began)


def read(stream: Stream, pause: float) -> Answer:
    """Read one answer, spending *pause* seconds with each item."""
    reading = _Reading()
    try:
        items = stream(PROMPT)
        with _closed(items):
            for item in items:
                reading.take(item)
                time.sleep(pause)
    except Exception as error:  # noqa: BLE001 -- whatever a client raises is what it says
        reading.error = error
    return reading.answer()


async def aread(stream: Stream, pause: float) -> Answer:
    """Read one answer of an async stream."""
    reading = _Reading()
    try:
        items = stream(PROMPT)
        if inspect.isawaitable(items):
            items = await items
        async with _aclosed(items):
            async for item in items:
                reading.take(item)
                await anyio.sleep(pause)
    except Exception as error:  # noqa: BLE001 -- whatever a client raises is what it says
        reading.error = error
    return reading.answer()


@contextlib.contextmanager
def _closed(items: Any) -> Iterator[None]:
    try:
        yield
    finally:
        if hasattr(items, "close"):
            items.close()


@contextlib.asynccontextmanager
async def _aclosed(items: Any) -> AsyncIterator[None]:
    try:
        yield
    finally:
        if hasattr(items, "aclose"):
            await items.aclose()
