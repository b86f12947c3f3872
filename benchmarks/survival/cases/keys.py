"""Keys that others choose: floods of them, and names that join to the same text."""

from __future__ import annotations

import gc
import time
import tracemalloc

from survival.library import Library
from survival.trials import trial
from survival.verdicts import Verdict, failed, judged, survived, undecided

KEYS, MOST_MB = 50_000, 5.0


@trial("F22", "keys", "keyed_state")
def keys_are_bounded(library: Library) -> Verdict:
    touch = library.keyed_state()
    tracemalloc.start()
    for number in range(2_000):  # whoever keeps a bounded number has reached it
        touch(f"warm {number:060d}")
    gc.collect()
    before = tracemalloc.get_traced_memory()[0]
    for number in range(KEYS):
        touch(f"{number:064d}")
    time.sleep(1)
    gc.collect()
    grown = (tracemalloc.get_traced_memory()[0] - before) / 1e6
    tracemalloc.stop()
    return judged(grown <= MOST_MB, f"{KEYS:,} keys leave {grown:.1f} MB behind")


@trial("F23", "separators", "keyed_rate")
def keys_do_not_collide(library: Library) -> Verdict:
    for separator in ("/", ":", "|", "-", "_", ",", ".", " ", "\0"):
        hit = library.keyed_rate(3, 60.0)
        for _ in range(3):
            hit(f"acme{separator}eu", "bob")
        if hit(f"acme{separator}eu", "bob"):
            return undecided("the quota is not kept")
        if not hit("acme", f"eu{separator}bob"):
            return failed(f"acme{separator}eu, bob uses up the quota of acme, eu{separator}bob")
    return survived("each has its own quota")
