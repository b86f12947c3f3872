"""What policies write on an exception that passes through: notes, and that it has been retried.

The user's own exception is never wrapped or replaced, so what the library has to say is added to it,
in its ``__notes__`` and ``__dict__``. Both travel through pickles.
"""

from __future__ import annotations

_RETRIED = "_resilient_ml_retried"
_MOST_NOTES = 8
_MOST_LINKS = 8


def add_note(error: BaseException, note: str) -> None:
    """Add *note*, unless the object has many already: some programs raise one object again and again."""
    notes = vars(error).setdefault("__notes__", [])
    if isinstance(notes, list) and len(notes) < _MOST_NOTES:
        notes.append(note)


def mark_retried(error: BaseException) -> None:
    """Say that a Retry has tried this failure again already."""
    vars(error)[_RETRIED] = True


def already_retried(error: BaseException) -> bool:
    """Whether this failure, or one that it was raised from, has been retried by a Retry further in."""
    link: BaseException | None = error
    for _ in range(_MOST_LINKS):
        if link is None:
            return False
        if _RETRIED in vars(link):
            return True
        link = link.__cause__ or link.__context__
    return False
