"""Keyed in every colour: a policy for each key, and a bound on keys."""

import anyio
import pytest

from resilient_ml import (
    Bulkhead,
    BulkheadFull,
    CircuitBreaker,
    CircuitOpen,
    Fallback,
    Keyed,
    Pipeline,
    Policy,
    Retry,
    State,
    Timeout,
)

from ..worlds import hang, slow


def first(key, *rest):
    return key


def breakers(**options):
    return Keyed(
        lambda: CircuitBreaker(consecutive_failures=1, open_seconds=5, jitter=0), key=first, **options
    )


def test_each_key_has_a_policy_of_its_own(world):
    keyed = breakers()
    safe = keyed(world.model(ConnectionError, "cat"))
    assert isinstance(world.failure(safe, "acme"), ConnectionError)
    assert isinstance(world.failure(safe, "acme"), CircuitOpen)
    assert world.call(safe, "other") == "cat"
    assert keyed.policy_of("acme").state is State.OPEN
    assert keyed.policy_of("other").state is State.CLOSED
    assert keyed.policy_of("nobody") is None
    assert len(keyed) == 2


def test_the_policy_of_a_key_is_a_whole_policy(world):
    keyed = Keyed(lambda: Fallback("popular"), key=first)
    assert world.call(keyed(world.model(ConnectionError)), "acme") == "popular"
    keyed = Keyed(lambda: Timeout(2), key=first)
    assert isinstance(world.failure(keyed(world.model(hang())), "acme"), TimeoutError)


def test_a_keyed_bulkhead_bounds_each_key(world):
    keyed = Keyed(lambda: Bulkhead(1), key=first)
    safe = keyed(world.model(slow(1, "cat")))
    ends = world.together((safe, "a"), (safe, "a"), (safe, "b"))
    assert [type(end) for end in ends] == [str, BulkheadFull, str]


def test_the_least_recently_used_key_is_forgotten_first(world):
    keyed = breakers(max_keys=2)
    safe = keyed(world.model("cat"))
    for key in ("a", "b", "a", "c"):
        world.call(safe, key)
    assert len(keyed) == 2
    assert [keyed.policy_of(key) is None for key in "abc"] == [False, True, False]


def test_a_key_in_use_is_never_forgotten(world):
    keyed = Keyed(lambda: Bulkhead(1), key=first, max_keys=1)
    safe = keyed(world.model(slow(1, "cat")))
    ends = world.together((safe, "a"), (safe, "b"), (safe, "a"))
    assert [type(end) for end in ends] == [str, str, BulkheadFull]
    world.call(safe, "c")
    assert len(keyed) == 1


def test_an_open_breaker_is_kept_longer_than_a_closed_one(world):
    keyed = breakers(max_keys=3)
    world.failure(keyed(world.model(ConnectionError)), "sick")
    safe = keyed(world.model("cat"))
    for number in range(50):
        world.call(safe, number)
    assert len(keyed) == 3
    assert isinstance(world.failure(safe, "sick"), CircuitOpen)


def test_when_all_keys_know_something_the_oldest_goes(world):
    keyed = breakers(max_keys=2)
    safe = keyed(world.model(ConnectionError))
    for key in "abc":
        world.failure(safe, key)
    assert keyed.policy_of("a") is None
    assert len(keyed) == 2


def test_a_flood_of_keys_is_bounded(clock):
    keyed = breakers(max_keys=10)
    safe = keyed(lambda key: key)
    for number in range(5000):
        safe(number)
    assert len(keyed) == 10


def test_a_key_that_cannot_be_hashed_is_an_error_that_does_not_show_it(world):
    safe = breakers()(world.model("cat"))
    error = world.failure(safe, ["secret"])
    assert isinstance(error, TypeError)
    assert str(error) == (
        "key must return something hashable, got an object of type list; "
        "return a string or a tuple of strings"
    )


def test_a_key_function_that_fails_is_not_hidden(world):
    keyed = Keyed(Retry, key=lambda: 1 / 0)
    assert isinstance(world.failure(keyed(world.model("cat"))), ZeroDivisionError)


def test_keys_of_equal_text_and_other_type_are_other_keys(world):
    keyed = breakers()
    safe = keyed(world.model("cat"))
    for key in ("1", 1, b"1", ("1",)):
        world.call(safe, key)
    assert len(keyed) == 4


@pytest.mark.parametrize("made", [None, 7, "breaker"])
def test_a_factory_that_makes_no_policy_is_refused_at_once(made):
    with pytest.raises(TypeError, match=r"factory must return a Policy, got .*; return CircuitBreaker"):
        Keyed(lambda: made, key=first)


def test_a_factory_that_fails_later_fails_that_call_alone(world):
    made = []

    def factory():
        made.append(None)
        if len(made) == 2:
            raise OSError("no room")
        return Retry()

    safe = Keyed(factory, key=first)(world.model("cat"))
    assert isinstance(world.failure(safe, "a"), OSError)
    assert world.call(safe, "a") == "cat"


def test_the_names_of_the_policies_are_the_keyeds(world):
    keyed = Keyed(lambda: Bulkhead(1), key=first, name="tenants")
    world.call(keyed(world.model("cat")), "a")
    assert keyed.policy_of("a").name == "tenants"


def test_a_keyed_policy_refuses_what_its_policies_refuse(world):
    async def small(key):
        return "small"

    keyed = Keyed(lambda: Fallback(small), key=first)
    if world.is_async:
        assert world.call(keyed(world.model(ConnectionError)), "a") == "small"
    else:
        with pytest.raises(TypeError, match="Fallback cannot serve"):
            keyed(world.model("cat"))


def test_a_keyed_policy_has_the_role_of_its_policies():
    assert Keyed(Retry, key=first).role == "retry"
    with pytest.warns(UserWarning, match="a Retry inside a CircuitBreaker"):
        Pipeline(CircuitBreaker(), Keyed(Retry, key=first))


def test_a_keyed_policy_within_a_keyed_policy(world):
    keyed = Keyed(lambda: Keyed(lambda: Bulkhead(1), key=lambda model, tenant: tenant), key=first)
    assert world.call(keyed(world.model("cat")), "large", "acme") == "cat"
    assert keyed.policy_of("large").policy_of("acme").in_flight == 0


def test_a_policy_whose_body_cannot_be_derived_serves_a_key_too(world):
    class Odd(Policy):
        async def around(self, proceed, call):
            return await (lambda: proceed(call))()  # noqa: PLC3002

    assert world.call(Keyed(Odd, key=first)(world.model("cat")), "a") == "cat"


def test_a_cancelled_call_leaves_its_key_idle(async_world):
    keyed = Keyed(lambda: Bulkhead(1), key=first, max_keys=1)
    safe = keyed(async_world.model(hang(), "cat"))

    async def scenario():
        with anyio.move_on_after(1):
            await async_world.use(safe, "a", {})
        assert await async_world.use(safe, "b", {}) == "cat"

    async_world.run(scenario)
    assert keyed.policy_of("a") is None
    assert len(keyed) == 1


def test_a_keyed_policy_describes_itself():
    assert (
        repr(Keyed(lambda: Bulkhead(1), key=first, max_keys=9))
        == "Keyed(Bulkhead(1, queue=0), at most 9 keys)"
    )
    assert Keyed(Retry, key=first).max_keys == 1024


@pytest.mark.parametrize(
    ("factory", "options", "kind", "message"),
    [
        (
            3,
            {"key": first},
            TypeError,
            "factory must be callable, got 3; pass a function that makes a policy",
        ),
        (Retry, {"key": "tenant"}, TypeError, "key must be callable, got 'tenant'"),
        (Retry, {"key": first, "max_keys": 0}, ValueError, "max_keys must be at least 1, got 0"),
    ],
)
def test_bad_options_are_refused_with_the_remedy(factory, options, kind, message):
    with pytest.raises(kind, match=message):
        Keyed(factory, **options)
