"""The libraries with a single policy: aiolimiter, limits, cachetools, async-lru; river for its detectors."""

from __future__ import annotations

import threading
from collections.abc import Callable
from importlib import import_module
from typing import Any

from survival.library import Fn, Library, Raised


class AioLimiter(Library):
    """A leaky bucket for asyncio."""

    name = "aiolimiter"
    distribution = "aiolimiter"

    def arate(self, fn: Fn, calls: int, seconds: float) -> Fn:
        limiter = import_module("aiolimiter").AsyncLimiter(calls, seconds)

        async def guarded(*args: Any, **kwargs: Any) -> Any:
            async with limiter:
                return await fn(*args, **kwargs)

        return guarded

    def arate_weighted(self, amount: int, seconds: float) -> Fn:
        acquire: Fn = import_module("aiolimiter").AsyncLimiter(amount, seconds).acquire
        return acquire


class TooMany(Exception):
    """``hit`` said no: what users raise by themselves."""


class Limits(Library):
    """Its strategies over its storage in memory."""

    name = "limits"
    distribution = "limits"

    @property
    def rejections(self) -> Raised:
        return (TooMany,)

    def rate(self, fn: Fn, calls: int, seconds: float) -> Fn:
        hit = self._strategy("MovingWindow")
        item = import_module("limits").RateLimitItemPerSecond(calls, round(seconds))

        def guarded(*args: Any, **kwargs: Any) -> Any:
            if not hit(item, "case"):
                raise TooMany
            return fn(*args, **kwargs)

        return guarded

    def keyed_rate(self, calls: int, seconds: float) -> Callable[..., bool]:
        hit = self._strategy("FixedWindow")
        item = import_module("limits").RateLimitItemPerSecond(calls, round(seconds))
        return lambda *identifiers: hit(item, *identifiers)

    def keyed_state(self) -> Callable[[str], Any]:
        hit, item = self._strategy("MovingWindow"), import_module("limits").RateLimitItemPerHour(10)
        return lambda key: hit(item, key)

    @staticmethod
    def _strategy(name: str) -> Callable[..., bool]:
        limits = import_module("limits")
        made = getattr(import_module("limits.strategies"), f"{name}RateLimiter")
        hit: Callable[..., bool] = made(limits.storage.MemoryStorage()).hit
        return hit


class CacheTools(Library):
    """Its decorator with the condition that makes it load a key once."""

    name = "cachetools"
    distribution = "cachetools"

    def cache(self, fn: Fn, size: int, seconds: float) -> Fn:
        cachetools = import_module("cachetools")
        kept = cachetools.TTLCache(size, seconds)
        guarded: Fn = cachetools.cached(kept, condition=threading.Condition())(fn)
        return guarded

    def keyed_state(self) -> Callable[[str], Any]:
        return self.cache(lambda key: key, 128, 60.0)


class AsyncLru(Library):
    """A cache for coroutine functions."""

    name = "async-lru"
    distribution = "async-lru"

    def acache(self, fn: Fn, size: int, seconds: float) -> Fn:
        guarded: Fn = import_module("async_lru").alru_cache(maxsize=size, ttl=seconds)(fn)
        return guarded


class River(Library):
    """ADWIN, its best known detector."""

    name = "river"
    distribution = "river"

    def drift(self) -> Callable[[float], bool]:
        detector = import_module("river.drift").ADWIN()

        def step(value: float) -> bool:
            detector.update(value)
            return bool(detector.drift_detected)

        return step
