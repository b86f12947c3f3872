"""Policies composed: stacking, calling through, orders that hurt, and how a pipeline prints itself."""

import inspect
import types
import warnings

import pytest

from resilient_ml import (
    Budget,
    Bulkhead,
    Cache,
    CircuitBreaker,
    Coalesce,
    ConstantBackoff,
    Fallback,
    Hedge,
    Keyed,
    Pipeline,
    Policy,
    PolicyOrderWarning,
    RateLimiter,
    Retry,
    Throttle,
    Timeout,
)

from .worlds import hang, items, slow


class Mark(Policy):
    """Writes down when a call passes it."""

    def __init__(self, mark, seen, role="policy"):
        super().__init__(name=mark)
        self.mark = mark
        self.seen = seen
        self.role = role

    async def around(self, proceed, call):
        self.seen.append(self.mark)
        try:
            return await proceed(call)
        finally:
            self.seen.append("/" + self.mark)


# ---- composing


def test_the_first_policy_is_the_outermost(world):
    seen = []
    Pipeline(Mark("a", seen), Mark("b", seen))(world.model("cat"))
    assert world.call(Pipeline(Mark("a", seen), Mark("b", seen))(world.model("cat"))) == "cat"
    assert seen == ["a", "b", "/b", "/a"]


def test_stacked_decorators_are_one_pipeline(world):
    seen = []
    model = world.model("cat")
    stacked = Mark("a", seen)(Mark("b", seen)(model))
    assert world.call(stacked) == "cat"
    assert seen == ["a", "b", "/b", "/a"]
    assert [policy.name for policy in stacked.__resilient_ml__.pipeline.policies] == ["a", "b"]
    assert stacked.__wrapped__ is model


def test_pipelines_within_pipelines_are_one(world):
    seen = []
    whole = Pipeline(Pipeline(Mark("a", seen), Mark("b", seen)), Mark("c", seen))
    assert world.call(whole(world.model("cat"))) == "cat"
    assert seen[:3] == ["a", "b", "c"]
    assert len(whole.policies) == 3


def test_a_pipeline_of_nothing_changes_nothing(world):
    assert world.call(Pipeline()(world.model("cat"))) == "cat"
    assert isinstance(world.failure(Pipeline()(world.model(KeyError))), KeyError)


def test_a_pipeline_may_guard_many_functions(world):
    guard = Pipeline(Retry(2, backoff=ConstantBackoff(0)))
    assert [world.call(guard(world.model(ConnectionError, name))) for name in "abc"] == ["a", "b", "c"]


def test_a_policy_takes_the_name_of_the_first_function_it_guards(world):
    retry, named = Retry(), Retry(name="mine")
    assert retry.name == "Retry"
    for policy in (retry, named):
        policy(world.model("cat", name="first"))
        policy(world.model("cat", name="second"))
    assert (retry.name, named.name) == ("first", "mine")


def test_a_pipelines_name_is_its_policies_name(world):
    bulkhead, named = Bulkhead(1), Bulkhead(1, name="mine")
    Pipeline(bulkhead, named, name="embedder")
    assert (bulkhead.name, named.name) == ("embedder", "mine")


@pytest.mark.parametrize("given", [None, len, Retry, "retry"])
def test_what_is_no_policy_is_refused(given):
    with pytest.raises(
        TypeError, match=r"a Pipeline is made of policies, got .*; make one with Retry\(\), say"
    ):
        Pipeline(given)


def test_a_policy_may_refuse_a_function(world):
    class Picky(Policy):
        def check(self, target):
            raise TypeError(
                f"Picky cannot guard {target.colour.value} {target.name!r}: it is picky; leave it out"
            )

    with pytest.raises(TypeError, match=f"Picky cannot guard {world.colour.value} 'model'"):
        Picky()(world.model("cat"))


def test_a_policy_that_says_nothing_lets_everything_through(world):
    assert world.call(Policy()(world.model("cat"))) == "cat"
    assert repr(Policy()) == "Policy()"
    assert Policy().forgettable()


# ---- printing


def test_a_pipeline_prints_itself():
    guard = Pipeline(Fallback(0), Timeout(2), name="embedder")
    assert str(guard) == (
        "Pipeline 'embedder', outermost first:\n  1. Fallback(a value of type int)\n  2. Timeout(2 s)"
    )
    assert repr(guard) == "Pipeline(Fallback(a value of type int), Timeout(2 s))"
    assert str(Pipeline()) == "Pipeline, outermost first:"


# ---- orders that hurt


def complaints(*policies):
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        Pipeline(*policies)
    return [str(one.message) for one in caught]


class RateLimit(Policy):
    role = "rate_limiter"


@pytest.mark.parametrize(
    ("policies", "words"),
    [
        (
            (Timeout(1), Bulkhead(1)),
            "a Timeout outside a limiter counts the time in its queue as the model's",
        ),
        ((RateLimit(), Retry()), "a rate limit outside a Retry is charged once for all its attempts"),
        ((RateLimiter(60), Hedge()), "a rate limit outside a Hedge is charged once"),
        ((RateLimiter(60), Cache()), "a Cache inside a rate limit is charged for answers that cost nothing"),
        ((RateLimiter(60), Coalesce()), "a Coalesce inside a rate limit is charged"),
        ((Budget(9, cost=1), Retry()), "a Budget outside a Retry is charged once"),
        ((Budget(9, cost=1), Hedge()), "a Budget outside a Hedge is charged once"),
        ((Budget(9, cost=1), Cache()), "a Cache inside a Budget is charged"),
        ((Throttle(), Retry()), "a Throttle outside a Retry counts one call for several"),
        ((CircuitBreaker(), Fallback(1)), "a Fallback inside a CircuitBreaker hides every failure from it"),
        ((CircuitBreaker(), Retry()), "a Retry inside a CircuitBreaker shows it one failure for several"),
        ((CircuitBreaker(), Keyed(Retry, key=len)), "a Retry inside a CircuitBreaker"),
    ],
)
def test_an_order_that_hurts_is_warned_of_with_the_reason(policies, words):
    told = complaints(*policies)
    assert len(told) == 1
    assert told[0].startswith(words)
    assert "; put " in told[0] or ", and goes on" in told[0]


@pytest.mark.parametrize(
    "policies",
    [
        (Fallback(1), Retry(), CircuitBreaker(), Bulkhead(1), Timeout(1)),
        (Timeout(9), Retry(), Bulkhead(1), Timeout(1)),
        (Retry(), RateLimit(), Timeout(1)),
        (Cache(), Coalesce(), Retry(), Hedge(), Budget(9, cost=1), RateLimiter(60), Throttle(), Timeout(1)),
        (Timeout(1), Retry()),
        (),
    ],
)
def test_an_order_that_does_not_hurt_is_not_warned_of(policies):
    assert complaints(*policies) == []


def test_a_stack_of_decorators_warns_once_where_the_user_wrote_it():
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        Fallback(0)(CircuitBreaker()(Retry()(len)))
    assert [one.category for one in caught] == [PolicyOrderWarning]
    assert caught[0].filename == __file__


def foreign(library):
    """A function as that library's decorator would make it."""

    def wrapper(*args):
        return "cat"

    made = types.FunctionType(wrapper.__code__, {"__name__": f"{library}.core"}, "wrapper")
    made.__wrapped__ = len
    return made


def test_a_retry_outside_another_librarys_retry_is_warned_of(recwarn):
    with pytest.warns(PolicyOrderWarning, match="a Retry outside tenacity's retry multiplies the attempts"):
        Retry()(foreign("tenacity"))
    Timeout(1)(foreign("tenacity"))
    Retry()(foreign("requests"))
    assert not recwarn.list


def test_another_librarys_retry_is_found_beneath_wrappers():
    def wrapper():
        return None

    class Model:
        predict = wrapper

    wrapper.__wrapped__ = foreign("stamina")
    with pytest.warns(PolicyOrderWarning, match="stamina's retry"):
        Retry()(Model().predict)
    looped = foreign("requests")
    looped.__wrapped__ = looped
    Retry()(looped)
    chain = foreign("requests")
    for _ in range(40):
        outer = foreign("requests")
        outer.__wrapped__ = chain
        chain = outer
    Retry()(chain)


def test_calling_through_warns_of_another_librarys_retry_too():
    guard = Pipeline(Retry())
    with pytest.warns(PolicyOrderWarning, match="backoff's retry"):
        guard.call(foreign("backoff"), [])


# ---- transparency


def test_every_policy_passes_arguments_results_and_errors_through_untouched(world):
    class Rows:
        def __eq__(self, other):
            raise AssertionError("compared")

        def __bool__(self):
            raise AssertionError("asked")

        __hash__ = None

        def __repr__(self):
            raise AssertionError("shown")

    rows, answer, error = Rows(), Rows(), KeyError("row")
    guard = Pipeline(Fallback(0, on=OSError), Retry(1), CircuitBreaker(), Bulkhead(1), Timeout(5))
    model = world.model(answer, error)
    safe = guard(model)
    assert world.call(safe, rows, rows=rows) is answer
    assert model.asked[0][0][0] is rows
    assert model.asked[0][1]["rows"] is rows
    assert world.failure(safe, rows) is error


def test_a_stack_of_everything_works_in_every_colour(world):
    bulkhead = Bulkhead(1, queue=1)
    guard = Pipeline(
        Fallback("popular"),
        Retry(3, backoff=ConstantBackoff(1)),
        CircuitBreaker(),
        bulkhead,
        Timeout(2),
    )
    model = world.model(ConnectionError, hang() if world.is_async else slow(3), items("cat"))
    assert world.call(guard(model)) == "cat"
    assert model.starts == [0, 1, 4]
    world.clock.release()
    assert bulkhead.in_flight == 0


def test_signatures_survive_a_stack_of_decorators():
    @Fallback(0)
    @Retry()
    def predict(row: int, *, scale: int = 2) -> int:
        """Predict."""
        return row * scale

    assert str(inspect.signature(predict)) == "(row: int, *, scale: int = 2) -> int"
    assert predict.__doc__ == "Predict."


def test_a_policy_holds_no_stream_to_a_contract_unless_it_says_so():
    assert Policy().follow(None) is None
