"""The meters: a bucket and a window, by tables and against what was really taken."""

import math

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from resilient_ml.machines.gcra import Gcra
from resilient_ml.machines.sliding_window import SlidingWindow

COMMON = settings(deadline=None, derandomize=True, database=None, max_examples=200)
STEPS = st.lists(st.tuples(st.floats(0, 5), st.integers(1, 4)), max_size=60)


def test_a_bucket_gives_its_burst_and_then_its_rate():
    bucket = Gcra(60, per=60.0, burst=3)
    for _ in range(3):
        assert bucket.ready_at(10.0, 1) == 10.0
        bucket.take(10.0, 1)
    assert bucket.ready_at(10.0, 1) == 11.0
    assert bucket.ready_at(10.0, 2) == 12.0
    assert bucket.left(11.0) == 1.0
    assert bucket.largest == 3


def test_what_a_bucket_promised_is_free_at_that_instant():
    bucket = Gcra(7, per=60.0, burst=2)
    for _ in range(100):
        ready = bucket.ready_at(0.3, 1)
        assert bucket.ready_at(ready, 1) == ready
        bucket.take(ready, 1)


def test_more_than_the_burst_waits_for_a_full_bucket_and_leaves_it_in_debt():
    bucket = Gcra(60, per=60.0, burst=2)
    bucket.take(0.0, 1)
    assert bucket.ready_at(0.0, 5) == 1.0
    bucket.take(1.0, 5)
    assert bucket.left(1.0) == -3
    assert bucket.ready_at(1.0, 1) == 5.0


def test_a_bucket_gives_back_what_was_not_used():
    bucket = Gcra(60, per=60.0, burst=10)
    mark = bucket.take(0.0, 10)
    bucket.correct(mark, -6, 0.0)
    assert bucket.left(0.0) == pytest.approx(6)
    bucket.correct(mark, 2, 0.0)
    assert bucket.left(0.0) == pytest.approx(4)


@pytest.mark.parametrize("take", [Gcra.take, Gcra.admit])
@pytest.mark.parametrize("full", [10.0, 30.0])
def test_a_bucket_that_has_been_full_since_gives_nothing_back(full, take):
    bucket = Gcra(60, per=60.0, burst=10)
    mark = bucket.take(0.0, 10)
    assert take(bucket, full, 10) is not None
    for one in (bucket.copy(), bucket):
        one.correct(mark, -10, full)
        assert one.left(full) == 0


@pytest.mark.parametrize("full", [10.0, 30.0])
def test_what_is_charged_to_a_full_bucket_is_not_paid_by_what_it_had_filled_up_before(full):
    bucket = Gcra(60, per=60.0, burst=10)
    unused, exceeded = bucket.take(0.0, 9), bucket.take(0.0, 1)
    bucket.correct(exceeded, 5, full)
    bucket.correct(unused, -9, full)
    assert bucket.left(full) == 5


def test_a_cost_may_come_early_by_what_rounding_brings():
    bucket = Gcra(1, per=1.0, burst=1)
    bucket.take(0.0, 1)
    assert bucket.ready_at(1.0 - 0.5e-9, 1) == 1.0 - 0.5e-9
    assert bucket.ready_at(1.0 - 1e-6, 1) == 1.0


def test_a_bucket_that_is_soon_full_again_has_nothing_to_hand_out_beforehand():
    bucket = Gcra(60, per=30.0, burst=100)
    bucket.take(0.0, 8)
    bucket.take(0.0, 1)
    assert bucket.same_until == 0.0  # in 4 s, the time of eight, it would have been full
    bucket.take(0.0, 1)
    assert bucket.same_until == 4.5


def test_a_bucket_of_another_size_goes_on():
    bucket = Gcra(60, per=60.0, burst=30)
    bucket.take(0.0, 1)
    bucket.resize(30)
    assert (bucket.limit, bucket.burst) == (30, 15)
    assert bucket.copy().left(0.0) == bucket.left(0.0)


@COMMON
@given(STEPS, st.integers(4, 10))
def test_a_bucket_never_gives_more_than_its_burst_and_its_rate(steps, burst):
    bucket = Gcra(20, per=10.0, burst=burst)
    now, taken = 0.0, []
    for pause, cost in steps:
        now += pause
        if bucket.ready_at(now, cost) == now:
            bucket.take(now, cost)
            taken.append((now, cost))
    for begin, _ in taken:
        for end, _ in taken:
            if begin <= end:
                span = sum(cost for at, cost in taken if begin <= at <= end)
                assert span <= burst + (end - begin) * 2 + 1e-6


@COMMON
@given(
    st.lists(
        st.tuples(st.sampled_from(["take", "more", "less"]), st.integers(0, 8), st.integers(1, 12)),
        max_size=40,
    )
)
def test_a_bucket_is_one_that_drips_and_overflows(steps):
    """Instants and amounts are multiples of powers of two, so that sums of floats are exact."""
    bucket = Gcra(8, per=4.0, burst=4)  # two a second
    now, level, full_at, taken = 0.0, 4.0, 0.0, []
    for act, eighths, quarters in steps:
        now += eighths / 8
        level = min(4.0, level + eighths / 4)
        full_at = now if level == 4 else full_at
        amount = quarters / 4
        if act == "take":
            mark = bucket.admit(now, amount)
            assert (mark is None) == (level < amount)
            taken.append((bucket.take(now, amount) if mark is None else mark, now))
            level -= amount
        elif taken:
            mark, at = taken.pop(0)
            bucket.correct(mark, amount if act == "more" else -amount, now)
            if act == "more":
                level -= amount
            elif at >= full_at:
                level = min(4.0, level + amount)
        if act == "less" and not taken:
            bucket = bucket.copy()
        assert bucket.left(now) == level
        assert bucket.ready_at(now, 1) == (now if level >= 1 else now + (1 - level) / 2)


def test_a_window_forgets_after_its_length_and_a_slice_for_the_way():
    window = SlidingWindow(2, per=10.0, slices=10)
    window.take(0.0, 2)
    assert window.ready_at(5.0, 1) == 12.0
    assert window.ready_at(12.0, 2) == 12.0
    assert window.left(12.0) == 2
    assert window.largest == 2


def test_a_window_frees_as_much_as_is_wanted():
    window = SlidingWindow(4, per=10.0, slices=10)
    for now in (0.0, 3.0, 6.0):
        window.take(now, 1)
    assert window.ready_at(6.0, 1) == 6.0
    assert window.ready_at(6.0, 2) == 12.0
    assert window.ready_at(6.0, 3) == 15.0
    assert window.ready_at(6.0, 9) == 18.0


def test_a_correction_counts_where_its_cost_does():
    window = SlidingWindow(4, per=10.0, slices=10)
    mark = window.take(0.0, 4)
    window.correct(mark, -3, 5.0)
    assert window.left(5.0) == 3
    window.correct(mark, 6, 5.0)
    assert window.left(5.0) == -3
    window.correct(mark, 5, 12.0)
    assert window.left(12.0) == 4
    window.correct(mark, 5, 11.0)
    assert window.left(12.0) == 4


def test_a_clock_that_goes_back_forgets_nothing_early():
    window = SlidingWindow(2, per=10.0, slices=10)
    window.take(100.0, 1)
    window.take(50.0, 1)
    assert window.ready_at(50.0, 1) == 112.0
    assert window.copy().ready_at(50.0, 1) == 112.0
    window.resize(3)
    assert window.ready_at(50.0, 1) == 50.0


@COMMON
@given(STEPS)
def test_no_window_ever_holds_more_than_the_limit_and_memory_is_bounded(steps):
    window = SlidingWindow(8, per=10.0, slices=10)
    now, taken = 0.0, []
    for pause, cost in steps:
        now += pause
        ready = window.ready_at(now, cost)
        true = [(at, one) for at, one in taken if at > now - 12.0]
        if ready == now:
            window.take(now, cost)
            taken.append((now, cost))
        else:
            assert sum(one for _, one in true) + cost > 8, "held back although it fits"
            assert window.copy().ready_at(ready, cost) == ready
        assert sum(one for at, one in taken if at > now - 11.0 + 1e-6) <= 8
        assert len(window._held) <= 12


@COMMON
@given(
    st.lists(
        st.tuples(
            st.sampled_from(["take", "take", "take", "correct", "copy"]),
            st.integers(0, 24),
            st.integers(-4, 12),
        ),
        max_size=60,
    )
)
def test_a_window_is_a_list_of_slices(steps):
    """Instants and amounts are multiples of powers of two, so that sums of floats are exact."""
    window = SlidingWindow(6, per=8.0, slices=8)
    now, slices, marks = 0.0, [], []  # of each slice: until when it is joined, and counts; what it holds
    for act, eighths, quarters in steps:
        now += eighths / 8
        amount = quarters / 4
        if act == "take":
            mark = window.admit(now, abs(amount))
            used = sum(held for _, until, held in slices if until > now)
            assert (mark is None) == (used + abs(amount) > 6)
            if mark is None:
                mark = window.take(now, abs(amount))
            if not slices or now >= slices[-1][0]:
                slices.append([now + 1, now + 1 + 1 + 8, 0])
                assert window.same_until == now + 1
            slices[-1][2] += abs(amount)
            marks.append((mark, slices[-1]))
        elif act == "correct" and marks:
            mark, one = marks.pop(0)
            window.correct(mark, amount, now)
            one[2] += amount
        elif act == "copy":
            window, marks = window.copy(), []
        counted = [one for one in slices if one[1] > now]
        used = sum(held for *_, held in counted)
        assert window.left(now) == 6 - used
        ready = now
        for _, until, held in counted:
            if used <= 5:
                break
            used, ready = used - held, until
        assert window.ready_at(now, 1) == ready


def test_a_correction_of_what_has_left_changes_nothing_of_the_rest():
    window = SlidingWindow(4, per=10.0, slices=10)
    mark = window.take(0.0, 4)
    window.take(8.0, 1)
    window.correct(mark, 2, 12.0)
    assert window.left(12.0) == 3
    window.correct(mark, 2, 12.0)
    assert window.left(12.0) == 3


def test_more_than_the_limit_waits_until_nothing_counts():
    window = SlidingWindow(4, per=10.0, slices=10)
    window.take(0.0, 2)
    unused = window.take(5.0, 1)
    assert window.ready_at(5.0, 9) == 17.0
    window.correct(unused, -1, 5.0)
    assert window.ready_at(5.0, 9) == 12.0


def test_a_cost_joins_the_last_slice_of_a_copy():
    window = SlidingWindow(4, per=10.0, slices=10)
    window.take(0.0, 1)
    twin = window.copy()
    twin.take(0.5, 1)
    assert twin.ready_at(0.5, 4) == 12.0


def test_a_window_that_is_empty_again_has_all_of_it_to_the_last_bit():
    window = SlidingWindow(1, per=10.0, slices=10)
    for now, cost in [(0.0, 0.1), (2.0, 0.2), (4.0, 0.3)]:
        window.take(now, cost)
    assert window.left(13.0) < 1
    assert window.left(30.0) == 1


def test_many_costs_share_few_slices():
    window = SlidingWindow(1000, per=10.0, slices=10)
    for hundredths in range(3000):
        window.take(hundredths / 100, 1)
        assert len(window._held) <= 12


def test_a_slice_may_leave_early_by_what_rounding_brings():
    window = SlidingWindow(1, per=10.0, slices=10)
    window.take(0.0, 1)
    assert window.ready_at(12.0 - 0.5e-9, 1) == 12.0 - 0.5e-9


def test_a_cost_counts_although_the_clock_went_back_to_a_slice_that_is_forgotten():
    window = SlidingWindow(2, per=10.0, slices=10)
    window.take(0.0, 1)
    assert window.left(20.0) == 2
    window.take(0.5, 1)
    assert window.left(0.5) == 1


def test_an_empty_window_is_copied_as_one():
    assert SlidingWindow(10, per=60.0).copy().left(0.0) == 10


def test_what_a_signal_handler_has_forgotten_meanwhile_is_not_forgotten_twice():
    window = SlidingWindow(10, per=60.0)
    window.take(0.0, 4)
    window._held[0].until = -math.inf
    assert window.left(1000.0) == 6
