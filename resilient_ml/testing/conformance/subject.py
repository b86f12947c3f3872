"""What is checked: a maker of fresh policies, how its guarded callables are called, and how a crowd fares."""

from __future__ import annotations

import contextlib
import functools
import gc
import random
import time
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

from ... import _checks
from ..._drivers.loops import on_event_loop
from ..._pipeline import Pipeline
from ..._policy import Policy
from ..clock import VirtualClock
from ..governing import governing, running
from ..virtual_time import virtual_time
from .verdicts import BrokenPromise, Refused
from .worlds import End, World

Guard = Callable[[Callable[..., Any]], Any]
"""A policy, a pipeline, or anything else that guards a callable by being called with it."""

Make = Callable[[], Guard]

CROWD = 16
"""How many calls come at once to see what a policy has to give."""

REST = 864_000.0
"""Seconds after which windows, budgets and open breakers have had their time: ten days."""


class Answer:
    """What a model answers, and is asked, in the checks: something whose end can be seen."""


@dataclass(frozen=True, slots=True)
class Crowd:
    """How a crowd fared: how many calls ended how, and how many were with the model at once.

    Two policies that have the same to give show the same.
    """

    ends: tuple[tuple[str, int], ...]
    peak: int

    def __str__(self) -> str:
        ends = ", ".join(f"{count} {kind}" for kind, count in self.ends)
        return f"{ends}, at most {self.peak} at once"


class Subject:
    """One policy to be checked, made anew as often as it takes.

    Args:
        make: Makes a fresh policy.
        call: How a guarded callable is called with one thing: ``call(guarded, thing)``.
        answer: Makes an answer that the policy lets pass.
    """

    def __init__(
        self,
        make: Make,
        *,
        call: Callable[[Any, Any], Any] | None = None,
        answer: Callable[[], Any] | None = None,
    ) -> None:
        self.make: Callable[..., Any] = _checks.function(
            "make", make, remedy="pass a function that makes a fresh policy"
        )
        self.call_is_given: bool = call is not None
        self.answer_is_given: bool = answer is not None
        self._call = _checks.function(
            "call", call or _call, remedy="pass a function of (guarded, thing) that calls guarded"
        )
        self._answer = _checks.function(
            "answer", answer or Answer, remedy="pass a function that makes an answer of the model"
        )
        self._fresh: dict[tuple[World, int], Crowd] = {}
        self._room: dict[World, int] = {}
        first = self.make()
        if not callable(first):
            raise TypeError(
                f"make must return a policy or a pipeline, got {_checks.shown(first)}; "
                "return what is called with a function to guard it"
            )
        if self.make() is first:
            raise ValueError(
                "make must return a fresh policy each time, got the same object twice; "
                "pass lambda: MyPolicy(...), say"
            )
        self.roles: frozenset[str] = frozenset(_roles(first))
        self.name: str = first.describe() if isinstance(first, Policy | Pipeline) else type(first).__name__

    @functools.cached_property
    def heap_is_set_aside(self) -> bool:
        """Whether whoever runs the checks has frozen the heap: asked once, as Python counts every object.

        Python 3.12 freezes some objects of its own.
        """
        return gc.get_freeze_count() > len(gc.get_objects())

    def call(self, guarded: Any, thing: Any = None) -> Any:
        """Call *guarded* with *thing*, in the way that was asked for."""
        return self._call(guarded, thing)

    def answer(self) -> Any:
        """An answer that passes."""
        return self._answer()

    def guard(self, guard: Guard, model: Callable[..., Any]) -> Any:
        """*model*, guarded.

        Raises:
            Refused: The policy does not guard it.
            BrokenPromise: The policy fails over it.
        """
        try:
            guarded = guard(model)
        except TypeError as error:
            if not str(error):
                raise BrokenPromise(
                    "guarding raised a TypeError without a word", "say what cannot be guarded, and what to do"
                ) from error
            raise Refused(str(error)) from None
        except Exception as error:
            raise BrokenPromise(
                f"guarding raised {type(error).__name__}", "refuse what cannot be guarded with a TypeError"
            ) from error
        if not callable(guarded):
            raise BrokenPromise(
                f"guarding gave {_checks.shown(guarded)}", "return a callable of the same colour"
            )
        return guarded

    def fresh(self, model: Callable[..., Any]) -> Any:
        """*model*, guarded by a fresh policy."""
        return self.guard(self.make(), model)

    def answers_for(self, world: World, guard: Guard) -> Callable[[], Any]:
        """One call of a healthy model of a second, guarded by *guard*."""
        guarded = self.guard(guard, world.model(lambda *args, **kwargs: self.answer(), seconds=1.0))
        return lambda: self.call(guarded)

    # -- what a policy has to give --------------------------------------------------------------------------

    def crowd(self, world: World, guard: Guard, size: int = CROWD, *, parts: int = 1) -> Crowd:
        """How *size* calls at once fare with *guard*.

        They come from as many threads as there are *parts*, each with a loop of its own if they are async.
        """
        inside = _Inside()
        guarded = self.guard(guard, inside.model(world, self.answer))
        calls = [lambda: self.call(guarded)] * size
        with self.luck():
            return inside.told(world.ends_of(calls, parts))

    async def acrowd(self, world: World, guard: Guard) -> Crowd:
        """:meth:`crowd`, on the loop that runs."""
        inside = _Inside()
        guarded = self.guard(guard, inside.model(world, self.answer))
        with self.luck():
            return inside.told(await world.aends([lambda: self.call(guarded)] * CROWD))

    @staticmethod
    @contextlib.contextmanager
    def luck() -> Iterator[None]:
        """The same draws in every such block."""
        before = random.getstate()
        random.seed(1)
        try:
            yield
        finally:
            random.setstate(before)

    def fresh_crowd(self, world: World, size: int = CROWD) -> Crowd:
        """How a crowd fares with a fresh policy."""
        if (world, size) not in self._fresh:
            self._fresh[world, size] = self.crowd(world, self.make(), size)
        return self._fresh[world, size]

    def room(self, world: World) -> int:
        """How many calls at once all get their answer: seats and places in a queue, at most a crowd."""
        if world not in self._room:
            self._room[world] = dict(self.fresh_crowd(world).ends).get("answered", 0)
        return self._room[world]

    def expect_fresh(
        self, world: World, guard: Guard, after: str, remedy: str, *, allowed: Crowd | None = None
    ) -> None:
        """See that *guard* has to give what a fresh policy has, ten days later; or what is *allowed* besides.

        Raises:
            BrokenPromise: It has not.
        """
        time.sleep(REST)
        found = self.crowd(world, guard)
        wanted = self.fresh_crowd(world)
        if found not in (wanted, allowed):
            raise BrokenPromise(
                f"{after}, {CROWD} calls at once ended as {found}, with a fresh policy as {wanted}", remedy
            )


class _Inside:
    """How many calls are with a model, and the most there were."""

    def __init__(self) -> None:
        self.now = 0
        self.peak = 0

    def model(self, world: World, answer: Callable[[], Any]) -> Callable[..., Any]:
        """A model of a second that is counted."""

        def call(*args: Any, **kwargs: Any) -> Any:
            with self._counted():
                return slow(*args, **kwargs)

        async def acall(*args: Any, **kwargs: Any) -> Any:
            with self._counted():
                return await slow(*args, **kwargs)

        def stream(*args: Any, **kwargs: Any) -> Any:
            with self._counted():
                yield from slow(*args, **kwargs)

        async def astream(*args: Any, **kwargs: Any) -> Any:
            with self._counted():
                async for item in slow(*args, **kwargs):
                    yield item

        slow = world.model(lambda *args, **kwargs: answer(), seconds=1.0)
        return world.pick(call, acall, stream, astream)

    @contextlib.contextmanager
    def _counted(self) -> Iterator[None]:
        self.now += 1
        self.peak = max(self.peak, self.now)
        try:
            yield
        finally:
            self.now -= 1

    def told(self, ends: list[End]) -> Crowd:
        """How the crowd fared."""
        return Crowd(tuple(sorted(Counter(end.kind for end in ends).items())), self.peak)


@contextlib.contextmanager
def time_to_check() -> Iterator[VirtualClock]:
    """Virtual time: that which runs already, or a new one.

    Raises:
        RuntimeError: An event loop runs here, or this thread keeps real time beside one in virtual time.
    """
    if on_event_loop():
        raise RuntimeError(
            "conformance checks run event loops of their own, and one runs here already; "
            "call them from plain code, such as a test that is no coroutine"
        )
    clock = running()
    if clock is not None:
        if governing() is None:
            raise RuntimeError(
                "virtual time runs already, in another thread; run the checks in the thread that began it"
            )
        yield clock
    else:
        with virtual_time(stuck_seconds=2.0) as clock:
            yield clock


def clock_now() -> VirtualClock:
    """The clock that the checks run on."""
    clock = running()
    assert clock is not None, "checks run inside time_to_check()"
    return clock


def _call(guarded: Any, thing: Any) -> Any:
    return guarded(thing)


def _roles(guard: Guard) -> Iterator[str]:
    policies = guard.policies if isinstance(guard, Pipeline) else (guard,)
    for policy in policies:
        if isinstance(policy, Policy):
            yield policy.role
