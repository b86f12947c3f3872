"""Which threads sleep in the kernel, as the system tells: seen on Linux alone, elsewhere none does."""

from __future__ import annotations

from pathlib import Path
from typing import Final

LOOKS: Final = 4
"""How often in a row a thread must be found in the same sleep: longer than the interpreter's own switches."""


class Sleepers:
    """What was seen of each thread, by its native id."""

    def __init__(self) -> None:
        self._seen: dict[int, tuple[str, int]] = {}

    def look(self, native_id: int) -> None:
        """Look at one thread; asked at regular intervals."""
        sleep = _sleep_of(native_id)
        before, looks = self._seen.get(native_id, ("", 0))
        self._seen[native_id] = (sleep, looks + 1 if sleep and sleep == before else 0)

    def forget(self, native_id: int) -> None:
        """Its thread has ended; the system may give the id to another."""
        self._seen.pop(native_id, None)

    def sleeps(self, native_id: int) -> bool:
        """Whether it has slept through the last few looks, without a moment's work, and sleeps still."""
        sleep, looks = self._seen.get(native_id, ("", 0))
        return looks >= LOOKS and _sleep_of(native_id) == sleep


def _sleep_of(native_id: int) -> str:
    """A text that is the same for as long as the thread stays in one sleep; empty while it runs.

    Empty, too, where the system does not count how often a thread was woken: then two sleeps look like one.
    """
    try:
        status = Path(f"/proc/self/task/{native_id}/status").read_bytes().decode("ascii", "replace")
    except OSError:
        return ""
    facts = dict(line.split(":\t", 1) for line in status.splitlines() if ":\t" in line)
    if not facts.get("State", "R").startswith("S") or "voluntary_ctxt_switches" not in facts:
        return ""
    return facts["voluntary_ctxt_switches"] + "/" + facts.get("nonvoluntary_ctxt_switches", "")
