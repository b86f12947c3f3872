"""Where an argument stands that a user has named, by its name or its position."""

from __future__ import annotations

import inspect
from typing import Any

from .._call import Call

_MOST_FUNCTIONS = 256
_ANY = "**"
_OWN = ("self", "cls")

Where = int | str
Place = str | int


class Arguments:
    """Finds arguments of the functions that one policy guards.

    Positions count from 0 and leave out ``self`` and ``cls``, so that 0 is the first thing a caller passes.
    """

    __slots__ = ("_known",)

    def __init__(self) -> None:
        self._known: dict[int, tuple[Any, int, dict[str, int]]] = {}

    def find(self, call: Call, place: Place) -> Where | None:
        """Where the argument is in this call, an index or a name; None where its default holds."""
        if isinstance(place, str):
            if place in call.kwargs:
                return place
            _, _, places = self._of(call.fn)
            at = places.get(place, -1)
        else:
            _, first, places = self._of(call.fn)
            at = place + first
            if at >= len(call.args):
                return next((name for name, one in places.items() if one == at and name in call.kwargs), None)
        return at if 0 <= at < len(call.args) else None

    def check(self, fn: Any, place: Place, parameter: str, target: str) -> None:
        """Refuse a name that is no argument of *fn*.

        Raises:
            TypeError: There is none.
        """
        if not isinstance(place, str):
            return
        _, _, places = self._of(fn)
        if place not in places and _ANY not in places:
            raise TypeError(
                f"{parameter} names {place!r}, and {target!r} has no such argument; it has "
                + (", ".join(repr(one) for one in places) or "none")
            )

    def _of(self, fn: Any) -> tuple[Any, int, dict[str, int]]:
        """How many own arguments come first, and the position of each name, -1 where it has none."""
        known = self._known.get(id(fn))
        if known is None or known[0] is not fn:
            known = (fn, *_places(fn))
            if len(self._known) < _MOST_FUNCTIONS:
                self._known[id(fn)] = known  # holds the function, so that its number stays its own
        return known


def value_at(call: Call, where: Where) -> Any:
    """The argument."""
    return call.args[where] if isinstance(where, int) else call.kwargs[where]


def put_at(call: Call, where: Where, value: Any) -> None:
    """Another value for the argument, for whoever is inside."""
    if isinstance(where, int):
        call.args = (*call.args[:where], value, *call.args[where + 1 :])
    else:
        call.kwargs = {**call.kwargs, where: value}


def _places(fn: Any) -> tuple[int, dict[str, int]]:
    try:
        parameters = list(inspect.signature(fn).parameters.values())
    except (TypeError, ValueError):  # a builtin that does not tell
        return 0, {_ANY: -1}
    found: dict[str, int] = {}
    for at, one in enumerate(parameters):
        if one.kind is one.VAR_KEYWORD:
            found[_ANY] = -1
        elif one.kind is one.KEYWORD_ONLY:
            found[one.name] = -1
        elif one.kind is not one.VAR_POSITIONAL:
            found[one.name] = at
    return int(bool(parameters) and parameters[0].name in _OWN), found
