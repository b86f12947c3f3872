"""The sketch of frequencies: never too low up to 15, seldom too high, halved as time goes by."""

from collections import Counter

from hypothesis import given
from hypothesis import strategies as st

from resilient_ml.stats.frequency_sketch import FrequencySketch


@given(st.lists(st.integers(0, 50), max_size=300), st.integers(0, 2**64))
def test_an_estimate_is_never_below_the_count_before_the_first_halving(keys, seed):
    sketch = FrequencySketch(200, seed=seed)
    for key in keys:
        sketch.add(key)
    for key, count in Counter(keys).items():
        assert sketch.estimate(key) >= min(15, count)


def test_estimates_are_close_where_there_is_room():
    sketch = FrequencySketch(1000)
    for key in range(1000):
        for _ in range(key % 8):
            sketch.add(key)
    wrong = sum(sketch.estimate(key) != key % 8 for key in range(1000))
    assert wrong < 10
    assert sum(sketch.estimate(key) > 0 for key in range(10_000, 11_000)) < 50


def test_counts_stop_at_fifteen():
    sketch = FrequencySketch(100)
    for _ in range(100):
        sketch.add("cat")
    assert sketch.estimate("cat") == 15


def test_all_are_halved_after_sixteen_times_the_capacity():
    sketch = FrequencySketch(100)
    for _ in range(12):
        sketch.add("cat")
    for key in range(1587):
        sketch.add(key)
    assert sketch.estimate("cat") >= 12
    sketch.add("dog")
    assert 6 <= sketch.estimate("cat") < 12


def test_it_grows_and_what_was_counted_stays():
    sketch = FrequencySketch(10)
    for key in range(20):
        for _ in range(key % 5):
            sketch.add(key)
    before = [sketch.estimate(key) for key in range(20)]
    size = len(sketch)
    sketch.ensure(5)
    assert len(sketch) == size
    sketch.ensure(1000)
    assert len(sketch) == 4 * 4096
    assert [sketch.estimate(key) for key in range(20)] == before


def test_a_seed_moves_the_places():
    one, other = FrequencySketch(10, seed=1), FrequencySketch(10, seed=2)
    one.add("a")
    other.add("a")
    assert one._counts != other._counts
