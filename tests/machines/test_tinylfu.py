"""W-TinyLFU: never over its bound, keeps what is asked for often, and lets a flood of keys pass by."""

import random
import threading

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from resilient_ml.machines.tinylfu import TinyLFU


def cache(size, luck=0.5, **kwargs):
    return TinyLFU(size, rng=lambda: luck, **kwargs)


def get(store, key, now=0.0):
    entry = store.get(key, now)
    return None if entry is None else entry.value


def ask(store, keys):
    """Look each up, put in what is not there; how many were."""
    hits = 0
    for key in keys:
        if store.get(key, 0.0) is None:
            store.put(key, key, 1)
        else:
            hits += 1
    return hits


def test_what_was_put_in_is_there_until_its_end():
    store = cache(10)
    assert store.put("cat", 1, 1, fresh_until=5.0, dead_at=8.0)
    assert get(store, "cat", 7.9) == 1
    assert store.peek("cat", 7.9).fresh_until == 5.0
    assert get(store, "cat", 8.0) is store.peek("cat", 8.0) is store.peek("dog", 0.0) is None


def test_a_new_value_takes_the_place_of_the_old():
    store = cache(10)
    store.put("cat", 1, 4)
    store.put("cat", 2, 6)
    assert (get(store, "cat"), len(store), store.statistics().weight) == (2, 1, 6)


def test_what_is_heavier_than_all_is_not_stored_and_the_old_value_goes():
    store = cache(10)
    store.put("cat", 1, 1)
    assert not store.put("cat", 2, 11)
    assert get(store, "cat") is None
    assert store.statistics().refused == 1


def test_discarding_and_clearing():
    store = cache(100)
    for key in "abc":
        store.put(key, key, 1)
    assert store.discard("a") is True and store.discard("a") is False
    store.clear()
    assert len(store) == store.statistics().weight == 0


def test_statistics_count_hits_misses_and_evictions():
    store = cache(2)
    ask(store, "abcabc")
    seen = store.statistics()
    assert seen.hits + seen.misses == 6
    assert seen.entries == seen.weight == seen.max_weight == 2
    assert seen.evictions == seen.misses - 2
    assert 0 < seen.hit_rate < 1
    assert cache(2).statistics().hit_rate == 0


def test_a_scan_does_not_displace_what_is_asked_for_often():
    store = cache(100)
    for _ in range(5):
        ask(store, range(90))
    ask(store, range(1000, 3000))
    assert ask(store, range(90)) > 70


@pytest.mark.once
def test_keys_that_somebody_makes_up_never_grow_it():
    store = cache(50)
    ask(store, range(50_000))
    assert len(store) <= 50
    assert len(store._sketch) <= 4 * 256
    assert len(store._recent) <= 64


def test_an_entry_that_is_asked_for_again_is_protected_from_one_that_is_not():
    store = cache(10)
    ask(store, [*range(9), 0, 1, 2])
    store.statistics()
    assert {0, 1, 2} <= set(store._protected.entries)
    assert store._protected.weight <= 7


def test_a_heavy_one_needs_to_be_worth_all_that_go_for_it():
    store = cache(101)
    for _ in range(3):
        ask(store, range(100))
    for _ in range(4):
        store.get("big", 0.0)
    store.put("big", "big", 50)
    assert get(store, "big") is None
    for _ in range(8):
        store.get("cold", 0.0)
    store.clear()
    ask(store, ["a", "b", "c", "d"])
    store.put("cold", "cold", 98)
    assert get(store, "cold") == "cold"


def test_what_fits_only_with_the_window_is_let_go():
    store = cache(1000)
    store.put("cat", 1, 995)
    assert get(store, "cat") is None
    assert store.statistics().evictions == 1


def test_an_unlucky_candidate_that_is_warm_comes_in_now_and_then():
    for luck, comes in [(0.5, False), (0.001, True)]:
        store = cache(2, luck=luck)
        for _ in range(15):
            ask(store, [1])
        store.put(2, 2, 1)
        for _ in range(8):
            store.get(3, 0.0)
        store.put(3, 3, 1)
        store.put(4, 4, 1)
        assert (store.peek(3, 0.0) is not None) == comes


def test_only_so_many_victims_are_looked_at():
    store = cache(1000)
    for key in range(990):
        store.put(key, key, 1)
    store._sketch = type(store._sketch)(1000)
    store.get("big", 0.0)
    store.put("big", "big", 900)
    assert get(store, "big") is None


def test_too_heavy_for_the_protected_part_stays_where_it_is():
    store = cache(100)
    store.put("big", 1, 90)
    for _ in range(3):
        store.get("big", 0.0)
    store.statistics()
    assert "big" in store._probation.entries


def test_what_is_too_heavy_for_the_protected_part_drives_nobody_out_of_it():
    store = cache(100)
    store.put("small", 1, 1)
    store.put("big", 1, 90)
    store.put("last", 1, 1)
    get(store, "small")
    get(store, "big")
    store.statistics()
    assert (set(store._protected.entries), set(store._probation.entries)) == ({"small"}, {"big"})


def test_what_was_asked_for_last_stays_longest_in_the_window():
    store = cache(10, window=0.2)
    ask(store, "ab")
    get(store, "a")
    store.put("c", "c", 1)
    assert set(store._window.entries) == {"a", "c"}


def test_what_was_asked_for_last_stays_longest_in_the_protected_part():
    store = cache(5, protected=0.5)  # one in the window, two protected, two on probation
    ask(store, "abcd")
    ask(store, "aba")
    get(store, "c")
    store.statistics()
    assert (set(store._protected.entries), set(store._probation.entries)) == ({"a", "c"}, {"b"})


@pytest.mark.parametrize(("asked", "stays"), [("ab", "a"), ("aab", "a"), ("abb", "b"), ("aabb", "a")])
def test_only_what_was_asked_for_more_often_comes_in(asked, stays):
    store = cache(2)
    for key in asked:
        get(store, key)
    for key in "abc":
        store.put(key, key, 1)
    assert set(store._probation.entries) == {stays}


def test_a_child_of_a_fork_begins_with_nothing():
    store = cache(10)
    store.put("cat", 1, 1)
    store.after_fork()
    assert len(store) == store.statistics().weight == 0
    assert store.put("dog", 1, 1)
    parts = (store._window, store._probation, store._protected)
    assert [key for part in parts for key in part.entries] == ["dog"]


@pytest.mark.once
@pytest.mark.parametrize(("size", "least"), [(100, 0.08), (1000, 0.06)])
def test_it_hits_more_often_than_lru_on_a_zipf_trace(size, least):
    draws = np.random.default_rng(1)
    shares = np.cumsum(1 / np.arange(1, 50_001) ** 0.99)
    trace = np.searchsorted(shares, draws.random(60_000) * shares[-1]).tolist()
    recent, hits = {}, 0
    for key in trace:
        if key in recent:
            hits += 1
            recent[key] = recent.pop(key)
        else:
            recent[key] = True
            if len(recent) > size:
                del recent[next(iter(recent))]
    ours = ask(TinyLFU(size, rng=random.Random(1).random), trace)
    assert (ours - hits) / len(trace) > least


class Play(RuleBasedStateMachine):
    """Whatever is done, the bound holds, the books agree, and no value is another key's."""

    def __init__(self):
        super().__init__()
        self.store = TinyLFU(60, rng=random.Random(3).random, window=0.1)

    @rule(key=st.integers(0, 30), weight=st.integers(1, 70))
    def put(self, key, weight):
        assert self.store.put(key, (key, weight), weight) == (weight <= 60)

    @rule(key=st.integers(0, 30), times=st.integers(1, 20))
    def look(self, key, times):
        for _ in range(times):
            entry = self.store.get(key, 0.0)
            assert entry is None or entry.value == (key, entry.weight)

    @rule(key=st.integers(0, 30))
    def discard(self, key):
        self.store.discard(key)
        assert self.store.peek(key, 0.0) is None

    @rule()
    def clear(self):
        self.store.clear()

    @invariant()
    def agrees(self):
        parts = (self.store._window, self.store._probation, self.store._protected)
        assert sum(part.weight for part in parts) <= 60
        assert sum(len(part.entries) for part in parts) == len(self.store)
        for part in parts:
            assert part.weight == sum(entry.weight for entry in part.entries.values())
            for key, entry in part.entries.items():
                assert self.store._entries[key] is entry and entry._home is part
        assert self.store._protected.weight <= self.store._protected.most


TestPlay = pytest.mark.once(Play.TestCase)


def test_threads_at_once_keep_the_books():
    store = TinyLFU(40, rng=random.Random(1).random)
    wrong = []

    def work(seed):
        draw = random.Random(seed)
        for _ in range(2000):
            key = draw.randrange(80)
            entry = store.get(key, 0.0)
            if entry is None:
                store.put(key, key, 1)
            elif entry.value != key:
                wrong.append(key)
            if draw.random() < 0.01:
                store.discard(key)

    threads = [threading.Thread(target=work, args=(seed,)) for seed in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    seen = store.statistics()
    assert not wrong
    assert seen.entries == seen.weight <= 40
    assert seen.hits + seen.misses == 12_000


def test_an_interrupted_list_of_hits_is_left_to_who_interrupted():
    store = cache(10)

    class Emptied(list):
        def popleft(self):
            self.clear()
            raise IndexError

    store._recent = Emptied(["a"])
    store.statistics()
    assert store.statistics().misses == 0


@given(st.lists(st.integers(0, 20), max_size=200), st.integers(1, 10))
def test_of_equal_weights_there_are_never_more_than_fit(keys, size):
    store = cache(size)
    ask(store, keys)
    assert len(store) <= size


def test_who_finds_the_lock_taken_leaves_the_list_to_its_holder():
    store = cache(10)
    with store._lock:
        other = threading.Thread(target=lambda: [store.get("a", 0.0) for _ in range(70)])
        other.start()
        other.join()
        assert len(store._recent) == 70
    assert store.statistics().misses == 70


def test_a_hit_on_what_is_just_being_moved_is_counted_alone():
    store = cache(10)
    store.put("a", 1, 1)
    entry = store.peek("a", 0.0)
    home, entry._home = entry._home, None
    store.get("a", 0.0)
    assert store.statistics().hits == 1
    entry._home = home
