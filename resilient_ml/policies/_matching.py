"""Which errors a policy acts on: given as exception types, kinds or a predicate."""

from __future__ import annotations

from collections.abc import Callable, Iterable

from .. import _checks
from ..kinds import Kind

ErrorMatch = (
    type[Exception] | Kind | str | Iterable[type[Exception] | Kind | str] | Callable[[Exception], bool]
)
"""An exception type, a kind, several of either, or a predicate on the exception."""

_KINDS = frozenset(Kind)

Matches = Callable[[Exception, Kind], bool]


def match_errors(parameter: str, given: ErrorMatch | None, default: Matches) -> Matches:
    """*given* as one function of the error and its kind; *default* decides when nothing is given."""
    if given is None:
        return default
    if callable(given) and not isinstance(given, type):
        predicate = given
        return lambda error, kind: predicate(error)
    several = given if isinstance(given, Iterable) and not isinstance(given, str | type) else (given,)
    types: list[type[Exception]] = []
    kinds: set[Kind] = set()
    for one in several:
        if isinstance(one, type) and issubclass(one, Exception):
            types.append(one)
        elif isinstance(one, str) and one in _KINDS:
            kinds.add(Kind(one))
        else:
            raise TypeError(
                f"{parameter} must hold subclasses of Exception or kinds, got {_checks.shown(one)}; "
                "cancellation and interrupts always pass through, and kinds are listed in resilient_ml.Kind"
            )
    if not types and not kinds:
        raise ValueError(f"{parameter} must not be empty; leave it out for the default")
    matched = tuple(types)
    return lambda error, kind: kind in kinds or isinstance(error, matched)
