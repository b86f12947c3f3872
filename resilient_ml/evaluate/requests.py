"""Requests: what the clients of an evaluation ask for, in whatever form the user has it."""

from __future__ import annotations

import inspect
import itertools
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from .. import _checks


@dataclass(frozen=True, slots=True)
class Request:
    """One request: what the model is called with, and what is known about the right answer.

    Attributes:
        args: Positional arguments.
        kwargs: Keyword arguments.
        label: What the answer should be; None where nobody knows.
        group: Whose request it is, such as a tenant, for fairness; None for nobody's in particular.

    >>> Request(("a fine film",), label="positive", group="acme").label
    'positive'
    """

    args: tuple[Any, ...]
    kwargs: Mapping[str, Any] = field(default_factory=dict)
    label: Any = None
    group: str | None = None


def request_of(item: Any) -> Request:
    """Read what a user gave for one request.

    | item                    | is called as             |
    | ----------------------- | ------------------------ |
    | a :class:`Request`      | as it says               |
    | ``((a, b), label)``     | ``model(a, b)``, labelled |
    | another tuple ``(a, b)`` | ``model(a, b)``         |
    | anything else           | ``model(item)``          |

    >>> request_of(((2, 3), 5))
    Request(args=(2, 3), kwargs={}, label=5, group=None)
    >>> request_of("fine").args
    ('fine',)
    """
    if isinstance(item, Request):
        return item
    if isinstance(item, tuple):
        if len(item) == 2 and isinstance(item[0], tuple):
            return Request(item[0], label=item[1])
        return Request(item)
    return Request((item,))


class Source:
    """As many requests as are asked for: an iterable starts again at its end, a function is asked by number.

    Args:
        given: An iterable of items (see :func:`request_of`), a function of the request's number, from 0, or a
            function without parameters that returns an iterable.

    Raises:
        TypeError: *given* is neither.
        ValueError: An iterable holds nothing.

    >>> [request.args for request in Source(["a", "b"]).take(3)]
    [('a',), ('b',), ('a',)]
    """

    def __init__(self, given: Iterable[Any] | Callable[..., Any]) -> None:
        self._ask: Callable[[int], Any] | None = None
        self._more: Iterator[Any] = iter(())
        self._seen: list[Request] = []
        if callable(given) and not isinstance(given, Iterable):
            if _takes_a_number(given):
                self._ask = given
                return
            given = given()
        if isinstance(given, str | bytes) or not isinstance(given, Iterable):
            raise TypeError(
                f"requests must be an iterable or a function, got {_checks.shown(given)}; "
                "pass a list of what the model is called with, or a function of the request's number"
            )
        self._more = iter(given)

    def take(self, count: int) -> tuple[Request, ...]:
        """The first *count* requests, the same each time."""
        if self._ask is not None:
            try:
                return tuple(request_of(self._ask(number)) for number in range(count))
            except Exception as error:
                error.add_note("requests: a function is asked for each request by its number, from 0")
                raise
        self._seen += map(request_of, itertools.islice(self._more, count - len(self._seen)))
        if not self._seen and count:
            raise ValueError(
                "requests must hold at least one request, got none; pass some for the model to answer"
            )
        return tuple(itertools.islice(itertools.cycle(self._seen), count))


def _takes_a_number(fn: Callable[..., Any]) -> bool:
    positional = (inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD)
    return any(
        parameter.kind in positional and parameter.default is parameter.empty
        for parameter in inspect.signature(fn).parameters.values()
    )
