"""The quickstart is honest: one seed is one run of luck, every fault is a real one, and the counts are right.

The parts that need scikit-learn, rich or matplotlib are run by ``.ci/run``; here a stub stands in for the
models, and time is virtual.
"""

import importlib
import sys
from collections import Counter
from pathlib import Path

import numpy as np
import pytest

from resilient_ml import InvalidOutput, Kind, Pipeline, events, kind_of
from resilient_ml.retry_after import retry_after_of
from resilient_ml.testing import virtual_time

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "examples"))
backend_of = importlib.import_module("faulty_backend")
quickstart = importlib.import_module("quickstart")
report = importlib.import_module("quickstart_report")
sys.path.pop(0)

Fate = backend_of.Fate
FAILURES = {
    Fate.RESET: Kind.CONNECTION,
    Fate.BUSY: Kind.OVERLOAD,
    Fate.HANG: Kind.CONNECTION,
}


def scores_for(request):
    """A model that is always right."""
    return np.eye(10)[request.digit]


def request(number=0, *, arrives=0.0, digit=3):
    return backend_of.Request(number, arrives, np.zeros(64), digit)


def trace_of(*rows, takes=0.01, outage=(50.0, 60.0)):
    """A trace with a row of fates for each request."""
    return backend_of.Trace(
        arrives=[0.0] * len(rows),
        fates=[list(row) for row in rows],
        takes=[[takes] * len(row) for row in rows],
        outage=outage,
    )


def served(trace):
    return backend_of.FaultyBackend(scores_for, trace, began=100.0)


def reply(*, digit=3, waited=0.01, degraded=False, garbage=False, timeouts=0):
    return quickstart.Reply(request(), waited, digit, garbage, degraded, timeouts)


def join(traffic):
    for client in traffic.clients:
        client.join()


@pytest.fixture(autouse=True)
def at():
    """Virtual time, which begins when the traces do."""
    with virtual_time(start=100.0) as clock:
        yield clock


def protect():
    """The quickstart's policies; the fallback says 9."""
    return quickstart.protect(lambda asked: np.eye(10)[9])


# -- the trace -----------------------------------------------------------------------------------------


def test_one_seed_is_one_trace_and_another_seed_is_another():
    first, again, other = (backend_of.Trace.draw(seed, 20.0, 60.0) for seed in (7, 7, 8))
    assert first == again
    assert first.fates != other.fates and first.arrives != other.arrives and first.outage != other.outage


def test_a_trace_has_each_fate_as_often_as_its_share_says():
    fates = Counter(fate for row in backend_of.Trace.draw(1, 1_000.0, 60.0).fates for fate in row)
    assert sum(backend_of.SHARES.values()) == pytest.approx(1.0)
    for fate, share in backend_of.SHARES.items():
        assert fates[fate] / fates.total() == pytest.approx(share, rel=0.1)


def test_requests_arrive_in_order_and_the_outage_lasts_a_fifth_of_the_time():
    trace = backend_of.Trace.draw(3, 20.0, 60.0)
    assert len(trace.arrives) == len(trace.fates) == len(trace.takes) == 1200
    assert trace.arrives == sorted(trace.arrives) and trace.arrives[0] >= 0 and trace.arrives[-1] < 20
    assert trace.outage[1] - trace.outage[0] == pytest.approx(4.0)
    assert 7 <= trace.outage[0] <= 9
    assert [trace.down(s) for s in (trace.outage[0] - 0.01, *trace.outage)] == [False, True, False]


def test_only_slow_and_hung_calls_outlast_the_timeout():
    trace = backend_of.Trace.draw(5, 100.0, 60.0)
    for fates, takes in zip(trace.fates, trace.takes, strict=True):
        for fate, seconds in zip(fates, takes, strict=True):
            assert (seconds > 0.25) == (fate in {Fate.SLOW, Fate.HANG})
            assert (seconds == backend_of.HANG_SECONDS) == (fate is Fate.HANG)


# -- the backend ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("fate", list(Fate))
def test_each_fate_takes_its_time_and_ends_as_it_is_named(fate, at):
    backend = served(trace_of([fate], takes=0.7))
    if fate in FAILURES:
        with pytest.raises(Exception) as caught:
            backend(request())
        assert kind_of(caught.value) is FAILURES[fate]
    else:
        scores = backend(request())
        assert np.isnan(scores).all() if fate is Fate.NAN else scores.argmax() == 3
    assert at.now() == pytest.approx(100.7)
    assert (backend.calls, backend.hangs) == (1, int(fate is Fate.HANG))


def test_a_503_carries_the_wait_that_a_retry_obeys():
    assert retry_after_of(backend_of.ServiceUnavailable(), wall=0.0) == 0.05


def test_a_request_sent_again_meets_its_own_next_fate():
    backend = served(trace_of([Fate.RESET, Fate.ANSWERED], [Fate.ANSWERED, Fate.RESET]))
    with pytest.raises(ConnectionResetError):
        backend(request(0))
    assert backend(request(1)).argmax() == 3  # whatever is sent in between
    assert backend(request(0)).argmax() == 3
    with pytest.raises(ConnectionResetError):
        backend(request(0))  # and the row begins again


def test_two_backends_replay_the_same_trace_alike(at):
    trace = backend_of.Trace.draw(11, 5.0, 60.0)

    def story():
        at.step(100.0 - at.now())
        backend = served(trace)
        told = []
        for number, arrives in enumerate(trace.arrives):
            at.step(100.0 + arrives - at.now())
            try:
                told.append(int(np.argmax(backend(request(number)))))
            except (ConnectionError, backend_of.ServiceUnavailable) as error:
                told.append(type(error).__name__)
        return told, backend.calls, backend.calls_while_down, backend.hangs

    assert story() == story()


def test_a_server_that_is_down_refuses_every_call_and_uses_up_no_fate(at):
    backend = served(trace_of([Fate.ANSWERED, Fate.RESET], outage=(1.0, 2.0)))
    at.advance(1.5)
    with pytest.raises(ConnectionRefusedError):
        backend(request())
    at.advance(0.5)
    assert backend(request()).argmax() == 3
    assert (backend.calls, backend.calls_while_down) == (2, 1)


# -- the callers ---------------------------------------------------------------------------------------


def test_a_naked_caller_reads_nan_as_a_zero():
    outcome = Pipeline().outcome(served(trace_of([Fate.NAN])), request())
    got = quickstart.Reply.of(request(), outcome, 0.01)
    assert (got.digit, got.garbage, got.degraded) == (0, True, False)


def test_checked_scores_are_never_nan():
    predict = quickstart.checked(served(trace_of([Fate.NAN, Fate.ANSWERED])))
    with pytest.raises(InvalidOutput):
        predict(request())
    assert predict(request()).argmax() == 3


@pytest.mark.parametrize("fate", [Fate.RESET, Fate.BUSY, Fate.NAN])
def test_a_guarded_caller_never_sees_a_blip(fate, at):
    backend = served(trace_of([fate, fate, Fate.ANSWERED]))
    outcome = protect().outcome(quickstart.checked(backend), request())
    got = quickstart.Reply.of(request(), outcome, outcome.seconds)
    assert (got.digit, got.degraded, backend.calls) == (3, False, 3)


def test_in_an_outage_the_small_model_answers_and_the_backend_is_left_alone(at):
    backend = served(trace_of(*[[Fate.ANSWERED]] * 100, outage=(0.0, 1e9)))
    guard, predict = protect(), quickstart.checked(backend)
    for number in range(100):
        outcome = guard.outcome(predict, request(number))
        got = quickstart.Reply.of(request(number), outcome, outcome.seconds)
        assert (got.digit, got.degraded, got.garbage) == (9, True, False)
    assert backend.calls_while_down == 10  # as many in a row open the breaker, and then time stands still


def test_after_an_outage_a_probe_brings_the_model_back(at):
    backend = served(trace_of(*[[Fate.ANSWERED]] * 20, outage=(0.0, 5.0)))
    guard, predict = protect(), quickstart.checked(backend)
    for number in range(10):
        guard.call(predict, request(number))
    at.advance(106.0 - at.now())
    assert [int(guard.call(predict, request(number)).argmax()) for number in range(10, 20)] == [3] * 10


def test_traffic_serves_every_request_once_and_counts_waiting_from_arrival():
    trace = trace_of([Fate.HANG], [Fate.ANSWERED], takes=2.0)
    traffic = quickstart.Traffic(Pipeline(), served(trace), began=100.0)
    traffic.start([request(0, arrives=0.5), request(1, arrives=1.0)], clients=1)
    join(traffic)
    assert [(got.request.number, got.digit) for got in traffic.replies] == [(0, None), (1, 3)]
    # The second arrives at 1.0, stands behind the hung one until 2.5, and is answered at 4.5.
    assert [got.waited for got in traffic.replies] == pytest.approx([2.0, 3.5])


def test_several_clients_leave_no_request_out():
    trace = trace_of(*[[Fate.ANSWERED]] * 200)
    traffic = quickstart.Traffic(Pipeline(), served(trace), began=0.0)
    traffic.start([request(number) for number in range(200)], clients=8)
    join(traffic)
    assert sorted(got.request.number for got in traffic.replies) == list(range(200))


# -- what is reported ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("got", "verdict"),
    [
        (reply(), "right"),
        (reply(degraded=True), "right, from the small model"),
        (reply(waited=1.0), "right, but after 1 s or more"),
        (reply(digit=4), "wrong digit"),
        (reply(digit=4, degraded=True), "wrong digit"),
        (reply(digit=None, waited=3.5), "no answer"),
    ],
)
def test_every_reply_has_one_verdict_and_a_look(got, verdict):
    assert report.verdict(got) == verdict
    assert verdict in report.LOOKS


def test_a_score_counts_what_happened():
    backend = served(trace_of([Fate.ANSWERED]))
    backend.calls, backend.calls_while_down, backend.hangs = 5, 2, 1
    replies = [
        reply(waited=0.1),
        reply(waited=0.2, digit=4, degraded=True),
        reply(waited=0.3, digit=0, garbage=True),
        reply(waited=2.0, digit=None, timeouts=3),
    ]
    score = report.Score.of(replies, backend)
    assert (score.requests, score.answered, score.right, score.degraded) == (4, 0.75, 0.25, 0.25)
    assert (score.wrong, score.wrong_unmarked, score.garbage) == (2, 1, 1)
    assert score.p50 == pytest.approx(0.25) and score.p99 == pytest.approx(1.949)
    assert (score.late, score.timeouts, score.hangs) == (0.25, 3, 1)
    assert (score.calls_a_request, score.calls_while_down) == (1.25, 2)


def test_the_live_line_counts_right_wrong_and_failed():
    assert report.so_far([reply(), reply(degraded=True), reply(digit=4), reply(digit=None)]).split() == [
        *("2", "right"),
        *("1", "wrong"),
        *("1", "failed"),
    ]


def changed(before, after, at):
    return events.BreakerChanged(policy="breaker", at=at, before=before, after=after, reason="")


def test_the_breakers_spans_cover_the_run_without_a_gap():
    happened = [
        changed("closed", "open", 103.0),
        events.TimedOut(policy="timeout", at=103.5, seconds=0.25, abandoned=1),
        changed("open", "half_open", 104.0),
        changed("half_open", "closed", 104.5),
    ]
    assert report.breaker_spans(happened, began=100.0, ended=10.0) == [
        ("closed", 0.0, 3.0),
        ("open", 3.0, 1.0),
        ("half_open", 4.0, 0.5),
        ("closed", 4.5, 5.5),
    ]
    assert report.breaker_spans([], began=100.0, ended=10.0) == [("closed", 0.0, 10.0)]
    assert [report.breaker_state(happened[:n]) for n in range(5)] == [
        "closed",
        "open",
        "open",
        "half-open",
        "closed",
    ]
