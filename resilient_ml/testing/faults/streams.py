"""Faults of streams: cuts, silent truncation, stalls, items that come twice, not at all, or garbled."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from typing import Any

from ... import _checks
from .case import Case
from .delays import drawn, length
from .distributions import Distribution
from .fault import OnStream
from .raising import made, maker, named
from .steps import End, Give, Hang, Raise, Sleep, Step


def _items(name: str, given: int | range, least: int) -> int | range:
    """A number of items, or the range that each call draws its own from."""
    if not isinstance(given, range):
        return _checks.whole(
            name, given, at_least=least, remedy="pass a number of items, or a range to draw from"
        )
    if not given or min(given) < least:
        raise ValueError(f"{name} must draw from {least} on, got {given!r}; pass range({least}, 10), say")
    return given


def _drawn_once(given: int | range, case: Case) -> int:
    """The number of this call, the same at each of its items."""
    if not isinstance(given, range):
        return given
    if case.kept is None:
        case.kept = given[case.draws.below(len(given))]
    number: int = case.kept
    return number


@dataclass(frozen=True, repr=False)
class _Cut(OnStream):
    after: int | range
    make: Callable[[], BaseException]
    what: str | None

    def title(self) -> str:
        error = "" if self.what is None else f", {self.what}"
        return f"cut(after={self.after}{error})"

    def item(self, case: Case, index: int, item: Any) -> Iterator[Step]:
        if index == _drawn_once(self.after, case) and case.strike():
            yield Raise(partial(made, self.make, self.title()))
        yield Give(item)

    def tail(self, case: Case) -> Iterator[Step]:
        if case.index == _drawn_once(self.after, case) and case.strike():
            yield Raise(partial(made, self.make, self.title()))


def cut(
    after: int | range = 1, error: type[BaseException] | Callable[[], BaseException] | str | None = None
) -> OnStream:
    """The stream breaks in its middle; one of fewer items ends well.

    Args:
        after: How many items come first, from 0; or a range that each call draws from.
        error: What it breaks with: an exception class, a function that makes one, or a kind; by default the
            connection is reset.

    >>> from resilient_ml.testing import faults
    >>> def tokens():
    ...     yield from "abc"
    >>> next(faults.inject(tokens, faults.cut(0))())
    Traceback (most recent call last):
    ConnectionResetError: [Errno 104] Connection reset by peer
    """
    what = None if error is None else named(error)
    return _Cut(
        _items("after", after, 0),
        maker("error", "connection" if error is None else error),
        what,
        called="cut",
    )


@dataclass(frozen=True, repr=False)
class _Truncated(OnStream):
    after: int | range

    def item(self, case: Case, index: int, item: Any) -> Iterator[Step]:
        # An item too many has come: only now is it known that this one had more.
        yield End() if index == _drawn_once(self.after, case) and case.strike() else Give(item)


def truncated(after: int | range = 1) -> OnStream:
    """The stream ends after so many items, as if that were all: no error tells.

    Args:
        after: How many items come, from 0; or a range that each call draws from.

    >>> from resilient_ml.testing import faults
    >>> def tokens():
    ...     yield from "abc"
    >>> list(faults.inject(tokens, faults.truncated(2))())
    ['a', 'b']
    """
    return _Truncated(_items("after", after, 0), called="truncated")


@dataclass(frozen=True, repr=False)
class _Stalled(OnStream):
    seconds: float | Distribution | None = None
    at: int | range | None = 0

    def item(self, case: Case, index: int, item: Any) -> Iterator[Step]:
        if (self.at is None or index == _drawn_once(self.at, case)) and case.strike():
            yield self._pause(case)
        yield Give(item)

    def tail(self, case: Case) -> Iterator[Step]:
        if self.at is not None and case.index == _drawn_once(self.at, case) and case.strike():
            yield self._pause(case)

    def _pause(self, case: Case) -> Step:
        if self.seconds is None:
            return Hang(f"call {case.number} of {case.target.name!r}")
        return Sleep(drawn(self.seconds, case))


def stall(seconds: float | Distribution | None = None, *, at: int | range | None = 0) -> OnStream:
    """The stream stops emitting for a while, or for good.

    Args:
        seconds: For how long: a number, or a distribution; None until it is cancelled or let go, as
            :func:`hang`.
        at: Before which item, from 0: 0 is before the first, the number of items before the end; or a range
            that each call draws from; None before every item.
    """
    return _Stalled(
        None if seconds is None else length("seconds", seconds),
        None if at is None else _items("at", at, 0),
        called="stall",
    )


@dataclass(frozen=True, repr=False)
class _OnItems(OnStream):
    """Strikes items one by one."""

    share: float = 0.1

    def item(self, case: Case, index: int, item: Any) -> Iterator[Step]:
        if case.draws.uniform() < self.share and case.strike():
            yield from self.struck(item)
        else:
            yield Give(item)

    def struck(self, item: Any) -> Iterator[Step]:
        """What comes in place of *item*: nothing."""
        yield from ()


@dataclass(frozen=True, repr=False)
class _Repeated(_OnItems):
    def struck(self, item: Any) -> Iterator[Step]:
        yield Give(item)
        yield Give(item)


@dataclass(frozen=True, repr=False)
class _Garbled(_OnItems):
    garble: Callable[[Any], Any] | None = None

    def struck(self, item: Any) -> Iterator[Step]:
        yield Give(garbled(item) if self.garble is None else self.garble(item))


def garbled(item: Any) -> Any:
    r"""What is left of an item whose second half is lost.

    >>> garbled('{"token": "a"}'), garbled(b"abcd"), garbled({"token": "a"})
    ('{"token\ufffd', b'ab\xff', {})
    """
    if isinstance(item, str):
        return item[: len(item) // 2] + "\N{REPLACEMENT CHARACTER}"
    if isinstance(item, bytes):
        return item[: len(item) // 2] + b"\xff"
    return {} if isinstance(item, dict) else None


def duplicate_items(share: float = 0.1) -> OnStream:
    """Items of the stream come twice.

    Args:
        share: How likely each is struck, above 0 and at most 1.

    >>> from resilient_ml.testing import faults
    >>> def tokens():
    ...     yield from "abc"
    >>> list(faults.inject(tokens, faults.duplicate_items(share=1.0))())
    ['a', 'a', 'b', 'b', 'c', 'c']
    """
    return _Repeated(_share(share), called="duplicate_items")


def lost_items(share: float = 0.1) -> OnStream:
    """Items of the stream are missing.

    Args:
        share: How likely each is struck, above 0 and at most 1.
    """
    return _OnItems(_share(share), called="lost_items")


def malformed_items(share: float = 0.1, garble: Callable[[Any], Any] | None = None) -> OnStream:
    """Items of the stream are garbled: text and bytes lose their second half, dicts all, others are None.

    Args:
        share: How likely each is struck, above 0 and at most 1.
        garble: Instead, a function that gives what comes in place of an item.
    """
    if garble is not None:
        _checks.function("garble", garble, remedy="pass a function that gives what comes in place of an item")
    return _Garbled(_share(share), garble, called="malformed_items")


def _share(share: float) -> float:
    return _checks.share("share", share, remedy="0.1 strikes one item in ten, on average")
