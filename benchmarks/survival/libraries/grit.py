"""grit-toolkit: small decorators for plain functions and coroutine functions."""

from __future__ import annotations

from collections.abc import Callable
from importlib import import_module
from typing import Any

from survival.library import Errors, Fn, Library, Raised, broken, caught


class Grit(Library):
    """Its limiter waits and never refuses, unless acquired by hand."""

    name = "grit-toolkit"
    distribution = "grit-toolkit"

    @property
    def rejections(self) -> Raised:
        errors = import_module("grit").exceptions
        return (errors.BreakerOpen, errors.BulkheadFull, errors.LimitExceeded)

    @property
    def timeouts(self) -> Raised:
        return (import_module("grit").exceptions.TimeoutExceeded,)

    @property
    def exhausted(self) -> Raised:
        return (import_module("grit").exceptions.RetryExhausted,)

    def retry(self, fn: Fn, attempts: int, wait: float = 0.0, on: Errors = Exception) -> Fn:
        return self._retry(fn, attempts, wait, on=on)

    aretry = retry

    def retry_group(self, fns: list[Fn], attempts: int) -> list[Fn]:
        return [self.retry(fn, attempts) for fn in fns]

    aretry_group = retry_group

    def retry_default(self, fn: Fn) -> Fn:
        return self._with("retry", fn)

    def retry_unless(self, fn: Fn, attempts: int, unless: Errors) -> Fn:
        return self._retry(fn, attempts, giveup=lambda error: isinstance(error, unless))

    aretry_unless = retry_unless

    def retry_hooked(self, fn: Fn, attempts: int, hook: Callable[[], Any]) -> Fn:
        return self._retry(fn, attempts, on_retry=lambda *_: hook())

    aretry_hooked = retry_hooked

    def breaker(self, fn: Fn, failures: int, reset: float) -> Fn:
        return self._with("breaker", fn, fails=failures, reset_after=reset)

    abreaker = breaker

    def breaker_hooked(self, fn: Fn, failures: int, reset: float, hook: Callable[[], Any]) -> Fn:
        guard = import_module("grit").breaker(fails=failures, reset_after=reset)
        guard.on_change(lambda *_: hook())
        guarded: Fn = guard(fn)
        return guarded

    def bulkhead(self, fn: Fn, limit: int, queue: int) -> Fn:
        return self._with("bulkhead", fn, limit, timeout=5.0 if queue else 0.0)

    abulkhead = bulkhead

    def timeout(self, fn: Fn, seconds: float) -> Fn:
        return self._with("timeout", fn, seconds)

    atimeout = timeout

    def fallback(self, fn: Fn, value: Any) -> Fn:
        return self._with("fallback", fn, value)

    afallback = fallback

    def rate(self, fn: Fn, calls: int, seconds: float) -> Fn:
        return self._with("limiter", fn, calls, per=seconds)

    arate = rate

    def own_errors(self) -> list[BaseException]:
        late = import_module("grit").exceptions.TimeoutExceeded(1.0)
        return [
            caught(self.retry(broken, 2)),
            self.refusal_when_open(),
            self.refusal_when_full(),
            late,
        ]

    def decorate(self, fn: Fn) -> Fn:
        return self.breaker(fn, 3, 60.0)

    def _retry(self, fn: Fn, attempts: int, wait: float = 0.0, **more: Any) -> Fn:
        return self._with("retry", fn, tries=attempts, wait=import_module("grit").constant(wait), **more)

    @staticmethod
    def _with(policy: str, fn: Fn, *args: Any, **settings: Any) -> Fn:
        guarded: Fn = getattr(import_module("grit"), policy)(*args, **settings)(fn)
        return guarded
