"""The colours that a policy is checked in, and what runs them: threads, asyncio and trio, in virtual time.

Whatever runs here is bounded: in virtual time a call that waits for ever is found out at once.
"""

from __future__ import annotations

import asyncio
import contextlib
import importlib.util
import threading
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Literal, TypeVar

import anyio

from ..._colour import Colour

T = TypeVar("T")

LONG = 1e7
"""Virtual seconds after which a call is not going to end."""


_LONGER = 3 * LONG
"""Virtual seconds after which a whole loop is not: what runs on it has found out its calls before."""


class Hung(Exception):
    """The call has not ended, and nothing is left that it could be waiting for."""


class Interrupt(BaseException):
    """Marks the interrupts that are made by checks, which are told from those that the user makes."""


@dataclass(frozen=True, slots=True)
class End:
    """What a call ended in."""

    value: Any = None
    error: BaseException | None = None

    @property
    def kind(self) -> str:
        """``answered``, or the name of the error."""
        return "answered" if self.error is None else type(self.error).__name__

    @property
    def hung(self) -> bool:
        """Whether it has not ended at all."""
        return isinstance(self.error, Hung)


@dataclass(frozen=True, slots=True)
class World:
    """One colour and what runs it."""

    colour: Colour
    backend: Literal["threads", "asyncio", "trio"]

    def __str__(self) -> str:
        return self.colour.value + (f" on {self.backend}" if self.colour.is_async else "")

    # -- models ---------------------------------------------------------------------------------------------

    def model(self, act: Callable[..., Any], *, seconds: float = 0.0) -> Callable[..., Any]:
        """A model of this colour that takes *seconds* and then answers with what *act* returns.

        A stream gives that as its one item.
        """

        def model(*args: Any, **kwargs: Any) -> Any:
            _pause(seconds)
            return act(*args, **kwargs)

        async def amodel(*args: Any, **kwargs: Any) -> Any:
            await anyio.sleep(seconds)
            return act(*args, **kwargs)

        def stream(*args: Any, **kwargs: Any) -> Iterator[Any]:
            _pause(seconds)
            yield act(*args, **kwargs)

        async def astream(*args: Any, **kwargs: Any) -> AsyncIterator[Any]:
            await anyio.sleep(seconds)
            yield act(*args, **kwargs)

        made = self.pick(model, amodel, stream, astream)
        made.__name__ = made.__qualname__ = "model"
        return made

    def pick(self, call: T, async_call: T, stream: T, async_stream: T) -> T:
        """The one of this world's colour."""
        return {
            Colour.CALL: call,
            Colour.ASYNC_CALL: async_call,
            Colour.STREAM: stream,
            Colour.ASYNC_STREAM: async_stream,
        }[self.colour]

    # -- using what is guarded ------------------------------------------------------------------------------

    def take(self, given: Any) -> Any:
        """The answer in what a plain guarded callable gave; of a stream, its one item or a tuple of them."""
        return _joined(list(given)) if self.colour.streams else given

    def retake(self, given: Any) -> Any:
        """What :meth:`take` finds the answer in once more."""
        answer = self.take(given)
        return [answer] if self.colour.streams else answer

    async def atake(self, given: Any) -> Any:
        """The answer in what an async guarded callable gave."""
        return _joined([item async for item in given]) if self.colour.streams else await given

    def end(self, call: Callable[[], Any]) -> End:
        """What one call ends in."""
        return self.ends([call])[0]

    def ends(self, calls: Sequence[Callable[[], Any]]) -> list[End]:
        """Begin *calls* in turn and let them run at once; what each ended in."""
        if self.colour.is_async:
            ends: list[End] = self.run(lambda: self.aends(calls))
            return ends
        return self._on_threads(calls)

    def ends_of(self, calls: Sequence[Callable[[], Any]], parts: int) -> list[End]:
        """:meth:`ends`, begun from several threads, each with a loop of its own where the calls are async."""
        if parts == 1:
            return self.ends(calls)
        found = World(Colour.CALL, "threads").ends(
            [lambda part=part: self.ends(calls[part::parts]) for part in range(parts)]  # type: ignore[misc]
        )
        return [end for part in found for end in (part.value or [part])]

    def _on_threads(self, calls: Sequence[Callable[[], Any]]) -> list[End]:
        ends = [_HUNG] * len(calls)

        def one(position: int, call: Callable[[], Any]) -> None:
            ends[position] = _ended(lambda: self.take(call()))

        threads = [
            threading.Thread(target=one, args=pair, daemon=True, name="conformance")
            for pair in enumerate(calls)
        ]
        for thread in threads:
            thread.start()
        until = time.monotonic() + LONG
        for thread in threads:
            thread.join(max(0.0, until - time.monotonic()))
        return list(ends)

    async def aends(self, calls: Sequence[Callable[[], Any]]) -> list[End]:
        """:meth:`ends`, on the loop that runs."""
        if self.backend == "asyncio":
            return await self._as_tasks(calls)
        return await self._in_nursery(calls)

    async def _as_tasks(self, calls: Sequence[Callable[[], Any]]) -> list[End]:
        async def one(call: Callable[[], Any]) -> End:
            try:
                return End(await self.atake(call()))
            except BaseException as error:
                return End(error=error)

        tasks = [asyncio.ensure_future(one(call)) for call in calls]
        done, left = await asyncio.wait(tasks, timeout=LONG)
        ends = [task.result() if task in done else _HUNG for task in tasks]
        for task in left:
            task.cancel()
        return ends

    async def _in_nursery(self, calls: Sequence[Callable[[], Any]]) -> list[End]:
        import trio

        ends = [_HUNG] * len(calls)

        async def one(position: int, call: Callable[[], Any]) -> None:
            try:
                ends[position] = End(await self.atake(call()))
            except trio.Cancelled:
                raise
            except BaseException as error:
                ends[position] = End(error=error)

        with trio.move_on_after(LONG):
            async with trio.open_nursery() as nursery:
                for pair in enumerate(calls):
                    nursery.start_soon(one, *pair)
                    await trio.lowlevel.checkpoint()  # trio begins tasks in an order drawn by lot
        return ends

    # -- running loops --------------------------------------------------------------------------------------

    def run(self, main: Callable[[], Awaitable[T]]) -> T:
        """Run *main* on a fresh loop of this world.

        Raises:
            Hung: It did not end.
        """
        return _run_on_asyncio(main) if self.backend == "asyncio" else _run_on_trio(main)


def worlds(*colours: Colour) -> tuple[World, ...]:
    """The worlds of these colours, of every colour where none is given; trio's only where it is installed."""
    backends: list[Literal["asyncio", "trio"]] = ["asyncio"]
    if importlib.util.find_spec("trio") is not None:
        backends.append("trio")
    found: list[World] = []
    for colour in colours or tuple(Colour):
        if colour.is_async:
            found += (World(colour, backend) for backend in backends)
        else:
            found.append(World(colour, "threads"))
    return tuple(found)


_HUNG = End(error=Hung("the call has not ended, and nothing is left that it could wait for"))


def _ended(work: Callable[[], Any]) -> End:
    try:
        return End(work())
    except BaseException as error:
        return End(error=error)


def _pause(seconds: float) -> None:
    if seconds > 0:
        time.sleep(seconds)


def _joined(given: list[Any]) -> Any:
    return given[0] if len(given) == 1 else tuple(given)


def _run_on_asyncio(main: Callable[[], Awaitable[T]]) -> T:
    loop = asyncio.new_event_loop()
    loop.set_exception_handler(lambda loop, context: None)  # of what is left behind; the check tells of it
    task = loop.create_task(_whole(main))
    try:
        loop.run_until_complete(asyncio.wait([task], timeout=_LONGER))
    finally:
        hung = task in _end_all(loop)
        loop.close()
    if hung:
        raise Hung(str(_HUNG.error))
    return task.result()


def _end_all(loop: asyncio.AbstractEventLoop) -> set[asyncio.Task[Any]]:
    """Cancel what still runs on *loop*, and wait for it; what that was."""
    left = asyncio.all_tasks(loop)
    for one in left:
        one.cancel()
    if left:
        with contextlib.suppress(Interrupt):
            loop.run_until_complete(asyncio.wait(left, timeout=LONG))
    loop.run_until_complete(loop.shutdown_asyncgens())
    return left


async def _whole(main: Callable[[], Awaitable[T]]) -> T:
    return await main()


def _run_on_trio(main: Callable[[], Awaitable[T]]) -> T:
    import trio

    async def bounded() -> T:
        with trio.move_on_after(_LONGER):
            return await main()
        raise Hung(str(_HUNG.error))

    return trio.run(bounded)
