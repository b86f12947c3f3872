"""Faults that raise: exceptions by type, by kind or of one's own making; outages; stray cancellations."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from typing import Any

from ... import _checks
from ...kinds import Kind
from . import vendor_errors
from .case import Case
from .fault import Before
from .steps import Act, Cancelled, Raise, Step

What = type[BaseException] | Callable[[], BaseException] | str


@dataclass(frozen=True, repr=False)
class Error(Before):
    """Raises what *make* makes; *what* is how the user named it."""

    make: Callable[[], BaseException]
    what: str
    retry_after: float | None = None

    def title(self) -> str:
        """As the user wrote it."""
        pause = "" if self.retry_after is None else f", retry_after={self.retry_after:g}"
        return f"{self.called}({self.what}{pause})"

    def before(self, case: Case) -> Iterator[Step]:
        """Raise it."""
        yield Raise(partial(made, self.make, self.title()))


def error(what: What, *, retry_after: float | None = None) -> Error:
    """The call fails, before the callable is called.

    Args:
        what: An exception class, raised without arguments; a function that makes the exception; or a kind
            of failure, ``"overload"`` say, for an exception as a model server's client raises it: with
            ``status_code``, ``response.headers`` and a body where it comes from a status.
        retry_after: With a kind, for how many seconds the server asks to be left alone.

    >>> from resilient_ml import kind_of
    >>> from resilient_ml.testing import faults
    >>> predict = faults.inject(len, faults.error("overload", retry_after=2))
    >>> try:
    ...     predict("rows")
    ... except Exception as error:
    ...     print(error, error.response.headers, kind_of(error))
    Error code: 503 - The engine is currently overloaded, please try again later {'retry-after': '2'} overload
    """
    if isinstance(what, str):
        return _of_kind(what, retry_after)
    if retry_after is not None:
        raise TypeError(
            f"retry_after goes with a kind, got {_checks.shown(what)}; set it on the exception that your "
            "function makes, or write error('rate_limited', retry_after=2)"
        )
    return Error(maker("what", what), named(what), called="error")


def _of_kind(what: str, retry_after: float | None) -> Error:
    known = sorted(kind.value for kind in vendor_errors.MADE)
    if what not in known:
        stall = "; a stream stalls by faults.stall()" if what == "stall" else ""
        raise ValueError(f"what must be one of {', '.join(known)}, got {_checks.shown(what)}{stall}")
    if retry_after is not None:
        retry_after = _checks.seconds(
            "retry_after", retry_after, zero=True, remedy="pass the seconds that the server asks for"
        )
    kind = Kind(what)
    return Error(
        partial(vendor_errors.of_kind, kind, retry_after), repr(kind.value), retry_after, called="error"
    )


def maker(name: str, what: Any) -> Callable[[], BaseException]:
    """*what* as a function that makes an exception, or a complaint about the parameter *name*."""
    if isinstance(what, str):
        return _of_kind(what, None).make
    if isinstance(what, type):
        if not issubclass(what, BaseException):
            raise TypeError(f"{name} must be an exception class, got {_checks.shown(what)}")
        try:
            what()
        except Exception as broken:
            raise TypeError(
                f"{name} must be an exception class that needs no arguments, got {what.__name__}; "
                f"pass a function that makes one: lambda: {what.__name__}(...)"
            ) from broken
        return what
    if isinstance(what, BaseException):
        raise TypeError(
            f"{name} must make a new exception for every call, got one {type(what).__name__}; "
            f"pass the class, or a function: lambda: {type(what).__name__}(...)"
        )
    made_by: Callable[[], BaseException] = _checks.function(
        name, what, remedy="pass an exception class, a function that makes one, or a kind such as 'overload'"
    )
    return made_by


def made(make: Callable[[], BaseException], title: str) -> BaseException:
    """The exception that *make* makes."""
    found = make()
    if not issubclass(type(found), BaseException):  # isinstance would believe a lying __class__
        raise TypeError(f"{title} must make an exception, and made {_checks.shown(found)}")
    return found


def named(what: Any) -> str:
    """How to call what a user has raised."""
    if isinstance(what, str):
        return repr(what)
    name = getattr(what, "__name__", None) or type(what).__name__
    return "..." if name == "<lambda>" else str(name)


def outage(begins: float, ends: float) -> Error:
    """Nothing answers in this span: the connection is refused.

    Args:
        begins: In seconds from the plan's start.
        ends: In seconds from the plan's start.
    """
    return Error(_refused, "ConnectionRefusedError", called="error").between(begins, ends)


def flapping(up: float, down: float) -> Error:
    """All is well for *up* seconds, then the connection is refused for *down*, and so on."""
    up = _checks.seconds("up", up, remedy="pass for how many seconds it answers")
    down = _checks.seconds("down", down, remedy="pass for how many seconds it does not")
    fault = Error(_refused, "ConnectionRefusedError", called="error")
    return fault.every(up + down, lasting=down, offset=up)


def _refused() -> ConnectionRefusedError:
    return ConnectionRefusedError(111, "Connection refused")


def cuda_out_of_memory() -> Error:
    """The GPU is full: ``OutOfMemoryError`` with PyTorch's own text, without PyTorch."""
    return Error(vendor_errors.cuda_out_of_memory, "", called="cuda_out_of_memory")


def thread_start_fails() -> Error:
    """What ``threading.Thread.start`` raises when the system has no more threads; patch it with this."""
    return Error(partial(RuntimeError, "can't start new thread"), "", called="thread_start_fails")


@dataclass(frozen=True, repr=False)
class _CancelledByItself(Before):
    def before(self, case: Case) -> Iterator[Step]:
        yield Cancelled()


def cancelled() -> Before:
    """The callable raises the exception of a cancellation, though nobody has cancelled the call.

    As awaiting a task does that was cancelled elsewhere: ``asyncio.CancelledError``, trio's ``Cancelled``,
    and in a plain function the ``CancelledError`` of ``concurrent.futures``.
    """
    return _CancelledByItself(called="cancelled")


@dataclass(frozen=True, repr=False)
class _Reentry(Before):
    fn: Callable[..., Any]

    def before(self, case: Case) -> Iterator[Step]:
        yield Act(partial(self.fn, *case.args, **case.kwargs))


def reentry(fn: Callable[..., Any]) -> Before:
    """The callable calls *fn* with its own arguments first: the guarded function itself, say.

    Limit it, by ``times(1)`` say: a call that calls itself every time never ends.
    """
    return _Reentry(_checks.function("fn", fn, remedy="pass the function to call"), called="reentry")
