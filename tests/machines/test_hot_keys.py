"""Heat classes: a hot key has its part of the places, a cold one is not bounded, and a flood is forgotten."""

import threading

import pytest
from hypothesis import given
from hypothesis import strategies as st

from resilient_ml.machines.hot_keys import HotKeyMachine


def machine(share=0.5, hot=4, warm=4, keys=8, window=20):
    return HotKeyMachine(share, hot, warm, keys, window)


def visit(machine, *keys):
    for key in keys:
        machine.enter(key).leave()


def test_nothing_is_hot_before_a_tenth_of_the_window():
    hot = machine(window=1000, hot=1)
    assert all(hot.enter("a").inside for _ in range(99))
    assert not hot.enter("a").inside


def test_heat_goes_by_share():
    hot = machine(share=0.6, window=1000)
    visit(hot, *"abcd" * 50)
    assert hot.enter("a").heat is None
    visit(hot, *"a" * 100)
    assert hot.enter("a").heat == "warm"
    visit(hot, *"a" * 200)
    assert hot.enter("a").heat == "hot"
    assert hot.enter("b").heat is None


@pytest.mark.parametrize(
    ("asked", "heat"),
    [("abcd" * 4, None), ("abcd" * 4 + "ba", "warm"), ("aabc" * 4, "warm"), ("aabc" * 4 + "a", "hot")],
)
def test_exactly_the_share_is_not_hot_and_exactly_half_of_it_not_warm(asked, heat):
    hot = machine(share=0.5, window=100)
    *before, last = asked[::-1]  # an "a" comes last
    visit(hot, *before)
    assert hot.enter(last).heat == heat


def test_who_has_exactly_the_share_takes_no_part_of_the_places():
    hot = machine(share=0.25, hot=4, window=80)
    visit(hot, *"aabbcdef" * 2, *"aabbcde")
    seat = hot.enter("a")  # 7 of 24; 6 are b's
    assert (seat.heat, seat.limit) == ("hot", 4)


def test_a_hot_key_has_so_many_places_and_gets_them_back():
    hot = machine(hot=2)
    visit(hot, *"aaaa")
    seats = [hot.enter("a") for _ in range(4)]
    assert [seat.inside for seat in seats] == [True, True, False, False]
    seats[3].leave()
    assert not hot.enter("a").inside
    seats[0].leave()
    seats[0].leave()
    assert hot.enter("a").inside
    assert hot.in_flight == 2


def test_warm_keys_have_places_of_their_own():
    hot = machine(share=0.6, warm=1, window=1000)
    visit(hot, *"ab" * 60)
    seat = hot.enter("a")
    assert (seat.heat, seat.limit, seat.inside) == ("warm", 1, True)
    assert not hot.enter("a").inside
    assert hot.enter("b").inside


def test_several_hot_keys_share_their_places():
    hot = machine(share=0.2, hot=4, window=1000)
    visit(hot, *"ab" * 60)
    assert hot.enter("a").limit == hot.enter("b").limit == 2
    hot = machine(share=0.2, hot=1, window=1000)
    visit(hot, *"ab" * 60)
    assert hot.enter("a").limit == 1


def test_keys_that_somebody_makes_up_take_no_memory_and_are_never_hot():
    hot = machine(share=0.1, keys=32, hot=1, window=1000)
    for key in range(20_000):
        seat = hot.enter(key)
        assert seat.inside
        seat.leave()
    assert len(hot._sketch) == 32
    assert not hot._inside


def test_a_flood_of_keys_hides_no_hot_key():
    hot = machine(share=0.1, keys=32, window=1000)
    for key in range(5000):
        visit(hot, key, "a")
    assert hot.enter("a").heat == "hot"
    assert hot.hottest(1)[0].key == "a"


def test_who_was_inside_across_a_fork_takes_nothing_from_the_child():
    hot = machine(hot=1)
    before = hot.enter("a")
    hot.after_fork()
    during = hot.enter("a")
    before.leave()
    assert hot.in_flight == 1
    during.leave()
    assert hot.in_flight == 0


def test_a_child_that_was_forked_in_the_middle_of_the_books_keeps_them():
    hot = machine(hot=1)
    hot._busy = True
    hot.after_fork()
    assert hot.enter("a").inside


@given(st.lists(st.tuples(st.integers(0, 3), st.booleans()), max_size=200))
def test_the_books_are_what_is_inside(steps):
    hot = machine(share=0.3, hot=2, warm=3, keys=7)
    seats = []
    for key, enters in steps:
        if enters or not seats:
            seats.append(hot.enter(key))
        else:
            seats.pop(0).leave()
        inside = [seat.key for seat in seats if seat.inside]
        assert hot._inside == {key: inside.count(key) for key in inside}


@pytest.mark.parametrize("limit", [1, 3])
def test_threads_at_once_never_exceed_the_limit(limit):
    hot = machine(share=0.1, hot=limit, window=100, keys=32)
    visit(hot, *"a" * 50)
    most, inside, lock = [0], [0], threading.Lock()

    def work():
        for _ in range(300):
            seat = hot.enter("a")
            if seat.inside:
                with lock:
                    inside[0] += 1
                    most[0] = max(most[0], inside[0])
                with lock:
                    inside[0] -= 1
                seat.leave()

    threads = [threading.Thread(target=work) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert 1 <= most[0] <= limit
    assert hot.in_flight == 0


def test_who_comes_in_the_middle_of_the_books_goes_by():
    hot = machine(hot=1)
    add = hot._sketch.add
    inner = []

    class Sketch(type(hot._sketch)):
        __slots__ = ()

        def add(self, key):
            inner.append(hot.enter(key))
            return add(key)

    hot._sketch.__class__ = Sketch
    assert hot.enter("a").inside
    assert [(seat.heat, seat.inside) for seat in inner] == [(None, False)]
    inner[0].leave()
    assert hot.in_flight == 1


def test_counts_that_an_interrupt_tore_begin_anew():
    hot = machine()
    visit(hot, *"aaaa")

    class Torn(type(hot._sketch)):
        __slots__ = ()

        def add(self, key):
            raise KeyboardInterrupt

    hot._sketch.__class__ = Torn
    with pytest.raises(KeyboardInterrupt):
        hot.enter("a")
    assert hot.hottest(3) == []
    visit(hot, *"bb")
    assert hot.hottest(1)[0].count == 2
