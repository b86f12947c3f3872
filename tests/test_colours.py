"""Every kind of callable keeps its colour, its name and its signature, or is refused with the remedy."""

import asyncio
import functools
import inspect
import operator
import types

import pytest

from resilient_ml import Colour, Pipeline, Policy, Retry
from resilient_ml._colour import colour_of, known_colour, name_of, target_of


class Seen(Policy):
    """Counts the calls that pass through it."""

    def __init__(self):
        super().__init__()
        self.calls = 0

    async def around(self, proceed, call):
        self.calls += 1
        return await proceed(call)


def used(fn, *args, **kwargs):
    """Use *fn* as its colour is used."""
    given = fn(*args, **kwargs)
    if inspect.iscoroutine(given):
        return asyncio.run(given)
    if inspect.isasyncgen(given):

        async def collect():
            return [item async for item in given]

        return asyncio.run(collect())
    return list(given) if inspect.isgenerator(given) else given


# ---- functions of every colour


def plain(row, *, scale=2):
    """Double a row."""
    return row * scale


async def awaited(row, *, scale=2):
    """Double a row."""
    return row * scale


def stream(row, *, scale=2):
    """Double a row."""
    yield row
    yield row * scale


async def astream(row, *, scale=2):
    """Double a row."""
    yield row
    yield row * scale


FUNCTIONS = {
    plain: (Colour.CALL, 42),
    awaited: (Colour.ASYNC_CALL, 42),
    stream: (Colour.STREAM, [21, 42]),
    astream: (Colour.ASYNC_STREAM, [21, 42]),
}


@pytest.mark.parametrize("fn", FUNCTIONS, ids=lambda fn: fn.__name__)
def test_a_function_of_each_colour_is_guarded(fn):
    colour, answer = FUNCTIONS[fn]
    seen = Seen()
    safe = seen(fn)
    assert colour_of(fn) is colour_of(safe) is colour
    assert used(safe, 21) == answer
    assert used(safe, 21, scale=2) == answer
    assert seen.calls == 2


@pytest.mark.parametrize("fn", FUNCTIONS, ids=lambda fn: fn.__name__)
def test_name_signature_and_flags_are_kept(fn):
    safe = Pipeline(Retry(), Seen())(fn)
    for what in ("__name__", "__qualname__", "__doc__", "__module__", "__annotations__"):
        assert getattr(safe, what) == getattr(fn, what)
    assert safe.__wrapped__ is fn
    assert inspect.signature(safe) == inspect.signature(fn)
    for asks in (
        inspect.isfunction,
        inspect.iscoroutinefunction,
        inspect.isgeneratorfunction,
        inspect.isasyncgenfunction,
    ):
        assert asks(safe) is asks(fn)


def test_attributes_of_the_function_are_kept():
    def fn():
        return None

    fn.version = 7
    assert Retry()(fn).version == 7


@pytest.mark.parametrize("flag", ["is_async", "streams"], ids=["who awaits", "who gives items"])
def test_a_colour_says(flag):
    yes = {
        "is_async": {Colour.ASYNC_CALL, Colour.ASYNC_STREAM},
        "streams": {Colour.STREAM, Colour.ASYNC_STREAM},
    }[flag]
    assert {colour for colour in Colour if getattr(colour, flag)} == yes


# ---- methods


class Estimator:
    """As scikit-learn's: methods, state, and attributes that appear when it is fitted."""

    scale = 2

    def __init__(self, bias=0):
        self.bias = bias

    def predict(self, row):
        return row * self.scale + self.bias

    async def apredict(self, row):
        return row * self.scale + self.bias

    def tokens(self, row):
        yield self.predict(row)

    async def atokens(self, row):
        yield self.predict(row)

    def __call__(self, row):
        return self.predict(row)

    @classmethod
    def of_class(cls, row):
        return row * cls.scale

    @staticmethod
    def alone(row):
        return row * 2


METHODS = ["predict", "apredict", "tokens", "atokens", "of_class", "alone"]


@pytest.mark.parametrize("name", METHODS)
def test_a_bound_method_is_guarded(name):
    seen = Seen()
    safe = seen(getattr(Estimator(bias=1), name))
    answer = used(getattr(Estimator(bias=1), name), 21)
    assert used(safe, 21) == answer
    assert seen.calls == 1
    assert safe.__name__ == name
    assert str(inspect.signature(safe)) == "(row)"


@pytest.mark.parametrize("name", ["predict", "apredict", "tokens", "atokens"])
def test_a_method_decorated_in_its_class_is_guarded(name):
    seen = Seen()
    guarded = type("Guarded", (Estimator,), {name: seen(vars(Estimator)[name])})
    assert used(getattr(guarded(bias=1), name), 21) == used(getattr(Estimator(bias=1), name), 21)
    assert seen.calls == 1
    assert str(inspect.signature(getattr(guarded(), name))) == "(row)"


def test_a_classmethod_is_guarded_from_above_and_from_below():
    over, under = Seen(), Seen()

    class Model:
        scale = 3

        @over
        @classmethod
        def above(cls, row):
            return row * cls.scale

        @classmethod
        @under
        def below(cls, row):
            return row * cls.scale

    assert (Model.above(7), Model().above(7), Model.below(7)) == (21, 21, 21)
    assert (over.calls, under.calls) == (2, 1)
    assert isinstance(vars(Model)["above"], classmethod)


def test_a_staticmethod_is_guarded_from_above_and_from_below():
    over, under = Seen(), Seen()

    class Model:
        @over
        @staticmethod
        def above(row):
            return row * 2

        @staticmethod
        @under
        def below(row):
            return row * 2

    assert (Model.above(21), Model().above(21), Model.below(21)) == (42, 42, 42)
    assert (over.calls, under.calls) == (2, 1)


def test_a_partialmethod_is_guarded():
    seen = Seen()

    class Model:
        def scaled(self, scale, row):
            return row * scale

        double = seen(functools.partialmethod(scaled, 2))

    assert Model().double(21) == 42
    assert seen.calls == 1


def test_an_abstract_method_stays_abstract():
    import abc

    class Model(abc.ABC):
        @Retry()
        @abc.abstractmethod
        def predict(self):
            """Answer."""

    with pytest.raises(TypeError, match="abstract"):
        Model()


# ---- partials, lambdas, builtins, objects


class AsyncObject:
    """A client that is awaited."""

    async def __call__(self, row):
        return row * 2


class StreamObject:
    def __call__(self, row):
        yield row * 2


CALLABLES = {
    "partial": (functools.partial(plain, scale=2), Colour.CALL, 42, "plain"),
    "partial of a partial": (functools.partial(functools.partial(plain), scale=2), Colour.CALL, 42, "plain"),
    "awaited partial": (functools.partial(awaited, scale=2), Colour.ASYNC_CALL, 42, "awaited"),
    "partial stream": (functools.partial(stream, scale=2), Colour.STREAM, [21, 42], "stream"),
    "lambda": (lambda row: row * 2, Colour.CALL, 42, "<lambda>"),
    "builtin": (abs, Colour.CALL, 21, "abs"),
    "method of a builtin": ("x".join, Colour.CALL, None, "str.join"),
    "itemgetter": (operator.itemgetter(0), Colour.CALL, None, "itemgetter"),
    "object": (Estimator(), Colour.CALL, 42, "Estimator"),
    "awaited object": (AsyncObject(), Colour.ASYNC_CALL, 42, "AsyncObject"),
    "object that streams": (StreamObject(), Colour.STREAM, [42], "StreamObject"),
    "partial of an awaited object": (functools.partial(AsyncObject()), Colour.ASYNC_CALL, 42, "AsyncObject"),
}


@pytest.mark.parametrize("what", CALLABLES)
def test_other_callables_are_guarded(what):
    fn, colour, answer, name = CALLABLES[what]
    seen = Seen()
    safe = seen(fn)
    assert colour_of(fn) is colour
    assert seen.name == name
    if answer is not None:
        assert used(safe, 21) == answer
        assert seen.calls == 1
    assert safe.__name__ == getattr(fn, "__name__", name)


def test_an_object_keeps_its_attributes_to_itself():
    model = Estimator(bias=1)
    safe = Retry()(model)
    model.bias = 2
    assert safe(20) == 42
    assert not hasattr(safe, "bias")
    assert safe.__doc__ == Estimator.__doc__


def test_a_partial_has_the_doc_of_its_function():
    assert Retry()(functools.partial(plain)).__doc__ == "Double a row."


def test_a_numpy_ufunc_is_guarded():
    import numpy as np

    assert Retry()(np.negative)(21) == -21


def test_a_client_whose_colour_cannot_be_seen_is_told_it():
    def chunks():
        return iter(["to", "ken"])

    assert list(Retry()(chunks)()) == ["to", "ken"]  # an iterator, unguarded: nothing can tell
    seen = Seen()
    assert list(Pipeline(seen)(chunks, colour=Colour.STREAM)()) == ["to", "ken"]
    assert seen.calls == 1


def test_a_colour_that_is_none_is_refused():
    with pytest.raises(TypeError, match=r"colour must be a Colour, got str; pass Colour\.STREAM, say"):
        Pipeline(Retry())(plain, colour="stream")


# ---- guarded functions, guarded again


def test_a_guarded_bound_method_is_guarded_again():
    inner, outer = Seen(), Seen()

    class Model(Estimator):
        predict = inner(Estimator.predict)

    safe = outer(Model(bias=1).predict)
    assert safe(20) == 41
    assert (inner.calls, outer.calls) == (1, 1)
    assert Pipeline(outer).call(Model(bias=1).predict, 20) == 41
    assert (inner.calls, outer.calls) == (2, 2)


def test_a_wrapper_that_copied_a_guards_attributes_is_not_taken_for_it():
    seen = Seen()

    @seen
    def model(row):
        return row

    @functools.wraps(model)
    def doubled(row):
        return 2 * model(row)

    outer = Seen()
    assert outer(doubled)(21) == 42
    assert Pipeline(outer).call(doubled, 21) == 42
    assert (seen.calls, outer.calls) == (2, 2)


def test_an_object_that_pretends_to_be_guarded_is_not_believed():
    def liar():
        return "cat"

    liar.__resilient_ml__ = object()
    assert Retry()(liar)() == "cat"


def test_a_plain_wrapper_of_a_coroutine_function_is_found_out():
    @functools.wraps(awaited)
    def wrapper(row):
        return awaited(row)

    assert colour_of(wrapper) is Colour.CALL
    with pytest.raises(TypeError, match="was guarded as a plain function but returned an awaitable"):
        Retry()(wrapper)(21)
    assert used(Pipeline(Retry())(wrapper, colour=Colour.ASYNC_CALL), 21) == 42


# ---- names and colours, looked up


def test_a_colour_is_looked_up_once_for_each_function_and_type():
    assert known_colour(plain) is known_colour(plain) is Colour.CALL
    assert known_colour(functools.partial(awaited)) is Colour.ASYNC_CALL
    assert known_colour(Estimator().tokens) is Colour.STREAM
    assert known_colour(AsyncObject()) is Colour.ASYNC_CALL
    assert known_colour(abs) is Colour.CALL


def test_a_name_is_never_a_repr():
    class Nameless:
        __name__ = 7

        def __call__(self):
            return None

        def __repr__(self):
            raise AssertionError("shown")

    assert name_of(Nameless()) == "Nameless"
    assert name_of(types.SimpleNamespace()) == "SimpleNamespace"
    assert target_of(Nameless()).name == "Nameless"
