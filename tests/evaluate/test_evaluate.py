"""``evaluate``: the same requests and the same luck for every configuration, in every colour."""

import random
import sys
import threading
import time

import anyio
import pytest

from resilient_ml import (
    Bulkhead,
    CircuitBreaker,
    Colour,
    ConstantBackoff,
    Fallback,
    Pipeline,
    Retry,
    StreamTruncated,
    Timeout,
)
from resilient_ml.evaluate import KPI, Objective, ObjectivesMissed, Request, Workload, evaluate, progress
from resilient_ml.testing import faults
from resilient_ml.testing.faults import FaultPlan

from .made import shop_evaluation


def call(number):
    time.sleep(0.05)
    return number * 2


async def async_call(number):
    await anyio.sleep(0.05)
    return number * 2


def stream(number):
    for item in range(3):
        time.sleep(0.02)
        yield number + item


async def async_stream(number):
    for item in range(3):
        await anyio.sleep(0.02)
        yield number + item


COLOURS = {
    "call": (call, "asyncio"),
    "async call on asyncio": (async_call, "asyncio"),
    "async call on trio": (async_call, "trio"),
    "stream": (stream, "asyncio"),
    "async stream on asyncio": (async_stream, "asyncio"),
    "async stream on trio": (async_stream, "trio"),
}

BLIPS = FaultPlan(faults.error(ConnectionError).with_probability(0.1))
STEADY = Workload.constant(list(range(20)), rate=5.0, count=200)


def guard():
    return Pipeline(Retry(attempts=3, backoff=ConstantBackoff(0.1)), Timeout(2.0))


def run(model=call, configurations=None, **fields):
    fields = {"workload": STEADY, "virtual": True, "seed": 3, **fields}
    return evaluate(
        model, {"naked": None, "guarded": guard} if configurations is None else configurations, **fields
    )


def value(evaluation, arm, kpi):
    return evaluation.arms[arm].kpis[kpi].value


@pytest.mark.parametrize(("model", "backend"), COLOURS.values(), ids=list(COLOURS))
def test_every_colour_is_evaluated_alike(model, backend):
    evaluation = run(model, faults=BLIPS, backend=backend, oracle="healthy")
    assert value(evaluation, "naked", "availability") == value(evaluation, "naked", "right") < 0.95
    assert value(evaluation, "guarded", "right") > 0.99
    assert value(evaluation, "guarded", "wrong") == 0.0
    assert value(evaluation, "guarded", "amplification") > 1.05
    assert value(evaluation, "guarded", "overhead") == 1.0
    assert [value(evaluation, arm, "leaks") for arm in evaluation.arms] == [0, 0]
    assert ("first_item" in evaluation.arms["naked"].kpis) == ("stream" in model.__name__)
    assert ("truncated" in evaluation.arms["naked"].kpis) == ("stream" in model.__name__)


def test_threads_asyncio_and_trio_see_the_same_faults():
    fates = [
        [row.status for row in run(model, faults=BLIPS, backend=backend).arms["naked"].replies]
        for model, backend in list(COLOURS.values())[:3]
    ]
    assert fates[0] == fates[1] == fates[2]
    assert "failed" in fates[0]


def test_the_first_attempt_of_a_request_meets_the_same_luck_in_every_configuration():
    evaluation = run(faults=BLIPS)
    naked, guarded = (arm.replies for arm in evaluation.arms.values())
    assert {row.attempts for row in naked} == {1}
    for bare, kept in zip(naked, guarded, strict=True):
        assert (bare.status == "failed") == (kept.attempts > 1)


@pytest.mark.once
def test_the_same_seed_gives_the_same_evaluation_and_another_seed_another():
    first, again, other = run(faults=BLIPS), run(faults=BLIPS), run(faults=BLIPS, seed=4)
    assert first.to_json() == again.to_json() != other.to_json()


def test_policies_that_were_used_before_give_the_same_evaluation():
    breaker = Pipeline(Retry(attempts=2), CircuitBreaker(consecutive_failures=2, open_seconds=30.0))
    plan = FaultPlan(faults.error(ConnectionError).between(35.0, 40.0))
    assert run(call, breaker, faults=plan).to_json() == run(call, breaker, faults=plan).to_json()


def test_the_jitter_of_retries_repeats_itself_and_the_users_own_luck_goes_on():
    random.seed(99)
    undisturbed = random.random()
    random.seed(99)
    jittered = [run(call, Retry(attempts=3), faults=BLIPS).to_json() for _ in range(2)]
    assert random.random() == undisturbed
    assert jittered[0] == jittered[1]


def test_a_plan_is_not_used_up_by_an_evaluation():
    plan = FaultPlan(faults.error(ConnectionError).on_calls(range(1, 51)))
    assert value(run(faults=plan), "naked", "availability") == 0.75
    assert value(run(faults=plan), "naked", "availability") == 0.75
    assert plan.history == ()


def test_without_faults_everything_is_well():
    evaluation = run()
    assert [value(evaluation, arm, "availability") for arm in evaluation.arms] == [1.0, 1.0]
    assert evaluation.faults == ()
    assert evaluation.passed
    evaluation.check()


def test_the_faults_own_windows_are_the_outages():
    breaker = CircuitBreaker(consecutive_failures=3, open_seconds=1.0, open_seconds_max=1.0)
    evaluation = run(
        configurations={"naked": None, "guarded": breaker},
        faults=FaultPlan(faults.error(ConnectionError).between(10.0, 20.0)),
    )
    assert [(span.begins, span.ends, span.known) for span in evaluation.spans] == [(10.0, 20.0, True)]
    assert "time_to_detect" not in evaluation.arms["naked"].kpis
    # The third failure in steps of 0.2 s, each after 0.05 s of the model's time or none.
    assert value(evaluation, "guarded", "time_to_detect") == pytest.approx(0.4)
    assert value(evaluation, "naked", "time_to_recover") == 0.0
    assert 0.0 <= value(evaluation, "guarded", "time_to_recover") <= 1.0


def test_outages_that_no_plan_tells_of_are_found():
    def down(number):
        if 5 <= number < 15:
            raise ConnectionError
        return number

    evaluation = run(down, workload=Workload.constant(list(range(20)), rate=1.0, count=20))
    assert [(span.begins, span.ends, span.known) for span in evaluation.spans] == [(5.0, 14.0, False)]


def test_a_fallbacks_answer_is_degraded_and_may_be_wrong():
    evaluation = run(configurations=Fallback(0), faults=BLIPS, oracle=lambda number: number * 2)
    assert value(evaluation, "guarded", "availability") == 1.0
    degraded = value(evaluation, "guarded", "degraded")
    assert degraded == pytest.approx(1 - value(evaluation, "naked", "availability"))
    assert 0 < value(evaluation, "guarded", "wrong") <= degraded  # 0 is right for request 0


def test_labels_and_groups_of_requests_count():
    requests = [Request((number,), label=number * 2, group="ab"[number % 2]) for number in range(20)]
    evaluation = run(
        workload=Workload.constant(requests, rate=5.0, count=200),
        faults=FaultPlan(faults.error(ConnectionError).where(lambda number: number % 2)),
    )
    assert value(evaluation, "naked", "right") == 0.5
    assert value(evaluation, "naked", "fairness") == 0.5


def test_streams_that_are_cut_short_are_told_from_whole_ones():
    def cut(number):
        for item in stream(number):
            if number % 4 == 0 and item == number + 2:
                return
            yield item

    def whole(fn):
        def checked(number):
            count = 0
            for item in fn(number):
                count += 1
                yield item
            if count < 3:
                raise StreamTruncated("it has 3 items", delivered=count)

        return checked

    evaluation = run(cut, {"naked": None, "guarded": whole}, complete=lambda items: len(items) == 3)
    assert value(evaluation, "naked", "truncated") == 0.25
    assert value(evaluation, "naked", "availability") == 1.0
    assert value(evaluation, "guarded", "truncated") == 0.0
    assert value(evaluation, "guarded", "availability") == 0.75


def test_hung_requests_are_given_up_on_and_leave_nothing_behind():
    plan = FaultPlan(faults.hang().with_probability(0.05))
    for model, backend in list(COLOURS.values())[:3]:
        evaluation = run(model, faults=plan, patience=5.0, backend=backend)
        assert 0.01 < value(evaluation, "naked", "hung") < 0.1
        assert value(evaluation, "guarded", "hung") == 0.0
        assert value(evaluation, "naked", "p99") == pytest.approx(5.0)
        assert value(evaluation, "naked", "leaks") == 0


def test_what_a_configuration_leaves_behind_is_a_leak():
    stop = threading.Event()

    def leaky(fn):
        def leaking(number):
            if number == 3:
                threading.Thread(target=stop.wait, daemon=True).start()
            return fn(number)

        return leaking

    evaluation = run(
        configurations={"naked": None, "leaky": leaky},
        workload=Workload.constant([1, 2, 3], rate=1.0, count=3),
    )
    stop.set()
    assert value(evaluation, "leaky", "leaks") == 1


def test_memory_is_measured_when_asked_for():
    held = []

    def hoarder(fn):
        def hoarding(number):
            held.append(bytearray(10_000))
            return fn(number)

        return hoarding

    evaluation = run(configurations={"naked": None, "hoarder": hoarder}, memory=True, healthy=False)
    assert value(evaluation, "hoarder", "memory") > 2_000_000
    assert value(evaluation, "naked", "memory") < 500_000


def test_a_guard_that_refuses_healthy_traffic_is_found_out():
    evaluation = run(configurations=Bulkhead(1), workload=Workload.constant([1], rate=40.0, count=200))
    assert value(evaluation, "guarded", "healthy_availability") < 0.7
    assert value(evaluation, "naked", "healthy_availability") == 1.0


def test_the_healthy_run_may_be_left_out():
    evaluation = run(healthy=False)
    assert "overhead" not in evaluation.arms["guarded"].kpis
    assert "healthy_availability" not in evaluation.arms["guarded"].kpis


def test_waits_that_a_policy_adds_are_overhead():
    def slow(fn):
        def slowed(number):
            time.sleep(0.05)
            return fn(number)

        return slowed

    assert value(run(configurations={"naked": None, "slow": slow}), "slow", "overhead") == pytest.approx(2.0)


def test_real_time_works_too():
    evaluation = evaluate(
        lambda number: number,
        {"naked": None, "guarded": Retry()},
        workload=Workload.constant([1], rate=2000.0, count=50),
    )
    assert value(evaluation, "guarded", "availability") == 1.0
    assert not evaluation.virtual
    assert value(evaluation, "guarded", "p50") > 0


def test_a_run_that_took_no_time_has_no_rate():
    evaluation = evaluate(len, Retry(), workload=Workload.at(["a"], [0.0]), virtual=True)
    assert "goodput" not in evaluation.arms["naked"].kpis
    assert value(evaluation, "guarded", "availability") == 1.0


def test_items_that_take_no_time_are_not_waited_for():
    def at_once(text):
        yield from text

    evaluation = evaluate(
        at_once, Retry(), workload=Workload.poisson(["ab"], rate=7.0, count=50), virtual=True
    )
    firsts = {str(reply.first) for arm in evaluation.arms.values() for reply in arm.replies}
    waits = {str(reply.waited) for arm in evaluation.arms.values() for reply in arm.replies}
    assert firsts == waits == {"0.0"}


def test_a_backend_that_is_not_installed_is_told_before_anything_runs(monkeypatch):
    monkeypatch.setitem(sys.modules, "trio", None)
    with pytest.raises(ModuleNotFoundError, match=r"backend='trio' needs trio, .* with: pip install trio"):
        run(async_call, backend="trio")
    assert value(run(call, backend="trio"), "naked", "availability") == 1.0


def test_a_closed_loop_is_evaluated_over_the_time_it_took():
    evaluation = run(workload=Workload.closed([1, 2], clients=2, count=100))
    assert value(evaluation, "naked", "goodput") == pytest.approx(40.0)


@pytest.mark.parametrize(("price", "cost"), [(0.5, 0.5), (lambda row: 2.0 * row.items, 2.0), (0.0, 0.0)])
def test_calls_have_a_price(price, cost):
    assert value(run(price=price), "naked", "cost") == cost


def test_kpis_of_ones_own_stand_beside_the_others_and_in_objectives():
    stars = KPI("stars", lambda row: row.answer, better="higher")
    most = KPI.whole("most", lambda rows: max(row.number for row in rows), better="higher")
    evaluation = run(
        kpis=[stars, most], objectives=["guarded.stars >= naked.stars", Objective.parse("most == 199")]
    )
    assert value(evaluation, "naked", "stars") == 19.0
    assert evaluation.passed
    assert evaluation.arms["naked"].replies[0].answer is None


def test_answers_are_kept_when_asked_for():
    assert run(keep_answers=True).arms["naked"].replies[7].answer == 14


def test_in_time_bounds_goodput():
    assert value(run(in_time=0.01), "naked", "goodput") == 0.0


def test_missed_objectives_fail_the_check_with_their_numbers():
    evaluation = shop_evaluation()
    assert not evaluation.passed
    with pytest.raises(
        ObjectivesMissed, match=r"1 of 2 objectives missed:\n  guarded.wrong <= 1%: guarded has wrong 25 %"
    ):
        evaluation.check()


def test_a_callable_that_hides_its_colour_is_told_it():
    def hidden(number):
        return stream(number)

    evaluation = run(hidden, colour=Colour.STREAM, oracle="healthy")
    assert value(evaluation, "guarded", "right") == 1.0


def test_the_progress_is_shown_when_wanted(capsys, monkeypatch):
    monkeypatch.setattr(progress, "LINE_SECONDS", 0.0)
    run(workload=Workload.constant([1], rate=1.0, count=2), progress=True)
    lines = capsys.readouterr().err.splitlines()
    assert lines[0].split() == ["12%", "naked,", "without", "faults:", "1", "ok"]
    assert lines[-1].split() == ["100%", "guarded:", "2", "ok"]


async def an_oracle(number):
    return number


@pytest.mark.parametrize(
    ("fields", "kind", "message"),
    [
        ({"workload": [1, 2]}, TypeError, "workload must be a Workload, got an object of type list"),
        (
            {"faults": faults.hang()},
            TypeError,
            "faults must be a FaultPlan or None, got an object of type",
        ),
        ({"backend": "curio"}, ValueError, "backend must be 'asyncio' or 'trio', got 'curio'"),
        ({"seed": -1}, ValueError, "seed must be at least 0, got -1"),
        ({"patience": 0}, ValueError, "patience must be above 0, got 0"),
        ({"in_time": -1}, ValueError, "in_time must be above 0, got -1"),
        ({"in_a_row": 0}, ValueError, "in_a_row must be at least 1, got 0"),
        ({"level": 1.0}, ValueError, "level must be below 1, got 1"),
        ({"level": 95}, ValueError, "level must be above 0 and at most 1, got 95"),
        ({"price": -1}, ValueError, "price must not be negative, got -1"),
        ({"memory": 1}, TypeError, "memory must be True or False, got 1"),
        ({"healthy": 1}, TypeError, "healthy must be True or False, got 1"),
        ({"virtual": 1}, TypeError, "virtual must be True or False, got 1"),
        ({"keep_answers": 1}, TypeError, "keep_answers must be True or False, got 1"),
        ({"settle_seconds": -1}, ValueError, "settle_seconds must not be negative, got -1"),
        ({"oracle": 7}, TypeError, "oracle must be a function, 'healthy' or None, got 7"),
        ({"oracle": an_oracle}, TypeError, "oracle must be a plain function, got one of colour 'async call'"),
        (
            {"oracle": "healthy", "healthy": False},
            ValueError,
            "oracle='healthy' needs the run without faults",
        ),
        ({"objectives": ["rigth == 1"]}, ValueError, "did you mean 'right'"),
        ({"objectives": "wrong == 0"}, TypeError, "objectives must be a list"),
        ({"kpis": [KPI("p99", bool, better="higher")]}, ValueError, "two KPIs are called 'p99'"),
        ({"kpis": [7]}, TypeError, "kpis must be KPIs, got 7; pass KPI"),
        ({"judge": 7}, TypeError, "judge must be callable, got 7"),
        ({"complete": 7}, TypeError, "complete must be callable, got 7"),
    ],
)
def test_what_makes_no_sense_is_refused_before_anything_runs(fields, kind, message):
    def never(number):
        raise AssertionError

    with pytest.raises(kind, match=message):
        run(never, **fields)


def test_a_fault_that_does_not_fit_the_models_answers_measures_nothing_and_says_so():
    with pytest.raises(TypeError, match=r"proves nothing there .* call 1 of label: nan\(\)"):
        evaluate(
            label,
            Fallback("unsure", on=Exception),
            workload=Workload.poisson(["a"], rate=5, seconds=2),
            faults=FaultPlan(faults.nan()),
        )


def label(text):
    return "good"
