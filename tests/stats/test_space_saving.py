"""The heaviest keys: a true count lies between count - error and count, and no heavy key is missed."""

from collections import Counter

from hypothesis import given
from hypothesis import strategies as st

from resilient_ml.stats.space_saving import SpaceSaving


@given(st.lists(st.integers(0, 30), max_size=400), st.integers(1, 12))
def test_true_counts_are_within_the_error_and_heavy_keys_are_there(keys, size):
    heaviest = SpaceSaving(size)
    for key in keys:
        heaviest.add(key)
    true = Counter(keys)
    top = heaviest.top(size)
    assert len(top) == len(heaviest) == min(size, len(true))
    assert [one.count for one in top] == sorted((one.count for one in top), reverse=True)
    for one in top:
        assert one.count - one.error <= true[one.key] <= one.count
        assert heaviest.surely(one.key) == one.count - one.error
        assert one.share == one.count / len(keys)
    found = {one.key for one in top}
    for key, count in true.items():
        if count > len(keys) / size:
            assert key in found


@given(keys=st.lists(st.integers(0, 8), max_size=120), size=st.integers(1, 6), least=st.floats(0, 30))
def test_those_above_are_all_that_surely_came_more_often(keys, size, least):
    heaviest = SpaceSaving(size, window=50)
    for key in keys:
        heaviest.add(key)
    assert heaviest.above(least) == sum(one.count - one.error > least for one in heaviest.top(size))


def test_a_count_that_nobody_has_is_nought():
    assert SpaceSaving(3).surely("cat") == 0
    assert SpaceSaving(3).top(5) == []


@given(st.lists(st.integers(0, 10), max_size=300), st.integers(1, 6), st.integers(2, 40))
def test_halving_keeps_the_bounds_of_halved_counts(keys, size, window):
    heaviest = SpaceSaving(size, window=window)
    true, total = Counter(), 0
    for key in keys:
        heaviest.add(key)
        true[key] += 1
        total += 1
        if total >= window:
            total //= 2
            true = Counter({one: count / 2 for one, count in true.items()})
        for one in heaviest.top(size):
            assert one.count - one.error <= true[one.key] + 1
            assert true[one.key] <= one.count
        assert heaviest.total == total
        assert len(heaviest) <= size


def test_yesterdays_key_gives_way_to_todays():
    heaviest = SpaceSaving(4, window=100)
    for _ in range(90):
        heaviest.add("old")
    for _ in range(500):
        heaviest.add("new")
    assert heaviest.top(1)[0].key == "new"


def test_a_flood_of_new_keys_takes_no_memory():
    heaviest = SpaceSaving(8, window=1000)
    for key in range(20_000):
        heaviest.add(key)
    assert len(heaviest) == 8
    assert sum(map(len, heaviest._buckets.values())) == 8
