"""The default limit against a small simulated model: it finds the knee, follows it, and is not fooled."""

import heapq
import math
import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from resilient_ml.machines.limiter import LimiterMachine
from resilient_ml.machines.limits.protocol import Trip
from resilient_ml.machines.limits.waiting import Descent, WaitingLimit

PROPERTY = settings(derandomize=True, deadline=None, max_examples=100, database=None)


class Model:
    """*workers* that serve in order, each call for *seconds*, offered *rate* calls a second."""

    def __init__(self, machine, *, workers, seconds, rate, deadline=math.inf, seed=1):
        self.machine = machine
        self.workers, self.seconds, self.rate, self.deadline = workers, seconds, rate, deadline
        self.rng = random.Random(seed)
        self.now = 0.0
        self.ends: list[tuple[float, int, Trip, bool]] = []
        self.line: list[tuple[Trip, float]] = []
        self.busy = self.count = self.good = 0
        self.cost = lambda rng: 1.0
        self.limits: list[float] = []

    def serve(self):
        while self.line and self.busy < self.workers:
            trip, work = self.line.pop(0)
            self.busy += 1
            self.count += 1
            heapq.heappush(self.ends, (self.now + work, self.count, trip, True))

    def run(self, seconds):
        until = self.now + seconds
        self.good, self.limits = 0, []
        arrival = self.now + self.rng.expovariate(self.rate)
        while min(arrival, self.ends[0][0] if self.ends else math.inf) < until:
            if not self.ends or arrival <= self.ends[0][0]:
                self.now = arrival
                arrival += self.rng.expovariate(self.rate)
                cost = self.cost(self.rng)
                trip = self.machine.admit(self.now, 1.0 if self.count_calls else cost)
                self.limits.append(self.machine.limit)
                if trip is not None:
                    work = self.seconds * cost * self.rng.uniform(0.7, 1.3)
                    self.line.append((trip, work))
                    self.serve()
            else:
                self.now, _, trip, _ = heapq.heappop(self.ends)
                self.busy -= 1
                self.serve()
                late = self.now - trip.at > self.deadline
                self.good += not late
                self.machine.end(trip, self.now, "drop" if late else "ok")
        self.now = until
        return sum(self.limits) / max(1, len(self.limits))

    count_calls = True


def model(limit, **options):
    return Model(LimiterMachine(limit), **options)


@pytest.mark.once
@pytest.mark.parametrize("initial", [1, 400])
@pytest.mark.parametrize("deadline", [None, 1.0])
def test_it_finds_what_a_model_with_40_workers_can_take(initial, deadline):
    """From far below and from ten times as much: enough for all workers, and a bounded wait."""
    offered = model(
        WaitingLimit(initial=initial, deadline=deadline),
        workers=40, seconds=0.1, rate=800.0, deadline=deadline or math.inf,
    )  # fmt: skip
    offered.run(60)
    limit = offered.run(30)
    assert 40 <= limit <= 40 * 2.6
    assert offered.good == pytest.approx(30 * 400, rel=0.03)


def test_it_does_not_refuse_what_the_model_can_take():
    offered = model(WaitingLimit(deadline=2.0), workers=100, seconds=0.4, rate=150.0)
    offered.run(20)
    offered.run(30)
    assert min(offered.limits) >= 60
    assert offered.good == pytest.approx(30 * 150, rel=0.05)


@pytest.mark.parametrize("deadline", [None, 1.0])
def test_it_follows_when_half_of_the_workers_are_lost_and_return(deadline):
    offered = model(
        WaitingLimit(deadline=deadline), workers=40, seconds=0.1, rate=800.0, deadline=deadline or math.inf
    )
    offered.run(60)
    offered.workers = 20
    offered.run(5)
    assert 20 <= offered.run(10) <= 60
    assert offered.good == pytest.approx(10 * 200, rel=0.05)
    offered.workers = 40
    offered.run(5)
    offered.run(10)
    assert offered.good == pytest.approx(10 * 400, rel=0.05)


def test_it_gets_used_to_a_model_that_has_become_slower():
    """Three times as slow, no queue: what is found must be the new floor, not overload for ever."""
    offered = model(WaitingLimit(), workers=40, seconds=0.1, rate=800.0)
    offered.run(30)
    offered.seconds = 0.3
    offered.run(60)
    offered.run(20)
    assert offered.good == pytest.approx(20 * 40 / 0.3, rel=0.1)


def test_prompts_of_mixed_length_do_not_shrink_it():
    offered = model(WaitingLimit(deadline=8.0), workers=40, seconds=0.1, rate=60.0)
    offered.cost = lambda rng: 10.0 if rng.random() < 0.3 else 1.0
    offered.run(30)
    offered.run(60)
    assert min(offered.limits) >= 30
    assert offered.good == pytest.approx(60 * 60, rel=0.05)


def test_with_costs_a_spell_of_long_prompts_is_no_overload():
    """Twenty times the work a call, and twenty times the cost: each unit takes what it took."""
    limit = WaitingLimit(initial=400)
    for turn in range(200):
        limit.learn(turn * 0.1, Trip(turn * 0.1 - 0.1, cost=2.0, seconds=0.2, inside=300, outcome="ok"))
    before, floor = limit.limit, limit.floor
    for turn in range(200, 260):
        limit.learn(turn * 0.1, Trip(turn * 0.1 - 0.1, cost=40.0, seconds=4.0, inside=300, outcome="ok"))
    assert limit.limit >= before
    assert limit.floor == pytest.approx(floor) == pytest.approx(0.1)


def round_of(limit, at, seconds, *, calls=6, inside=20.0, outcome="ok", took=None):
    """One round: *calls* that were let in at *at* end together."""
    for _ in range(calls):
        end = at + (took or seconds)
        limit.learn(end, Trip(at, seconds=seconds, inside=inside, outcome=outcome))
    return limit.limit


@pytest.mark.parametrize(
    ("seconds", "outcome", "deadline", "expected"),
    [
        (0.10, "ok", None, 30.0),  # at ease and in use: by half
        (0.14, "ok", None, 30.0),  # below 1.5 floors nobody waits
        (0.16, "ok", None, 22.0),  # some wait: by a tenth
        (0.20, "ok", None, 20.0),  # near enough: stays
        (0.26, "ok", None, 20 / 1.04),  # 2.5 floors are crowded
        (0.40, "ok", None, 19.0),  # never by more than a twentieth a round
        (0.16, "drop", None, 12.0),  # most are dropped
        (0.14, "drop", None, 30.0),  # nobody waits: they would be dropped whatever the limit
        (0.14, "ok", 0.20, 19.0),  # the median itself is beyond 0.65 of the deadline
        (0.14, "ok", 0.25, 20.0),
        (0.16, "ok", 0.23, 19.0),
    ],
)
def test_each_round_decides(seconds, outcome, deadline, expected):
    limit = WaitingLimit()
    limit.floor, limit.limit = 0.1, 20.0
    limit.deadline = deadline
    assert round_of(limit, 1.0, seconds, calls=60, outcome=outcome) == pytest.approx(expected)


@pytest.mark.parametrize(
    ("seconds", "inside", "floor"),
    [
        (0.08, 20.0, 0.1 - 0.02 * 0.3 * 6 / 16),
        (0.08, 1.0, 0.1 - 0.02 * 0.3 * 6 / 16),
        (0.12, 19.0, 0.1 + 0.02 * 0.05 * 6 / 16),
        (0.12, 20.0, 0.1),  # all in use: they may have waited
    ],
)
def test_the_floor_falls_fast_and_rises_slowly_while_there_is_room(seconds, inside, floor):
    limit = WaitingLimit(initial=20)
    limit.floor = 0.1
    round_of(limit, 1.0, seconds, inside=inside)
    assert limit.floor == pytest.approx(floor)


def test_after_anything_waited_it_grows_slowly_until_at_ease_again():
    limit = WaitingLimit()
    round_of(limit, 0.0, 0.1)
    assert limit.limit == 30.0
    round_of(limit, 1.0, 0.9, inside=30)
    cut = limit.limit
    assert cut < 30.0
    assert round_of(limit, 3.0, 0.1, inside=30) == pytest.approx(cut + max(1, cut / 10))
    round_of(limit, 4.0, 0.1, inside=1)  # not in use: at ease
    before = limit.limit
    assert round_of(limit, 5.0, 0.1, inside=40) == pytest.approx(before * 1.5)


def test_a_limit_that_is_never_reached_comes_down_to_twice_what_is_used():
    limit = WaitingLimit(initial=500)
    for turn in range(200):
        round_of(limit, float(turn), 0.1, inside=5)
    assert limit.limit == pytest.approx(11, abs=1)


def test_idling_forgets_nothing():
    limit = WaitingLimit(initial=50)
    for turn in range(30):
        round_of(limit, float(turn), 0.1, inside=40)
    before = limit.limit, limit.used
    round_of(limit, 1e6, 0.1, inside=40)
    assert limit.limit >= before[0]
    assert limit.used >= 0.9 * before[1]


def test_out_of_memory_halves_at_once():
    limit = WaitingLimit(initial=40)
    limit.learn(1.0, Trip(0.0, seconds=1.0, outcome="oom"))
    assert limit.limit == 20
    for turn in range(20):
        limit.learn(2.0 + turn, Trip(1.0 + turn, seconds=1.0, outcome="oom"))
    assert limit.limit == 1


def test_the_deadline_may_become_known_later():
    limit = WaitingLimit()
    assert round_of(limit, 0.0, 0.1) == 30.0
    limit.deadline = 0.1
    assert round_of(limit, 1.0, 0.1, inside=30) < 30.0


def test_a_descent_that_costs_answers_is_taken_back():
    """The model itself is three times as slow: with fewer inside there are just fewer answers."""
    limit = WaitingLimit(initial=40)
    for turn in range(5):
        round_of(limit, float(turn), 0.1, calls=40, inside=60.0)
    at = 10.0
    seen, excused = [], []
    for _ in range(60):
        inside = int(limit.limit)
        round_of(limit, at, 0.5, calls=inside, inside=inside)
        seen.append(limit.limit)
        excused.append(limit._excused)
        at += 0.5
    assert excused[: excused.index(8)] == [0] * excused.index(8)
    low = seen.index(min(seen))
    assert seen[low] < 0.65 * seen[0]
    assert max(seen[low:]) >= 0.9 * seen[0]  # back up
    assert limit.floor > 0.3


def test_each_descent_in_a_row_that_is_taken_back_excuses_twice_as_many_rounds(monkeypatch):
    monkeypatch.setattr(Descent, "judge", lambda self, limit, good, seconds, *, full: False)
    limit = WaitingLimit(initial=20)
    round_of(limit, 0.0, 0.1)
    excused = []
    for turn in range(1, 8):
        assert round_of(limit, 1e6 * turn, 0.1 * 3**turn, inside=30.0) == 30
        excused.append(limit._excused)
    assert excused == [8, 16, 32, 64, 128, 128, 128]


@pytest.mark.parametrize(
    ("usual", "slowest", "expected"),
    [
        (0.14, 0.7, 30.0),  # nobody waits: the model's own tail is long
        (0.16, 0.7, 19.0),
        (0.16, 0.6, 20.0),
    ],
)
def test_a_tail_beyond_the_deadline_is_overload_only_where_calls_wait(usual, slowest, expected):
    limit = WaitingLimit(initial=20, deadline=1.0)
    limit.floor = 0.1
    for seconds in [usual] * 5 + [slowest]:
        limit.learn(2.0, Trip(1.0, seconds=seconds, inside=20.0, outcome="ok"))
    assert limit.limit == expected


def test_a_descent_that_pays_is_kept():
    descent = Descent(100.0)
    for limit in (100.0, 90.0, 80.0):
        assert descent.judge(limit, 100, 1.0, full=True) is None
    assert descent.judge(60.0, 100, 1.0, full=True) is None  # answers to calls let in before
    assert descent.judge(60.0, 90, 1.0, full=True) is True


@pytest.mark.parametrize(("good", "full", "paid"), [(60, True, False), (60, False, True), (85, True, True)])
def test_a_descent_is_judged_by_answers_while_the_limit_is_in_use(good, full, paid):
    descent = Descent(100.0)
    for limit in (100.0, 90.0, 80.0, 60.0):
        descent.judge(limit, 100, 1.0, full=True)
    assert descent.judge(60.0, good, 1.0, full=full) is paid


def test_a_descent_without_a_look_at_the_top_begins_lower():
    descent = Descent(100.0)
    assert descent.judge(60.0, 10, 1.0, full=True) is None
    assert descent.top == 60.0


def test_a_descent_with_few_answers_waits_for_four_rounds():
    descent = Descent(100.0)
    for limit in (100.0, 90.0, 60.0, 60.0, 60.0, 60.0):
        assert descent.judge(limit, 3, 1.0, full=True) is None
    assert descent.judge(60.0, 3, 1.0, full=True) is True


@pytest.mark.parametrize(
    ("rounds", "paid"),
    [
        # Near the top is above three quarters of it: not where there were ten times the answers.
        ([(100, 100), (90, 100), (75, 1000), (60, 100), (60, 90)], True),
        # Of those near the top the last five count.
        ([(100, 100), *[(95, 1000)] * 3, *[(95, 100)] * 5, (60, 100), (60, 90)], True),
        ([(100, 100), *[(95, 100)] * 3, (95, 1000), *[(95, 100)] * 4, (60, 100), (60, 90)], False),
        # Deep is below 0.65 of the top: the first round there is not counted, and no other is left out.
        ([(100, 100), (90, 100), (65, 100), (60, 10), (60, 85)], True),
        ([(100, 100), (90, 100), (60, 100), (60, 10)], None),
        ([(100, 100), (90, 100), (60, 100), (60, 10), (60, 20)], False),
        ([(100, 100), (90, 100), (60, 100), (60, 20)], False),
    ],
)
def test_a_descent_compares_the_answers_deep_down_with_those_near_the_top(rounds, paid):
    descent = Descent(100.0)
    for limit, good in rounds[:-1]:
        assert descent.judge(limit, good, 1.0, full=True) is None
    limit, good = rounds[-1]
    assert descent.judge(limit, good, 1.0, full=True) is paid


@pytest.mark.parametrize(("full", "paid"), [(0, True), (1, True), (2, False)])
def test_a_descent_in_which_less_than_all_was_used_has_paid(full, paid):
    descent = Descent(100.0)
    for limit, good in [(100, 100), (90, 100), (60, 100)]:
        descent.judge(limit, good, 1.0, full=True)
    assert descent.judge(60, 15, 1.0, full=full > 0) is None
    assert descent.judge(60, 15, 1.0, full=full > 1) is paid


def test_a_long_descent_is_bounded():
    descent = Descent(100.0)
    for _ in range(500):
        descent.judge(99.0, 1, 1.0, full=True)
    assert len(descent.steps) <= Descent.MOST


def test_a_clock_that_stands_still_or_steps_back_does_not_stop_it():
    limit = WaitingLimit()
    round_of(limit, 1000.0, 0.1)
    grown = limit.limit
    for _ in range(2):
        round_of(limit, 5.0, 0.0, inside=60.0, calls=48)
    assert limit.limit > grown


def test_what_ends_within_a_millisecond_is_judged_by_as_many_as_a_round_may_have():
    limit = WaitingLimit()
    round_of(limit, 0.0, 0.1)
    for call in range(47):
        round_of(limit, 0.1 + 1e-5 * call, 1e-5, calls=1, inside=30.0)
    assert limit.limit == 30.0
    round_of(limit, 0.1 + 48e-5, 1e-5, calls=1, inside=30.0)
    assert limit.limit == 45.0


@PROPERTY
@given(
    samples=st.lists(
        st.tuples(
            st.floats(-1e6, 1e6),
            st.floats(0, 1e9, exclude_max=True),
            st.sampled_from(["ok", "ok", "drop", "oom"]),
            st.floats(1e-12, 1e12),
            st.floats(1, 1e6),
        ),
        max_size=80,
    ),
    deadline=st.none() | st.floats(1e-9, 1e6),
)
def test_whatever_it_is_told_it_stays_within_its_bounds(samples, deadline):
    limit = WaitingLimit(deadline=deadline, minimum=2, maximum=50)
    for now, seconds, outcome, cost, inside in samples:
        limit.learn(now, Trip(now - seconds, cost=cost, seconds=seconds, outcome=outcome, inside=inside))
        assert 2 <= limit.limit <= 50
        assert limit.floor > 0
        again = WaitingLimit(minimum=2, maximum=50)
        again.restore(limit.snapshot())
        assert (again.limit, again.floor, again.used) == (limit.limit, limit.floor, limit.used)


@pytest.mark.parametrize(
    "saved",
    [None, {}, {"floor": 1.0}, {"limit": math.nan}, {"limit": -1.0}, {"limit": "9"}, {"limit": True},
     {"limit": 5.0, "floor": math.inf}],
)  # fmt: skip
def test_a_snapshot_that_is_none_is_refused_and_changes_nothing(saved):
    limit = WaitingLimit()
    with pytest.raises(ValueError, match="snapshot"):
        limit.restore(saved)
    assert limit.limit == 20 and limit.floor == math.inf


def test_a_restored_limit_keeps_to_its_own_bounds():
    limit = WaitingLimit(maximum=30)
    limit.restore({"limit": 100.0})
    assert limit.limit == 30


def test_a_floor_of_nothing_in_a_snapshot_is_survived():
    limit = WaitingLimit()
    limit.restore({"limit": 20.0, "floor": 0.0})
    assert round_of(limit, 1.0, 0.1) <= 20
