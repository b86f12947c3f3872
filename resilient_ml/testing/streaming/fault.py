"""One fault of a stream: what the providers do, and what is asked of the client."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from .steps import Script

ANSWER: tuple[str, ...] = (
    *("The", " capital", " of", " France", " is", " Paris", "."),
    *(" It", " lies", " on", " the", " river", " Seine", "."),
)

ELSEWHERE = ("It is ", "Paris, the ", "city on ", "the Seine, ", "which is ", "its capital", ".")
"""The same, as another model puts it: a client that mixes the two has garbled them."""

CONTINUED = tuple("".join(ANSWER)[start : start + 5] for start in range(0, len("".join(ANSWER)), 5))
"""The first answer, as the other model goes on with it: in pieces of its own."""

_OTHER = Script(ELSEWHERE, knows=(CONTINUED,))


@dataclass(frozen=True, slots=True)
class StreamFault:
    """A fault, as data; nothing in it runs.

    Attributes:
        id: ``S01`` to ``S16``; ``C01`` and on for controls, in which nothing is wrong.
        title: What goes wrong, in a line.
        good: What a good client does about it.
        primary: What the first provider does.
        secondary: What the second one does; it is well.
        within: Seconds that one request may take in all.
        most_attempts: How often the primary may be asked; while it is down, where the script says when.
        most_elsewhere: How often the secondary may be asked.
        not_before: Seconds from the first attempt to the second on the primary, at least.
        back_within: Seconds in which the primary must serve again after it was down.
        told: Whether the client must be able to say which provider answered.
        requests: How many requests are made, one after the other.
        every: Seconds from the beginning of one request to that of the next.
        reader_pause: Seconds that the reader spends with each chunk.
    """

    id: str
    title: str
    good: str
    primary: Script
    secondary: Script = _OTHER
    within: float = 20.0
    most_attempts: int | None = None
    most_elsewhere: int | None = None
    not_before: float | None = None
    back_within: float | None = None
    told: bool = False
    requests: int = 1
    every: float = 0.0
    reader_pause: float = 0.0

    @property
    def control(self) -> bool:
        """Whether nothing is wrong in it."""
        return self.id.startswith("C")

    @property
    def texts(self) -> tuple[str, str]:
        """The whole answers of both providers: the right ones."""
        return "".join(self.primary.answer), "".join(self.secondary.answer)

    def demands(self) -> tuple[str, ...]:
        """How it is judged, in words."""
        return tuple(self._demands())

    def _demands(self) -> Iterator[str]:
        each = "each request" if self.requests > 1 else "the request"
        yield f"{each} gets a whole answer within {self.within:g} s, as it is made"
        if self.most_attempts is not None:
            while_down = "" if self.primary.down is None else " while it is down"
            yield f"the primary is asked at most {_times(self.most_attempts)}{while_down}"
        if self.most_elsewhere is not None:
            yield f"the secondary is asked at most {_times(self.most_elsewhere)}"
        if self.not_before is not None:
            yield f"the primary is not asked again for {self.not_before:g} s"
        if self.back_within is not None:
            yield f"the primary serves again within {self.back_within:g} s of its recovery"
        if self.told:
            yield "the client says who answered"
        yield "every stream that was opened is closed"


def _times(count: int) -> str:
    return "once" if count == 1 else f"{count} times"
