"""Hostile objects: exceptions that lie, payloads that must not be touched, and chains without end."""

import pytest

from resilient_ml import (
    Bulkhead,
    CircuitBreaker,
    Fallback,
    Keyed,
    Kind,
    Pipeline,
    Retry,
    Timeout,
    kind_of,
)
from resilient_ml.testing import faults
from resilient_ml.testing.faults import FaultPlan

from ..every_policy import AT_ONCE
from .struck import Guarded, computing, made

HOSTILE = ["falsy_error", "lying_error", "unprintable_error", "huge_error", "cyclic_causes", "huge_notes"]


@pytest.mark.parametrize("name", HOSTILE)
def test_a_hostile_exception_is_tried_again_counted_and_raised_as_it_is(world, name):
    plan = FaultPlan(made(name).first(3))
    guarded = Guarded(plan.inject(world.model("cat")))
    error = world.failure(guarded.safe)
    assert type(error).__name__ in {"".join(part.title() for part in name.split("_")), "RuntimeError"}
    assert len(plan.history) == 2
    assert guarded.breaker.failures == {Kind.UNKNOWN: 2}
    assert world.call(guarded.safe) == "cat"  # ridden out
    assert guarded.at_rest


@pytest.mark.parametrize("name", HOSTILE)
def test_a_hostile_exception_is_answered_for(call_world, name):
    safe = Guarded(faults.inject(call_world.model("cat"), made(name)), fallback="neutral").safe
    assert call_world.call(safe) == "neutral"


def test_the_text_of_an_exception_is_never_asked_for():
    asked = []

    class Loud(Exception):
        def __str__(self):
            asked.append("text")
            return "CUDA out of memory"

        __repr__ = __str__

    plan = FaultPlan(faults.error(Loud))
    guard = Pipeline(
        Fallback("neutral"), Retry(2, backoff=AT_ONCE), CircuitBreaker(), Bulkhead(1), Timeout(60)
    )
    outcome = guard.outcome(plan.inject(len), "cat")
    assert outcome.value == "neutral"
    assert len(plan.history) == 2
    assert asked == []


def test_an_exception_with_very_many_notes_is_given_no_more(world):
    safe = Guarded(faults.inject(world.model("cat"), made("huge_notes"))).safe
    assert len(world.failure(safe).__notes__) == 10_000


GROUPS = [
    (("connection", "bad_input"), Kind.CONNECTION, 2),
    (("bad_input", "auth"), Kind.BAD_INPUT, 1),
    (("oom", "bad_input"), Kind.OOM, 1),
]


@pytest.mark.parametrize(("members", "kind", "attempts"), GROUPS)
def test_the_worst_of_a_group_decides(world, members, kind, attempts):
    plan = FaultPlan(made("error_group") if members == GROUPS[0][0] else faults.error_group(*members))
    guarded = Guarded(plan.inject(world.model("cat")))
    error = world.failure(guarded.safe)
    assert isinstance(error, ExceptionGroup)
    assert len(error.exceptions) == 2
    assert kind_of(error) is kind
    assert len(plan.history) == attempts
    assert guarded.breaker.failures == ({kind: attempts} if kind is not Kind.BAD_INPUT else {})


class Untouchable:
    """A payload that must be handed on and nothing else: each way of looking into it is written down."""

    def __init__(self):
        self.size = 1 << 30
        self.touched = []

    def touch(self, *_):
        self.touched.append("touched")
        raise AssertionError("the payload was looked into")

    __repr__ = __str__ = __len__ = __bool__ = __eq__ = __hash__ = __iter__ = touch
    __copy__ = __deepcopy__ = __reduce__ = __reduce_ex__ = __getitem__ = __contains__ = touch


def guards():
    return {
        "retry": lambda: Retry(2, backoff=AT_ONCE),
        "breaker": CircuitBreaker,
        "bulkhead": lambda: Bulkhead(1, queue=1),
        "timeout": lambda: Timeout(60),
        "fallback": lambda: Fallback(lambda payload: payload),
        "keyed": lambda: Keyed(CircuitBreaker, key=lambda payload: "all"),
    }


@pytest.mark.parametrize("make", list(guards().values()), ids=list(guards()))
def test_a_huge_payload_is_handed_on_and_never_looked_into(world, make):
    payload = Untouchable()
    plan = FaultPlan(made("server_error").first(1))
    safe = Pipeline(make(), name="embed")(plan.inject(computing(world, lambda payload: payload)))
    ends, errors = [], []

    def twice():
        for _ in range(2):
            try:
                ends.append(world.call(safe, payload) is payload)
            except faults.APIStatusError as error:
                errors.append(repr(error) + repr(vars(error)))

    async def atwice():  # in one run: asyncio's runner itself shows what a task returns
        for _ in range(2):
            try:
                ends.append(await world.use(safe, payload, {}) is payload)
            except faults.APIStatusError as error:
                errors.append(repr(error) + repr(vars(error)))

    world.run(atwice) if world.is_async else twice()
    assert len(ends) + len(errors) == 2
    assert set(ends) == {True}
    assert "Untouchable" not in "".join(errors)
    assert payload.touched == []
