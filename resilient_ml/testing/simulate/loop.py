"""The simulation's loop: a heap of instants, and tasks that wait for them.

What happens at an instant is a function of one argument. Of what happens at the same instant, what was asked
for first comes first; deadlines come last, so that an answer at the very deadline is in time, as it is on a
real event loop. Nothing here depends on hashes, on the process or on the version of Python: the same calls
give the same order.
"""

from __future__ import annotations

import contextvars
import itertools
from collections.abc import Callable, Coroutine, Generator
from heapq import heappop, heappush
from typing import Any, Final

_LATE: Final = 1 << 60
"""Added to the number of what happens last at its instant."""

CIRCLE: Final = 1_000_000
"""So many happenings at one instant go in a circle."""


class Cancelled(BaseException):
    """Thrown into a coroutine that nobody waits for any more; no outcome, as cancellation never is."""


class ScenarioError(BaseException):
    """Carries an error of the scenario's own past the policies, which must not take it for an outcome.

    Attributes:
        error: The error.
    """

    def __init__(self, error: Exception) -> None:
        super().__init__(error)
        self.error: Exception = error


class Wait:
    """What a task waits for: ``await wait`` returns what it is resumed with.

    Attributes:
        task: Who waits; None before and after.
    """

    __slots__ = ("task",)

    def __init__(self) -> None:
        self.task: Task | None = None

    def __await__(self) -> Generator[Wait, Any, Any]:
        try:
            return (yield self)
        finally:
            self.task = None

    def resume(self, value: Any = None) -> None:
        """Let the task go on with *value*; nothing happens if it no longer waits."""
        if self.task is not None:
            self.task.resume(value)

    def fail(self, error: BaseException) -> None:
        """Let the task go on with *error*; nothing happens if it no longer waits."""
        if self.task is not None:
            self.task.throw(error)


class Task:
    """A coroutine that runs from wait to wait, in a context of its own."""

    __slots__ = ("_close", "_run", "_send", "_throw")

    def begin(self, coroutine: Coroutine[Any, Any, Any], context: contextvars.Context) -> None:
        """Run *coroutine* to its first wait."""
        self._send = coroutine.send
        self._throw = coroutine.throw
        self._close = coroutine.close
        self._run = context.run
        self.resume(None)

    def resume(self, value: Any) -> None:
        """Run on to the next wait; the present one returns *value*."""
        self._go_on(self._send, value)

    def throw(self, error: BaseException) -> None:
        """Run on to the next wait; the present one raises *error*."""
        self._go_on(self._throw, error)

    def _go_on(self, step: Callable[[Any], Any], given: Any) -> None:
        try:
            wait = self._run(step, given)
        except StopIteration as end:
            self.ended(end.value, None)
        except Exception as error:  # noqa: BLE001 -- whatever it raises is how it ends
            self.ended(None, error)
        else:
            if not isinstance(wait, Wait):
                raise ScenarioError(_foreign(wait))
            wait.task = self

    def close(self) -> None:
        """Unwind it from where it waits."""
        self._run(self._close)

    def ended(self, value: Any, error: Exception | None) -> None:
        """Called once it has returned *value*, or raised *error*; by default nobody asks."""


class Expiry:
    """A deadline of a task, for as long as ``task`` is set.

    Attributes:
        task: Whom to cancel; None once the deadline is of no matter.
        fired: Whether the task was cancelled for it.
    """

    __slots__ = ("fired", "task")

    def __init__(self, task: Task) -> None:
        self.task: Task | None = task
        self.fired: bool = False

    def come(self) -> None:
        """The instant is here."""
        if self.task is not None:
            self.fired = True
            self.task.throw(Cancelled())


class Loop:
    """The heap of what is to happen.

    Attributes:
        now: The instant, in seconds from the start of the simulation.
        stopped: Set to end :meth:`run` before there is nothing left to do.
    """

    __slots__ = ("_heap", "_numbers", "now", "stopped")

    def __init__(self) -> None:
        self.now: float = 0.0
        self.stopped: bool = False
        self._heap: list[tuple[float, int, Callable[[Any], object], Any]] = []
        self._numbers = itertools.count()

    @property
    def pending(self) -> bool:
        """Whether anything else is to happen."""
        return bool(self._heap)

    def clock(self) -> float:
        """The instant, for whoever needs a clock."""
        return self.now

    def at(self, when: float, act: Callable[[Any], object], subject: Any) -> None:
        """Call ``act(subject)`` at the instant *when*."""
        heappush(self._heap, (when, next(self._numbers), act, subject))

    def late(self, when: float, act: Callable[[Any], object], subject: Any) -> None:
        """Call ``act(subject)`` once everything else of the instant *when* has happened."""
        heappush(self._heap, (when, next(self._numbers) + _LATE, act, subject))

    def expire(self, when: float, task: Task) -> Expiry:
        """Cancel *task* once everything else of the instant *when* has happened."""
        expiry = Expiry(task)
        self.late(when, Expiry.come, expiry)
        return expiry

    def sleep(self, seconds: float) -> Wait:
        """A wait that ends in so many *seconds*."""
        wait = Wait()
        heappush(self._heap, (self.now + seconds, next(self._numbers), Wait.resume, wait))
        return wait

    def close(self) -> None:
        """Forget what is still to happen."""
        self._heap.clear()

    def run(self) -> None:
        """Let everything happen, until nothing is left or :attr:`stopped` is set.

        Raises:
            RuntimeError: Time no longer moves on.
        """
        heap = self._heap
        here = 0
        while heap and not self.stopped:
            when, _, act, subject = heappop(heap)
            if when > self.now:
                self.now = when
                here = 0
            else:
                here += 1
                if here > CIRCLE:
                    raise RuntimeError(
                        f"{CIRCLE:,} things have happened at {self.now:g} s and time does not move on; "
                        "give users time to think, and waits a length"
                    )
            act(subject)


def _foreign(waited: object) -> TypeError:
    return TypeError(
        f"a simulated client waited for {type(waited).__name__}, which knows nothing of simulated time; "
        "await servers and simulate.sleep() alone"
    )
