"""What these tests share: faults of the catalogue by name, and models that compute or check an answer."""

import contextlib

from resilient_ml import Bulkhead, CircuitBreaker, Fallback, InvalidOutput, Pipeline, Retry
from resilient_ml.testing.faults import CATALOGUE

from ..every_policy import AT_ONCE


def made(name):
    """The fault of this name, as the catalogue makes it."""
    return CATALOGUE[name].make()


def computing(world, fn):
    """A model of this world's colour that answers ``fn(*args)``, in a stream as its one item."""

    def model(*args):
        return fn(*args)

    async def amodel(*args):
        return fn(*args)

    def stream(*args):
        yield fn(*args)

    async def astream(*args):
        yield fn(*args)

    return {"call": model, "async call": amodel, "stream": stream, "async stream": astream}[
        world.colour.value
    ]


def checked(world, model, rule, valid):
    """*model*, whose answer to its argument must be *valid*: what a careful user writes inside the guard."""

    def look(rows, answer):
        if not valid(rows, answer):
            raise InvalidOutput(f"the answer breaks the rule {rule!r}", rule=rule)
        return answer

    def call(rows):
        return look(rows, model(rows))

    async def acall(rows):
        return look(rows, await model(rows))

    def stream(rows):
        with contextlib.closing(model(rows)) as items:
            for item in items:
                yield look(rows, item)

    async def astream(rows):
        async with contextlib.aclosing(model(rows)) as items:
            async for item in items:
                yield look(rows, item)

    return {"call": call, "async call": acall, "stream": stream, "async stream": astream}[world.colour.value]


class Guarded:
    """A pipeline around a model, and its policies to look at."""

    def __init__(self, model, *, attempts=2, breaker=None, fallback=None):
        self.bulkhead = Bulkhead(1)
        self.breaker = breaker or CircuitBreaker()
        inner = (Retry(attempts, backoff=AT_ONCE), self.breaker, self.bulkhead)
        self.safe = Pipeline(*(() if fallback is None else (Fallback(fallback),)), *inner)(model)

    @property
    def at_rest(self):
        """Whether every seat has come back."""
        return (self.bulkhead.in_flight, self.bulkhead.waiting) == (0, 0)
