"""Batches: rows that change places, go missing, or spoil the rest."""

from collections import namedtuple

import numpy as np
import pytest

from resilient_ml.testing import faults
from resilient_ml.testing.faults import FaultPlan

Pair = namedtuple("Pair", "first second")  # noqa: PYI024


def given(fault, value, seed=0):
    return faults.inject(lambda rows: value, fault, seed=seed)(value)


@pytest.mark.parametrize("count", [2, 3, 10])
@pytest.mark.parametrize("kind", [np.array, list, tuple], ids=["array", "list", "tuple"])
def test_no_row_stays_in_its_place_and_none_is_lost(count, kind):
    rows = kind(range(count))
    for seed in range(30):
        found = given(faults.shuffled_rows(), rows, seed)
        assert type(found) is type(rows)
        assert sorted(found) == list(range(count))
        assert all(row != place for place, row in enumerate(found))


def test_the_columns_of_a_dict_are_shuffled_alike():
    found = given(faults.shuffled_rows(), {"id": [1, 2, 3], "score": np.array([1.0, 2.0, 3.0])})
    assert found["id"] == found["score"].tolist()
    assert found["id"] != [1, 2, 3]


def test_one_row_alone_stays_and_that_is_no_strike():
    plan = FaultPlan(faults.shuffled_rows())
    assert plan.inject(lambda: [1])() == [1]
    assert plan.history == ()


@pytest.mark.parametrize(
    ("fault", "left"),
    [
        (faults.partial_batch(), 7),
        (faults.partial_batch(3), 5),
        (faults.partial_batch(20), 0),
        (faults.partial_batch(share=0.5), 4),
        (faults.partial_batch(share=0.01), 7),
        (faults.partial_batch(share=1.0), 0),
    ],
    ids=str,
)
def test_rows_are_missing_and_the_others_keep_their_order(fault, left):
    for seed in range(10):
        found = given(fault, list("abcdefgh"), seed)
        assert len(found) == left
        assert found == sorted(found)
        assert set(found) <= set("abcdefgh")


def test_which_rows_are_missing_is_luck():
    assert len({str(given(faults.partial_batch(), [1, 2, 3], seed)) for seed in range(50)}) == 3


def test_of_no_rows_none_are_missing():
    assert given(faults.partial_batch(), []) == []


def test_a_named_tuple_of_rows_becomes_a_tuple():
    assert given(faults.shuffled_rows(), Pair(1, 2)) == (2, 1)


@pytest.mark.parametrize("fault", [faults.shuffled_rows(), faults.partial_batch()], ids=str)
@pytest.mark.parametrize(
    "value", ["cat", 1.0, np.float64(1.0), np.array(1.0), {}, {"a": [1], "b": [1, 2]}, None]
)
def test_what_has_no_rows_is_refused(fault, value):
    with pytest.raises(TypeError, match="changes rows, and there are none in an object of type"):
        given(fault, value)


def is_negative(row):
    return row < 0


def doubled(rows):
    return [row * 2 for row in rows]


def test_a_poison_row_fails_its_batch_and_no_other():
    plan = FaultPlan(faults.poison(is_negative))
    model = plan.inject(doubled)
    assert model([1, 2]) == [2, 4]
    with pytest.raises(ValueError):
        model([1, -2])
    assert [one.call for one in plan.history] == [2]


@pytest.mark.parametrize("error", [KeyError, lambda: KeyError("row"), "connection"])
def test_a_poison_row_fails_it_with_what_was_said(error):
    model = faults.inject(doubled, faults.poison(is_negative, error=error))
    with pytest.raises((KeyError, ConnectionError)):
        model([-1])


def test_the_answers_to_poison_rows_are_nan():
    plan = FaultPlan(faults.poison(is_negative, answer="nan"))
    model = plan.inject(lambda rows: np.outer(rows, [1, 2]))
    assert str(model([1, -2, 3]).tolist()) == "[[1.0, 2.0], [nan, nan], [3.0, 6.0]]"
    assert model([1, 2]).tolist() == [[1, 2], [2, 4]]
    assert [one.call for one in plan.history] == [1]


def test_answers_of_floats_keep_their_type():
    model = faults.inject(lambda rows: np.array(rows, "float32"), faults.poison(is_negative, answer="nan"))
    assert model([1, -2]).dtype == "float32"


@pytest.mark.parametrize("answer", ["fail", "nan"])
def test_the_batch_may_be_another_argument(answer):
    fault = faults.poison(is_negative, answer=answer, argument="rows", error=KeyError)
    model = faults.inject(lambda *, rows: [0.5 for row in rows], fault)
    try:
        assert str(model(rows=[-1, 1])) == "[nan, 0.5]"
    except KeyError:
        assert answer == "fail"


def test_answers_that_do_not_match_the_rows_are_refused():
    model = faults.inject(sum, faults.poison(is_negative, answer="nan"))
    with pytest.raises(TypeError, match=r"got an array of shape \(\) for 2 rows; put it around"):
        model([1, -2])


def test_what_they_say_of_themselves():
    plan = FaultPlan(
        faults.shuffled_rows(),
        faults.partial_batch(),
        faults.partial_batch(share=0.5),
        faults.poison(is_negative),
        faults.poison(lambda row: True, answer="nan"),
    )
    assert plan.describe().splitlines() == [
        "shuffled_rows()",
        "partial_batch(drop=1)",
        "partial_batch(share=0.5)",
        "poison(is_negative)",
        "poison(...)",
    ]


@pytest.mark.parametrize(
    ("make", "error", "text"),
    [
        (lambda: faults.partial_batch(0), ValueError, "drop must be at least 1"),
        (lambda: faults.partial_batch(1, share=0.5), ValueError, "drop or share must be given, not both"),
        (lambda: faults.partial_batch(share=0), ValueError, "share must be above 0"),
        (lambda: faults.poison("bad"), TypeError, "bad must be callable"),
        (
            lambda: faults.poison(is_negative, answer="inf"),
            ValueError,
            "answer must be 'fail' or 'nan', got 'inf'",
        ),
        (lambda: faults.poison(is_negative, error=5), TypeError, "error must be callable"),
        (lambda: faults.poison(is_negative, argument=-1), ValueError, "argument must be at least 0"),
    ],
)
def test_nonsense_is_refused(make, error, text):
    with pytest.raises(error, match=text):
        make()
