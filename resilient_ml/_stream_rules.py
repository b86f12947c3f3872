"""What the chunks of a stream mean, and what to do with one that breaks: data, said once for a pipeline."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Literal, Protocol, TypeAlias

OnInterrupt: TypeAlias = Literal["raise", "restart", "skip_prefix", "continue"]
TextOf: TypeAlias = Callable[[Any], Any] | None
Arguments: TypeAlias = tuple[tuple[Any, ...], dict[str, Any]]
Continuation: TypeAlias = Callable[[tuple[Any, ...], dict[str, Any], tuple[Any, ...]], Arguments | None]


@dataclass(frozen=True, slots=True)
class Reset:
    """An item of a restarted stream: what came before it is void, the answer begins anew.

    Attributes:
        discarded: How many items were passed on before and are void.
        attempt: Which attempt follows, from 2.
    """

    discarded: int
    attempt: int


class Follower(Protocol):
    """A contract that follows the content of one attempt."""

    def recall(self, chunk: Any) -> None:
        """*chunk* was passed on by an attempt that this one continues."""

    def take(self, chunk: Any, now: float) -> Any:
        """The chunk to pass on for *chunk*; raises where it breaks the contract."""

    def end(self, now: float) -> None:
        """The stream has ended; raises where something is missing."""


@dataclass(frozen=True, slots=True)
class StreamRules:
    """What :class:`~resilient_ml.Stream` was told; see there."""

    is_content: Callable[[Any], object] | None = None
    is_final: Callable[[Any], object] | None = None
    error_of: Callable[[Any], BaseException | None] | None = None
    is_valid: Callable[[Any], object] | None = None
    malformed: Literal["raise", "skip"] | Callable[[Any], Any] = "raise"
    malformed_max: int = 3
    commit_chunks: int = 1
    commit_seconds: float | None = None
    commit_when: Callable[[Sequence[Any]], object] | None = None
    on_interrupt: OnInterrupt = "raise"
    continuation: Continuation | None = None
    text_of: Callable[[Any], str | bytes] | None = None
    with_text: Callable[[Any, Any], Any] | None = None
    heartbeats_count: bool = False
    end_seconds: float = 1.0
    keep: int = 0
    followers: tuple[Callable[[TextOf], Follower | None], ...] = ()
    """What make the contracts that follow each attempt's chunks."""


NO_RULES = StreamRules()
"""Every chunk is content, and the end of the iterator is the end of the answer."""
