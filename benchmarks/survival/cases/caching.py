"""Caches: entries that collide, stampedes, leaders that fail or leave, waiters one by one."""

from __future__ import annotations

import asyncio
import threading
import time
import traceback
from collections.abc import Callable
from contextlib import suppress
from typing import Any

from survival.library import Library
from survival.trials import trial
from survival.verdicts import Verdict, flawless, judged


class Session:
    """A request; its repr and hash are its address."""

    def __init__(self, tenant: str) -> None:
        self.tenant = tenant


class Prompt:
    """A request that is not hashable, and whose repr says little."""

    __hash__ = None  # type: ignore[assignment]

    def __init__(self, text: str) -> None:
        self.text = text

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Prompt) and self.text == other.text

    def __repr__(self) -> str:
        return "<Prompt>"


def model(x: Any = None, session: Session | None = None) -> Any:
    """The right answer for each input."""
    if session is not None:
        return session.tenant
    return x.text if isinstance(x, Prompt) else float(x.sum())


def collisions(call: Callable[..., Any]) -> Verdict:
    """Distinct inputs; a TypeError or no caching is fine, another input's answer is not."""
    import numpy as np

    flaws = []
    one, other = np.zeros(2000), np.zeros(2000)
    other[1000] = 7.0
    with suppress(TypeError):
        call(one)
        if (got := call(other)) != 7.0:
            flaws.append(f"another tensor's answer, {got} instead of 7.0")
    for _ in range(50):
        with suppress(TypeError):
            call(session=Session("acme"))
            if call(session=Session("other")) != "other":
                flaws.append("another tenant's answer, from an object at a reused address")
                break
    with suppress(TypeError):
        call(Prompt("a"))
        if (got := call(Prompt("b"))) != "b":
            flaws.append(f"the answer of an object with the same repr, {got!r} instead of 'b'")
    return flawless(flaws, "no collision")


@trial("F20", "cache", "cache")
def entries_do_not_collide(library: Library) -> Verdict:
    return collisions(library.cache(model, 64, 60.0))


@trial("F20", "async cache", "acache")
def entries_of_an_async_cache_do_not_collide(library: Library) -> Verdict:
    async def amodel(x: Any = None, session: Session | None = None) -> Any:
        return model(x, session)

    async def decorated() -> Callable[..., Any]:
        return library.acache(amodel, 64, 60.0)

    with asyncio.Runner() as runner:
        guarded = runner.run(decorated())

        async def awaited(*args: Any, **kwargs: Any) -> Any:
            return await guarded(*args, **kwargs)

        return collisions(lambda *args, **kwargs: runner.run(awaited(*args, **kwargs)))


class Loading:
    """A model that takes 0.1 s, and fails when told."""

    def __init__(self) -> None:
        self.loads, self.sick = 0, False

    def sync(self, key: str) -> str:
        self.loads += 1
        time.sleep(0.1)
        if self.sick:
            raise ConnectionError("down")
        return key

    async def awaited(self, key: str) -> str:
        self.loads += 1
        await asyncio.sleep(0.05)
        if self.sick:
            raise ConnectionError("down")
        return key


def burst(guarded: Callable[[str], Any], key: str, callers: int = 20) -> tuple[list[Any], float]:
    """So many threads ask for *key* at once: what each got, and how long the last one waited."""
    outcomes: list[Any] = []
    start = threading.Barrier(callers)

    def caller() -> None:
        start.wait()
        try:
            outcomes.append(guarded(key))
        except Exception as error:  # noqa: BLE001 - what it got
            outcomes.append(error)

    threads = [threading.Thread(target=caller, daemon=True) for _ in range(callers)]
    began = time.monotonic()
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(15)
    return outcomes, time.monotonic() - began


@trial("F21", "cache", "cache")
def a_key_is_loaded_once(library: Library) -> Verdict:
    loading, flaws = Loading(), []

    def load(key: str) -> str:
        return loading.sync(key)

    guarded = library.cache(load, 64, 60.0)
    burst(guarded, "a")
    if loading.loads != 1:
        flaws.append(f"{loading.loads} loads for 20 misses at once")
    loading.sick = True
    burst(guarded, "b", 2)
    loading.sick = False
    outcomes, _ = burst(guarded, "b", 2)
    if any(isinstance(one, Exception) for one in outcomes):
        flaws.append("a failure was cached")
    return flawless(flaws, "one load, failures not kept")


@trial("F21", "async cache", "acache")
def a_key_is_awaited_once(library: Library) -> Verdict:
    flaws: list[str] = []

    async def main() -> None:
        loading = Loading()

        async def load(key: str) -> str:
            return await loading.awaited(key)

        guarded = library.acache(load, 64, 60.0)
        await asyncio.gather(*[guarded("a") for _ in range(20)])
        if loading.loads != 1:
            flaws.append(f"{loading.loads} loads for 20 misses at once")
        leader = asyncio.ensure_future(guarded("b"))
        await asyncio.sleep(0.01)
        followers = [asyncio.ensure_future(guarded("b")) for _ in range(3)]
        await asyncio.sleep(0.01)
        leader.cancel()
        got = await asyncio.gather(*followers, return_exceptions=True)
        if any(one != "b" for one in got):
            flaws.append(f"the leader left, and its followers got {got[0]!r}")
        leader = asyncio.ensure_future(guarded("c"))
        await asyncio.sleep(0.01)
        follower = asyncio.ensure_future(guarded("c"))
        await asyncio.sleep(0.01)
        follower.cancel()
        if (await asyncio.gather(leader, return_exceptions=True))[0] != "c":
            flaws.append("a follower left, and took the leader with it")
        loading.sick = True
        errors = await asyncio.gather(*[guarded("d") for _ in range(200)], return_exceptions=True)
        frames = max(len(traceback.extract_tb(one.__traceback__)) for one in errors)
        if frames > 30:
            flaws.append(f"one error shared by 200 callers has a traceback of {frames} frames")
        loading.sick = False
        if await guarded("d") != "d":
            flaws.append("a failure was cached")

    asyncio.run(main())
    return flawless(flaws, "one load, whoever leaves or fails")


@trial("F30", "cache", "cache")
def waiters_of_a_failing_key_go_together(library: Library) -> Verdict:
    loading = Loading()
    loading.sick = True

    def load(key: str) -> str:
        return loading.sync(key)

    _, took = burst(library.cache(load, 64, 60.0), "a")
    return judged(took < 1.0, f"20 waiters of a load that fails in 0.1 s waited up to {took:.1f} s")


@trial("F30", "async cache", "acache")
def tasks_that_wait_for_a_failing_key_go_together(library: Library) -> Verdict:
    async def main() -> float:
        loading = Loading()
        loading.sick = True

        async def load(key: str) -> str:
            return await loading.awaited(key)

        guarded, began = library.acache(load, 64, 60.0), time.monotonic()
        await asyncio.gather(*[guarded("a") for _ in range(20)], return_exceptions=True)
        return time.monotonic() - began

    took = asyncio.run(main())
    return judged(took < 0.5, f"20 waiters of a load that fails in 0.05 s waited up to {took:.2f} s")
