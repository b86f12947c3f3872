"""One comparison: a bare closure, ours, the same fused by hand, and the peers, around the same function."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from measuring import Batch, Case
from peers import Fn, Guard, Peer


def identity(x: Any) -> Any:
    """What is guarded."""
    return x


def closure(fn: Fn) -> Fn:
    """The least that any decorator costs."""

    def wrapper(*args: Any, **kwargs: Any) -> Any:
        return fn(*args, **kwargs)

    return wrapper


async def async_identity(x: Any) -> Any:
    """What is guarded."""
    return x


def async_closure(fn: Fn) -> Fn:
    """The least that any decorator of a coroutine function costs."""

    async def wrapper(*args: Any, **kwargs: Any) -> Any:
        return await fn(*args, **kwargs)

    return wrapper


def compare(
    fn: Fn,
    batch: Callable[[Fn], Batch],
    ours: Guard,
    by_hand: Guard | None = None,
    peers: Sequence[Peer] = (),
    others: Mapping[str, Guard] | None = None,
) -> list[Case]:
    """The cases of one figure.

    Args:
        fn: What is guarded.
        batch: Makes a batch of what guards it.
        ours: The policy or pipeline.
        by_hand: The same fused by hand, if that was written.
        peers: The same by other libraries; those that are absent get a case without a batch.
        others: What else is worth a line.
    """
    cases = [Case("ours", batch(ours(fn)), "ours")]
    if by_hand is not None:
        cases.append(Case("fused by hand", batch(by_hand(fn)), "fused"))
    cases += [Case(name, batch(guard(fn))) for name, guard in (others or {}).items()]
    for peer in peers:
        made = peer.make(fn)
        cases.append(Case(peer.name, None if made is None else batch(made), "peer", peer.same, peer.note))
    return cases
