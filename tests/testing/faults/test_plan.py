"""A plan: its order, its seed, its clock, its history, and the plans that are made of it."""

import gc
import pickle
import threading
import time
import weakref

import pytest

from resilient_ml import Fallback
from resilient_ml.testing import faults, virtual_time
from resilient_ml.testing.faults import FaultPlan, Injected

BLIP = faults.error(ConnectionError)


def ends(model, calls):
    """What each of so many calls ends in."""
    found = []
    for number in range(1, calls + 1):
        try:
            found.append(model(number))
        except Exception as error:  # noqa: BLE001
            found.append(type(error).__name__)
    return found


def stormy(seed):
    return FaultPlan(
        faults.latency(faults.lognormal(median=0.05, sigma=1.0)),
        faults.latency(faults.exponential(0.01)).with_probability(0.5),
        faults.latency(faults.pareto(least=0.01, shape=1.5)).with_probability(0.5),
        faults.latency(faults.uniform(0.1, 0.2)).with_probability(0.5),
        faults.error("overload").with_probability(0.2),
        faults.nan(share=0.5).with_probability(0.3),
        faults.shuffled_rows().with_probability(0.3),
        seed=seed,
    )


def trace(seed):
    """Everything that a stormy plan does to 200 calls."""
    plan = stormy(seed)
    model = plan.inject(lambda rows: [0.25, 0.5, 0.75, 1.0])
    with virtual_time():
        plan.start()
        answers = ends(model, 200)
    return repr((plan.history, answers)).encode()


def test_the_same_seed_gives_the_same_bytes_and_another_gives_others():
    assert trace(7) == trace(7)
    assert trace(7) != trace(8)


def test_what_a_plan_does_is_pinned():
    plan = stormy(7)
    model = plan.inject(lambda rows: [0.25, 0.5, 0.75, 1.0], name="model")
    with virtual_time() as clock:
        began = clock.now()
        answers = ends(model, 6)
        # To the nanosecond: the last bits of a logarithm are the C library's.
        assert f"{clock.now() - began:.9f}" == "1.327206716"
    healthy = [0.25, 0.5, 0.75, 1.0]
    assert str(answers) == str(
        [healthy, "APIStatusError", [0.25, 0.5, float("nan"), float("nan")], *[healthy] * 3]
    )
    assert len(plan.history) == 15


def test_luck_does_not_depend_on_how_threads_interleave():
    def struck(order):
        plan = FaultPlan(BLIP.with_probability(0.5), seed=3)
        models = [plan.inject(lambda number: number, name=name) for name in "ab"]
        for turn in order:
            ends(models[turn], 1)
        return sorted((one.target, one.call) for one in plan.history)

    assert struck([0] * 20 + [1] * 20) == struck([1, 0] * 20) == struck([1] * 20 + [0] * 20)


def test_each_callable_of_a_plan_has_luck_of_its_own():
    plan = FaultPlan(BLIP.with_probability(0.5))
    luck = [ends(plan.inject(abs), 50) for _ in range(2)]
    assert luck[0] != luck[1]


def test_each_fault_of_a_plan_has_luck_of_its_own():
    plan = FaultPlan(faults.drift(1.0).with_probability(0.5), faults.drift(10.0).with_probability(0.5))
    assert set(map(float, ends(plan.inject(lambda number: 0.0), 50))) == {0.0, 1.0, 10.0, 11.0}


def test_threads_at_once_count_every_call():
    plan = FaultPlan(faults.nan().on_calls(range(1, 10_000)), BLIP.times(50))
    model = plan.inject(lambda number: 1.0)
    barrier = threading.Barrier(4)

    def many():
        barrier.wait()
        ends(model, 250)

    threads = [threading.Thread(target=many) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert max(one.call for one in plan.history) == 1000
    assert sum(one.fault.startswith("error") for one in plan.history) == 50
    assert len(plan.history) == 1000


def test_a_key_stands_in_for_the_number_of_the_call():
    keys = iter([5, 9, None, 5])
    plan = FaultPlan(faults.latency(faults.uniform(0.0, 1.0)), seed=1)
    model = plan.inject(lambda: None, key=lambda: next(keys))
    waits = []
    with virtual_time() as clock:
        for _ in range(4):
            began = clock.now()
            model()
            waits.append(round(clock.now() - began, 9))
    assert waits[0] == waits[3]
    assert len(set(waits)) == 3
    assert [one.call for one in plan.history] == [1, 2, 3, 4]


def test_faults_apply_in_their_order():
    plan = FaultPlan(faults.latency(2.0), faults.drift(shift=1.0), faults.drift(scale=10.0))
    with virtual_time() as clock:
        began = clock.now()
        assert plan.inject(lambda: 1.0)() == 20.0
        assert clock.now() - began == 2.0
        assert FaultPlan(*reversed(plan.faults)).inject(lambda: 1.0)() == 11.0


def test_what_never_got_its_turn_is_not_in_the_history():
    plan = FaultPlan(BLIP, faults.latency(5.0), faults.nan())
    ends(plan.inject(lambda number: 1.0), 1)
    assert [one.fault for one in plan.history] == ["error(ConnectionError)"]


def test_the_history_says_what_struck_when_and_whom():
    plan = FaultPlan(BLIP.on_calls(2))
    with virtual_time():
        model = plan.inject(len)
        model("a")
        time.sleep(1.5)
        ends(model, 1)
    assert plan.history == (Injected(1.5, 2, "len", "error(ConnectionError), on calls 2"),)
    assert str(plan.history[0]) == "1.500 s  call 2 of len: error(ConnectionError), on calls 2"


def test_seconds_count_from_the_first_call_or_from_the_start():
    with virtual_time():
        plan = FaultPlan(BLIP.between(0, 10))
        model = plan.inject(abs)
        time.sleep(100)
        assert ends(model, 1) == ["ConnectionError"]
        time.sleep(10)
        assert ends(model, 1) == [1]
        plan.start()
        assert ends(model, 1) == ["ConnectionError"]


def test_reset_makes_a_plan_new():
    plan = FaultPlan(BLIP.first(1).times(1))
    model = plan.inject(abs)
    assert ends(model, 2) == ["ConnectionError", 2]
    plan.reset()
    assert plan.history == ()
    assert ends(model, 2) == ["ConnectionError", 2]


@pytest.mark.parametrize(
    ("factor", "least", "most"), [(0, 0, 0), (0.5, 60, 140), (2.0, 340, 460), (5.0, 1000, 1000)]
)
def test_probabilities_are_scaled(factor, least, most):
    plan = FaultPlan(BLIP.with_probability(0.2), seed=2)
    scaled = plan.scaled(factor)
    ends(scaled.inject(abs), 1000)
    assert least <= len(scaled.history) <= most
    assert (plan.history, scaled.seed) == ((), 2)


def test_scaling_by_half_has_what_is_certain_strike_every_other_time():
    plan = FaultPlan(BLIP).scaled(0.5)
    ends(plan.inject(abs), 1000)
    assert 420 < len(plan.history) < 580


def test_another_seed_is_a_fresh_plan_of_the_same_faults():
    plan = FaultPlan(BLIP.with_probability(0.5), seed=1)
    ends(plan.inject(abs), 50)
    other = plan.with_seed(2)
    assert (other.seed, other.faults, other.history) == (2, plan.faults, ())
    plan.pid = -1  # as in a child, which may die though its own plans are made there
    assert (plan.with_seed(2).pid, plan.scaled(2).pid) == (-1, -1)
    ends(other.inject(abs), 50)
    assert [one.call for one in other.history] != [one.call for one in plan.history]


def test_a_script_says_call_by_call_what_happens():
    plan = FaultPlan.script(None, ConnectionError, "overload", faults.nan(), lambda: KeyError("x"))
    model = plan.inject(lambda number: 1.0)
    assert str(ends(model, 7)) == ("[1.0, 'ConnectionError', 'APIStatusError', nan, 'KeyError', 1.0, 1.0]")


def test_a_script_begins_again_if_asked_to():
    model = FaultPlan.script(None, ConnectionError, repeat=True).inject(abs)
    assert ends(model, 5) == [1, "ConnectionError", 3, "ConnectionError", 5]


def test_a_plan_travels_to_another_process_without_its_past():
    plan = FaultPlan(BLIP.first(1), seed=9)
    ends(plan.inject(abs), 2)
    twin = pickle.loads(pickle.dumps(plan))
    assert (twin.seed, twin.pid, twin.history) == (9, plan.pid, ())
    assert twin.describe() == plan.describe()
    assert ends(twin.inject(abs), 2) == ["ConnectionError", 2]


def test_a_plan_tells_what_it_is():
    plan = FaultPlan(BLIP.first(1), faults.hang().between(10, 12), seed=3)
    assert plan.describe() == "error(ConnectionError), on calls 1\nhang(), from 10 s to 12 s"
    assert repr(plan) == "FaultPlan(2 faults, seed=3, 0 strikes)"


def test_a_plan_without_faults_changes_nothing():
    assert FaultPlan().inject(len)("abc") == 3


def test_the_short_form_injects_at_once():
    assert ends(faults.inject(abs, BLIP.first(1), seed=4, name="size"), 2) == ["ConnectionError", 2]


@pytest.mark.parametrize(
    ("make", "error", "text"),
    [
        (lambda: FaultPlan(ConnectionError), TypeError, "faults must be made by the functions of"),
        (lambda: FaultPlan(seed=-1), ValueError, "seed must be at least 0, got -1"),
        (lambda: FaultPlan(seed=0.5), TypeError, "seed must be a whole number"),
        (lambda: FaultPlan().with_seed("a"), TypeError, "seed must be a whole number"),
        (lambda: FaultPlan().scaled(-1), ValueError, "factor must not be negative"),
        (lambda: FaultPlan().windows(0), ValueError, "until must be above 0"),
        (FaultPlan.script, ValueError, "entries must name at least one call"),
        (lambda: FaultPlan.script(None, repeat=1), TypeError, "repeat must be True or False"),
        (lambda: FaultPlan.script(5), TypeError, "what must be callable, got 5"),
        (lambda: FaultPlan().inject("model"), TypeError, "it is not callable"),
        (lambda: FaultPlan().inject(len, key=3), TypeError, "key must be callable, got 3"),
        (lambda: FaultPlan().inject(len, colour="stream"), TypeError, "colour must be a Colour"),
        (
            lambda: FaultPlan(faults.cut()).inject(len),
            TypeError,
            r"cut\(after=1\) strikes streams, and 'len'",
        ),
    ],
)
def test_nonsense_is_refused(make, error, text):
    with pytest.raises(error, match=text):
        make()


def test_a_fault_that_does_not_fit_is_told_even_if_a_policy_swallows_its_error():
    plan = FaultPlan(faults.nan().on_calls(2), faults.on_input(faults.nan()).on_calls(3))
    label = Fallback("unsure", on=Exception)(plan.inject(lambda text: "good", name="label"))
    assert [label("a") for _ in range(4)] == ["good", "unsure", "unsure", "good"]
    assert plan.history == ()
    assert [one.call for one in plan.misfits] == [2, 3]
    with pytest.raises(TypeError, match=r"proves nothing there .*: 2\); .* call 2 of label: nan\(\)"):
        plan.refuse_misfits()
    plan.reset()
    assert plan.misfits == ()
    plan.refuse_misfits()


def test_misfits_keep_neither_arguments_nor_answers_alive():
    class Rows:
        pass

    rows = Rows()
    kept = weakref.ref(rows)
    plan = FaultPlan(faults.nan())
    with pytest.raises(TypeError):
        plan.inject(lambda rows: rows)(rows)
    del rows
    gc.collect()
    assert kept() is None
    assert plan.misfits
