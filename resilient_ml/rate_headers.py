"""What a provider's headers say about its rate limits."""

from __future__ import annotations

import math
import re
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice
from typing import Any

from ._classifier import MAX_LINKS, read
from .retry_after import header_pairs, header_text

__all__ = ["Allowance", "allowances_of"]

_MAX_HEADERS = 256
_NAME = re.compile(
    r"(?:x|anthropic)-ratelimit-(?:(limit|remaining)-(requests|tokens)|(requests|tokens)-(limit|remaining))\Z"
)
_PLACES = ("headers", "response_headers", "_response_headers")


@dataclass(slots=True)
class Allowance:
    """What was told of one limit.

    Attributes:
        limit: How much is allowed in a window, or None.
        remaining: How much of it is left, or None.
    """

    limit: float | None = None
    remaining: float | None = None


def allowances_of(source: object) -> dict[str, Allowance]:
    """What the headers of an answer or an error say of ``requests`` and ``tokens``; never raises.

    Read are ``x-ratelimit-limit-requests``, ``x-ratelimit-remaining-tokens`` and so on, and
    ``anthropic-ratelimit-requests-limit`` and so on, in ``source.headers``, ``source.response.headers`` and
    along an error's ``__cause__`` chain. What is no finite, non-negative number is passed over.

    >>> class Answer:
    ...     headers = {"X-RateLimit-Remaining-Tokens": "149000"}
    >>> allowances_of(Answer())
    {'tokens': Allowance(limit=None, remaining=149000.0)}
    """
    link: Any = source
    for _ in range(MAX_LINKS):
        for headers in _headers_of(link):
            told = _told(headers)
            if told:
                return told
        link = read(link, "__cause__")
        if link is None:
            break
    return {}


def _headers_of(source: object) -> Iterator[object]:
    for place in _PLACES:
        yield read(source, place)
    yield read(read(source, "response"), "headers")


def _told(headers: object) -> dict[str, Allowance]:
    told: dict[str, Allowance] = {}
    if headers is None:
        return told
    try:
        for pair in islice(header_pairs(headers), _MAX_HEADERS):
            name, value = (header_text(part) for part in pair)
            match = None if name is None or value is None else _NAME.match(name.lower())
            number = math.nan if match is None else _number(value or "")
            if match is not None and math.isfinite(number):
                allowance = told.setdefault(match[2] or match[3], Allowance())
                setattr(allowance, match[1] or match[4], number)
    except Exception:  # noqa: BLE001 -- whatever a foreign mapping does when it is read, it says nothing
        return {}
    return told


def _number(text: str) -> float:
    return float(text) if text.isascii() and text.isdigit() else math.nan
