"""A result's figures are those that anybody would count by hand from its rows."""

import math

import numpy as np
import pytest

from resilient_ml import Fallback, Retry, Timeout
from resilient_ml.testing.simulate import Clients, Constant, ModelServer, Outage, Requests, Result, simulate
from resilient_ml.testing.simulate.requests import KINDS, STATUSES

ROWS = [
    # arrived, ended, status, kind, attempts, degraded, group
    (0.5, 1.0, "ok", "", 1, False, 0),
    (1.0, 2.0, "ok", "", 2, True, 0),
    (1.5, 1.5, "rejected", "overload", 0, False, 1),
    (2.0, 4.5, "failed", "timeout", 3, False, 0),
    (3.0, math.nan, "hung", "", 1, False, 1),
    (5.0, 7.0, "ok", "", 1, False, 1),
]


def requests_of(rows):
    arrived, ended, status, kind, attempts, degraded, group = zip(*rows, strict=True)
    return Requests(
        arrived=np.array(arrived, float),
        ended=np.array(ended, float),
        attempts=np.array(attempts),
        degraded=np.array(degraded, bool),
        group=np.array(group),
        groups=("web", "batch"),
        statuses=np.array([STATUSES.index(one) for one in status], np.int8),
        kinds=np.array([KINDS.index(one) for one in kind], np.int8),
    )


def result_of(rows, seconds=6.0):
    return Result(seconds=seconds, ended=9.0, seed=1, requests=requests_of(rows), servers={}, events=())


def test_each_request_tells_how_it_ended_and_of_what_kind():
    requests = requests_of(ROWS)
    assert len(requests) == 6
    assert requests.status.tolist() == [row[2] for row in ROWS]
    assert requests.kind.tolist() == [row[3] for row in ROWS]
    masks = {
        "ok": requests.ok,
        "failed": requests.failed,
        "rejected": requests.rejected,
        "hung": requests.hung,
    }
    for status, mask in masks.items():
        assert mask.tolist() == [row[2] == status for row in ROWS]
    assert requests.seconds[:4].tolist() == [0.5, 1.0, 0.0, 2.5]


def test_figures_of_all_of_them():
    requests = requests_of(ROWS)
    assert requests.availability == 3 / 6
    assert requests.amplification == 8 / 6
    assert requests.latency(0.5) == 1.0
    assert requests.latency([0.0, 1.0]).tolist() == [0.5, 2.0]


def test_figures_of_some_of_them():
    requests = requests_of(ROWS)
    assert requests.between(1.0, 2.0).arrived.tolist() == [1.0, 1.5]
    assert requests.of("batch").arrived.tolist() == [1.5, 3.0, 5.0]
    assert requests.where(requests.degraded).of("web").attempts.tolist() == [2]
    with pytest.raises(
        ValueError, match="group must be one of web, batch, got 'mobile'; name groups with name="
    ):
        requests.of("mobile")


def test_figures_of_none_are_not_numbers():
    none = requests_of(ROWS).between(100, 200)
    assert len(none) == 0
    assert np.isnan([none.availability, none.amplification, none.latency(0.5)]).all()
    assert np.isnan(none.latency([0.5, 0.9])).tolist() == [True, True]


def test_goodput_counts_full_answers_by_the_second_they_were_given_in():
    result = result_of(ROWS)
    assert result.goodput() == 1 / 6  # one of two came too late, after the six seconds
    assert result.goodput(1.0, 2.0) == 1.0
    assert result.goodput(6.5, 7.5) == 1.0
    with pytest.raises(ValueError, match="end must be after start, got 1 and 2; swap them, perhaps"):
        result.goodput(2.0, 1.0)


def test_a_result_has_the_figures_of_all_its_requests():
    result = result_of(ROWS)
    assert (result.availability, result.amplification, result.latency(1.0)) == (0.5, 8 / 6, 2.0)
    assert repr(result) == "Result(6 requests in 6 s, availability 0.500, amplification 1.33)"


def good(at):
    return (at, at, "ok", "", 1, False, 0)


def bad(at):
    return (at, at, "failed", "server", 1, False, 0)


def test_recovery_is_when_the_last_bad_second_is_over():
    rows = [good(0.5), bad(1.5), good(2.5), bad(3.5), good(3.6), good(4.5), good(5.5)]
    assert result_of(rows).recovered_after(1.0) == 3.0
    assert result_of(rows).recovered_after(1.0, share=0.5) == 1.0
    assert result_of(rows).recovered_after(4.0) == 0.0
    assert result_of(rows).recovered_after(1.0, bin=0.5) == 3.0
    assert result_of(rows).recovered_after(0.0, bin=3.0) == math.inf


def test_what_is_ill_at_the_end_has_not_recovered_and_a_fallback_is_no_recovery():
    assert result_of([good(0.5), bad(5.5)]).recovered_after(1.0) == math.inf
    degraded = (5.5, 5.5, "ok", "", 1, True, 0)
    assert result_of([good(0.5), degraded]).recovered_after(1.0) == math.inf


def test_seconds_in_which_nothing_came_are_well():
    assert result_of([good(0.5), bad(1.5)]).recovered_after(0.0) == 2.0


@pytest.mark.parametrize(
    ("arguments", "says"),
    [({"share": 0.0}, "share must be above 0 and at most 1, got 0.0"), ({"bin": 0.0}, "bin must be above 0")],
)
def test_impossible_bins_and_shares_are_refused(arguments, says):
    with pytest.raises(ValueError, match=says):
        result_of(ROWS).recovered_after(0.0, **arguments)


@pytest.mark.parametrize(
    ("since", "says"),
    [
        (6.0, "since must be before 6 s, when requests stopped, got 6; simulate more seconds"),
        (99, "since must be before 6 s, when requests stopped, got 99"),
        (-1, "since must not be negative, got -1"),
    ],
)
def test_a_recovery_outside_the_run_is_not_claimed(since, says):
    with pytest.raises(ValueError, match=says):
        result_of(ROWS).recovered_after(since)


@pytest.mark.parametrize("quantile", [99, -0.1, [0.5, 1.5]])
def test_a_quantile_that_is_none_is_refused(quantile):
    with pytest.raises(
        ValueError, match=r"quantile must be from 0 to 1, got .*; 0\.99 is the 99th percentile"
    ):
        result_of(ROWS).latency(quantile)


def test_a_timeline_has_rates_in_bins():
    timeline = result_of(ROWS).timeline(bin=2.0)
    assert timeline.at.tolist() == [0.0, 2.0, 4.0]
    assert timeline.bin == 2.0
    assert timeline.arrived.tolist() == [1.5, 1.0, 0.5]
    assert timeline.goodput.tolist() == [0.5, 0.0, 0.0]
    assert timeline.degraded.tolist() == [0.0, 0.5, 0.0]
    assert timeline.failed.tolist() == [0.0, 0.0, 0.5]
    assert timeline.rejected.tolist() == [0.5, 0.0, 0.0]


def test_bins_of_tenths_are_as_many_as_a_reader_counts():
    assert len(result_of(ROWS, seconds=0.3).timeline(bin=0.1).at) == 3
    assert len(result_of(ROWS, seconds=0.3).timeline(bin=1.0).at) == 1


def test_servers_are_looked_at_every_so_often_and_at_the_end():
    result = simulate(
        Clients(Constant(1), ModelServer(workers=1, service=0.75)), seconds=2.5, sample_seconds=0.5
    )
    log = result.servers["model"]
    assert log.at.tolist() == [0.0, 0.5, 1.0, 1.5, 2.0, 2.5, 2.75]
    assert log.busy.tolist() == [0, 0, 1, 1, 1, 1, 0]
    assert log.arrived.tolist() == [0, 0, 1, 1, 2, 2, 2]
    assert log.answered.tolist() == [0, 0, 0, 0, 1, 1, 2]
    assert result.ended == 2.75


def test_two_samples_of_one_instant_are_one():
    result = simulate(
        Clients(Constant(1), ModelServer(workers=1, service=0.5)), seconds=1.25, sample_seconds=0.25
    )
    log = result.servers["model"]
    assert log.at.tolist() == [0.0, 0.25, 0.5, 0.75, 1.0, 1.25, 1.5]
    assert (log.busy[-1], log.answered[-1]) == (0, 1)


def test_a_trace_tells_all_that_happened_in_one_form():
    server = ModelServer(workers=1, service=0.25, incidents=[Outage(at=1.5, lasting=1.0, how="errors")])
    guard = Fallback("neutral", name="last")
    clients = [
        Clients(Constant(1), server, guard, name="web"),
        Clients(Constant(1), server, Timeout(0.125, name="short"), name="app"),
    ]
    result = simulate(*clients, seconds=2.25, seed=3)
    assert result.trace().splitlines() == [
        "seed 3 seconds 2.25 ended 2.25",
        "request web 1.0 1.25 ok 1",
        "request app 1.0 1.125 failed timeout 1",
        "request web 2.0 2.0 ok degraded 1",
        "request app 2.0 2.0 failed server 1",
        "event 1.125 short TimedOut seconds=0.125 abandoned=0",
        "event 2.0 last FallbackServed target=a value of type str kind=server",
        (
            "server model at=2.25 waiting=0.0 working=0.0 busy=0.0 arrived=4.0 refused=0.0 "
            "answered=1.0 failed=2.0 wasted=1.0 busy_seconds=0.5 wasted_seconds=0.25"
        ),
    ]
    assert len(result.digest) == 64


def test_what_has_not_ended_shows_in_the_trace():
    hung = simulate(
        Clients(Constant(1), ModelServer(workers=1, service=1e9), Retry()), seconds=2, drain_seconds=0
    )
    assert "request clients 1.0 nan hung 1\n" in hung.trace()
