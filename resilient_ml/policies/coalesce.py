"""Let equal calls that are made at the same time share one call of the model."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, TypeVar

from .. import _checks
from .._call import Call, Proceed
from .._policy import Policy
from ..machines.flights import Flights
from ._flight import Visit
from ._flight_streams import StreamVisits
from ._keys import Keys

T = TypeVar("T")


class Coalesce(Policy):
    """Let equal calls that are made at the same time share one call of the model.

    The first to come leads, those that come while it runs follow it: on other threads, in other tasks and on
    other event loops too. Each follower has a copy of the answer for itself.

    * A leader that is cancelled, or runs out of its own time, hands over to a follower.
    * A leader that fails hands over as well, at most *hand_overs* times; then all that still wait have the
      last failure. A failure that lies in the input is everybody's at once.
    * A follower waits for as long as its own deadline allows, and leaves no trace when it goes.
    * Followers of a stream have what has passed by, and then each item as the leader's reader takes it. They
      go at that reader's pace, never faster; a slow one of theirs holds up nobody.

    Only guard calls whose equal arguments have equal answers, as far as you care.

    Args:
        key: What calls are equal by: a function of their arguments that returns strings, numbers and the
            like; a call for which it returns None goes by itself. None to compare the content of all
            arguments: arrays by type, shape and bytes, nothing by ``repr`` or address.
        hand_overs: How many followers may try after a leader that failed, from 0.
        share_failures: True for every failure to be everybody's at once.
        copy: False to hand one and the same object to all.
        max_bytes: What of a running stream is kept for its followers, in bytes; at least 1. One that falls
            behind by more is told so with a StreamInterrupted.
        name: How messages call it; by default the name of the function it guards.
        on_event: Not called so far.

    Raises:
        TypeError: From the guarded function, where an argument has no content, such as a lock; pass *key*.

    >>> @Coalesce()
    ... def embed(text):
    ...     return [0.6, 0.8]
    >>> embed("fine")
    [0.6, 0.8]
    """

    role: str = "coalesce"

    def __init__(
        self,
        *,
        key: Callable[..., Any] | None = None,
        hand_overs: int = 1,
        share_failures: bool = False,
        copy: bool = True,
        max_bytes: int = 1 << 20,
        name: str | None = None,
        on_event: Callable[[Any], object] | None = None,
    ) -> None:
        super().__init__(name=name, on_event=on_event)
        self._keys = Keys(key, None)
        self._share = _checks.flag("share_failures", share_failures, remedy="pass True to share all failures")
        self._copied = _checks.flag("copy", copy, remedy="pass False to share one object")
        self._flights = Flights(
            _checks.whole("hand_overs", hand_overs, at_least=0, remedy="pass how many followers may try")
        )
        self._streams = StreamVisits(
            self._flights,
            self._keys,
            most=_checks.whole("max_bytes", max_bytes, at_least=1, remedy="pass how many bytes to keep"),
            share_failures=share_failures,
        )

    @property
    def in_flight(self) -> int:
        """How many keys are asked for now."""
        return len(self._flights)

    def runs(self) -> Sequence[Policy]:
        """What takes care of streams."""
        return (self._streams,)

    async def around(self, proceed: Proceed[T], call: Call) -> T:
        """Lead, or wait for who does."""
        if call.outlet is not None:
            return await call.runtime.run(self._streams, proceed, call)
        key = self._keys.of(call, None)
        if key is None:
            return await proceed(call)
        visit = Visit(self._flights, key, call, copied=self._copied, share_failures=self._share)
        try:
            if visit.follows():
                signal = call.runtime.signal()
                if self._flights.follow(visit.seat, signal.set):
                    await call.runtime.wait(signal, call.deadline)
                if visit.settled():
                    answer: T = visit.answer()
                    return answer
            result = await proceed(call)
            visit.land(result)
            return result
        except Exception as error:
            visit.fail(error)
            raise
        except BaseException:
            visit.leave()
            raise

    def describe(self) -> str:
        """Its numbers in one line."""
        return f"Coalesce(hand_overs={self._flights.hand_overs})"
