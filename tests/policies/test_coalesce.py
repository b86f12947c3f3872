"""Coalesce: equal calls at the same time share one call of the model, whoever leaves or fails."""

import asyncio
import contextvars
import threading

import anyio
import numpy as np
import pytest

from resilient_ml import (
    Cache,
    Coalesce,
    DeadlineExceeded,
    Pipeline,
    Retry,
    Stream,
    StreamInterrupted,
    Timeout,
    deadline,
)
from resilient_ml._keeping import keep
from resilient_ml.machines.flights import Flights, Seat
from resilient_ml.policies._flight_streams import Recording

from ..worlds import calling, hang, items, slow


def within(world, seconds, guarded):
    """*guarded*, with so much time."""

    def call(*args):
        with deadline(seconds):
            return guarded(*args)

    async def acall(*args):
        with deadline(seconds):
            return await guarded(*args)

    def stream(*args):
        with deadline(seconds):
            yield from guarded(*args)

    async def astream(*args):
        with deadline(seconds):
            async for item in guarded(*args):
                yield item

    return {"call": call, "async call": acall, "stream": stream, "async stream": astream}[world.colour.value]


def kinds(ends):
    return [type(end) if isinstance(end, Exception) else end for end in ends]


def test_equal_calls_at_once_are_one_call(world):
    model = world.model(slow(1, "cat"))
    policy = Coalesce()
    safe = policy(model)
    assert world.together(*[(safe, "picture")] * 20) == ["cat"] * 20
    assert model.starts == [0]
    assert policy.in_flight == 0


def test_different_calls_are_not(world):
    model = world.model(slow(1, "cat"))
    safe = Coalesce()(model)
    world.together((safe, "a"), (safe, "b"), (safe, 1), (safe, True))
    assert len(model.starts) == 4


def test_calls_one_after_the_other_are_not(world):
    model = world.model("cat", "dog")
    safe = Coalesce()(model)
    assert [world.call(safe, "a"), world.call(safe, "a")] == ["cat", "dog"]


def test_two_functions_that_share_it_are_told_apart(world):
    policy = Coalesce()
    cat, dog = world.model(slow(1, "cat")), world.model(slow(1, "dog"))
    assert world.together((policy(cat), 1), (policy(dog), 1)) == ["cat", "dog"]


def test_a_key_says_what_is_equal(world):
    model = world.model(slow(1, "cat"))
    safe = Coalesce(key=lambda text, lock: text)(model)
    assert world.together((safe, "a", object()), (safe, "a", object())) == ["cat", "cat"]
    assert len(model.starts) == 1


def test_what_has_no_key_goes_by_itself(world):
    model = world.model(slow(1, "cat"))
    safe = Coalesce(key=lambda text: None)(model)
    assert world.together((safe, "a"), (safe, "a")) == ["cat", "cat"]
    assert len(model.starts) == 2


def test_each_follower_may_change_its_own_answer(world):
    model = world.model(slow(1, [1]))
    safe = Coalesce()(model)
    ends = world.together(*[(safe, "a")] * 3)
    for end in ends:
        assert end == [1]
        end.append(2)


def test_an_array_is_each_followers_own(call_world):
    model = call_world.model(slow(1, np.zeros(2)))
    safe = Coalesce()(model)
    ends = call_world.together(*[(safe, "a")] * 3)
    for end in ends:
        assert end.sum() == 0
        end[...] = 1


def test_one_object_for_all_where_that_is_wanted(call_world):
    answer = [1]
    safe = Coalesce(copy=False)(call_world.model(slow(1, answer)))
    assert all(end is answer for end in call_world.together(*[(safe, "a")] * 3))


def test_what_cannot_be_copied_each_fetches_for_itself(world):
    lock = threading.Lock()
    model = world.model(slow(1, lock))
    assert world.together(*[(Coalesce()(model), "a")] * 2) == [lock] * 2
    safe = Coalesce()(model)
    assert world.together(*[(safe, "a")] * 3) == [lock] * 3
    assert len(model.starts) == 5


# ---- failures


def test_a_failure_of_the_inputs_own_is_everybodys_at_once(world):
    model = world.model(slow(1, ValueError("no such row")))
    safe = Coalesce()(model)
    ends = world.together(*[(safe, "a")] * 4)
    assert kinds(ends) == [ValueError] * 4
    assert len({id(end) for end in ends}) == 4
    assert len(model.starts) == 1


@pytest.mark.parametrize(("hand_overs", "calls"), [(0, 1), (1, 2), (2, 3)])
def test_a_dead_model_is_asked_so_often_and_nobody_waits_longer(world, hand_overs, calls):
    model = world.model(slow(1, ConnectionError()))
    safe = Coalesce(hand_overs=hand_overs)(model)
    began = world.clock.now()
    assert kinds(world.together(*[(safe, "a")] * 10)) == [ConnectionError] * 10
    assert model.starts == list(range(calls))
    assert world.clock.now() - began == calls


def test_the_follower_that_takes_over_answers_for_the_rest(world):
    model = world.model(slow(1, ConnectionError()), slow(1, "cat"))
    safe = Coalesce()(model)
    assert kinds(world.together(*[(safe, "a")] * 5)) == [ConnectionError] + ["cat"] * 4
    assert model.starts == [0, 1]


def test_every_failure_is_shared_where_that_is_wanted(world):
    model = world.model(slow(1, ConnectionError()), "cat")
    safe = Coalesce(share_failures=True)(model)
    assert kinds(world.together(*[(safe, "a")] * 3)) == [ConnectionError] * 3


def test_an_error_that_cannot_be_copied_is_raised_all_the_same(call_world):
    class Odd(ValueError):
        def __init__(self, one, other):
            super().__init__("odd")

    class Changed(ValueError):
        def __copy__(self):
            return ValueError()

    for error in (Odd(1, 2), Changed("a")):
        safe = Coalesce()(call_world.model(slow(1, error)))
        assert kinds(call_world.together(*[(safe, "a")] * 2)) == [type(error)] * 2


# ---- leaving


def test_a_follower_waits_as_long_as_its_own_deadline(world):
    model = world.model(slow(10, "cat"))
    safe = Coalesce()(model)
    ends = world.together((safe, "a"), (within(world, 2, safe), "a"), (safe, "a"))
    assert kinds([ends[0], ends[2]]) == ["cat", "cat"]
    assert isinstance(ends[1], DeadlineExceeded)
    assert len(model.starts) == 1


def test_a_leader_that_runs_out_of_its_own_time_hands_over(async_world):
    model = async_world.model(hang(), slow(1, "cat"))
    safe = Coalesce(hand_overs=0)(model)
    ends = async_world.together((within(async_world, 2, safe), "a"), (safe, "a"), (safe, "a"))
    assert isinstance(ends[0], DeadlineExceeded)
    assert ends[1:] == ["cat", "cat"]
    assert model.starts == [0, 2]


def test_a_leader_that_is_cancelled_hands_over(async_world):
    world = async_world
    model = world.model(slow(10, "lost"), slow(1, "cat"))
    safe = Coalesce(hand_overs=0)(model)
    ends = []

    async def one():
        ends.append(await world.use(safe, "a", {}))

    async def main():
        async with anyio.create_task_group() as group, anyio.create_task_group() as leader:
            leader.start_soon(one)
            await anyio.sleep(1)
            group.start_soon(one)
            group.start_soon(one)
            await anyio.sleep(1)
            leader.cancel_scope.cancel()

    world.run(main)
    assert ends == ["cat", "cat"]
    assert model.starts == [0, 2]


def test_a_follower_that_is_cancelled_leaves_no_trace(async_world):
    world = async_world
    model = world.model(slow(10, ConnectionError()), slow(1, "cat"))
    safe = Coalesce()(model)
    ends = []

    async def one():
        try:
            ends.append(await world.use(safe, "a", {}))
        except ConnectionError as error:
            ends.append(type(error))

    async def main():
        async with anyio.create_task_group() as group:
            group.start_soon(one)
            await anyio.sleep(1)
            async with anyio.create_task_group() as follower:
                follower.start_soon(one)
                await anyio.sleep(1)
                group.start_soon(one)
                await anyio.sleep(1)
                follower.cancel_scope.cancel()

    world.run(main)
    assert ends == [ConnectionError, "cat"]


def test_a_follower_on_a_loop_that_is_gone_is_passed_over():
    policy = Coalesce()
    inside = threading.Event()
    go = threading.Event()
    calls = []

    @policy
    def model(text):
        calls.append(text)
        inside.set()
        go.wait()
        if len(calls) == 1:
            raise ConnectionError
        return "cat"

    guarded = Pipeline(policy)
    ends = []

    def lead():
        with pytest.raises(ConnectionError):
            model("a")

    leader = threading.Thread(target=lead)
    leader.start()
    inside.wait()
    (flight,) = policy._flights._flights.values()
    gone = Seat(object())
    policy._flights.join(flight.key, gone)
    assert policy._flights.follow(gone, lambda: False)
    follower = threading.Thread(target=lambda: ends.append(model("a")))
    follower.start()
    while len(flight.followers) < 2:
        pass
    go.set()
    leader.join()
    follower.join()
    assert ends == ["cat"]
    assert guarded is not None


# ---- calls from inside


def test_a_call_from_inside_the_leader_does_not_wait_for_it(world):
    depth = []
    policy = Coalesce(key=lambda *args: "one")

    def inner():
        depth.append(1)
        return calling(world, safe if len(depth) < 3 else world.model("cat"))()

    safe = policy(calling(world, inner))
    assert world.call(safe) == "cat"


def test_a_call_from_a_thread_of_the_leaders_does_not_wait_for_it():
    policy = Coalesce(key=lambda depth: "one")

    @policy
    def model(depth):
        if depth:
            return "cat"
        got = []
        context = contextvars.copy_context()
        thread = threading.Thread(target=context.run, args=(lambda: got.append(model(1)),))
        thread.start()
        thread.join()
        return got[0]

    assert model(0) == "cat"


def test_two_streams_of_one_task_do_not_wait_for_each_other(stream_world):
    world = stream_world
    model = world.model(items("a", slow(1, "b")))
    safe = Coalesce()(model)

    def zipped():
        yield from zip(safe(1), safe(1), strict=True)

    async def azipped():
        async for one in safe(1):
            other = [item async for item in safe(1)]
            yield one, tuple(other)

    if world.is_async:
        assert world.call(azipped) == (("a", ("a", "b")), ("b", ("a", "b")))
    else:
        assert world.call(zipped) == (("a", "a"), ("b", "b"))


# ---- streams


def test_a_late_follower_has_what_has_passed_and_then_the_rest(stream_world):
    world = stream_world
    model = world.model(items("a", slow(2, "b"), slow(2, "c")))
    safe = Coalesce()(model)
    readings = []

    def later():
        world.clock.sleep(3)
        for item in safe("x"):
            readings.append((item, world.clock.now()))
            yield item

    async def alater():
        await anyio.sleep(3)
        async for item in safe("x"):
            readings.append((item, world.clock.now()))
            yield item

    began = world.clock.now()
    ends = world.together((safe, "x"), (alater if world.is_async else later,))
    assert ends == [("a", "b", "c")] * 2
    assert [(item, round(at - began)) for item, at in readings] == [("a", 3), ("b", 3), ("c", 4)]
    assert len(model.starts) == 1


def reading(world, guarded, most, pause=0.0):
    """A reader that takes *most* items and leaves."""

    def read(*args):
        stream = guarded(*args)
        got = []
        for item in stream:
            got.append(item)
            world.clock.sleep(pause)
            if len(got) == most:
                break
        stream.close()
        yield tuple(got)

    async def aread(*args):
        stream = guarded(*args)
        got = []
        async for item in stream:
            got.append(item)
            await anyio.sleep(pause)
            if len(got) == most:
                break
        await stream.aclose()
        yield tuple(got)

    return aread if world.is_async else read


def test_a_leader_whose_reader_leaves_hands_over_in_the_middle(stream_world):
    world = stream_world
    model = world.model(items("a", slow(1, "b"), slow(1, "c")))
    safe = Coalesce()(model)
    ends = world.together((reading(world, safe, 2), "x"), (safe, "x"), (safe, "x"))
    assert ends == [("a", "b"), ("a", "b", "c"), ("a", "b", "c")]
    assert len(model.starts) == 2


def test_a_stream_that_comes_out_another_way_is_never_mixed(stream_world):
    world = stream_world
    model = world.model(items("a", slow(1, "b"), slow(1, "c")), items("A", "B", "C"))
    safe = Coalesce()(model)
    ends = world.together((reading(world, safe, 2), "x"), (safe, "x"), (safe, "x"))
    assert ends[0] == ("a", "b")
    assert kinds(ends[1:]) == [StreamInterrupted] * 2
    assert "run again it is another stream" in str(ends[1])


def test_a_stream_that_ends_too_soon_the_second_time_is_no_whole_one(stream_world):
    world = stream_world
    model = world.model(items("a", slow(1, "b"), slow(1, "c")), items("a"))
    safe = Coalesce()(model)
    ends = world.together((reading(world, safe, 2), "x"), (safe, "x"))
    assert kinds(ends) == [("a", "b"), StreamInterrupted]


def test_with_a_stream_policy_a_new_leader_goes_on_as_that_says(stream_world):
    world = stream_world
    for mode in ("raise", "skip_prefix"):
        model = world.model(items("a", slow(1, "b"), slow(1, "c")))
        safe = Pipeline(Stream(on_interrupt=mode), Coalesce())(model)
        ends = world.together((reading(world, safe, 2), "x"), (safe, "x"))
        assert ends == [("a", "b"), ("a", "b", "c")]


def test_a_stream_that_began_anew_cannot_be_followed(stream_world):
    world = stream_world
    model = world.model(items("a", slow(1, ConnectionError())), items("c", "d"))
    safe = Pipeline(Stream(on_interrupt="restart"), Coalesce(), Retry(2))(model)
    ends = world.together((safe, "x"), (safe, "x"))
    assert ends[0][0] == "a" and ends[0][-2:] == ("c", "d")
    assert isinstance(ends[1], StreamInterrupted)


def test_a_failure_in_the_middle_is_handed_over_like_any(stream_world):
    world = stream_world
    model = world.model(items("a", slow(1, ConnectionError())), items("a", "b"))
    safe = Coalesce()(model)
    assert kinds(world.together((safe, "x"), (safe, "x"))) == [ConnectionError, ("a", "b")]


def test_a_slow_follower_holds_up_nobody(stream_world):
    world = stream_world
    model = world.model(items("a", slow(1, "b"), slow(1, "c")))
    safe = Coalesce()(model)
    began = world.clock.now()
    times = []
    ends = world.together(
        (safe, "x"), (reading(world, safe, 9, pause=10), "x"), (timed(world, safe, times), "x")
    )
    assert ends == [("a", "b", "c")] * 3
    assert times[0] - began == 2


def timed(world, guarded, times):
    def read(*args):
        yield from guarded(*args)
        times.append(world.clock.now())

    async def aread(*args):
        async for item in guarded(*args):
            yield item
        times.append(world.clock.now())

    return aread if world.is_async else read


def test_a_follower_that_falls_too_far_behind_is_told_so(stream_world):
    world = stream_world
    model = world.model(items(*(slow(1, "abc"[i % 3] * 1000) for i in range(8))))
    safe = Coalesce(max_bytes=4000)(model)
    ends = world.together((safe, "x"), (reading(world, safe, 9, pause=20), "x"))
    assert len(ends[0]) == 8
    assert isinstance(ends[1], StreamInterrupted)
    assert "fell behind" in str(ends[1])


def test_who_comes_after_the_beginning_is_gone_asks_for_itself(stream_world):
    world = stream_world
    model = world.model(items(*(slow(1, "abc"[i % 3] * 1000) for i in range(8))))
    safe = Coalesce(max_bytes=2000)(model)
    ends = world.together((safe, "x"), (calling(world, lambda: safe("x"), 5.5),))
    assert ends[0] == ends[1]
    assert len(model.starts) == 2


def test_what_a_generator_returns_is_its_followers_too(clock):
    policy = Coalesce()
    ends = []

    @policy
    def model(x):
        clock.sleep(1)
        yield "a"
        return "the end"

    def read():
        def whole():
            ends.append((yield from model(1)))

        list(whole())

    threads = [threading.Thread(target=read) for _ in range(3)]
    for thread in threads:
        thread.start()
        clock.settle()
    for thread in threads:
        thread.join()
    assert ends == ["the end"] * 3


def test_a_follower_of_a_stream_waits_as_long_as_its_own_deadline(stream_world):
    world = stream_world
    model = world.model(items("a", slow(10, "b")))
    safe = Coalesce()(model)
    ends = world.together((safe, "x"), (within(world, 2, safe), "x"))
    assert ends[0] == ("a", "b")
    assert isinstance(ends[1], DeadlineExceeded)


def test_a_retry_outside_resumes_without_it(stream_world):
    world = stream_world
    model = world.model(items("a", ConnectionError()), items("a", "b"))
    safe = Pipeline(Stream(on_interrupt="skip_prefix"), Retry(2), Coalesce())(model)
    assert world.call(safe, "x") == ("a", "b")


# ---- construction


def test_a_timeout_inside_and_its_threads(call_world):
    model = call_world.model(slow(5, "late"))
    safe = Pipeline(Coalesce(hand_overs=0), Timeout(2))(model)
    ends = call_world.together(*[(safe, "a")] * 3)
    assert all(isinstance(end, DeadlineExceeded) for end in ends)


@pytest.mark.parametrize(
    "wrong",
    [
        {"hand_overs": -1},
        {"hand_overs": 1.5},
        {"key": 3},
        {"copy": 1},
        {"share_failures": 0},
        {"max_bytes": 0},
    ],
)
def test_wrong_arguments_are_refused(wrong):
    (name,) = wrong
    with pytest.raises((TypeError, ValueError), match=name):
        Coalesce(**wrong)


def test_the_least_that_there_can_be_is_accepted(world):
    safe = Coalesce(hand_overs=0, max_bytes=1)(world.model("cat"))
    assert world.call(safe, "a") == "cat"


def test_it_says_what_it_is():
    assert repr(Coalesce()) == "Coalesce(hand_overs=1)"
    assert repr(Coalesce(hand_overs=2)) == "Coalesce(hand_overs=2)"


def test_loops_on_several_threads_share_a_call():
    calls = []
    policy = Coalesce()

    def followers():
        return sum(len(flight.followers) for flight in policy._flights._flights.values())

    @policy
    async def model(x):
        calls.append(x)
        while followers() < 3:  # noqa: ASYNC110 - they are on other loops, which have no event in common
            await asyncio.sleep(0)
        return "cat"

    ends = []
    threads = [threading.Thread(target=lambda: ends.append(asyncio.run(model(1)))) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert ends == ["cat"] * 4
    assert len(calls) == 1


class Quick(Flights):
    """Where another has led and landed by the time that a call is about to follow it."""

    answer = keep("cat")

    def join(self, key, seat, *, only_to_lead=False):
        other = Seat("other")
        super().join(key, other)
        other.flight.thread = None
        joined = super().join(key, seat, only_to_lead=only_to_lead)
        self.end(other)
        return joined

    def end(self, other):
        self.land(other, self.answer)


class QuickStream(Quick):
    answer = Recording([], keep(None))


class QuickGone(Quick):
    def end(self, other):
        self.leave(other)


def test_where_the_leader_left_before_anybody_waited_each_goes_alone(world):
    policy = Coalesce()
    policy._flights = policy._streams.flights = QuickGone(1)
    assert world.call(policy(world.model("dog")), "a") == "dog"


def test_a_follower_whose_reader_is_busy_takes_over_when_that_comes_back(stream_world):
    world = stream_world
    model = world.model(items("a", slow(1, "b"), slow(1, "c")))
    safe = Coalesce()(model)
    ends = world.together((reading(world, safe, 2), "x"), (reading(world, safe, 9, pause=5), "x"))
    assert ends == [("a", "b"), ("a", "b", "c")]
    assert len(model.starts) == 2


@pytest.mark.parametrize("make", [Coalesce, Cache])
def test_what_ended_between_joining_and_following_is_answered_all_the_same(call_world, make):
    model = call_world.model("dog")
    policy = make()
    policy._flights = Quick(1)
    assert call_world.call(policy(model), "a") == "cat"
    assert not model.starts


def test_a_stream_that_ended_between_joining_and_following_is_replayed(stream_world):
    model = stream_world.model("dog")
    policy = Coalesce()
    policy._streams.flights = QuickStream(1)
    assert stream_world.call(policy(model), "a") == ()
    assert not model.starts


def test_a_new_leader_that_has_missed_the_beginning_is_told_so(stream_world):
    world = stream_world
    model = world.model(items(*(slow(1, "abc"[i % 3] * 1000) for i in range(9))))
    safe = Coalesce(max_bytes=3000)(model)
    ends = world.together((reading(world, safe, 6), "x"), (reading(world, safe, 9, pause=20), "x"))
    assert len(ends[0]) == 6
    assert isinstance(ends[1], StreamInterrupted)


def test_a_generator_that_returns_what_cannot_be_copied_is_not_followed_to_its_end(clock):
    ends = []

    @Coalesce()
    def model(x):
        yield "a"
        clock.sleep(1)
        return threading.Lock()

    def read():
        try:
            ends.append(list(model(1)))
        except StreamInterrupted as error:
            ends.append(str(error))

    threads = [threading.Thread(target=read) for _ in range(2)]
    for thread in threads:
        thread.start()
        clock.settle()
    for thread in threads:
        thread.join()
    assert ["a"] in ends
    assert any("cannot be copied" in end for end in ends)


class Deaf(Flights):
    """Where there is news whenever somebody is about to wait, the first times."""

    deaf = 3

    def listen(self, seat, position, wake):
        self.deaf -= 1
        return self.deaf < 0 and super().listen(seat, position, wake)


def test_news_that_come_before_the_waiting_are_heard(stream_world):
    world = stream_world
    policy = Coalesce()
    policy._streams.flights = policy._flights = Deaf(1)
    safe = policy(world.model(items("a", slow(1, "b"))))
    assert world.together((safe, "x"), (safe, "x")) == [("a", "b")] * 2
