"""Configurations: nothing, a pipeline, a policy, anybody's decorator, or what makes one."""

import functools

import pytest

from resilient_ml import (
    CircuitBreaker,
    Colour,
    Fallback,
    Pipeline,
    Policy,
    PolicyOrderWarning,
    Retry,
    State,
    Timeout,
)
from resilient_ml.evaluate.configurations import describe, guard, made, named


def model(x):
    return x


def twice(fn):
    @functools.wraps(fn)
    def doubled(*args):
        return 2 * fn(*args)

    return doubled


def test_a_single_configuration_is_compared_with_the_naked_model():
    retry = Retry()
    assert named(retry) == {"naked": None, "guarded": retry}
    assert named({"a": retry}) == {"a": retry}


@pytest.mark.parametrize(
    ("configuration", "answer"),
    [(None, 3), (Retry(), 3), (Pipeline(Retry()), 3), (twice, 6), (lambda: twice, 6), (lambda: None, 3)],
)
def test_every_kind_of_configuration_guards(configuration, answer):
    assert guard("it", made(configuration), model, Colour.CALL)(3) == answer


def test_none_is_the_model_itself():
    assert guard("it", None, model, Colour.CALL) is model


def test_policies_are_used_as_new_and_yours_stay_as_they_are():
    breaker = CircuitBreaker(name="mine")
    breaker.force_open()
    fresh = made(Pipeline(Retry(attempts=7), breaker, name="outer"))
    assert [policy.describe() for policy in fresh.policies] == [
        Retry(attempts=7).describe(),
        breaker.describe(),
    ]
    assert fresh.policies[1].state is State.CLOSED
    assert (fresh.name, fresh.policies[1].name) == ("outer", "mine")
    assert made(breaker).state is State.CLOSED
    assert breaker.state is State.FORCED_OPEN


def test_an_order_that_was_complained_about_is_not_complained_about_again():
    with pytest.warns(PolicyOrderWarning):
        pipeline = Pipeline(CircuitBreaker(), Fallback(7))
    assert made(pipeline).policies


def test_a_function_without_parameters_is_asked_for_what_to_use():
    fresh = made(lambda: lambda: Retry(attempts=7))
    assert isinstance(fresh, Retry)
    assert made(Retry) is Retry  # a class has parameters


def test_a_builtin_that_hides_its_parameters_is_a_decorator():
    assert made(dict) is dict


@pytest.mark.parametrize(
    ("configuration", "found"),
    [(lambda fn: 7, "got 7"), (lambda fn: None, "got None"), (lambda fn: [fn], "type list")],
)
def test_what_does_not_make_a_callable_is_refused(configuration, found):
    with pytest.raises(TypeError, match=f"configuration 'it' must make a call of a call, .*{found}"):
        guard("it", configuration, model, Colour.CALL)


def test_what_changes_the_colour_is_refused():
    async def awaited(x):
        return x

    with pytest.raises(
        TypeError, match="must make a call of a call, got async call; pass a decorator that keeps"
    ):
        guard("it", lambda fn: awaited, model, Colour.CALL)
    with pytest.raises(TypeError, match="must make an async call of an async call, got call"):
        guard("it", lambda fn: model, awaited, Colour.ASYNC_CALL)


@pytest.mark.parametrize(
    ("given", "kind", "message"),
    [
        ({}, ValueError, "configurations must hold at least one, got none"),
        ({"two words": None}, ValueError, "the name of a configuration must be letters"),
        ({7: None}, ValueError, "the name of a configuration must be letters, digits and underscores, got 7"),
        ({"a": 7}, TypeError, "configuration 'a' must be None, a Pipeline, a Policy or a decorator, got 7"),
    ],
)
def test_what_is_no_configuration_is_refused(given, kind, message):
    with pytest.raises(kind, match=message):
        named(given)


@pytest.mark.parametrize(
    ("configuration", "text"),
    [
        (None, "the model alone"),
        (Timeout(1.0), "Timeout(1 s)"),
        (Pipeline(Timeout(1.0)), "Pipeline, outermost first:\n  1. Timeout(1 s)"),
        (twice, "decorated by twice"),
        (functools.partial(twice), "decorated by partial"),
        (Policy(), "Policy()"),
    ],
)
def test_a_configuration_is_described(configuration, text):
    assert describe(configuration) == text
