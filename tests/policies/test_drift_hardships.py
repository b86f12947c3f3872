"""DriftDetector under hardship: whatever happens, calls are answered, and what is missed is counted."""

import gc
import os
import random
import threading
import tracemalloc

import numpy as np
import pytest

from resilient_ml import CircuitBreaker, DriftDetector, State
from resilient_ml._drivers import blocking
from resilient_ml.drift import Classes, Losses, Numbers, Vectors

from ..drifting import echo, feed, never, score


def told_then_raises(seen):
    def listener(change):
        seen.append((change.before, change.after))
        raise RuntimeError("the listener is broken")

    return listener


def test_a_listener_that_raises_breaks_no_call_and_no_action(world, caplog):
    seen, breaker = [], CircuitBreaker()
    watch = DriftDetector(
        Classes("label", side="input"),
        arl=1000,
        reference_size=100,
        rearm=100,
        breaker=breaker,
        on_change=told_then_raises(seen),
    )
    safe = watch(world.model(0.5))
    for number in range(260):
        world.call(safe, "cat" if number < 130 else "dog")
    watch.flush()
    assert [after for _, after in seen][-1] == "drifted"
    assert breaker.state is State.FORCED_OPEN
    (record,) = caplog.records
    assert record.getMessage().startswith("an event listener raised RuntimeError on Change")


def test_no_call_waits_for_a_listener(world):
    begun, go_on = threading.Event(), threading.Event()

    def slow(change):
        begun.set()
        go_on.wait()

    watch = DriftDetector(Numbers("x", float, side="input", memory=False), reference_size=100, on_change=slow)
    safe = watch(world.model(0.5))
    for _ in range(300):
        world.call(safe, 0.5)
    begun.wait()
    for _ in range(64):
        world.call(safe, 0.5)
    go_on.set()
    watch.flush()


@pytest.mark.parametrize(
    "given",
    [
        {"segment": lambda value: 1 / 0},
        {"segment": lambda value: [value]},
        {"key": lambda value: 1 / 0},
        {"prediction": lambda answer: 1 / 0, "key": float},
        {"confidence": lambda answer: "sure", "key": float},
    ],
)
def test_what_a_function_of_the_user_raises_fails_no_call(world, given):
    if world.colour.streams:
        given = {"segment": lambda value: 1 / 0}
    watch = DriftDetector(Numbers("x", side="input"), **given)
    safe = watch(world.model(7))
    assert world.call(safe, 1.0) == 7
    assert watch.dropped == 1


def test_a_model_that_raises_where_no_segment_can_be_told_raises_its_own_error():
    @DriftDetector(segment=lambda value: 1 / 0)
    def model(value):
        raise KeyError(value)

    with pytest.raises(KeyError) as caught:
        model(1)
    assert caught.value.__context__ is None


def test_a_version_that_cannot_be_told_fails_no_call():
    names = iter(["v1"])
    watch = score(version=lambda: next(names))
    safe = watch(echo)
    assert safe(1.0) == 1.0
    assert watch.dropped == 1
    names = iter(["v1"])
    watch.reset()
    names = iter(["v1"])  # told as the call comes, and no more when it is answered
    assert safe(1.0) == 1.0
    assert watch.dropped == 2


def test_one_signal_that_cannot_be_read_keeps_no_other_from_it():
    watch = DriftDetector(
        Numbers("score", lambda answer: answer["score"]),
        Classes("label", lambda answer: answer["label"]),
        Numbers("length", len, side="input"),
        Numbers("size", side="input"),
        reference_size=100,
    )
    safe = watch(lambda text: {"label": "good"})
    for _ in range(128):
        safe("text")
    watch.flush()
    assert watch.states() == {("label", None): "ok", ("length", None): "ok"}
    assert watch.dropped == 128


def test_what_is_not_finite_is_counted_and_blinds_nobody():
    watch = score()
    safe = watch(echo)
    for value in (float("nan"), float("inf"), np.float64("-inf")):
        feed(safe, 100)
        safe(value)
    watch.flush()
    assert watch.not_finite == 3
    feed(safe, 192, 3.0)
    watch.flush()
    assert watch.state() == "drifted"


def test_whether_answers_are_finite_is_a_class():
    watch = DriftDetector(Classes("finite", lambda answer: bool(np.isfinite(answer))), reference_size=100)
    safe = watch(echo)
    feed(safe, 128)
    for _ in range(64):
        safe(float("nan"))
    watch.flush()
    assert watch.state() == "drifted"


@pytest.mark.parametrize("signal", [Numbers("x", memory=False), Numbers("x"), Vectors("x")])
def test_the_largest_numbers_blind_nobody(signal):
    rng = np.random.default_rng(1)
    watch = DriftDetector(signal, reference_size=200, arl=1000)
    safe = watch(lambda row: row if type(signal) is Vectors else float(row[0]))
    for _ in range(256):
        safe(rng.normal(size=3))
    watch.flush()
    assert watch.state() in ("ok", "warn")
    safe(np.full(3, 1e308))
    safe(np.full(3, -1e308))
    for _ in range(300):
        safe(rng.normal(size=3) + 3.0)
    watch.flush()
    assert watch.state() == "drifted"


@pytest.mark.parametrize("signal", [Numbers("x", memory=False), Numbers("x"), Vectors("x"), Classes("x")])
def test_a_reference_that_is_all_the_same_is_one(signal):
    watch = DriftDetector(signal, reference_size=200, arl=1000)
    safe = watch(echo)
    for _ in range(256):
        safe([1.0, 1.0] if type(signal) is Vectors else 1.0)
    watch.flush()
    assert watch.state() == "ok"
    for _ in range(256):
        safe([2.0, 1.0] if type(signal) is Vectors else 2.0)
    watch.flush()
    assert watch.state() == "drifted"
    assert watch.dropped == 0


def test_a_drift_that_comes_back_is_told_each_time():
    seen = []
    watch = score(on_change=lambda change: seen.append(change.after))
    safe = watch(echo)
    feed(safe, 300)
    for turn in range(3):
        feed(safe, 192, 3.0, seed=turn)
        feed(safe, 1500, seed=100 + turn)
        watch.flush()
    assert [after for after in seen if after != "warn"] == ["ok", *["drifted", "ok"] * 3]


def test_a_drift_that_comes_slowly_is_warned_of():
    for seed in range(5):
        seen = []
        watch = score(arl=10_000, on_change=lambda change, seen=seen: seen.append(change.after))
        safe = watch(echo)
        rng = random.Random(seed)
        for number in range(3000):
            safe(rng.gauss(max(0, number - 1000) / 2000, 1.0))
        watch.flush()
        assert seen[seen.index("drifted") - 1] == "warn"


def test_the_end_of_the_references_is_told_and_closes_the_breaker():
    now, seen, breaker = ["v1"], [], CircuitBreaker()
    watch = score(
        version=lambda: now[0],
        breaker=breaker,
        on_change=lambda change: seen.append((change.before, change.after)),
    )
    safe = watch(echo)
    feed(safe, 300)
    feed(safe, 192, 3.0)
    watch.flush()
    assert breaker.state is State.FORCED_OPEN
    now[0] = "v2"
    feed(safe, 64, 3.0)
    watch.flush()
    assert seen[-1] == ("drifted", "learning")
    assert breaker.state is State.CLOSED
    feed(safe, 300, 3.0)
    feed(safe, 192)
    watch.flush()
    assert breaker.state is State.FORCED_OPEN
    watch.reset()
    assert seen[-1] == ("drifted", "learning")
    assert breaker.state is State.CLOSED


def test_the_first_call_of_a_new_version_is_not_refused():
    now = ["v1"]
    watch = score(version=lambda: now[0], action="refuse", rng=never())
    safe = watch(echo)
    feed(safe, 300)
    feed(safe, 192, 3.0)
    watch.flush()
    assert watch.state() == "drifted"
    now[0] = "v2"
    assert safe(1.0) == 1.0


def test_a_call_during_which_the_version_changes_counts_for_neither():
    now = ["v1"]
    watch = score(version=lambda: now[0], key=lambda value: value)

    @watch
    def swapped(value):
        now[0] = "v2"
        return value

    assert swapped(1.0) == 1.0
    assert (len(watch._watch._queue), len(watch.labels), watch.version) == (0, 0, "v2")
    assert swapped(2.0) == 2.0
    assert (len(watch._watch._queue), len(watch.labels), watch.dropped) == (1, 1, 0)


def test_what_was_left_as_the_references_began_is_not_theirs():
    watch = score()
    safe = watch(echo)
    feed(safe, 10)
    kept = list(watch._watch._queue)
    watch.reset()
    watch._watch._queue.extend(kept)  # by a thread that was slow
    watch.flush()
    assert watch.states() == {}


def test_a_label_for_an_answer_before_the_reset_counts_for_nobody():
    watch = DriftDetector(Losses(tolerated=0.1), arl=100, key=lambda key: key)
    safe = watch(echo)
    for number in range(50):
        safe(number)
    watch.reset()
    for number in range(50):
        assert watch.label(number, "wrong")
    assert watch.state() == "learning"


def test_accuracy_is_read_while_others_answer():
    draw = np.random.default_rng(0)
    sure = draw.uniform(0.5, 1.0, 500)
    watch = DriftDetector(
        Numbers("confidence"),
        confidence=lambda answer: answer,
        calibration=(sure, draw.uniform(size=500) < sure),
        window=500,
    )
    safe = watch(echo)
    threads = [threading.Thread(target=lambda: [safe(0.75) for _ in range(2000)]) for _ in range(8)]
    for thread in threads:
        thread.start()
    while any(thread.is_alive() for thread in threads):
        watch.accuracy()
        watch.state()
        watch.states()
    for thread in threads:
        thread.join()
    assert watch.accuracy().count == 500


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork here")
@pytest.mark.filterwarnings("ignore:This process .* is multi-threaded:DeprecationWarning")
def test_a_forked_child_takes_up_what_its_calls_leave(monkeypatch):
    watch = score(queue=64)
    safe = watch(echo)
    feed(safe, 300)
    watch.flush()
    watch._watch._asked = True  # a worker is on its way, in this process
    asked = []
    monkeypatch.setattr(blocking, "aside", lambda work: asked.append(work) or True)
    child = os.fork()
    if child == 0:
        feed(safe, 64)
        os._exit(0 if asked == [watch._watch.take_up] else 1)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0


def test_memory_is_bounded_whatever_callers_choose():
    watch = DriftDetector(
        Numbers("x", side="input", memory=False),
        Classes("c", lambda value, who: who, side="input"),
        reference_size=100,
        segment=lambda value, who: who,
        key=lambda value, who: who,
        max_segments=4,
        pending=100,
    )
    safe = watch(lambda value, who: who)

    def attack(begin, count):
        for number in range(begin, begin + count):
            safe(1.0, f"attacker {number}")
        watch.flush()
        gc.collect()

    attack(0, 5000)
    tracemalloc.start()
    try:
        attack(5000, 2000)
        before, _ = tracemalloc.get_traced_memory()
        attack(7000, 8000)
        after, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert after - before < 200_000
    assert len(watch.labels) == 100
    assert len(watch.states()) == 10


def test_what_cannot_be_read_is_said_once_without_what_it_was(caplog):
    watch = DriftDetector(Numbers("score"), Numbers("length", len, side="input"))
    safe = watch(echo)
    for _ in range(3):
        safe("a secret")
    (record,) = caplog.records
    assert record.getMessage() == (
        "a drift detector could not read Numbers('score'): ValueError; the call was answered and is counted "
        "in dropped, and so are further ones, unsaid; see what of=, key=, prediction=, confidence=, segment= "
        "return"
    )
    assert watch.dropped == 3


def test_classes_beyond_those_that_are_told_apart_have_no_number_of_their_own() -> None:
    label = Classes("label")
    assert label.read([f"class {number}" for number in range(1000)]).tolist() == list(range(1000))
    assert label.read(["new", "class 3", "newer", "new"]).tolist() == [-1, 3, -1, -1]
