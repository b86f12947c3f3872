"""What a provider does in one attempt, step by step: data."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeAlias


@dataclass(frozen=True, slots=True)
class Wait:
    """Send nothing for so many *seconds*."""

    seconds: float


@dataclass(frozen=True, slots=True)
class Role:
    """Open the answer with a chunk that has no content."""


@dataclass(frozen=True, slots=True)
class Heartbeat:
    """Keep the line alive with a chunk that has no content."""


@dataclass(frozen=True, slots=True)
class Say:
    """Send the next *pieces* of the answer, all that are left by default, one *every* so many seconds."""

    pieces: int | None = None
    every: float = 0.2


@dataclass(frozen=True, slots=True)
class Final:
    """Say that the answer is complete. An attempt that ends without has been truncated."""


@dataclass(frozen=True, slots=True)
class Fail:
    """Answer with an HTTP *status*, asking to be left alone for *retry_after* seconds."""

    status: int
    retry_after: float | None = None


@dataclass(frozen=True, slots=True)
class Refuse:
    """Refuse the connection."""


@dataclass(frozen=True, slots=True)
class Cut:
    """Reset the connection."""


@dataclass(frozen=True, slots=True)
class Garble:
    """Send the next piece of the answer so that it cannot be read."""


@dataclass(frozen=True, slots=True)
class Tell:
    """Tell of an *error* in a chunk."""

    error: str


Step: TypeAlias = Wait | Role | Heartbeat | Say | Final | Fail | Refuse | Cut | Garble | Tell

WELL: tuple[Step, ...] = (Wait(0.1), Role(), Wait(0.4), Say(), Final())
"""An attempt of a provider that is well: half a second to the first piece, then five a second."""


@dataclass(frozen=True, slots=True)
class Script:
    """What a provider does.

    Attributes:
        answer: Its answer, in pieces.
        attempts: What it does in each attempt, in turn; the last is repeated.
        down: From when to when it is down instead, in seconds; the end is excluded.
        while_down: What it does in the attempts that begin then.
        continues: Whether it takes a part of the answer and goes on from there; else it answers such a
            request with status 400.
        knows: Other answers whose beginning it can go on from, in pieces.
    """

    answer: tuple[str, ...]
    attempts: tuple[tuple[Step, ...], ...] = (WELL,)
    down: tuple[float, float] | None = None
    while_down: tuple[Step, ...] = (Fail(503),)
    continues: bool = True
    knows: tuple[tuple[str, ...], ...] = ()

    def steps(self, attempt: int, at: float, prefix: str) -> tuple[Step, ...]:
        """What it does in *attempt*, from 1, that begins *at* so many seconds."""
        if self.down is not None and self.down[0] <= at < self.down[1]:
            return self.while_down
        if prefix and not self.continues:
            return (Wait(0.1), Fail(400))
        return self.attempts[min(attempt, len(self.attempts)) - 1]

    def rest(self, prefix: str) -> list[str]:
        """The pieces that follow *prefix*; all of its own answer, where it cannot go on from that.

        >>> Script(("To be", " or"), knows=(("T", "o", " ", "go"),)).rest("To g")
        ['o']
        """
        for pieces in (self.answer, *self.knows):
            if "".join(pieces).startswith(prefix):
                return _after(pieces, len(prefix))
        return list(self.answer)


def _after(pieces: tuple[str, ...], known: int) -> list[str]:
    left = []
    for piece in pieces:
        if len(piece) > known:
            left.append(piece[known:])
        known = max(0, known - len(piece))
    return left
