"""What a call that was left behind still holds: its key, its place in a count; and what it does not."""

import gc
import threading
import time
import weakref

import pytest

from resilient_ml import Bulkhead, BulkheadFull, DeadlineExceeded, Keyed, Pipeline, Policy, Timeout

from ..worlds import slow


class Waits(Policy):
    """A policy whose body has no twin: it makes a function."""

    async def around(self, proceed, call):
        nothing = lambda: 0  # noqa: E731
        await call.runtime.sleep(nothing())
        return await proceed(call)


class Rows:
    """An argument that can be referred to weakly."""


def test_a_key_is_not_forgotten_while_a_call_left_behind_is_inside(plain_world):
    keyed = Keyed(lambda: Bulkhead(1), key=lambda key: key, max_keys=1)
    safe = Pipeline(keyed, Timeout(1))(plain_world.model(slow(5, "a"), "b", "c"))
    assert isinstance(plain_world.failure(safe, "slow"), DeadlineExceeded)
    assert plain_world.call(safe, "b") == "b"
    assert plain_world.call(safe, "c") == "c"
    assert isinstance(plain_world.failure(safe, "slow"), BulkheadFull)


@pytest.mark.parametrize("nested", [False, True])
def test_the_policy_of_a_key_may_wait_though_its_body_has_no_twin(nested):
    keyed = Keyed(Waits, key=lambda row: row)
    if nested:
        inner = keyed
        keyed = Keyed(lambda: inner, key=lambda row: row)
    assert keyed(lambda row: row)(3) == 3


def test_a_forked_child_does_not_count_the_threads_its_parent_left_behind():
    over = threading.Event()
    timeout = Timeout(0.01, max_abandoned=1)
    safe = timeout(lambda event: event.wait(20))
    with pytest.raises(DeadlineExceeded):
        safe(over)
    assert timeout.abandoned == 1
    timeout._limit.after_fork()
    assert timeout.abandoned == 0
    over.set()


def test_the_error_of_a_call_left_behind_keeps_nothing_alive():
    rows, over = Rows(), threading.Event()
    gone = weakref.ref(rows)

    def model(rows, over=over):
        over.wait(20)
        raise ValueError("late")

    timeout = Timeout(0.01)
    gc.disable()
    try:
        with pytest.raises(DeadlineExceeded):
            timeout(model)(rows)
        del rows
        over.set()
        until = time.monotonic() + 20
        while gone() is not None and time.monotonic() < until:
            time.sleep(0.001)
        assert gone() is None
    finally:
        gc.enable()


class Passes(Policy):
    """Another one without a twin, that waits for nothing."""

    async def around(self, proceed, call):
        through = lambda: proceed(call)  # noqa: E731
        return await through()


def test_the_policies_of_keys_may_be_of_several_kinds():
    made = iter([Bulkhead(1), Passes(), Bulkhead(1)])
    safe = Keyed(lambda: next(made), key=lambda row: row)(lambda row: row)
    assert [safe(1), safe(2)] == [1, 2]
