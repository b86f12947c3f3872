"""The libraries that are breakers and nothing else: pybreaker, circuitbreaker, aiobreaker, purgatory."""

from __future__ import annotations

import asyncio
import inspect
from collections.abc import Callable
from datetime import timedelta
from importlib import import_module
from typing import Any

from survival.library import Block, Fn, Library, Raised


class Breaker(Library):
    """What all of them have in common."""

    def own_errors(self) -> list[BaseException]:
        return [self.refusal_when_open()]

    def decorate(self, fn: Fn) -> Fn:
        return self.breaker(fn, 3, 60.0)


class PyBreaker(Breaker):
    """Plain functions only."""

    name = "pybreaker"
    distribution = "pybreaker"

    @property
    def rejections(self) -> Raised:
        return (import_module("pybreaker").CircuitBreakerError,)

    def breaker(self, fn: Fn, failures: int, reset: float) -> Fn:
        return self._breaker(fn, failures, reset)

    def breaker_hooked(self, fn: Fn, failures: int, reset: float, hook: Callable[[], Any]) -> Fn:
        base = import_module("pybreaker").CircuitBreakerListener
        listener = type("Listener", (base,), {"success": lambda *_: hook()})
        return self._breaker(fn, failures, reset, listeners=[listener()])

    def shared_breaker(self, fn: Fn, failures: int, reset: float, port: int) -> Fn:
        pybreaker, redis = import_module("pybreaker"), import_module("redis")
        storage = pybreaker.CircuitRedisStorage(pybreaker.STATE_CLOSED, redis.StrictRedis(port=port))
        return self._breaker(fn, failures, reset, state_storage=storage)

    @staticmethod
    def _breaker(fn: Fn, failures: int, reset: float, **more: Any) -> Fn:
        guard: Any = import_module("pybreaker").CircuitBreaker(fail_max=failures, reset_timeout=reset, **more)
        guarded: Fn = guard(fn)
        return guarded


class CircuitBreakerPeer(Breaker):
    """Plain functions and coroutine functions."""

    name = "circuitbreaker"
    distribution = "circuitbreaker"

    @property
    def rejections(self) -> Raised:
        return (import_module("circuitbreaker").CircuitBreakerError,)

    def breaker(self, fn: Fn, failures: int, reset: float) -> Fn:
        guarded: Fn = self._breaker(failures, reset)(fn)
        return guarded

    abreaker = breaker

    def keyed_state(self) -> Callable[[str], Any]:
        made = import_module("circuitbreaker").CircuitBreaker
        return lambda key: made(failure_threshold=3, name=key)(lambda: None)()

    @staticmethod
    def _breaker(failures: int, reset: float) -> Any:
        made = import_module("circuitbreaker").CircuitBreaker
        return made(failure_threshold=failures, recovery_timeout=reset)


class AioBreaker(Breaker):
    """Plain functions and coroutine functions."""

    name = "aiobreaker"
    distribution = "aiobreaker"

    @property
    def rejections(self) -> Raised:
        return (import_module("aiobreaker").CircuitBreakerError,)

    def breaker(self, fn: Fn, failures: int, reset: float) -> Fn:
        return self._breaker(fn, failures, reset)

    abreaker = breaker

    def breaker_hooked(self, fn: Fn, failures: int, reset: float, hook: Callable[[], Any]) -> Fn:
        base = import_module("aiobreaker").CircuitBreakerListener
        listener = type("Listener", (base,), {"success": lambda *_: hook()})
        return self._breaker(fn, failures, reset, listeners=[listener()])

    @staticmethod
    def _breaker(fn: Fn, failures: int, reset: float, **more: Any) -> Fn:
        guard: Any = import_module("aiobreaker").CircuitBreaker(
            fail_max=failures, timeout_duration=timedelta(seconds=reset), **more
        )
        guarded: Fn = guard(fn)
        return guarded


class Purgatory(Breaker):
    """A factory of breakers for plain functions, another for coroutine functions."""

    name = "purgatory"
    distribution = "purgatory"

    @property
    def rejections(self) -> Raised:
        return (import_module("purgatory.domain.model").OpenedState,)

    def breaker(self, fn: Fn, failures: int, reset: float) -> Fn:
        guarded: Fn = self._factory("Sync", failures, reset)("case")(fn)
        return guarded

    def abreaker(self, fn: Fn, failures: int, reset: float) -> Fn:
        guarded: Fn = self._factory("Async", failures, reset)("case")(fn)
        return guarded

    def abreaker_block(self, failures: int, reset: float) -> Block:
        factory = self._factory("Async", failures, reset)

        class Entered:
            """The breaker of a name comes from a coroutine."""

            async def __aenter__(self) -> Any:
                self._context = await factory.get_breaker("case")
                return await self._context.__aenter__()

            async def __aexit__(self, *raised: object) -> Any:
                return await self._context.__aexit__(*raised)

        return Entered

    def breaker_hooked(self, fn: Fn, failures: int, reset: float, hook: Callable[[], Any]) -> Fn:
        factory = self._factory("Sync", failures, reset)
        factory.add_listener(lambda *_: hook())
        guarded: Fn = factory("case")(fn)
        return guarded

    def shared_breaker(self, fn: Fn, failures: int, reset: float, port: int) -> Fn:
        # The storage for plain functions of 3.0.1 awaits nothing of the asyncio client that it makes.
        purgatory, loop = import_module("purgatory"), asyncio.new_event_loop()

        async def made() -> Any:
            storage = purgatory.AsyncRedisUnitOfWork(f"redis://127.0.0.1:{port}/0")
            factory = self._factory("Async", failures, reset, uow=storage)
            await factory.initialize()

            async def awaited(*args: Any, **kwargs: Any) -> Any:
                return fn(*args, **kwargs)

            return factory("case")(awaited)

        guarded = loop.run_until_complete(made())
        return lambda *args, **kwargs: loop.run_until_complete(guarded(*args, **kwargs))

    def keyed_state(self) -> Callable[[str], Any]:
        factory = self._factory("Sync", 3, 60.0)

        def touch(key: str) -> None:
            with factory.get_breaker(key):
                pass

        return touch

    def decorate(self, fn: Fn) -> Fn:
        return (self.abreaker if inspect.iscoroutinefunction(fn) else self.breaker)(fn, 3, 60.0)

    @staticmethod
    def _factory(colour: str, failures: int, reset: float, **more: Any) -> Any:
        made = getattr(import_module("purgatory"), f"{colour}CircuitBreakerFactory")
        return made(default_threshold=failures, default_ttl=reset, **more)
