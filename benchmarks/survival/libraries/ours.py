"""This library; caches, rate limits, isolation and drift are not built yet."""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Any

from resilient_ml import (
    Bulkhead,
    CircuitBreaker,
    ConstantBackoff,
    DeadlineExceeded,
    Fallback,
    Keyed,
    Pipeline,
    Rejected,
    Retry,
    RetryBudget,
    Timeout,
    __version__,
    events,
)
from survival.library import Errors, Fn, Library, Raised, caught


class ResilientML(Library):
    """Nothing is set but what a case asks for."""

    name = "resilient_ml"
    distribution = "resilient-ml"

    def version(self) -> str | None:
        return __version__  # it may be used from a checkout, where nothing is installed

    @property
    def rejections(self) -> Raised:
        return (Rejected,)

    @property
    def timeouts(self) -> Raised:
        return (DeadlineExceeded,)

    def retry(self, fn: Fn, attempts: int, wait: float = 0.0, on: Errors = Exception) -> Fn:
        return Retry(attempts, on=on, backoff=ConstantBackoff(wait))(fn)

    aretry = retry

    def retry_within(self, fn: Fn, attempts: int, wait: float, deadline: float) -> Fn:
        retry = Retry(attempts, on=Exception, backoff=ConstantBackoff(wait))
        return Pipeline(Timeout(deadline, late_only=True), retry)(fn)

    aretry_within = retry_within

    def retry_group(self, fns: list[Fn], attempts: int) -> list[Fn]:
        budget = RetryBudget()
        return [Retry(attempts, backoff=ConstantBackoff(0), budget=budget)(fn) for fn in fns]

    aretry_group = retry_group

    def retry_default(self, fn: Fn) -> Fn:
        return Retry()(fn)

    def retry_unless(self, fn: Fn, attempts: int, unless: Errors) -> Fn:
        return Retry(attempts, on=lambda error: not isinstance(error, unless), backoff=ConstantBackoff(0))(fn)

    aretry_unless = retry_unless

    def retry_logged(self, fn: Fn, attempts: int) -> Fn:
        events.log_to(logging.getLogger(__name__))
        return self.retry(fn, attempts)

    def retry_hooked(self, fn: Fn, attempts: int, hook: Callable[[], Any]) -> Fn:
        return Retry(attempts, on=Exception, backoff=ConstantBackoff(0), on_event=lambda _: hook())(fn)

    aretry_hooked = retry_hooked

    def breaker(self, fn: Fn, failures: int, reset: float) -> Fn:
        return self._breaker(failures, reset)(fn)

    abreaker = breaker

    def breaker_hooked(self, fn: Fn, failures: int, reset: float, hook: Callable[[], Any]) -> Fn:
        return self._breaker(failures, reset, on_event=lambda _: hook())(fn)

    @staticmethod
    def _breaker(failures: int, reset: float, **more: Any) -> CircuitBreaker:
        return CircuitBreaker(
            failure_rate=None,
            consecutive_failures=failures,
            open_seconds=reset,
            counts=Exception,
            **more,
        )

    def bulkhead(self, fn: Fn, limit: int, queue: int) -> Fn:
        return Bulkhead(limit, queue=queue)(fn)

    abulkhead = bulkhead

    def timeout(self, fn: Fn, seconds: float) -> Fn:
        return Timeout(seconds)(fn)

    def atimeout(self, fn: Fn, seconds: float) -> Fn:
        return Timeout(seconds, grace=0.25)(fn)

    def fallback(self, fn: Fn, value: Any) -> Fn:
        return Fallback(value)(fn)

    afallback = fallback

    def keyed_state(self) -> Callable[[str], Any]:
        def touched(key: str) -> None:
            """There is nothing to do."""

        return Keyed(CircuitBreaker, key=lambda key: key)(touched)

    def own_errors(self) -> list[BaseException]:
        late = Timeout(1e-9, late_only=True)(lambda: None)
        return [
            self.refusal_when_open(),
            self.refusal_when_full(),
            caught(late),
        ]

    def decorate(self, fn: Fn) -> Fn:
        return self.breaker(fn, 3, 60.0)
