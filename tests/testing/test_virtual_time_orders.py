"""The same program gives the same trace: random programs of threads, twice each and in other processes."""

import hashlib
import queue
import random
import subprocess
import sys
import textwrap
import threading
import time

import pytest

from resilient_ml.testing import virtual_time

from .threads_in_turn import Diary

pytestmark = pytest.mark.once

PROGRAMS = 300
DIGEST = "99a1aed775905348"
"""Of the traces of all programs: the same on every machine and under every version of Python."""


class Program:
    """A few threads that sleep, lock, signal, hand things over, start and join others, by a seed's luck."""

    def __init__(self, seed):
        self.luck = random.Random(seed)
        self.diary = Diary()
        self.lock, self.inner = threading.Lock(), threading.RLock()
        self.condition, self.event = threading.Condition(), threading.Event()
        self.semaphore, self.barrier = threading.Semaphore(2), threading.Barrier(2)
        self.items, self.simple = queue.Queue(maxsize=2), queue.SimpleQueue()

    def run(self):
        threads = [
            self.thread(str(number), self.luck.randint(1, 6)) for number in range(self.luck.randint(2, 6))
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(self.luck.choice([None, 1.0]))
            self.diary.note(("joined", thread.name, thread.is_alive()))
        for thread in threads:
            thread.join()
        return tuple(self.diary)

    def thread(self, name, steps):
        # Drawn before anything runs, so that the draws do not hang on the order.
        plan = [(self.luck.randrange(12), self.luck.choice([0, 0.5, 1, 1, 2])) for _ in range(steps)]
        return threading.Thread(target=self.work, args=(name, plan), name=name)

    def work(self, name, plan):
        for step, (kind, seconds) in enumerate(plan):
            self.diary.note((name, step, kind, self.do(name, kind, seconds)))

    def do(self, name, kind, seconds):
        match kind:
            case 0 | 1:
                time.sleep(seconds)
            case 2:
                with self.lock:
                    time.sleep(seconds)
            case 3:
                with self.inner, self.inner:
                    time.sleep(seconds)
            case 4:
                with self.condition:
                    return self.condition.wait(seconds)
            case 5:
                with self.condition:
                    self.condition.notify()
            case 6:
                return self.event.wait(seconds)
            case 7:
                (self.event.clear if self.event.is_set() else self.event.set)()
            case 8:
                entered = self.semaphore.acquire(timeout=seconds)
                if entered:
                    time.sleep(1)
                    self.semaphore.release()
                return entered
            case 9:
                return self.over(queue.Full, lambda: self.items.put(name, timeout=seconds))
            case 10:
                self.simple.put(name)
                return self.over(queue.Empty, lambda: self.items.get(timeout=seconds))
            case _:
                child = threading.Thread(target=self.work, args=(name + "'", [(0, seconds), (2, seconds)]))
                child.start()
                taken = self.over(queue.Empty, lambda: self.simple.get(timeout=seconds))
                child.join(seconds)
                return taken, child.is_alive()
        return None

    @staticmethod
    def over(kind, ask):
        try:
            return ask()
        except kind:
            return kind.__name__


def trace_of(seed):
    with virtual_time():
        return Program(seed).run()


def test_random_programs_repeat_themselves():
    digest = hashlib.sha256()
    for seed in range(PROGRAMS):
        first = trace_of(seed)
        assert trace_of(seed) == first, f"program {seed}"
        digest.update(repr(first).encode())
    assert digest.hexdigest()[:16] == DIGEST


def test_a_program_that_is_slowed_down_at_random_repeats_itself(monkeypatch):
    """What the system does between the turns is nobody's business."""
    slow = random.Random(1)
    real_start = threading._start_joinable_thread if STARTS_JOINABLE else threading._start_new_thread

    def late_start(function, *args, **kwargs):
        delay = slow.choice([0, 0, 0.04])

        def late(*own, **named):
            nap(delay)
            return function(*own, **named)

        return real_start(late, *args, **kwargs)

    monkeypatch.setattr(
        threading, "_start_joinable_thread" if STARTS_JOINABLE else "_start_new_thread", late_start
    )
    slowed = [trace_of(seed) for seed in range(8)]
    monkeypatch.undo()
    assert slowed == [trace_of(seed) for seed in range(8)]


STARTS_JOINABLE = hasattr(threading, "_start_joinable_thread")


def nap(seconds, real_sleep=time.sleep):
    real_sleep(seconds)


@pytest.mark.parametrize("run", range(3))
def test_another_process_gives_the_same_trace_whatever_its_hashes(run):
    code = f"""
        import sys
        sys.path.insert(0, {str(__file__.rsplit("/tests/", 1)[0])!r})
        from tests.testing.test_virtual_time_orders import trace_of
        print(*[trace_of(seed) for seed in range(10)], sep="\\n")
    """
    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(code)],
        capture_output=True,
        text=True,
        check=True,
        env={"PYTHONHASHSEED": str(run)},
    )
    assert done.stdout.splitlines() == [repr(trace_of(seed)) for seed in range(10)]
