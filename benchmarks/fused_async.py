"""The same work fused by hand for coroutine functions on asyncio; see ``fused.py``.

A deadline is watched by the same timer of the loop that ours uses; what that saves is shown beside it by
``asyncio.timeout``.
"""

from __future__ import annotations

import asyncio
from collections import deque
from math import inf
from time import monotonic
from typing import Any

from fused import Fn, admit, late, pause, record

from resilient_ml import BulkheadFull, RetryBudget
from resilient_ml._ambient import AMBIENT
from resilient_ml._drivers.expiry import timer_of
from resilient_ml.machines.breaker import BreakerMachine
from resilient_ml.machines.breaker_rules import Rules

_ambient = AMBIENT.get


def retry(fn: Fn) -> Fn:
    """As :func:`retry`."""
    budget = RetryBudget()
    earn = budget.earn

    async def guarded(*args: Any, **kwargs: Any) -> Any:
        deadline = _ambient()
        earn()
        attempt = 1
        while True:
            try:
                return await (fn(*args, **kwargs) if deadline == inf else _by(deadline, fn, args, kwargs))
            except Exception as error:
                delay = pause(error, budget, attempt, deadline)
                if delay is None:
                    raise
            await asyncio.sleep(delay)
            attempt += 1

    return guarded


def breaker(fn: Fn) -> Fn:
    """As :func:`breaker`."""
    machine = BreakerMachine(Rules())

    async def guarded(*args: Any, **kwargs: Any) -> Any:
        deadline = _ambient()
        permit = machine.closed or admit(machine)
        try:
            result = await (fn(*args, **kwargs) if deadline == inf else _by(deadline, fn, args, kwargs))
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
    """As :func:`bulkhead`."""
    seats = deque([None] * limit)

    async def guarded(*args: Any, **kwargs: Any) -> Any:
        deadline = _ambient()
        try:
            seats.pop()
        except IndexError:
            raise BulkheadFull(f"full: {limit} calls are inside", policy="fused") from None
        try:
            return await (fn(*args, **kwargs) if deadline == inf else _by(deadline, fn, args, kwargs))
        finally:
            seats.append(None)

    return guarded


def timeout(fn: Fn, *, seconds: float = 1.0) -> Fn:
    """Cancel at the limit, by the loop's shared timer."""

    async def guarded(*args: Any, **kwargs: Any) -> Any:
        now = monotonic()
        deadline = min(_ambient(), now + seconds)
        if deadline <= now:
            raise late()
        task = asyncio.current_task()
        assert task is not None
        loop = task.get_loop()
        timer = timer_of(loop)
        cancels = task.cancelling()
        expiry = timer.add(deadline - now, task, loop)
        token = AMBIENT.set(deadline)
        try:
            result = await fn(*args, **kwargs)
        except asyncio.CancelledError:
            if expiry.fired and task.uncancel() <= cancels:
                raise late() from None
            raise
        finally:
            timer.remove(expiry)
            AMBIENT.reset(token)
        if expiry.fired:
            task.uncancel()
            raise late()
        return result

    return guarded


def four(fn: Fn, *, limit: int = 10, seconds: float = 1.0) -> Fn:  # noqa: C901 - fused: that is the point
    """Retry around a breaker around a bulkhead around a timeout."""
    budget = RetryBudget()
    earn = budget.earn
    machine = BreakerMachine(Rules())
    seats = deque([None] * limit)

    async def guarded(*args: Any, **kwargs: Any) -> Any:
        outer = _ambient()
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
                        now = monotonic()
                        deadline = min(outer, now + seconds)
                        if deadline <= now:
                            raise late()
                        task = asyncio.current_task()
                        assert task is not None
                        loop = task.get_loop()
                        timer = timer_of(loop)
                        cancels = task.cancelling()
                        expiry = timer.add(deadline - now, task, loop)
                        token = AMBIENT.set(deadline)
                        try:
                            result = await fn(*args, **kwargs)
                        except asyncio.CancelledError:
                            if expiry.fired and task.uncancel() <= cancels:
                                raise late() from None
                            raise
                        finally:
                            timer.remove(expiry)
                            AMBIENT.reset(token)
                        if expiry.fired:
                            task.uncancel()
                            raise late()
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
                delay = pause(error, budget, attempt, outer)
                if delay is None:
                    raise
            await asyncio.sleep(delay)
            attempt += 1

    return guarded


async def _by(deadline: float, fn: Fn, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    """Await *fn*, which may read the deadline, and cancel it then."""
    left = deadline - monotonic()
    if left <= 0:
        raise late()
    task = asyncio.current_task()
    assert task is not None
    loop = task.get_loop()
    timer = timer_of(loop)
    cancels = task.cancelling()
    expiry = timer.add(left, task, loop)
    token = AMBIENT.set(deadline)
    try:
        result = await fn(*args, **kwargs)
    except asyncio.CancelledError:
        if expiry.fired and task.uncancel() <= cancels:
            raise late() from None
        raise
    finally:
        timer.remove(expiry)
        AMBIENT.reset(token)
    if expiry.fired:
        task.uncancel()
        raise late()
    return result
