"""The key of a call's arguments: equal where the content is, different where anything of it is."""

import collections
import dataclasses
import datetime as dt
import decimal
import enum
import fractions
import itertools
import pathlib
import sys
import threading
import types
import typing
import uuid

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from resilient_ml._content import content_key, key_of_value


class Colour(enum.Enum):
    RED = 1
    BLUE = 2


@dataclasses.dataclass
class Row:
    name: str
    values: list


@dataclasses.dataclass
class OtherRow:
    name: str
    values: list


class Words(list):
    """A list with something beside."""


class Text(str):
    __slots__ = ()


class Point(typing.NamedTuple):
    x: int
    y: int


def key(*args, **kwargs):
    return content_key(1, args, kwargs)


def words(language):
    made = Words(["a"])
    made.language = language
    return made


DIFFERENT = [
    *(1, True, 1.0, "1", b"1", bytearray(b"1"), 1 + 0j, np.int64(1), np.float64(1), np.float32(1), np.True_),
    *(0, False, 0.0, -0.0, "", b"", None, (), [], {}, set(), ...),
    *([1], (1,), {1}, {1: 1}, [[1]], [(1,)], ["1"], Point(1, 2), (1, 2), [1, 2], [2, 1], "12", ["12"]),
    *(["a", "bc"], ["ab", "c"], ["abc"], [["a"], "b"], [["a", "b"]]),
    *({"a": 1}, {"a": 2}, {"b": 1}, {"a": {"b": 1}}, collections.OrderedDict(a=1)),
    *(collections.OrderedDict(a=1, b=2), collections.OrderedDict(b=2, a=1)),
    *(collections.defaultdict(int, a=1), collections.defaultdict(list, a=1), collections.Counter(a=1)),
    *(Colour.RED, Colour.BLUE, Row("a", [1]), Row("a", [2]), OtherRow("a", [1])),
    *(words("en"), words("de"), Text("1"), types.SimpleNamespace(a=1), types.SimpleNamespace(a=2)),
    *(np.zeros(4), np.zeros(4, "f4"), np.zeros((2, 2)), np.zeros((4, 1)), np.zeros(4, ">f8"), np.ones(4)),
    *(np.array(["a", "b"]), np.array(["a", "b"], object), np.array([]), np.array([], "i8"), np.array(1.0)),
    np.array([(1, 2.0)], [("a", "i4"), ("b", "f8")]),
    np.array([(1, 2.0)], [("a", "i4"), ("c", "f8")]),
    np.ma.array([1.0, 2.0], mask=[0, 1]),
    np.ma.array([1.0, 2.0], mask=[0, 0]),
    np.array([1, 2], "M8[s]"),
    np.array([1, 2], "M8[ms]"),
    *(range(3), range(4), slice(1), slice(2), slice(None, 1, 2)),
    *(
        dt.date(2020, 1, 1),
        dt.datetime(2020, 1, 1, 1, tzinfo=dt.UTC),
        dt.datetime(2020, 1, 1, tzinfo=dt.UTC),
        dt.time(1),
    ),
    *(dt.timedelta(1), decimal.Decimal("1.0"), decimal.Decimal("1.00"), fractions.Fraction(1)),
    *(uuid.UUID(int=1), uuid.UUID(int=2), pathlib.PurePosixPath("1"), int, str, memoryview(b"1")),
]


def test_what_differs_in_type_shape_or_content_has_different_keys():
    keys = [key(value) for value in DIFFERENT]
    assert all(len(one) == 16 for one in keys)
    for (one, a), (other, b) in itertools.combinations(zip(DIFFERENT, keys, strict=True), 2):
        assert a != b, (one, other)


def test_the_same_content_has_the_same_key():
    grid = np.arange(24).reshape(4, 6)
    for one, other in [
        ({"a": 1, "b": [2]}, {"b": [2], "a": 1}),
        ({"x", "y", "z"}, {"z", "y", "x"}),
        (types.MappingProxyType({"a": 1}), {"a": 1}),
        (grid[:, ::2], grid[:, ::2].copy()),
        (np.asfortranarray(grid), grid),
        (Row("a", [1, {2}]), Row("a", [1, {2}])),
        (np.array([1, "a"], object), np.array([1, "a"], object)),
        (words("en"), words("en")),
        (memoryview(b"abcdef")[::2], memoryview(b"ace")),
    ]:
        assert key(one) == key(other)
    assert key(1, a=1, b=2) == key(1, b=2, a=1)


def test_functions_versions_positions_and_names_are_told_apart():
    keys = {
        content_key(1, ("a",), {}),
        content_key(2, ("a",), {}),
        content_key(1, ("a",), {}, "v1"),
        content_key(1, ("a",), {}, "v2"),
        content_key(1, (), {"a": "a"}),
        content_key(1, ("a", "a"), {}),
        content_key(1, (("a", "a"),), {}),
        content_key(1, (), {}),
        content_key(12, ("",), {}),
        content_key(1, ("2 ",), {}),
        key_of_value(1, "a"),
        key_of_value(2, "a"),
        key_of_value(1, "a", "v1"),
    }
    assert len(keys) == 13


class Model:
    pass


class Bare:
    __slots__ = ()


@pytest.mark.parametrize(
    ("value", "what"),
    [
        (threading.Lock(), "lock"),
        ((i for i in ()), "generator"),
        (Model(), "Model"),
        (Bare(), "Bare"),
        ([{"a": (Model(),)}], "Model"),
        (lambda: 1, "function"),
        (np.array([Model()], object), "Model"),
        (sys, "module"),
    ],
)
def test_what_has_no_content_is_refused_by_name_with_the_remedy(value, what):
    with pytest.raises(TypeError, match=f"argument 2 has no content.*{what}.*pass key="):
        key("a", value)
    with pytest.raises(TypeError, match="argument 'session' has no content"):
        key("a", session=value)
    with pytest.raises(TypeError, match="what key= returned has no content"):
        key_of_value(1, value)
    with pytest.raises(TypeError, match="version has no content"):
        key_of_value(1, "a", value)


def test_a_value_that_contains_itself_is_refused():
    loop = []
    loop.append(loop)
    with pytest.raises(TypeError, match="contains itself"):
        key(loop)


def test_a_class_inside_a_function_is_refused_as_there_may_be_several():
    class Inner:
        pass

    with pytest.raises(TypeError, match="defined in a function"):
        key(Inner)


# ---- packages that are not installed here, by what they look like


def made(module, name, **body):
    return type(name, (), {"__module__": module, **body})


class TensorLike:
    dtype = "torch.float32"

    def __init__(self, values):
        self.values = values
        self.steps = []

    def detach(self):
        self.steps.append("detach")
        return self

    def cpu(self):
        self.steps.append("cpu")
        return self

    def __array__(self, dtype=None, copy=None):
        if self.values is None:
            raise RuntimeError
        return np.array(self.values)


Tensor = type("Tensor", (TensorLike,), {"__module__": "torch"})


def test_a_tensor_is_read_as_an_array_from_wherever_it_is():
    tensor = Tensor([1.0, 2.0])
    assert key(tensor) == key(Tensor([1.0, 2.0])) != key(Tensor([1.0, 3.0]))
    assert tensor.steps == ["detach", "cpu"]
    assert key(tensor) != key(np.array([1.0, 2.0]))
    with pytest.raises(TypeError, match="gave no array"):
        key(Tensor(None))


class IndexLike:
    attrs = types.MappingProxyType({})
    dtype = "int64"

    def __init__(self, values, names=("i",)):
        self.values = values
        self.names = list(names)

    def to_numpy(self):
        return np.array(self.values)

    def __array__(self, dtype=None, copy=None):
        return self.to_numpy()


class SeriesLike(IndexLike):
    def __init__(self, values, name, index):
        super().__init__(values)
        del self.names
        self.name = name
        self.index = index


class FrameLike:
    attrs = types.MappingProxyType({})

    def __init__(self, columns, index):
        self.columns = list(columns)
        self.data = columns
        self.index = index
        self.dtypes = ["int64"] * len(columns)
        self.iloc = self

    def __getitem__(self, place):
        return Series(list(self.data.values())[place[1]], self.columns[place[1]], self.index)


Index = type("Index", (IndexLike,), {"__module__": "pandas.core"})
Series = type("Series", (SeriesLike,), {"__module__": "pandas.core"})
Frame = type("DataFrame", (FrameLike,), {"__module__": "pandas.core"})
Missing = made("pandas._libs", "NAType")


def test_tables_are_told_apart_by_columns_index_and_values():
    index = Index([0, 1])
    tables = [
        Frame({"a": [1, 2], "b": [3, 4]}, index),
        Frame({"b": [1, 2], "a": [3, 4]}, index),
        Frame({"a": [1, 2], "b": [3, 5]}, index),
        Frame({"a": [1, 2], "b": [3, 4]}, Index([1, 2])),
        Frame({"a": [1, 2], "b": [3, 4]}, Index([0, 1], ["j"])),
        Series([1, 2], "a", index),
        Series([1, 2], "b", index),
        index,
        Missing(),
    ]
    assert len({key(table) for table in tables}) == len(tables)
    assert key(tables[0]) == key(Frame({"a": [1, 2], "b": [3, 4]}, Index([0, 1])))
    with pytest.raises(TypeError):
        key(made("pandas.core", "Grouper")())


def test_records_of_other_packages_are_read_by_their_fields():
    attrs = made("app", "Attrs", __attrs_attrs__=[types.SimpleNamespace(name="x")])
    one, other = attrs(), attrs()
    one.x, other.x = 1, 2
    assert key(one) != key(other)
    model = made("app", "Request", __pydantic_fields__={})
    one, other = model(), model()
    one.x, other.x = 1, 2
    assert key(one) != key(other)


values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text() | st.binary(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner) | st.tuples(inner, inner),
    max_leaves=12,
)


def tagged(value):
    """The value with its types, for a comparison that knows 1 from True."""
    if isinstance(value, dict):
        return dict, {name: tagged(one) for name, one in value.items()}
    if isinstance(value, list | tuple):
        return type(value), [tagged(one) for one in value]
    return type(value), repr(value)


@given(values, values)
def test_keys_are_equal_exactly_where_the_values_are(one, other):
    assert (key(one) == key(other)) == (tagged(one) == tagged(other))
