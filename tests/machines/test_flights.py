"""Flights: one leader a key, handed over to a follower that is there, and nobody waits for ever."""

import threading

import pytest
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from resilient_ml.machines.flights import Flight, Flights, Seat


def seated(flights, *names, key=b"k"):
    """Seats with those names, the first of which leads; who was woken."""
    woken = []
    seats = []
    for name in names:
        seat = Seat(name)
        if not flights.join(key, seat):
            assert flights.follow(seat, lambda name=name: woken.append(name) or True)
        seats.append(seat)
    return seats, woken


def test_followers_are_woken_with_the_answer():
    flights = Flights(1)
    (one, two, three), woken = seated(flights, *"abc")
    flights.land(one, "answer")
    assert woken == ["b", "c"]
    assert two.flight is three.flight and two.flight.answer == "answer"
    assert len(flights) == 0
    assert one.flight is None and not one.leads


def test_a_failure_is_handed_over_so_often_and_then_shared():
    flights = Flights(1)
    (one, two, three), woken = seated(flights, *"abc")
    error = ConnectionError()
    flights.fail(one, error, shared=False)
    assert woken == ["b"] and two.leads
    flight = two.flight
    flights.fail(two, error, shared=False)
    assert woken == ["b", "c"] and not three.leads
    assert flight.over and flight.error is error


@pytest.mark.parametrize("hand_overs", [0, 1, 2, 5])
def test_a_model_that_is_dead_is_called_once_and_once_for_each_handing_over(hand_overs):
    flights = Flights(hand_overs)
    seats, _ = seated(flights, *"abcdefghi")
    calls = 0
    while leading := [seat for seat in seats if seat.leads]:
        (leader,) = leading
        calls += 1
        flights.fail(leader, ConnectionError(), shared=False)
    assert calls == 1 + hand_overs


def test_only_the_leader_lands_or_fails():
    flights = Flights(1)
    (one, two), woken = seated(flights, *"ab")
    flights.land(two, "answer")
    flights.fail(two, ValueError(), shared=True)
    flights.fail(two, ValueError(), shared=False)
    assert not woken and not two.flight.over
    assert one.leads and not two.leads and two.flight.handed == 0


def test_a_follower_that_comes_when_all_is_over_has_nothing_to_wait_for():
    flights = Flights(1)
    (one,), _ = seated(flights, "a")
    late = Seat("b")
    assert not flights.join(b"k", late)
    flights.land(one, "answer")
    assert flights.follow(late, bool) is False
    assert flights.listen(late, 0, bool) is False
    flights.stay(late)
    assert not late.flight.followers
    flights.stay(Seat("c"))
    assert not flights.follow(Seat("c"), bool)


def test_who_leaves_before_it_waits_or_after_all_is_over_leaves_no_trace():
    flights = Flights(1)
    (one,), _ = seated(flights, "a")
    two = Seat("b")
    flights.join(b"k", two)
    flights.leave(two)
    assert two.flight is None
    flights.leave(two)
    flights.leave(one)
    assert len(flights) == 0


def test_who_was_interrupted_while_it_woke_the_rest_goes_on_with_that():
    flights = Flights(1)
    (one, _two, _three), woken = seated(flights, *"abc")

    class Interrupt(BaseException):
        pass

    def interrupted():
        raise Interrupt

    one.flight.followers[0].wake = interrupted
    with pytest.raises(Interrupt):
        flights.land(one, "answer")
    flights.fail(one, ValueError(), shared=True)
    assert woken == ["c"]
    assert one.flight is None


def test_who_was_interrupted_and_leaves_wakes_the_rest():
    flights = Flights(1)
    (one, two), woken = seated(flights, *"ab")
    one.flight.over = True
    flights.leave(one)
    assert woken == ["b"] and two.flight.over and not two.leads


def test_nobody_follows_itself_or_joins_only_to_lead():
    flights = Flights(1)
    seated(flights, "a")
    again = Seat("a")
    assert flights.join(b"k", again) is False and again.flight is None
    from_inside = Seat(threading.get_ident())  # on the leader's thread, whatever the leader itself is
    assert not flights.join(b"k", from_inside) and from_inside.flight is None
    refresher = Seat("b")
    assert not flights.join(b"k", refresher, only_to_lead=True) and refresher.flight is None


def test_a_flight_that_is_forgotten_goes_on_for_those_inside():
    for key in (None, b"k"):
        flights = Flights(1)
        (one, two), _ = seated(flights, *"ab")
        flights.forget(key)
        (three,), _ = seated(flights, "c")
        assert three.leads
        flights.land(one, "old")
        assert two.flight.answer == "old"
        assert len(flights) == 1


def test_chunks_wake_who_waits_for_them_and_the_oldest_go():
    flights = Flights(1)
    (one,), _ = seated(flights, "a")
    woken = []
    two = Seat("b")
    flights.join(b"k", two)
    flights.stay(two)
    assert flights.listen(two, 0, lambda: woken.append(1) or True)
    flights.record(one, "x", 6, 10)
    assert woken == [1]
    assert len(flights) == 1  # who comes now still has it all
    assert not flights.listen(two, 0, bool)
    assert flights.listen(two, 1, lambda: woken.append(2) or True)
    flights.record(one, "y", 6, 10)
    assert woken == [1, 2]
    assert (two.flight.dropped, two.flight.chunks, two.flight.weight) == (1, [("y", 6)], 6)
    assert len(flights) == 0
    assert flights.listen(one, 9, bool) is False  # it leads, and hears itself
    flights.lose(one, "why")
    assert flights.listen(two, 9, bool) is False
    flights.record(one, "z", 1, 10)
    assert (two.flight.lost, two.flight.chunks) == ("why", [])
    nobody = Seat("c")
    assert flights.listen(nobody, 0, bool) is False
    flights.record(nobody, "z", 1, 10)
    flights.lose(nobody, "why")


def test_a_child_of_a_fork_has_no_flights():
    flights = Flights(1)
    seated(flights, "a")
    flights.after_fork()
    assert len(flights) == 0


class Play(RuleBasedStateMachine):
    """However they come, fail, leave and land: one leader each, and whoever waits is woken in the end."""

    def __init__(self):
        super().__init__()
        self.flights = Flights(2)
        self.waiting = {}
        self.leading = []
        self.number = 0

    @rule(key=st.sampled_from([b"a", b"b"]), gone=st.booleans())
    def join(self, key, gone):
        self.number += 1
        seat = Seat(self.number)
        if self.flights.join(key, seat):
            self.leading.append(seat)
        else:
            self.flights.follow(seat, lambda: self.wake(seat, gone))
            self.waiting[seat] = seat.flight

    def wake(self, seat, gone):
        self.waiting.pop(seat)
        if gone:
            return False
        if seat.leads:
            self.leading.append(seat)
        return True

    @precondition(lambda self: self.leading)
    @rule(data=st.data(), how=st.sampled_from(["land", "fail", "share", "leave"]))
    def end(self, data, how):
        seat = self.leading.pop(data.draw(st.integers(0, len(self.leading) - 1)))
        if how == "land":
            self.flights.land(seat, "answer")
        elif how == "leave":
            self.flights.leave(seat)
        else:
            self.flights.fail(seat, ValueError(), shared=how == "share")

    @precondition(lambda self: self.waiting)
    @rule(data=st.data())
    def follower_leaves(self, data):
        seat = data.draw(st.sampled_from(sorted(self.waiting, key=lambda one: one.who)))
        del self.waiting[seat]
        self.flights.leave(seat)

    @invariant()
    def agrees(self):
        flying = [seat.flight for seat in self.leading]
        assert len(set(map(id, flying))) == len(flying) == len(self.flights)
        assert {id(flight) for flight in self.waiting.values()} <= set(map(id, flying))
        for flight in flying:
            assert isinstance(flight, Flight)
            assert flight.handed <= 2
            assert len(flight.followers) == sum(held is flight for held in self.waiting.values())


TestPlay = pytest.mark.once(Play.TestCase)
