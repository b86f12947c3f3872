"""What a policy is: one body, written once, that serves all four colours.

Subclass :class:`Policy`, write ``around``, and await nothing but ``proceed`` and ``call.runtime``::

    class Count(Policy):
        role = "observer"

        async def around(self, proceed, call):
            try:
                result = await proceed(call)
            except Exception:            # an outcome
                self.failures += 1
                raise
            self.successes += 1
            return result

Rules of a body: an outcome is a result or an ``Exception``, anything else only gives back what was taken;
per-call state lives in locals or on the call; no lock is held across an await;
a deadline is only ever tightened, and restored on the way out.
"""

from __future__ import annotations

import copy
import sys
import types
from collections.abc import Callable, Sequence
from typing import Any, ClassVar, Self, TypeVar

from . import _checks, events
from ._ambient import Clock
from ._call import Call, Proceed
from ._colour import Colour, Target
from ._stream_rules import Follower, StreamRules, TextOf

F = TypeVar("F", bound=Callable[..., Any])
T = TypeVar("T")


class Configured:
    """Remembers what its constructor was given: pickled or copied it is that, made anew.

    What it has learnt and who is inside stay where they are: a policy in another process has its own.
    """

    _made_with: tuple[tuple[Any, ...], dict[str, Any]]

    def __new__(cls, *args: Any, **kwargs: Any) -> Self:
        made = super().__new__(cls)
        made._made_with = (args, kwargs)
        return made

    def __reduce__(self) -> tuple[Callable[..., Any], tuple[Any, ...]]:
        args, kwargs = self._made_with
        if not _PICKLERS_OF_CODE & {module.rpartition(".")[2] for module in sys.modules}:
            for name, value in (*enumerate(args, 1), *kwargs.items()):
                if isinstance(value, types.FunctionType) and "<" in value.__qualname__:
                    import pickle  # only here, as few programs need it

                    raise pickle.PicklingError(
                        f"{type(self).__name__} cannot be pickled: its argument {name!r} is a lambda or a "
                        "function inside another; define that at the top of a module"
                    )
        return _make_again, (type(self), args, kwargs)

    def __copy__(self) -> Self:
        args, kwargs = self._made_with
        return type(self)(*args, **kwargs)

    def __deepcopy__(self, memo: dict[int, Any]) -> Self:
        args, kwargs = copy.deepcopy(self._made_with, memo)
        return type(self)(*args, **kwargs)


_PICKLERS_OF_CODE = {"cloudpickle", "dill"}
"""Where one of these is loaded, a lambda may well be pickled, and it is theirs to say if not."""


def _make_again(kind: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    return kind(*args, **kwargs)


class Policy(Configured):
    """One thing that is done around a call.

    A policy object is shared freely by threads, tasks and event loops.
    Calling it with a function guards that function; stacked decorators become one pipeline.

    Args:
        name: How messages and events call it; by default the name of its pipeline, where that has one, else
            of the first function it guards, else of its class.
        on_event: Called with each of its events, after the decision.
    """

    role: str = "policy"
    """What it is in an order of policies: ``retry``, ``timeout``, ``limiter``, ``rate_limiter``,
    ``breaker``, ``fallback`` or anything else."""

    stream_rules: StreamRules | None = None
    """What it says the chunks of a stream mean; at most one policy of a pipeline does."""

    watches_streams: bool = False
    """Whether it asks when a stream's first content came, ``call.tape.first_at``."""

    compose: ClassVar[Callable[[Sequence[Policy]], Callable[..., Any]]]
    """Makes a pipeline of policies; set by ``_pipeline``, which knows how."""

    def __init__(self, *, name: str | None = None, on_event: Callable[[Any], object] | None = None) -> None:
        if name is not None and not isinstance(name, str):
            raise TypeError(
                f"name must be a string or None, got {_checks.shown(name)}; "
                "it is how messages call this policy"
            )
        self._name = name
        self._listener = None if on_event is None else events.Subscription(on_event)

    @property
    def name(self) -> str:
        """What messages and events call it."""
        return self._name or type(self).__name__

    def adopt(self, name: str) -> None:
        """Take the name of the guarded function, unless it has a name already."""
        if self._name is None:
            self._name = name

    async def around(self, proceed: Proceed[T], call: Call) -> T:
        """Run the rest of the pipeline, ``await proceed(call)``, and do this policy's work around it."""
        return await proceed(call)

    def check(self, target: Target) -> None:
        """Raise TypeError, with the remedy, if *target* cannot be guarded by this policy."""

    def follow(self, text_of: TextOf) -> Follower | None:
        """What holds the chunks of one attempt against a contract; None where this policy has none."""
        return None

    def placed(self, inside: Sequence[Policy]) -> None:
        """Told which policies are *inside* this one, outermost first, in each pipeline that it is put in."""

    def runs(self) -> Sequence[Policy]:
        """The policies whose bodies this one's body may run, with ``call.runtime.run``: one of each kind."""
        return ()

    def forgettable(self) -> bool:
        """Whether a fresh policy would do as well as this one, which a registry may then forget."""
        return True

    def describe(self) -> str:
        """One line for humans: what it does, with its numbers."""
        return f"{type(self).__name__}()"

    def __call__(self, fn: F, *, colour: Colour | None = None) -> F:
        """Guard *fn*: a function, method, generator function or callable object of any colour.

        *colour* says which where inspection cannot see it, as for :class:`~resilient_ml.Pipeline`.
        """
        guarded: F = Policy.compose((self,))(fn, colour=colour)
        return guarded

    def __repr__(self) -> str:
        return self.describe()

    def clock(self) -> float:
        """The monotonic clock, for what happens outside any call."""
        return Clock.now()

    def wall(self) -> float:
        """Unix seconds, to read a date that a server sent; nothing is timed by it."""
        return Clock.wall()

    def listened(self) -> bool:
        """Whether anybody listens to its events."""
        return self._listener is not None or bool(events.subscriptions())

    def emit(self, event: Callable[..., events.Event], at: float, **facts: Any) -> None:
        """Build *event* and hand it to whoever listens; nothing is built when nobody does."""
        everyone = events.subscriptions()
        if self._listener is None and not everyone:
            return
        told = event(policy=self.name, at=at, **facts)
        if self._listener is not None:
            self._listener.deliver(told)
        for subscription in everyone:
            subscription.deliver(told)
