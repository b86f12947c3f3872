"""Retries: deadlines, storms, interrupts, hooks, defaults."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from contextlib import suppress

from survival.library import Fn, Library
from survival.trials import trial
from survival.verdicts import Verdict, failed, judged, survived

DEADLINE, WAIT = 0.3, 1.5


def dead() -> None:
    """A model that is down."""
    raise ConnectionError("down")


async def adead() -> None:
    """The same, awaited."""
    raise ConnectionError("down")


def overshoot(seconds: float) -> Verdict:
    """Half way to the first wait is past the deadline beyond doubt."""
    return judged(seconds < WAIT / 2, f"a deadline of {DEADLINE} s, over after {seconds:.2f} s")


@trial("F27", "sync", "retry_within")
def a_deadline_is_kept(library: Library) -> Verdict:
    guarded = library.retry_within(dead, 5, WAIT, DEADLINE)
    began = time.monotonic()
    with suppress(Exception):
        guarded()
    return overshoot(time.monotonic() - began)


@trial("F27", "async", "aretry_within")
def a_deadline_is_kept_by_tasks(library: Library) -> Verdict:
    async def main() -> float:
        guarded = library.aretry_within(adead, 5, WAIT, DEADLINE)
        began = time.monotonic()
        with suppress(Exception):
            await guarded()
        return time.monotonic() - began

    return overshoot(asyncio.run(main()))


def amplification(calls: int) -> Verdict:
    """A budget of a tenth and a little to begin with stays below a quarter."""
    return judged(calls <= 625, f"{calls / 500:.2f} calls a request reach the dead backend")


@trial("F28", "sync", "retry_group")
def no_storm(library: Library) -> Verdict:
    calls: list[int] = []

    def made() -> Fn:
        def model() -> None:
            calls.append(1)
            raise ConnectionError("down")

        return model

    guarded = library.retry_group([made() for _ in range(10)], 3)
    for _ in range(50):
        for one in guarded:
            with suppress(Exception):
                one()
    return amplification(len(calls))


@trial("F28", "async", "aretry_group")
def no_storm_of_tasks(library: Library) -> Verdict:
    calls: list[int] = []

    def made() -> Fn:
        async def model() -> None:
            calls.append(1)
            raise ConnectionError("down")

        return model

    async def main() -> None:
        guarded = library.aretry_group([made() for _ in range(10)], 3)
        for _ in range(50):
            for one in guarded:
                with suppress(Exception):
                    await one()

    asyncio.run(main())
    return amplification(len(calls))


@trial("F29", "sync", "retry_unless")
def interrupts_are_not_retried(library: Library) -> Verdict:
    for interrupt in (KeyboardInterrupt, SystemExit):
        calls: list[int] = []

        def model(interrupt: type[BaseException] = interrupt, calls: list[int] = calls) -> None:
            calls.append(1)
            raise interrupt

        try:
            library.retry_unless(model, 3, ValueError)()
        except interrupt:
            pass
        except BaseException as error:  # noqa: BLE001 - what it was made into
            return failed(f"{interrupt.__name__} became {type(error).__name__}")
        if len(calls) != 1:
            return failed(f"{interrupt.__name__} retried: {len(calls)} calls")
    return survived("each came through at once")


@trial("F29", "async", "aretry_unless")
def cancellation_is_not_retried(library: Library) -> Verdict:
    calls: list[int] = []

    async def main() -> bool:
        async def model() -> None:
            calls.append(1)
            if len(calls) < 3:
                await asyncio.sleep(30)

        task = asyncio.ensure_future(library.aretry_unless(model, 3, ValueError)())
        await asyncio.sleep(0.02)
        task.cancel()
        await asyncio.wait([task], timeout=2)
        return bool(task.cancelled())

    cancelled = asyncio.run(main())
    return judged(cancelled and len(calls) == 1, f"cancelled: {cancelled}, calls: {len(calls)}")


class HookError(Exception):
    """A bug in a user's hook."""


def hook() -> None:
    """A hook with a bug."""
    raise HookError


class Blip:
    """Fails twice, then answers."""

    def __init__(self) -> None:
        self.calls = 0

    def sync(self) -> str:
        self.calls += 1
        if self.calls < 3:
            raise ConnectionError("down")
        return "answer"

    async def awaited(self) -> str:
        return self.sync()


def in_spite_of_the_hook(call: Callable[[], str]) -> Verdict:
    """The answer is what counts."""
    try:
        answer = call()
    except HookError:
        return failed("the hook's error took the place of the answer")
    return judged(answer == "answer", f"returned {answer!r} in spite of the hook")


@trial("F31", "retry", "retry_hooked")
def a_retry_outlives_its_hook(library: Library) -> Verdict:
    blip = Blip()

    def model() -> str:
        return blip.sync()

    return in_spite_of_the_hook(library.retry_hooked(model, 3, hook))


@trial("F31", "async retry", "aretry_hooked")
def an_async_retry_outlives_its_hook(library: Library) -> Verdict:
    blip = Blip()

    async def model() -> str:
        return await blip.awaited()

    async def main() -> str:
        answer: str = await library.aretry_hooked(model, 3, hook)()
        return answer

    return in_spite_of_the_hook(lambda: asyncio.run(main()))


@trial("F31", "breaker", "breaker_hooked")
def a_breaker_outlives_its_hook(library: Library) -> Verdict:
    healthy = in_spite_of_the_hook(library.breaker_hooked(lambda: "answer", 3, 60.0, hook))
    guarded = library.breaker_hooked(dead, 2, 60.0, hook)
    for _ in range(4):
        try:
            guarded()
        except HookError:
            return failed("the hook's error took the place of the model's as it opened")
        except Exception:  # noqa: BLE001, S112 - the model's own error, then a refusal
            continue
    return healthy


class Stop(BaseException):
    """Ends what would never end."""


@trial("F40", "default", "retry_default")
def the_default_ends(library: Library) -> Verdict:
    began, calls = time.monotonic(), [0]

    def model() -> None:
        calls[0] += 1
        if time.monotonic() - began > 2:
            raise Stop
        raise ConnectionError("down")

    try:
        library.retry_default(model)()
    except Stop:
        ended = "still at it after 2 s"
    except Exception as error:  # noqa: BLE001 - however it gave up
        ended = f"gave up with {type(error).__name__} after {time.monotonic() - began:.1f} s"
    else:
        ended = "returned"
    return judged(calls[0] <= 50, f"{calls[0]:,} attempts, {ended}")
