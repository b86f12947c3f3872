"""What a provider's headers say about its rate limits."""

from __future__ import annotations

import math
import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from itertools import islice
from typing import Any

from ._classifier import MAX_LINKS, read
from .retry_after import header_pairs, header_text

__all__ = ["Allowance", "allowances_of", "full_again"]

_MAX_HEADERS = 256
_NAME = re.compile(
    r"(?:x|anthropic)-ratelimit-"
    r"(?:(limit|remaining|reset)-(requests|tokens)|(requests|tokens)-(limit|remaining|reset))\Z"
)
_SPAN = re.compile(r"(?:(\d+)h)?(?:(\d+)m(?!s))?(?:(\d+(?:\.\d*)?)s)?(?:(\d+(?:\.\d*)?)ms)?\Z", re.ASCII)
_UNITS = (3600.0, 60.0, 1.0, 0.001)
_PLACES = ("headers", "response_headers", "_response_headers")


@dataclass(slots=True)
class Allowance:
    """What was told of one limit.

    Attributes:
        limit: How much is allowed in a window, or None.
        remaining: How much of it is left, or None.
        reset: Seconds until all of it is there again, or None.
    """

    limit: float | None = None
    remaining: float | None = None
    reset: float | None = None


def allowances_of(source: object, wall: float = 0.0) -> dict[str, Allowance]:
    """What the headers of an answer or an error say of ``requests`` and ``tokens``; never raises.

    Read are ``x-ratelimit-limit-requests``, ``x-ratelimit-remaining-tokens`` and so on, and
    ``anthropic-ratelimit-requests-limit`` and so on, in ``source.headers``, ``source.response.headers`` and
    along an error's ``__cause__`` chain. What is no finite, non-negative number is passed over. A reset is a
    span with its units, ``6m0s`` or ``20ms``, or an instant, ``2026-01-27T17:00:00Z``; a bare number is
    passed over, as vendors mean different things by it.

    Args:
        source: An answer or an error, hostile ones included.
        wall: Unix seconds now, to which an instant is compared. One in the past means 0.

    >>> class Answer:
    ...     headers = {"X-RateLimit-Remaining-Tokens": "149000"}
    >>> allowances_of(Answer())
    {'tokens': Allowance(limit=None, remaining=149000.0, reset=None)}
    """
    link: Any = source
    for _ in range(MAX_LINKS):
        for headers in _headers_of(link):
            told = _told(headers, wall)
            if told:
                return told
        link = read(link, "__cause__")
        if link is None:
            break
    return {}


def full_again(source: object, wall: float) -> float:
    """The seconds after which nothing is exhausted any more, or ``inf`` where nothing is told of a reset."""
    resets = [one.reset for one in allowances_of(source, wall).values() if one.reset is not None]
    return max(resets, default=math.inf)


def _headers_of(source: object) -> Iterator[object]:
    for place in _PLACES:
        yield read(source, place)
    yield read(read(source, "response"), "headers")


def _told(headers: object, wall: float) -> dict[str, Allowance]:
    told: dict[str, Allowance] = {}
    if headers is None:
        return told
    try:
        for pair in islice(header_pairs(headers), _MAX_HEADERS):
            name, value = (header_text(part) for part in pair)
            match = None if name is None or value is None else _NAME.match(name.lower())
            if match is None:
                continue
            field = match[1] or match[4]
            number = _seconds(value or "", wall) if field == "reset" else _number(value or "")
            if math.isfinite(number):
                setattr(told.setdefault(match[2] or match[3], Allowance()), field, number)
    except Exception:  # noqa: BLE001 -- whatever a foreign mapping does when it is read, it says nothing
        return {}
    return told


def _number(text: str) -> float:
    return float(text) if text.isascii() and text.isdigit() else math.nan


def _seconds(text: str, wall: float) -> float:
    """The seconds until a reset; nan where it says none."""
    span = _SPAN.match(text)
    if text and span is not None:
        return sum(float(part) * unit for part, unit in zip(span.groups("0"), _UNITS, strict=True))
    try:
        instant = datetime.fromisoformat(text)
    except ValueError:
        return math.nan
    return max(instant.timestamp() - wall, 0.0) if instant.tzinfo is not None else math.nan
