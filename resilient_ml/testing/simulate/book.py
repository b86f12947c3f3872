"""What is written down while a simulation runs: a row for each request, and samples of the servers."""

from __future__ import annotations

import dataclasses
import math
from array import array
from collections.abc import Sequence

import numpy as np

from ...errors import Rejected
from ...kinds import kind_of
from .desk import Desk
from .loop import Loop
from .requests import KINDS, STATUSES, Requests
from .result import ServerLog

_OK, _FAILED, _REJECTED = (STATUSES.index(status) for status in ("ok", "failed", "rejected"))
_KIND_NUMBERS = {kind: number for number, kind in enumerate(KINDS)}
_COLUMNS = tuple(field.name for field in dataclasses.fields(ServerLog) if field.name != "at")


class Book:
    """The requests, in the order in which they came.

    Attributes:
        open: How many have not ended.
    """

    def __init__(self) -> None:
        self.open: int = 0
        self._arrived = array("d")
        self._ended = array("d")
        self._attempts = array("q")
        self._degraded = array("b")
        self._group = array("q")
        self._statuses = array("b")
        self._kinds = array("b")

    def begin(self, now: float, group: int) -> int:
        """Open a row; returns its number."""
        self.open += 1
        self._arrived.append(now)
        self._ended.append(math.nan)
        self._attempts.append(0)
        self._degraded.append(0)
        self._group.append(group)
        self._statuses.append(0)
        self._kinds.append(0)
        return len(self._arrived) - 1

    def end(self, number: int, now: float, error: Exception | None, attempts: int, *, degraded: bool) -> None:
        """Fill in the row of that *number*."""
        self.open -= 1
        self._ended[number] = now
        self._attempts[number] = attempts
        if error is None:
            self._statuses[number] = _OK
            self._degraded[number] = degraded
        else:
            self._statuses[number] = _REJECTED if isinstance(error, Rejected) else _FAILED
            self._kinds[number] = _KIND_NUMBERS[kind_of(error)]

    def hung(self, number: int, attempts: int) -> None:
        """The request of that *number* never ended."""
        self._attempts[number] = attempts

    def requests(self, groups: tuple[str, ...]) -> Requests:
        """The rows, as arrays."""
        return Requests(
            arrived=np.array(self._arrived, np.float64),
            ended=np.array(self._ended, np.float64),
            attempts=np.array(self._attempts, np.int64),
            degraded=np.array(self._degraded, np.bool_),
            group=np.array(self._group, np.int64),
            groups=groups,
            statuses=np.array(self._statuses, np.int8),
            kinds=np.array(self._kinds, np.int8),
        )


class Sampler:
    """Looks at the servers every so many seconds, from 0 on, and once more at the end."""

    def __init__(self, desks: Sequence[Desk], loop: Loop, every: float) -> None:
        self._desks = desks
        self._loop = loop
        self._every = every
        self._at = array("d")
        self._columns = {desk.server.name: [array("d") for _ in _COLUMNS] for desk in desks}

    def look(self, number: int) -> None:
        """Take sample *number*, and see to the next while anything else is to happen."""
        self.sample()
        if self._loop.pending:
            # By multiplication: sums of tenths drift away from the instants that a reader expects.
            self._loop.at((number + 1) * self._every, self.look, number + 1)

    def sample(self) -> None:
        """Write down how things stand; of two samples at one instant the later one counts."""
        if self._at and self._at[-1] == self._loop.now:
            for column in [self._at, *(column for columns in self._columns.values() for column in columns)]:
                column.pop()
        self._at.append(self._loop.now)
        for desk in self._desks:
            for name, column in zip(_COLUMNS, self._columns[desk.server.name], strict=True):
                column.append(getattr(desk, name))

    def logs(self) -> dict[str, ServerLog]:
        """The samples, as arrays, by the servers' names."""
        at = np.array(self._at, np.float64)
        return {
            server: ServerLog(at, *(np.array(column, np.float64) for column in columns))
            for server, columns in self._columns.items()
        }
