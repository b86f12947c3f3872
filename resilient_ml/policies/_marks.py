"""What policies write on an exception that passes through: that it has been retried.

The user's own exception is never wrapped or replaced, so that is kept in its ``__dict__``, and travels
through pickles.
"""

from __future__ import annotations

import os

_RETRIED = "_resilient_ml_retried"
_MOST_LINKS = 8


class Marks:
    """Counts the marks that were made, so that an old one can be told from a new one.

    Programs do raise one object again and again; a mark that it was given in an earlier call means nothing
    now.
    """

    __slots__ = ("made",)

    def __init__(self) -> None:
        self.made = 0


MARKS = Marks()


def mark_retried(error: BaseException) -> None:
    """Say that a Retry has tried this failure again already."""
    MARKS.made += 1
    vars(error)[_RETRIED] = (os.getpid(), MARKS.made)


def already_retried(error: BaseException, since: int) -> bool:
    """Whether a Retry further in has retried this failure, or one that it was raised from.

    Args:
        error: The failure.
        since: ``MARKS.made`` when the call began.
    """
    link: BaseException | None = error
    for _ in range(_MOST_LINKS):
        if link is None:
            return False
        mark = vars(link).get(_RETRIED)
        # A mark from another process came with a fresh copy of the error, so it is of this call.
        if mark is not None and (mark[0] != os.getpid() or mark[1] > since):
            return True
        link = link.__cause__ or link.__context__
    return False
