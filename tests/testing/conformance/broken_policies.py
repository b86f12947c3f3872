"""Policies that each break one promise: what the suite must find."""

import asyncio
import contextlib
import copy
import functools
import inspect
import itertools
import os
import signal
import threading
import time

from resilient_ml import BulkheadFull, CircuitOpen, Colour, Policy, Rejected, events

# ---- answers


class Copies(Policy):
    async def around(self, proceed, call):
        result = await proceed(call)
        return copy.copy(result)


class Constant(Policy):
    """Answers what the first call of all was answered, without asking."""

    known: dict = {}  # noqa: RUF012 - shared by all, which is the defect

    async def around(self, proceed, call):
        if "answer" not in self.known:
            self.known["answer"] = await proceed(call)
        return self.known["answer"]


class ChangesArguments(Policy):
    async def around(self, proceed, call):
        call.args = tuple(copy.copy(one) for one in call.args)
        return await proceed(call)


class NeverAnswers(Policy):
    async def around(self, proceed, call):
        await proceed(call)
        raise KeyError("lost")


class Wrapping(Policy):
    """Guards by a wrapper of its own."""

    def __call__(self, fn, *, colour=None):
        guarded = functools.wraps(fn)(self.wrapper(fn))
        if not inspect.isroutine(fn):
            return super().__call__(fn)
        return guarded


class LosesTheLastItem(Wrapping):
    def wrapper(self, fn):
        def stream(*args, **kwargs):
            items = list(fn(*args, **kwargs))
            yield from items[:-1]

        async def astream(*args, **kwargs):
            items = [item async for item in fn(*args, **kwargs)]
            for item in items[:-1]:
                yield item

        return astream if inspect.isasyncgenfunction(fn) else stream


class BreaksStreams(Wrapping):
    def wrapper(self, fn):
        def stream(*args, **kwargs):
            yield from fn(*args, **kwargs)
            raise KeyError("lost")

        return stream


# ---- errors


class Replaces(Policy):
    async def around(self, proceed, call):
        try:
            return await proceed(call)
        except Exception as error:
            raise RuntimeError("it failed") from error


class Swallows(Policy):
    async def around(self, proceed, call):
        with contextlib.suppress(Exception):
            return await proceed(call)


class SwallowsInTheMiddle(Policy):
    async def around(self, proceed, call):
        try:
            return await proceed(call)
        except Exception:
            if not call.emitted:
                raise


class RetriesTheMiddle(Policy):
    async def around(self, proceed, call):
        try:
            return await proceed(call)
        except ConnectionError:
            return await proceed(call)


class AsksForTruth(Policy):
    async def around(self, proceed, call):
        failure = None
        try:
            result = await proceed(call)
        except Exception as error:  # noqa: BLE001
            failure = error
        if failure:
            raise failure
        return None if failure is not None else result


class AsksArguments(Policy):
    async def around(self, proceed, call):
        if call.args and call.args[0] == "skip":
            return None
        return await proceed(call)


class AsksAnswers(Policy):
    async def around(self, proceed, call):
        result = await proceed(call)
        return result if type(result).__hash__ is object.__hash__ else None


# ---- looks of the guarded


class Nameless(Policy):
    def __call__(self, fn, *, colour=None):
        def guarded(*args, **kwargs):
            return fn(*args, **kwargs)

        return guarded


# ---- cancellation


class SwallowsCancellation(Policy):
    async def around(self, proceed, call):
        try:
            return await proceed(call)
        except asyncio.CancelledError:
            return None


class TakesCancellationBack(Policy):
    async def around(self, proceed, call):
        try:
            return await proceed(call)
        except asyncio.CancelledError:
            asyncio.current_task().uncancel()
            raise


class RetriesEverything(Policy):
    async def around(self, proceed, call):
        try:
            return await proceed(call)
        except BaseException:  # noqa: BLE001
            return await proceed(call)


class LeavesRunning(Wrapping):
    def wrapper(self, fn):
        async def guarded(*args, **kwargs):
            return await asyncio.shield(asyncio.ensure_future(fn(*args, **kwargs)))

        return guarded


class Seats(Policy):
    """A limit on the calls inside; what a call took is given back by *gives_back*."""

    role = "limiter"

    def __init__(self, limit=4):
        super().__init__()
        self.limit = limit
        self.taken = 0

    def take(self):
        if self.taken >= self.limit:
            raise BulkheadFull(f"{self.taken} calls are inside; come back later")
        self.taken += 1


class LeaksOnCancel(Seats):
    async def around(self, proceed, call):
        self.take()
        try:
            result = await proceed(call)
        except Exception:
            self.taken -= 1
            raise
        self.taken -= 1
        return result


class LeaksOnError(Seats):
    async def around(self, proceed, call):
        self.take()
        result = await proceed(call)
        self.taken -= 1
        return result


class GivesBackTwice(Seats):
    async def around(self, proceed, call):
        self.take()
        try:
            result = await proceed(call)
        finally:
            self.taken -= 1
        self.taken -= 1
        return result


class StopsAll(Policy):
    """When a call was interrupted, those beside it fail."""

    stopped = float("-inf")

    async def around(self, proceed, call):
        try:
            result = await proceed(call)
        except Exception:
            raise
        except BaseException:
            self.stopped = call.now()
            raise
        if call.now() < self.stopped + 100:
            raise CircuitOpen("stopped; come back later")
        return result


# ---- interrupts


class Converts(Policy):
    async def around(self, proceed, call):
        try:
            return await proceed(call)
        except BaseException as error:
            raise RuntimeError("it failed") from error


class SwallowsInterruptsInWaits(Policy):
    """Its back-off is never interrupted."""

    async def around(self, proceed, call):
        try:
            return await proceed(call)
        except ConnectionError:
            pass
        with contextlib.suppress(KeyboardInterrupt):
            await call.runtime.sleep(1)
        return await proceed(call)


class CountsInterrupts(Policy):
    """A breaker of three failures, of any kind, that never closes."""

    def __init__(self):
        super().__init__()
        self.failures = 0

    async def around(self, proceed, call):
        if self.failures >= 3:
            raise CircuitOpen("open for good; make another")
        try:
            return await proceed(call)
        except ConnectionError:
            raise
        except BaseException:
            self.failures += 1
            raise


# ---- leaks


class KeepsTheLastArgument(Policy):
    last = None

    async def around(self, proceed, call):
        self.last = call.args
        return await proceed(call)


class KeepsTheLastError(Policy):
    last = None

    async def around(self, proceed, call):
        try:
            return await proceed(call)
        except Exception as error:
            self.last = error
            raise


class KeepsEverything(Policy):
    def __init__(self):
        super().__init__()
        self.seen = []

    async def around(self, proceed, call):
        self.seen.append(call.now())
        return await proceed(call)


class NeverCloses(Wrapping):
    """Keeps every stream alive, and open."""

    kept = None

    def wrapper(self, fn):
        self.kept = []

        def stream(*args, **kwargs):
            inner = fn(*args, **kwargs)
            self.kept.append(inner)
            yield from itertools.chain(inner)

        return stream


# ---- locks and re-entrancy


class LocksTheModel(Policy):
    def __init__(self):
        super().__init__()
        self.lock = threading.RLock()

    async def around(self, proceed, call):
        with self.lock:
            return await proceed(call)


class LocksItsName(Policy):
    """A limiter by its own word: one at a time, and nobody may look meanwhile."""

    role = "limiter"

    def __init__(self):
        super().__init__()
        self.lock = threading.RLock()

    async def around(self, proceed, call):
        with self.lock:
            return await proceed(call)

    def describe(self):
        with self.lock:
            return "LocksItsName()"


class PlainLock(Policy):
    def __init__(self):
        super().__init__()
        self.lock = threading.Lock()
        self.calls = 0

    async def around(self, proceed, call):
        with self.lock:
            self.calls += 1
        return await proceed(call)


class OneCallAtATime(Policy):
    """State of a call on the policy."""

    current = None

    async def around(self, proceed, call):
        self.current = call
        result = await proceed(call)
        if self.current is not call:
            raise AssertionError("that was another call")
        return result


class TellsUnderALock(Policy):
    def __init__(self):
        super().__init__()
        self.lock = threading.Lock()

    async def around(self, proceed, call):
        try:
            return await proceed(call)
        finally:
            with self.lock:
                self.emit(events.CallRejected, call.now(), reason="to be told")


class TellsUnprotected(Policy):
    async def around(self, proceed, call):
        try:
            return await proceed(call)
        except Exception:
            for subscription in events.subscriptions():
                subscription._listener("failed")
            raise


# ---- loops, forks


class BoundToALoop(Policy):
    role = "limiter"

    def __init__(self):
        super().__init__()
        self.seats = asyncio.Semaphore(2)

    async def around(self, proceed, call):
        async with self.seats:
            return await proceed(call)


class LimitPerLoop(Policy):
    """Two at a time, on each loop."""

    role = "limiter"

    def __init__(self):
        super().__init__()
        self.taken = {}

    async def around(self, proceed, call):
        loop = threading.get_ident()
        if self.taken.get(loop, 0) >= 2:
            raise BulkheadFull("full; come back later")
        self.taken[loop] = self.taken.get(loop, 0) + 1
        try:
            return await proceed(call)
        finally:
            self.taken[loop] -= 1


class ForgetsForks(Seats):
    """Its seats are not taken back in a child."""

    async def around(self, proceed, call):
        self.take()
        try:
            return await proceed(call)
        finally:
            self.taken -= 1


class KnowsItsProcess(Policy):
    def __init__(self):
        super().__init__()
        self.pid = os.getpid()

    async def around(self, proceed, call):
        if os.getpid() != self.pid:
            raise CircuitOpen("not here; make another")
        return await proceed(call)


class GuardsNothingInForks(KnowsItsProcess):
    def check(self, target):
        if os.getpid() != self.pid:
            raise TypeError("not here; make another")

    async def around(self, proceed, call):
        return await proceed(call)


class DiesInForks(KnowsItsProcess):
    async def around(self, proceed, call):
        if os.getpid() != self.pid:
            signal.raise_signal(signal.SIGKILL)
        return await proceed(call)


# ---- clocks


class WallClock(Policy):
    """Opens for a minute after a failure, by the wall clock."""

    role = "breaker"

    def __init__(self):
        super().__init__()
        self.until = 0.0

    async def around(self, proceed, call):
        if time.time() < self.until:
            raise CircuitOpen("open; come back later")
        try:
            return await proceed(call)
        except ConnectionError:
            self.until = time.time() + 60
            raise


class WallClockLimit(Policy):
    async def around(self, proceed, call):
        began = time.time()
        result = await proceed(call)
        if time.time() - began > 60:
            raise BulkheadFull("too late; be quicker")
        return result


class TrustsTheClock(Policy):
    async def around(self, proceed, call):
        began = call.now()
        result = await proceed(call)
        if call.now() < began:
            raise ValueError("time went back")
        return result


class RefusesThePast(TrustsTheClock):
    async def around(self, proceed, call):
        began = call.now()
        result = await proceed(call)
        if call.now() < began:
            raise CircuitOpen("open; come back later")
        return result


class RefusesAfterThePast(Policy):
    """Its fourth call fails where the first was at a later time."""

    calls = 0
    first = 0.0

    async def around(self, proceed, call):
        self.calls += 1
        self.first = self.first or call.now()
        if self.calls > 3 and call.now() < self.first:
            raise CircuitOpen("open; come back later")
        return await proceed(call)


# ---- pickles, looks


class Unpicklable(Policy):
    def __reduce__(self):
        raise TypeError("it holds a socket")


class PicklesAsAnother(Policy):
    def __reduce__(self):
        return Policy, ()


class PicklesItsState(Seats):
    """A bulkhead whose copies have a single seat."""

    async def around(self, proceed, call):
        self.take()
        try:
            return await proceed(call)
        finally:
            self.taken -= 1

    def __reduce__(self):
        return PicklesItsState, (1,)

    def describe(self):
        return "PicklesItsState()"


class GuardsWithAnObject(Policy):
    """Its guarded functions are objects, which pickle as copies."""

    def __call__(self, fn, *, colour=None):
        return _Guarded()


class _Guarded:
    def __call__(self, *args, **kwargs):
        return "cat"


class GuardsWithALocal(Nameless):
    """Its guarded functions have no name to pickle them by."""


class Lost(Rejected):
    """An error that does not survive a pickle."""

    def __init__(self, seconds):
        super().__init__(f"lost for {seconds} s; come back later")


class Needy(Rejected):
    """An error that does not pickle at all."""

    def __init__(self, seconds, *, lock):
        super().__init__("held; come back later")
        self.lock = lock


class Mute(Rejected):
    """An error without a word."""


class Addressed(Rejected):
    """An error that shows an address."""


ERRORS = {
    "lost": lambda: Lost(5),
    "needy": lambda: Needy(5, lock=None),
    "mute": Mute,
    "addressed": lambda: Addressed("held by <object at 0x7f00aa11>; come back later"),
}


class Refuses(Policy):
    """Lets one call of a model that fails through, and then no other."""

    def __init__(self, error):
        super().__init__()
        self.error = ERRORS[error]
        self.failed = False

    async def around(self, proceed, call):
        if self.failed:
            raise self.error()
        try:
            return await proceed(call)
        except ConnectionError:
            self.failed = True
            raise


class ShowsItsAddress(Policy):
    def describe(self):
        return object.__repr__(self)


class ShowsNothing(Policy):
    def describe(self):
        return " "


class ShowsAnArgument(Policy):
    last = None

    async def around(self, proceed, call):
        self.last = repr(call.args)
        return await proceed(call)

    def describe(self):
        return f"ShowsAnArgument(last={self.last})"


# ---- what waits for ever


class WaitsForEver(Policy):
    """Its second call waits for something that nobody sets."""

    def __init__(self):
        super().__init__()
        self.calls = 0

    async def around(self, proceed, call):
        self.calls += 1
        if self.calls > 1:
            await call.runtime.wait(call.runtime.signal(), float("inf"))
        return await proceed(call)


class WaitsAtOnce(Policy):
    """Its calls wait for something that nobody sets."""

    async def around(self, proceed, call):
        await call.runtime.wait(call.runtime.signal(), float("inf"))
        return await proceed(call)


class IgnoresCancellation(Policy):
    """Its calls wait for ever, whatever they are told."""

    async def around(self, proceed, call):
        while True:
            with contextlib.suppress(asyncio.CancelledError):
                await asyncio.Event().wait()


# ---- what guards nothing


class RefusesAll(Policy):
    def check(self, target):
        raise TypeError(f"RefusesAll cannot guard {target.name!r}; leave it out")


class RefusesWithoutAWord(Policy):
    def check(self, target):
        raise TypeError


class FailsOver(Policy):
    def check(self, target):
        raise KeyError(target.name)


class GuardsWithNothing(Policy):
    def __call__(self, fn, *, colour=None):
        return None


class PlainFunctionsAlone(Policy):
    def check(self, target):
        if target.colour is not Colour.CALL:
            raise TypeError(f"PlainFunctionsAlone cannot guard {target.name!r}; guard a plain function")


class CannotBeShown(Policy):
    def describe(self):
        return str(1 // 0) if self._name == "model" else "CannotBeShown()"

    def adopt(self, name):
        super().adopt("model")
