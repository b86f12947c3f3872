"""Exceptions that hurt whoever handles them carelessly: falsy, lying, huge, cyclic, or grouped."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any, NoReturn

from ... import _checks
from .raising import Error, What, maker, named


class FalsyError(Exception):
    """An exception that is false, empty, and equal to everything."""

    def __bool__(self) -> bool:
        return False

    def __len__(self) -> int:
        return 0

    def __eq__(self, other: object) -> bool:
        return True

    def __hash__(self) -> int:
        return 0


class LyingError(Exception):
    """An exception that says it is a ``KeyboardInterrupt``."""

    __class__: Any = KeyboardInterrupt


class UnprintableError(Exception):
    """An exception whose text cannot be had."""

    def __repr__(self) -> NoReturn:
        raise RuntimeError("this exception has no repr")

    def __str__(self) -> NoReturn:
        raise RuntimeError("this exception has no repr")


class HugeError(Exception):
    """An exception with a very long text."""

    def __init__(self, megabytes: float = 50.0) -> None:
        super().__init__(megabytes)
        self.megabytes = megabytes

    def __repr__(self) -> str:
        return "x" * int(self.megabytes * 1_000_000)

    __str__ = __repr__


def falsy_error() -> Error:
    """An exception that is false, has no length and equals everything: ``if error:`` misses it."""
    return Error(FalsyError, "", called="falsy_error")


def lying_error() -> Error:
    """An exception whose ``__class__`` is another: ``isinstance`` takes it for a ``KeyboardInterrupt``."""
    return Error(LyingError, "", called="lying_error")


def unprintable_error() -> Error:
    """An exception whose ``str`` and ``repr`` raise: whoever logs it fails."""
    return Error(UnprintableError, "", called="unprintable_error")


def huge_error(megabytes: float = 50.0) -> Error:
    """An exception whose ``str`` and ``repr`` are very long: whoever keeps them pays.

    Args:
        megabytes: How long, in millions of characters.
    """
    size = _checks.seconds("megabytes", megabytes, remedy="pass millions of characters")
    return Error(partial(HugeError, size), f"{size:g}", called="huge_error")


def error_group(*members: What) -> Error:
    """An exception group.

    Args:
        members: What is in it: exception classes, functions that make one, or kinds; two kinds by default,
            one that may be retried and one that may not.

    >>> from resilient_ml.testing import faults
    >>> print(faults.error_group(ConnectionError, "auth"))
    error_group(ConnectionError, 'auth')
    """
    given: tuple[What, ...] = members or ("connection", "bad_input")
    makers = tuple(maker("members", member) for member in given)
    return Error(partial(_group, makers), ", ".join(map(named, given)), called="error_group")


def _group(makers: tuple[Callable[[], BaseException], ...]) -> BaseException:
    return BaseExceptionGroup("several things went wrong", [make() for make in makers])


def cyclic_causes() -> Error:
    """An exception that is, at two removes, its own cause: whoever follows causes never ends."""
    return Error(_cycle, "", called="cyclic_causes")


def _cycle() -> BaseException:
    first, second = RuntimeError("caused by the second"), RuntimeError("caused by the first")
    first.__cause__, second.__cause__ = second, first
    return first


def huge_notes(count: int = 10_000) -> Error:
    """An exception with very many notes.

    Args:
        count: How many, from 1.
    """
    count = _checks.whole("count", count, at_least=1, remedy="pass how many notes it has")
    return Error(partial(_noted, count), f"{count}", called="huge_notes")


def _noted(count: int) -> BaseException:
    error = RuntimeError("something went wrong")
    for number in range(count):
        error.add_note(f"note {number}: " + "x" * 100)
    return error
