"""The worlds a scenario runs in: every colour, on threads, asyncio and trio, all in virtual time.

::

    def test_a_blip_is_ridden_out(world):
        model = world.model(ConnectionError(), "cat")
        assert world.call(Retry(backoff=ConstantBackoff(1))(model), "picture") == "cat"
        assert model.starts == [0, 1]

A model follows a script, one step a call; the last step is repeated. A step is a value, an exception,
``slow(seconds, step)``, ``hang()``, or ``items(...)`` of these, for streams of several items.
"""

import contextlib
import math
import threading
from dataclasses import dataclass, field

import anyio
import anyio.lowlevel

from resilient_ml import Colour, remaining

from . import virtual_time


@dataclass(frozen=True)
class Wait:
    """A step that takes *seconds*, and then is *step*."""

    seconds: float
    step: object = None


@dataclass(frozen=True)
class Items:
    """Several steps in one stream; a plain world takes the first answer."""

    steps: tuple


def slow(seconds, step="late"):
    return Wait(seconds, step)


def hang():
    return Wait(math.inf)


def items(*steps):
    return Items(steps)


def is_error(step):
    return isinstance(step, BaseException) or (isinstance(step, type) and issubclass(step, BaseException))


def actions(step):
    """What a step comes to: instants to wait, answers to give, errors to raise."""
    if isinstance(step, Items):
        for one in step.steps:
            yield from actions(one)
    elif isinstance(step, Wait):
        yield "wait", step.seconds
        yield from actions(step.step)
    elif is_error(step):
        raise step
    else:
        yield "give", step


@dataclass
class Script:
    """What a model will do, and what was asked of it."""

    clock: object
    steps: list
    began: float
    starts: list = field(default_factory=list)
    asked: list = field(default_factory=list)
    left: list = field(default_factory=list)
    inside: int = 0
    most_inside: int = 0

    @contextlib.contextmanager
    def called(self, args, kwargs):
        self.starts.append(round(self.clock.now() - self.began, 6))
        self.asked.append((args, kwargs))
        self.left.append(remaining())
        self.inside += 1
        self.most_inside = max(self.most_inside, self.inside)
        try:
            yield actions(self.steps.pop(0) if len(self.steps) > 1 else self.steps[0])
        finally:
            self.inside -= 1


async def _pause(seconds):
    await (anyio.sleep_forever() if seconds == math.inf else anyio.sleep(seconds))


def plain(script):
    def model(*args, **kwargs):
        with script.called(args, kwargs) as doing:
            for what, how in doing:
                if what == "give":
                    return how
                script.clock.hang() if how == math.inf else script.clock.sleep(how)
            return None

    return model


def stream(script):
    def model(*args, **kwargs):
        with script.called(args, kwargs) as doing:
            for what, how in doing:
                if what == "give":
                    yield how
                elif how == math.inf:
                    script.clock.hang()
                else:
                    script.clock.sleep(how)

    return model


def coroutine(script):
    async def model(*args, **kwargs):
        with script.called(args, kwargs) as doing:
            for what, how in doing:
                if what == "give":
                    return how
                await _pause(how)
            return None

    return model


def async_stream(script):
    async def model(*args, **kwargs):
        with script.called(args, kwargs) as doing:
            for what, how in doing:
                if what == "give":
                    yield how
                else:
                    await _pause(how)

    return model


MODELS = {
    Colour.CALL: plain,
    Colour.ASYNC_CALL: coroutine,
    Colour.STREAM: stream,
    Colour.ASYNC_STREAM: async_stream,
}


@dataclass
class Reading:
    """What a reader of a stream saw: the items, when each came, and the error that it ended in."""

    began: float
    items: list = field(default_factory=list)
    times: list = field(default_factory=list)
    error: Exception | None = None
    ended: float = math.nan

    def take(self, item, now):
        self.items.append(item)
        self.times.append(round(now - self.began, 6))

    def fail(self, error, now):
        self.error = error
        self.ended = round(now - self.began, 6)

    @property
    def text(self):
        return "".join(map(str, self.items))


class World:
    """One colour and what runs it."""

    def __init__(self, colour, backend, clock):
        self.colour = colour
        self.backend = backend
        self.clock = clock
        self.streams = colour.streams
        self.is_async = colour.is_async

    def model(self, *steps, name="model", colour=None):
        """A callable of this world's colour that follows a script."""
        script = Script(self.clock, list(steps), self.clock.now())
        made = MODELS[colour or self.colour](script)
        made.__name__ = made.__qualname__ = name
        for what in ("starts", "asked", "left"):
            setattr(made, what, getattr(script, what))
        made.script = script
        return made

    def call(self, guarded, *args, **kwargs):
        """Use *guarded* as its colour is used; a stream of one item is that item, another a tuple."""
        if not self.is_async:
            given = guarded(*args, **kwargs)
            return joined(list(given)) if self.streams else given
        return self.run(self.use, guarded, *args, kwargs)

    async def use(self, guarded, *rest):
        *args, kwargs = rest
        if self.streams:
            return joined([item async for item in guarded(*args, **kwargs)])
        return await guarded(*args, **kwargs)

    def run(self, main, *args):
        """Run a coroutine function on this world's loop."""
        run = {"asyncio": virtual_time.run_on_asyncio, "trio": virtual_time.run_on_trio}[self.backend]
        return run(self.clock, main, *args)

    def failure(self, guarded, *args, **kwargs):
        """The error that a call ends in; None if it answers."""
        try:
            self.call(guarded, *args, **kwargs)
        except Exception as error:  # noqa: BLE001
            return error
        return None

    def read(self, guarded, *args, pause=0.0, most=math.inf, **kwargs):
        """Read a stream, with a pause after each item, and close it after *most*: a :class:`Reading`."""
        reading = Reading(self.clock.now())
        if self.is_async:
            self.run(self._aread, reading, guarded(*args, **kwargs), pause, most)
            return reading
        stream = guarded(*args, **kwargs)
        try:
            for item in stream:
                reading.take(item, self.clock.now())
                self.clock.sleep(pause)
                if len(reading.items) >= most:
                    stream.close()
                    break
        except Exception as error:  # noqa: BLE001
            reading.fail(error, self.clock.now())
        return reading

    async def _aread(self, reading, stream, pause, most):
        try:
            async for item in stream:
                reading.take(item, self.clock.now())
                await anyio.sleep(pause)
                if len(reading.items) >= most:
                    await stream.aclose()
                    break
        except Exception as error:  # noqa: BLE001
            reading.fail(error, self.clock.now())

    def together(self, *calls):
        """Begin calls of ``(guarded, *args)`` in turn and let them run at once; what each ended in."""
        ends = [None] * len(calls)
        if self.is_async:
            self.run(self._tasks, calls, ends)
        else:
            self._threads(calls, ends)
        return ends

    async def _tasks(self, calls, ends):
        async def one(position, guarded, *args):
            try:
                ends[position] = await self.use(guarded, *args, {})
            except Exception as error:  # noqa: BLE001
                ends[position] = error

        async with anyio.create_task_group() as group:
            for position, call in enumerate(calls):
                group.start_soon(one, position, *call)
                for _ in range(5):
                    await anyio.lowlevel.checkpoint()

    def _threads(self, calls, ends):
        def one(position, guarded, *args):
            try:
                ends[position] = self.call(guarded, *args)
            except Exception as error:  # noqa: BLE001
                ends[position] = error

        threads = []
        for position, call in enumerate(calls):
            threads.append(threading.Thread(target=one, args=(position, *call)))
            threads[-1].start()
            self.clock.settle()
        for thread in threads:
            thread.join()


def joined(given):
    return given[0] if len(given) == 1 else tuple(given)


def calling(world, inner, before=0.0):
    """A function of this world's colour that takes *before* seconds and then calls *inner*."""

    def call():
        world.clock.sleep(before)
        return inner()

    async def acall():
        await anyio.sleep(before)
        return await inner()

    def stream():
        world.clock.sleep(before)
        yield from inner()

    async def astream():
        await anyio.sleep(before)
        async for item in inner():
            yield item

    return {"call": call, "async call": acall, "stream": stream, "async stream": astream}[world.colour.value]
