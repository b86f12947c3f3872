"""Bulkhead with a Queue and a cost: who goes first, who gives way, and what is refused at once."""

import anyio
import pytest

from resilient_ml import Bulkhead, BulkheadFull, Pipeline, Queue, Timeout, deadline, events

from ..worlds import hang, slow


def idle(bulkhead):
    return (bulkhead.in_flight, bulkhead.waiting) == (0, 0)


def order_of(model):
    return [args[0] for args, _ in model.asked]


def first(name, *rest):
    return name


def size_of(size, *rest):
    return size


# ---- seats and costs


def test_a_queue_of_its_own_serves_first_come_first_served(world):
    bulkhead = Bulkhead(1, queue=Queue(size=3))
    model = world.model(slow(1, "cat"))
    safe = bulkhead(model)
    assert world.together((safe, 0), (safe, 1), (safe, 2)) == ["cat"] * 3
    assert order_of(model) == [0, 1, 2]
    assert model.script.most_inside == 1
    assert idle(bulkhead)


@pytest.mark.parametrize("end", ["cat", KeyError], ids=["answer", "error"])
def test_a_seat_is_given_back_however_the_call_ends(world, end):
    bulkhead = Bulkhead(1, queue=Queue(size=1))
    safe = bulkhead(world.model(end))
    for _ in range(3):
        assert not isinstance(world.failure(safe), BulkheadFull)
    assert idle(bulkhead)


def test_calls_take_seats_by_what_they_cost(world):
    bulkhead = Bulkhead(10, cost=size_of)
    safe = bulkhead(world.model(slow(1, "cat")))
    ends = world.together((safe, 6), (safe, 4), (safe, 0.5))
    assert [type(end) for end in ends] == [str, str, BulkheadFull]
    assert idle(bulkhead)
    assert bulkhead.limit == 10


def test_what_costs_more_than_all_seats_is_refused_and_never_queued(world):
    bulkhead = Bulkhead(10, cost=size_of, queue=5, name="gpu")
    error = world.failure(bulkhead(world.model("cat")), 11)
    assert str(error) == (
        "bulkhead 'gpu' can never let it in: it costs 11, and 10 is the most inside; raise limit= if the "
        "model can take more, or put a Fallback or a Retry with on=BulkheadFull outside it"
    )
    assert idle(bulkhead)


def test_who_waits_for_many_seats_is_not_overtaken(world):
    bulkhead = Bulkhead(4, cost=size_of, queue=5)
    model = world.model(slow(1, "cat"), slow(2, "cat"), slow(1, "cat"))
    safe = bulkhead(model)
    assert world.together((safe, 2), (safe, 2), (safe, 4), (safe, 1)) == ["cat"] * 4
    assert list(zip(order_of(model), model.starts, strict=True)) == [(2, 0), (2, 0), (4, 2), (1, 3)]


@pytest.mark.parametrize(
    ("cost", "error", "message"),
    [
        (lambda: 0, ValueError, "cost must return a number above 0, got 0; return 1 for a small call"),
        (lambda: "many", TypeError, "cost must be a number, got 'many'; return a number above 0"),
        (lambda: float("nan"), ValueError, "cost must be finite, got nan; return a number above 0"),
    ],
)
def test_what_is_no_cost_is_refused(cost, error, message):
    bulkhead = Bulkhead(4, cost=cost)
    with pytest.raises(error) as refused:
        bulkhead(lambda: "cat")()
    assert str(refused.value) == message
    assert idle(bulkhead)


# ---- bands and tenants


def test_the_more_urgent_band_goes_first(world):
    bulkhead = Bulkhead(1, queue=Queue(size=9, band=first, bands=("interactive", "batch")))
    model = world.model(slow(1, "cat"))
    safe = bulkhead(model)
    calls = ["batch", "batch", "interactive", "batch", "interactive"]
    world.together(*[(safe, name) for name in calls])
    assert order_of(model) == ["batch", "interactive", "interactive", "batch", "batch"]


def test_a_less_urgent_call_gives_way_when_the_queue_is_full(world):
    seen = []
    rules = Queue(size=1, band=first, bands=("interactive", "batch"))
    bulkhead = Bulkhead(1, queue=rules, name="gpu", on_event=seen.append)
    safe = bulkhead(world.model(slow(1, "cat")))
    ends = world.together((safe, "batch"), (safe, "batch"), (safe, "interactive"))
    assert [type(end) for end in ends] == [str, BulkheadFull, str]
    reason = "gave its place in the queue to a call of a more urgent band, or of another tenant"
    assert str(ends[1]).startswith(f"bulkhead 'gpu' {reason}; raise limit=")
    assert [event.reason for event in seen if isinstance(event, events.CallRejected)] == [reason]
    assert idle(bulkhead)


def test_a_tenant_that_floods_does_not_starve_another(world):
    bulkhead = Bulkhead(1, queue=Queue(size=20, tenant=first))
    model = world.model(slow(1, "cat"))
    safe = bulkhead(model)
    world.together(
        *[(safe, "loud", number) for number in range(9)], *[(safe, "quiet", number) for number in range(3)]
    )
    assert order_of(model)[:8].count("quiet") == 3


# ---- time


def test_a_waiter_leaves_at_queue_seconds(world):
    bulkhead = Bulkhead(1, queue=Queue(size=2), queue_seconds=2)
    safe = bulkhead(world.model(slow(5, "cat")))
    began = world.clock.now()
    ends = world.together((safe,), (safe,))
    assert [type(end) for end in ends] == [str, BulkheadFull]
    assert "had no seat free in the time that was left to wait" in str(ends[1])
    assert world.clock.now() - began == 5
    assert idle(bulkhead)


def within(world, seconds, safe):
    """*safe* under a deadline of the caller's own, in the world's colour."""

    def call(*args):
        with deadline(seconds):
            return safe(*args)

    async def acall(*args):
        with deadline(seconds):
            return await safe(*args)

    def stream(*args):
        with deadline(seconds):
            yield from safe(*args)

    async def astream(*args):
        with deadline(seconds):
            async for item in safe(*args):
                yield item

    return {"call": call, "async call": acall, "stream": stream, "async stream": astream}[world.colour.value]


def test_what_would_not_be_served_in_time_is_refused_at_once(call_world):
    world = call_world
    seen = []
    bulkhead = Bulkhead(1, queue=Queue(size=9), name="gpu", on_event=seen.append)
    model = world.model(slow(2, "cat"))
    safe = bulkhead(model)
    for _ in range(8):
        world.call(safe)
    began = world.clock.now()
    ends = world.together((safe,), (safe,), (within(world, 5, safe),), (within(world, 8.5, safe),))
    assert [type(end) for end in ends] == [str, str, BulkheadFull, str]
    assert ends[2].retry_after == pytest.approx(2)
    rejected = next(event for event in seen if isinstance(event, events.CallRejected))
    assert rejected.at == began
    assert rejected.reason.startswith("would let it in after 4 s for some 2")
    assert rejected.retry_after == pytest.approx(2)
    assert len(model.starts) == 11
    assert idle(bulkhead)


def test_what_has_no_time_left_when_its_turn_comes_never_reaches_the_model(call_world):
    world = call_world
    bulkhead = Bulkhead(1, queue=Queue(size=9))
    model = world.model(*[slow(2, "cat")] * 8, slow(6, "slow"), slow(2, "cat"))
    safe = bulkhead(model)
    for _ in range(8):
        world.call(safe)
    ends = world.together((safe,), (within(world, 7, safe),), (safe,))
    assert [type(end) for end in ends] == [str, BulkheadFull, str]
    assert "its time was up" in str(ends[1])
    assert len(model.starts) == 10
    assert idle(bulkhead)


def test_a_stream_holds_its_seat_to_its_end_and_is_measured_by_it(stream_world):
    bulkhead = Bulkhead(1, queue=Queue(size=1))
    safe = bulkhead(stream_world.model(slow(2, "cat")))
    assert stream_world.together((safe,), (safe,)) == ["cat", "cat"]
    assert idle(bulkhead)


def test_a_seat_is_held_until_an_abandoned_thread_returns(plain_world):
    bulkhead = Bulkhead(1, queue=Queue(size=1))
    safe = Pipeline(bulkhead, Timeout(1))(plain_world.model(slow(5, "cat")))
    assert isinstance(plain_world.failure(safe), TimeoutError)
    assert bulkhead.in_flight == 1
    plain_world.clock.sleep(4.5)
    assert idle(bulkhead)


# ---- leaving


def test_cancelling_every_waiter_at_once_leaves_every_permit_home(await_world):
    bulkhead = Bulkhead(2, queue=Queue(size=100, tenant=first), cost=None)
    safe = bulkhead(await_world.model(hang()))

    async def main():
        with anyio.move_on_after(1):
            async with anyio.create_task_group() as group:
                for number in range(50):
                    group.start_soon(safe, number % 3)
        assert idle(bulkhead)

    await_world.run(main)
    assert bulkhead._door.machine.waiting_cost == 0


# ---- settings


def test_it_shows_its_numbers():
    assert repr(Bulkhead(4, queue=Queue(size=9))) == "Bulkhead(4, queue=9, fifo)"
    assert repr(Bulkhead(4.5, cost=len)) == "Bulkhead(4.5 in cost, queue=0)"
    assert repr(Bulkhead(4, cost=len, queue=2)) == "Bulkhead(4 in cost, queue=2, fifo)"


@pytest.mark.parametrize(
    ("wrong", "error", "message"),
    [
        ({"limit": 0, "cost": len}, ValueError, "limit must be above 0, got 0; pass how much may be inside"),
        (
            {"limit": 1.5, "queue": Queue(size=1)},
            TypeError,
            "limit must be a whole number, got 1.5; pass how many",
        ),
        ({"limit": 4, "cost": 2}, TypeError, "cost must be callable, got 2; pass a function of the call's"),
        (
            {"limit": 4, "cost": len, "queue": -1},
            ValueError,
            "queue must be at least 0, got -1; pass 0 to refuse",
        ),
    ],
)
def test_bad_settings_are_refused_with_the_remedy(wrong, error, message):
    with pytest.raises(error) as refused:
        Bulkhead(**wrong)
    assert str(refused.value).startswith(message)
