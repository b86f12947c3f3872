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

    Attributes:
        task: Whom to cancel; None once the call is done.
        fired: Whether the task was cancelled for it.
    """

    __slots__ = ("fired", "task")

    task: asyncio.Task[object] | None
    fired: bool


class LoopTimer:
    """The deadlines of one loop, in its own time."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = weakref.ref(loop)
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
        heapq.heappush(heap, (when, next(self._numbers), expiry))
        self._live += 1
        if when < self._armed_at:
            self._arm(loop, when)
        return expiry

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
        loop = self._loop()
        assert loop is not None  # it is running this
        self._handle = None
        self._armed_at = math.inf
        now = loop.time()
        due = []
        heap = self._heap
        while heap and (heap[0][0] <= now or heap[0][2].task is None):
            due.append(heapq.heappop(heap)[2])
        if due:
            # Two turns: a result that came in this turn wakes its task in the next one, maybe after this.
            loop.call_soon(loop.call_soon, self._cancel, due)
        if heap:
            self._arm(loop, heap[0][0])

    def _cancel(self, due: list[Expiry]) -> None:
        for expiry in due:
            if expiry.task is not None:
                expiry.fired = True
                expiry.task.cancel()


_timers: weakref.WeakKeyDictionary[asyncio.AbstractEventLoop, LoopTimer] = weakref.WeakKeyDictionary()
_last: tuple[Callable[[], object], LoopTimer | None] = (object, None)
"""The loop that asked last, weakly, and its timer: most processes have one loop."""


def timer_of(loop: asyncio.AbstractEventLoop) -> LoopTimer:
    """The timer of *loop*, made when it is first asked for."""
    global _last
    asked, timer = _last
    if timer is not None and asked() is loop:
        return timer
    timer = _timers.get(loop)
    if timer is None:
        # An armed handle holds its loop, so that a loop which was closed would stay for ever.
        # keyrefs() is one step, so loops that start on other threads meanwhile do no harm.
        for other in [ref() for ref in _timers.keyrefs()]:
            if other is not None and other.is_closed():
                _timers.pop(other, None)
        timer = _timers[loop] = LoopTimer(loop)
    _last = (weakref.ref(loop), timer)
    return timer
