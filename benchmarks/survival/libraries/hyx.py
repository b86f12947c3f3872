"""hyx: policies for coroutine functions on asyncio, as decorators and as ``async with``."""

from __future__ import annotations

from importlib import import_module
from typing import Any

from survival.library import Block, Errors, Fn, Library, Raised


class Hyx(Library):
    """It counts retries, where the cases count attempts."""

    name = "hyx"
    distribution = "hyx"

    @property
    def rejections(self) -> Raised:
        return (
            import_module("hyx.circuitbreaker.exceptions").BreakerFailing,
            import_module("hyx.bulkhead.exceptions").BulkheadFull,
            import_module("hyx.ratelimit.exceptions").RateLimitExceeded,
        )

    @property
    def timeouts(self) -> Raised:
        return (import_module("hyx.timeout.exceptions").MaxDurationExceeded,)

    @property
    def exhausted(self) -> Raised:
        return (import_module("hyx.retry.exceptions").MaxAttemptsExceeded,)

    def aretry(self, fn: Fn, attempts: int, wait: float = 0.0, on: Errors = Exception) -> Fn:
        guarded: Fn = import_module("hyx.retry").retry(on=on, attempts=attempts - 1, backoff=wait)(fn)
        return guarded

    def aretry_group(self, fns: list[Fn], attempts: int) -> list[Fn]:
        return [self.aretry(fn, attempts) for fn in fns]

    def abreaker(self, fn: Fn, failures: int, reset: float) -> Fn:
        guarded: Fn = self._breaker(failures, reset)(fn)
        return guarded

    def abreaker_block(self, failures: int, reset: float) -> Block:
        breaker = self._breaker(failures, reset)
        return lambda: breaker

    def abulkhead(self, fn: Fn, limit: int, queue: int) -> Fn:
        guarded: Fn = self._bulkhead(limit, queue)(fn)
        return guarded

    def abulkhead_block(self, limit: int, queue: int) -> Block:
        bulkhead = self._bulkhead(limit, queue)
        return lambda: bulkhead

    def atimeout(self, fn: Fn, seconds: float) -> Fn:
        guarded: Fn = import_module("hyx.timeout").timeout(seconds)(fn)
        return guarded

    def atimeout_block(self, seconds: float) -> Block:
        return lambda: import_module("hyx.timeout").timeout(seconds)

    def afallback(self, fn: Fn, value: Any) -> Fn:
        async def instead(*_: Any, **__: Any) -> Any:
            return value

        guarded: Fn = import_module("hyx.fallback").fallback(instead)(fn)
        return guarded

    def arate(self, fn: Fn, calls: int, seconds: float) -> Fn:
        guarded: Fn = import_module("hyx.ratelimit").tokenbucket(calls, seconds)(fn)
        return guarded

    def decorate(self, fn: Fn) -> Fn:
        return self.abreaker(fn, 3, 60.0)

    @staticmethod
    def _breaker(failures: int, reset: float) -> Any:
        return import_module("hyx.circuitbreaker").consecutive_breaker(
            failure_threshold=failures, recovery_time_secs=reset, recovery_threshold=1
        )

    @staticmethod
    def _bulkhead(limit: int, queue: int) -> Any:
        return import_module("hyx.bulkhead").bulkhead(max_concurrency=limit, max_capacity=limit + queue)
