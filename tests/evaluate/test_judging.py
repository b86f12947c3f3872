"""Judging: right or wrong by label, oracle or the user's own judge; streams whole or cut short."""

import math

import numpy as np
import pytest

from resilient_ml.evaluate import KPI, same
from resilient_ml.evaluate.judging import Bench

from .made import reply


def judged(answer, *, label=None, streams=False, expected=None, judge=None, complete=None, kpis=(), **fields):
    row = reply(3, label=label, answer=answer, **fields)
    Bench(expected=expected, judge=judge, complete=complete, streams=streams, kpis=kpis).judge(row)
    return row


@pytest.mark.parametrize(
    ("answer", "expected", "right"),
    [
        (1, 1, True),
        (1.0, 1, True),
        (0.1 + 0.2, 0.3, True),
        (1.00001, 1.0, False),
        (math.nan, 1.0, False),
        (1.0, math.nan, False),
        (math.nan, math.nan, True),
        ("a", "a", True),
        ("1", 1, False),
        (1, "1", False),
        (b"a", b"a", True),
        (None, 1.0, False),
        ([1, 2.0], [1, 2.0], True),
        ((1, 2), [1, 2], True),
        ([1], [1, 2], False),
        (1, [1], False),
        ([[0.1 + 0.2]], [[0.3]], True),
        ({"a": [0.1 + 0.2]}, {"a": [0.3]}, True),
        ({"a": 1, "b": 2}, {"a": 1}, False),
        ([("a", 1)], {"a": 1}, False),
        (np.array([0.1 + 0.2]), np.array([0.3]), True),
        (np.array([0.3, 0.3]), np.array([0.3]), False),
        (np.array([np.nan]), np.array([0.3]), False),
        (np.array([np.nan]), np.array([np.nan]), True),
        (np.array([0.3]), [0.3], True),
        ([0.3], np.array([0.3]), True),
        (np.array(["a"]), np.array(["a"]), True),
        (np.array(["a"]), np.array([1.0]), False),
        (np.float32(0.5), np.float32(0.5), True),
        (None, np.float32(0.5), False),
    ],
)
def test_the_same_is_the_same_number_whatever_holds_it(answer, expected, right):
    assert same(answer, expected) is right


def test_an_answer_is_judged_by_its_label():
    assert judged(5, label=5).right is True
    assert judged(6, label=5).right is False


def test_without_a_label_nobody_can_say():
    row = judged(6)
    assert (row.judged, row.right, row.truncated) == (False, None, None)


def test_without_an_answer_there_is_nothing_right_or_wrong():
    row = judged(None, label=5, status="failed")
    assert (row.judged, row.right) == (True, None)


def test_an_oracle_is_asked_about_the_reply():
    assert judged(6, expected=lambda row: row.number * 2).right is True


def test_the_users_judge_decides():
    row = judged(np.array([0.1, 0.7, 0.2]), label=1, judge=lambda scores, label: scores.argmax() == label)
    assert row.right is True


@pytest.mark.parametrize(
    ("items", "truncated", "right"),
    [
        ("abc", False, True),
        ("ab", True, False),
        ("", True, False),
        ("abd", False, False),
        ("abcd", False, False),
    ],
)
def test_a_stream_is_cut_short_when_right_items_are_missing_at_its_end(items, truncated, right):
    row = judged(list(items), label=list("abc"), streams=True)
    assert (row.truncated, row.right) == (truncated, right)


def test_the_user_may_say_when_a_stream_is_complete():
    def complete(items):
        return items[-1:] == ["done"]

    assert judged(["a", "done"], streams=True, complete=complete).truncated is False
    assert judged(["a"], streams=True, complete=complete).truncated is True
    assert judged(["a"], streams=True, complete=complete, status="failed").truncated is False


def test_of_a_stream_whose_items_nobody_knows_nobody_can_say_that_it_is_cut_short():
    assert judged(["a"], streams=True).truncated is None
    assert judged(["a"], streams=True, label=7).truncated is None
    assert judged(["a"], streams=True, status="failed").truncated is None


def test_a_fallbacks_single_item_is_not_a_cut_stream():
    row = judged(["a"], label=["a", "b"], streams=True, degraded=True)
    assert (row.truncated, row.right) == (False, False)


def test_kpis_of_ones_own_see_the_answer():
    row = judged([1, 2, 3], kpis=[KPI("length", lambda row: len(row.answer), better="higher")])
    assert row.values == {"length": 3.0}
