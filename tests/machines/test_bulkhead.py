"""A bulkhead's seats: taken, queued for, handed over and given back."""

import random
import threading
from collections import deque
from collections.abc import Callable

import pytest

from resilient_ml.machines.bulkhead import BulkheadMachine, Seats, Ticket

from .crowd import PATIENCE, crowd


class Interrupted(deque[Ticket]):
    """A queue whose only waiter is served by a finalizer just before it is served."""

    def popleft(self) -> Ticket:
        super().popleft()
        return super().popleft()


class Guest:
    """Waits in a queue; its wake counts, and may fail as if its event loop were gone."""

    def __init__(self, machine: BulkheadMachine, *, reachable: bool = True) -> None:
        self.woken = 0
        self.reachable = reachable
        self.machine = machine
        self.ticket = machine.join(self.wake)

    def wake(self) -> bool:
        self.woken += 1
        return self.reachable

    @property
    def seated(self) -> bool:
        return self.ticket is not None and self.ticket.granted is not None

    def keeps(self) -> Seats:
        seats = self.leave()
        assert seats is not None
        return seats

    def leave(self) -> Seats | None:
        assert self.ticket is not None
        return self.machine.leave(self.ticket)


def full(limit: int = 1, queue: int = 3) -> tuple[BulkheadMachine, list[Seats]]:
    machine = BulkheadMachine(limit, queue)
    return machine, [seat(machine) for _ in range(limit)]


def seat(machine: BulkheadMachine) -> Seats:
    seats = machine.take()
    assert seats is not None
    return seats


def test_seats_are_taken_up_to_the_limit() -> None:
    machine, seats = full(limit=3)
    assert (machine.in_flight, machine.waiting) == (3, 0)
    assert machine.take() is None
    for number, one in enumerate(seats, 1):
        machine.give(one)
        assert machine.in_flight == 3 - number
    assert machine.take() is not None


def test_without_a_queue_nobody_waits() -> None:
    machine, _ = full(queue=0)
    assert Guest(machine).ticket is None
    assert (machine.in_flight, machine.waiting) == (1, 0)


def test_the_queue_holds_no_more_than_its_places() -> None:
    machine, _ = full(queue=2)
    guests = [Guest(machine) for _ in range(3)]
    assert [guest.ticket is not None for guest in guests] == [True, True, False]
    assert (machine.in_flight, machine.waiting) == (1, 2)


def test_seats_go_to_waiters_first_come_first_served() -> None:
    machine, (first,) = full()
    guests = [Guest(machine) for _ in range(3)]
    machine.give(first)
    assert [guest.seated for guest in guests] == [True, False, False]
    machine.give(guests[0].keeps())
    assert [guest.seated for guest in guests] == [False, True, False]
    assert [guest.woken for guest in guests] == [1, 1, 0]
    assert (machine.in_flight, machine.waiting) == (1, 1)


def test_a_newcomer_does_not_pass_those_who_wait() -> None:
    machine, seats = full(limit=2)
    guest = Guest(machine)
    machine._seats.append(None)  # a seat is on its way to the guest
    assert machine.take() is None
    machine.give(seats[0])
    assert guest.seated


def test_whoever_joins_takes_a_seat_that_was_given_back_in_that_moment() -> None:
    machine, (first,) = full()
    machine.give(first)  # after the newcomer looked, before it joined
    guest = Guest(machine)
    assert guest.seated and guest.woken == 1
    assert (machine.in_flight, machine.waiting) == (1, 0)


def test_a_waiter_that_leaves_is_never_woken() -> None:
    machine, (first,) = full()
    gone, stays = Guest(machine), Guest(machine)
    assert gone.leave() is None
    assert machine.waiting == 1
    machine.give(first)
    assert (gone.seated, gone.woken, stays.seated, stays.woken) == (False, 0, True, 1)


def test_leaving_makes_room_in_the_queue() -> None:
    machine, _ = full(queue=1)
    Guest(machine).leave()
    assert Guest(machine).ticket is not None


def test_a_waiter_that_leaves_after_its_seat_came_learns_so_once() -> None:
    machine, (first,) = full()
    guest = Guest(machine)
    machine.give(first)
    assert guest.leave() is first
    assert guest.leave() is None
    assert machine.in_flight == 1
    machine.give(first)
    assert machine.in_flight == 0


def test_leaving_twice_is_harmless() -> None:
    machine, _ = full()
    guest = Guest(machine)
    assert guest.leave() is None
    assert guest.leave() is None


def test_a_seat_goes_to_the_next_when_the_first_cannot_be_woken() -> None:
    machine, (first,) = full()
    lost, reached = Guest(machine, reachable=False), Guest(machine)
    machine.give(first)
    assert (lost.woken, lost.seated, reached.seated) == (1, False, True)
    assert (machine.in_flight, machine.waiting) == (1, 0)
    assert lost.leave() is None


def test_a_seat_is_free_again_when_nobody_can_be_woken() -> None:
    machine, (first,) = full()
    guests = [Guest(machine, reachable=False) for _ in range(3)]
    machine.give(first)
    assert [guest.woken for guest in guests] == [1, 1, 1]
    assert (machine.in_flight, machine.waiting) == (0, 0)


def test_a_waiter_that_left_with_its_seat_while_it_was_woken_keeps_it() -> None:
    machine, (first,) = full()
    left: list[Seats | None] = []
    tickets: list[Ticket | None] = []

    def leave_meanwhile() -> bool:
        ticket = tickets[0]
        assert ticket is not None
        left.append(machine.leave(ticket))
        return False

    tickets.append(machine.join(leave_meanwhile))
    machine.give(first)
    assert left == [first]
    assert machine.in_flight == 1


def test_a_wake_may_use_the_bulkhead_and_no_lock_is_held() -> None:
    machine, (first,) = full()
    free: list[bool] = []

    def wake() -> bool:
        def probe(_: int) -> None:
            free.append(machine._lock.acquire(timeout=PATIENCE))
            machine._lock.release()

        crowd(1, probe)
        return True

    machine.join(wake)
    machine.give(first)
    assert free == [True]


def test_several_seats_that_came_free_together_are_all_handed_over() -> None:
    machine, seats = full(limit=3)
    machine._seats.extend([None, None])  # given back in the moment before the guests joined
    guests = [Guest(machine) for _ in range(3)]
    assert [guest.seated for guest in guests] == [True, True, False]
    machine.give(seats[0])
    assert guests[2].seated


def test_a_hand_over_that_was_interrupted_is_made_up_for_by_the_next() -> None:
    machine, seats = full(limit=3)
    guests = [Guest(machine), Guest(machine)]
    machine._seats.append(None)  # given back by a thread that was interrupted right after
    machine.give(seats[0])
    assert [guest.seated for guest in guests] == [True, True]


@pytest.mark.parametrize(("limit", "threads"), [(1, 8), (3, 12)])
def test_threads_never_exceed_the_limit_and_no_seat_is_lost(limit: int, threads: int) -> None:
    machine = BulkheadMachine(limit, queue=threads)
    inside: list[None] = []
    most: list[int] = []
    served = [0] * threads

    def work(number: int) -> None:
        rng = random.Random(number)
        for _ in range(150):
            seats = take_or_wait(machine, rng.choice([0.0, 0.0005, PATIENCE]))
            if seats is None:
                continue
            inside.append(None)
            most.append(len(inside))
            served[number] += 1
            inside.pop()
            machine.give(seats)

    crowd(threads, work)
    assert max(most) <= limit
    assert (machine.in_flight, machine.waiting) == (0, 0)
    assert all(served)
    for _ in range(limit):
        assert machine.take() is not None
    assert machine.take() is None


def take_or_wait(machine: BulkheadMachine, seconds: float) -> Seats | None:
    """As the policy does it, on a thread."""
    seats = machine.take()
    if seats is not None:
        return seats
    flag = threading.Event()

    def wake() -> bool:
        flag.set()
        return True

    ticket = machine.join(wake)
    if ticket is None:
        return None
    came = flag.wait(seconds)
    seats = machine.leave(ticket)
    assert seats is not None or not came, "woken without a seat"
    assert seats is not None or seconds < PATIENCE, "a wake was lost"
    return seats


def test_patient_threads_are_all_served() -> None:
    machine = BulkheadMachine(2, queue=10)
    order: list[int] = []

    def work(number: int) -> None:
        for _ in range(100):
            seats = take_or_wait(machine, PATIENCE)
            assert seats is not None
            order.append(number)
            machine.give(seats)

    crowd(10, work)
    assert sorted(order) == sorted(list(range(10)) * 100)
    assert machine.in_flight == 0


@pytest.mark.parametrize("way", [lambda: True, lambda: False])
def test_unreachable_waiters_among_threads_lose_no_seat(way: Callable[[], bool]) -> None:
    machine = BulkheadMachine(1, queue=50)

    def work(number: int) -> None:
        for _ in range(100):
            if number == 0:
                ticket = machine.join(way)
                if ticket is not None and (granted := machine.leave(ticket)) is not None:
                    machine.give(granted)
            elif (seats := machine.take()) is not None:
                machine.give(seats)

    crowd(6, work)
    assert (machine.in_flight, machine.waiting) == (0, 0)


def test_a_waiter_that_is_served_in_between_costs_no_seat() -> None:
    machine = BulkheadMachine(1, queue=1)
    seats = machine.take()
    assert seats is not None
    Guest(machine)
    machine.waiters = Interrupted(machine.waiters)
    machine.give(seats)
    assert machine.in_flight == 0
