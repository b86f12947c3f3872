"""How a stream's chunks pass, decided without waiting for anything.

A :class:`Tape` is what one call knows of its stream, over all attempts; a :class:`Passage` takes the chunks
of one attempt and says which to pass on::

    chunk -> error in it? -> malformed? -> content? final? -> [ held until the commit point ] -> passed on
                                                            [ dropped where they came before ]

Until the first content chunk has come (or more, as ``commit_after`` says) chunks are held: an attempt that
fails before leaves no trace. From there on what was passed on cannot be taken back. An attempt after that
*resumes*: it continues, repeats and skips what is known, or begins anew behind a :class:`Reset`.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from ._notes import add_note
from ._stream_rules import Arguments, Follower, Reset, StreamRules
from .errors import InvalidOutput, StreamInterrupted, StreamTimeout, StreamTruncated

_NONE: tuple[Any, ...] = ()
_NOBODY: tuple[Follower, ...] = ()


class Tape:
    """One call's stream, over all its attempts.

    Attributes:
        rules: What chunks mean.
        delivered: How many items were passed on that are not void; a :class:`Reset` is none.
        kept: What was passed on, or None where that is more than the rules let us keep.
        cut: The error that the stream broke with after items had been passed on; None while it has not.
        began: When the call began.
        first_at: When the first content chunk of this attempt came, or None.
        gap: How long the wait of now may be, where a gap limits it.
        waited: Seconds spent waiting for chunks, in all attempts.
        reader: Seconds that the reader spent with items before asking for the next, in all attempts.
        since: When the wait of now began; None while there is none.
        ran_out: The limit that passed, for the policy that set it.
    """

    __slots__ = (
        *("began", "cut", "delivered", "first_at", "gap", "kept", "lost"),
        *("ran_out", "reader", "rules", "since", "waited"),
    )

    def __init__(self, rules: StreamRules, began: float) -> None:
        self.rules: StreamRules = rules
        self.delivered: int = 0
        self.kept: list[Any] | None = [] if rules.keep else None
        self.cut: Exception | None = None
        self.began: float = began
        self.first_at: float | None = None
        self.gap: float = 0.0
        self.waited: float = 0.0
        self.reader: float = 0.0
        self.since: float | None = None
        self.ran_out: object = None
        self.lost: str | None = None

    def fork(self) -> Tape:
        """A tape of its own for an attempt that runs beside others, while nothing has been passed on."""
        own = Tape(self.rules, self.began)
        own.waited, own.reader = self.waited, self.reader
        return own

    def resumable(self) -> bool:
        """Whether another attempt may follow what was passed on."""
        return self.why_not() is None

    def why_not(self) -> str | None:
        """Why no attempt may follow what was passed on; None if one may."""
        mode = self.rules.on_interrupt
        if mode == "raise":
            return f"{self.delivered} items of the stream were passed on"
        if self.lost is not None:
            return self.lost
        if self.kept is None and mode != "restart":
            return f"more than keep={self.rules.keep} items of the stream were passed on"
        return None

    def original(self, error: Exception) -> Exception:
        """What to raise for *error*: the cut that the recovery began with, where there is one."""
        cut = self.cut
        if cut is None or cut is error:
            return error
        text = str(error)
        add_note(cut, f"the recovery failed too: {type(error).__name__}{': ' if text else ''}{text[:200]}")
        return cut

    def tell(self, error: StreamTimeout, now: float) -> None:
        """Fill in how far the stream had come."""
        error.delivered = self.delivered
        error.partial = self.partial()
        error.waited_seconds = self.waited + (0.0 if self.since is None else now - self.since)
        if self.first_at is not None:
            error.first_seconds = self.first_at - self.began
            error.reader_seconds = self.reader

    def passed(self, item: Any) -> None:
        """*item* was passed on."""
        if type(item) is Reset:
            self.delivered = 0
            return
        self.delivered += 1
        if self.kept is not None:
            if len(self.kept) >= self.rules.keep:
                self.kept = None
            else:
                self.kept.append(item)

    def passed_before(self) -> None:
        """The item that was put down last had been passed on before, and was not again."""
        self.delivered -= 1
        if self.kept:
            self.kept.pop()

    def reset(self, attempt: int) -> Reset:
        """What tells the reader that *attempt* begins anew."""
        return Reset(self.delivered, attempt)

    def partial(self) -> tuple[Any, ...] | None:
        """What was passed on, or None where it was not kept."""
        return None if self.kept is None else tuple(self.kept)


class Passage:
    """The chunks of one attempt.

    Args:
        tape: The call's.
        attempt: Which attempt this is, from 1.
        emitted: How many items were passed on before.

    Attributes:
        committed: Whether what comes is passed on at once.
        final: Whether the declared last chunk has come.
    """

    __slots__ = (
        *("_attempt", "_content", "_first", "_followers", "_held", "_left", "_malformed", "_mode"),
        *("_position", "_since", "_text", "committed", "final", "rules", "tape"),
    )

    def __init__(self, tape: Tape, attempt: int, emitted: int) -> None:
        self.tape = tape
        self.rules = tape.rules
        self.committed = False
        self.final = False
        self._attempt = attempt
        self._held: list[Any] = []
        self._content = 0
        self._malformed = 0
        self._since: float | None = None
        self._first = True
        self._mode = tape.rules.on_interrupt if emitted else "raise"
        self._position = 0
        self._left: Any = None
        self._text: Callable[[Any], Any] | None = None
        tape.first_at = None
        self._followers = _followers(tape, self._mode) if tape.rules.followers else _NOBODY
        if self._mode == "skip_prefix":
            known = [one for one in tape.kept or () if self._is_content(one)]
            self._text = _as_it_is(known) if tape.rules.text_of is None else tape.rules.text_of
            if self._text is not None and known:
                texts: list[Any] = [self._text(one) for one in known]
                self._left = texts[0][:0].join(texts)

    def arguments(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Arguments:
        """What to call the target with: the call's own arguments, or those that continue the answer.

        Raises:
            StreamInterrupted: The answer cannot be continued.
        """
        if self._mode != "continue":
            return args, kwargs
        assert self.rules.continuation is not None
        try:
            made = self.rules.continuation(args, kwargs, self.tape.partial() or ())
        except Exception as error:
            self.tape.lost = f"continuation= raised {type(error).__name__}"
            raise
        if made is None:
            self.tape.lost = "continuation= says that this answer cannot be continued"
            raise StreamInterrupted(self.tape.lost, delivered=self.tape.delivered)
        return made

    def receive(self, chunk: Any, now: float) -> Sequence[Any]:
        """The items to pass on now that *chunk* has come.

        Raises:
            StreamInterrupted: The chunk breaks the stream.
            BaseException: The error that the chunk tells of.
        """
        rules = self.rules
        if rules.error_of is not None:
            told = rules.error_of(chunk)
            if told is not None:
                raise told
        if rules.is_valid is not None:
            usable, chunk = self._mended(chunk)
            if not usable:
                return _NONE
        content = rules.is_content is None or rules.is_content(chunk)
        if content and self._first:
            self._first = False
            self.tape.first_at = now
        if content:
            for follower in self._followers:
                chunk = follower.take(chunk, now)
        if rules.is_final is not None and rules.is_final(chunk):
            self.final = True
        if self.committed:
            return (chunk,)
        return self._hold(chunk, bool(content), now)

    def counts(self, chunk: Any) -> bool:
        """Whether *chunk* shows that the model is at work, so that the gap to the next begins anew."""
        rules = self.rules
        return rules.is_content is None or rules.heartbeats_count or bool(rules.is_content(chunk))

    def end(self, target: str, now: float) -> Sequence[Any]:
        """The items still to pass on when the iterator has ended.

        Raises:
            StreamTruncated: It ended without its declared end.
            InvalidOutput: It breaks a contract.
        """
        if self.rules.is_final is not None and not self.final:
            raise self.truncated(target)
        for follower in self._followers:
            follower.end(now)
        if self._mode == "skip_prefix" and not self.committed and not self._skipped():
            raise self._diverged("it ended before what was passed on already")
        if not self.committed and self._mode == "restart":
            return [self.tape.reset(self._attempt), *self._held]
        return self._held

    def truncated(self, target: str) -> StreamTruncated:
        """The error for an answer that lacks its end."""
        made = StreamTruncated(
            f"the stream of {target!r} ended after {self.tape.delivered + len(self._held)} items without the "
            "end that is_final= declares; put a Retry outside with on_interrupt= to mend it, or a Fallback",
            delivered=self.tape.delivered,
        )
        made.partial = self.tape.partial()
        return made

    # -- malformed chunks ----------------------------------------------------------------------------------

    def _mended(self, chunk: Any) -> tuple[bool, Any]:
        """Whether to go on with the chunk, and what it is then."""
        why = self._wrong(chunk)
        if why is None:
            return True, chunk
        self._malformed += 1
        malformed = self.rules.malformed
        if malformed == "skip" and self._malformed <= self.rules.malformed_max:
            return False, None
        if callable(malformed):
            chunk = malformed(chunk)
            why = self._wrong(chunk)
            if why is None:
                return True, chunk
        limit = f", more than malformed_max={self.rules.malformed_max}" if malformed == "skip" else ""
        raise InvalidOutput(
            f"chunk {self._content + self._malformed} of the stream is malformed{why}{limit}; "
            "malformed='skip' drops some of them, malformed=function mends them",
            rule="is_valid",
        )

    def _wrong(self, chunk: Any) -> str | None:
        """What is wrong with the chunk, for a message; None if nothing is."""
        assert self.rules.is_valid is not None
        try:
            return None if self.rules.is_valid(chunk) else ""
        except (ValueError, TypeError, KeyError, AttributeError, IndexError) as error:
            return f" ({type(error).__name__})"

    # -- the commit point ----------------------------------------------------------------------------------

    def _hold(self, chunk: Any, content: bool, now: float) -> Sequence[Any]:
        if self._mode == "skip_prefix":
            return self._skip(chunk, content)
        self._content += content
        if self._since is None and content:
            self._since = now
        self._held.append(chunk)
        resumes = self._mode != "raise"
        if not (content or self.final if resumes else self._commits(now)):
            return _NONE
        self.committed = True
        held, self._held = self._held, []
        if self._mode == "restart":
            return [self.tape.reset(self._attempt), *held]
        if self._mode == "continue":
            return (chunk,)  # what opens an answer has been passed on: this is in the middle of it
        return held

    def _commits(self, now: float) -> bool:
        rules = self.rules
        if rules.commit_when is not None:
            return self._content > 0 and bool(rules.commit_when(self._held))
        if rules.commit_seconds is not None:
            return self._since is not None and now - self._since >= rules.commit_seconds
        return self._content >= rules.commit_chunks

    # -- repeating what is known ---------------------------------------------------------------------------

    def _skip(self, chunk: Any, content: bool) -> Sequence[Any]:
        """Drop what was passed on before, as long as it is the same."""
        if not content and not self.final:
            return _NONE
        if self._skipped():
            self.committed = True
            return (chunk,)
        if self._text is not None:
            return self._skip_text(self._text(chunk), chunk)
        known = self._next_known()
        if not same(known, chunk):
            raise self._diverged(f"item {self._position} differs")
        return _NONE

    def _skipped(self) -> bool:
        """Whether all that was passed on has come again."""
        if self._text is not None:
            return not self._left
        kept = self.tape.kept or ()
        while self._position < len(kept) and not self._is_content(kept[self._position]):
            self._position += 1
        return self._position >= len(kept)

    def _next_known(self) -> Any:
        kept = self.tape.kept or ()
        self._position += 1
        return kept[self._position - 1]

    def _skip_text(self, text: Any, chunk: Any) -> Sequence[Any]:
        left = self._left
        if left.startswith(text):
            self._left = left[len(text) :]
            return _NONE
        if not text.startswith(left) or (self.rules.with_text is None and text is not chunk):
            raise self._diverged("its text differs")
        self.committed = True
        rest = text[len(left) :]
        return (rest if self.rules.with_text is None else self.rules.with_text(chunk, rest),)

    def _is_content(self, chunk: Any) -> bool:
        return self.rules.is_content is None or bool(self.rules.is_content(chunk))

    def _diverged(self, how: str) -> StreamInterrupted:
        self.tape.lost = f"run again, the stream is another one: {how}"
        return StreamInterrupted(
            f"{self.tape.lost}; skip_prefix needs a model that repeats itself, at temperature 0 say",
            delivered=self.tape.delivered,
        )


def _followers(tape: Tape, mode: str) -> Sequence[Follower]:
    """What follows an attempt; where it continues another, they know what that has passed on."""
    rules = tape.rules
    made = [made for make in rules.followers if (made := make(rules.text_of)) is not None]
    if mode == "continue":
        for chunk in tape.kept or ():
            if rules.is_content is None or rules.is_content(chunk):
                for follower in made:
                    follower.recall(chunk)
    return made


def _as_it_is(chunks: Sequence[Any]) -> Callable[[Any], Any] | None:
    """How to read the text of chunks that are text themselves; None where they are not."""
    kinds = {type(chunk) for chunk in chunks}
    return (lambda chunk: chunk) if len(kinds) == 1 and kinds <= {str, bytes} else None


def same(one: Any, other: Any) -> bool:
    """Whether two chunks are the same, arrays by their contents."""
    if type(one) is not type(other):
        return False
    try:
        return bool(one == other)
    except ValueError:  # of an array, which compares element by element
        return one.dtype == other.dtype and one.shape == other.shape and bool((one == other).all())
