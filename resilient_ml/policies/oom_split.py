"""Send a model no more at once than it can hold."""

from __future__ import annotations

import math
import sys
import traceback
from collections import deque
from collections.abc import Callable, Sequence
from typing import Any, TypeVar, cast

from .. import _checks
from .._call import Call, Proceed
from .._classifier import read
from .._colour import Target
from .._notes import add_note
from .._policy import Policy
from ..errors import InvalidOutput
from ..events import BatchSplit, CeilingChanged
from ..kinds import Kind, kind_of
from ..machines.ceiling import CeilingMachine, halves
from ._arguments import Arguments, Where, put_at, value_at
from ._batch import CHANGED, batch_place, batches, optional, refuse_streams, sample_of
from ._joining import Rows, own, row_of

T = TypeVar("T")

_STICKY = ("device-side assert", "illegal memory access", "acceleratorerror")


class OomSplit(Policy):
    """Cut a batch that does not fit into memory in halves, and remember how much does.

    A failure of kind ``oom`` (numpy, torch, onnxruntime, CUDA and others, told by type and text) halves the
    batch by cost, not by rows. Before the halves are tried, one after the other, the failed attempt lets go
    of what it held: the variables of its frames are cleared, and *on_oom* is called. Later batches are cut
    beforehand, so that none is above the *ceiling* found; it grows again once batches that it held back have
    fitted for a while.

    A single row that does not fit raises its own error, and leaves the ceiling as it was: a RowIsolation with
    ``on=["oom"]`` outside tells it from the others. Errors of a device that is lost for good are never tried
    again. Put it inside of a :class:`Bulkhead` whose seats are what the device can do at once.

    Args:
        rows: Which argument holds the batch, by name or position; as for :class:`RowIsolation`.
        cost: What a row costs; takes one row and returns a number above 0, its tokens or pixels. None for 1.
        ceiling: The most cost to send at once to begin with, above 0; None for no bound until something
            fails.
        on_oom: Called after a failure, once its memory is let go of: ``torch.cuda.empty_cache``.
        clean: So many batches in a row that the ceiling held back must fit before it grows, from 1.
        seconds: And so many seconds must lie between two changes, from 0.
        size, take, join: As for :class:`RowIsolation`.
        name: How messages call it; by default the name of the function it guards.
        on_event: Called with its :class:`~resilient_ml.events.BatchSplit` and
            :class:`~resilient_ml.events.CeilingChanged` events.

    Raises:
        InvalidOutput: An answer does not have one item a row.

    >>> @OomSplit()
    ... def embed(texts):
    ...     if len(texts) > 3:
    ...         raise MemoryError("CUDA out of memory")
    ...     return [len(text) for text in texts]
    >>> embed(["a", "bb", "ccc", "dddd", "eeeee"])
    [1, 2, 3, 4, 5]
    """

    role: str = "oom_split"

    def __init__(
        self,
        rows: str | int = 0,
        *,
        cost: Callable[[Any], float] | None = None,
        ceiling: float | None = None,
        on_oom: Callable[[], object] | None = None,
        clean: int = 20,
        seconds: float = 60.0,
        size: Callable[[Any], int] | None = None,
        take: Callable[[Any, Rows], Any] | None = None,
        join: Callable[[Sequence[tuple[Rows, Any]], int], Any] | None = None,
        name: str | None = None,
        on_event: Callable[[Any], object] | None = None,
    ) -> None:
        super().__init__(name=name, on_event=on_event)
        self._place = batch_place(rows)
        self._cost = optional("cost", cost, "pass a function of one row")
        self._on_oom = optional("on_oom", on_oom, "pass torch.cuda.empty_cache, say")
        self._machine = CeilingMachine(
            clean=_checks.whole("clean", clean, at_least=1, remedy="pass 20, say"),
            seconds=_checks.seconds("seconds", seconds, zero=True, remedy="pass 60, say"),
            ceiling=math.inf
            if ceiling is None
            else _checks.seconds("ceiling", ceiling, remedy="pass the most cost at once"),
        )
        self._batches = batches(size, take, join)
        self._arguments = Arguments()

    def check(self, target: Target) -> None:
        """Refuse streams, which have no rows, and a batch that the function does not take."""
        refuse_streams(self, target)
        self._arguments.check(target.fn, self._place, "rows", target.name)

    @property
    def ceiling(self) -> float:
        """The most cost that is sent at once; ``inf`` before anything failed."""
        return self._machine.ceiling

    async def around(self, proceed: Proceed[T], call: Call) -> T:
        """Proceed with as much as fits, part by part."""
        case = self._begin(call)
        if case is None:
            return await proceed(call)
        args, kwargs = call.args, call.kwargs
        try:
            while (part := case.next()) is not None:
                failed = False
                try:
                    case.send(part)
                    answer = case.own(part, await proceed(call))
                except Exception as error:
                    call.args, call.kwargs = args, kwargs
                    if not case.splits(part, error):
                        raise
                    failed = True
                # Outside of the except block nothing holds the failed attempt any more.
                if failed:
                    case.split(part)
                else:
                    case.keep(part, answer)
            return cast(T, case.served())
        finally:
            call.args, call.kwargs = args, kwargs
            case.end()

    def _begin(self, call: Call) -> _Case | None:
        where = self._arguments.find(call, self._place)
        if where is None:
            raise TypeError(
                f"{self.name!r} was called without the argument {self._place!r} that holds the batch; "
                "pass it, or name another with rows="
            )
        batch = value_at(call, where)
        count = self._batches.count(batch)
        if not count:
            return None
        costs = (
            [1.0] * count if self._cost is None else [self._cost_of(row_of(batch, at)) for at in range(count)]
        )
        return _Case(self, call, where, batch, costs)

    def _cost_of(self, row: Any) -> float:
        assert self._cost is not None
        return _checks.seconds("cost", self._cost(row), remedy="return a number above 0")

    def forgettable(self) -> bool:
        """One that has found no ceiling is as good as new."""
        return self._machine.ceiling == math.inf

    def describe(self) -> str:
        """Its numbers in one line."""
        return f"OomSplit(rows={self._place!r}, ceiling={self._machine.ceiling:g})"


class _Case:
    """One call's batch."""

    def __init__(self, policy: OomSplit, call: Call, where: Where, batch: Any, costs: list[float]) -> None:
        self._policy = policy
        self._call = call
        self._where = where
        self._batch = batch
        self._costs = costs
        self._sample = sample_of(batch)
        self._left = deque(policy._machine.parts(costs, range(len(costs))))
        self._answers: list[tuple[Rows, Any]] = []
        # What the caller is handling now becomes the context of each error, and is the caller's to look at.
        self._outside = sys.exc_info()[1]
        self._before: tuple[float, float] | None = None

    def next(self) -> range | None:
        """The rows to send now: no part is tried at a cost that has failed meanwhile."""
        if not self._left:
            return None
        part, machine = self._left.popleft(), self._policy._machine
        if len(part) > 1 and machine.fails < math.inf and self._price(part) >= machine.fails:
            part, *rest = machine.parts(self._costs, part)
            self._left.extendleft(reversed(rest))
        return part

    def send(self, part: range) -> None:
        """Put the rows of *part* into the call."""
        if len(part) < len(self._costs):
            put_at(self._call, self._where, self._policy._batches.part(self._batch, part))

    def own(self, part: range, answer: Any) -> Any:
        """The *answer* to a part in memory of its own; where there is none for it, the part did not fit."""
        return answer if len(part) == len(self._costs) else own(answer)

    def _price(self, part: range) -> float:
        return len(part) if self._policy._cost is None else math.fsum(self._costs[row] for row in part)

    def keep(self, part: range, answer: Any) -> None:
        """The rows of *part* have been answered."""
        policy, now = self._policy, self._call.now()
        found = policy._batches.rows_in(answer, len(part))
        if found != len(part):
            raise InvalidOutput(
                f"the answer of {policy.name!r} has {found} rows for {len(part)}: nobody can say whose is "
                "whose; return one item a row",
                rule="rows",
            )
        self._answers.append((part, answer))
        grown = policy._machine.passed(now, self._price(part), held_back=bool(self._left))
        if grown is not None:
            policy.emit(CeilingChanged, now, ceiling=grown)

    def splits(self, part: range, error: Exception) -> bool:
        """Whether *error* says that fewer rows may fit; what it holds is let go of."""
        if kind_of(error) is not Kind.OOM or _is_sticky(error):
            return False
        machine, now = self._policy._machine, self._call.now()
        if len(part) == 1:
            if self._before is not None:  # one row of many was to blame: that says nothing of the others
                machine.forgive(self._before)
            return False
        if sample_of(self._batch) != self._sample:
            add_note(error, CHANGED)
            return False
        if self._before is None:
            self._before = machine.known
        machine.failed(now, self._price(part))
        let_go(error, but=self._outside)
        return True

    def split(self, part: range) -> None:
        """Send the two halves of *part* instead."""
        policy, now = self._policy, self._call.now()
        if policy._on_oom is not None:
            policy._on_oom()
        one, two = halves(part, self._costs)
        self._left.extendleft((two, one))
        policy.emit(BatchSplit, now, rows=len(part), cost=self._price(part))
        policy.emit(CeilingChanged, now, ceiling=policy._machine.ceiling)

    def served(self) -> Any:
        """The answer to all rows."""
        return self._policy._batches.joined(self._answers, len(self._costs), self._batch)

    def end(self) -> None:
        """Nothing is kept: errors hold the frames that hold this."""
        self._answers = []
        self._batch = self._outside = None


def let_go(error: BaseException, but: BaseException | None = None) -> None:
    """Clear the variables of all frames that *error* and its causes went through; those that run are left.

    The chain is followed up to *but*, which somebody else still looks at.
    """
    seen: set[int] = {id(but)}
    todo: list[BaseException | None] = [error]
    while todo:
        one = todo.pop()
        if one is None or id(one) in seen or len(seen) > 32:
            continue
        seen.add(id(one))
        if one.__traceback__ is not None:
            traceback.clear_frames(one.__traceback__)
            one.__traceback__ = None
        todo += [one.__cause__, one.__context__]
        if isinstance(one, BaseExceptionGroup):
            todo += one.exceptions


def _is_sticky(error: Exception) -> bool:
    """Whether the device is lost until its process ends."""
    said = read(error, "args")
    first = said[0] if type(said) is tuple and said and type(said[0]) is str else ""
    text = f"{type(error).__name__} {first[:400]}".lower()
    return any(part in text for part in _STICKY)
