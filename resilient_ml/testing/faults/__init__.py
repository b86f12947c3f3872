"""Faults: scripted, seeded, composable, around any callable of any colour.

>>> from resilient_ml.testing import faults
>>> plan = faults.FaultPlan(
...     faults.latency(faults.lognormal(median=0.05, sigma=1.0)),
...     faults.error("rate_limited", retry_after=5).every(60, lasting=2),
...     faults.nan().with_probability(0.01),
...     seed=7,
... )
>>> print(plan.describe())
latency(seconds=Lognormal(median=0.05, sigma=1.0))
error('rate_limited', retry_after=5), for 2 s in every 60 s
nan(), with probability 0.01

``plan.inject(model.predict)`` is the model with these faults; :func:`patched` puts them around an attribute,
whoever calls it. A fault says by its methods when it strikes: :meth:`Fault.with_probability`,
:meth:`Fault.on_calls`, :meth:`Fault.first`, :meth:`Fault.between`, :meth:`Fault.every`, :meth:`Fault.where`,
:meth:`Fault.times`. :data:`CATALOGUE` lists what there is.
"""

from .answers import constant, drift, inf, nan, replaced, wrong_dtype, wrong_shape, zeroed
from .arguments import on_input
from .case import Injected
from .catalogue import CATALOGUE, Entry
from .clocks import clock_jump
from .delays import block, hang, hold_gil, latency, slow_start, stubborn
from .distributions import Distribution, exponential, lognormal, pareto, uniform
from .fault import Fault
from .gate import HangReleased
from .hostile import (
    cyclic_causes,
    error_group,
    falsy_error,
    huge_error,
    huge_notes,
    lying_error,
    unprintable_error,
)
from .patching import patched
from .plan import FaultPlan, inject
from .processes import abort, exit_process, kill_9, out_of_memory, segfault
from .raising import cancelled, cuda_out_of_memory, error, flapping, outage, reentry, thread_start_fails
from .replays import stale
from .rows import partial_batch, poison, shuffled_rows
from .servers import overload, rate_limit
from .streams import cut, duplicate_items, lost_items, malformed_items, stall, truncated
from .surroundings import gc_storm, interrupt, signal_storm
from .vendor_errors import APIStatusError, OutOfMemoryError

__all__ = [
    "CATALOGUE",
    "APIStatusError",
    "Distribution",
    "Entry",
    "Fault",
    "FaultPlan",
    "HangReleased",
    "Injected",
    "OutOfMemoryError",
    "abort",
    "block",
    "cancelled",
    "clock_jump",
    "constant",
    "cuda_out_of_memory",
    "cut",
    "cyclic_causes",
    "drift",
    "duplicate_items",
    "error",
    "error_group",
    "exit_process",
    "exponential",
    "falsy_error",
    "flapping",
    "gc_storm",
    "hang",
    "hold_gil",
    "huge_error",
    "huge_notes",
    "inf",
    "inject",
    "interrupt",
    "kill_9",
    "latency",
    "lognormal",
    "lost_items",
    "lying_error",
    "malformed_items",
    "nan",
    "on_input",
    "out_of_memory",
    "outage",
    "overload",
    "pareto",
    "partial_batch",
    "patched",
    "poison",
    "rate_limit",
    "reentry",
    "replaced",
    "segfault",
    "shuffled_rows",
    "signal_storm",
    "slow_start",
    "stale",
    "stall",
    "stubborn",
    "thread_start_fails",
    "truncated",
    "uniform",
    "unprintable_error",
    "wrong_dtype",
    "wrong_shape",
    "zeroed",
]
