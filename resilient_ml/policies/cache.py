"""Answer equal calls from memory."""

from __future__ import annotations

import math
import random
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any, TypeVar

from .. import _checks
from .._call import Call, Proceed, fork_call
from .._keeping import Kept
from .._policy import Policy
from .._race import Rival
from ..machines.flights import Flights
from ..machines.tinylfu import CacheStatistics, TinyLFU
from ._flight import Visit
from ._flight_streams import StreamVisits
from ._keys import Keys
from ._shelf import Lookup, Rules, Shelf, from_cache

T = TypeVar("T")


class Cache(Policy):
    """Answer equal calls from memory, and let those that are made at the same time share one.

    What is kept is what is asked for often (W-TinyLFU), within *max_bytes*. Calls are equal by the content
    of their arguments. Each caller has a copy of the answer for itself. Calls of the model that are under
    way are shared as :class:`Coalesce` does.

    Kept are whole answers alone: no failure, no stream that was cut or that its reader left, nothing that
    *validate* or a policy inside refused, nothing degraded, such as a Fallback's answer.

    An answer is fresh for *ttl* seconds. For *stale* seconds more it is served all the same, while one call
    fetches a new one in the background: on a worker thread, or in a task. (Of a stream the first that finds
    it stale fetches the new one itself, the others are served.) For *stale_if_error* seconds more it is
    served where the model fails; :meth:`Pipeline.outcome` and an event say so.

    Args:
        max_bytes: What all answers may take, in bytes, from 1. An answer's size is an estimate.
        ttl: Seconds that an answer is fresh; None for as long as it is kept.
        stale: Seconds after that in which it is served while a new one is fetched; from 0.
        stale_if_error: Seconds after *ttl* in which it is served if the model fails; True for another *ttl*,
            False for never.
        jitter: By up to so much of *ttl* an answer is fresh for less, so that answers which came together do
            not end together; from 0 to 1.
        key: What calls are equal by: a function of their arguments that returns strings, numbers and the
            like; a call for which it returns None is not cached. None to compare the content of all
            arguments.
        copy: False to hand out one and the same object each time, arrays as views that cannot be written.
        version: The version of the model, or a function without arguments that says it: answers of another
            version are not served.
        validate: Says whether an answer may be kept; takes the answer, of a stream its recording's chunks.
        coalesce: False to let equal calls each ask the model.
        hand_overs: How many followers may try after a leader that failed, from 0.
        rng: Draws a number in [0, 1).
        name: How messages call it; by default the name of the function it guards.
        on_event: Called with its :class:`~resilient_ml.events.StaleServed` and
            :class:`~resilient_ml.events.NotStored` events.

    Raises:
        TypeError: From the guarded function, where an argument has no content, such as a lock; pass *key*.

    >>> cache = Cache(ttl=60)
    >>> @cache
    ... def embed(text):
    ...     return [0.6, 0.8]
    >>> embed("fine"), embed("fine"), cache.statistics().hits
    ([0.6, 0.8], [0.6, 0.8], 1)
    """

    role: str = "cache"

    def __init__(
        self,
        max_bytes: int = 64 << 20,
        *,
        ttl: float | None = None,
        stale: float = 0.0,
        stale_if_error: float | bool = True,
        jitter: float = 0.0,
        key: Callable[..., Any] | None = None,
        copy: bool = True,
        version: Any = None,
        validate: Callable[[Any], object] | None = None,
        coalesce: bool = True,
        hand_overs: int = 1,
        rng: Callable[[], float] = random.random,
        name: str | None = None,
        on_event: Callable[[Any], object] | None = None,
    ) -> None:
        super().__init__(name=name, on_event=on_event)
        most = _checks.whole("max_bytes", max_bytes, at_least=1, remedy="pass how many bytes to keep")
        self._ttl = math.inf if ttl is None else _checks.seconds("ttl", ttl, remedy="pass None to keep them")
        if isinstance(stale_if_error, bool):
            on_error = self._ttl if stale_if_error else 0.0
        else:
            on_error = _checks.seconds(
                "stale_if_error", stale_if_error, zero=True, remedy="pass False for never"
            )
        if validate is not None:
            _checks.function("validate", validate, remedy="pass a function of the answer, or None")
        self._keys = Keys(key, version)
        rules = Rules(
            self._ttl,
            _checks.seconds("stale", stale, zero=True, remedy="pass 0 to serve none that is stale"),
            on_error,
            _checks.share("jitter", jitter, zero=True, remedy="pass 0.1 for up to a tenth less"),
            _checks.flag("copy", copy, remedy="pass False to hand out one object"),
            validate,
            self._keys.version,
        )
        draw = _checks.function("rng", rng, remedy="pass random.Random(7).random, say")
        # An answer of a kilobyte is about the least that is worth keeping.
        self._store: TinyLFU[Kept] = TinyLFU(most, rng=draw, entries=most // 1024)
        self._shelf = Shelf(self._store, rules, draw, self._tell)
        self._coalesce = _checks.flag("coalesce", coalesce, remedy="pass False to share none")
        self._flights = Flights(
            _checks.whole("hand_overs", hand_overs, at_least=0, remedy="pass how many followers may try")
        )
        self._refreshing: set[Rival] = set()
        self._streams = StreamVisits(
            self._flights, self._keys, most=most, copied=copy, shelf=self._shelf, coalesce=coalesce
        )

    def _tell(self, event: Any, at: float, **facts: Any) -> None:
        self.emit(event, at, **facts)

    def runs(self) -> Sequence[Policy]:
        """What takes care of streams."""
        return (self._streams,)

    async def around(self, proceed: Proceed[T], call: Call) -> T:  # noqa: C901 - a body is one function
        """Serve what there is, or ask the model and keep what it says."""
        if call.outlet is not None:
            return await call.runtime.run(self._streams, proceed, call)
        key = self._keys.of(call, self._keys.version())
        if key is None:
            return await proceed(call)
        now = call.now()
        entry = self._store.get(key, now)
        if entry is not None and now < entry.fresh_until:
            if call.record is not None:
                from_cache(call)
            hit: T = entry.value.out()
            return hit
        lookup = Lookup(self._shelf, key, call, entry)
        if lookup.is_stale():
            self._refresh(proceed, key, call)
            lookup.served_stale("refreshing")
            old: T = lookup.value()
            return old
        visit = Visit(self._flights, key, call, copied=self._shelf.rules.copied)
        try:
            if self._coalesce and visit.follows():
                signal = call.runtime.signal()
                if self._flights.follow(visit.seat, signal.set):
                    await call.runtime.wait(signal, call.deadline)
                if visit.settled():
                    shared: T = visit.answer()
                    return shared
            if visit.leading and lookup.again():
                # Another led and landed between the look and the joining.
                late: T = lookup.value()
                visit.leave()
                return late
            result = await proceed(call)
            visit.land(result, lookup.keep(result))
            return result
        except Exception as error:
            visit.fail(error)
            if not lookup.may_stand_in(error):
                raise
            answer: T = lookup.stands_in(error)
            return answer
        except BaseException:
            visit.leave()
            raise

    def _refresh(self, proceed: Proceed[Any], key: bytes, call: Call) -> None:
        """Fetch a new answer in the background, unless somebody is at it."""
        own = fork_call(call)
        if call.record is not None:
            own.record = None  # that call will have its answer before
        visit = Visit(self._flights, key, own)
        if not self._flights.join(key, visit.seat, only_to_lead=True):
            return
        visit.lead_elsewhere()
        try:
            lookup = Lookup(self._shelf, key, own, None)
            rival = call.runtime.spawn(proceed, own)
        except BaseException as error:
            visit.leave()
            if not isinstance(error, Exception):
                raise
            return  # there is no thread for it now: the next that comes tries again
        visit.out()
        self._refreshing.add(rival)
        call.orphans = (*call.orphans, rival)  # what policies outside hold, they hold until it has ended
        rival.when_arrived(partial(self._refreshed, rival, visit, lookup))

    def _refreshed(self, rival: Rival, visit: Visit, lookup: Lookup) -> None:
        self._refreshing.discard(rival)
        try:
            result = rival.result()
            visit.leading = True
            visit.land(result, lookup.keep(result))
        except Exception as error:  # noqa: BLE001 - the old answer was served; the next stale one tries again
            visit.leading = True
            visit.fail(error)
        except BaseException as interrupt:
            visit.leave()
            if isinstance(interrupt, KeyboardInterrupt | SystemExit):
                raise

    def invalidate(self, *args: Any, **kwargs: Any) -> bool:
        """Forget the answer for these arguments; whether there was one.

        An answer that is under way now is served to those who wait for it, and not kept.
        """
        keys = self._keys.all(args, kwargs)
        self._shelf.epoch += 1
        for key in keys:
            self._flights.forget(key)
        return sum(map(self._store.discard, keys)) > 0

    def clear(self) -> None:
        """Forget all answers."""
        self._shelf.epoch += 1
        self._flights.forget()
        self._store.clear()

    def statistics(self) -> CacheStatistics:
        """Hits, misses, evictions and bytes."""
        return self._store.statistics()

    def forgettable(self) -> bool:
        """One that holds nothing is as good as new."""
        return not len(self._store)

    def describe(self) -> str:
        """Its numbers in one line."""
        ttl = "" if self._ttl == math.inf else f", ttl={self._ttl:g} s"
        return f"Cache({self._store.max_weight} bytes{ttl})"
