"""Time: hangs, blocks, slow answers and cold starts end in time, and what was taken comes back."""

import threading
import time

import pytest

from resilient_ml import (
    Bulkhead,
    CircuitBreaker,
    CircuitOpen,
    DeadlineExceeded,
    Fallback,
    Kind,
    LimitExceeded,
    Pipeline,
    Retry,
    State,
    Timeout,
)
from resilient_ml.events import BreakerChanged
from resilient_ml.testing import EventTrace
from resilient_ml.testing.faults import FaultPlan

from ..every_policy import AT_ONCE
from ..worlds import slow
from .struck import made


def test_a_task_that_hangs_is_cancelled_at_the_limit_and_gives_its_seat_back(async_world):
    plan = FaultPlan(made("hang").first(1))
    bulkhead = Bulkhead(1)
    safe = Pipeline(bulkhead, Timeout(5))(plan.inject(async_world.model("cat")))
    began = async_world.clock.now()
    assert isinstance(async_world.failure(safe), DeadlineExceeded)
    assert async_world.clock.now() - began == 5
    assert bulkhead.in_flight == 0
    assert async_world.call(safe) == "cat"


def test_threads_that_hang_are_left_behind_up_to_a_bound_and_then_calls_are_refused(plain_world):
    plan = FaultPlan(made("hang"))
    timeout, bulkhead = Timeout(5, max_abandoned=3), Bulkhead(4)
    safe = Pipeline(bulkhead, timeout)(plan.inject(plain_world.model("cat")))
    threads = threading.active_count()
    ends = [plain_world.failure(safe) for _ in range(6)]
    assert [isinstance(end, DeadlineExceeded) for end in ends] == [True] * 3 + [False] * 3
    assert [type(end) for end in ends[3:]] == [LimitExceeded] * 3
    assert threading.active_count() == threads + 3
    assert (timeout.abandoned, bulkhead.in_flight) == (3, 3)
    plan.release()
    plain_world.clock.settle()
    assert (timeout.abandoned, bulkhead.in_flight) == (0, 0)


def test_code_that_holds_the_interpreters_lock_is_found_late_and_breaks_nothing():
    """In real time: no thread runs meanwhile, so no limit can be enforced before it lets go."""
    plan = FaultPlan(made("hold_gil").first(1))
    breaker = CircuitBreaker()
    safe = Pipeline(Fallback("late"), breaker, Timeout(0.01, late_only=True))(plan.inject(str.upper))
    began = time.monotonic()
    assert safe("cat") == "late"
    assert time.monotonic() - began >= 0.05
    assert breaker.failures == {Kind.TIMEOUT: 1}
    assert Timeout(60)(plan.inject(str.upper))("cat") == "CAT"


def test_a_limit_fires_right_after_a_model_lets_go_of_its_event_loop(await_world):
    plan = FaultPlan(made("block"))  # for 0.2 s
    safe = Timeout(0.1)(plan.inject(await_world.model(slow(1, "cat"))))
    began = await_world.clock.now()
    assert isinstance(await_world.failure(safe), DeadlineExceeded)
    assert round(await_world.clock.now() - began, 9) == 0.2


def test_a_plain_function_that_blocks_does_not_block_the_loop_that_awaits_it(await_world):
    plan = FaultPlan(made("block"))
    guard = Pipeline(Timeout(0.1))
    began = await_world.clock.now()
    with pytest.raises(DeadlineExceeded):
        await_world.run(guard.acall, plan.inject(str.upper), "cat")
    assert round(await_world.clock.now() - began, 9) == 0.1


def test_answers_that_take_too_long_too_often_open_the_breaker(world):
    plan = FaultPlan(made("slow"), seed=1)  # half of the calls take more than 0.05 s
    breaker = CircuitBreaker(slow_call_seconds=0.05, slow_call_rate=0.4, minimum_calls=20)
    safe = breaker(plan.inject(world.model("cat")))
    ends = [type(world.failure(safe)) for _ in range(60)]
    assert ends == sorted(ends, key=[type(None), CircuitOpen].index)
    assert 20 <= len(plan.history) < 60
    assert breaker.failures == {}


def test_a_tail_of_slow_answers_is_cut_at_the_limit(world):
    plan = FaultPlan(made("slow"), seed=1)
    safe = Pipeline(Fallback("late"), Timeout(0.2))(plan.inject(world.model("cat")))
    ends, times = [], []
    for _ in range(60):
        began = world.clock.now()
        ends.append(world.call(safe))
        times.append(world.clock.now() - began)
    assert set(ends) == {"cat", "late"}
    assert max(times) <= 0.2 + 1e-9


def test_a_model_that_was_slow_and_recovers_is_back_with_the_first_probe(world):
    plan = FaultPlan(made("slow_for_a_while"))  # 2 s longer, from 10 s to 20 s
    breaker = CircuitBreaker(
        slow_call_seconds=1, minimum_calls=2, window_calls=3, open_seconds=4, jitter=0, probe_lease_seconds=4
    )
    model = world.model("cat")
    safe = breaker(plan.inject(model))
    plan.start()
    with EventTrace() as events:
        for _ in range(40):
            world.failure(safe)
            world.clock.sleep(1)
    told = [change.after for change in events.of(BreakerChanged)]
    assert told.count(State.CLOSED) == 1
    assert told[-2:] == [State.HALF_OPEN, State.CLOSED]
    *_, half_open, closed = events.of(BreakerChanged)
    assert half_open.at == closed.at
    recovered = plan.history[-1].at
    assert [start for start in model.starts if start > recovered + 2][:3] == [
        round(closed.at - 1000, 6) + after for after in (0, 1, 2)
    ]


def test_a_cold_start_is_cut_at_the_limit_and_does_not_open_the_breaker(world):
    plan = FaultPlan(made("slow_start"))  # 30 s
    breaker = CircuitBreaker()
    safe = Pipeline(Fallback("warming up"), breaker, Timeout(5))(plan.inject(world.model("cat")))
    began = world.clock.now()
    assert [world.call(safe) for _ in range(3)] == ["warming up", "cat", "cat"]
    assert world.clock.now() - began == 5
    assert breaker.state is State.CLOSED


def test_a_warm_up_teaches_a_disabled_breaker_nothing(world):
    plan = FaultPlan(made("slow_start"))
    breaker = CircuitBreaker(slow_call_seconds=1, minimum_calls=1, consecutive_failures=1)
    safe = Pipeline(Retry(2, backoff=AT_ONCE), breaker)(plan.inject(world.model("cat")))
    breaker.disable()
    assert world.call(safe) == "cat"
    breaker.reset()
    assert [world.call(safe) for _ in range(3)] == ["cat"] * 3
    assert (breaker.state, breaker.failures) == (State.CLOSED, {})
