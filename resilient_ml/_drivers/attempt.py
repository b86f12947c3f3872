"""One attempt at a stream, as its leaf sees it: the time of each pull, what passes, and how it ends.

Before the first content chunk the call's deadline holds, tightened by ``Timeout(first=)``. From there on what
a pull may take is the least of what is left of the total and of each ``gap``. Only waiting counts against a
gap: the clock stands still while the reader has the item.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from .._call import NEVER, Call, Limit
from .._colour import name_of
from .._notes import add_note
from .._passage import Passage, Tape
from .._stream_rules import NO_RULES
from ..errors import DeadlineExceeded, StreamInterrupted
from .leaf import expired

THROWN = "the reader threw the error in"
"""Why nothing goes on from there."""


class Attempt:
    """The limits of one attempt and the passage of its chunks.

    Between :meth:`begin` and :meth:`end` the call's deadline and limit are those of the pull.
    """

    __slots__ = (
        *("_deadline", "_ended", "_flowing", "_limit", "_plain", "_pulled", "_quiet", "_thrown"),
        *("call", "passage", "tape"),
    )

    def __init__(self, call: Call) -> None:
        tape = call.tape
        if tape is None:
            tape = call.tape = Tape(NO_RULES, call.now())
        self.call = call
        self.tape = tape
        self.passage = Passage(tape, call.attempt, call.emitted)
        self._flowing = False
        self._quiet = 0.0
        self._plain = tape.rules is NO_RULES
        self._ended = 0.0
        self._pulled = False
        self._deadline = NEVER
        self._limit: Limit | None = None
        self._thrown: BaseException | None = None

    # -- a pull --------------------------------------------------------------------------------------------

    def begin(self) -> float:
        """A pull begins; gives the instant."""
        call = self.call
        tape = self.tape
        tape.since = now = call.now()
        if self._pulled:
            tape.reader += now - self._ended
        self._deadline, self._limit = call.deadline, call.limit
        if self._flowing:
            for limit, gap in call.gaps:
                allowed = gap.allowed()
                if self.passage.final:
                    allowed = min(allowed, self.passage.rules.end_seconds)
                until = now + allowed - self._quiet
                if until < call.deadline:
                    tape.gap = allowed
                    call.deadline, call.limit = until, limit
        return now

    def end(self) -> None:
        """The pull has ended, however."""
        call = self.call
        tape = self.tape
        self._ended = now = call.now()
        self._pulled = True
        assert tape.since is not None
        waited = now - tape.since
        tape.since = None
        tape.waited += waited
        self._quiet += waited
        call.deadline, call.limit = self._deadline, self._limit

    def own(self, error: DeadlineExceeded) -> DeadlineExceeded | None:
        """The error of this pull's limit, where a guarded function inside ran into it as its caller's."""
        call = self.call
        if call.limit is None or error.kind != "deadline" or error.deadline != call.deadline:
            return None
        return expired(call)

    # -- a chunk -------------------------------------------------------------------------------------------

    def came(self, chunk: Any) -> Sequence[Any]:
        """What to pass on now that *chunk* has come."""
        passage = self.passage
        if self._flowing and self._plain:
            self._heard()
            return (chunk,)
        items = passage.receive(chunk, self._ended)
        if self._flowing:
            if passage.counts(chunk):
                self._heard()
        elif self.tape.first_at is not None:
            self._flow()
        return items

    def _heard(self) -> None:
        """The model is at work: the gap ends here, and the next begins."""
        for _, gap in self.call.gaps:
            gap.observe(self._quiet)
        self._quiet = 0.0

    def _flow(self) -> None:
        """The first content has come: its limit is met, and from here on gaps are looked at."""
        call = self.call
        self._flowing = True
        self._quiet = 0.0
        if call.then is not None:
            (call.deadline, call.limit), call.then = call.then, None

    # -- the end -------------------------------------------------------------------------------------------

    def thrown_by_reader(self, error: BaseException) -> BaseException:
        """*error* goes into the user's stream; if it comes out again it says nothing about the model."""
        self._thrown = error
        return error

    def failed(self, error: Exception) -> bool:
        """Whether *error* ends the attempt; after its declared last chunk a stream is whole all the same."""
        tape = self.tape
        if error is self._thrown:
            self._thrown = None
            tape.lost = THROWN
        elif self.passage.final:
            return False
        elif self.call.emitted and tape.cut is None:
            if tape.rules.on_interrupt != "raise":
                tape.cut = error
            if not isinstance(error, StreamInterrupted):
                add_note(error, f"the stream of {name_of(self.call.fn)!r} broke after {tape.delivered} items")
        return True
