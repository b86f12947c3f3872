"""A provider that plays its script to whoever asks, and keeps book of it."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator, Callable, Iterator
from dataclasses import dataclass, field

import anyio

from .chunks import Chunk, ServiceError
from .steps import Cut, Fail, Final, Garble, Heartbeat, Refuse, Role, Say, Script, Step, Tell, Wait


@dataclass(slots=True)
class Attempt:
    """One time that a provider was asked.

    Attributes:
        number: Which, from 1.
        at: When it began, in seconds from the provider's start.
        prefix: The part of the answer that it was to go on from.
        end: How it ended: ``"complete"``, with its last chunk; ``"broken"``, by what the script says, a
            truncation too; ``"left"``, closed or cancelled by the client. None while it is open.
    """

    number: int
    at: float
    prefix: str
    end: str | None = None
    complete: bool = field(default=False, repr=False)


class Provider:
    """Plays a script as a generator function, and as an async one.

    Both have the signature ``(prompt, *, prefix="")``. With a *prefix*, the beginning of an answer, the
    answer goes on from there.

    Args:
        script: What it does.
        name: How both functions are called.

    Attributes:
        attempts: Each time that it was asked, in order. Like any generator, one that is made and never read
            was not asked.
        stream: The generator function.
        astream: The async generator function, for asyncio and trio.

    >>> from resilient_ml.testing.streaming import Provider, Script
    >>> from resilient_ml.testing import virtual_time
    >>> with virtual_time():
    ...     provider = Provider(Script(("To be", " or not")))
    ...     "".join(chunk.text for chunk in provider.stream("Go on"))
    'To be or not'
    >>> [(attempt.number, attempt.end) for attempt in provider.attempts]
    [(1, 'complete')]
    """

    def __init__(self, script: Script, *, name: str = "primary") -> None:
        self.script = script
        self.name = name
        self.attempts: list[Attempt] = []
        self._began = time.monotonic()

        def stream(prompt: str, *, prefix: str = "") -> Iterator[Chunk]:
            attempt = self._begin(prefix)
            try:
                for done in self._play(attempt):
                    if isinstance(done, Chunk):
                        yield done
                    else:
                        time.sleep(done)
            finally:
                self._end(attempt)

        async def astream(prompt: str, *, prefix: str = "") -> AsyncIterator[Chunk]:
            attempt = self._begin(prefix)
            try:
                for done in self._play(attempt):
                    if isinstance(done, Chunk):
                        yield done
                    else:
                        await anyio.sleep(done)
            finally:
                self._end(attempt)

        stream.__name__ = stream.__qualname__ = astream.__name__ = astream.__qualname__ = name
        self.stream: Callable[..., Iterator[Chunk]] = stream
        self.astream: Callable[..., AsyncIterator[Chunk]] = astream

    @property
    def open(self) -> int:
        """How many attempts have not ended."""
        return sum(attempt.end is None for attempt in self.attempts)

    def _begin(self, prefix: str) -> Attempt:
        attempt = Attempt(len(self.attempts) + 1, time.monotonic() - self._began, prefix)
        self.attempts.append(attempt)
        return attempt

    @staticmethod
    def _end(attempt: Attempt) -> None:
        if attempt.end is None:
            attempt.end = "complete" if attempt.complete else "left"

    def _play(self, attempt: Attempt) -> Iterator[Chunk | float]:
        """The chunks to send, and the seconds to wait between them; raises what the script says."""
        left = self.script.rest(attempt.prefix)
        try:
            for step in self.script.steps(attempt.number, attempt.at, attempt.prefix):
                # Before it is sent: a client that has the last chunk need not come back for more.
                attempt.complete = attempt.complete or isinstance(step, Final)
                yield from _done(step, left)
        except (ServiceError, OSError):
            attempt.end = "broken"
            raise
        if not attempt.complete:
            attempt.end = "broken"


def _done(step: Step, left: list[str]) -> Iterator[Chunk | float]:
    match step:
        case Wait(seconds):
            yield seconds
        case Role():
            yield Chunk(role="assistant")
        case Heartbeat():
            yield Chunk()
        case Say(pieces, every):
            now, left[:] = left[:pieces], left[len(left[:pieces]) :]
            for index, piece in enumerate(now):
                if index:
                    yield every
                yield Chunk(piece)
        case Final():
            yield Chunk(final="stop")
        case Garble():
            yield Chunk(raw=f'{{"text": "{left.pop(0)[:2]}' if left else "{")
        case Tell(error):
            yield Chunk(error=error)
        case _:
            raise _failure(step)


def _failure(step: Fail | Refuse | Cut) -> Exception:
    if isinstance(step, Fail):
        return ServiceError(step.status, step.retry_after)
    if isinstance(step, Refuse):
        return ConnectionRefusedError("connection refused")
    return ConnectionResetError("connection reset by peer")
