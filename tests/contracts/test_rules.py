"""Rules on numbers and arrays: what each takes for broken, in one answer and row by row, and how it mends."""

import collections
import dataclasses
import math
from typing import NamedTuple

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from resilient_ml.contracts import Check, Confidence, DType, Finite, Norm, Probabilities, Range, Shape
from resilient_ml.contracts.rule import Missing, numbers, part_of, with_part

NAN, INF = math.nan, math.inf
F32 = np.float32


class Tensor:
    """As torch's: it must be detached, brought home, and may be of a type that numpy lacks."""

    def __init__(self, values, *, brain=False, lost=False):
        self.values, self.brain, self.lost, self.home = values, brain, lost, False

    def __array__(self, dtype=None, copy=None):
        if self.brain or not self.home:
            raise TypeError("can't convert")
        return np.asarray(self.values, dtype=dtype)

    def detach(self):
        if self.lost:
            raise RuntimeError("device lost")
        return self

    def cpu(self):
        here = Tensor(self.values, brain=self.brain)
        here.home = True
        return here

    def float(self):
        here = Tensor(self.values)
        here.home = True
        return here


class Odd:
    """Something that calls another thing its shape."""

    shape = ("round",)


GOOD = [
    (Finite(), 1.5),
    (Finite(), [1, 2]),
    (Finite(), "text"),
    (Finite(), None),
    (Finite(), np.array([], dtype=float)),
    (Finite(), np.array([1, 2**60])),
    (Finite(), np.array(["a"])),
    (Finite(), {"label": "cat", "scores": np.ones(3), "rest": [1.0, ("x", 2.0)]}),
    (Finite(), Tensor([1.0, 2.0])),
    (Finite(), 1 + 2j),
    (Shape(), 3.0),
    (Shape(None, 3), np.ones((7, 3))),
    (Shape(2, 2), [[1, 2], [3, 4]]),
    (Shape(2), Tensor([1.0, 2.0])),
    (DType("float32"), np.ones(2, F32)),
    (DType(np.floating), np.ones(2, np.float16)),
    (DType(int), np.ones(2, np.int64)),
    (Range(0, 1), [0.0, 1.0]),
    (Range(least=0), [5.0, INF]),
    (Range(most=0), -3),
    (Range(0, 1), True),
    (Range(0, 1), []),
    (Probabilities(), [0.2, 0.8]),
    (Probabilities(), np.full((4, 2, 5), 0.2)),
    (Probabilities(), np.array([0.3335, 0.3335, 0.3335], np.float16)),
    (Norm(), [0.6, -0.8]),
    (Norm(), [3.0]),
    (Norm(1), np.eye(3)),
    (Norm(2, tolerance=0.5), [[2.9, 0.0]]),
    (Norm(constant=True), [1.0, 1.0]),
    (Confidence(0.5), [0.5, 0.5]),
    (Confidence(0.5), 0.5),
    (Confidence(0.5, margin=0.2), [[0.7, 0.1, 0.2], [0.25, 0.75, 0.0]]),
    (Confidence(0.5, margin=0.2), [[0.7]]),
    (Check(bool), [1]),
]
BAD = [
    (Finite(), NAN, "is not finite"),
    (Finite(), [[1.0, 2.0], [INF, NAN]], "has 2 of 4 numbers that are not finite, at (1, 0)"),
    (Finite(), np.array([1.0, -INF], F32), "has 1 of 2 numbers that is not finite, at (1,)"),
    (Finite(), {"a": "x", "s": [1.0, NAN]}, "has 1 of 2 numbers that is not finite, at (1,) in part 's'"),
    (Finite(), ("x", [{"deep": NAN}]), "is not finite in part 1"),
    (Finite(), {(1, 2): NAN}, "is not finite in part 'tuple'"),
    (Finite(), Tensor([1.0, NAN]), "has 1 of 2 numbers that is not finite, at (1,)"),
    (Finite(), Tensor([NAN], brain=True), "has 1 of 1 numbers that is not finite, at (0,)"),
    (Finite(), complex(0, NAN), "is not finite"),
    (Shape(3), [1.0], "has shape (1,), not (3,)"),
    (Shape(None, 3), np.ones((2, 4)), "has shape (2, 4), not (any, 3)"),
    (Shape(), [1.0], "has shape (1,), not ()"),
    (Shape(1), "a", "is a str, which has no shape"),
    (Shape(1), Odd(), "is a Odd, which has no shape"),
    (DType("float32"), np.ones(2), "has type float64, not float32"),
    (DType(np.integer), np.ones(2), "has type float64, not integer"),
    (DType("float32"), [1.0], "is a list, not an array of numpy"),
    (Range(0, 1), [0.5, NAN, -2.0], "has 2 of 3 numbers outside 0 to 1: nan"),
    (Range(0, 1), 1.5, "is outside 0 to 1: 1.5"),
    (Range(0, 1), "a", "is a str, not real numbers"),
    (Range(0, 1), np.array(["a"]), "is an array of <U1 of shape (1,), not real numbers"),
    (Range(0, 1), 1j, "is a complex, not real numbers"),
    (Probabilities(), [0.5, 0.6], "is no probabilities: one sums to 1.1"),
    (Probabilities(), [1.5, -0.5], "is no probabilities: one has -0.5"),
    (Probabilities(), [NAN, 1.0], "is no probabilities: one sums to nan"),
    (Probabilities(), [], "is no probabilities: one sums to 0"),
    (Probabilities(), 0.5, "is one number, not the probabilities of several classes"),
    (Probabilities(), np.ones((2, 2, 2)), "has 4 of 4 rows that are no probabilities: one sums to 2"),
    (Norm(), [0.0, 0.0], "is null"),
    (Norm(), [[1.0, 2.0], [3.0, 3.0]], "has 1 of 2 vectors that are constant"),
    (Norm(), [NAN, 1.0], "is not numbers"),
    (Norm(), [1e-9, 2e-9], "is null"),
    (Norm(constant=True), [0.0, 0.0], "is null"),
    (Norm(1), [3.0, 4.0], "is not of length 1, but 5"),
    (Norm(), 2.0, "is one number, not a vector"),
    (Confidence(0.9), [0.1, 0.8], "is only 0.8 sure, below 0.9"),
    (Confidence(0.9), 0.3, "is only 0.3 sure, below 0.9"),
    (Confidence(0.9), NAN, "is only nan sure, below 0.9"),
    (Confidence(0.5), [], "is only -inf sure, below 0.5"),
    (Confidence(0.5, margin=0.3), [0.4, 0.6], "is sure by only 0.2, below 0.3"),
    (Confidence(0.5), [[0.9], [0.1]], "has 1 of 2 rows that are not sure: one is only 0.1 sure, below 0.5"),
    (Check(lambda value: False), 1, "is not good"),
    (Check(lambda value: ""), 1, "is not good"),
    (Check(lambda value: "is late"), 1, "is late"),
    (Check(lambda value: value.missing), 1, "could not be checked: AttributeError"),
]


@pytest.mark.parametrize(("rule", "value"), GOOD)
def test_a_rule_lets_a_good_answer_pass(rule, value):
    assert rule.flaw(value) is None


@pytest.mark.parametrize(("rule", "value", "flaw"), BAD)
def test_a_rule_says_what_is_wrong(rule, value, flaw):
    assert rule.flaw(value) == flaw


def test_a_tensor_that_cannot_be_read_has_no_numbers():
    assert numbers(Tensor([1.0], lost=True)) is None
    assert numbers([[1], [2, 3]]) is None


ROWS = [
    (Finite(), [[1.0], [NAN], [2.0]], [1]),
    (Finite(), np.ones((3, 2), int), []),
    (Finite(), [{"a": 1.0}, {"a": NAN}], [1]),
    (Finite(), ["a", "b"], []),
    (Shape(2), np.ones((3, 2)), []),
    (Shape(3), np.ones((3, 2)), [0, 1, 2]),
    (Shape(3), np.ones((0, 2)), []),
    (Shape(2), [[1, 2], [1, 2, 3]], [1]),
    (DType("float64"), np.ones((3, 2)), []),
    (DType("float32"), np.ones((3, 2)), [0, 1, 2]),
    (DType("float32"), [np.ones(2, F32), np.ones(2)], [1]),
    (Range(0, 1), np.array([0.5, 2.0, NAN]), [1, 2]),
    (Range(0, 1), np.array([[0.5, 0.5], [0.5, 2.0]]), [1]),
    (Range(0, 1), [[0.5], [0.5, 7]], [1]),
    (Probabilities(), np.array([[0.5, 0.5], [0.5, 0.6]]), [1]),
    (Probabilities(), np.array([1.0, 1.0]), [0, 1]),
    (Norm(), np.array([[1.0, 2.0], [0.0, 0.0], [1.0, 1.0]]), [1, 2]),
    (Confidence(0.5), np.array([0.4, 0.6]), [0]),
    (Confidence(0.5), np.array([[0.4, 0.1], [0.6, 0.1]]), [0]),
    (Confidence(0.5), ["a", 0.9], [0]),
    (Check(lambda row: row > 1), [1, 2, 0], [0, 2]),
    (Check(bool, rows=lambda rows: np.asarray(rows) > 1), [1, 2, 0], [0, 2]),
    (Check(bool, rows=lambda rows: [True, True, True]), [1, 2, 0], []),
    (Check(bool, rows=lambda rows: [True]), [1, 2, 0], [0, 1, 2]),
    (Check(bool, rows=lambda rows: rows.x), [1, 2, 0], [0, 1, 2]),
]


@pytest.mark.parametrize(("rule", "rows", "bad"), ROWS)
def test_a_rule_finds_the_bad_rows(rule, rows, bad):
    found = rule.bad_rows(rows)
    assert (found is None) == (not bad)
    if found is not None:
        assert np.flatnonzero(found).tolist() == bad


numbers_of_any_kind = arrays.arrays(
    np.float64,
    st.tuples(st.integers(1, 5), st.integers(1, 4)),
    elements=st.one_of(st.floats(-2, 2), st.sampled_from([0.0, 0.5, 1.0, NAN, INF])),
)


@given(numbers_of_any_kind)
def test_rows_are_bad_where_each_by_itself_is(rows):
    for rule in (
        *(
            Finite(),
            Range(-1, 1),
            Probabilities(0.3),
            Norm(),
            Norm(1, tolerance=0.5),
            Shape(2),
            DType("float64"),
        ),
        *(Confidence(0.5), Confidence(0.2, margin=0.3)),
    ):
        alone = [rule.flaw(row) is not None for row in rows]
        found = rule.bad_rows(rows)
        assert alone == ([False] * len(rows) if found is None else found.tolist()), rule


MENDED = [
    (Range(0, 1, then="repair"), [-1.0, 0.5, 2.0], [0.0, 0.5, 1.0]),
    (Range(0, 1, then="repair"), 7.0, 1.0),
    (Probabilities(then="repair"), [2.0, 2.0], [0.5, 0.5]),
    (Probabilities(then="repair"), [-0.001, 1.2], [0.0, 1.0]),
    (Probabilities(then="repair"), [-0.5, 1.5], [-0.5, 1.5]),
    (Probabilities(then="repair"), [0.0, 0.0], [0.0, 0.0]),
    (Probabilities(then="repair"), [1, 2], [1, 2]),
    (Norm(1, then="repair"), [3.0, 4.0], [0.6, 0.8]),
    (Norm(1, then="repair"), [0.0, 0.0], [0.0, 0.0]),
    (Norm(1, then="repair"), 5.0, 5.0),
    (Check(bool, repair=lambda value: value + 1), 1, 2),
]


@pytest.mark.parametrize(("rule", "value", "better"), MENDED)
def test_a_rule_mends_what_it_can(rule, value, better):
    assert rule.mend(value) == pytest.approx(better)


def test_what_a_rule_does_not_know_to_mend_stays_as_it_is():
    assert Finite().mend(NAN) is NAN


def test_what_is_mended_keeps_its_type():
    mended = Range(0, 1, then="repair").mend(np.array([2, -1], np.int8))
    assert mended.dtype == np.int8
    assert mended.tolist() == [1, 0]
    assert Norm(1, then="repair").mend(np.array([3, 4], F32)).dtype == F32
    assert DType("float32", then="repair").mend(np.ones(2)).dtype == F32
    assert isinstance(Range(0, 1, then="repair").mend((2.0, 0.5)), np.ndarray)


def test_rules_know_their_names_and_say_what_they_do():
    assert repr(Finite()) == "finite"
    assert repr(Range(0, 1, then="repair")) == "range (repair)"
    assert repr(DType("float32", name="type of the scores")) == "type of the scores"
    assert Check(math.isfinite).name == "isfinite"
    assert Check(collections.Counter()[1] or len).name == "len"


@pytest.mark.parametrize(
    ("make", "kind", "text"),
    [
        (
            lambda: Finite(then="ignore"),
            ValueError,
            "then must be one of 'fail', 'warn', 'repair', 'abstain', got",
        ),
        (
            lambda: Finite(then="repair"),
            ValueError,
            "then='repair' needs repair= for Finite, which cannot know",
        ),
        (lambda: DType(np.floating, then="repair"), ValueError, "needs repair= for DType"),
        (lambda: Norm(then="repair"), ValueError, "needs repair= for Norm"),
        (lambda: Finite(repair=3), TypeError, "repair must be callable, got 3"),
        (
            lambda: Finite(then="warn", repair=abs),
            ValueError,
            "repair= belongs to then='repair', got then='warn'",
        ),
        (lambda: Finite(of=1.5), TypeError, "of must be a key, a number or a function, got 1.5"),
        (lambda: Finite(of=len, repair=abs), ValueError, "of= must be a key or a number for then='repair'"),
        (lambda: Finite(name=3), TypeError, "name must be a string or None, got 3"),
        (lambda: Shape(-1), ValueError, "lengths must be at least 0, got -1"),
        (lambda: DType("number"), TypeError, "dtype must be one of numpy's, got 'number'"),
        (lambda: Range(2, 1), ValueError, "most must be at least least=2, got 1"),
        (lambda: Range(NAN, 1), ValueError, "least must be finite"),
        (lambda: Probabilities(-1), ValueError, "tolerance must be at least 0"),
        (lambda: Norm(0), ValueError, "length must be above 0"),
        (lambda: Norm(constant=1), TypeError, "constant must be True or False"),
        (lambda: Confidence("high"), TypeError, "least must be a number"),
        (lambda: Check(3), TypeError, "function must be callable"),
        (lambda: Check(len, rows=3), TypeError, "rows must be callable"),
    ],
)
def test_what_a_rule_cannot_be_is_refused(make, kind, text):
    with pytest.raises(kind) as caught:
        make()
    assert text in str(caught.value)


# -- parts -------------------------------------------------------------------------------------------------


@dataclasses.dataclass
class Answer:
    label: str
    score: float


class Named(NamedTuple):
    label: str
    score: float


@pytest.mark.parametrize(
    ("answer", "of", "part", "changed"),
    [
        ({"a": 1, "b": 2}, "a", 1, {"a": 9, "b": 2}),
        ([1, 2], 1, 2, [1, 9]),
        ((1, 2), 0, 1, (9, 2)),
        (Answer("x", 1.0), "score", 1.0, Answer("x", 9)),
        (Named("x", 1.0), "score", 1.0, Named("x", 9)),
    ],
)
def test_a_part_is_found_and_put_back_in_a_copy(answer, of, part, changed):
    before = repr(answer)
    assert part_of(answer, of) == part
    assert with_part(answer, of, 9) == changed
    assert repr(answer) == before


def test_the_part_of_a_list_is_that_of_each_row():
    rows = [{"s": 1}, {"s": 2}]
    assert part_of(rows, "s") == [1, 2]
    assert with_part(rows, "s", [8, 9]) == [{"s": 8}, {"s": 9}]
    assert part_of("cat", len) == 3


@pytest.mark.parametrize(("answer", "of"), [({}, "a"), ([], 3), (5, "a"), (5, 0), ([1, 2], "a"), (5, len)])
def test_a_part_that_is_not_there_is_missing(answer, of):
    with pytest.raises(Missing, match="has no part"):
        part_of(answer, of)


def test_what_cannot_be_replaced_says_so():
    with pytest.raises(Missing, match="is a str, whose part 'a' cannot be replaced"):
        with_part("text", "a", 1)
