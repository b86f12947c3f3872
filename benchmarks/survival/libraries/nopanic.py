"""nopanic: a kit of policies for plain functions and coroutine functions, on asyncio and trio."""

from __future__ import annotations

import logging
from collections.abc import Callable
from importlib import import_module
from typing import Any

from survival.library import Block, Errors, Fn, Library, Raised, caught


class Nopanic(Library):
    """A breaker by rate, held to failures that fill its window; retries with its budget where they share."""

    name = "nopanic"
    distribution = "nopanic"

    @property
    def rejections(self) -> Raised:
        nopanic = import_module("nopanic")
        return (nopanic.CircuitOpen, nopanic.BulkheadFull, nopanic.RateLimited)

    @property
    def timeouts(self) -> Raised:
        return (TimeoutError,)

    def retry(self, fn: Fn, attempts: int, wait: float = 0.0, on: Errors = Exception) -> Fn:
        return self._retry(fn, attempts, wait, on=on)

    aretry = retry

    def retry_within(self, fn: Fn, attempts: int, wait: float, deadline: float) -> Fn:
        return self._retry(fn, attempts, wait, max_time=deadline)

    aretry_within = retry_within

    def retry_group(self, fns: list[Fn], attempts: int) -> list[Fn]:
        budget = import_module("nopanic").RetryBudget()
        return [self._retry(fn, attempts, budget=budget) for fn in fns]

    aretry_group = retry_group

    def retry_default(self, fn: Fn) -> Fn:
        return self._with("retry", fn)

    def retry_unless(self, fn: Fn, attempts: int, unless: Errors) -> Fn:
        return self._retry(fn, attempts, giveup=lambda error: isinstance(error, unless))

    aretry_unless = retry_unless

    def retry_logged(self, fn: Fn, attempts: int) -> Fn:
        import_module("nopanic").events.log_to(logging.getLogger("nopanic"))
        return self.retry(fn, attempts)

    def retry_hooked(self, fn: Fn, attempts: int, hook: Callable[[], Any]) -> Fn:
        return self._retry(fn, attempts, before_sleep=lambda _: hook())

    aretry_hooked = retry_hooked

    def breaker(self, fn: Fn, failures: int, reset: float) -> Fn:
        return self._breaker(fn, failures, reset)

    abreaker = breaker

    def abreaker_block(self, failures: int, reset: float) -> Block:
        breaker = import_module("nopanic").circuit_breaker(
            failure_threshold=1.0, min_calls=failures, reset_timeout=reset
        )
        block: Block = breaker.guard
        return block

    def breaker_hooked(self, fn: Fn, failures: int, reset: float, hook: Callable[[], Any]) -> Fn:
        import_module("nopanic").events.subscribe(lambda _: hook())
        return self._breaker(fn, failures, reset, on_state_change=lambda *_: hook())

    def bulkhead(self, fn: Fn, limit: int, queue: int) -> Fn:
        return self._with("bulkhead", fn, limit, max_wait=5.0 if queue else 0.0)

    abulkhead = bulkhead

    def abulkhead_block(self, limit: int, queue: int) -> Block:
        bulkhead = import_module("nopanic").bulkhead(limit, max_wait=5.0 if queue else 0.0)
        block: Block = bulkhead.guard
        return block

    def timeout(self, fn: Fn, seconds: float) -> Fn:
        return self._with("timeout", fn, seconds)

    atimeout = timeout

    def atimeout_block(self, seconds: float) -> Block:
        return lambda: import_module("nopanic").timeout(seconds).guard()

    def fallback(self, fn: Fn, value: Any) -> Fn:
        return self._with("fallback", fn, value)

    afallback = fallback

    def rate(self, fn: Fn, calls: int, seconds: float) -> Fn:
        return self._with("rate_limit", fn, calls, per=seconds, max_wait=0.0)

    arate = rate

    def cache(self, fn: Fn, size: int, seconds: float) -> Fn:
        return self._with("cache", fn, seconds, maxsize=size)

    acache = cache

    def keyed_rate(self, calls: int, seconds: float) -> Callable[..., bool]:
        nopanic = import_module("nopanic")
        limits = nopanic.keyed(
            lambda _: nopanic.rate_limit(calls, per=seconds, max_wait=0.0), key=lambda *ids: ids
        )
        guarded = limits(lambda *ids: True)

        def hit(*identifiers: str) -> bool:
            try:
                return bool(guarded(*identifiers))
            except nopanic.RateLimited:
                return False

        return hit

    def keyed_state(self) -> Callable[[str], Any]:
        nopanic = import_module("nopanic")
        guard = nopanic.keyed(lambda _: nopanic.circuit_breaker(), key=lambda key: key)
        touch: Callable[[str], Any] = guard(lambda key: None)
        return touch

    def own_errors(self) -> list[BaseException]:
        limited = self.rate(lambda: None, 1, 60.0)
        limited()
        return [
            self.refusal_when_open(),
            caught(limited),
            self.refusal_when_full(),
        ]

    def decorate(self, fn: Fn) -> Fn:
        return self.breaker(fn, 3, 60.0)

    def _retry(self, fn: Fn, attempts: int, wait: float = 0.0, **more: Any) -> Fn:
        return self._with("retry", fn, attempts, **({"backoff": wait} | more))

    def _breaker(self, fn: Fn, failures: int, reset: float, **more: Any) -> Fn:
        return self._with(
            "circuit_breaker", fn, failure_threshold=1.0, min_calls=failures, reset_timeout=reset, **more
        )

    @staticmethod
    def _with(policy: str, fn: Fn, *args: Any, **settings: Any) -> Fn:
        guarded: Fn = getattr(import_module("nopanic"), policy)(*args, **settings)(fn)
        return guarded
