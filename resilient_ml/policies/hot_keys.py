"""Keep one hot key from taking all there is."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

from .. import _checks
from .._call import Call, Proceed, with_orphans
from .._content import key_of_value
from .._policy import Policy
from ..errors import LimitExceeded
from ..events import CallRejected
from ..machines.hot_keys import HotKeyMachine, HotSeat
from ..stats.space_saving import Heavy

T = TypeVar("T")


class HotKeyLimiter(Policy):
    """Bound how many calls of one hot key are in flight, so that the other keys are served all the same.

    A key is *hot* while it makes up more than *hot_share* of the last *window* calls, and *warm* while it
    makes up more than half of that. All hot keys together have *hot_limit* calls in flight, and each of
    them alone no more than its part of that; a warm key has *warm_limit*; what is cold is not bounded here at
    all. A call beyond is refused at once, and a Coalesce or Cache outside makes one of equal calls.

    The *keys* heaviest keys are counted, whatever comes: keys that somebody makes up take no memory, and none
    of them is hot unless it was surely asked for that often.

    Args:
        key: Says which key a call belongs to: takes the call's arguments and returns a string, a number or
            the like; None for a call that has none, and goes by.
        hot_share: Share of the traffic above which a key is hot, above 0 and at most 1.
        hot_limit: How many calls of hot keys may be in flight together, from 1.
        warm_limit: How many of one warm key may be; None for *hot_limit*.
        keys: How many keys to count, at least 2 / *hot_share*, so that none that is warm is missed.
        window: Calls after which what came before counts half; from 1.
        name: How messages call it; by default the name of the function it guards.
        on_event: Called with its :class:`~resilient_ml.events.CallRejected` events.

    Raises:
        LimitExceeded: From the guarded function, where its key is hot and has all its calls in flight.

    >>> @HotKeyLimiter(key=lambda text, tenant: tenant)
    ... def classify(text, tenant):
    ...     return "positive"
    >>> classify("fine", "acme")
    'positive'
    """

    role: str = "limiter"

    def __init__(
        self,
        *,
        key: Callable[..., Any],
        hot_share: float = 0.1,
        hot_limit: int = 8,
        warm_limit: int | None = None,
        keys: int = 256,
        window: int = 10_000,
        name: str | None = None,
        on_event: Callable[[Any], object] | None = None,
    ) -> None:
        super().__init__(name=name, on_event=on_event)
        self._key = _checks.function("key", key, remedy="pass a function of the call's arguments")
        share = _checks.share("hot_share", hot_share, remedy="pass 0.1 for a tenth of all calls")
        hot = _checks.whole("hot_limit", hot_limit, at_least=1, remedy="pass how many may be in flight")
        warm = hot if warm_limit is None else warm_limit
        warm = _checks.whole("warm_limit", warm, at_least=1, remedy="pass how many may be in flight, or None")
        least = -int(-2 // share)
        counted = _checks.whole("keys", keys, at_least=least, remedy="pass at least 2 / hot_share")
        span = _checks.whole("window", window, at_least=1, remedy="pass 10000, say")
        self._machine = HotKeyMachine(share, hot, warm, counted, span)

    async def around(self, proceed: Proceed[T], call: Call) -> T:
        """Go by where the key is cold; take one of its places where it is not."""
        seat = self._enter(call)
        if seat is None:
            return await proceed(call)
        try:
            return await proceed(call)
        finally:
            with_orphans(call, seat.leave)()

    def _enter(self, call: Call) -> HotSeat | None:
        key = self._key(*call.args, **call.kwargs)
        if key is None:
            return None
        if not isinstance(key, str):
            key = key_of_value(0, key)
        seat = self._machine.enter(key)
        if seat.heat is None or seat.inside:
            return seat
        what = f"a {seat.heat} key has its {seat.limit} calls in flight"
        self.emit(CallRejected, call.now(), reason=what)
        raise LimitExceeded(
            f"{self.name!r}: {what}; put a Coalesce or Cache outside, so that equal calls are one, or raise "
            f"{seat.heat}_limit=",
            policy=self.name,
        )

    def hottest(self, most: int = 10) -> list[Heavy[Any]]:
        """The heaviest keys, with their counts and shares; what is no string is shown as a digest."""
        return self._machine.hottest(most)

    def forgettable(self) -> bool:
        """One with nobody inside is as good as new."""
        return self._machine.in_flight == 0

    def describe(self) -> str:
        """Its numbers in one line."""
        machine = self._machine
        return f"HotKeyLimiter(above {machine.share:.3g} at most {machine.hot_limit} in flight)"
