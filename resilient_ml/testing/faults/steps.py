"""What a fault may have a call do: wait, block, raise, hand out an item. Each step knows how in both worlds.

``block()`` performs it on a thread, ``wait()`` in a coroutine on asyncio or trio. So a fault is written once,
as a generator of steps, for all four colours.
"""

from __future__ import annotations

import asyncio
import concurrent.futures
import contextvars
import time
from collections import deque
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from dataclasses import dataclass
from typing import Any

import anyio
import anyio.lowlevel

from ..._drivers.loops import running_task
from .gate import Gate


class Within:
    """Marks what faults do themselves, so that a fault around ``time.sleep``, say, does not strike them."""

    __slots__ = ("_token",)

    def __enter__(self) -> None:
        self._token = _WITHIN.set(True)

    def __exit__(self, *_: object) -> None:
        _WITHIN.reset(self._token)


_WITHIN: contextvars.ContextVar[bool] = contextvars.ContextVar("resilient_ml_within_a_fault", default=False)


def within_a_fault() -> bool:
    """Whether what runs here is a fault's own doing."""
    return _WITHIN.get()


class Step:
    """One thing to do in the middle of a call."""

    __slots__ = ()

    def block(self, gate: Gate) -> None:
        """Do it on this thread."""

    async def wait(self, gate: Gate) -> None:
        """Do it in this coroutine; by default no differently, which stops its event loop meanwhile."""
        self.block(gate)


@dataclass(frozen=True, slots=True)
class Sleep(Step):
    """Wait, as a good citizen does: a coroutine can be cancelled meanwhile."""

    seconds: float

    def block(self, gate: Gate) -> None:
        """Sleep."""
        with Within():
            time.sleep(self.seconds)

    async def wait(self, gate: Gate) -> None:
        """Sleep."""
        with Within():
            await anyio.sleep(self.seconds)


@dataclass(frozen=True, slots=True)
class Hang(Step):
    """Wait until cancelled, or until the plan lets go of what hangs."""

    what: str

    def block(self, gate: Gate) -> None:
        """Hang the thread."""
        gate.hang(self.what)

    async def wait(self, gate: Gate) -> None:
        """Hang the task."""
        await gate.hang_task(self.what)


@dataclass(frozen=True, slots=True)
class Block(Step):
    """Hold the thread, and with it the event loop that runs on it."""

    seconds: float

    def block(self, gate: Gate) -> None:
        """Sleep, on the event loop too."""
        with Within():
            time.sleep(self.seconds)


@dataclass(frozen=True, slots=True)
class Ignore(Step):
    """Wait, and swallow every cancellation meanwhile."""

    seconds: float

    def block(self, gate: Gate) -> None:
        """Sleep: a thread cannot be cancelled anyway."""
        with Within():
            time.sleep(self.seconds)

    async def wait(self, gate: Gate) -> None:
        """Sleep on, whoever cancels."""
        until = anyio.current_time() + self.seconds
        with (
            Within(),
            anyio.CancelScope(shield=True),
        ):  # what trio and anyio cancel with; asyncio's own way is caught
            while (left := until - anyio.current_time()) > 0:
                try:
                    await anyio.sleep(left)
                except asyncio.CancelledError:
                    continue


@dataclass(frozen=True, slots=True)
class Raise(Step):
    """Raise an exception, outside of any generator, which would replace a ``StopIteration``.

    It is made when it is raised: a step that held it would be in its traceback, and keep the call's arguments
    alive in a circle.
    """

    make: Callable[[], BaseException]

    def block(self, gate: Gate) -> None:
        """Raise it."""
        raise self.make()


@dataclass(frozen=True, slots=True)
class Cancelled(Step):
    """Raise the exception that a cancellation is told by, though nobody has cancelled."""

    def block(self, gate: Gate) -> None:
        """As a thread meets it that asks a cancelled future for its result."""
        raise concurrent.futures.CancelledError

    async def wait(self, gate: Gate) -> None:
        """As a task meets it that awaits another one, which was cancelled."""
        if running_task() is not None:
            raise asyncio.CancelledError
        stray: BaseException | None = None
        with anyio.CancelScope() as scope:  # trio makes them itself, and only for its own scopes
            scope.cancel()
            try:
                await anyio.lowlevel.checkpoint()
            except BaseException as told:  # noqa: BLE001 - kept beyond its scope: that is the fault
                stray = told
        try:
            assert stray is not None
            raise stray
        finally:
            del stray


@dataclass(frozen=True, slots=True)
class Act(Step):
    """Call a function, await what it returns, or take a stream to its end."""

    act: Callable[[], Any]

    def block(self, gate: Gate) -> None:
        """Call it."""
        given = self.act()
        if isinstance(given, Iterator):
            deque(given, maxlen=0)

    async def wait(self, gate: Gate) -> None:
        """Call it, and await it."""
        given = self.act()
        if isinstance(given, Awaitable):
            await given
        elif isinstance(given, AsyncIterator):
            async for _ in given:
                pass


@dataclass(frozen=True, slots=True)
class Give(Step):
    """Hand an item of a stream on."""

    item: Any


@dataclass(frozen=True, slots=True)
class End(Step):
    """End the stream here, as if that were all."""
