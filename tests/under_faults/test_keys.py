"""Keys: floods are bounded, tuples never collide, and hostile hashes do no harm."""

import gc
import tracemalloc

import pytest

from resilient_ml import Bulkhead, CircuitBreaker, CircuitOpen, Keyed, State
from resilient_ml.machines.keyed_registry import Entry, KeyedRegistry
from resilient_ml.testing import faults
from resilient_ml.testing.faults import FaultPlan


def by_key(max_keys=1024, **options):
    return Keyed(lambda: CircuitBreaker(**options), key=lambda *key: key, max_keys=max_keys)


def test_a_flood_of_keys_is_bounded_and_the_sick_one_is_not_forgotten():
    plan = FaultPlan(faults.error(ConnectionError).where(lambda key: key == "sick"))
    keyed = by_key(max_keys=100, consecutive_failures=1, failure_rate=None)
    safe = keyed(plan.inject(lambda key: key))
    with pytest.raises(ConnectionError):
        safe("sick")

    def flood(numbers):
        for number in numbers:
            assert safe(number) == number

    tracemalloc.start()
    try:
        flood(range(500))
        gc.collect()
        before = tracemalloc.get_traced_memory()[0]
        flood(range(500, 2000))
        gc.collect()
        grown = tracemalloc.get_traced_memory()[0] - before
    finally:
        tracemalloc.stop()
    assert len(keyed) == 100
    assert grown < 500_000  # fifteen hundred breakers would be 7 MB
    with pytest.raises(CircuitOpen):
        safe("sick")


def test_a_key_is_its_parts_and_never_their_text():
    keyed = by_key(consecutive_failures=1)
    sick = ("acme/eu", "bob")
    plan = FaultPlan(faults.error(ConnectionError).where(lambda *key: key == sick))
    safe = keyed(plan.inject(lambda *key: key))
    with pytest.raises(ConnectionError):
        safe(*sick)
    for well in (("acme", "eu/bob"), ("acme/eu/bob",), ("acme/eu", "bob", ""), (b"acme/eu", "bob")):
        assert safe(*well) == well
    assert keyed.policy_of(sick).state is State.OPEN


class Alike:
    """Objects that print the same."""

    def __repr__(self):
        return "Alike()"


def test_objects_that_print_the_same_are_different_keys():
    keyed = by_key(consecutive_failures=1)
    sick, well = Alike(), Alike()
    plan = FaultPlan(faults.error(ConnectionError).where(lambda key: key is sick))
    safe = keyed(plan.inject(lambda key: "cat"))
    with pytest.raises(ConnectionError):
        safe(sick)
    assert safe(well) == "cat"


def test_a_key_in_use_keeps_its_identity_from_being_given_to_another():
    """A key made of ``id()`` would meet the next object at that address; a key that is the object is held."""
    keyed = Keyed(lambda: Bulkhead(1), key=lambda key: key)
    safe = keyed(id)
    assert len({safe(Alike()) for _ in range(50)}) == 50
    assert len(keyed) == 50


class Colliding:
    """Keys with one hash: a dict of them takes a step for each."""

    compared = 0

    def __init__(self, number):
        self.number = number

    def __hash__(self):
        return 7

    def __eq__(self, other):
        Colliding.compared += 1
        return self.number == other.number if isinstance(other, Colliding) else NotImplemented


def test_keys_that_all_collide_cost_no_more_than_the_bound_on_keys():
    safe = Keyed(CircuitBreaker, key=lambda key: key, max_keys=16)(lambda key: key.number)
    assert [safe(Colliding(number)) for number in range(500)] == list(range(500))
    assert Colliding.compared <= 500 * 16 * 32


class Restless:
    """A key whose hash is another each time."""

    hashes = 0

    def __hash__(self):
        Restless.hashes += 1
        return Restless.hashes


def test_a_key_whose_hash_changes_is_never_found_again_and_does_no_harm():
    keyed = Keyed(lambda: Bulkhead(1), key=lambda key: key, max_keys=8)
    safe = keyed(lambda key: "cat")
    restless = Restless()
    assert [safe(restless) for _ in range(100)] == ["cat"] * 100
    assert safe("calm") == "cat"
    assert keyed.policy_of("calm").in_flight == 0
    assert len(keyed) <= 9


class Raising:
    """A key that fails when it is hashed or compared, as told."""

    def __init__(self, where, error):
        self.where, self.error = where, error

    def __hash__(self):
        if self.where == "hash":
            raise self.error
        return 7

    def __eq__(self, other):
        raise self.error


@pytest.mark.parametrize("where", ["hash", "eq"])
def test_a_key_that_fails_fails_its_own_call_and_no_other(where):
    keyed = Keyed(CircuitBreaker, key=lambda key: key)
    safe = keyed(lambda key: "cat")
    assert safe(Colliding(1)) == "cat"
    with pytest.raises(KeyError):
        safe(Raising(where, KeyError("hostile")))
    assert safe(Colliding(1)) == "cat"
    assert len(keyed) == 1


def test_a_key_that_cannot_be_hashed_is_refused_by_its_type_alone():
    safe = Keyed(CircuitBreaker, key=lambda key: key)(lambda key: "cat")
    with pytest.raises(TypeError, match="hashable") as refused:
        safe(["secret"])
    assert "secret" not in str(refused.value)


class Flooding(Entry):
    """An entry at whose sight other keys are entered, as by a signal handler or a finalizer."""

    def __init__(self, value, flood):
        self.flood = flood
        super().__init__(value)

    @property
    def in_use(self):
        self.flood, flood = None, self.flood
        if flood is not None:
            flood()
        return 0

    @in_use.setter
    def in_use(self, count):
        """Nobody counts here."""


def registry_with_a_flood(flood):
    registry = KeyedRegistry(2, forgettable=lambda value: True)

    def enter_others():
        for number in range(flood):
            registry.leave(registry.enter(number, number))

    registry._entries["old"] = Flooding("old", enter_others)
    registry.leave(registry.enter("older than new", "older than new"))
    return registry


@pytest.mark.parametrize("flood", [1, 2, 5])
def test_keys_that_a_handler_enters_while_one_is_being_forgotten_do_no_harm(flood):
    registry = registry_with_a_flood(flood)
    entry = registry.enter("new", "new")
    assert registry.find("new") is entry
    assert len(registry) <= 2


def test_a_key_that_a_handler_had_forgotten_before_it_was_in_use_is_remembered_again():
    registry = registry_with_a_flood(5)
    entry = registry.enter("old", "another")
    assert entry.value == "old"
    assert registry.find("old") is entry
    assert len(registry) <= 2
