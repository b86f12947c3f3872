"""interlock: a breaker first, with a pipeline of further policies around it."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from importlib import import_module
from typing import Any

from survival.library import Block, Errors, Fn, Raised

from .breakers import Breaker


class Interlock(Breaker):
    """A breaker by rate, held to failures that fill the window; its retry is tenacity in its pipeline."""

    name = "interlock-cb"
    distribution = "interlock-cb"

    _serial = itertools.count()

    @property
    def rejections(self) -> Raised:
        interlock = import_module("interlock")
        return (interlock.CircuitOpenError, interlock.BulkheadFullError)

    @property
    def timeouts(self) -> Raised:
        return (import_module("interlock").CallTimeoutError,)

    def breaker(self, fn: Fn, failures: int, reset: float) -> Fn:
        guarded: Fn = self._breaker(failures, reset)(fn)
        return guarded

    abreaker = breaker

    def abreaker_block(self, failures: int, reset: float) -> Block:
        breaker = self._breaker(failures, reset)
        return lambda: breaker

    def breaker_hooked(self, fn: Fn, failures: int, reset: float, hook: Callable[[], Any]) -> Fn:
        base = import_module("interlock").LoggingEventListener
        listener = type("Listener", (base,), {"on_call": lambda *_, **__: hook()})
        guarded: Fn = self._breaker(failures, reset, listener=listener())(fn)
        return guarded

    def shared_breaker(self, fn: Fn, failures: int, reset: float, port: int) -> Fn:
        redis, made = import_module("redis"), import_module("interlock.integrations.redis").RedisStorage
        guarded: Fn = self._breaker(failures, reset, storage=made(redis.Redis(port=port)))(fn)
        return guarded

    def bulkhead(self, fn: Fn, limit: int, queue: int) -> Fn:
        guarded: Fn = self._pipeline().bulkhead(limit, max_wait=5.0 if queue else 0.0).build()(fn)
        return guarded

    abulkhead = bulkhead

    def timeout(self, fn: Fn, seconds: float) -> Fn:
        guarded: Fn = self._pipeline().timeout(seconds).build()(fn)
        return guarded

    atimeout = timeout

    def atimeout_block(self, seconds: float) -> Block:
        return lambda: import_module("interlock").timeout(seconds)

    def fallback(self, fn: Fn, value: Any) -> Fn:
        guarded: Fn = self._pipeline().fallback(lambda _: value).build()(fn)
        return guarded

    afallback = fallback

    def retry(self, fn: Fn, attempts: int, wait: float = 0.0, on: Errors = Exception) -> Fn:
        tenacity = import_module("tenacity")
        return self._retry(fn, attempts, wait=tenacity.wait_fixed(wait), on=on)

    aretry = retry

    def retry_group(self, fns: list[Fn], attempts: int) -> list[Fn]:
        return [self.retry(fn, attempts) for fn in fns]

    aretry_group = retry_group

    def retry_hooked(self, fn: Fn, attempts: int, hook: Callable[[], Any]) -> Fn:
        base = import_module("interlock").LoggingEventListener
        listener = type("Listener", (base,), {"on_retry": lambda *_, **__: hook()})
        return self._retry(fn, attempts, listener=listener())

    aretry_hooked = retry_hooked

    def retry_logged(self, fn: Fn, attempts: int) -> Fn:
        return self._retry(fn, attempts, listener=import_module("interlock").LoggingEventListener())

    def keyed_state(self) -> Callable[[str], Any]:
        registry = import_module("interlock").Registry()
        return lambda key: registry.get(key).call(lambda: None)

    def own_errors(self) -> list[BaseException]:
        return [
            self.refusal_when_open(),
            self.refusal_when_full(),
            import_module("interlock").CallTimeoutError(1.0),
        ]

    def _retry(self, fn: Fn, attempts: int, on: Errors = Exception, **more: Any) -> Fn:
        tenacity = import_module("tenacity")
        settings = {"retry": tenacity.retry_if_exception_type(on), "wait": tenacity.wait_none()}
        guarded: Fn = self._pipeline().retry(attempts=attempts, **(settings | more)).build()(fn)
        return guarded

    @staticmethod
    def _pipeline() -> Any:
        return import_module("interlock").Pipeline.builder()

    def _breaker(self, failures: int, reset: float, **more: Any) -> Any:
        interlock = import_module("interlock")
        config = interlock.Config(
            failure_rate_threshold=1.0,
            minimum_number_of_calls=failures,
            window_size=failures,
            permitted_calls_in_half_open=1,
            max_concurrent_probes=1,
            wait_duration_in_open=reset,
        )
        return interlock.CircuitBreaker(name=f"case {next(self._serial)}", config=config, **more)
