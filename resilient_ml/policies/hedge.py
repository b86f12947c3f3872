"""Ask a second time when the first answer takes unusually long, and serve whichever comes first."""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable
from functools import partial
from typing import Any, TypeVar, cast

from .. import _checks
from .._call import Call, Job, Limit, Proceed, fork_call
from .._colour import ANSWERED_BY, Target, name_of, target_of
from .._notes import add_note
from .._policy import Policy
from .._race import Race, Rival
from ..errors import InvalidOutput
from ..events import HedgeSkipped, HedgeStarted, HedgeWon
from ..kinds import kind_of
from ..machines.hedging import HedgeMachine
from ..machines.retry_budget import RetryBudget

T = TypeVar("T")


class Hedge(Policy):
    """Start a second attempt when the first takes longer than most, and serve whichever answers first.

    It helps where a few calls take much longer than the rest for reasons of their own: a pause of one
    replica, a packet lost. The delay is learned: with the default *quantile* one call in twenty reaches it.
    Hedges are at most *ratio* of all calls, and there are none while the whole backend is slow.

    The attempt that is not needed any more is cancelled. A plain function cannot be cancelled: it is left
    behind on its thread, counted, and capped by *max_abandoned*. Neither keeps the winner waiting, and a
    Bulkhead outside holds its seat until both have ended.

    A failure before the delay comes out at once: put a Retry outside for those. Once a hedge runs, the first
    good answer is served. Where both fail, or the input is to blame (``bad_input``), the first failure comes
    out.

    Streams race for their first content, as ``Stream(is_content=)`` decides, and the delay is learned from
    how long that takes. The one that has it first is passed on to its end, the others are closed; items of
    two are never mixed. What goes wrong after the first content is an interrupted stream as any other: a
    Retry or Fallback outside goes on from it as ``Stream(on_interrupt=)`` says, and is not hedged.

    From the moment the delay is known each attempt runs in a task, or on a worker thread, of its own: a
    plain function's call then costs a hand-over between threads more. Streams do from the beginning: an async
    one stays in its task and costs two turns of the loop for each item, a plain one goes on on the thread of
    its reader once it has won. Only guard what may safely be done twice.

    Args:
        targets: What to ask instead, in turn: other replicas, of any colour that can answer for the guarded
            function. They do not pass through the policies inside this one. None for the guarded function
            again.
        delay: Seconds after which to ask again; None to learn it.
        quantile: Which quantile of the calls' lengths it then is, above 0 and below 1.
        ratio: The most hedges, as a share of all calls, above 0 and at most 1; ten may be saved up.
        hedges: The most that one call may start, each a delay after the one before; from 1.
        accept: Says whether an answer is good enough to win; takes the answer, of a stream its first content.
            What it refuses is a failure. A stream that ends without any content is not asked about.
        minimum_calls: So many calls are seen before a delay is learned from them; from 1.
        max_abandoned: While so many attempts that lost are still running, nothing is hedged; from 1.
        name: How messages call it; by default the name of the function it guards.
        on_event: Called with its :class:`~resilient_ml.events.HedgeStarted`,
            :class:`~resilient_ml.events.HedgeWon` and :class:`~resilient_ml.events.HedgeSkipped` events.

    Raises:
        InvalidOutput: From the guarded function, where *accept* refused each answer.

    >>> @Hedge(delay=0.05)
    ... def embed(text):
    ...     return [0.6, 0.8]
    >>> embed("fine")
    [0.6, 0.8]

    Source: J. Dean, L. A. Barroso, "The Tail at Scale", CACM 56(2), 2013.
    """

    role: str = "hedge"

    def __init__(
        self,
        *targets: Callable[..., Any],
        delay: float | None = None,
        quantile: float = 0.95,
        ratio: float = 0.05,
        hedges: int = 1,
        accept: Callable[[Any], bool] | None = None,
        minimum_calls: int = 100,
        max_abandoned: int = 64,
        name: str | None = None,
        on_event: Callable[[Any], object] | None = None,
    ) -> None:
        super().__init__(name=name, on_event=on_event)
        self._targets = tuple(_target(target) for target in targets)
        if delay is not None:
            delay = _checks.seconds("delay", delay, remedy="pass None to learn it")
        share = _checks.share("quantile", quantile, remedy="pass 0.95 to hedge one call in twenty")
        if share == 1:
            raise ValueError(
                f"quantile must be below 1, got {_checks.shown(quantile)}; no call takes longer than all"
            )
        paid = _checks.share("ratio", ratio, remedy="pass the most hedges per call, 0.05 say")
        least = _checks.whole("minimum_calls", minimum_calls, at_least=1, remedy="pass 100, say")
        lost = _checks.whole("max_abandoned", max_abandoned, at_least=1, remedy="pass 64, say")
        self._hedges = _checks.whole("hedges", hedges, at_least=1, remedy="leave Hedge out to ask once")
        self._accept = (
            None
            if accept is None
            else _checks.function("accept", accept, remedy="pass a function of the answer, or None")
        )
        self._ratio = paid
        self._quantile = share
        self._machine = HedgeMachine(delay, share, least, RetryBudget(paid, 0.0, 10.0))
        self._limit = Limit(math.inf, "Hedge", max_abandoned=lost)
        self._turns = itertools.count()

    def check(self, target: Target) -> None:
        """Refuse targets that cannot answer for *target*'s colour."""
        for other in self._targets:
            if other.colour not in ANSWERED_BY[target.colour]:
                raise TypeError(
                    f"Hedge cannot ask {other.colour.value} {other.name!r} for {target.colour.value} "
                    f"{target.name!r}; pass a target of colour "
                    + " or ".join(sorted(colour.value for colour in ANSWERED_BY[target.colour]))
                )

    async def around(self, proceed: Proceed[T], call: Call) -> T:
        """Proceed, and once more if that takes long; serve the first good answer."""
        streams = call.outlet is not None
        if streams and call.emitted:  # it goes on after others: there is no first content to wait for
            return await proceed(call)
        delay = self._machine.begin()
        began = call.now()
        if delay is None and not streams:
            answer: T = self._accepted(await proceed(call))
            self._learn(call, began, late=False)
            return answer
        bout = _Bout(self, proceed, call, began, delay)
        try:
            while bout.is_open():
                rival = bout.race.next()
                if rival is None:
                    signal = call.runtime.signal()
                    came = True
                    if bout.race.listen(signal.set):
                        came = await call.runtime.wait(signal, bout.due)
                    rival = bout.race.heard()
                    if rival is None and not came:
                        bout.ask_again()
                if rival is not None and bout.judge(rival):
                    bout.leave()
                    answer = await call.runtime.carry_on(rival, call) if streams else cast(T, bout.answer)
                    if bout.left:
                        await call.runtime.sleep(0)  # those that were cancelled get a turn to end
                    return answer
            bout.leave()
            if bout.left:
                await call.runtime.sleep(0)
            raise bout.lost()
        finally:
            bout.end()

    def _accepted(self, answer: T) -> T:
        """*answer*, unless it is not good enough."""
        if self._accept is not None and not self._accept(answer):
            raise InvalidOutput(
                f"the answer for {self.name!r} is not one that accept= lets win; put a Retry with "
                "on='invalid_output' or a Fallback outside",
                rule="accept",
            )
        return answer

    def _pays(self, call: Call, delay: float, *, first: bool) -> bool:
        """Whether to ask again now."""
        lost = len(self._limit.running)
        if lost >= self._limit.max_abandoned:
            reason: str | None = f"{lost} attempts that lost are still running"
        else:
            reason = self._machine.late(call.now(), first=first)
        if reason is None:
            return True
        self.emit(HedgeSkipped, call.now(), delay=delay, reason=reason)
        return False

    def _other(self) -> Target | None:
        """Whom to ask this time; None for the guarded function again."""
        return self._targets[next(self._turns) % len(self._targets)] if self._targets else None

    def _learn(self, call: Call, began: float, *, late: bool) -> None:
        now = call.now()
        self._machine.ended(now, now - began, late=late)

    @property
    def delay(self) -> float | None:
        """Seconds after which a call is hedged; None while too few calls have been seen."""
        return self._machine.delay

    def forgettable(self) -> bool:
        """One that has not learned a delay yet is as good as new."""
        return self._machine.delay is None

    def describe(self) -> str:
        """Its numbers in one line."""
        fixed = self._machine.fixed
        after = f"{fixed:g} s" if fixed is not None else f"the {self._quantile:.0%} quantile"
        names = f"{', '.join(target.name for target in self._targets)}, " if self._targets else ""
        return f"Hedge({names}after {after}, at most {self._ratio:.0%} of calls)"


class _Bout:
    """The attempts of one call."""

    __slots__ = (
        *("_began", "_call", "_delay", "_hedge", "_hedges", "_late", "_proceed", "_streams"),
        *("answer", "due", "failure", "left", "race"),
    )

    def __init__(
        self, hedge: Hedge, proceed: Proceed[Any], call: Call, began: float, delay: float | None
    ) -> None:
        self._streams = call.outlet is not None
        self._hedge = hedge
        self._proceed = proceed
        self._call = call
        self._began = began
        self._delay = math.inf if delay is None else delay
        self._hedges: dict[Rival, str] = {}
        self._late = False
        self.due: float = began + self._delay
        """When to ask again, if nobody has answered."""
        self.answer: Any = None
        self.failure: Exception | None = None
        """What to raise if nobody answers."""
        self.left = False
        """Whether any was left behind."""
        self.race = Race()
        self.race.enter(call.runtime.spawn(proceed, fork_call(call)))

    def is_open(self) -> bool:
        """Whether there is anybody to wait for."""
        return self.failure is None or bool(self.race.running)

    def ask_again(self) -> None:
        """It takes long: start a hedge, where that pays."""
        hedge, call = self._hedge, self._call
        pays = hedge._pays(call, self._delay, first=not self._late)
        self._late = True
        self.due = math.inf
        if not pays:
            return
        other = hedge._other()
        step = self._proceed if other is None else partial(call.runtime.invoke, other)
        name = name_of(call.fn) if other is None else other.name
        rival = call.runtime.spawn(step, fork_call(call))
        self._hedges[rival] = name
        self.race.enter(rival)
        if len(self._hedges) < hedge._hedges:
            self.due = call.now() + self._delay
        hedge.emit(HedgeStarted, call.now(), target=name, delay=self._delay)

    def judge(self, rival: Rival) -> bool:
        """Whether *rival*, which has arrived, wins."""
        call = self._call
        if not (self._opens_well(rival) if self._streams else self._answers_well(rival)):
            return False
        self._hedge._learn(call, self._began, late=self._late)
        if getattr(rival.call, "degraded", False):
            call.degraded = True
        name = self._hedges.get(rival)
        if name is not None:
            self._hedge.emit(HedgeWon, call.now(), target=name, seconds=call.now() - self._began)
        return True

    def _answers_well(self, rival: Rival) -> bool:
        """Whether an attempt has ended in a good answer."""
        self._call.orphans += rival.call.orphans
        try:
            self.answer = self._hedge._accepted(rival.result())
        except Exception as error:  # noqa: BLE001 - raised where nobody answers
            self._failed(error)
            return False
        return True

    def _opens_well(self, rival: Rival) -> bool:
        """Whether a stream has begun with good content, or ended without any; another one is closed."""
        try:
            for content in rival.result():  # one, or none of an answer that is empty
                self._hedge._accepted(content)
        except BaseException as error:
            rival.cancel()
            self._leave_behind((rival,))
            if not isinstance(error, Exception):
                raise
            if self.failure is None:
                self._call.tape = rival.call.tape  # what is told of the failure, which may be raised
            self._failed(error)
            return False
        return True

    def _failed(self, error: Exception) -> None:
        if not kind_of(error).treatment.try_elsewhere:
            self.race.give_up()  # the input is to blame: nobody else will answer
        if self.failure is None:
            self.failure = error
        else:
            add_note(self.failure, f"another attempt failed too: {type(error).__name__}")
        if self._late and not self.race.running:
            self._hedge._learn(self._call, self._began, late=True)

    def lost(self) -> Exception:
        """What to raise, as nobody has answered."""
        assert self.failure is not None
        return self.failure

    def leave(self) -> None:
        """Cancel those who run; what outer policies hold, they hold until these have ended."""
        self._leave_behind(self.race.leave())

    def _leave_behind(self, left: tuple[Job, ...]) -> None:
        for job in left:
            self._hedge._limit.abandon(job)
            self.left = True
        self._call.orphans += left

    def end(self) -> None:
        """Nothing is kept, and nobody is left running, however it ended."""
        self.leave()
        self.answer = self.failure = None  # an error's traceback holds the frame that holds this


def _target(given: Any) -> Target:
    return target_of(_checks.function("targets", given, remedy="pass functions that can answer instead"))
