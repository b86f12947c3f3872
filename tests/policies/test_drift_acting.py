"""DriftDetector acts: it refuses for a fallback to answer, says what it would refuse, opens a breaker."""

import random

import pytest

from resilient_ml import (
    CircuitBreaker,
    CircuitOpen,
    DriftDetector,
    Drifted,
    Fallback,
    Pipeline,
    Rejected,
    State,
    events,
    kind_of,
)
from resilient_ml.drift import Losses, Numbers

from ..drifting import echo, feed, never, normal, score


def test_while_it_has_drifted_a_fallback_answers_and_probes_find_the_end():
    seen = []
    watch = score(
        arl=1e6, action="refuse", probe=0.25, rng=random.Random(1), on_event=seen.append, name="sentiment"
    )
    guard = Pipeline(Fallback("lexicon"), watch)
    safe = guard(echo)
    feed(safe, 300)
    feed(safe, 192, 3.0)
    watch.flush()
    draws = normal(3.0, 7)
    answers = [guard.outcome(echo, next(draws)) for _ in range(200)]
    share = sum(out.value == "lexicon" for out in answers) / 200
    assert 0.65 < share < 0.85
    assert all(out.degraded for out in answers)  # probes too
    assert watch.state() == "drifted"
    feed(safe, 12_000, seed=9)
    watch.flush()
    assert watch.state() == "ok"
    assert guard.outcome(echo, 0.1).degraded is False
    assert {event.reason for event in seen if type(event) is events.CallRejected} == {"the model has drifted"}


def test_a_refused_call_leaves_no_prediction():
    watch = DriftDetector(
        Numbers("x", side="input", memory=False),
        Losses(tolerated=0.1),
        arl=1e6,
        reference_size=200,
        action="refuse",
        rng=never(),
        key=lambda value: value,
    )
    safe = watch(echo)
    feed(safe, 300)
    feed(safe, 192, 3.0)
    watch.flush()
    before = len(watch.labels)
    with pytest.raises(Drifted):
        safe(99.0)
    assert len(watch.labels) == before


def test_the_inputs_of_refused_calls_say_when_it_is_over():
    watch = DriftDetector(
        Numbers("x", side="input", memory=False),
        Numbers("y", memory=False),
        arl=1e6,
        reference_size=200,
        rearm=100,
        action="refuse",
        rng=never(),
    )
    safe = watch(lambda value: 0.5 * random.random())
    feed(safe, 300)
    feed(safe, 192, 3.0)
    watch.flush()
    assert watch.states() == {("x", None): "drifted", ("y", None): "ok"}
    feed(safe, 1500, seed=5)
    watch.flush()
    assert watch.state() == "ok"


def test_a_refusal_says_what_has_drifted():
    watch = score(action="refuse", rng=never(), name="sentiment")
    safe = watch(echo)
    feed(safe, 300)
    feed(safe, 192, 3.0)
    watch.flush()
    with pytest.raises(Drifted) as caught:
        safe(1.0)
    assert str(caught.value) == (
        "'sentiment' holds this call back, as 'score' has drifted from its reference; put a Fallback outside "
        "it, or call reset() once the model fits again"
    )
    assert isinstance(caught.value, Rejected)
    assert kind_of(caught.value).treatment.try_elsewhere
    watch.reset()
    assert watch.state() == "learning"
    assert safe(1.0) == 1.0


def test_in_its_shadow_it_says_what_it_would_refuse():
    seen = []
    watch = score(action="shadow", on_event=seen.append)
    safe = watch(echo)
    feed(safe, 300)
    feed(safe, 192, 3.0)
    watch.flush()
    assert safe(1.0) == 1.0
    assert seen[-1].shadow is True


def test_a_breaker_is_held_open_until_all_is_over():
    breaker = CircuitBreaker()
    watch = score(breaker=breaker)
    safe = watch(echo)
    feed(safe, 300)
    feed(safe, 192, 3.0)
    watch.flush()
    assert breaker.state is State.FORCED_OPEN
    with pytest.raises(CircuitOpen):
        breaker(echo)(1)
    feed(safe, 640, seed=5)
    watch.flush()
    assert watch.state() == "ok"
    assert breaker.state is State.CLOSED
    feed(safe, 192, 3.0)
    watch.flush()
    watch.reset()
    assert breaker.state is State.CLOSED
