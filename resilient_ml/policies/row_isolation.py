"""Keep one bad row from failing the batch that it is in."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any, Literal, TypeVar, cast, get_args

import numpy as np

from .. import _checks
from .._call import Call, Proceed
from .._classifier import read
from .._colour import Target
from .._notes import add_note
from .._policy import Policy
from .._scopes import Scopes
from ..errors import BadRows, InvalidOutput, RowQuarantined, RowResult
from ..events import RowsIsolated
from ..kinds import Kind, kind_of
from ..machines.bisection import Bisection, Part
from ..machines.quarantine import Quarantine
from ._arguments import Arguments, put_at, value_at
from ._batch import CHANGED, batch_place, batches, optional, refuse_streams, row_keys, sample_of
from ._joining import NoBatch, Rows, answers_by_row, own

T = TypeVar("T")

OnBad = Literal["raise", "results", "fill"]
_ON_BAD = get_args(OnBad)
_KINDS = frozenset(
    {Kind.BAD_INPUT, Kind.UNKNOWN, Kind.INVALID_OUTPUT, Kind.CONTEXT_TOO_LONG, Kind.CONTENT_POLICY}
)
_BLAMES_INPUT = frozenset({Kind.BAD_INPUT, Kind.CONTEXT_TOO_LONG, Kind.CONTENT_POLICY})


class RowIsolation(Policy):
    """Give each good row of a failing batch its own right answer, and each bad row its own error.

    A model that takes many rows at once fails for all of them where one holds a NaN, a token that it does not
    know, or a text that is too long. Then the batch is cut in halves, and so on, until each row has passed or
    has failed by itself: one bad row among *n* costs ``1 + 2 log2(n)`` calls in all. A model that is down is
    told apart by single rows that fail alike, and raises as it would have.

    Rows that failed are remembered by their content: they are refused before the model is called, for
    *quarantine_seconds*, for each guarded function apart. Put a Retry inside, so that a blip is not taken for
    a bad row; errors that no row can be to blame for, a lost connection say, pass through at once. The model
    must leave its batch as it is: where it works on it in place and fails, that error is raised.

    Args:
        rows: Which argument holds the batch, by name or position: an array (its first axis), a list, a
            tuple, a dict of columns, a tensor, a frame. The answer has one item a row, of any of these kinds.
        on_bad: What the caller gets where rows are bad. ``"raise"``: :class:`BadRows`, which has all results.
            ``"fill"``: the answer, with *fill* for bad rows, labelled as degraded. ``"results"``: a tuple of
            :class:`RowResult`, always. A batch of one row raises its own error with ``"raise"``.
        fill: What stands for the answer to a bad row.
        on: The kinds of failure that a row may be to blame for. By default ``bad_input``, ``unknown``,
            ``invalid_output``, ``context_too_long`` and ``content_policy``.
        rows_of_error: ``(error) -> numbers`` of the rows that an error names, from 0, or None. By default its
            attribute ``rows``, which errors of a :class:`Contract` have.
        max_calls: The most calls for one batch, from 1. Rows that are not settled then have the batch's
            error.
        quarantine: How many bad rows are remembered, from 0 for none.
        quarantine_seconds: For how long, above 0.
        size, take, join: How to count rows, take some and put answers together, for other kinds of batch:
            ``(batch) -> int``, ``(batch, numbers) -> batch``, ``([(numbers, answer), ...], count) ->
            answer``.
        name: How messages call it; by default the name of the function it guards.
        on_event: Called with its :class:`~resilient_ml.events.RowsIsolated` events.

    Raises:
        BadRows: From the guarded function, with ``on_bad="raise"``.
        InvalidOutput: The answer does not have one item a row: nobody could say whose is whose.

    >>> import math
    >>> @RowIsolation(on_bad="fill", fill=-1.0)
    ... def roots(numbers):
    ...     return [math.sqrt(number) for number in numbers]
    >>> roots([4.0, -1.0, 9.0])
    [2.0, -1.0, 3.0]
    """

    role: str = "rows"

    def __init__(
        self,
        rows: str | int = 0,
        *,
        on_bad: OnBad = "raise",
        fill: Any = None,
        on: Sequence[Kind | str] | None = None,
        rows_of_error: Callable[[Exception], Any] | None = None,
        max_calls: int = 256,
        quarantine: int = 1000,
        quarantine_seconds: float = 300.0,
        size: Callable[[Any], int] | None = None,
        take: Callable[[Any, Rows], Any] | None = None,
        join: Callable[[Sequence[tuple[Rows, Any]], int], Any] | None = None,
        name: str | None = None,
        on_event: Callable[[Any], object] | None = None,
    ) -> None:
        super().__init__(name=name, on_event=on_event)
        self._place = batch_place(rows)
        self._on_bad = _checks.one_of("on_bad", on_bad, _ON_BAD)
        self._fill = fill
        self._kinds = _KINDS if on is None else frozenset(_kind(one) for one in on)
        self._rows_of_error = optional("rows_of_error", rows_of_error, "pass a function of an error")
        self._most = _checks.whole("max_calls", max_calls, at_least=1, remedy="pass 256, say")
        kept = _checks.whole("quarantine", quarantine, at_least=0, remedy="pass 0 to remember none")
        seconds = _checks.seconds("quarantine_seconds", quarantine_seconds, remedy="pass 300, say")
        self._quarantine = Quarantine(kept, seconds) if kept else None
        self._batches = batches(size, take, join)
        self._arguments = Arguments()
        self._scopes = Scopes()

    def check(self, target: Target) -> None:
        """Refuse streams, which have no rows, and a batch that the function does not take."""
        refuse_streams(self, target)
        self._arguments.check(target.fn, self._place, "rows", target.name)

    async def around(self, proceed: Proceed[T], call: Call) -> T:
        """Proceed with all rows; where that fails, with fewer, until it is known which are bad."""
        case = self._begin(call)
        if case is None:
            return await proceed(call)
        args, kwargs = call.args, call.kwargs
        try:
            while (part := case.next()) is not None:
                case.send(part)
                try:
                    answer = await proceed(call)
                except Exception as error:
                    if not case.goes_on(part, error):
                        raise
                else:
                    case.keep(part, answer)
            return cast(T, case.served())
        finally:
            call.args, call.kwargs = args, kwargs
            case.end()

    def _begin(self, call: Call) -> _Case | None:
        """The batch of *call*; None where it holds no rows."""
        where = self._arguments.find(call, self._place)
        if where is None:
            raise TypeError(
                f"{self.name!r} was called without the argument {self._place!r} that holds the batch; "
                "pass it, or name another with rows="
            )
        batch = value_at(call, where)
        count = self._batches.count(batch)
        return None if not count else _Case(self, call, where, batch, count)

    def release(self) -> None:
        """Let all rows out of quarantine: for a model that has learnt to bear them."""
        if self._quarantine is not None:
            self._quarantine.clear()

    @property
    def quarantined(self) -> int:
        """How many rows are refused without a call."""
        return 0 if self._quarantine is None else self._quarantine.trim(self.clock())

    def forgettable(self) -> bool:
        """One that holds nothing in quarantine is as good as new."""
        return not self.quarantined

    def describe(self) -> str:
        """Its numbers in one line."""
        return f"RowIsolation(rows={self._place!r}, on_bad={self._on_bad!r}, max_calls={self._most})"


class _Case:
    """One call's batch: what is known of each of its rows."""

    def __init__(self, policy: RowIsolation, call: Call, where: str | int, batch: Any, count: int) -> None:
        self._policy = policy
        self._call = call
        self._where = where
        self._batch = batch
        self._count = count
        self._sample = sample_of(batch)
        self._answers: list[tuple[Part, Any]] = []
        self._errors: dict[int, Exception] = {}
        self._first: Exception | None = None
        self._refuse_known()
        rows: Part = range(count)
        if self._errors:
            rows = [row for row in rows if row not in self._errors]
        self._plan = Bisection(rows, most=policy._most) if rows else None

    def next(self) -> Part | None:
        """The rows to try now."""
        return None if self._plan is None else self._plan.next()

    def send(self, part: Part) -> None:
        """Put the rows of *part* into the call."""
        if len(part) < self._count:
            put_at(self._call, self._where, self._policy._batches.part(self._batch, part))

    def keep(self, part: Part, answer: Any) -> None:
        """The rows of *part* have been answered."""
        assert self._plan is not None
        found = self._policy._batches.rows_in(answer, len(part))
        if found != len(part):
            raise InvalidOutput(
                f"the answer of {self._policy.name!r} has {found} rows for {len(part)}: nobody can say "
                f"whose is "
                "whose; return one item a row",
                rule="rows",
            )
        self._answers.append((part, answer if len(part) == self._count else own(answer)))
        self._plan.passed()

    def goes_on(self, part: Part, error: Exception) -> bool:
        """Whether to try fewer rows now that *part* has failed."""
        plan, policy = self._plan, self._policy
        assert plan is not None
        kind = kind_of(error)
        if kind not in policy._kinds or isinstance(error, NoBatch):
            return False
        if sample_of(self._batch) != self._sample:
            add_note(error, CHANGED)
            return False
        self._first = self._first or error
        named = self._named(part, error)
        if named:
            for row in named:
                self._errors[row] = error
            rest = [row for row in part if row not in named]
            plan.named(rest)
            return True
        plan.failed(_signature(error), blames_input=kind in _BLAMES_INPUT)
        if len(part) == 1:
            self._errors[part[0]] = error
        if plan.given_up or (self._count == 1 and policy._on_bad == "raise"):
            if not plan.given_up:
                self._remember()
            if error is not self._first:
                add_note(error, f"{plan.calls} parts of the batch have failed alike: no row is to blame")
            return False
        return True

    def _named(self, part: Part, error: Exception) -> set[int]:
        """The rows that *error* names, of those in *part*."""
        ask = self._policy._rows_of_error
        told = read(error, "rows") if ask is None else ask(error)
        if not isinstance(told, list | tuple | set | frozenset | range | np.ndarray):
            return set()
        return {part[int(row)] for row in told if isinstance(row, int | np.integer) and 0 <= row < len(part)}

    # -- quarantine ----------------------------------------------------------------------------------------

    def _keys(self, rows: Sequence[int]) -> Iterator[tuple[int, bytes]]:
        """The keys of those *rows* that have a content."""
        try:
            key_of = row_keys(self._batch, self._policy._scopes.of(self._call.fn))
        except TypeError:  # a function that cannot be told from others
            return
        for row in rows:
            try:
                yield row, key_of(row)
            except TypeError:  # nothing that a key could be made of
                continue

    def _refuse_known(self) -> None:
        quarantine = self._policy._quarantine
        if quarantine is None or not len(quarantine) or not quarantine.trim(now := self._call.now()):
            return
        for row, key in self._keys(range(self._count)):
            if quarantine.holds(key, now):
                self._errors[row] = RowQuarantined(
                    f"row {row} failed by itself not long ago and was not sent to {self._policy.name!r}; "
                    f"correct it, "
                    "or call release() if the model has changed"
                )

    def _remember(self) -> None:
        quarantine = self._policy._quarantine
        if quarantine is None or not self._errors:
            return
        now = self._call.now()
        fresh = [row for row, error in self._errors.items() if not isinstance(error, RowQuarantined)]
        for _, key in self._keys(fresh):
            quarantine.add(key, now)

    # -- the end -------------------------------------------------------------------------------------------

    def served(self) -> Any:
        """What the caller gets."""
        policy, plan = self._policy, self._plan
        self._remember()
        for row in plan.unsettled() if plan is not None else ():
            assert self._first is not None
            self._errors[row] = self._first
        if not self._errors and policy._on_bad != "results":
            return policy._batches.joined(self._answers, self._count, self._batch)
        if self._errors:
            calls = 0 if plan is None else plan.calls
            policy.emit(RowsIsolated, self._call.now(), rows=self._count, bad=len(self._errors), calls=calls)
        if policy._on_bad == "fill":
            return self._filled()
        results = self._results()
        if policy._on_bad == "results":
            return results
        bad = [row for row, result in enumerate(results) if not result.ok]
        shown = ", ".join(map(str, bad[:10])) + (", ..." if len(bad) > 10 else "")
        raise BadRows(
            f"{len(bad)} of {self._count} rows are bad for {policy.name!r}: {shown}; the answers to the "
            f"others are "
            "in .results, or pass on_bad='fill'",
            results=results,
        ) from self._errors[bad[0]]

    def _results(self) -> tuple[RowResult, ...]:
        values = answers_by_row(self._answers)
        return tuple(
            RowResult(False, None, self._errors[row], str(kind_of(self._errors[row])))
            if row in self._errors
            else RowResult(True, values[row], None, None)
            for row in range(self._count)
        )

    def _filled(self) -> Any:
        call, policy = self._call, self._policy
        call.degraded = True
        if call.record is not None:
            call.record.degraded = True
        return policy._batches.joined(self._answers, self._count, self._batch, policy._fill)

    def end(self) -> None:
        """Nothing is kept: errors hold the frames that hold this."""
        self._errors = {}
        self._answers = []
        self._first = None
        self._batch = None


def _signature(error: Exception) -> tuple[type[Exception], str]:
    """What failures of one cause have in common: their class, and their words without those that count."""
    said = read(error, "args")
    text = said[0][:200] if type(said) is tuple and said and type(said[0]) is str else ""
    return type(error), " ".join("#" if any(map(str.isdigit, word)) else word for word in text.split())


def _kind(given: Any) -> Kind:
    try:
        return Kind(given)
    except ValueError:
        raise ValueError(
            f"on must hold kinds, got {_checks.shown(given)}; pass one of " + ", ".join(map(str, Kind))
        ) from None
