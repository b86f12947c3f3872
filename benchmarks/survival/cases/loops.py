"""Event loops: several at once, one after another, trio; and the context a call runs in."""

from __future__ import annotations

import asyncio
import contextvars
import threading
from collections.abc import Callable
from contextlib import suppress
from typing import Any

from survival.library import Fn, Library
from survival.trials import ASYNC, PLAIN, Guard, each, trial
from survival.verdicts import Verdict, failed, judged, survived, undecided

TENANT = contextvars.ContextVar("tenant", default="lost")


@each("F14", *PLAIN)
def context_reaches_a_call(library: Library, guard: Guard) -> Verdict:
    import numpy as np

    def model() -> tuple[str, str]:
        return TENANT.get(), np.geterr()["divide"]

    guarded, token = guard(model), TENANT.set("acme")
    try:
        with np.errstate(divide="raise"):
            tenant, divide = guarded()
    finally:
        TENANT.reset(token)
    return judged((tenant, divide) == ("acme", "raise"), f"tenant {tenant}, divide {divide}")


@each("F14", *ASYNC)
def context_reaches_an_await(library: Library, guard: Guard) -> Verdict:
    async def model() -> str:
        return TENANT.get()

    async def main() -> str:
        guarded = guard(model)
        TENANT.set("acme")
        tenant: str = await guarded()
        return tenant

    tenant = asyncio.run(main())
    return judged(tenant == "acme", f"tenant {tenant}")


@trial("F18", "3 loops", "abulkhead")
def a_limit_holds_across_loops(library: Library) -> Verdict:
    inside, peak, served = 0, 0, 0
    lock = threading.Lock()
    errors: set[str] = set()

    async def model() -> None:
        nonlocal inside, peak, served
        with lock:
            inside += 1
            peak = max(peak, inside)
        try:
            await asyncio.sleep(0.02)
        finally:
            with lock:
                inside -= 1
        served += 1

    async def decorated() -> Fn:
        return library.abulkhead(model, 2, 60)

    guarded = asyncio.run(decorated())

    async def main() -> None:
        for outcome in await asyncio.gather(*[guarded() for _ in range(20)], return_exceptions=True):
            if isinstance(outcome, BaseException) and not isinstance(outcome, library.rejections):
                errors.add(f"{type(outcome).__name__}: {str(outcome)[:60]}")

    def caller() -> None:
        try:
            asyncio.run(asyncio.wait_for(main(), 10))
        except Exception as error:  # noqa: BLE001 - hung, or worse
            errors.add(type(error).__name__)

    threads = [threading.Thread(target=caller, daemon=True) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(15)
    what = f"a limit of 2, {peak} at once, {served} of 60 served"
    if errors:
        return failed(f"{what}; {min(errors)}")
    return judged(peak <= 2 and served > 0, what)


@each("F19", *ASYNC)
def loops_may_change(library: Library, guard: Guard) -> Verdict:
    async def model(x: int) -> int:
        await asyncio.sleep(0.005)
        return x

    try:
        guarded = guard(model)
    except RuntimeError as error:
        return failed(f"cannot be decorated where no loop runs: {str(error)[:60]}")

    async def main() -> list[Any]:
        calls = asyncio.gather(*[guarded(x) for x in range(6)], return_exceptions=True)
        return await asyncio.wait_for(calls, 8)

    for number in (1, 2, 3):
        try:
            outcomes = asyncio.run(main())
        except TimeoutError:
            return failed(f"hangs in loop {number}")
        errors = [one for one in outcomes if isinstance(one, BaseException)]
        if errors:
            return failed(f"loop {number}: {type(errors[0]).__name__}: {str(errors[0])[:60]}")
    return survived("three loops served")


def on_trio(guard: Guard) -> Verdict:
    """A good call, several at once, a bad one and one that is cancelled."""
    try:
        import trio
    except ImportError:
        return undecided("trio is not installed")

    async def model(x: int) -> int:
        await trio.sleep(0.001)
        return x

    async def broken(x: int) -> int:
        await trio.sleep(0.001)
        raise ConnectionError("down")

    async def hang(x: int) -> int:
        await trio.sleep(10)
        return x

    async def main() -> Verdict:
        good, bad, hung = guard(model), guard(broken), guard(hang)
        if await good(1) != 1:
            return failed("a wrong answer")
        async with trio.open_nursery() as nursery:
            for x in range(6):
                nursery.start_soon(good, x)
        with trio.fail_after(5):
            with suppress(ConnectionError):
                await bad(1)
        with trio.move_on_after(0.01) as scope:
            await hung(1)
        return judged(scope.cancelled_caught, "answers, fails and is cancelled")

    try:
        return trio.run(main)
    except Exception as error:  # noqa: BLE001 - how it does not run
        inner: BaseException = error
        while isinstance(inner, BaseExceptionGroup):
            inner = inner.exceptions[0]
        return failed(f"{type(inner).__name__}: {str(inner)[:60]}")


@trial("F36", "aretry", "aretry")
def retries_run_on_trio(library: Library) -> Verdict:
    def guard(fn: Fn) -> Fn:
        guarded = library.aretry(fn, 3, 0.001)

        async def unwrapped(*args: Any) -> Any:
            try:
                return await guarded(*args)
            except library.exhausted as error:
                raise ConnectionError from error

        return unwrapped

    return on_trio(guard)


@each("F36", "abreaker", "abulkhead", "atimeout", "arate", "acache")
def policies_run_on_trio(library: Library, guard: Callable[[Fn], Fn]) -> Verdict:
    return on_trio(guard)
