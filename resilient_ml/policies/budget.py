"""Refuse calls before they cost more than there is to spend."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

from .. import _checks
from .._call import Call, Proceed
from .._policy import Policy
from ..errors import BudgetExhausted, Rejected
from ..events import BudgetSoftLimit, CallRejected
from ..kinds import Kind, kind_of
from ..machines.budget import Exhausted, Ledger
from ._usage import amount, never_sent, said, tokens_used, told_by

T = TypeVar("T")


class Budget(Policy):
    """Spend at most *limit*, in any *per* seconds or for ever, however many calls are in flight.

    A call sets its worst case aside before it begins, and is refused where there is not enough left; when it
    has ended it is charged what it did cost. One of which nobody can tell is charged its worst case, and
    :attr:`exact` is False from then on. What was refused on the way, or by the provider, costs nothing.

    Put it inside a Retry and a Hedge, so that each attempt is charged, that which lost as well. For a budget
    per tenant, put it in a Keyed.

    Args:
        limit: How much may be spent, above 0.
        per: In so many seconds, wherever the window begins; None for as long as this object lives.
        unit: What is spent, for messages: ``"usd"``, ``"tokens"``, ``"calls"`` or any other.
        cost: The most that a call can cost: a number from 0, or a function of the call's arguments. For
            ``"calls"`` it is 1 where nothing else is said.
        spent: Reads from the answer what the call did cost; None where that is not known. By default the
            usage of the answer for ``"tokens"``, and *cost* itself for others. Of a stream the last item is
            asked, where :class:`~resilient_ml.Stream` keeps items.
        stream_cost: What a stream has cost that has emitted so many items: a function of that number and the
            call's arguments. It is asked where *spent* knows nothing: of streams that were cut off too.
        soft: A share of the limit, above 0 and at most 1, at which to say so, once until it is below again.
        within: A budget of which this one spends a part: a request's within a session's within a tenant's. A
            call is let through by all of them or charged to none.
        name: How messages call it; by default the name of the function it guards.
        on_event: Called with its :class:`~resilient_ml.events.CallRejected` and
            :class:`~resilient_ml.events.BudgetSoftLimit` events.

    Raises:
        BudgetExhausted: From the guarded function, when its worst case does not fit into what is left.

    >>> budget = Budget(1.00, cost=0.25, spent=lambda answer: answer["price"])
    >>> @budget
    ... def complete(prompt):
    ...     return {"text": "fine", "price": 0.05}
    >>> _ = complete("How are you?")
    >>> budget.spent, budget.left
    (0.05, 0.95)
    """

    role: str = "budget"

    def __init__(
        self,
        limit: float,
        *,
        per: float | None = None,
        unit: str = "usd",
        cost: float | Callable[..., float] | None = None,
        spent: Callable[[Any], float | None] | None = None,
        stream_cost: Callable[..., float] | None = None,
        soft: float = 0.8,
        within: Budget | None = None,
        name: str | None = None,
        on_event: Callable[[Any], object] | None = None,
    ) -> None:
        super().__init__(name=name, on_event=on_event)
        whole = _checks.seconds("limit", limit, remedy="pass how much may be spent")
        window = None if per is None else _checks.seconds("per", per, remedy="pass None for no window")
        if cost is None and unit != "calls":
            raise TypeError(
                f"cost is missing: nothing says what a call costs at most in {unit}; "
                "pass a number, or a function of the call's arguments"
            )
        if cost is None:
            cost = 1.0
        self._cost = (
            cost
            if callable(cost)
            else _checks.at_least("cost", cost, 0, remedy="pass the most that a call costs")
        )
        if spent is None and unit == "tokens":
            spent = tokens_used
        self._spent = (
            spent
            if spent is None
            else _checks.function("spent", spent, remedy="pass a function of the answer")
        )
        self._stream_cost = (
            stream_cost
            if stream_cost is None
            else _checks.function("stream_cost", stream_cost, remedy="pass a function of the items emitted")
        )
        if within is not None and not isinstance(within, Budget):
            raise TypeError(f"within must be a Budget, got {_checks.shown(within)}; pass the larger budget")
        self.unit: str = unit
        self.within: Budget | None = within
        self._per = window
        self._soft = _checks.share("soft", soft, remedy="pass 1 to be told at the limit alone")
        self._ledger: Ledger = Ledger(whole, window, None if within is None else within._ledger)
        self._warned = False

    @property
    def limit(self) -> float:
        """How much may be spent."""
        return self._ledger.limit

    @property
    def spent(self) -> float:
        """How much has been spent, in the window; without calls in flight."""
        return self._ledger.spent(self.clock())

    @property
    def reserved(self) -> float:
        """What calls in flight have set aside."""
        return self._ledger.reserved()

    @property
    def left(self) -> float:
        """How much the next call may cost at most."""
        return self._ledger.left(self.clock())

    @property
    def exact(self) -> bool:
        """Whether all that was spent is known, and no worst case was charged in its place."""
        return self._ledger.unknown == 0

    async def around(self, proceed: Proceed[T], call: Call) -> T:
        """Set the worst case aside, run, and charge what it did cost."""
        cost = self._cost
        worst = said("cost", cost(*call.args, **call.kwargs)) if callable(cost) else cost
        exhausted = self._ledger.reserve(call.now(), worst)
        if exhausted is not None:
            raise self._refusal(worst, exhausted, call)
        emitted = call.emitted
        actual: float | None = None
        try:
            self._warn(call)
            result = await proceed(call)
            actual = self._told(result, worst, call)
        except Exception as error:
            if isinstance(error, Rejected) or never_sent(error) or kind_of(error) is Kind.RATE_LIMITED:
                actual = 0.0
            raise
        finally:
            try:
                if actual is None and self._stream_cost is not None and call.emitted > emitted:
                    actual = amount(self._stream_cost(call.emitted - emitted, *call.args, **call.kwargs))
            finally:
                self._ledger.settle(call.now(), worst, actual)
        return result

    def _told(self, result: object, worst: float, call: Call) -> float | None:
        return worst if self._spent is None else told_by(call, result, self._spent)

    def _warn(self, call: Call) -> None:
        """Say so where this budget, or one that it is within, has come above its soft limit."""
        budget: Budget | None = self
        while budget is not None:
            now, limit = call.now(), budget.limit
            gone = limit - budget._ledger.left(now)
            above = gone >= budget._soft * limit
            if above and not budget._warned:
                budget.emit(BudgetSoftLimit, now, spent=gone, limit=limit)
            budget._warned = above
            budget = budget.within

    def _refusal(self, worst: float, exhausted: Exhausted, call: Call) -> BudgetExhausted:
        short = self
        while short._ledger is not exhausted.ledger:
            assert short.within is not None
            short = short.within
        what = (
            f"has {exhausted.left:g} of {short.limit:g} {short.unit} left{short._in_seconds()}, "
            f"and this call may cost {worst:g}"
        )
        self.emit(CallRejected, call.now(), reason=what, retry_after=exhausted.wait)
        return BudgetExhausted(
            f"budget {short.name!r} {what}; ask for less, raise the limit, or put a Fallback outside it",
            retry_after=exhausted.wait,
            policy=short.name,
        )

    def _in_seconds(self) -> str:
        return "" if self._per is None else f" in {self._per:g} s"

    def forgettable(self) -> bool:
        """One of which nothing is spent or set aside is as good as new."""
        return self.left >= self.limit  # the ledger may have rounded the limit up

    def describe(self) -> str:
        """Its numbers in one line."""
        return f"Budget({self.limit:g} {self.unit}{self._in_seconds()})"
