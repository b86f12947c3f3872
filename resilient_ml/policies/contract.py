"""Refuse answers that break their contract, and inputs that no model should see."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any, TypeVar, cast

from .. import _checks
from .._call import Call, Proceed
from .._colour import Target
from .._policy import Policy
from ..contracts.finite import Finite
from ..contracts.judge import Breach, Judge, Verdict
from ..contracts.rule import Rule, TextOf, as_rules
from ..errors import InvalidInput, InvalidOutput
from ..events import ContractBroken
from ..kinds import Kind
from ._arguments import Arguments, put_at, value_at
from ._chunks import ChunkContract

T = TypeVar("T")

Inputs = Rule | Sequence[Rule] | Mapping[str | int, Rule | Sequence[Rule]]


class Contract(Policy):
    """Hold each answer against rules, and serve none that breaks them.

    A model that answers fast and wrong is the worst outage, as nothing that watches for errors sees it. What
    breaks a rule is a failure of kind ``invalid_output``: a Retry, Hedge, Fallback or CircuitBreaker outside
    acts on it, and a Cache outside does not keep it. Each rule says what follows (``then=``): the answer is
    refused, served with an event, mended, or replaced by *blank*, labelled as degraded.

    On a stream the rules follow what comes, chunk by chunk and in bounded work. What is wrong before the
    commit point is retried without a trace; later it ends the stream, or resumes it as :class:`Stream` says.
    Whoever answers is checked, a fallback too.

    Rules on *inputs* are asked first: what breaks them never reaches the model, and is a failure of kind
    ``bad_input``, which counts against nobody and is not tried again.

    Args:
        rules: What an answer must keep, from :mod:`resilient_ml.contracts`. None at all: numbers are finite.
        inputs: Rules on the first argument; or, as a dict, on arguments by name or position.
        rows: Whether an answer (and each checked argument) holds one item a row: along the first axis of an
            array, as the items of a list, as columns of a dict. The rules then hold for each row.
        max_bad: With *rows*, up to this share of rows may be refused, and a blank stand in their place; with
            more all of the answer is refused. From 0 to 1; 0 refuses it for one bad row.
        blank: What is served in place of an answer or a row that is not. None is NaN in an array of floats.
        text_of: The text of a chunk of a stream, for rules on text. By default that of its :class:`Stream`,
            else the chunk itself.
        name: How messages call it; by default the name of the function it guards.
        on_event: Called with its :class:`~resilient_ml.events.ContractBroken` events.

    Raises:
        InvalidOutput: From the guarded function, with the name of the ``rule`` and the numbers of the
            ``rows``.
        InvalidInput: The same for an argument.

    >>> from resilient_ml.contracts import Probabilities, Range
    >>> @Contract(Probabilities(), inputs=Range(-10, 10))
    ... def classify(features):
    ...     return [features[0] / 10, 1 - features[0] / 10]
    >>> classify([2.0, 3.0])
    [0.2, 0.8]
    """

    role: str = "contract"

    def __init__(
        self,
        *rules: Rule,
        inputs: Inputs = (),
        rows: bool = False,
        max_bad: float = 0.0,
        blank: Any = None,
        text_of: TextOf = None,
        name: str | None = None,
        on_event: Callable[[Any], object] | None = None,
    ) -> None:
        super().__init__(name=name, on_event=on_event)
        asked = _inputs(inputs)
        given = as_rules(rules, "rules")
        if not given and not asked:
            given = (Finite(),)
        by_row = _checks.flag("rows", rows, remedy="True says that an answer has one item a row")
        share = _checks.share("max_bad", max_bad, zero=True, remedy="pass the share of rows that may be bad")
        if share and not by_row:
            raise ValueError(
                f"max_bad={share:g} needs rows=True, which says that an answer has one item a row"
            )
        self._judge = Judge(given, rows=by_row, max_bad=share, blank=blank)
        self._inputs = tuple(
            (place, Judge(one, rows=by_row, max_bad=0.0, blank=blank)) for place, one in asked.items()
        )
        self._blank = blank
        self._text_of = (
            None
            if text_of is None
            else _checks.function("text_of", text_of, remedy="pass a function of a chunk")
        )
        self._arguments = Arguments()
        if not given:
            self.role: str = "input_contract"

    def check(self, target: Target) -> None:
        """Refuse rules that cannot follow a stream, and inputs that the function does not have."""
        for place, _ in self._inputs:
            self._arguments.check(target.fn, place, "inputs", target.name)
        if not target.colour.streams:
            return
        for rule in self._judge.rules:
            if rule.then == "abstain" or self._judge.rows:
                why = "rows=True" if self._judge.rows else f"then='abstain' of {rule.name}"
                raise TypeError(
                    f"Contract cannot guard {target.colour.value} {target.name!r} with {why}: what has been "
                    "passed on cannot be replaced; refuse the chunk, and put a Fallback outside"
                )
            rule.watch(self._text_of)

    def follow(self, text_of: TextOf) -> ChunkContract | None:
        """What follows one stream; None where no rule is about answers."""
        rules = self._judge.rules
        if not rules:
            return None
        return ChunkContract(rules, self._text_of or text_of, partial(self._tell, "output"), self.name)

    async def around(self, proceed: Proceed[T], call: Call) -> T:
        """Check the input, proceed, check the answer."""
        if self._inputs:
            args, kwargs = call.args, call.kwargs
            try:
                if self._admit(call):
                    await call.runtime.serve(self._blank, call)
                    return cast(T, self._blank)
                answer: T = await proceed(call)
            finally:
                call.args, call.kwargs = args, kwargs
        else:
            answer = await proceed(call)
        if call.outlet is not None or not self._judge.rules:
            return answer
        return cast(T, self._served(answer, call))

    def _served(self, answer: Any, call: Call) -> Any:
        """What to serve for *answer*."""
        verdict = self._judge.judge(answer)
        if verdict is None:
            return answer
        self._tell_all(verdict, "output", call)
        if verdict.refused is not None:
            if call.record is not None:
                call.record.judged(Kind.INVALID_OUTPUT)
            raise invalid_output(self.name, verdict.refused)
        if verdict.degraded:
            self._degrade(call)
        return verdict.value

    def _admit(self, call: Call) -> bool:
        """Check the arguments, and mend them; whether the blank is the answer."""
        for place, judge in self._inputs:
            where = self._arguments.find(call, place)
            if where is None:
                continue  # its default holds
            value = value_at(call, where)
            verdict = judge.judge(value)
            if verdict is None:
                continue
            self._tell_all(verdict, "input", call)
            if verdict.refused is not None:
                raise _invalid_input(self.name, place, verdict.refused)
            if verdict.degraded:
                self._degrade(call)
                return True
            put_at(call, where, verdict.value)
        return False

    def _degrade(self, call: Call) -> None:
        call.degraded = True
        if call.record is not None:
            call.record.degraded = True

    def _tell_all(self, verdict: Verdict, side: str, call: Call) -> None:
        for breach in verdict.breaches:
            self._tell(side, call.now(), breach)

    def _tell(self, side: str, now: float, breach: Breach) -> None:
        facts = {"rule": breach.rule, "action": breach.action, "flaw": breach.flaw, "rows": len(breach.rows)}
        self.emit(ContractBroken, now, side=side, **facts)

    def describe(self) -> str:
        """Its rules in one line."""
        said = [repr(rule) for rule in self._judge.rules]
        for place, judge in self._inputs:
            said += [f"{place}: {rule!r}" for rule in judge.rules]
        return f"Contract({', '.join(said)})"


def invalid_output(policy: str, breach: Breach) -> InvalidOutput:
    """The error for an answer that is refused."""
    return InvalidOutput(
        f"the answer of {policy!r} breaks rule {breach.rule!r}: it {breach.flaw}; put a Retry or a Fallback "
        "outside the Contract to ask again, or elsewhere",
        rule=breach.rule,
        rows=breach.rows,
    )


def _invalid_input(policy: str, place: str | int, breach: Breach) -> InvalidInput:
    named = f"argument {place!r}" if isinstance(place, str) else f"argument {place + 1}"
    return InvalidInput(
        f"{named} of {policy!r} breaks rule {breach.rule!r}: it {breach.flaw}; the model was not "
        "called, correct the input",
        rule=breach.rule,
        rows=breach.rows,
        argument=place,
    )


def _inputs(given: Any) -> dict[str | int, tuple[Rule, ...]]:
    if not isinstance(given, Mapping):
        rules = as_rules(given, "inputs")
        return {0: rules} if rules else {}
    for place in given:
        if isinstance(place, bool) or not (isinstance(place, str) or (isinstance(place, int) and place >= 0)):
            raise TypeError(
                f"inputs must name arguments by name or position, got {_checks.shown(place)}; pass a name, "
                "or 0"
            )
    return {place: as_rules(one, f"inputs[{place!r}]") for place, one in given.items()}
