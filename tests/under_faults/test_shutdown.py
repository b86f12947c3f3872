"""The end of the interpreter: hung calls do not hold it up, and calls that come too late are clean errors."""

import subprocess
import sys


def run(program):
    """What a program says; a program that does not end is ended, and fails the test."""
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, timeout=60, check=False
    )
    return done.returncode, done.stdout.splitlines(), done.stderr


def test_an_interpreter_with_hung_calls_exits():
    program = """
import asyncio
from resilient_ml import Bulkhead, Pipeline, Timeout
from resilient_ml.testing import faults
ask = faults.inject(str.upper, faults.hang())
guard = Pipeline(Bulkhead(4), Timeout(0.01))
for call in (lambda: guard.call(ask, "cat"), lambda: asyncio.run(guard.acall(ask, "cat"))):
    try:
        call()
    except TimeoutError:
        print("timed out")
"""
    assert run(program) == (0, ["timed out"] * 2, "")


def test_calls_while_the_interpreter_ends_are_answered_or_cleanly_refused():
    """From Python 3.12 on no thread can be started any more; before, the call works as ever."""
    program = """
import atexit, threading
from resilient_ml import CircuitBreaker, Bulkhead, Fallback, LimitExceeded, Pipeline, Retry, Timeout
policies = (Retry(2), CircuitBreaker(), Bulkhead(1), Timeout(20))
safe = Pipeline(Fallback("popular"), *policies)(str.upper)
bare = Pipeline(*policies)(str.upper)

def late():
    print(safe("cat") in ("CAT", "popular"))
    try:
        print(bare("cat") == "CAT")
    except LimitExceeded as error:
        print("no worker thread" in str(error))
    print(policies[2].in_flight)

atexit.register(late)
"""
    assert run(program) == (0, ["True", "True", "0"], "")


def test_a_daemon_thread_that_goes_on_calling_ends_with_the_interpreter():
    program = """
import threading
from resilient_ml import Bulkhead, CircuitBreaker, Fallback, Pipeline, Retry, Timeout
from resilient_ml.testing import faults
plan = faults.FaultPlan(faults.error(ConnectionError).with_probability(0.5))
guard = Pipeline(Fallback("popular"), Retry(2), CircuitBreaker(), Bulkhead(9), Timeout(5))
safe = guard(plan.inject(str.upper))
begun = threading.Event()

def work():
    while True:
        safe("cat")
        begun.set()

for _ in range(3):
    threading.Thread(target=work, daemon=True).start()
begun.wait(20)
print("over")
"""
    assert run(program) == (0, ["over"], "")
