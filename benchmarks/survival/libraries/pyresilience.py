"""pyresilience: one decorator with a config object for each policy."""

from __future__ import annotations

from collections.abc import Callable
from importlib import import_module
from typing import Any

from survival.library import Errors, Fn, Library, Raised, caught


class PyResilience(Library):
    """Without jitter, and with the breaker closed by its first good probe, as the others have it."""

    name = "pyresilience"
    distribution = "pyresilience"

    @property
    def rejections(self) -> Raised:
        module = import_module("pyresilience")
        return (module.CircuitOpenError, module.BulkheadFullError, module.RateLimitExceededError)

    @property
    def timeouts(self) -> Raised:
        return (import_module("pyresilience").ResilienceTimeoutError,)

    def retry(self, fn: Fn, attempts: int, wait: float = 0.0, on: Errors = Exception) -> Fn:
        kinds = on if isinstance(on, tuple) else (on,)
        return self._with(fn, retry=self._pace(attempts, wait, retry_on=kinds))

    aretry = retry

    def retry_within(self, fn: Fn, attempts: int, wait: float, deadline: float) -> Fn:
        # Its own time-out is not to be retried.
        whole = import_module("pyresilience").TimeoutConfig(seconds=deadline, per_attempt=False)
        return self._with(fn, retry=self._pace(attempts, wait, retry_on=(ConnectionError,)), timeout=whole)

    aretry_within = retry_within

    def retry_group(self, fns: list[Fn], attempts: int) -> list[Fn]:
        budget = import_module("pyresilience").RetryBudgetConfig()
        return [self._with(fn, retry=self._pace(attempts), retry_budget=budget) for fn in fns]

    aretry_group = retry_group

    def retry_default(self, fn: Fn) -> Fn:
        return self._with(fn, retry=import_module("pyresilience").RetryConfig())

    def retry_unless(self, fn: Fn, attempts: int, unless: Errors) -> Fn:
        kinds = unless if isinstance(unless, tuple) else (unless,)
        return self._with(fn, retry=self._pace(attempts, ignore_on=kinds))

    aretry_unless = retry_unless

    def retry_logged(self, fn: Fn, attempts: int) -> Fn:
        logger = import_module("pyresilience").JsonEventLogger()
        return self._with(fn, retry=self._pace(attempts), listeners=[logger])

    def retry_hooked(self, fn: Fn, attempts: int, hook: Callable[[], Any]) -> Fn:
        return self._with(fn, retry=self._pace(attempts), listeners=[lambda _: hook()])

    aretry_hooked = retry_hooked

    def breaker(self, fn: Fn, failures: int, reset: float) -> Fn:
        return self._with(fn, circuit_breaker=self._trip(failures, reset))

    abreaker = breaker

    def breaker_hooked(self, fn: Fn, failures: int, reset: float, hook: Callable[[], Any]) -> Fn:
        return self._with(fn, circuit_breaker=self._trip(failures, reset), listeners=[lambda _: hook()])

    def bulkhead(self, fn: Fn, limit: int, queue: int) -> Fn:
        made = import_module("pyresilience").BulkheadConfig
        return self._with(fn, bulkhead=made(max_concurrent=limit, max_wait=5.0 if queue else 0.0))

    abulkhead = bulkhead

    def timeout(self, fn: Fn, seconds: float) -> Fn:
        return self._with(fn, timeout=import_module("pyresilience").TimeoutConfig(seconds=seconds))

    atimeout = timeout

    def fallback(self, fn: Fn, value: Any) -> Fn:
        return self._with(fn, fallback=import_module("pyresilience").FallbackConfig(handler=value))

    afallback = fallback

    def rate(self, fn: Fn, calls: int, seconds: float) -> Fn:
        made = import_module("pyresilience").RateLimiterConfig
        return self._with(fn, rate_limiter=made(max_calls=calls, period=seconds))

    arate = rate

    def cache(self, fn: Fn, size: int, seconds: float) -> Fn:
        return self._with(fn, cache=import_module("pyresilience").CacheConfig(max_size=size, ttl=seconds))

    acache = cache

    def keyed_state(self) -> Callable[[str], Any]:
        def unanswered(key: str) -> None:
            raise ValueError("down")

        cached = self.cache(unanswered, 128, 60.0)
        return lambda key: caught(cached, key)

    def own_errors(self) -> list[BaseException]:
        limited = self.rate(lambda: None, 1, 60.0)
        limited()
        return [
            self.refusal_when_open(),
            caught(limited),
            self.refusal_when_full(),
        ]

    def decorate(self, fn: Fn) -> Fn:
        return self.retry(fn, 3)

    @staticmethod
    def _pace(attempts: int, wait: float = 0.0, **more: Any) -> Any:
        made = import_module("pyresilience").RetryConfig
        return made(max_attempts=attempts, delay=wait, backoff_factor=1, jitter=False, max_delay=wait, **more)

    @staticmethod
    def _trip(failures: int, reset: float) -> Any:
        made = import_module("pyresilience").CircuitBreakerConfig
        return made(failure_threshold=failures, recovery_timeout=reset, success_threshold=1)

    @staticmethod
    def _with(fn: Fn, **configs: Any) -> Fn:
        guarded: Fn = import_module("pyresilience").resilient(**configs)(fn)
        return guarded
