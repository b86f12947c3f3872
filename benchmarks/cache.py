"""How often a cache hits, and what a hit costs.

Hit rates on a seeded Zipf trace: ours, LRU, the peers from PyPI, Belady's optimum, which knows the future,
and the share of the most popular keys, which is the best that a fixed set can do. Published on a trace of
the same shape (500,000 keys, exponent 0.99, 7.5 million requests, room for 500): otter, a relative of
W-TinyLFU, 47.43 %, tinylfu 47.37 %, LRU 36.59 % (github.com/scalalang2/go-cache-benchmark).

Nanoseconds of a hit: the same function behind each cache, with a text of 40 characters as the argument.
"""

from __future__ import annotations

import argparse
import asyncio
import functools
import heapq
import random
import time
from collections import OrderedDict
from collections.abc import Callable
from typing import Any

import numpy as np

from resilient_ml import Cache
from resilient_ml.machines.tinylfu import TinyLFU


def zipf(keys: int, requests: int, exponent: float, seed: int) -> list[int]:
    """Requests for whole numbers: number n is asked for in proportion to ``1 / n ** exponent``."""
    shares = np.cumsum(1.0 / np.arange(1, keys + 1) ** exponent)
    drawn = np.random.default_rng(seed).random(requests) * shares[-1]
    trace: list[int] = np.searchsorted(shares, drawn).tolist()
    return trace


def ours(trace: list[int], size: int) -> int:
    store: TinyLFU[int] = TinyLFU(size, rng=random.Random(7).random)
    hits = 0
    for key in trace:
        if store.get(key, 0.0) is None:
            store.put(key, key, 1)
        else:
            hits += 1
    return hits


def lru(trace: list[int], size: int) -> int:
    held: OrderedDict[int, None] = OrderedDict()
    hits = 0
    for key in trace:
        if key in held:
            hits += 1
            held.move_to_end(key)
        else:
            held[key] = None
            if len(held) > size:
                held.popitem(last=False)
    return hits


def moving(keys: int, requests: int, exponent: float, seed: int) -> list[int]:
    """A tenth of the keys is replaced eight times in all: those that were popular go first."""
    every, by = max(1, requests // 8), keys // 10
    trace = zipf(keys, requests, exponent, seed)
    return [(key + place // every * by) % (keys + 2 * by) for place, key in enumerate(trace)]


def looping(keys: int, requests: int, exponent: float, seed: int) -> list[int]:
    """Every other request is for the next of a row of keys, again and again."""
    row = max(1, keys * 4 // 25)
    trace = zipf(keys, requests, exponent, seed)
    return [key if place % 2 else keys + place // 2 % row for place, key in enumerate(trace)]


def belady(trace: list[int], size: int) -> int:
    """The optimum: what is asked for latest of all goes, and may be the new one itself."""
    after = [0] * len(trace)
    seen: dict[int, int] = {}
    for place in range(len(trace) - 1, -1, -1):
        after[place] = seen.get(trace[place], len(trace) + place)
        seen[trace[place]] = place
    held: dict[int, int] = {}
    latest: list[tuple[int, int]] = []
    hits = 0
    for place, key in enumerate(trace):
        hits += key in held
        held[key] = after[place]
        heapq.heappush(latest, (-after[place], key))
        while len(held) > size:
            when, gone = heapq.heappop(latest)
            if held.get(gone) == -when:
                del held[gone]
    return hits


def of_mapping(make: Callable[[int], Any]) -> Callable[[list[int], int], int]:
    def run(trace: list[int], size: int) -> int:
        held = make(size)
        hits = 0
        for key in trace:
            if key in held:
                hits += 1
                held[key]
            else:
                held[key] = key
        return hits

    return run


def peers() -> dict[str, Callable[[list[int], int], int]]:
    """Those that are installed."""
    found: dict[str, Callable[[list[int], int], int]] = {}
    try:
        import cachetools
    except ImportError:
        pass
    else:
        found["cachetools LRU"] = of_mapping(cachetools.LRUCache)
        found["cachetools LFU"] = of_mapping(cachetools.LFUCache)
    try:
        import theine
    except ImportError:
        pass
    else:

        def theine_run(trace: list[int], size: int) -> int:
            held: Any = theine.Cache(size)
            hits = 0
            for key in trace:
                _, there = held.get(key)
                hits += there
                if not there:
                    held.set(key, key)
            held.close()
            return hits

        found["theine W-TinyLFU"] = theine_run
    return found


def rates(title: str, trace: list[int], sizes: list[int]) -> None:
    requests = len(trace)
    counts = np.bincount(trace)
    runs = {"ours": ours, "LRU": lru, **peers(), "Belady": belady}
    print(f"hit rates in %, {requests:,} requests, {title}")
    print("room".ljust(20), *(f"{size:>9,}" for size in sizes))
    for name, run in runs.items():
        print(name.ljust(20), *(f"{100 * run(trace, size) / requests:9.2f}" for size in sizes), flush=True)
    best = [100 * np.sort(counts)[::-1][:size].sum() / requests for size in sizes]
    print("most popular".ljust(20), *(f"{share:9.2f}" for share in best))
    print()


TEXT = "what is the capital of the country, please"


def timed(call: Callable[[str], Any], calls: int) -> float:
    call(TEXT)
    best = float("inf")
    for _ in range(7):
        began = time.perf_counter()
        for _ in range(calls):
            call(TEXT)
        best = min(best, (time.perf_counter() - began) / calls)
    return best * 1e9


async def atimed(call: Callable[[str], Any], calls: int) -> float:
    await call(TEXT)
    best = float("inf")
    for _ in range(7):
        began = time.perf_counter()
        for _ in range(calls):
            await call(TEXT)
        best = min(best, (time.perf_counter() - began) / calls)
    return best * 1e9


def model(text: str) -> str:
    return text


async def amodel(text: str) -> str:
    return text


def total(rows: Any) -> float:
    return float(rows.sum())


def costs(calls: int) -> None:
    plain: dict[str, Callable[..., Any]] = {
        "ours": Cache()(model),
        "ours, key=": Cache(key=lambda text: text)(model),
    }
    plain["functools.lru_cache"] = functools.lru_cache(1000)(model)
    slow: dict[str, Callable[..., Any]] = {"ours": Cache()(amodel)}
    try:
        import cachetools

        plain["cachetools"] = cachetools.cached(cachetools.LRUCache(1000))(model)
        import threading

        plain["cachetools, lock"] = cachetools.cached(cachetools.LRUCache(1000), lock=threading.Lock())(model)
    except ImportError:
        pass
    try:
        import theine

        plain["theine"] = theine.Memoize(1000, None)(model)
    except ImportError:
        pass
    try:
        import async_lru

        slow["async_lru"] = async_lru.alru_cache(1000)(amodel)
    except ImportError:
        pass
    try:
        import aiocache

        slow["aiocache"] = aiocache.cached()(amodel)
    except ImportError:
        pass
    print("\nnanoseconds of a hit, the best of 7")
    for name, call in plain.items():
        print(name.ljust(20), f"{timed(call, calls):9.0f}", flush=True)
    print("awaited")
    for name, call in slow.items():

        async def run(call: Any = call) -> float:
            return await atimed(call, calls)

        print(name.ljust(20), f"{asyncio.run(run()):9.0f}", flush=True)
    for shape in ((128,), (32, 128), (224, 224, 3)):
        array = np.zeros(shape, "f4")
        safe = Cache()(total)
        safe(array)
        began = time.perf_counter()
        for _ in range(1000):
            safe(array)
        print(f"ours, float32 {shape}".ljust(30), f"{(time.perf_counter() - began) * 1e6:9.0f}")


if __name__ == "__main__":
    given = argparse.ArgumentParser(description=__doc__)
    given.add_argument("--requests", type=int, default=1_000_000)
    given.add_argument("--keys", type=int, default=500_000)
    given.add_argument("--exponent", type=float, default=0.99)
    given.add_argument("--sizes", default="500,5000,50000")
    given.add_argument("--calls", type=int, default=20_000)
    given.add_argument("--seed", type=int, default=1)
    options = given.parse_args()
    costs(options.calls)
    print()
    sizes = [int(size) for size in options.sizes.split(",")]
    zipfian = zipf(options.keys, options.requests, options.exponent, options.seed)
    rates(f"{options.keys:,} keys, Zipf {options.exponent}", zipfian, sizes)
    for title, make in (("that move", moving), ("and a loop", looping)):
        short = make(options.keys // 10, options.requests * 2 // 5, 0.9, options.seed)
        rates(f"{options.keys // 10:,} keys {title}, Zipf 0.9", short, sizes[:2])
