"""Say what the chunks of a stream mean: where it begins, where it ends, and how it goes on after a cut."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Literal, get_args

from .. import _checks
from .._colour import Target
from .._policy import Policy
from .._stream_rules import Continuation, OnInterrupt, StreamRules


class Stream(Policy):
    """Say what the chunks of a stream mean, so that the other policies judge it as an answer.

    It does nothing by itself and may stand anywhere in a pipeline. What it says:

    * *where the answer begins*. Chunks are held until the first content has come, so that whatever fails
      before is retried and falls back like a plain call, without a trace. *commit_after* holds more.
    * *where it ends*. With *is_final* a stream that ends without its last chunk is a failure,
      :class:`StreamTruncated`, not a short answer. Whatever goes wrong after the last chunk is no failure.
    * *what is wrong in it*: errors that are told in a chunk, and malformed chunks.
    * *how it goes on* when it breaks after chunks were passed on. A Retry outside makes another attempt, a
      Fallback another target, each within its own attempts, budget and deadline; when that fails too, the
      first error is raised, with a note of the second.

    Args:
        is_content: Whether a chunk is part of the answer; one that opens it, names a role or keeps a line
            alive is not. By default each is.
        is_final: Whether a chunk says that the answer is complete. By default the end of the iterator does.
        error_of: The error that a chunk tells of, to be raised, or None; by default none does.
        is_valid: Whether a chunk is what it should be: False, or a ValueError, TypeError, LookupError or
            AttributeError, if not. By default each is.
        malformed: What to do with a chunk that is not: ``"raise"`` :class:`InvalidOutput`; ``"skip"`` it; or
            a function that gives a better one for it.
        malformed_max: How many chunks of one attempt may be skipped, from 0.
        commit_after: Pass nothing on before: so many content chunks have come, from 1; so many seconds (a
            float) have passed since the first; or a function of the chunks held says True. More makes more
            failures invisible, at the price of a later first chunk. What is held at the end is passed on.
        on_interrupt: What another attempt does once chunks were passed on. ``"raise"``: there is none.
            ``"restart"``: it begins with a :class:`Reset` item, which voids what came before.
            ``"skip_prefix"``: it leaves out what came before, as long as it is the same, for models that
            repeat themselves. ``"continue"``: it is called with what *continuation* says, and goes on.
        continuation: ``(args, kwargs, partial) -> (args, kwargs)`` for an attempt that continues *partial*,
            the chunks passed on so far; None where it cannot be continued, a call of a tool say.
        text_of: The text of a chunk (str or bytes), for ``"skip_prefix"`` to compare across other chunk
            boundaries. By default chunks that are text are, and others are compared one by one.
        with_text: ``(chunk, text) -> chunk`` with another text, for a chunk that is only half known.
        heartbeats_count: Whether chunks that are no content begin a ``Timeout(gap=)`` anew.
        end_seconds: After its last chunk a stream under a ``Timeout(gap=)`` is given so long to end, in
            seconds.
        keep: How many chunks of an answer are kept, for *continuation*, ``"skip_prefix"`` and the ``partial``
            of errors; from 0. A longer answer cannot be resumed, except by ``"restart"``.
        name: How messages call it.

    Raises:
        StreamTruncated: From the guarded stream, when it ends without its last chunk.
        InvalidOutput: From the guarded stream, for a malformed chunk.

    >>> from resilient_ml import ConstantBackoff, Pipeline, Retry
    >>> attempts = iter([["The", " answer"], ["The", " answer", " is 42", "."]])
    >>> guard = Pipeline(
    ...     Stream(is_final=lambda chunk: chunk.endswith("."), on_interrupt="skip_prefix"),
    ...     Retry(backoff=ConstantBackoff(0)),
    ... )
    >>> @guard
    ... def tokens(prompt):
    ...     yield from next(attempts)
    >>> "".join(tokens("What is it?"))
    'The answer is 42.'
    """

    role: str = "stream"

    def __init__(
        self,
        *,
        is_content: Callable[[Any], object] | None = None,
        is_final: Callable[[Any], object] | None = None,
        error_of: Callable[[Any], BaseException | None] | None = None,
        is_valid: Callable[[Any], object] | None = None,
        malformed: Literal["raise", "skip"] | Callable[[Any], Any] = "raise",
        malformed_max: int = 3,
        commit_after: float | Callable[[Sequence[Any]], object] = 1,
        on_interrupt: OnInterrupt = "raise",
        continuation: Continuation | None = None,
        text_of: Callable[[Any], str | bytes] | None = None,
        with_text: Callable[[Any, Any], Any] | None = None,
        heartbeats_count: bool = False,
        end_seconds: float = 1.0,
        keep: int = 10_000,
        name: str | None = None,
    ) -> None:
        super().__init__(name=name)
        of_chunk = "pass a function of one chunk"
        if on_interrupt not in get_args(OnInterrupt):
            raise ValueError(
                f"on_interrupt must be one of {', '.join(map(repr, get_args(OnInterrupt)))}, got "
                f"{_checks.shown(on_interrupt)}"
            )
        if (on_interrupt == "continue") != (continuation is not None):
            raise ValueError(
                "on_interrupt='continue' and continuation= belong together; pass a function "
                "(args, kwargs, partial) -> (args, kwargs)"
            )
        if malformed not in ("raise", "skip") and not callable(malformed):
            raise ValueError(
                f"malformed must be 'raise', 'skip' or a function, got {_checks.shown(malformed)}; a "
                "function gives a better chunk for a malformed one"
            )
        if malformed != "raise" and is_valid is None:
            raise ValueError("malformed= needs is_valid=, which says what a malformed chunk is")
        if with_text is not None and text_of is None:
            raise ValueError("with_text= needs text_of=, which says what the text of a chunk is")
        kept = _checks.whole("keep", keep, at_least=0, remedy="pass how many chunks an answer may have")
        if on_interrupt in ("continue", "skip_prefix") and not kept:
            raise ValueError(f"keep must be at least 1 for on_interrupt={on_interrupt!r}, got 0; raise it")
        chunks, seconds, when = _commit(commit_after)
        self.stream_rules: StreamRules | None = StreamRules(
            is_content=_function("is_content", is_content, of_chunk),
            is_final=_function("is_final", is_final, of_chunk),
            error_of=_function("error_of", error_of, of_chunk),
            is_valid=_function("is_valid", is_valid, of_chunk),
            malformed=malformed,
            malformed_max=_checks.whole("malformed_max", malformed_max, at_least=0, remedy="pass 3, say"),
            commit_chunks=chunks,
            commit_seconds=seconds,
            commit_when=when,
            on_interrupt=on_interrupt,
            continuation=_function(
                "continuation", continuation, "pass (args, kwargs, partial) -> (args, kwargs)"
            ),
            text_of=_function("text_of", text_of, of_chunk),
            with_text=_function("with_text", with_text, "pass a function (chunk, text) -> chunk"),
            heartbeats_count=_checks.flag("heartbeats_count", heartbeats_count, remedy="True lets them"),
            end_seconds=_checks.seconds("end_seconds", end_seconds, remedy="pass 1, say"),
            keep=kept,
        )

    def check(self, target: Target) -> None:
        """Refuse what gives one answer."""
        if not target.colour.streams:
            raise TypeError(
                f"Stream cannot guard {target.colour.value} {target.name!r}: it has no chunks; leave it "
                "out, or say colour=Colour.STREAM where inspection cannot see that it streams"
            )

    def describe(self) -> str:
        """What it says, in short."""
        rules = self.stream_rules
        assert rules is not None
        said = [name for name in ("is_content", "is_final", "error_of", "is_valid") if getattr(rules, name)]
        return f"Stream({', '.join([*said, f'on_interrupt={rules.on_interrupt!r}'])})"


def _function(name: str, given: Any, remedy: str) -> Any:
    return None if given is None else _checks.function(name, given, remedy=remedy)


def _commit(given: Any) -> tuple[int, float | None, Callable[[Sequence[Any]], object] | None]:
    """The commit point, as a number of chunks, a time, or a function of the chunks."""
    if callable(given):
        return 1, None, given
    remedy = "pass chunks (an int), seconds (a float), or a function of the chunks held"
    if isinstance(given, float):
        return 1, _checks.seconds("commit_after", given, remedy=remedy), None
    return _checks.whole("commit_after", given, at_least=1, remedy=remedy), None, None
