"""The limiter's counting: never above the limit, every place back once, and outcomes late or twice."""

import math
import os

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import Bundle, RuleBasedStateMachine, consumes, invariant, multiple, rule

from resilient_ml.machines.limiter import LimiterMachine
from resilient_ml.machines.limits.protocol import LimitAlgorithm, Trip
from resilient_ml.machines.limits.waiting import WaitingLimit

from .crowd import crowd


class Told(LimitAlgorithm):
    """A limit that stays, and remembers what it was told."""

    def __init__(self, limit: float = 3, due: float = math.inf) -> None:
        super().__init__(limit, 1, 1000)
        self.due = due
        self.trips: list[Trip] = []
        self.ticks: list[float] = []

    def learn(self, now: float, trip: Trip) -> None:
        self.trips.append(trip)

    def tick(self, now: float) -> None:
        self.ticks.append(now)
        self.due = now + 1


def test_it_lets_in_as_many_as_the_limit_says():
    machine = LimiterMachine(Told(2))
    first, second = machine.admit(0.0), machine.admit(0.0)
    assert first is not None and second is not None
    assert machine.room == 0 and machine.limit == 2
    assert machine.admit(0.0) is None
    machine.end(first, 1.0)
    assert machine.room == 1
    assert machine.admit(1.0) is not None


def test_a_fraction_of_a_limit_admits_nobody():
    machine = LimiterMachine(Told(1.9))
    assert machine.admit(0.0) is not None
    assert machine.admit(0.0) is None


def test_it_counts_in_units_of_cost():
    machine = LimiterMachine(Told(10))
    long = machine.admit(0.0, 7.5)
    assert machine.admit(0.0, 3.0) is None
    assert machine.room == 2
    assert machine.admit(0.0, 2.5) is not None
    machine.end(long, 1.0)
    assert machine.room == 7


def test_what_costs_more_than_the_limit_is_let_in_alone():
    machine = LimiterMachine(Told(3))
    small = machine.admit(0.0)
    assert machine.admit(0.0, 50.0) is None
    machine.end(small, 1.0)
    huge = machine.admit(1.0, 50.0)
    assert huge is not None
    assert machine.room == 0 and machine.admit(1.0) is None
    machine.end(huge, 2.0)
    assert machine.room == 3


def test_a_sample_says_how_long_and_how_many_were_inside():
    told = Told(3)
    machine = LimiterMachine(told)
    first, second = machine.admit(1.0), machine.admit(2.0)
    machine.end(first, 5.0)
    machine.end(second, 6.0, "drop", seconds=0.5)
    assert [(trip.at, trip.seconds, trip.before, trip.inside, trip.outcome) for trip in told.trips] == [
        (1.0, 4.0, 1.0, 2.0, "ok"),
        (2.0, 0.5, 2.0, 1.0, "drop"),
    ]


def test_what_says_nothing_about_load_teaches_nothing():
    told = Told()
    machine = LimiterMachine(told)
    machine.end(machine.admit(0.0), 1.0, "ignore")
    assert told.trips == [] and machine.inside == 0


@pytest.mark.parametrize(
    ("now", "seconds"),
    [(-5.0, None), (math.nan, None), (math.inf, None), (1.0, math.nan), (1.0, -1.0), (math.nan, 1.0),
     (math.inf, 1.0), (1.0, 1e9)],
)  # fmt: skip
def test_a_latency_that_is_no_number_teaches_nothing_and_gives_the_place_back(now, seconds):
    told = Told()
    machine = LimiterMachine(told)
    machine.end(machine.admit(0.0), now, "ok", seconds)
    assert told.trips == [] and machine.inside == 0


def test_an_outcome_that_is_none_is_refused_and_takes_nothing():
    machine = LimiterMachine(Told())
    trip = machine.admit(0.0)
    with pytest.raises(ValueError, match="outcome must be ok, drop, oom or ignore, got 'fine'"):
        machine.end(trip, 1.0, "fine")
    assert machine.inside == 1
    machine.end(trip, 1.0)
    assert machine.inside == 0


def test_work_that_outlives_its_deadline_keeps_its_place_until_it_ends():
    told = Told(1)
    machine = LimiterMachine(told)
    trip = machine.admit(0.0)
    machine.judge(trip, 1.0, "drop")
    assert machine.room == 0
    assert told.trips == [trip] and machine.admit(1.5) is None
    machine.leave(trip)
    assert machine.room == 1
    assert machine.inside == 0 and len(told.trips) == 1


def test_a_second_end_changes_nothing():
    told = Told()
    machine = LimiterMachine(told)
    trip, other = machine.admit(0.0), machine.admit(0.0)
    machine.end(trip, 1.0)
    machine.end(trip, 2.0, "drop")
    machine.leave(trip)
    assert machine.inside == 1 and len(told.trips) == 1
    machine.end(other, 2.0)


def test_sums_of_fractions_leave_no_trace():
    machine = LimiterMachine(Told(3))
    trips = [machine.admit(0.0, 0.1) for _ in range(10)]
    for trip in trips:
        machine.end(trip, 1.0)
    assert machine.inside == 0


def test_an_algorithm_is_ticked_when_it_is_due():
    told = Told(100, due=5.0)
    machine = LimiterMachine(told)
    for now in (4.0, 5.0, 5.5, 6.0):
        machine.admit(now)
    assert told.ticks == [5.0, 6.0]


def test_a_reset_keeps_the_places_and_ignores_earlier_outcomes():
    machine = LimiterMachine(Told(2))
    early = machine.admit(0.0)
    anew = Told(2)
    machine.reset(anew)
    late = machine.admit(0.0)
    assert machine.admit(0.0) is None
    machine.end(early, 1.0)
    machine.end(late, 1.0)
    assert anew.trips == [late] and machine.inside == 0


def test_what_was_learned_is_restored_in_another_process_s_limiter():
    machine = LimiterMachine(WaitingLimit(initial=37))
    saved = machine.snapshot()
    assert saved == {"version": 1, "algorithm": "WaitingLimit", "learned": {"limit": 37.0, "used": 0.0}}
    other = LimiterMachine(WaitingLimit())
    other.restore(saved)
    assert other.limit == 37 and other.generation == 1


@pytest.mark.parametrize(
    "saved",
    [None, {}, {"version": 2, "algorithm": "WaitingLimit", "learned": {"limit": 3}},
     {"version": 1, "algorithm": "AIMDLimit", "learned": {"limit": 3}},
     {"version": 1, "algorithm": "WaitingLimit", "learned": None}],
)  # fmt: skip
def test_a_snapshot_that_is_none_is_refused(saved):
    machine = LimiterMachine(WaitingLimit())
    with pytest.raises(ValueError, match="snapshot"):
        machine.restore(saved)
    assert machine.limit == 20 and machine.generation == 0


def test_an_algorithm_that_forgets_to_learn_says_so():
    with pytest.raises(NotImplementedError):
        LimitAlgorithm(1, 1, 1).learn(0.0, Trip(0.0))
    LimitAlgorithm(1, 1, 1).tick(0.0)
    LimitAlgorithm(1, 1, 1).forget_window()


def test_a_fork_begins_empty_and_late_ends_do_no_harm():
    told = Told(2)
    machine = LimiterMachine(told)
    trip = machine.admit(0.0)
    machine.after_fork()
    assert machine.inside == 0
    own = machine.admit(0.0)
    machine.end(trip, 1.0)
    assert machine.inside == 1 and told.trips == []
    machine.end(own, 1.0)
    assert machine.inside == 0 and told.trips == [own]


@pytest.mark.skipif(not hasattr(os, "register_at_fork"), reason="no fork here")
def test_a_forked_child_is_told():
    from resilient_ml import _forks  # what os.fork calls in the child

    machine = LimiterMachine(Told(2))
    machine.admit(0.0)
    machine._lock.acquire()
    _forks._in_child()
    assert machine.inside == 0 and machine.generation == 1


def test_threads_never_exceed_the_limit_and_leave_it_empty():
    machine = LimiterMachine(Told(3))
    most = [0.0] * 8

    def work(number: int) -> None:
        for turn in range(300):
            trip = machine.admit(float(turn))
            if trip is not None:
                most[number] = max(most[number], trip.before, machine.inside)
                machine.end(trip, turn + 0.5)

    crowd(8, work)
    assert max(most) <= 3 and machine.inside == 0


class LimiterAgainstModel(RuleBasedStateMachine):
    """Calls come, are judged, leave in any order, some twice; the limit moves with what they taught."""

    trips = Bundle[Trip]("trips")

    def __init__(self) -> None:
        super().__init__()
        self.algorithm = WaitingLimit(deadline=1.0, initial=3, maximum=8)
        self.machine = LimiterMachine(self.algorithm)
        self.now = 0.0
        self.inside: list[Trip] = []

    @rule(target=trips, cost=st.sampled_from([1.0, 1.0, 0.5, 2.0, 20.0]))
    def a_call_comes(self, cost):
        before = sum(trip.cost for trip in self.inside)
        trip = self.machine.admit(self.now, cost)
        assert (trip is not None) == (before + cost <= self.machine.limit or before == 0)
        if trip is None:
            return multiple()
        self.inside.append(trip)
        return trip

    @rule(step=st.floats(-2, 5))
    def time_passes(self, step):
        self.now += step

    @rule(trip=trips, outcome=st.sampled_from(["ok", "drop", "oom", "ignore"]))
    def an_outcome_is_known(self, trip, outcome):
        self.machine.judge(trip, self.now, outcome)

    @rule(trip=consumes(trips))
    def a_call_leaves(self, trip):
        self.machine.leave(trip)
        self.inside = [other for other in self.inside if not other.back]

    @rule(trip=trips)
    def a_call_ends_and_its_end_comes_again(self, trip):
        self.machine.end(trip, self.now)
        self.inside = [other for other in self.inside if not other.back]

    @rule(trip=consumes(trips))
    def drop(self, trip):
        self.machine.end(trip, self.now, "drop")
        self.inside = [other for other in self.inside if not other.back]

    @rule()
    def it_is_restored(self):
        self.machine.restore(self.machine.snapshot())

    @invariant()
    def they_agree(self):
        assert self.machine.inside == pytest.approx(sum(trip.cost for trip in self.inside))
        assert 1 <= self.algorithm.limit <= 8
        assert self.machine.room == max(0, self.machine.limit - math.ceil(self.machine.inside))


TestLimiterAgainstModel = pytest.mark.once(LimiterAgainstModel.TestCase)
TestLimiterAgainstModel.settings = settings(
    derandomize=True, deadline=None, max_examples=100, stateful_step_count=50, database=None
)
