"""The catalogue of faults: what can go wrong with a model, and what brings each about.

>>> print(CATALOGUE["rate_limit"].text)
ten calls a second, 429 to the rest
>>> print(CATALOGUE["rate_limit"].make())
rate_limit(calls=10, per=1)
"""

from __future__ import annotations

import math
import signal
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType

from . import (
    answers,
    arguments,
    clocks,
    delays,
    distributions,
    hostile,
    processes,
    raising,
    replays,
    rows,
    servers,
    streams,
    surroundings,
)
from .fault import Fault


@dataclass(frozen=True, slots=True)
class Entry:
    """One fault of the catalogue.

    Attributes:
        text: What goes wrong, in a line.
        make: Makes the fault, with parameters that show it.
        group: What it belongs to: ``"errors"``, ``"time"``, ``"answers"``, ``"streams"``, ``"load"``,
            ``"processes"`` or ``"hostile"``.
        streams: Whether it strikes only streams.
        needs: What must be there for it, or nothing.
    """

    text: str
    make: Callable[[], Fault]
    group: str
    streams: bool = False
    needs: str = ""


_WORKER = "a worker process, or in_child=True"
_VIRTUAL = "virtual time"

CATALOGUE: Mapping[str, Entry] = MappingProxyType(
    {
        # -- errors
        "transient_error": Entry(
            "a call fails now and then",
            lambda: raising.error(ConnectionResetError).with_probability(0.1),
            "errors",
        ),
        "permanent_error": Entry(
            "the input is wrong, and stays so", lambda: raising.error(ValueError), "errors"
        ),
        "server_error": Entry("the server answers 500", lambda: raising.error("server"), "errors"),
        "outage": Entry("nothing answers for a while", lambda: raising.outage(10.0, 20.0), "errors"),
        "flapping": Entry("it comes and goes", lambda: raising.flapping(8.0, 2.0), "errors"),
        "gpu_out_of_memory": Entry(
            "the GPU is full, in PyTorch's words", raising.cuda_out_of_memory, "errors"
        ),
        "cancelled": Entry(
            "the callee raises a cancellation that nobody asked for", raising.cancelled, "errors"
        ),
        "system_exit": Entry("the callee calls sys.exit", lambda: raising.error(SystemExit), "errors"),
        "thread_start_fails": Entry(
            "no thread can be started",
            raising.thread_start_fails,
            "errors",
            needs="patched() around threading.Thread.start",
        ),
        "reentry": Entry(
            "the callee calls the guarded function again",
            lambda: raising.reentry(print).times(1),
            "errors",
            needs="the guarded function",
        ),
        # -- time
        "slow": Entry(
            "latency with a heavy tail",
            lambda: delays.latency(distributions.lognormal(median=0.05, sigma=1.0)),
            "time",
        ),
        "slow_for_a_while": Entry(
            "slow, then as before", lambda: delays.latency(2.0).between(10.0, 20.0), "time"
        ),
        "hang": Entry("it never answers; awaiting it can be cancelled", delays.hang, "time"),
        "block": Entry(
            "native code holds the thread, and the event loop on it", lambda: delays.block(0.2), "time"
        ),
        "hold_gil": Entry("native code holds the interpreter's lock", lambda: delays.hold_gil(0.05), "time"),
        "stubborn": Entry("it swallows cancellations", lambda: delays.stubborn(0.5), "time"),
        "slow_start": Entry("the first call takes half a minute", lambda: delays.slow_start(30.0), "time"),
        "wall_clock_back": Entry(
            "the wall clock jumps back by an hour",
            lambda: clocks.clock_jump(-3600.0).times(1),
            "time",
            needs=_VIRTUAL,
        ),
        "wall_clock_forward": Entry(
            "the wall clock jumps forward by an hour",
            lambda: clocks.clock_jump(3600.0).times(1),
            "time",
            needs=_VIRTUAL,
        ),
        "monotonic_back": Entry(
            "a broken monotonic clock steps back",
            lambda: clocks.clock_jump(-5.0, monotonic=True).times(1),
            "time",
            needs=_VIRTUAL,
        ),
        "suspend": Entry(
            "the machine was suspended",
            lambda: clocks.clock_jump(3600.0, monotonic=True).times(1),
            "time",
            needs=_VIRTUAL,
        ),
        # -- answers and inputs
        "nan": Entry("scores are NaN", answers.nan, "answers"),
        "inf": Entry("scores are infinite", answers.inf, "answers"),
        "wrong_shape": Entry("a column too many", answers.wrong_shape, "answers"),
        "wrong_dtype": Entry("numbers come as text", answers.wrong_dtype, "answers"),
        "shuffled_rows": Entry("everybody gets somebody else's answer", rows.shuffled_rows, "answers"),
        "partial_batch": Entry("fewer answers than rows", rows.partial_batch, "answers"),
        "poison_row": Entry("one row fails the whole batch", lambda: rows.poison(math.isnan), "answers"),
        "poison_row_nan": Entry(
            "the answers to some rows are NaN", lambda: rows.poison(math.isnan, answer="nan"), "answers"
        ),
        "zeroed": Entry("embeddings are all zeros", answers.zeroed, "answers"),
        "constant": Entry("a dead model says the same to everything", answers.constant, "answers"),
        "stale": Entry("the answer to an earlier call", replays.stale, "answers"),
        "output_drift": Entry(
            "answers move away from what they were",
            lambda: answers.drift(shift=1.0, over_calls=1000),
            "answers",
        ),
        "input_drift": Entry(
            "inputs move away from what they were",
            lambda: arguments.on_input(answers.drift(shift=1.0, over_calls=1000)),
            "answers",
        ),
        "input_nan": Entry(
            "inputs have holes", lambda: arguments.on_input(answers.nan(share=0.1)), "answers"
        ),
        # -- streams
        "cut": Entry(
            "the connection breaks in the middle", lambda: streams.cut(after=2), "streams", streams=True
        ),
        "truncated": Entry(
            "the stream ends early, and nothing tells",
            lambda: streams.truncated(after=2),
            "streams",
            streams=True,
        ),
        "stall_at_first": Entry("the first item does not come", streams.stall, "streams", streams=True),
        "stall_between": Entry(
            "a later item does not come", lambda: streams.stall(at=2), "streams", streams=True
        ),
        "slow_items": Entry(
            "every item takes its time", lambda: streams.stall(0.05, at=None), "streams", streams=True
        ),
        "duplicate_items": Entry("items come twice", streams.duplicate_items, "streams", streams=True),
        "lost_items": Entry("items are missing", streams.lost_items, "streams", streams=True),
        "malformed_items": Entry("items are garbled", streams.malformed_items, "streams", streams=True),
        # -- load
        "rate_limit": Entry("ten calls a second, 429 to the rest", lambda: servers.rate_limit(10), "load"),
        "overload": Entry(
            "slower with every call in flight, then 503",
            lambda: servers.overload(4, 0.05, refuse_above=32),
            "load",
        ),
        "overloaded": Entry(
            "the server is full and says when to come back",
            lambda: raising.error("overload", retry_after=2.0),
            "load",
        ),
        # -- processes
        "out_of_memory": Entry("memory runs out, really", processes.out_of_memory, "processes"),
        "segfault": Entry("native code dies of SIGSEGV", processes.segfault, "processes", needs=_WORKER),
        "abort": Entry("native code gives up: SIGABRT", processes.abort, "processes", needs=_WORKER),
        "kill_9": Entry("the system kills the process", processes.kill_9, "processes", needs=_WORKER),
        "exit_process": Entry("the process ends at once", processes.exit_process, "processes", needs=_WORKER),
        "interrupt": Entry("Ctrl-C in the middle of a call", surroundings.interrupt, "processes"),
        "terminate": Entry(
            "SIGTERM in the middle of a call",
            lambda: surroundings.interrupt(signal.SIGTERM),
            "processes",
            needs="a handler for SIGTERM",
        ),
        "signal_storm": Entry(
            "signals interrupt every wait, and may use the policy",
            surroundings.signal_storm,
            "processes",
            needs="the main thread",
        ),
        "gc_storm": Entry(
            "the collector runs everywhere, and finalizers may use the policy",
            surroundings.gc_storm,
            "processes",
        ),
        # -- hostile exceptions
        "falsy_error": Entry(
            "an exception that is false and equals everything", hostile.falsy_error, "hostile"
        ),
        "lying_error": Entry("an exception that says it is another", hostile.lying_error, "hostile"),
        "unprintable_error": Entry("an exception whose text raises", hostile.unprintable_error, "hostile"),
        "huge_error": Entry("an exception with a text of 50 MB", hostile.huge_error, "hostile"),
        "error_group": Entry("several exceptions at once", hostile.error_group, "hostile"),
        "cyclic_causes": Entry("an exception that is its own cause", hostile.cyclic_causes, "hostile"),
        "huge_notes": Entry("an exception with 10,000 notes", hostile.huge_notes, "hostile"),
    }
)
"""Every fault by name: what it is, and a function that makes it."""
