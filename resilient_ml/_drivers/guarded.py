"""The guarded functions that users call, one for each colour, and the chains of steps behind them.

A chain is the pipeline's policies bound around a leaf, outermost first: one function of a ``Call``.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from .._ambient import AMBIENT
from .._call import Call
from .._colour import Colour
from .._derive import Step, bind_blocking, bind_suspending
from .._policy import Policy
from . import async_streams, blocking, streams, suspending
from .blocking import CoroutineCall, PlainCall, as_coroutine, complete
from .suspending import AsyncCall

_ambient = AMBIENT.get


def chain(policies: Sequence[Policy], leaf: Step) -> Step:
    """*policies* as coroutines around *leaf*."""
    step = leaf
    for policy in reversed(policies):
        if type(policy).around is not Policy.around:  # one that only says something has nothing to run
            step = bind_suspending(policy, step)
    return step


def plain_chain(policies: Sequence[Policy], leaf: Step) -> tuple[Step, type[Call]]:
    """*policies* around a blocking *leaf*, and the kind of call that it takes.

    Plain functions all through; or, where one body has no twin, coroutines that are run to their end.
    """
    step: Step = leaf
    for policy in reversed(policies):
        bound = bind_blocking(policy, step)
        if bound is None or not _all_plain(policy.runs()):
            return _completed(policies, leaf), CoroutineCall
        step = bound
    return step, PlainCall


def _all_plain(policies: Sequence[Policy]) -> bool:
    """Whether the bodies of *policies*, and those that they run, can run without awaits."""
    return all(
        bind_blocking(policy, blocking.leaf) is not None and _all_plain(policy.runs()) for policy in policies
    )


def _completed(policies: Sequence[Policy], leaf: Step) -> Step:
    whole = chain(policies, as_coroutine(leaf))
    names = " around ".join(policy.name for policy in policies)
    return lambda call: complete(whole(call), names)


def guarded_call(fn: Callable[..., Any], step: Step, new: type[Call]) -> Callable[..., Any]:
    """A plain function that runs *step* around *fn*."""

    def guarded(*args: Any, **kwargs: Any) -> Any:
        call = new()  # make_call, in line: this is every call's path
        call.fn = fn
        call.args = args
        call.kwargs = kwargs
        call.deadline = _ambient()
        call.limit = None
        call.threads = None
        call.attempt = 1
        call.orphans = ()
        return step(call)

    return _with_code_of_its_own(guarded)


def guarded_async_call(fn: Callable[..., Any], step: Step) -> Callable[..., Any]:
    """A coroutine function that runs *step* around *fn*."""

    async def guarded(*args: Any, **kwargs: Any) -> Any:
        call = AsyncCall()  # make_call, in line: this is every call's path
        call.fn = fn
        call.args = args
        call.kwargs = kwargs
        call.deadline = _ambient()
        call.limit = None
        call.threads = None
        call.attempt = 1
        call.orphans = ()
        return await step(call)

    return _with_code_of_its_own(guarded)


def _with_code_of_its_own(guarded: Any) -> Callable[..., Any]:
    """*guarded*, whose call of its one step the interpreter can then specialise (see ``_derive``)."""
    guarded.__code__ = guarded.__code__.replace()
    return guarded  # type: ignore[no-any-return]


LEAVES: dict[Colour, Step] = {
    Colour.CALL: blocking.leaf,
    Colour.ASYNC_CALL: suspending.leaf,
    Colour.STREAM: streams.leaf,
    Colour.ASYNC_STREAM: async_streams.leaf,
}
