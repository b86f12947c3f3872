"""Watching the policies of a run: what they did, how often, and which state each was in when."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass

from .. import events
from ..machines.breaker_rules import State
from .tickets import CURRENT

MOST_CHANGES = 10_000
"""Changes of state that are kept; a run with more is flapping, and shows it long before."""


@dataclass(frozen=True, slots=True)
class StateSpan:
    """A policy was in *state*, in seconds from the start of the run."""

    policy: str
    state: str
    begins: float
    ends: float


class Watch:
    """Listens to the events of one run; use it as :func:`~resilient_ml.events.subscribe`'s listener.

    Only the events of calls that carry a ticket of this run count.
    """

    def __init__(self) -> None:
        self.counts: Counter[str] = Counter()
        self._changes: list[events.BreakerChanged] = []

    def __call__(self, event: events.Event) -> None:
        """Take note of *event*."""
        ticket = CURRENT.get()
        if ticket is None or ticket.watch is not self:
            return
        self.counts[type(event).__name__] += 1
        if isinstance(event, events.FallbackServed):
            ticket.degraded = True
        elif isinstance(event, events.BreakerChanged) and len(self._changes) < MOST_CHANGES:
            self._changes.append(event)

    def states(self, began: float, ended: float) -> tuple[StateSpan, ...]:
        """The spans of each policy's states between two instants of the monotonic clock.

        A policy that changed nothing said nothing: it is not among them.
        """
        spans = []
        for policy in dict.fromkeys(change.policy for change in self._changes):
            changes = [change for change in self._changes if change.policy == policy]
            states = [changes[0].before, *(change.after for change in changes)]
            edges = [began, *(change.at for change in changes), max(ended, changes[-1].at)]
            spans += [
                StateSpan(policy, str(state), begins - began, ends - began)
                for state, begins, ends in zip(states, edges, edges[1:], strict=False)
            ]
        return tuple(spans)


def alarms(states: tuple[StateSpan, ...]) -> list[tuple[float, float]]:
    """From when to when some policy held calls back."""
    healthy = {State.CLOSED, State.FORCED_CLOSED, State.DISABLED}
    return [(span.begins, span.ends) for span in states if span.state not in healthy]
