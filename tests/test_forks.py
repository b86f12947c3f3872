"""What a forked child finds: every lock free, every seat its own, and what was known still known."""

import gc
import os
import signal
import threading
import traceback
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

import pytest

from resilient_ml import Kind, events, kind_of, kinds, register_kind
from resilient_ml._forks import ForkSafeLock, survive_forks
from resilient_ml.machines.breaker import BreakerMachine
from resilient_ml.machines.breaker_permits import Permit, Probe
from resilient_ml.machines.breaker_rules import Refusal, Rules, State
from resilient_ml.machines.bulkhead import BulkheadMachine
from resilient_ml.machines.keyed_registry import KeyedRegistry
from resilient_ml.machines.retry_budget import RetryBudget

PATIENCE = 30
TWO_IN_A_ROW = Rules(failure_rate=None, consecutive_failures=2, jitter=0.0)


def in_child(check: Callable[[], object]) -> None:
    """Run *check* in a forked child; a child that waits for ever is ended by the system's alarm."""
    with warnings.catch_warnings():
        # That this process has threads, and that the child may deadlock, is what is tested.
        warnings.simplefilter("ignore", DeprecationWarning)
        child = os.fork()
    if child == 0:
        status = 1
        try:
            signal.signal(signal.SIGALRM, signal.SIG_DFL)
            signal.alarm(PATIENCE)
            check()
            status = 0
        except BaseException:  # noqa: BLE001 - the child must not run the parent's tests
            traceback.print_exc()
        finally:
            os._exit(status)
    _, ended = os.waitpid(child, 0)
    assert os.waitstatus_to_exitcode(ended) == 0, "the child failed; its traceback is above"


@contextmanager
def held_elsewhere(lock: Any) -> Iterator[None]:
    """*lock*, held by another thread."""
    held, let_go = threading.Event(), threading.Event()

    def hold() -> None:
        with lock:
            held.set()
            let_go.wait(PATIENCE)

    thread = threading.Thread(target=hold, daemon=True)
    thread.start()
    assert held.wait(PATIENCE)
    try:
        yield
    finally:
        let_go.set()
        thread.join(PATIENCE)


# ---- the mechanism


class Owner:
    def __init__(self) -> None:
        self.forks = 0

    def after_fork(self) -> None:
        self.forks += 1


def test_owners_are_told_in_the_child_alone() -> None:
    owner = Owner()
    survive_forks(owner)
    survive_forks(owner)

    def check() -> None:
        assert owner.forks == 1

    in_child(check)
    in_child(check)
    assert owner.forks == 0


def test_a_grandchild_is_told_again() -> None:
    owner = Owner()
    survive_forks(owner)

    def check() -> None:
        assert owner.forks == 2

    in_child(lambda: in_child(check))


def test_owners_are_not_kept_alive() -> None:
    told: list[str] = []

    class Loud(Owner):
        def after_fork(self) -> None:
            told.append("told")

    owner = Loud()
    survive_forks(owner)
    del owner
    gc.collect()

    def check() -> None:
        assert not told

    in_child(check)


def test_a_modules_lock_is_free_in_the_child() -> None:
    lock = ForkSafeLock()

    def check() -> None:
        with lock, lock:
            pass

    with held_elsewhere(lock):
        in_child(check)
    check()


def test_a_modules_lock_keeps_others_out() -> None:
    lock, order = ForkSafeLock(), list[str]()
    with held_elsewhere(lock):
        order.append("held")
        assert not lock._lock.acquire(blocking=False)
    with lock:
        order.append("free")
    assert order == ["held", "free"]


# ---- breakers


def test_a_breaker_works_in_the_child_though_its_lock_was_held() -> None:
    machine = BreakerMachine(TWO_IN_A_ROW)
    machine.current.fail(0.0, "server", 0.0, 0.0, None)

    def check() -> None:
        permit = machine.closed
        assert permit is not None
        for _ in range(2):
            permit.fail(1.0, "server", 0.0, 0.0, None)
        assert machine.state is State.OPEN
        assert machine.failures == {"server": 3}

    with held_elsewhere(machine._lock):
        in_child(check)
    assert machine.state is State.CLOSED


@pytest.mark.parametrize("state", list(State))
def test_a_breaker_keeps_its_state_in_the_child(state: State) -> None:
    machine = BreakerMachine(replace(TWO_IN_A_ROW, ramp_seconds=10.0))
    if state is not State.CLOSED:
        machine.force(state)
    saved = machine.snapshot(0.0)

    def check() -> None:
        assert machine.snapshot(0.0) == saved
        assert (machine.closed is None) == (state.value not in ("closed", "forced_closed", "disabled"))

    in_child(check)


def test_an_open_breaker_is_open_in_the_child_for_what_was_left() -> None:
    machine = BreakerMachine(TWO_IN_A_ROW)
    for _ in range(2):
        machine.current.fail(0.0, "server", 0.0, 0.0, None)

    def check() -> None:
        answer, _ = machine.admit(2.0, 0.0)
        assert answer == Refusal(State.OPEN, 3.0, "after 2 failures in a row")
        assert isinstance(machine.admit(5.0, 0.0)[0], Probe)

    in_child(check)


def test_probes_of_vanished_threads_do_not_hold_a_child_half_open() -> None:
    machine = BreakerMachine(TWO_IN_A_ROW)
    machine.force(State.HALF_OPEN)
    probe, _ = machine.admit(0.0, 0.0)
    assert isinstance(probe, Probe)

    def check() -> None:
        mine, _ = machine.admit(0.0, 0.0)
        assert isinstance(mine, Probe)
        probe.succeed(0.0, 0.0)  # the call that forked: of the parent's generation
        assert machine.state == "half_open"
        mine.succeed(0.0, 0.0)
        assert machine.state == "closed"

    in_child(check)
    assert machine.state is State.HALF_OPEN


def test_a_call_that_forks_teaches_the_childs_breaker_nothing() -> None:
    machine = BreakerMachine(TWO_IN_A_ROW)
    permit: Permit = machine.current

    def check() -> None:
        permit.fail(0.0, "server", 0.0, 0.0, None)
        permit.fail(0.0, "server", 0.0, 0.0, None)
        assert machine.state is State.CLOSED

    in_child(check)


def test_a_window_that_was_in_pieces_at_the_fork_is_whole_in_the_child() -> None:
    machine = BreakerMachine(TWO_IN_A_ROW)
    machine.current.fail(0.0, "server", 0.0, 0.0, None)
    machine.current.window._slices.clear()  # type: ignore[attr-defined]  # as another thread may leave it

    def check() -> None:
        machine.current.fail(0.5, "server", 0.0, 0.0, None)
        assert machine.look(0.5)[1].failures == 1

    in_child(check)


# ---- bulkheads


def test_a_bulkhead_has_all_its_seats_in_the_child() -> None:
    machine = BulkheadMachine(2, 1)
    seats = machine.take()
    assert seats is not None
    assert machine.take() is not None
    assert machine.join(lambda: True) is not None

    def check() -> None:
        assert (machine.in_flight, machine.waiting) == (0, 0)
        assert machine.take() is not None
        machine.give(seats)  # the call that forked comes back: to the parent's seats, where it does no harm
        assert machine.in_flight == 1
        assert machine.take() is not None
        assert machine.take() is None

    with held_elsewhere(machine._lock):
        in_child(check)
    assert (machine.in_flight, machine.waiting) == (2, 1)


def test_a_ticket_from_before_the_fork_is_no_place_in_the_childs_queue() -> None:
    machine = BulkheadMachine(1, 1)
    assert machine.take() is not None
    ticket = machine.join(lambda: True)
    assert ticket is not None

    def check() -> None:
        assert machine.leave(ticket) is None
        assert machine.in_flight == 0

    in_child(check)


# ---- what modules and registries hold


def test_a_retry_budget_works_in_the_child_though_its_lock_was_held() -> None:
    budget = RetryBudget(ratio=1.0, floor=0.0, burst=2.0)
    assert budget.spend(0.0)

    def check() -> None:
        assert budget.spend(0.0)
        assert not budget.spend(0.0)
        budget.earn()
        assert budget.spend(0.0)

    with held_elsewhere(budget._lock):
        in_child(check)
    assert budget.saved(0.0) == 1.0


def test_a_registry_works_in_the_child_though_its_lock_was_held() -> None:
    registry = KeyedRegistry[str](1, forgettable=lambda value: True)
    registry.enter("a", "A")

    def check() -> None:
        found = registry.find("a")
        assert found is not None and (found.value, found.in_use) == ("A", 0)
        registry.enter("b", "B")
        assert registry.find("a") is None

    with held_elsewhere(registry._lock):
        in_child(check)
    assert len(registry) == 1


def test_listeners_can_come_and_go_in_the_child_though_the_lock_was_held() -> None:
    def check() -> None:
        with events.subscribe(print):
            assert len(events.subscriptions()) == 1

    with held_elsewhere(events._lock):
        in_child(check)


def test_kinds_can_be_registered_in_the_child_though_the_lock_was_held() -> None:
    class Unloaded(Exception): ...

    def check() -> None:
        with register_kind(Unloaded, Kind.OVERLOAD):
            assert kind_of(Unloaded()) is Kind.OVERLOAD

    with held_elsewhere(kinds._lock):
        in_child(check)
