"""Faults of streams, in plain and awaited ones: what still comes, in which order, when, and how it ends."""

import pytest

from resilient_ml.testing import faults
from resilient_ml.testing.faults import FaultPlan, HangReleased

from ...worlds import items


def each(world, model, see):
    """Call *see* with each item of one stream."""

    async def every():
        async for item in model():
            see(item)

    if world.is_async:
        world.run(every)
    else:
        for item in model():
            see(item)


def taken(world, model):
    """The items of one stream, and the type of the error it ended in, if any."""
    found = []
    try:
        each(world, model, found.append)
    except Exception as error:  # noqa: BLE001
        return "".join(found), type(error).__name__
    return "".join(found), None


LETTERS = items("a", "b", "c")


@pytest.mark.parametrize(
    ("fault", "expected"),
    [
        (faults.cut(), ("a", "ConnectionResetError")),
        (faults.cut(0), ("", "ConnectionResetError")),
        (faults.cut(2, KeyError), ("ab", "KeyError")),
        (faults.cut(2, "overload"), ("ab", "APIStatusError")),
        (faults.cut(3), ("abc", "ConnectionResetError")),
        (faults.cut(4), ("abc", None)),
        (faults.cut(1).on_calls(2), ("abc", None)),
        (faults.truncated(), ("a", None)),
        (faults.truncated(0), ("", None)),
        (faults.truncated(3), ("abc", None)),
        (faults.stall(1.0), ("abc", None)),
        (faults.duplicate_items(1.0), ("aabbcc", None)),
        (faults.lost_items(1.0), ("", None)),
        (faults.malformed_items(1.0), ("\ufffd\ufffd\ufffd", None)),
        (faults.malformed_items(1.0, garble=str.upper), ("ABC", None)),
        (faults.replaced(str.upper), ("ABC", None)),
    ],
    ids=str,
)
def test_of_three_items_these_come(stream_world, fault, expected):
    assert taken(stream_world, faults.inject(stream_world.model(LETTERS), fault)) == expected


@pytest.mark.parametrize(
    ("fault", "struck"),
    [
        (faults.cut(3), 1),
        (faults.cut(4), 0),
        (faults.truncated(2), 1),
        (faults.truncated(3), 0),
        (faults.stall(1.0, at=3), 1),
        (faults.stall(1.0, at=4), 0),
        (faults.stall(1.0, at=None), 1),
        (faults.duplicate_items(1.0), 1),
    ],
    ids=str,
)
def test_a_stream_too_short_for_a_fault_is_not_struck(stream_world, fault, struck):
    plan = FaultPlan(fault)
    taken(stream_world, plan.inject(stream_world.model(LETTERS)))
    assert len(plan.history) == struck


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ([faults.duplicate_items(1.0), faults.truncated(4)], ("aabb", None)),
        ([faults.truncated(2), faults.duplicate_items(1.0)], ("aabb", None)),
        ([faults.duplicate_items(1.0), faults.truncated(3)], ("aab", None)),
        ([faults.lost_items(1.0), faults.cut(1)], ("", None)),
        ([faults.duplicate_items(1.0), faults.replaced(str.upper)], ("AABBCC", None)),
        ([faults.replaced(str.upper), faults.truncated(1), faults.cut(5)], ("A", None)),
        ([faults.truncated(3), faults.cut(3)], ("abc", "ConnectionResetError")),
    ],
    ids=str,
)
def test_each_fault_sees_what_the_one_before_it_lets_through(stream_world, given, expected):
    assert taken(stream_world, faults.inject(stream_world.model(LETTERS), *given)) == expected


@pytest.mark.parametrize(
    ("fault", "arrivals"),
    [
        (faults.stall(5.0), [5, 5, 5]),
        (faults.stall(5.0, at=2), [0, 0, 5]),
        (faults.stall(5.0, at=3), [0, 0, 0, 5]),
        (faults.stall(5.0, at=None), [5, 10, 15]),
        (faults.latency(5.0), [5, 5, 5]),
    ],
    ids=str,
)
def test_items_arrive_when(stream_world, fault, arrivals):
    model = faults.inject(stream_world.model(LETTERS), fault)
    clock = stream_world.clock
    began = clock.now()
    found = []
    each(stream_world, model, lambda item: found.append(clock.now() - began))
    if len(arrivals) == 4:  # the last is the end
        found.append(clock.now() - began)
    assert found == arrivals


def test_every_stall_is_drawn_anew(stream_world):
    began = stream_world.clock.now()
    fault = faults.stall(faults.uniform(1.0, 2.0), at=None)
    taken(stream_world, faults.inject(stream_world.model(LETTERS), fault, seed=2))
    assert 3.0 < stream_world.clock.now() - began < 6.0


def test_a_stall_without_end_is_a_hang(stream_world):
    plan = FaultPlan(faults.stall(at=1))
    plan.release()
    assert taken(stream_world, plan.inject(stream_world.model(LETTERS))) == ("a", HangReleased.__name__)


@pytest.mark.parametrize("make", [faults.cut, faults.truncated, lambda at: faults.stall(1.0, at=at)])
def test_where_it_strikes_may_be_drawn_once_for_each_stream(stream_world, make):
    plan = FaultPlan(make(range(1, 3)), seed=5)
    model = plan.inject(stream_world.model(LETTERS))
    counts = set()
    for _ in range(20):
        began = stream_world.clock.now()
        found, _ = taken(stream_world, model)
        counts.add((found, stream_world.clock.now() - began))
    assert len(plan.history) == 20
    assert len(counts) in (1, 2)
    assert all(found in ("a", "ab", "abc") for found, _ in counts)


def test_a_share_of_items_is_struck():
    def tokens():
        yield from range(2000)

    # 200 expected; six standard deviations are 80.
    found = list(faults.inject(tokens, faults.lost_items())())
    assert 1720 < len(found) < 1880
    found = list(faults.inject(tokens, faults.duplicate_items())())
    assert 2120 < len(found) < 2280
    found = list(faults.inject(tokens, faults.malformed_items())())
    assert 120 < found.count(None) < 280


@pytest.mark.parametrize(
    ("item", "left"),
    [("data: {}", "data\ufffd"), (b"abcd", b"ab\xff"), ({"token": "a"}, {}), (7, None), ([1], None)],
)
def test_what_is_left_of_a_garbled_item(item, left):
    def one():
        yield item

    assert list(faults.inject(one, faults.malformed_items(1.0))()) == [left]


def test_what_breaks_off_early_breaks_off_well(stream_world):
    plan = FaultPlan(faults.overload(1, 0.0, refuse_above=1), faults.duplicate_items(1.0))
    model = plan.inject(stream_world.model(LETTERS))

    async def afirst():
        stream = model()
        found = await anext(stream)
        await stream.aclose()
        return found

    def first():
        stream = model()
        found = next(stream)
        stream.close()
        return found

    for _ in range(2):  # a seat that was not given back would refuse the second
        assert (stream_world.run(afirst) if stream_world.is_async else first()) == "a"


def test_what_they_say_of_themselves():
    plan = FaultPlan(
        faults.cut(),
        faults.cut(range(1, 5), "server"),
        faults.cut(2, KeyError),
        faults.truncated(3),
        faults.stall(),
        faults.stall(0.5, at=None),
        faults.stall(at=2),
        faults.duplicate_items(),
        faults.lost_items(0.5),
        faults.malformed_items(garble=str.upper),
    )
    assert plan.describe().splitlines() == [
        "cut(after=1)",
        "cut(after=range(1, 5), 'server')",
        "cut(after=2, KeyError)",
        "truncated(after=3)",
        "stall()",
        "stall(seconds=0.5)",
        "stall(at=2)",
        "duplicate_items()",
        "lost_items(share=0.5)",
        "malformed_items(garble=str.upper)",
    ]


@pytest.mark.parametrize(
    ("make", "error", "text"),
    [
        (lambda: faults.cut(-1), ValueError, "after must be at least 0"),
        (lambda: faults.cut(range(0)), ValueError, r"after must draw from 0 on, got range\(0, 0\)"),
        (lambda: faults.cut(range(-1, 3)), ValueError, "after must draw from 0 on"),
        (lambda: faults.cut(1, int), TypeError, "error must be an exception class"),
        (lambda: faults.cut(1, "slow"), ValueError, "what must be one of"),
        (lambda: faults.truncated("a"), TypeError, "after must be a whole number"),
        (lambda: faults.stall(-1), ValueError, "seconds must not be negative"),
        (lambda: faults.stall(at=-1), ValueError, "at must be at least 0"),
        (lambda: faults.lost_items(0), ValueError, "share must be above 0"),
        (lambda: faults.malformed_items(garble=5), TypeError, "garble must be callable"),
    ],
)
def test_nonsense_is_refused(make, error, text):
    with pytest.raises(error, match=text):
        make()


@pytest.mark.parametrize(
    "fault",
    [
        faults.cut(),
        faults.truncated(),
        faults.stall(),
        faults.duplicate_items(),
        faults.lost_items(),
        faults.malformed_items(),
    ],
    ids=str,
)
def test_a_callable_that_gives_one_answer_is_refused_at_once(call_world, fault):
    with pytest.raises(
        TypeError, match=r"strikes streams, and 'model' gives one answer; put it around a generator"
    ):
        faults.inject(call_world.model("cat"), fault)
