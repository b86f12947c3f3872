"""How long a server asks to be left alone, read from the error that carries its answer."""

from __future__ import annotations

import math
from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from itertools import islice
from typing import Any

from ._classifier import MAX_LINKS, read

__all__ = ["header_pairs", "header_text", "retry_after_of"]

_MAX_CHARS = 64
_MAX_HEADERS = 256
_MAX_DETAILS = 16

# Header -> seconds per unit, the finer first. The millisecond forms are OpenAI's and Azure's. Names like
# x-ratelimit-reset are left out: they come with good answers too, and their units differ by vendor.
_HEADERS = {"retry-after-ms": 0.001, "x-ms-retry-after-ms": 0.001, "retry-after": 1.0}

_MONTHS = dict(
    zip(
        ("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec"),
        range(1, 13),
        strict=True,
    )
)


def retry_after_of(error: BaseException, wall: float) -> float | None:
    """Return the seconds a server asked to wait before another try, or None; never raises.

    Looked for at the error, then along its ``__cause__`` chain, 8 links at most, in this order: the attribute
    ``retry_after`` (a number, a timedelta or a header's text), then the headers ``retry-after-ms``,
    ``x-ms-retry-after-ms`` and ``retry-after`` (seconds or an HTTP date) in ``error.headers``,
    ``error.response.headers`` and botocore's response dict, then a google.rpc.RetryInfo in the JSON that
    Google's clients keep as ``error.details``. What is no finite, non-negative time is passed over; capping
    a long one is the caller's decision.

    Args:
        error: Any exception, hostile ones included.
        wall: Unix seconds now, to which a date is compared. A date in the past means 0.

    >>> error = ConnectionError()
    >>> error.headers = {"Retry-After": "Fri, 31 Dec 1999 23:59:59 GMT"}
    >>> retry_after_of(error, wall=946684779.0)
    20.0

    Source: RFC 9110, sections 10.2.3 (Retry-After) and 5.6.7 (dates), 2022.
    """
    link: object = error
    for _ in range(MAX_LINKS):
        seconds = _of_link(link, wall)
        if seconds is not None:
            return seconds
        link = read(link, "__cause__")
        if link is None:
            break
    return None


def _of_link(error: object, wall: float) -> float | None:
    seconds = _of_attribute(read(error, "retry_after"), wall)
    if seconds is not None:
        return seconds
    response = read(error, "response")
    for headers in (
        read(error, "headers"),
        read(response, "headers"),
        read(read(response, "ResponseMetadata"), "HTTPHeaders"),
    ):
        sent = {} if headers is None else _asked_for(headers)
        for name, unit in _HEADERS.items():
            seconds = _of_text(sent.get(name), wall, unit)
            if seconds is not None:
                return seconds
    return _of_retry_info(read(read(read(error, "details"), "error"), "details"))


def _of_retry_info(details: object) -> float | None:
    """Return the first ``"retryDelay": "37s"`` among decoded error details."""
    if type(details) is not list:
        return None
    for detail in details[:_MAX_DETAILS]:
        text = header_text(read(detail, "retryDelay"))
        if text is not None and text.endswith("s") and (seconds := _plain_number(text[:-1])) is not None:
            return _checked(seconds)
    return None


def _of_attribute(value: Any, wall: float) -> float | None:
    kind = type(value)
    if kind is bool:
        return None
    try:
        if issubclass(kind, int):
            return _checked(float(int.__index__(value)))
        if issubclass(kind, float):
            return _checked(float.__float__(value))
    except OverflowError:
        return None
    if issubclass(kind, timedelta):
        return _checked(timedelta.total_seconds(value))
    return _of_text(header_text(value), wall, 1.0)


def _asked_for(headers: object) -> dict[str, str]:
    """Return those of the headers that speak of waiting; the first of equal names counts."""
    sent: dict[str, str] = {}
    try:
        for pair in islice(header_pairs(headers), _MAX_HEADERS):
            name, value = (header_text(part) for part in pair)
            if name is not None and value is not None and name.lower() in _HEADERS:
                sent.setdefault(name.lower(), value)
    except Exception:  # noqa: BLE001 -- whatever a foreign mapping does when it is read, it says nothing
        return {}
    return sent


def header_pairs(headers: Any) -> Iterable[Any]:
    """Return the pairs of name and value of a mapping, or of a list of pairs; reading them may raise."""
    if issubclass(type(headers), dict):
        return dict.items(headers)  # not the subclass's own items
    pairs: Iterable[Any] = headers if type(headers) is list or type(headers) is tuple else headers.items()
    return pairs


def header_text(value: Any) -> str | None:
    """Return short text as plain ``str``: some libraries subclass it for header names, others send bytes."""
    if issubclass(type(value), str) and str.__len__(value) <= _MAX_CHARS:
        return str.__str__(value).strip()
    if issubclass(type(value), bytes) and bytes.__len__(value) <= _MAX_CHARS:
        return bytes.decode(value, "latin-1").strip()
    return None


def _of_text(text: str | None, wall: float, unit: float) -> float | None:
    if text is None:
        return None
    number = _plain_number(text)
    if number is not None:
        return _checked(number * unit)
    if unit != 1.0:
        return None
    instant = _instant_of(text, wall)
    return None if instant is None else _checked(max(instant - wall, 0.0))


def _checked(seconds: float) -> float | None:
    return seconds if math.isfinite(seconds) and seconds >= 0.0 else None


def _plain_number(text: str) -> float | None:
    whole, point, part = text.partition(".")
    return float(text) if _is_digits(whole) and (_is_digits(part) or not point) else None


def _is_digits(text: str) -> bool:
    return text.isascii() and text.isdigit()


def _instant_of(text: str, wall: float) -> float | None:
    """Return an HTTP date, in any of its three forms, as unix seconds.

    ``Sun, 06 Nov 1994 08:49:37 GMT``, ``Sunday, 06-Nov-94 08:49:37 GMT`` and ``Sun Nov  6 08:49:37 1994``.
    """
    match text.lower().replace(",", " ").replace("-", " ").split():
        case [_, day, month, year, clock, "gmt" | "utc"]:
            pass
        case [_, month, day, clock, year]:
            pass
        case _:
            return None
    numbers = [day, year, *clock.split(":")]
    if len(numbers) != 5 or month not in _MONTHS or not all(map(_is_digits, numbers)):
        return None
    days, years, hours, minutes, seconds = map(int, numbers)
    try:
        if len(year) == 2:
            years = _century(years, datetime.fromtimestamp(wall, UTC).year)
        return datetime(years, _MONTHS[month], days, hours, minutes, seconds, tzinfo=UTC).timestamp()
    except (ValueError, OverflowError, OSError):  # the 31st of February; or a wall clock beyond the calendar
        return None


def _century(year: int, now: int) -> int:
    """Return the year that two digits mean: one that looks more than 50 years ahead is a century back."""
    full = now - now % 100 + year
    return full - 100 if full > now + 50 else full
