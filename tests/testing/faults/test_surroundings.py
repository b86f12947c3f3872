"""Signals in the middle of a call, and a collector that never rests: everything is put back afterwards."""

import gc
import signal
import threading

import pytest

from resilient_ml import CircuitBreaker
from resilient_ml.testing import faults
from resilient_ml.testing.faults import FaultPlan


@pytest.fixture(autouse=True)
def _as_it_was():
    """No test leaves a handler, a timer or a threshold behind."""
    before = signal.getsignal(signal.SIGALRM), gc.get_threshold()
    yield
    assert (signal.getsignal(signal.SIGALRM), gc.get_threshold()) == before
    assert signal.getitimer(signal.ITIMER_REAL) == (0.0, 0.0)


def test_ctrl_c_in_the_middle_of_a_call_passes_through():
    breaker = CircuitBreaker()
    safe = breaker(faults.inject(len, faults.interrupt().first(1)))
    with pytest.raises(KeyboardInterrupt):
        safe("rows")
    assert safe("rows") == 4


def test_another_signal_meets_its_handler():
    seen = []
    before = signal.signal(signal.SIGTERM, lambda signum, frame: seen.append(signum))
    try:
        assert faults.inject(len, faults.interrupt(signal.SIGTERM))("rows") == 4
    finally:
        signal.signal(signal.SIGTERM, before)
    assert seen == [signal.SIGTERM]


def test_signals_arrive_all_the_time_and_may_use_the_policy_that_guards_the_call():
    breaker = CircuitBreaker()
    used, enough = [], threading.Event()

    def use():
        if enough.is_set():  # where a use takes longer than the period, signals alone would be left
            return
        used.append(breaker(len)("rows"))
        if len(used) >= 20:
            enough.set()

    def model(rows):
        return enough.wait(30)

    safe = breaker(faults.inject(model, faults.signal_storm(handler=use)))
    assert safe("rows") is True
    assert set(used) == {4}


def test_a_slow_handler_is_left_alone_until_it_has_ended():
    depth, deepest, enough = [], [], threading.Event()

    def slow():
        depth.append(None)
        for _ in range(50_000):  # longer than the period
            pass
        deepest.append(len(depth))
        depth.pop()
        if len(deepest) >= 5:
            enough.set()

    assert faults.inject(lambda: enough.wait(30), faults.signal_storm(handler=slow))()
    assert set(deepest) == {1}


def test_a_signal_that_is_not_dealt_with_is_followed_by_another():
    """One that comes just before a thread begins to wait would be the last otherwise."""
    timers = faults.inject(lambda: signal.getitimer(signal.ITIMER_REAL), faults.signal_storm(10))()
    assert 9 < timers[0] <= 10
    assert timers[1] == pytest.approx(0.02)
    assert signal.getitimer(signal.ITIMER_REAL) == (0.0, 0.0)


def test_signals_that_come_while_one_is_dealt_with_are_left_out():
    calls = []

    def handler():
        assert signal.getitimer(signal.ITIMER_REAL) == (0.0, 0.0)
        calls.append(None)
        signal.raise_signal(signal.SIGALRM)

    def model():
        signal.raise_signal(signal.SIGALRM)
        return len(calls), signal.getitimer(signal.ITIMER_REAL)[0] > 9

    assert faults.inject(model, faults.signal_storm(10, handler=handler))() == (1, True)


def test_signals_that_do_nothing_disturb_nothing():
    assert faults.inject(len, faults.signal_storm())("rows") == 4


def test_signals_stop_when_the_call_fails():
    model = faults.inject(len, faults.signal_storm(), faults.error(KeyError))
    with pytest.raises(KeyError):
        model("rows")


def test_away_from_the_main_thread_a_storm_is_refused_with_the_remedy():
    plan = FaultPlan(faults.signal_storm())
    ends = []

    def call():
        try:
            plan.inject(len)("rows")
        except RuntimeError as error:
            ends.append(str(error))

    thread = threading.Thread(target=call)
    thread.start()
    thread.join()
    assert ends == [
        "signal_storm() sets a handler for SIGALRM, as only the main thread can; make the call there"
    ]


def test_the_collector_runs_everywhere_and_finalizers_may_use_the_policy():
    breaker = CircuitBreaker()
    used, thresholds = [], []

    def model(rows):
        thresholds.append(gc.get_threshold()[0])
        return [[row] for row in rows]

    safe = breaker(faults.inject(model, faults.gc_storm(lambda: used.append(breaker(len)("rows")))))
    assert safe("ab") == [["a"], ["b"]]
    assert thresholds == [1]
    assert used == [4] * 100


def test_a_collector_alone_disturbs_nothing():
    assert faults.inject(len, faults.gc_storm())("rows") == 4


def test_a_call_that_fails_before_the_collector_begins_leaves_it_alone():
    model = faults.inject(len, faults.error(KeyError), faults.gc_storm(), faults.signal_storm())
    with pytest.raises(KeyError):
        model("rows")


def test_what_they_say_of_themselves():
    plan = FaultPlan(
        faults.interrupt(), faults.signal_storm(0.01), faults.signal_storm(handler=len), faults.gc_storm()
    )
    assert plan.describe().splitlines() == [
        "interrupt(SIGINT)",
        "signal_storm(period=0.01)",
        "signal_storm(handler=len)",
        "gc_storm()",
    ]


@pytest.mark.parametrize(
    ("make", "error", "text"),
    [
        (lambda: faults.interrupt(0), ValueError, "signum must be a signal's number, got 0"),
        (lambda: faults.interrupt("INT"), ValueError, "signum must be a signal's number, got 'INT'"),
        (lambda: faults.signal_storm(0), ValueError, "period must be above 0"),
        (lambda: faults.signal_storm(handler=5), TypeError, "handler must be callable"),
        (lambda: faults.gc_storm(5), TypeError, "finalizer must be callable"),
    ],
)
def test_nonsense_is_refused(make, error, text):
    with pytest.raises(error, match=text):
        make()
