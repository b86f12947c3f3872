"""Errors, arguments and answers are taken by identity alone: what they say of themselves is never asked."""

from __future__ import annotations

from typing import Any, NoReturn

from .answers import expect_own_error
from .subject import Subject
from .verdicts import BrokenPromise
from .worlds import World

_IDENTITY = "ask only isinstance() and 'is' of the user's objects: no truth, ==, hash(), repr() or len()"


class Asked(Exception):
    """A question that a call must not ask of a user's object."""


def _asked(*args: Any) -> NoReturn:
    raise Asked("a call asked for the truth, equality, hash, length or text of a user's object")


class Hostile:
    """An object that answers no question about itself."""

    def __bool__(self) -> bool:
        return _asked(self)

    def __len__(self) -> int:
        return _asked(self)

    def __eq__(self, other: object) -> bool:
        return _asked(self, other)

    def __ne__(self, other: object) -> bool:
        return _asked(self, other)

    def __hash__(self) -> int:
        return _asked(self)

    def __repr__(self) -> str:
        return _asked(self)

    def __str__(self) -> str:
        return _asked(self)

    def __format__(self, spec: str) -> str:
        return _asked(self, spec)


class Falsy(Exception):
    """An error that is false."""

    def __bool__(self) -> bool:
        return False


class Empty(ConnectionError):
    """A transient error that is empty."""

    def __len__(self) -> int:
        return 0


class EqualToAll(ConnectionError):
    """A transient error that is equal to everything."""

    def __eq__(self, other: object) -> bool:
        return True

    def __hash__(self) -> int:
        raise TypeError("what is equal to everything has no hash")


class HostileError(Hostile, Exception):
    """An error that answers no question about itself."""


class HostileTransientError(HostileError, ConnectionError):
    """The same, and worth another attempt."""


def strange_errors(subject: Subject, world: World) -> None:
    """Errors that are false, empty, equal to all or answer no question come out as they are."""
    for kind in (Falsy, Empty, EqualToAll, HostileError, HostileTransientError):
        _one_error(subject, world, kind)


def _one_error(subject: Subject, world: World, kind: type[Exception]) -> None:
    raised: list[Exception] = []

    def act(*args: Any, **kwargs: Any) -> Any:
        raised.append(kind())
        raise raised[-1]

    guarded = subject.fresh(world.model(act))
    end = world.end(lambda: subject.call(guarded))
    try:
        expect_own_error(subject, end, raised, f"an error of class {kind.__name__}")
    except BrokenPromise as broken:
        raise BrokenPromise(broken.seen, _IDENTITY) from None


def strange_objects(subject: Subject, world: World) -> None:
    """Arguments, answers and items that answer no question about themselves pass."""
    given, answered = Hostile(), Hostile()
    got: list[Any] = []

    def act(*args: Any, **kwargs: Any) -> Any:
        got.extend(args)
        return subject.answer() if subject.answer_is_given else answered

    guarded = subject.fresh(world.model(act))
    end = world.end(lambda: subject.call(guarded, given))
    if end.error is not None:
        raise BrokenPromise(
            f"a call with an object that answers no question about itself ended in {end.kind}", _IDENTITY
        )
    if not subject.answer_is_given and end.value is not answered:
        raise BrokenPromise("an answer that answers no question about itself came out as another", _IDENTITY)
