"""Take a client through a fault, and judge it."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Literal, TypeAlias

import anyio

from ..virtual_time import virtual_time
from .fault import StreamFault
from .provider import Provider
from .reading import Answer, Stream, aread, read

Colour: TypeAlias = Literal["sync", "asyncio", "trio"]

_STREAMED_SECONDS = 1.0
"""By so much the first content must come before the end; every whole answer takes longer than that."""

_SETTLE = {"sync": 600.0, "async": 1.0}
"""Seconds after which every stream must have ended: a thread that waits can only be left to its end."""


class Verdict(StrEnum):
    """How a client came through a fault, from best to worst."""

    PASS = "pass"  # noqa: S105 -- no password
    """The whole, right answer, and everything that was asked."""
    PARTIAL = "partial"
    """The whole, right answer, and something that was asked is missing."""
    SAFE = "safe failure"
    """An error, and what was delivered before it is true."""
    WRONG = "silent wrong"
    """Something else was presented as the answer."""


@dataclass(frozen=True, slots=True)
class Guarded:
    """A client's stream, with what it can say about it.

    Attributes:
        stream: ``(prompt) -> iterator``, or an async iterator.
        served_by: Asked after each request: the name of the provider that answered it last, or None.
    """

    stream: Stream
    served_by: Callable[[], str | None] = lambda: None


Client: TypeAlias = Callable[[Stream, Stream], Stream | Guarded]
"""Makes one stream function of a primary and a secondary."""


@dataclass(frozen=True, slots=True)
class Score:
    """How a client came through a fault.

    Attributes:
        fault: Which.
        verdict: The worst of its requests'.
        reasons: What was missing.
        answers: What each request came to.
        attempts: How often the primary was asked; while it was down, where the script says when.
        elsewhere: How often the secondary was asked.
        back_seconds: From the primary's recovery to its first whole answer's beginning; None if there was
            none, or it was never down.
    """

    fault: StreamFault
    verdict: Verdict
    reasons: tuple[str, ...]
    answers: tuple[Answer, ...]
    attempts: int
    elsewhere: int
    back_seconds: float | None


def score(client: Client, fault: StreamFault, colour: Colour = "sync") -> Score:
    """Take *client* through *fault* in virtual time, and judge it.

    Args:
        client: ``(primary, secondary) -> stream``; all three are ``(prompt) -> iterator`` of
            :class:`Chunk`, and the providers take ``prefix=`` too. It is made anew for each fault. An async
            client gets async generator functions.
        fault: One of :data:`STREAM_FAULTS` or :data:`STREAM_CONTROLS`, or one of your own.
        colour: ``"sync"``, ``"asyncio"`` or ``"trio"``.

    >>> from resilient_ml.testing.streaming import STREAM_FAULTS, score
    >>> def careless(primary, secondary):
    ...     return primary
    >>> told = score(careless, STREAM_FAULTS[11])
    >>> print(told.verdict)
    silent wrong
    >>> told.reasons
    ("presented 'The capital of France is' as the whole answer",)
    """
    with virtual_time():
        primary = Provider(fault.primary, name="primary")
        secondary = Provider(fault.secondary, name="secondary")
        if colour == "sync":
            return _ask(client, primary, secondary, fault)
        if colour == "asyncio":
            return asyncio.run(_aask(client, primary, secondary, fault))
        return anyio.run(_aask, client, primary, secondary, fault, backend="trio")


def _made(given: Stream | Guarded) -> Guarded:
    return given if isinstance(given, Guarded) else Guarded(given)


def _ask(client: Client, primary: Provider, secondary: Provider, fault: StreamFault) -> Score:
    guarded = _made(client(primary.stream, secondary.stream))
    began = time.monotonic()
    answers = []
    for number in range(fault.requests):
        time.sleep(max(0.0, began + number * fault.every - time.monotonic()))
        answer = read(guarded.stream, fault.reader_pause)
        answers.append(replace(answer, served_by=guarded.served_by()))
    time.sleep(_SETTLE["sync"])
    # Here, where the client is still alive: what it forgot to close must not be closed with it.
    return _judged(fault, answers, primary, secondary)


async def _aask(client: Client, primary: Provider, secondary: Provider, fault: StreamFault) -> Score:
    guarded = _made(client(primary.astream, secondary.astream))
    began = time.monotonic()
    answers = []
    for number in range(fault.requests):
        await anyio.sleep(max(0.0, began + number * fault.every - time.monotonic()))
        answer = await aread(guarded.stream, fault.reader_pause)
        answers.append(replace(answer, served_by=guarded.served_by()))
    await anyio.sleep(_SETTLE["async"])
    return _judged(fault, answers, primary, secondary)


def _judged(fault: StreamFault, answers: Sequence[Answer], primary: Provider, secondary: Provider) -> Score:
    attempts, elsewhere = _attempts(fault, primary), len(secondary.attempts)
    back = _back(fault, primary)
    judged = [_judged_answer(fault, answer) for answer in answers]
    reasons = dict.fromkeys(reason for _, reason in judged if reason)
    worst = max((verdict for verdict, _ in judged), key=list(Verdict).index)
    missing = tuple(_missing(fault, answers, primary, secondary))
    if missing and worst is Verdict.PASS:
        worst = Verdict.PARTIAL
    return Score(fault, worst, (*reasons, *missing), tuple(answers), attempts, elsewhere, back)


def _judged_answer(fault: StreamFault, answer: Answer) -> tuple[Verdict, str]:
    """What one answer is worth, and why it is not worth more."""
    if answer.error is not None:
        what = f"{type(answer.error).__name__} after {answer.seconds:.1f} s"
        if any(text.startswith(answer.text) for text in fault.texts):
            return Verdict.SAFE, what
        return Verdict.WRONG, f"delivered {_short(answer.text)}, then {what}"
    if answer.text not in fault.texts:
        return Verdict.WRONG, f"presented {_short(answer.text)} as the whole answer"
    if answer.seconds > fault.within:
        return Verdict.PARTIAL, f"took {answer.seconds:.1f} s, of {fault.within:g} s"
    if answer.text and answer.seconds - (answer.first_seconds or 0.0) < _STREAMED_SECONDS:
        return Verdict.PARTIAL, "nothing was passed on before the answer was whole"
    return Verdict.PASS, ""


def _missing(
    fault: StreamFault, answers: Sequence[Answer], primary: Provider, secondary: Provider
) -> Iterator[str]:
    """What the fault asks besides the answers, and did not get."""
    attempts, elsewhere = _attempts(fault, primary), len(secondary.attempts)
    if fault.most_attempts is not None and attempts > fault.most_attempts:
        yield f"asked the primary {attempts} times, of {fault.most_attempts}"
    if fault.most_elsewhere is not None and elsewhere > fault.most_elsewhere:
        yield f"asked the secondary {elsewhere} times, of {fault.most_elsewhere}"
    if fault.not_before is not None and len(primary.attempts) > 1:
        apart = primary.attempts[1].at - primary.attempts[0].at
        if apart < fault.not_before:
            yield f"asked the primary again after {apart:.1f} s, of {fault.not_before:g} s"
    if fault.back_within is not None:
        back = _back(fault, primary)
        if back is None:
            yield "never came back to the primary"
        elif back > fault.back_within:
            yield f"came back to the primary after {back:.1f} s, of {fault.back_within:g} s"
    if fault.told:
        yield from _untold(answers, primary, secondary)
    if left := primary.open + secondary.open:
        yield f"left {left} streams open"


def _untold(answers: Sequence[Answer], primary: Provider, secondary: Provider) -> Iterator[str]:
    """What the client said about who answered, where it is not so: the last one did that came to an end."""
    ended = [(one.at, by.name) for by in (primary, secondary) for one in by.attempts if one.end == "complete"]
    served = max(ended)[1] if ended else None
    if answers[-1].served_by != served:
        yield f"said that {answers[-1].served_by or 'nobody'} answered, and {served or 'nobody'} did"


def _attempts(fault: StreamFault, primary: Provider) -> int:
    down = fault.primary.down
    return sum(down is None or down[0] <= attempt.at < down[1] for attempt in primary.attempts)


def _back(fault: StreamFault, primary: Provider) -> float | None:
    if fault.primary.down is None:
        return None
    over = fault.primary.down[1]
    began = [attempt.at for attempt in primary.attempts if attempt.at >= over and attempt.end == "complete"]
    return min(began) - over if began else None


def _short(text: str) -> str:
    return repr(text if len(text) <= 40 else f"{text[:37]}...")
