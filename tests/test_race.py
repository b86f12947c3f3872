"""A race: ends are seen once each, in order, and wake whoever listens at most once."""

import threading
from collections import deque

from resilient_ml._race import Race

from .machines.crowd import PATIENCE, crowd


class Runner:
    """A rival that ends when told."""

    def __init__(self):
        self.cancelled = False
        self.callbacks = []

    def when_arrived(self, callback):
        self.callbacks.append(callback)

    def cancel(self):
        self.cancelled = True

    def finish(self):
        for callback in self.callbacks:
            callback()


def race_of(*runners):
    race = Race()
    for runner in runners:
        race.enter(runner)
    return race


def test_nobody_has_ended_at_first():
    race = race_of(Runner())
    assert race.next() is None
    assert len(race.running) == 1


def test_ends_come_in_the_order_in_which_they_were():
    one, two = Runner(), Runner()
    race = race_of(one, two)
    two.finish()
    one.finish()
    assert [race.next(), race.next(), race.next()] == [two, one, None]
    assert race.running == []


def test_an_end_wakes_who_listens_once():
    one, two = Runner(), Runner()
    race = race_of(one, two)
    woken = []
    assert race.listen(lambda: woken.append("once"))
    one.finish()
    two.finish()
    assert woken == ["once"]
    assert race.heard() is one


def test_nobody_listens_when_one_has_ended_already():
    one = Runner()
    race = race_of(one)
    one.finish()
    woken = []
    assert not race.listen(lambda: woken.append("never"))
    assert race.heard() is one
    assert woken == []


def test_who_has_stopped_listening_is_not_woken():
    one = Runner()
    race = race_of(one)
    woken = []
    race.listen(lambda: woken.append("never"))
    assert race.heard() is None
    one.finish()
    assert woken == []


def test_leaving_cancels_those_who_run():
    one, two, three = Runner(), Runner(), Runner()
    race = race_of(one, two, three)
    two.finish()
    race.next()
    assert race.leave() == (one, three)
    assert [one.cancelled, two.cancelled, three.cancelled] == [True, False, True]


def test_who_is_given_up_is_not_waited_for_and_cancelled_in_the_end():
    one, two = Runner(), Runner()
    race = race_of(one, two)
    two.finish()
    race.next()
    race.give_up()
    assert race.running == []
    assert race.leave() == (one,)
    assert one.cancelled


def test_an_end_in_the_very_moment_of_listening_is_told_once():
    one = Runner()
    race = race_of(one)
    woken = []

    class Ended(deque):
        def __bool__(self):
            one.finish()
            return True

    race._arrived = Ended()
    assert race.listen(lambda: woken.append("once"))
    assert woken == ["once"]
    assert race.heard() is one


def test_one_that_has_been_looked_at_may_wake_who_listens_next():
    one, two = Runner(), Runner()
    race = race_of(one, two)
    woken = []

    class Late(deque):
        def pop(self):
            """Between an arrival and its call the one that waits has looked, and listens again."""
            if not woken:
                assert race.next() is one
                assert race.listen(lambda: woken.append("once"))
            return super().pop()

    race._wakes = Late()
    one.finish()
    assert woken == ["once"]
    assert race.heard() is None
    two.finish()
    assert race.next() is two


def test_no_end_is_missed_between_threads():
    for _ in range(50):
        runners = [Runner() for _ in range(4)]
        race = race_of(*runners)
        seen, idle = [], []

        def work(number, runners=runners, race=race, seen=seen, idle=idle):
            if number:
                runners[number - 1].finish()
                return
            while len(seen) < len(runners):
                rival = race.next()
                if rival is None:
                    woken = threading.Event()
                    if race.listen(woken.set):
                        assert woken.wait(PATIENCE)
                    rival = race.heard()
                (idle if rival is None else seen).append(rival)

        crowd(5, work)
        assert sorted(map(id, seen)) == sorted(map(id, runners))
        assert len(idle) < len(runners)  # each wakes once at most, and one for good
