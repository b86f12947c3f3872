"""Answers to parts of a batch become the answer that the model would have given for all of it."""

import math
import sys
import types
from typing import Any, NamedTuple

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from resilient_ml.policies._batch import batches
from resilient_ml.policies._joining import NoBatch, answers_by_row, join_answers, own, rows_in


class Answer(NamedTuple):
    label: Any
    score: Any


class Nothing(NamedTuple):
    """Outputs of a model that has none."""


MODELS = {
    "array": lambda rows: np.asarray(rows) * 2.0,
    "matrix": lambda rows: np.outer(rows, [1, 2, 3]),
    "masked": lambda rows: np.ma.masked_less(np.asarray(rows), 3),
    "list": lambda rows: [row * 2 for row in rows],
    "tuple": lambda rows: tuple(str(row) for row in rows),
    "columns": lambda rows: {"a": [str(row) for row in rows], "b": np.asarray(rows)},
    "outputs": lambda rows: (np.asarray(rows), np.outer(rows, [1, 2, 3])),
    "listed outputs": lambda rows: [np.asarray(rows), np.outer(rows, [1, 2, 3]), np.asarray(rows) * 2.0],
    "lists": lambda rows: ([row * 2 for row in rows], [str(row) for row in rows]),
    "record": lambda rows: Answer([str(row) for row in rows], np.asarray(rows) * 0.5),
    "outputs in columns": lambda rows: {"x": np.asarray(rows), "layers": (np.asarray(rows),) * 4},
    "rows of vectors": lambda rows: [np.array([row, 1.0, 2.0, 3.0, 4.0, 5.0, 6.0, 7.0]) for row in rows],
}


def same(one, two):
    assert type(one) is type(two)
    if isinstance(one, dict):
        assert one.keys() == two.keys()
        for name in one:
            same(one[name], two[name])
    elif isinstance(one, list | tuple):
        assert len(one) == len(two)
        for left, right in zip(one, two, strict=True):
            same(left, right)
    else:
        assert repr(one) == repr(two)
    return True


def cut(count, sizes):
    """Ranges of *sizes*, over and over, until *count* rows are in one."""
    found, start = [], 0
    while start < count:
        size = sizes[len(found) % len(sizes)]
        found.append(range(start, min(count, start + size)))
        start += size
    return found


@pytest.mark.parametrize("name", MODELS)
@given(count=st.integers(1, 12), sizes=st.lists(st.integers(1, 5), min_size=1, max_size=4), seed=st.randoms())
def test_parts_make_what_the_whole_is(name, count, sizes, seed):
    model = MODELS[name]
    parts = cut(count, sizes)
    seed.shuffle(parts)
    answered = [(part, own(model(list(part)))) for part in parts]
    assert all(rows_in(answer, len(part)) == len(part) for part, answer in answered)
    try:
        joined, values = join_answers(answered, count), answers_by_row(answered)
    except NoBatch as error:
        # Only where all parts are of as many rows as there are outputs.
        assert "columns of as many rows" in str(error)  # noqa: PT017
        assert len({len(part) for part in parts}) == 1
        return
    assert same(joined, model(list(range(count))))
    for row in range(count):
        alone = answers_by_row([([row], model([row]))])
        assert repr(values[row]) == repr(alone[row])


def test_no_parts_hold_no_rows():
    assert answers_by_row([]) == {}


def test_two_columns_for_two_rows_are_refused_where_nothing_tells():
    answer = (np.array([1, 2]), np.array([3, 4]))
    with pytest.raises(
        NoBatch,
        match=r"are 2 columns of as many rows: they could be one item a row or one an output; return an "
        r"array or a dict of columns, or pass join=",
    ):
        join_answers([((0, 1), answer), ((2, 3), answer)], 4)
    outputs = join_answers([((0, 1), answer), ((2,), (np.array([5]), np.array([6])))], 3)
    assert [one.tolist() for one in outputs] == [[1, 2, 5], [3, 4, 6]]
    rows = join_answers([((0, 1), answer), ((2,), (np.array([5, 6]),))], 3)
    assert [one.tolist() for one in rows] == [[1, 2], [3, 4], [5, 6]]
    assert join_answers([((0, 1), answer)], 2) is answer


def test_as_many_lists_as_rows_each_time_are_rows_even_where_each_is_as_long():
    two, three = ([1, 2], [3, 4]), ([5, 6, 7], [8, 9, 0], [1, 2, 3])
    assert join_answers([((0, 1), two), ((2, 3, 4), three)], 5) == two + three


def test_a_named_tuple_is_outputs_also_where_it_could_be_rows():
    parts = [((0, 1), Answer([1, 2], [3, 4])), ((2, 3), Answer([5, 6], [7, 8]))]
    assert join_answers(parts, 4) == Answer([1, 2, 5, 6], [3, 4, 7, 8])
    assert answers_by_row(parts)[3] == Answer(6, 8)
    assert rows_in(Answer([1, 2, 3], [1]), 2) == 3
    assert rows_in(Answer(1, 2), 2) is None
    assert rows_in(Nothing(), 2) is None


@pytest.mark.parametrize(
    ("answer", "rows"),
    [([1, 2], 2), ((1, 2), 2), ({"a": [1], "b": [1, 2]}, None), ({}, None), ("ab", None), (np.ones(3), 3)],
)
def test_rows_are_counted(answer, rows):
    assert rows_in(answer, 4) == rows


def test_answers_are_in_memory_of_their_own():
    buffer = np.zeros(2)
    for answer in (buffer, [buffer], (buffer,), {"a": buffer}, Answer(buffer, "x")):
        kept = own(answer)
        buffer[:] = 7
        assert "7" not in repr(kept)
        assert repr(kept) == repr(answer).replace("7", "0")
        buffer[:] = 0


# -- rows that nobody has answered ---------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("answer", "fill", "expected"),
    [
        ([1, 3], "x", [1, "x", 3]),
        ((1, 3), None, (1, None, 3)),
        (np.array([1, 3]), -1, np.array([1, -1, 3])),
        (np.array([1.0, 3.0]), None, np.array([1.0, math.nan, 3.0])),
        (np.array([1, 3]), 0.5, np.array([1, 0.5, 3], dtype=object)),
        (np.array(["a", "b"]), None, np.array(["a", None, "b"], dtype=object)),
        (np.ma.array([1.0, 3.0], mask=[True, False]), 9, np.ma.array([1.0, 9, 3], mask=[True, False, False])),
        ({"a": [1, 3], "b": [4, 5]}, {"a": 0}, {"a": [1, 0, 3], "b": [4, None, 5]}),
        (Answer([1, 3], [4, 5]), (0, -1), Answer([1, 0, 3], [4, -1, 5])),
        (Answer([1, 3], [4, 5]), 7, Answer([1, 7, 3], [4, 7, 5])),
    ],
    ids=repr,
)
def test_rows_without_an_answer_are_filled(answer, fill, expected):
    assert same(join_answers([((0, 2), answer)], 3, fill), expected)


def test_ways_of_ones_own_are_asked_to_fill_too():
    made = batches(None, None, lambda parts, count: sorted((list(rows), answer) for rows, answer in parts))
    assert made.joined([((0, 2), "ac")], 3, None, "?") == [([0, 2], "ac"), ([1], ["?"])]
    assert made.joined([((0, 1), "ab")], 2) == [([0, 1], "ab")]
    assert batches(len, None, None).rows_in("abc", 2) == 3


@pytest.mark.parametrize(
    ("one", "two", "text"),
    [
        ([1], (2,), "of several types; pass join="),
        ({"a": [1]}, {"b": [2]}, "different keys; pass join="),
        ("a", "b", "answers of type str cannot be put together; pass join="),
        (np.ones((1, 3)), np.ones((1, 4)), "differ in shape; pass join="),
    ],
)
def test_answers_that_do_not_fit_together_are_refused(one, two, text):
    with pytest.raises(NoBatch, match=text):
        join_answers([((0,), one), ((1,), two)], 2)


# -- tensors and frames, by stand-ins for their packages; the packages themselves below ----------------------


class Tensor:
    """As much of a torch tensor of one dimension as is asked for."""

    __module__ = "torch"
    device = "cpu"

    def __init__(self, rows, dtype=float):
        self.rows, self.dtype = list(map(dtype, rows)), dtype
        self.shape = (len(self.rows),)

    def __getitem__(self, order):
        return Tensor([self.rows[place] for place in order], self.dtype)

    def is_floating_point(self):
        return self.dtype is float

    def new_full(self, shape, fill):
        return Tensor([fill] * shape[0], self.dtype)

    def item(self):
        return self.rows[0]

    def clone(self):
        return Tensor(self.rows, self.dtype)


TORCH = types.SimpleNamespace(
    cat=lambda parts: Tensor(
        [row for one in parts for row in one.rows], float if any(one.dtype is float for one in parts) else int
    ),
    full=lambda shape, fill, device: Tensor([fill] * shape[0], type(fill)),
)


def test_tensors_are_joined_and_filled(monkeypatch):
    monkeypatch.setitem(sys.modules, "torch", TORCH)
    assert join_answers([((1,), Tensor([2])), ((0,), Tensor([1]))], 2).rows == [1, 2]
    parts = [((0, 2), Tensor([1, 3]))]
    assert join_answers(parts, 3, -1).rows == [1, -1, 3]
    assert math.isnan(join_answers(parts, 3).rows[1])
    whole = [((0, 2), Tensor([1, 3], int))]
    assert join_answers(whole, 3, 9).rows == [1, 9, 3]
    assert join_answers(whole, 3, 0.5).rows == [1, 0.5, 3]
    for fill in (None, "x"):
        with pytest.raises(NoBatch, match="cannot hold the fill; pass a number as fill="):
            join_answers(whole, 3, fill)
    kept = own(parts[0][1])
    assert kept is not parts[0][1]
    assert kept.rows == [1, 3]


class Labels(list):
    def __getitem__(self, which):
        return Labels(self[one] for one in which) if isinstance(which, list) else super().__getitem__(which)


class Series:
    """As much of a pandas series as is asked for."""

    __module__ = "pandas.core"
    iloc = None

    def __init__(self, rows, index):
        self.rows, self.index, self.shape = list(rows), Labels(index), (len(rows),)

    def reindex(self, numbers, fill_value=math.nan):
        held = dict(zip(self.index, self.rows, strict=True))
        return Series([held.get(number, fill_value) for number in numbers], numbers)


PANDAS = types.SimpleNamespace(
    concat=lambda parts: Series(
        [row for one in parts for row in one.rows], [label for one in parts for label in one.index]
    ),
    RangeIndex=range,
)


def test_frames_keep_the_labels_of_their_rows(monkeypatch):
    monkeypatch.setitem(sys.modules, "pandas", PANDAS)
    batch = Series("...", "xyz")
    joined = join_answers([((1, 2), Series("bc", "yz")), ((0,), Series("a", "x"))], 3)
    assert (joined.rows, list(joined.index)) == (["a", "b", "c"], ["x", "y", "z"])
    filled = join_answers([((0, 2), Series("ac", "xz"))], 3, "?", batch)
    assert (filled.rows, list(filled.index)) == (["a", "?", "c"], ["x", "y", "z"])
    scattered = join_answers([((0, 2), Series("ac", "xz")), ((1,), Series("b", "y"))], 3)
    assert (scattered.rows, list(scattered.index)) == (["a", "b", "c"], ["x", "y", "z"])
    twice = join_answers([((0,), Series("a", [0])), ((1,), Series("b", [0]))], 2, None, Series("..", [0, 0]))
    assert (twice.rows, list(twice.index)) == (["a", "b"], [0, 0])
    in_order = join_answers([((0,), Series("a", "x")), ((1,), Series("b", "y"))], 2)
    assert (in_order.rows, list(in_order.index)) == (["a", "b"], ["x", "y"])
    # Labelled from 0, part by part: as they are, two rows would have one label.
    anew = join_answers([((1, 2), Series("bc", [0, 1])), ((0,), Series("a", [0]))], 3)
    assert (anew.rows, list(anew.index)) == (["a", "b", "c"], [0, 1, 2])
    anew = join_answers([((1, 2), Series("bc", [0, 1]))], 3)
    assert list(anew.index) == [0, 1, 2]
    assert math.isnan(anew.rows[0])
    for unknown in (None, Series("...", "abc")):
        with pytest.raises(NoBatch, match="which labels the filled rows have; pass join="):
            join_answers([((0, 2), Series("ac", "xz"))], 3, "?", unknown)


def test_real_tensors_are_as_the_whole_would_be():
    torch = pytest.importorskip("torch")
    whole = torch.arange(12.0).reshape(4, 3)
    joined = join_answers([((2, 3), whole[2:]), ((0, 1), whole[:2])], 4)
    assert torch.equal(joined, whole)
    filled = join_answers([((0, 2, 3), whole[[0, 2, 3]])], 4)
    assert torch.isnan(filled[1]).all()
    assert torch.equal(filled[[0, 2, 3]], whole[[0, 2, 3]])
    numbers = torch.arange(3)
    assert join_answers([((0, 1, 2), numbers)], 4, 9).tolist() == [0, 1, 2, 9]
    assert join_answers([((0, 1, 2), numbers)], 4, 0.5).tolist() == [0, 1, 2, 0.5]
    kept = own(numbers)
    numbers += 1
    assert kept.tolist() == [0, 1, 2]


@pytest.mark.parametrize(
    "index", [None, list("abcd"), [7, 3, 9, 1], [("a", 1), ("a", 2), ("b", 1), ("b", 2)]]
)
def test_real_frames_are_as_the_whole_would_be(index):
    pandas = pytest.importorskip("pandas")
    if index and isinstance(index[0], tuple):
        index = pandas.MultiIndex.from_tuples(index)
    batch = pandas.DataFrame({"x": [1.0, 2.0, 3.0, 4.0], "y": list("pqrs")}, index=index)
    for model in (lambda rows: rows, lambda rows: rows["x"] * 2, lambda rows: pandas.Series(list(rows["y"]))):
        parts = [((2, 3), model(batch.iloc[[2, 3]])), ((0, 1), model(batch.iloc[[0, 1]]))]
        joined, whole = join_answers(parts, 4, None, batch), model(batch)
        assert joined.equals(whole)
        assert joined.index.equals(whole.index)
        filled = join_answers([((0, 2, 3), model(batch.iloc[[0, 2, 3]]))], 4, None, batch)
        assert filled.index.equals(whole.index)
        assert filled.iloc[[0, 2, 3]].equals(whole.iloc[[0, 2, 3]])
        assert filled.iloc[[1]].isna().to_numpy().all()
