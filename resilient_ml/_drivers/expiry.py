"""One timer for all deadlines of an asyncio loop.

``asyncio.timeout`` arms a timer of the loop for each call and cancels it again, which is most of its cost,
although hardly any ever fires. Here a call leaves an entry in a heap of its loop and marks it when it is
done. One timer of the loop is armed, for the earliest entry at the time; when it fires it drops what is done,
cancels what is due, and is armed for the next.

A task is cancelled two turns of the loop after its deadline was found to have passed: whatever was ready in
the same turn, such as its result, comes first.
"""

from __future__ import annotations

import asyncio
import heapq
import itertools
import math
import weakref
from collections.abc import Callable

_SLACK = 64
"""Done entries are swept out once there are this many more of them than live ones."""


class Expiry:
    """The deadline of one call, for as long as it runs.

    A stream has one for all its pulls: :meth:`LoopTimer.arm` sets another instant each time, and only the
    timer's own turn finds out that the one in the heap is out of date.

    Attributes:
        task: Whom to cancel; None once the call is done.
        fired: Whether the task was cancelled for it.
        until: The instant it passes, in the loop's time; ``inf`` between two pulls.
        queued: The instant at which the timer looks at it next; ``inf`` if it is not in the heap.
    """

    __slots__ = ("fired", "queued", "task", "until")

    task: asyncio.Task[object] | None
    fired: bool
    until: float
    queued: float


class LoopTimer:
    """The deadlines of one loop, in its own time.

    Its loop alone keeps it alive, by the timer that is armed while there are entries. A loop that is closed
    lets go of its timers, and so of the calls that were pending in it: what they hold comes back.
    """

    __slots__ = ("__weakref__", "_armed_at", "_handle", "_heap", "_live", "_numbers", "loop")

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self.loop: asyncio.AbstractEventLoop = loop
        self._heap: list[tuple[float, int, Expiry]] = []
        self._numbers = itertools.count()
        self._live = 0
        self._handle: asyncio.TimerHandle | None = None
        self._armed_at = math.inf

    def add(self, seconds: float, task: asyncio.Task[object], loop: asyncio.AbstractEventLoop) -> Expiry:
        """Cancel *task* in *seconds* unless the entry is :meth:`remove`-d before."""
        heap = self._heap
        while heap and heap[0][2].task is None:
            heapq.heappop(heap)
        if len(heap) > 2 * self._live + _SLACK:
            heap[:] = [entry for entry in heap if entry[2].task is not None]
            heapq.heapify(heap)
        when = loop.time() + seconds
        expiry = Expiry()
        expiry.task = task
        expiry.fired = False
        expiry.until = expiry.queued = when
        heapq.heappush(heap, (when, next(self._numbers), expiry))
        self._live += 1
        if when < self._armed_at:
            self._arm(loop, when)
        return expiry

    def watch(self, task: asyncio.Task[object]) -> Expiry:
        """An entry for many deadlines, one after the other; :meth:`remove` it at the end."""
        expiry = Expiry()
        expiry.task = task
        expiry.fired = False
        expiry.until = expiry.queued = math.inf
        self._live += 1
        return expiry

    def arm(
        self, expiry: Expiry, seconds: float, task: asyncio.Task[object], loop: asyncio.AbstractEventLoop
    ) -> None:
        """Cancel *task* in *seconds* unless *expiry* is disarmed before, by setting its ``until`` to ``inf``.

        An entry that is in the heap for an earlier instant stays there: the timer puts it off when it gets
        to it. So a stream of many chunks costs the heap nothing.
        """
        expiry.task = task
        expiry.until = until = loop.time() + seconds
        if until < expiry.queued:
            expiry.queued = until
            heap = self._heap
            while heap and heap[0][2].task is None:
                heapq.heappop(heap)
            heapq.heappush(heap, (until, next(self._numbers), expiry))
            if until < self._armed_at:
                self._arm(loop, until)

    def remove(self, expiry: Expiry) -> None:
        """The call is done."""
        expiry.task = None
        self._live -= 1

    def _arm(self, loop: asyncio.AbstractEventLoop, when: float) -> None:
        if self._handle is not None:
            self._handle.cancel()
        self._armed_at = when
        self._handle = loop.call_at(when, self._fire)

    def _fire(self) -> None:
        loop = self.loop
        self._handle = None
        self._armed_at = math.inf
        now = loop.time()
        due = []
        heap = self._heap
        while heap and (heap[0][0] <= now or heap[0][2].task is None):
            when, _, expiry = heapq.heappop(heap)
            if expiry.task is None or when != expiry.queued:
                continue  # done, or in the heap for another instant too
            if expiry.until <= now:
                expiry.queued = math.inf
                due.append(expiry)
            else:
                self._put_off(expiry)
        if due:
            # Two turns: a result that came in this turn wakes its task in the next one, maybe after this.
            loop.call_soon(loop.call_soon, self._cancel, due, now)
        if heap:
            self._arm(loop, heap[0][0])

    def _put_off(self, expiry: Expiry) -> None:
        """The deadline was moved since it came into the heap, or there is none at present."""
        expiry.queued = expiry.until
        if expiry.until < math.inf:
            heapq.heappush(self._heap, (expiry.until, next(self._numbers), expiry))

    def _cancel(self, due: list[Expiry], now: float) -> None:
        for expiry in due:
            if expiry.task is not None and expiry.until <= now:  # not done, nor in another pull by now
                expiry.fired = True
                expiry.task.cancel()


def _none() -> LoopTimer | None:
    """No timer was asked for yet."""
    return None


_timers: weakref.WeakKeyDictionary[asyncio.AbstractEventLoop, weakref.ref[LoopTimer]]
_timers = weakref.WeakKeyDictionary()
_last: Callable[[], LoopTimer | None] = _none
"""The timer that was asked for last: most processes have one loop."""


def timer_of(loop: asyncio.AbstractEventLoop) -> LoopTimer:
    """The timer of *loop*, made when it is first asked for, and again after it has run out."""
    global _last
    timer = _last()
    if timer is not None and timer.loop is loop:
        return timer
    known = _timers.get(loop)
    timer = None if known is None else known()
    if timer is None:
        timer = LoopTimer(loop)
        _timers[loop] = weakref.ref(timer)
    _last = _timers[loop]
    return timer
