"""Around a callable: every colour keeps its nature, name, signature, errors, and lets go of its arguments."""

import contextlib
import functools
import gc
import inspect
import weakref

import pytest

from resilient_ml import Colour, Retry
from resilient_ml._colour import colour_of
from resilient_ml.testing import faults
from resilient_ml.testing.faults import FaultPlan

from ...worlds import items


def test_the_colour_the_name_and_the_signature_stay(world):
    def documented(rows: list, *, k: int = 3) -> list:
        """Documented."""

    model = functools.wraps(documented)(world.model("cat"))
    del model.__wrapped__
    model.__signature__ = inspect.signature(documented)
    broken = faults.inject(model, faults.nan())
    assert colour_of(broken) is world.colour
    assert inspect.isfunction(broken)
    assert (broken.__name__, broken.__doc__) == ("documented", "Documented.")
    assert inspect.signature(broken) == inspect.signature(documented)
    assert broken.__wrapped__ is model


def test_a_healthy_call_gets_the_very_answer(world):
    answer = object()
    model = world.model(answer)
    assert world.call(faults.inject(model), 1, key=2) is answer
    assert model.asked == [((1,), {"key": 2})]


def test_what_the_model_raises_is_raised(world):
    error = KeyError("x")
    plan = FaultPlan(faults.nan(), faults.latency(1.0))
    assert world.failure(plan.inject(world.model(error))) is error
    assert [one.fault for one in plan.history] == ["latency(seconds=1)"]


def test_a_retry_rides_a_blip_out(world):
    model = world.model("cat")
    safe = Retry(attempts=2)(faults.inject(model, faults.error(ConnectionError).first(1)))
    assert world.call(safe) == "cat"
    assert len(model.starts) == 1


def test_answers_and_items_are_struck_alike(world):
    broken = faults.inject(world.model(items(1.0, 2.0)), faults.drift(scale=10.0))
    assert world.call(broken) == ((10.0, 20.0) if world.streams else 10.0)


def test_the_source_of_a_stream_is_closed_at_its_end(stream_world):
    closed = []

    def source():
        try:
            yield from (1, 2, 3)
        finally:
            closed.append("closed")

    async def asource():
        try:
            for item in (1, 2, 3):
                yield item
        finally:
            closed.append("closed")

    kept = []

    def begin():
        kept.append(asource() if stream_world.is_async else source())  # so that no garbage is collected
        return kept[-1]

    colour = stream_world.colour
    assert stream_world.call(faults.inject(begin, faults.truncated(2), colour=colour)) == (1, 2)
    assert closed == ["closed"]
    broken = faults.inject(begin, faults.cut(1), colour=colour)
    assert isinstance(stream_world.failure(broken), ConnectionResetError)
    assert closed == ["closed", "closed"]


class Chunks:
    """An iterator with nothing to close, plain and awaited."""

    def __init__(self):
        self.left = [1, 2]

    @staticmethod
    def begin():
        return Chunks()

    def __iter__(self):
        return self

    def __next__(self):
        if not self.left:
            raise StopIteration
        return self.left.pop(0)

    def __aiter__(self):
        return self

    async def __anext__(self):
        if not self.left:
            raise StopAsyncIteration
        return self.left.pop(0)


def test_a_colour_that_inspection_cannot_see_is_said(stream_world):
    broken = faults.inject(Chunks.begin, faults.duplicate_items(1.0), colour=stream_world.colour)
    assert stream_world.call(broken) == (1, 1, 2, 2)


def test_a_coroutine_in_disguise_is_refused_with_the_remedy():
    async def answer(rows):
        return 1

    broken = faults.inject(lambda: answer([]), faults.nan(), name="model")
    with pytest.raises(TypeError, match=r"'model' looks like .* gave 'coroutine'; .*Colour.ASYNC_CALL"):
        broken()


def test_an_async_stream_in_disguise_is_refused_with_the_remedy():
    async def answer(rows):
        yield 1

    broken = faults.inject(lambda: answer([]), faults.nan())
    with pytest.raises(TypeError, match=r"gave 'async_generator'; .*Colour.ASYNC_STREAM"):
        broken()


class Model:
    """A model."""

    bias = 1

    def predict(self, rows):
        """Predict."""
        return rows + self.bias

    def __call__(self, rows):
        return rows * 2


def test_methods_objects_partials_and_builtins_are_struck():
    model = Model()
    blip = faults.error(ConnectionError).on_calls(2)
    plan = FaultPlan(blip)
    for fn, answer in [
        (model.predict, 4),
        (model, 6),
        (functools.partial(max, 5), 5),
        (abs, 3),
    ]:
        broken = plan.inject(fn)
        assert broken(3) == answer
        with pytest.raises(ConnectionError):
            broken(3)
    assert [one.target for one in plan.history] == ["Model.predict", "Model", "max", "abs"]


def test_an_object_keeps_its_attributes_and_gives_its_name_and_text():
    broken = faults.inject(Model())
    assert (broken.__name__, broken.__doc__) == ("Model", "A model.")
    assert not hasattr(broken, "bias")
    assert faults.inject(functools.partial(max, 5)).__doc__ == max.__doc__


class Rows(list):
    """A list that can be watched."""


@pytest.mark.parametrize(
    "fault",
    [
        faults.error(ConnectionError),
        faults.error("overload"),
        faults.cancelled(),
        faults.rate_limit(0),
        faults.overload(1, 0.0, refuse_above=0),
        faults.poison(lambda row: True),
        faults.latency(0),
        faults.nan(),
        faults.error(RuntimeError).where(lambda rows: True),
    ],
    ids=str,
)
def test_arguments_are_freed_with_the_last_reference_whatever_struck(call_world, fault):
    plan = FaultPlan(fault)
    model = plan.inject(call_world.model(1.0))
    rows = Rows([1])
    seen = weakref.ref(rows)
    gc.collect()
    gc.disable()
    try:
        with contextlib.suppress(BaseException):
            drive(model(rows)) if call_world.is_async else model(rows)
        del rows
        model = None
        assert seen() is None
    finally:
        gc.enable()
    assert len(plan.history) == 1


def drive(coroutine):
    """Run a coroutine that waits for nothing, without a loop, whose frames would hold on to things too."""
    try:
        coroutine.send(None)
    finally:
        coroutine.close()


@pytest.mark.parametrize("colour", Colour)
def test_what_is_said_to_have_a_colour_has_it(colour):
    assert colour_of(faults.inject(lambda: None, colour=colour)) is colour
