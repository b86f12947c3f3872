"""Ledgers: never over the limit, all of a tree or nothing, and exact."""

import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from resilient_ml.machines.budget import Ledger

from .crowd import crowd


def test_the_worst_case_is_set_aside_and_the_actual_cost_charged():
    ledger = Ledger(1.0)
    assert ledger.reserve(0.0, 0.6) is None
    assert (ledger.spent(0.0), ledger.reserved(), ledger.left(0.0)) == (0, 0.6, 0.4)
    refused = ledger.reserve(0.0, 0.5)
    assert (refused.ledger, refused.left, refused.wait) == (ledger, 0.4, None)
    ledger.settle(0.0, 0.6, 0.1)
    assert (ledger.spent(0.0), ledger.reserved(), ledger.left(0.0)) == (0.1, 0, 0.9)
    assert ledger.unknown == 0
    assert ledger.reserve(0.0, 0.9) is None
    ledger.settle(0.0, 0.9, None)
    assert (ledger.left(0.0), ledger.unknown) == (0, 1)


def test_a_call_that_ends_leaves_what_others_have_set_aside():
    ledger = Ledger(1.0)
    ledger.reserve(0.0, 0.3)
    ledger.reserve(0.0, 0.4)
    ledger.settle(0.0, 0.3, 0.1)
    assert (ledger.spent(0.0), ledger.reserved(), ledger.left(0.0)) == (0.1, 0.4, 0.5)


def test_ten_tenths_are_one():
    ledger = Ledger(1.0)
    for _ in range(10):
        assert ledger.reserve(0.0, 0.1) is None
        ledger.settle(0.0, 0.1, 0.1)
    assert ledger.reserve(0.0, 1e-6) is not None


def test_what_was_spent_leaves_with_its_window():
    ledger = Ledger(1.0, per=100.0)
    ledger.reserve(0.0, 0.6)
    ledger.settle(0.0, 0.6, 0.6)
    ledger.reserve(50.0, 0.4)
    assert ledger.reserve(50.0, 0.5).wait == 52.0
    assert ledger.reserve(50.0, 0.6).wait == 52.0
    assert ledger.reserve(50.0, 0.7).wait is None
    ledger.settle(50.0, 0.4, 0.0)
    assert ledger.spent(101.0) == 0.6
    assert ledger.spent(102.0) == 0


def test_a_tree_takes_all_or_nothing():
    tenant = Ledger(1.0)
    session = Ledger(0.5, within=tenant)
    other = Ledger(5.0, within=tenant)
    assert session.reserve(0.0, 0.5) is None
    assert session.reserve(0.0, 0.1).ledger is session
    assert other.reserve(0.0, 0.6).ledger is tenant
    assert (other.reserved(), tenant.reserved()) == (0, 0.5)
    session.settle(0.0, 0.5, None)
    assert (session.unknown, tenant.unknown, tenant.spent(0.0)) == (1, 1, 0.5)


def test_a_fork_gives_back_what_the_calls_of_the_parent_had_set_aside():
    tenant = Ledger(1.0)
    session = Ledger(0.5, within=tenant)
    session.reserve(0.0, 0.5)
    tenant.after_fork()
    session.after_fork()
    assert session._lock is tenant._lock
    session.settle(0.0, 0.5, 0.0)
    assert (session.left(0.0), tenant.left(0.0)) == (0.5, 1.0)


@pytest.mark.once
@settings(deadline=None, derandomize=True, database=None, max_examples=200)
@given(st.lists(st.tuples(st.integers(0, 30), st.integers(1, 5), st.integers(0, 5)), max_size=60))
def test_no_window_ever_spends_more_than_its_limit(steps):
    ledger = Ledger(8, per=10.0)
    now, spent = 0.0, []
    for tenths, worst, actual in steps:
        now += tenths / 10
        if ledger.reserve(now, worst) is None:
            ledger.settle(now, worst, min(actual, worst))
            spent.append((now, min(actual, worst)))
        assert sum(one for at, one in spent if at > now - 10.0) <= 8


@pytest.mark.parametrize("seed", range(3))
def test_threads_at_the_edge_never_go_over(seed):
    tenant = Ledger(100)
    sessions = [Ledger(20, within=tenant) for _ in range(8)]
    most = []

    def work(number):
        draws = random.Random(number + seed)
        for _ in range(200):
            session = sessions[number]
            worst = draws.randint(1, 5)
            if session.reserve(0.0, worst) is None:
                most.append(tenant.spent(0.0) + tenant.reserved())
                session.settle(0.0, worst, draws.randint(0, worst))

    crowd(8, work)
    assert max(most) <= 100
    assert all(0 <= session.left(0.0) <= 20 for session in sessions)
    assert tenant.spent(0.0) == sum(session.spent(0.0) for session in sessions)
    assert tenant.reserved() == 0


def test_a_call_that_cost_nothing_takes_nothing_of_the_window():
    ledger = Ledger(1.0, per=100.0)
    ledger.reserve(0.0, 0.6)
    ledger.settle(0.0, 0.6, 0.0)
    assert (ledger.spent(0.0), ledger.left(0.0)) == (0, 1.0)


def test_after_a_fork_nothing_is_reserved():
    outer = Ledger(2.0)
    inner = Ledger(1.0, within=outer)
    inner.reserve(0.0, 0.6)
    for ledger in (outer, inner):
        ledger.after_fork()
    assert (inner.reserved(), outer.reserved()) == (0, 0)
    assert inner._lock is outer._lock
