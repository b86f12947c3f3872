"""What scenarios in virtual time need besides the clock: loops that are looked after, threads that hang."""

import asyncio
import contextlib
import threading

import trio

from resilient_ml.testing import virtual_time


@contextlib.contextmanager
def scenario_time():
    """Virtual time whose clock can hang a thread, ``clock.hang()``, and let it go, ``clock.release()``."""
    with virtual_time() as clock:
        released = threading.Event()

        def release():
            released.set()
            clock.sleep(3600)  # whatever still sleeps wakes too

        clock.hang, clock.release = released.wait, release
        yield clock
        release()


class VirtualLoop(asyncio.SelectorEventLoop):
    """An asyncio loop that remembers what its exception handler was told."""

    def __init__(self, clock=None):
        super().__init__()
        self.complaints = []
        self.set_exception_handler(lambda loop, context: self.complaints.append(context))


def run_on_asyncio(clock, main, *args):
    """Run ``main(*args)`` on an asyncio loop, and see that nothing is left behind."""

    async def whole():
        # What it raises is raised outside: the runner shows errors, which hostile ones do not allow.
        try:
            return await main(*args), None
        except Exception as error:  # noqa: BLE001
            return None, error
        finally:
            left = asyncio.all_tasks() - {asyncio.current_task()}
            assert not left, "tasks were left behind"

    with asyncio.Runner(loop_factory=VirtualLoop) as runner:
        loop = runner.get_loop()
        answer, error = runner.run(whole())
    assert not loop.complaints, loop.complaints
    try:
        if error is not None:
            raise error
        return answer
    finally:
        del error


def run_on_trio(clock, main, *args):
    """Run ``main(*args)`` on trio."""
    return trio.run(main, *args)


@contextlib.contextmanager
def thread_of(clock, fn):
    """Run *fn* on a thread; joined at the end of the block."""
    thread = threading.Thread(target=fn)
    thread.start()
    try:
        yield thread
    finally:
        thread.join()
