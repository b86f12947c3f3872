"""What a rate limiter costs, and how much of a provider's limit it uses without being refused.

Run it with ``python benchmarks/rate_limiter.py``.

**A plain call**, against a bare closure and the peers. The goal: at most 5 times as long. A bucket that is
full again at each call costs more than one in use.

**An hour at a provider** that counts exactly: 600 requests and 90,000 tokens in any 60 s, refused with a 429
beyond. More is wanted than that. A call's tokens are log-normal, and it asks for at most 1,000; it is on its
way for 5 to 60 ms, and is answered in 1 to 3 s. The goals: under 0.1 % refused, over 95 % of the tokens used.
What reserves the worst case of each call, and what does not look at tokens at all, run beside it. Simulated
time, the first five minutes left out.
"""

from __future__ import annotations

import asyncio
import random
from collections import deque
from collections.abc import Callable
from typing import Any

from comparison import closure, compare, identity
from measuring import Case, Options, calls_of, measure, options
from peers import RATE
from tables import Figure, machine, report, table

from resilient_ml import deadline
from resilient_ml.errors import RateLimited
from resilient_ml.policies.rate_limiter import RateLimiter
from resilient_ml.testing import virtual_time

REQUESTS, TOKENS, PER = 600, 90_000, 60.0
MOST, MIDDLE, SPREAD = 1000, 200.0, 0.6
WANTED = 9.0
LAST, WARM = 3600.0, 300.0


class TooMany(Exception):
    """Refused for its rate."""

    status_code = 429

    def __init__(self, seconds: float) -> None:
        super().__init__()
        self.retry_after = seconds


class Provider:
    """Counts what it took in the last minute, to the instant."""

    def __init__(self) -> None:
        self.taken: deque[tuple[float, int]] = deque()
        self.held = 0
        self.sent = self.refused = self.used = 0

    def take(self, now: float, tokens: int, *, counts: bool) -> None:
        """Take a call, or refuse it."""
        while self.taken and self.taken[0][0] <= now - PER:
            self.held -= self.taken.popleft()[1]
        self.sent += counts
        if self.held + tokens > TOKENS or len(self.taken) >= REQUESTS:
            self.refused += counts
            raise TooMany(self.room_in(now, tokens))
        self.taken.append((now, tokens))
        self.held += tokens
        self.used += tokens if counts else 0

    def room_in(self, now: float, tokens: int) -> float:
        """Seconds until there is room for a call, for its retry-after."""
        held, calls = self.held, len(self.taken)
        for at, amount in self.taken:
            held -= amount
            calls -= 1
            if held + tokens <= TOKENS and calls < REQUESTS:
                return at + PER - now
        return PER


LIMITERS: dict[str, Callable[[], RateLimiter]] = {
    "RateLimiter(600, tokens=90_000, wait=20)": lambda: RateLimiter(REQUESTS, tokens=TOKENS, wait=20),
    "the same, as a bucket": lambda: RateLimiter(REQUESTS, tokens=TOKENS, wait=20, window="bucket"),
    "the worst case reserved and kept": lambda: RateLimiter(
        REQUESTS, tokens=TOKENS, wait=20, output_tokens=MOST, usage=lambda answer: None
    ),
    "requests alone": lambda: RateLimiter(REQUESTS, wait=20),
}


def hour(make: Callable[[], RateLimiter], seed: int, last: float = LAST) -> tuple[float, float]:
    """The share of calls refused by the provider, and the share of its tokens used."""
    draws = random.Random(seed)
    provider = Provider()

    async def model(tokens: int, max_tokens: int) -> dict[str, Any]:
        loop = asyncio.get_running_loop()
        await asyncio.sleep(draws.uniform(0.005, 0.060))
        provider.take(loop.time(), tokens, counts=loop.time() - began > WARM)
        await asyncio.sleep(draws.uniform(1.0, 3.0))
        return {"usage": {"total_tokens": tokens}}

    safe = make()(model)

    async def ask(tokens: int) -> None:
        try:
            with deadline(30.0):
                await safe(tokens, max_tokens=MOST)
        except (RateLimited, TooMany, TimeoutError):
            pass

    began = 0.0

    async def day() -> None:
        nonlocal began
        loop = asyncio.get_running_loop()
        began = loop.time()
        running: set[asyncio.Task[None]] = set()
        while loop.time() < began + last:
            await asyncio.sleep(draws.expovariate(WANTED))
            tokens = min(MOST, int(draws.lognormvariate(0.0, SPREAD) * MIDDLE))
            task = asyncio.create_task(ask(tokens))
            running.add(task)
            task.add_done_callback(running.discard)
        for task in running:
            task.cancel()

    with virtual_time():
        asyncio.run(day())
    return provider.refused / max(1, provider.sent), provider.used / (TOKENS * (last - WARM) / PER)


def main(how: Options) -> None:
    """Measure, simulate and print."""
    base = Case("closure", calls_of(closure(identity)))
    cases = compare(
        identity,
        calls_of,
        RateLimiter(1e15),
        peers=RATE,
        others={
            "ours, a bucket in use": RateLimiter(2e6, per=1.0, burst=1.0, window="bucket"),
            "ours, a bucket that is full": RateLimiter(1e15, window="bucket"),
            "ours, requests and tokens": RateLimiter(1e15, tokens=1e15, output_tokens=10),
        },
    )
    report("A plain call", [Figure("rate limiter", measure(base, cases, how), 5)])
    rows = []
    for name, make in LIMITERS.items():
        refused, used = hour(make, how.seed)
        met = "yes" if refused < 0.001 and used >= 0.95 else "no"
        rows.append([name, f"{refused:.2%}", f"{used:.1%}", met])
    table("An hour at a provider", ["limiter", "refused", "tokens used", "goals met"], rows)
    print(machine())


if __name__ == "__main__":
    main(options(__doc__ or ""))
