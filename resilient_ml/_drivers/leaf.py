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
from .._late import expired
from ..errors import LimitExceeded

__all__ = ["UNFINISHED", "UNLIMITED", "abandon", "check_room", "expired", "unfinished"]

UNFINISHED = frozenset(
    {types.CoroutineType, types.GeneratorType, types.AsyncGeneratorType, asyncio.Future, asyncio.Task}
)
"""Types of results that have yet to run: a plain function that returns one would go unguarded."""

UNLIMITED = Limit(0.0, "acall", max_abandoned=64)
"""Counts the threads that callers of ``acall`` left behind by being cancelled, without a Timeout."""


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
