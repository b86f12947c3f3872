"""What a model service sends, and what it fails with."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Chunk:
    """One item of a stream, as a client of a hosted model hands it on.

    Attributes:
        text: A piece of the answer; empty where there is none.
        role: Who speaks, in the chunk that opens the answer.
        final: Why the answer is complete, ``"stop"`` say, in its last chunk.
        error: An error that is told in the stream, after the service had said that all is well.
        raw: What came in place of a chunk that could not be read.
    """

    text: str = ""
    role: str | None = None
    final: str | None = None
    error: str | None = None
    raw: str | None = None


class ServiceError(Exception):
    """A model service answered with an HTTP status that is an error.

    Attributes:
        status_code: The status.
        retry_after: Seconds for which it asks to be left alone, or None.
    """

    def __init__(self, status_code: int, retry_after: float | None = None) -> None:
        super().__init__(status_code, retry_after)
        self.status_code = status_code
        self.retry_after = retry_after

    def __str__(self) -> str:
        asked = "" if self.retry_after is None else f", retry after {self.retry_after:g} s"
        return f"the service answered {self.status_code}{asked}"
