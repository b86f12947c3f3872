"""Numbers are found in whatever holds them, and changed in a copy."""

import dataclasses
from collections import OrderedDict, namedtuple
from dataclasses import dataclass, field

import numpy as np
import pytest

from resilient_ml.testing.faults.arrays import changed


@dataclass
class Scored:
    scores: list
    label: str = "cat"
    total: float = field(default=0.0, init=False)


Pair = namedtuple("Pair", "label score")  # noqa: PYI024


def negative(array):
    return -array


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (1.5, -1.5),
        (3, -3),
        (1 + 2j, -1 - 2j),
        ([1, 2], [-1, -2]),
        ([[1.0, 2.0], [3.0, 4.0]], [[-1.0, -2.0], [-3.0, -4.0]]),
        ([[1], [2, 3]], [[-1], [-2, -3]]),
        ((1, 2), (-1, -2)),
        ({"a": [1], "b": "text"}, {"a": [-1], "b": "text"}),
        (OrderedDict(a=1), OrderedDict(a=-1)),
        ([{"label": "cat", "score": 0.5}], [{"label": "cat", "score": -0.5}]),
        (Pair("cat", 0.5), Pair("cat", -0.5)),
        (("cat", 0.5, None), ("cat", -0.5, None)),
        (Scored([1.0]), Scored([-1.0])),
    ],
    ids=repr,
)
def test_numbers_are_changed_wherever_they_are(value, expected):
    before = repr(value)
    found = changed(value, negative, "it")
    assert found == expected
    assert type(found) is type(value)
    assert repr(value) == before


@pytest.mark.parametrize("dtype", ["float32", "float16", "int8", "complex64"])
def test_arrays_and_scalars_of_numpy_keep_their_types(dtype):
    array = np.array([[1, 2], [3, 4]], dtype)
    found = changed({"a": array, "b": array[0, 0]}, negative, "it")
    assert (found["a"].dtype, type(found["b"])) == (array.dtype, array.dtype.type)
    assert (found["a"] == -array).all()
    assert (array == [[1, 2], [3, 4]]).all()


def test_a_number_may_become_an_array():
    assert changed(0.5, lambda array: np.array([1.0, 2.0]), "it") == [1.0, 2.0]
    assert changed(np.float64(0.5), lambda array: np.array([1.0, 2.0]), "it").shape == (2,)


@pytest.mark.parametrize(
    "value",
    [
        "cat",
        None,
        [],
        (),
        {},
        ["cat"],
        {"a": "b"},
        np.array(["cat"]),
        np.str_("cat"),
        object(),
        Scored,
        ("a",),
    ],
)
def test_what_holds_no_numbers_is_refused(value):
    with pytest.raises(TypeError, match="it changes numbers, and there are none in an object of type"):
        changed(value, negative, "it")


def test_a_dataclass_without_numbers_is_refused():
    with pytest.raises(TypeError, match="'Scored'"):
        changed(Scored(["cat"]), negative, "it")
    assert dataclasses.is_dataclass(Scored)
