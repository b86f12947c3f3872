"""resilix: rules and guards on one ``protect`` object, and a breaker beside it."""

from __future__ import annotations

import logging
from collections.abc import Callable
from importlib import import_module
from typing import Any

from survival.library import Errors, Fn, Library, Raised


class Unless:
    """A trigger, as its documentation has them: whatever fails but *kinds*."""

    specificity = 0

    def __init__(self, kinds: Errors) -> None:
        self.kinds = kinds

    def matches(self, event: Any) -> bool:
        error = getattr(event, "exception", None)
        return error is not None and not isinstance(error, self.kinds)


class Resilix(Library):
    """Time-outs of plain functions by its opt-in; those of coroutines with its grace, as ours."""

    name = "resilix"
    distribution = "resilix"

    @property
    def rejections(self) -> Raised:
        resilix = import_module("resilix")
        return (resilix.CircuitOpenError, resilix.BulkheadFullError)

    @property
    def timeouts(self) -> Raised:
        return (TimeoutError,)

    def retry(self, fn: Fn, attempts: int, wait: float = 0.0, on: Errors = Exception) -> Fn:
        return self._protect("when", fn, on, retry=attempts, delay=wait)

    aretry = retry

    def retry_within(self, fn: Fn, attempts: int, wait: float, deadline: float) -> Fn:
        return self._protect("limits", self.retry(fn, attempts, wait), deadline=deadline)

    aretry_within = retry_within

    def retry_group(self, fns: list[Fn], attempts: int) -> list[Fn]:
        return [self.retry(fn, attempts) for fn in fns]

    aretry_group = retry_group

    def retry_unless(self, fn: Fn, attempts: int, unless: Errors) -> Fn:
        return self._protect("on", fn, Unless(unless), retry=attempts)

    aretry_unless = retry_unless

    def retry_logged(self, fn: Fn, attempts: int) -> Fn:
        logger = logging.getLogger("resilix")
        return self._protect("when", fn, Exception, retry=attempts, log=logger.warning, message="retry")

    def retry_hooked(self, fn: Fn, attempts: int, hook: Callable[[], Any]) -> Fn:
        return self._protect("when", fn, Exception, retry=attempts, notify=lambda _: hook())

    aretry_hooked = retry_hooked

    def breaker(self, fn: Fn, failures: int, reset: float) -> Fn:
        return self._breaker(fn, failures, reset)

    abreaker = breaker

    def breaker_hooked(self, fn: Fn, failures: int, reset: float, hook: Callable[[], Any]) -> Fn:
        return self._breaker(fn, failures, reset, on_state_change=lambda *_: hook())

    def bulkhead(self, fn: Fn, limit: int, queue: int) -> Fn:
        return self._protect("bulkhead", fn, limit, wait=queue > 0)

    abulkhead = bulkhead

    def timeout(self, fn: Fn, seconds: float) -> Fn:
        return self._protect("timeout", fn, seconds, allow_sync=True)

    def atimeout(self, fn: Fn, seconds: float) -> Fn:
        return self._protect("timeout", fn, seconds, cancel_grace=0.25)

    def fallback(self, fn: Fn, value: Any) -> Fn:
        return self._protect("when", fn, Exception, return_=value)

    afallback = fallback

    def isolated(self, fn: Fn, seconds: float) -> Fn:
        return self._protect("isolate", fn, seconds)

    def own_errors(self) -> list[BaseException]:
        return [
            self.refusal_when_open(),
            self.refusal_when_full(),
            import_module("resilix").IsolatedTaskError("crashed", "died"),
        ]

    def decorate(self, fn: Fn) -> Fn:
        return self.retry(fn, 3)

    @staticmethod
    def _protect(guard: str, fn: Fn, *args: Any, **settings: Any) -> Fn:
        guarded: Fn = getattr(import_module("resilix").protect, guard)(*args, **settings)(fn)
        return guarded

    @staticmethod
    def _breaker(fn: Fn, failures: int, reset: float, **more: Any) -> Fn:
        guard = import_module("resilix").CircuitBreaker(failures=failures, reset_timeout=reset, **more)
        guarded: Fn = guard(fn)
        return guarded
