"""The gate with its tickets against a gate without, and both against what the limit promises."""

import pytest
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from resilient_ml.machines.gcra import Gcra
from resilient_ml.machines.rate_gate import Marks, RateGate, Waiter
from resilient_ml.machines.sliding_window import SlidingWindow

pytestmark = pytest.mark.once

PER = 64.0
ONE = (1.0,)


def never() -> bool:
    return True


class TicketsChangeNothing(RuleBasedStateMachine):
    """Every call, wait, refund and order is given to both gates, which must answer alike at every step.

    Instants and intervals are multiples of powers of two, so that sums of floats are exact.
    """

    @initialize(limit=st.sampled_from([4, 16, 64, 256]), bucket=st.booleans(), full=st.booleans())
    def opens(self, limit: int, bucket: bool, full: bool) -> None:
        def gate() -> RateGate:
            burst = limit if full else limit / 4
            return RateGate([Gcra(limit, PER, burst) if bucket else SlidingWindow(limit, PER, slices=16)], 3)

        self.limit, self.span = limit, PER if not bucket else 0.0
        self.burst = limit if full or not bucket else limit / 4
        self.quick, self.plain = gate(), gate()
        self.plain.hear(0, 0.0, None, 0.0)  # it issues no tickets from here on
        self.now = 0.0
        self.kept: list[tuple[float, Marks, Marks]] = []
        self.gave_back = False
        self.line: list[tuple[Waiter, Waiter]] = []
        self.taken_at: dict[Waiter, float] = {}

    def call(self) -> Marks | None:
        tickets = self.quick.tickets
        marks = next(tickets, None) if self.now < self.quick.until else None
        return self.quick.admit(self.now, ONE) if marks is None else marks

    def note_who_was_let_in(self) -> None:
        for quick, _ in self.line:
            if quick.marks is not None:
                self.taken_at.setdefault(quick, self.now)

    @rule(many=st.integers(1, 80))
    def calls(self, many: int) -> None:
        for _ in range(many):
            quick, plain = self.call(), self.plain.admit(self.now, ONE)
            assert (quick is None) == (plain is None)
            if quick is None or plain is None:
                break
            self.kept.append((self.now, quick, plain))

    @rule(eighths=st.integers(1, 1024))
    def time_passes(self, eighths: int) -> None:
        self.now += eighths / 8

    @rule(eighths=st.integers(0, 8))
    def little_time_passes(self, eighths: int) -> None:
        self.now += eighths / 8

    @precondition(lambda self: self.kept)
    @rule(which=st.integers(0, 1000))
    def one_is_given_back(self, which: int) -> None:
        _, quick, plain = self.kept.pop(which % len(self.kept))
        self.quick.settle(quick, (-1.0,), self.now)
        self.plain.settle(plain, (-1.0,), self.now)
        self.gave_back = True
        self.note_who_was_let_in()

    @rule(seconds=st.integers(1, 100))
    def the_provider_refuses(self, seconds: int) -> None:
        self.quick.close(self.now, self.now + seconds)
        self.plain.close(self.now, self.now + seconds)

    @rule(seconds=st.integers(0, 100))
    def one_waits(self, seconds: int) -> None:
        quick, turn = self.quick.join(self.now, ONE, self.now + seconds)
        plain, same = self.plain.join(self.now, ONE, self.now + seconds)
        assert turn == same
        assert (quick is None) == (plain is None)
        if quick is not None and plain is not None:
            self.line.append((quick, plain))

    @precondition(lambda self: self.line)
    @rule()
    def all_who_wait_look(self) -> None:
        for pair in list(self.line):
            comes = [
                gate.serve(one, self.now, never)
                for gate, one in zip((self.quick, self.plain), pair, strict=True)
            ]
            assert comes[0] == comes[1]
            self.note_who_was_let_in()
            if comes[0] is None:
                self.line.remove(pair)
                assert pair[0].marks is not None and pair[1].marks is not None
                self.kept.append((self.taken_at[pair[0]], pair[0].marks, pair[1].marks))

    @precondition(lambda self: self.line)
    @rule(which=st.integers(0, 10))
    def one_leaves(self, which: int) -> None:
        quick, plain = self.line.pop(which % len(self.line))
        marks = self.quick.leave(quick, self.now), self.plain.leave(plain, self.now)
        assert (marks[0] is None) == (marks[1] is None)
        if marks[0] is not None and marks[1] is not None:
            self.kept.append((self.taken_at[quick], *marks))
        self.note_who_was_let_in()

    @rule()
    def both_say_the_same(self) -> None:
        assert self.quick.left(self.now) == self.plain.left(self.now)
        assert self.quick.turn_of(self.now, ONE) == self.plain.turn_of(self.now, ONE)

    @invariant()
    def no_more_than_the_limit_allows(self) -> None:
        times = sorted(at for at, *_ in self.kept)
        if self.span:
            assert sum(at > self.now - self.span for at in times) <= self.limit
        elif not self.gave_back:  # what a bucket gives back may be used at once, on top of the rate
            for position, since in enumerate(times):
                assert len(times) - position <= self.burst + (self.now - since) * self.limit / PER + 1e-6


TestTicketsChangeNothing = TicketsChangeNothing.TestCase
