"""Threads that start together and are switched as often as the interpreter can."""

import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

PATIENCE = 30.0
"""Seconds until a test gives up on a thread; only a defect takes that long."""


@contextmanager
def eager_switching() -> Iterator[None]:
    usual = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    try:
        yield
    finally:
        sys.setswitchinterval(usual)


def crowd(size: int, work: Callable[[int], None]) -> None:
    """Run ``work(0)`` to ``work(size - 1)`` at once; raises the first thing that any of them raised."""
    barrier = threading.Barrier(size)
    raised: list[BaseException] = []

    def run(number: int) -> None:
        try:
            barrier.wait(PATIENCE)
            work(number)
        except BaseException as error:  # noqa: BLE001 - raised again below
            raised.append(error)

    threads = [threading.Thread(target=run, args=(number,), daemon=True) for number in range(size)]
    with eager_switching():
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(PATIENCE)
    if raised:
        raise raised[0]
    assert not any(thread.is_alive() for thread in threads), "a thread is stuck"
