"""What the leaves share: the leaf is the one place where user code is called.

It alone enforces the deadline, tells the code inside how much time is left, and refuses a result that is
no result yet.
"""

from __future__ import annotations

import asyncio
import types
from typing import Any

from .._call import Call, Job, Limit
from .._colour import Colour, name_of
from ..errors import DeadlineExceeded, LimitExceeded, StreamTimeout

UNFINISHED = frozenset(
    {types.CoroutineType, types.GeneratorType, types.AsyncGeneratorType, asyncio.Future, asyncio.Task}
)
"""Types of results that have yet to run: a plain function that returns one would go unguarded."""

UNLIMITED = Limit(0.0, "acall", max_abandoned=64)
"""Counts the threads that callers of ``acall`` left behind by being cancelled, without a Timeout."""


def expired(call: Call) -> DeadlineExceeded:
    """The error of a call whose deadline has passed: the policy's own limit, or the caller's."""
    limit = call.limit
    if call.outlet is not None:
        return _stream_expired(call, limit)
    if limit is None:
        return DeadlineExceeded(
            f"the caller's deadline passed before {name_of(call.fn)!r} answered; "
            "give the block more time, or put a Fallback with a ready value outside it",
            kind="deadline",
            deadline=call.deadline,
        )
    return DeadlineExceeded.of_limit(limit.seconds, limit.policy, call.deadline)


_LATE = {
    "first": "sent nothing in its limit of {0:g} s to the first item; raise first=, or make it faster",
    "gap": "sent no item for {0:.3g} s, its limit on a gap{1}; raise gap=, or put a Retry and Stream outside",
    "total": "took longer than its limit of {0:g} s{1}; raise the limit, or make it faster",
}


def _stream_expired(call: Call, limit: Limit | None) -> StreamTimeout:
    """The same of a stream, with what was delivered and the time it took."""
    sent = f" (items sent: {call.emitted})" if call.emitted else ""
    if limit is None:
        made = StreamTimeout(
            f"the caller's deadline passed before {name_of(call.fn)!r} answered{sent}; "
            "give the block more time, or put a Fallback with a ready value outside it",
            deadline=call.deadline,
        )
    else:
        # A gap may be learned, and is each stream's own.
        seconds = limit.seconds if limit.phase != "gap" or call.tape is None else call.tape.gap
        made = StreamTimeout(
            f"{limit.policy!r} {_LATE[limit.phase].format(seconds, sent)}",
            kind="stall" if limit.phase == "gap" else "timeout",
            seconds=seconds,
            deadline=call.deadline,
            policy=limit.policy,
        )
        made.phase = limit.phase
    made.delivered = call.emitted
    if call.tape is not None:
        call.tape.ran_out = limit
        call.tape.tell(made, call.now())
    return made


def check_room(limit: Limit) -> None:
    """Refuse a call that could leave one thread too many behind."""
    if len(limit.running) >= limit.max_abandoned:
        raise LimitExceeded(
            f"{len(limit.running)} abandoned calls of {limit.policy!r} are still running on their threads; "
            "wait until they return, raise max_abandoned=, or give the function a time limit of its own",
            policy=limit.policy,
        )


def abandon(job: Job, call: Call, limit: Limit) -> None:
    """Leave *job* behind: count it, and let policies hold what they took until it returns."""
    limit.abandon(job)
    call.orphans = (*call.orphans, job)


def unfinished(result: Any, call: Call, guarded_as: Colour) -> TypeError:
    """The error for a function that returned something which has yet to run."""
    if isinstance(result, types.CoroutineType | types.GeneratorType):
        result.close()
    kind, colour = {
        types.GeneratorType: ("a generator", Colour.STREAM),
        types.AsyncGeneratorType: ("an async generator", Colour.ASYNC_STREAM),
    }.get(type(result), ("an awaitable", Colour.ASYNC_CALL))
    if guarded_as is Colour.ASYNC_CALL and colour is not Colour.ASYNC_STREAM:
        remedy = "await or iterate it inside the function"
    else:
        remedy = f"guard it as what it is: Pipeline(...)(fn, colour=Colour.{colour.name})"
    what = "a coroutine function" if guarded_as is Colour.ASYNC_CALL else "a plain function"
    return TypeError(
        f"{name_of(call.fn)!r} was guarded as {what} but returned {kind}, "
        f"whose failures no policy would see; {remedy}"
    )
