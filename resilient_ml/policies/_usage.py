"""What a call was worth: read from its answer or its error, without any vendor's package."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from .. import _checks
from .._call import Call
from .._classifier import MAX_LINKS, read

_TOTALS = ("total_tokens", "totalTokenCount", "total_token_count")
_PARTS = (("input_tokens", "output_tokens"), ("prompt_tokens", "completion_tokens"))
_MOST = ("max_completion_tokens", "max_output_tokens", "max_tokens", "max_new_tokens")
_NOT_SENT = frozenset(
    {"ConnectionRefusedError", "gaierror", "ConnectError", "ConnectTimeout", "ClientConnectorError"}
    | {"NewConnectionError", "ConnectTimeoutError", "PoolTimeout"}
)


def tokens_used(result: object) -> float | None:
    """How many tokens an answer says that it used, input and output; None where it does not say.

    Read are ``result.usage`` and Google's ``usageMetadata``, as attributes or as a dict's items.
    """
    for place in ("usage", "usageMetadata", "usage_metadata"):
        usage = read(result, place)
        for name in _TOTALS:
            total = amount(read(usage, name))
            if total is not None:
                return total
        for one, other in _PARTS:
            parts = amount(read(usage, one)), amount(read(usage, other))
            if parts[0] is not None and parts[1] is not None:
                return parts[0] + parts[1]
    return None


def most_output(kwargs: dict[str, Any]) -> float | None:
    """The most tokens that a call asks for, where its arguments say so by one of the usual names."""
    for name in _MOST:
        most = amount(kwargs.get(name))
        if most is not None:
            return most
    return None


def amount(value: object) -> float | None:
    """*value*, where it is a number that something can cost: finite and from 0."""
    if isinstance(value, int | float) and not isinstance(value, bool) and 0 <= value < float("inf"):
        return float(value)
    return None


def never_sent(error: BaseException) -> bool:
    """Whether no connection was made, so that the other side has counted nothing."""
    link: Any = error
    for _ in range(MAX_LINKS):
        if any(kind.__name__ in _NOT_SENT for kind in type(link).__mro__):
            return True
        link = read(link, "__cause__")
        if link is None:
            break
    return False


def told_by(call: Call, result: object, usage: Callable[[Any], Any]) -> float | None:
    """What *usage* reads from the result, or from the last item of a stream, where it was kept."""
    told = amount(usage(result))
    if told is None and call.tape is not None and call.tape.kept:
        told = amount(usage(call.tape.kept[-1]))
    return told


def said(name: str, value: object) -> float:
    """What the user's function *name* has returned, which must be a number from 0."""
    number = amount(value)
    if number is None:
        raise TypeError(f"{name} must return a number from 0, got {_checks.shown(value)}; return 0 for none")
    return number
