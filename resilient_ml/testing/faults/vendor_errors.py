"""Exceptions as the clients of model servers raise them, with status, headers and body."""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from ...errors import DeadlineExceeded, WorkerCrashed
from ...kinds import Kind


@dataclass(frozen=True, slots=True)
class Response:
    """An HTTP response, as far as clients hand it on with their errors."""

    status_code: int
    headers: Mapping[str, str] = field(default_factory=dict)


class APIStatusError(Exception):
    """A server's refusal, shaped as the clients of OpenAI, Anthropic and their imitators raise it.

    Attributes:
        status_code: The HTTP status.
        response: With ``status_code`` and ``headers``.
        body: The decoded JSON body, ``{"error": {"code": ..., "message": ...}}``.
    """

    def __init__(
        self,
        message: str,
        status_code: int = 500,
        headers: Mapping[str, str] | None = None,
        body: Mapping[str, Any] | None = None,
    ) -> None:
        super().__init__(message)
        self.status_code = status_code
        self.response: Response = Response(status_code, dict(headers or {}))
        self.body: dict[str, Any] = dict(body or {})

    def __reduce__(self) -> tuple[Any, ...]:
        return type(self), (str(self), self.status_code, self.response.headers, self.body)


class OutOfMemoryError(RuntimeError):
    """What PyTorch raises when the device's memory is full; this one needs no PyTorch."""


class LengthFinishReasonError(Exception):
    """What a client raises when the answer was cut at the length limit."""


def retry_headers(seconds: float | None) -> dict[str, str]:
    """The headers that ask for a pause: whole seconds as in RFC 9110, and the finer form where those round.

    >>> retry_headers(0.25)
    {'retry-after': '1', 'retry-after-ms': '250'}
    """
    if seconds is None:
        return {}
    whole = math.ceil(seconds)
    return {"retry-after": str(whole)} | (
        {} if whole == seconds else {"retry-after-ms": f"{seconds * 1000:g}"}
    )


def refusal(status: int, code: str, message: str, headers: Mapping[str, str] | None = None) -> APIStatusError:
    """The error for an answer with this status and this code in its body."""
    body = {"error": {"message": message, "type": code, "code": code}}
    return APIStatusError(f"Error code: {status} - {message}", status, headers, body)


def cuda_out_of_memory() -> OutOfMemoryError:
    """The error of a full GPU, in PyTorch's own words."""
    return OutOfMemoryError(
        "CUDA out of memory. Tried to allocate 2.00 GiB. GPU 0 has a total capacity of 79.15 GiB of which "
        "1.20 GiB is free. Process 4242 has 77.94 GiB memory in use. Of the allocated memory 74.31 GiB is "
        "allocated by PyTorch, and 2.92 GiB is reserved by PyTorch but unallocated."
    )


_STATUS: dict[Kind, tuple[int, str, str]] = {
    Kind.OVERLOAD: (503, "service_unavailable", "The engine is currently overloaded, please try again later"),
    Kind.RATE_LIMITED: (429, "rate_limit_exceeded", "Rate limit reached for requests"),
    Kind.SERVER: (500, "server_error", "The server had an error while processing your request"),
    Kind.BAD_INPUT: (400, "invalid_request_error", "Invalid type for 'input'"),
    Kind.CONTEXT_TOO_LONG: (
        *(400, "context_length_exceeded"),
        "This model's maximum context length is 8192 tokens, your messages resulted in 9001 tokens",
    ),
    Kind.CONTENT_POLICY: (400, "content_filter", "The response was filtered"),
    Kind.AUTH: (401, "invalid_api_key", "Incorrect API key provided"),
    Kind.BUDGET: (429, "insufficient_quota", "You exceeded your current quota"),
}
"""What servers answer with a status."""

_RAISED: dict[Kind, Callable[[], BaseException]] = {
    Kind.CONNECTION: lambda: ConnectionResetError(104, "Connection reset by peer"),
    Kind.TIMEOUT: lambda: TimeoutError("The read operation timed out"),
    Kind.OOM: cuda_out_of_memory,
    Kind.CRASH: lambda: WorkerCrashed("a worker died of signal 11 (SIGSEGV)", exitcode=-11),
    Kind.INVALID_OUTPUT: lambda: json.JSONDecodeError("Expecting value", "<html>", 0),
    Kind.TRUNCATED: lambda: LengthFinishReasonError("the length limit was reached"),
    Kind.DEADLINE: lambda: DeadlineExceeded("the caller's deadline has passed"),
    Kind.UNKNOWN: lambda: RuntimeError("something went wrong"),
}
"""What clients and runtimes raise by themselves."""

MADE = frozenset(_STATUS) | frozenset(_RAISED)
"""The kinds that an exception can stand for; a stall is none."""


def of_kind(kind: Kind, retry_after: float | None = None) -> BaseException:
    """A new exception that stands for *kind*, one of :data:`MADE`; with a pause asked for, it has headers.

    >>> error = of_kind(Kind.RATE_LIMITED, retry_after=2.0)
    >>> error.status_code, dict(error.response.headers)
    (429, {'retry-after': '2'})
    """
    if kind in _STATUS:
        return refusal(*_STATUS[kind], retry_headers(retry_after))
    raised = _RAISED[kind]()
    if retry_after is not None:
        vars(raised)["retry_after"] = retry_after
    return raised
