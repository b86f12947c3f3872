"""The functions of ``time``: what they say and how long they take, under every name they are known by."""

import math
import queue
import sys
import threading
import time
import types

import pytest

from resilient_ml.testing import VirtualClock, virtual_time
from resilient_ml.testing.time_functions import MACHINERY


def module_of(code, name="a_users_module"):
    module = types.ModuleType(name)
    exec(code, module.__dict__)
    return module


@pytest.fixture
def users_module(monkeypatch):
    """A module that took the functions by name before virtual time began."""
    module = module_of(
        "from time import monotonic as now, perf_counter_ns, sleep, time\n"
        "def nap(seconds):\n"
        "    began = now()\n"
        "    sleep(seconds)\n"
        "    return now() - began\n"
    )
    monkeypatch.setitem(sys.modules, module.__name__, module)
    return module


def test_a_sleep_takes_its_time_to_the_instant():
    with virtual_time(start=5.0) as clock:
        time.sleep(3600)
        assert clock.now() == time.monotonic() == time.perf_counter() == 3605.0


def test_every_clock_tells_the_same_time_in_its_own_unit():
    with virtual_time(start=2.5, wall=1e9) as clock:
        time.sleep(0.25)
        assert (time.monotonic(), time.monotonic_ns()) == (2.75, 2_750_000_000)
        assert (time.perf_counter(), time.perf_counter_ns()) == (2.75, 2_750_000_000)
        assert (time.time(), time.time_ns()) == (1e9 + 0.25, 10**18 + 250_000_000)
        assert (clock.now(), clock.wall()) == (2.75, 1e9 + 0.25)


def test_functions_imported_by_name_follow(users_module):
    real = {name: getattr(users_module, name) for name in ("now", "perf_counter_ns", "sleep", "time")}
    with virtual_time() as clock:
        assert users_module.nap(7200) == 7200.0
        assert users_module.now() == clock.now()
        assert users_module.time() == clock.wall()
    assert {name: getattr(users_module, name) for name in real} == real


def test_a_module_imported_in_the_block_keeps_the_real_functions_afterwards(monkeypatch):
    with virtual_time() as clock:
        module = module_of("from time import sleep, monotonic\nfrom threading import Lock\n")
        monkeypatch.setitem(sys.modules, "a_late_module", module)
        module.sleep(60)
        assert module.monotonic() == clock.now() == 1060.0
    assert module.sleep is time.sleep
    assert module.monotonic is time.monotonic
    assert module.Lock is threading.Lock


def test_what_the_block_itself_has_replaced_is_left_as_it_is(users_module):
    def mine(seconds):
        pass

    with virtual_time():
        users_module.sleep = mine
    assert users_module.sleep is mine


def test_a_lazy_module_is_not_loaded(monkeypatch):
    class Lazy(types.ModuleType):
        def __getattribute__(self, name):
            raise AssertionError(f"asked for {name}")

    class Slotted:
        __slots__ = ()

    monkeypatch.setitem(sys.modules, "a_lazy_module", Lazy("a_lazy_module"))
    monkeypatch.setitem(sys.modules, "no_module_at_all", Slotted())
    with virtual_time():
        time.sleep(1)


@pytest.mark.parametrize("machinery", sorted(MACHINERY))
def test_test_runners_and_other_processes_keep_real_time(machinery):
    code = "import time\ndef ask():\n    time.sleep(0.0)\n    return time.monotonic(), time.time_ns()\n"
    runner = module_of(code, f"{machinery}.timing")
    with virtual_time(start=-1e9, wall=0.0):
        monotonic, wall = runner.ask()
    assert monotonic >= 0
    assert wall > 1e18


def test_a_sleep_of_nothing_lets_the_others_go_first():
    order = []
    with virtual_time() as clock:
        thread = threading.Thread(target=lambda: order.append("thread"))
        thread.start()
        time.sleep(0)
        order.append("main")
        assert clock.now() == 1000.0
        thread.join()
    assert order == ["thread", "main"]


@pytest.mark.parametrize("seconds", [-1, -0.001, math.nan])
def test_no_sleep_is_shorter_than_nothing(seconds):
    with virtual_time() as clock:
        with pytest.raises(ValueError, match="sleep length must be non-negative"):
            time.sleep(seconds)
        assert clock.now() == 1000.0


def test_a_sleep_is_given_in_a_number():
    with virtual_time(), pytest.raises(TypeError):
        time.sleep("1")


def test_the_wall_clock_steps_alone():
    with virtual_time(wall=1e9) as clock:
        clock.step_wall(-3600)
        assert (clock.wall(), clock.now()) == (1e9 - 3600, 1000.0)
        time.sleep(1)
        assert (time.time(), time.monotonic()) == (1e9 - 3599, 1001.0)


def test_the_monotonic_clock_steps_back_only_when_it_is_told_to():
    with virtual_time() as clock:
        clock.step(-100)
        assert clock.now() == 900.0
        time.sleep(10)
        assert clock.now() == 910.0
        with pytest.raises(ValueError, match=r"seconds must not be negative, got -1; .* step\(\)"):
            clock.advance(-1)


def test_a_step_back_makes_a_sleeper_wait_for_its_instant():
    with virtual_time() as clock:
        woken = []

        def sleeper():
            time.sleep(10)
            woken.append(clock.now())

        thread = threading.Thread(target=sleeper)
        thread.start()
        clock.settle()
        clock.step(-500)
        thread.join()
        assert woken == [1010.0]


def test_whom_the_clock_was_advanced_past_is_late_and_goes_in_the_order_of_the_instants():
    with virtual_time() as clock:
        woken = []

        def sleeper(seconds):
            time.sleep(seconds)
            woken.append((seconds, clock.now()))

        threads = [threading.Thread(target=sleeper, args=(seconds,)) for seconds in (3, 1, 2, 9)]
        for thread in threads:
            thread.start()
        clock.settle()
        clock.advance(5)
        assert woken == []
        for thread in threads:
            thread.join()
        assert woken == [(1, 1005.0), (2, 1005.0), (3, 1005.0), (9, 1009.0)]


def test_a_clock_says_what_is_wrong_with_its_settings():
    with (
        pytest.raises(ValueError, match="stuck_seconds must be above 0, got 0"),
        virtual_time(stuck_seconds=0),
    ):
        pass
    with pytest.raises(TypeError, match="start must be a number, got 'now'"), virtual_time(start="now"):
        pass
    with pytest.raises(TypeError, match="wall must be a number, got None"), virtual_time(wall=None):
        pass
    with virtual_time():
        pass


def test_a_clock_is_waited_on_only_by_threads_of_its_block():
    refused = []

    def outsider():
        try:
            clock.sleep(1)
        except RuntimeError as error:
            refused.append(str(error))

    stranger = threading.Thread(target=outsider, name="stranger")
    go = threading.Event()
    real_run, stranger.run = stranger.run, lambda: (go.wait(), real_run())
    stranger.start()
    with virtual_time() as clock:
        go.set()
        with clock.hold():
            stranger.join()
        time.sleep(1)
    with pytest.raises(RuntimeError, match="while that lasts"):
        clock.sleep(1)
    assert len(refused) == 1
    assert refused[0].startswith("thread 'stranger' cannot wait on this clock; start it in the block")


def test_a_clock_of_its_own_can_be_made():
    clock = VirtualClock(start=1.0, wall=2.0)
    clock.sleep(3)
    assert (clock.now(), clock.wall()) == (4.0, 5.0)
    assert clock.close() == ()


@pytest.mark.parametrize(("function", "arguments"), [("perf_counter", ()), ("time_ns", ()), ("sleep", (0,))])
def test_a_loop_that_only_asks_for_the_time_comes_to_its_end(function, arguments):
    with virtual_time() as clock:
        ends = clock.now() + 0.01
        while clock.now() < ends:
            getattr(time, function)(*arguments)
        assert clock.now() == pytest.approx(ends, abs=1e-5)


def test_a_loop_that_waits_for_another_thread_by_asking_for_the_time_gets_there():
    with virtual_time() as clock:
        done = []
        thread = threading.Thread(target=lambda: (time.sleep(0.001), done.append(clock.now())))
        thread.start()
        while not done:
            time.monotonic()
        thread.join()
        assert done == [1000.001]


def test_an_instant_has_room_for_thousands_of_looks_at_the_clock():
    with virtual_time() as clock:
        for _ in range(3):
            for _ in range(10_000):
                time.monotonic()
            assert clock.now() % 1 == 0
            time.sleep(1)


@pytest.mark.parametrize("name", ["nap", "another_name"])
@pytest.mark.parametrize("function", [time.sleep, time.monotonic, threading.Lock, queue.SimpleQueue])
def test_a_module_that_had_none_of_them_may_have_one_in_the_next_block(monkeypatch, name, function):
    module = types.ModuleType("a_module_that_changes")
    module.nap = None
    monkeypatch.setitem(sys.modules, module.__name__, module)
    for _ in range(2):
        with virtual_time():
            assert module.nap is None
    setattr(module, name, function)
    for _ in range(2):
        with virtual_time():
            assert getattr(module, name) is not function
        assert getattr(module, name) is function
    delattr(module, name)
    with virtual_time():
        assert not hasattr(module, name)


def test_another_module_of_the_same_name_is_looked_through(monkeypatch):
    for function in (None, time.sleep, None, time.monotonic):
        module = types.ModuleType("a_module_of_one_name")
        module.nap = function
        monkeypatch.setitem(sys.modules, module.__name__, module)
        with virtual_time():
            assert (module.nap is function) is (function is None)
        assert module.nap is function


def test_a_module_may_have_its_own_back_in_the_next_block(users_module, monkeypatch):
    for _ in range(3):
        with monkeypatch.context() as patched:
            patched.setattr(users_module, "sleep", lambda seconds: None)
            with virtual_time():
                assert users_module.nap(60) == 0.0
        with virtual_time():
            assert users_module.nap(60) == 60.0


def test_what_two_modules_exchange_is_found_in_both(users_module, monkeypatch):
    other = module_of("sleep = None", "another_users_module")
    monkeypatch.setitem(sys.modules, other.__name__, other)
    for _ in range(4):
        other.sleep, users_module.sleep = users_module.sleep, other.sleep
        with virtual_time() as clock:
            (users_module.sleep or other.sleep)(60)
            assert clock.now() == 1060.0
