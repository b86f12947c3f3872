"""Clients on tasks, for models that are awaited: one task for each request, on asyncio or trio."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from typing import Any

import anyio
from anyio.abc import TaskGroup

from .._colour import Colour
from .asking import Asked, ask_async
from .client_threads import settle
from .replies import Reply
from .tickets import CURRENT, Ticket
from .workload import Traffic


class ClientTasks:
    """Serves *traffic* with clients on tasks; arguments as for :class:`~.client_threads.ClientThreads`.

    Args:
        release: Called when the callers have gone, so that what still hangs for them comes to an end.
        settle_seconds: How long tasks that were left behind may take to end, before they count as leaks.
    """

    def __init__(
        self,
        fn: Callable[..., Any],
        colour: Colour,
        traffic: Traffic,
        *,
        patience: float,
        tickets: list[Ticket],
        settled: Callable[[Reply], object],
        release: Callable[[], object],
        settle_seconds: float,
    ) -> None:
        self._fn = fn
        self._colour = colour
        self._traffic = traffic
        self._patience = patience
        self._tickets = tickets
        self._settled = settled
        self._release = release
        self._settle_seconds = settle_seconds
        self.replies: list[Reply] = [
            Reply(number, request, 0.0) for number, request in enumerate(traffic.requests)
        ]
        self.began: float = 0.0
        self.tasks_left: int = 0

    async def run(self) -> list[Reply]:
        """Serve everything; returns once each request has its reply."""
        self.began = time.monotonic()
        if self._traffic.arrives is None:
            await self._closed_loop()
        else:
            await self._open_loop(self._traffic.arrives)
        self._release()
        self.tasks_left = await self._count_tasks()
        return self.replies

    async def _open_loop(self, arrives: tuple[float, ...]) -> None:
        seats = anyio.Semaphore(self._traffic.clients)
        async with anyio.create_task_group() as group:
            for number, at in enumerate(arrives):
                wait = self.began + at - time.monotonic()
                if wait > 0:
                    await anyio.sleep(wait)
                await seats.acquire()
                self.replies[number].arrived = at
                group.start_soon(self._seated, number, seats, group)

    async def _seated(self, number: int, seats: anyio.Semaphore, group: TaskGroup) -> None:
        try:
            await self._serve(number, group)
        finally:
            seats.release()

    async def _closed_loop(self) -> None:
        numbers = iter(range(len(self.replies)))
        async with anyio.create_task_group() as group:
            for _ in range(self._traffic.clients):
                group.start_soon(self._user, numbers, group)

    async def _user(self, numbers: Any, group: TaskGroup) -> None:
        for number in numbers:
            self.replies[number].arrived = time.monotonic() - self.began
            await self._serve(number, group)
            if self._traffic.think:
                await anyio.sleep(self._traffic.think)

    async def _serve(self, number: int, group: TaskGroup) -> None:
        reply = self.replies[number]
        reply.started = time.monotonic() - self.began
        CURRENT.set(self._tickets[number])
        asked = Asked()
        with anyio.CancelScope(deadline=anyio.current_time() + self._patience) as scope:
            await ask_async(
                self._fn,
                self._colour,
                reply.request,
                time.monotonic,
                asked=asked,
                ours=lambda: scope.cancel_called or group.cancel_scope.cancel_called,
            )
        settle(reply, asked, time.monotonic() - self.began, self.began)
        self._settled(reply)

    async def _count_tasks(self) -> int:
        """How many tasks are left behind, once they had time to end; trio leaves none behind."""
        try:
            own = asyncio.current_task()
        except RuntimeError:  # no loop of asyncio's
            return 0
        with anyio.move_on_after(self._settle_seconds):
            while others := asyncio.all_tasks() - {own}:
                await asyncio.wait(others)
        return len(asyncio.all_tasks() - {own})
