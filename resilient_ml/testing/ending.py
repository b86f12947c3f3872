"""How waits end that nothing else ends: virtual time is over, or stuck."""

from __future__ import annotations


class VirtualTimeOver(BaseException):
    """Raised in a thread that still waits when virtual time ends, so that it ends too.

    Not an ``Exception``: code that handles errors must not survive by it.
    """


class VirtualTimeStuck(RuntimeError):
    """Every thread waits, no timer is set, and nothing has happened for a while of real time."""


def is_the_end(error: BaseException | None) -> bool:
    """Whether *error* is :class:`VirtualTimeOver`, or was raised because of it."""
    while error is not None:
        if isinstance(error, VirtualTimeOver):
            return True
        if isinstance(error, BaseExceptionGroup) and any(map(is_the_end, error.exceptions)):
            return True
        error = error.__cause__ or error.__context__
    return False
