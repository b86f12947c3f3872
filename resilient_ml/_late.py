"""The error of a call whose deadline has passed."""

from __future__ import annotations

from ._call import Call, Limit
from ._colour import name_of
from .errors import DeadlineExceeded, StreamTimeout


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
