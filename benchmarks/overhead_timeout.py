"""What a limit costs a plain call when the wait really ends on time: the function runs on another thread.

Run it with ``python benchmarks/overhead_timeout.py``.

Wall time, for the work is spread over two threads. How long a thread takes to wake another is up to the
system, and most of every figure: ``bare handover`` is that alone. On several cores it also depends on which
are idle; ``taskset -c 0 python ...`` keeps both threads on one, and is steadier.

Limits that use SIGALRM work on the main thread alone, and are left out.
"""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import fused_worker
from comparison import closure, compare, identity
from measuring import WALL, Batch, Case, Options, calls_of, measure, options
from peers import TIMEOUT, Fn
from tables import Figure, report

from resilient_ml import Bulkhead, CircuitBreaker, Pipeline, Retry, Timeout


def pool(fn: Fn) -> Fn:
    """The standard library's: submit, and wait for the result so long."""
    executor = ThreadPoolExecutor(4)

    def guarded(*args: Any, **kwargs: Any) -> Any:
        return executor.submit(fn, *args, **kwargs).result(1.0)

    return guarded


def thread_a_call(fn: Fn) -> Fn:
    """A daemon thread for each call."""

    def guarded(*args: Any, **kwargs: Any) -> Any:
        box: list[Any] = []
        thread = threading.Thread(target=lambda: box.append(fn(*args, **kwargs)), daemon=True)
        thread.start()
        thread.join(1.0)
        if not box:
            raise TimeoutError
        return box[0]

    return guarded


def handover(fn: Fn) -> Fn:
    """The floor: to a thread and back through two raw locks, with no limit, no result and no errors."""
    there, back = threading.Lock(), threading.Lock()
    there.acquire()
    back.acquire()

    def work() -> None:
        while True:
            there.acquire()
            fn(1)
            back.release()

    threading.Thread(target=work, daemon=True).start()

    def guarded(x: Any) -> None:
        there.release()
        back.acquire()

    return guarded


def by_wall(fn: Fn) -> Batch:
    """A batch timed by the wall."""
    return calls_of(fn, WALL)


def main(how: Options) -> None:
    """Measure and print."""
    peers = [peer for peer in TIMEOUT if peer.sync]
    bare = {"bare handover": handover, "ThreadPoolExecutor": pool, "a thread a call": thread_a_call}
    alone = compare(identity, by_wall, Timeout(1.0), fused_worker.timeout, peers, bare)
    four = Pipeline(Retry(3), CircuitBreaker(), Bulkhead(10), Timeout(1.0))
    stack = compare(identity, by_wall, four)
    base = Case("closure", by_wall(closure(identity)))
    figures = [
        Figure("timeout", measure(base, alone, how), 80),
        Figure("retry + breaker + bulkhead + timeout", measure(base, stack, how)),
    ]
    report("A plain call with a limit that holds", figures)


if __name__ == "__main__":
    main(options(__doc__ or "", rounds=101, calls=1000))
