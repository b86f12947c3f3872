"""Workloads: the same seed gives the same traffic, at the rate that was asked for."""

import math

import pytest

from resilient_ml.evaluate import Workload

SAMPLES = ["a", "b", "c"]


def test_poisson_arrivals_have_the_rate_and_the_spread_of_a_poisson_process():
    traffic = Workload.poisson(SAMPLES, rate=50.0, seconds=200.0).draw(seed=1)
    assert abs(len(traffic.arrives) - 10_000) < 4 * math.sqrt(10_000)  # four standard deviations
    gaps = [later - earlier for earlier, later in zip(traffic.arrives, traffic.arrives[1:], strict=False)]
    mean = sum(gaps) / len(gaps)
    spread = math.sqrt(sum((gap - mean) ** 2 for gap in gaps) / len(gaps))
    assert spread == pytest.approx(mean, rel=0.05)  # exponential: as wide as its mean
    assert list(traffic.arrives) == sorted(traffic.arrives)
    assert traffic.arrives[-1] < 200.0 == traffic.seconds


def test_the_first_arrivals_of_a_seed_are_these_on_every_python():
    arrives = Workload.poisson(SAMPLES, rate=1.0, count=3).draw(seed=7).arrives
    assert [round(at, 9) for at in arrives] == [0.391314844, 0.554833301, 1.607328919]


def test_another_seed_is_other_traffic():
    workload = Workload.poisson(SAMPLES, rate=10.0, count=100)
    assert workload.draw(seed=1) == workload.draw(seed=1) != workload.draw(seed=2)


def test_a_count_ends_the_arrivals_and_the_last_one_the_time():
    traffic = Workload.poisson(SAMPLES, rate=10.0, count=100).draw(seed=1)
    assert len(traffic.requests) == len(traffic.arrives) == 100
    assert traffic.seconds == traffic.arrives[-1]


def test_constant_arrivals_come_in_even_steps():
    traffic = Workload.constant(SAMPLES, rate=4.0, seconds=1.0).draw(seed=1)
    assert traffic.arrives == (0.0, 0.25, 0.5, 0.75)
    assert [request.args[0] for request in traffic.requests] == ["a", "b", "c", "a"]


def test_recorded_arrivals_are_kept():
    traffic = Workload.at(SAMPLES, [0.0, 0.5, 0.5, 3.0], clients=2).draw(seed=1)
    assert (traffic.arrives, traffic.seconds, traffic.clients) == ((0.0, 0.5, 0.5, 3.0), 3.0, 2)


def test_a_closed_loop_has_no_arrivals_of_its_own():
    traffic = Workload.closed(SAMPLES, clients=2, count=5, think=0.5).draw(seed=1)
    assert (traffic.arrives, traffic.seconds, traffic.clients, traffic.think) == (None, None, 2, 0.5)
    assert len(traffic.requests) == 5


@pytest.mark.parametrize(
    ("workload", "text"),
    [
        (
            Workload.poisson(SAMPLES, rate=2.5, seconds=60),
            "Poisson arrivals, 2.5 a second for 60 s, at most 64 in flight",
        ),
        (
            Workload.constant(SAMPLES, rate=1, count=9, clients=3),
            "arrivals in even steps, 1 a second until 9 have come, at most 3 in flight",
        ),
        (Workload.at(SAMPLES, [1, 2.5]), "2 arrivals as given, over 2.5 s, at most 64 in flight"),
        (Workload.closed(SAMPLES, clients=2, count=5), "5 requests of 2 clients that wait for each answer"),
        (
            Workload.closed(SAMPLES, clients=2, count=5, think=1.5),
            "5 requests of 2 clients that wait for each answer, then 1.5 s",
        ),
    ],
    ids=str,
)
def test_a_workload_says_what_it_is(workload, text):
    assert str(workload) == text


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: Workload.poisson(SAMPLES, rate=1.0), "got neither; pass one of them"),
        (lambda: Workload.poisson(SAMPLES, rate=1.0, seconds=1.0, count=1), "got both; pass one of them"),
        (lambda: Workload.poisson(SAMPLES, rate=0, seconds=1.0), "rate must be above 0, got 0"),
        (lambda: Workload.constant(SAMPLES, rate=1.0, seconds=0), "seconds must be above 0, got 0"),
        (lambda: Workload.constant(SAMPLES, rate=1.0, count=0), "count must be at least 1, got 0"),
        (
            lambda: Workload.constant(SAMPLES, rate=1.0, count=1, clients=0),
            "clients must be at least 1, got 0",
        ),
        (lambda: Workload.at(SAMPLES, []), "times must hold at least one instant, got none"),
        (lambda: Workload.at(SAMPLES, [2.0, 1.0]), "times must ascend"),
        (lambda: Workload.at(SAMPLES, [-1.0]), "times must not be negative, got -1.0"),
        (lambda: Workload.closed(SAMPLES, clients=1, count=0), "count must be at least 1, got 0"),
        (
            lambda: Workload.closed(SAMPLES, clients=1, count=1, think=-1),
            "think must not be negative, got -1",
        ),
        (
            lambda: Workload.poisson(SAMPLES, rate=0.001, seconds=0.001).draw(seed=1),
            "no request arrives in 0.001 s; raise the rate or the seconds",
        ),
    ],
)
def test_a_workload_that_makes_no_sense_is_refused_with_the_remedy(make, message):
    with pytest.raises(ValueError, match=message):
        make()
