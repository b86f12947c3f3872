"""One call as one fault sees it, and what the calls of a plan leave behind: counts, memories, history."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, TypeVar

from ..._colour import Colour
from .draws import Draws

if TYPE_CHECKING:
    from .fault import Fault
    from .plan import FaultPlan

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Injected:
    """One strike.

    Attributes:
        at: When, in seconds from the start of the plan.
        call: Which call of the target it struck, from 1.
        target: The name of the callable.
        fault: The fault, in words.

    >>> print(Injected(12.5, 3, "predict", "hang()"))
    12.500 s  call 3 of predict: hang()
    """

    at: float
    call: int
    target: str
    fault: str

    def __str__(self) -> str:
        return f"{self.at:.3f} s  call {self.call} of {self.target}: {self.fault}"


@dataclass(slots=True)
class Target:
    """A callable that a plan was put around.

    Attributes:
        name: What it is called in the history.
        ordinal: The how-manieth of its plan, from 0: its draws are its own.
        colour: Its colour.
        own: How many leading arguments are the instance or the class of a method: not the user's business.
        key: What the draws of a call depend on in place of its number, where it gives one.
        calls: How many were made.
    """

    name: str
    ordinal: int
    colour: Colour
    own: int = 0
    key: Callable[[], int | None] | None = None
    calls: int = 0


@dataclass(slots=True)
class Record:
    """What one fault of a plan has done so far, guarded by the plan's lock.

    Attributes:
        strikes: How often it has struck.
        memory: What it remembers from call to call, whatever that is.
    """

    strikes: int = 0
    memory: dict[Any, Any] = field(default_factory=dict)


class Case:
    """One call, as one fault sees it.

    Attributes:
        plan: The plan that strikes; its lock guards the record.
        target: The callable.
        fault: The fault that sees it.
        record: What the fault has done so far.
        number: Which call of it this is, from 1.
        elapsed: Seconds from the start of the plan to the beginning of the call.
        args: The caller's arguments, without the instance of a method.
        kwargs: The caller's keyword arguments.
        draws: This fault's luck in this call.
        index: Of a stream, how many items have reached this fault.
        kept: What the fault keeps for the rest of this call.
    """

    __slots__ = (
        *("_struck", "args", "draws", "elapsed", "fault", "index"),
        *("kept", "kwargs", "number", "plan", "record", "target"),
    )

    def __init__(
        self,
        plan: FaultPlan,
        target: Target,
        fault: Fault,
        record: Record,
        *,
        number: int,
        elapsed: float,
        args: tuple[Any, ...],
        kwargs: dict[str, Any],
        draws: Draws,
    ) -> None:
        self.plan = plan
        self.target = target
        self.fault = fault
        self.record = record
        self.number = number
        self.elapsed = elapsed
        self.args = args
        self.kwargs = kwargs
        self.draws = draws
        self.index = 0
        self.kept: Any = None
        self._struck: bool | None = None

    def strike(self) -> bool:
        """Whether the fault acts: it does unless it has struck often enough. Written down the first time."""
        if self._struck is None:
            self._struck = self.plan.strike(self)
        return self._struck

    def misfit(self, error: Exception) -> None:
        """The fault cannot do what it is for to this call: *error* says why, and is raised in the call."""
        self.plan.misfit(self, error)

    def remembered(self, make: Callable[[], T], key: object = None) -> T:
        """What this fault keeps from call to call under *key*; hold ``case.plan.lock`` to look inside."""
        with self.plan.lock:
            if key not in self.record.memory:
                self.record.memory[key] = make()
            kept: T = self.record.memory[key]
        return kept
