"""Sliding windows against lists that are counted anew."""

import math
import random
import sys
import threading
from collections.abc import Callable
from types import FrameType
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from resilient_ml.stats import windows
from resilient_ml.stats.windows import CountWindow, Tally, TimeWindow

from ..machines.crowd import crowd

PROPERTY = settings(derandomize=True, deadline=None, max_examples=300, database=None)


def put(window: CountWindow | TimeWindow, now: float, failed: bool, slow: bool) -> int:
    """As the breaker does it: a plain success is one tick."""
    if failed or slow:
        return window.record(now, failed=failed, slow=slow)
    if now >= window.edge:
        window.advance(now)
    return window.tick()


def counted(outcomes: list[tuple[bool, bool]]) -> Tally:
    return Tally(len(outcomes), sum(failed for failed, _ in outcomes), sum(slow for _, slow in outcomes))


OUTCOMES = st.lists(st.tuples(st.booleans(), st.booleans()), max_size=60)


# ---- the last calls


@pytest.mark.once
@PROPERTY
@given(st.integers(1, 12), OUTCOMES, st.sets(st.integers(0, 60)))
def test_a_count_window_holds_exactly_the_last_calls(
    size: int, outcomes: list[tuple[bool, bool]], looks: set[int]
) -> None:
    window = CountWindow(size)
    for number, (failed, slow) in enumerate(outcomes, 1):
        put(window, 0.0, failed, slow)
        if number in looks:
            assert window.tally(0.0) == counted(outcomes[:number][-size:])
    assert window.tally(0.0) == counted(outcomes[-size:])


@pytest.mark.once
@PROPERTY
@given(st.sampled_from([CountWindow(5), CountWindow(50), TimeWindow(3.0)]), OUTCOMES)
def test_bad_outcomes_are_told_their_number_among_all(
    window: CountWindow | TimeWindow, outcomes: list[tuple[bool, bool]]
) -> None:
    window = CountWindow(5) if isinstance(window, CountWindow) else TimeWindow(3.0)
    for number, (failed, slow) in enumerate(outcomes, 1):
        now = number / 4
        if failed or slow:
            assert put(window, now, failed, slow) == number
        else:
            put(window, now, failed, slow)
        window.tally(now)


def test_a_count_window_keeps_no_more_than_its_size() -> None:
    window = CountWindow(10)
    for _ in range(1000):
        window.record(0.0, failed=True, slow=True)
    assert (len(window._failed), len(window._slow)) == (10, 10)


def test_time_means_nothing_to_a_count_window() -> None:
    window = CountWindow(3)
    window.record(0.0, failed=True, slow=False)
    window.advance(1e9)
    assert window.edge == math.inf
    assert window.tally(1e9) == Tally(1, 1, 0)


# ---- the last seconds


@pytest.mark.once
@PROPERTY
@given(
    st.sampled_from([1.0, 2.5, 10.0, 40.0]),
    st.lists(st.tuples(st.integers(0, 400), st.booleans(), st.booleans()), max_size=60),
    st.integers(-400, 400),
)
def test_a_time_window_holds_exactly_its_slices(
    seconds: float, calls: list[tuple[int, bool, bool]], start: int
) -> None:
    # Steps of 1/32 s keep every sum exact; the width is a tenth of the window.
    window, now, kept = TimeWindow(seconds), start / 4, list[tuple[int, tuple[bool, bool]]]()
    for step, failed, slow in calls:
        now += step / 32
        put(window, now, failed, slow)
        here = math.floor(now / (seconds / 10))
        kept.append((here, (failed, slow)))
        expected = counted([outcome for slice_, outcome in kept if slice_ > here - 10])
        if failed:
            assert window.tally(now) == expected
    if kept:
        assert window.tally(now) == expected


@pytest.mark.parametrize(
    ("at", "looked_at", "held"),
    [
        (0.0, 9.999, 1),
        (0.0, 10.0, 0),
        (0.999, 9.999, 1),
        (0.999, 10.0, 0),
        (1.0, 10.999, 1),
        (1.0, 11.0, 0),
        (-0.5, 8.999, 1),
        (-0.5, 9.0, 0),
        (3.0, math.nextafter(13.0, 0.0), 1),
    ],
)
def test_an_outcome_leaves_with_its_slice(at: float, looked_at: float, held: int) -> None:
    window = TimeWindow(10.0)
    window.record(at, failed=True, slow=True)
    assert window.tally(looked_at) == Tally(held, held, held)


@PROPERTY
@given(st.floats(1e-6, 1e6), st.floats(0, 1e9), st.floats(0, 0.8999), st.floats(1.0001, 1e6))
def test_an_outcome_is_held_for_nine_tenths_of_the_window_and_no_longer_than_all_of_it(
    seconds: float, at: float, soon: float, late: float
) -> None:
    if at + seconds * 1e-4 == at:
        return  # a clock too coarse for this window
    for elapsed, held in ((soon, 1), (late, 0)):
        window = TimeWindow(seconds)
        window.record(at, failed=True, slow=False)
        if at + elapsed * seconds - at == pytest.approx(elapsed * seconds, rel=1e-5, abs=seconds * 1e-5):
            assert window.tally(at + elapsed * seconds).calls == held


@pytest.mark.parametrize("seconds", [0.1, 0.3, 0.7, 1.0, 3.3, 60.0])
def test_an_edge_lies_always_ahead_and_slices_stay_few(seconds: float) -> None:
    window, now, most = TimeWindow(seconds), 0.1, 0
    for _ in range(5000):
        window.advance(now)
        assert window.edge > now
        most = max(most, len(window._slices))
        now += seconds / 30
    assert most <= 11


@pytest.mark.parametrize("far", [1e12, 1e18, 1e300, -1e12, -1e300])
def test_a_window_works_where_the_clock_is_coarser_than_its_slices(far: float) -> None:
    window = TimeWindow(1e-3)
    for _ in range(50):
        window.record(far, failed=True, slow=False)
        assert window.edge > far
        far = math.nextafter(far, math.inf)
    assert len(window._slices) <= 11
    window.record(far, failed=True, slow=False)
    assert 1 <= window.tally(far).calls <= 51


def test_a_clock_that_steps_back_a_little_adds_to_the_slice_at_hand() -> None:
    window = TimeWindow(10.0)
    window.record(20.0, failed=True, slow=False)
    assert window.record(10.0, failed=True, slow=True) == 2
    assert window.tally(10.0) == Tally(2, 2, 1)
    assert window.tally(29.9) == Tally(2, 2, 1)
    assert window.tally(30.0) == Tally(0, 0, 0)


def test_a_clock_that_steps_back_by_more_than_the_window_starts_it_anew() -> None:
    window = TimeWindow(10.0)
    window.record(3600.0, failed=True, slow=False)
    window.tick()
    assert window.record(5.0, failed=True, slow=False) == 3  # numbers go on
    assert window.tally(5.0) == Tally(1, 1, 0)
    assert window.edge == 6.0
    assert window.tally(15.0) == Tally(0, 0, 0)


def test_an_edge_is_shown_only_when_its_slice_has_begun() -> None:
    # Whoever sees it ticks at once: before the slice has begun, that tick would belong to no slice.
    shown: list[float] = []

    class Watched(TimeWindow):
        def _count(self) -> int:
            shown.append(self.edge)
            return super()._count()

    window = Watched(10.0)
    window.advance(5.5)
    window.advance(8.5)
    assert shown == [-math.inf, 6.0]
    assert window.edge == 9.0


def test_a_jump_ahead_forgets_everything() -> None:
    window = TimeWindow(10.0)
    for now in (0.0, 3.0, 6.0):
        window.record(now, failed=True, slow=False)
    assert window.tally(1e6) == Tally(0, 0, 0)
    assert len(window._slices) == 1


def test_the_memory_of_a_time_window_does_not_grow_with_traffic() -> None:
    window = TimeWindow(10.0)
    for number in range(20_000):
        put(window, number / 100, number % 3 == 0, number % 7 == 0)
    assert len(window._slices) <= 10


def test_the_number_of_slices_is_a_choice() -> None:
    window = TimeWindow(10.0, slices=2)
    window.record(4.9, failed=True, slow=False)
    assert window.tally(9.9).calls == 1
    assert window.tally(10.0).calls == 0


# ---- threads, and code that comes in between


def test_what_is_recorded_while_a_slice_begins_is_not_lost(monkeypatch: pytest.MonkeyPatch) -> None:
    window = TimeWindow(10.0)
    window.record(0.0, failed=True, slow=False)
    count = TimeWindow._count

    def interrupted(self: TimeWindow) -> int:
        monkeypatch.undo()
        window.record(5.0, failed=True, slow=False)
        return count(self)

    monkeypatch.setattr(TimeWindow, "_count", interrupted)
    window.record(5.0, failed=True, slow=False)
    assert window.tally(5.0) == Tally(3, 3, 0)


@pytest.mark.parametrize("seconds", [0.0, 1.0, 100.0, -1.0, -100.0])
@pytest.mark.parametrize("make", [lambda: CountWindow(2), lambda: TimeWindow(10.0)], ids=["calls", "seconds"])
def test_a_signal_handler_may_record_in_the_middle_of_every_line(
    make: Callable[[], CountWindow | TimeWindow], seconds: float
) -> None:
    window = make()
    window.record(0.0, failed=True, slow=True)
    inside = windows.__file__
    clock = [0.0]
    busy = False

    def handle(frame: FrameType, event: str, argument: object) -> Any:
        nonlocal busy
        if event == "line" and not busy:
            busy = True
            clock[0] += seconds
            window.record(clock[0], failed=True, slow=True)
            window.tally(clock[0])
            busy = False
        return handle if frame.f_code.co_filename == inside else None

    before = sys.gettrace()
    sys.settrace(handle)
    try:
        for now in (5.0, 500.0, -500.0):
            window.record(now, failed=True, slow=True)
            window.tally(now)
    finally:
        sys.settrace(before)
    tally = window.tally(clock[0])
    assert 0 < tally.failures <= tally.calls


@pytest.mark.parametrize("window", [CountWindow(10**6), TimeWindow(1e9)], ids=["calls", "seconds"])
def test_ticks_of_many_threads_are_counted_exactly(window: CountWindow | TimeWindow) -> None:
    lock = threading.Lock()
    window.advance(0.0)

    def work(number: int) -> None:
        rng = random.Random(number)
        for turn in range(2000):
            if turn % 20 == 0:
                with lock:
                    window.record(0.0, failed=True, slow=turn % 40 == 0)
                    if rng.random() < 0.5:
                        window.tally(0.0)
            else:
                window.tick()

    crowd(8, work)
    assert window.tally(0.0) == Tally(16_000, 800, 400)
