"""The peers: how each library guards a function, configured as near to ours as it goes.

Each entry imports its library only when it is made, so that one which is not installed is listed as absent.
All of these decorators see for themselves whether a function is plain or a coroutine function.
"""

from __future__ import annotations

import asyncio
import functools
import threading
from collections.abc import Callable
from dataclasses import dataclass
from importlib import import_module
from typing import Any

Fn = Callable[..., Any]
Guard = Callable[[Fn], Fn]

OPEN_SECONDS = 3600.0
"""How long an open breaker stays open: longer than any benchmark."""


@dataclass(frozen=True, slots=True)
class Peer:
    """One way to guard a function with another library.

    Attributes:
        name: The library, and the variant.
        guard: Imports it and makes the decorator.
        sync: Whether it guards plain functions.
        asynchronous: Whether it guards coroutine functions.
        same: Whether it does all that ours does.
        note: What it leaves out.
    """

    name: str
    guard: Callable[[], Guard]
    sync: bool = True
    asynchronous: bool = True
    same: bool = False
    note: str = ""

    def make(self, fn: Fn) -> Fn | None:
        """*fn*, guarded; None where the library is not installed."""
        try:
            return self.guard()(fn)
        except ImportError:
            return None


def stacked(*guards: Guard) -> Guard:
    """Decorators as one, outermost first."""
    return lambda fn: functools.reduce(lambda inner, guard: guard(inner), reversed(guards), fn)


def _interlock(build: Callable[[Any], Any]) -> Guard:
    guard: Guard = build(import_module("interlock.pipeline").Pipeline.builder()).build()
    return guard


def _interlock_breaker(window: str) -> Any:
    interlock = import_module("interlock")
    kind = interlock.WindowType.TIME_BASED if window == "time" else interlock.WindowType.COUNT_BASED
    config = interlock.Config(
        window_type=kind, window_size=10 if window == "time" else 100, wait_duration_in_open=OPEN_SECONDS
    )
    return interlock.CircuitBreaker(name=f"benchmark, {window} window", config=config)


def _pyresilience(**settings: Any) -> Guard:
    module = import_module("pyresilience")
    configs = {
        "retry": module.RetryConfig,
        "retry_budget": module.RetryBudgetConfig,
        "circuit_breaker": module.CircuitBreakerConfig,
        "bulkhead": module.BulkheadConfig,
        "timeout": module.TimeoutConfig,
        "fallback": module.FallbackConfig,
        "rate_limiter": module.RateLimiterConfig,
    }
    guard: Guard = module.resilient(**{name: configs[name](**given) for name, given in settings.items()})
    return guard


def _limits(strategy: str) -> Guard:
    limits, strategies = import_module("limits"), import_module("limits.strategies")
    limiter = getattr(strategies, strategy)(import_module("limits.storage").MemoryStorage())
    allowed = limits.RateLimitItemPerMinute(10**12)

    def guard(fn: Fn) -> Fn:
        def wrapper(*args: Any, **kwargs: Any) -> Any:
            if not limiter.hit(allowed):
                raise RuntimeError("over the limit")
            return fn(*args, **kwargs)

        return wrapper

    return guard


def _tenacity() -> Guard:
    tenacity = import_module("tenacity")
    guard: Guard = tenacity.retry(
        stop=tenacity.stop_after_attempt(3),
        wait=tenacity.wait_random_exponential(multiplier=0.1, max=10),
        reraise=True,
    )
    return guard


def _stamina() -> Guard:
    guard: Guard = import_module("stamina").retry(on=Exception, attempts=3)
    return guard


def _backoff() -> Guard:
    backoff = import_module("backoff")
    guard: Guard = backoff.on_exception(backoff.expo, Exception, max_tries=3)
    return guard


def _nopanic_budgeted() -> Guard:
    nopanic = import_module("nopanic")
    guard: Guard = nopanic.retry(attempts=3, budget=nopanic.RetryBudget())
    return guard


def _nopanic_breaker() -> Guard:
    guard: Guard = import_module("nopanic").circuit_breaker(
        reset_timeout=OPEN_SECONDS, window=10.0, min_calls=10
    )
    return guard


def _pybreaker() -> Guard:
    guard: Guard = import_module("pybreaker").CircuitBreaker(fail_max=10, reset_timeout=OPEN_SECONDS)
    return guard


def _circuitbreaker() -> Guard:
    # Every one of these is registered by name for good, and needs its own.
    guard: Guard = import_module("circuitbreaker").CircuitBreaker(
        failure_threshold=10, recovery_timeout=int(OPEN_SECONDS)
    )
    return guard


def _resilix(**settings: Any) -> Guard:
    guard: Guard = import_module("resilix").CircuitBreaker(
        failures=10, reset_timeout=OPEN_SECONDS, **settings
    )
    return guard


def _grit_breaker() -> Guard:
    guard: Guard = import_module("grit").breaker(fails=10, reset_after=OPEN_SECONDS)
    return guard


def _hyx_breaker() -> Guard:
    guard: Guard = import_module("hyx.circuitbreaker").consecutive_breaker(
        failure_threshold=10, recovery_time_secs=OPEN_SECONDS
    )
    return guard


def semaphore(limit: int = 10) -> Guard:
    """A bare ``threading.Semaphore``: the bulkhead of those who stack single libraries."""
    seats = threading.Semaphore(limit)

    def guard(fn: Fn) -> Fn:
        def guarded(*args: Any, **kwargs: Any) -> Any:
            with seats:
                return fn(*args, **kwargs)

        return guarded

    return guard


def async_semaphore(limit: int = 10) -> Guard:
    """A bare ``asyncio.Semaphore``."""
    seats = asyncio.Semaphore(limit)

    def guard(fn: Fn) -> Fn:
        async def guarded(*args: Any, **kwargs: Any) -> Any:
            async with seats:
                return await fn(*args, **kwargs)

        return guarded

    return guard


def asyncio_timeout(seconds: float = 1.0) -> Guard:
    """A bare ``asyncio.timeout``."""

    def guard(fn: Fn) -> Fn:
        async def guarded(*args: Any, **kwargs: Any) -> Any:
            async with asyncio.timeout(seconds):
                return await fn(*args, **kwargs)

        return guarded

    return guard


def _attribute(module: str, name: str, *args: Any, **kwargs: Any) -> Callable[[], Guard]:
    """``module.name(*args, **kwargs)``, once it is wanted."""

    def guard() -> Guard:
        made: Guard = getattr(import_module(module), name)(*args, **kwargs)
        return made

    return guard


def _protect(name: str, *args: Any, **kwargs: Any) -> Callable[[], Guard]:
    """resilix: ``protect.name(*args, **kwargs)``, once it is wanted."""

    def guard() -> Guard:
        made: Guard = getattr(import_module("resilix").protect, name)(*args, **kwargs)
        return made

    return guard


RETRY = (
    Peer("nopanic + budget", _nopanic_budgeted, same=True),
    Peer("pyresilience + budget", lambda: _pyresilience(retry={}, retry_budget={}), note="absolute budget"),
    Peer("nopanic", _attribute("nopanic", "retry", attempts=3), note="no budget"),
    Peer("grit", _attribute("grit", "retry", tries=3), note="no budget, no deadline"),
    Peer("resilix", _protect("when", Exception, retry=3), note="no budget"),
    Peer("pyresilience", lambda: _pyresilience(retry={}), note="no budget"),
    Peer("backoff", _backoff, note="no budget"),
    Peer("stamina", _stamina, note="no budget"),
    Peer("tenacity", _tenacity, note="no budget"),
    Peer("interlock", lambda: _interlock(lambda build: build.retry(attempts=3)), note="is tenacity"),
    Peer("hyx", _attribute("hyx.retry", "retry", attempts=3), sync=False, note="no budget, shared back-off"),
)

TIME_BREAKER = (
    Peer("nopanic", _nopanic_breaker, same=True),
    Peer("interlock, time", lambda: _interlock_breaker("time"), same=True),
    Peer("resilix, window", lambda: _resilix(window=10.0), note="failures in a window, no rate"),
    Peer("resilix", _resilix, note="failures in a row only"),
    Peer("grit", _grit_breaker, note="failures in a row only"),
    Peer("circuitbreaker", _circuitbreaker, note="failures in a row only, no lock"),
    Peer("pybreaker", _pybreaker, asynchronous=False, note="failures in a row only, serialises"),
    Peer(
        "pyresilience",
        lambda: _pyresilience(circuit_breaker={"recovery_timeout": OPEN_SECONDS}),
        note="in a row only",
    ),
    Peer("hyx", _hyx_breaker, sync=False, note="failures in a row only"),
)

COUNT_BREAKER = (
    Peer(
        "pyresilience, window",
        lambda: _pyresilience(
            circuit_breaker={
                "sliding_window_size": 100,
                "minimum_calls": 10,
                "recovery_timeout": OPEN_SECONDS,
            }
        ),
        same=True,
    ),
    Peer("interlock, count", lambda: _interlock_breaker("count"), same=True),
)

BULKHEAD = (
    Peer("nopanic", _attribute("nopanic", "bulkhead", 10), same=True),
    Peer("resilix", _protect("bulkhead", 10, wait=False), same=True),
    Peer("grit", _attribute("grit", "bulkhead", 10), same=True),
    Peer("pyresilience", lambda: _pyresilience(bulkhead={"max_concurrent": 10}), same=True),
    Peer("interlock", lambda: _interlock(lambda build: build.bulkhead(10)), same=True),
    Peer("hyx", _attribute("hyx.bulkhead", "bulkhead", 10, 10), sync=False, same=True),
)

RATE = (
    Peer("nopanic", lambda: import_module("nopanic").rate_limit(1e15), note="bucket"),
    Peer("limits, moving window", lambda: _limits("MovingWindowRateLimiter"), note="remembers every call"),
    Peer("limits, two windows", lambda: _limits("SlidingWindowCounterRateLimiter"), note="approximate"),
    Peer(
        "pyresilience",
        lambda: _pyresilience(rate_limiter={"max_calls": 10**15, "period": 60.0}),
        note="bucket",
    ),
)

FALLBACK = (
    Peer("nopanic", _attribute("nopanic", "fallback", 0), same=True),
    Peer("grit", _attribute("grit", "fallback", value=0), same=True),
    Peer("resilix", _protect("when", Exception, return_=0), same=True),
    Peer("pyresilience", lambda: _pyresilience(fallback={"handler": 0}), same=True),
    Peer("interlock", lambda: _interlock(lambda build: build.fallback(lambda _: 0)), same=True),
)

TIMEOUT = (
    Peer("nopanic", _attribute("nopanic", "timeout", 1.0), same=True),
    Peer(
        "pyresilience",
        lambda: _pyresilience(timeout={"seconds": 1.0}),
        note="sync: 4 threads a function, loses context",
    ),
    Peer(
        "interlock",
        lambda: _interlock(lambda build: build.timeout(1.0)),
        note="sync: thread a call, loses context",
    ),
    Peer("func_timeout", lambda: _func_timeout, asynchronous=False, note="thread a call, loses context"),
    Peer("grit", _attribute("grit", "timeout", 1.0), sync=False, note="wait_for"),
    Peer("resilix", _protect("timeout", 1.0), sync=False),
    Peer("hyx", _attribute("hyx.timeout", "timeout", 1.0), sync=False, note="wait_for"),
)


def _func_timeout(fn: Fn) -> Fn:
    run = import_module("func_timeout").func_timeout

    def guarded(*args: Any, **kwargs: Any) -> Any:
        return run(1.0, fn, args, kwargs)

    return guarded


def _nopanic_stack(*, budget: bool, timeout: bool = False) -> Guard:
    nopanic = import_module("nopanic")
    retry = _nopanic_budgeted() if budget else nopanic.retry(attempts=3)
    policies = [retry, _nopanic_breaker(), nopanic.bulkhead(10)]
    guard: Guard = nopanic.compose(*policies, *([nopanic.timeout(1.0)] if timeout else []))
    return guard


def _grit_stack(*, timeout: bool = False) -> Guard:
    grit = import_module("grit")
    layers = [grit.retry(tries=3), _grit_breaker(), grit.bulkhead(10)]
    guard: Guard = grit.policy(*layers, *([grit.timeout(1.0)] if timeout else []))
    return guard


def _pyresilience_stack(**more: Any) -> Guard:
    window = {"sliding_window_size": 100, "minimum_calls": 10, "recovery_timeout": OPEN_SECONDS}
    return _pyresilience(retry={}, circuit_breaker=window, bulkhead={"max_concurrent": 10}, **more)


def _resilix_stack(*, timeout: bool = False) -> Guard:
    parts = [_protect("when", Exception, retry=3)(), _resilix(), _protect("bulkhead", 10, wait=False)()]
    return stacked(*parts, *([_protect("timeout", 1.0)()] if timeout else []))


def _interlock_stack(*, timeout: bool = False) -> Guard:
    def build(builder: Any) -> Any:
        three = builder.retry(attempts=3).circuit_breaker(_interlock_breaker("time")).bulkhead(10)
        return three.timeout(1.0) if timeout else three

    return _interlock(build)


def _hyx_stack() -> Guard:
    timeout = import_module("hyx.timeout").timeout(1.0)
    bulkhead = import_module("hyx.bulkhead").bulkhead(10, 10)
    return stacked(import_module("hyx.retry").retry(attempts=3), _hyx_breaker(), bulkhead, timeout)


THREE = (
    Peer("nopanic + budget", lambda: _nopanic_stack(budget=True), same=True),
    Peer("nopanic", lambda: _nopanic_stack(budget=False), note="no budget"),
    Peer("grit", _grit_stack, note="no budget, failures in a row only"),
    Peer("pyresilience", _pyresilience_stack, note="no budget"),
    Peer("resilix", _resilix_stack, note="no budget, failures in a row only"),
    Peer("interlock", _interlock_stack, note="no budget"),
    Peer(
        "tenacity + pybreaker + Semaphore",
        lambda: stacked(_tenacity(), _pybreaker(), semaphore()),
        asynchronous=False,
        note="no budget, serialises",
    ),
    Peer(
        "stamina + circuitbreaker + Semaphore",
        lambda: stacked(_stamina(), _circuitbreaker(), semaphore()),
        asynchronous=False,
        note="no budget, failures in a row only",
    ),
)
"""Retry around a breaker around a bulkhead."""

FOUR = (
    Peer("nopanic + budget", lambda: _nopanic_stack(budget=True, timeout=True), same=True),
    Peer("nopanic", lambda: _nopanic_stack(budget=False, timeout=True), note="no budget"),
    Peer("grit", lambda: _grit_stack(timeout=True), note="no budget, failures in a row only"),
    Peer("pyresilience", lambda: _pyresilience_stack(timeout={"seconds": 1.0}), note="no budget"),
    Peer(
        "resilix", lambda: _resilix_stack(timeout=True), sync=False, note="no budget, failures in a row only"
    ),
    Peer("interlock", lambda: _interlock_stack(timeout=True), note="no budget"),
    Peer("hyx", _hyx_stack, sync=False, note="no budget, failures in a row only"),
    Peer(
        "tenacity + circuitbreaker + asyncio",
        lambda: stacked(_tenacity(), _circuitbreaker(), async_semaphore(), asyncio_timeout()),
        sync=False,
        note="no budget, failures in a row only",
    ),
    Peer(
        "stamina + circuitbreaker + asyncio",
        lambda: stacked(_stamina(), _circuitbreaker(), async_semaphore(), asyncio_timeout()),
        sync=False,
        note="no budget, failures in a row only",
    ),
)
"""The same with a timeout inside."""
