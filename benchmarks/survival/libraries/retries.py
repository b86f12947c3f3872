"""The libraries that retry and do nothing else: tenacity, stamina, backoff."""

from __future__ import annotations

import logging
from collections.abc import Callable
from importlib import import_module
from typing import Any

from survival.library import Errors, Fn, Library, broken, caught


class Tenacity(Library):
    """With ``reraise=True``, as its documentation advises where the error matters."""

    name = "tenacity"
    distribution = "tenacity"

    def retry(self, fn: Fn, attempts: int, wait: float = 0.0, on: Errors = Exception) -> Fn:
        return self._retry(fn, attempts, wait, on)

    aretry = retry

    def retry_within(self, fn: Fn, attempts: int, wait: float, deadline: float) -> Fn:
        tenacity = import_module("tenacity")
        stop = tenacity.stop_after_attempt(attempts) | tenacity.stop_before_delay(deadline)
        return self._retry(fn, attempts, wait, stop=stop)

    aretry_within = retry_within

    def retry_group(self, fns: list[Fn], attempts: int) -> list[Fn]:
        return [self.retry(fn, attempts) for fn in fns]

    aretry_group = retry_group

    def retry_default(self, fn: Fn) -> Fn:
        guarded: Fn = import_module("tenacity").retry(fn)
        return guarded

    def retry_unless(self, fn: Fn, attempts: int, unless: Errors) -> Fn:
        return self._retry(fn, attempts, retry=import_module("tenacity").retry_if_not_exception_type(unless))

    aretry_unless = retry_unless

    def retry_logged(self, fn: Fn, attempts: int) -> Fn:
        tenacity, logger = import_module("tenacity"), logging.getLogger("tenacity")
        return self._retry(
            fn,
            attempts,
            before=tenacity.before_log(logger, logging.DEBUG),
            after=tenacity.after_log(logger, logging.DEBUG),
            before_sleep=tenacity.before_sleep_log(logger, logging.DEBUG),
        )

    def retry_hooked(self, fn: Fn, attempts: int, hook: Callable[[], Any]) -> Fn:
        return self._retry(fn, attempts, before_sleep=lambda _: hook())

    aretry_hooked = retry_hooked

    def own_errors(self) -> list[BaseException]:
        tenacity = import_module("tenacity")
        return [caught(tenacity.retry(stop=tenacity.stop_after_attempt(2))(broken))]

    def decorate(self, fn: Fn) -> Fn:
        return self.retry(fn, 3)

    @staticmethod
    def _retry(fn: Fn, attempts: int, wait: float = 0.0, on: Errors = Exception, **more: Any) -> Fn:
        tenacity = import_module("tenacity")
        settings = {
            "stop": tenacity.stop_after_attempt(attempts),
            "wait": tenacity.wait_fixed(wait),
            "retry": tenacity.retry_if_exception_type(on),
            "reraise": True,
        }
        guarded: Fn = tenacity.retry(**(settings | more))(fn)
        return guarded


class Stamina(Library):
    """Its waits held to a fixed one."""

    name = "stamina"
    distribution = "stamina"

    def retry(self, fn: Fn, attempts: int, wait: float = 0.0, on: Errors = Exception) -> Fn:
        return self._retry(fn, attempts, wait, on=on)

    aretry = retry

    def retry_within(self, fn: Fn, attempts: int, wait: float, deadline: float) -> Fn:
        return self._retry(fn, attempts, wait, timeout=deadline)

    aretry_within = retry_within

    def retry_group(self, fns: list[Fn], attempts: int) -> list[Fn]:
        return [self.retry(fn, attempts) for fn in fns]

    aretry_group = retry_group

    def retry_default(self, fn: Fn) -> Fn:
        guarded: Fn = import_module("stamina").retry(on=Exception)(fn)
        return guarded

    def retry_unless(self, fn: Fn, attempts: int, unless: Errors) -> Fn:
        return self._retry(fn, attempts, on=lambda error: not isinstance(error, unless))

    aretry_unless = retry_unless

    def retry_logged(self, fn: Fn, attempts: int) -> Fn:
        instrumentation = import_module("stamina.instrumentation")
        instrumentation.set_on_retry_hooks([instrumentation.LoggingOnRetryHook])
        return self.retry(fn, attempts)

    def retry_hooked(self, fn: Fn, attempts: int, hook: Callable[[], Any]) -> Fn:
        import_module("stamina.instrumentation").set_on_retry_hooks([lambda _: hook()])
        return self.retry(fn, attempts)

    aretry_hooked = retry_hooked

    def decorate(self, fn: Fn) -> Fn:
        return self.retry(fn, 3)

    @staticmethod
    def _retry(fn: Fn, attempts: int, wait: float = 0.0, **more: Any) -> Fn:
        settings = {
            "on": Exception,
            "attempts": attempts,
            "timeout": None,
            "wait_initial": wait,
            "wait_max": wait,
            "wait_jitter": 0,
            "wait_exp_base": 1,
        }
        guarded: Fn = import_module("stamina").retry(**(settings | more))(fn)
        return guarded


class Backoff(Library):
    """Without jitter; its own logging off unless a case asks for it."""

    name = "backoff"
    distribution = "backoff"

    def retry(self, fn: Fn, attempts: int, wait: float = 0.0, on: Errors = Exception) -> Fn:
        return self._retry(fn, attempts, wait, on)

    aretry = retry

    def retry_within(self, fn: Fn, attempts: int, wait: float, deadline: float) -> Fn:
        return self._retry(fn, attempts, wait, max_time=deadline)

    aretry_within = retry_within

    def retry_group(self, fns: list[Fn], attempts: int) -> list[Fn]:
        return [self.retry(fn, attempts) for fn in fns]

    aretry_group = retry_group

    def retry_default(self, fn: Fn) -> Fn:
        backoff = import_module("backoff")
        guarded: Fn = backoff.on_exception(backoff.expo, Exception)(fn)
        return guarded

    def retry_unless(self, fn: Fn, attempts: int, unless: Errors) -> Fn:
        return self._retry(fn, attempts, giveup=lambda error: isinstance(error, unless))

    aretry_unless = retry_unless

    def retry_logged(self, fn: Fn, attempts: int) -> Fn:
        return self._retry(fn, attempts, logger="backoff")

    def retry_hooked(self, fn: Fn, attempts: int, hook: Callable[[], Any]) -> Fn:
        return self._retry(fn, attempts, on_backoff=lambda _: hook())

    aretry_hooked = retry_hooked

    def decorate(self, fn: Fn) -> Fn:
        return self.retry(fn, 3)

    @staticmethod
    def _retry(fn: Fn, attempts: int, wait: float = 0.0, on: Errors = Exception, **more: Any) -> Fn:
        backoff = import_module("backoff")
        settings = {"max_tries": attempts, "interval": wait, "jitter": None, "logger": None}
        guarded: Fn = backoff.on_exception(backoff.constant, on, **(settings | more))(fn)
        return guarded
