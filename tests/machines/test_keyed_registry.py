"""Values by key: bounded, and forgotten in the right order."""

import gc
import random
import weakref

from resilient_ml.machines.keyed_registry import Entry, KeyedRegistry

from .crowd import crowd


class Value:
    """What a key has; it may know something that must not be forgotten first."""

    def __init__(self, *, knows: bool = False) -> None:
        self.knows = knows


def registry(max_keys: int) -> KeyedRegistry[Value]:
    return KeyedRegistry(max_keys, forgettable=lambda value: not value.knows)


def visit(keys: KeyedRegistry[Value], *names: object, knows: bool = False) -> None:
    for name in names:
        keys.leave(keys.enter(name, Value(knows=knows)))


def remembered(keys: KeyedRegistry[Value], names: str) -> str:
    return "".join(name for name in names if keys.find(name))


def test_a_key_keeps_the_value_it_was_first_given() -> None:
    keys, first = registry(2), Value()
    entry = keys.enter("a", first)
    assert keys.enter("a", Value()) is entry is keys.find("a")
    assert entry.value is first
    assert entry.in_use == 2
    assert len(keys) == 1


def test_the_least_recently_used_key_is_forgotten_first() -> None:
    keys = registry(3)
    visit(keys, *"abca", "d")
    assert remembered(keys, "abcd") == "acd"
    assert len(keys) == 3


def test_a_key_in_use_is_never_forgotten() -> None:
    keys = registry(2)
    used = keys.enter("a", Value())
    visit(keys, *"bcd")
    assert remembered(keys, "abcd") == "ad"
    keys.leave(used)
    visit(keys, "e")
    assert remembered(keys, "abcde") == "de"


def test_there_are_more_keys_than_the_bound_only_while_all_are_in_use() -> None:
    keys = registry(2)
    entries = [keys.enter(name, Value()) for name in "abcd"]
    assert len(keys) == 4
    for entry in entries:
        keys.leave(entry)
    visit(keys, "e")
    assert remembered(keys, "abcde") == "de"


def test_of_the_oldest_one_that_knows_nothing_goes_first() -> None:
    keys = registry(3)
    visit(keys, "a", knows=True)
    visit(keys, "b", "c", "d")
    assert remembered(keys, "abcd") == "acd"


def test_when_all_of_the_oldest_know_something_the_oldest_goes() -> None:
    keys = registry(16)
    visit(keys, *range(16), knows=True)
    visit(keys, "new")
    assert keys.find(0) is None and keys.find(1) is not None
    keys = registry(17)
    visit(keys, *range(16), knows=True)
    visit(keys, "knows nothing, but is not among the oldest sixteen", "new")
    assert keys.find(0) is None
    assert len(keys) == 17


def test_the_sixteenth_oldest_is_still_looked_at() -> None:
    keys = registry(16)
    visit(keys, *range(15), knows=True)
    visit(keys, "blank")
    visit(keys, "new", knows=True)
    assert keys.find("blank") is None and keys.find(0) is not None


def test_what_is_forgotten_is_let_go() -> None:
    keys, value = registry(1), Value()
    seen = weakref.ref(value)
    keys.leave(keys.enter("a", value))
    gc.disable()
    try:
        del value
        visit(keys, "b")
        assert seen() is None
    finally:
        gc.enable()


def test_a_flood_of_keys_stays_within_the_bound() -> None:
    keys = registry(100)
    for number in range(20_000):
        visit(keys, number)
    assert len(keys) == 100


def test_a_fork_leaves_nobody_inside_and_every_value_in_place() -> None:
    keys, value = registry(1), Value()
    entry = keys.enter("a", value)
    keys.after_fork()
    again = keys.find("a")
    assert again is not None and again.value is value and again.in_use == 0
    keys.leave(entry)  # of the call that forked
    assert again.in_use == 0
    visit(keys, "b")
    assert keys.find("a") is None


def test_threads_enter_and_leave_without_losing_count() -> None:
    keys = registry(5)

    def work(number: int) -> None:
        rng = random.Random(number)
        for _ in range(300):
            entry = keys.enter(rng.randrange(12), Value(knows=rng.random() < 0.3))
            assert entry.in_use >= 1
            keys.leave(entry)

    crowd(8, work)
    visit(keys, "last")
    assert len(keys) == 5
    assert all(entry.in_use == 0 for entry in keys._entries.values())


def test_a_finalizer_that_enters_a_key_while_the_oldest_are_sought_is_no_harm() -> None:
    keys = registry(3)
    visit(keys, "a", "b", "c")

    class Nosy(Entry[Value]):
        """Whose being in use is asked for, and a key is entered."""

        @property
        def in_use(self) -> int:  # type: ignore[override]
            if "d" not in keys._entries:
                keys._entries["d"] = Entry(Value())
            return 0

        @in_use.setter
        def in_use(self, count: int) -> None:
            pass

    keys._entries["b"] = Nosy(Value())
    assert [key for key, _ in keys._oldest(16)] == ["a", "b", "c", "d"]
