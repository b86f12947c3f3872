"""Send no more requests and tokens than a provider allows, in turn and in time."""

from __future__ import annotations

import math
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal, TypeVar

from .. import _checks
from .._call import Call, Proceed
from .._policy import Policy
from ..errors import RateLimited, Rejected
from ..events import CallRejected, RateClosed
from ..kinds import Kind, kind_of
from ..machines.gcra import Gcra
from ..machines.rate_gate import Costs, Marks, Meter, RateGate, Waiter
from ..machines.sliding_window import SlidingWindow
from ..machines.usage_estimate import UsageEstimate
from ..rate_headers import allowances_of, full_again
from ..retry_after import retry_after_of
from ._usage import most_output, never_sent, said, tokens_used, told_by

T = TypeVar("T")

_ONE: Costs = (1.0,)
_SILENT = frozenset({str, bytes, int, float, bool, type(None), tuple, list})
"""Answers that have no headers."""
_SLICES = 200
"""How finely a window forgets: of a minute, calls may take 0.3 s longer or shorter to the provider."""
_BEFORE_KNOWN = 20
"""Before anything is learned, a call is reserved one part in so many of the limit."""
_UNTOLD = 20
"""A provider that refuses and does not say for how long is left alone for one part in so many of a window."""
_LONGEST = 10
"""So many windows are the longest that a provider is left alone, whatever it asks."""


@dataclass(slots=True)
class _Reserved:
    """What one call has taken.

    Attributes:
        costs: For each meter.
        marks: What the meters gave for them.
        tokens_in: How many of the tokens are its input.
        left: What the meters had left after it, where the provider's word is compared with that.
    """

    costs: Costs
    marks: Marks
    tokens_in: float
    left: Costs | None


class RateLimiter(Policy):
    """Let at most *requests* and *tokens* through in *per* seconds; the rest wait in turn, or are refused.

    A call reserves one request and the tokens that it is expected to use, all or nothing, and settles for
    what it did use, so that little of the limit lies idle. One that used more brings the limit into debt,
    which later calls wait off. A call that was refused on the way, or for which no connection was made, gets
    everything back; one that failed after it was sent keeps its reservation, unless its usage is known.

    Waiters are served first come first served whatever their size, and know the instant of their turn: a call
    that would have to wait past its deadline is refused at once, with the exact ``retry_after``. One limiter
    holds for threads, tasks and several event loops together. Put it inside a Retry, so that each attempt
    counts; for a limit per tenant, put it in a Keyed.

    What the provider says is obeyed: a 429 lets nothing through until the time it names, and
    ``x-ratelimit-*`` or ``anthropic-ratelimit-*`` headers that show less than was thought tighten the limit
    at once, and loosen it by a tenth in each tenth of the window.

    Args:
        requests: How many calls may begin in *per* seconds, from 1; None for no limit.
        tokens: How many tokens they may use in *per* seconds, from 1; None for no limit.
        per: The window, in seconds, above 0. Providers count by the minute.
        window: ``"sliding"``: never more than the limit in any window, wherever it begins, as a provider
            that counts exactly asks for; ``"bucket"``: *burst* at once and the rate in the long run,
            with the least memory.
        burst: For a bucket, which share of the limit it holds, above 0 and at most 1; a smaller one spreads
            calls more evenly. By default 1, which allows up to twice the limit in one window.
        wait: True to wait for as long as the call's deadline allows, False to refuse at once, or the longest
            wait in seconds.
        queue: How many may wait, from 0.
        input_tokens: How many tokens the input has: a function of the call's arguments. By default unknown,
            and learned together with the output.
        output_tokens: How many tokens to expect of the answer: a number, or a function of the call's
            arguments. By default the 95th percentile that calls have used, times *margin*, less what calls
            in flight together even out; at most what the call's ``max_tokens`` says, and that before enough
            is learned.
        margin: Times what was learned, from 1; more keeps refusals rarer, less uses more.
        usage: Reads from the answer how many tokens it used in all; None where that is not known. By default
            ``answer.usage`` as the vendors have it. Of a stream, the last item is asked, where
            :class:`~resilient_ml.Stream` keeps items.
        item_tokens: How many tokens an item of a stream stands for, where its usage is not told otherwise.
        oversize: What to do with a call that is larger than the whole limit: ``"reject"`` it, or ``"drain"``:
            let it wait until nothing else counts, and take everything.
        feedback: Whether the provider's headers and refusals are obeyed.
        name: How messages call it; by default the name of the function it guards.
        on_event: Called with its :class:`~resilient_ml.events.CallRejected` and
            :class:`~resilient_ml.events.RateClosed` events.

    Raises:
        RateLimited: From the guarded function, when its turn would come too late, the queue is full, or it is
            larger than the limit.

    >>> @RateLimiter(600, tokens=90_000, input_tokens=lambda prompt: len(prompt) / 4)
    ... def complete(prompt):
    ...     return {"text": "fine", "usage": {"total_tokens": 12}}
    >>> complete("How are you?")["text"]
    'fine'
    """

    role: str = "rate_limiter"

    def __init__(
        self,
        requests: float | None = None,
        *,
        tokens: float | None = None,
        per: float = 60.0,
        window: Literal["sliding", "bucket"] = "sliding",
        burst: float = 1.0,
        wait: bool | float = True,
        queue: int = 1000,
        input_tokens: Callable[..., float] | None = None,
        output_tokens: float | Callable[..., float] | None = None,
        margin: float = 1.5,
        usage: Callable[[Any], float | None] = tokens_used,
        item_tokens: float | None = None,
        oversize: Literal["reject", "drain"] = "reject",
        feedback: bool = True,
        name: str | None = None,
        on_event: Callable[[Any], object] | None = None,
    ) -> None:
        super().__init__(name=name, on_event=on_event)
        if requests is None and tokens is None:
            raise TypeError("RateLimiter needs requests= or tokens=; pass what the provider allows")
        self._per = _checks.seconds("per", per, remedy="pass the provider's window, 60 for a minute")
        self._window = _checks.one_of("window", window, ("sliding", "bucket"))
        self._burst = _checks.share("burst", burst, remedy="pass 1 for all of the limit at once")
        self._limits = {
            unit: _checks.at_least(unit, limit, 1, remedy="pass what the provider allows")
            for unit, limit in (("requests", requests), ("tokens", tokens))
            if limit is not None
        }
        if isinstance(wait, bool):
            self._longest = math.inf if wait else 0.0
        else:
            self._longest = _checks.seconds("wait", wait, remedy="pass False to refuse at once")
        self._drains = _checks.one_of("oversize", oversize, ("reject", "drain")) == "drain"
        self._feedback = _checks.flag("feedback", feedback, remedy="pass False to ignore the headers")
        self._usage = _checks.function("usage", usage, remedy="pass a function of the answer")
        self._input = (
            None
            if input_tokens is None
            else _checks.function("input_tokens", input_tokens, remedy="pass a function of the arguments")
        )
        self._output = (
            output_tokens
            if output_tokens is None or callable(output_tokens)
            else _checks.at_least("output_tokens", output_tokens, 0, remedy="pass None to learn it")
        )
        self._item = (
            None
            if item_tokens is None
            else _checks.at_least("item_tokens", item_tokens, 0, remedy="pass None if nobody can say")
        )
        self._estimate = UsageEstimate(_checks.at_least("margin", margin, 1, remedy="pass 1 for none"))
        self._units = tuple(self._limits)
        self._counts_tokens = tokens is not None
        self._gate = RateGate(
            [self._meter(limit) for limit in self._limits.values()],
            _checks.whole("queue", queue, at_least=0, remedy="pass 0 to refuse at once"),
        )
        self._hears = False
        self._guesses = self._counts_tokens and self._output is None and self._item is None

    def _meter(self, limit: float) -> Meter:
        if self._window == "sliding":
            return SlidingWindow(limit, self._per, slices=_SLICES)
        return Gcra(limit, self._per, limit * self._burst)

    @property
    def waiting(self) -> int:
        """How many wait."""
        return len(self._gate.waiters)

    @property
    def left(self) -> dict[str, float]:
        """How much of each limit can be taken now; negative where calls used more than they had reserved."""
        return dict(zip(self._units, self._gate.left(self.clock()), strict=True))

    async def around(self, proceed: Proceed[T], call: Call) -> T:
        """Take a request and the tokens, run, and settle for what was used."""
        gate = self._gate
        if self._counts_tokens:
            costs, tokens_in = self._costs(call)
            marks = gate.admit(call.now(), costs)
        else:
            costs, tokens_in = _ONE, 0.0
            tickets, now = gate.tickets, call.now()
            marks = next(tickets, None) if now < gate.until else None
            if marks is None:
                marks = gate.admit(now, costs)
        if marks is None:
            latest = self._latest(call)
            waiter = self._join(costs, latest, call)
            try:
                signal = call.runtime.signal()
                comes = gate.serve(waiter, call.now(), signal.set)
                while comes is not None:
                    if comes > latest:
                        raise self._refusal(comes, call)
                    await call.runtime.wait(signal, comes)
                    signal = call.runtime.signal()
                    comes = gate.serve(waiter, call.now(), signal.set)
            except BaseException:
                self._leave(waiter, call)
                raise
            marks = waiter.marks
            assert marks is not None
        if self._counts_tokens:
            self._estimate.begin()
        left = gate.left(call.now()) if self._hears else None
        emitted = call.emitted
        try:
            result = await proceed(call)
        except BaseException as error:
            self._failed(error, _Reserved(costs, marks, tokens_in, left), call, emitted)
            raise
        finally:
            if self._counts_tokens:
                self._estimate.end()
        if self._counts_tokens or type(result) not in _SILENT:
            self._ended(result, _Reserved(costs, marks, tokens_in, left), call, emitted)
        return result

    # ---- before

    def _costs(self, call: Call) -> tuple[Costs, float]:
        """What a call is expected to cost, and how many of its tokens are its input."""
        tokens_in = 0.0
        if self._input is not None:
            tokens_in = said("input_tokens", self._input(*call.args, **call.kwargs))
        output = self._output
        if callable(output):
            tokens_out = said("output_tokens", output(*call.args, **call.kwargs))
        elif output is not None:
            tokens_out = output
        else:
            most = most_output(call.kwargs)
            learned = self._estimate.expected()
            if learned is None:
                learned = self._limits["tokens"] / _BEFORE_KNOWN if most is None else most
            tokens_out = learned if most is None else min(learned, most)
        tokens = tokens_in + tokens_out
        if not self._drains and tokens > (largest := self._gate.meters[-1].largest):
            raise self._oversize(tokens, largest, call)
        return ((1.0, tokens) if len(self._units) > 1 else (tokens,)), tokens_in

    def _latest(self, call: Call) -> float:
        return min(call.deadline, call.now() + self._longest)

    def _join(self, costs: Costs, latest: float, call: Call) -> Waiter:
        waiter, turn = self._gate.join(call.now(), costs, latest)
        if waiter is None:
            raise self._refusal(turn, call, full=turn <= latest)
        return waiter

    def _leave(self, waiter: Waiter, call: Call) -> None:
        """Cancelled while waiting: what was taken in that moment goes to the next."""
        now = call.now()
        marks = self._gate.leave(waiter, now)
        if marks is not None:
            self._gate.settle(marks, tuple([-cost for cost in waiter.costs]), now)

    def _refusal(self, turn: float, call: Call, *, full: bool = False) -> RateLimited:
        now = call.now()
        wait = max(0.0, turn - now)
        why = f"{self._gate.queue} calls wait already" if full else "that is longer than it may wait"
        what = f"has no room for {wait:.3g} s, and {why}"
        self.emit(CallRejected, now, reason=what, retry_after=wait)
        return RateLimited(
            f"rate limiter {self.name!r} ({self._numbers()}) {what}; retry after that, raise wait= or queue="
            ", or put a Fallback outside it",
            retry_after=wait,
            policy=self.name,
        )

    def _oversize(self, cost: float, largest: float, call: Call) -> RateLimited:
        what = f"cannot ever let through a call of {cost:g} tokens, as {largest:g} is the most at once"
        self.emit(CallRejected, call.now(), reason=what)
        return RateLimited(
            f"rate limiter {self.name!r} {what}; send less at a time, raise the limit, "
            "or pass oversize='drain'",
            policy=self.name,
        )

    # ---- after

    def _ended(self, result: object, reserved: _Reserved, call: Call, emitted: int) -> None:
        if self._counts_tokens:
            used = told_by(call, result, self._usage)
            if used is None and self._guesses:
                self._cannot_see(reserved)
            self._used(reserved, used, call, emitted)
        if self._feedback and type(result) not in _SILENT:
            self._hear(result, reserved, call)

    def _cannot_see(self, reserved: _Reserved) -> None:
        """Say once that the limiter works on a guess: calls would wait for no reason that anybody sees."""
        self._guesses = False
        warnings.warn(
            f"rate limiter {self.name!r} cannot see how many tokens an answer used, so that each call keeps "
            f"the {reserved.costs[-1]:g} that were reserved for it; pass usage= to read it from the answer, "
            "output_tokens= to say what to expect, or item_tokens= for streams",
            stacklevel=2,
        )

    def _failed(self, error: BaseException, reserved: _Reserved, call: Call, emitted: int) -> None:
        if not isinstance(error, Exception):  # cancelled, or its reader has left
            if self._counts_tokens:
                self._used(reserved, None, call, emitted)
            return
        ours = isinstance(error, Rejected)
        if not ours and not never_sent(error):
            refused = kind_of(error) is Kind.RATE_LIMITED
            if refused and self._feedback:
                self._close(error, call)
            if self._counts_tokens:
                self._used(reserved, 0.0 if refused else None, call, emitted, learns=not refused)
            if self._feedback:
                self._hear(error, reserved, call)
            return
        self._gate.settle(reserved.marks, tuple([-cost for cost in reserved.costs]), call.now())

    def _used(
        self, reserved: _Reserved, used: float | None, call: Call, emitted: int, *, learns: bool = True
    ) -> None:
        """Settle for *used* tokens; for what a stream has emitted, or what was reserved, where None."""
        if used is None and self._item is not None and call.emitted > emitted:
            used = reserved.tokens_in + (call.emitted - emitted) * self._item
        if used is None:
            return
        if learns:
            self._estimate.learn(max(0.0, used - reserved.tokens_in))
        changes = (*(0.0 for _ in reserved.costs[1:]), used - reserved.costs[-1])
        self._gate.settle(reserved.marks, changes, call.now())

    def _close(self, error: Exception, call: Call) -> None:
        asked = retry_after_of(error, self.wall())
        if asked is None:
            seconds = min(self._per / _UNTOLD, full_again(error, self.wall()))
        else:
            seconds = min(asked, _LONGEST * self._per)
        now = call.now()
        self._gate.close(now, now + seconds)
        self.emit(RateClosed, now, seconds=seconds)

    def _hear(self, source: object, reserved: _Reserved, call: Call) -> None:
        """Compare what the provider tells with what the meters had left when the call began, and have now."""
        told = allowances_of(source)
        if not told:
            return
        self._hears = True
        now = call.now()
        left = self._gate.left(now)
        for position, unit in enumerate(self._units):
            allowance = told.get(unit)
            if allowance is not None:
                spare = 0.0
                if allowance.remaining is not None and reserved.left is not None:
                    spare = min(left[position], reserved.left[position]) - allowance.remaining
                self._gate.hear(position, now, allowance.limit or None, spare)

    # ---- seen from outside

    def forgettable(self) -> bool:
        """One that has its whole limit to give, and nobody waiting, is as good as new."""
        gate = self._gate
        now = self.clock()
        return (
            not gate.waiters
            and now >= gate.closed_until
            and all(left >= made for left, made in zip(gate.left(now), self._made(), strict=True))
        )

    def _made(self) -> Costs:
        share = 1.0 if self._window == "sliding" else self._burst
        return tuple([limit * share for limit in self._limits.values()])

    def _numbers(self) -> str:
        limits = " and ".join(f"{limit:g} {unit}" for unit, limit in self._limits.items())
        return f"{limits} in {self._per:g} s"

    def describe(self) -> str:
        """Its numbers in one line."""
        return f"RateLimiter({self._numbers()}, {self._window})"
