"""The suite itself: what it checks, what it says, and how it is asked."""

import asyncio
import gc
import importlib.util
import os
import pickle
import signal
import sys
import threading
import tracemalloc
import weakref
from collections import deque

import pytest

from resilient_ml import (
    Bulkhead,
    CircuitBreaker,
    Colour,
    ConstantBackoff,
    Fallback,
    Keyed,
    Pipeline,
    Policy,
    Retry,
    Timeout,
    events,
)
from resilient_ml.testing import conformance, virtual_time
from resilient_ml.testing.conformance import forks, strange, subject, transparency
from resilient_ml.testing.conformance.reentrancy import each_line, of_policy
from resilient_ml.testing.conformance.subject import Subject
from resilient_ml.testing.conformance.worlds import World

from . import broken_policies as broken

THE_SAME = Policy()

# ---- the checks


@pytest.mark.parametrize("check", conformance.checks(), ids=str)
def test_each_check_is_a_test_of_its_own(check):
    verdict = check(lambda: Bulkhead(2, queue=2))
    assert (verdict.check, verdict.where, verdict.status) == (check.name, check.where, "kept")


def test_what_answers_for_the_model_and_learns_from_failures_is_judged_as_such():
    report = conformance.check(
        lambda: Pipeline(Fallback("popular"), Retry(2, backoff=ConstantBackoff(0)), CircuitBreaker()),
        only={"errors", "cancellation", "interrupts", "permits", "reentrancy"},
    )
    assert {verdict.status for verdict in report.verdicts} == {"kept"}


def test_every_promise_is_checked_in_every_colour_that_it_is_about():
    places = {}
    for check in conformance.checks():
        places.setdefault(check.name, []).append(check.where)
    assert tuple(places) == conformance.PROMISES
    assert places["answers"] == [
        "call",
        "async call on asyncio",
        "async call on trio",
        "stream",
        "async stream on asyncio",
        "async stream on trio",
    ]
    assert places["cancellation"] == [where for where in places["answers"] if where.startswith("async")]
    assert places["pickling"] == [""]


def test_trio_is_left_out_where_it_is_not_installed(monkeypatch):
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    assert not [check for check in conformance.checks() if "trio" in check.where]


def test_forks_are_left_out_where_there_are_none(monkeypatch):
    monkeypatch.delattr(os, "fork")
    assert "forks" not in {check.name for check in conformance.checks()}


def test_a_promise_is_chosen_by_its_name():
    assert [str(check) for check in conformance.checks(only="pickling")] == ["pickling"]
    assert {check.name for check in conformance.checks(only={"looks", "streams"})} == {"looks", "streams"}


@pytest.mark.parametrize(
    "ask",
    [
        lambda: conformance.checks(only="colour"),
        lambda: conformance.run(Policy, only={"answers", "colour"}),
        lambda: conformance.run(Policy, skip={"colour": "no reason"}),
    ],
)
def test_what_is_no_promise_is_refused_with_those_that_there_are(ask):
    with pytest.raises(ValueError, match="must name promises, got 'colour'; they are answers, streams"):
        ask()


# ---- what is checked


@pytest.mark.parametrize(
    ("make", "error", "text"),
    [
        (Policy(), TypeError, None),
        (None, TypeError, "make must be callable, got None; pass a function that makes a fresh policy"),
        (lambda: 7, TypeError, "make must return a policy or a pipeline, got 7"),
        (lambda: THE_SAME, ValueError, "make must return a fresh policy each time"),
    ],
)
def test_what_makes_no_fresh_policies_is_refused(make, error, text):
    with pytest.raises(error, match=text):
        conformance.run(make, only="looks")


def test_how_calls_are_made_and_what_is_answered_must_be_functions():
    with pytest.raises(TypeError, match="call must be callable, got 7"):
        conformance.run(Policy, call=7)
    with pytest.raises(TypeError, match="answer must be callable, got 7"):
        conformance.run(Policy, answer=7)


def test_a_pipeline_is_checked_as_a_policy_is():
    make = lambda: Pipeline(Retry(2, backoff=ConstantBackoff(0)), Bulkhead(2))  # noqa: E731
    assert conformance.check(make, only={"answers", "permits", "side by side"}).ok


def test_a_policy_that_needs_certain_arguments_is_called_with_them():
    def make():
        return Keyed(Policy, key=lambda thing, tenant: tenant)

    report = conformance.run(make, only={"answers", "references", "growth", "strange objects"})
    assert {verdict.status for verdict in report.broken} == {"broken"}
    assert conformance.check(
        make,
        only={"answers", "references", "growth", "strange objects", "reentrancy"},
        call=lambda guarded, thing: guarded(thing, tenant="acme"),
    ).ok


class Notes(Policy):
    """Notes each call somewhere."""

    def __init__(self, note):
        super().__init__()
        self.note = note

    async def around(self, proceed, call):
        self.note()
        return await proceed(call)


def notes_in_a_list():
    kept = []
    return Notes(lambda: kept.append(None))


def notes_in_a_deque():
    kept = deque()
    return Notes(lambda: kept.append(None))


def notes_in_bits():
    kept = bytearray()
    return Notes(lambda: kept.extend(b"12345678"))


def notes_in_a_table():
    kept = {}
    return Notes(lambda: kept.setdefault(len(kept)))


def growth_of_calls():
    (check,) = [one for one in conformance.checks(only="growth") if one.where == "call"]
    return check


@pytest.mark.parametrize("make", [notes_in_a_list, notes_in_a_deque, notes_in_bits, notes_in_a_table])
def test_eight_bytes_a_call_are_seen_to_grow(make):
    with pytest.raises(conformance.ConformanceError, match="calls left"):
        growth_of_calls()(make)


@pytest.mark.parametrize("most", [1, 50, 500, 850])
def test_what_is_bounded_may_fill_up(most):
    def make():
        kept = deque(maxlen=most)
        return Notes(lambda: kept.append(object()))

    assert growth_of_calls()(make).ok


class OnlyNumbers(Policy):
    def check(self, target):
        if target.colour.streams:
            raise TypeError(f"OnlyNumbers cannot guard {target.name!r}; guard what gives one number")

    async def around(self, proceed, call):
        answer = await proceed(call)
        if not isinstance(answer, float):
            raise TypeError("not a number")
        return answer


def test_a_policy_that_looks_at_answers_is_given_good_ones():
    only = {"answers", "references", "growth", "strange objects", "permits"}
    assert not conformance.run(OnlyNumbers, only="answers").ok
    assert conformance.check(OnlyNumbers, only=only, answer=lambda: float("1.5")).ok


def test_a_guard_that_is_no_policy_is_called_by_its_type():
    report = conformance.run(Plain, only="answers")
    assert report.ok
    assert report.policy == "Plain"


class Plain:
    def __call__(self, fn):
        return Policy()(fn)


def test_a_guard_of_another_make_shows_itself_by_its_repr_alone():
    (verdict,) = conformance.run(Plain, only="looks").verdicts
    assert "repr() shows an address" in verdict.detail


# ---- where it is checked


def test_it_runs_on_the_virtual_clock_that_runs_already():
    with virtual_time() as clock:
        began = clock.now()
        assert conformance.check(Policy, only="side by side").ok
        assert clock.now() > began


def test_it_runs_on_no_event_loop():
    async def check():
        conformance.run(Policy, only="looks")

    with pytest.raises(RuntimeError, match="and one runs here already; call them from plain code"):
        asyncio.run(check())


def test_it_runs_on_no_thread_that_keeps_real_time_beside_virtual_time(monkeypatch):
    monkeypatch.setattr(subject, "governing", lambda: None)
    with virtual_time(), pytest.raises(RuntimeError, match="virtual time runs already, in another thread"):
        conformance.run(Policy, only="looks")


def test_nothing_that_was_checked_is_kept():
    gone = []

    def make():
        policy = Retry(2, backoff=ConstantBackoff(1))
        gone.append(weakref.ref(policy))
        return policy

    assert conformance.check(make, only={"interrupts", "cancellation", "growth", "clocks"}).ok
    gc.collect()
    assert not any(one() for one in gone)


@pytest.mark.parametrize("frozen", [True, False])
def test_it_leaves_the_garbage_collector_and_tracemalloc_as_they_were(frozen):
    gc.disable()
    gc.freeze()
    if not frozen:
        gc.unfreeze()
    tracemalloc.start()
    try:
        assert conformance.check(Policy, only={"references", "growth"}).ok
        assert not gc.isenabled()
        assert tracemalloc.is_tracing()
        assert bool(gc.get_freeze_count()) is frozen
    finally:
        tracemalloc.stop()
        gc.freeze()
        gc.enable()


# ---- verdicts


def test_a_colour_that_is_refused_is_told_with_the_reason():
    report = conformance.check(broken.PlainFunctionsAlone, only={"answers", "pickling"})
    assert [verdict.status for verdict in report.verdicts] == ["kept", *["refused"] * 5, "kept"]
    assert report.verdicts[1].detail.startswith("PlainFunctionsAlone cannot guard ")


def test_a_policy_that_guards_nothing_keeps_no_promise():
    with pytest.raises(
        conformance.ConformanceError, match="it guards no colour at all; of the first it says"
    ):
        conformance.check(broken.RefusesAll, only={"answers", "pickling", "looks"})


def test_a_promise_that_is_skipped_is_told_with_the_reason():
    report = conformance.check(
        broken.Unpicklable, only={"pickling", "looks"}, skip={"pickling": "holds a socket"}
    )
    assert [str(verdict) for verdict in report.verdicts] == [
        "pickling: skipped: holds a socket",
        "looks: kept",
    ]


@pytest.mark.parametrize(
    ("make", "where"),
    [
        (broken.WaitsAtOnce, "async call on asyncio"),
        (broken.WaitsAtOnce, "async stream on trio"),
        (broken.IgnoresCancellation, "async call on asyncio"),
    ],
)
def test_a_policy_that_waits_for_ever_is_found_out(make, where):
    (check,) = [one for one in conformance.checks(only="cancellation") if one.where == where]
    with pytest.raises(conformance.ConformanceError, match="a call waits for ever; wait with"):
        check(make)


def test_a_check_that_fails_over_a_policy_says_with_what():
    with pytest.raises(conformance.ConformanceError, match="the check ended in ZeroDivisionError"):
        conformance.check(broken.CannotBeShown, only="looks")


def test_an_interrupt_that_escapes_its_call_is_told():
    (check,) = [one for one in conformance.checks(only="interrupts") if str(one).endswith("call on asyncio")]
    with pytest.raises(conformance.ConformanceError, match="that the model raised stopped the event loop"):
        check(broken.LeavesRunning)


# ---- reports


def test_a_report_prints_as_a_table_with_notes():
    report = conformance.run(
        broken.PlainFunctionsAlone, only={"answers", "pickling", "looks"}, skip={"looks": "not today"}
    )
    assert str(report) == (
        "PlainFunctionsAlone()\n"
        "2 of 8 checks kept, 0 broken\n\n"
        "promise   call      async call  async call  stream    async stream  async stream\n"
        "                    asyncio     trio                  asyncio       trio\n"
        "answers   kept      refused     refused     refused   refused       refused\n"
        "pickling  kept\n"
        "looks     skipped\n"
        "\n"
        "refused: answers (async call on asyncio, async call on trio, stream, async stream on asyncio, "
        "async\n    stream on trio): PlainFunctionsAlone cannot guard 'model'; guard a plain function\n"
        "skipped: looks: not today"
    )


def test_a_report_of_what_belongs_to_no_colour_has_no_columns():
    report = conformance.run(Policy, only="looks")
    assert str(report) == "Policy()\n1 of 1 checks kept, 0 broken\n\npromise\nlooks    kept"


def test_a_broken_promise_stands_out_in_the_table():
    report = conformance.run(broken.Swallows, only="errors")
    assert "BROKEN" in str(report)
    assert not report.ok


def test_the_error_lists_every_broken_promise_and_travels():
    with pytest.raises(conformance.ConformanceError) as caught:
        conformance.check(broken.LeaksOnError, only={"permits", "pickling", "answers"})
    text = str(caught.value)
    assert text.startswith(
        "LeaksOnError() breaks 6 of 13 promises:\n* permits (call, async call on asyncio, "
    )
    again = pickle.loads(pickle.dumps(caught.value))
    assert (str(again), again.report) == (text, caught.value.report)


@pytest.mark.once
def test_a_breaker_that_opens_is_told_from_one_that_leaks():
    """What a policy learns from failures is its business; what it learns from cancellations is not."""
    assert conformance.check(
        lambda: CircuitBreaker(consecutive_failures=1), only={"permits", "interrupts"}
    ).ok
    assert conformance.check(lambda: Timeout(0.5), only={"reentrancy", "listeners"}).ok


# ---- what is asked of policies while their code runs


class TellsOfEachCall(Policy):
    async def around(self, proceed, call):
        self.emit(events.CallRejected, call.now(), reason="none", shadow=True)
        return await proceed(call)


def test_a_listener_may_call_a_policy_that_tells_of_each_call():
    assert conformance.check(TellsOfEachCall, only={"reentrancy", "listeners"}).ok


def test_a_policy_with_one_seat_refuses_to_be_called_from_inside():
    assert conformance.check(lambda: Bulkhead(1), only="reentrancy").ok


def frame():
    return sys._getframe(1)


def test_the_code_of_a_policy_is_what_a_check_has_called():
    subject = Subject(Policy)
    seen = []
    subject.call(lambda thing: seen.append(of_policy(frame())))
    subject.call(lambda thing: seen.append(of_policy(frame().f_back)))  # the check itself
    thread = threading.Thread(target=lambda: seen.append(of_policy(frame())))
    thread.start()
    thread.join()
    seen.append(of_policy(frame()))
    assert seen == [True, False, False, False]


def test_a_signal_handler_is_called_at_each_line_of_it():
    acts = []
    with each_line(lambda: acts.append("act")):
        trace = sys.gettrace()
    assert trace(frame(), "call", None) is None
    assert acts == []
    seen = Subject(Policy).call(lambda thing: trace(frame(), "line", None))
    assert seen is trace
    assert acts == ["act"]


def test_each_line_leaves_the_tracing_of_others_as_it_was():
    before = sys.gettrace()
    with each_line(list):
        assert sys.gettrace() is not before
    assert sys.gettrace() is before


# ---- what policies are tried with


def test_strange_errors_are_as_strange_as_they_say():
    assert not strange.Falsy()
    assert len(strange.Empty()) == 0
    assert strange.EqualToAll() == 7
    with pytest.raises(strange.Asked):
        bool(strange.Hostile())


async def gathered(items):
    return [item async for item in items]


def test_the_models_that_are_looked_at_predict():
    assert transparency.predict([1, 2]) == list(transparency.stream([1, 2])) == [2.0, 4.0]
    assert asyncio.run(transparency.apredict([1], scale=3.0)) == [3.0]
    assert asyncio.run(gathered(transparency.astream([1, 2]))) == [2.0, 4.0]


def test_a_child_says_how_a_crowd_fares_and_ends(monkeypatch):
    done = []
    monkeypatch.setattr(signal, "signal", lambda *args: done.append("signal"))
    monkeypatch.setattr(signal, "alarm", done.append)
    monkeypatch.setattr(signal, "raise_signal", done.append)
    reading, writing = os.pipe()
    world = World(Colour.CALL, "threads")
    with virtual_time():
        forks.tell_and_end(lambda: forks.fares(Subject(Policy), world, broken.FailsOver()), writing)
    os.close(writing)
    assert os.read(reading, 100) == b"BrokenPromise"
    os.close(reading)
    assert done == ["signal", forks.PATIENCE, signal.SIGKILL]
