"""A simulation as lines of text, which are the same to the byte wherever the same seed is run."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from typing import TYPE_CHECKING

from ...events import Event

if TYPE_CHECKING:
    from .requests import Requests
    from .result import Result, ServerLog


def lines(result: Result) -> Iterator[str]:
    """The lines of *result*: requests, events, servers."""
    yield f"seed {result.seed} seconds {result.seconds!r} ended {result.ended!r}"
    yield from _requests(result.requests)
    for event in result.events:
        yield _event(event)
    for name, log in result.servers.items():
        yield f"server {name} {_last(log)}"


def _requests(requests: Requests) -> Iterator[str]:
    columns = (
        requests.arrived.tolist(),
        requests.ended.tolist(),
        requests.status.tolist(),
        requests.kind.tolist(),
        requests.attempts.tolist(),
        requests.degraded.tolist(),
        requests.group.tolist(),
    )
    for arrived, ended, status, kind, attempts, degraded, group in zip(*columns, strict=True):
        outcome = f"{status}{' ' + kind if kind else ''}{' degraded' if degraded else ''}"
        yield f"request {requests.groups[group]} {arrived!r} {ended!r} {outcome} {attempts}"


def _event(event: Event) -> str:
    # By the fields' values as text: how an enumeration shows itself changes between versions of Python.
    facts = (
        f"{field.name}={getattr(event, field.name)}"
        for field in dataclasses.fields(event)
        if field.name not in ("policy", "at")
    )
    return f"event {event.at!r} {event.policy} {type(event).__name__} {' '.join(facts)}"


def _last(log: ServerLog) -> str:
    return " ".join(
        f"{field.name}={getattr(log, field.name)[-1].item()!r}" for field in dataclasses.fields(log)
    )
