"""Cache: whole, valid answers from memory, each caller's own; old ones within their time, and labelled."""

import asyncio
import random
import threading
from collections import OrderedDict

import anyio
import numpy as np
import pytest

from resilient_ml import (
    Bulkhead,
    Cache,
    Fallback,
    Hedge,
    Pipeline,
    Retry,
    Stream,
    StreamTruncated,
    Timeout,
    events,
)

from ..worlds import items, slow
from .test_coalesce import kinds, reading


def test_an_answer_is_served_again(world):
    model = world.model(slow(1, "cat"), "dog")
    cache = Cache()
    safe = cache(model)
    assert [world.call(safe, "a") for _ in range(3)] == ["cat"] * 3
    assert model.starts == [0]
    seen = cache.statistics()
    assert (seen.hits, seen.misses, seen.entries) == (2, 1, 1)
    assert 0 < seen.weight < 1000


def test_many_equal_calls_at_once_are_one_call(world):
    model = world.model(slow(1, "cat"))
    safe = Cache()(model)
    assert world.together(*[(safe, "a")] * 30) == ["cat"] * 30
    assert len(model.starts) == 1


def test_a_thousand_equal_calls_are_one_call(async_world):
    world = async_world
    model = world.model(slow(1, "cat"))
    safe = Cache()(model)
    ends = []

    async def one():
        ends.append(await world.use(safe, "a", {}))

    async def main():
        async with anyio.create_task_group() as group:
            for _ in range(1000):
                group.start_soon(one)

    world.run(main)
    assert ends == ["cat"] * 1000
    assert len(model.starts) == 1


def test_each_asks_for_itself_where_that_is_wanted(world):
    model = world.model(slow(1, "cat"))
    safe = Cache(coalesce=False)(model)
    assert world.together(*[(safe, "a")] * 3) == ["cat"] * 3
    assert len(model.starts) == 3
    assert world.call(safe, "a") == "cat"
    assert len(model.starts) == 3


def test_a_call_without_a_key_is_not_cached(world):
    model = world.model("cat", "dog")
    safe = Cache(key=lambda text, session=None: text if session is None else None)(model)
    assert [world.call(safe, "a", session=object()) for _ in range(2)] == ["cat", "dog"]


def test_a_leader_finds_what_another_put_in_between(call_world):
    cache = Cache()
    model = call_world.model("cat")
    safe = cache(model)
    assert call_world.call(safe, "a") == "cat"
    cache._store = Missing(cache._store)
    assert call_world.call(safe, "a") == "cat"
    assert len(model.starts) == 1


class Missing:
    """A store that never finds anything at the first look."""

    def __init__(self, store):
        self.store = store

    def get(self, key, now):
        return None

    def __getattr__(self, name):
        return getattr(self.store, name)


def test_a_stream_finds_what_another_put_in_between(stream_world):
    cache = Cache()
    model = stream_world.model(items("a", "b"))
    safe = cache(model)
    assert stream_world.call(safe, 1) == ("a", "b")
    cache._shelf.entries = Missing(cache._shelf.entries)
    cache._shelf.rules.ttl = 1
    assert stream_world.call(safe, 1) == ("a", "b")
    assert len(model.starts) == 1


# ---- nobody changes what another is handed


@pytest.mark.parametrize(
    "answer",
    [
        [1, 2],
        {"a": 1},
        [[1], [2]],
        {"a": [1]},
        np.zeros(3),
        (np.zeros(3), [1]),
        {1, 2},
        bytearray(b"a"),
        OrderedDict(a=[1]),
        np.array([None, 1], object),
    ],
    ids=repr,
)
def test_one_callers_change_does_not_reach_another(call_world, answer):
    safe = Cache()(call_world.model(answer))
    before = repr(answer)
    for _ in range(4):
        got = call_world.call(safe, "a")
        assert repr(got) == before
        change(got)


def change(value):
    if isinstance(value, tuple):
        for one in value:
            change(one)
    elif isinstance(value, np.ndarray):
        value[...] = 7
    elif isinstance(value, dict):
        for one in value.values():
            if isinstance(one, list):
                one.append(9)
        value["z"] = 1
    elif isinstance(value, set):
        value.add(9)
    else:
        for one in value:
            if isinstance(one, list):
                one.append(9)
        value.append(9)


def test_what_cannot_be_changed_is_handed_out_as_it_is(call_world):
    for answer in ("text", (1, ("a", frozenset({2}))), np.float64(2), None, 1.5):
        safe = Cache()(call_world.model(answer))
        call_world.call(safe, "a")
        assert call_world.call(safe, "a") is call_world.call(safe, "a")


def test_one_object_for_all_and_arrays_that_cannot_be_written(call_world):
    safe = Cache(copy=False)(call_world.model([1]))
    call_world.call(safe, "a")
    assert call_world.call(safe, "a") is call_world.call(safe, "a")
    model = call_world.model(np.zeros(2))
    safe = Cache(copy=False)(model)
    first = call_world.call(safe, "a")
    first += 1
    again = call_world.call(safe, "a")
    assert again.sum() == 0
    with pytest.raises(ValueError, match="read-only"):
        again += 1
    with pytest.raises(ValueError, match="WRITEABLE"):
        again.flags.writeable = True


def test_chunks_of_a_stream_are_each_readers_own(stream_world):
    safe = Cache()(stream_world.model(items([1], [2])))
    for _ in range(3):
        got = stream_world.call(safe, "a")
        assert got == ([1], [2])
        got[0].append(3)


# ---- what is never kept


def told(what):
    seen = []
    return seen, lambda event: seen.append(event) if type(event) is what else None


def test_a_failure_is_not_kept(world):
    model = world.model(ConnectionError(), "cat")
    safe = Cache()(model)
    assert isinstance(world.failure(safe, "a"), ConnectionError)
    assert world.call(safe, "a") == "cat"


def test_a_degraded_answer_is_not_kept(world):
    model = world.model(ConnectionError(), "cat")
    seen, listen = told(events.NotStored)
    safe = Pipeline(Cache(on_event=listen), Fallback("popular"))(model)
    assert [world.call(safe, "a") for _ in range(3)] == ["popular", "cat", "cat"]
    assert [event.reason for event in seen] == ["it is degraded"]


def test_a_degraded_answer_of_a_hedge_is_not_kept(call_world):
    model = call_world.model(ConnectionError(), "cat")
    safe = Pipeline(Cache(), Hedge(delay=5), Fallback("popular"))(model)
    assert [call_world.call(safe, "a") for _ in range(3)] == ["popular", "cat", "cat"]


def test_what_validate_refuses_is_served_and_not_kept(call_world):
    model = call_world.model(np.array([np.nan]), np.array([1.0]))
    seen, listen = told(events.NotStored)
    safe = Cache(validate=lambda answer: np.isfinite(answer).all(), on_event=listen)(model)
    assert np.isnan(call_world.call(safe, "a")[0])
    assert call_world.call(safe, "a")[0] == call_world.call(safe, "a")[0] == 1
    assert [event.reason for event in seen] == ["validate= refused it"]


def test_what_cannot_be_copied_is_not_kept(world):
    seen, listen = told(events.NotStored)
    model = world.model(threading.Lock())
    safe = Cache(on_event=listen)(model)
    for _ in range(2):
        world.call(safe, "a")
    assert len(model.starts) == len(seen) == 2


def test_what_is_too_large_is_not_kept(world):
    seen, listen = told(events.NotStored)
    model = world.model("x" * 5000)
    cache = Cache(2000, on_event=listen)
    safe = cache(model)
    for _ in range(2):
        assert world.call(safe, "a") == "x" * 5000
    assert len(model.starts) == len(seen) == 2
    assert cache.statistics().weight == 0


def test_a_stream_that_its_reader_leaves_is_not_kept(stream_world):
    world = stream_world
    model = world.model(items("a", "b"))
    safe = Cache()(model)
    world.call(reading(world, safe, 1), "x")
    assert world.call(safe, "x") == world.call(safe, "x") == ("a", "b")
    assert len(model.starts) == 2


def test_a_stream_that_is_cut_or_ends_too_soon_is_not_kept(stream_world):
    world = stream_world
    model = world.model(items("a", ConnectionError()), items("a"), items("a", "end"))
    safe = Pipeline(Stream(is_final=lambda chunk: chunk == "end"), Cache())(model)
    assert isinstance(world.failure(safe, "x"), ConnectionError)
    assert isinstance(world.failure(safe, "x"), StreamTruncated)
    assert world.call(safe, "x") == world.call(safe, "x") == ("a", "end")
    assert len(model.starts) == 3


# ---- time


def test_an_answer_is_fresh_for_its_time(world):
    model = world.model("cat", "dog")
    safe = Cache(ttl=10)(model)
    got = []
    for _ in range(3):
        got.append(world.call(safe, "a"))
        world.clock.sleep(6)
    assert got == ["cat", "cat", "dog"]


def test_an_answer_is_fresh_no_longer_than_its_time(world):
    model = world.model("cat", "dog")
    safe = Cache(ttl=8)(model)
    got = [world.call(safe, "a")]
    world.clock.sleep(8)
    assert [*got, world.call(safe, "a")] == ["cat", "dog"]


def test_jitter_takes_some_of_the_time_off(call_world):
    model = call_world.model("cat", "dog")
    safe = Cache(ttl=10, jitter=0.5, rng=lambda: 1.0)(model)
    got = []
    for _ in range(3):
        got.append(call_world.call(safe, "a"))
        call_world.clock.sleep(3)
    assert got == ["cat", "cat", "dog"]


def in_time(world, *steps):
    """What each call at its instant came to."""
    got = []

    def run():
        began = world.clock.now()
        for at, guarded in steps:
            world.clock.sleep(max(0, at - (world.clock.now() - began)))
            try:
                made = guarded("a")
                got.append(tuple(made) if world.streams else made)
            except Exception as error:  # noqa: BLE001
                got.append(type(error))

    async def arun():
        began = world.clock.now()
        for at, guarded in steps:
            await anyio.sleep(max(0, at - (world.clock.now() - began)))
            try:
                got.append(await world.use(guarded, "a", {}))
            except Exception as error:  # noqa: BLE001
                got.append(type(error))

    world.run(arun) if world.is_async else run()
    return got


def test_a_stale_answer_is_served_while_one_call_fetches_a_new_one(call_world):
    model = call_world.model("old", slow(3, "new"))
    seen, listen = told(events.StaleServed)
    cache = Cache(ttl=10, stale=10, on_event=listen)
    safe = cache(model)
    assert in_time(call_world, (0, safe), (12, safe), (13, safe), (16, safe)) == ["old", "old", "old", "new"]
    assert len(model.starts) == 2
    assert [(event.reason, round(event.age)) for event in seen] == [("refreshing", 2), ("refreshing", 3)]
    assert not cache._refreshing
    assert len(cache._flights) == 0


def test_a_refresh_that_fails_leaves_the_old_answer(call_world):
    model = call_world.model("old", ConnectionError(), "new")
    safe = Cache(ttl=10, stale=10)(model)
    assert in_time(call_world, (0, safe), (12, safe), (13, safe), (14, safe)) == ["old", "old", "old", "new"]


def test_a_refresh_writes_in_no_record_and_holds_what_its_call_held(call_world):
    model = call_world.model("old", slow(3, "new"))
    gate, cache = Bulkhead(1), Cache(ttl=10, stale=10)
    safe = Pipeline(gate, cache)(model)
    inside = []

    def looked(*args):
        inside.append((gate.in_flight, len(cache._refreshing)))
        return "x"

    async def alooked(*args):
        return looked()

    look = alooked if call_world.is_async else looked
    assert in_time(call_world, (0, safe), (12, safe), (13, look), (16, look)) == ["old", "old", "x", "x"]
    assert inside == [(1, 1), (0, 0)]


@pytest.mark.parametrize(
    ("comes_to", "expected", "calls"),
    [
        ("new", "new", 2),
        (ValueError(), ValueError, 2),  # the input's own: everybody's at once
        (ConnectionError(), "newer", 3),
    ],
)
def test_who_comes_when_the_old_answer_is_dead_has_what_its_refresh_comes_to(
    call_world, comes_to, expected, calls
):
    model = call_world.model("old", slow(5, comes_to), "newer")
    safe = Cache(ttl=10, stale=2, stale_if_error=False)(model)
    assert in_time(call_world, (0, safe), (11, safe), (13, safe)) == ["old", "old", expected]
    assert len(model.starts) == calls


def test_where_there_is_no_thread_the_next_tries_again(call_world, monkeypatch):
    from resilient_ml.errors import LimitExceeded

    model = call_world.model("old", "new")
    cache = Cache(ttl=10, stale=10)
    safe = cache(model)

    def refused(step, call):
        raise LimitExceeded("none")

    assert in_time(call_world, (0, safe)) == ["old"]
    call_world.clock.sleep(12)
    from resilient_ml._drivers import blocking, suspending

    with monkeypatch.context() as patch:
        for runtime in (blocking.Blocking, blocking.BlockingCoroutines, suspending.Suspending):
            patch.setattr(runtime, "spawn", lambda self, step, call: refused(step, call))
        assert in_time(call_world, (0, safe)) == ["old"]
    assert len(cache._flights) == 0


def test_an_interrupt_of_a_refresh_is_not_swallowed():
    cache = Cache(ttl=10, stale=10)

    class Rival:
        def __init__(self, error):
            self.error = error

        def result(self):
            raise self.error

    class Visit:
        left = 0

        def leave(self):
            self.left += 1

    visit = Visit()
    cache._refreshed(Rival(asyncio.CancelledError()), visit, None)
    with pytest.raises(KeyboardInterrupt):
        cache._refreshed(Rival(KeyboardInterrupt()), visit, None)
    assert visit.left == 2


def test_of_a_stream_the_first_fetches_and_the_others_are_served(stream_world):
    world = stream_world
    model = world.model(items("old"), items(slow(3, "new"), "er"))
    seen, listen = told(events.StaleServed)
    safe = Cache(ttl=10, stale=10, on_event=listen)(model)
    assert world.call(safe, "a") == "old"
    world.clock.sleep(12)
    assert world.together((safe, "a"), (safe, "a")) == [("new", "er"), "old"]
    assert world.call(safe, "a") == ("new", "er")
    assert len(seen) == 1


def test_of_a_stale_stream_each_fetches_where_none_is_shared(stream_world):
    world = stream_world
    model = world.model("old", "new")
    safe = Cache(ttl=10, stale=10, coalesce=False)(model)
    assert world.call(safe, "a") == "old"
    world.clock.sleep(12)
    assert world.call(safe, "a") == "new"


# ---- when the model fails


def test_an_old_answer_stands_in_for_a_failure(world):
    model = world.model("old", ConnectionError())
    seen, listen = told(events.StaleServed)
    safe = Cache(ttl=10, stale_if_error=100, on_event=listen)(model)
    got = []
    for pause in (50, 50, 100, 0):
        got.append(world.failure(safe, "a") or world.call(safe, "a"))
        world.clock.sleep(pause)
    assert got[:2] == ["old", "old"]
    assert kinds(got[2:]) == ["old", ConnectionError]
    assert {event.reason for event in seen} == {"connection"}


def test_by_default_for_as_long_again_and_never_where_that_is_wanted(world):
    for keyword, expected in [({}, "old"), ({"stale_if_error": False}, ConnectionError)]:
        model = world.model("old", ConnectionError())
        safe = Cache(ttl=10, **keyword)(model)
        assert world.call(safe, "a") == "old"
        world.clock.sleep(15)
        end = world.failure(safe, "a")
        assert (type(end) if end else world.call(safe, "a")) == expected
        world.clock.sleep(10)
        assert isinstance(world.failure(safe, "a"), ConnectionError)


def test_a_failure_of_the_inputs_own_comes_out(world):
    model = world.model("old", ValueError())
    safe = Cache(ttl=10)(model)
    world.call(safe, "a")
    world.clock.sleep(15)
    assert isinstance(world.failure(safe, "a"), ValueError)


def test_after_the_first_item_nothing_stands_in(stream_world):
    world = stream_world
    model = world.model(items("old", "er"), items("new", ConnectionError()))
    safe = Cache(ttl=10)(model)
    world.call(safe, "a")
    world.clock.sleep(15)
    assert isinstance(world.failure(safe, "a"), ConnectionError)


def test_the_outcome_says_who_answered(call_world):
    model = call_world.model("old", ConnectionError())
    pipeline = Pipeline(Cache(ttl=10))

    def ask():
        if call_world.is_async:
            return call_world.run(pipeline.aoutcome, model, "a")
        return pipeline.outcome(model, "a")

    first, second = ask(), ask()
    call_world.clock.sleep(15)
    third = ask()
    assert [one.value for one in (first, second, third)] == ["old"] * 3
    assert [one.served_by for one in (first, second, third)] == ["model", "cache", "stale cache"]
    assert [one.degraded for one in (first, second, third)] == [False, False, True]


def test_a_stale_answer_is_not_kept_by_a_cache_outside(call_world):
    model = call_world.model("old", ConnectionError(), "new")
    outer, inner = Cache(key=lambda text: text), Cache(ttl=10)
    inside = inner(model)
    assert call_world.call(inside, "a") == "old"
    call_world.clock.sleep(15)
    safe = outer(inside)
    assert [call_world.call(safe, "a") for _ in range(3)] == ["old", "new", "new"]


# ---- versions and operators


def test_another_version_is_another_answer(world):
    version = ["v1"]
    model = world.model("one", "two")
    safe = Cache(version=lambda: version[0])(model)
    got = [world.call(safe, "a")]
    version[0] = "v2"
    got += [world.call(safe, "a"), world.call(safe, "a")]
    version[0] = "v1"
    got.append(world.call(safe, "a"))
    assert got == ["one", "two", "two", "one"]


def test_an_answer_of_a_model_that_was_swapped_meanwhile_is_not_kept(world):
    version = [1]
    seen, listen = told(events.NotStored)
    cache = Cache(version=lambda: version[0], on_event=listen)
    model = world.model(slow(2, "cat"))
    safe = cache(model)

    def swap(*args):
        world.clock.sleep(1)
        version[0] = 2
        return "x"

    async def aswap(*args):
        await anyio.sleep(1)
        version[0] = 2
        return "x"

    if world.streams:
        return
    world.together((safe, "a"), (aswap if world.is_async else swap,))
    assert [event.reason for event in seen] == ["what it was made by is out of date"]
    assert cache.statistics().entries == 0


def test_one_answer_or_all_can_be_forgotten(world):
    cache = Cache()
    model = world.model("1", "2", "3", "4")
    safe = cache(model)
    got = [world.call(safe, text) for text in "ab"]
    assert cache.invalidate("a") and not cache.invalidate("z")
    got += [world.call(safe, text) for text in "ab"]
    cache.clear()
    got.append(world.call(safe, "b"))
    assert got == ["1", "2", "3", "2", "4"]
    assert not cache.forgettable()


def test_an_answer_can_be_forgotten_by_its_key(call_world):
    cache = Cache(key=lambda text, session: text)
    model = call_world.model("1", "2")
    safe = cache(model)
    call_world.call(safe, "a", 1)
    assert cache.invalidate("a", None)
    assert call_world.call(safe, "a", 1) == "2"


@pytest.mark.parametrize(
    "forget",
    [
        lambda cache: cache.clear(),
        lambda cache: cache.invalidate("a"),
        lambda cache: [cache.invalidate("a"), cache.clear()],
    ],
    ids=["all", "this one", "both"],
)
def test_an_answer_under_way_while_it_is_forgotten_is_not_kept(async_world, forget):
    world = async_world
    cache = Cache()
    model = world.model(slow(2, "old"), "new")
    safe = cache(model)

    async def clear():
        await anyio.sleep(1)
        forget(cache)
        return await world.use(safe, "a", {})

    ends = []

    async def main():
        async with anyio.create_task_group() as group:
            group.start_soon(keep, ends, clear)
            group.start_soon(keep, ends, world.use, safe, "a", {})

    async def keep(into, fn, *args):
        into.append(await fn(*args))

    world.run(main)
    assert sorted(ends) == ["new", "old"]
    assert world.call(safe, "a") == "new"


def test_methods_of_several_objects_are_told_apart():
    class Model:
        def __init__(self, answer):
            self.answer = answer

        def predict(self, text):
            return self.answer

    cache = Cache()
    one, other = Model(1), Model(2)
    asked = [cache(one.predict), cache(other.predict)]
    assert [ask("a") for ask in asked * 2] == [1, 2, 1, 2]
    assert cache.statistics().hits == 2
    assert cache.invalidate("a")
    del one, asked


def test_what_takes_no_weak_reference_is_refused_with_the_remedy():
    class Model:
        __slots__ = ()

        def predict(self, text):
            return 1

    with pytest.raises(TypeError, match="__weakref__"):
        Cache()(Model().predict)("a")


def test_a_cache_inside_a_timeout_and_a_retry(world):
    model = world.model(ConnectionError(), slow(1, "cat"))
    safe = Pipeline(Timeout(60), Retry(2), Cache())(model)
    assert world.call(safe, "a") == world.call(safe, "a") == "cat"
    assert len(model.starts) == 2


def test_keys_that_somebody_makes_up_never_grow_it():
    cache = Cache(100_000)
    safe = cache(lambda key: "answer")
    for key in range(3000):
        safe(key)
    seen = cache.statistics()
    assert seen.weight <= 100_000
    assert seen.entries < 300


@pytest.mark.parametrize(
    "wrong",
    [
        {"max_bytes": 0},
        {"ttl": 0},
        {"stale": -1},
        {"stale_if_error": -1},
        {"jitter": 2},
        {"key": 1},
        {"copy": 1},
        {"validate": 1},
        {"coalesce": 1},
        {"hand_overs": -1},
        {"rng": 1},
    ],
    ids=str,
)
def test_wrong_arguments_are_refused(wrong):
    (name,) = wrong
    with pytest.raises((TypeError, ValueError), match=name):
        Cache(**wrong)


def test_the_least_that_there_can_be_is_accepted(world):
    cache = Cache(1, stale=0, stale_if_error=0, jitter=0, hand_overs=0)
    model = world.model("cat", "dog")
    safe = cache(model)
    assert [world.call(safe, "a"), world.call(safe, "a")] == ["cat", "dog"]  # nothing is so small


def test_it_says_what_it_is():
    assert repr(Cache()) == "Cache(67108864 bytes)"
    assert repr(Cache(1000)) == "Cache(1000 bytes)"
    assert repr(Cache(1000, ttl=2, rng=random.random)) == "Cache(1000 bytes, ttl=2 s)"


def test_a_leader_that_fails_hands_over_and_the_answer_is_kept(world):
    model = world.model(slow(1, ConnectionError()), slow(1, "cat"))
    safe = Cache()(model)
    assert kinds(world.together(*[(safe, "a")] * 3)) == [ConnectionError, "cat", "cat"]
    assert world.call(safe, "a") == "cat"
    assert len(model.starts) == 2


def test_a_leader_that_is_cancelled_hands_over(async_world):
    world = async_world
    model = world.model(slow(10, "lost"), slow(1, "cat"))
    safe = Cache()(model)
    ends = []

    async def one():
        ends.append(await world.use(safe, "a", {}))

    async def main():
        async with anyio.create_task_group() as group, anyio.create_task_group() as leader:
            leader.start_soon(one)
            await anyio.sleep(1)
            group.start_soon(one)
            await anyio.sleep(1)
            leader.cancel_scope.cancel()

    world.run(main)
    assert ends == ["cat"]
    assert model.starts == [0, 2]


def test_an_outcome_with_a_stale_answer_holds_no_attempt_of_the_refresh(call_world):
    model = call_world.model("old", "new")
    pipeline = Pipeline(Cache(ttl=10, stale=10))
    seen = []

    def ask():
        for _ in range(2):
            seen.append(pipeline.outcome(model, "a"))
            call_world.clock.sleep(12)

    async def aask():
        for _ in range(2):
            seen.append(await pipeline.aoutcome(model, "a"))
            await anyio.sleep(12)

    call_world.run(aask) if call_world.is_async else ask()
    first, stale = seen
    assert first.served_by == "model"
    assert (stale.value, stale.served_by, stale.degraded, stale.attempts) == ("old", "stale cache", False, ())


def test_an_interrupt_while_a_refresh_begins_is_raised(clock, monkeypatch):
    from resilient_ml._drivers import blocking

    def interrupted(self, step, call):
        raise KeyboardInterrupt

    cache = Cache(ttl=10, stale=10)
    safe = cache(lambda text: "old")
    safe("a")
    clock.sleep(12)
    monkeypatch.setattr(blocking.Blocking, "spawn", interrupted)
    with pytest.raises(KeyboardInterrupt):
        safe("a")
    assert len(cache._flights) == 0


def test_a_stream_finds_what_was_put_in_while_it_joined(stream_world):
    cache = Cache()
    model = stream_world.model(items("a", "b"))
    safe = cache(model)
    assert stream_world.call(safe, 1) == ("a", "b")
    cache._shelf.entries = LateStore(cache._shelf.entries)
    assert stream_world.call(safe, 1) == ("a", "b")
    assert len(model.starts) == 1


class LateStore(Missing):
    """A store that finds nothing at the first two looks."""

    looks = 0

    def peek(self, key, now):
        self.looks += 1
        return None if self.looks == 1 else self.store.peek(key, now)


def test_a_stream_that_is_too_large_is_not_kept_in_part(stream_world):
    chunks = tuple("abcdefgh"[place] * 1000 for place in range(8))
    model = stream_world.model(items(*chunks))
    cache = Cache(4000)
    safe = cache(model)
    assert [stream_world.call(safe, 1) for _ in range(2)] == [chunks] * 2
    assert len(model.starts) == 2
    assert cache.statistics().entries == 0
