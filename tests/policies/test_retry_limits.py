"""What keeps retries from multiplying: budgets, nesting, and arguments that are used up."""

import io

import pytest

from resilient_ml import ConstantBackoff, Pipeline, Retry, RetryBudget, events

AT_ONCE = ConstantBackoff(0)


# ---- the budget


def test_a_budget_holds_amplification_at_one_and_its_ratio(world):
    model = world.model(ConnectionError)
    safe = Retry(5, backoff=AT_ONCE, budget=RetryBudget(ratio=0.2, floor=0, burst=1))(model)
    for _ in range(100):
        world.failure(safe)
    assert 100 + 19 <= len(model.starts) <= 100 * 1.2 + 1


def test_a_budget_is_shared_by_all_policies_that_have_it(world):
    budget = RetryBudget(ratio=0.1, floor=0, burst=1)
    models = [world.model(ConnectionError) for _ in range(2)]
    safe = [Retry(5, backoff=AT_ONCE, budget=budget)(model) for model in models]
    for _ in range(50):
        for one in safe:
            world.failure(one)
    assert 100 + 9 <= sum(len(model.starts) for model in models) <= 100 * 1.1 + 1


def test_each_retry_has_a_budget_of_its_own_by_default():
    first, second = Retry(), Retry()
    assert isinstance(first.budget, RetryBudget)
    assert first.budget is not second.budget


def test_a_spent_budget_ends_the_attempts_and_says_so(world):
    seen = []
    error = ConnectionError()
    model = world.model(error)
    budget = RetryBudget(ratio=0, floor=0, burst=1)
    world.failure(Retry(5, backoff=AT_ONCE, budget=budget, on_event=seen.append)(model))
    assert len(model.starts) == 2
    assert seen[-1] == events.RetryStopped(
        policy="model", at=world.clock.now(), attempt=2, kind="connection", reason="the retry budget is spent"
    )


def test_time_earns_retries_too(world):
    model = world.model(ConnectionError)
    safe = Retry(2, backoff=AT_ONCE, budget=RetryBudget(ratio=0, floor=0.5, burst=1))(model)
    for _ in range(2):
        world.failure(safe)
    assert len(model.starts) == 3
    world.clock.advance(2)
    world.failure(safe)
    assert len(model.starts) == 5


def test_without_a_budget_all_attempts_are_made(world):
    model = world.model(ConnectionError)
    safe = Retry(3, backoff=AT_ONCE, budget=None)(model)
    for _ in range(50):
        world.failure(safe)
    assert len(model.starts) == 150


# ---- a retry inside a retry


def test_retries_of_one_pipeline_do_not_multiply(world):
    model = world.model(ConnectionError)
    safe = Pipeline(Retry(3, backoff=AT_ONCE), Retry(4, backoff=AT_ONCE))(model)
    error = world.failure(safe)
    assert len(model.starts) == 4
    assert error.__notes__ == [
        "Retry stopped after attempt 4 of 4 (kind connection): no attempts are left",
        "Retry stopped after attempt 1 of 3 (kind connection): a Retry inside has retried it already",
    ]


def outer_of(world, inner, wrap):
    """A function of this world's colour that calls *inner* and hands its failure to *wrap*."""

    def call():
        try:
            return inner()
        except ConnectionError as error:
            wrap(error)

    async def acall():
        try:
            return await inner()
        except ConnectionError as error:
            wrap(error)

    def stream():
        try:
            yield from inner()
        except ConnectionError as error:
            wrap(error)

    async def astream():
        try:
            async for item in inner():
                yield item
        except ConnectionError as error:
            wrap(error)

    return {"call": call, "async call": acall, "stream": stream, "async stream": astream}[world.colour.value]


def as_it_is(error):
    raise error


def from_it(error):
    raise OSError("the service is down") from error


def while_handling(error):
    raise OSError("the service is down")


def twice_from_it(error):
    try:
        raise KeyError from error
    except KeyError as middle:
        raise OSError("the service is down") from middle


@pytest.mark.parametrize("wrap", [as_it_is, from_it, while_handling, twice_from_it])
def test_retries_of_guarded_functions_that_call_each_other_do_not_multiply(world, wrap):
    model = world.model(ConnectionError)
    inner = Retry(3, backoff=AT_ONCE)(model)
    safe = Retry(5, backoff=AT_ONCE)(outer_of(world, inner, wrap))
    assert isinstance(world.failure(safe), OSError)
    assert len(model.starts) == 3


def test_an_inner_retry_that_made_one_attempt_does_not_stop_the_outer_one(world):
    model = world.model(ConnectionError(), "cat")
    inner = Retry(1)(model)
    assert world.call(Retry(2, backoff=AT_ONCE)(outer_of(world, inner, as_it_is))) == "cat"


def test_an_error_object_that_is_raised_again_in_the_next_call_is_retried_again(world):
    error = ConnectionError()
    model = world.model(error)
    safe = Retry(2, backoff=AT_ONCE)(model)
    for _ in range(3):
        assert world.failure(safe) is error
    assert len(model.starts) == 6


def test_a_chain_of_causes_is_followed_for_a_while_and_not_for_ever(world):
    first = ConnectionError()
    second = ConnectionError()
    first.__context__, second.__context__ = second, first
    model = world.model(first, "cat")
    assert world.call(Retry(2, backoff=AT_ONCE)(model)) == "cat"


# ---- arguments that are used up


class AsyncRows:
    def __aiter__(self):
        return self

    async def __anext__(self):
        raise StopAsyncIteration


@pytest.mark.parametrize(
    "rows",
    [
        lambda: iter([1]),
        lambda: (row for row in [1]),
        lambda: io.BytesIO(b"1"),
        lambda: map(int, "1"),
        AsyncRows,
    ],
    ids=["iterator", "generator", "file", "map", "async iterator"],
)
def test_an_argument_that_one_attempt_uses_up_means_one_attempt(world, rows):
    error = ConnectionError()
    model = world.model(error)
    safe = Retry(backoff=AT_ONCE)(model)
    assert world.failure(safe, "name", rows()) is error
    assert world.failure(safe, "name", rows=rows()) is error
    assert len(model.starts) == 2
    kind = type(rows()).__name__
    assert error.__notes__ == [
        (
            "Retry stopped after attempt 1 of 3 (kind connection): "
            f"{what} cannot be replayed; pass replay= to say how"
        )
        for what in (f"argument 2 ({kind})", f"argument 'rows' ({kind})")
    ]


@pytest.mark.parametrize("rows", [[1], "text", b"bytes", {"a": 1}, range(3), None])
def test_an_argument_that_can_be_read_again_is_replayed(world, rows):
    model = world.model(ConnectionError(), "cat")
    assert world.call(Retry(backoff=AT_ONCE)(model), rows, rows=rows) == "cat"


def test_the_user_can_say_how_to_replay(world):
    def rewind(args, kwargs):
        args[0].seek(0)
        return args, {**kwargs, "again": True}

    read = []
    file = io.StringIO("picture")
    model = world.model(ConnectionError(), "cat")
    script = model.script
    called = script.called
    script.called = lambda args, kwargs: read.append(args[0].read()) or called(args, kwargs)
    assert world.call(Retry(backoff=AT_ONCE, replay=rewind)(model), file, size=3) == "cat"
    assert read == ["picture", "picture"]
    assert [kwargs for _, kwargs in model.asked] == [{"size": 3}, {"size": 3, "again": True}]
