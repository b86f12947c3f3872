"""What a library offers, one method a policy; the adapters override what theirs has.

Every method guards *fn* with one policy as the library's documentation shows it, with the nearest equivalent
of the parameters. The cases only call what they get: to them each library is a black box.
A plain name guards a plain function, a name that begins with ``a`` a coroutine function.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from importlib import metadata
from typing import Any, ClassVar

Fn = Callable[..., Any]
Errors = type[Exception] | tuple[type[Exception], ...]
Raised = tuple[type[BaseException], ...]
Block = Callable[[], AbstractAsyncContextManager[Any]]


class NotOffered(Exception):
    """The library has nothing of the kind."""


class Library:
    """An adapter: what is not overridden is not offered.

    Attributes:
        name: How tables call it.
        distribution: What it is installed as.
        half_open_permits: How many calls its breaker lets through half open, as it is configured here.
    """

    name: ClassVar[str]
    distribution: ClassVar[str]
    half_open_permits: ClassVar[int] = 1

    @property
    def rejections(self) -> Raised:
        """What means that a policy refused the call."""
        return ()

    @property
    def timeouts(self) -> Raised:
        """What means that a time-out fired."""
        return ()

    @property
    def exhausted(self) -> Raised:
        """What the library raises in the place of the last error when retries end."""
        return ()

    def version(self) -> str | None:
        """The version that is installed, or None."""
        try:
            return metadata.version(self.distribution)
        except metadata.PackageNotFoundError:
            return None

    def offers(self, method: str) -> bool:
        """Whether *method* is overridden."""
        return getattr(type(self), method) is not getattr(Library, method)

    def retry(self, fn: Fn, attempts: int, wait: float = 0.0, on: Errors = Exception) -> Fn:
        """At most *attempts* calls in all, *wait* seconds apart."""
        raise NotOffered

    def aretry(self, fn: Fn, attempts: int, wait: float = 0.0, on: Errors = Exception) -> Fn:
        """The same for a coroutine function."""
        raise NotOffered

    def retry_within(self, fn: Fn, attempts: int, wait: float, deadline: float) -> Fn:
        """The same with *deadline* seconds for all of it."""
        raise NotOffered

    def aretry_within(self, fn: Fn, attempts: int, wait: float, deadline: float) -> Fn:
        """The same for a coroutine function."""
        raise NotOffered

    def retry_group(self, fns: list[Fn], attempts: int) -> list[Fn]:
        """Several functions in front of one backend, with one budget of retries if there is such a thing."""
        raise NotOffered

    def aretry_group(self, fns: list[Fn], attempts: int) -> list[Fn]:
        """The same for coroutine functions."""
        raise NotOffered

    def retry_default(self, fn: Fn) -> Fn:
        """The documented default with nothing set."""
        raise NotOffered

    def retry_unless(self, fn: Fn, attempts: int, unless: Errors) -> Fn:
        """Retry all but *unless*."""
        raise NotOffered

    def aretry_unless(self, fn: Fn, attempts: int, unless: Errors) -> Fn:
        """The same for a coroutine function."""
        raise NotOffered

    def retry_logged(self, fn: Fn, attempts: int) -> Fn:
        """With the library's own logging switched on."""
        raise NotOffered

    def retry_hooked(self, fn: Fn, attempts: int, hook: Callable[[], Any]) -> Fn:
        """With a hook that runs before each further attempt."""
        raise NotOffered

    def aretry_hooked(self, fn: Fn, attempts: int, hook: Callable[[], Any]) -> Fn:
        """The same for a coroutine function."""
        raise NotOffered

    def breaker(self, fn: Fn, failures: int, reset: float) -> Fn:
        """Open after *failures* in a row, or as many in a full window; half open after *reset* seconds."""
        raise NotOffered

    def abreaker(self, fn: Fn, failures: int, reset: float) -> Fn:
        """The same for a coroutine function."""
        raise NotOffered

    def abreaker_block(self, failures: int, reset: float) -> Block:
        """The same as ``async with``."""
        raise NotOffered

    def breaker_hooked(self, fn: Fn, failures: int, reset: float, hook: Callable[[], Any]) -> Fn:
        """With a hook on every event."""
        raise NotOffered

    def shared_breaker(self, fn: Fn, failures: int, reset: float, port: int) -> Fn:
        """A breaker whose state is in the Redis server on *port*."""
        raise NotOffered

    def bulkhead(self, fn: Fn, limit: int, queue: int) -> Fn:
        """At most *limit* inside and *queue* waiting."""
        raise NotOffered

    def abulkhead(self, fn: Fn, limit: int, queue: int) -> Fn:
        """The same for a coroutine function."""
        raise NotOffered

    def abulkhead_block(self, limit: int, queue: int) -> Block:
        """The same as ``async with``."""
        raise NotOffered

    def timeout(self, fn: Fn, seconds: float) -> Fn:
        """At most *seconds* for a plain function."""
        raise NotOffered

    def atimeout(self, fn: Fn, seconds: float) -> Fn:
        """The same for a coroutine function."""
        raise NotOffered

    def atimeout_block(self, seconds: float) -> Block:
        """The same as ``async with``."""
        raise NotOffered

    def fallback(self, fn: Fn, value: Any) -> Fn:
        """*value* instead of an error."""
        raise NotOffered

    def afallback(self, fn: Fn, value: Any) -> Fn:
        """The same for a coroutine function."""
        raise NotOffered

    def rate(self, fn: Fn, calls: int, seconds: float) -> Fn:
        """At most *calls* in *seconds*, as many at once; more are refused, or wait."""
        raise NotOffered

    def arate(self, fn: Fn, calls: int, seconds: float) -> Fn:
        """The same for a coroutine function."""
        raise NotOffered

    def arate_weighted(self, amount: int, seconds: float) -> Fn:
        """An async ``acquire(n)`` of a limiter of *amount* in *seconds*."""
        raise NotOffered

    def keyed_rate(self, calls: int, seconds: float) -> Callable[..., bool]:
        """``hit(*identifiers)`` of a limiter with a quota for each key; False when it is used up."""
        raise NotOffered

    def keyed_state(self) -> Callable[[str], Any]:
        """``touch(key)``, which makes the library keep something for *key*."""
        raise NotOffered

    def cache(self, fn: Fn, size: int, seconds: float) -> Fn:
        """At most *size* results, each for *seconds*."""
        raise NotOffered

    def acache(self, fn: Fn, size: int, seconds: float) -> Fn:
        """The same for a coroutine function."""
        raise NotOffered

    def isolated(self, fn: Fn, seconds: float) -> Fn:
        """In a process that may die."""
        raise NotOffered

    def drift(self) -> Callable[[float], bool]:
        """``step(x)`` of a drift detector; True when it reports drift."""
        raise NotOffered

    def own_errors(self) -> list[BaseException]:
        """One of each error that the library raises by itself, as its users catch them."""
        raise NotOffered

    def refusal_when_open(self) -> BaseException:
        """What its breaker raises while it is open."""
        guarded = self.breaker(broken, 1, 60.0)
        caught(guarded)
        return caught(guarded)

    def refusal_when_full(self) -> BaseException:
        """What its bulkhead raises when a function with one seat calls itself."""

        def again() -> Any:
            return guarded()

        guarded = self.bulkhead(again, 1, 0)
        return caught(guarded)

    def decorate(self, fn: Fn) -> Fn:
        """A decorator meant for any callable: three attempts, or open after three failures."""
        raise NotOffered


def caught(fn: Fn, *args: Any) -> BaseException:
    """What *fn* raises."""
    try:
        fn(*args)
    except Exception as error:  # noqa: BLE001 - whatever a library raises is what is asked for
        return error
    raise AssertionError("nothing was raised")


def broken() -> None:
    """A function that fails."""
    raise ConnectionError("down")
