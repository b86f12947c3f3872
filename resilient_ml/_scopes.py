"""A number for each function, so that two that share a policy are told apart."""

from __future__ import annotations

import itertools
import threading
import weakref
from typing import Any

from . import _checks
from ._forks import survive_forks

_Known = tuple[weakref.ref[Any], int]


class Scopes:
    """Numbers functions; a method by itself and the object that it is bound to.

    Nothing is kept alive: a function that is gone takes its number with it, and that is never given again.
    """

    __slots__ = ("__weakref__", "_known", "_lock", "_numbers", "_pairs")

    def __init__(self) -> None:
        self._known: dict[int, _Known] = {}
        self._pairs: dict[tuple[int, int], int] = {}
        self._numbers = itertools.count(1)
        self._lock = threading.RLock()
        survive_forks(self)

    def of(self, fn: Any) -> int:
        """The number of *fn*.

        Raises:
            TypeError: It cannot be told whether it is still there.
        """
        known = self._known.get(id(fn))
        if known is not None and known[0]() is fn:
            return known[1]
        owner = getattr(fn, "__self__", None)
        function = getattr(fn, "__func__", None)
        if owner is None or function is None:
            return self._number(fn)
        # A bound method is made anew each time that it is looked up.
        pair = (self._number(function), self._number(owner))
        number = self._pairs.get(pair)
        if number is None:
            with self._lock:
                number = self._pairs.setdefault(pair, next(self._numbers))
        return number

    def all(self) -> list[int]:
        """Every number that may still be in use."""
        with self._lock:
            return [number for _, number in self._known.values()] + list(self._pairs.values())

    def _number(self, thing: Any) -> int:
        known = self._known.get(id(thing))
        if known is not None and known[0]() is thing:
            return known[1]
        number = next(self._numbers)
        place = id(thing)
        try:
            ref = weakref.ref(thing, lambda _: self._forget(place, number))
        except TypeError:
            raise TypeError(
                f"a cache cannot tell {_checks.shown(thing)} from what comes after it in memory, as it takes "
                "no weak references; add '__weakref__' to its __slots__, or guard a function that calls it"
            ) from None
        with self._lock:
            known = self._known.get(place)
            if known is not None and known[0]() is thing:
                return known[1]
            self._known[place] = (ref, number)
        return number

    def _forget(self, place: int, number: int) -> None:
        with self._lock:
            known = self._known.get(place)
            if known is not None and known[1] == number:
                del self._known[place]
            for pair in [pair for pair in self._pairs if number in pair]:
                del self._pairs[pair]

    def after_fork(self) -> None:
        """The lock may have been held by a thread that is gone."""
        self._lock = threading.RLock()
