"""The cases of all faults; importing this registers them."""

from survival.trials import TRIALS, judge_fault, offered

from . import (
    breakers,
    caching,
    callables,
    cancelling,
    clocks,
    drifting,
    hostile,
    interrupts,
    keys,
    loops,
    processes,
    retrying,
    stores,
    threads,
    timeouts,
)

__all__ = [
    "TRIALS",
    "breakers",
    "caching",
    "callables",
    "cancelling",
    "clocks",
    "drifting",
    "hostile",
    "interrupts",
    "judge_fault",
    "keys",
    "loops",
    "offered",
    "processes",
    "retrying",
    "stores",
    "threads",
    "timeouts",
]
