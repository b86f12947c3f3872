"""Which rows to try next, until each has its own answer or its own error.

All rows are tried together; a part that fails is split in halves, and so down to single rows. With one bad
row among *n* that takes ``1 + 2 log2(n)`` calls: the whole, and two at each level.

A model that is down fails for every part. To tell that from bad rows, where both halves of the first split
have failed alike, and not in a way that blames the input, a single row of each is tried: where they fail in
that way too, it is the model, and the rest is given up after five calls.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Hashable, Sequence

Part = Sequence[int]


class Bisection:
    """The plan for one batch.

    Args:
        rows: The numbers of the rows, at least one.
        most: The most calls, from 1; rows that are not settled by then stay so.

    Attributes:
        bad: The rows that failed by themselves.
        calls: Parts that were given out.
        given_up: Whether the model is to blame, and no row.

    >>> plan = Bisection(range(8), most=64)
    >>> while (part := plan.next()) is not None:
    ...     plan.failed("bad value") if 5 in part else plan.passed()
    >>> plan.bad, plan.calls
    ([5], 7)
    """

    __slots__ = ("_first", "_most", "_part", "_passed", "_queue", "bad", "calls", "given_up")

    def __init__(self, rows: Sequence[int], *, most: int) -> None:
        self._queue: deque[Part] = deque([rows])
        self._most = most
        self._part: Part = range(0)
        self._first: set[Hashable] = set()
        self._passed = False
        self.bad: list[int] = []
        self.calls: int = 0
        self.given_up: bool = False

    def next(self) -> Part | None:
        """The rows to try now, in order; None when all is settled, given up, or the calls are used up."""
        if self.given_up or not self._queue or self.calls >= self._most:
            return None
        self.calls += 1
        self._part = self._queue.popleft()
        return self._part

    def unsettled(self) -> list[int]:
        """The rows of which nothing is known by themselves."""
        return sorted(row for part in self._queue for row in part)

    def passed(self) -> None:
        """All rows of the part have their answers."""
        self._passed = True

    def failed(self, signature: Hashable = None, *, blames_input: bool = False) -> None:
        """The part has failed.

        Args:
            signature: What failures that are alike have in common.
            blames_input: Whether the failure says that the input is to blame.
        """
        part = self._part
        self._first.add(None if blames_input else signature)
        if len(part) == 1:
            self.bad.append(part[0])
        else:
            middle = (len(part) + 1) // 2
            self._queue.append(part[:middle])
            self._queue.append(part[middle:])
        if self._passed or self._first != {signature} or blames_input:
            return
        if self.calls == 3 and len(self._queue) == 4:
            self._probe()
        elif self.calls == 5 or not self._queue:
            self.given_up = True

    def named(self, rest: Sequence[int]) -> None:
        """The part has failed for rows that are known; the *rest* of it is tried again."""
        self._passed = True  # a model that names rows is not down
        if rest:
            self._queue.appendleft(rest)

    def _probe(self) -> None:
        """Both halves have failed alike: a single row of each comes next."""
        one, two, three, four = self._queue
        rest = (part for part in (one[1:], two, three[1:], four) if part)
        self._queue = deque([one[:1], three[:1], *rest])
