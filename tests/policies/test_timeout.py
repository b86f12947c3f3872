"""Timeout in every colour, in virtual time."""

import pytest

from resilient_ml import (
    Bulkhead,
    ConstantBackoff,
    DeadlineExceeded,
    Kind,
    Pipeline,
    Retry,
    StreamTimeout,
    Timeout,
    deadline,
    events,
    kind_of,
    remaining,
)

from ..worlds import calling, hang, items, slow

# ---- in time and late


def test_an_answer_in_time_is_given(world):
    assert world.call(Timeout(2)(world.model(slow(1, "cat")))) == "cat"


def test_an_error_in_time_comes_out_as_it_was(world):
    error = KeyError("row")
    assert world.failure(Timeout(2)(world.model(slow(1, error)))) is error


def test_a_hang_ends_at_the_limit_and_says_how_long_it_was(world):
    began = world.clock.now()
    error = world.failure(Timeout(2)(world.model(hang())))
    assert world.clock.now() - began == 2
    assert type(error) is (StreamTimeout if world.colour.streams else DeadlineExceeded)
    assert str(error) == "'model' took longer than its limit of 2 s; raise the limit, or make it faster"
    assert (error.kind, error.seconds, error.deadline, error.policy) == ("timeout", 2, began + 2, "model")
    assert kind_of(error) is Kind.TIMEOUT


def test_a_time_out_is_told_once(world):
    seen = []
    began = world.clock.now()
    world.failure(Timeout(2, name="ask", on_event=seen.append)(world.model(hang())))
    abandoned = 0 if world.is_async else 1
    assert seen == [events.TimedOut(policy="ask", at=began + 2, seconds=2, abandoned=abandoned)]


def test_a_limit_bounds_the_whole_stream_and_not_each_item(stream_world):
    model = stream_world.model(items(slow(1, "a"), slow(1, "b"), slow(1, "c")))
    began = stream_world.clock.now()
    assert stream_world.call(Timeout(4)(model)) == ("a", "b", "c")
    assert stream_world.clock.now() - began == 3
    error = stream_world.failure(Timeout(2.5)(model))
    assert isinstance(error, DeadlineExceeded)
    assert stream_world.clock.now() - began == 5.5


def test_the_users_own_time_out_stays_the_users(world):
    seen = []
    error = TimeoutError("mine")
    assert world.failure(Timeout(2, on_event=seen.append)(world.model(slow(1, error)))) is error
    assert seen == []


def test_a_limit_is_set_anew_for_each_call_and_each_attempt(world):
    model = world.model(slow(1.5, ConnectionError), slow(1.5, "cat"), slow(1.5, "dog"))
    safe = Retry(2, backoff=ConstantBackoff(0))(Timeout(2)(model))
    assert [world.call(safe), world.call(safe)] == ["cat", "dog"]


# ---- who set the deadline


@pytest.mark.parametrize(("outer", "inner", "fired"), [(5, 2, "inner"), (2, 5, "outer"), (2, 2, "outer")])
def test_of_two_limits_the_tighter_one_fires(world, outer, inner, fired):
    seen = []
    safe = Pipeline(
        Timeout(outer, name="outer", on_event=seen.append), Timeout(inner, name="inner", on_event=seen.append)
    )(world.model(hang()))
    began = world.clock.now()
    error = world.failure(safe)
    assert world.clock.now() - began == 2
    assert (error.policy, error.kind) == (fired, "timeout")
    assert [event.policy for event in seen] == [fired]


def test_the_callers_own_deadline_is_no_time_out_of_the_model(world):
    seen = []
    safe = Timeout(5, on_event=seen.append)(world.model(hang()))
    began = world.clock.now()
    with deadline(2):
        error = world.failure(safe)
    assert world.clock.now() - began == 2
    assert (error.kind, error.seconds, error.deadline, error.policy) == ("deadline", None, began + 2, None)
    assert kind_of(error) is Kind.DEADLINE
    assert str(error) == (
        "the caller's deadline passed before 'model' answered; "
        "give the block more time, or put a Fallback with a ready value outside it"
    )
    assert seen == []


def test_a_deadline_bounds_a_pipeline_without_a_timeout(async_world):
    began = async_world.clock.now()
    with deadline(2):
        error = async_world.failure(Retry(1)(async_world.model(hang())))
    assert async_world.clock.now() - began == 2
    assert error.kind == "deadline"


def test_a_plain_call_under_a_deadline_alone_is_refused_when_late(plain_world):
    with deadline(2):
        error = plain_world.failure(Retry(1)(plain_world.model(slow(3, "late"))))
    assert error.kind == "deadline"
    with deadline(4):
        assert plain_world.call(Retry(1)(plain_world.model(slow(3, "cat")))) == "cat"


def test_a_deadline_that_has_passed_lets_no_call_begin(world):
    model = world.model("cat")
    with deadline(0):
        assert world.failure(Retry(1)(model)).kind == "deadline"
        assert world.failure(Timeout(1)(model)).kind == "deadline"
    assert model.starts == []


def test_a_limit_around_a_guarded_function_is_a_time_out_outside_and_a_deadline_inside(world):
    inside = []

    def listen(event):
        inside.append(event)

    model = world.model(hang())
    inner = Timeout(5, name="inner", on_event=listen)(model)
    outer = Timeout(2, name="outer")(calling(world, inner))
    error = world.failure(outer)
    assert (error.kind, error.policy) == ("timeout", "outer")
    assert inside == []


def test_an_inner_limit_that_fires_is_not_mistaken_for_the_outer_one(world):
    seen = []
    inner = Timeout(1, name="inner")(world.model(hang()))
    outer = Timeout(5, name="outer", on_event=seen.append)(calling(world, inner))
    error = world.failure(outer)
    assert (error.kind, error.policy) == ("timeout", "inner")
    assert seen == []


def test_the_outer_limit_is_told_as_its_own_when_the_inner_call_was_cut_by_it(async_world):
    """The inner call has no limit of its own: it reports its caller's deadline, which is the outer limit."""
    inner = Retry(1)(async_world.model(hang()))
    error = async_world.failure(Timeout(2, name="outer")(calling(async_world, inner)))
    assert (error.kind, error.policy, error.seconds) == ("timeout", "outer", 2)


# ---- what user code sees


def test_user_code_sees_what_is_left(world):
    model = world.model("cat")
    world.call(Timeout(2)(model))
    with deadline(1):
        world.call(Timeout(2)(model))
    with deadline(3):
        world.call(Timeout(2)(model))
        world.call(Retry(1)(model))
    world.call(Retry(1)(model))
    assert model.left == [2, 1, 2, 3, float("inf")]
    assert remaining() == float("inf")


def test_what_is_left_shrinks_by_what_went_before(world):
    model = world.model(slow(1, ConnectionError), "cat")
    world.call(Timeout(5)(Retry(2, backoff=ConstantBackoff(2))(model)))
    assert model.left == [5, 2]


def test_a_consumer_of_a_stream_does_not_see_the_limit_inside(stream_world):
    seen = []
    safe = Timeout(2)(stream_world.model(items("a", "b")))
    if stream_world.is_async:

        async def consume():
            async for _ in safe():
                seen.append(remaining())  # noqa: PERF401

        stream_world.run(consume)
    else:
        seen.extend(remaining() for _ in safe())
    assert seen == [float("inf")] * 2


# ---- late_only


def test_late_only_runs_on_the_callers_thread_and_refuses_what_is_late(plain_world):
    import threading

    model = plain_world.model(slow(3, "late"))
    threads = []
    enter = model.script.called
    model.script.called = lambda *given: threads.append(threading.get_ident()) or enter(*given)
    timeout = Timeout(2, late_only=True)
    began = plain_world.clock.now()
    error = plain_world.failure(timeout(model))
    assert plain_world.clock.now() - began == 3
    assert (error.kind, timeout.abandoned) == ("timeout", 0)
    assert threads == [threading.get_ident()]


def test_late_only_gives_what_is_in_time(plain_world):
    assert plain_world.call(Timeout(2, late_only=True)(plain_world.model(slow(1.5, "cat")))) == "cat"


def test_late_only_changes_nothing_where_calls_can_be_cancelled(async_world):
    began = async_world.clock.now()
    assert async_world.failure(Timeout(2, late_only=True)(async_world.model(hang()))).kind == "timeout"
    assert async_world.clock.now() - began == 2


def test_a_guarded_call_inside_that_was_late_is_a_time_out_of_the_limit_outside(plain_world):
    """The inner call knows the limit only as its caller's deadline, and is refused for that."""
    inner = Retry(1)(plain_world.model(slow(3, "late")))
    error = plain_world.failure(Timeout(2, late_only=True, name="outer")(calling(plain_world, inner)))
    assert (error.kind, error.policy, error.__cause__.kind) == ("timeout", "outer", "deadline")


def test_an_error_that_comes_late_is_still_the_users_error(plain_world):
    error = KeyError()
    assert plain_world.failure(Timeout(2, late_only=True)(plain_world.model(slow(3, error)))) is error


# ---- options


def test_a_timeout_describes_itself():
    assert repr(Timeout(0.25)) == "Timeout(0.25 s)"
    assert repr(Timeout(2, late_only=True)) == "Timeout(2 s, late_only)"


@pytest.mark.parametrize(
    ("seconds", "options", "kind", "message"),
    [
        (0, {}, ValueError, "total must be above 0, got 0; leave it out for no limit"),
        (-1, {}, ValueError, "total must be above 0, got -1"),
        (float("nan"), {}, ValueError, "total must be finite, got nan"),
        (float("inf"), {}, ValueError, "total must be finite, got inf; leave it out for no limit"),
        ("2", {}, TypeError, "total must be a number, got '2'"),
        (True, {}, TypeError, "total must be a number, got True"),
        (None, {}, ValueError, r"Timeout needs a limit, got none; pass Timeout\(5.0\)"),
        (1, {"late_only": 1}, TypeError, "late_only must be True or False, got 1"),
        (1, {"max_abandoned": 0}, ValueError, "max_abandoned must be at least 1, got 0"),
    ],
)
def test_bad_options_are_refused_with_the_remedy(seconds, options, kind, message):
    with pytest.raises(kind, match=message):
        Timeout(seconds, **options)


def test_a_time_out_gives_the_seat_back_where_the_call_was_cancelled(async_world):
    bulkhead = Bulkhead(1)
    assert isinstance(
        async_world.failure(Pipeline(bulkhead, Timeout(1))(async_world.model(hang()))), TimeoutError
    )
    assert bulkhead.in_flight == 0
