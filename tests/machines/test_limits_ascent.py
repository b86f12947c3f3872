"""A limit at rest tries a little more now and then: it goes up where that pays, and asks ever more rarely."""

import heapq

import pytest

from resilient_ml.machines.limiter import LimiterMachine
from resilient_ml.machines.limits.ascent import ENOUGH, MOST, Ascent
from resilient_ml.machines.limits.protocol import Trip
from resilient_ml.machines.limits.waiting import LONGEST, ROUND, WaitingLimit


def rest(ascent, limit, rounds, good=50, seconds=1.0):
    """The limits that rounds of rest lead to."""
    return [ascent.rest(limit, good, seconds) for _ in range(rounds)]


def test_it_rests_until_enough_has_been_counted():
    ascent = Ascent()
    assert rest(ascent, 20.0, 3) == [20.0] * 3
    assert not ascent.trying
    assert ascent.rest(20.0, 50, 1.0) == 25.0
    assert ascent.trying


def test_a_small_limit_goes_up_by_one():
    ascent = Ascent()
    assert rest(ascent, 2.0, 4)[-1] == 3.0


def test_few_answers_take_more_rounds():
    ascent = Ascent()
    limits = rest(ascent, 20.0, 16, good=10)
    assert limits == [20.0] * 15 + [25.0]  # the first round is not counted


def test_another_limit_or_unrest_begins_anew():
    ascent = Ascent()
    rest(ascent, 20.0, 3)
    assert rest(ascent, 19.0, 3) == [19.0] * 3
    ascent.forget()
    assert rest(ascent, 19.0, 4) == [19.0] * 3 + [23.75]


@pytest.mark.parametrize(
    ("good", "pays"),
    [(50, False), (54, False), (56, True), (62, True), (30, False)],  # of 50 a second, with a quarter more
)
def test_it_pays_where_answers_rise_by_two_fifths_of_the_step(good, pays):
    ascent = Ascent()
    rest(ascent, 20.0, 4)
    for _ in range(3):
        assert ascent.climb(25.0, good, 1.0) == 25.0
    if good * 3 < ENOUGH:
        assert ascent.climb(25.0, good, 1.0) == 25.0
        ascent.climb(25.0, good, 1.0)
        assert ascent.climb(25.0, good, 1.0) == 20.0
    else:
        assert ascent.climb(25.0, good, 1.0) == (None if pays else 20.0)
    assert not ascent.trying


def test_a_trial_lasts_four_rounds_at_least():
    ascent = Ascent()
    rest(ascent, 20.0, 4)
    assert [ascent.climb(25.0, 1000, 20.0) for _ in range(4)] == [25.0] * 3 + [20.0]


def test_answers_to_calls_from_before_the_trial_do_not_count():
    ascent = Ascent()
    rest(ascent, 20.0, 4)
    ascent.climb(25.0, 10_000, 1.0)
    for _ in range(2):
        ascent.climb(25.0, 50, 1.0)
    assert ascent.climb(25.0, 50, 1.0) == 20.0


def test_trials_in_vain_come_ever_more_rarely_and_success_forgets_them():
    ascent = Ascent()
    waits = []
    for _ in range(8):
        waits.append(0)
        while not ascent.trying:
            ascent.rest(20.0, 50, 1.0)
            waits[-1] += 1
        while ascent.trying:
            ascent.climb(25.0, 50, 1.0)
    assert waits[:5] == [4, 6, 12, 24, 48]
    assert waits[-1] == MOST * ENOUGH // 50
    while not ascent.trying:
        ascent.rest(20.0, 50, 1.0)
    while ascent.trying:
        ascent.climb(25.0, 60, 1.0)
    ascent.forget()
    assert rest(ascent, 20.0, 4)[-1] == 25.0


# -- in the limit ------------------------------------------------------------------------------------------


class Server:
    """A closed loop: whoever may enters at once, and takes *seconds(inside)*."""

    def __init__(self, limit, seconds):
        self.machine = LimiterMachine(limit)
        self.seconds = seconds
        self.now = 0.0
        self.ends = []
        self.most = 10**9

    def run(self, calls):
        good = 0
        began = self.now
        for _ in range(calls):
            while len(self.ends) < self.most and (trip := self.machine.admit(self.now)) is not None:
                self.sent = getattr(self, "sent", 0) + 1
                took = self.seconds(len(self.ends) + 1) * (1.0 + 0.02 * (self.sent % 5))
                heapq.heappush(self.ends, (self.now + took, self.sent, trip))
            self.now, _, trip = heapq.heappop(self.ends)
            self.machine.end(trip, self.now, "ok")
            good += 1
        return good / (self.now - began)


def test_a_floor_of_a_faster_time_is_found_out_by_trying_more():
    slow = 1.0

    def thrashing(inside):  # at its best with some forty inside
        return slow * 0.05 * (1 + 0.02 * (inside - 1) + inside * (inside - 1) / 1600)

    server = Server(WaitingLimit(initial=4, deadline=2.0), thrashing)
    server.most = 4
    server.run(400)  # with little traffic, at its floor
    slow = 2.2
    server.most = 10**9
    server.run(12_000)
    assert 25 <= server.machine.limit <= 60


def test_a_model_that_is_full_is_left_at_rest():
    def two_workers(inside):
        return 0.1 * max(1.0, inside / 2)

    server = Server(WaitingLimit(initial=2, deadline=5.0), two_workers)
    server.run(5000)
    limits = []
    for _ in range(100):
        server.run(50)
        limits.append(server.machine.limit)
    assert sum(limits) / len(limits) <= 6
    assert max(limits) <= 8


def test_at_its_largest_a_limit_tries_nothing():
    server = Server(WaitingLimit(initial=4, maximum=4), lambda inside: 0.1 * max(1.0, inside / 2))
    server.run(5000)
    assert server.machine.limit == 4


def ease(limit):
    """Take the first speed out of *limit*: something has waited."""
    limit.floor = 0.1
    limit._eager = False


def learn(limit, at, seconds, inside=20.0):
    for took in seconds:
        limit.learn(at, Trip(at=at, inside=inside, seconds=took, outcome="ok"))


def resting(limit, *, inside=20.0, seconds=0.2):
    """Whether rounds between ease and overload lead to a trial."""
    for at in range(1, 20):
        learn(limit, float(at), [seconds] * LONGEST, inside=inside)
        if limit._ascent.trying:
            return True
    return False


def at_rest(**options):
    limit = WaitingLimit(initial=20, deadline=100.0, **options)
    ease(limit)
    return limit


def test_only_what_is_all_in_use_waits_and_may_grow_tries_more():
    assert resting(at_rest())
    assert not resting(at_rest(), inside=19.0)
    assert not resting(at_rest(maximum=20))
    slack = at_rest()
    slack.deadline = 0.16  # far into its deadline, though nobody waits
    assert not resting(slack, seconds=0.1)


def test_ease_in_between_begins_the_count_anew():
    limit = at_rest()
    learn(limit, 1.0, [0.2] * LONGEST)
    learn(limit, 2.0, [0.2] * LONGEST)
    learn(limit, 3.0, [0.2] * LONGEST)
    learn(limit, 4.0, [0.19] * LONGEST, inside=19.0)
    learn(limit, 5.0, [0.2] * LONGEST)
    assert not limit._ascent.trying
    assert limit._ascent._rounds == 1


def test_a_trial_is_no_overload_that_must_pay():
    limit = at_rest()
    assert resting(limit)
    learn(limit, 30.0, [0.26] * LONGEST, inside=25.0)
    assert limit.limit == 25
    assert limit._descent is None


def test_while_it_knows_nothing_it_acts_on_short_rounds():
    limit = WaitingLimit(initial=20)
    wild = [0.05, 0.26, 0.9, 0.1, 0.3, 0.2]
    learn(limit, 1.0, wild)
    assert limit.floor == 0.26
    assert limit._look == ROUND
    learn(limit, 2.0, [1.0] * 5 + [9.0])  # it is eager: nothing has waited yet
    assert limit._look == ROUND
    blank = WaitingLimit(initial=20)
    blank._eager = False
    learn(blank, 1.0, wild)
    assert blank.floor == 0.26


def test_a_round_goes_on_while_chance_may_explain_it():
    limit = WaitingLimit(initial=20)
    ease(limit)
    wild = [0.05, 0.26, 0.9, 0.1, 0.3, 0.2]  # a median of 0.26: just above the threshold, and all over
    learn(limit, 1.0, wild)
    assert (limit.limit, limit._look) == (20, 2 * ROUND)
    learn(limit, 1.0, wild)
    learn(limit, 1.0, wild * 2)
    assert limit._look == 8 * ROUND == LONGEST
    learn(limit, 1.0, wild * 4)
    assert limit._look == ROUND
    assert limit.limit < 20


@pytest.mark.parametrize(("seconds", "after"), [([0.5] * 6, 19.0), ([0.1] * 6, 22.0)])
def test_a_round_that_is_clear_ends_at_once(seconds, after):
    limit = WaitingLimit(initial=20)
    ease(limit)
    learn(limit, 1.0, seconds)
    assert limit.limit == after


def test_the_first_calls_of_a_burst_do_not_raise_it():
    limit = WaitingLimit(initial=20)
    ease(limit)
    learn(limit, 1.0, [0.1] * 5, inside=3.0)  # these say how it was while few were inside
    learn(limit, 1.0, [0.1], inside=20.0)
    assert limit.limit == 20
    learn(limit, 2.0, [0.1] * 4, inside=3.0)
    learn(limit, 2.0, [0.1] * 2, inside=20.0)
    assert limit.limit == 30


def test_a_trial_that_goes_too_far_is_overload():
    limit = WaitingLimit(initial=20, deadline=100.0)
    ease(limit)
    at = 1.0
    while not limit._ascent.trying:
        learn(limit, at, [0.2] * LONGEST)
        at += 1.0
    assert limit.limit == 25
    learn(limit, at, [0.4] * LONGEST, inside=25.0)
    assert not limit._ascent.trying
    assert limit.limit < 25


def test_out_of_memory_ends_a_trial():
    limit = at_rest()
    assert resting(limit)
    assert limit.limit == 25
    limit.learn(30.0, Trip(at=30.0, inside=25.0, seconds=0.2, outcome="oom"))
    after = []
    for at in range(31, 36):
        learn(limit, float(at), [0.2] * LONGEST, inside=12.0)
        after.append(limit.limit)
    assert after == [12.5] * 4 + [15.625]  # and not back up to 20, from where the trial began
    assert limit.floor == pytest.approx(0.1)


def test_a_limit_restored_in_the_middle_of_a_trial_begins_with_none():
    limit = at_rest()
    saved = limit.snapshot()
    assert resting(limit)
    limit.restore(saved)
    for at in range(31, 34):
        learn(limit, float(at), [0.2] * LONGEST)
    assert limit.limit == 20
    assert limit.floor == pytest.approx(0.1)
    learn(limit, 34.0, [0.2] * LONGEST)
    assert limit.limit == 25  # counted anew


def test_a_limit_restored_in_the_middle_of_a_descent_begins_with_none():
    limit = at_rest()
    saved = limit.snapshot()
    learn(limit, 1.0, [0.4] * LONGEST)
    assert limit._descent is not None
    limit.restore(saved)
    assert limit._descent is None
