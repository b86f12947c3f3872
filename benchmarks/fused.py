"""The same work fused by hand: what a careful engineer would write into one function, were there no library.

Each guard here is one function around the user's own, and does all that ours does on the way through:
it reads the ambient deadline, earns for the retry budget, reads the breaker's state and records the outcome
in the same window, takes and gives back a seat, refuses a result that is no result yet, and keeps a deadline.
What differs is what a library cannot do without: no object for the call, no function for each policy.

State is kept in the same objects as ours (``RetryBudget``, ``BreakerMachine`` and its windows), read in line;
the seats are a bare deque. What happens after a failure, or while the breaker is not closed, is in functions
of its own: no benchmark gets there, and ``tests/test_benchmarks.py`` shows that it works.
Coroutine functions are in ``fused_async.py``, the timeout on a worker thread in ``fused_worker.py``.
"""

from __future__ import annotations

import asyncio
import random
import time
import types
from collections import deque
from collections.abc import Callable
from math import inf
from time import monotonic
from typing import Any

from resilient_ml import Backoff, BulkheadFull, CircuitOpen, DeadlineExceeded, Rejected, RetryBudget, kind_of
from resilient_ml._ambient import AMBIENT
from resilient_ml.machines.breaker import BreakerMachine
from resilient_ml.machines.breaker_permits import Permit
from resilient_ml.machines.breaker_rules import Refusal, Rules
from resilient_ml.machines.bulkhead import BulkheadMachine

Fn = Callable[..., Any]

ATTEMPTS = 3
UNFINISHED = frozenset(
    {types.CoroutineType, types.GeneratorType, types.AsyncGeneratorType, asyncio.Future, asyncio.Task}
)

_ambient = AMBIENT.get


def retry(fn: Fn) -> Fn:
    """Three attempts, full jitter, a budget of retries."""
    budget = RetryBudget()
    earn = budget.earn

    def guarded(*args: Any, **kwargs: Any) -> Any:
        deadline = _ambient()
        earn()
        attempt = 1
        while True:
            try:
                result = fn(*args, **kwargs) if deadline == inf else _by(deadline, fn, args, kwargs)
                if type(result) in UNFINISHED:
                    raise TypeError("returned something that has yet to run")
                return result
            except Exception as error:
                delay = pause(error, budget, attempt, deadline)
                if delay is None:
                    raise
            time.sleep(delay)
            attempt += 1

    return guarded


def breaker(fn: Fn, *, window_calls: int | None = None) -> Fn:
    """Failure rate over a window of time, or of calls; failures in a row."""
    machine = BreakerMachine(Rules(window_calls=window_calls))

    def guarded(*args: Any, **kwargs: Any) -> Any:
        deadline = _ambient()
        permit = machine.closed or admit(machine)
        try:
            result = fn(*args, **kwargs) if deadline == inf else _by(deadline, fn, args, kwargs)
            if type(result) in UNFINISHED:
                raise TypeError("returned something that has yet to run")
        except BaseException as error:
            record(permit, error)
            raise
        now = monotonic()
        if permit is machine.closed:
            window = permit.window
            if now >= window.edge:
                machine.advance(permit, now)
            window.tick()
        else:
            permit.succeed(now, 0.0)
        return result

    return guarded


def bulkhead(fn: Fn, *, limit: int = 10) -> Fn:
    """So many at once, the rest refused."""
    seats = deque([None] * limit)

    def guarded(*args: Any, **kwargs: Any) -> Any:
        deadline = _ambient()
        try:
            seats.pop()
        except IndexError:
            raise BulkheadFull(f"full: {limit} calls are inside", policy="fused") from None
        try:
            result = fn(*args, **kwargs) if deadline == inf else _by(deadline, fn, args, kwargs)
            if type(result) in UNFINISHED:
                raise TypeError("returned something that has yet to run")
            return result
        finally:
            seats.append(None)

    return guarded


def fallback(fn: Fn, *, value: Any = 0) -> Fn:
    """A value, where another target may answer."""

    def guarded(*args: Any, **kwargs: Any) -> Any:
        deadline = _ambient()
        try:
            result = fn(*args, **kwargs) if deadline == inf else _by(deadline, fn, args, kwargs)
            if type(result) in UNFINISHED:
                raise TypeError("returned something that has yet to run")
            return result
        except Exception as error:
            if not kind_of(error).treatment.try_elsewhere:
                raise
            return value

    return guarded


def late_only(fn: Fn, *, seconds: float = 1.0) -> Fn:
    """Refuse a late result."""

    def guarded(*args: Any, **kwargs: Any) -> Any:
        now = monotonic()
        deadline = min(_ambient(), now + seconds)
        if deadline <= now:
            raise late()
        token = AMBIENT.set(deadline)
        try:
            result = fn(*args, **kwargs)
        finally:
            AMBIENT.reset(token)
        if monotonic() > deadline:
            raise late()
        if type(result) in UNFINISHED:
            raise TypeError("returned something that has yet to run")
        return result

    return guarded


def three(fn: Fn, *, limit: int = 10, window_calls: int | None = None) -> Fn:
    """Retry around a breaker around a bulkhead."""
    budget = RetryBudget()
    earn = budget.earn
    machine = BreakerMachine(Rules(window_calls=window_calls))
    seats = deque([None] * limit)

    def guarded(*args: Any, **kwargs: Any) -> Any:
        deadline = _ambient()
        earn()
        attempt = 1
        while True:
            try:
                permit = machine.closed or admit(machine)
                try:
                    try:
                        seats.pop()
                    except IndexError:
                        raise BulkheadFull(f"full: {limit} calls are inside", policy="fused") from None
                    try:
                        result = fn(*args, **kwargs) if deadline == inf else _by(deadline, fn, args, kwargs)
                        if type(result) in UNFINISHED:
                            raise TypeError("returned something that has yet to run")
                    finally:
                        seats.append(None)
                except BaseException as error:
                    record(permit, error)
                    raise
                now = monotonic()
                if permit is machine.closed:
                    window = permit.window
                    if now >= window.edge:
                        machine.advance(permit, now)
                    window.tick()
                else:
                    permit.succeed(now, 0.0)
                return result
            except Exception as error:
                delay = pause(error, budget, attempt, deadline)
                if delay is None:
                    raise
            time.sleep(delay)
            attempt += 1

    return guarded


def three_by_methods(fn: Fn) -> Fn:
    """:func:`three` with the machines' methods called: what ours adds to this is how it composes."""
    budget = RetryBudget()
    machine = BreakerMachine(Rules())
    seats = BulkheadMachine(10, 0)

    def guarded(*args: Any, **kwargs: Any) -> Any:
        deadline = _ambient()
        budget.earn()
        attempt = 1
        while True:
            try:
                permit = machine.closed or admit(machine)
                try:
                    taken = seats.take()
                    if taken is None:
                        raise BulkheadFull("full: 10 calls are inside", policy="fused")
                    try:
                        result = fn(*args, **kwargs) if deadline == inf else _by(deadline, fn, args, kwargs)
                        if type(result) in UNFINISHED:
                            raise TypeError("returned something that has yet to run")
                    finally:
                        seats.give(taken)
                except BaseException as error:
                    record(permit, error)
                    raise
                permit.succeed(monotonic(), 0.0)
                return result
            except Exception as error:
                delay = pause(error, budget, attempt, deadline)
                if delay is None:
                    raise
            time.sleep(delay)
            attempt += 1

    return guarded


# -- off the happy path -----------------------------------------------------------------------------------


def late() -> DeadlineExceeded:
    """The error of a call that took too long."""
    return DeadlineExceeded("took longer than its limit", kind="timeout")


def _by(deadline: float, fn: Fn, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    """Call *fn*, which may read the deadline; refuse a late result."""
    if monotonic() >= deadline:
        raise late()
    token = AMBIENT.set(deadline)
    try:
        result = fn(*args, **kwargs)
    finally:
        AMBIENT.reset(token)
    if monotonic() > deadline:
        raise late()
    return result


def pause(error: Exception, budget: RetryBudget, attempt: int, deadline: float) -> float | None:
    """Seconds until the next attempt; None where there is none."""
    if attempt >= ATTEMPTS or isinstance(error, Rejected) or not kind_of(error).treatment.retry_here:
        return None
    now = monotonic()
    delay = Backoff().delay(attempt, random.random())
    if now + delay >= deadline or not budget.spend(now):
        return None
    return delay


def admit(machine: BreakerMachine) -> Permit:
    """Leave to call while the breaker is not closed; CircuitOpen where there is none."""
    answer, _ = machine.admit(monotonic(), random.random())
    if isinstance(answer, Refusal):
        raise CircuitOpen("the breaker is open", retry_after=answer.retry_after, policy="fused")
    return answer


def record(permit: Permit, error: BaseException) -> None:
    """A failure, unless the error says nothing about the model."""
    if isinstance(error, Exception) and not isinstance(error, Rejected):
        kind = kind_of(error)
        if kind.treatment.counts_against_model:
            permit.fail(monotonic(), kind, 0.0, random.random(), None)
            return
    permit.abandon()
