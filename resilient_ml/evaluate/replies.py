"""Replies: what came of each request, as rows for people and as columns for statistics."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Literal, overload

import numpy as np
import numpy.typing as npt

from .requests import Request

Floats = npt.NDArray[np.float64]
Ended = Literal["ok", "failed", "rejected", "hung"]
Verdict = Literal["right", "degraded", "wrong", "rejected", "failed", "hung"]

VERDICTS: tuple[Verdict, ...] = ("right", "degraded", "wrong", "rejected", "failed", "hung")


@dataclass(slots=True)
class Reply:
    """What came of one request.

    Attributes:
        number: Which request it was, from 0, in the order of arrival: the same in every configuration.
        request: The request.
        arrived: When it arrived, in seconds from the start of the run.
        started: When a client was free to send it.
        ended: When its client went on, with an answer, with an error, or because it would wait no longer.
        status: ``ok``, with an answer; ``failed``, with an error; ``rejected``, by a policy; or ``hung``,
            when the client gave up.
        kind: What kind of failure it was; None when ``ok``.
        error: The name of the error's type; None where there was none.
        answer: What came back: an answer, or the list of a stream's items, also of one that broke. It is
            there while an evaluation judges it, and afterwards only with ``keep_answers=True``.
        degraded: Whether a :class:`~resilient_ml.Fallback` answered in the model's place.
        attempts: How many calls of the model it cost.
        items: How many items of a stream came; 1 for an answer that is no stream.
        first: Seconds from its arrival to a stream's first item; None for none, or no stream.
        judged: Whether anybody knows what the right answer is.
        right: Whether the answer was right; None where nobody can say, or there was none.
        truncated: Whether a stream ended without an error and without its end; None where nobody can say.
        values: What the user's own KPIs made of it, by name.
    """

    number: int
    request: Request
    arrived: float
    started: float = 0.0
    ended: float = 0.0
    status: Ended = "hung"
    kind: str | None = None
    error: str | None = None
    answer: Any = None
    degraded: bool = False
    attempts: int = 0
    items: int = 0
    first: float | None = None
    judged: bool = False
    right: bool | None = None
    truncated: bool | None = None
    values: dict[str, float | None] | None = None

    @property
    def ok(self) -> bool:
        """Whether there was an answer, degraded or not, right or not."""
        return self.status == "ok"

    @property
    def waited(self) -> float:
        """Seconds that the caller waited, for an answer or an error: waiting in line counts.

        To the nanosecond: what differs by the rounding of two clocks is the same.
        """
        return round(self.ended - self.arrived, 9) + 0.0  # never -0.0

    @property
    def good(self) -> bool:
        """Whether there was an answer and nothing is known to be wrong with it."""
        return self.status == "ok" and self.right is not False and not self.truncated

    @property
    def verdict(self) -> Verdict:
        """One word for it: ``right`` also stands for answers that nobody can judge."""
        if self.status != "ok":
            return self.status
        if not self.good:
            return "wrong"
        return "degraded" if self.degraded else "right"


class Replies(Sequence[Reply]):
    """The replies of one run, in the order of arrival.

    Args:
        rows: One for each request.
        seconds: How long the run's traffic lasted, for rates.
    """

    def __init__(self, rows: Sequence[Reply], seconds: float) -> None:
        self._rows = rows
        self.seconds: float = seconds

    @overload
    def __getitem__(self, index: int) -> Reply: ...

    @overload
    def __getitem__(self, index: slice) -> Sequence[Reply]: ...

    def __getitem__(self, index: int | slice) -> Reply | Sequence[Reply]:
        return self._rows[index]

    def __len__(self) -> int:
        return len(self._rows)

    def __iter__(self) -> Iterator[Reply]:
        return iter(self._rows)

    def column(self, of: Callable[[Reply], float | bool | None]) -> Floats:
        """One number for each request: float64, shape (requests,), NaN where *of* says None."""
        return np.array([np.nan if (value := of(row)) is None else value for row in self._rows], dtype=float)

    @cached_property
    def arrived(self) -> Floats:
        """When each arrived, in seconds from the start."""
        return self.column(lambda row: row.arrived)

    @cached_property
    def waited(self) -> Floats:
        """How long each caller waited, in seconds."""
        return self.column(lambda row: row.waited)
