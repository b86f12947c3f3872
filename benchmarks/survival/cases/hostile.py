"""Hostile content: secrets, huge or raising reprs, inputs that are kept, errors that do not travel."""

from __future__ import annotations

import asyncio
import gc
import logging
import pickle
import time
import weakref
from contextlib import suppress
from typing import Any

from survival.library import Fn, Library
from survival.trials import ASYNC, PLAIN, Guard, each, trial
from survival.verdicts import Verdict, failed, flawless, judged, survived, undecided

SECRET, PROMPT = "sk-live-51H8", "record 7781"


class Recording(logging.Handler):
    """Keeps all that a log formatter could print."""

    def __init__(self) -> None:
        super().__init__(0)
        self.seen: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.seen.append(f"{record.__dict__!r} {record.getMessage()}")


@trial("F24", "logs", "retry_logged")
def logs_keep_secrets(library: Library) -> Verdict:
    recording, root = Recording(), logging.getLogger()
    level = root.level
    root.addHandler(recording)
    root.setLevel(1)

    def model(prompt: str, api_key: str) -> None:
        raise ConnectionError("down")

    try:
        with suppress(Exception):
            library.retry_logged(model, 2)(PROMPT, api_key=SECRET)
    finally:
        root.removeHandler(recording)
        root.setLevel(level)
    seen = "".join(recording.seen)
    leaked = [name for name, text in (("api_key", SECRET), ("prompt", PROMPT)) if text in seen]
    if leaked:
        return failed(f"{' and '.join(leaked)} in {len(recording.seen)} records")
    return survived(f"{len(recording.seen)} records without arguments")


@trial("F24", "refusals", "breaker")
def refusals_keep_secrets(library: Library) -> Verdict:
    tenant = "A"

    def model() -> int:
        if tenant == "A":
            raise ConnectionError(f"cannot score {PROMPT!r} with {SECRET}")
        return 1

    guarded = library.breaker(model, 2, 60.0)
    for _ in range(2):
        with suppress(Exception):
            guarded()
    tenant = "B"
    try:
        guarded()
    except Exception as error:  # noqa: BLE001 - the refusal
        shown, link = repr(error), error
        cause: BaseException | None = link
        while cause is not None:
            shown += str(cause)
            cause = cause.__cause__ or cause.__context__
        return judged(
            SECRET not in shown, "tenant B is shown " + ("A's error" if SECRET in shown else "nothing")
        )
    return undecided("not open")


class Shy:
    """Its repr and str raise."""

    def __repr__(self) -> str:
        raise RuntimeError("repr was called")

    __str__ = __repr__


MOST_REPRS = 24
"""Two for each attempt: a log may show the error."""


class Vast:
    """Its repr has 20 MB, and is counted."""

    reprs = 0

    def __repr__(self) -> str:
        Vast.reprs += 1
        return "x" * 20_000_000


class ShyError(Exception):
    """Its text raises."""

    def __repr__(self) -> str:
        raise RuntimeError("repr was called")

    __str__ = __repr__


class VastError(Exception):
    """Its text has 20 MB, and is counted."""

    def __repr__(self) -> str:
        Vast.reprs += 1
        return "x" * 20_000_000

    __str__ = __repr__


def hostile(library: Library, guard: Guard) -> Verdict:
    """Arguments and errors with a hostile repr, through *guard*; each call must end as it would without."""
    Vast.reprs = 0
    for argument, error in ((Shy(), ShyError), (Vast(), VastError)):

        def answer(x: Any) -> int:
            return 1

        def fail(x: Any, error: type[Exception] = error) -> None:
            raise error

        for model in (answer, fail):
            guarded: Fn = guard(model)
            for _ in range(4):
                try:
                    guarded(argument)
                except (error, *library.exhausted):
                    continue
                except library.rejections as refusal:
                    if len(str(refusal)) > 10_000:
                        return failed(f"a refusal of {len(str(refusal)) / 1e6:.0f} MB of text")
                except Exception as other:  # noqa: BLE001 - what it was made into
                    return failed(f"the call became {type(other).__name__}: {str(other)[:60]}")
    return judged(Vast.reprs <= MOST_REPRS, f"8 calls made {Vast.reprs} reprs of 20 MB")


@each("F25", *PLAIN)
def reprs_are_not_called(library: Library, guard: Guard) -> Verdict:
    return hostile(library, guard)


@trial("F25", "logged retry", "retry_logged")
def reprs_are_not_logged(library: Library) -> Verdict:
    root, silent = logging.getLogger(), logging.NullHandler()
    level = root.level
    root.addHandler(silent)
    root.setLevel(1)
    try:
        return hostile(library, lambda fn: library.retry_logged(fn, 3))
    finally:
        root.removeHandler(silent)
        root.setLevel(level)


class Payload(bytearray):
    """A large input that can be watched, and be a key of a cache."""

    __hash__ = object.__hash__  # type: ignore[assignment]


def released(watched: weakref.ref[Payload]) -> Verdict:
    """Whether the input dies without the garbage collector; helper threads get a moment to let go."""
    until = time.monotonic() + 0.3
    while watched() is not None and time.monotonic() < until:
        time.sleep(0.005)
    if watched() is None:
        return survived("freed at once")
    gc.enable()
    gc.collect()
    return failed(
        "16 MB kept until the garbage collector runs" if watched() is None else "16 MB kept for good"
    )


@each("F26", *PLAIN)
def a_failed_call_lets_go(library: Library, guard: Guard) -> Verdict:
    def model(payload: Payload) -> None:
        raise ValueError("no")

    guarded = guard(model)
    gc.collect()
    gc.disable()
    try:
        payload = Payload(16_000_000)
        watched = weakref.ref(payload)
        with suppress(Exception):
            guarded(payload)
        del payload
        return released(watched)
    finally:
        gc.enable()


@each("F26", *ASYNC)
def a_failed_await_lets_go(library: Library, guard: Guard) -> Verdict:
    async def model(payload: Payload) -> None:
        await asyncio.sleep(0)
        raise ValueError("no")

    async def main() -> Verdict:
        guarded = guard(model)
        gc.collect()
        gc.disable()
        try:
            payload = Payload(16_000_000)
            watched = weakref.ref(payload)
            with suppress(Exception):
                await guarded(payload)
            del payload
            await asyncio.sleep(0)
            return released(watched)
        finally:
            gc.enable()

    return asyncio.run(main())


@trial("F37", "errors", "own_errors")
def errors_travel(library: Library) -> Verdict:
    flaws, names, garbled = [], [], []
    for error in library.own_errors():
        name = type(error).__name__
        names.append(name)
        try:
            copy = pickle.loads(pickle.dumps(error))  # noqa: S301 - our own bytes
        except Exception as broken:  # noqa: BLE001 - what a pool would die of
            flaws.append(f"{name}: {type(broken).__name__}: {str(broken)[:60]}")
        else:
            if type(copy) is not type(error):
                flaws.append(f"{name} comes back as {type(copy).__name__}")
            elif str(copy) != str(error):
                garbled.append(name)
    how = f"with another text: {', '.join(garbled)}" if garbled else "as they were"
    return flawless(flaws, f"{', '.join(names)} come back, {how}")
