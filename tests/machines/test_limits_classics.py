"""The classics, against the vectors of their originals' own tests."""

import math
import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from resilient_ml import AdaptiveLimiter
from resilient_ml.machines import limits
from resilient_ml.machines.limits.aimd import AIMDLimit
from resilient_ml.machines.limits.envoy import EnvoyLimit, median
from resilient_ml.machines.limits.failsafe import Correlation, FailsafeLimit, percentile
from resilient_ml.machines.limits.gradient import Average, Gradient2Limit, GradientLimit
from resilient_ml.machines.limits.protocol import Trip
from resilient_ml.machines.limits.vegas import VegasLimit, step
from resilient_ml.machines.limits.windowed import WindowedLimit


def told(limit, *samples, now=0.0):
    """The limit after samples of (seconds, inside before[, outcome])."""
    for seconds, before, *outcome in samples:
        limit.learn(
            now, Trip(now - seconds, before, seconds=seconds, inside=before, outcome=(outcome or ["ok"])[0])
        )
    return limit.limit


def half():
    return 0.5


@pytest.mark.parametrize(
    ("initial", "sample", "expected"),
    [
        (20, (0.01, 20), 21),
        (20, (0.01, 5), 20),
        (30, (0.01, 5, "drop"), 27),
        (30, (5.1, 30), 27),
        (1, (0.01, 1, "drop"), 1),
        (200, (0.01, 200), 200),
        (21, (0.01, 21, "oom"), 10),
    ],
)
def test_aimd(initial, sample, expected):
    assert told(AIMDLimit(initial=initial, maximum=200), sample) == expected


@pytest.mark.parametrize(
    ("samples", "expected"),
    [
        ([(0.010, 10)], 10),
        ([(0.010, 10), (0.010, 11)], 16),
        ([(0.010, 10), (0.050, 11)], 9),
        ([(0.010, 10), (0.014, 14)], 10),
        ([(0.010, 10), (0.012, 14)], 11),
        ([(0.010, 10), (0.010, 4)], 10),
        ([(0.010, 10), (0.050, 4)], 10),
        ([(0.010, 10), (0.014, 4, "drop")], 9),
        ([(0.010, 10), (0.016, 14)], 10),
    ],
)
def test_vegas(samples, expected):
    assert told(VegasLimit(half, initial=10, maximum=20), *samples) == expected


def test_vegas_takes_larger_steps_with_larger_limits():
    assert told(VegasLimit(half, initial=10000, maximum=20000), (10, 5000), (10, 6000)) == 10024
    assert [step(x) for x in (0.5, 1, 99, 100, 1000)] == [1, 1, 1, 2, 3]


def test_vegas_forgets_its_baseline_after_a_while():
    limit = VegasLimit(half, probe=2, initial=10)
    told(limit, *[(0.01, 1)] * 14)
    assert limit.shortest == 0.01
    told(limit, (0.5, 1))
    assert limit.shortest == 0.5


def test_gradient_shrinks_with_latency_and_grows_by_a_queue():
    limit = GradientLimit(half, initial=100)
    assert told(limit, (0.1, 100)) == 110
    assert told(limit, (0.1, 10)) == 110
    root = math.sqrt(110)
    assert told(limit, (1.0, 110)) == pytest.approx(0.8 * 110 + 0.2 * (55 + root))
    before = limit.limit
    assert told(limit, (0.1, 110, "drop")) == pytest.approx(0.8 * before + 0.2 * 0.9 * before)


def test_gradient_measures_its_baseline_anew():
    limit = GradientLimit(half, initial=100)
    told(limit, *[(0.1, 1)] * 1499)
    assert (limit.limit, limit.shortest) == (100, 0.1)
    assert told(limit, (0.1, 1)) == 10
    assert limit.shortest == 0


def test_gradient2_follows_a_long_mean():
    limit = Gradient2Limit()
    assert told(limit, (0.1, 20)) == pytest.approx(20.8)
    assert told(limit, (0.1, 5)) == pytest.approx(20.8)
    told(limit, *[(0.1, 20)] * 20)
    before = limit.limit
    assert told(limit, (10.0, 30)) < before
    long = limit._long.value
    told(limit, (0.001, 1))
    assert limit._long.value < 0.96 * long


def test_an_average_is_plain_before_it_is_exponential():
    average = Average(age=3, warm=2)
    assert [average.add(x) for x in (1.0, 3.0, 4.0)] == [1.0, 2.0, 3.0]


def test_a_window_hands_on_its_mean_its_most_and_its_drops():
    limit = WindowedLimit(AIMDLimit(), fewest=3)
    told(limit, (0.1, 1), now=0.5)  # closes a window of one call, which tells nothing
    assert told(limit, (0.1, 30), (0.1, 5), now=1.0) == 20
    assert told(limit, (0.1, 1), now=2.0) == 21
    told(limit, (0.1, 30), (0.1, 5, "drop"), now=2.5)
    assert told(limit, (0.1, 1), now=3.05) == 18
    assert told(limit, (0.00001, 30), now=3.1) == 18
    assert told(limit, (0.1, 1, "oom"), now=3.2) == 9
    assert told(limit, (0.1, 1), now=-50.0) == 9  # the clock stepped back: the window is closed
    saved = limit.snapshot()
    other = WindowedLimit(AIMDLimit())
    other.restore(saved)
    assert other.limit == 9


def failsafe(*latencies, inside):
    limit = FailsafeLimit(fewest=1)
    for _ in range(10):
        limit._baseline.add(1.0)
    seen = []
    for number, seconds in enumerate(latencies):
        limit.learn(5.0 * (number + 1), Trip(0.0, inside, seconds=seconds, inside=1.0, outcome="ok"))
        seen.append(limit.limit)
    return seen


def test_failsafe():
    assert failsafe(1.0, 0.5, inside=5) == [21, 22]
    assert failsafe(2.0, 2.0, inside=10) == [19, 18]
    assert failsafe(1.3, 1.3, inside=10) == [20, 20]
    assert failsafe(*[1.0] * 6, inside=4) == [20] * 6


def test_failsafe_sees_that_more_inside_gains_nothing():
    """Latency grows as what is inside does, throughput stays: the growing stops although no queue is seen."""
    limit = FailsafeLimit(fewest=1, initial=20)
    for turn in range(60):
        inside = limit.limit
        limit.learn(3.0 * turn + 1, Trip(0.0, inside, seconds=inside / 100, inside=inside, outcome="ok"))
    assert limit.limit < 50


def test_a_correlation_needs_ten_pairs_that_vary():
    straight = Correlation()
    assert [straight.add(x, 2.0 * x)[0] for x in range(1, 11)][-2:] == [0.0, pytest.approx(1.0)]
    flat = Correlation()
    assert [flat.add(x, 5.0) for x in range(1, 12)][-1] == (0.0, 0.0)
    nothing = Correlation()
    assert [nothing.add(0.0, 0.0) for _ in range(11)][-1] == (0.0, 0.0)


def test_percentiles_and_medians():
    assert percentile([1.0, 2.0, 3.0], 0.75) == 2.5
    assert percentile([7.0], 0.9) == 7.0
    assert median([3.0, 1.0]) == 2.0 and median([3.0, 1.0, 9.0]) == 3.0


def test_envoy_measures_at_three_then_follows_the_gradient():
    limit = EnvoyLimit(half)
    assert limit.limit == 3
    for turn in range(50):
        limit.learn(turn * 0.1 + 0.1, Trip(turn * 0.1, seconds=0.1, outcome="ok"))
    assert limit.due == pytest.approx(5.1)
    limit.learn(5.05, Trip(5.0, seconds=0.1, outcome="ok"))
    assert limit.limit == 3
    limit.learn(5.15, Trip(5.0, seconds=0.1, outcome="ok"))
    assert limit.limit == int(3.75 + math.sqrt(3.75))
    limit.tick(5.3)  # nothing seen: nothing moves
    assert limit.limit == 5
    for turn in range(5, 40):
        limit.learn(turn + 1.0, Trip(turn + 0.5, seconds=1.0, outcome="ok"))
    assert limit.limit == 3 and limit.due == math.inf  # at the minimum five times: measures anew
    limit.learn(41.0, Trip(0.0, seconds=9.0, outcome="ok"))  # let in before that
    limit.forget_window()
    for _ in range(50):
        limit.learn(50.0, Trip(49.0, seconds=1.0, outcome="ok"))
    assert limit.due < math.inf
    limit.tick(50.0 + 60 * 1.075)
    assert limit.due == math.inf  # after the interval, too


MAKERS = [
    lambda: AIMDLimit(maximum=50),
    lambda: VegasLimit(half, maximum=50),
    lambda: GradientLimit(half, maximum=50),
    lambda: Gradient2Limit(maximum=50),
    lambda: WindowedLimit(Gradient2Limit(maximum=50), fewest=2),
    lambda: EnvoyLimit(random.Random(1).random, minimum=1, maximum=50),
    lambda: FailsafeLimit(maximum=50, fewest=2),
]


@pytest.mark.parametrize("make", MAKERS)
def test_whatever_a_classic_is_told_it_stays_within_its_bounds(make):
    @settings(derandomize=True, deadline=None, max_examples=50, database=None)
    @given(
        st.lists(
            st.tuples(
                st.floats(-1e6, 1e6),
                st.floats(0, 1e9, exclude_max=True),
                st.sampled_from(["ok", "drop", "oom"]),
                st.integers(1, 100),
            ),
            max_size=60,
        )
    )
    def holds(samples):
        limit = make()
        for now, seconds, outcome, inside in samples:
            limit.learn(now, Trip(now - seconds, inside, seconds=seconds, inside=inside, outcome=outcome))
            limit.tick(now)
            assert 1 <= limit.limit <= 50
        again = make()
        again.restore(limit.snapshot())
        assert again.limit == limit.limit

    holds()


@pytest.mark.parametrize("name", [name for name in limits.__all__ if name != "LimitAlgorithm"])
def test_each_is_made_by_its_class_alone(name):
    algorithm = getattr(limits, name)
    assert repr(AdaptiveLimiter(algorithm=algorithm)).startswith("AdaptiveLimiter(")
    assert algorithm().limit >= 1
