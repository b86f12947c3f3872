"""The twin of a body for plain calls: as the coroutine in all it does, or none at all."""

import asyncio
import functools
import importlib
import inspect
import linecache
import textwrap
import traceback

import pytest

from resilient_ml import (
    Bulkhead,
    CircuitBreaker,
    ConstantBackoff,
    Fallback,
    Keyed,
    Pipeline,
    Policy,
    Retry,
    Timeout,
)
from resilient_ml._derive import bind_blocking, bind_suspending
from resilient_ml._drivers import blocking

around = "a global of the same name"


class Told(Policy):
    """A policy that keeps what its body saw."""

    def __init__(self):
        super().__init__()
        self.seen = []


class Straight(Told):
    async def around(self, proceed, call):
        self.seen.append("in")
        try:
            return await proceed(call)
        finally:
            self.seen.append("out")


class Nested(Told):
    """Awaits in every place an expression may stand."""

    async def around(self, proceed, call):
        answers = [await proceed(call) for _ in range(2)]
        both = (await proceed(call), (await proceed(call)) or 0)
        self.seen.append((answers, *both))
        return await proceed(call) if len(answers) > 1 else answers[0]


def no_twin(policy):
    return bind_blocking(policy, lambda call: None) is None


# ---- where there is one


@pytest.mark.parametrize(
    "policy",
    [
        Retry(),
        CircuitBreaker(),
        Bulkhead(1),
        Timeout(1),
        Fallback(1),
        Keyed(Retry, key=lambda: 1),
        Policy(),
        Straight(),
        Nested(),
    ],
    ids=lambda policy: type(policy).__name__,
)
def test_a_twin_is_a_plain_function_and_a_coroutine_function(policy):
    plain = bind_blocking(policy, lambda call: None)
    assert not inspect.iscoroutinefunction(plain)
    assert inspect.iscoroutinefunction(bind_suspending(policy, lambda call: None))
    assert plain.__qualname__ == f"{type(policy).__name__}.around"


@pytest.mark.parametrize("kind", [Straight, Nested])
def test_a_twin_does_what_the_coroutine_does(kind):
    calls = {"plain": 0, "awaited": 0}

    def model():
        calls["plain"] += 1
        return calls["plain"]

    async def amodel():
        calls["awaited"] += 1
        return calls["awaited"]

    one, other = kind(), kind()
    assert one(model)() == asyncio.run(other(amodel)())
    assert one.seen == other.seen
    assert calls["plain"] == calls["awaited"]


def test_tracebacks_show_the_body_as_it_was_written():
    def model():
        raise ConnectionError

    with pytest.raises(ConnectionError) as caught:
        Straight()(model)()
    lines = [
        (frame.name, frame.line) for frame in traceback.extract_tb(caught.tb) if frame.filename == __file__
    ]
    assert ("around", "return await proceed(call)") in lines


def test_each_place_in_each_pipeline_has_code_of_its_own():
    steps = [bind_blocking(Retry(), lambda call: None) for _ in range(2)]
    assert steps[0].__code__ is not steps[1].__code__
    twice = [bind_blocking(Retry(), lambda call: None, copied=False) for _ in range(2)]
    assert twice[0].__code__ is twice[1].__code__


# ---- where there is none, the coroutine is run


def decorated(body):
    @functools.wraps(body)
    async def wrapper(self, proceed, call):
        self.seen.append("decorated")
        return await body(self, proceed, call)

    return wrapper


class Decorated(Told):
    @decorated
    async def around(self, proceed, call):
        return await proceed(call)


class Calling(Told):
    def around(self, proceed, call):
        return self.body(proceed, call)

    async def body(self, proceed, call):
        return await proceed(call)


class Super(Straight):
    async def around(self, proceed, call):
        return await super().around(proceed, call)


class Private(Told):
    def __told(self):
        self.seen.append("private")

    async def around(self, proceed, call):
        self.__told()
        return await proceed(call)


class Lambda(Told):
    async def around(self, proceed, call):
        return await (lambda: proceed(call))()  # noqa: PLC3002


class Scoped:
    async def __aenter__(self):
        return self

    async def __aexit__(self, *exc):
        return False


class AsyncWith(Told):
    async def around(self, proceed, call):
        async with Scoped():
            return await proceed(call)


async def numbers():
    yield 1


class AsyncFor(Told):
    async def around(self, proceed, call):
        async for number in numbers():
            self.seen.append(number)
        return await proceed(call)


class AsyncComprehension(Told):
    async def around(self, proceed, call):
        self.seen.extend([number async for number in numbers()])
        return await proceed(call)


class OtherNames(Told):
    async def around(self, inner, call):
        return await inner(call)


class MoreParameters(Told):
    async def around(self, proceed, call, *, tell="told"):
        self.seen.append(tell)
        return await proceed(call)


class AnyParameters(Told):
    async def around(self, proceed, call, *rest, **options):
        self.seen.append((rest, options))
        return await proceed(call)


class Rebinding(Told):
    async def around(self, proceed, call):
        inner = proceed
        proceed = self.counted(inner)
        return await proceed(call)

    def counted(self, inner):
        self.seen.append("rebound")
        return inner


class SameName(Told):
    async def around(self, proceed, call):
        self.seen.append(around)
        return await proceed(call)


def closing():
    seen = "closure"

    class Closure(Told):
        async def around(self, proceed, call):
            self.seen.append(seen)
            return await proceed(call)

    return Closure


def without_source():
    namespace = {"Told": Told}
    source = """
        class Typed(Told):
            async def around(self, proceed, call):
                return await proceed(call)
    """
    exec(textwrap.dedent(source), namespace)
    return namespace["Typed"]


UNDERIVED = [
    Decorated,
    Calling,
    Super,
    Private,
    Lambda,
    AsyncWith,
    AsyncFor,
    AsyncComprehension,
    OtherNames,
    MoreParameters,
    AnyParameters,
    Rebinding,
    closing(),
    without_source(),
]


@pytest.mark.parametrize("kind", UNDERIVED, ids=lambda kind: kind.__name__)
def test_a_body_that_has_no_twin_runs_as_a_coroutine_in_every_colour(world, kind):
    policy = kind()
    assert no_twin(policy)
    model = world.model(ConnectionError, "cat")
    assert world.call(Pipeline(Retry(2, backoff=ConstantBackoff(1)), policy, Timeout(5))(model)) == "cat"
    assert model.starts == [0, 1]


def test_a_global_that_is_called_as_the_body_is_means_the_global(world):
    policy = SameName()
    assert world.call(policy(world.model("cat"))) == "cat"
    assert policy.seen == ["a global of the same name"]


# ---- bodies that wait for something else


class Sleeper(Policy):
    """Breaks the rule of a body: it waits for the event loop itself."""

    async def around(self, proceed, call):
        await asyncio.sleep(0)
        return await proceed(call)


class Suspender(Policy):
    async def around(self, proceed, call):
        await (lambda: asyncio.sleep(0))()  # noqa: PLC3002
        return await proceed(call)


def test_a_body_that_suspends_is_caught_in_a_plain_call():
    safe = Pipeline(Retry(name="ask"), Suspender(name="bad"))(lambda: "cat")
    with pytest.raises(RuntimeError) as caught:
        safe()
    assert str(caught.value) == (
        "a policy of 'ask around bad' suspended in a plain call, where nothing can resume it; "
        "in around(), await only proceed(call) and call.runtime"
    )


def test_a_body_that_suspends_is_caught_in_a_plain_stream():
    def model():
        yield "cat"

    with pytest.raises(
        RuntimeError, match=r"a policy of '.*model' suspended in a plain stream, where nothing"
    ):
        list(Suspender()(model)())


def test_a_body_that_suspends_is_caught_for_a_key_too():
    safe = Keyed(Suspender, key=lambda: 1)(lambda: "cat")
    with pytest.raises(RuntimeError, match="suspended in a plain call"):
        safe()


def test_a_body_that_waits_for_the_loop_works_where_there_is_one():
    async def model():
        return "cat"

    assert asyncio.run(Sleeper()(model)()) == "cat"


def test_a_plain_body_is_completed_with_one_send():
    async def body():
        return "cat"

    assert blocking.complete(body(), "ask") == "cat"


def test_a_body_whose_file_was_replaced_after_it_was_loaded_runs_as_it_was_loaded(tmp_path, monkeypatch):
    text = textwrap.dedent(
        """
        from resilient_ml import Policy

        class Label(Policy):
            async def around(self, proceed, call):
                return "old", await proceed(call)
        """
    )
    path = tmp_path / "replaced_policy.py"
    path.write_text(text)
    monkeypatch.syspath_prepend(tmp_path)
    label = importlib.import_module("replaced_policy").Label()
    path.write_text(text.replace("old", "new"))
    linecache.checkcache(str(path))
    assert label(lambda: 1)() == ("old", 1)
