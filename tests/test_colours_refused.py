"""What cannot be guarded is refused with the remedy, and what has yet to run is an error."""

import asyncio
import functools
import inspect

import pytest

from resilient_ml import Colour, ConstantBackoff, Fallback, Pipeline, Policy, Retry


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


# ---- what is refused


class Estimator:
    """As scikit-learn's."""


async def awaited(row):
    return row


def stream(row):
    yield row


async def astream(row):
    yield row


class Model:
    @property
    def answer(self):
        return 42

    @functools.cached_property
    def cached(self):
        return 42


@pytest.mark.parametrize(
    ("fn", "message"),
    [
        (
            Estimator,
            "cannot guard class 'Estimator': guard one of its methods, or an instance that can be called",
        ),
        (int, "cannot guard class 'int': guard one of its methods, or an instance that can be called"),
        (
            vars(Model)["answer"],
            "cannot guard an object of type 'property': guard the method that computes it",
        ),
        (
            vars(Model)["cached"],
            "cannot guard an object of type 'cached_property': guard the method that computes it",
        ),
        (
            42,
            "cannot guard an object of type 'int': it is not callable; pass the function itself",
        ),
        (None, "cannot guard an object of type 'NoneType': it is not callable"),
        ("secret", "cannot guard an object of type 'str': it is not callable"),
    ],
    ids=["class", "type", "property", "cached property", "number", "none", "text"],
)
def test_what_cannot_be_guarded_is_refused_with_the_remedy(fn, message):
    with pytest.raises(TypeError) as caught:
        Retry()(fn)
    assert str(caught.value).startswith(message)
    with pytest.raises(TypeError):
        Pipeline(Retry()).call(fn)


def test_a_call_of_the_function_instead_of_the_function_is_refused():
    given = awaited(1)
    with pytest.raises(TypeError, match="pass the function itself, without calling it"):
        Retry()(given)
    given.close()


# ---- a plain function that returns what has yet to run


@pytest.mark.parametrize(
    ("fn", "what", "colour"),
    [
        (lambda: awaited(1), "an awaitable", "ASYNC_CALL"),
        (lambda: stream(1), "a generator", "STREAM"),
        (lambda: astream(1), "an async generator", "ASYNC_STREAM"),
    ],
    ids=["coroutine", "generator", "async generator"],
)
def test_a_result_that_has_yet_to_run_is_an_error_and_never_a_silent_pass(fn, what, colour):
    guard = Pipeline(Fallback("popular", on=KeyError), Retry(3, backoff=ConstantBackoff(0)))
    message = rf"was guarded as a plain function but returned {what}, .*\(fn, colour=Colour.{colour}\)"
    with pytest.raises(TypeError, match=message):
        guard(fn)()
    with pytest.raises(TypeError, match=message):
        guard.call(fn)
    with pytest.raises(TypeError, match=message):
        asyncio.run(guard.acall(fn))
    with pytest.raises(TypeError, match=message):
        guard(lambda *args: fn())(1)


def test_a_future_is_an_error_too():
    loop = asyncio.new_event_loop()
    with pytest.raises(TypeError, match="returned an awaitable"):
        Retry()(loop.create_future)()
    loop.close()


def test_a_coroutine_function_that_returns_an_async_generator_is_an_error_and_is_guarded_when_told():
    async def create(prompt):
        return astream(prompt)

    for call in (lambda: Retry()(create)("a"), lambda: Pipeline().acall(create, "a")):
        with pytest.raises(
            TypeError, match=r"as a coroutine function but returned an async generator, .*ASYNC_STREAM"
        ):
            asyncio.run(call())
    told = Retry()(create, colour=Colour.ASYNC_STREAM)

    async def collect():
        return [item async for item in told("a")]

    assert asyncio.run(collect()) == ["a"]


def test_a_coroutine_function_that_returns_something_to_await_is_told_to_await_it():
    async def nested(row):
        return awaited(row)

    with pytest.raises(TypeError, match=r"an awaitable, .*; await or iterate it inside the function"):
        asyncio.run(Retry()(nested)(1))
