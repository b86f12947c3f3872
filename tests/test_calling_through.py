"""Calling a function through a pipeline: plain, awaited, and plain ones that are awaited."""

import asyncio
import threading

import anyio
import pytest

from resilient_ml import (
    Bulkhead,
    ConstantBackoff,
    Fallback,
    Pipeline,
    Policy,
    Retry,
    Timeout,
    deadline,
    remaining,
)
from resilient_ml._drivers import suspending


class Mark(Policy):
    """Writes down when a call passes it."""

    def __init__(self, mark, seen, role="policy"):
        super().__init__(name=mark)
        self.mark = mark
        self.seen = seen
        self.role = role

    async def around(self, proceed, call):
        self.seen.append(self.mark)
        try:
            return await proceed(call)
        finally:
            self.seen.append("/" + self.mark)


# ---- calling through


def through(world, guard, fn, /, *args, **kwargs):
    if world.is_async:
        return world.run(lambda: guard.acall(fn, *args, **kwargs))
    return guard.call(fn, *args, **kwargs)


def test_a_call_through_the_guard_is_guarded(call_world):
    guard = Pipeline(Retry(3, backoff=ConstantBackoff(1)))
    model = call_world.model(ConnectionError, "cat")
    assert through(call_world, guard, model, "picture", size=3) == "cat"
    assert model.asked == [(("picture",), {"size": 3})] * 2


def test_a_guarded_function_called_through_another_guard_has_both_in_one(call_world):
    seen = []
    safe = Mark("b", seen)(call_world.model("cat"))
    guard = Pipeline(Mark("a", seen))
    for _ in range(2):
        assert through(call_world, guard, safe) == "cat"
    assert seen == ["a", "b", "/b", "/a"] * 2


def test_the_functions_own_fn_argument_is_the_functions(call_world):
    model = call_world.model("cat")
    assert through(call_world, Pipeline(), model, fn=1, self=2) == "cat"
    assert model.asked == [((), {"fn": 1, "self": 2})]


async def awaited():
    """Awaited."""


def stream():
    yield


async def astream():
    yield


@pytest.mark.parametrize(
    ("fn", "message"),
    [
        (awaited, r"call\(\) runs plain functions, and 'awaited' is of colour 'async call'; await acall\(\)"),
        (
            stream,
            r"call\(\) runs plain functions, and 'stream' is of colour 'stream'; guard it, Pipeline",
        ),
        (astream, r"call\(\) runs plain functions, and 'astream' is of colour 'async stream'; guard it"),
    ],
)
def test_call_refuses_other_colours_with_the_remedy(fn, message):
    for guarded in (fn, Retry()(fn)):
        with pytest.raises(TypeError, match=message):
            Pipeline().call(guarded)
        with pytest.raises(TypeError, match=message):  # misuse is no outcome of the model's
            Pipeline().outcome(guarded)


@pytest.mark.parametrize("fn", [stream, astream])
def test_acall_refuses_streams_with_the_remedy(fn):
    for guarded in (fn, Retry()(fn)):
        with pytest.raises(
            TypeError, match=r"acall\(\) runs functions, and '.*' is of colour '.*stream'; guard it"
        ):
            asyncio.run(Pipeline().acall(guarded))


def test_policies_are_asked_once_for_each_function_called_through(call_world):
    with pytest.raises(TypeError, match="Fallback cannot serve"):
        through(call_world, Pipeline(Fallback(astream)), call_world.model("cat"))


# ---- acall of a plain function


def test_a_plain_function_that_is_awaited_runs_on_a_worker_thread(await_world):
    guard = Pipeline(Retry(2, backoff=ConstantBackoff(1)))
    threads = []

    def model(row):
        threads.append(threading.get_ident())
        if len(threads) == 1:
            raise ConnectionError
        return row

    assert await_world.run(lambda: guard.acall(model, 7)) == 7
    assert threading.get_ident() not in threads


def test_context_variables_and_what_is_left_reach_it(await_world):
    import contextvars

    tenant = contextvars.ContextVar("tenant")

    async def scenario():
        tenant.set("acme")
        with deadline(5):
            return await Pipeline(Retry()).acall(lambda: (tenant.get(), remaining()))

    assert await_world.run(scenario) == ("acme", 5)


def test_it_is_left_behind_at_the_limit_and_keeps_its_seat(await_world):
    bulkhead, timeout = Bulkhead(1), Timeout(2)
    guard = Pipeline(bulkhead, timeout)

    async def scenario():
        began = await_world.clock.now()
        with pytest.raises(TimeoutError):
            await guard.acall(await_world.clock.sleep, 5)
        assert await_world.clock.now() - began == 2
        assert (bulkhead.in_flight, timeout.abandoned) == (1, 1)
        await anyio.sleep(4)
        assert (bulkhead.in_flight, timeout.abandoned) == (0, 0)

    await_world.run(scenario)


def test_it_is_left_behind_when_its_caller_is_cancelled_and_keeps_its_seat(await_world):
    bulkhead = Bulkhead(1)

    async def scenario():
        with anyio.move_on_after(1) as scope:
            await Pipeline(bulkhead).acall(await_world.clock.sleep, 5)
        assert scope.cancelled_caught
        assert bulkhead.in_flight == 1
        await anyio.sleep(5)
        assert bulkhead.in_flight == 0

    await_world.run(scenario)


def test_a_guarded_plain_function_keeps_its_guard_when_awaited(await_world):
    timeout = Timeout(2)
    safe = timeout(await_world.clock.sleep)

    async def scenario():
        with pytest.raises(TimeoutError):
            await Pipeline(Retry(1)).acall(safe, 5)

    await_world.run(scenario)
    assert timeout.abandoned == 1


def test_a_deadline_that_has_passed_lets_no_thread_begin(await_world):
    async def scenario():
        with deadline(0), pytest.raises(TimeoutError):
            await Pipeline().acall(threading.get_ident)

    await_world.run(scenario)


def test_an_answer_that_comes_in_the_moment_the_wait_ends_is_given(await_world, monkeypatch):
    for flag in (suspending.LoopFlag, suspending.TrioFlag):
        wait = flag.wait

        async def too_late(flag, seconds, wait=wait):
            await wait(flag, seconds)
            return False

        monkeypatch.setattr(flag, "wait", too_late)
    assert await_world.run(lambda: Pipeline(Timeout(2)).acall(lambda: "cat")) == "cat"


# ---- a plain call on the thread of an event loop


@pytest.mark.parametrize("policy", ["sleep", "queue"])
def test_blocking_the_thread_of_a_running_loop_is_warned_of_once(await_world, policy):
    if policy == "sleep":
        answers = [ConnectionError(), "cat", ConnectionError(), "cat"]

        def model():
            answer = answers.pop(0)
            if isinstance(answer, Exception):
                raise answer
            return answer

        safe = Retry(2, backoff=ConstantBackoff(1))(model)
        words = "is about to sleep 1 s before its next attempt on the thread of a running event loop"
    else:
        guard = Pipeline(Fallback(None), Bulkhead(1, queue=1, queue_seconds=1))

        def safe():
            return guard.call(guard.call, len, "")

        words = "is about to wait for its turn or its answer on the thread of a running event loop"

    async def scenario():
        with pytest.warns(RuntimeWarning, match=words):
            safe()
        safe()  # a second warning would be an error

    await_world.run(scenario)


def test_a_plain_call_elsewhere_is_not_warned_of(plain_world):
    safe = Retry(2, backoff=ConstantBackoff(1))(plain_world.model(ConnectionError, "cat"))
    assert plain_world.call(safe) == "cat"


def test_a_remote_method_that_answers_to_any_name_is_guarded():
    class Remote:
        def __getattr__(self, name):
            return Remote()

        def __call__(self, row):
            return row

    safe = Pipeline(Retry())(Remote())
    assert safe("cat") == "cat"
    assert safe.__name__ == "Remote"
