"""DriftDetector in every colour: it watches without being felt, tells what moved, and acts where told to."""

import asyncio
import itertools
import pickle
import random
import threading

import numpy as np
import pytest

from resilient_ml import (
    CircuitBreaker,
    DriftDetector,
    Drifted,
    Kind,
    Pipeline,
)
from resilient_ml._drivers import workers
from resilient_ml.drift import Classes, Losses, Numbers, Vectors

from ..drifting import echo, feed, never, normal, score


def test_what_a_model_answers_is_watched(world):
    seen = []
    watch = (
        DriftDetector(
            Classes("label"), arl=100, reference_size=100, rearm=100, on_event=seen.append, name="pets"
        )
        if not world.colour.streams
        else DriftDetector(
            Classes("label", side="input"),
            arl=100,
            reference_size=100,
            rearm=100,
            on_event=seen.append,
            name="pets",
        )
    )
    model = world.model(*["cat"] * 128, "dog")
    safe = watch(model)
    for number in range(400):
        world.call(safe, "cat" if number < 128 else "dog")
    watch.flush()
    assert watch.state() == "drifted"
    steps = [(event.before, event.after) for event in seen]
    assert steps[0] == ("learning", "ok")
    assert steps[-1][1] == "drifted"
    assert seen[-1].signal == "label"
    assert seen[-1].policy == "pets"
    assert seen[-1].moved.split()[0] in ("cat", "others", "dog")
    assert watch.dropped == 0


def test_nobody_waits_for_what_is_taken_up(world):
    watch = score() if not world.colour.streams else DriftDetector(Numbers("x", side="input"))
    model = world.model(0.5)
    safe = watch(model)
    for _ in range(130):
        assert world.call(safe, 0.5) == 0.5
    watch.flush()
    assert len(watch._watch._queue) == 0


def test_what_a_call_has_taken_up_is_no_attempt_of_its_own():
    watch = score()
    guard = Pipeline(watch)
    outcomes = [guard.outcome(echo, 0.5) for _ in range(130)]  # the first full batch asks for a worker
    watch.flush()
    assert {len(outcome.attempts) for outcome in outcomes} == {1}
    assert len(watch._watch._queue) == 0


def test_by_default_it_only_tells():
    watch = score()
    safe = watch(echo)
    feed(safe, 300)
    feed(safe, 200, 3.0)
    watch.flush()
    assert watch.state() == "drifted"
    assert safe(1.0) == 1.0
    assert watch.states() == {("score", None): "drifted"}


def test_what_was_not_told_yet_is_forgotten_by_a_reset():
    seen = []
    watch = score(on_change=seen.append)
    safe = watch(echo)
    feed(safe, 40)
    watch._watch._changes.append("something that was noticed")
    watch.reset()
    watch.flush()
    assert seen == []


def test_changes_are_handed_to_a_function_with_the_evidence():
    seen = []
    watch = DriftDetector(
        Vectors("row", side="input", names=("age", "income")), reference_size=200, on_change=seen.append
    )
    safe = watch(lambda row: 1.0)
    rng = np.random.default_rng(1)
    for _ in range(300):
        safe(rng.normal(size=2))
    for _ in range(100):
        safe(rng.normal(size=2) + np.array([0.0, 3.0]))
    watch.flush()
    assert [change.after for change in seen if change.after != "warn"] == ["ok", "drifted"]
    assert seen[-1].parts[0][0] == "income"
    assert seen[-1].evidence.effect > 0


def test_segments_are_told_apart():
    watch = score(segment=lambda value, tenant="a": tenant, action="refuse", rng=never())
    safe = watch(lambda value, tenant="a": value)
    feed(safe, 300, tenant="a")
    feed(safe, 300, 5.0, tenant="b")
    feed(safe, 192, 5.0, tenant="a")
    watch.flush()
    assert (watch.state("a"), watch.state("b")) == ("drifted", "ok")
    assert safe(5.0, tenant="b") == 5.0
    with pytest.raises(Drifted):
        safe(5.0, tenant="a")


def test_a_new_version_of_the_model_learns_its_own_reference():
    now = ["v1"]
    watch = score(version=lambda: now[0])
    safe = watch(echo)
    feed(safe, 300)
    watch.flush()
    assert (watch.version, watch.state()) == ("v1", "ok")
    now[0] = "v2"
    feed(safe, 64, 9.0)
    watch.flush()
    assert watch.version == "v2"
    assert watch.state() == "learning"
    feed(safe, 500, 9.0)
    watch.flush()
    assert watch.state() == "ok"


def test_references_may_be_given():
    rng = np.random.default_rng(1)
    watch = DriftDetector(Numbers("score"), references={"score": rng.normal(size=500)})
    safe = watch(echo)
    feed(safe, 192, 3.0)
    watch.flush()
    assert watch.state() == "drifted"


def test_a_sample_is_watched_and_the_queue_is_bounded():
    watch = score(sample=0.25, rng=random.Random(1))
    safe = watch(echo)
    feed(safe, 40)
    assert 3 <= len(watch._watch._queue) <= 18
    watch = score(queue=64)
    watch._watch._lock.__enter__()
    safe = watch(echo)
    thread = threading.Thread(target=feed, args=(safe, 100))
    thread.start()
    thread.join()
    watch._watch._lock.__exit__()
    assert len(watch._watch._queue) == 64
    assert watch.dropped == 36


def test_what_nobody_takes_up_is_dropped_and_counted():
    watch = score(queue=64)
    safe = watch(echo)
    with watch._watch._lock:  # on this thread, so that the worker finds it held
        threads = threading.active_count()
        feed(safe, 564)
        assert threading.active_count() <= threads + 1  # one worker at a time
    assert watch.dropped == 500
    watch.flush()
    assert len(watch._watch._queue) == 0


def no_threads(monkeypatch):
    """The system refuses more threads, and none is idle."""

    def refuse(self):
        raise RuntimeError("can't start new thread")

    monkeypatch.setattr("resilient_ml._drivers.workers._pool", workers._Pool())
    monkeypatch.setattr(threading.Thread, "start", refuse)


@pytest.mark.parametrize("colour", ["call", "async call"])
def test_where_no_thread_can_be_started_the_call_is_answered_all_the_same(monkeypatch, colour):
    watch = score()

    async def answers(count, safe):
        for draw in itertools.islice(normal(), count):
            await safe(draw)

    async def aecho(value):
        return value

    if colour == "call":
        safe, some = watch(echo), feed
    else:
        safe = watch(aecho)

        def some(safe, count):
            asyncio.run(answers(count, safe))

    with monkeypatch.context() as patch:
        no_threads(patch)
        some(safe, 200)
    assert len(watch._watch._queue) == 200
    some(safe, 1)
    watch.flush()
    assert watch.dropped == 0
    assert watch.state() == "ok"


def test_what_cannot_be_read_never_fails_a_call():
    watch = score()
    safe = watch(echo)
    assert safe("text") == "text"
    assert watch.dropped == 1
    wide = DriftDetector(Vectors("row"), reference_size=100)
    safe = wide(echo)
    for _ in range(100):
        safe(np.random.default_rng(1).normal(size=3))
    wide.flush()
    for _ in range(10):
        safe([1.0, 2.0])
    wide.flush()
    assert wide.dropped == 10


def test_a_failed_call_leaves_nothing():
    watch = score()

    @watch
    def model(value):
        raise KeyError(value)

    with pytest.raises(KeyError):
        model(1)
    assert len(watch._watch._queue) == 0
    assert watch.forgettable()


def test_a_stream_has_inputs_alone():
    def tokens(text):
        yield text

    with pytest.raises(
        TypeError, match=r"DriftDetector cannot watch the answers of stream '.*tokens', which come in"
    ):
        score()(tokens)
    with pytest.raises(TypeError, match="cannot watch the answers"):
        DriftDetector(Losses(), key=len)(tokens)
    watch = DriftDetector(Numbers("length", len, side="input"), reference_size=100)
    safe = watch(tokens)
    for _ in range(128):
        list(safe("text"))
    watch.flush()
    assert watch.state() == "ok"


def test_a_call_without_arguments_has_no_input():
    watch = DriftDetector(Numbers("x", side="input"))
    assert watch(lambda: 7)() == 7
    assert watch.dropped == 1


def test_a_version_that_another_thread_has_seen_first_is_no_news():
    watch = score(version=lambda: "v1")
    feed(watch(echo), 10)
    watch._watch.version = "v0"
    watch._watch._lock.__enter__()
    thread = threading.Thread(target=watch._watch._see_version, args=(lambda: "v1",))
    thread.start()
    watch._watch.version = "v1"
    watch._watch._lock.__exit__()
    thread.join()
    assert len(watch._watch._queue) == 10


def test_inputs_by_name_are_the_first_too():
    watch = DriftDetector(Numbers("x", side="input"), Numbers("twice", lambda x: 2 * x, side="input"))
    safe = watch(lambda x: None)
    safe(x=1.0)
    (noted,) = watch._watch._queue
    assert [value for _, value in noted.taken] == [1.0, 2.0]


def test_threads_share_it():
    watch = score(reference_size=1000)
    safe = watch(echo)
    threads = [
        threading.Thread(target=feed, args=(safe, 2000), kwargs={"seed": number}) for number in range(4)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    watch.flush()
    ((channel,),) = [tuple(one.values()) for one in watch._watch.monitor._channels.values()]
    assert channel.seen + 1000 + watch.dropped == 8000


def test_a_listener_may_look_and_begin_anew_while_it_is_told():
    seen = []

    def look(change):
        seen.append((change.after, watch.state()))
        watch.flush()
        if change.after == "drifted":
            watch.reset()

    watch = score(on_change=look)
    safe = watch(echo)
    feed(safe, 300)
    feed(safe, 192, 3.0)
    watch.flush()
    assert ("drifted", "drifted") in seen
    assert watch.state() in ("learning", "ok")


def test_it_says_what_it_is_and_travels():
    watch = DriftDetector(Numbers("a"), Classes("b"), arl=5000)
    assert repr(watch) == "DriftDetector(Numbers('a'), Classes('b'), arl=5000, action='advise')"
    assert repr(DriftDetector()) == "DriftDetector(Numbers('answer'), arl=10000, action='advise')"
    again = pickle.loads(pickle.dumps(watch))
    assert repr(again) == repr(watch)
    assert Kind.OVERLOAD


@pytest.mark.parametrize(
    ("make", "kind", "text"),
    [
        (lambda: DriftDetector("score"), TypeError, "signals must be of resilient_ml.drift, got 'score'"),
        (lambda: DriftDetector(Numbers("a"), Classes("a")), ValueError, "signals must have different names"),
        (lambda: DriftDetector(Losses()), ValueError, "Losses need key="),
        (lambda: DriftDetector(arl=5), ValueError, "arl must be at least 100, got 5"),
        (lambda: DriftDetector(reference_size=5), ValueError, "reference_size must be at least 100"),
        (lambda: DriftDetector(rearm=0), ValueError, "rearm must be at least 1"),
        (lambda: DriftDetector(sample=0), ValueError, "sample must be above 0"),
        (lambda: DriftDetector(probe=0), ValueError, "probe must be above 0"),
        (lambda: DriftDetector(action="stop"), ValueError, "action must be 'advise' or 'shadow' or 'refuse'"),
        (lambda: DriftDetector([Numbers("a")]), TypeError, "pass them one by one"),
        (lambda: DriftDetector(breaker=3), TypeError, "breaker must be a CircuitBreaker"),
        (lambda: DriftDetector(breaker=CircuitBreaker), TypeError, "breaker must be a CircuitBreaker"),
        (lambda: DriftDetector(rng=3), AttributeError, "random"),
        (lambda: DriftDetector(references=[1]), TypeError, "references must be a dict, got an object"),
        (
            lambda: DriftDetector(Numbers("x"), references={"x": ["a", "b"]}),
            ValueError,
            "references['x'] cannot be read as Numbers('x'): could not convert string to float: 'a'; pass",
        ),
        (
            lambda: DriftDetector(Numbers("x"), references={"x": [1.0] * 5}),
            ValueError,
            "references['x'] cannot be used: reference must hold at least 20 finite values, got 5",
        ),
        (
            lambda: DriftDetector(confidence=float, calibration=[1]),
            TypeError,
            "calibration must be (confidences, correct), got an object of type list; pass two arrays",
        ),
        (lambda: DriftDetector(queue=5), ValueError, "queue must be at least 64"),
        (lambda: DriftDetector(key=5), TypeError, "key must be callable"),
        (lambda: DriftDetector(calibration=([], [])), ValueError, "calibration needs confidence="),
        (lambda: DriftDetector(label_seconds=0), ValueError, "label_seconds must be above 0"),
        (lambda: DriftDetector(references={"x": [1]}), ValueError, "references must name signals, got 'x'"),
    ],
)
def test_what_it_cannot_be_is_refused(make, kind, text):
    with pytest.raises(kind) as caught:
        make()
    assert text in str(caught.value)


def test_the_stratum_is_that_of_the_call_and_not_of_when_it_is_taken_up():
    hour = 0
    watch = DriftDetector(Numbers("load", strata=lambda: hour % 2), arl=2000, reference_size=100)
    safe = watch(echo)
    draw = random.Random(5).gauss
    for hour in range(40):
        for _ in range(30):
            safe(draw(9.0 * (hour % 2), 1))
    watch.flush()
    assert watch.state() == "ok"
    hour = 40
    for _ in range(30):
        safe(draw(9.0, 1))
    watch.flush()
    assert watch.state() == "drifted"
