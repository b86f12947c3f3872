"""The faults, by number: what happens, and what breaks if a library does not see to it.

The class says how a failure is to be read. **B**: breaks what any user of such a policy relies on. **T**: a
trap, documented or arguable, that still hurts. **S**: outside what the library promises.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Fault:
    """One fault.

    Attributes:
        id: Its number, as ``F01``.
        kind: ``B``, ``T`` or ``S``; see the head of this module.
        title: What goes wrong where a library does not survive it.
        setting: What the case does.
        quick: Whether it is over in about a second.
    """

    id: str
    kind: str
    title: str
    setting: str
    quick: bool = False


_ROWS = (
    (
        "F01",
        "B",
        "half-open probe flood",
        "20 callers at once when the reset time of an open breaker is over",
    ),
    (
        "F02",
        "B",
        "a cancelled call counts as success or failure",
        "callers leave: closed, and as the half-open probe",
    ),
    (
        "F03",
        "B",
        "a late success closes an open circuit",
        "a call from before the circuit opened ends well after it",
    ),
    (
        "F04",
        "B",
        "the wall clock is trusted",
        "the wall clock steps back an hour: breaker, rate limit, cache, deadline",
    ),
    ("F05", "B", "a lock is held during the call", "8 threads, a call of 0.2 s each"),
    (
        "F06",
        "B",
        "Ctrl-C is masked, retried or counted",
        "a real SIGINT within a call, and three interrupts in a row",
    ),
    (
        "F07",
        "B",
        "a falsy exception passes for success",
        "errors with a length of 0, and errors equal to everything",
    ),
    (
        "F08",
        "T",
        "a decorator protects nothing and says nothing",
        "nine kinds of callables, generators among them",
    ),
    ("F09", "B", "a forked child deadlocks", "a fork while another thread is inside the call"),
    ("F10", "B", "time-outs are dead after a fork", "a fork after the helper threads are warm"),
    (
        "F11",
        "B",
        "a time-out that races the end hits another call",
        "3 s of calls that end within a millisecond of their limit",
    ),
    (
        "F12",
        "T",
        "hung calls starve healthy ones",
        "8 calls that hang, then 5 that do not, under the same limit",
    ),
    ("F13", "T", "the interpreter cannot exit", "the program ends while a call that timed out still hangs"),
    ("F14", "T", "context variables are lost", "a ContextVar and numpy's errstate, read inside the call"),
    ("F15", "B", "a cancellation from outside vanishes", "the caller is cancelled at each tick of the loop"),
    (
        "F16",
        "B",
        "a limit fires late or eats a cancellation",
        "limit, end and cancellation at the same instant",
    ),
    ("F17", "B", "seats leak when waiters are cancelled", "waiters of a bulkhead cancelled at each tick"),
    ("F18", "B", "a limit does not hold across event loops", "three threads with a loop each, 60 calls"),
    (
        "F19",
        "T",
        "bound to one event loop",
        "decorated where no loop runs, used by three loops one after another",
    ),
    (
        "F20",
        "B",
        "two inputs share a cache entry",
        "tensors that differ in the middle, reused addresses, equal reprs",
    ),
    (
        "F21",
        "B",
        "stampede, or a leader that poisons its followers",
        "20 misses at once; leader cancelled, failed",
    ),
    ("F22", "T", "memory grows with keys an attacker picks", "50,000 keys, each used once"),
    ("F23", "B", "keys collide through a separator", "two tenants whose names join to the same text"),
    ("F24", "B", "secrets in logs and refusals", "arguments in the log, one tenant's error shown to another"),
    (
        "F25",
        "B",
        "a hostile or huge repr breaks the call",
        "arguments and errors whose repr raises or has 20 MB",
    ),
    (
        "F26",
        "T",
        "a failed call keeps its input alive",
        "16 MB of input, the error handled, no garbage collection",
    ),
    ("F27", "T", "a retry sleeps past its own deadline", "a deadline of 0.3 s and waits of 1.5 s"),
    (
        "F28",
        "S",
        "a retry storm: load times attempts",
        "500 requests through ten functions to a dead backend",
    ),
    (
        "F29",
        "T",
        "'all but X' retries interrupts and cancellation",
        "KeyboardInterrupt, SystemExit and a cancelled task",
    ),
    ("F30", "T", "waiters of a failing key go one by one", "20 callers of a key whose load fails in 0.1 s"),
    ("F31", "T", "a failing hook fails the call", "a hook that raises"),
    (
        "F32",
        "T",
        "a signal handler that calls in deadlocks",
        "SIGALRM every 0.2 ms, its handler calls the function",
    ),
    (
        "F33",
        "B",
        "a fault of the shared store takes a healthy model down",
        "Redis down, hung, killed, flushed, garbage",
    ),
    (
        "F34",
        "B",
        "a rate limit bursts after it was idle",
        "10 a second; 2 s of rest, then 50 ms at full speed",
    ),
    ("F35", "T", "a large request starves", "90 units wanted while small requests keep coming"),
    (
        "F36",
        "S",
        "async policies do not run on trio",
        "a good call, a bad one and a cancelled one under trio",
    ),
    (
        "F37",
        "B",
        "the library's errors do not unpickle",
        "each of them through pickle, as a process pool does",
    ),
    ("F38", "B", "each refusal costs memory", "20,000 refusals of an open breaker"),
    ("F39", "B", "internal errors under threads", "8 threads on one decorated function, switching every µs"),
    (
        "F40",
        "T",
        "the bare default retries for ever",
        "the default around a function that always fails, for 2 s",
    ),
    (
        "F41",
        "S",
        "a time-out waits for a callee that will not stop",
        "a coroutine that swallows its cancellation for 3 s",
    ),
    (
        "F42",
        "B",
        "a native crash takes the process down",
        "segmentation fault, abort and exit inside the call",
    ),
    ("F43", "B", "failures are lost to a race", "4 threads fail exactly as often as opens the breaker"),
    (
        "F44",
        "B",
        "a finalizer that calls in deadlocks",
        "garbage collection everywhere, __del__ calls the function",
    ),
    ("F45", "B", "one NaN blinds a drift detector", "a NaN or infinity, then a shift of 5 sigma"),
    ("F46", "T", "hung calls leave threads behind without bound", "200 calls that hang under a time-out"),
)

_QUICK = {3, 6, 7, 8, 14, 15, 17, 18, 20, 23, 24, 25, 28, 29, 31, 37, 38, 45}

FAULTS: dict[str, Fault] = {row[0]: Fault(*row, quick=int(row[0][1:]) in _QUICK) for row in _ROWS}
"""All of them, by number."""
