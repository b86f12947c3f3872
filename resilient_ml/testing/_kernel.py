"""Which threads sleep in the kernel, as the system tells: seen on Linux alone, elsewhere none does."""

from __future__ import annotations

import os
from typing import Final

LOOKS: Final = 4
"""How often in a row a thread must be found in the same sleep: longer than the interpreter's own switches."""


class Sleepers:
    """What was seen of each thread, by its native id."""

    def __init__(self) -> None:
        self._seen: dict[int, tuple[bytes, int]] = {}

    def look(self, native_id: int) -> None:
        """Look at one thread; asked at regular intervals."""
        sleep = _sleep_of(native_id)
        before, looks = self._seen.get(native_id, (b"", 0))
        self._seen[native_id] = (sleep, looks + 1 if sleep and sleep == before else 0)

    def forget(self, native_id: int) -> None:
        """Its thread has ended; the system may give the id to another."""
        self._seen.pop(native_id, None)

    def sleeps(self, native_id: int) -> bool:
        """Whether it has slept through the last few looks, without a moment's work, and sleeps still."""
        sleep, looks = self._seen.get(native_id, (b"", 0))
        return looks >= LOOKS and _sleep_of(native_id) == sleep


def _sleep_of(native_id: int) -> bytes:
    """Bytes that are the same for as long as the thread stays in one sleep; empty while it runs.

    Empty, too, where the system does not count how often a thread was woken: then two sleeps look like one.
    """
    status = _status_of(native_id)
    # The second count, of the times it was made to pause, follows the first: they are the last that is told.
    return status.partition(b"\nvoluntary_ctxt_switches:\t")[2] if b"\nState:\tS" in status else b""


def _status_of(native_id: int) -> bytes:
    """What the system tells of a thread; nothing of one that is gone. Asked often, so read in one go."""
    try:
        file = os.open(f"/proc/self/task/{native_id}/status", os.O_RDONLY)
        try:
            return os.read(file, 1 << 14)
        finally:
            os.close(file)
    except OSError:
        return b""
