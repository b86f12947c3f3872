"""Spoiled numbers: what comes of arrays, lists and scalars, how many, and never in the model's own array."""

import numpy as np
import pytest

from resilient_ml.testing import faults, virtual_time
from resilient_ml.testing.faults import FaultPlan


def spoiled(fault, value, seed=0):
    return faults.inject(lambda: value, fault, seed=seed)()


@pytest.mark.parametrize(
    ("fault", "value", "expected"),
    [
        (faults.nan(), [0.5, 1], "[nan, nan]"),
        (faults.nan(), 3, "nan"),
        (faults.nan(), True, "nan"),
        (faults.inf(), [0.5], "[inf]"),
        (faults.inf(negative=True), (1, 2), "(-inf, -inf)"),
        (faults.zeroed(), [[1.5, 2.5]], "[[0.0, 0.0]]"),
        (faults.zeroed(), [1, 2], "[0, 0]"),
        (faults.zeroed(), True, "False"),
        (faults.constant(), [0.1, 0.9], "[0.5, 0.5]"),
        (faults.constant(2), [1, 3], "[2, 2]"),
        (faults.constant(0.5), [1, 3], "[0.5, 0.5]"),
        (faults.constant(2), True, "2.0"),
        (faults.wrong_shape(), [0.1, 0.9], "[0.1, 0.9, 0.9]"),
        (faults.wrong_shape(2), [[1], [2]], "[[1, 1, 1], [2, 2, 2]]"),
        (faults.wrong_shape(-1), [[1, 2], [3, 4]], "[[1], [3]]"),
        (faults.wrong_shape(), 0.5, "[0.5, 0.5]"),
        (faults.wrong_dtype(), [0.5], "['0.5']"),
        (faults.wrong_dtype("int64"), [1.7, -1.7], "[1, -1]"),
        (faults.drift(shift=1.0), [1, 2], "[2.0, 3.0]"),
        (faults.drift(scale=2.0), True, "2.0"),
        (faults.replaced(lambda answer: answer[::-1]), "cat", "tac"),
    ],
    ids=str,
)
def test_an_answer_comes_out_like_this(fault, value, expected):
    assert str(spoiled(fault, value)) == expected


@pytest.mark.parametrize(
    "fault",
    [
        faults.nan(),
        faults.inf(),
        faults.zeroed(),
        faults.constant(),
        faults.wrong_shape(),
        faults.wrong_shape(-1),
        faults.wrong_dtype("float16"),
        faults.drift(shift=1.0),
        faults.shuffled_rows(),
        faults.partial_batch(),
    ],
    ids=str,
)
def test_the_models_own_array_stays_as_it_is(fault):
    array = np.array([[0.25, 0.75], [0.5, 0.5]])
    array.flags.writeable = False
    found = spoiled(fault, array)
    assert not np.shares_memory(found, array)
    assert not np.array_equal(found, array) or found.dtype != array.dtype


@pytest.mark.parametrize(
    ("fault", "dtype", "expected"),
    [
        (faults.nan(), "float32", "float32"),
        (faults.nan(), "float16", "float16"),
        (faults.nan(), "complex64", "complex64"),
        (faults.nan(), "int64", "float64"),
        (faults.inf(), "uint8", "float64"),
        (faults.zeroed(), "int8", "int8"),
        (faults.zeroed(), "bool", "bool"),
        (faults.constant(300), "uint8", "float64"),
        (faults.constant(200), "uint8", "uint8"),
        (faults.constant(1e9), "float16", "float16"),
        (faults.wrong_shape(), "float32", "float32"),
        (faults.wrong_dtype("float16"), "float64", "float16"),
        (faults.drift(shift=1.0), "float32", "float32"),
        (faults.drift(shift=1.0), "int32", "float64"),
    ],
    ids=str,
)
def test_the_type_of_an_array_afterwards(fault, dtype, expected):
    assert spoiled(fault, np.ones((2, 3), dtype)).dtype == expected


@pytest.mark.parametrize(("share", "struck"), [(0.001, 1), (0.25, 3), (0.3, 4), (0.5, 6), (1.0, 12)])
def test_a_share_of_the_numbers_is_struck_one_at_least(share, struck):
    for seed in range(20):
        assert np.isnan(spoiled(faults.nan(share), np.ones((3, 4)), seed)).sum() == struck


def test_which_numbers_are_struck_is_luck():
    found = {
        str(np.flatnonzero(np.isnan(spoiled(faults.nan(0.1), np.ones(10), seed)))) for seed in range(100)
    }
    assert len(found) == 10


def test_whole_rows_are_zeroed():
    for seed in range(20):
        found = spoiled(faults.zeroed(0.5), np.ones((4, 3)), seed)
        assert sorted(found.sum(axis=1)) == [0, 0, 3, 3]


def test_of_numbers_without_rows_one_is_zeroed():
    assert spoiled(faults.zeroed(0.5), np.float64(3.0)) == 0.0


def test_an_array_that_is_not_contiguous_is_struck_where_it_is_seen():
    array = np.ones((4, 6))[:, ::2].T
    assert np.isnan(spoiled(faults.nan(0.25), array)).sum() == 3


def test_an_empty_array_stays_empty():
    assert spoiled(faults.nan(0.5), np.ones((0, 3))).shape == (0, 3)
    assert spoiled(faults.wrong_shape(), np.ones((3, 0))).tolist() == [[0.0], [0.0], [0.0]]
    assert spoiled(faults.wrong_shape(-1), np.ones((3, 0))).shape == (3, 0)


def test_drift_grows_with_calls_and_stays():
    model = faults.inject(lambda: 10.0, faults.drift(shift=8.0, scale=3.0, over_calls=4))
    assert [model() for _ in range(6)] == [17.0, 24.0, 31.0, 38.0, 38.0, 38.0]


def test_drift_grows_with_time_and_stays():
    with virtual_time() as clock:
        model = faults.inject(lambda: 10.0, faults.drift(shift=8.0, over_seconds=100))
        found = []
        for _ in range(4):
            found.append(model())
            clock.sleep(50)
    assert found == [10.0, 14.0, 18.0, 18.0]


def test_an_answer_without_numbers_is_refused_and_not_in_the_history():
    plan = FaultPlan(faults.nan())
    with pytest.raises(TypeError, match=r"nan\(\) changes numbers, and there are none in .* 'str'"):
        plan.inject(lambda: "cat")()
    assert plan.history == ()


def test_what_changes_nothing_is_not_in_the_history():
    plan = FaultPlan(faults.replaced(lambda answer: answer))
    assert plan.inject(lambda: "cat")() == "cat"
    assert plan.history == ()


def test_what_they_say_of_themselves():
    plan = FaultPlan(
        faults.nan(),
        faults.nan(0.1),
        faults.inf(),
        faults.inf(negative=True, share=0.5),
        faults.zeroed(0.5),
        faults.constant(2),
        faults.wrong_shape(),
        faults.wrong_shape(-2),
        faults.wrong_dtype(),
        faults.wrong_dtype(np.float16),
        faults.drift(shift=1.0),
        faults.drift(scale=1.5, over_calls=10),
        faults.drift(1.0, over_seconds=60),
        faults.replaced(sorted),
    )
    assert plan.describe().splitlines() == [
        "nan()",
        "nan(share=0.1)",
        "inf()",
        "inf(negative=True, share=0.5)",
        "zeroed(share=0.5)",
        "constant(value=2)",
        "wrong_shape()",
        "wrong_shape(extra=-2)",
        "wrong_dtype()",
        "wrong_dtype(dtype='float16')",
        "drift(shift=1)",
        "drift(scale=1.5, over_calls=10)",
        "drift(shift=1, over_seconds=60)",
        "replaced(change=sorted)",
    ]


@pytest.mark.parametrize(
    ("make", "error", "text"),
    [
        (lambda: faults.nan(0), ValueError, "share must be above 0 and at most 1, got 0"),
        (lambda: faults.inf(2), ValueError, "share must be above 0 and at most 1, got 2"),
        (lambda: faults.inf(negative="yes"), TypeError, "negative must be True or False"),
        (lambda: faults.constant(float("nan")), ValueError, "value must be finite"),
        (lambda: faults.wrong_shape(0), ValueError, "extra must not be 0"),
        (lambda: faults.wrong_shape(1.5), TypeError, "extra must be a whole number"),
        (lambda: faults.wrong_shape(-1.5), TypeError, "extra must be a whole number"),
        (lambda: faults.wrong_shape("a"), TypeError, "extra must be a whole number, got 'a'"),
        (lambda: faults.wrong_dtype("float1"), TypeError, "dtype must be one of numpy's, got 'float1'"),
        (faults.drift, ValueError, "shift or scale must change something"),
        (lambda: faults.drift(1, over_calls=1, over_seconds=1), ValueError, "over_calls or over_seconds"),
        (lambda: faults.drift(1, over_calls=0), ValueError, "over_calls must be at least 1"),
        (lambda: faults.drift(1, over_seconds=0), ValueError, "over_seconds must be above 0"),
        (lambda: faults.replaced(5), TypeError, "change must be callable"),
    ],
)
def test_nonsense_is_refused(make, error, text):
    with pytest.raises(error, match=text):
        make()
