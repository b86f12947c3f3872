"""Notes on exceptions that pass through: what the library has to say is added to the user's own."""

from __future__ import annotations

_MOST_NOTES = 8


def add_note(error: BaseException, note: str) -> None:
    """Add *note*, unless the object has many already: some programs raise one object again and again."""
    notes = vars(error).setdefault("__notes__", [])
    if isinstance(notes, list) and len(notes) < _MOST_NOTES:
        notes.append(note)
