"""Who waits, whose turn it is, and who gives way: bands, tenants, order, ageing, reserved shares."""

import math

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from resilient_ml.machines.queue_rules import Queue
from resilient_ml.machines.waiting_room import Ticket, WaitingRoom

PROPERTY = settings(derandomize=True, deadline=None, max_examples=200, database=None)
BANDS = ("interactive", "batch", "spare")


def room_of(**rules):
    rules.setdefault("size", 100)
    if "bands" in rules:
        rules.setdefault("band", lambda band: band)
    return WaitingRoom(Queue(**rules))


def ticket(room, came=0.0, cost=1.0, until=math.inf, band=0, tenant=None):
    made = Ticket(cost, until, math.inf, came, band, tenant, lambda: True)
    room.add(made)
    return made


def would_be(came=0.0, cost=1.0, until=math.inf, band=0, tenant=None):
    return Ticket(cost, until, math.inf, came, band, tenant, lambda: True)


def served(room, now=0.0):
    """Serve all who wait."""
    order = []
    while (one := room.next(now)) is not None:
        room.serve(one)
        order.append(one)
    assert (room.count, room.cost) == (0, 0.0)
    return order


def tenant(user):
    return user


# ---- order


def test_who_came_first_goes_first():
    room = room_of()
    tickets = [ticket(room, came=float(number)) for number in range(5)]
    assert served(room) == tickets


def test_under_load_who_came_last_goes_first():
    room = room_of(order="lifo_under_load", standing_seconds=1.0)
    tickets = [ticket(room, came=0.1 * number) for number in range(5)]
    assert room.next(0.9) is tickets[0]
    assert room.next(1.0) is tickets[4]
    assert served(room, 1.0) == tickets[::-1]
    again = [ticket(room, came=5.0), ticket(room, came=5.1)]
    assert served(room, 5.5) == again


def test_an_empty_queue_stands_no_longer():
    room = room_of(order="lifo_under_load", standing_seconds=1.0)
    one = ticket(room, came=0.0)
    room.remove(one)
    ticket(room, came=5.0)
    assert not room.last_first(5.5)
    assert room.last_first(6.0)


def test_who_has_the_least_time_left_goes_first():
    room = room_of(order="deadline")
    tickets = [ticket(room, until=until) for until in (5.0, 1.0, 3.0, math.inf, 1.0)]
    assert served(room) == [tickets[position] for position in (1, 4, 2, 0, 3)]


# ---- bands


def test_a_more_urgent_band_goes_first():
    room = room_of(bands=BANDS)
    spare, batch, first, second = (ticket(room, band=band) for band in (2, 1, 0, 0))
    assert served(room) == [first, second, batch, spare]


def test_waiting_makes_a_call_more_urgent():
    room = room_of(bands=BANDS, ageing_seconds=10.0)
    old = ticket(room, came=0.0, band=1)
    new = ticket(room, came=9.0, band=0)
    assert room.next(9.9) is new
    assert room.next(10.0) is old  # as urgent, and there before it
    older = ticket(room, came=-20.0, band=2)
    assert room.next(10.0) is older


def test_a_band_gets_the_share_that_is_reserved_for_it():
    room = room_of(bands=BANDS, reserved={"batch": 0.25})
    order = []
    for _ in range(400):
        ticket(room, band=0)
        if not room._bands[1]:
            ticket(room, band=1)
        one = room.next(0.0)
        order.append(one.band)
        room.serve(one)
        for waiting in list(room._bands[0].get(None, ())):
            if len(room._bands[0][None]) > 2:
                room.remove(waiting)
    assert order.count(1) / len(order) == pytest.approx(0.25, abs=0.02)
    assert order[-40:].count(1) == pytest.approx(10, abs=2)


def test_without_a_share_a_band_waits_for_the_more_urgent():
    room = room_of(bands=BANDS)
    ticket(room, band=1)
    for _ in range(50):
        urgent = ticket(room, band=0)
        assert room.next(0.0) is urgent
        room.serve(urgent)


# ---- tenants


def test_tenants_take_turns_however_much_one_of_them_asks():
    room = room_of(tenant=tenant)
    for _ in range(50):
        ticket(room, tenant="loud")
    for _ in range(5):
        ticket(room, tenant="quiet")
    order = [one.tenant for one in served(room)]
    assert order[:10].count("quiet") == 5


def test_turns_are_by_cost():
    room = room_of(tenant=tenant)
    for _ in range(50):
        ticket(room, tenant="large", cost=4.0)
    for _ in range(100):
        ticket(room, tenant="small", cost=1.0)
    costs = {"large": 0.0, "small": 0.0}
    for _ in range(50):
        one = room.next(0.0)
        room.serve(one)
        costs[one.tenant] += one.cost
    assert costs["large"] == pytest.approx(costs["small"], abs=4)


def test_what_a_tenant_did_not_use_is_not_saved_up():
    room = room_of(tenant=tenant)
    for _ in range(100):
        room.charge("old", 1.0)
    for _ in range(20):
        ticket(room, tenant="new")
    for _ in range(20):
        ticket(room, tenant="old")
    order = [one.tenant for one in served(room)]
    assert order[:20].count("old") == pytest.approx(10, abs=1)


def test_being_forgotten_gains_nothing():
    room = room_of(tenant=tenant, max_tenants=2)
    for number in range(100):
        room.charge(f"tenant {number % 4}", 1.0)
    for number in range(4):
        for _ in range(5):
            ticket(room, tenant=f"tenant {number}")
    order = [one.tenant for one in served(room)]
    assert all(order[:16].count(f"tenant {number}") == pytest.approx(4, abs=1) for number in range(4))
    assert len(room._tags) <= 2


def test_tenants_are_forgotten_and_memory_is_bounded():
    room = room_of(tenant=tenant, max_tenants=10)
    for number in range(1000):
        room.charge(number, 1.0)
        one = ticket(room, tenant=number)
        room.remove(one)
    assert len(room._tags) <= 11
    assert not any(room._bands)


# ---- a full room


def test_there_is_a_place_up_to_the_size_and_the_cost():
    room = room_of(size=2, max_cost=10.0)
    assert room.has_place(10.0)
    assert not room.has_place(10.1)
    ticket(room, cost=6.0)
    assert room.has_place(4.0)
    assert not room.has_place(4.1)
    ticket(room, cost=1.0)
    assert not room.has_place(1.0)


def test_the_newest_of_the_least_urgent_band_gives_way_to_a_more_urgent_call():
    room = room_of(size=3, bands=BANDS)
    ticket(room, band=0)
    ticket(room, band=2)
    newest = ticket(room, band=2)
    assert room.gives_way_to(would_be(band=1), 0.0) is newest
    assert room.gives_way_to(would_be(band=2), 0.0) is None
    room.remove(newest)
    assert room.gives_way_to(would_be(band=2), 0.0) is None


def test_nobody_more_urgent_gives_way():
    room = room_of(size=1, bands=BANDS)
    ticket(room, band=0)
    assert room.gives_way_to(would_be(band=1), 0.0) is None


def test_the_tenant_with_most_waiting_gives_way():
    room = room_of(size=4, tenant=tenant)
    ticket(room, tenant="quiet")
    tickets = [ticket(room, tenant="loud") for _ in range(3)]
    assert room.gives_way_to(would_be(tenant="quiet"), 0.0) is tickets[-1]
    assert room.gives_way_to(would_be(tenant="other"), 0.0) is tickets[-1]
    assert room.gives_way_to(would_be(tenant="loud"), 0.0) is None
    ticket(room, tenant="quiet")
    assert room.gives_way_to(would_be(tenant="quiet"), 0.0) is None  # it would have as much then


def test_where_the_last_go_first_the_oldest_gives_way():
    room = room_of(size=3, order="lifo_under_load", standing_seconds=1.0)
    tickets = [ticket(room, came=0.0) for _ in range(3)]
    assert room.gives_way_to(would_be(came=0.5), 0.5) is None
    assert room.gives_way_to(would_be(came=1.0), 1.0) is tickets[0]


def test_nobody_gives_way_where_that_would_not_do():
    room = room_of(size=10, max_cost=10.0, bands=BANDS)
    ticket(room, cost=8.0, band=0)
    ticket(room, cost=1.0, band=2)
    assert room.gives_way_to(would_be(cost=5.0, band=0), 0.0) is None
    assert room.gives_way_to(would_be(cost=2.0, band=0), 0.0) is not None


def test_an_empty_room_has_nobody_to_give_way():
    assert room_of().gives_way_to(would_be(), 0.0) is None


# ---- what is ahead


@pytest.mark.parametrize(
    ("rules", "waiting", "mine", "ahead"),
    [
        ({}, [{"cost": 2.0}, {"cost": 3.0}], {}, 5.0),
        ({"order": "deadline"}, [{"until": 5.0}, {"until": 9.0}], {"until": 7.0}, 1.0),
        ({"bands": BANDS}, [{"band": 0}, {"band": 1}, {"band": 2}], {"band": 1}, 2.0),
        ({"tenant": tenant}, [{"tenant": "a"}] * 10, {"tenant": "b"}, 1.0),
        ({"tenant": tenant}, [{"tenant": "a"}] * 10 + [{"tenant": "b"}], {"tenant": "b"}, 3.0),
        ({"tenant": tenant}, [{"tenant": "a"}] * 10, {"tenant": "a"}, 10.0),
        ({"order": "lifo_under_load", "standing_seconds": 0.5}, [{}] * 10, {"came": 1.0}, 0.0),
    ],
)
def test_what_is_ahead_of_a_call_is_what_will_be_served_before_it(rules, waiting, mine, ahead):
    room = room_of(**rules)
    for one in waiting:
        ticket(room, **one)
    assert room.ahead_of(would_be(**mine), 1.0) == ahead


# ---- properties


RULES = st.fixed_dictionaries(
    {
        "order": st.sampled_from(["fifo", "lifo_under_load", "deadline"]),
        "bands": st.sampled_from([(), BANDS]),
        "tenant": st.sampled_from([None, tenant]),
        "ageing_seconds": st.sampled_from([None, 1.0]),
        "max_tenants": st.sampled_from([1, 3, 100]),
    }
)
STEPS = st.lists(
    st.tuples(
        st.sampled_from(["add", "serve", "remove"]),
        st.integers(0, 2),
        st.integers(0, 4),
        st.floats(0.1, 5.0),
        st.floats(0.0, 1.0),
    ),
    max_size=60,
)


@PROPERTY
@given(rules=RULES, steps=STEPS)
def test_whoever_waits_is_served_or_leaves_exactly_once(rules, steps):
    if not rules["bands"]:
        rules = {key: value for key, value in rules.items() if key != "bands"}
    room = room_of(**rules)
    waiting, now = [], 0.0
    for what, band, who, cost, wait in steps:
        now += wait
        if what == "add":
            waiting.append(
                ticket(
                    room,
                    came=now,
                    cost=cost,
                    until=now + cost,
                    band=band if "bands" in rules else 0,
                    tenant=who,
                )
            )
        elif what == "serve":
            one = room.next(now)
            assert (one is None) == (not waiting)
            if one is not None:
                room.serve(one)
                waiting.remove(one)
        elif waiting:
            one = waiting.pop(who % len(waiting))
            assert room.remove(one)
            assert not room.remove(one)
        assert room.count == len(room) == len(waiting)
        assert room.cost == pytest.approx(sum(one.cost for one in waiting))
    assert set(served(room, now)) == set(waiting)
