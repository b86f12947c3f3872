"""Client-side throttling: the formula, the window, and a refused model that is not flooded nor forgotten."""

import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from resilient_ml.machines.throttle import HeldBack, ThrottleMachine

from .crowd import crowd

PROPERTY = settings(derandomize=True, deadline=None, max_examples=200, database=None)


def throttle(multiplier=2.0, seconds=10.0, most=0.9, minimum=1):
    return ThrottleMachine(multiplier, seconds, most, minimum)


def counted(machine, now, accepted=0, refused=0):
    for _ in range(accepted):
        machine.accepted(now)
    for _ in range(refused):
        machine.refused(now)


@pytest.mark.parametrize(
    ("accepted", "refused", "share"),
    [
        (0, 0, 0.0),
        (10, 0, 0.0),
        (10, 10, 0.0),  # one in two is taken: nothing is held back yet
        (9, 10, 1 / 20),
        (1, 8, 7 / 10),
        (0, 1, 1 / 2),
        (0, 8, 8 / 9),
        (0, 9, 0.9),
        (0, 1000, 0.9),  # the cap
    ],
)
def test_the_share_held_back_is_what_is_refused_beyond_one_in_two(accepted, refused, share):
    machine = throttle()
    counted(machine, 0.0, accepted, refused)
    assert machine.share(0.0) == pytest.approx(share)


@pytest.mark.parametrize(("multiplier", "share"), [(1.1, 0.44), (1.5, 0.2), (2.0, 0.0)])
def test_a_smaller_multiplier_holds_back_sooner(multiplier, share):
    machine = throttle(multiplier)
    counted(machine, 0.0, accepted=11, refused=11)
    assert machine.share(0.0) == pytest.approx((22 - multiplier * 11) / 23)
    assert machine.share(0.0) == pytest.approx(share, abs=0.04)


def test_what_is_held_back_counts_as_a_request():
    machine = throttle()
    counted(machine, 0.0, accepted=1, refused=3)
    assert machine.admit(0.0, 0.39) == HeldBack(share=pytest.approx(2 / 5), requests=4, accepts=1)
    assert machine.share(0.0) == pytest.approx(3 / 6)
    assert machine.tally(0.0).calls == 5


def test_a_draw_at_the_share_lets_the_call_through_and_counts_nothing():
    machine = throttle()
    counted(machine, 0.0, accepted=1, refused=3)
    assert machine.admit(0.0, 0.4) is None
    assert machine.tally(0.0).calls == 4


def test_too_few_calls_hold_nothing_back():
    machine = throttle(minimum=5)
    counted(machine, 0.0, refused=4)
    assert machine.share(0.0) == 0.0
    assert machine.admit(0.0, 0.0) is None
    counted(machine, 0.0, refused=1)
    assert machine.share(0.0) == pytest.approx(5 / 6)


def test_refusals_are_forgotten_with_the_window():
    machine = throttle(seconds=10.0)
    counted(machine, 0.5, refused=20)
    assert machine.share(9.0) == 0.9
    assert machine.tight
    assert machine.share(10.5) == 0.0
    assert machine.tight  # nobody has asked for admission yet
    assert machine.admit(10.5, 0.0) is None
    assert not machine.tight


def test_a_model_that_has_never_refused_is_not_asked_about():
    machine = throttle()
    assert not machine.tight
    counted(machine, 0.0, accepted=5)
    assert not machine.tight
    counted(machine, 0.0, refused=1)
    assert machine.tight
    machine.admit(0.0, 0.99)
    assert machine.tight  # one of six is still in the window
    assert machine.tally(0.0).slow == 0


def test_a_reset_forgets_everything():
    machine = throttle()
    counted(machine, 0.0, refused=20)
    machine.reset()
    assert not machine.tight
    assert machine.share(0.0) == 0.0


@pytest.mark.once
@PROPERTY
@given(
    steps=st.lists(
        st.tuples(st.floats(0, 3), st.sampled_from(["accepted", "refused", "asked"]), st.floats(0, 0.999)),
        max_size=80,
    ),
    multiplier=st.floats(1.01, 5),
    most=st.floats(0.1, 0.99),
    minimum=st.integers(1, 10),
)
def test_it_counts_as_a_list_of_everything_would(steps, multiplier, most, minimum):
    """A list of all outcomes, of which those of the last ten tenths of the window count, whole tenths."""
    machine = throttle(multiplier, 10.0, most, minimum)
    now, seen = 0.0, []
    for wait, step, draw in steps:
        now += wait
        inside = [taken for at, taken in seen if at // 1.0 > now // 1.0 - 10]
        requests, accepts = len(inside), sum(inside)
        share = (
            0.0
            if requests < minimum
            else min(most, max(0.0, (requests - multiplier * accepts) / (requests + 1)))
        )
        assert machine.share(now) == pytest.approx(share)
        if step == "asked":
            held = machine.admit(now, draw)
            assert (held is not None) == (draw < share)
            if held is not None:
                assert (held.requests, held.accepts) == (requests, accepts)
                seen.append((now, False))
        else:
            getattr(machine, step)(now)
            seen.append((now, step == "accepted"))


@pytest.mark.once
@pytest.mark.parametrize("offered", [150, 300, 1000])
def test_what_is_sent_settles_near_twice_what_is_taken(offered):
    """A model that takes 100 a second, and refuses the rest of what it is sent."""
    machine = throttle(seconds=10.0, most=0.99, minimum=10)
    rng = random.Random(7)
    sent = taken = 0
    for second in range(60):
        room = 100
        for number in range(offered):
            now = second + number / offered
            if machine.tight and machine.admit(now, rng.random()) is not None:
                continue
            room -= 1
            if second >= 30:
                sent += 1
                taken += room >= 0
            (machine.accepted if room >= 0 else machine.refused)(now)
    assert taken / 30 == pytest.approx(100, rel=0.02)
    assert sent / taken == pytest.approx(min(2.0, offered / 100), rel=0.1)


def test_after_an_outage_the_traffic_comes_back_within_two_windows():
    machine = throttle(seconds=10.0, minimum=10)
    rng = random.Random(7)
    answered = dict.fromkeys(range(60), 0)
    for second in range(60):
        for number in range(100):
            now = second + number / 100
            if machine.tight and machine.admit(now, rng.random()) is not None:
                continue
            up = not 10 <= second < 30
            answered[second] += up
            (machine.accepted if up else machine.refused)(now)
    assert answered[29] == 0
    assert answered[30] >= 5  # the tenth that always gets through finds it out at once
    assert sum(answered[second] for second in range(30, 36)) >= 45
    assert answered[40] >= 20
    assert all(answered[second] == 100 for second in range(50, 60))


def test_a_clock_that_steps_back_breaks_nothing():
    machine = throttle()
    counted(machine, 100.0, refused=5)
    counted(machine, 99.0, accepted=5, refused=5)
    assert machine.tally(98.0).calls == 15
    assert 0 <= machine.share(50.0) <= 0.9


def test_no_outcome_is_lost_between_threads():
    machine = throttle(seconds=1e9)

    def work(number):
        for turn in range(300):
            (machine.refused if (turn + number) % 3 == 0 else machine.accepted)(float(turn))

    crowd(8, work)
    tally = machine.tally(300.0)
    assert tally.calls == 8 * 300
    assert tally.failures == 8 * 100
