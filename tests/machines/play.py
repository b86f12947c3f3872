"""Plays tables of what happens when on a circuit breaker's machine.

Each row of a table is ``(now, event, expected)``. The events: ``ok``, ``fail`` and ``slow`` are whole calls;
``admit a`` lets a call in and keeps its permit as *a*; ``ok a``, ``fail a``, ``slow a`` and ``abandon a``
end it. Expected is ``in`` or ``refused`` for an admission, else the state the machine is in afterwards.
"""

from collections.abc import Iterable
from dataclasses import replace

from resilient_ml.machines.breaker import BreakerMachine
from resilient_ml.machines.breaker_permits import Permit
from resilient_ml.machines.breaker_rules import Change, Refusal, Rules

NO_RULES = Rules(
    failure_rate=None,
    consecutive_failures=None,
    minimum_calls=1,
    jitter=0.0,
    open_seconds=5.0,
    open_seconds_max=60.0,
)
TWO_IN_A_ROW = replace(NO_RULES, consecutive_failures=2)
ONE = replace(NO_RULES, consecutive_failures=1)


class Play:
    """Plays tables on one machine."""

    def __init__(self, rules: Rules) -> None:
        self.machine = BreakerMachine(rules)
        self.held: dict[str, Permit] = {}
        self.changes: list[Change] = []

    def __call__(self, *table: tuple[float, str, str]) -> BreakerMachine:
        for row, (now, event, expected) in enumerate(table):
            verb, _, name = event.partition(" ")
            assert self.happens(now, verb, name) == expected, f"row {row}: {now} {event}"
        return self.machine

    def happens(self, now: float, verb: str, name: str) -> str:
        if verb == "admit":
            permit = self.admit(now)
            if permit is not None:
                self.held[name] = permit
            return "refused" if permit is None else "in"
        permit = self.held.pop(name) if name else self.admit(now)
        if permit is None:
            return "refused"
        if verb == "abandon":
            permit.abandon()
        elif verb == "fail":
            self.note(permit.fail(now, "server", 0.0, 0.0, None))
        else:
            self.note(permit.succeed(now, 1.0 if verb == "slow" else 0.0))
        return str(self.machine.state)

    def admit(self, now: float, draw: float = 0.0) -> Permit | None:
        """As a policy does it."""
        if self.machine.closed is not None:
            return self.machine.closed
        answer, change = self.machine.admit(now, draw)
        self.note(change)
        return None if isinstance(answer, Refusal) else answer

    def note(self, change: Change | None) -> None:
        if change is not None:
            self.changes.append(change)

    @property
    def path(self) -> list[str]:
        return [f"{change.before} to {change.after} {change.reason}" for change in self.changes]


def opened(**overrides: float | None) -> Play:
    """A machine that has opened at instant 0."""
    play = Play(replace(ONE, **overrides))  # type: ignore[arg-type]
    play((0.0, "fail", "open"))
    return play


def refusal(play: Play, now: float, draw: float = 0.0) -> Refusal:
    answer, _ = play.machine.admit(now, draw)
    assert isinstance(answer, Refusal)
    return answer


def calls(how: str, times: int, now: float = 0.0, state: str = "closed") -> Iterable[tuple[float, str, str]]:
    return [(now, how, state)] * times
