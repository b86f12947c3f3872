"""Every check can fail: for each there are policies that break its promise, and it says what it saw."""

import re

import pytest

from resilient_ml.testing import conformance

from . import broken_policies as broken
from .broken_policies import Refuses

CALL, STREAM = "call", "stream"
ASYNCIO, TRIO = "async call on asyncio", "async call on trio"
ASTREAM, TRIO_STREAM = "async stream on asyncio", "async stream on trio"

CASES = [
    ("answers", CALL, broken.Copies, "gave another object than the model's"),
    ("answers", ASYNCIO, broken.Constant, "was answered for without being called"),
    ("answers", TRIO, broken.ChangesArguments, "was given other arguments"),
    ("answers", STREAM, broken.NeverAnswers, "ended in KeyError"),
    ("answers", CALL, broken.FailsOver, "guarding raised KeyError"),
    ("answers", CALL, broken.RefusesWithoutAWord, "a TypeError without a word"),
    ("answers", CALL, broken.GuardsWithNothing, "guarding gave None"),
    ("answers", CALL, broken.WaitsForEver, "ended in Hung"),
    ("answers", ASYNCIO, broken.WaitsForEver, "ended in Hung"),
    ("answers", TRIO, broken.WaitsForEver, "ended in Hung"),
    ("streams", STREAM, broken.LosesTheLastItem, "of a stream of three items 2 came"),
    ("streams", ASTREAM, broken.LosesTheLastItem, "of a stream of three items 2 came"),
    ("streams", STREAM, broken.BreaksStreams, "a stream of three items ended in KeyError"),
    ("errors", CALL, broken.Replaces, "the model raised ConnectionError and RuntimeError came out"),
    ("errors", TRIO, broken.Swallows, "the caller was answered"),
    ("errors", STREAM, broken.SwallowsInTheMiddle, "after one item of a stream ended as answered"),
    ("errors", ASTREAM, broken.RetriesTheMiddle, "came after 2 items"),
    ("strange errors", CALL, broken.AsksForTruth, "an error of class Falsy"),
    ("strange objects", CALL, broken.AsksArguments, "ended in Asked"),
    ("strange objects", CALL, broken.AsksAnswers, "came out as another"),
    ("transparency", ASYNCIO, broken.Nameless, "has lost __name__, .*its signature, iscoroutinefunction"),
    ("cancellation", ASYNCIO, broken.SwallowsCancellation, "at its await number 1: .* ended as answered"),
    ("cancellation", ASYNCIO, broken.TakesCancellationBack, "took its cancellation back"),
    ("cancellation", ASYNCIO, broken.RetriesEverything, "a call that was cancelled ended as answered"),
    ("cancellation", TRIO, broken.RetriesEverything, "the model was called again"),
    ("cancellation", ASYNCIO, broken.LeavesRunning, "the model was left running"),
    (
        "cancellation",
        ASYNCIO,
        broken.LeaksOnCancel,
        "16 calls at once ended afterwards as .* 3 answered, at most 3 at",
    ),
    (
        "cancellation",
        TRIO,
        broken.LeaksOnCancel,
        "16 calls at once ended afterwards as .* 3 answered, at most 3 at",
    ),
    ("cancellation", TRIO_STREAM, broken.LeaksOnCancel, "3 answered, at most 3 at once"),
    ("cancellation", ASTREAM, broken.StopsAll, "calls beside it ended in CircuitOpen"),
    ("interrupts", CALL, broken.Converts, "the model raised KeyboardInterrupt and the call ended as Runtime"),
    ("interrupts", ASYNCIO, broken.RetriesEverything, "was called 2 times"),
    (
        "interrupts",
        TRIO,
        broken.SwallowsInterruptsInWaits,
        "KeyboardInterrupt came and the call ended as ans",
    ),
    ("interrupts", CALL, broken.SwallowsInterruptsInWaits, "at its wait number 2: KeyboardInterrupt came"),
    ("interrupts", STREAM, broken.CountsInterrupts, "after three calls that ended in KeyboardInterrupt"),
    ("interrupts", CALL, broken.StopsAll, "KeyboardInterrupt came, and calls beside it ended in CircuitO"),
    ("permits", CALL, broken.LeaksOnError, "after two calls that failed"),
    ("permits", ASYNCIO, broken.GivesBackTwice, "after 16 calls that were answered, .* at most 16 at once"),
    ("permits", STREAM, broken.NeverCloses, "0 were closed at the model"),
    ("references", CALL, broken.KeepsTheLastArgument, "still alive without the garbage collector: Answer"),
    ("references", TRIO_STREAM, broken.KeepsTheLastArgument, "still alive without the garbage collector"),
    ("references", STREAM, broken.KeepsTheLastError, "still alive without the garbage collector: .*BadInput"),
    ("references", CALL, broken.WaitsAtOnce, "a call waits for ever"),
    ("growth", CALL, broken.KeepsEverything, r"\d calls left [\d,]+ bytes behind"),
    ("side by side", CALL, broken.LocksTheModel, "at most 1 were with the model"),
    ("side by side", CALL, broken.LocksItsName, "showing the policy took 0.5 s"),
    ("reentrancy", CALL, broken.PlainLock, "from a signal handler, in the middle .* it waits for ever"),
    ("reentrancy", STREAM, broken.OneCallAtATime, "called again from the model, it ended in AssertionError"),
    ("reentrancy", CALL, broken.TellsUnderALock, "called again from a listener, it waits for ever"),
    ("reentrancy", ASYNCIO, broken.OneCallAtATime, "called again from the model"),
    ("reentrancy", ASTREAM, broken.GivesBackTwice, "called again from the model, 16 calls at once"),
    (
        "listeners",
        CALL,
        broken.TellsUnprotected,
        "with a listener that raises calls ended in .*ListenerError",
    ),
    ("loops", ASYNCIO, broken.BoundToALoop, "on its second event loop.*RuntimeError"),
    ("loops", ASYNCIO, broken.LimitPerLoop, "on two event loops at once .* at most 4 at once"),
    ("forks", CALL, broken.ForgetsForks, "forked while 4 calls of other threads were inside"),
    ("forks", ASYNCIO, broken.KnowsItsProcess, "in a child that was forked between calls"),
    ("forks", STREAM, broken.GuardsNothingInForks, "a crowd of calls ended as Refused"),
    ("forks", CALL, broken.DiesInForks, "a child that was forked between calls waits for ever"),
    ("clocks", CALL, broken.WallClock, "ten days later a call of a healthy model still ended in CircuitOpen"),
    ("clocks", TRIO, broken.WallClockLimit, "set forward by 400 days during a call, which ended in Bulkhead"),
    ("clocks", STREAM, broken.TrustsTheClock, "went back by 3600 s during a call, which ended in ValueErr"),
    ("clocks", CALL, broken.RefusesThePast, "went back by 3600 s during calls, and one of them was refused"),
    ("clocks", CALL, broken.RefusesAfterThePast, "a call ended in CircuitOpen"),
    ("pickling", "", broken.Unpicklable, "it does not pickle: TypeError: it holds a socket"),
    ("pickling", "", broken.PicklesAsAnother, r"what came out of a pickle is Policy\(\)"),
    ("pickling", "", broken.PicklesItsState, "with what came out of a pickle 16 calls at once ended"),
    ("pickling", "", broken.GuardsWithALocal, "a guarded function of a module does not pickle"),
    ("pickling", "", broken.GuardsWithAnObject, "came out of a pickle as another object"),
    ("pickling", "", lambda: Refuses("lost"), "its error Lost came out of a pickle as another"),
    ("pickling", "", lambda: Refuses("needy"), "its error Needy does not pickle"),
    ("looks", "", broken.ShowsItsAddress, "shows an address"),
    ("looks", "", broken.ShowsNothing, "shows nothing"),
    ("looks", "", broken.ShowsAnArgument, "shows nothing, or an argument"),
    ("looks", "", lambda: Refuses("mute"), "its error Mute says nothing"),
    ("looks", "", lambda: Refuses("addressed"), "its error Addressed says"),
]


def name(value):
    return getattr(value, "__name__", None)


@pytest.mark.parametrize(("promise", "where", "make", "seen"), CASES, ids=name)
def test_a_broken_policy_is_caught_by_the_check_meant_for_it(promise, where, make, seen):
    broken.Constant.known.clear()
    (check,) = [one for one in conformance.checks(only=promise) if one.where == where]
    with pytest.raises(conformance.ConformanceError) as caught:
        check(make)
    (verdict,) = caught.value.report.broken
    assert re.search(seen, verdict.detail), verdict.detail
    assert "; " in verdict.detail, "it says what to do"


def test_every_promise_has_a_broken_policy():
    assert {promise for promise, *_ in CASES} == set(conformance.PROMISES)
