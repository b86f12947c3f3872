"""The library behind the interface of a referee that injects faults from outside, one process a fault.

The referee's directory must be on the path: it brings ``_harness``. Each method wraps *fn* in one policy,
with nothing set but what the referee asks for.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Any

from _harness import Adapter

from resilient_ml import (
    Bulkhead,
    Cache,
    CircuitBreaker,
    CircuitOpen,
    ConstantBackoff,
    DeadlineExceeded,
    Fallback,
    Keyed,
    Pipeline,
    RateLimiter,
    Rejected,
    Retry,
    RetryBudget,
    Timeout,
    events,
)

Function = Callable[..., Any]


class ResilientML(Adapter):
    """What the library offers today; the referee reports the rest as not offered."""

    name = "resilient_ml"
    rejections = (Rejected,)
    timeouts = (DeadlineExceeded,)

    def retry(
        self,
        fn: Function,
        attempts: int,
        wait: float = 0.0,
        on: Any = Exception,
        deadline: float | None = None,
    ) -> Function:
        """A retry with a fixed wait, and a deadline for all of it where one is asked for."""
        retry = Retry(attempts, on=on, backoff=ConstantBackoff(wait))
        return retry(fn) if deadline is None else Pipeline(Timeout(deadline, late_only=True), retry)(fn)

    aretry = retry

    def retry_group(self, fns: list[Function], attempts: int) -> list[Function]:
        """Several functions in front of one backend: they share a budget."""
        budget = RetryBudget()
        return [Retry(attempts, backoff=ConstantBackoff(0), budget=budget)(fn) for fn in fns]

    def retry_default(self, fn: Function) -> Function:
        """Nothing but the defaults."""
        return Retry()(fn)

    def retry_default_error(self) -> Function:
        """The library raises no error of its own when retries end; a refusal is the nearest to one."""

        def refused() -> None:
            raise CircuitOpen("refused", retry_after=1.0)

        return Retry(2)(refused)

    def retry_unless(self, fn: Function, attempts: int, unless: Any) -> Function:
        """Retry all but *unless*."""
        return Retry(attempts, on=lambda error: not isinstance(error, unless), backoff=ConstantBackoff(0))(fn)

    aretry_unless = retry_unless

    def retry_logged(self, fn: Function, attempts: int) -> Function:
        """The library's own logging switched on."""
        events.log_to(logging.getLogger(__name__))
        return self.retry(fn, attempts)

    def retry_hooked(self, fn: Function, attempts: int, hook: Function) -> Function:
        """A hook on every event."""
        return Retry(attempts, on=Exception, backoff=ConstantBackoff(0), on_event=lambda _: hook())(fn)

    aretry_hooked = retry_hooked

    def breaker(self, fn: Function, fail_max: int, reset: float, hook: Function | None = None) -> Function:
        """Open after *fail_max* failures in a row, for *reset* seconds."""
        return CircuitBreaker(
            failure_rate=None,
            consecutive_failures=fail_max,
            open_seconds=reset,
            counts=Exception,
            on_event=None if hook is None else lambda _: hook(),
        )(fn)

    abreaker = breaker
    breaker_hooked = breaker

    def bulkhead(self, fn: Function, limit: int, queue: int) -> Function:
        """At most *limit* inside and *queue* waiting."""
        return Bulkhead(limit, queue=queue)(fn)

    abulkhead = bulkhead

    def timeout(self, fn: Function, seconds: float) -> Function:
        """A worker thread that is left behind at the limit."""
        return Timeout(seconds)(fn)

    def atimeout(self, fn: Function, seconds: float) -> Function:
        """Cancelled at the limit, and left behind if that is not heeded."""
        return Timeout(seconds, grace=0.25)(fn)

    def fallback(self, fn: Function, value: Any) -> Function:
        """A value instead of a failure."""
        return Fallback(value)(fn)

    afallback = fallback

    def cache(self, fn: Function, size: int, ttl: float) -> Function:
        """By the content of the arguments; *size* is a number of answers, ours is in bytes."""
        return Cache(size * 1024, ttl=ttl)(fn)

    acache = cache

    def rate(self, fn: Function, calls: int, per: float) -> Function:
        """*calls* in any *per* seconds; one more is refused."""
        return RateLimiter(calls, per=per, wait=False)(fn)

    arate = rate

    def per_key_state(self) -> Function:
        """A breaker for each key."""

        def touched(key: str) -> None:
            """There is nothing to do."""

        return Keyed(CircuitBreaker, key=lambda key: key)(touched)

    def generic(self, fn: Function) -> Function:
        """The decorator for any callable."""
        return self.breaker(fn, 3, 60.0)
