"""RateLimiter in every colour: in turn, in time, settled for what was used, and told by the provider."""

import contextlib
import itertools

import anyio
import pytest

from resilient_ml import (
    Bulkhead,
    ConstantBackoff,
    Keyed,
    Pipeline,
    RateLimited,
    Retry,
    Stream,
    deadline,
    events,
)
from resilient_ml.machines.rate_gate import RateGate
from resilient_ml.policies.rate_limiter import RateLimiter

from ..machines.crowd import crowd
from ..worlds import hang, items, slow


class Answer:
    def __init__(self, used=None, **headers):
        self.usage = None if used is None else {"total_tokens": used}
        self.headers = {name.replace("_", "-"): str(value) for name, value in headers.items()}


class TooMany(Exception):
    status_code = 429

    def __init__(self, **headers):
        self.headers = {name.replace("_", "-"): str(value) for name, value in headers.items()}


class Broken(TooMany):
    status_code = 500


def bucket(requests=None, **options):
    return RateLimiter(requests, window="bucket", **options)


def only_calls(world):
    if world.streams:
        pytest.skip("a stream has no answer of its own")


def test_calls_beyond_the_limit_wait_for_their_turn(world):
    model = world.model("cat")
    safe = bucket(2, per=10.0)(model)
    assert world.together(*[(safe,)] * 5) == ["cat"] * 5
    assert model.starts == [0, 0, 5, 10, 15]


def test_a_window_slides(world):
    model = world.model("cat")
    safe = RateLimiter(2, per=10.0)(model)
    world.together(*[(safe,)] * 5)
    assert model.starts == [0, 0, 10.1, 10.1, 20.2]


def test_who_may_not_wait_is_told_when_to_come_again(world):
    seen = []
    safe = bucket(2, per=10.0, wait=False, name="llm", on_event=seen.append)(world.model("cat"))
    assert [world.call(safe), world.call(safe)] == ["cat", "cat"]
    refusal = world.failure(safe)
    assert str(refusal) == (
        "rate limiter 'llm' (2 requests in 10 s) has no room for 5 s, and that is longer than it may wait; "
        "retry after that, raise wait= or queue=, or put a Fallback outside it"
    )
    assert (refusal.retry_after, refusal.policy) == (5, "llm")
    assert [type(event) for event in seen] == [events.CallRejected]
    world.clock.advance(5)
    assert world.call(safe) == "cat"


def test_a_turn_after_the_deadline_is_refused_at_once(world):
    model = world.model("cat")
    safe = bucket(1, per=10.0)(model)
    world.call(safe)
    began = world.clock.now()
    with deadline(9):
        assert world.failure(safe).retry_after == 10
    assert world.clock.now() == began
    assert len(model.starts) == 1


def test_a_wait_has_a_limit_of_its_own(world):
    safe = bucket(1, per=10.0, wait=15)(world.model("cat"))
    ends = world.together((safe,), (safe,), (safe,))
    assert [type(end) for end in ends] == [str, str, RateLimited]
    assert ends[2].retry_after == 20


def test_a_turn_at_the_very_end_of_the_wait_is_in_time(world):
    model = world.model("cat")
    safe = bucket(1, per=10.0, wait=10)(model)
    assert world.together((safe,), (safe,)) == ["cat", "cat"]
    assert model.starts == [0, 10]


def test_not_to_wait_is_not_to_wait_a_moment(world):
    safe = bucket(1, per=0.25, wait=False)(world.model("cat"))
    ends = world.together((safe,), (safe,))
    assert [type(end) for end in ends] == [str, RateLimited]
    assert ends[1].retry_after == 0.25


def test_each_call_counts_from_when_it_began(world):
    limiter = RateLimiter(100, per=10.0)
    safe = limiter(world.model("cat"))
    world.call(safe)
    world.clock.advance(5)
    world.call(safe)
    assert limiter.left == {"requests": 98}
    world.clock.advance(6)
    assert limiter.left == {"requests": 99}
    world.clock.advance(5)
    assert limiter.left == {"requests": 100}


def test_most_calls_at_a_lone_limit_are_handed_a_ticket(plain_world, monkeypatch):
    limiter = RateLimiter(100, per=10.0)
    asked = []
    admit = RateGate.admit
    monkeypatch.setattr(RateGate, "admit", lambda *args: asked.append(1) or admit(*args))
    safe = limiter(plain_world.model("cat"))
    for _ in range(60):
        plain_world.call(safe)
    assert len(asked) == 1
    assert limiter.left == {"requests": 40}


@pytest.mark.parametrize(("tokens", "counted"), [(100, [1, 1]), (None, [0, 0])])
def test_calls_that_use_tokens_are_counted_while_they_are_in_flight(call_world, tokens, counted):
    limiter = RateLimiter(10, tokens=tokens, output_tokens=5)
    inside = []

    def look():
        inside.append(limiter._estimate._in_flight)

    async def alook():
        look()

    safe = limiter(alook if call_world.is_async else look)
    for _ in counted:
        call_world.call(safe)
    assert inside == counted
    assert limiter._estimate._in_flight == 0


def test_a_full_queue_refuses(world):
    safe = bucket(1, per=10.0, queue=1)(world.model("cat"))
    ends = world.together((safe,), (safe,), (safe,))
    assert [type(end) for end in ends] == [str, str, RateLimited]
    assert "1 calls wait already" in str(ends[2])
    safe = bucket(1, per=10.0, wait=10, queue=0)(world.model("cat"))  # it would have been in time
    assert "0 calls wait already" in str(world.together((safe,), (safe,))[1])


def test_who_is_cancelled_while_waiting_leaves_no_trace(async_world):
    limiter = bucket(1, per=10.0)
    model = async_world.model("cat")
    safe = limiter(model)

    async def scenario():
        await async_world.use(safe, {})
        async with anyio.create_task_group() as group:
            with anyio.move_on_after(1):
                group.start_soon(async_world.use, safe, {})
                await async_world.use(safe, {})

    async_world.run(scenario)
    assert model.starts == [0, 10]
    assert limiter.waiting == 0


def test_who_leaves_lets_those_behind_move_up(async_world):
    model = async_world.model("cat")
    safe = RateLimiter(tokens=10, per=10.0, window="bucket", input_tokens=lambda n: n, output_tokens=0)(model)

    async def leave():
        with anyio.move_on_after(1):
            await async_world.use(safe, 9, {})

    async def scenario():
        await async_world.use(safe, 10, {})
        async with anyio.create_task_group() as group:
            group.start_soon(leave)
            await anyio.sleep(0.5)
            group.start_soon(async_world.use, safe, 3, {})

    async_world.run(scenario)
    assert model.starts == [0, 3]


def test_a_late_debt_moves_a_turn_past_the_deadline(async_world):
    only_calls(async_world)
    limiter = RateLimiter(tokens=10, per=10.0, window="bucket", output_tokens=lambda n: n)
    safe = limiter(async_world.model(slow(1, Answer(30)), Answer(1)))
    ends = []

    async def late():
        with deadline(5):
            try:
                await async_world.use(safe, 4, {})
            except RateLimited as error:
                ends.append(error)

    async def scenario():
        async with anyio.create_task_group() as group:
            group.start_soon(async_world.use, safe, 10, {})
            await anyio.sleep(0.5)
            group.start_soon(late)

    async_world.run(scenario)
    assert [end.retry_after for end in ends] == [pytest.approx(20, abs=1)]
    assert "that is longer than it may wait" in str(ends[0])


def test_tokens_are_settled_for_what_was_used(world):
    only_calls(world)
    limiter = RateLimiter(10, tokens=100, input_tokens=lambda: 10, output_tokens=50)
    safe = limiter(world.model(Answer(25), {"usage": {"prompt_tokens": 3, "completion_tokens": 4}}, Answer()))
    world.call(safe)
    assert limiter.left == {"requests": 9, "tokens": 75}
    world.call(safe)
    assert limiter.left == {"requests": 8, "tokens": 68}
    world.call(safe)
    assert limiter.left == {"requests": 7, "tokens": 8}
    assert not limiter.forgettable()
    world.clock.advance(62)
    assert limiter.forgettable()


def test_a_debt_is_waited_off(world):
    only_calls(world)
    limiter = RateLimiter(tokens=60, window="bucket", output_tokens=10)
    model = world.model(Answer(90), Answer(5))
    safe = limiter(model)
    world.call(safe)
    assert limiter.left == {"tokens": -30}
    world.call(safe)
    assert model.starts == [0, 40]


def test_what_never_reached_the_model_is_given_back(world):
    limiter = RateLimiter(10, tokens=100, output_tokens=50)
    inside = Bulkhead(1)
    safe = Pipeline(limiter, inside)(world.model(slow(1, "cat"), ConnectionRefusedError()))
    world.together((safe,), (safe,))
    assert limiter.left == {"requests": 9, "tokens": 50}
    world.failure(safe)
    assert limiter.left == {"requests": 9, "tokens": 50}


@pytest.mark.parametrize("item_tokens", [None, 2])
def test_a_failure_after_it_was_sent_keeps_the_estimate(world, item_tokens):
    limiter = RateLimiter(10, tokens=100, output_tokens=50, item_tokens=item_tokens)
    world.failure(limiter(world.model(ConnectionResetError())))
    assert limiter.left == {"requests": 9, "tokens": 50}


def test_a_failure_that_is_no_refusal_closes_nothing(world):
    model = world.model(ConnectionResetError(), "cat")
    safe = RateLimiter(10)(model)
    world.failure(safe)
    world.call(safe)
    assert model.starts == [0, 0]


@pytest.mark.parametrize(("tokens", "left"), [(None, {"requests": 9}), (100, {"requests": 9, "tokens": 100})])
def test_a_call_that_the_provider_refused_was_a_request_all_the_same(world, tokens, left):
    limiter = RateLimiter(10, tokens=tokens, output_tokens=5)
    world.failure(limiter(world.model(TooMany())))
    assert limiter.left == left


@pytest.mark.parametrize(("feedback", "left"), [(True, 49), (False, 99)])
def test_the_headers_of_a_failure_are_heard_as_well(world, feedback, left):
    limiter = RateLimiter(100, feedback=feedback)
    world.failure(limiter(world.model(Broken(anthropic_ratelimit_requests_limit=50))))
    assert limiter.left == {"requests": left}


def test_the_headers_of_an_answer_are_heard_where_no_tokens_are_counted(call_world):
    limiter = RateLimiter(100)
    call_world.call(limiter(call_world.model(Answer(anthropic_ratelimit_requests_limit=50))))
    assert limiter.left == {"requests": 49}


@pytest.mark.parametrize(
    "end", [Answer(5), ConnectionResetError(), ConnectionRefusedError(), TooMany(), KeyboardInterrupt()]
)
def test_however_a_call_ends_it_is_in_flight_no_longer(plain_world, end):
    limiter = RateLimiter(tokens=100, output_tokens=50)
    safe = limiter(plain_world.model(end))
    with contextlib.suppress(Exception, KeyboardInterrupt):
        plain_world.call(safe)
    assert limiter._estimate._in_flight == 0


def test_where_nobody_can_say_what_an_answer_used_the_call_is_in_flight_no_longer(call_world):
    limiter = RateLimiter(tokens=100, output_tokens=50, usage=lambda answer: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        call_world.call(limiter(call_world.model("cat")))
    assert limiter.left == {"tokens": 50}
    assert limiter._estimate._in_flight == 0


def test_an_interrupt_keeps_the_estimate(plain_world):
    limiter = RateLimiter(10, tokens=100, output_tokens=50)
    with pytest.raises(KeyboardInterrupt):
        plain_world.call(limiter(plain_world.model(KeyboardInterrupt())))
    assert limiter.left == {"requests": 9, "tokens": 50}


def test_a_stream_settles_for_the_items_it_has_emitted(stream_world):
    limiter = RateLimiter(tokens=100, input_tokens=lambda: 5, output_tokens=50, item_tokens=2)
    stream_world.call(limiter(stream_world.model(items("to", "ken"))))
    assert limiter.left == {"tokens": 91}
    stream_world.read(limiter(stream_world.model(items("a", "b", "c"))), most=1)
    assert limiter.left == {"tokens": 84}


def test_each_attempt_of_a_stream_that_goes_on_settles_for_its_own_items(stream_world):
    limiter = RateLimiter(10, tokens=100, output_tokens=50, item_tokens=2)
    goes_on = Stream(on_interrupt="continue", continuation=lambda args, kwargs, partial: (args, kwargs))
    safe = Pipeline(goes_on, Retry(2, backoff=ConstantBackoff(0)), limiter)(
        stream_world.model(items("a", ConnectionResetError()), items("b", "c", "d"))
    )
    assert stream_world.call(safe) == ("a", "b", "c", "d")
    assert limiter.left == {"requests": 8, "tokens": 92}


@pytest.mark.parametrize("item_tokens", [None, 20])
def test_a_stream_settles_for_what_its_last_item_tells(stream_world, item_tokens):
    limiter = RateLimiter(tokens=100, output_tokens=50, item_tokens=item_tokens)
    safe = Pipeline(limiter, Stream(keep=10))(stream_world.model(items("a", Answer(7))))
    stream_world.call(safe)
    assert limiter.left == {"tokens": 93}


def test_what_is_used_is_learned(world):
    only_calls(world)
    limiter = RateLimiter(tokens=10_000, per=10.0, margin=1)
    safe = limiter(world.model(Answer(100)))
    for _ in range(20):
        world.call(safe)
    call = type("Call", (), {"args": (), "kwargs": {}})()
    assert 100 <= limiter._costs(call)[0][0] <= 110
    call.kwargs = {"max_tokens": 30}
    assert limiter._costs(call)[0][0] == 30
    call.kwargs = {"max_tokens": 3000}
    assert 100 <= limiter._costs(call)[0][0] <= 110


@pytest.mark.parametrize(("used", "least", "most"), [(110, 110, 121), (5, 10, 10.01)])
def test_of_what_is_used_the_output_is_learned_and_the_input_known(world, used, least, most):
    only_calls(world)
    limiter = RateLimiter(tokens=10_000, input_tokens=lambda: 10, margin=1)
    safe = limiter(world.model(Answer(used)))
    for _ in range(20):
        world.call(safe)
    call = type("Call", (), {"args": (), "kwargs": {}})()
    assert least <= limiter._costs(call)[0][0] <= most
    for _ in range(100):
        limiter._estimate.begin()
    assert limiter._costs(call)[0][0] >= 10


@pytest.mark.parametrize(
    ("kwargs", "expected"), [({}, 500), ({"max_tokens": 30}, 30), ({"max_tokens": 3000}, 3000)]
)
def test_before_anything_is_learned_the_most_or_a_part_of_the_limit_is_reserved(kwargs, expected):
    call = type("Call", (), {"args": (), "kwargs": kwargs})()
    assert RateLimiter(tokens=10_000)._costs(call)[0] == (expected,)


def test_an_oversize_call_is_refused_with_the_remedy(world):
    seen = []
    safe = RateLimiter(tokens=100, output_tokens=101, name="llm", on_event=seen.append)(world.model("cat"))
    refusal = world.failure(safe)
    assert [type(event) for event in seen] == [events.CallRejected]
    assert refusal.retry_after is None
    assert str(refusal) == (
        "rate limiter 'llm' cannot ever let through a call of 101 tokens, as 100 is the most at once; "
        "send less at a time, raise the limit, or pass oversize='drain'"
    )


def test_an_oversize_call_may_take_everything(world):
    limiter = RateLimiter(
        tokens=60, window="bucket", input_tokens=lambda n: n, output_tokens=0, oversize="drain"
    )
    model = world.model("cat")
    safe = limiter(model)
    world.together((safe, 20), (safe, 90), (safe, 10))
    assert model.starts == [0, 20, 60 + 0]


def test_a_429_closes_it_until_the_time_it_names(world):
    seen = []
    limiter = RateLimiter(10, tokens=100, output_tokens=50, on_event=seen.append)
    model = world.model(TooMany(retry_after=7), "cat")
    safe = limiter(model)
    assert isinstance(world.failure(safe), TooMany)
    assert limiter.left == {"requests": 9, "tokens": 100}
    assert not limiter.forgettable()
    assert [event.seconds for event in seen if isinstance(event, events.RateClosed)] == [7]
    world.call(safe)
    assert model.starts == [0, 7]


def test_one_that_is_closed_can_be_forgotten_once_it_opens(call_world):
    limiter = bucket(10, per=10.0)
    call_world.failure(limiter(call_world.model(TooMany(retry_after=4))))
    call_world.clock.advance(3)
    assert limiter.left == {"requests": 10}
    assert not limiter.forgettable()
    call_world.clock.advance(1)
    assert limiter.forgettable()


@pytest.mark.parametrize(
    ("headers", "opens"),
    [
        ({}, 3),
        ({"retry_after": 1e9}, 600),
        ({"x_ratelimit_reset_tokens": "250ms", "x_ratelimit_reset_requests": "1.5s"}, 1.5),
        ({"x_ratelimit_reset_tokens": "6m0s"}, 3),
        ({"retry_after": 2, "x_ratelimit_reset_tokens": "1s"}, 2),
    ],
)
def test_a_429_that_says_nothing_or_too_much(world, headers, opens):
    model = world.model(TooMany(**headers), "cat")
    safe = RateLimiter(10)(model)
    world.failure(safe)
    world.call(safe)
    assert model.starts == [0, opens]


def test_a_429_may_be_ignored(world):
    model = world.model(TooMany(), "cat")
    safe = RateLimiter(10, feedback=False)(model)
    world.failure(safe)
    world.call(safe)
    assert model.starts == [0, 0]


def test_headers_tighten_at_once(world):
    only_calls(world)
    limiter = RateLimiter(100, tokens=1000, output_tokens=0)
    safe = limiter(
        world.model(
            Answer(0, anthropic_ratelimit_requests_limit=50),
            Answer(0, x_ratelimit_remaining_requests=20, x_ratelimit_remaining_tokens=990),
            Answer(0, x_ratelimit_remaining_requests=90),
        )
    )
    world.call(safe)
    assert limiter.left == {"requests": 49, "tokens": 1000}
    world.call(safe)
    assert limiter.left == {"requests": 20, "tokens": 990}
    world.call(safe)
    assert limiter.left["requests"] == 19
    assert not limiter.forgettable()


def test_what_others_took_meanwhile_is_not_held_against_it_twice(world):
    only_calls(world)
    limiter = RateLimiter(10)
    told = {"x_ratelimit_remaining_requests": 7}
    safe = limiter(world.model(Answer(x_ratelimit_remaining_requests=9), slow(1, Answer(**told))))
    world.call(safe)
    world.together((safe,), (safe,))
    assert limiter.left == {"requests": 7}


def test_what_has_come_back_while_a_call_ran_is_not_taken_by_what_it_tells(call_world):
    limiter = bucket(2, per=10.0)
    told = Answer(x_ratelimit_remaining_requests=1), slow(5, Answer(x_ratelimit_remaining_requests=0))
    safe = limiter(call_world.model(*told))
    call_world.call(safe)
    call_world.call(safe)
    assert limiter.left == {"requests": pytest.approx(1)}


def test_a_provider_may_tell_its_limit_alone(call_world):
    limiter = RateLimiter(100)
    safe = limiter(call_world.model(Answer(anthropic_ratelimit_requests_limit=50)))
    for _ in range(3):
        call_world.call(safe)
    assert limiter.left == {"requests": 47}


@pytest.mark.parametrize("burst", [1.0, 0.5])
@pytest.mark.parametrize("window", ["sliding", "bucket"])
def test_one_that_has_all_to_give_can_be_forgotten(call_world, window, burst):
    limiter = RateLimiter(10, per=10.0, window=window, burst=burst)
    assert limiter.forgettable()
    call_world.call(limiter(call_world.model("cat")))
    assert not limiter.forgettable()
    call_world.clock.advance(11)
    assert limiter.forgettable()


def test_a_limit_per_tenant(world):
    keyed = Keyed(lambda: bucket(1, per=10.0, wait=False), key=lambda tenant: tenant, max_keys=2)
    safe = keyed(world.model("cat"))
    assert [world.call(safe, "a"), world.call(safe, "b")] == ["cat", "cat"]
    assert isinstance(world.failure(safe, "a"), RateLimited)


def test_a_hang_holds_nobody_up(async_world):
    limiter = bucket(1, per=10.0)
    hung, well = limiter(async_world.model(hang())), limiter(async_world.model("cat"))

    async def scenario():
        async with anyio.create_task_group() as group:
            group.start_soon(async_world.use, hung, {})
            await anyio.sleep(1)
            assert await async_world.use(well, {}) == "cat"
            group.cancel_scope.cancel()

    async_world.run(scenario)


def test_it_shows_its_numbers():
    assert repr(RateLimiter(600, tokens=9e4)) == "RateLimiter(600 requests and 90000 tokens in 60 s, sliding)"
    assert bucket(10, burst=0.5)._gate.meters[0].largest == 5


@pytest.mark.parametrize("what", ["input_tokens", "output_tokens"])
def test_a_count_of_tokens_must_be_a_number(world, what):
    safe = RateLimiter(tokens=10, **{what: lambda: "many"})(world.model("cat"))
    with pytest.raises(TypeError, match=f"{what} must return a number from 0, got 'many'"):
        world.call(safe)


@pytest.mark.parametrize(
    ("options", "kind", "message"),
    [
        ({}, TypeError, "needs requests= or tokens="),
        ({"requests": 0}, ValueError, "requests must be at least 1, got 0; pass what the provider allows"),
        ({"requests": 1, "window": "fixed"}, ValueError, "window must be 'sliding' or 'bucket', got 'fixed'"),
        ({"requests": 1, "wait": 0}, ValueError, "wait must be above 0, got 0; pass False to refuse at once"),
        ({"requests": 1, "margin": 0.5}, ValueError, "margin must be at least 1, got 0.5"),
        (
            {"tokens": 1, "output_tokens": -1},
            ValueError,
            "output_tokens must be at least 0, got -1; pass None",
        ),
        (
            {"tokens": 1, "item_tokens": -1},
            ValueError,
            "item_tokens must be at least 0, got -1; pass None if",
        ),
        (
            {"tokens": 1, "input_tokens": 5},
            TypeError,
            "input_tokens must be callable, got 5; pass a function",
        ),
        (
            {"tokens": 1, "usage": 5},
            TypeError,
            "usage must be callable, got 5; pass a function of the answer",
        ),
        (
            {"requests": 1, "burst": 0},
            ValueError,
            "burst must be above 0 and at most 1, got 0; pass 1 for all",
        ),
        ({"requests": 1, "queue": -1}, ValueError, "queue must be at least 0, got -1; pass 0 to refuse at"),
        ({"requests": 1, "oversize": "x"}, ValueError, "oversize must be 'reject' or 'drain', got 'x'"),
        ({"requests": 1, "feedback": 1}, TypeError, "feedback must be True or False, got 1; pass False to"),
        ({"requests": 1, "per": 0}, ValueError, "per must be above 0, got 0; pass the provider's window"),
    ],
)
def test_bad_options_are_refused_with_the_remedy(options, kind, message):
    with pytest.raises(kind, match=message):
        RateLimiter(**options)


def test_the_least_that_there_can_be_is_accepted(world):
    least = RateLimiter(1, tokens=1, margin=1, queue=0, output_tokens=0, item_tokens=0)
    assert world.call(least(world.model("cat"))) == "cat"


def test_what_nobody_has_set():
    limiter = RateLimiter(600)
    assert repr(limiter) == "RateLimiter(600 requests in 60 s, sliding)"
    assert limiter._gate.queue == 1000
    assert bucket(600)._gate.meters[0].largest == 600


def chained(*errors):
    """The first of *errors*, each caused by the next."""
    for error, cause in itertools.pairwise(errors):
        error.__cause__ = cause
    return errors[0]


@pytest.mark.parametrize(
    ("error", "kept"),
    [
        (ConnectionRefusedError(), 0),
        (chained(RuntimeError(), OSError(), ConnectionRefusedError()), 0),
        (ConnectionResetError(), 1),
        (chained(*[RuntimeError() for _ in range(40)], ConnectionRefusedError()), 1),
    ],
)
def test_what_was_never_sent_costs_nothing(call_world, error, kept):
    limiter = bucket(10, per=1000.0)
    call_world.failure(limiter(call_world.model(error)))
    assert limiter.left["requests"] == pytest.approx(10 - kept)


def test_a_provider_that_is_not_listened_to_closes_nothing(call_world):
    limiter = RateLimiter(10, tokens=1000, per=10.0, output_tokens=5, feedback=False)
    safe = limiter(call_world.model(TooMany(retry_after=100), "cat"))
    assert isinstance(call_world.failure(safe), TooMany)
    began = call_world.clock.now()
    assert call_world.call(safe) == "cat"
    assert call_world.clock.now() == began


def test_a_refused_call_settles_what_it_used_and_teaches_nothing(call_world):
    limiter = RateLimiter(tokens=1000, per=10.0, output_tokens=50)
    call_world.failure(limiter(call_world.model(TooMany(retry_after=1))))
    assert limiter.left["tokens"] == 1000
    safe = limiter(call_world.model(Answer(5)))
    for _ in range(19):
        call_world.call(safe)
    assert limiter._estimate.expected() is None  # these were too few
    call_world.call(safe)
    assert limiter._estimate.expected() == pytest.approx(5 * 1.5, rel=0.11)


def test_a_turn_that_comes_in_the_moment_of_leaving_goes_to_the_next(await_world, monkeypatch):
    limiter = bucket(1, per=10.0)
    safe = limiter(await_world.model("cat"))
    leave = limiter._gate.leave

    def granted_first(waiter, now):
        limiter._gate.serve(waiter, now + 10.0, lambda: True)
        return leave(waiter, now)

    monkeypatch.setattr(limiter, "_gate", limiter._gate)
    monkeypatch.setattr(type(limiter._gate), "leave", lambda self, waiter, now: granted_first(waiter, now))

    async def main():
        await safe()
        with anyio.move_on_after(1):
            await safe()
        assert limiter.left["requests"] >= 0
        assert limiter.waiting == 0

    await_world.run(main)


def test_an_answer_with_headers_that_nobody_listens_to_is_an_answer(call_world):
    limiter = RateLimiter(10, per=10.0, feedback=False)
    answer = Answer(x_ratelimit_remaining_requests=0, x_ratelimit_limit_requests=5)
    assert call_world.call(limiter(call_world.model(answer))) is answer
    assert limiter.left["requests"] == 9


def test_a_fork_has_no_calls_in_flight():
    limiter = RateLimiter(tokens=1000)
    limiter._estimate.begin()
    limiter._estimate.after_fork()
    assert limiter._estimate._in_flight == 0


def test_it_says_once_that_it_cannot_see_what_answers_use(world):
    safe = RateLimiter(tokens=1000, name="llm")(world.model("cat"))
    with pytest.warns(
        UserWarning, match="'llm' cannot see how many tokens .* keeps the 50 that .* pass usage="
    ):
        world.call(safe)
    world.call(safe)
    for told in ({"output_tokens": 10}, {"item_tokens": 1}):
        world.call(RateLimiter(tokens=1000, **told)(world.model("cat")))


@pytest.mark.parametrize("window", ["sliding", "bucket"])
def test_threads_together_pass_exactly_the_limit(window):
    limiter = RateLimiter(1000, per=3600, wait=False, window=window)
    safe = limiter(lambda number: number)
    passed = [0] * 8

    def work(number):
        for _ in range(300):
            try:
                safe(number)
            except RateLimited:
                continue
            passed[number] += 1

    crowd(8, work)
    assert sum(passed) == 1000
    assert limiter.left["requests"] == pytest.approx(0, abs=30)  # a bucket fills up meanwhile
