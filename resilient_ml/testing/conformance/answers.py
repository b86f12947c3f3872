"""Answers and errors come out as the identical objects, however the model is written and called."""

from __future__ import annotations

import functools
from collections.abc import AsyncIterator, Callable, Iterator
from typing import Any

from .subject import Answer, Subject
from .verdicts import BrokenPromise
from .worlds import End, World

_SAME = "pass on what proceed(call) gives, and the arguments, as they are"


class _Recorder:
    """Models written in every way; each writes down what it was given, and answers with one object."""

    def __init__(self, answer: Any) -> None:
        self.answer = answer
        self.given: list[tuple[tuple[Any, ...], dict[str, Any]]] = []

    def act(self, *args: Any, **kwargs: Any) -> Any:
        self.given.append((args, kwargs))
        return self.answer

    def written(self, world: World) -> dict[str, Callable[..., Any]]:
        """The same model as a function, a partial, a method and a callable object."""
        function = world.model(self.act)
        owner = world.pick(_Called, _ACalled, _Streaming, _AStreaming)(self)
        return {
            "a function": function,
            "a partial": functools.partial(function),
            "a method": owner.method,
            "a callable object": owner,
        }


class _Called:
    def __init__(self, recorder: _Recorder) -> None:
        self.recorder = recorder

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        return self.recorder.act(*args, **kwargs)

    method = __call__


class _ACalled(_Called):
    async def __call__(self, *args: Any, **kwargs: Any) -> Any:
        return self.recorder.act(*args, **kwargs)

    method = __call__


class _Streaming(_Called):
    def __call__(self, *args: Any, **kwargs: Any) -> Iterator[Any]:
        yield self.recorder.act(*args, **kwargs)

    method = __call__


class _AStreaming(_Called):
    async def __call__(self, *args: Any, **kwargs: Any) -> AsyncIterator[Any]:
        yield self.recorder.act(*args, **kwargs)

    method = __call__


def answers(subject: Subject, world: World) -> None:
    """Every way of writing the model and of calling it gives the identical answer."""
    recorder = _Recorder(subject.answer())
    for how, model in recorder.written(world).items():
        guarded = subject.fresh(model)
        for called, call, wanted in _calls(subject, guarded):
            recorder.given.clear()
            end = world.end(call)
            _expect_answer(end, recorder.answer, f"{how}, called {called},")
            if not recorder.given:
                raise BrokenPromise(f"{how}, called {called}, was answered for without being called", _SAME)
            if wanted is not None and not _same(recorder.given[-1], wanted):
                raise BrokenPromise(f"{how}, called {called}, was given other arguments", _SAME)


def _calls(
    subject: Subject, guarded: Any
) -> Iterator[tuple[str, Callable[[], Any], tuple[tuple[Any, ...], dict[str, Any]] | None]]:
    one, two = Answer(), Answer()
    yield "as asked for", lambda: subject.call(guarded, one), None
    if not subject.call_is_given:
        yield "without arguments", guarded, ((), {})
        yield "with one argument", lambda: guarded(one), ((one,), {})
        yield "with a keyword", lambda: guarded(one, two=two), ((one,), {"two": two})


def _same(
    given: tuple[tuple[Any, ...], dict[str, Any]], wanted: tuple[tuple[Any, ...], dict[str, Any]]
) -> bool:
    """Whether the very same objects were given."""
    (args, kwargs), (wanted_args, wanted_kwargs) = given, wanted
    return (
        len(args) == len(wanted_args)
        and all(one is other for one, other in zip(args, wanted_args, strict=True))
        and kwargs.keys() == wanted_kwargs.keys()
        and all(kwargs[name] is wanted_kwargs[name] for name in kwargs)
    )


def _expect_answer(end: End, answer: Any, what: str) -> None:
    if end.error is not None:
        raise BrokenPromise(
            f"{what} ended in {end.kind}", "let a healthy model's answer through"
        ) from end.error
    if end.value is not answer:
        raise BrokenPromise(f"{what} gave another object than the model's", _SAME)


def streams(subject: Subject, world: World) -> None:
    """All items pass, in order, as they are; what a generator is sent, and returns, arrives."""
    items = [subject.answer() for _ in range(3)]

    def stream(*args: Any, **kwargs: Any) -> Iterator[Any]:
        yield from items

    async def astream(*args: Any, **kwargs: Any) -> AsyncIterator[Any]:
        for item in items:
            yield item

    guarded = subject.fresh(world.pick(stream, astream, stream, astream))
    end = world.end(lambda: subject.call(guarded))
    if end.error is not None:
        raise BrokenPromise(f"a stream of three items ended in {end.kind}", "let its items through")
    given = end.value if isinstance(end.value, tuple) else (end.value,)
    if len(given) != len(items) or any(one is not other for one, other in zip(given, items, strict=True)):
        raise BrokenPromise(f"of a stream of three items {len(given)} came, or not as they were", _SAME)


def errors(subject: Subject, world: World) -> None:
    """The model's own error comes out as the identical object, for whatever reason there were attempts."""
    for kind in (ConnectionError, ValueError, TimeoutError, _Unheard):
        _error_comes_out(subject, world, kind)
        if world.colour.streams:
            _error_comes_out_of_the_middle(subject, world, kind)


class _Unheard(Exception):
    """An error of a type that nobody has heard of."""


def _error_comes_out(subject: Subject, world: World, kind: type[Exception]) -> None:
    raised: list[Exception] = []

    def act(*args: Any, **kwargs: Any) -> Any:
        raised.append(kind("the model's own"))
        raise raised[-1]

    guarded = subject.fresh(world.model(act))
    expect_own_error(subject, world.end(lambda: subject.call(guarded)), raised, kind.__name__.strip("_"))


def _error_comes_out_of_the_middle(subject: Subject, world: World, kind: type[Exception]) -> None:
    raised: list[Exception] = []
    items: list[Any] = []

    def stream(*args: Any, **kwargs: Any) -> Iterator[Any]:
        yield subject.answer()
        raised.append(kind("the model's own"))
        raise raised[-1]

    async def astream(*args: Any, **kwargs: Any) -> AsyncIterator[Any]:
        for item in stream():
            yield item

    def consume(given: Any) -> Iterator[Any]:
        for item in given:
            items.append(item)
            yield item

    async def aconsume(given: Any) -> AsyncIterator[Any]:
        async for item in given:
            items.append(item)
            yield item

    guarded = subject.fresh(world.pick(stream, astream, stream, astream))
    through: Any = world.pick(consume, aconsume, consume, aconsume)
    end = world.end(lambda: through(subject.call(guarded)))
    what = f"{kind.__name__.strip('_')} after one item of a stream"
    if end.error is None or not any(end.error is one for one in raised):
        raise BrokenPromise(f"{what} ended as {end.kind}", "an item is out: raise the error on, as it is")
    if len(items) != 1:
        raise BrokenPromise(f"{what} came after {len(items)} items", "pass items on as they come, once")


def expect_own_error(subject: Subject, end: End, raised: list[Any], what: str) -> None:
    """See that a call ended in an error of the model's own, or in the answer of a fallback.

    Raises:
        BrokenPromise: It did not.
    """
    if end.error is None:
        if "fallback" not in subject.roles:
            raise BrokenPromise(
                f"the model raised {what} and the caller was answered",
                "raise the error on; a policy that answers in a model's place has role = 'fallback'",
            )
    elif not any(end.error is one for one in raised):
        raise BrokenPromise(
            f"the model raised {what} and {end.kind} came out", "raise the very object that was raised"
        ) from end.error
