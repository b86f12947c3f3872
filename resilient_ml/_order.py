"""Orders of policies that are known to hurt, each with the reason."""

from __future__ import annotations

import sys
import warnings
from collections.abc import Callable, Iterator, Sequence
from typing import Any

from ._policy import Policy

_RETRY_LIBRARIES = ("tenacity", "stamina", "backoff", "retrying", "retry", "redress")

_CHARGED = (("rate_limiter", "rate limit"), ("budget", "Budget"))
_PAIRS = (
    *(
        (role, within, f"a {name} outside a {what} is charged once for all its attempts; put it inside")
        for role, name in _CHARGED
        for within, what in (("retry", "Retry"), ("hedge", "Hedge"))
    ),
    *(
        (role, within, f"a {what} inside a {name} is charged for answers that cost nothing; put it outside")
        for role, name in _CHARGED
        for within, what in (("cache", "Cache"), ("coalesce", "Coalesce"))
    ),
    (
        "throttle",
        "retry",
        "a Throttle outside a Retry counts one call for several that the model refused; put it inside",
    ),
    (
        "breaker",
        "fallback",
        (
            "a Fallback inside a CircuitBreaker hides every failure from it, so that it never opens; "
            "put the Fallback outside"
        ),
    ),
    (
        "breaker",
        "retry",
        (
            "a Retry inside a CircuitBreaker shows it one failure for several, and goes on calling a "
            "model that the breaker would have held back; put the Retry outside"
        ),
    ),
)
"""The role outside, the role inside, and what is wrong with that."""

_SEE_ANSWERS = (
    ("cache", "a Contract outside a Cache lets it keep answers that break it; put it inside"),
    ("retry", "a Contract outside a Retry has no attempt made for an answer that breaks it; put it inside"),
    ("hedge", "a Contract outside a Hedge lets an answer that breaks it win; put it inside"),
    ("breaker", "a Contract outside a CircuitBreaker hides from it that answers break it; put it inside"),
    (
        "fallback",
        "a Contract outside a Fallback has no fallback asked for an answer that breaks it; put it inside",
    ),
)
"""What a Contract belongs inside of. A second one may stand outside, for the answers of fallbacks say."""


class PolicyOrderWarning(UserWarning):
    """A pipeline whose order is known to hurt."""


def warn(complaint: str) -> None:
    """Warn where the user's code is, however deep in this package the order was found out."""
    depth = 2
    frame = sys._getframe(1)
    package = __name__.partition(".")[0]
    while frame.f_back is not None and frame.f_globals.get("__name__", "").partition(".")[0] == package:
        frame = frame.f_back
        depth += 1
    warnings.warn(complaint, PolicyOrderWarning, stacklevel=depth)


def complaints(policies: Sequence[Policy]) -> Iterator[str]:
    """What is wrong with the order of *policies*, outermost first."""
    for position, outer in enumerate(policies):
        inside = [policy.role for policy in policies[position + 1 :]]
        if outer.role == "timeout" and "limiter" in inside:
            last = len(inside) - 1 - inside[::-1].index("limiter")
            if "timeout" not in inside[last:]:
                yield (
                    "a Timeout outside a limiter counts the time in its queue as the model's; put a Timeout "
                    "inside the limiter, and keep the outer one for the whole call if you need it"
                )
        if outer.role == "contract" and "contract" not in inside:
            yield from (complaint for within, complaint in _SEE_ANSWERS if within in inside)
        for role, within, complaint in _PAIRS:
            if outer.role == role and within in inside:
                yield complaint


def foreign_retry(fn: Callable[..., Any]) -> str | None:
    """The name of another library whose retry already wraps *fn*, or None."""
    seen: Any = getattr(fn, "__func__", fn)
    for _ in range(32):
        known = getattr(seen, "__globals__", None)  # of a remote method, whatever has that name over there
        module = known.get("__name__", "") if isinstance(known, dict) else ""
        library = module.partition(".")[0] if isinstance(module, str) else ""
        if library in _RETRY_LIBRARIES:
            return library
        inner = getattr(seen, "__wrapped__", None)
        if inner is None or inner is seen:
            return None
        seen = inner
    return None


def foreign_complaint(library: str) -> str:
    """Why a Retry around another library's retry hurts."""
    return (
        f"a Retry outside {library}'s retry multiplies the attempts of both; keep one of them, "
        "and the one that has the budget and the deadline is the better one"
    )
