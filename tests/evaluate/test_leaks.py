"""Leaks: what a run leaves behind is counted, and what ends by itself is not."""

import os
import threading
import time
import tracemalloc

import pytest

from resilient_ml import Timeout
from resilient_ml.evaluate import leaks
from resilient_ml.evaluate.leaks import Leaks, LeakWatch
from resilient_ml.testing import virtual_time


def test_threads_that_still_run_are_counted_once_they_had_time_to_end():
    with virtual_time():
        watch = LeakWatch(memory=False)
        stop = threading.Event()
        lasting = [threading.Thread(target=stop.wait) for _ in range(2)]
        brief = threading.Thread(target=time.sleep, args=(0.5,))
        for thread in (*lasting, brief):
            thread.start()
        assert watch.new_threads() == 3
        watch.settle(1.0)
        assert watch.leaks(tasks=4) == Leaks(2, 4, 0)
        stop.set()
        watch.settle(1.0)
        assert watch.leaks(tasks=0).count == 0


def test_this_librarys_idle_threads_are_no_leak():
    with virtual_time():
        watch = LeakWatch(memory=False)
        Timeout(5.0)(time.sleep)(0.1)
        assert threading.active_count() > 1
        assert watch.leaks(tasks=0).threads == 0


def test_open_descriptors_are_counted():
    watch = LeakWatch(memory=False)
    opened = os.open(os.devnull, os.O_RDONLY)
    assert watch.leaks(tasks=0).descriptors == 1
    os.close(opened)
    assert watch.leaks(tasks=0).descriptors == 0


def test_where_the_system_does_not_tell_of_descriptors_they_are_unknown(monkeypatch, tmp_path):
    monkeypatch.setattr(leaks, "_DESCRIPTORS", tmp_path / "none")
    found = LeakWatch(memory=False).leaks(tasks=0)
    assert found.descriptors is None
    assert found.count == 0


def test_memory_that_is_still_held_is_counted_to_the_byte_or_so():
    watch = LeakWatch(memory=True)
    held = bytearray(1_000_000)
    found = watch.leaks(tasks=0).memory
    assert 1_000_000 <= found < 1_100_000
    assert not tracemalloc.is_tracing()
    assert len(held) == 1_000_000


def test_memory_is_not_measured_unless_asked_for():
    assert LeakWatch(memory=False).leaks(tasks=0).memory is None


def test_who_traces_already_goes_on_tracing():
    tracemalloc.start()
    try:
        watch = LeakWatch(memory=True)
        assert watch.leaks(tasks=0).memory < 100_000
        assert tracemalloc.is_tracing()
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize(("found", "count"), [(Leaks(1, 2, 3), 6), (Leaks(1, 2, None), 3)])
def test_leaks_are_added_up(found, count):
    assert found.count == count
