"""Whatever a function says of an answer."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from .. import _checks
from .rule import Action, Bools, Part, Rule


class Check(Rule):
    """An answer is what a function says is good.

    Args:
        function: Takes the answer, or one row or chunk of it; True if it is good, False, or a text that says
            what is wrong. An error that it raises counts as wrong.
        rows: Takes all rows at once in its place; bool, shape (rows,), True where good. Only asked where the
            contract is told that answers have rows.
        then, of, repair, name: As for :class:`Rule`; the name of the function by default.

    >>> Check(lambda price: price < 1000 or "is dearer than a car", name="price").flaw(5000)
    'is dearer than a car'
    """

    def __init__(
        self,
        function: Callable[[Any], Any],
        *,
        rows: Callable[[Any], Any] | None = None,
        then: Action | None = None,
        of: Part = None,
        repair: Callable[[Any], Any] | None = None,
        name: str | None = None,
    ) -> None:
        _checks.function("function", function, remedy="pass a function of the answer")
        super().__init__(
            then=then,
            of=of,
            repair=repair,
            name=name or getattr(function, "__name__", type(function).__name__),
        )
        self._function = function
        self._rows = (
            None if rows is None else _checks.function("rows", rows, remedy="pass a function of all rows")
        )

    def flaw(self, value: Any) -> str | None:
        """What the function says."""
        try:
            said = self._function(value)
            if isinstance(said, str):
                return said or "is not good"
            return None if said else "is not good"
        except Exception as error:  # noqa: BLE001 - what it cannot judge is not what it should be
            return f"could not be checked: {type(error).__name__}"

    def bad_rows(self, rows: Any) -> Bools | None:
        """What the function says of each, or of all."""
        if self._rows is None:
            return super().bad_rows(rows)
        try:
            good = np.asarray(self._rows(rows), dtype=np.bool_)
        except Exception:  # noqa: BLE001 - as above
            return np.ones(len(rows), dtype=np.bool_)
        if good.shape != (len(rows),):
            return np.ones(len(rows), dtype=np.bool_)
        return None if good.all() else ~good
