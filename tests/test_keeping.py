"""Values that are kept: private, weighed, and never shared where they can be changed."""

import threading

import numpy as np

from resilient_ml._keeping import keep, weight_of
from resilient_ml._scopes import Scopes


class Held:
    def __init__(self):
        self.rows = np.zeros(1000)


def test_weights_are_near_what_is_held():
    assert weight_of("x" * 1000) > 1000
    assert weight_of(np.zeros(1000)) > 8000
    assert weight_of([np.zeros(1000)] * 5) < 2 * weight_of(np.zeros(1000))
    assert weight_of({"a": ["x" * 1000]}) > 1000
    assert weight_of(Held()) > 8000
    assert weight_of(int) < 2000
    loop = []
    loop.append(loop)
    assert weight_of(loop) < 1000


def test_what_cannot_be_changed_is_itself():
    for value in ((1, (2, "a")), frozenset({1}), np.int64(3), None):
        assert keep(value).out() is value


def test_what_looks_fixed_and_is_not_is_copied():
    structure = np.array([(1, 2)], [("a", "i4"), ("b", "i4")])[0]
    kept = keep(structure)
    structure["a"] = 9
    assert kept.out()["a"] == 1
    inside = ([1],)
    assert keep(inside).out() is not inside


def test_what_cannot_be_copied_is_not_kept_unless_it_is_shared():
    lock = threading.Lock()
    assert keep(lock) is keep([lock]) is None
    assert keep(lock, copied=False).out() is lock


def deep(depth):
    made = ()
    for _ in range(depth):
        made = (made,)
    return made


def test_a_deep_tuple_is_copied_rather_than_looked_through():
    assert keep(deep(40)).out() == deep(40)


def test_numbers_of_functions_come_and_go_with_them():
    scopes = Scopes()

    def one():
        pass

    first = scopes.of(one)
    assert scopes.of(one) == first
    held = Held()
    held_number = scopes.of(held)
    assert held_number != first and set(scopes.all()) == {first, held_number}
    del held
    assert scopes.all() == [first]
    scopes.after_fork()
    scopes._forget(id(one), -1)
    assert scopes.of(one) == first


def test_a_method_is_known_by_its_object_and_forgotten_with_it():
    class Model:
        def predict(self):
            pass

    scopes = Scopes()
    one, other = Model(), Model()
    assert scopes.of(one.predict) == scopes.of(one.predict) != scopes.of(other.predict)
    del one, other
    assert not scopes._pairs


def test_two_threads_number_a_function_once():
    scopes = Scopes()

    class Slow(dict):
        """Where the second look finds what another put in between."""

        def get(self, key, default=None):
            found = super().get(key, default)
            looks.append(1)
            if len(looks) == 2:
                scopes.of(fn)
            return found

    def fn():
        pass

    looks = []
    scopes._known = Slow()
    assert len({scopes.of(fn), scopes.of(fn)}) == 1
